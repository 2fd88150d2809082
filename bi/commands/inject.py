"""``bi inject``: put behaviours into the chains of thought of rows that exist already. No torch here."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from bi.augmentation.arms import ARM_RATES, arm_rates, injected_completion
from bi.augmentation.behaviors import BEHAVIORS, strip
from bi.augmentation.wording import WORDINGS, get_wording
from bi.commands import options
from bi.commands.door import say
from bi.commands.outputs import check_file_out
from bi.commands.recipe_options import replace_fields, takes
from bi.progress import Progress
from bi.recipes import BehaviorRates, get_profile
from bi.records import PLAIN_ROW, RecordError, iterate_lines, iterate_rows, write_rows

Row = dict[str, Any]


@takes(BehaviorRates)
def inject(
    source: Annotated[Path, typer.Argument(metavar="DATA", help="JSON Lines with prompt and completion.")],
    out: options.OutFile,
    behaviors: Annotated[str, typer.Option(
        metavar="LIST", help=f"Which behaviours, separated by commas: {', '.join(BEHAVIORS)}.")]
    = ",".join(BEHAVIORS),
    rate: Annotated[float | None, typer.Option(
        help="One probability for all chosen behaviours (0 to 1); default: the profile's rates.")] = None,
    wording: Annotated[str | None, typer.Option(
        metavar="NAME", help=f"Wording of rows without a `wording` column: {', '.join(WORDINGS)}.")] = None,
    keep_unread: Annotated[bool, typer.Option(
        "--keep-unread", help="Copy rows that cannot be read unchanged, instead of stopping.")] = False,
    seed: options.Seed = 0,
    profile: options.Profile = options.DEFAULT_PROFILE,
    overwrite: options.Overwrite = False,
    changes: Any = None,
) -> None:
    """Inject behaviours into the chains of thought of DATA, such as `bi data --arm vanilla` writes.

    The question, the answer, the number of rows and all other columns stay; n_reflection, n_analysis and n_subgoal say
    what each completion really holds. Behaviours that it held before are taken out first. Rows that cannot be read are
    listed with their line and the reason, and stop the run.

    \b
    bi inject plain.jsonl --behaviors reflection,subgoal --seed 0 --out injected.jsonl
    bi inject plain.jsonl --rate 0.2 --subgoal 1 --out injected.jsonl
    """
    chosen = choose_behaviors(behaviors)
    rates = choose_rates(get_profile(profile).rates, chosen, rate, changes)
    if wording is not None:
        get_wording(wording)
    check_file_out(out, overwrite=overwrite)
    tally: Counter[str] = Counter()
    change = partial(inject_row, wording=wording, rates=rates, arm=arm_name(chosen), seed=seed)
    total = sum(1 for _ in iterate_lines(source))
    rows = injected_rows(source, change, tally, keep_unread=keep_unread)
    write_rows(out, rows, seen=Progress(total, "rows").update)
    realised = ", ".join(f"{tally[f'n_{name}']} {name}" for name in BEHAVIORS)
    kept = f"; {tally['unread']} rows copied unread" if tally["unread"] else ""
    say(f"{out}: {tally['rows']} rows with {realised}{kept}")


def choose_behaviors(names: str) -> tuple[str, ...]:
    """The behaviours in a list such as ``reflection,subgoal``; raises ``ValueError`` for an unknown one."""
    chosen = {name.strip() for name in names.split(",") if name.strip()}
    if not chosen or not chosen <= set(BEHAVIORS):
        raise ValueError(f"--behaviors is {names!r}; choose from {', '.join(BEHAVIORS)}")
    return tuple(name for name in BEHAVIORS if name in chosen)


def choose_rates(
    released: BehaviorRates, chosen: tuple[str, ...], rate: float | None, changes: dict[str, Any]
) -> BehaviorRates:
    """The rates that the options ask for: the profile's, then ``rate`` for all, then those given one by one.

    ``rate`` restates no definition without parents (there is nothing to look up). Behaviours that are not chosen get
    the rate 0; raises ``ValueError`` where one of them is given a rate.
    """
    for name in BEHAVIORS:
        if name in changes and name not in chosen:
            raise ValueError(f"--{name} is given, but --behaviors leaves {name} out; add it there, or drop --{name}")
    if rate is not None:
        released = replace_fields(released, {"reflection": rate, "analysis": f"0,{rate}", "subgoal": rate})
    return only(chosen, replace_fields(released, changes))


def only(chosen: tuple[str, ...], rates: BehaviorRates) -> BehaviorRates:
    """``rates`` with the behaviours that are not ``chosen`` switched off."""
    off = arm_rates("vanilla", rates)
    return dataclasses.replace(off, **{name: getattr(rates, name) for name in chosen})


def arm_name(chosen: tuple[str, ...]) -> str:
    """The arm that injects exactly these behaviours, or their names joined by ``+`` where there is no such arm."""
    every = BehaviorRates(reflection=1.0, analysis=(1.0,), subgoal=1.0)
    return next((arm for arm in ARM_RATES if arm_rates(arm, every) == only(chosen, every)), "+".join(chosen))


def injected_rows(
    source: Path, change: Callable[[Row], Row], tally: Counter[str], *, keep_unread: bool
) -> Iterator[Row]:
    """The rows of ``source`` after ``change``, one at a time; ``tally`` adds up rows, behaviours and unread rows.

    A row that ``change`` refuses is said with its line and the reason. With ``keep_unread`` it is handed on as it is;
    without, the rest is still looked through, so that all such rows are listed, and then ``ValueError`` is raised.
    """
    for line, row in iterate_rows(source, PLAIN_ROW):
        try:
            changed = change(row)
        except ValueError as error:
            say(f"unread: {RecordError(source, line, str(error))}")
            tally["unread"] += 1
            yield row
            continue
        tally["rows"] += 1
        tally.update({f"n_{name}": changed[f"n_{name}"] for name in BEHAVIORS})
        yield changed
    if tally["unread"] and not keep_unread:
        raise ValueError(f"{tally['unread']} rows of {source} cannot be read (listed above), and nothing was written; "
                         "mend them, or copy them unchanged with --keep-unread")


def inject_row(row: Row, *, wording: str | None, rates: BehaviorRates, arm: str, seed: int) -> Row:
    """``row`` with behaviours in its completion, the realised counts, and ``arm`` if it has that column.

    A vanilla row becomes the row that the arm has (:func:`bi.augmentation.arms.injected_completion`).
    Raises ``ValueError`` for a row whose prompt or completion cannot be read.
    """
    name = row.get("wording", wording)
    if not isinstance(name, str):
        raise ValueError("it has no column 'wording'; say which it is with --wording")
    words = get_wording(name)
    problem = words.read_problem(row["prompt"])
    plain = strip(words.read_trace(row["completion"], problem), problem)
    completion, realised = injected_completion(plain, problem, words, rates, seed)
    label = {"arm": arm} if "arm" in row else {}
    return {**row, **label, "completion": completion, **realised}
