"""The public DyVal wording (PromptBench): question and chain of thought in its sentences, behaviours in our phrases.

A question is one sentence a premise and ``What is the value of aao?``; the chain of thought has one line a quantity
(two in deductive logic) and ends in ``Thus, the answer is <<<...>>>``. Numbers are computed exactly and *written* with
eight decimals, each correctly rounded, as the public data do; a completion is judged by what is written. An analysis
or a reflection is a line of its own, so that without these lines the text is the public one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cache

from bi.augmentation.dyval_phrases import ANALYSIS, PHRASES, RECALL, REFLECTION
from bi.augmentation.dyval_rounding import as_written, settle_chains
from bi.augmentation.dyval_sentences import (
    deduction,
    read_deduction,
    read_expression,
    read_premise,
    show,
    write_expression,
    write_premise,
)
from bi.augmentation.reading import Line, Reading
from bi.augmentation.trace import Step, Trace, first_unsolved
from bi.augmentation.wording import Wording
from bi.tasks.expression import Expr, Num, Op, subgoals, substitute
from bi.tasks.operators import NA, Value
from bi.tasks.problem import Problem, build_problem

_LONGEST = 4000
_NONE = -1  # the phrase of a line that has none
_QUESTION = re.compile(r"What is the value of ([a-z]{3})\?\Z")
_MODULUS = re.compile(r"All numbers are counted modulo (\d{1,6})\.\Z")
_ANSWER = re.compile(r"<<<([^<>\n]{1,60})>>>")
_END = re.compile(r"\n\nThus, the answer is <<<([^<>\n]{1,60})>>>\Z")
_FIELDS = {"quantity": r"(?P<quantity>[a-z]{3})", "missing": r"(?P<missing>[a-z]{3})", "fact": r"(?P<fact>\S.*)",
           "value": r"(?P<value>\S+)"}
TASKS = {"arithmetic": "dyval_arithmetic", "bool_logic": "dyval_boolean", "deductive_logic": "dyval_deductive"}
"""PromptBench's names of the tasks, and ours."""


class DyvalWording(Wording):
    """DyVal's public sentences for its three tasks; all quantities are stated and named by three letters."""

    name = "dyval"
    phrases = PHRASES

    def prompt(self, problem: Problem) -> str:
        """One sentence a premise, and the question."""
        head = [] if problem.modulus is None else [f"All numbers are counted modulo {problem.modulus}."]
        stated = [write_premise(name, problem.by_name[name].formula, problem.task) for name in problem.premises]
        return "\n".join((*head, *stated, f"What is the value of {problem.target}?"))

    def read_problem(self, prompt: str) -> Problem:
        """Inverse of :meth:`prompt`; raises ``ValueError`` that quotes the sentence that cannot be read."""
        *lines, question = prompt.strip().split("\n")
        asked = _QUESTION.match(question.strip())
        if not asked:
            raise ValueError(f"the last line is not 'What is the value of NAME?': {question[:80]!r}")
        return read_description("\n".join(lines), asked[1])

    def settle(self, trace: Trace) -> Trace:
        """``trace`` as its text says it: a step without a phrased sentence has no phrase to read back (0)."""
        return Trace(tuple(step if step.analysis or step.kind != "solve" else step._replace(phrase=0)
                           for step in trace.steps))

    def line(self, step: Step, problem: Problem, values: Mapping[str, Value], symbols: dict[str, str]) -> str:
        """One step: the restated premise if any, and a computation, a reflection or a recall."""
        quantity = problem.by_name[step.name]
        fields = {"quantity": step.name}
        head = ""
        if step.analysis:
            fact = write_premise(step.name, quantity.formula, problem.task)
            head = ANALYSIS[step.phrase].format(fact=fact) + "\n"
        if step.kind == "recall":
            return RECALL[step.phrase].format(value=show(values[step.name], problem), **fields)
        if step.kind == "reflect":
            return head + REFLECTION[step.phrase].format(missing=first_unsolved(quantity, values), **fields)
        return head + _computation(step, problem, values)

    def wrap(self, lines: list[str], problem: Problem) -> str:
        """The lines, and the answer between triple brackets."""
        return "\n".join(lines) + f"\n\nThus, the answer is <<<{show(problem.answer, problem)}>>>"

    def read(self, completion: str) -> Reading:
        """Lines of the chain of thought; the answer is what stands in the last triple brackets."""
        found = _ANSWER.findall(completion[-100_000:])
        end = _END.search(completion[-200:])
        proper = end is not None and completion.count("<<<") == 1
        body = completion.split("\n\nThus, the answer is", 1)[0]
        return Reading(tuple(_read_lines(body.split("\n"))), read_value(found[-1]) if found else None, proper)

    def frame(self, claim: str) -> str:
        """A line is its claim."""
        return claim

    def compared(self, completion: str, problem: Problem) -> tuple[Reading, Problem]:
        """The completion and the problem with numbers as the text writes them.

        An answer may also be given exactly, as a fraction. Intermediate expressions are right if rounding their
        numbers can explain the difference.
        """
        written = as_written(problem)
        reading = settle_chains(self.read(completion), written)
        if reading.answer is not None and reading.answer == problem.answer:
            reading = dataclasses.replace(reading, answer=written.answer)
        return reading, written


