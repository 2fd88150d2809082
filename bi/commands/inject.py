"""``bi inject``: put behaviours into the chains of thought of rows that exist already. No torch here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from bi.augmentation import behaviors as behaviours
from bi.augmentation.trace import draw_phrases
from bi.augmentation.wording import WORDINGS, get_wording
from bi.commands import options
from bi.commands.door import progress, say
from bi.commands.outputs import check_file_out
from bi.commands.recipe_options import replace_fields, takes
from bi.recipes import BehaviorRates, get_profile
from bi.records import PLAIN_ROW, RecordError, iterate_rows, write_rows
from bi.streams import stream

Row = dict[str, Any]


@takes(BehaviorRates)
def inject(
    source: Annotated[Path, typer.Argument(metavar="DATA", help="JSON Lines with prompt and completion.")],
    out: options.OutFile,
    behaviors: Annotated[str, typer.Option(
        metavar="LIST", help=f"Which behaviours, separated by commas: {', '.join(behaviours.BEHAVIORS)}.")]
    = ",".join(behaviours.BEHAVIORS),
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
    rates = choose_rates(get_profile(profile).rates, behaviors, rate, changes)
    if wording is not None:
        get_wording(wording)
    check_file_out(out, overwrite=overwrite)
    unread: list[RecordError] = []
    with progress(None, "rows") as moved:
        rows = injected_rows(source, wording, rates, seed, unread, keep_unread=keep_unread)
        count = write_rows(out, rows, seen=moved)
    summary = f"{count - len(unread)} rows injected"
    say(f"{out}: {summary}" + (f", {len(unread)} copied unread" if unread else ""))


def choose_rates(released: BehaviorRates, behaviors: str, rate: float | None, changes: dict[str, Any]) -> BehaviorRates:
    """The rates that the options ask for: the profile's, then ``rate`` for all, then those given one by one.

    Behaviours that are not chosen get the rate 0; raises ``ValueError`` for an unknown one, or for a rate given to a
    behaviour that is not chosen.
    """
    chosen = [name.strip() for name in behaviors.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in behaviours.BEHAVIORS]
    if unknown or not chosen:
        raise ValueError(f"--behaviors is {behaviors!r}; choose from {', '.join(behaviours.BEHAVIORS)}")
    off = [name for name in behaviours.BEHAVIORS if name not in chosen]
    for name in off:
        if name in changes:
            raise ValueError(f"--{name} is given, but --behaviors leaves {name} out; add it there, or drop --{name}")
    if rate is not None:
        everywhere = {"reflection": rate, "analysis": f"0,{rate}", "subgoal": rate}
        released = replace_fields(released, everywhere)
    rates = replace_fields(released, changes)
    return dataclasses.replace(rates, **{name: (0.0,) if name == "analysis" else 0.0 for name in off})


def injected_rows(
    source: Path, wording: str | None, rates: BehaviorRates, seed: int, unread: list[RecordError], *, keep_unread: bool
) -> Iterator[Row]:
    """The rows of ``source`` with behaviours, one at a time.

    A row that cannot be read is added to ``unread`` and said; without ``keep_unread`` the rest is still looked through,
    so that all such rows are listed, and then ``ValueError`` is raised.
    """
    for line, row in iterate_rows(source, PLAIN_ROW):
        try:
            yield inject_row(row, row.get("wording", wording), rates, seed, line)
        except ValueError as error:
            unread.append(RecordError(source, line, str(error)))
            say(f"unread: {unread[-1]}")
            yield row
    if unread and not keep_unread:
        raise ValueError(f"{len(unread)} of the rows of {source} cannot be read (listed above) and nothing was written; "
                         "mend them, or copy them unchanged with --keep-unread")
