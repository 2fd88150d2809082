"""Numbers of the chapter on rollout accuracy, by the names that its text uses."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bi.evaluation.by_accuracy import middle_over_never
from bi.evaluation.intervals import bootstrap_mean, numpy_stream
from bi.evaluation.metrics import accuracy_variance, expected_informative_share
from bi.evaluation.verdicts import Estimate, compare_seeds
from bi.influence.softmax import influence_coefficient

ARMS = ("vanilla", "bridge")
SMALL = 4
NOTHING = "no difference that could be measured (all problems of one kind)"


def readiness_facts(ready: pd.DataFrame) -> dict[str, Any]:
    """Facts of the checkpoints before RL; ``ready``: rows of ``rollout_accuracy`` of the split that RL trains on."""
    largest = int(ready["n"].min())
    small = min(SMALL, largest)
    accuracy = ready["correct"] / ready["n"]
    quantities = {
        "accuracy": accuracy, "coefficient": influence_coefficient(accuracy), "never": ready["correct"] == 0,
        "variance": accuracy_variance(ready["n"], ready["correct"]), "always": ready["correct"] == ready["n"],
        "mixed_small": expected_informative_share(ready["n"], ready["correct"], small),
        "mixed": expected_informative_share(ready["n"], ready["correct"], largest),
    }
    seeds = ready[["arm", "seed"]].assign(**quantities).groupby(["arm", "seed"]).mean()
    means = seeds.groupby(level="arm").mean()
    facts: dict[str, Any] = {f"{name}_{arm}": float(means.at[arm, name]) for name in quantities for arm in ARMS}
    table = seeds["coefficient"].rename("value").reset_index().assign(metric="coefficient")
    compared = compare_seeds(table, "bridge", "vanilla", metric="coefficient")
    gap = abs(facts["accuracy_bridge"] - facts["accuracy_vanilla"])
    return facts | {"prompts": ready.groupby(["arm", "seed"])["problem_id"].nunique().max(), "rollouts": largest,
                    "small": small, "accuracy_gap": f"{100 * gap:.1f} points", "coefficient_times": compared.times(),
                    "coefficient_seeds": compared.text(), "verdict_coefficient": compared.verdict()}


def middle_facts(gains: pd.DataFrame, split: str) -> dict[str, Any]:
    """How much more problems in the middle gain than those never solved, by arm, and the verdict on it."""
    facts: dict[str, Any] = {}
    for arm in ARMS:
        found = middle_over_never(gains, arm)
        facts |= {f"middle_{split}_{arm}": found.points() if found else NOTHING,
                  f"verdict_{split}_{arm}": found.verdict() if found else "undecided"}
    return facts


def gain_facts(gains: pd.DataFrame) -> dict[str, Any]:
    """Gains of problems never, sometimes and always solved by other checkpoints, by arm, for a table.

    ``gains``: see :func:`bi.evaluation.by_accuracy.gains_by_accuracy`.
    """
    facts: dict[str, Any] = {"others": int(gains["n"].max())}
    for arm in ARMS:
        rows = gains[gains["arm"] == arm]
        kinds = {"never": rows["correct"] == 0, "always": rows["correct"] == rows["n"]}
        kinds["sometimes"] = ~(kinds["never"] | kinds["always"])
        facts |= {f"gain_{name}_{arm}": _mean_gain(rows[kind], name) for name, kind in kinds.items()}
    return facts


def _mean_gain(rows: pd.DataFrame, name: str) -> str:
    """Mean gain in points with its interval over problems, and how many problems and seeds it is of."""
    if rows.empty:
        return "no such problem"
    found = bootstrap_mean(rows["gain"], numpy_stream("gain by accuracy", name), clusters=rows["problem_id"])
    return f"{Estimate(found.value, found.low, found.high, len(rows), found.describe()).brief()}, n = {len(rows)}"
