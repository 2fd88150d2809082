"""Rows of other people's data, by format: each is read into a trace, gets behaviours, and keeps all it had.

Every format has one function ``(row, request) -> row`` that raises ``ValueError`` with the reason where it cannot read
the row. What it writes is ``prompt`` and ``completion`` and the counts ``n_reflection``, ``n_analysis``, ``n_subgoal``
of what the completion really holds; question, answer and every other column stay.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bi.augmentation import dyval, prose
from bi.augmentation.arms import injected_completion
from bi.augmentation.behaviors import inject, strip
from bi.augmentation.english import EnglishWording
from bi.augmentation.prose_phrases import PHRASES
from bi.augmentation.public_igsm import read_public_row
from bi.augmentation.trace import draw_phrases
from bi.augmentation.wording import get_wording
from bi.recipes import BehaviorRates
from bi.records import PLAIN_ROW, Columns
from bi.streams import stream
from bi.tasks.chain import Chain
from bi.tasks.gsm8k import read_gsm8k
from bi.tasks.steps import read_steps
from bi.tasks.vocabulary import WORLDS, World

Row = dict[str, Any]
PUBLIC_IGSM: Columns = {"question": str, "response": str}
PUBLIC_DYVAL: Columns = {"descriptions": str, "vars": str, "inferences": str}


@dataclass(frozen=True)
class Request:
    """What to inject: rates, seed, the wording of rows that do not name theirs, and the name for a column ``arm``.

    ``worlds`` is the vocabulary of public iGSM rows.
    """

    rates: BehaviorRates
    seed: int = 0
    wording: str | None = None
    arm: str | None = None
    worlds: tuple[World, ...] = WORLDS

    @cached_property
    def english(self) -> EnglishWording:
        """The English wording in the vocabulary of the request."""
        return EnglishWording(self.worlds)


@dataclass(frozen=True)
class Format:
    """One format: the columns that a row must have, those of its ``public`` form, and how to inject behaviours."""

    columns: Columns
    inject: Callable[[Mapping[str, Any], Request], Row]
    public: Columns | None = None

    def columns_of(self, first: Mapping[str, Any]) -> Columns:
        """The columns that rows like ``first`` must have."""
        return self.public if self.public is not None and all(name in first for name in self.public) else self.columns


def inject_row(row: Mapping[str, Any], format: str, request: Request) -> Row:
    """``row`` with behaviours in its completion, and the realised counts.

    Behaviours that it held before are taken out first. The draws depend on the seed and on what the row says, not on
    its place in a file. ``ValueError`` says why a row cannot be read.
    """
    return get_format(format).inject(row, request)


def get_format(name: str) -> Format:
    """The format called ``name``; raises ``ValueError`` that lists the known ones."""
    if name not in FORMATS:
        raise ValueError(f"unknown format {name!r}; choose one of {', '.join(FORMATS)}")
    return FORMATS[name]


# --- rows with prompt and completion in one of our wordings ----------------------------------------------------------


def _inject_igsm(row: Mapping[str, Any], request: Request) -> Row:
    """Rows of ``bi data``: a prompt and a completion in the wording that the row or the request names.

    The authors' public rows (question, response) are read in the vocabulary of the request.
    """
    if PUBLIC_IGSM.keys() <= row.keys():
        return _inject_public_igsm(row, request)
    name = row.get("wording", request.wording)
    if not isinstance(name, str):
        raise ValueError("it has no column 'wording'; say which it is with --wording")
    words = get_wording(name)
    problem = words.read_problem(row["prompt"])
    plain = strip(words.read_trace(row["completion"], problem), problem)
    completion, realised = injected_completion(plain, problem, words, request.rates, request.seed)
    return {**row, **_arm(row, request), "completion": completion, **realised}


def _inject_public_igsm(row: Mapping[str, Any], request: Request) -> Row:
    _require(row, PUBLIC_IGSM)
    read, words = read_public_row(row, request.english), request.english
    plain = strip(read.trace, read.problem)
    completion, realised = injected_completion(plain, read.problem, words, request.rates, request.seed)
    return _extended(row, request, row["question"], completion, realised)


def _arm(row: Mapping[str, Any], request: Request) -> Row:
    return {"arm": request.arm} if "arm" in row and request.arm is not None else {}


# --- DyVal -----------------------------------------------------------------------------------------------------------


def _inject_dyval(row: Mapping[str, Any], request: Request) -> Row:
    """PromptBench's rows (descriptions, vars, inferences), or ours (prompt, completion)."""
    if not PUBLIC_DYVAL.keys() <= row.keys():
        _require(row, PLAIN_ROW)
        wording = request.wording or "dyval"
        return _inject_igsm(row, dataclasses.replace(request, wording=wording))
    _require(row, PUBLIC_DYVAL)
    words = dyval.DyvalWording()
    task = dyval.TASKS.get(str(row.get("task")))
    problem = dyval.read_description(row["descriptions"], row["vars"], task)
    plain = strip(words.read_trace(row["inferences"], problem), problem)
    completion, realised = injected_completion(plain, problem, words, request.rates, request.seed)
    return _extended(row, request, words.prompt(problem), completion, realised)


