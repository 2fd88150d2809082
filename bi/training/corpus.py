"""What the book-size base models are trained on: worked problems in the plain style, easy ones first.

Documents are pairs (prompt, completion) of the compact wording. Each kind drills one thing that a solution needs:

- ``arithmetic``: one operation on stated numbers, sometimes two;
- ``lookup``: constants, copies and single operations, two at most;
- ``solve``: problems of several operations, most of them with redundant premises;
- ``dense``: the same, but every quantity of the problem is computed, which practises lines rather than planning.

A small stated share of the ``solve`` documents holds one behaviour each, as the corpora of pretrained models do. Every
document but the arithmetic drills is a problem whose canonical key lies in the corpus's half of all keys
(:func:`bi.tasks.problem.in_corpus_half`); the splits of the book draw from the other half.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from bi.augmentation.arms import arm_rates
from bi.augmentation.behaviors import BEHAVIORS, inject
from bi.augmentation.trace import Step, Trace, plain_trace, topological_order
from bi.augmentation.wording import get_wording
from bi.recipes import BehaviorRates
from bi.streams import stream
from bi.tasks.expression import Num, Op
from bi.tasks.igsm import IGSMConfig, generate
from bi.tasks.operators import ARITHMETIC
from bi.tasks.problem import Problem, build_problem, in_corpus_half

KINDS = ("arithmetic", "lookup", "solve", "dense")


@dataclass(frozen=True)
class CorpusRecipe:
    """Mixture and sizes. ``shares`` are document shares of :data:`KINDS` at the start and at the end of training.

    ``max_ops`` rises linearly from the first to the second number over the first ``ramp`` of training. ``wide`` is the
    share of arithmetic drills with two operations in one step. ``wide_results`` is the share of results of two or more
    operations in one step that carry loss: the fewer, the harder such arithmetic stays. ``behaviors`` is the share of
    ``solve`` documents with an injected behaviour, one of the three in each, at ``rates``. ``operands``, ``reuse`` and
    ``redundant`` are options of :class:`bi.tasks.igsm.IGSMConfig`.
    """

    names: int = 24
    modulus: int = 23
    shares: tuple[tuple[float, ...], tuple[float, ...]] = ((0.35, 0.35, 0.1, 0.2), (0.1, 0.05, 0.65, 0.2))
    max_ops: tuple[int, int] = (2, 8)
    ramp: float = 0.5
    wide: float = 0.05
    wide_results: float = 0.1
    operands: tuple[float, ...] = (1, 2, 5, 4)
    reuse: float = 0.7
    redundant: tuple[int, int] = (0, 4)
    behaviors: float = 0.06
    rates: BehaviorRates = BehaviorRates(reflection=0.3)


@dataclass(frozen=True, slots=True)
class Document:
    """One training text; ``behavior`` is the injected one, if any.

    The loss counts on ``completion`` only, and not on its words at the places ``silent``.
    """

    kind: str
    prompt: str
    completion: str
    key: str
    behavior: str | None = None
    silent: tuple[int, ...] = ()


def document(recipe: CorpusRecipe, progress: float, rng: random.Random) -> Document:
    """A document for the point ``progress`` in 0..1 of training."""
    start, end = recipe.shares
    shares = [a + (b - a) * progress for a, b in zip(start, end, strict=True)]
    kind = rng.choices(KINDS, shares)[0]
    if kind == "arithmetic":
        problem = _arithmetic_problem(recipe, rng)
    else:
        problem = _problem(_config(recipe, kind, progress), rng)
    trace, behavior = _dense_trace(problem, rng) if kind == "dense" else plain_trace(problem, rng), None
    if kind == "solve" and rng.random() < recipe.behaviors:
        behavior = rng.choice(BEHAVIORS)
        trace = inject(trace, problem, arm_rates(behavior, recipe.rates), rng)
    wording = get_wording("compact")
    completion = wording.completion(trace, problem)
    silent = tuple(place for place in wide_results(completion) if rng.random() >= recipe.wide_results)
    return Document(kind, wording.prompt(problem), completion, problem.key(), behavior, silent)


def wide_results(completion: str) -> Iterator[int]:
    """Places of the words that state the result of two or more operations carried out in one step.

    With subgoals every step is one operation, so those lines have none.
    """
    words = completion.split()
    operations = 0
    for place, word in enumerate(words):
        if word in ARITHMETIC:
            operations += 1
        elif word in (".", ";", "="):
            if word == "=" and operations > 1 and words[place + 1].startswith("V"):
                yield place + 2
            operations = 0


def corpus_stream(seed: int, step: int) -> random.Random:
    """The generator of all documents of one training step."""
    return stream(seed, "corpus", step)


def _problem(config: IGSMConfig, rng: random.Random) -> Problem:
    """A problem of the corpus's half."""
    while True:
        problem = generate(config, rng)
        if in_corpus_half(problem.key()):
            return problem


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
        reuse=recipe.reuse,
        redundant=recipe.redundant,
    )


def _arithmetic_problem(recipe: CorpusRecipe, rng: random.Random) -> Problem:
    """One stated formula on numbers: one operation, sometimes two."""
    wide = rng.random() < recipe.wide
    numbers = [Num(rng.randrange(recipe.modulus)) for _ in range(3 if wide else 2)]
    formula = Op(rng.choice("+-*"), tuple(numbers[:2]))
    if wide:
        formula = _around(formula, numbers[2], rng) if rng.random() < 0.5 else Op("+", tuple(numbers))
    name = str(rng.randrange(recipe.names))
    return build_problem("igsm", {name: formula}, [name], name, recipe.modulus)


def _around(inner: Op, number: Num, rng: random.Random) -> Op:
    """``number`` plus or times ``inner``; a product of a product is written as one product of three."""
    symbol = rng.choice("+*")
    operands = inner.args if symbol == inner.symbol == "*" else (inner,)
    return Op(symbol, (number, *operands))


def _dense_trace(problem: Problem, rng: random.Random) -> Trace:
    """Every quantity once, redundant ones too, but for those that depend on the target, which comes last."""
    behind = {problem.target}
    for quantity in problem.quantities:
        if behind.intersection(quantity.parents):
            behind.add(quantity.name)
    names = [quantity.name for quantity in problem.quantities if quantity.name not in behind]
    return Trace(tuple(Step(name) for name in (*topological_order(problem, rng, names), problem.target)))
