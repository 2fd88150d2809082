"""Rows of the arms: the same problems, row by row, with chains of thought that differ as the arm says.

Every problem is a function of (seed, split, index), so arms share them exactly, and every chain of thought has
streams of its own: switching a behaviour changes nothing else. Splits are disjoint by
:meth:`bi.tasks.problem.Problem.key`. What each arm is stands in :mod:`bi.augmentation.arm`.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import count as count_up
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from bi.augmentation.arm import ARM_TABLE, Arm, CountTokens, count_words, drawn_arm, get_arm
from bi.augmentation.behaviors import counts, inject
from bi.augmentation.trace import Trace, draw_phrases
from bi.augmentation.wording import Wording, get_wording
from bi.processes import Spread
from bi.recipes import BehaviorRates, TaskRecipe
from bi.streams import stream
from bi.tasks.generators import get_task, split_options
from bi.tasks.keys import KeySet
from bi.tasks.problem import Problem, in_corpus_half

SPLITS = ("sft", "rl", "dev_id", "dev_ood", "test_id", "test_ood")
_HELD_OUT = ("test_id", "test_ood", "dev_id", "dev_ood")

T = TypeVar("T")
Row: TypeAlias = dict[str, Any]
Told: TypeAlias = tuple[list[Row], list[Row]]
"""Rows of one problem: those of the arm, and those of the arm whose tokens it matches (none for most arms)."""

ARM_RATES = {name: arm for name, arm in ARM_TABLE.items() if arm == Arm(name, arm.meaning, arm.behaviors)}
"""Arms that differ from vanilla in rates alone: what injecting into vanilla rows can make."""


def arm_rates(arm: str, rates: BehaviorRates) -> BehaviorRates:
    """The rates that ``arm`` uses out of the full ``rates``; raises ``ValueError`` that lists the known arms."""
    return get_arm(arm).rates(rates)


def split_ops(task: TaskRecipe, split: str) -> tuple[int, int]:
    """Range of operations in ``split``; raises ``ValueError`` that lists the known splits."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    if split in ("sft", "rl"):
        return task.train_ops
    return task.id_ops if split.endswith("_id") else task.ood_ops


def task_config(task: TaskRecipe, size: tuple[int, int], split: str | None = None) -> Any:
    """The generator's config for ``size`` (operations in iGSM, depth in DyVal) with the options of ``split``.

    ``ValueError`` for an unknown task or option, or a wording that the task or its options do not fit.
    """
    kind = get_task(task.task)
    for name, _ in task.options:
        if name.rpartition(".")[2] not in kind.options:
            raise ValueError(f"unknown option {name!r} of task {task.task!r}; it has {', '.join(sorted(kind.options))}")
    get_wording(task.wording)
    base = task.wording.partition("+")[0]  # a wording with added behaviours is one of its base
    if base not in kind.wordings:
        raise ValueError(f"task {task.task!r} is not written in the wording {task.wording!r}; "
                         f"choose one of {', '.join(kind.wordings)}")
    config = kind.configure(size, split_options(task.options, split).items())
    if config.compact != base.endswith("compact"):
        raise ValueError(
            f"wording {task.wording!r} needs problems with compact={base.endswith('compact')}; "
            "set the option 'compact'"
        )
    return config


def problem_stream(task: TaskRecipe, split: str, seed: int, exclude: Iterable[str] = ()) -> Iterator[Problem]:
    """Endless distinct problems of ``split``: no key twice, none whose key is in ``exclude``.

    With ``task.apart`` all keys lie in the half that the corpora of the base models leave out. Held-out splits are the
    same for every seed, so that seeds differ in training alone.
    """
    return (problem for _, problem in told_stream(task, split, seed, exclude, _itself))


