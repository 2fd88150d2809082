"""Lines of completions: tokens go to the kind of line they stand in, and rates are sums over sums with intervals."""

import math

import numpy as np
import pandas as pd
import pytest
from training_cases import compact_policy, prompt_rows, sft_rows

from bi.augmentation.reading import Line
from bi.augmentation.segments import TOKEN_KINDS, judged, kinds_at, line_kind, segments
from bi.augmentation.wording import get_wording
from bi.evaluation.lines import count_lines, fate, line_table
from bi.evaluation.token_numbers import token_ends, token_numbers
from bi.training.policy import encode_completion, encode_prompt
from bi.training.sampler import sample

PROMPT = "%23 D1 2 . D2 3 * ( N1 + N3 ) . D3 N1 + 4 . ? N2 :"
COMPACT = get_wording("compact")
HAND_MADE = "D1 2 = V1 2 . D2 N1 + N3 ; ? N3 . D3 N1 + 4 ; 2 + 4 = V3 6 . D2 3 * ( 2 + 6 ) = 3 * 8 = V2 1 . V1 2 . ! 1"


def pieces(completion):
    cut = segments(completion, COMPACT.read(completion).lines)
    return [(segment.kind, completion[segment.start:segment.end].strip()) for segment in cut]


def test_a_hand_made_completion_is_cut_where_its_behaviours_begin_and_end():
    assert pieces("D1 2 = V1 2 . D2 3 * ( 2 + ? N3 . D3 N1 + 4 ; 2 + 4 = V3 6 . "
                  "D2 3 * ( N1 + N3 ) ; 3 * ( 2 + 6 ) = 3 * 8 = V2 1 . V1 2 . what is this . ! 1") == [
        ("plain", "D1 2 = V1 2 ."), ("reflection", "D2 3 * ( 2 + ? N3 ."), ("restating", "D3 N1 + 4 ;"),
        ("analysis", "2 + 4 = V3 6 ."), ("restating", "D2 3 * ( N1 + N3 ) ;"),
        ("analysis+subgoal", "3 * ( 2 + 6 ) = 3 * 8 = V2 1 ."), ("recall", "V1 2 ."),
        ("unreadable", "what is this ."), ("answer", "! 1")]
    assert pieces("") == [] and pieces("! 3") == [("answer", "! 3")]


@pytest.mark.parametrize("wording", ["compact", "english", "dyval", "english_plural"])
def test_segments_leave_no_gap_whatever_the_text(wording):
    words = get_wording(wording)
    texts = [row["completion"] for row in sft_rows(6)] + ["", ".", "; . ;", "<think>\n- So.\n</think>", HAND_MADE[:37]]
    for text in texts:
        cut = segments(text, words.read(text).lines)
        assert "".join(text[segment.start:segment.end] for segment in cut) == text
        assert all(segment.kind in TOKEN_KINDS for segment in cut)
        assert len(kinds_at(range(len(text)), cut)) == len(text)


def test_a_line_of_an_added_behaviour_is_called_by_its_kind():
    assert line_kind(Line("check", "a")) == "check" and line_kind(Line("reflect", "a")) == "reflection"


def test_lines_behind_a_slip_are_not_judged():
    problem = COMPACT.read_problem(PROMPT)
    found = list(judged(COMPACT.steps("D1 2 = V1 2 . D3 2 + 4 = V3 7 . D2 3 * ( 2 + 7 ) = V2 4 . ! 4", problem)))
    assert found == [("plain", True, True), ("plain", True, False), ("plain", False, False)]


def one_token_a_word(text, entropy=0.5, cost=1.0):
    ends = [len(" ".join(text.split(" ")[:count + 1])) + 1 for count in range(len(text.split(" ")))]
    return ends, [entropy] * len(ends), [cost] * len(ends)


def hand_made_counts(*texts):
    rollouts = pd.DataFrame({"problem_id": "p", "prompt": PROMPT, "completion": list(texts)})
    ends, entropies, costs = zip(*map(one_token_a_word, texts), strict=True)
    return count_lines(rollouts, "compact", ends, entropies, costs).set_index("kind")


