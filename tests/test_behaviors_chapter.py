"""The chapter on behaviours in trained models says what the counts of lines say."""

import numpy as np
import pandas as pd
import pytest
from book_cases import line_counts

from bi.behaviors_chapter import (
    RARE,
    against_plain,
    behavior_facts,
    certainty_rows,
    common_kinds,
    entropy_split,
    fate_rows,
    learned_rows,
    moves,
)
from bi.evaluation.composition import kinds_of, split_change
from bi.evaluation.lines import SUMS, line_table

SEEDS, PROBLEMS = (0, 1, 2), 8


def counts(cells):
    """Counts of lines: ``cells[kind] = ((lines, right, tokens, nats a token), the same after RL)`` a completion."""
    rows = []
    for stage, place in (("sft", 0), ("rl", 1)):
        for seed in SEEDS:
            for problem in range(PROBLEMS):
                whole = np.zeros(5)
                for kind, ends in cells.items():
                    lines, right, tokens, nats = ends[place]
                    more = 1 + 0.02 * ((problem + seed) % 3 - 1)
                    sums = np.array([4 * lines, 4 * right, 4 * tokens, 4 * tokens * nats * more, 4 * tokens * nats])
                    whole += sums
                    rows.append((seed, stage, f"p{problem}", kind, *sums))
                rows.append((seed, stage, f"p{problem}", "all", *whole))
    table = pd.DataFrame(rows, columns=["seed", "stage", "problem_id", "kind", "lines", "right", "tokens", "entropy",
                                        "nats"])
    table = table.assign(arm="bridge", split="id", completions=4, judged=table["lines"])
    return table[["arm", "seed", "stage", "split", "problem_id", "kind", *SUMS]]


LINES = line_table(counts({
    "plain": ((5, 4, 40, 0.2), (6, 5, 48, 0.1)), "subgoal": ((1, 0.5, 16, 0.1), (3, 2, 48, 0.1)),
    "analysis+subgoal": ((2, 0.5, 30, 0.3), (0.2, 0.1, 3, 0.3)), "reflection": ((2, 0.2, 10, 0.9), (2, 0.2, 10, 0.8)),
    "recall": ((0.01, 0, 0.1, 0.5), (0.01, 0, 0.1, 0.5)),
}), resamples=100)


def test_the_parts_of_a_change_add_up_and_belong_to_what_changed():
    rng = np.random.default_rng(0)
    for _ in range(50):
        ends = [{kind: (float(rng.integers(0, 9)), float(rng.random())) for kind in "abcd"} | {"e": (1.0, 0.5)}
                for _ in range(2)]
        means = [sum(n * value for n, value in end.values()) / sum(n for n, _ in end.values()) for end in ends]
        parts, back = split_change(*ends), split_change(*reversed(ends))
        assert sum(parts) == pytest.approx(means[1] - means[0])
        assert back == pytest.approx(tuple(-part for part in parts))
    still = {"a": (3.0, 0.1), "b": (1.0, 0.9)}
    assert split_change(still, {"a": (3.0, 0.2), "b": (1.0, 0.4)})[0] == 0
    assert split_change(still, {"a": (1.0, 0.1), "b": (7.0, 0.9)})[1] == 0
    assert split_change(still, {"a": (4.0, 0.1)})[1] == 0
    with pytest.raises(ValueError, match="no tokens"):
        split_change(still, {})


def test_rare_kinds_are_left_out_and_the_whole_stays():
    common = common_kinds(LINES)
    assert set(common["kind"]) == {"plain", "subgoal", "analysis+subgoal", "reflection", "all"} and RARE < 0.05
    assert "recall" in set(LINES["kind"])


def test_entropies_and_perplexities_are_those_of_the_counts():
    rows = certainty_rows(LINES).set_index("tokens")
    assert rows.loc["plain", "entropy, SFT"].startswith("0.2") and rows.loc["plain", "entropy, RL"].startswith("0.1")
    assert rows.loc["reflection", "perplexity, SFT"].startswith(f"{np.exp(0.9):.3f}")
    beside = against_plain(LINES).set_index("tokens")
    assert beside.loc["reflection", "after SFT"].startswith("less sure")
    assert beside.loc["subgoal", "after SFT"].startswith("surer") and "plain" not in beside.index


def test_fates_moves_and_shares_of_right_lines_are_told_by_rule():
    rows = fate_rows(LINES).set_index("kind")
    assert rows["fate"][["subgoal", "analysis+subgoal", "reflection"]].tolist() == ["amplified", "pruned", "kept"]
    assert rows.loc["subgoal", "right after RL"] == "more often"
    assert moves(LINES) == "RL moves subgoal out of analysis+subgoal lines into subgoal lines."
    alone = LINES[LINES["kind"].isin(("plain", "all"))]
    assert moves(alone) == "RL moves no behaviour from one kind of line to another."


def test_a_fall_of_entropy_is_told_apart_from_a_change_of_style():
    between, within = split_change(*(kinds_of(LINES, "bridge", stage, "id") for stage in ("sft", "rl")))
    whole = LINES[(LINES["kind"] == "all") & (LINES["metric"] == "entropy")].set_index("stage")["value"]
    assert between + within == pytest.approx(whole["rl"] - whole["sft"], abs=1e-4) and within < 0
    row = entropy_split(LINES).iloc[0]
    assert row["change"] == f"{1000 * (between + within):+.1f}".replace("-", "\N{MINUS SIGN}")


def test_counts_in_data_stand_beside_those_of_both_checkpoints():
    table = pd.DataFrame([("bridge", seed, stage, split, "n_subgoal", value + seed) for seed in (0, 1)
                          for stage, split, value in (("data", "train", 2), ("sft", "id", 3), ("sft", "ood", 9),
                                                      ("rl", "id", 4))],
                         columns=["arm", "seed", "stage", "split", "metric", "value"])
    assert learned_rows(table).iloc[0].tolist() == ["bridge", "subgoals", "2.50", "3.50", "4.50"]


def test_texts_have_the_same_names_with_and_without_tables():
    facts = behavior_facts(LINES)
    assert facts["read"] == f"{2 * 4 * len(SEEDS) * PROBLEMS} completions" and float(facts["gap"]) < 0.01
    missing = behavior_facts(None)
    assert set(missing) == set(facts) and "Not measured yet" in missing["moves"]
    assert all(rows(None).empty for rows in (certainty_rows, against_plain, fate_rows, entropy_split, common_kinds))
    random = line_table(line_counts(np.random.default_rng(1)), resamples=20)
    assert len(certainty_rows(random)) and len(entropy_split(random)) == 2
