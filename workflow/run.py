"""``make reproduce`` and ``make book``: from a profile's name to the HTML book.

``reproduce`` checks everything that could stop it later, says what it will do, lets Snakemake run the grid, publishes
the tables, and renders; ``book`` renders from the tables that are there. ``pdf`` prints the book, ``links`` checks
where its links lead. Nothing here imports torch.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from bi.notebook import NotebookError
from bi.progress import duration
from bi.provenance import gpu_names, usable_cores
from bi.recipes import PROFILES
from workflow.book import Book
from workflow.checks import check_all
from workflow.links import check_links, write_external
from workflow.locks import Busy, drive
from workflow.plan import describe, read_estimate, read_plan
from workflow.progress import Progress
from workflow.publish import TIMINGS, publish, publish_headline
from workflow.snake import Snake, WorkflowError
from workflow.stages import GRIDS, ROOT, make_grid

RUNS = ROOT / "runs"


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 a job failed, 2 bad input, 130 interrupted."""
    options = _parser().parse_args(argv)
    begin = time.monotonic()
    try:
        page = ACTIONS[options.command](options)
    except (WorkflowError, NotebookError) as error:
        return _fail(error, 1)
    except (ValueError, OSError, Busy) as error:
        return _fail(error, 2)
    except KeyboardInterrupt:
        return _fail("stopped; run the same command again to go on from here", 130)
    say(f"the book is {_short(page)} ({duration(time.monotonic() - begin)})")
    return 0


def reproduce(options: argparse.Namespace) -> Path:
    """Everything, from problems to the book; returns the book's first page."""
    grid = make_grid(options.profile, options.grid)
    made = Book(ROOT, options.profile, say, options.cores)
    if options.cluster is not None and not (options.cluster / "config.yaml").is_file():
        raise ValueError(f"--cluster {options.cluster} is no Snakemake profile: it has no config.yaml")
    check_all(grid, ROOT, RUNS, options.cores)
    made.check()
    snake = Snake(grid, RUNS, options.cores, len(gpu_names()), options.cluster)
    with drive(snake.folder) as driver:
        run_grid(snake, driver)
        for table in publish(grid, ROOT, RUNS, made.results):
            say(f"new table {_short(table)}")
        page = made.make()
        publish_headline(made.source / "figures", made.results)
        return page


def run_grid(snake: Snake, driver: str) -> None:
    """Plan, say the plan, and run what is not done yet."""
    todo = read_plan(snake.dry_run())
    grid, home = snake.grid, ROOT / "results" / snake.grid.home
    own = home / grid.results / TIMINGS
    estimate = read_estimate(*([home / TIMINGS] if grid.costs_as_home else []), own)
    every = Counter(stage for stage, _ in grid.jobs())
    if not todo:
        say(f"profile {grid.profile.name}: all {sum(every.values())} jobs are done and up to date")
        return
    say(f"profile {grid.profile.name} ({grid.profile.note})")
    for line in describe(todo, every, estimate, snake.cores):
        say(line)
    snake.work(driver, Progress(todo, estimate, snake.cores, say).hear)


def book(options: argparse.Namespace) -> Path:
    """The book from the tables that are there; returns its first page."""
    return _made(options).make()


def _made(options: argparse.Namespace) -> Book:
    """The book of a profile, once all that it shows is there."""
    make_grid(options.profile)
    made = Book(ROOT, options.profile, say)
    made.check_results()
    made.check()
    return made


def pdf(options: argparse.Namespace) -> Path:
    """The book as one PDF; returns it."""
    return _made(options).pdf()


def links(options: argparse.Namespace) -> Path:
    """Check the links of the book; returns its first page. Raises :class:`WorkflowError` that lists the broken ones."""
    page = book(options)
    report, listed = check_links(page.parent), page.parent.with_name("links-outside.txt")
    write_external(report, listed)
    say(f"{report.checked} links inside the book; {len(report.external)} addresses outside it, which nothing here "
        f"opens, stand in {_short(listed)}")
    if report.broken:
        raise WorkflowError("links that lead nowhere:\n" + "\n".join(report.broken))
    return page


ACTIONS = {"reproduce": reproduce, "book": book, "pdf": pdf, "links": links}


def say(line: str) -> None:
    """One line to the terminal, at once."""
    print(line, flush=True)


def _fail(error: object, code: int) -> int:
    print(f"error: {error}", file=sys.stderr, flush=True)
    return code


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workflow.run", description="Reproduce the results, or the book.")
    commands = parser.add_subparsers(dest="command", required=True)
    full = commands.add_parser("reproduce", help="run the whole grid, then chapters and book; resumes where it stopped")
    full.add_argument("--cores", type=_positive, default=usable_cores(), help="jobs at a time (default: all cores)")
    meanings = "; ".join(f"{name}: {plan.meaning}" for name, plan in GRIDS.items())
    full.add_argument("--grid", default="main", help=meanings)
    full.add_argument("--cluster", type=Path, help="folder of a Snakemake profile, such as workflow/profiles/slurm")
    render = commands.add_parser("book", help="chapters and book from the tables in results/, without training")
    printed = commands.add_parser("pdf", help="the book as one PDF, printed by a browser")
    checked = commands.add_parser("links", help="where the links of the book lead")
    for command in (full, render, printed, checked):
        command.add_argument("--profile", default="cpu", help=f"one of {', '.join(PROFILES)} (default: cpu)")
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
