"""What base models are trained on: worked problems in the plain style, easy ones first.

Documents are pairs (prompt, completion) of one wording. Each kind drills one thing that a solution needs:

- ``arithmetic``: one operation on stated numbers, sometimes two (compact wordings alone);
- ``lookup``: constants, copies and single operations, two at most (in DyVal trees of two levels);
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
from typing import Any, ClassVar

from bi.augmentation.arms import arm_rates
from bi.augmentation.behaviors import BEHAVIORS, inject
from bi.augmentation.compact import vocabulary
from bi.augmentation.dyval_compact import vocabulary as dyval_vocabulary
from bi.augmentation.trace import Step, Trace, plain_trace, topological_order
from bi.augmentation.wording import get_wording
from bi.recipes import BehaviorRates
from bi.streams import stream
from bi.tasks.dyval import DyvalConfig
from bi.tasks.expression import Num, Op
from bi.tasks.generators import get_task
from bi.tasks.igsm import IGSMConfig
from bi.tasks.operators import ARITHMETIC, UNARY
from bi.tasks.problem import Problem, build_problem, in_corpus_half

KINDS = ("arithmetic", "lookup", "solve", "dense")
_SIGNS = (*ARITHMETIC, "^2")


@dataclass(frozen=True)
class Mixture:
    """What the corpora of all tasks have in common. ``shares`` are document shares of :data:`KINDS` at the start and at
    the end of training.

    The size of the problems rises linearly over the first ``ramp`` of training. ``behaviors`` is the share of ``solve``
    documents with an injected behaviour, one of the three in each, at ``rates``. ``redundant`` bounds the premises that
    an answer does not need.
    """

    shares: tuple[tuple[float, ...], tuple[float, ...]] = ((0.35, 0.35, 0.1, 0.2), (0.1, 0.05, 0.65, 0.2))
    ramp: float = 0.5
    redundant: tuple[int, int] = (0, 4)
    behaviors: float = 0.06
    rates: BehaviorRates = BehaviorRates(reflection=0.3)

    task: ClassVar[str]
    wording: ClassVar[str]
    size: ClassVar[str]
    """What the size of a problem counts: ``operations`` or ``levels``."""
    sizes: ClassVar[tuple[int, ...]]
    """Sizes on which a base is measured."""
    longest: ClassVar[int] = 200
    """Most tokens of an answer where a base is measured."""

    def config(self, kind: str, progress: float, rng: random.Random) -> Any:
        """The generator's config for a document of ``kind`` at ``progress``."""
        raise NotImplementedError

    def test_config(self, size: int) -> Any:
        """The generator's config for problems of exactly ``size`` on which a base is measured."""
        raise NotImplementedError

    def growth(self) -> str:
        """How the sizes grow, for the card."""
        raise NotImplementedError

    def drill(self, rng: random.Random) -> Problem:
        """A problem of the kind ``arithmetic``."""
        raise NotImplementedError

    def silent(self, completion: str, rng: random.Random) -> tuple[int, ...]:
        """Places of the words of ``completion`` that carry no loss."""
        return ()

    def ramped(self, low: int, high: int, progress: float) -> int:
        """The largest size at ``progress``: from ``low`` to ``high`` along the ramp."""
        return round(low + (high - low) * min(1.0, progress / self.ramp))