def told_stream(
    task: TaskRecipe,
    split: str,
    seed: int,
    exclude: Iterable[str],
    tell: Callable[[Problem], T],
    spread: Spread = map,
) -> Iterator[tuple[str, T]]:
    """The keys of :func:`problem_stream`, and what ``tell`` makes of each problem.

    Several processes (:func:`bi.processes.workers`) draw and tell ahead; which of their problems is new is decided
    here, in the order in which one process would have drawn them, so their number changes nothing.
    """
    config, held_out = task_config(task, split_ops(task, split), split), split in _HELD_OUT
    if not held_out and getattr(config, "drop_zero", 0):  # answers to train on keep their distribution
        config = dataclasses.replace(config, drop_zero=0.0)
    alone = spread is map  # then nothing is told before it is known to be new
    draw = partial(_draw, names=("held-out" if held_out else seed, task.task, split), config=config,
                   generate=get_task(task.task).generate, apart=task.apart, tell=None if alone else tell)
    seen = KeySet(exclude)  # the only thing that grows with the number of problems
    misses = 0
    for key, made in spread(draw, count_up()):
        if key in seen or (task.apart and in_corpus_half(key)):
            misses += 1
            if misses == 2000:
                break
            continue
        misses = 0
        seen.add(key)
        yield key, tell(made) if alone else made
    raise ValueError(
        f"split {split!r}: beside {len(seen)} distinct problems no new one came in 2000 draws; ask for fewer rows, "
        "or for more operations (the splits drawn before it are kept apart from it)"
    )


def _draw(
    index: int,
    *,
    names: tuple[int | str, ...],
    config: Any,
    generate: Callable[[Any, random.Random], Problem],
    apart: bool,
    tell: Callable[[Problem], Any] | None,
) -> tuple[str, Any]:
    problem = generate(config, stream(*names, index))
    key = problem.key()
    if tell is None:
        return key, problem
    return key, None if apart and in_corpus_half(key) else tell(problem)


def _itself(problem: Problem) -> Problem:
    return problem


def split_problems(task: TaskRecipe, split: str, seed: int) -> Iterator[Problem]:
    """Endless distinct problems of ``split``, disjoint by canonical key from all the splits that come before it.

    The order of precedence is test, dev, RL, SFT: held-out problems are drawn first and never depend on the seed. Of
    the problems themselves nothing is kept, of the earlier ones and those given out their keys (:class:`KeySet`).
    """
    return (problem for _, problem in split_told(task, split, seed, _itself))


def split_told(
    task: TaskRecipe, split: str, seed: int, tell: Callable[[Problem], T], spread: Spread = map
) -> Iterator[tuple[str, T]]:
    """The keys of :func:`split_problems`, and what ``tell`` makes of each problem (see :func:`told_stream`)."""
    taken = KeySet()
    for earlier in _before(split):
        for key, _ in islice(told_stream(task, earlier, seed, taken, Problem.key, spread), _size(task, earlier)):
            taken.add(key)
    yield from told_stream(task, split, seed, taken, tell, spread)


def build_problems(task: TaskRecipe, split: str, count: int, seed: int) -> list[Problem]:
    """The first ``count`` of :func:`split_problems`."""
    return list(islice(split_problems(task, split, seed), count))


def further_problems(task: TaskRecipe, split: str, seed: int, count: int) -> Iterator[Problem]:
    """What comes in :func:`split_problems` behind the first ``count``, for arms that need more problems than others."""
    return islice(split_problems(task, split, seed), count, None)


def _before(split: str) -> Iterable[str]:
    order = (*_HELD_OUT, "rl", "sft")
    if split not in order:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    return order[: order.index(split)]


def _size(task: TaskRecipe, split: str) -> int:
    return task.rl_prompts if split == "rl" else task.test_problems


def build_rows(
    problems: Iterable[Problem],
    arm: str,
    task: TaskRecipe,
    rates: BehaviorRates,
    seed: int,
    *,
    more: Iterable[Problem] | None = None,
    count_tokens: CountTokens = count_words,
) -> list[Row]:
    """SFT rows of ``arm``, problem by problem, with the behaviours that each row really contains.

    Columns: id, problem_id, task, arm, wording, prompt, completion, answer, n_ops, n_reflection, n_analysis, n_subgoal.
    A token-matched arm goes on with problems out of ``more`` (:func:`further_problems`) until its completions hold as
    many tokens, by ``count_tokens``, as the arm that it is matched to holds on ``problems``: to the nearest row.
    """
    return list(iterate_rows(problems, arm, task, rates, seed, more=more, count_tokens=count_tokens))


