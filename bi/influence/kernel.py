"""Co-influence kernels: inner products of gradients, exact, with float64 accumulation."""

from __future__ import annotations

import numpy as np

from bi.influence.gradients import GroupGradients

CHUNK = 16_384


def gram(first: np.ndarray, second: np.ndarray | None = None, *, metric: np.ndarray | None = None,
         chunk: int = CHUNK) -> np.ndarray:
    """Inner products of rows: (N, P) and (M, P) -> (N, M), float64; ``second`` is ``first`` by default.

    Works through ``chunk`` columns at a time and adds the products up in float64. Error for float32 rows: each chunk is
    summed in float32, so at most chunk * 6e-8 of sum_p |x_p y_p| and in practice (errors of either sign) about 1e-7,
    where a single float32 product over millions of columns loses 3e-4. Memory maps are read in slices. ``metric``
    (P,): by coordinate, sum_p x_p metric_p y_p (Adam's: :func:`bi.influence.adam.adam_step`).
    """
    second = first if second is None else second
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"gram: rows of equal length are needed, got {first.shape} and {second.shape}; compute both "
                         "gradients with the same model and the same parameters")
    if chunk < 1:
        raise ValueError(f"chunk {chunk} must be at least 1")
    if metric is not None and metric.shape != (first.shape[1],):
        raise ValueError(f"metric: one number for each of the {first.shape[1]} columns is needed, got shape "
                         f"{metric.shape}")
    total = np.zeros((first.shape[0], second.shape[0]))
    for start in range(0, first.shape[1], chunk):
        columns = slice(start, start + chunk)
        right = second[:, columns] if metric is None else second[:, columns] * metric[columns].astype(second.dtype)
        total += first[:, columns] @ right.T
    return total


def cosine_gram(first: np.ndarray, second: np.ndarray | None = None, *, chunk: int = CHUNK) -> np.ndarray:
    """Cosines of rows, (N, M) in [-1, 1]; not a number where a row is zero (a prompt with one outcome).

    Off-diagonal cosines of noisy gradients are pulled to zero by rollout noise, which the norms contain: compare them
    between tables of equal N only, or use the alignment of :func:`bi.influence.per_step.per_step_influence`.
    """
    second = first if second is None else second
    norms = [np.sqrt(squared_norms(rows, chunk=chunk)) for rows in (first, second)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return gram(first, second, chunk=chunk) / (norms[0][:, None] * norms[1][None, :])


def squared_norms(rows: np.ndarray, *, chunk: int = CHUNK) -> np.ndarray:
    """(N,) squared lengths of the rows of (N, P), accumulated in float64 like :func:`gram`."""
    total = np.zeros(rows.shape[0])
    for start in range(0, rows.shape[1], chunk):
        part = rows[:, start : start + chunk]
        total += np.einsum("np,np->n", part, part)
    return total


def co_influence(first: np.ndarray, second: np.ndarray | None = None, *, chunk: int = CHUNK) -> np.ndarray:
    """Equation ``co-influence``: K[(q,o), (q',o')] = < grad log pi(o|q), grad log pi(o'|q') >, (rollouts, rollouts').

    Rows are the gradients of single rollouts, from :func:`bi.influence.gradients.rollout_gradients`, in nats per unit
    of parameter; K is in nats squared per squared unit of parameter. To first order, a step of size eta along
    grad log pi(o'|q') changes log pi(o|q) by eta K. Everything else here is a weighted mean of K: a query-level kernel
    needs no single-rollout gradients (:func:`bi.influence.gradients.group_gradients`). Source: Cen et al. (2025).
    """
    return gram(first, second, chunk=chunk)


def outcome_kernels(target: GroupGradients, train: GroupGradients) -> tuple[np.ndarray, np.ndarray]:
    """K+ and K-, each (N_target, M_train): < g+(q), grad J(q') > and < g-(q), grad J(q') >.

    ``target`` holds g+ and g- (``split="outcomes"``). Equation ``per-step-influence`` in the paper's form follows:
    dJ(q'->q) = eta sqrt(alpha(1-alpha)) (K+ - K-), since the mean over o' of A(q',o') K[(q,o),(q',o')] is
    < grad log pi(o|q), grad J(q') >. What training on q' does to the correct completions of q, and to the wrong ones.
    """
    if target.split != "outcomes":
        raise ValueError(f"target: K+ and K- need split='outcomes', got split={target.split!r}")
    whole = train.full()
    return gram(target.parts[0], whole), gram(target.parts[1], whole)
