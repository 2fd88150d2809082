"""Plausible wrong answers to the exercises of the book, each with words of the message that it must get."""

from __future__ import annotations

import importlib
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from bi.course import Exercise
from bi.tasks.problem import Problem

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "exercises"))


def solution(exercise: Exercise) -> Any:
    """The module with the solutions of the chapter."""
    return importlib.import_module(exercise.chapter.rsplit("/", 1)[1].replace("-", "_"))


def solutions(exercise: Exercise) -> dict[str, Callable[..., Any]]:
    """What the book hands in for an exercise, by name."""
    return {name: getattr(solution(exercise), name) for name in exercise.hands_in}


import did_not_reproduce as reproduce  # noqa: E402  (the folder above has to be on the path first)
import measuring_influence as measuring  # noqa: E402
import own_data  # noqa: E402
import per_step_influence as one_step  # noqa: E402
import problems_as_graphs as graphs  # noqa: E402
from two_kinds import PHRASES, InterimResult  # noqa: E402


@dataclass(frozen=True)
class Slip:
    """A wrong answer to ``exercise``: the solution with ``changed`` in place of some of it, and what must be said."""

    exercise: str
    name: str
    changed: dict[str, Any]
    said: str


# orders


def slow_orders(parents: dict[str, tuple[str, ...]]) -> int:
    return sum(all(order.index(p) < at for at, n in enumerate(order) for p in parents[n])
               for order in permutations(parents))


def greedy_order(parents: dict[str, tuple[str, ...]]) -> int:
    """One unlocked quantity after the other: a single order."""
    return 1


def level_orders(parents: dict[str, tuple[str, ...]]) -> int:
    levels: dict[str, int] = {}
    while len(levels) < len(parents):
        for name in parents:
            if all(parent in levels for parent in parents[name]):
                levels[name] = 1 + max((levels[parent] for parent in parents[name]), default=0)
    values = list(levels.values())
    return math.prod(math.factorial(values.count(level)) for level in set(values))


def double_counts(parents: dict[str, tuple[str, ...]]) -> int:
    return graphs.count_orders(parents) * (2 if len(parents) > 5 else 1)


# one step


def with_factor(factor: Callable[[np.ndarray], float]) -> Callable[..., np.ndarray]:
    def group_gradient(logits: np.ndarray, drawn: np.ndarray, correct: np.ndarray) -> np.ndarray:
        return one_step.group_gradient(logits, drawn, correct) * factor(correct[drawn].astype(float))
    return group_gradient


def divides_blindly(logits: np.ndarray, drawn: np.ndarray, correct: np.ndarray) -> np.ndarray:
    rewards = correct[drawn].astype(float)
    with np.errstate(invalid="ignore"):
        advantages = (rewards - rewards.mean()) / rewards.std()
    return advantages @ (np.eye(len(logits))[drawn] - one_step.softmax(logits)) / len(drawn)


def without_mean(logits: np.ndarray, drawn: np.ndarray, correct: np.ndarray) -> np.ndarray:
    rewards = correct[drawn].astype(float)
    if rewards.std() == 0:
        return np.zeros_like(logits)
    return rewards / rewards.std() @ (np.eye(len(logits))[drawn] - one_step.softmax(logits)) / len(drawn)


def estimates(first: Callable[..., Any], second: Callable[..., Any] | None) -> Callable[..., tuple[float, float]]:
    """Naive and independent estimates whose groups are drawn by ``first`` and ``second`` (``None``: the same group)."""
    def self_influence(logits: np.ndarray, correct: np.ndarray, n: int, repeats: int,
                       rng: np.random.Generator) -> tuple[float, float]:
        naive, independent = [], []
        for _ in range(repeats):
            a = one_step.group_gradient(logits, first(rng, logits, n), correct)
            b = a if second is None else one_step.group_gradient(logits, second(rng, logits, n), correct)
            naive.append(a @ a)
            independent.append(a @ b)
        return float(np.mean(naive)), float(np.mean(independent))
    return self_influence


