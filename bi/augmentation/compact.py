"""The compact wording: one token per quantity and per value, for models of book size.

A quantity ``12`` has three words: ``D12`` heads its definition, ``N12`` mentions it, ``V12`` its solved value. A
question is ``%23 D4 7 . D12 3 * ( N4 + N5 ) . ... ? N12 :`` and a line of the answer ``D12 3 * ( 7 + 2 ) = V12 4 .``.
The behaviours are words of the same language:

- analysis restates the definition before the values: ``D12 3 * ( N4 + N5 ) ; 3 * ( 7 + 2 ) = V12 4 .``
- subgoals expand the arithmetic: ``D12 3 * ( 7 + 2 ) = 3 * 9 = V12 4 .``
- reflection stops at the first operand without a value: ``D12 3 * ( 7 + ? N5 .`` A recall is ``V12 4 .``

A line without analysis needs two-hop look-ups (which operand, then its value); with it every look-up is one hop.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bi.augmentation.reading import Line, Reading
from bi.augmentation.trace import Step, first_unsolved
from bi.augmentation.wording import Wording
from bi.tasks.expression import Expr, Num, Ref, parse, render, subgoals, substitute
from bi.tasks.problem import Problem, build_problem

_WORD = re.compile(r"([DNV])(\d{1,3})\Z")
_NUMBER = re.compile(r"-?\d{1,6}\Z")


def vocabulary(names: int, modulus: int) -> list[str]:
    """Every word that problems with ``names`` names and values modulo ``modulus`` can hold."""
    words = [f"%{modulus}", ".", ";", "?", ":", "=", "+", "-", "*", "(", ")", "!"]
    words += [str(value) for value in range(modulus)]
    return words + [f"{kind}{name}" for kind in "DNV" for name in range(names)]


def _mention(expr: Num | Ref) -> str:
    return f"N{expr.name}" if isinstance(expr, Ref) else str(expr.value)


def _leaf(token: str) -> Num | Ref | None:
    if _NUMBER.match(token):
        return Num(int(token))
    word = _WORD.match(token)
    return Ref(word[2]) if word and word[1] == "N" else None


def _value_leaf(token: str) -> Num | None:
    return Num(int(token)) if _NUMBER.match(token) else None


def _name(token: str, kind: str) -> str | None:
    word = _WORD.match(token)
    return word[2] if word and word[1] == kind else None


class CompactWording(Wording):
    """Compact wording of problems whose quantities are named by index and all stated (``IGSMConfig(compact=True)``)."""

    name = "compact"
    phrases = 1
    task = "igsm"

    def prompt(self, problem: Problem) -> str:
        """The question, ending in ``? N.. :``."""
        head = [] if problem.modulus is None else [f"%{problem.modulus}"]
        stated = [f"D{name} {render(problem.by_name[name].formula, _mention)} ." for name in problem.premises]
        return " ".join((*head, *stated, f"? N{problem.target} :"))

    def read_problem(self, prompt: str) -> Problem:
        """Inverse of :meth:`prompt`; raises ``ValueError`` that quotes the part that cannot be read."""
        tokens = prompt.split()
        modulus = None
        if tokens and tokens[0].startswith("%") and tokens[0][1:].isdigit():
            modulus = int(tokens.pop(0)[1:])
        target = _name(tokens[-2], "N") if len(tokens) > 3 and tokens[-3] == "?" and tokens[-1] == ":" else None
        if target is None:
            raise ValueError(f"compact question does not end in '? N<name> :' but in {' '.join(tokens[-4:])!r}")
        formulas: dict[str, Expr] = {}
        for statement in _split(tokens[:-3]):
            name = _name(statement[0], "D") if statement else None
            formula = parse(statement[1:], _leaf)
            if name is None or formula is None or name in formulas:
                raise ValueError(f"cannot read the premise {' '.join(statement)!r}; expected 'D<name> <formula> .'")
            formulas[name] = formula
        return build_problem(self.task, formulas, list(formulas), target, modulus)

    def line(self, step: Step, problem: Problem, values: Mapping[str, int], symbols: dict[str, str]) -> str:
        """One line of the answer; see the module's docstring."""
        quantity = problem.by_name[step.name]
        if step.kind == "recall":
            return f"V{step.name} {values[step.name]} ."
        head = f"D{step.name} " + (f"{render(quantity.formula, _mention)} ; " if step.analysis else "")
        if step.kind == "reflect":
            missing = first_unsolved(quantity, values)
            return head + ("" if step.analysis else _until(quantity.formula, missing, values)) + f"? N{missing} ."
        known = substitute(quantity.formula, lambda name: Num(values[name]))
        chain = [known, *(subgoals(known, problem.modulus) if step.subgoal else ())]
        return head + " = ".join([render(expr, _mention) for expr in chain] + [f"V{step.name} {quantity.value} ."])

    def frame(self, claim: str) -> str:
        """A line ends in a full stop."""
        return f"{claim} ."

    def wrap(self, lines: list[str], problem: Problem) -> str:
        """Lines and the final answer."""
        return " ".join((*lines, f"! {problem.answer}"))

    def read(self, completion: str) -> Reading:
        """Lines end in ``.``; the answer is the number behind the only ``!``, the last word but one."""
        tokens = completion.split()
        marks = [index for index, token in enumerate(tokens) if token == "!"]
        end = marks[0] if marks else len(tokens)
        stated = _value_leaf(tokens[marks[-1] + 1]) if marks and marks[-1] + 1 < len(tokens) else None
        proper = len(marks) == 1 and stated is not None and end == len(tokens) - 2
        lines = tuple(_read_line(statement) for statement in _split(tokens[:end]))
        return Reading(lines, stated.value if stated else None, proper)


