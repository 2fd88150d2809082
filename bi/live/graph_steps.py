"""A problem's graph while its chain of thought is written, with each behaviour switched on or off.

Every moment of all eight chains of thought is computed here. Without scripts a reader sees the plain chain drawn step
by step and the chain with all behaviours as text; ``book/_static/graph_steps.js`` puts one drawing with buttons there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import product
from typing import Any

from bi.augmentation.behaviors import BEHAVIORS, PAPER, inject
from bi.augmentation.trace import Step, Trace, first_unsolved, plain_trace
from bi.augmentation.wording import Wording
from bi.graph_frames import LOOKS, describe, draw_steps, formula_text, letters, name_table, node_words
from bi.live.embed import data_script
from bi.recipes import BehaviorRates
from bi.streams import stream
from bi.tasks.problem import Problem

RATES = BehaviorRates(reflection=0.6, analysis=(0.0, 1.0), subgoal=1.0)
"""Far above the recipes' rates, so that a short chain of thought shows every behaviour."""


@dataclass(frozen=True)
class Moment:
    """What stands there after a step: its text, what it did in a sentence, and the graph."""

    step: Step | None
    line: str
    told: str
    solved: tuple[str, ...]

    @property
    def tried(self) -> bool:
        """Whether the step went back without a value."""
        return self.step is not None and self.step.kind == "reflect"

    @property
    def behaviors(self) -> list[str]:
        """Behaviours that the step holds."""
        return [behavior.name for behavior in PAPER if self.step is not None and behavior.in_step(self.step)]


def behavior_sets() -> list[tuple[str, ...]]:
    """All eight choices among the three behaviours, none first."""
    return [tuple(name for name, on in zip(BEHAVIORS, chosen, strict=True) if on)
            for chosen in product((False, True), repeat=len(BEHAVIORS))]


def trace_with(problem: Problem, chosen: Sequence[str], seed: int, rates: BehaviorRates = RATES) -> Trace:
    """The chain of thought of ``problem`` with the ``chosen`` behaviours; the others' places stay where they are."""
    used = replace(rates, reflection=rates.reflection if "reflection" in chosen else 0.0,
                   analysis=rates.analysis if "analysis" in chosen else (0.0,),
                   subgoal=rates.subgoal if "subgoal" in chosen else 0.0)
    plain = plain_trace(problem, stream(seed, "live order", problem.key()))
    return inject(plain, problem, used, stream(seed, "live behaviors", problem.key()))


def moments(problem: Problem, trace: Trace, wording: Wording) -> Iterator[Moment]:
    """The moment before the first step, and the one after each step of ``trace``."""
    yield Moment(None, "", "Before the first step.", ())
    solved: tuple[str, ...] = ()
    for number, (step, line) in enumerate(zip(trace.steps, wording.lines(trace, problem), strict=True), start=1):
        told = f"Step {number} {_deed(problem, step, solved)}"
        if step.kind == "solve":
            solved = (*solved, step.name)
        yield Moment(step, line, told, solved)


def _deed(problem: Problem, step: Step, solved: Sequence[str]) -> str:
    letter = letters(problem)[step.name]
    if step.kind == "recall":
        return f"recalls {letter}, which was solved ahead of its turn."
    if step.kind == "reflect":
        missing = first_unsolved(problem.by_name[step.name], solved) or ""
        return f"starts on {letter}, which is locked: {letters(problem)[missing]} has no value yet. It goes back."
    spare = "" if step.name in problem.needed else ", which the answer does not need"
    return f"solves {formula_text(problem, step.name)}{spare}."


def bare(line: str) -> str:
    """A line without the bullet that some wordings give it: the page numbers its lines."""
    return line.removeprefix("- ")


def chain_data(problem: Problem, wording: Wording, seed: int) -> dict[str, Any]:
    """All eight chains of thought, for the script: frames of the drawing, each once, and steps that point to them."""
    frames: list[list[list[str]]] = []
    chains = {}
    for chosen in behavior_sets():
        steps = []
        for moment in moments(problem, trace_with(problem, chosen, seed), wording):
            words = node_words(problem, moment.solved, moment.step.name if moment.step else "", moment.tried)
            if words not in frames:
                frames.append(words)
            steps.append({"frame": frames.index(words), "line": bare(moment.line), "told": moment.told,
                          "said": describe(problem, moment.solved), "behaviors": moment.behaviors,
                          "solved": len(set(moment.solved) & problem.needed)})
        chains["+".join(chosen)] = steps
    return {"looks": LOOKS, "frames": frames, "chains": chains}


def graph_steps(problems: Sequence[Problem], wording: Wording, seed: int = 0) -> str:
    """The whole part as HTML: question, table, drawings, texts and data of each of ``problems``."""
    parts = [_problem(problem, number, wording, seed) for number, problem in enumerate(problems, start=1)]
    return f'<div class="live graph-steps">{"".join(parts)}</div>'


def _problem(problem: Problem, number: int, wording: Wording, seed: int) -> str:
    title = f"Problem {number}: {len(problem.needed)} quantities to solve, {problem.n_ops} operations"
    plain = [step.name for step in trace_with(problem, (), seed).steps]
    told = "".join(f"<li>{escape(bare(moment.line))}</li>"
                   for moment in moments(problem, trace_with(problem, BEHAVIORS, seed), wording) if moment.line)
    static = (f'<details{" open" if number == 1 else ""}><summary>The plain chain of thought, drawn step by step'
              f"</summary>{draw_steps(problem, plain)}</details>"
              f"<details><summary>The chain of thought with all three behaviours, as text</summary><ol>{told}</ol>"
              "</details>")
    return (
        f'<div class="live-problem" data-title="{escape(title)}"><p class="live-title">{escape(title)}</p>'
        f"<details><summary>Question and table of its quantities</summary><p>{escape(wording.prompt(problem))}</p>"
        f'<div class="table-scroll" tabindex="0" role="region" aria-label="Quantities of problem {number}">'
        f"{name_table(problem)}</div></details>"
        f'<div class="live-static">{static}</div>{data_script(chain_data(problem, wording, seed))}</div>'
    )


def shows_everything(problem: Problem, seed: int = 0) -> bool:
    """Whether the chain of thought with all behaviours holds each of them, and a quantity solved ahead of its turn."""
    steps = trace_with(problem, BEHAVIORS, seed).steps
    return all(any(map(behavior.in_step, steps)) for behavior in PAPER) and any(s.kind == "recall" for s in steps)
