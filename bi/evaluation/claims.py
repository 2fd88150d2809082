"""Every claim that this book puts to the test: what decides it, in which table, and what would refute it.

The one home of the verdicts over all experiments. Each claim reads its own tables and says what they show, in words and
as a verdict; a claim whose experiment has not been run says so. Pages show :func:`judge_claims` and hold no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from bi.evaluation import bases_findings, dose, retest, through_findings
from bi.evaluation.ablation import holds_after_correction
from bi.evaluation.findings import CROWDED, NOT_RUN, OPEN, SPLITS, Finding, combined
from bi.evaluation.intervals import numpy_stream, paired_difference
from bi.evaluation.verdicts import Estimate, Verdict, compare_seeds, estimate_of, find, rows_of, sided
from bi.recipes import LARGER_MODULUS, LONGER, MORE_ROWS

Read = Callable[[str], pd.DataFrame | None]
ABOUT_EQUAL = 0.10
"""Injection probabilities are *about equal* if the difference of gains is within so much, interval included."""


@dataclass(frozen=True)
class Claim:
    """A claim that can turn out wrong.

    ``by``: who makes it. ``test``: what is compared, and how. ``tables``: those that decide (:func:`Claim.find`).
    ``refuted``: what would speak against it. ``page``: where it is shown. ``look`` turns the tables into a finding; it
    gets those of ``beside`` too, ``None`` for one whose experiment has not been run.
    """

    key: str
    claim: str
    by: str
    test: str
    tables: tuple[str, ...]
    refuted: str
    page: str
    look: Callable[..., Finding | None]
    beside: tuple[str, ...] = ()

    def find(self, read: Read) -> Finding:
        """The finding; :data:`NOT_RUN` and :data:`OPEN` where a table, or what it should hold, is missing."""
        tables = [read(name) for name in self.tables]
        missing = not tables or any(table is None for table in tables)
        found = None if missing else self.look(*tables, *map(read, self.beside))
        return found or Finding(NOT_RUN, OPEN)


def judge_claims(read: Read) -> dict[str, Finding]:
    """The finding of every claim by its key; ``read`` gives the table of a name, or ``None`` where there is none."""
    return {claim.key: claim.find(read) for claim in CLAIMS}


def _both_splits(stage: str, names: Mapping[str, str] = SPLITS) -> Callable[[pd.DataFrame], Finding | None]:
    def look(summary: pd.DataFrame) -> Finding | None:
        found = {split: find(summary, "bridge", stage, split, versus="vanilla") for split in names}
        seen = "; ".join(f"{names[split]}: {estimate.points()}" for split, estimate in found.items())
        return Finding(seen, combined(estimate.verdict() for estimate in found.values()))

    return look


def _more_mixed(counts: pd.DataFrame) -> Finding | None:
    rows = rows_of(counts, stage="sft", split="train")
    table = rows.assign(value=((rows["correct"] > 0) & (rows["correct"] < rows["n"])).astype(float))
    first, second = (table[table["arm"] == arm] for arm in ("bridge", "vanilla"))
    if first.empty or second.empty:
        return None
    found = paired_difference(first, second, numpy_stream("mixed prompts"))
    estimate = Estimate(found.value, found.low, found.high, found.n, found.describe())
    return Finding(f"{100 * first['value'].mean():.0f} against {100 * second['value'].mean():.0f} per cent, "
                   f"{estimate.points()}", combined([estimate.verdict()]))


def _stronger_pull(influence: pd.DataFrame, profiles: pd.DataFrame | None) -> Finding | None:
    """By the order of the seeds and by an interval over seeds and prompts; the first alone shows a part at most."""
    found = compare_seeds(influence, "bridge", "vanilla", target="id", metric="mean_accuracy")
    seen, verdicts = f"{found.times()} vanilla, {found.text()}", [found.verdict()]
    rows = None if profiles is None else rows_of(profiles, how="own", arm="bridge", versus="vanilla", step=0,
                                                 metric="influence", split="id")
    if rows is None or rows.empty:
        return Finding(f"{seen}; no interval", combined([*verdicts, "undecided"]))
    value, low, high = rows.iloc[0][["value", "low", "high"]]
    told = through_findings.points
    return Finding(f"{seen}; difference {told(value, sign=True)} ({told(low, sign=True)} to {told(high, sign=True)}) "
                   "points a step", combined([*verdicts, sided(low, high)]))


def _each_behavior(ablation: pd.DataFrame) -> Finding | None:
    rows = rows_of(ablation, how="all", versus="vanilla", stage="gain", split="id").set_index("arm")
    arms = [arm for arm in ("reflection", "analysis", "subgoal") if arm in rows.index]
    if len(arms) < 3:
        return None
    words = {arm: holds_after_correction(rows.loc[arm]) for arm in arms}
    seen = "; ".join(f"{arm} alone {estimate_of(rows.loc[arm]).points()}" for arm in arms)
    names: dict[str, Verdict] = {"more": "supported", "less": "contradicted", "undecided": "undecided"}
    return Finding(f"{seen}; p-values corrected for all arms", combined(names[word] for word in words.values()))


def _over(versus: str) -> Callable[[pd.DataFrame], Finding | None]:
    def look(ablation: pd.DataFrame) -> Finding | None:
        rows = rows_of(ablation, how="all", arm="bridge", versus=versus, split="id").set_index("stage")
        if rows.empty:
            return None
        found = {stage: estimate_of(rows.loc[stage]) for stage in ("gain", "rl")}
        seen = f"gain: {found['gain'].points()}; after RL: {found['rl'].points()}"
        return Finding(seen, combined(estimate.verdict() for estimate in found.values()))

    return look


def _each_costs(ablation: pd.DataFrame) -> Finding | None:
    starts = rows_of(ablation, how="all", stage="sft", split="id").set_index(["arm", "versus"])
    pairs = {"analysis": ("exploitation", "subgoal"), "reflection": ("bridge", "exploitation")}
    if not set(pairs.values()) <= set(starts.index):
        return None
    found = {name: estimate_of(starts.loc[pair]) for name, pair in pairs.items()}
    return Finding("; ".join(f"{name}: {estimate.points()}" for name, estimate in found.items()),
                   combined(_turned(estimate.verdict()) for estimate in found.values()))


def _from_a_level_start(versus: str) -> Callable[[pd.DataFrame], Finding | None]:
    def look(ablation: pd.DataFrame) -> Finding | None:
        rows = rows_of(ablation, how="matched", arm="bridge", versus=versus, stage="gain").set_index("split")
        if rows.empty:
            return None
        seen = "; ".join(f"{SPLITS[split]}: {estimate_of(row).points()}" for split, row in rows.iterrows())
        return Finding(seen, combined(sided(row["low"], row["high"]) for _, row in rows.iterrows()))

    return look


def _over_augmentation(names: Mapping[str, str] = SPLITS) -> Callable[[pd.DataFrame], Finding | None]:
    def look(ablation: pd.DataFrame) -> Finding | None:
        rows = rows_of(ablation, how="all", versus="bridge", stage="gain")
        rows = rows[rows["arm"].isin(["pp", "rc"])]
        if set(rows["arm"]) != {"pp", "rc"}:
            return None
        found = {(row["arm"], row["split"]): estimate_of(row).turned() for _, row in rows.iterrows()}
        seen = "; ".join(f"{arm}, {names[split]}: {estimate.points()}" for (arm, split), estimate in found.items())
        return Finding(seen, combined(estimate.verdict() for estimate in found.values()))

    return look


def _on_deeper_trees(accuracy: pd.DataFrame) -> Finding | None:
    rows = rows_of(accuracy, arm="bridge", versus="vanilla", than="", stage="gain")
    found = {row["size"]: estimate_of(row) for _, row in rows[~rows["trained"]].iterrows()}
    seen = "; ".join(f"{levels} levels: {estimate.points()}" for levels, estimate in found.items())
    return Finding(seen, combined(estimate.verdict() for estimate in found.values())) if found else None


def _over_more_tokens(ablation: pd.DataFrame) -> Finding | None:
    rows = rows_of(ablation, how="all", arm="vanilla_tokens", stage="gain").set_index(["versus", "split"])
    if ("bridge", "id") not in rows.index:
        return None
    found = {split: estimate_of(rows.loc[("bridge", split)]).turned() for split in SPLITS}
    seen = "; ".join(f"{SPLITS[split]}: {estimate.points()}" for split, estimate in found.items())
    beside = estimate_of(rows.loc[("vanilla", "id")]).points()
    return Finding(f"{seen}; more tokens of plain text alone: {beside}",
                   combined(estimate.verdict() for estimate in found.values()))


def _probability(ablation: pd.DataFrame) -> Finding | None:
    gains = rows_of(ablation, how="all", stage="gain", split="id").set_index(["arm", "versus"])
    pairs = [pair for pair in (("bridge_20", "bridge"), ("bridge_30", "bridge")) if pair in gains.index]
    if not pairs:
        return None
    found = {arm: estimate_of(gains.loc[(arm, versus)]) for arm, versus in pairs}
    seen = "; ".join(f"{arm}: {estimate.points()}" for arm, estimate in found.items())
    equal: list[Verdict] = []
    for estimate in found.values():
        inside = -ABOUT_EQUAL < estimate.low and estimate.high < ABOUT_EQUAL
        outside = estimate.low > ABOUT_EQUAL or estimate.high < -ABOUT_EQUAL
        equal.append("supported" if inside else "contradicted" if outside else "undecided")
    return Finding(f"gain minus that at 0.1, {seen}", combined(equal))


def _surer(metric: str, arms: tuple[str, ...], higher: bool) -> Callable[[pd.DataFrame], Finding | None]:
    def look(lines: pd.DataFrame) -> Finding | None:
        rows = rows_of(lines, stage="sft", split="id", kind="all", metric=metric).set_index("arm")
        present = [arm for arm in arms if arm in rows.index]
        if "vanilla" not in rows.index or not present:
            return None
        verdicts: list[Verdict] = []
        for arm in present:
            first, second = (rows.loc[arm], rows.loc["vanilla"]) if higher else (rows.loc["vanilla"], rows.loc[arm])
            verdicts.append(sided(first["low"] - second["high"], first["high"] - second["low"]))
        levels = "; ".join(f"{arm} {rows.loc[arm, 'value']:.3f} ({rows.loc[arm, 'low']:.3f} to "
                           f"{rows.loc[arm, 'high']:.3f})" for arm in ("vanilla", *present))
        return Finding(f"nats a token, {levels}", combined(verdicts))

    return look


def _at_reflections(lines: pd.DataFrame) -> Finding | None:
    rows = rows_of(lines, stage="sft", split="id", metric="entropy", arm="bridge").set_index("kind")
    if not {"reflection", "all"} <= set(rows.index):
        return None
    here, whole = rows.loc["reflection"], rows.loc["all"]
    seen = f"{here['value']:.3f} nats a token in reflections, {whole['value']:.3f} in all"
    return Finding(seen, combined([sided(here["low"] - whole["high"], here["high"] - whole["low"])]))


def _rejection(ablation: pd.DataFrame, influence: pd.DataFrame) -> Finding | None:
    gains = rows_of(ablation, how="all", arm="rejection", stage="gain", split="id").set_index("versus")
    if "bridge" not in gains.index or "rejection" not in set(influence["arm"]):
        return None
    pull = compare_seeds(influence, "rejection", "vanilla", target="id", metric="mean_accuracy")
    less = estimate_of(gains.loc["bridge"])
    verdicts: list[Verdict] = [_turned(pull.verdict()), _turned(less.verdict())]
    return Finding(f"influence {pull.times()} vanilla, {pull.text()}; gain minus bridge's: {less.points()}",
                   combined(verdicts))


def _turned(verdict: Verdict) -> Verdict:
    turned: dict[Verdict, Verdict] = {"supported": "contradicted", "contradicted": "supported",
                                      "undecided": "undecided"}
    return turned[verdict]


def largest_steps(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Rows that decide the step test: the largest step, fresh rollouts; one a checkpoint and optimiser."""
    return contrasts[(contrasts["gain"] == contrasts["gain"].max()) & (contrasts["how"] == "fresh")]


