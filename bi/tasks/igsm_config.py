"""What an iGSM generator is asked for: every option, its range, and the refusal of what cannot be drawn.

Why each option exists is told in the chapter on problems as graphs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TypeAlias

MAX_OPS = 30
Steps: TypeAlias = tuple[tuple[float, ...], float]
"""Cumulative weights without the last, and the last."""


@dataclass(frozen=True)
class IGSMConfig:
    """What to draw. Ranges are inclusive; ``ValueError`` names the field, the value and the remedy.

    ``min_ops``, ``max_ops``: operations of the needed part, drawn uniformly between them (``skewed``: the minimum of
    two draws, as in the released data). ``modulus``: reduce every value (iGSM's own is 23); ``None`` keeps integers
    with \\|value of the target\\| < ``answer_bound``. ``constants``: range of stated numbers; ``live`` excludes
    factors of 0, which make operations that do not influence the answer. ``operands``: weights of 0, 1, 2, ...
    quantities in one stated formula, so that its length bounds a sum.
    ``reuse``: probability that an operand is a quantity that the answer needs already; shared operands cost no
    operations of their own, so the same budget buys wider formulas and a denser graph.
    ``redundant``: how many premises the answer does not need. ``abstract_depth``: layers that a category total may
    reach down (1: plain sums; more: sums of products; 0: no category totals). ``compact``: name quantities by index out
    of ``names`` and state every definition, for the compact wording, in which a name cannot imply a structure.
    ``no_dead_operations``: draw again while a 0 anywhere (a total of nothing, a difference) makes an operation
    irrelevant; ``live`` alone leaves about one operation in seventy. ``drop_zero``: probability that a problem with the
    answer 0 is drawn again; splits to train on ignore it.

    The rest imitates the released data and is off by default (:mod:`bi.tasks.released`). ``redraw_ops``: a problem
    refused for its answer gives up its operation count too, which favours small ones. ``redundant_share``: probability
    that a question holds any redundant premise. ``abstract_target``: probability that the question asks for a category
    total (``None``: as it comes). ``abstract_operands``: probability that an operand is drawn from the totals.
    ``factor``, ``addend``: shares of `K times` and `K more than` among the formulas with an operand. ``leaf``:
    probability that a quantity is stated as a number once the budget of operations is spent.
    """

    min_ops: int
    max_ops: int
    modulus: int | None = None
    compact: bool = False
    names: int = 24
    layers: tuple[int, int] = (2, 4)
    entities: tuple[int, int] = (2, 4)
    constants: tuple[int, int] = (0, 9)
    operands: tuple[float, ...] = (2, 4, 4, 3, 1)
    reuse: float = 0.0
    redundant: tuple[int, int] = (1, 5)
    abstract_depth: int = 3
    answer_bound: int = 1000
    live: bool = True
    skewed: bool = False
    no_dead_operations: bool = False
    drop_zero: float = 0.0
    redraw_ops: bool = False
    redundant_share: float = 1.0
    abstract_target: float | None = None
    abstract_operands: float = 0.0
    factor: float = 0.3
    addend: float = 0.3
    leaf: float = 0.5

    def __post_init__(self) -> None:
        if not 1 <= self.min_ops <= self.max_ops:
            raise ValueError(f"min_ops={self.min_ops} and max_ops={self.max_ops}: give 1 <= min_ops <= max_ops")
        if self.max_ops > MAX_OPS:
            raise ValueError(f"max_ops={self.max_ops}: the generator reaches {MAX_OPS} operations; ask for fewer")
        if self.modulus is not None and self.modulus < 2:
            raise ValueError(f"modulus={self.modulus}: use 2 or more, or leave it out")
        if not 2 <= self.layers[0] <= self.layers[1] <= 4:
            raise ValueError(f"layers={self.layers}: give a range within 2..4")
        if not 2 <= self.entities[0] <= self.entities[1] <= 5:
            raise ValueError(f"entities={self.entities}: give a range within 2..5 (names of one category)")
        if not 0 <= self.constants[0] < self.constants[1]:
            raise ValueError(f"constants={self.constants}: give a range of numbers from 0 on, such as (0, 9)")
        if self.modulus is not None and self.constants[1] >= self.modulus:
            raise ValueError(f"constants={self.constants}: must lie below the modulus {self.modulus}")
        if not 3 <= len(self.operands) <= 7 or min(self.operands) < 0 or sum(self.operands[1:]) <= 0:
            raise ValueError(f"operands={self.operands}: give 3 to 7 weights >= 0, not all of them 0 behind the first")
        for name in ("reuse", "drop_zero", "redundant_share", "abstract_target", "abstract_operands", "factor", "leaf"):
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise ValueError(f"{name}={getattr(self, name)}: give a probability between 0 and 1")
        if not 0 <= self.addend <= 1 - self.factor:
            raise ValueError(f"addend={self.addend}: give a share of at most 1 - factor = {1 - self.factor:g}")
        if self.abstract_depth == 0 and (self.abstract_target or self.abstract_operands):
            raise ValueError("abstract_depth=0 leaves no category totals; drop abstract_target and abstract_operands")
        if self.answer_bound < 1:
            raise ValueError(f"answer_bound={self.answer_bound}: give 1 or more; 1000 is the paper's")
        if not 0 <= self.redundant[0] <= self.redundant[1]:
            raise ValueError(f"redundant={self.redundant}: give a range of counts such as (1, 5)")
        if not 0 <= self.abstract_depth <= 3:
            raise ValueError(f"abstract_depth={self.abstract_depth}: give 0 to 3")
        if self.compact and self.max_ops + self.redundant[1] > self.names:
            raise ValueError(
                f"names={self.names}: too few for max_ops={self.max_ops} with {self.redundant[1]} redundant premises; "
                f"give at least {self.max_ops + self.redundant[1]}, or fewer operations"
            )

    @cached_property
    def operand_steps(self) -> tuple[Steps, Steps]:
        """How many operands a formula gets, for :func:`bisect.bisect`; and the same where it must get one."""
        steps = tuple(accumulate(self.operands)), tuple(accumulate((0, *self.operands[1:])))
        return (steps[0][:-1], steps[0][-1]), (steps[1][:-1], steps[1][-1])
