"""What the book-size base model is trained on: worked problems in the plain style, easy ones first.

Documents are pairs (prompt, completion) of the compact wording. No document holds a behaviour. Each kind of document
drills one thing that a solution needs:

- ``arithmetic``: one operation on stated numbers;
- ``lookup``: constants, copies and single operations, many premises, few operations;
- ``solve``: problems of several operations, most of them with redundant premises;
- ``dense``: the same, but every quantity of the problem is computed, which practises lines rather than planning.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from bi.augmentation.trace import Step, Trace, plain_trace, topological_order
from bi.augmentation.wording import get_wording
from bi.streams import stream
from bi.tasks.expression import Num, Op
from bi.tasks.igsm import IGSMConfig, generate
from bi.tasks.problem import Problem, build_problem

KINDS = ("arithmetic", "lookup", "solve", "dense")


@dataclass(frozen=True)
class CorpusRecipe:
    """Mixture and sizes. ``shares`` are document shares of :data:`KINDS` at the start and at the end of training.

    ``max_ops`` rises linearly from the first to the second number over the first ``ramp`` of training.
    """

    names: int = 24
    modulus: int = 23
    shares: tuple[tuple[float, ...], tuple[float, ...]] = ((0.35, 0.35, 0.1, 0.2), (0.1, 0.05, 0.65, 0.2))
    max_ops: tuple[int, int] = (2, 7)
    ramp: float = 0.6
    operands: tuple[float, ...] = (2, 4, 4, 2)
    redundant: tuple[int, int] = (0, 4)


@dataclass(frozen=True, slots=True)
class Document:
    """One training text; the loss counts on ``completion`` only."""

    kind: str
    prompt: str
    completion: str
    key: str


def document(recipe: CorpusRecipe, seed: int, index: int, progress: float) -> Document:
    """Document ``index`` of the corpus, at ``progress`` in 0..1 through training: a function of these alone."""
    rng = stream(seed, "corpus", index)
    start, end = recipe.shares
    shares = [a + (b - a) * progress for a, b in zip(start, end, strict=True)]
    kind = rng.choices(KINDS, shares)[0]
    if kind == "arithmetic":
        problem = _arithmetic_problem(recipe, rng)
    else:
        problem = generate(_config(recipe, kind, progress), rng)
    trace = _dense_trace(problem, rng) if kind == "dense" else plain_trace(problem, rng)
    wording = get_wording("compact")
    return Document(kind, wording.prompt(problem), wording.completion(trace, problem), problem.key())


def _config(recipe: CorpusRecipe, kind: str, progress: float) -> IGSMConfig:
    low, high = recipe.max_ops
    most = round(low + (high - low) * min(1.0, progress / recipe.ramp))
    if kind == "lookup":
        most = 2
    return IGSMConfig(
        1,
        most,
        modulus=recipe.modulus,
        compact=True,
        names=recipe.names,
        abstract_depth=1,
        operands=recipe.operands,
        redundant=(4, 10) if kind == "lookup" else recipe.redundant,
    )


def _arithmetic_problem(recipe: CorpusRecipe, rng: random.Random) -> Problem:
    """One stated formula on numbers: one operation, sometimes two or three."""
    numbers = [Num(rng.randrange(recipe.modulus)) for _ in range(rng.choices((2, 3), (0.8, 0.2))[0])]
    symbol = rng.choice("+-*")
    formula = Op(symbol, tuple(numbers[:2]))
    if len(numbers) == 3:
        formula = Op(rng.choice("+*"), (numbers[2], formula)) if rng.random() < 0.5 else Op("+", tuple(numbers))
    name = str(rng.randrange(recipe.names))
    return build_problem("igsm", {name: formula}, [name], name, recipe.modulus)


def _dense_trace(problem: Problem, rng: random.Random) -> Trace:
    """Every quantity once, redundant ones too, but for those that depend on the target, which comes last."""
    behind = {problem.target}
    for quantity in problem.quantities:
        if behind.intersection(quantity.parents):
            behind.add(quantity.name)
    names = [quantity.name for quantity in problem.quantities if quantity.name not in behind]
    return Trace(tuple(Step(name) for name in (*topological_order(problem, rng, names), problem.target)))
