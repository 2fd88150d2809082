"""Random chains of thought in the style of GSM8K and in the steps format, with the turns that their readers know."""

from __future__ import annotations

import random
import re
from fractions import Fraction
from pathlib import Path

from bi.tasks.written import write_number

THINGS = ("clips", "red apples", "boxes in the shed", "dollars", "of them", "pages", "", "percent", "hours of work")
OPENINGS = ("There are", "So that makes", "Together they have", "In the evening she counts", "The rest comes to",
            "He adds it up:", "A. B. Smith finds", "It is")


def shared_sample(name: str) -> Path:
    """``shared/data/name`` in the repository or a folder above it; tests of it are skipped where it is absent."""
    here = Path(__file__).resolve()
    found = (folder / "shared" / "data" / name for folder in here.parents)
    return next((path for path in found if path.is_file()), here.parent / "no shared data" / name)


def gsm8k_row(rng: random.Random) -> dict[str, str]:
    """A question that states some numbers, and an answer whose calculations are right."""
    results: list[Fraction] = []
    lines, constants = [], []
    for number in range(rng.randint(1, 7)):
        parts = []
        for _ in range(rng.choice((1, 1, 1, 2))):
            left, value, used = _calculation(rng, results)
            constants += used
            results.append(value)
            parts.append(_written(rng, left, value))
        text = f"{rng.choice(OPENINGS)} {' and then '.join(parts)}{rng.choice(('.', '', '!'))}"
        if rng.random() < 0.2:
            text = f"Now comes part {'abcdefg'[number]}.\n{text}"
        lines.append(text)
    if rng.random() < 0.2:
        lines.append("And that is what was asked.")
    stated = [constant for constant in constants if rng.random() < 0.8]
    story = "".join(f" Somebody has {number} things{rng.choice(('.', ' a day.', ', and more.'))}" for number in stated)
    return {"question": f"A story.{story} How many in all?",
            "answer": "\n".join(lines) + f"\n#### {write_number(results[-1])}"}


def _calculation(rng: random.Random, results: list[Fraction]) -> tuple[str, Fraction, list[str]]:
    """A written calculation over earlier results and constants, its value, and the constants."""
    while True:
        used: list[str] = []
        tokens = []
        for index in range(rng.randint(2, 4)):
            if results and rng.random() < 0.5:
                number = write_number(rng.choice(results[-4:]))
            else:
                number = rng.choice((str(rng.randint(1, 40)), f"{rng.randint(1, 9)}.{rng.choice((5, 25, 75))}"))
                used.append(number)
            tokens += ([rng.choice("+-*/+*")] if index else []) + [number]
        if len(tokens) > 3 and rng.random() < 0.4:
            tokens[0:3] = ["(", *tokens[0:3], ")"]
        left = "".join(tokens)
        if "--" in left or "+-" in left or "*-" in left or "/-" in left or left.startswith(("-", "(-")):
            continue
        try:
            value = _exact(left)
        except ZeroDivisionError:
            continue
        if 0 <= value < 10**5 and (value * 10**4).denominator == 1:
            return left, value, used


def _exact(left: str) -> Fraction:
    return Fraction(eval(re.sub(r"(\d+(?:\.\d+)?)", r"Fraction('\1')", left)))


def _written(rng: random.Random, left: str, value: Fraction) -> str:
    text = write_number(value)
    sign = rng.choice(("", "", "$"))
    shown = {0: f"{left} = {sign}", 1: f"{left}={sign}", 2: f"{_spaced(left)} = {sign}", 3: sign}[rng.randrange(4)]
    return f"{shown}<<{left}={text}>>{text} {rng.choice(THINGS)}".rstrip()


def _spaced(left: str) -> str:
    return re.sub(r"([-+*/])", r" \1 ", left)


def steps_row(rng: random.Random) -> dict[str, object]:
    """A row in the steps format: steps with and without calculations, phrases and sources."""
    results: dict[str, Fraction] = {}
    ids: list[str] = []
    steps = []
    count = rng.randint(1, 7)
    for number in range(count):
        name = rng.choice((f"s{number}", f"step {number}", f"total_{number}"))
        parents = sorted(rng.sample(ids, min(len(ids), rng.randint(0, 2))))
        step: dict[str, object] = {"id": name, "parents": parents, "statement": f"Claim {number} follows."}
        if number == count - 1 or rng.random() < 0.8:
            numeric = [parent for parent in parents if parent in results]
            operands = [f"{{{parent}}}" for parent in numeric] + [str(rng.randint(1, 30)) for _ in range(2)]
            rng.shuffle(operands)
            signs = [rng.choice("+*") for _ in operands[1:]] + [""]
            expression = " ".join(f"{operand} {sign}" for operand, sign in zip(operands, signs, strict=True)).strip()
            shown = expression
            for parent in numeric:
                shown = shown.replace(f"{{{parent}}}", write_number(results[parent]))
            results[name] = _exact(shown)
            value = write_number(results[name])
            shown = rng.choice((f"{shown} = {value}", f"{shown.replace(' ', '')}={value}", value, "a number"))
            step |= {"expression": expression, "value": int(value), "statement": f"Line {number} gives {shown} items."}
        if rng.random() < 0.4:
            step["about"] = rng.choice(("the items of the day", f"the amount in part {number}"))
        steps.append(step)
        ids.append(name)
    return {"question": "A story with 3 and 5 and 12 items. How many?", "steps": steps,
            "answer": write_number(results[ids[-1]])}
