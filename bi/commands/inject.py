"""``bi inject``: put behaviours into the chains of thought of rows that exist already. No torch here.

The file is read and written one block of rows at a time, so its length does not matter for the memory.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from bi.augmentation.arms import ARM_RATES, arm_rates
from bi.augmentation.behaviors import BEHAVIORS
from bi.augmentation.formats import FORMATS, Request, Row, get_format, inject_row
from bi.augmentation.wording import WORDINGS, get_wording
from bi.commands import options
from bi.commands.door import say
from bi.commands.outputs import check_file_out
from bi.commands.recipe_options import replace_fields, takes
from bi.processes import workers
from bi.progress import Progress
from bi.recipes import BehaviorRates, get_profile
from bi.records import RecordError, iterate_lines, iterate_rows, write_rows
from bi.tasks.vocabulary import WORLDS, read_worlds


@takes(BehaviorRates)
def inject(
    source: Annotated[Path, typer.Argument(metavar="DATA", help="JSON Lines in one of the formats.")],
    out: options.OutFile,
    format: Annotated[str, typer.Option(
        metavar="NAME", help=f"What the rows look like: {', '.join(FORMATS)}.")] = "igsm",
    behaviors: Annotated[str, typer.Option(
        metavar="LIST", help=f"Which behaviours, separated by commas: {', '.join(BEHAVIORS)}.")]
    = ",".join(BEHAVIORS),
    rate: Annotated[float | None, typer.Option(
        help="One probability for all chosen behaviours (0 to 1); default: the profile's rates.")] = None,
    wording: Annotated[str | None, typer.Option(
        metavar="NAME", help=f"Wording of rows without a `wording` column: {', '.join(WORDINGS)}.")] = None,
    vocabulary: Annotated[Path | None, typer.Option(
        metavar="FILE", help="Names of public iGSM rows, as JSON: world > layer > category > names.")] = None,
    keep_unread: Annotated[bool, typer.Option(
        "--keep-unread", help="Copy rows that cannot be read unchanged, instead of stopping.")] = False,
    num_proc: options.NumProc = 1,
    seed: options.Seed = 0,
    profile: options.Profile = options.DEFAULT_PROFILE,
    overwrite: options.Overwrite = False,
    changes: Any = None,
) -> None:
    """Inject behaviours into the chains of thought of DATA.

    The question, the answer, the number of rows and all other columns stay. n_reflection, n_analysis and n_subgoal say
    what each completion really holds. Behaviours that it held before are taken out first. Rows that cannot be read are
    listed with their line and the reason, and stop the run.

    \b
    Formats and the columns that they read:
      igsm   prompt, completion, wording, as `bi data` writes them, or the authors' question, response
      dyval  the same, or PromptBench's descriptions, vars, inferences
      gsm8k  question, answer (calculator annotations, last line #### ANSWER)
      steps  question, steps, answer (the book says what a step holds)
    Public rows, and those of the last two formats, get new columns prompt and completion. In the last two the author's
    order stands, so reflection only lands on locked steps.

    \b
    bi inject plain.jsonl --behaviors reflection,subgoal --seed 0 --out injected.jsonl
    bi inject train.jsonl --format gsm8k --rate 0.2 --subgoal 1 --num-proc 8 --out injected.jsonl
    """
    chosen = choose_behaviors(behaviors)
    rates = choose_rates(get_profile(profile).rates, chosen, rate, changes)
    if wording is not None:
        get_wording(wording)
    _, first = next(iterate_rows(source, {}))
    columns = get_format(format).columns_of(first)
    worlds = WORLDS if vocabulary is None else read_worlds(vocabulary)
    check_file_out(out, overwrite=overwrite)
    tally: Counter[str] = Counter()
    request = Request(rates, seed, wording, arm_name(chosen), worlds)
    total = sum(1 for _ in iterate_lines(source))
    with workers(num_proc) as spread:
        outcomes = spread(partial(try_row, format=format, request=request), iterate_rows(source, columns))
        rows = injected_rows(source, outcomes, tally, keep_unread=keep_unread)
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


Outcome = tuple[int, Row, Row | None, str]
"""Line, row, the row with behaviours or ``None``, and then the reason."""


def try_row(numbered: tuple[int, Row], *, format: str, request: Request) -> Outcome:
    """:func:`bi.augmentation.formats.inject_row` on one row with its line; a refusal is an outcome, not an error."""
    line, row = numbered
    try:
        return line, row, inject_row(row, format, request), ""
    except ValueError as error:
        return line, row, None, str(error)


def injected_rows(
    source: Path, outcomes: Iterable[Outcome], tally: Counter[str], *, keep_unread: bool
) -> Iterator[Row]:
    """The rows of ``outcomes``, one at a time; ``tally`` adds up rows, behaviours and unread rows.

    A row that was refused is said with its line and the reason. With ``keep_unread`` it is handed on as it is;
    without, the rest is still looked through, so that all such rows are listed, and then ``ValueError`` is raised.
    """
    for line, row, changed, reason in outcomes:
        if changed is None:
            say(f"unread: {RecordError(source, line, reason)}")
            tally["unread"] += 1
            yield row
            continue
        tally["rows"] += 1
        tally.update({f"n_{name}": changed[f"n_{name}"] for name in BEHAVIORS})
        yield changed
    if tally["unread"] and not keep_unread:
        raise ValueError(f"{tally['unread']} rows of {source} cannot be read (listed above), and nothing was written; "
                         "mend them, or copy them unchanged with --keep-unread")
