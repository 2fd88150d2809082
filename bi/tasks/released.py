"""A configuration that imitates the distribution of the authors' released iGSM generator, flaws included.

For comparisons with data made by it; nothing else in the project uses it. Its numbers were fitted to the published
facts of the released data (paper, section on tasks): how many premises a question has, how many of them the answer does
not need, how often it asks for a category total, how operation counts are spread, and how many answers are 0.
"""

from __future__ import annotations

from bi.tasks.igsm import IGSMConfig


def released_config(min_ops: int = 15, max_ops: int = 20) -> IGSMConfig:
    """Our generator with the flaws of the released one switched on.

    Counts are the minimum of two draws and are drawn again when the answer is refused (``skewed``, ``redraw_ops``);
    factors of 0 occur (``live=False``); most questions hold no redundant premise and some hold many. Flaws that concern
    single texts, such as names that cannot be split and formulas drawn while printing, have no counterpart here.
    """
    return IGSMConfig(
        min_ops,
        max_ops,
        layers=(3, 4),
        operands=(0, 2, 4, 2, 1),
        reuse=0.95,
        redundant=(1, 8),
        redundant_share=0.38,
        live=False,
        skewed=True,
        redraw_ops=True,
        abstract_target=0.64,
        abstract_operands=0.2,
        factor=0.64,
        addend=0.3,
        leaf=0.3,
    )