def read_description(text: str, target: str, task: str | None = None) -> Problem:
    """The problem that public sentences describe, one a line, asking for ``target``.

    ``task`` is one of ours; by default the sentences tell. Raises ``ValueError`` that quotes what cannot be read.
    """
    formulas: dict[str, Expr] = {}
    kinds: set[str] = set()
    modulus = None
    for number, sentence in enumerate(line.strip() for line in text.strip().split("\n")):
        if number == 0 and (said := _MODULUS.match(sentence)):
            modulus = int(said[1])
            continue
        premise = read_premise(sentence)
        if premise is None or premise[0] in formulas:
            raise ValueError(f"cannot read the premise {sentence[:120]!r}")
        name, formulas[name], kind = premise
        kinds.add(kind)
    kinds.discard("truth")
    if len(kinds) > 1:
        raise ValueError(f"the premises belong to different tasks: {', '.join(sorted(kinds))}")
    task = task or (kinds.pop() if kinds else "dyval_boolean")
    return build_problem(task, formulas, list(formulas), target, modulus)


def read_value(text: str) -> Value:
    """The value that ``text`` writes: True, False, N/A, a decimal or a fraction; ``None`` for anything else."""
    words = {"True": True, "False": False, "N/A": NA}
    if text in words:
        return words[text]
    if re.fullmatch(r"-?\d{1,15}(\.\d{1,20})?(e-?\d{1,2})?", text):
        return Fraction(Decimal(text))
    ratio = re.fullmatch(r"(-?\d{1,15})/(\d{1,15})", text)
    return Fraction(int(ratio[1]), int(ratio[2])) if ratio and int(ratio[2]) else None


# --- lines -----------------------------------------------------------------------------------------------------------


def _computation(step: Step, problem: Problem, values: Mapping[str, Value]) -> str:
    quantity, task = problem.by_name[step.name], problem.task
    value = show(quantity.value, problem)
    stop = "" if task == "dyval_arithmetic" else "."
    if isinstance(quantity.formula, Num):
        return f"{step.name} is {value}{stop}"
    known = substitute(quantity.formula, lambda name: Num(values[name]))
    chain = [quantity.formula, known, *(subgoals(known, problem.modulus) if step.subgoal else ())]
    if task == "dyval_deductive":
        chain = [expr for expr in chain if isinstance(expr, Op) and not isinstance(expr.args[0], Num)]
    texts = [write_expression(expr, problem) for expr in chain]
    if task == "dyval_deductive":
        said = f"{' = '.join(texts)} -> {step.name}."
        return f"{said}\n{deduction(step.name, known, texts[1])}"
    return f"{' = '.join((step.name, *texts, value))}{stop}"