@dataclass(frozen=True)
class CompactMixture(Mixture):
    """Corpora of the compact wordings, one token a word; ``names`` and ``modulus`` bound the vocabulary.

    ``wide`` is the share of arithmetic drills with two operations in one step. ``wide_results`` is the share of results
    of two or more operations in one step that carry loss: the fewer, the harder such arithmetic stays.
    """

    names: int = 24
    modulus: int = 23
    wide: float = 0.05
    wide_results: float = 0.1

    single: ClassVar[tuple[str, ...]] = ("+", "-", "*")
    """Operations of the arithmetic drills."""

    def words(self) -> list[str]:
        """The vocabulary."""
        return vocabulary(self.names, self.modulus)

    def drill(self, rng: random.Random) -> Problem:
        """One stated formula on numbers: one operation, sometimes two; one that has no value is drawn again."""
        wide = rng.random() < self.wide
        while True:
            numbers = [Num(rng.randrange(self.modulus)) for _ in range(3 if wide else 2)]
            formula = _wide(numbers, rng) if wide else _single(rng.choice(self.single), numbers)
            name = str(rng.randrange(self.names))
            try:
                return build_problem(self.task, {name: formula}, [name], name, self.modulus)
            except ValueError:  # a division by zero, or the root of a number that has none
                continue

    def silent(self, completion: str, rng: random.Random) -> tuple[int, ...]:
        """Results of wide steps, all but the share that carries loss."""
        return tuple(place for place in wide_results(completion) if rng.random() >= self.wide_results)


@dataclass(frozen=True)
class CorpusRecipe(CompactMixture):
    """iGSM. ``max_ops``: most operations of a problem at the start, and from the end of the ramp on; ``operands`` and
    ``reuse`` are options of :class:`bi.tasks.igsm.IGSMConfig`."""

    max_ops: tuple[int, int] = (2, 8)
    operands: tuple[float, ...] = (1, 2, 5, 4)
    reuse: float = 0.7

    task = "igsm"
    wording = "compact"
    size = "operations"
    sizes = tuple(range(1, 9))

    def config(self, kind: str, progress: float, rng: random.Random) -> IGSMConfig:
        """Look-up documents have two operations at most."""
        return self._config(1, 2 if kind == "lookup" else self.ramped(*self.max_ops, progress))

    def test_config(self, size: int) -> IGSMConfig:
        """``size`` operations."""
        return self._config(size, size)

    def growth(self) -> str:
        """In operations."""
        return _operations(self.max_ops, self.ramp)

    def _config(self, least: int, most: int) -> IGSMConfig:
        return IGSMConfig(
            least,
            most,
            modulus=self.modulus,
            compact=True,
            names=self.names,
            abstract_depth=1,
            operands=self.operands,
            reuse=self.reuse,
            redundant=self.redundant,
        )


@dataclass(frozen=True)
class EnglishCorpusRecipe(Mixture):
    """iGSM in English, on whole numbers, with the released settings of its generator and no arithmetic drills.

    ``max_ops``: as in :class:`CorpusRecipe`. ``pieces``: size of the vocabulary of its tokenizer, which is trained on
    ``sample`` documents of the corpus (:func:`bi.training.pretrain.make_tokenizer`).
    """

    shares: tuple[tuple[float, ...], tuple[float, ...]] = ((0.0, 0.5, 0.3, 0.2), (0.0, 0.05, 0.75, 0.2))
    redundant: tuple[int, int] = (0, 5)
    max_ops: tuple[int, int] = (2, 12)
    pieces: int = 1024
    sample: int = 2000

    task = "igsm"
    wording = "english"
    size = "operations"
    sizes = (1, 2, 4, 8, 12, 15)
    longest = 1024

    def config(self, kind: str, progress: float, rng: random.Random) -> IGSMConfig:
        """Look-up documents have two operations at most."""
        return IGSMConfig(1, 2 if kind == "lookup" else self.ramped(*self.max_ops, progress), redundant=self.redundant)

    def test_config(self, size: int) -> IGSMConfig:
        """``size`` operations."""
        return IGSMConfig(size, size, redundant=self.redundant)

    def growth(self) -> str:
        """In operations."""
        return _operations(self.max_ops, self.ramp)

    def texts(self, seed: int) -> Iterator[str]:
        """What the tokenizer is trained on: prompts and completions as at the end of training."""
        for place in range(self.sample):
            text = document(self, 1.0, stream(seed, "tokenizer", place))
            yield from (text.prompt, text.completion)


