"""Behaviours in prose: a trace of an annotated chain of thought as text, and such a text as a trace.

The author's passages stay word for word and in their order. A reflection is a line of its own between two passages: it
names a later step, says which earlier result that step needs, and goes back. An analysis is a line in front of a
passage that quotes the question. Small steps stand behind the equals sign that a passage shows
(``5+3+2 = 8+2 = <<5+3+2=10>>10``), or in a sentence at its end. So dropping the lines and the inserted expressions
gives the author's text back, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bi.augmentation.prose_phrases import ANALYSIS, REFLECTION, SMALL_STEPS
from bi.augmentation.trace import Step, Trace
from bi.tasks.chain import Chain, Passage, Slot
from bi.tasks.written import NUMBER, write_expression, write_number

ANNOTATION = re.compile(r"<<[^<>\n]*>>")
_ARITHMETIC = re.compile(rf"(?P<number>{NUMBER.pattern})|(?P<sign>[-+*/×÷]|(?<=[\d)\s])[xX](?=[\s\d($]))|(?P<equals>=)|"
                         r"(?P<open>[()])|(?P<space>[ \t]+)|(?P<other>.)", re.DOTALL)
_LONGEST = 20_000
_REFLECTION = tuple(tuple(re.split(r"\{target\}|\{missing\}", template)) for template in REFLECTION)
_ANALYSIS = tuple(tuple(template.split("{fact}")) for template in ANALYSIS)


def plain_chain_trace(chain: Chain) -> Trace:
    """The calculations in the author's order, without behaviours."""
    return Trace(tuple(Step(quantity.name) for quantity in chain.problem.quantities))


def strip_chain_trace(trace: Trace) -> Trace:
    """The plain trace below the behaviours: the author's steps, unused results included."""
    return Trace(tuple(Step(step.name) for step in trace.steps if step.kind == "solve"))


def settle(trace: Trace, chain: Chain) -> Trace:
    """``trace`` (injected with ``strict`` reflections) as prose can say it; nothing is added.

    - A line is not torn apart: a reflection before a calculation inside a passage moves to the front of the passage, or
      goes if that is the first one. An analysis belongs to the whole passage and stands with its first calculation.
    - A reflection goes where its missing result lies in the passage that it looks at, or where the link is doubtful.
    - Small steps go where there are none (:meth:`bi.tasks.chain.Chain.small_steps`); a reflection quotes nothing.
    - A phrase that no sentence shows is 0.
    """
    solves: dict[int, list[Step]] = {}
    ahead: dict[int, list[Step]] = {}
    at = 0
    for step in trace.steps:
        if step.kind == "solve":
            at = chain.passage_of[step.name]
            solves.setdefault(at, []).append(step)
        elif step.kind == "reflect":
            inside = at in solves and len(solves[at]) < len(chain.passages[at].slots)
            ahead.setdefault(at if inside else at + 1, []).append(step)
    steps: list[Step] = []
    solved: set[str] = set()
    for index, passage in enumerate(chain.passages):
        kept = [Step(step.name, "reflect", phrase=step.phrase) for step in ahead.get(index, ())
                if index > 0 and _missing(step.name, chain, solved) is not None]
        told = [_told(step, number == 0, solves[index], passage, chain) for number, step in enumerate(solves[index])]
        steps += [*kept, *told]
        solved.update(passage.names)
    return Trace(tuple(steps))


def _told(step: Step, first: bool, together: list[Step], passage: Passage, chain: Chain) -> Step:
    analysis = first and passage.source is not None and any(other.analysis for other in together)
    phrase = next((other.phrase for other in together if other.analysis), 0) if analysis else 0
    return step._replace(analysis=analysis, subgoal=step.subgoal and bool(chain.small_steps(step.name)), phrase=phrase)


def _missing(name: str, chain: Chain, solved: set[str]) -> str | None:
    """The result that a reflection on ``name`` may name: its first unsolved parent, if that is a sound reason."""
    missing = next((parent for parent in chain.problem.by_name[name].parents if parent not in solved), None)
    if missing is None or (name, missing) in chain.doubtful or chain.passage_of[missing] == chain.passage_of[name]:
        return None
    return missing