def _until(formula: Expr, missing: str | None, values: Mapping[str, int]) -> str:
    """The formula with values, up to the first operand without one."""

    def write(expr: Num | Ref) -> str:
        if isinstance(expr, Ref):
            return "?" if expr.name == missing else str(values.get(expr.name, "?"))
        return str(expr.value)

    return render(formula, write).split("?")[0]


def _split(tokens: list[str]) -> list[list[str]]:
    """Statements without their final full stop; a rest without one counts as a statement."""
    statements: list[list[str]] = [[]]
    for token in tokens:
        if token == ".":
            statements.append([])
        else:
            statements[-1].append(token)
    return statements if statements[-1] else statements[:-1]


def _read_line(tokens: list[str]) -> Line:
    claim = " ".join(tokens)
    if len(tokens) == 2 and _name(tokens[0], "V") and _NUMBER.match(tokens[1]):
        return Line("recall", claim, _name(tokens[0], "V") or "", result=int(tokens[1]))
    name = _name(tokens[0], "D") if tokens else None
    body, restated = tokens[1:], None
    if ";" in body:
        cut = body.index(";")
        restated, body = parse(body[:cut], _leaf), body[cut + 1 :]
        if restated is None:
            return Line("unreadable", claim, name or "")
    if name is None:
        return Line("unreadable", claim)
    if "?" in body:
        return _read_reflection(claim, name, restated, body)
    return _read_solution(claim, name, restated, body)


def _read_reflection(claim: str, name: str, restated: Expr | None, body: list[str]) -> Line:
    missing = _name(body[-1], "N") if len(body) > 1 and body[-2] == "?" else None
    if missing is None or body.count("?") > 1:
        return Line("unreadable", claim, name)
    return Line("reflect", claim, name, restated, missing=missing)


def _read_solution(claim: str, name: str, restated: Expr | None, body: list[str]) -> Line:
    parts: list[list[str]] = [[]]
    for token in body:
        if token == "=":
            parts.append([])
        else:
            parts[-1].append(token)
    written = [parse(part, _value_leaf) for part in parts[:-1]]
    last = parts[-1]
    proper = len(last) == 2 and _name(last[0], "V") == name and _NUMBER.match(last[1])
    if not proper or not written or any(expr is None for expr in written):
        return Line("unreadable", claim, name)
    return Line("solve", claim, name, restated, tuple(expr for expr in written if expr), int(last[1]))
