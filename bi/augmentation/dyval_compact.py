"""DyVal arithmetic in the compact wording: one token per name and value, modulo a prime.

It is :mod:`bi.augmentation.compact` with three words more: ``D12 N4 / N5 .``, ``D12 N4 ^2 .`` and ``D12 sqrt N4 .``
Division multiplies by the inverse, and the root is the smaller of two (:mod:`bi.tasks.operators`), so every value is
one of the prime's residues and has a token.
"""

from __future__ import annotations

from bi.augmentation.compact import CompactWording
from bi.augmentation.compact import vocabulary as compact_vocabulary
from bi.augmentation.dyval_rounding import settle_chains
from bi.augmentation.reading import Reading
from bi.tasks.problem import Problem

WORDS = ("/", "^2", "sqrt")


def vocabulary(names: int, modulus: int) -> list[str]:
    """Every word that problems with ``names`` names and values modulo ``modulus`` can hold; iGSM's words come first."""
    return [*compact_vocabulary(names, modulus), *WORDS]


class DyvalCompactWording(CompactWording):
    """Compact wording of DyVal arithmetic (``DyvalConfig(compact=True, modulus=23)``)."""

    name = "dyval_compact"
    task = "dyval_arithmetic"

    def compared(self, completion: str, problem: Problem) -> tuple[Reading, Problem]:
        """The completion, whatever it divides by, and the problem."""
        return settle_chains(self.read(completion), problem), problem
