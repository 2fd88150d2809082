"""Summary of pair influences over prompts, each number with a bootstrap interval over prompts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bi.evaluation.intervals import Interval, percentile_interval


@dataclass(frozen=True)
class PairTable:
    """Inner products of group gradients of N target and M training prompts.

    ``products`` (N, M): as the estimator wants them (``nan``: left out); ``naive`` (N, M): plain products of the whole
    gradients; ``by_half`` (S, N, M): whole target gradient with each half of the training prompt's, or ``products``
    alone (S = 1); ``same``: a prompt paired with itself; ``informative``: both have mixed outcomes; ``paired``: both
    sides are the same prompts in the same order.
    """

    products: np.ndarray
    naive: np.ndarray
    by_half: np.ndarray
    same: np.ndarray
    informative: np.ndarray
    paired: bool


@dataclass(frozen=True)
class Resamples:
    """Bootstrap counts (B, N) of target and (B, M) of training prompts; row 0 is the sample itself."""

    target: np.ndarray
    train: np.ndarray

    @staticmethod
    def draw(table: PairTable, count: int, rng: np.random.Generator) -> Resamples:
        """``count`` resamples of prompts; the two sides are drawn together where they are the same prompts."""
        n, m = table.products.shape
        target = np.vstack([np.ones(n), rng.multinomial(n, np.full(n, 1 / n), size=count)])
        if table.paired:
            return Resamples(target, target)
        return Resamples(target, np.vstack([np.ones(m), rng.multinomial(m, np.full(m, 1 / m), size=count)]))


def pair_means(matrix: np.ndarray, target: np.ndarray, train: np.ndarray, *, paired: bool,
               use: np.ndarray | None = None) -> np.ndarray:
    """Weighted means (B,) of ``matrix`` (N, M) over pairs, for B rows of prompt counts; ``nan`` entries are left out.

    Where both sides are the same prompts, pairs of a prompt with itself keep their share 1/N of the mean in every
    resample: resampled counts alone would pair a prompt drawn twice with itself twice over, and inflate them.
    ``use`` (N, M) restricts the pairs.
    """
    mask = np.isfinite(matrix) if use is None else np.isfinite(matrix) & use
    values = np.where(mask, matrix, 0.0)
    apart = mask & ~np.eye(*matrix.shape, dtype=bool) if paired else mask
    sums = np.einsum("bn,bn->b", target @ (values * apart), train) if matrix.shape[1] else np.zeros(len(target))
    weights = np.einsum("bn,bn->b", target @ apart.astype(float), train)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / weights
        if not paired or not (mask & ~apart).any():
            return means
        diagonal = np.diagonal(mask).astype(float)
        own = target @ (np.diagonal(values) * diagonal) / (target @ diagonal)
    share = diagonal.sum() / mask.sum()
    return own if share == 1 else (1 - share) * means + share * own


def alignments(across: np.ndarray, within_target: np.ndarray, within_train: np.ndarray) -> np.ndarray:
    """cos(E G_train, E G_target) from estimates of their product and of their squared norms, (B,).

    With unbiased squared norms it is not pulled to zero by noise, may exceed 1, and is ``nan`` where a squared norm is
    estimated at or below zero: the mean gradient cannot be told from noise there.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        norms = np.where((within_target > 0) & (within_train > 0), within_target * within_train, np.nan)
        return across / np.sqrt(norms)


def signal_to_noise(signal: np.ndarray, power: np.ndarray) -> np.ndarray:
    """|E G|^2 / E|G - E G|^2 of one prompt's gradient, (B,), from |E G|^2 and E|G|^2; M prompts have M times that."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return signal / (power - signal)


def top_tenth_shares(by_half: np.ndarray, use: np.ndarray, target: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Share of the summed influence that the most influential tenth of training prompts carries, (B,).

    Over pairs of different prompts. With halves, prompts are ranked by one half of their rollouts and measured by the
    other (and the reverse, averaged), so that luck in the ranking does not count; without, it does. Equal influence
    gives about .1; above 1 where the others lower the objective; ``nan`` where the sum is not positive.
    """
    values = np.where(use, by_half, 0.0)
    weights = target @ use.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.stack([np.where(weights > 0, (target @ half) / weights, 0.0) for half in values])
    pairs = [(0, 1), (1, 0)] if len(means) == 2 else [(0, 0)]
    return np.mean([_top_share(means[rank], means[measure], train) for rank, measure in pairs], axis=0)


def _top_share(ranking: np.ndarray, measured: np.ndarray, counts: np.ndarray) -> np.ndarray:
    order = np.argsort(-ranking, axis=1, kind="stable")
    counts, measured = np.take_along_axis(counts, order, 1), np.take_along_axis(measured, order, 1)
    budget = counts.sum(1, keepdims=True) / 10
    before = counts.cumsum(1) - counts
    taken = np.clip(budget - before, 0.0, counts)  # fractions of a prompt: exactly a tenth, whatever the number
    total = (counts * measured).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (taken * measured).sum(1) / total, np.nan)


def summarise(across: PairTable, within_train: PairTable, within_target: PairTable, *, to_accuracy: np.ndarray,
              lr: float, rng: np.random.Generator, resamples: int, level: float) -> dict[str, Interval]:
    """The summary numbers of one step of size ``lr`` on the training prompts, with intervals over prompts.

    ``mean_objective``, ``mean_accuracy``: expected change of J and of accuracy of a target prompt. ``alignment``:
    :func:`alignments`. ``snr``: :func:`signal_to_noise` of the training prompts. ``negative_share``: share of negative
    influence among pairs of different prompts that both have mixed outcomes (noise included: .5 is pure noise).
    ``top_tenth_share``: :func:`top_tenth_shares`. ``informative_train``, ``informative_target``: share of prompts with
    mixed outcomes; the others count as zero influence in the means.
    """
    draws = Resamples.draw(across, resamples, rng)
    target, train = draws.target, draws.train
    different = across.informative & ~across.same
    mean = pair_means(across.products, target, train, paired=across.paired)
    signal = pair_means(within_train.products, train, train, paired=True)
    target_signal = pair_means(within_target.products, target, target, paired=True)
    numbers = {
        "mean_objective": lr * mean,
        "alignment": alignments(mean, target_signal, signal),
        "snr": signal_to_noise(signal, train @ np.diagonal(within_train.naive) / train.sum(1)),
        "negative_share": pair_means((across.products < 0).astype(float), target, train, paired=across.paired,
                                     use=different),
        "top_tenth_share": top_tenth_shares(across.by_half, ~across.same, target, train),
        "informative_train": train @ np.diagonal(within_train.informative) / train.sum(1),
        "informative_target": target @ np.diagonal(within_target.informative) / target.sum(1),
    }
    if np.isfinite(to_accuracy).all():
        numbers["mean_accuracy"] = lr * pair_means(to_accuracy[:, None] * across.products, target, train,
                                                   paired=across.paired)
    unit = f"prompts ({train.shape[1]} train, {target.shape[1]} target)"
    count = min(train.shape[1], target.shape[1])
    return {name: _interval(values, level=level, unit=unit, n=count) for name, values in numbers.items()}


def _interval(values: np.ndarray, *, level: float, unit: str, n: int) -> Interval:
    draws = values[1:][np.isfinite(values[1:])]
    if len(draws) < 0.5 * (len(values) - 1):  # undefined in most resamples: no interval rather than a lucky one
        draws = np.full(len(values) - 1, np.nan)
    return percentile_interval(values[0], draws, level=level, unit=unit, n=n)