# --- prose -----------------------------------------------------------------------------------------------------------


def _inject_gsm8k(row: Mapping[str, Any], request: Request) -> Row:
    return _inject_chain(row, read_plain_gsm8k(row["question"], row["answer"]), request)


def read_plain_gsm8k(question: str, answer: str) -> Chain:
    """The chain below an answer that may hold injected behaviours already."""
    chain = read_gsm8k(question, prose.drop_behaviors(answer))
    plain = prose.drop_small_steps(chain)
    return chain if plain == chain.text else read_gsm8k(question, plain)


def _inject_steps(row: Mapping[str, Any], request: Request) -> Row:
    return _inject_chain(row, read_steps(row), request)


def _inject_chain(row: Mapping[str, Any], chain: Chain, request: Request) -> Row:
    completion = inject_chain(chain, request.rates, request.seed)
    realised = {f"n_{name}": count for name, count in prose.find_behaviors(completion).items()}
    return _extended(row, request, chain.question, completion, realised)


def inject_chain(chain: Chain, rates: BehaviorRates, seed: int) -> str:
    """The text of ``chain`` with behaviours at ``rates``.

    Reflections are strict whatever ``rates`` say: the author's order stands, so a jump can only meet a locked step.
    """
    key = hashlib.sha256(f"{chain.question}\x1f{chain.text}".encode()).hexdigest()[:16]
    strict = dataclasses.replace(rates, strict=True)
    trace = inject(prose.plain_chain_trace(chain), chain.problem, strict, stream(seed, "behaviors", key))
    return prose.write_chain(prose.settle(draw_phrases(trace, PHRASES, stream(seed, "phrases", key)), chain), chain)


def _extended(row: Mapping[str, Any], request: Request, prompt: str, completion: str, realised: Row) -> Row:
    """``row`` with the new columns; one that it has already must be ours or say the same."""
    if row.get("prompt", prompt) != prompt:
        raise ValueError("its column 'prompt' is other than the question, and would be replaced; rename it")
    if "completion" in row and "n_reflection" not in row:
        raise ValueError("it has a column 'completion' already, which would be replaced; rename it")
    return {**row, **_arm(row, request), "prompt": prompt, "completion": completion, **realised}


def _require(row: Mapping[str, Any], columns: Columns) -> None:
    for column, kind in columns.items():
        if not isinstance(row.get(column), kind):
            raise ValueError(f"it lacks the column {column!r}, or it is no text")


FORMATS: dict[str, Format] = {
    "igsm": Format(PLAIN_ROW, _inject_igsm, PUBLIC_IGSM),
    "dyval": Format(PLAIN_ROW, _inject_dyval, PUBLIC_DYVAL),
    "gsm8k": Format({"question": str, "answer": str}, _inject_gsm8k),
    "steps": Format({"question": str, "steps": list}, _inject_steps),
}