# --- writing ---------------------------------------------------------------------------------------------------------


def write_chain(trace: Trace, chain: Chain) -> str:
    """The text of a settled trace; of the plain one it is ``chain.text``."""
    return "\n".join(_lines(trace, chain)) + chain.ending


def _lines(trace: Trace, chain: Chain) -> Iterator[str]:
    solved: set[str] = set()
    waiting: list[Step] = []
    for step in trace.steps:
        if step.kind == "reflect":
            missing = _missing(step.name, chain, solved)
            if missing is None:
                raise ValueError(f"a reflection on {step.name!r} has no missing result to name here; settle the trace")
            yield REFLECTION[step.phrase].format(target=chain.labels[step.name], missing=chain.labels[missing])
            continue
        waiting.append(step)
        passage = chain.passages[chain.passage_of[step.name]]
        if step.name != passage.names[-1]:
            continue
        if waiting[0].analysis:
            yield ANALYSIS[waiting[0].phrase].format(fact=passage.source)
        yield "".join(text for text, _ in _pieces(passage, chain, {s.name for s in waiting if s.subgoal}))
        solved.update(passage.names)
        waiting = []


def _pieces(passage: Passage, chain: Chain, expanded: set[str]) -> Iterator[tuple[str, str | None]]:
    """The author's text in pieces, and behind a piece the small steps of each quantity in ``expanded``."""
    at = 0
    for slot in passage.slots:
        if slot.at is not None and slot.name in expanded:
            yield passage.text[at : slot.at], None
            yield _inline(slot, chain), slot.name
            at = slot.at
    yield passage.text[at:], None
    for slot in passage.slots:
        if slot.at is None and slot.name in expanded:
            yield _sentence(slot, chain), slot.name


def _inline(slot: Slot, chain: Chain) -> str:
    operators, equals = slot.spaced
    sign = " = " if equals else "="
    return "".join(write_expression(step, operators) + sign for step in chain.expansion(slot.name)[1:])


def _sentence(slot: Slot, chain: Chain) -> str:
    steps = [write_expression(step, False) for step in chain.small_steps(slot.name)]
    steps.append(write_number(chain.problem.by_name[slot.name].value))
    return " " + SMALL_STEPS.format(chain=" = ".join(steps))


# --- reading ---------------------------------------------------------------------------------------------------------


def read_chain_trace(text: str, chain: Chain) -> Trace:
    """Inverse of :func:`write_chain`; ``ValueError`` that quotes the line where ``text`` leaves the chain."""
    steps: list[Step] = []
    solved: set[str] = set()
    rest, names = text, {label: name for name, label in chain.labels.items()}
    for passage in chain.passages:
        while (found := _read_reflection(rest.split("\n", 1)[0], chain, names, solved)) is not None:
            steps.append(found)
            rest = rest.partition("\n")[2]
        phrase = _read_analysis(rest.split("\n", 1)[0], passage)
        if phrase is not None:
            rest = rest.partition("\n")[2]
        expanded, rest = _read_passage(rest, passage, chain)
        first = Step("", "solve", phrase is not None, phrase=phrase or 0)
        steps += [(first if number == 0 else Step(""))._replace(name=name, subgoal=name in expanded)
                  for number, name in enumerate(passage.names)]
        solved.update(passage.names)
        if passage is not chain.passages[-1]:
            rest = rest.removeprefix("\n")
    trace = Trace(tuple(steps))
    if rest != chain.ending or write_chain(trace, chain) != text:
        raise ValueError(f"the text does not follow from the chain near {rest[:60]!r}")
    return trace


def _read_reflection(line: str, chain: Chain, names: Mapping[str, str], solved: set[str]) -> Step | None:
    for phrase, target, missing in reflection_readings(line):
        name = names.get(target)
        if name is not None and missing in names and _missing(name, chain, solved) == names[missing]:
            return Step(name, "reflect", phrase=phrase)
    return None


