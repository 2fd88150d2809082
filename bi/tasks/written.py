"""What people write in worked answers: numbers, computations, sentences, and the words around them.

Everything here reads text without knowing a problem, and looks at a bounded stretch of it, so odd lines cost no time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from bi.tasks.expression import Expr, Num, Op, evaluate, parse
from bi.tasks.operators import Value, whole

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d{1,40})(?:\.\d{1,20})?|\.\d{1,20}"
NUMBER = re.compile(rf"[$€£]?(?P<digits>{_NUMBER})(?P<percent>%?)")
"""A number as people write it: currency sign, thousands separators, decimals, percent sign."""

_QUOTIENT = r"\d{1,12}/\d{1,12}(?![\d/%]|\.\d)"
_MIXED = rf"\d{{1,12}} {_QUOTIENT}"
FRACTION = rf"(?<![\d/.,])(?:{_MIXED}|{_QUOTIENT})"
"""A mixed number, ``1 1/2``, or a fraction of whole numbers, ``1/3``; no date, and no part of a longer quotient."""
_FRACTION = re.compile(r"[$€£]?(?:(?P<whole>\d{1,12}) )?(?P<top>\d{1,12})/(?P<bottom>\d{1,12})")

_WORDS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
          "seventeen eighteen nineteen twenty").split()
NUMBER_WORDS: Mapping[str, tuple[Fraction, ...]] = {
    **{word: (Fraction(value),) for value, word in enumerate(_WORDS)},
    **{word: (Fraction(value),) for word, value in zip(
        "thirty forty fifty sixty seventy eighty ninety hundred thousand".split(),
        (30, 40, 50, 60, 70, 80, 90, 100, 1000), strict=True)},
    "once": (Fraction(1),), "half": (Fraction(2), Fraction(1, 2)), "twice": (Fraction(2),), "double": (Fraction(2),),
    "thrice": (Fraction(3),), "triple": (Fraction(3),), "third": (Fraction(3), Fraction(1, 3)), "pair": (Fraction(2),),
    "quarter": (Fraction(4), Fraction(1, 4)), "fourth": (Fraction(4), Fraction(1, 4)), "dozen": (Fraction(12),),
    "fifth": (Fraction(5), Fraction(1, 5)), "tenth": (Fraction(10), Fraction(1, 10)),
}
MOST_DECIMALS = 6
_LEVEL = {"+": 0, "-": 0, "*": 1, "/": 1}
_NEAR = 300  # characters around a number that are looked at, so that odd lines cost no time


# --- numbers and expressions ---------------------------------------------------------------------


def read_number(text: str) -> int | Fraction | None:
    """The value of a written number, ``None`` if ``text`` is none; ``20%`` is a fifth, ``1 1/2`` is three halves.

    The fraction of a mixed number is a proper one: ``1 3/2`` is no number.
    """
    bare = text.strip().removeprefix("-").strip()
    match = NUMBER.fullmatch(bare)
    value = Fraction(match["digits"].replace(",", "")) / (100 if match["percent"] else 1) if match else _fraction(bare)
    if value is None:
        return None
    return whole(-value if text.strip().startswith("-") else value)


def _fraction(text: str) -> Fraction | None:
    match = _FRACTION.fullmatch(text)
    if match is None or not int(match["bottom"]):
        return None
    value = Fraction(int(match["top"]), int(match["bottom"]))
    if match["whole"] is None:
        return value
    return int(match["whole"]) + value if 0 < value < 1 else None


def decimals_of(text: str) -> int:
    """How many decimals a written number shows."""
    return len(text.partition(".")[2].rstrip("%"))


def write_number(value: Value) -> str:
    """A whole number or a decimal, without separators."""
    if isinstance(value, int) or Fraction(value).denominator == 1:
        return str(int(value))
    sign, scaled = "-" * (value < 0), round(abs(Fraction(value)) * 10**MOST_DECIMALS)
    head, tail = divmod(scaled, 10**MOST_DECIMALS)
    return f"{sign}{head}.{tail:0{MOST_DECIMALS}}".rstrip("0").rstrip(".")


def write_expression(expr: Expr, spaced: bool) -> str:
    """``5+3*2``, or ``5 + 3 * 2`` if ``spaced``, with no more parentheses than reading from left to right needs."""
    if not isinstance(expr, Op):
        return write_number(expr.value) if isinstance(expr, Num) else expr.name
    parts = []
    for index, arg in enumerate(expr.args):
        text = write_expression(arg, spaced)
        inner = _LEVEL[arg.symbol] if isinstance(arg, Op) else 2
        tight = inner < _LEVEL[expr.symbol] or (index and inner == _LEVEL[expr.symbol])
        parts.append(f"({text})" if tight else text)
    return (f" {expr.symbol} " if spaced else expr.symbol).join(parts)


_TOKEN = re.compile(
    rf"\s*(?:(?P<number>[$€£]?(?:{_MIXED}|(?:{_NUMBER})%?))|(?P<name>[A-Za-z_]\w*|\{{[^{{}}]+\}})|(?P<sign>[-+*/()×÷]))")


def tokens_of(text: str) -> list[str] | None:
    """Numbers, names and signs of a written expression, ``None`` if it holds anything else.

    ``x`` between numbers, ``×`` and ``÷`` are the usual signs; a minus before a first number belongs to it.
    """
    found: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            return None
        token = match["number"] or match["name"] or {"×": "*", "÷": "/"}.get(match["sign"], match["sign"])
        if token in ("x", "X") and found and found[-1] not in "(+-*/":
            token = "*"
        if match["number"] and found[-1:] == ["-"] and (len(found) == 1 or found[-2] in "(+-*/"):
            found[-1:] = []
            token = f"-{token}"
        found.append(token)
        at = match.end()
    return found


def check_value(expr: Expr, values: Mapping[str, Value], stated: str) -> str | None:
    """Why the number written as ``stated`` is not the value of ``expr``; ``None`` if it is.

    A stated number with decimals may be rounded to them; a whole number has to be exact.
    """
    value = read_number(stated)
    if value is None:
        return f"{stated!r} is no number"
    try:
        exact = evaluate(expr, values, None)
    except ValueError as error:
        return str(error)
    digits = decimals_of(stated)
    if exact == value or (digits and abs(exact - value) * 2 * 10**digits <= 1):
        return None
    return f"it is {write_number(exact)}, not {stated}"


def parse_expression(
    text: str, leaf: Callable[[str], Expr | None], is_number: Callable[[str], bool] | None = None
) -> Expr | None:
    """The expression that ``text`` writes, or ``None``; ``leaf`` reads numbers and names, from left to right.

    A quotient of two whole numbers such as ``1/3`` goes to ``leaf`` as one number where ``is_number`` says so.
    """
    tokens = tokens_of(text) if len(text) <= _NEAR else None
    if tokens and is_number is not None:
        tokens = _join_fractions(tokens, is_number)
    return parse(tokens, leaf) if tokens else None  # type: ignore[arg-type]


def _join_fractions(tokens: list[str], is_number: Callable[[str], bool]) -> list[str]:
    """``tokens`` with some quotients as one; none behind a division, for ``6/1/3`` is read from left to right."""
    joined: list[str] = []
    for token in tokens:
        top, sign = joined[-2:] if len(joined) > 1 else ("", "")
        whole_numbers = sign == "/" and top.isdecimal() and token.isdecimal()
        if whole_numbers and joined[-3:-2] != ["/"] and is_number(f"{top}/{token}"):
            joined[-2:] = [f"{top}/{token}"]
        else:
            joined.append(token)
    return joined


@dataclass(frozen=True, slots=True)
class Shown:
    """What stands in front of a result: where its computation starts, its currency, where the equals sign ends."""

    at: int | None
    start: int
    money: str
    spaced: tuple[bool, bool]
    free: bool


def shown_before(text: str, end: int) -> Shown:
    """How ``text[:end]`` leads up to a result at ``end``: ``... 5 + 3 = $``."""
    begin = max(0, end - _NEAR, text.rfind("\n", 0, end) + 1)
    before = text[begin:end]
    bare = before.rstrip()
    money = bare[-1:] if bare[-1:] in ("$", "€", "£") else ""
    head = bare.removesuffix(money).rstrip() if money else bare
    if not head.endswith("="):
        kept = bare.removesuffix(money) if money else before
        return Shown(None, begin + len(kept), money, (False, True), True)
    gap = len(before) - len(before[len(head) :].lstrip())
    start = len(head)
    while start and head[start - 1] in _COMPUTING:
        start -= 1
    visible = head[start:]
    first = re.search(r"[$€£(-]*\.?\d", visible)
    start += first.start() if first else len(visible)
    spaced = bool(re.search(r"\d\)? [-+*/×÷] [$€£(]?[\d.]", visible))
    at = begin + gap
    return Shown(at, begin + start, money, (spaced, text[:at].endswith("= ")), visible.count("=") < 2)


_COMPUTING = frozenset("0123456789 .,$€£%+-*/()x×÷=")


# --- what the question says ------------------------------------------------------------------------------------------


def sentences(text: str) -> list[str]:
    """The sentences of ``text``; a full stop inside a number or an abbreviation of one letter ends none."""
    parts = re.split(r"(?<=[.!?])(?<!\b[A-Z]\.)[\"')\]]*\s+|\n+", text)
    return [part.strip() for part in parts if part and part.strip()]


@lru_cache(maxsize=256)
def numbers_in(text: str) -> frozenset[Fraction]:
    """All values that ``text`` writes in digits or words; a fraction such as 1 3/4 counts with its parts."""
    found: set[Fraction] = set()
    for match in NUMBER.finditer(text):
        value = Fraction(match["digits"].replace(",", ""))
        found |= {value, value / 100} if match["percent"] else {value}
    for number in re.findall(FRACTION, text):
        parts = (number, number.rpartition(" ")[2])  # a mixed number counts with its fraction
        found |= {Fraction(value) for value in map(read_number, parts) if value is not None}
    for word in re.findall(r"[a-z]+", text.lower()):
        found.update(NUMBER_WORDS.get(word, NUMBER_WORDS.get(word.removesuffix("s"), ())))
    return frozenset(found)


def find_source(constants: Sequence[Value], text: str, question: str) -> str | None:
    """The sentence of ``question`` that states most of ``constants``; ``None`` if none states any.

    Among equals it is the one that shares most words with ``text``, then the first.
    """
    words = set(re.findall(r"[a-z]{4,}", text.lower()))

    def score(sentence: str) -> tuple[int, int]:
        stated = numbers_in(sentence)
        shared = words & set(re.findall(r"[a-z]{4,}", sentence.lower()))
        return sum(constant in stated for constant in dict.fromkeys(constants)), len(shared)

    best = max(sentences(question), key=score, default="")
    return best if best and score(best)[0] else None


def constants_of(expr: Expr) -> list[Value]:
    """The numbers that ``expr`` writes itself."""
    if isinstance(expr, Op):
        return [value for arg in expr.args for value in constants_of(arg)]
    return [expr.value] if isinstance(expr, Num) and expr.value is not None else []


_NO_NOUNS = frozenset("is was has as this its us plus less minus times across always perhaps thus besides".split())
_CLAUSES = re.compile(r"\b(and|so|because|which|that|if|when|while|but|or|than|more|fewer|is|are|was|were|has|have)\b")


def noun_phrase(after: str) -> str | None:
    """``the number of clips in May`` from the words behind a result, where they plainly are what is counted.

    That is: up to eight words to the end of the sentence, a plural among the first two, no clause and no number.
    """
    words = re.match(r" (?! )([a-z][a-z' -]*(?:[A-Z][a-z]+)?)[.!?]?\s*\Z", after)
    if not words:
        return None
    text = words[1].strip()
    plural = any(word.endswith("s") and not word.endswith("ss") and word not in _NO_NOUNS for word in text.split()[:2])
    return f"the number of {text}" if plural and len(text.split()) <= 8 and not _CLAUSES.search(text) else None
