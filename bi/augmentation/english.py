"""The English wording: sentences for models that read English, in the public iGSM form for the question.

Questions follow the public format (``The number of each OWNER's ITEM equals RHS.`` and ``How many ITEM does each OWNER
have?``), so that data made elsewhere can be read. The chain of thought is worded in our own phrases: six of each kind,
one index a step. Quantities get short names (a, b, ..., aa, ab, ...) in the order in which they are first mentioned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from bi.augmentation.phrases import (
    ANALYSIS,
    COMPUTATION,
    INTRODUCTION,
    PHRASES,
    RECALL,
    REFLECTION,
    REMINDER,
)
from bi.augmentation.reading import Line, Reading
from bi.augmentation.template import Form, Template
from bi.augmentation.trace import Step, first_unsolved
from bi.augmentation.wording import Wording
from bi.tasks.expression import Expr, Num, Op, Ref, parse, subgoals, substitute
from bi.tasks.problem import Problem, Quantity, build_problem
from bi.tasks.structure import category_totals, instance
from bi.tasks.vocabulary import WORLDS, World

OPENING, CLOSING = "Let us solve this step by step.", "So the answer is {answer}."

_NAME = Form(re.compile(r"[^\n]+"), "the number of each ")
FORMS = {
    "symbol": Form(re.compile(r"[a-zA-Z]{1,2}")),
    "quantity": _NAME,
    "missing": _NAME,
    "fact": _NAME,
    "chain": Form(re.compile(r"[a-zA-Z]{1,2} = [^\n]+")),
    "value": Form(re.compile(r"-?\d{1,12}")),
}
"""What stands in the fields of the phrases."""
_COMPLETION = re.compile(
    r"<think>\n(?P<body>.*)\n</think>\n<answer>\n[^\n]*\\boxed\{(?P<answer>-?\d{1,12})\}\.?\n</answer>\Z", re.S
)
_BOX = re.compile(r"\\boxed\{\s*(-?\d{1,12})\s*\}")
_PREMISE = re.compile(r"The number of each (.+?) equals (.+)\Z")
_QUESTION = re.compile(r"How many (.+) does each (.+) have\?\Z")
_MODULUS = re.compile(r"All numbers are counted modulo (\d+)\Z")


def symbol_at(index: int) -> str:
    """Short name of the quantity mentioned as number ``index``: a..z, A..Z, then aa, ab, ..."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return letters[index] if index < 52 else letters[index // 52 - 1] + letters[index % 52]


def tight(text: str) -> str:
    """Arithmetic as it is printed: no space inside parentheses."""
    return text.replace("( ", "(").replace(" )", ")")


def loose(text: str) -> list[str]:
    """Tokens of printed arithmetic: the inverse of :func:`tight`, split at spaces."""
    return text.replace("(", "( ").replace(")", " )").split()


