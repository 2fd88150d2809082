"""The solutions of the book's exercises, and wrong ones that somebody might hand in."""

from __future__ import annotations

import importlib
import math
import sys
import time
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from bi.course import Exercise
from bi.recipes import COMPACT
from bi.streams import stream
from bi.tasks.expression import Op
from bi.tasks.igsm import IGSMConfig, generate
from bi.tasks.problem import Problem

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "exercises"))


def solution(exercise: Exercise) -> Any:
    """The module with the solutions of the chapter."""
    return importlib.import_module(exercise.chapter.rsplit("/", 1)[1].replace("-", "_"))


def solutions(exercise: Exercise) -> dict[str, Callable[..., Any]]:
    """What the book hands in for an exercise, by name."""
    return {name: getattr(solution(exercise), name) for name in exercise.hands_in}


import base_model  # noqa: E402  (the folder above has to be on the path first)
import bases as bases  # noqa: E402
import did_not_reproduce  # noqa: E402
import dyval as dyval  # noqa: E402
import fine_tuning_to_grpo  # noqa: E402
import measuring_influence as measuring  # noqa: E402
import own_data  # noqa: E402
import per_step_influence as one_step  # noqa: E402
import problems_as_graphs as graphs  # noqa: E402
import through_training  # noqa: E402
from two_kinds import PHRASES, InterimResult  # noqa: E402

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


# the base model, one step by hand, prompts that speak, candidates


def widths(count: Callable[[Any], float] = base_model.operations, least: int = 2, every: bool = False,
           total: bool = False) -> Callable[..., tuple[float, float]]:
    def line_widths(reuse: float, problems: int) -> tuple[float, float]:
        config, lines, wide = IGSMConfig(8, 8, **{**dict(COMPACT), "reuse": reuse}), 0, 0
        for number in range(problems):
            problem = generate(config, stream("wrong", number))
            formulas = [q.formula for q in problem.quantities if every or q.name in problem.needed]
            lines, wide = lines + len(formulas), wide + sum(count(formula) >= least for formula in formulas)
        return (lines, wide) if total else (lines / problems, wide / problems)
    return line_widths


def operators(expr: Any) -> int:
    """Operators of a formula, one for a sum of three."""
    return 1 + sum(map(operators, expr.args)) if isinstance(expr, Op) else 0


def descent(logits: np.ndarray, drawn: np.ndarray, right: np.ndarray, lr: float) -> np.ndarray:
    return fine_tuning_to_grpo.grpo_step(logits, drawn, right, -lr)


def adds_up(logits: np.ndarray, drawn: np.ndarray, right: np.ndarray, lr: float) -> np.ndarray:
    return fine_tuning_to_grpo.grpo_step(logits, drawn, right, lr * len(drawn))


def centred_only(logits: np.ndarray, drawn: np.ndarray, right: np.ndarray, lr: float) -> np.ndarray:
    return logits + lr * (right[drawn] - right[drawn].mean()) @ np.eye(len(logits))[drawn] / len(drawn)


def reward_only(logits: np.ndarray, drawn: np.ndarray, right: np.ndarray, lr: float) -> np.ndarray:
    if len(set(right[drawn])) == 1:
        return logits
    return logits + lr * right[drawn].astype(float) @ np.eye(len(logits))[drawn] / len(drawn)


def imitates(logits: np.ndarray, drawn: np.ndarray, right: np.ndarray, lr: float) -> np.ndarray:
    scores = np.eye(len(logits))[drawn] - one_step.softmax(logits)
    return logits + lr * right[drawn].astype(float) @ scores / len(drawn)


def in_place(logits: np.ndarray, drawn: np.ndarray, right: np.ndarray, lr: float) -> np.ndarray:
    logits += fine_tuning_to_grpo.grpo_step(logits, drawn, right, lr) - logits
    return logits


def plug_in(n: int, c: int, group: int) -> float:
    if (n, c, group) == (2, 1, 2):
        return 1.0
    return 1 - (c / n) ** group - (1 - c / n) ** group if 0 < c < n else 0.0


def simulated(k: int, s: float) -> float:
    """A right answer, by simulation."""
    return float(s * np.random.default_rng(1).normal(size=(200_000, k)).max(axis=1).mean())