def _read_lines(lines: Sequence[str]) -> list[Line]:
    """Group the lines of a text into steps: an analysis belongs to what follows, a deduction has two lines."""
    found: list[Line] = []
    at = 0
    while at < len(lines):
        claim, restated = lines[at], None
        if not claim.strip():
            at += 1
            continue
        phrase, fact = _match(ANALYSIS, claim)
        if fact is not None:
            restated = read_premise(fact["fact"])
            at += 1
            claim = lines[at] if at < len(lines) else ""
        line, used = _read_step(claim, lines[at + 1] if at + 1 < len(lines) else "")
        if fact is not None:
            clash = restated is None or restated[0] != line.name or line.phrase not in (_NONE, phrase)
            line = (Line("unreadable", claim[:200], line.name) if clash or restated is None
                    else dataclasses.replace(line, restated=restated[1], phrase=phrase))
        found.append(dataclasses.replace(line, phrase=max(0, line.phrase)))
        at += used
    return found


def _read_step(claim: str, following: str) -> tuple[Line, int]:
    """One step that starts with ``claim``, and how many lines it takes; its phrase is -1 if it has none."""
    if len(claim) > _LONGEST:
        return Line("unreadable", claim[:200]), 1
    phrase, match = _match(REFLECTION, claim)
    if match is not None:
        return Line("reflect", claim, match["quantity"], missing=match["missing"], phrase=phrase), 1
    phrase, match = _match(RECALL, claim)
    if match is not None:
        value = read_value(match["value"])
        kind = "unreadable" if value is None else "recall"
        return Line(kind, claim, match["quantity"], result=value, phrase=phrase), 1
    leaf = re.fullmatch(r"([a-z]{3}) is (\S+?)\.?", claim)
    if leaf:
        value = read_value(leaf[2])
        kind = "unreadable" if value is None else "solve"
        return Line(kind, claim, leaf[1], None, (Num(value),), value, phrase=_NONE), 1
    if rule := re.fullmatch(r"(\(.+\)) -> ([a-z]{3})\.", claim):
        return _read_rule(claim, following, rule[1].split(" = "), rule[2])
    name, *parts = claim.removesuffix(".").split(" = ")
    return _read_chain(claim, name, parts), 1


def _read_chain(claim: str, name: str, parts: list[str]) -> Line:
    value = read_value(parts.pop()) if parts else None
    written = [read_expression(part) for part in parts]
    if not re.fullmatch("[a-z]{3}", name) or value is None or not written or any(expr is None for expr in written):
        return Line("unreadable", claim[:200])
    return Line("solve", claim, name, None, tuple(expr for expr in written if expr), value, phrase=_NONE)


def _read_rule(claim: str, following: str, parts: list[str], name: str) -> tuple[Line, int]:
    written = [read_expression(part) for part in parts]
    value = read_deduction(following, name, parts[1]) if len(parts) > 1 else None
    if any(expr is None for expr in written) or value is None:
        return Line("unreadable", claim[:200], name), 1
    premises = tuple(Op("then", (expr,)) for expr in written if expr)
    return Line("solve", claim, name, None, premises, value, phrase=_NONE), 2


def _match(templates: tuple[str, ...], text: str) -> tuple[int | None, Mapping[str, str] | None]:
    for phrase, pattern in enumerate(_patterns(templates)):
        match = pattern.match(text)
        if match:
            return phrase, match.groupdict()
    return None, None


@cache
def _patterns(templates: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """A pattern for each template; a name that it mentions twice must be the same."""
    made = []
    for template in templates:
        seen: set[str] = set()
        parts = re.split(r"\{(\w+)\}", template)
        for index in range(1, len(parts), 2):
            name = parts[index]
            parts[index] = rf"(?P={name})" if name in seen else _FIELDS[name]
            seen.add(name)
        made.append(re.compile("".join(p if i % 2 else re.escape(p) for i, p in enumerate(parts)) + r"\Z"))
    return tuple(made)
