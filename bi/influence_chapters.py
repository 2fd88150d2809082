"""Numbers and tables of the chapters on co-influence, by the names that their text uses."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bi.evaluation.claims import judge_claims, largest_steps, step_contrasts

SHAPE = "parameters, tokens of prompt + completion"
METHODS = {
    "loop": "a backward pass a rollout", "plain": "a backward pass a group", "shared": "and the prompt encoded once",
    "bfloat16": "and bfloat16 passes", "sketch": "float32, sketched", "traker": "traker", "kronfluence": "kronfluence",
    "dattri": "dattri",
}


def measuring_facts(bias: pd.DataFrame, sketch: pd.DataFrame, benchmark: pd.DataFrame) -> dict[str, Any]:
    """Numbers of the chapter on measuring co-influence, by the names that its text uses.

    ``bias``, ``sketch``, ``benchmark``: the tables of ``results/influence``. ``few`` is the second smallest number of
    rollouts measured; comparisons of speed are on the kind of processor measured last, those with libraries on the
    smallest model, which all methods have run on.
    """
    sizes = sorted(bias["rollouts"].unique())
    few = sizes[min(1, len(sizes) - 1)]
    facts: dict[str, Any] = {"few": few, "n_policies": bias["n"].max()}
    for name in ("naive", "halves"):
        row = bias[(bias["rollouts"] == few) & (bias["estimator"] == name)].iloc[0]
        facts |= {f"{name}_few": row["value"], f"{name}_few_low": row["low"], f"{name}_few_high": row["high"]}
    naive = bias[bias["estimator"] == "naive"].sort_values("rollouts")
    facts["naive_ladder"] = ", ".join(f"{row.value:.1f} times the truth with {row.rollouts}"
                                      for row in naive.itertuples()) + " rollouts"
    facts["covered"] = 100 * bias.loc[bias["estimator"] != "naive", "covered"].mean()
    fold = sketch[(sketch["kind"] == "fold") & (sketch["size"] < sketch["parameters"])].sort_values("size")
    facts |= {"typical": fold["typical"].iloc[0], "sketch_pairs": fold["n"].iloc[0]}
    for name, row in (("small", fold.iloc[(fold["size"] - 1024).abs().argmin()]), ("large", fold.iloc[-1])):
        facts |= {f"{name}_size": int(row["size"]), f"{name}_error": float(row["error"])}
    latest = benchmark[benchmark["processor"] == benchmark["processor"].iloc[-1]]
    smallest = latest[latest["parameters"] == latest["parameters"].min()].set_index("method")
    facts |= {f"{name}_times": smallest.loc[name, "against_shared"]
              for name in ("traker", "kronfluence", "dattri")}
    ours = latest.loc[latest["method"] == "shared"]
    facts |= {"loop_error": ours["error"].max(), "loop_least": ours["ratio"].min(), "loop_most": ours["ratio"].max()}
    facts["benchmark_parameters"] = " and ".join(f"{count / 1e6:.1f} million parameters"
                                                 for count in sorted(benchmark["parameters"].unique()))
    return facts


def benchmark_rows(benchmark: pd.DataFrame) -> pd.DataFrame:
    """The table of methods as it is shown: model, method, speed, error, share of the floor, all as texts.

    All rows of the kind of processor that was measured last, then what bfloat16 gives on the others. What a processor
    emulates has errors and no time.
    """
    latest = benchmark["processor"] == benchmark["processor"].iloc[-1]
    others = benchmark[~latest & benchmark["method"].isin(("shared", "bfloat16"))]
    benchmark = pd.concat([benchmark[latest], others])
    return pd.DataFrame({
        SHAPE: [f"{count / 1e6:.1f} M, {prompt} + {longest // 2} to {longest}" for count, prompt, longest in
                benchmark[["parameters", "prompt", "longest"]].astype(int).to_numpy().tolist()],
        "method": benchmark["method"].map(METHODS),
        "processor": benchmark["processor"],
        "speed (loop = 1)": ["–" if pd.isna(ratio) else f"{ratio:.2f}" for ratio in benchmark["ratio"]],
        "largest error": [f"{error:.0e}" for error in benchmark["error"]],
        "error of a cosine": ["–" if pd.isna(error) else f"{error:.0e}" for error in benchmark["cosine_error"]],
        "share of the floor": ["–" if pd.isna(share) else f"{100 * share:.0f} %" for share in benchmark["floor_share"]],
        "commit": benchmark["commit"],
    }).set_index(SHAPE)


def gpu_rows(calculated: pd.DataFrame) -> pd.DataFrame:
    """The calculated cost of large models as it is shown: one column a model, all as texts."""
    rows = {
        "passes through the model (PFLOP)": [f"{x:.2f}" for x in calculated["passes_pflop"]],
        "Gram product (PFLOP)": [f"{x:.3f}" for x in calculated["gram_pflop"]],
        "time (s)": [f"{x:.1f}" for x in calculated["seconds"]],
        "weights (GB)": [f"{x:.1f}" for x in calculated["weights_gb"]],
        "gradients of all prompts (GB)": [f"{x:.0f}" for x in calculated["rows_gb"]],
        "the same, sketched (GB)": [f"{x:.2f}" for x in calculated["sketched_rows_gb"]],
    }
    return pd.DataFrame(rows, index=[f"{name} parameters" for name in calculated["model"]]).T


def step_facts(steps: pd.DataFrame, contrasts: pd.DataFrame, prompts: pd.DataFrame) -> dict[str, Any]:
    """Numbers of the chapter on the step test; ``steps`` etc. are the tables of ``results/influence``.

    ``verdict`` is that of the claim ``causal`` (:data:`bi.evaluation.claims.CLAIMS`).
    """
    largest = contrasts["gain"].max()
    last = largest_steps(contrasts)
    causal = judge_claims({"influence/step_contrasts": contrasts}.get)["causal"]
    facts: dict[str, Any] = {"verdict": causal.verdict, "n_checkpoints": len(steps[["arm", "seed"]].drop_duplicates()),
                             "n_steps": len(steps), "n_targets": steps["n"].max(), "n_set": steps["prompts"].median(),
                             "n_contrasts": len(last), "n_train": len(prompts), "largest": 100 * largest,
                             "smallest": 100 * contrasts["gain"].min()}
    for how in ("importance", "fresh"):
        inside = (steps[f"gap_{how}_low"] <= 0) & (steps[f"gap_{how}_high"] >= 0)
        facts |= {f"inside_{how}": int(inside.sum()), f"slope_{how}": _slope(steps["predicted"], steps[how])}
    for optimiser, part in last.groupby("optimiser"):
        facts[f"contrast_{optimiser}"] = step_contrasts(part)
    predicted = contrasts[(contrasts["gain"] == largest) & (contrasts["how"] == "predicted")]
    facts |= {f"promised_{optimiser}": f"{100 * part['value'].mean():+.1f} points"
              for optimiser, part in predicted.groupby("optimiser")}
    one = steps[(steps["set"] == "high") & (steps["gain"] == _nearest(steps["gain"], 0.01))]
    for how in ("importance", "fresh", "independent"):
        facts[f"needed_{how}"] = f"{one[f'needed_{how}'].median():,.0f}"
    wide = steps[steps["gain"] == largest]
    norms = wide[wide["optimiser"] == "adam"].groupby("set")["step_norm"].mean()
    facts |= {"below": int((wide["gap_importance"] < 0).sum()), "n_wide": len(wide),
              "wide_zero": int(((wide["gap_importance_low"] <= 0) & (wide["gap_importance_high"] >= 0)).sum()),
              "gap_wide": f"{100 * wide['gap_importance'].mean():+.1f}".replace("-", "\u2212"),
              "norms": float(norms["high"] / norms["low"]), "effective": wide["effective"].mean(),
              "same": 100 * wide["same"].mean(),
              "accuracy_sets": steps["train_accuracy"].mean(), "one": 100 * one["gain"].iloc[0]}
    return facts


def _slope(x: pd.Series, y: pd.Series) -> float:
    """Least squares through the origin."""
    return float((x * y).sum() / (x * x).sum())


def _nearest(values: pd.Series, wanted: float) -> float:
    return float(values.iloc[(values - wanted).abs().argmin()])
