"""Arms: the same problems, row by row, with chains of thought that differ in the injected behaviours only.

Every problem is a function of (seed, split, index), so arms share them exactly, and every chain of thought has
streams of its own: switching a behaviour changes nothing else. Splits are disjoint by
:meth:`bi.tasks.problem.Problem.key`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bi.augmentation.behaviors import BEHAVIORS, counts, inject
from bi.augmentation.trace import Trace, draw_phrases, plain_trace
from bi.augmentation.wording import Wording, get_wording
from bi.recipes import BehaviorRates, TaskRecipe
from bi.streams import stream
from bi.tasks.generators import get_task, split_options
from bi.tasks.problem import Problem, in_corpus_half

SPLITS = ("sft", "rl", "dev_id", "dev_ood", "test_id", "test_ood")
_HELD_OUT = ("test_id", "test_ood", "dev_id", "dev_ood")

NO_BEHAVIOR = BehaviorRates(reflection=0.0, analysis=(0.0,), subgoal=0.0)


def _without(*behaviors: str) -> Callable[[BehaviorRates], BehaviorRates]:
    off = {name: getattr(NO_BEHAVIOR, name) for name in behaviors}
    return lambda rates: dataclasses.replace(rates, **off)


ARM_RATES: dict[str, Callable[[BehaviorRates], BehaviorRates]] = {
    "vanilla": _without(*BEHAVIORS),
    "bridge": _without(),
    "reflection": _without("analysis", "subgoal"),
    "analysis": _without("reflection", "subgoal"),
    "subgoal": _without("reflection", "analysis"),
    "exploitation": _without("reflection"),
}


def arm_rates(arm: str, rates: BehaviorRates) -> BehaviorRates:
    """The rates that ``arm`` uses out of the full ``rates``; raises ``ValueError`` that lists the known arms."""
    if arm not in ARM_RATES:
        raise ValueError(f"unknown arm {arm!r}; choose one of {', '.join(ARM_RATES)}")
    return ARM_RATES[arm](rates)


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


def problem_stream(task: TaskRecipe, split: str, seed: int, exclude: frozenset[str] = frozenset()) -> Iterator[Problem]:
    """Endless distinct problems of ``split``: no key twice, none whose key is in ``exclude``.

    With ``task.apart`` all keys lie in the half that the corpora of the base models leave out. Held-out splits are the
    same for every seed, so that seeds differ in training alone.
    """
    config, generate = task_config(task, split_ops(task, split), split), get_task(task.task).generate
    seen = set(exclude)
    held_out = split in _HELD_OUT
    misses = index = 0
    while misses < 2000:
        problem = generate(config, stream("held-out" if held_out else seed, task.task, split, index))
        index += 1
        key = problem.key()
        if key in seen or (task.apart and in_corpus_half(key)):
            misses += 1
            continue
        misses = 0
        seen.add(key)
        yield problem
    raise ValueError(
        f"split {split!r}: beside {len(seen)} distinct problems no new one came in 2000 draws; ask for fewer rows, "
        "or for more operations (the splits drawn before it are kept apart from it)"
    )


def build_problems(task: TaskRecipe, split: str, count: int, seed: int) -> list[Problem]:
    """``count`` problems of ``split``, disjoint by canonical key from all the splits that come before it.

    The order of precedence is test, dev, RL, SFT: held-out problems are drawn first and never depend on the seed.
    """
    taken: set[str] = set()
    for earlier in _before(split):
        wanted = _size(task, earlier)
        taken.update(problem.key() for problem in _take(problem_stream(task, earlier, seed, frozenset(taken)), wanted))
    return _take(problem_stream(task, split, seed, frozenset(taken)), count)


def _before(split: str) -> Iterable[str]:
    order = (*_HELD_OUT, "rl", "sft")
    if split not in order:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    return order[: order.index(split)]


def _size(task: TaskRecipe, split: str) -> int:
    return task.rl_prompts if split == "rl" else task.test_problems


def _take(problems: Iterator[Problem], count: int) -> list[Problem]:
    return [next(problems) for _ in range(count)]


def build_rows(
    problems: Iterable[Problem], arm: str, task: TaskRecipe, rates: BehaviorRates, seed: int
) -> list[dict[str, Any]]:
    """SFT rows of ``arm``: one a problem, with the behaviours that each row really contains.

    Columns: id, problem_id, task, arm, wording, prompt, completion, answer, n_ops, n_reflection, n_analysis, n_subgoal.
    """
    return list(iterate_rows(problems, arm, task, rates, seed))


def iterate_rows(
    problems: Iterable[Problem], arm: str, task: TaskRecipe, rates: BehaviorRates, seed: int
) -> Iterator[dict[str, Any]]:
    """Like :func:`build_rows`, one row at a time."""
    wording = get_wording(task.wording)
    used = arm_rates(arm, rates)
    for problem in problems:
        key = problem.key()
        plain = plain_trace(problem, stream(seed, "order", key))
        completion, realised = injected_completion(plain, problem, wording, used, seed)
        row = prompt_row(problem, task)
        yield {
            "id": f"{arm}-{key}",
            "problem_id": key,
            "task": task.task,
            "arm": arm,
            "wording": task.wording,
            "prompt": row["prompt"],
            "completion": completion,
            "answer": row["answer"],
            "n_ops": row["n_ops"],
            **realised,
        }


def injected_completion(
    plain: Trace, problem: Problem, wording: Wording, rates: BehaviorRates, seed: int
) -> tuple[str, dict[str, int]]:
    """The text of ``plain`` with behaviours at ``rates``, and the counts ``n_<behaviour>`` that it really holds.

    The draws depend on (seed, problem) alone, so arms and ``bi inject`` give the same text for the same problem.
    """
    key = problem.key()
    injected = inject(plain, problem, rates, stream(seed, "behaviors", key))
    trace = draw_phrases(injected, wording.phrases, stream(seed, "phrases", key))
    return wording.completion(trace, problem), {f"n_{name}": number for name, number in counts(trace).items()}


def prompt_row(problem: Problem, task: TaskRecipe) -> dict[str, Any]:
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
