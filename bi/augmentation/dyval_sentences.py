"""The sentences and formulas of DyVal's public format, written and read one at a time."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

from bi.tasks.dyval import decimal
from bi.tasks.expression import Expr, Num, Op, Ref
from bi.tasks.operators import NA, Value
from bi.tasks.problem import Problem

_NAME = r"([a-z]{3})"
_NAMES = r"([a-z]{3}(?: and [a-z]{3})+)"
_GETS = f"{_NAME} gets its value by "
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,20})?(e-?\d{1,2})?\Z")
_TRUTH = {"True": True, "False": False, "N/A": NA}
_FORMS = (
    ("+", re.compile(_GETS + rf"adding together the value of {_NAMES}\.\Z")),
    ("*", re.compile(_GETS + rf"multiplying together the value of {_NAMES}\.\Z")),
    ("-", re.compile(_GETS + rf"subtracting the value of {_NAME} from the value of {_NAME}\.\Z")),
    ("- +", re.compile(_GETS + rf"subtracting the sum of the values of {_NAMES} from the value of {_NAME}\.\Z")),
    ("/", re.compile(_GETS + rf"dividing the value of {_NAME} by those of {_NAME}\.\Z")),
    ("/ *", re.compile(_GETS + rf"dividing the value of {_NAME} by the product of the values of {_NAMES}\.\Z")),
    ("square", re.compile(_GETS + rf"squaring the value that {_NAME} has\.\Z")),
    ("sqrt", re.compile(_GETS + rf"taking the square root of the value that {_NAME} has\.\Z")),
)
_STATED = re.compile(rf"The value of {_NAME} is (\S+)\.\Z")
_TRUE = re.compile(rf"{_NAME} is (True|False)\.\Z")
_EQUALS = re.compile(rf"The value of {_NAME} equals to (\(.+\))\.\Z")
_RULE = re.compile(rf"(\(.+\)) -> {_NAME}\.\Z")


def write_premise(name: str, formula: Expr, task: str) -> str:
    """The sentence that states ``formula`` of ``name``."""
    if isinstance(formula, Num):
        return f"{'The value of ' if task == 'dyval_arithmetic' else ''}{name} is {formula.value}."
    assert isinstance(formula, Op), "DyVal states values and operations"
    if task == "dyval_deductive":
        text = _bracket(formula.args[0], lambda leaf: leaf.name)
        return f"{re.sub(r' (AND|OR) ', lambda found: found[0].lower(), text)} -> {name}."
    if task == "dyval_boolean":
        return f"The value of {name} equals to {_bracket(formula, lambda leaf: leaf.name)}."
    return f"{name} gets its value by {_arithmetic_sentence(formula)}."


def _arithmetic_sentence(formula: Op) -> str:
    first, *rest = formula.args
    inner = rest[0] if rest and isinstance(rest[0], Op) else None
    names = " and ".join(arg.name for arg in formula.args if isinstance(arg, Ref))
    grouped = " and ".join(arg.name for arg in inner.args if isinstance(arg, Ref)) if inner else ""
    if formula.symbol == "-":
        taken = f"the sum of the values of {grouped}" if inner else f"the value of {rest[0].name}"
        return f"subtracting {taken} from the value of {first.name}"
    if formula.symbol == "/":
        divisor = f"the product of the values of {grouped}" if inner else f"those of {rest[0].name}"
        return f"dividing the value of {first.name} by {divisor}"
    if formula.symbol == "square":
        return f"squaring the value that {first.name} has"
    if formula.symbol == "sqrt":
        return f"taking the square root of the value that {first.name} has"
    return f"{'adding' if formula.symbol == '+' else 'multiplying'} together the value of {names}"


def read_premise(sentence: str) -> tuple[str, Expr, str] | None:
    """Name, formula and task of a premise (``truth`` for a truth value, which two tasks share), or ``None``."""
    if match := _TRUE.match(sentence):
        return match[1], Num(_TRUTH[match[2]]), "truth"
    if (match := _STATED.match(sentence)) and _NUMBER.match(match[2]):
        return match[1], Num(_number(match[2])), "dyval_arithmetic"
    if match := _EQUALS.match(sentence):
        formula = read_expression(match[2])
        return (match[1], formula, "dyval_boolean") if formula else None
    if match := _RULE.match(sentence):
        formula = read_expression(re.sub(r" (and|or) ", lambda found: found[0].upper(), match[1]))
        return (match[2], Op("then", (formula,)), "dyval_deductive") if formula else None
    for form, pattern in _FORMS:
        if match := pattern.match(sentence):
            return match[1], _arithmetic_formula(form, match.groups()[1:]), "dyval_arithmetic"
    return None


def _number(text: str) -> int | Fraction:
    value = Fraction(Decimal(text))
    return value.numerator if value.denominator == 1 else value


def _arithmetic_formula(form: str, names: tuple[str, ...]) -> Expr:
    operands = [[Ref(name) for name in part.split(" and ")] for part in names]
    if form in "+*":
        return Op(form, tuple(operands[0]))
    if form == "-":
        return Op("-", (operands[1][0], operands[0][0]))
    if form == "- +":
        return Op("-", (operands[1][0], Op("+", tuple(operands[0]))))
    if form == "/ *":
        return Op("/", (operands[0][0], Op("*", tuple(operands[1]))))
    return Op(form, tuple(part[0] for part in operands))


# --- formulas in the chain of thought --------------------------------------------------------------------------------


def show(value: Value, problem: Problem) -> str:
    """A value as the chain of thought writes it: with eight decimals at most, whole numbers modulo something plain."""
    return show_value(value, problem.task, problem.modulus)


def show_value(value: Value, task: str, modulus: int | None) -> str:
    """:func:`show` by task and modulus."""
    if task != "dyval_arithmetic" or modulus is not None:
        return str(value)
    return repr(float(decimal(value)))


def write_expression(expr: Expr, problem: Problem) -> str:
    """``a + b``, ``a^2`` or ``(2.0)^2``, ``sqrt a`` or ``sqrt(2.0)``, ``(a AND b)``; three operands stand in a row."""

    def leaf(arg: Num | Ref) -> str:
        return arg.name if isinstance(arg, Ref) else show(arg.value, problem)

    if isinstance(expr, Op) and expr.symbol == "then":
        expr = expr.args[0]
    if not isinstance(expr, Op):
        return leaf(expr)
    if expr.symbol in ("and", "or", "not"):
        return _bracket(expr, leaf)
    first, *rest = expr.args
    text = leaf(first) if not isinstance(first, Op) else ""
    if expr.symbol == "square":
        return f"{text}^2" if isinstance(first, Ref) else f"({text})^2"
    if expr.symbol == "sqrt":
        return f"sqrt {text}" if isinstance(first, Ref) else f"sqrt({text})"
    operands = rest[0].args if rest and isinstance(rest[0], Op) else rest
    return f" {expr.symbol} ".join((text, *(leaf(arg) for arg in operands if not isinstance(arg, Op))))


def _bracket(expr: Expr, leaf: object) -> str:
    """``(NOT a)``, ``(a AND b)``."""
    if not isinstance(expr, Op):
        return f"({leaf(expr)})"  # type: ignore[operator]
    words = [leaf(arg) for arg in expr.args]  # type: ignore[operator]
    return f"(NOT {words[0]})" if expr.symbol == "not" else f"({f' {expr.symbol.upper()} '.join(words)})"


def read_expression(text: str) -> Expr | None:
    """Inverse of :func:`write_expression` (without ``then``), or ``None``."""
    if text.startswith("(") and text.endswith(")"):
        return _read_logic(text[1:-1])
    if text.endswith("^2"):
        inner = _leaf(text[1:-3] if text.startswith("(") and text.endswith(")^2") else text[:-2])
        return Op("square", (inner,)) if inner else None
    if text.startswith("sqrt"):
        inner = _leaf(text[5:-1] if text.startswith("sqrt(") and text.endswith(")") else text[5:])
        return Op("sqrt", (inner,)) if inner else None
    tokens = text.split(" ")
    operands, symbols = [_leaf(token) for token in tokens[::2]], set(tokens[1::2])
    if len(tokens) % 2 == 0 or len(symbols) > 1 or not symbols <= set("+-*/") or any(arg is None for arg in operands):
        return None
    first, *rest = (arg for arg in operands if arg)
    if not rest:
        return first
    symbol = symbols.pop()
    if symbol in "-/" and len(rest) > 1:
        return Op(symbol, (first, Op("+" if symbol == "-" else "*", tuple(rest))))
    return Op(symbol, (first, *rest))


def _read_logic(text: str) -> Expr | None:
    tokens = text.split(" ")
    if tokens[0] == "NOT":
        inner = _leaf(tokens[1]) if len(tokens) == 2 else None
        return Op("not", (inner,)) if inner else None
    operands, symbols = [_leaf(token) for token in tokens[::2]], set(tokens[1::2])
    if len(tokens) % 2 == 0 or len(tokens) < 3 or symbols not in ({"AND"}, {"OR"}) or any(a is None for a in operands):
        return None
    return Op(symbols.pop().lower(), tuple(arg for arg in operands if arg))


def _leaf(token: str) -> Num | Ref | None:
    if token in _TRUTH:
        return Num(_TRUTH[token])
    if _NUMBER.match(token):
        return Num(_number(token))
    return Ref(token) if re.fullmatch("[a-z]{3}", token) else None


# --- the second line of a deduction ----------------------------------------------------------------------------------


def deduction(name: str, known: Expr, premise: str) -> str:
    """What follows for ``name`` from the premise ``known`` (a ``then`` over truth values), written as ``premise``."""
    inner = known.args[0] if isinstance(known, Op) else known
    symbol = inner.symbol if isinstance(inner, Op) else ""
    arguments = [arg.value for arg in inner.args if isinstance(arg, Num)] if isinstance(inner, Op) else []
    if symbol == "or" and True in [argument is True for argument in arguments]:
        return _sentences(name, premise)["true"]
    if NA in arguments:
        return _sentences(name, premise)[f"{symbol} open"]
    holds = {"and": all(arguments), "or": False, "not": not arguments[0]}[symbol]
    return _sentences(name, premise)["true" if holds else f"{symbol} false"]


def _sentences(name: str, premise: str) -> dict[str, str]:
    return {
        "true": f"The premise {premise} is True, thus, the value of {name} is True.",
        "or false": f"The premise {premise} is False, thus, the value of {name} cannot be deduced and is set to N/A.",
        "and false": f"The premise {premise} is False, thus, the value of {name} can not be deduced and is set to N/A.",
        "not false": f"The value of the premise {premise} is False. Thus, the value of {name} cannot be deduced, and "
                     "is set to N/A.",
        "and open": f"Given at least one of the children's value is N/A, the value of {name} cannot be deduced and is "
                    "set to N/A.",
        "or open": "Given none of the children are True and at least one is N/A, thus, the value of premise is N/A. "
                   f"Thus, the value of {name} cannot be deduced and is set to N/A.",
        "not open": f"The value of {name} cannot be deduced, and is set to N/A.",
    }


def read_deduction(sentence: str, name: str, premise: str) -> Value:
    """True or NA, as ``sentence`` concludes for ``name`` from ``premise``; ``None`` if it says neither."""
    for key, text in _sentences(name, premise).items():
        if sentence == text:
            return True if key == "true" else NA
    return None
