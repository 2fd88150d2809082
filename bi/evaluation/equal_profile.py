"""Co-influence of two arms at the same rollout accuracies: prompts weighted to a common distribution of alpha.

The influence of a step depends on how often the prompts are solved, on both sides: a prompt that is never or always
solved neither teaches nor can be taught. Two arms whose prompts are solved differently often differ in influence for
that reason alone. To ask what is left when accuracies are equal, the prompts of both arms are sorted into the same
strata of right rollouts, none, five classes between, and all. A stratum's common share is the mean of its shares
in the two arms, among strata that both have, and every prompt is weighted so that both arms have the common shares, as
targets and as training prompts. The weighted mean over pairs is then compared, seed by seed, and averaged over seeds;
shares are made anew in every bootstrap draw.

What this does not do: it matches the *observed* number of right rollouts. Given that number the estimates of g+ and g-
are unbiased for the prompts it belongs to, so the sorting itself distorts nothing; but of two arms the one with the
higher accuracies has, in each stratum, slightly higher ones. In the simulation of the tests, two arms of one law that
differ in influence through their accuracies alone keep less than a tenth of that difference. Nor does it make the
prompts the same ones: a prompt may stand in one stratum in one arm and in another in the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd

from bi.evaluation.crossed import percentile_bounds, two_sided
from bi.evaluation.equal_tokens import REFERENCES
from bi.evaluation.pairs import TRAIN, Pairs, PromptDraws
from bi.evaluation.through import Cell, interval_method, seed_mean, shared_draws
from bi.influence.summary import pair_means

BETWEEN = 5
STRATA = BETWEEN + 2
COLUMNS = ("how", "arm", "versus", "step", "split", "metric", "first", "second", "value", "low", "high", "p", "n",
           "method")
HOW = ("own", "equal")
MATRICES: dict[str, Callable[[Pairs], np.ndarray]] = {
    "influence": lambda pairs: pairs.to_accuracy[:, None] * pairs.products,
    "contrast": lambda pairs: pairs.plus - pairs.minus,
}
"""What is compared (:data:`bi.evaluation.pairs.INFLUENCE`), as matrices over pairs for a step of unit size."""


def strata(correct: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Class of each prompt by its right rollouts: 0 for none, ``STRATA - 1`` for all, else 1 to ``BETWEEN`` evenly."""
    inner = 1 + (BETWEEN * (correct - 1)) // np.maximum(counts - 1, 1)
    return np.where(correct == 0, 0, np.where(correct == counts, STRATA - 1, inner))


def common_shares(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Shares (B, K) of the strata that two arms are weighted to, from their numbers of prompts (B, K) in every draw.

    The mean of both arms' shares, 0 where one of them has no prompt; rows sum to 1, or are 0 where nothing is shared.
    """
    shares = [held / held.sum(axis=1, keepdims=True) for held in (first, second)]
    both = np.where((first > 0) & (second > 0), shares[0] + shares[1], 0.0)
    total = both.sum(axis=1, keepdims=True)
    return np.divide(both, total, out=np.zeros_like(both), where=total > 0)


def profile_weights(first: np.ndarray, second: np.ndarray,
                    draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (B, N) of the prompts of two arms that give both the common shares, in every draw.

    ``first``, ``second``: strata (N,) of the same prompts under the two arms; ``draws`` (B, N): how often each prompt
    is drawn. A drawn prompt's weight is its stratum's common share over the number of drawn prompts in the stratum.
    """
    inside = [np.eye(STRATA)[held] for held in (first, second)]
    numbers = [draws @ held for held in inside]
    shares = common_shares(*numbers)
    weights = [np.divide(shares, number, out=np.zeros_like(shares), where=number > 0) @ held.T
               for number, held in zip(numbers, inside, strict=True)]
    return draws * weights[0], draws * weights[1]


def equal_profile_means(first: Pairs, second: Pairs, draws: PromptDraws,
                        matrix: Callable[[Pairs], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Means (B + 1,) of ``matrix`` over pairs for two arms of one seed, weighted as the module says."""
    target = profile_weights(strata(first.correct, first.counts), strata(second.correct, second.counts), draws.target)
    train = profile_weights(strata(first.train_correct, first.train_counts),
                            strata(second.train_correct, second.train_counts), draws.train)
    with np.errstate(invalid="ignore", divide="ignore"):
        return tuple(pair_means(matrix(held), *sides, paired=False)  # type: ignore[return-value]
                     for held, sides in zip((first, second), zip(target, train, strict=True), strict=True))


def own_profile_means(first: Pairs, second: Pairs, draws: PromptDraws,
                      matrix: Callable[[Pairs], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The same without weights: each arm at its own accuracies."""
    means = [pair_means(matrix(held), draws.target, draws.train, paired=False) for held in (first, second)]
    return means[0], means[1]


COMPARE = {"own": own_profile_means, "equal": equal_profile_means}


def profile_table(pairs: Mapping[Cell, Mapping[str, Pairs]], lr: float, *, resamples: int = 2000) -> pd.DataFrame:
    """Every arm against each of the references at every step, at its own accuracies and at equal ones.

    ``pairs``: by arm, seed and step, then by target; ``lr``: size of the step. ``first, second``: means of the two arms
    (units: :data:`bi.evaluation.pairs.INFLUENCE`); ``value``: their difference, with its 95 % interval over seeds and,
    within them, prompts. The training prompts as targets are left out: there a prompt would be paired with itself.
    """
    rows: list[dict[str, object]] = []
    arms = list(dict.fromkeys(arm for arm, _, _ in pairs))
    for split in (name for name in next(iter(pairs.values())) if name != TRAIN):
        here = {cell: targets[split] for cell, targets in pairs.items()}
        seeds, prompts, over_seeds = shared_draws(here, split, resamples)
        size = next(iter(here.values())).products.shape
        method = interval_method(len(seeds), f"{size[0]} target and {size[1]} training prompts")
        facts = {"split": split, "n": len(seeds) * size[0], "method": method}
        for step, versus in ((step, name) for step in dict.fromkeys(step for _, _, step in pairs)
                             for name in REFERENCES if name in arms):
            for arm in (name for name in arms if name != versus):
                sides = [(here[arm, seed, step], here[versus, seed, step], prompts[seed]) for seed in seeds]
                found = _comparisons(sides, over_seeds, lr)
                rows += [facts | {"arm": arm, "versus": versus, "step": step} | row for row in found]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _comparisons(sides: list[tuple[Pairs, Pairs, PromptDraws]], over_seeds: np.ndarray,
                 lr: float) -> Iterable[dict[str, object]]:
    for how in HOW:
        for metric, matrix in MATRICES.items():
            both = [COMPARE[how](*side, matrix) for side in sides]
            first, second = (lr * seed_mean([pair[place] for pair in both], over_seeds) for place in (0, 1))
            low, high = percentile_bounds(first - second)
            yield {"how": how, "metric": metric, "first": float(first[0]), "second": float(second[0]),
                   "value": float(first[0] - second[0]), "low": low, "high": high, "p": two_sided(first - second)}
