"""Bootstrap intervals that respect how the numbers came about: completions within problems within seeds.

Every function returns an :class:`Interval`, which carries its method and sample sizes, and takes a generator
(:func:`numpy_stream`), so that a table is the same in every process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from bi.streams import stream_seed

Method = Literal["percentile", "bca"]
Design = Literal["nested", "crossed"]
SCIPY_METHODS = {"percentile": "percentile", "bca": "BCa"}


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval: ``n`` units resampled (``unit`` names them), ``resamples`` draws."""

    value: float
    low: float
    high: float
    level: float
    method: str
    unit: str
    n: int
    resamples: int

    def describe(self) -> str:
        """For a caption, e.g. ``95% percentile bootstrap over 300 problems``."""
        return f"{self.level:.0%} {self.method} bootstrap over {self.n} {self.unit}"


def numpy_stream(*names: int | str) -> np.random.Generator:
    """A numpy generator of its own for the purpose that ``names`` describe (see :mod:`bi.streams`)."""
    return np.random.default_rng(stream_seed(*names))


def _check(level: float, resamples: int) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level {level!r} must lie between 0 and 1, for example .95")
    if resamples < 1:
        raise ValueError(f"resamples {resamples!r} must be at least 1, better 2000")


def percentile_interval(value: float, draws: np.ndarray, *, level: float, unit: str, n: int) -> Interval:
    """The percentile interval of bootstrap ``draws``; not a number where ``n`` < 2, since one unit shows no spread."""
    _check(level, len(draws))
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]) if n > 1 else (np.nan, np.nan)
    return Interval(float(value), float(low), float(high), level, "percentile", unit, n, len(draws))


def bootstrap_mean(values: ArrayLike, rng: np.random.Generator, *, clusters: ArrayLike | None = None,
                   level: float = 0.95, resamples: int = 2000, method: Method = "percentile",
                   unit: str = "problems") -> Interval:
    """Mean of ``values`` (n,) with a bootstrap interval over ``clusters`` (each value its own cluster by default).

    Whole clusters are resampled, because completions of one problem are not independent; the mean runs over values.
    ``method="bca"`` corrects bias and skewness (Efron 1987) and is worth it below some 50 clusters. When all clusters
    agree the interval has no width: it says nothing about what was not seen. Source: :func:`scipy.stats.bootstrap`.
    """
    _check(level, resamples)
    if method not in SCIPY_METHODS:
        raise ValueError(f"method {method!r} is unknown; choose one of {', '.join(SCIPY_METHODS)}")
    data = _finite(values)
    labels = np.arange(len(data)) if clusters is None else np.asarray(clusters)
    if len(labels) != len(data):
        raise ValueError(f"clusters: {len(labels)} labels for {len(data)} values; one label per value is needed")
    _, index = np.unique(labels, return_inverse=True)
    sums, counts = np.bincount(index, weights=data), np.bincount(index).astype(np.float64)
    value = data.mean()
    if len(sums) < 2 or np.ptp(sums / counts) == 0:
        edge = value if len(sums) > 1 else np.nan
        return Interval(float(value), float(edge), float(edge), level, method, unit, len(sums), resamples)
    result = stats.bootstrap((sums, counts), _ratio, paired=True, vectorized=True, n_resamples=resamples,
                             confidence_level=level, method=SCIPY_METHODS[method], rng=rng, batch=256)
    low, high = result.confidence_interval
    return Interval(float(value), float(low), float(high), level, method, unit, len(sums), resamples)


def _ratio(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    return sums.sum(axis=axis) / counts.sum(axis=axis)


def hierarchical_mean(values: ArrayLike, seeds: ArrayLike, problems: ArrayLike, rng: np.random.Generator, *,
                      design: Design = "nested", resample_seeds: bool = True, level: float = 0.95,
                      resamples: int = 2000) -> Interval:
    """Mean over seeds of the mean over problems, resampling seeds and, within them, problems.

    ``values``, ``seeds``, ``problems`` are (n,), several values of a (seed, problem) are averaged first; every seed
    counts the same. ``design="nested"``: problems are drawn anew for each seed; ``"crossed"``: all seeds share the same
    problems, and one draw of problems serves all of them. With ``resample_seeds=False`` the interval is for these seeds
    only (over problems within seeds). Three seeds resampled give an interval that is too narrow (it covers about 3 of 4
    times when seeds dominate): show the seeds as points beside it.
    """
    _check(level, resamples)
    if design not in ("nested", "crossed"):
        raise ValueError(f"design {design!r} is unknown; choose nested or crossed")
    frame = pd.DataFrame({"seed": np.asarray(seeds), "problem": np.asarray(problems), "value": _finite(values)})
    cells = frame.groupby(["seed", "problem"], sort=True)["value"].mean()
    if design == "crossed":
        wide = cells.unstack("problem")
        if wide.isna().to_numpy().any():
            raise ValueError("problems: a crossed design needs every problem in every seed; use design='nested'")
        groups = list(wide.to_numpy())
    else:
        groups = [part.to_numpy() for _, part in cells.groupby(level="seed", sort=True)]
    draws = _seed_draws(groups, rng, resamples, crossed=design == "crossed")
    count = len(groups)
    if resample_seeds:
        draws = np.take_along_axis(draws, rng.integers(count, size=draws.shape), axis=1)
    means = draws.mean(axis=1)
    value = float(np.mean([group.mean() for group in groups]))
    sizes = sorted({len(group) for group in groups})
    each = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    unit = f"seeds x {each} problems" if resample_seeds else "seeds (fixed), over problems"
    interval = percentile_interval(value, means, level=level, unit=unit, n=count)
    if not resample_seeds and count == 1:
        return percentile_interval(value, means, level=level, unit="problems", n=len(groups[0]))
    return interval


def _seed_draws(groups: list[np.ndarray], rng: np.random.Generator, resamples: int, *, crossed: bool) -> np.ndarray:
    """(resamples, seeds) bootstrap means of each seed over its problems, drawn together if ``crossed``."""
    draws = np.empty((resamples, len(groups)))
    weights = None
    for column, group in enumerate(groups):
        if weights is None or not crossed:
            weights = rng.multinomial(len(group), np.full(len(group), 1 / len(group)), size=resamples) / len(group)
        draws[:, column] = weights @ group
    return draws


def paired_difference(first: pd.DataFrame, second: pd.DataFrame, rng: np.random.Generator, *, value: str = "value",
                      seed: str = "seed", problem: str = "problem_id", **options: object) -> Interval:
    """``first`` minus ``second``, paired by seed and problem, with the interval of :func:`hierarchical_mean`.

    Tables with columns ``seed``, ``problem``, ``value`` (several rows of a pair are averaged). Pairing removes the
    spread between problems that both share; ``ValueError`` when the two do not hold the same pairs.
    """
    keys = [seed, problem]
    left, right = (pd.Series(table.groupby(keys, sort=True)[value].mean()) for table in (first, second))
    if not left.index.equals(right.index):
        odd = left.index.symmetric_difference(right.index)
        raise ValueError(f"paired difference: {len(odd)} ({seed}, {problem}) pairs are in one table only, first "
                         f"{odd[0]}; evaluate both on the same problems")
    difference = (left - right).reset_index()
    return hierarchical_mean(difference[value], difference[seed], difference[problem], rng, **options)  # type: ignore[arg-type]


def _finite(values: ArrayLike) -> np.ndarray:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or len(data) == 0 or not np.isfinite(data).all():
        raise ValueError(f"values: a list of finite numbers is needed, got shape {data.shape}; drop missing ones")
    return data