def iterate_rows(
    problems: Iterable[Problem],
    arm: str,
    task: TaskRecipe,
    rates: BehaviorRates,
    seed: int,
    *,
    more: Iterable[Problem] | None = None,
    count_tokens: CountTokens = count_words,
) -> Iterator[Row]:
    """Like :func:`build_rows`, one row at a time, in memory that does not grow with their number."""
    tell = partial(tell_problem, arm=arm, task=task, rates=rates, seed=seed)
    rest = None if more is None else map(tell, more)
    return told_rows(map(tell, problems), arm, more=rest, count_tokens=count_tokens)


def tell_problem(problem: Problem, arm: str, task: TaskRecipe, rates: BehaviorRates, seed: int) -> Told:
    """The rows that ``arm`` has for one problem, and those that it is matched to; ``ValueError`` if it is not drawn."""
    own = drawn_arm(arm)
    matched = [get_arm(own.tokens_of)] if own.tokens_of else []
    return (list(_rows_of(problem, own, task, rates, seed)),
            [row for other in matched for row in _rows_of(problem, other, task, rates, seed)])


def told_rows(
    told: Iterable[Told], arm: str, *, more: Iterable[Told] | None = None, count_tokens: CountTokens = count_words
) -> Iterator[Row]:
    """The rows of :func:`iterate_rows` out of problems that :func:`tell_problem` has told."""
    chosen = drawn_arm(arm)
    if chosen.tokens_of and more is None:
        raise ValueError(f"arm {arm!r} needs further problems of the same split; give more=further_problems(...)")
    missing = 0
    for rows, matched in told:
        yield from rows
        if chosen.tokens_of:
            missing += sum(count_tokens(row["completion"]) for row in matched)
            missing -= sum(count_tokens(row["completion"]) for row in rows)
    for rows, _ in more if more is not None and missing > 0 else ():
        for row in rows:
            tokens = count_tokens(row["completion"])
            if 2 * missing <= tokens:  # without this row the totals are nearer to each other
                return
            missing -= tokens
            yield row
    if missing > 0:
        raise ValueError(f"arm {arm!r}: the further problems ran out {missing} tokens before {chosen.tokens_of!r}")


def _rows_of(
    problem: Problem, arm: Arm, task: TaskRecipe, rates: BehaviorRates, seed: int
) -> Iterator[Row]:
    """The rows that ``arm`` has for one problem."""
    wording, used = get_wording(task.wording), _rates_of(arm, rates)
    for copy, (told, plain) in enumerate(arm.variants(problem, seed)):
        completion, realised = injected_completion(plain, told, wording, used, seed)
        row = prompt_row(told, task)
        yield {
            "id": f"{arm.name}-{row['problem_id']}" + (f"-{copy}" if arm.copies > 1 else ""),
            "problem_id": row["problem_id"],
            "task": task.task,
            "arm": arm.name,
            "wording": task.wording,
            "prompt": row["prompt"],
            "completion": completion,
            "answer": row["answer"],
            "n_ops": row["n_ops"],
            **realised,
        }


@lru_cache(maxsize=64)
def _rates_of(arm: Arm, rates: BehaviorRates) -> BehaviorRates:
    return arm.rates(rates)


def injected_completion(
    plain: Trace, problem: Problem, wording: Wording, rates: BehaviorRates, seed: int
) -> tuple[str, dict[str, int]]:
    """The text of ``plain`` with behaviours at ``rates``, and the counts ``n_<behaviour>`` that it really holds.

    The draws depend on (seed, problem) alone, so arms and ``bi inject`` give the same text for the same problem.
    """
    key = problem.key()
    none = not (rates.reflection or any(rates.analysis) or rates.subgoal)
    injected = plain if none else inject(plain, problem, rates, stream(seed, "behaviors", key))
    trace = draw_phrases(injected, wording.phrases, stream(seed, "phrases", key))
    return wording.completion(trace, problem), {f"n_{name}": number for name, number in counts(trace).items()}


def prompt_row(problem: Problem, task: TaskRecipe) -> Row:
    """A row without a chain of thought, for RL and evaluation: id, problem_id, task, wording, prompt, answer, n_ops."""
    key = problem.key()
    return {
        "id": key,
        "problem_id": key,
        "task": task.task,
        "wording": task.wording,
        "prompt": get_wording(task.wording).prompt(problem),
        "answer": str(problem.answer),
        "n_ops": problem.n_ops,
    }