def test_counts_of_hand_made_rollouts_are_those_of_counting_by_hand():
    wrong = "D1 2 = V1 3 . D3 2 + 4 = V3 6 . ! 6"
    found = hand_made_counts("D1 2 = V1 2 . D3 N1 + 4 ; 2 + 4 = V3 6 . ! 6", wrong)
    assert found.loc["plain", ["completions", "lines", "judged", "right", "tokens"]].tolist() == [2, 3, 2, 1, 6 + 14]
    assert found.loc["analysis", ["lines", "judged", "right", "tokens"]].tolist() == [1, 1, 1, 7]
    assert found.loc["restating", ["lines", "tokens"]].tolist() == [0, 5]
    assert found.loc["answer", "tokens"] == 4 and found.loc["all", "tokens"] == 36 and found.loc["all", "lines"] == 4
    assert found.loc["all", "entropy"] == 18 and found.loc["all", "nats"] == 36


def grid(change=0.0, seeds=(0, 1), problems=40):
    """Counts in which a completion has one plain line, and ``change`` more reflections after RL than before."""
    rng, rows = np.random.default_rng(0), []
    for seed in seeds:
        for stage in ("sft", "rl"):
            for place in range(problems):
                lines = rng.binomial(4, 0.5) + 4 * change * (stage == "rl")
                common = {"arm": "bridge", "seed": seed, "stage": stage, "split": "id", "problem_id": f"p{place}",
                          "completions": 4}
                rows += [{**common, "kind": "reflection", "lines": lines, "judged": lines, "right": lines / 2,
                          "tokens": 5 * lines, "entropy": lines, "nats": lines},
                         {**common, "kind": "answer", "lines": 0, "judged": 0, "right": 0, "tokens": 8, "entropy": 0.8,
                          "nats": 0.4}]
    return pd.DataFrame(rows)


def test_rates_are_sums_over_sums_and_changes_have_intervals_and_a_fate():
    counts = grid(change=0.5)
    table = line_table(counts, resamples=200).set_index(["stage", "kind", "metric"])
    before = counts[(counts["stage"] == "sft") & (counts["kind"] == "reflection")]
    found = table.loc["sft", "reflection", "per_completion"]
    assert found["value"] == pytest.approx(before["lines"].sum() / before["completions"].sum())
    assert found["low"] < found["value"] < found["high"] and found["n"] == before["completions"].sum()
    assert table.loc[("rl", "reflection", "right"), "value"] == pytest.approx(0.5)
    assert table.loc[("sft", "answer", "entropy"), "value"] == pytest.approx(0.1)
    assert ("sft", "answer", "right") not in table.index
    assert fate(table.loc["change", "reflection", "per_completion"]) == "amplified"
    back = counts.assign(stage=counts["stage"].map({"sft": "rl", "rl": "sft"}))
    turned = line_table(back, resamples=200).set_index(["stage", "kind", "metric"])
    assert fate(turned.loc["change", "reflection", "per_completion"]) == "pruned"
    same = line_table(grid(), resamples=200).set_index(["stage", "kind", "metric"])
    assert fate(same.loc["change", "reflection", "per_completion"]) == "kept"
    assert same.loc[("change", "reflection", "per_completion"), "p"] > 0.05


def test_token_numbers_are_those_that_the_sampler_saw():
    policy = compact_policy(initializer_range=0.3)
    prompts = [encode_prompt(policy.tokenizer, row["prompt"]) for row in prompt_rows(3)]
    drawn = sample(policy.model, prompts, 2, max_new_tokens=12, temperature=1.0, eos_id=policy.eos_ids,
                   pad_id=policy.pad_id, keys=list(range(6)))
    repeated = [prompt for prompt in prompts for _ in range(2)]
    for rows in (2, 64):
        entropies, costs = token_numbers(policy, repeated, drawn.ids, rows=rows)
        for index in range(6):
            assert entropies[index] == pytest.approx(drawn.entropies[index], abs=1e-4)
            assert costs[index] == pytest.approx([-value for value in drawn.logprobs[index]], abs=1e-4)
    assert max(map(max, entropies)) < math.log(len(policy.tokenizer)) + 1e-6


def test_tokens_end_where_their_words_do_by_either_way():
    policy = compact_policy()
    for text in (HAND_MADE, "! 4"):
        ids = [*encode_completion(policy.tokenizer, text)]
        ends = token_ends(policy, ids)
        assert len(ends) == len(ids) and ends[-1] == len(text)
        assert [text[start:end].strip() for start, end in zip([0, *ends], ends, strict=False)][:len(text.split())] == (
            text.split())