def reflection_readings(line: str) -> Iterator[tuple[int, str, str]]:
    """Every way to read a line as a reflection: phrase, target, missing."""
    for phrase, (before, between, behind) in enumerate(_REFLECTION):
        if not (line.startswith(before) and line.endswith(behind)) or len(line) > _LONGEST:
            continue
        core = line[len(before) : len(line) - len(behind)]
        at = core.find(between)
        while at >= 0:
            yield phrase, core[:at], core[at + len(between) :]
            at = core.find(between, at + 1)


def _read_analysis(line: str, passage: Passage) -> int | None:
    if passage.source is None:
        return None
    return next((phrase for phrase, text in enumerate(ANALYSIS) if text.format(fact=passage.source) == line), None)


def _read_passage(rest: str, passage: Passage, chain: Chain) -> tuple[set[str], str]:
    expandable = {name for name in passage.names if chain.small_steps(name)}
    expanded: set[str] = set()
    for piece, name in _pieces(passage, chain, expandable):
        if name is None and not rest.startswith(piece):
            raise ValueError(f"expected {piece[:60]!r}, but the text goes on with {rest[:60]!r}")
        if rest.startswith(piece):
            rest = rest[len(piece) :]
            expanded |= {name} if name else set()
    return expanded, rest


# --- reading without the chain ---------------------------------------------------------------------------------------


def find_behaviors(text: str) -> dict[str, int]:
    """How many reflections, analyses and expanded computations a reader finds in ``text``, knowing nothing else.

    A computation is expanded where two or more expressions with an operation stand in one chain of equals signs.
    """
    found = {"reflection": 0, "analysis": 0, "subgoal": 0}
    for line in filter(None, text.split("\n")):
        if next(reflection_readings(line), None) is not None:
            found["reflection"] += 1
        elif quoted_fact(line) is not None:
            found["analysis"] += 1
        else:
            found["subgoal"] += sum(chain > 1 for chain in _expressions(ANNOTATION.sub("", line)))
    return found


def quoted_fact(line: str) -> str | None:
    """The sentence that an analysis quotes, ``None`` if the line is none."""
    for before, behind in _ANALYSIS:
        if line.startswith(before) and line.endswith(behind) and len(line) > len(before) + len(behind):
            return line[len(before) : len(line) - len(behind)]
    return None


def _expressions(line: str) -> Iterator[int]:
    """For every chain of equals signs in ``line``: how many of its links hold an operation. Linear."""
    links = number = operation = 0
    for match in _ARITHMETIC.finditer(line):
        kind = match.lastgroup if match.lastgroup != "percent" else "number"
        if kind in ("number", "digits"):
            number = 1
        elif kind == "sign":
            operation |= number
        elif kind == "equals":
            links, number, operation = links + (operation and number), 0, 0
        elif kind == "other":
            yield links
            links = number = operation = 0
    yield links


def drop_behaviors(text: str) -> str:
    """``text`` without the lines and sentences that only our phrases write; small steps inside a line stay."""
    before, behind = (re.escape(part) for part in SMALL_STEPS.split("{chain}"))
    sentence = re.compile(rf" {before}[-\d.+*/()= ]+{behind}(?=\Z| )")
    lines = text.split("\n")
    kept = (line for line in lines if next(reflection_readings(line), None) is None and quoted_fact(line) is None)
    return "\n".join(sentence.sub("", line) for line in kept)


def drop_small_steps(chain: Chain) -> str:
    """The text of ``chain`` without small steps that are written exactly as :func:`write_chain` writes them."""
    passages = []
    for passage in chain.passages:
        text = passage.text
        for slot in reversed(passage.slots):
            inserted = "" if slot.free or slot.at is None else _inline(slot, chain)
            if inserted and text[: slot.at].endswith(inserted):
                text = text[: slot.at - len(inserted)] + text[slot.at :]  # type: ignore[operator]
        passages.append(text)
    return "\n".join(passages) + chain.ending