class EnglishWording(Wording):
    """English wording of iGSM problems in the given worlds (default: the project's own vocabulary)."""

    name = "english"
    phrases = PHRASES

    def __init__(self, worlds: Sequence[World] = WORLDS) -> None:
        self._worlds = tuple(worlds)
        self._world_of = {name: world for world in worlds for name in world.place}

    # --- the question ------------------------------------------------------------------------------------------------

    def prompt(self, problem: Problem) -> str:
        """Premises, one a line, and the question; abstract quantities are not stated, their names imply them."""
        lines = [
            f"The number of each {name} equals {_right_side(problem.by_name[name].formula)}."
            for name in problem.premises
        ]
        if problem.modulus is not None:
            lines.insert(0, f"All numbers are counted modulo {problem.modulus}.")
        owner, item = problem.target.rsplit("'s ", 1)
        return "\n".join((*lines, f"How many {item} does each {owner} have?"))

    def read_problem(self, prompt: str) -> Problem:
        """Inverse of :meth:`prompt`; raises ``ValueError`` that quotes the sentence that cannot be read."""
        *statements, question = [line.strip() for line in prompt.strip().split("\n")]
        asked = _QUESTION.match(question)
        if not asked:
            raise ValueError(f"the last line is not 'How many ITEM does each OWNER have?': {question[:80]!r}")
        modulus = None
        if statements and (said := _MODULUS.match(statements[0].rstrip("."))):
            modulus = int(said[1])
            statements = statements[1:]
        formulas: dict[str, Expr] = {}
        for statement in statements:
            match = _PREMISE.match(statement.removesuffix("."))
            formula = _read_right_side(match[2]) if match else None
            if match is None or formula is None or match[1] in formulas:
                raise ValueError(f"cannot read the premise {statement[:120]!r}")
            formulas[match[1]] = formula
        premises = list(formulas)
        target = instance(asked[2], asked[1])
        formulas |= {name: total for name, total in self._totals(premises).items() if name not in formulas}
        return build_problem("igsm", formulas, premises, target, modulus)

    def _totals(self, premises: Sequence[str]) -> dict[str, Expr]:
        """Category totals that the stated instance quantities imply."""
        pairs = [self._owner_and_item(name) for name in premises]
        names = {name for pair in pairs for name in pair}
        worlds = {self._world_of[name].name: self._world_of[name] for name in names if name in self._world_of}
        if len(worlds) != 1 or not all(name in self._world_of for name in names):
            unknown = sorted(name for name in names if name not in self._world_of)
            raise ValueError(f"names of no single world of the vocabulary: {(unknown or sorted(worlds))[:3]}")
        world = next(iter(worlds.values()))
        depths = sorted({world.place[name][0] for name in names})
        layers = [
            sorted((n for n in names if world.place[n][0] == depth), key=world.place.__getitem__) for depth in depths
        ]
        edges = {owner: sorted((i for o, i in pairs if o == owner), key=world.place.__getitem__) for owner, _ in pairs}
        categories = [world.place[layer[0]][1] for layer in layers]
        totals = category_totals(edges, categories, layers, len(layers))
        if world.layer_names:  # in the authors' data a total bears the name of the layer
            totals |= category_totals(edges, [world.layer_names[depth] for depth in depths], layers, len(layers))
        return totals

    def _owner_and_item(self, name: str) -> tuple[str, str]:
        """The two names in ``OWNER's ITEM``; an owner may hold ``'s`` itself, then the vocabulary decides."""
        parts = name.split("'s ")
        splits = [("'s ".join(parts[:cut]), "'s ".join(parts[cut:])) for cut in range(1, len(parts))]
        known = [split for split in splits if split[0] in self._world_of and split[1] in self._world_of]
        if not splits:
            raise ValueError(f"{name!r} is not of the form OWNER's ITEM")
        return (known or splits)[-1]

    # --- the chain of thought ----------------------------------------------------------------------------------------

    def line(self, step: Step, problem: Problem, values: Mapping[str, int], symbols: dict[str, str]) -> str:
        """One bullet: analysis, introduction or reminder, and a computation, a reflection or a recall."""
        name, kind, analysis, subgoal, phrase = step
        quantity, named = problem.by_name[name], f"the number of each {name}"
        known = symbols.get(name)
        symbol = symbols[name] = known or symbol_at(len(symbols))
        if kind == "recall":
            return _RECALL[phrase].format(symbol, named, "", values[name])
        text = _BULLETS[kind, known is not None, analysis][phrase]
        fact = f"{named} equals {_right_side(quantity.formula)}" if analysis else ""
        if kind == "reflect":
            missing = f"the number of each {first_unsolved(quantity, values)}"
            return text.format(symbol, named, fact, missing)
        chain = " = ".join([symbol, *_chain(quantity, subgoal, problem.modulus, values, symbols)])
        return text.format(symbol, named, fact, chain)

    def wrap(self, lines: list[str], problem: Problem) -> str:
        """The chain of thought between think tags and the boxed answer between answer tags."""
        thought = "\n".join((OPENING, *lines, CLOSING.format(answer=problem.answer)))
        return f"<think>\n{thought}\n</think>\n<answer>\nThe final answer is \\boxed{{{problem.answer}}}.\n</answer>"

    def read(self, completion: str) -> Reading:
        """Bullets of the chain of thought; the answer is the number in the last box."""
        boxes = _BOX.findall(completion[-100_000:])
        whole = _COMPLETION.match(completion) if len(completion) < 1_000_000 else None
        proper = whole is not None and completion.count("\\boxed") == 1
        body = completion.split("</think>", 1)[0]
        symbols: dict[str, str] = {}
        bullets = [text for text in body.split("\n") if text.startswith("- ")]
        lines = tuple(_read_bullet(text, symbols) for text in bullets)
        return Reading(lines, int(boxes[-1]) if boxes else None, proper)


