"""The drawn graph: states are right at every step, drawings hold what their sentences say."""

import itertools
import xml.etree.ElementTree as ElementTree

import pytest

from bi.augmentation.trace import topological_order
from bi.graph_frames import describe, draw_frame, draw_steps, formula_text, lay_out, letters, name_table, states
from bi.streams import stream
from bi.tasks.expression import Num, Op, Ref
from bi.tasks.igsm import IGSMConfig, generate
from bi.tasks.problem import build_problem


@pytest.fixture
def small():
    formulas = {
        "x": Num(3),
        "y": Op("+", (Num(1), Ref("x"))),
        "z": Op("*", (Ref("x"), Ref("y"))),
        "spare": Op("+", (Ref("x"), Ref("y"))),
    }
    return build_problem("igsm", formulas, ["spare", "x", "y", "z"], "z")


def test_a_quantity_unlocks_when_its_last_parent_is_solved(small):
    assert states(small, ()) == {"x": "unlocked", "y": "locked", "z": "locked", "spare": "redundant"}
    assert states(small, ("x",))["y"] == "unlocked" and states(small, ("x",))["z"] == "locked"
    assert states(small, ("x", "y"))["z"] == "unlocked"
    assert set(states(small, ("x", "y", "z")).values()) == {"solved", "redundant"}


def test_along_any_order_each_step_was_unlocked_and_the_last_frame_is_solved():
    for index in range(30):
        problem = generate(IGSMConfig(4, 9), stream("frames", index))
        order = topological_order(problem, stream("order", index))
        for count, name in enumerate(order):
            assert states(problem, order[:count])[name] == "unlocked"
        assert not {"locked", "unlocked"} & set(states(problem, order).values())


def test_a_drawing_is_well_formed_and_shows_every_node_and_edge(small):
    frame = ElementTree.fromstring(draw_frame(small, ("x",)))
    texts = [element.text for element in frame.iter() if element.tag.endswith("text")]
    assert texts.count("redundant") == 1 and texts.count("locked") == 1 and "A = 3" in texts
    paths = [element for element in frame.iter() if element.tag.endswith("path")]
    assert len(paths) == sum(len(quantity.parents) for quantity in small.quantities)
    assert frame.attrib["aria-label"] == describe(small, ("x",)) == \
        "solved: A = 3; unlocked: B; locked: D; redundant: C"


def test_no_two_stops_overlap_and_arrows_lead_to_the_right():
    for index in range(40):
        problem = generate(IGSMConfig(5, 14), stream("layout", index))
        if len(problem.quantities) > 26:
            continue
        place = lay_out(problem)
        columns = {}
        for (_, behind), (x, y) in place.items():
            columns.setdefault(x, []).append((y, 26 if behind else 40))
        for column in columns.values():
            column.sort()
            assert all(y + height <= below for (y, height), (below, _) in itertools.pairwise(column))
        for quantity in problem.quantities:
            assert all(place[parent, 0][0] < place[quantity.name, 0][0] for parent in quantity.parents)


def test_frames_come_one_a_step_with_the_step_in_words(small):
    page = draw_steps(small, ("x", "y", "z"))
    ElementTree.fromstring(page)
    assert page.count("<svg") == 4 and "Step 2 solves B = 1 + A." in page and "<script" not in page
    ElementTree.fromstring(name_table(small))
    assert formula_text(small, "z") == "D = A * B" and letters(small)["z"] == "D"


def test_names_are_escaped_and_too_large_graphs_refused():
    problem = build_problem("igsm", {"A & B's <x>": Num(1)}, ["A & B's <x>"], "A & B's <x>")
    assert "A &amp; B&#x27;s &lt;x&gt;" in name_table(problem)
    many = {f"q{index}": Num(index) for index in range(27)}
    with pytest.raises(ValueError, match="27 quantities"):
        draw_frame(build_problem("igsm", many, list(many), "q0"), ())