def step_contrasts(rows: pd.DataFrame) -> str:
    """What the set of high influence added beyond the other, checkpoint by checkpoint, as text."""
    several = len(rows) > 1
    return "; ".join((f"{row.arm}, seed {row.seed}, " if several else "")
                     + Estimate(row.value, row.low, row.high, row.n, "95% percentile").points()
                     for row in rows.itertuples())


def _step_test(contrasts: pd.DataFrame) -> Finding | None:
    last = largest_steps(contrasts)
    seen = "; ".join(f"one step of {optimiser}: {step_contrasts(part)}"
                     for optimiser, part in last.groupby("optimiser", sort=False))
    few = last[["arm", "seed"]].drop_duplicates().shape[0] < 3
    verdicts: list[Verdict] = [sided(row["low"], row["high"]) for _, row in last.iterrows()]
    return Finding(f"{seen}; fewer than three checkpoints" if few else seen,
                   combined([*verdicts, "undecided"] if few else verdicts))


def _nothing(*_: pd.DataFrame) -> Finding | None:
    return None


BOTH = "95% crossed bootstrap over seeds and problems, paired"
CLAIMS = (
    Claim("gain", "RL adds more to bridge than to vanilla", "paper",
          f"difference of gains on two sizes of problems; {BOTH}", ("summary",),
          "an interval that holds zero, or lies below it", "two_arms", _both_splits("gain")),
    Claim("end", "after RL, bridge is the better model (reported: by some 45 points)", "paper",
          f"difference of accuracies after RL; {BOTH}", ("summary",), "an interval that holds zero, or lies below it",
          "two_arms", _both_splits("rl")),
    Claim("mixed", "before RL, bridge has more prompts with mixed outcomes", "paper",
          "share of training prompts, paired; 95% bootstrap over seeds and prompts", ("rollout_accuracy",),
          "an interval that holds zero, or lies below it", "two_arms", _more_mixed),
    Claim("pull", "before RL, the per-step influence is larger in bridge (reported: 2 to 3 times)", "paper",
          "mean influence on problems of the training size: order of the arms in every seed, and difference with a 95% "
          "bootstrap interval over seeds and prompts", ("influence",),
          "a seed in which vanilla's is larger, or an interval that lies below zero", "two_arms", _stronger_pull,
          ("through/profiles",)),
    Claim("causal", "at equal rollout accuracies, prompts of larger co-influence teach other prompts more",
          "reviewers", "change of accuracy by one step on sets of high minus low influence, fresh rollouts, largest "
          "step (with fewer than three checkpoints a first look)",
          ("influence/step_contrasts",), "an interval that holds zero, or lies below it", "step_test", _step_test),
    Claim("each", "each behaviour alone adds to the gain", "paper",
          f"gain of each single-behaviour arm minus vanilla's; {BOTH}; Holm's correction over all arms", ("ablation",),
          "a corrected p-value above .05, or a smaller gain", "ablation", _each_behavior),
    Claim("subgoals", "bridge adds more than easier arithmetic: more than subgoals alone", "reviewers",
          f"gain and accuracy after RL, minus those of subgoals alone; {BOTH}", ("ablation",),
          "an interval that holds zero, or lies below it", "ablation", _over("subgoal")),
    Claim("reflects", "reflection adds to analysis and subgoals: bridge adds more than exploitation", "reviewers",
          f"gain and accuracy after RL, minus those of the arm without reflection; {BOTH}", ("ablation",),
          "an interval that holds zero, or lies below it", "ablation", _over("exploitation")),
    Claim("level", "bridge gains more than vanilla from the same accuracy before RL", "reviewers",
          f"gains at equal starts, problems sorted by the other seeds' rollouts; {BOTH}", ("ablation",),
          "an interval that holds zero, or lies below it", "ablation", _from_a_level_start("vanilla")),
    Claim("level_subgoals", "bridge gains more than subgoals alone from the same accuracy before RL", "reviewers",
          f"gains at equal starts, problems sorted by the other seeds' rollouts; {BOTH}", ("ablation",),
          "an interval that holds zero, or lies below it", "ablation", _from_a_level_start("subgoal")),
    Claim("again", "the extra gain appears again with seeds that were run after all else was settled", "book",
          f"difference of gains on the same test problems with further seeds; {BOTH}", ("seeds/summary",),
          "an interval that holds zero, or lies below it", "two_arms", _both_splits("gain")),
    Claim("retest", "the extra gain is there on further test problems that nothing was looked at on", "book",
          f"difference of gains over all seeds, further problems alone; {BOTH}", ("retest/accuracy",),
          "an interval that holds zero, or lies below it", "two_arms", retest.over_vanilla),
    Claim("retest_augmented", "RL adds more to bridge than to pp and rc on the further problems too", "book",
          f"difference of gains over all seeds, further problems alone; {BOTH}", ("retest/accuracy",),
          "an interval that holds zero, or lies below it", "two_arms", retest.over_augmentation),
    Claim("retest_subgoals", "bridge adds more than subgoals alone on the further problems too", "book",
          f"gain and accuracy after RL over all seeds, further problems alone, training size; {BOTH}",
          ("retest/accuracy",), "an interval that holds zero, or lies below it", "two_arms", retest.over_subgoals),
    Claim("augmented", "RL adds more to bridge than to arms with reordered premises (pp) or steps (rc)", "paper",
          f"difference of gains, though pp and rc read four rows a problem in SFT; {BOTH}", ("ablation",),
          "an interval that holds zero, or lies below it", "ablation", _over_augmentation()),
    Claim("longer", "RL adds more to bridge than to vanilla with as many tokens of SFT", "reviewers",
          f"gain of bridge minus that of plain chains of thought on more problems; {BOTH}", ("tokens/ablation",),
          "an interval that holds zero, or lies below it", "ablation", _over_more_tokens),
    Claim("probability", "the injection probability hardly matters once it is above zero", "paper",
          f"gain at 0.2 and at 0.3 minus that at 0.1, about equal within {100 * ABOUT_EQUAL:.0f} points; {BOTH}",
          ("probability/ablation",), f"an interval beyond {100 * ABOUT_EQUAL:.0f} points", "ablation", _probability),
    Claim("entropy", "reflection raises the token entropy", "paper",
          "entropy a token after SFT, reflection alone and bridge against vanilla, intervals apart", ("lines",),
          "an entropy as low as vanilla's", "behaviours_measured",
          _surer("entropy", ("reflection", "bridge"), higher=True)),
    Claim("explores", "entropy is higher where the model reflects", "book",
          "entropy a token after SFT in bridge's reflections against all its tokens, intervals apart", ("lines",),
          "an entropy as low as elsewhere", "behaviours_measured", _at_reflections),
    Claim("perplexity", "analysis and subgoals lower the perplexity", "paper",
          "cost a token after SFT, arms with one or both against vanilla, intervals apart", ("lines",),
          "a cost as high as vanilla's", "behaviours_measured",
          _surer("nats", ("analysis", "subgoal", "exploitation"), higher=False)),
    Claim("rejection", "rejection sampling to medium accuracy does not raise co-influence, and gains less", "paper",
          f"influence seed by seed, gain minus bridge's; {BOTH}", ("rejection/ablation", "rejection/influence"),
          "a larger influence than vanilla's in every seed, or a gain not below bridge's", "ablation", _rejection),
    Claim("decay", "the influence of a step falls while RL runs", "reviewers",
          "influence after the last step minus that of the same arm before RL, problems of the training size; 95% "
          "bootstrap over seeds and prompts, paired", ("through/steps",), "an arm whose influence is larger at the end",
          "through_training", through_findings.decays),
    Claim("lead", "during RL, the per-step influence stays larger in bridge than in vanilla", "reviewers",
          "influence at the policies kept between the ends, minus vanilla's at the same step; 95% bootstrap over "
          "seeds and prompts, paired", ("through/steps",), "an interval that lies below zero", "through_training",
          through_findings.leads),
    Claim("profile", "co-influence is larger in bridge than in vanilla at equal rollout accuracies", "reviewers",
          "influence before RL, prompts weighted to common accuracies; 95% bootstrap over seeds and prompts, paired",
          ("through/profiles",), "an interval that holds zero, or lies below it", "through_training",
          through_findings.at_equal_profiles),
    Claim("tokens", "RL adds more to bridge than to vanilla for the same number of sampled tokens", "book",
          f"difference of gains at the last kept step that the cheaper arm's tokens pay for; {BOTH}",
          ("through/tokens",), "an interval that holds zero, or lies below it", "through_training",
          through_findings.at_equal_tokens),
    Claim("more_steps", f"with {LONGER} times the steps of RL, bridge gains more than vanilla and ends higher", "book",
          f"gain and accuracy at the last step, on two sizes of problems; {BOTH}", ("longer/tokens",),
          "an interval that holds zero, or lies below it", "through_training",
          through_findings.after_more_steps("vanilla")),
    Claim("more_steps_subgoals", f"with {LONGER} times the steps of RL, bridge gains more than subgoals alone and ends "
          "higher", "book", f"gain and accuracy at the last step, on two sizes of problems; {BOTH}",
          ("longer/tokens",), "an interval that holds zero, or lies below it", "through_training",
          through_findings.after_more_steps("subgoal")),
    Claim("bases", "RL adds more to bridge than to vanilla from every base and on every size of problems", "book",
          f"difference of gains for every pair of base and size; {BOTH}", ("bases/accuracy",),
          "a pair whose interval holds zero, or lies below it", "bases", bases_findings.everywhere),
    Claim("unseen", "bridge gains more than vanilla from a base that has never read a behaviour too", "book",
          f"difference of gains from the base without behaviours, on two sizes of problems; {BOTH}",
          ("bases/accuracy",), "an interval that holds zero, or lies below it", "bases",
          bases_findings.without_behaviors),
    Claim("unseen_end", "from a base that has never read a behaviour, bridge ends higher than vanilla too (asked after "
          "the first look at the map)", "book",
          f"difference of accuracies after RL from the same base, on two sizes of problems; {BOTH}",
          ("bases/accuracy",), "an interval that holds zero, or lies below it: the method needs a base that knows the "
          "behaviours", "bases", bases_findings.end_without_behaviors),
    Claim("dose", f"with {MORE_ROWS} times the rows of SFT, bridge ends higher than vanilla from a base that has never "
          "read a behaviour too (asked after a sweep on development problems)", "book",
          f"difference of accuracies after RL from that base, both arms with more rows, two sizes of problems; {BOTH}",
          dose.TABLES, "an interval that holds zero, or lies below it", "bases", dose.ends_higher),
    Claim("dose_more", f"there, with {MORE_ROWS} times the rows of SFT, bridge stands higher relative to vanilla than "
          "with the rows of the book (asked after a sweep on development problems)", "book",
          f"difference of accuracies after RL with more rows, minus the same with the rows of the book; {BOTH}",
          dose.TABLES, "an interval that holds zero, or lies below it: what that base lacks is not rows", "bases",
          dose.moves_the_end),
    Claim("range", f"bridge gains more than vanilla with values modulo {LARGER_MODULUS} too", "book",
          f"difference of gains from a base that counts so, on two sizes of problems; {BOTH}", ("range/summary",),
          "an interval that holds zero, or lies below it: the effect belongs to small numbers", "bases",
          _both_splits("gain")),
    Claim("range_end", f"with values modulo {LARGER_MODULUS}, bridge ends higher than vanilla too", "book",
          f"difference of accuracies after RL from a base that counts so, on two sizes of problems; {BOTH}",
          ("range/summary",), "an interval that holds zero, or lies below it", "bases", _both_splits("rl")),
    Claim("wide", "bridge gains more than vanilla from a base that calculates several operations in one line too",
          "book", f"difference of gains from the base that learnt all such lines, on two sizes of problems; {BOTH}",
          ("bases/accuracy",), "an interval that holds zero, or lies below it: the effect is easier arithmetic",
          "bases", bases_findings.with_wide_lines),
    Claim("wide_end", "from a base that calculates several operations in one line, bridge ends higher than vanilla too "
          "(asked after the first look at the map)", "book",
          f"difference of accuracies after RL from the same base, on two sizes of problems; {BOTH}",
          ("bases/accuracy",), "an interval that holds zero, or lies below it: RL gave back what fine-tuning had cost",
          "bases", bases_findings.end_with_wide_lines),
    Claim("weak", "bridge gains more than vanilla from a larger base that has read less and looks up worse too", "book",
          f"difference of gains from the base of four times the parameters, on two sizes of problems; {BOTH}",
          ("bases/accuracy",), "an interval that holds zero, or lies below it: the base is too weak at look-ups",
          "bases", bases_findings.with_weak_look_ups),
    Claim("weak_end", "from a larger base that has read less and looks up worse, bridge ends higher than vanilla too",
          "book", f"difference of accuracies after RL from the same base, on two sizes of problems; {BOTH}",
          ("bases/accuracy",), "an interval that holds zero, or lies below it", "bases",
          bases_findings.end_with_weak_look_ups),
    Claim("dyval", "the effect appears on PromptBench's DyVal arithmetic as well", "paper",
          f"difference of gains on two kinds of trees; {BOTH}", ("dyval/summary",),
          "an interval that holds zero, or lies below it", "dyval", _both_splits("gain", CROWDED)),
    Claim("tree_augmented", "on arithmetic trees too, RL adds more to bridge than to pp and rc", "paper",
          f"difference of gains on two kinds of trees, though pp and rc read four rows a problem in SFT; {BOTH}",
          ("dyval/ablation",), "an interval that holds zero, or lies below it", "dyval", _over_augmentation(CROWDED)),
    Claim("tree_depth", "on trees with more levels than any that was trained on, RL adds more to bridge than to "
          "vanilla", "paper", f"difference of gains on deeper trees; {BOTH}", ("depth/accuracy",),
          "an interval that holds zero, or lies below it", "dyval", _on_deeper_trees),
    Claim("tree_subgoals", "on arithmetic trees, bridge gains more than subgoals alone, and ends higher", "book",
          f"differences of gains and of accuracies after RL, trees with few redundant premises; {BOTH}",
          ("dyval/ablation",), "an interval that holds zero, or lies below it: there the effect is easier arithmetic",
          "dyval", _over("subgoal")),
    Claim("tree_cost", "on arithmetic trees, analysis added to subgoals lowers the start, and reflection added to both "
          "lowers it again", "book", f"differences of accuracies after SFT, trees with few redundant premises; {BOTH}",
          ("dyval/ablation",), "an interval that holds zero, or lies above it: the other behaviour bears the cost",
          "dyval", _each_costs),
    Claim("scale", "the effect has the reported size with Qwen2.5 and Llama 3.2", "paper",
          "the profile paper, which needs their weights and two large cards", (), "a smaller effect there",
          "did-not-reproduce", _nothing),
)
