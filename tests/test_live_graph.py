"""The graph that is stepped through: eight chains of thought, each frame that of its moment, one switch at a time."""

import json
import re
from itertools import combinations

import pytest

from bi.augmentation.behaviors import BEHAVIORS, counts, strip
from bi.augmentation.trace import check_trace
from bi.augmentation.wording import get_wording
from bi.graph_frames import describe, node_words, states
from bi.live.embed import data_script
from bi.live.graph_steps import behavior_sets, chain_data, graph_steps, moments, trace_with
from bi.streams import stream
from bi.tasks.igsm import IGSMConfig, generate

ENGLISH = get_wording("english")


@pytest.fixture(scope="module")
def problems():
    return [generate(IGSMConfig(5, 9), stream("live graph", index)) for index in range(12)]


def test_every_choice_of_behaviours_is_legal_holds_no_others_and_tells_one_plain_chain(problems):
    assert len(set(behavior_sets())) == 8
    for problem in problems:
        plain = trace_with(problem, (), 0)
        for chosen in behavior_sets():
            trace = trace_with(problem, chosen, 0)
            check_trace(trace, problem)
            assert {name for name, number in counts(trace).items() if number} <= set(chosen)
            assert strip(trace, problem) == plain


def test_a_switch_leaves_the_places_of_the_others(problems):
    for problem in problems:
        whole = trace_with(problem, BEHAVIORS, 0)
        for off, kept in zip(reversed(BEHAVIORS), combinations(BEHAVIORS, 2), strict=True):
            part = trace_with(problem, kept, 0)
            if off != "reflection":  # which adds and moves steps
                assert [(step.name, step.kind) for step in part.steps] == \
                    [(step.name, step.kind) for step in whole.steps]
            assert counts(part)[off] == 0


def test_each_moment_is_drawn_as_the_states_say(problems):
    for problem in problems:
        data = chain_data(problem, ENGLISH, 0)
        for chosen in behavior_sets():
            trace = trace_with(problem, chosen, 0)
            steps = data["chains"]["+".join(chosen)]
            found = list(moments(problem, trace, ENGLISH))
            assert len(steps) == len(found) == len(trace.steps) + 1
            assert [f"- {step['line']}" for step in steps[1:]] == ENGLISH.lines(trace, problem)
            for step, moment in zip(steps, found, strict=True):
                at = moment.step.name if moment.step else ""
                assert data["frames"][step["frame"]] == node_words(problem, moment.solved, at, moment.tried)
                assert step["said"] == describe(problem, moment.solved)
            assert not {"locked", "unlocked"} & set(states(problem, found[-1].solved).values())


def test_what_a_step_did_is_told_by_its_kind(problems):
    told = [moment for problem in problems for moment in moments(problem, trace_with(problem, BEHAVIORS, 0), ENGLISH)]
    kinds = {"solve": "solves", "reflect": "It goes back.", "recall": "ahead of its turn"}
    assert {moment.step.kind for moment in told if moment.step} == set(kinds)
    assert all(kinds[moment.step.kind] in moment.told for moment in told if moment.step)
    assert all(moment.tried == ("goes back" in moment.told) for moment in told)


def test_without_scripts_the_plain_chain_is_drawn_and_the_full_one_is_text(problems):
    page = graph_steps(problems[:2], ENGLISH)
    static = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    for problem in problems[:2]:
        assert static.count("<svg") == sum(len(p.needed) + 1 for p in problems[:2])
        last = ENGLISH.lines(trace_with(problem, BEHAVIORS, 0), problem)[-1]
        assert last.removeprefix("- ").replace("'", "&#x27;") in static


def test_no_text_can_end_the_data():
    script = data_script({"line": "</script><b>"})
    assert script.count("</script>") == 1
    assert json.loads(script.partition(">")[2].rpartition("<")[0]) == {"line": "</script><b>"}