def _right_side(formula: Expr) -> str:
    """``K``, ``X``, ``K times X`` or ``K more than X``; X is a quantity, a sum or a difference."""
    if isinstance(formula, Num):
        return str(formula.value)
    if isinstance(formula, Op) and isinstance(formula.args[0], Num):
        word = {"*": "times", "+": "more than"}[formula.symbol]
        return f"{formula.args[0].value} {word} {_operand(formula.args[1])}"
    return _operand(formula)


def _operand(formula: Expr) -> str:
    if isinstance(formula, Ref):
        return f"each {formula.name}"
    assert isinstance(formula, Op)
    names = [f"each {arg.name}" if isinstance(arg, Ref) else _operand(arg) for arg in formula.args]
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return f"the {'difference' if formula.symbol == '-' else 'sum'} of {listed}"


def _read_right_side(text: str) -> Expr | None:
    match = re.match(r"(\d{1,12}) (times|more than) (.+)\Z", text)
    if match:
        core = _read_operand(match[3])
        return Op("*" if match[2] == "times" else "+", (Num(int(match[1])), core)) if core else None
    return Num(int(text)) if re.fullmatch(r"\d{1,12}", text) else _read_operand(text)


def _read_operand(text: str) -> Expr | None:
    listed = re.match(r"the (sum|difference) of (.+)\Z", text)
    if listed:
        names = re.split(r"(?:, | and )(?=each )", listed[2])
        if len(names) < 2 or not all(name.startswith("each ") for name in names):
            return None
        if listed[1] == "difference" and len(names) != 2:
            return None
        return Op("+" if listed[1] == "sum" else "-", tuple(Ref(name[5:]) for name in names))
    return Ref(text[5:]) if text.startswith("each ") and " and each " not in text else None


def _chain(
    quantity: Quantity, subgoal: bool, modulus: int | None, values: Mapping[str, int], symbols: Mapping[str, str]
) -> list[str]:
    """Formula in short names, in values, subgoals if any, and the result; without repeats for constants and copies."""
    formula = quantity.formula
    chain: list[str] = []
    if isinstance(formula, Op):
        chain += _written(formula, symbols, values)
        if subgoal:
            known = substitute(formula, lambda name: Num(values[name]))
            chain += [_written(expr, {}, {})[1] for expr in subgoals(known, modulus)]
    elif isinstance(formula, Ref):
        chain.append(symbols[formula.name])
    chain.append(str(quantity.value))
    return chain


def _written(expr: Op, symbols: Mapping[str, str], values: Mapping[str, object]) -> tuple[str, str]:
    """``expr`` with ``symbols`` and with ``values`` in place of names, as :func:`render` writes it but tight.

    For formulas of this wording: sums, differences and products, no product directly in a product. Most of the time of
    a chain of thought goes into this, so both are written at once, and not through callables.
    """
    named, known = [], []
    for arg in expr.args:
        if isinstance(arg, Ref):
            name = arg.name
            named.append(symbols[name])
            known.append(str(values[name]))
        elif isinstance(arg, Num):
            text = str(arg.value)
            named.append(text)
            known.append(text)
        else:
            texts = _written(arg, symbols, values)
            named.append(texts[0] if arg.symbol == "*" else f"({texts[0]})")
            known.append(texts[1] if arg.symbol == "*" else f"({texts[1]})")
    between = f" {expr.symbol} "
    return between.join(named), between.join(known)


