"""The problems, keys and texts that given streams draw are fixed to the byte: published models were trained on them.

A digest that changes here means that every table made from drawn problems has to be made anew.
"""

import dataclasses
import hashlib

import pytest

from bi.augmentation.arms import build_problems, build_rows
from bi.augmentation.wording import get_wording
from bi.recipes import BehaviorRates, TaskRecipe
from bi.streams import stream, stream_seed
from bi.tasks.igsm import IGSMConfig, generate

DRAWS = {
    "one": (IGSMConfig(1, 1), 60),
    "small": (IGSMConfig(2, 5), 60),
    "paper": (IGSMConfig(15, 20), 120),
    "validation": (IGSMConfig(21, 25), 40),
    "largest": (IGSMConfig(30, 30), 15),
    "modulus": (IGSMConfig(5, 12, modulus=23), 60),
    "skewed": (IGSMConfig(8, 12, live=False, skewed=True, constants=(0, 9)), 60),
    "compact": (IGSMConfig(3, 8, modulus=23, compact=True), 60),
    "dense": (IGSMConfig(3, 8, modulus=23, compact=True, abstract_depth=1, operands=(1, 2, 5, 4), reuse=0.7), 60),
    "plain sums": (IGSMConfig(8, 8, modulus=23, compact=True, abstract_depth=1, redundant=(0, 3)), 60),
}


def digest(parts) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(repr(part).encode() + b"\n")
    return whole.hexdigest()[:16]


def problems_digest(config: IGSMConfig, count: int) -> str:
    wording = get_wording("compact" if config.compact else "english")
    drawn = [generate(config, stream("golden", index)) for index in range(count)]
    return digest((p.quantities, p.premises, p.target, p.modulus, p.n_ops, p.key(), wording.prompt(p)) for p in drawn)


def rows_digest(task: TaskRecipe, arm: str, rates: BehaviorRates, count: int) -> str:
    task = dataclasses.replace(task, sft_rows=count, rl_prompts=20, test_problems=20)
    return digest(build_rows(build_problems(task, "sft", count, 0), arm, task, rates, 0))


ENGLISH = TaskRecipe(wording="english", train_ops=(15, 20), id_ops=(20, 20), ood_ops=(25, 25))
COMPACT = TaskRecipe(
    train_ops=(3, 5),
    id_ops=(5, 5),
    ood_ops=(7, 7),
    options=(
        ("modulus", 23), ("compact", True), ("abstract_depth", 1), ("operands", (2, 3, 5, 4)), ("redundant", (1, 4))
    ),
)
SHORT = dataclasses.replace(COMPACT, train_ops=(2, 3), id_ops=(3, 3), ood_ops=(4, 4))
EXPLORING = BehaviorRates(reflection=0.3)
STRICT = BehaviorRates(reflection=0.3, strict=True)
ROWS = {
    "english vanilla": (ENGLISH, "vanilla", EXPLORING, 60),
    "english bridge": (ENGLISH, "bridge", EXPLORING, 60),
    "english strict": (ENGLISH, "bridge", STRICT, 30),
    "compact bridge": (COMPACT, "bridge", EXPLORING, 60),
    "compact vanilla": (COMPACT, "vanilla", BehaviorRates(), 60),
    "short bridge": (SHORT, "bridge", BehaviorRates(), 60),
}

GOLDEN = {
    "one": "44c8851ab6c9ed8a",
    "small": "1c67a14dfa52c92a",
    "paper": "655ebcebb10ee793",
    "validation": "99314cb29993ead7",
    "largest": "86eb58d76fdc0cd6",
    "modulus": "11edda7db31ae3ee",
    "skewed": "151a0b9709ac2b27",
    "compact": "f895fd28178d2050",
    "dense": "a28bfbf0bbad28c9",
    "plain sums": "4bc48365d5053029",
    "english vanilla": "5f6df51167ba1422",
    "english bridge": "48c32f3614a2de0f",
    "english strict": "c503625afca8ceab",
    "compact bridge": "371ef040cb636ab7",
    "compact vanilla": "990d3f13a2db5876",
    "short bridge": "2698437590d7b601",
}


@pytest.mark.parametrize("name", DRAWS)
def test_problems_are_the_same_to_the_byte(name):
    assert problems_digest(*DRAWS[name]) == GOLDEN[name]


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_the_same_to_the_byte(name):
    assert rows_digest(*ROWS[name]) == GOLDEN[name]


def test_streams_are_the_same():
    assert stream_seed(0, "sft", 17) == 180340087629325346129886928603732455994
    assert stream(0, "sft", 17).random() == 0.22336543448638657
