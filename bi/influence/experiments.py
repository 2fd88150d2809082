"""How well co-influence is measured: the bias of its estimators and the error of sketches, as tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bi.evaluation.intervals import numpy_stream, percentile_interval
from bi.influence.advantages import Weighting
from bi.influence.enumerable import EnumerablePolicy, enumerable_policy
from bi.influence.gradients import group_gradients
from bi.influence.kernel import cosine_gram, gram
from bi.influence.per_step import Estimator, accuracy_matrix, per_step_influence
from bi.influence.sketch import Kind, Sketch

ESTIMATORS: tuple[Estimator, ...] = ("naive", "halves", "distinct")


def bias_table(seeds: Sequence[int], sizes: Sequence[int] = (4, 8, 16, 32), *, resamples: int = 1000,
               progress: Callable[[int, int], None] | None = None) -> pd.DataFrame:
    """Estimated over true influence of a set of prompts on itself, by rollouts a prompt and estimator.

    Every seed is another :func:`bi.influence.enumerable.enumerable_policy` with its own rollouts. The quantity is the
    mean accuracy change of the 16 prompts by one RLOO step on all of them; the truth is enumerated (for ``distinct``
    over pairs of different prompts, which is what it estimates). RLOO, because its expected gradient is the same for
    every number of rollouts. Rows ``rollouts, estimator, value, low, high, covered, n``: the ratio of the mean estimate
    to the mean truth with a 95% bootstrap interval over ``n`` seeds, and the share of seeds whose own interval over
    prompts holds the truth.
    """
    found = []
    for number, seed in enumerate(seeds):
        policy = enumerable_policy(seed)
        truth = _true_influence(policy)
        for size in sizes:
            rng = numpy_stream(seed, "bias", size)
            gradients = group_gradients(policy.model, policy.sample(size, rng), split="halves",
                                        weighting=Weighting(scheme="rloo"))
            for estimator in ESTIMATORS:
                interval = per_step_influence(gradients, gradients, 1.0, rng=rng, estimator=estimator,
                                              resamples=resamples).summary["mean_accuracy"]
                found.append((size, estimator, interval.value, truth[estimator],
                              interval.low <= truth[estimator] <= interval.high))
        if progress is not None:
            progress(number + 1, len(seeds))
    table = pd.DataFrame(found, columns=["rollouts", "estimator", "estimate", "truth", "covered"])
    return pd.DataFrame([_ratio(group, rollouts, estimator, resamples)
                         for (rollouts, estimator), group in table.groupby(["rollouts", "estimator"], sort=False)])


def _true_influence(policy: EnumerablePolicy) -> dict[str, float]:
    """Exact mean of < grad alpha(q), grad alpha(q') > over all pairs, and over pairs of different prompts."""
    exact = group_gradients(policy.model, policy.enumerated(), weighting=Weighting(scheme="dr_grpo"))
    pairs = accuracy_matrix(exact, exact, 1.0, "naive")
    apart = pairs[~np.eye(len(pairs), dtype=bool)].mean()
    return {"naive": float(pairs.mean()), "halves": float(pairs.mean()), "distinct": float(apart)}


def _ratio(group: pd.DataFrame, rollouts: int, estimator: str, resamples: int) -> dict[str, Any]:
    estimates, truths = group["estimate"].to_numpy(), group["truth"].to_numpy()
    picks = numpy_stream("bias ratio", rollouts, estimator).integers(len(group), size=(resamples, len(group)))
    draws = estimates[picks].mean(1) / truths[picks].mean(1)
    i = percentile_interval(estimates.mean() / truths.mean(), draws, level=0.95, unit="seeds", n=len(group))
    return {"rollouts": rollouts, "estimator": estimator, "value": i.value, "low": i.low, "high": i.high,
            "covered": group["covered"].mean(), "n": i.n}


def sketch_table(policy: Any, rollouts: pd.DataFrame, sizes: Sequence[int], seeds: Sequence[int] = (0, 1, 2),
                 kinds: Sequence[Kind] = ("count", "fold")) -> pd.DataFrame:
    """Error and cost of sketched Gram matrices of the group gradients of ``rollouts``, by kind and size.

    Rows ``kind, size, error, bound, worst, typical, share, n``: root mean square error of the cosines of different
    prompts over ``seeds`` (``n`` pairs), its bound (:meth:`Sketch.standard_error`), the largest error, the median size
    of the true cosines, and the processor time of sketching as a share of that of the gradients.
    """
    began = time.process_time()
    gradients = group_gradients(policy, rollouts)
    cost = time.process_time() - began
    rows = gradients.full()[gradients.informative]
    exact, norms = cosine_gram(rows), np.linalg.norm(rows, axis=1)
    apart = ~np.eye(len(rows), dtype=bool)
    found = []
    for kind in kinds:
        for size in sizes:
            errors, spent = [], []
            for seed in seeds:
                sketch = Sketch(kind, size, seed)
                sketch(rows[0])  # draws the tables, once for all rows
                began = time.process_time()
                small = sketch(rows)
                spent.append(time.process_time() - began)
                errors.append((gram(small) / np.outer(norms, norms) - exact)[apart])
            found.append({"kind": kind, "size": size, "error": np.sqrt(np.mean(np.square(errors))),
                          "bound": Sketch(kind, size).standard_error(float(np.sqrt((exact[apart] ** 2).mean()))),
                          "worst": np.abs(errors).max(), "typical": np.median(np.abs(exact[apart])),
                          "share": np.median(spent) / cost, "parameters": rows.shape[1], "n": np.size(errors)})
    return pd.DataFrame(found)
