"""``bi eval``: rollout tables become numbers with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bi.commands import options
from bi.commands.door import say, show
from bi.commands.outputs import check_file_out, names_of
from bi.recipes import get_profile

if TYPE_CHECKING:
    import pandas as pd


def evaluate(
    rollouts: Annotated[list[Path], typer.Argument(metavar="ROLLOUTS...", help="Rollout tables (parquet).")],
    out: options.OutFile,
    pass_at: Annotated[str | None, typer.Option(
        metavar="LIST", help="The k of pass@k, separated by commas; by default the profile's, as far as there are "
                             "enough samples.")] = None,
    seed: options.Seed = 0,
    profile: options.Profile = options.DEFAULT_PROFILE,
    overwrite: options.Overwrite = False,
) -> None:
    """Evaluate rollouts: accuracy, pass@k, format, lengths and behaviours, with 95 % intervals.

    --out is a tidy table, one measurement a row: rollouts (the file's name), metric, value, low, high, n, method. The
    intervals come from a bootstrap over problems.

    \b
    bi eval runs/test.parquet --out runs/accuracy.csv
    bi eval runs/sft.parquet runs/rl.parquet --pass-at 1,4,16 --out runs/both.csv
    """
    recipe = get_profile(profile).evaluation
    wanted = None if pass_at is None else read_list(pass_at)
    files = names_of(rollouts, "ROLLOUTS")
    check_file_out(out, overwrite=overwrite)
    import pandas as pd

    from bi.files import atomic_write
    from bi.training.rollouts import load_rollouts

    tables = {name: load_rollouts(path) for name, path in files.items()}
    parts = {
        name: evaluation_table(table, wanted or reachable(recipe.pass_at, table), recipe.bootstrap, seed)
        for name, table in tables.items()
    }
    whole = pd.concat(parts, names=["rollouts"]).reset_index(level=0).reset_index(drop=True)
    with atomic_write(out) as file:
        whole.to_csv(file, index=False, lineterminator="\n")
    show(whole.drop(columns="method"))
    say(f"{out}: {len(whole)} measurements; low and high are 95 % bootstrap intervals over problems")


def read_list(text: str) -> tuple[int, ...]:
    """The whole numbers of ``1,4,16``; raises ``ValueError`` for anything else."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--pass-at is {text!r}; give whole numbers separated by commas, such as 1,4,16") from None


def reachable(pass_at: tuple[int, ...], rollouts: pd.DataFrame) -> tuple[int, ...]:
    """Those k that do not exceed the number of completions of any problem."""
    from bi.evaluation.metrics import problem_counts

    fewest = int(problem_counts(rollouts)["n"].min())
    return tuple(k for k in pass_at if k <= fewest)


def evaluation_table(rollouts: pd.DataFrame, pass_at: tuple[int, ...], resamples: int, seed: int) -> pd.DataFrame:
    """Rows ``metric, value, low, high, n, method``: means over problems, every problem counting the same.

    ``informative_share`` (problems with mixed outcomes) and ``accuracy_variance`` need two completions of each problem.
    All metrics are resampled alike: the same problems are drawn for each of them.
    """
    import pandas as pd

    from bi.evaluation.intervals import bootstrap_mean, numpy_stream
    from bi.evaluation.metrics import accuracy_variance, problem_counts
    from bi.evaluation.tables import problem_values

    values = {
        str(metric): part["value"].to_numpy()
        for metric, part in problem_values(rollouts, {}, pass_at).groupby("metric", sort=False)
    }
    counts = problem_counts(rollouts)
    n, correct = counts["n"].to_numpy(), counts["correct"].to_numpy()
    if n.min() >= 2:
        values["informative_share"] = ((correct > 0) & (correct < n)).astype(float)
        values["accuracy_variance"] = accuracy_variance(n, correct)
    rows = []
    for metric, per_problem in values.items():
        interval = bootstrap_mean(per_problem, numpy_stream(seed, "eval"), resamples=resamples)
        rows.append((metric, interval.value, interval.low, interval.high, interval.n, interval.describe()))
    return pd.DataFrame(rows, columns=["metric", "value", "low", "high", "n", "method"])
