"""Claims are decided by their tables alone, open where there is none, and shown as they were decided."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from book_cases import line_counts

from bi import evidence_figures as figures
from bi.chapter import UNMEASURED
from bi.evaluation.claims import CLAIMS, judge_claims
from bi.evaluation.findings import HOLDS, IN_PART, NOT_RUN, OPEN, OPPOSITE, UNSEEN, combined
from bi.evaluation.lines import line_table
from bi.evaluation.passes import JUDGED, count_passes, passes_table
from bi.evidence_chapters import (
    _right_text,
    ablation_facts,
    claim_facts,
    differences,
    drawing,
    fates,
    line_facts,
    order_facts,
    pass_rows,
    rows_text,
)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def ablation(values, p=0.001):
    """Rows of ``ablation``: (arm, versus, stage, how): value with an interval of five points to either side."""
    rows = [{"how": how, "arm": arm, "versus": versus, "stage": stage, "split": split, "value": value,
             "low": value - 0.05, "high": value + 0.05, "p": p, "p_holm": p, "n": 900, "method": "95% bootstrap"}
            for (arm, versus, stage, how), value in values.items() for split in ("id", "ood")]
    return pd.DataFrame(rows)


def finding(key, **tables):
    return judge_claims(lambda name: tables.get(name.replace("/", "_")))[key]


def test_claims_have_keys_tests_and_refutations_of_their_own():
    assert len({claim.key for claim in CLAIMS}) == len(CLAIMS)
    assert all(claim.test and claim.refuted and claim.by in ("paper", "reviewers", "book") for claim in CLAIMS)


def test_without_tables_everything_is_open():
    found = judge_claims(lambda name: None)
    assert {(one.seen, one.verdict) for one in found.values()} == {(NOT_RUN, OPEN)}


def test_comparisons_are_combined_into_one_verdict():
    assert combined(["supported", "supported"]) == HOLDS
    assert combined(["supported", "undecided"]) == combined(["supported", "contradicted"]) == IN_PART
    assert combined(["undecided", "contradicted"]) == combined(["undecided"]) == combined([]) == UNSEEN
    assert combined(["contradicted", "contradicted"]) == OPPOSITE


def test_more_mixed_prompts_are_counted_pair_by_pair():
    def counts(bridge, vanilla):
        return pd.DataFrame([(arm, seed, "sft", "train", f"{seed}-{place}", 4, right[place % len(right)])
                             for arm, right in (("bridge", bridge), ("vanilla", vanilla)) for seed in (0, 1, 2)
                             for place in range(30)],
                            columns=["arm", "seed", "stage", "split", "problem_id", "n", "correct"])

    found = finding("mixed", rollout_accuracy=counts([1, 2, 3], [0, 2, 4]))
    assert found.verdict == HOLDS and found.seen.startswith("100 against 33 per cent, +66.7 points (95% interval +5")
    assert finding("mixed", rollout_accuracy=counts([0, 4], [0, 4])).verdict == UNSEEN
    assert finding("mixed", rollout_accuracy=counts([0, 4], [1, 3])).verdict == OPPOSITE


def test_the_order_of_the_seeds_alone_shows_a_part_at_most():
    influence = pd.DataFrame([(arm, seed, "id", "mean_accuracy", value) for arm, value in
                              (("bridge", 0.2), ("vanilla", 0.1)) for seed in (0, 1, 2)],
                             columns=["arm", "seed", "target", "metric", "value"])
    alone = finding("pull", influence=influence)
    assert alone.verdict == IN_PART and alone.seen == "2.0 times vanilla, larger in 3 of 3 seeds; no interval"

    def beside(low, high):
        profiles = pd.DataFrame([{"how": how, "arm": "bridge", "versus": "vanilla", "step": 0, "split": split,
                                  "metric": "influence", "value": (low + high) / 2, "low": low, "high": high,
                                  "first": 0.2, "second": 0.1} for how in ("own", "equal") for split in ("id", "ood")])
        return finding("pull", influence=influence, through_profiles=profiles)

    assert beside(0.001, 0.003).verdict == HOLDS and beside(-0.001, 0.003).verdict == IN_PART
    assert beside(-0.001, 0.003).seen.endswith("difference +0.100 (−0.100 to +0.300) points a step")
    turned = influence.assign(arm=influence["arm"].map({"bridge": "vanilla", "vanilla": "bridge"}))
    assert finding("pull", influence=turned).verdict == UNSEEN


def test_each_behaviour_is_decided_by_corrected_p_values():
    gains = {(arm, "vanilla", "gain", "all"): value for arm, value in
             (("reflection", 0.1), ("analysis", 0.2), ("subgoal", 0.3))}
    assert finding("each", ablation=ablation(gains)).verdict == HOLDS
    assert finding("each", ablation=ablation(gains, p=0.2)).verdict == UNSEEN
    mixed = ablation(gains).assign(value=lambda t: t["value"].where(t["arm"] != "reflection", -0.1))
    assert finding("each", ablation=mixed).verdict == IN_PART
    main = ablation({("bridge", "vanilla", "gain", "all"): 0.2})
    assert finding("each", ablation=main).verdict == finding("subgoals", ablation=main).verdict == OPEN


def test_more_than_subgoals_needs_the_gain_and_the_end():
    both = {("bridge", "subgoal", "gain", "all"): 0.2, ("bridge", "subgoal", "rl", "all"): 0.1}
    assert finding("subgoals", ablation=ablation(both)).verdict == HOLDS
    assert finding("subgoals", ablation=ablation(both | {("bridge", "subgoal", "rl", "all"): -0.01})).verdict == IN_PART
    without = {("bridge", "exploitation", "gain", "all"): 0.2, ("bridge", "exploitation", "rl", "all"): 0.0}
    assert finding("reflects", ablation=ablation(without)).verdict == IN_PART
    assert finding("reflects", ablation=ablation(both)).verdict == OPEN
    level = {("bridge", "vanilla", "gain", "matched"): -0.2, ("bridge", "subgoal", "gain", "matched"): 0.2}
    assert finding("level", ablation=ablation(level)).verdict == OPPOSITE
    assert finding("level_subgoals", ablation=ablation(level)).verdict == HOLDS


def test_more_than_augmentation_needs_both_arms():
    gains = {("pp", "bridge", "gain", "all"): -0.2, ("rc", "bridge", "gain", "all"): -0.1}
    found = finding("augmented", ablation=ablation(gains))
    assert found.verdict == HOLDS and "pp, training size: +20.0 points (95% interval +15.0 to +25.0)" in found.seen
    assert finding("augmented", ablation=ablation(gains | {("rc", "bridge", "gain", "all"): 0.01})).verdict == IN_PART
    assert finding("augmented", ablation=ablation({("pp", "bridge", "gain", "all"): -0.2})).verdict == OPEN


def test_more_tokens_of_plain_text_are_compared_with_both():
    def at(against_bridge, against_vanilla):
        return finding("longer", tokens_ablation=ablation({
            ("vanilla_tokens", "bridge", "gain", "all"): against_bridge,
            ("vanilla_tokens", "vanilla", "gain", "all"): against_vanilla}))

    assert at(-0.2, 0.01).verdict == HOLDS and at(0.2, 0.01).verdict == OPPOSITE and at(0.01, 0.2).verdict == UNSEEN
    assert "larger: +20.0 points (95% interval +15.0 to +25.0)" in at(-0.2, 0.01).seen
    assert at(-0.2, 0.1).seen.endswith("alone: +10.0 points (95% interval +5.0 to +15.0)")
    assert finding("longer", tokens_ablation=ablation({("bridge", "vanilla", "gain", "all"): 0.2})).verdict == OPEN


def test_about_equal_asks_for_the_whole_interval():
    def at(first, second):
        return finding("probability", probability_ablation=ablation({
            ("bridge_20", "bridge", "gain", "all"): first, ("bridge_30", "bridge", "gain", "all"): second})).verdict

    assert at(0.0, -0.04) == HOLDS and at(0.0, 0.06) == IN_PART
    assert at(0.2, -0.3) == OPPOSITE and at(0.07, 0.09) == UNSEEN


def lines(levels, width=0.01, metric="entropy", kind="all"):
    rows = [{"arm": arm, "stage": "sft", "split": "id", "kind": kind, "metric": metric, "value": value,
             "low": value - width, "high": value + width} for arm, value in levels.items()]
    return pd.DataFrame(rows)


def test_surer_and_less_sure_are_decided_where_intervals_are_apart():
    assert finding("entropy", lines=lines({"vanilla": 0.1, "reflection": 0.2, "bridge": 0.2})).verdict == HOLDS
    assert finding("entropy", lines=lines({"vanilla": 0.1, "bridge": 0.115})).verdict == UNSEEN
    assert finding("entropy", lines=lines({"bridge": 0.115})).verdict == OPEN
    falling = lines({"vanilla": 0.3, "analysis": 0.2, "subgoal": 0.4}, metric="nats")
    assert finding("perplexity", lines=falling).verdict == IN_PART
    here = pd.concat([lines({"bridge": 0.1}), lines({"bridge": 0.4}, kind="reflection")])
    assert finding("explores", lines=here).verdict == HOLDS


def test_rejection_holds_where_neither_influence_nor_gain_is_larger():
    gains = ablation({("rejection", "bridge", "gain", "all"): -0.2})
    pull = pd.DataFrame([(arm, seed, "id", "mean_accuracy", value) for seed in (0, 1) for arm, value in
                         (("rejection", 0.1), ("vanilla", 0.2))], columns=["arm", "seed", "target", "metric", "value"])
    assert finding("rejection", rejection_ablation=gains, rejection_influence=pull).verdict == HOLDS
    turned = pull.assign(arm=pull["arm"].map({"rejection": "vanilla", "vanilla": "rejection"}))
    assert finding("rejection", rejection_ablation=gains, rejection_influence=turned).verdict == IN_PART


def test_pages_get_texts_for_every_claim():
    facts = claim_facts(judge_claims(lambda name: None))
    assert len(facts) == 5 * len(CLAIMS) and all(isinstance(text, str) and text for text in facts.values())


# pass@k


def sampled(*, right_after):
    parts = []
    for arm in ("vanilla", "bridge"):
        for seed in (0, 1):
            for stage, hits in (("sft", 1), ("rl", right_after if arm == "bridge" else 1)):
                table = pd.DataFrame({"problem_id": np.repeat(["a", "b", "c"], 4),
                                      "answer": [i % 4 < hits for i in range(12)]})
                cell = {"arm": arm, "seed": seed, "stage": stage, "split": "id"}
                parts.append(count_passes(table.assign(strict=False), cell))
    return pd.concat(parts)


def test_passes_are_those_of_the_closed_form_and_gains_and_differences_are_paired():
    table = passes_table(sampled(right_after=2), (1, 2), resamples=40)
    known = table.assign(versus=table["versus"]).set_index(["arm", "stage", "versus", "judged", "k"])["value"]
    assert known["bridge", "sft", "", "answer", 2] == pytest.approx(1 - 3 / 6)
    assert known["bridge", "rl", "", "answer", 2] == pytest.approx(1 - 1 / 6)
    assert known["bridge", "gain", "vanilla", "answer", 1] == pytest.approx(0.25)
    assert set(table["judged"]) == set(JUDGED) and known["bridge", "rl", "", "strict", 1] == 0
    with pytest.raises(ValueError, match="pass@8 needs"):
        passes_table(sampled(right_after=2), (8,), resamples=5)
    odd = sampled(right_after=2)
    with pytest.raises(ValueError, match="not the same seeds and problems"):
        passes_table(odd[~((odd["arm"] == "bridge") & (odd["seed"] == 1) & (odd["stage"] == "rl"))], (1,), resamples=5)


def test_reported_figures_stand_in_columns_of_their_own():
    rows = pass_rows(passes_table(sampled(right_after=2), (1, 4), resamples=10))
    reported = [name for name in rows if "reported" in name]
    assert len(reported) == 3
    assert rows.loc[rows["arm"] == "bridge", reported[0]].tolist() == ["44.8 to 91.4", "", "", ""]
    assert pass_rows(None).empty


# figures and facts


LINES = line_table(line_counts(np.random.default_rng(0)), resamples=20)
TWO = ablation({("bridge", "vanilla", "gain", "all"): 0.2, ("bridge", "vanilla", "gain", "matched"): 0.1,
                ("subgoal", "vanilla", "gain", "all"): 0.1})


@pytest.mark.parametrize(("draw", "table"), [
    (figures.arm_differences, TWO), (figures.before_and_after, LINES[LINES["split"] == "id"]),
    (figures.pass_curves, passes_table(sampled(right_after=2), (1, 2), resamples=10)),
])
def test_figures_use_the_axes_they_are_given_and_name_what_is_missing(draw, table):
    before, ax = table.copy(), plt.figure().add_subplot()
    assert draw(table, ax) is ax and ax.get_title() == "" and ax.get_xlabel()
    pd.testing.assert_frame_equal(table, before)
    with pytest.raises(ValueError, match="needs the column.* arm"):
        draw(table.drop(columns="arm"))


def test_arms_stand_in_points_filled_over_all_and_hollow_from_equal_starts():
    ax = figures.arm_differences(TWO)
    dots = sorted(float(line.get_xdata()[0]) for line in ax.lines if len(line.get_xdata()) == 1)
    assert dots == pytest.approx([10.0] * 4 + [20.0] * 2)
    with pytest.raises(ValueError, match="versus 'subgoal'"):
        figures.arm_differences(TWO, versus="subgoal")


def test_what_has_not_been_run_is_said_in_the_place_of_its_figure():
    ax = drawing(None, figures.arm_differences, "make reproduce GRID=full")()
    assert "GRID=full" in ax.texts[0].get_text()
    assert drawing(TWO, figures.arm_differences, "x", versus="vanilla")().get_xlabel()


def test_facts_say_what_main_arms_alone_cannot():
    assert "not measured yet" in ablation_facts(None)["verdict_arms"]
    main = ablation({("bridge", "vanilla", "gain", "all"): 0.2})
    assert "GRID=full" in ablation_facts(main)["verdict_arms"] and ablation_facts(main)["n_arms"] == 2
    assert "2 of 2 arms" in ablation_facts(TWO)["verdict_arms"]
    assert differences(None, "vanilla").empty and differences(main, "subgoal").empty
    assert differences(TWO, "vanilla")["verdict"].tolist() == ["more"] * 4


def test_fates_are_told_by_kind_and_missing_counts_in_words():
    found = fates(LINES)
    assert set(found["fate"]) <= {"amplified", "pruned", "kept"} and "answer" not in set(found["kind"])
    assert line_facts(LINES)["fates"].startswith("In bridge, amplified ")
    assert "Not measured yet" in line_facts(None)["fates"] and fates(None).empty


def test_the_step_test_with_few_checkpoints_is_a_first_look():
    def contrasts(seeds, low):
        return pd.DataFrame([{"optimiser": name, "gain": 0.04, "how": "fresh", "value": 0.03, "low": low, "high": 0.05,
                              "n": 40, "arm": "bridge", "seed": seed} for name in ("sgd", "adam") for seed in seeds])

    few = finding("causal", influence_step_contrasts=contrasts([0], 0.01))
    assert few.verdict == IN_PART and few.seen.endswith("; fewer than three checkpoints")
    enough = finding("causal", influence_step_contrasts=contrasts([0, 1, 2], 0.01))
    assert enough.verdict == HOLDS and "one step of adam: bridge, seed 0, +3.0 points" in enough.seen
    assert enough.seen.count("bridge, seed 2") == 2 and "seed 0" not in few.seen
    assert finding("causal", influence_step_contrasts=contrasts([0], -0.01)).verdict == UNSEEN


def test_the_order_of_influences_is_compared_with_that_of_gains():
    summary = pd.DataFrame([{"arm": arm, "stage": "gain", "split": "id", "versus": "", "metric": "accuracy",
                             "value": value} for arm, value in (("a", 0.1), ("b", 0.2), ("c", 0.3))])
    influence = pd.DataFrame([{"arm": arm, "seed": seed, "target": target, "metric": "mean_accuracy",
                               "value": sign * level + 0.1 * seed}
                              for arm, level in (("a", 1.0), ("b", 2.0), ("c", 3.0)) for seed in (0, 1)
                              for target, sign in (("id", 1), ("train", -1))])
    facts = order_facts(influence, summary)
    assert facts["rank_id"].startswith("+1.00 (p = ") and facts["rank_train"].startswith("\N{MINUS SIGN}1.00 (p = ")
    assert set(order_facts(influence[influence["arm"] != "c"], summary).values()) == {UNMEASURED}


def test_right_lines_are_told_kind_by_kind():
    rows = [{"arm": "bridge", "stage": stage, "split": "id", "kind": kind, "metric": "right", "value": value}
            for kind, levels in (("reflection", (0.03, 0.05)), ("subgoal", (0.5, 0.7)))
            for stage, value in zip(("sft", "rl"), levels, strict=True)]
    text = _right_text(pd.DataFrame(rows))
    assert text == ("In bridge, of its lines of the kind reflection, 3 per cent are right after SFT and 5 after RL; "
                    "of its lines of the kind subgoal, 50 per cent are right after SFT and 70 after RL.")
    assert _right_text(pd.DataFrame(rows).assign(arm="vanilla")) == UNMEASURED


def test_rows_of_fine_tuning_are_means_over_seeds_in_the_order_of_the_arms() -> None:
    rows = [("bridge", 0, "rows", 2000.0), *[("rejection", seed, "rows", 1100.0 + 200 * seed) for seed in (0, 1)],
            ("rejection", 1, "tokens", 9.0)]
    table = pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"])
    assert rows_text(table) == "bridge 2,000, rejection 1,200"
    assert rows_text(None) == UNMEASURED
