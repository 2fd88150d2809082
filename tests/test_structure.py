"""Structures of iGSM problems: what is worked out by number is what follows from the names alone."""

from __future__ import annotations

import random

import pytest

from bi.augmentation.english import EnglishWording
from bi.tasks.expression import Ref, parents_and_operations
from bi.tasks.igsm_config import IGSMConfig
from bi.tasks.plans import write
from bi.tasks.structure import Structure, draw_structure


def structures(seed: int, count: int, **options: object) -> list[Structure]:
    rng = random.Random(seed)
    config = IGSMConfig(15, 20, **options)  # pyright: ignore[reportArgumentType]
    return [draw_structure(config, rng.randint(1, 30), rng) for _ in range(count)]


@pytest.mark.parametrize("reach", [0, 1, 2, 3])
def test_totals_are_those_that_a_reader_of_the_stated_names_finds(reach: int) -> None:
    read = EnglishWording()
    for structure in structures(reach, 200, abstract_depth=reach):
        numbers = range(len(structure.order))
        names = structure.names(numbers)
        assert len(set(names.values())) == len(names)
        refs = {number: Ref(name) for number, name in names.items()}
        made = {names[n]: write(structure.total(n), refs) for n in numbers if structure.abstract[n]}
        found = read._totals([names[n] for n in numbers if not structure.abstract[n]])
        assert made == {name: formula for name, formula in found.items() if name in made}
        assert {number for number in numbers if structure.totals >> number & 1} == {
            number for number in numbers if structure.abstract[number]}
        below = dict.fromkeys(range(len(structure.entities)), 0)  # layers below each entity
        for owner, item in reversed(structure.layout.ends):
            below[owner] = below[item] + 1
        assert max(below.values()) == len(structure.categories) - 1
        assert len(made) == sum(min(reach, layers) for layers in below.values())


def test_definitions_look_back_and_sets_hold_what_they_drag_in() -> None:
    for structure in structures(7, 300):
        for number in range(len(structure.order)):
            assert structure.order[number] == structure.order[structure.place[structure.order[number]]]
            held, waiting = set(), [number]
            while waiting:
                top = waiting.pop()
                if top not in held:
                    held.add(top)
                    waiting += structure.total(top)[0] if structure.abstract[top] else ()
            assert max(held) == number  # a formula uses only what has a lower number
            closed = structure.closed(number)
            assert {bit for bit in range(closed.bit_length()) if closed >> bit & 1} == held
            refs = {n: Ref(str(n)) for n in range(len(structure.order))}
            costs = [parents_and_operations(write(structure.total(n), refs))[1] if structure.abstract[n] else 1
                     for n in held]
            assert structure.cost(closed) == sum(costs)


def test_every_owner_holds_an_item_and_every_edge_once() -> None:
    for structure in structures(11, 300):
        assert sorted(set(structure.edges)) == list(structure.edges)
        ends = structure.layout.ends
        assert {ends[place][0] for place in structure.edges} == set(range(len(structure.layout.spans)))
        lower = len(structure.entities) - len(structure.layout.spans)
        assert lower > 0 and max(item for _, item in ends) == len(structure.entities) - 1
