"""What each arm is: which behaviours its chains of thought hold, and how many rows a problem gets.

The names of the arms have their one home in :data:`ARM_TABLE`. Rows are made in :mod:`bi.augmentation.arms`.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bi.augmentation.behaviors import BEHAVIORS
from bi.augmentation.trace import Step, Trace, plain_trace, topological_order
from bi.recipes import BehaviorRates
from bi.streams import stream
from bi.tasks.problem import Problem, rename

Order = TypeVar("Order", bound=Hashable)
CountTokens = Callable[[str], int]
NO_BEHAVIOR = BehaviorRates(reflection=0.0, analysis=(0.0,), subgoal=0.0)


@dataclass(frozen=True)
class Arm:
    """One way of telling the same problems.

    ``behaviors``: those that it injects, at the rates of the recipe. ``premise_orders`` and ``step_orders``: rows a
    problem, each with another order of the question's premises, or of the answer's steps. ``tokens_of``: the arm whose
    completion tokens it matches with further problems. ``same_as``: the arm that it is by another name.
    ``reflection``: its rate of reflection, in place of the recipe's. ``rollouts_of``: the arm whose fine-tuned
    checkpoint's rollouts its rows come from (``bi select``), not from the generator.
    """

    name: str
    meaning: str
    behaviors: tuple[str, ...] = ()
    premise_orders: int = 1
    step_orders: int = 1
    tokens_of: str = ""
    same_as: str = ""
    reflection: float | None = None
    rollouts_of: str = ""

    @property
    def from_rollouts(self) -> bool:
        """Whether its rows come from a checkpoint's rollouts."""
        return bool(self.rollouts_of)

    @property
    def copies(self) -> int:
        """Rows a problem."""
        return self.premise_orders * self.step_orders

    def rates(self, rates: BehaviorRates) -> BehaviorRates:
        """The rates that this arm uses out of the full ``rates``: 0 for behaviours that it does not inject."""
        used = {name: getattr(rates, name) for name in self.behaviors}
        used |= {} if self.reflection is None else {"reflection": self.reflection}
        return dataclasses.replace(NO_BEHAVIOR, redundant=rates.redundant, strict=rates.strict, **used)

    def variants(self, problem: Problem, seed: int) -> Iterator[tuple[Problem, Trace]]:
        """``copies`` pairs of a question and a plain chain of thought; the first one is that of every other arm.

        Orders differ from each other as far as the problem has that many; a problem with fewer repeats them in turn,
        so that every problem has the same number of rows. Nothing but the order changes.
        """
        key = problem.key()
        plain = plain_trace(problem, stream(seed, "order", key))
        if self.copies == 1:  # the streams of further orders are not even made
            yield problem, plain
            return
        first = tuple(step.name for step in plain.steps)
        for premises in premise_orders(problem, self.premise_orders, stream(seed, "premises", key)):
            told = problem if premises == problem.premises else with_premises(problem, premises)
            for order in step_orders(problem, first, self.step_orders, stream(seed, "orders", key)):
                yield told, Trace(tuple(map(Step, order)))


ARM_TABLE: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("vanilla", "plain chains of thought, in a random topological order"),
        Arm("bridge", "the paper's three behaviours injected", BEHAVIORS),
        Arm("pp", "vanilla, four rows a problem: four orders of the question's premises", premise_orders=4),
        Arm("rc", "vanilla, four rows a problem: four topological orders of the answer's steps", step_orders=4),
        Arm("subgoal", "subgoal computation alone", ("subgoal",)),
        Arm("reflection", "reflection alone", ("reflection",)),
        Arm("analysis", "information analysis alone", ("analysis",)),
        Arm("exploration", "reflection, the exploring behaviour", ("reflection",), same_as="reflection"),
        Arm("exploitation", "the two exploiting behaviours, analysis and subgoals", ("analysis", "subgoal")),
        Arm("vanilla_tokens", "vanilla on more problems, as many completion tokens as bridge", tokens_of="bridge"),
        Arm("bridge_20", "bridge with the chance of a reflection at 0.2", BEHAVIORS, reflection=0.2),
        Arm("bridge_30", "bridge with the chance of a reflection at 0.3", BEHAVIORS, reflection=0.3),
        Arm("rejection", "right rollouts of a vanilla checkpoint on prompts that it solves sometimes",
            rollouts_of="vanilla"),
        Arm("rejection_bridge", "the same of a bridge checkpoint", rollouts_of="bridge"),
    )
}
DRAWN_ARMS = tuple(name for name, arm in ARM_TABLE.items() if not arm.from_rollouts)
"""Arms whose rows the generator makes."""
GRID_ARMS = tuple(name for name in DRAWN_ARMS if not ARM_TABLE[name].same_as and not ARM_TABLE[name].tokens_of
                  and ARM_TABLE[name].reflection is None)