def _numbered(text: str) -> str:
    """The bullet of ``text`` with its fields numbered, in which ``format`` finds them twice as fast as by name."""
    for name, place in {"symbol": 0, "quantity": 1, "fact": 2, "chain": 3, "missing": 3, "value": 3}.items():
        text = text.replace(f"{{{name}}}", f"{{{place}}}")
    return f"- {text}"


_SENTENCES = {
    (kind, known, analysis): tuple([
        " ".join((*restated, first, last))
        for *restated, first, last in zip(*[ANALYSIS] * analysis, REMINDER if known else INTRODUCTION, ends,
                                          strict=True)
    ])
    for known in (False, True)
    for kind, ends in (("solve", COMPUTATION), ("reflect", REFLECTION))
    for analysis in (False, True)
}
"""Texts by kind, by whether the quantity has a short name already, and by whether its definition is restated."""
_BULLETS = {case: tuple(map(_numbered, texts)) for case, texts in _SENTENCES.items()}
_RECALL = tuple(map(_numbered, RECALL))


def _forms() -> Iterator[tuple[int, str, bool, Template]]:
    for phrase in range(PHRASES):
        yield phrase, "recall", False, Template(RECALL[phrase], FORMS)
        for (kind, _, analysis), texts in _SENTENCES.items():
            yield phrase, kind, analysis, Template(texts[phrase], FORMS)


def _read_bullet(text: str, symbols: dict[str, str]) -> Line:
    """Match one bullet; ``symbols`` maps short names to quantities and grows."""
    claim = text[2:]
    for phrase, kind, analysis, template in _FORMS_BY_OPENING.get(claim.split(" ", 1)[0], ()):
        found = template.match(claim)
        if found is not None:
            return _line_from(found, kind, analysis, phrase, claim, symbols)
    return Line("unreadable", claim)


def _line_from(
    found: dict[str, str], kind: str, analysis: bool, phrase: int, claim: str, symbols: dict[str, str]
) -> Line:
    name, symbol = found["quantity"], found["symbol"]
    if symbols.setdefault(symbol, name) != name:
        return Line("unreadable", claim, name)
    restated = None
    if analysis:
        head, _, side = found["fact"].partition(" equals ")
        restated = _read_right_side(side)
        if head != name or restated is None:
            return Line("unreadable", claim, name)
    if kind == "recall":
        return Line("recall", claim, name, result=int(found["value"]), phrase=phrase)
    if kind == "reflect":
        return Line("reflect", claim, name, restated, missing=found["missing"], phrase=phrase)
    chain = _read_chain(found["chain"], symbol, symbols)
    if chain is None:
        return Line("unreadable", claim, name, restated)
    return Line("solve", claim, name, restated, chain[0], chain[1], phrase=phrase)


def _read_chain(text: str, symbol: str, symbols: Mapping[str, str]) -> tuple[tuple[Expr, ...], int] | None:
    def leaf(token: str) -> Num | Ref | None:
        if re.fullmatch(r"-?\d{1,12}", token):
            return Num(int(token))
        return Ref(symbols[token]) if token in symbols and token != symbol else None

    head, *parts = text.split(" = ")
    written = [parse(loose(part), leaf) for part in parts]
    if head != symbol or not written or not all(written) or not isinstance(written[-1], Num):
        return None
    # a plain number stands for itself, so its chain is the value alone: "g = 4" writes the expression 4 as well
    body = tuple(expr for expr in written[:-1] if expr)
    if not body or isinstance(body[-1], Ref):
        body = (*body, written[-1])
    return body, written[-1].value


_FORMS_BY_OPENING: dict[str, list[tuple[int, str, bool, Template]]] = {}
for _form in _forms():
    _FORMS_BY_OPENING.setdefault(_form[3].opening, []).append(_form)
