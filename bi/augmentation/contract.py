"""What a behaviour promises, checked on problems: for behaviours of your own, and for ours in the tests."""

from __future__ import annotations

from collections.abc import Iterable

from bi.augmentation.behavior import AddedBehavior, Behavior, count_steps
from bi.augmentation.trace import check_trace, draw_phrases, plain_trace
from bi.augmentation.wording import Wording, extend
from bi.streams import stream
from bi.tasks.problem import Problem


def check_behavior(behavior: Behavior, problems: Iterable[Problem], wording: Wording, seed: int = 0) -> int:
    """Raise ``ValueError`` at the first promise of ``behavior`` that does not hold; return how often it was injected.

    For every problem: the injected trace is legal, ``strip`` gives the plain one back, reading its text gives the trace
    back, a reader of the text counts what the trace holds, the verdict is strict, and the same stream gives the same
    trace again. A behaviour with lines of its own must also be unreadable to ``wording`` as it is.
    """
    voice = extend(wording, behavior) if isinstance(behavior, AddedBehavior) else wording
    total = 0
    for number, problem in enumerate(problems):
        total += _check_one(behavior, problem, wording, voice, (seed, number))
    if not total:
        raise ValueError(f"{behavior.name}: it was never injected, so nothing was checked; raise its rate, or give "
                         "more problems")
    return total


def _check_one(behavior: Behavior, problem: Problem, base: Wording, voice: Wording, names: tuple[int, int]) -> int:
    plain = plain_trace(problem, stream(*names, "order"))
    injected = behavior.inject(plain, problem, stream(*names, "behavior"))
    _hold(behavior, injected == behavior.inject(plain, problem, stream(*names, "behavior")), "inject draws elsewhere "
          "than from its generator: the same stream gave two traces")  # fmt: skip
    check_trace(injected, problem)
    told = draw_phrases(injected, voice.phrases, stream(*names, "phrases"))
    stripped = behavior.strip(injected, problem)
    _hold(behavior, stripped == plain, f"strip gives {stripped}, not the plain trace {plain}")
    text = voice.completion(told, problem)
    _hold(behavior, voice.read_trace(text, problem) == told, f"reading gives another trace back from {text!r}")
    held = count_steps([behavior], injected)[behavior.name]
    _hold(behavior, voice.counts(text)[behavior.name] == held, f"the trace holds it {held} times, a reader of the text "
          f"finds {voice.counts(text)[behavior.name]}")  # fmt: skip
    verdict = voice.verdict(text, problem)
    _hold(behavior, verdict.strict, f"a right completion is judged wrong ({verdict.first_error}): {text!r}")
    if isinstance(behavior, AddedBehavior) and held:
        _hold(behavior, not base.verdict(text, problem).strict, "its line is also a line of the wording below it")
    return held


def _hold(behavior: Behavior, promise: bool, broken: str) -> None:
    if not promise:
        raise ValueError(f"{behavior.name}: {broken}")