"""Arms of the full grid: those that are drawn on the same problems at the recipe's rates, each once."""
PAPER_ARMS = ("vanilla", "pp", "rc", "bridge")
"""Arms of the paper's main table."""
TOKEN_ARMS = ("vanilla", "vanilla_tokens", "bridge")
"""Plain chains of thought on the same problems, on more problems with bridge's tokens, and bridge."""
PROBABILITY_ARMS = ("vanilla", "exploitation", "bridge", "bridge_20", "bridge_30")
"""Arms by rising chance of a reflection: none at all, then 0, 0.1 (the recipe's), 0.2 and 0.3 beside the other two."""
REJECTION_ARMS = ("vanilla", "bridge", "rejection", "rejection_bridge")
"""Arms made of rollouts, without and with the behaviours, beside those whose checkpoints made the rollouts."""


def get_arm(name: str) -> Arm:
    """The arm called ``name``; raises ``ValueError`` that lists the known ones."""
    if name not in ARM_TABLE:
        raise ValueError(f"unknown arm {name!r}; choose one of {', '.join(ARM_TABLE)}")
    return ARM_TABLE[name]


def drawn_arm(name: str) -> Arm:
    """The arm called ``name``, for which rows can be drawn; raises ``ValueError`` for any other."""
    arm = get_arm(name)
    if arm.from_rollouts:
        raise ValueError(f"arm {name!r} is made of a checkpoint's rollouts; make its rows with `bi select`, or choose "
                         f"one of {', '.join(DRAWN_ARMS)}")
    return arm


def premise_orders(problem: Problem, count: int, rng: random.Random) -> list[tuple[str, ...]]:
    """``count`` orders of the premises: the stated one, and random ones that differ as far as there are that many."""
    return _distinct(problem.premises, lambda: tuple(rng.sample(problem.premises, len(problem.premises))), count)


def step_orders(problem: Problem, first: tuple[str, ...], count: int, rng: random.Random) -> list[tuple[str, ...]]:
    """``count`` topological orders of the needed quantities: ``first``, and random ones that differ if possible."""
    return _distinct(first, lambda: tuple(topological_order(problem, rng)), count)


def _distinct(first: Order, draw: Callable[[], Order], count: int) -> list[Order]:
    orders = [first]
    for _ in range(20 * (count - 1)):
        drawn = draw()
        if drawn not in orders:
            orders.append(drawn)
        if len(orders) == count:
            break
    return [orders[index % len(orders)] for index in range(count)]


def with_premises(problem: Problem, premises: tuple[str, ...]) -> Problem:
    """The same problem with its ``premises`` stated in another order."""
    return rename(problem, {quantity.name: quantity.name for quantity in problem.quantities}, premises)


def count_words(text: str) -> int:
    """Words between white space: the tokens of the compact wording, and a stand-in where there is no tokenizer."""
    return len(text.split())


@dataclass
class Tally:
    """What the rows of an arm really hold, added up one row at a time.

    ``tokens`` are those of the completions, by ``count_tokens``, whose name for a reader is ``unit``.
    """

    count_tokens: CountTokens = count_words
    unit: str = "words"
    rows: int = 0
    problems: int = 0
    tokens: int = 0
    behaviors: Counter[str] = field(default_factory=Counter)
    _last: str = ""

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one row of :func:`bi.augmentation.arms.iterate_rows`."""
        self.rows += 1
        self.tokens += self.count_tokens(row["completion"])
        self.behaviors.update({name: row[f"n_{name}"] for name in BEHAVIORS})
        self.problems += row["problem_id"] != self._last  # the rows of one problem stand together
        self._last = row["problem_id"]

    def counted(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """``rows``, counted as they pass."""
        for row in rows:
            self.add(row)
            yield row

    def text(self) -> str:
        """One line for a reader."""
        held = ", ".join(f"{self.behaviors[name]} {name}" for name in BEHAVIORS)
        return f"{self.rows} rows of {self.problems} problems, {self.tokens} {self.unit} of completions; {held}"