@dataclass(frozen=True)
class DyvalCorpusRecipe(CompactMixture):
    """DyVal arithmetic. ``trees``: children of an operation and most levels, one pair drawn for each document, equally
    often; ``extra_links``: further operands of sums and products, in trees of three levels and more."""

    trees: tuple[tuple[int, int], ...] = ((2, 4), (3, 3))
    extra_links: tuple[int, int] = (0, 2)

    task = "dyval_arithmetic"
    wording = "dyval_compact"
    size = "levels"
    sizes = (2, 3, 4)
    single = ARITHMETIC

    def words(self) -> list[str]:
        """iGSM's words and three operators more."""
        return dyval_vocabulary(self.names, self.modulus)

    def config(self, kind: str, progress: float, rng: random.Random) -> DyvalConfig:
        """Look-up documents have two levels, solved ones three or more as soon as there are any."""
        children, most = rng.choice(self.trees)
        most = 2 if kind == "lookup" else self.ramped(2, most, progress)
        return self._config(rng.randint(min(3, most) if kind == "solve" else 2, most), children)

    def test_config(self, size: int) -> DyvalConfig:
        """``size`` levels, of the trees that may be so deep with the fewest children."""
        return self._config(size, min(children for children, most in self.trees if most >= size))

    def growth(self) -> str:
        """In levels."""
        kinds = " or ".join(f"{children} children and up to {most} levels" for children, most in self.trees)
        return f"Trees have {kinds}, two levels at the start and all from {self.ramp:.0%} of training on."

    def _config(self, levels: int, children: int) -> DyvalConfig:
        return DyvalConfig(
            levels,
            levels,
            modulus=self.modulus,
            compact=True,
            names=self.names,
            children=children,
            extra_links=self.extra_links if levels > 2 and children == 2 else (0, 0),
            redundant=self.redundant,
        )


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


def document(recipe: Mixture, progress: float, rng: random.Random) -> Document:
    """A document for the point ``progress`` in 0..1 of training."""
    start, end = recipe.shares
    shares = [a + (b - a) * progress for a, b in zip(start, end, strict=True)]
    kind = rng.choices(KINDS, shares)[0]
    if kind == "arithmetic":
        problem = recipe.drill(rng)
    else:
        problem = _problem(recipe, recipe.config(kind, progress, rng), rng)
    trace, behavior = _dense_trace(problem, rng) if kind == "dense" else plain_trace(problem, rng), None
    if kind == "solve" and rng.random() < recipe.behaviors:
        behavior = rng.choice(BEHAVIORS)
        trace = inject(trace, problem, arm_rates(behavior, recipe.rates), rng)
    wording = get_wording(recipe.wording)
    completion = wording.completion(trace, problem)
    return Document(kind, wording.prompt(problem), completion, problem.key(), behavior, recipe.silent(completion, rng))


def wide_results(completion: str) -> Iterator[int]:
    """Places of the words that state the result of two or more operations carried out in one step.

    With subgoals every step is one operation, so those lines have none.
    """
    words = completion.split()
    operations = 0
    for place, word in enumerate(words):
        if word in _SIGNS:
            operations += 1
        elif word in (".", ";", "="):
            if word == "=" and operations > 1 and words[place + 1].startswith("V"):
                yield place + 2
            operations = 0


def corpus_stream(seed: int, step: int) -> random.Random:
    """The generator of all documents of one training step."""
    return stream(seed, "corpus", step)


def _problem(recipe: Mixture, config: Any, rng: random.Random) -> Problem:
    """A problem of the corpus's half."""
    generate = get_task(recipe.task).generate
    while True:
        problem = generate(config, rng)
        if in_corpus_half(problem.key()):
            return problem


def _operations(most: tuple[int, int], ramp: float) -> str:
    return (f"Problems have up to {most[0]} operations at the start and up to {most[1]} from {ramp:.0%} of training "
            "on.")


def _single(symbol: str, numbers: list[Num]) -> Op:
    return Op(symbol, tuple(numbers[:1] if symbol in UNARY else numbers))


def _wide(numbers: list[Num], rng: random.Random) -> Op:
    formula = Op(rng.choice("+-*"), tuple(numbers[:2]))
    return _around(formula, numbers[2], rng) if rng.random() < 0.5 else Op("+", tuple(numbers))


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