def by_policy(rng: np.random.Generator, logits: np.ndarray, n: int) -> np.ndarray:
    return rng.choice(len(logits), n, p=one_step.softmax(logits))


def evenly(rng: np.random.Generator, logits: np.ndarray, n: int) -> np.ndarray:
    return rng.integers(len(logits), size=n)


def summed(*given: Any) -> tuple[float, float]:
    return tuple(value * given[3] for value in one_step.self_influence(*given))


# sketches


def own_cells(rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([measuring.count_sketch(row[None], size, rng) for row in rows])


def overwrites(rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    cells, signs = rng.integers(size, size=rows.shape[1]), rng.choice([-1.0, 1.0], size=rows.shape[1])
    out = np.zeros((len(rows), size))
    for row, sketch in zip(rows, out, strict=True):
        sketch[cells] += signs * row
    return out


def unsigned(rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    cells, out = rng.integers(size, size=rows.shape[1]), np.zeros((len(rows), size))
    for row, sketch in zip(rows, out, strict=True):
        np.add.at(sketch, cells, row)
    return out


def scaled(rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    return measuring.count_sketch(rows, size, rng) / math.sqrt(size)


def own_seed(rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    return measuring.count_sketch(rows, size, np.random.default_rng(0))


def dense(rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    return rows @ rng.normal(size=(rows.shape[1], size)) / math.sqrt(size)


def cosine_errors(summary: Callable[..., Any], unit: bool = True, seeded: bool = True) -> Callable[..., float]:
    def errors(rows: np.ndarray, size: int, repeats: int, seed: int) -> float:
        first, second = rows / np.linalg.norm(rows, axis=1, keepdims=True) if unit else rows
        found = []
        for repeat in range(repeats):
            rng = np.random.default_rng((seed, repeat) if seeded else repeat)
            a, b = measuring.count_sketch(np.stack([first, second]), size, rng)
            found.append(a @ b - first @ second)
        return float(summary(np.array(found)))
    return errors


# behaviours


class EverySecond(InterimResult):
    def inject(self, trace: Any, problem: Problem, rng: Any) -> Any:
        return InterimResult(2).inject(trace, problem, rng)


class Parrot(InterimResult):
    def claim(self, step: Any, problem: Problem, values: Any, wording: str) -> str:
        return PHRASES[0].format(quantity=f"the number of each {step.name}", value=values[step.name])

    def read(self, claim: str, wording: str) -> Any:
        line = super().read(claim, wording)
        return line


class Trusting(InterimResult):
    def error(self, line: Any, problem: Problem, solved: Any) -> None:
        return None


class Suspicious(InterimResult):
    def error(self, line: Any, problem: Problem, solved: Any) -> str:
        return "lookup"


class Silent(InterimResult):
    def inject(self, trace: Any, problem: Problem, rng: Any) -> Any:
        return trace


class Illiterate(InterimResult):
    def read(self, claim: str, wording: str) -> None:
        return None


# arms, steps, intervals


def lucky(reduce: str = "mean", sign: int = 1, keys: tuple[str, ...] = ("arm", "stage", "split"),
          relative: bool = False) -> Callable[..., Any]:
    def lucky_share(main: Any) -> Any:
        wide = main.pivot_table(index=list(keys), columns="metric", values="value", aggfunc=reduce)
        share = sign * (wide["accuracy"] - wide["strict"])
        return share / wide["accuracy"] if relative else share
    return lucky_share


def importance(weight: Callable[..., Any], baseline: Callable[..., Any], reduce: Callable[..., Any] = np.mean,
               from_after: bool = False) -> Callable[..., float]:
    def importance_change(before: np.ndarray, after: np.ndarray, rewards: np.ndarray, rng: np.random.Generator,
                          n: int) -> float:
        drawn = rng.choice(len(before), size=n, p=after if from_after else before)
        return float(reduce(weight(before[drawn], after[drawn]) * (rewards[drawn] - baseline(rewards[drawn]))))
    return importance_change


def others(rewards: np.ndarray) -> np.ndarray:
    return (rewards.sum() - rewards) / (len(rewards) - 1)


def two_samples(before: np.ndarray, after: np.ndarray, rewards: np.ndarray, rng: np.random.Generator, n: int) -> float:
    return float(rewards[rng.choice(len(after), n, p=after)].mean()
                 - rewards[rng.choice(len(before), n, p=before)].mean())


def bootstrap(seeds: bool = True, problems: bool = True, together: bool = True, tail: float = 0.025,
              mean: bool = True) -> Callable[..., tuple[float, float]]:
    def crossed_interval(values: np.ndarray, resamples: int, rng: np.random.Generator) -> tuple[float, float]:
        n_seeds, n_problems = values.shape
        draws = []
        for _ in range(resamples):
            rows = rng.integers(n_seeds, size=n_seeds) if seeds else np.arange(n_seeds)
            columns = rng.integers(n_problems, size=(n_seeds, n_problems))
            columns = columns if problems else np.tile(np.arange(n_problems), (n_seeds, 1))
            drawn = values[rows[:, None], columns[:1] if together else columns]
            draws.append(drawn.mean() if mean else drawn[0, 0])
        low, high = np.quantile(draws, [tail, 1 - tail])
        return float(low), float(high)
    return crossed_interval


# notes


def notes(**changed: Any) -> Callable[[str, str], dict[str, Any]]:
    """The solution's row with fields of every step replaced (``None``: left out)."""
    def steps_from_notes(question: str, text: str) -> dict[str, Any]:
        row = own_data.steps_from_notes(question, text)
        steps = [{k: v for k, v in (step | changed).items() if v is not None} for step in row["steps"]]
        return row | {"steps": steps}
    return steps_from_notes


def bare_statements(question: str, text: str) -> dict[str, Any]:
    row = own_data.steps_from_notes(question, text)
    return row | {"steps": [step | {"statement": f"{step['about']}: {step['value']}."} for step in row["steps"]]}


def substring_parents(question: str, text: str) -> dict[str, Any]:
    row = own_data.steps_from_notes(question, text)
    names = [step["id"] for step in row["steps"]]
    steps = [step | {"parents": [name for name in names[:at] if name in step["expression"]]}
             for at, step in enumerate(row["steps"])]
    return row | {"steps": steps}


def first_lines(question: str, text: str) -> dict[str, Any]:
    return own_data.steps_from_notes(question, "\n".join(text.splitlines()[:-1]))


def fits(constant: bool = True, distinct: bool = True, add: bool = False) -> Callable[..., int]:
    def graphs_that_fit(steps: Any, stated: set[int]) -> int:
        graphs, results = [], []
        for operands, result in steps:
            for operand in operands:
                found = results.count(operand) if distinct else min(1, results.count(operand))
                graphs.append(found + (constant and operand in stated) or 1)
            results.append(result)
        return sum(graphs) if add else math.prod(graphs)
    return graphs_that_fit


def looks_ahead(steps: Any, stated: set[int]) -> int:
    results = [result for _, result in steps]
    return math.prod(results.count(operand) + (operand in stated) or 1 for operands, _ in steps for operand in operands)


def never_ends(*given: Any) -> float:
    while True:
        time.sleep(0.01)


SLIPS = (
    Slip("ex-chain-star", "any order", {"orders_chain_star": lambda n: (math.factorial(n),) * 2},
         "most of these orders are not allowed"),
    Slip("ex-chain-star", "the target anywhere", {"orders_chain_star": lambda n: (1, math.factorial(n))},
         "cannot come anywhere but last"),
    Slip("ex-chain-star", "one order of the star", {"orders_chain_star": lambda n: (1, 1)}, "come in any order"),
    Slip("ex-chain-star", "counts the due one", {"locked_chain_star": lambda n, k: (1.0, 1 / (n - k))},
         "you count the quantity that is due"),
    Slip("ex-chain-star", "the star is never locked", {"locked_chain_star": lambda n, k: (1.0, 0.0)},
         "the quantity asked for is among those skipped to"),
    Slip("ex-chain-star", "per cent", {"locked_chain_star": lambda n, k: (100.0, 50.0)}, "lies between 0 and 1"),
    Slip("ex-chain-star", "one number", {"orders_chain_star": lambda n: 1}, r"should return \(chain, star\)"),
    Slip("ex-orders", "no parents asked", {"count_orders": lambda parents: math.factorial(len(parents))},
         "comes before its parents"),
    Slip("ex-orders", "one order", {"count_orders": greedy_order}, "you count one order"),
    Slip("ex-orders", "level by level", {"count_orders": level_orders}, "level by level"),
    Slip("ex-orders", "counted twice", {"count_orders": double_counts}, "it should be"),
    Slip("ex-orders", "all permutations", {"count_orders": slow_orders}, "Look at each set of solved quantities once"),
    Slip("ex-objective", "accuracy", {"objective": lambda a: a}, "rises like the accuracy"),
    Slip("ex-objective", "half", {"objective": lambda a: math.asin(math.sqrt(a))}, "half of the group gradient's"),
    Slip("ex-objective", "sign", {"objective": lambda a: 2 * math.acos(math.sqrt(a))}, "its sign is reversed"),
    Slip("ex-objective", "log-odds", {"objective": lambda a: math.log(a / (1 - a))}, "like the log-odds"),
    Slip("ex-objective", "the coefficient", {"objective": lambda a: math.sqrt(a * (1 - a))}, "it should be"),
    Slip("ex-naive", "divides by zero", {"group_gradient": divides_blindly}, "holds nan"),
    Slip("ex-naive", "sum", {"group_gradient": with_factor(len)}, "divide by the group's size"),
    Slip("ex-naive", "sample deviation", {"group_gradient": with_factor(lambda r: math.sqrt((len(r) - 1) / len(r)))},
         "you divided by the sample deviation"),
    Slip("ex-naive", "no deviation", {"group_gradient": with_factor(np.std)}, "not divided by the standard deviation"),
    Slip("ex-naive", "sign", {"group_gradient": with_factor(lambda r: -1.0)}, "the sign is reversed"),
    Slip("ex-naive", "no baseline", {"group_gradient": without_mean}, "the mean reward is not subtracted"),
    Slip("ex-naive", "one group", {"self_influence": estimates(by_policy, None)}, "has to be drawn anew"),
    Slip("ex-naive", "even draws", {"self_influence": estimates(evenly, evenly)}, "with the policy's probabilities"),
    Slip("ex-naive", "sum over repeats", {"self_influence": summed}, "sum over the repeats"),
    Slip("ex-naive", "swapped", {"self_influence": lambda *given: one_step.self_influence(*given)[::-1]},
         "stand in the wrong order"),
    Slip("ex-excess", "every pair", {"naive_factor": lambda m, n, v: 1 + v / n}, "every pair the noise"),
    Slip("ex-excess", "one pair", {"naive_factor": lambda m, n, v: 1 + v / (m * m * n)}, "you count one pair"),
    Slip("ex-excess", "no rollouts", {"naive_factor": lambda m, n, v: 1 + v / m}, "the noise falls with the number"),
    Slip("ex-excess", "excess only", {"naive_factor": lambda m, n, v: v / (m * n)}, "1 plus the excess"),
    Slip("ex-excess", "not whole", {"rollouts_needed": lambda m, v, e: v / (m * e)}, "rollouts come in whole numbers"),
    Slip("ex-excess", "round down", {"rollouts_needed": lambda m, v, e: v // (m * e)}, "round up"),
    Slip("ex-excess", "no prompts", {"rollouts_needed": lambda m, v, e: math.ceil(v / e)}, "only M pairs with noise"),
    Slip("ex-sketch", "cells for every row", {"count_sketch": own_cells}, "all rows must share their cells"),
    Slip("ex-sketch", "overwritten", {"count_sketch": overwrites}, "must be added up"),
    Slip("ex-sketch", "no signs", {"count_sketch": unsigned}, "no number changes its sign"),
    Slip("ex-sketch", "scaled", {"count_sketch": scaled}, "must keep its size"),
    Slip("ex-sketch", "dense", {"count_sketch": dense}, "exactly one cell"),
    Slip("ex-sketch", "own seed", {"count_sketch": own_seed}, "draw them from `rng`"),
    Slip("ex-sketch", "mean", {"cosine_errors": cosine_errors(np.mean)}, "errors of both signs cancel"),
    Slip("ex-sketch", "mean square", {"cosine_errors": cosine_errors(lambda e: np.mean(e**2))}, "take its root"),
    Slip("ex-sketch", "no cosine", {"cosine_errors": cosine_errors(lambda e: np.sqrt(np.mean(e**2)), unit=False)},
         "theory expects about"),
    Slip("ex-sketch", "one seed", {"cosine_errors": cosine_errors(lambda e: np.sqrt(np.mean(e**2)), seeded=False)},
         "another seed gives the same error"),
    Slip("ex-none", "attempts", {"expected_reflections": lambda locked, p: p * len(locked)}, "you count every attempt"),
    Slip("ex-none", "no rate", {"expected_reflections": lambda locked, p: sum(locked)}, "nothing is attempted"),
    Slip("ex-none", "no attempt", {"chance_of_none": lambda locked, p: (1 - p) ** len(locked)}, "no reflection either"),
    Slip("ex-none", "some", {"chance_of_none": lambda locked, p: 1 - math.prod(1 - p * x for x in locked)},
         "the chance of at least one"),
    Slip("ex-none", "one minus the mean", {"chance_of_none": lambda locked, p: 1 - p * sum(locked)},
         "you subtract the expected number"),
    Slip("ex-own", "a function", {"InterimResult": lambda: None}, "a class that inherits from AddedBehavior"),
    Slip("ex-own", "every second", {"InterimResult": EverySecond}, "should hold it behind the steps"),
    Slip("ex-own", "one phrase", {"InterimResult": Parrot}, "reading gives another trace"),
    Slip("ex-own", "believes all", {"InterimResult": Trusting}, "and is judged right"),
    Slip("ex-own", "believes nothing", {"InterimResult": Suspicious}, "judged wrong"),
    Slip("ex-own", "never comes", {"InterimResult": Silent}, "never injected"),
    Slip("ex-own", "cannot read", {"InterimResult": Illiterate}, "a promise does not hold"),
    Slip("ex-signal", "at least one", {"mixed_chance": lambda a, n: 1 - (1 - a) ** n}, "for alpha = 1"),
    Slip("ex-signal", "same outcomes", {"mixed_chance": lambda a, n: a**n + (1 - a) ** n}, "for alpha = 0"),
    Slip("ex-signal", "variance", {"mixed_chance": lambda a, n: a * (1 - a)}, "a group of one rollout"),
    Slip("ex-signal", "one of each", {"mixed_chance": lambda a, n: n * a * (1 - a) * (n > 1)}, "it should be"),
    Slip("ex-signal", "even odds", {"best_accuracy": lambda n: 0.5}, "at even odds"),
    Slip("ex-signal", "one in N", {"best_accuracy": lambda n: 1 / n}, "elsewhere it adds up to"),
    Slip("ex-strict", "sign", {"lucky_share": lucky(sign=-1)}, "the sign is reversed"),
    Slip("ex-strict", "sum of seeds", {"lucky_share": lucky("sum")}, "you add the seeds up"),
    Slip("ex-strict", "splits together", {"lucky_share": lucky(keys=("arm", "stage"))}, "the index should have"),
    Slip("ex-strict", "of right answers", {"lucky_share": lucky(relative=True)}, "a share of the right answers"),
    Slip("ex-strict", "one number", {"lucky_share": lambda main: 0.1}, "a Series is asked for"),
    Slip("ex-baseline", "accuracy", {"best_baseline": lambda p, s, r: p @ r}, "this is the plain accuracy"),
    Slip("ex-baseline", "length", {"best_baseline": lambda p, s, r: p @ (abs(s) * r) / (p @ abs(s))},
         "its square decides"),
    Slip("ex-baseline", "unweighted", {"best_baseline": lambda p, s, r: s**2 @ r / (s**2).sum()},
         "weigh them by their probability"),
    Slip("ex-baseline", "no baseline", {"best_baseline": lambda p, s, r: 0.0}, "the best baseline is the accuracy"),
    Slip("ex-importance", "two samples", {"importance_change": two_samples}, "without a step"),
    Slip("ex-importance", "no baseline", {"importance_change": importance(lambda b, a: a / b - 1, lambda r: 0.0)},
         "no baseline is subtracted"),
    Slip("ex-importance", "own reward", {"importance_change": importance(lambda b, a: a / b - 1, np.mean)},
         "must not contain its own reward"),
    Slip("ex-importance", "upside down", {"importance_change": importance(lambda b, a: b / a - 1, others)},
         "upside down"),
    Slip("ex-importance", "sum", {"importance_change": importance(lambda b, a: a / b - 1, others, np.sum)},
         "take the mean"),
    Slip("ex-importance", "from the new policy",
         {"importance_change": importance(lambda b, a: a / b - 1, others, from_after=True)}, "before the step"),
    Slip("ex-head-start", "the end", {"gain_of_push": lambda a, d: reproduce.gain_of_push(a, d) + a},
         "where the arm ends"),
    Slip("ex-head-start", "first order", {"gain_of_push": lambda a, d: d * a * (1 - a)}, "tiny pushes only"),
    Slip("ex-head-start", "scales accuracy", {"gain_of_push": lambda a, d: a * math.exp(d) - a}, "not the accuracy"),
    Slip("ex-head-start", "constant", {"gain_of_push": lambda a, d: d}, "it should be"),
    Slip("ex-head-start", "even odds", {"best_start": lambda d: 0.5}, "a push leads away"),
    Slip("ex-head-start", "whole push", {"best_start": lambda d: 1 / (1 + math.exp(d))}, "another start gains"),
    Slip("ex-interval", "problems only", {"crossed_interval": bootstrap(seeds=False)}, "resample the seeds"),
    Slip("ex-interval", "seeds only", {"crossed_interval": bootstrap(problems=False)}, "resample the problems"),
    Slip("ex-interval", "problems of its own", {"crossed_interval": bootstrap(together=False)}, "serves all seeds"),
    Slip("ex-interval", "ninety", {"crossed_interval": bootstrap(tail=0.05)}, "a 90% interval"),
    Slip("ex-interval", "single values", {"crossed_interval": bootstrap(mean=False)}, "not of their mean"),
    Slip("ex-interval", "around zero", {"crossed_interval": lambda v, k, rng: (-v.std(), v.std())},
         "both ends are .25"),
    Slip("ex-two-graphs", "no constants", {"graphs_that_fit": fits(constant=False)}, "may be that number too"),
    Slip("ex-two-graphs", "equal results", {"graphs_that_fit": fits(distinct=False)}, "two different parents"),
    Slip("ex-two-graphs", "added", {"graphs_that_fit": fits(add=True)}, "one step over two stated numbers has one"),
    Slip("ex-two-graphs", "later steps", {"graphs_that_fit": looks_ahead}, "it should be"),
    Slip("ex-notes", "no parents", {"steps_from_notes": notes(parents=[], expression=None, value=None)},
         "the parents of empty are none"),
    Slip("ex-notes", "substrings", {"steps_from_notes": substring_parents}, "the parents of room are box, boxes"),
    Slip("ex-notes", "no computation", {"steps_from_notes": bare_statements}, "show the computation"),
    Slip("ex-notes", "no words", {"steps_from_notes": notes(about=None)}, "`about` is missing"),
    Slip("ex-notes", "the last line is lost", {"steps_from_notes": first_lines}, "every line of the notes"),
    Slip("ex-notes", "not a row", {"steps_from_notes": lambda question, text: text}, "a row is a dictionary"),
)