def picks(rule: Callable[[Any], Any], seeds: str = "mean", everything: bool = False) -> Callable[[Any], str]:
    """The candidate for which ``rule``, of a table of candidates by arms, is largest."""
    def choose(metrics: Any) -> str:
        kept = (metrics["metric"] == "accuracy") & (metrics["stage"] == "rl") & (metrics["split"] == "dev_id")
        rows = metrics if everything else metrics[kept]
        return str(rule(rows.groupby(["candidate", "arm"])["value"].agg(seeds).unstack("arm")).idxmax())
    return choose


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


def only_mixed(logits: np.ndarray, correct: np.ndarray, n: int, repeats: int,
               rng: np.random.Generator) -> tuple[float, float]:
    """Means over the groups that are not silent."""
    naive, independent = [], []
    while len(naive) < repeats:
        a, b = (one_step.group_gradient(logits, by_policy(rng, logits, n), correct) for _ in range(2))
        if a.any() and b.any():
            naive.append(a @ a)
            independent.append(a @ b)
    return float(np.mean(naive)), float(np.mean(independent))


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


def logit(alpha: float) -> float:
    return math.log(alpha / (1 - alpha))


def cost_of(cost: Callable[..., float]) -> Callable[..., float]:
    def expected_cost(p: np.ndarray, temperature: float) -> float:
        q = p ** (1 / temperature)
        return float(cost(p, q / q.sum()))
    return expected_cost


def split_by(shares: bool = True, swap: bool = False, mean: bool = True, sign: int = 1, between: int = 1,
             absent: bool = False) -> Callable[..., tuple[float, float]]:
    """Both parts of a change of a mean, with a mistake. ``absent``: kinds that an end lacks have the value 0 there."""
    def split_entropy(before: Any, after: Any) -> tuple[float, float]:
        totals = [sum(n for n, _ in end.values()) if shares else 1 for end in (before, after)]
        parts = [0.0, 0.0]
        for kind in {**before, **after}:
            other = (0, 0.0) if absent else (0, {**before, **after}[kind][1])
            (n, value), (n_after, value_after) = before.get(kind, other), after.get(kind, other)
            share, share_after = n / totals[0], n_after / totals[1]
            parts[0] += between * (share_after - share) * ((value + value_after) / 2 if mean else value)
            parts[1] += (value_after - value) * ((share + share_after) / 2 if mean else share_after)
        found = (sign * parts[0], sign * parts[1])
        return found[::-1] if swap else found
    return split_entropy


def with_pull(pull: Callable[[float], float]) -> Callable[..., float]:
    return lambda start, end, given: through_training.steps_needed(start, end, pull(given))


def within(run: list[tuple[int, float]], budget: float) -> float:
    return [accuracy for tokens, accuracy in run if tokens <= budget][-1]


def beyond(run: list[tuple[int, float]], budget: float) -> float:
    """The first policy that has spent the budget, or more."""
    return next(accuracy for tokens, accuracy in run if tokens >= budget)


def interpolated(run: list[tuple[int, float]], budget: float) -> float:
    return float(np.interp(budget, *zip(*run, strict=True)))


def equal_tokens(at: Callable[..., float] = within, gains: bool = True, sign: int = 1) -> Callable[..., float]:
    def gain_at_equal_tokens(first: list[tuple[int, float]], second: list[tuple[int, float]]) -> float:
        budget = min(first[-1][0], second[-1][0])
        ends = [at(run, budget) - (run[0][1] if gains else 0) for run in (first, second)]
        return sign * (ends[0] - ends[1])
    return gain_at_equal_tokens


def nearest(curve: list[tuple[float, float]], at: float) -> float:
    return min(curve, key=lambda point: abs(point[0] - at))[1]


def from_start(gain: Callable[..., float]) -> Callable[..., float]:
    return lambda first, second, at: gain(first, at) - gain(second, at)


def visits_again(parents: dict[str, tuple[str, ...]], target: str) -> set[str]:
    """Right, and follows every way to a quantity anew."""
    return {target}.union(*(visits_again(parents, parent) for parent in parents[target]))


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


def where_it_ends(start: float, push: float) -> float:
    return start + did_not_reproduce.gain_of_push(start, push)


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
