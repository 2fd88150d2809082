"""Profiles: the frozen recipe of every stage, by name.

Every number that decides a run has its one home here. A profile is plain data: notebooks, the command line and the
workflow read it, nothing writes to it. ``paper`` holds the settings of the authors' released code (paper, sections on
training details); ``cpu`` is the default of this book; ``smoke`` proves the plumbing and claims nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

ARMS = ("vanilla", "bridge")
ANALYSIS_LEVELS: tuple[tuple[float, ...], ...] = (
    (0.0,),
    (0.0, 0.0, 0.1, 0.4, 0.8, 1.0),
    (0.0, 0.1, 0.4, 0.8, 1.0),
    (0.1, 0.4, 0.8, 1.0),
    (1.0,),
)
"""Levels 0 to 4 of information analysis: its probability for 0, 1, 2, ... parents, the last entry for all more.

Level 2 holds the released settings. The others are ours, around it: 0 never restates a definition, 1 asks for one
parent more than level 2 and 3 for one parent less, 4 restates every definition that the question states.
"""

INJECTION_PROBABILITIES = (0.0, 0.1, 0.2, 0.3)
"""Rates of reflection that the paper compares; 0.1 is the released one."""


@dataclass(frozen=True)
class TaskRecipe:
    """Problems of one task: which generator, how they are worded, and how large they are.

    Operation ranges are inclusive. ``options`` are keyword arguments of the generator's config
    (:class:`bi.tasks.igsm.IGSMConfig`), stored as a tuple of pairs so that the recipe stays hashable. ``apart`` keeps
    every split out of the half of canonical keys that the corpora of the book's own base models use.
    """

    task: str = "igsm"
    wording: str = "compact"
    train_ops: tuple[int, int] = (5, 8)
    id_ops: tuple[int, int] = (8, 8)
    ood_ops: tuple[int, int] = (10, 10)
    sft_rows: int = 2000
    rl_prompts: int = 4000
    test_problems: int = 300
    options: tuple[tuple[str, Any], ...] = ()
    apart: bool = False


@dataclass(frozen=True)
class BehaviorRates:
    """How often each behaviour is injected (released settings of the BRIDGE data).

    ``reflection``: probability before each step but the first and the last. ``redundant``: probability that the node
    attempted is not needed for the answer. ``analysis``: probability by number of parents (the last entry covers all
    larger numbers; :data:`ANALYSIS_LEVELS`). ``subgoal``: probability per step. ``strict``: reflect only on locked
    nodes; the released data simply solves the node when a jump lands on a solvable one.
    """

    reflection: float = 0.1
    redundant: float = 0.3
    analysis: tuple[float, ...] = ANALYSIS_LEVELS[2]
    subgoal: float = 1.0
    strict: bool = False


@dataclass(frozen=True)
class SFTRecipe:
    """Supervised fine-tuning (loss on the completion only)."""

    epochs: int = 5
    batch_size: int = 128
    learning_rate: float = 5e-6
    scheduler: str = "constant"
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    max_length: int = 2048
    micro_batch_size: int = 8
    save_every: int = 50


@dataclass(frozen=True)
class GRPORecipe:
    """Group relative policy optimisation, one on-policy update per batch of ``prompts`` x ``rollouts``.

    ``epsilon`` is the clip range, ``beta`` the weight of the KL term, ``format_reward`` an extra reward for the answer
    format, ``max_sample_kl`` masks samples whose KL to the reference exceeds it (``None``: off). ``loss_type`` and
    ``scale_rewards`` are TRL's names.
    """

    prompts: int = 32
    rollouts: int = 32
    steps: int = 200
    learning_rate: float = 1e-6
    temperature: float = 1.0
    epsilon: float = 0.2
    beta: float = 1e-3
    max_prompt_length: int = 512
    max_completion_length: int = 2560
    loss_type: str = "grpo"
    scale_rewards: str = "group"
    max_grad_norm: float = 1.0
    format_reward: float = 0.0
    max_sample_kl: float | None = None
    micro_batch_size: int = 32
    save_every: int = 20


@dataclass(frozen=True)
class InfluenceRecipe:
    """Co-influence of the SFT checkpoint: ``prompts`` training prompts on ``prompts`` target prompts of each split.

    ``parameters``: regular expression on parameter names, for models whose gradients do not fit; ``None``: all of them.
    """

    prompts: int = 64
    rollouts: int = 16
    bootstrap: int = 2000
    parameters: str | None = None


@dataclass(frozen=True)
class ThroughRecipe:
    """Policies on the way through GRPO, one every ``every`` steps (0: none is kept), each measured like an end.

    Accuracy on the test problems with the samples of :class:`EvalRecipe`, influence with ``prompts`` x ``rollouts``.
    """

    every: int = 0
    prompts: int = 64
    rollouts: int = 16


@dataclass(frozen=True)
class StepTestRecipe:
    """Predicted against measured change of accuracy by one optimiser step (:mod:`bi.influence.step_test`).

    ``train_prompts`` x ``train_rollouts`` make the steps, ``select_prompts`` x ``select_rollouts`` choose the training
    sets and the step sizes, ``target_prompts`` are predicted from ``predict_rollouts`` and measured with
    ``measure_rollouts`` others. ``gains``: step sizes, as the accuracy that the set of high influence should add.
    ``share``: how many of the prompts of one rollout accuracy belong to each set.
    """

    train_prompts: int = 192
    train_rollouts: int = 16
    select_prompts: int = 64
    select_rollouts: int = 16
    target_prompts: int = 128
    predict_rollouts: int = 32
    measure_rollouts: int = 64
    gains: tuple[float, ...] = (0.01, 0.02, 0.04)
    optimisers: tuple[str, ...] = ("sgd", "adam")
    share: float = 1 / 3
    bootstrap: int = 2000


@dataclass(frozen=True)
class EvalRecipe:
    """Sampled evaluation: ``samples`` completions a problem at ``temperature``; pass@k for each k <= samples."""

    samples: int = 4
    temperature: float = 1.0
    pass_at: tuple[int, ...] = (1, 4)
    bootstrap: int = 2000
    batch_size: int = 256


@dataclass(frozen=True)
class PassRecipe:
    """pass@k for large k: ``samples`` completions of each of the first ``problems`` test problems (``GRID=passes``)."""

    problems: int = 100
    samples: int = 64
    pass_at: tuple[int, ...] = (1, 4, 16, 64)


@dataclass(frozen=True)
class SizesRecipe:
    """Tests beside those of the splits (``GRID=bases``, ``depth``): ``problems`` problems of each size in ``ops``,
    operations in iGSM and levels in DyVal.

    None of ``ops`` may be a size that is trained on, so that no such problem can stand in a training set.
    """

    ops: tuple[int, ...] = ()
    problems: int = 100


@dataclass(frozen=True)
class RejectionRecipe:
    """Rejection sampling (``GRID=rejection``): SFT rows out of a fine-tuned checkpoint's rollouts.

    ``samples`` completions of each SFT problem; of prompts whose accuracy lies strictly between ``above`` and
    ``below``, up to ``per_prompt`` different right completions.
    """

    samples: int = 8
    above: float = 0.2
    below: float = 0.8
    per_prompt: int = 4


@dataclass(frozen=True)
class ModelRecipe:
    """A starting checkpoint and what the paper changes for it (fields of :class:`GRPORecipe`)."""

    name: str
    grpo: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Profile:
    """All that ``make reproduce PROFILE=name`` needs to know.

    ``bases``: further starting models, which ``GRID=bases`` compares with ``models``.
    """

    name: str
    models: tuple[ModelRecipe, ...]
    seeds: tuple[int, ...]
    task: TaskRecipe
    rates: BehaviorRates = BehaviorRates()
    sft: SFTRecipe = SFTRecipe()
    grpo: GRPORecipe = GRPORecipe()
    influence: InfluenceRecipe = InfluenceRecipe()
    through: ThroughRecipe = ThroughRecipe()
    step_test: StepTestRecipe = StepTestRecipe()
    evaluation: EvalRecipe = EvalRecipe()
    passes: PassRecipe = PassRecipe()
    rejection: RejectionRecipe = RejectionRecipe()
    sizes: SizesRecipe = SizesRecipe()
    arms: tuple[str, ...] = ARMS
    bases: tuple[ModelRecipe, ...] = ()
    note: str = field(default="", compare=False)

    def grpo_for(self, model: str) -> GRPORecipe:
        """The GRPO recipe with the changes that ``model`` asks for; raises ``ValueError`` for an unknown model."""
        for entry in (*self.models, *self.bases):
            if entry.name == model:
                return dataclasses.replace(self.grpo, **dict(entry.grpo))
        raise ValueError(f"profile {self.name!r} has no model {model!r}; it has "
                         f"{[m.name for m in (*self.models, *self.bases)]}")


TINY_BASE = "models/tiny-base"
PLAIN_BASE = "models/plain-base"
"""The base whose corpus holds no behaviours."""
DYVAL_BASE = "models/dyval-base"
RANGE_BASE = "models/range-base"
"""The base that counts modulo :data:`LARGER_MODULUS`."""
LARGER_MODULUS = 47
"""The prime that values are taken modulo where their range is in question: the next one above twice that of the book.
"""
MORE_ROWS = 4
"""How many times as many rows of SFT the base without behaviours gets where the dose is in question."""
LONGER = 3
"""How many times as many steps RL takes where the question is what more of it does."""
# Options of the compact task; bi.base_chapter.OPTION_REASONS says what each is for.
COMPACT = (
    ("modulus", 23),
    ("compact", True),
    ("abstract_depth", 1),
    ("operands", (1, 4, 4, 0)),
    ("reuse", 0.7),
    ("redundant", (1, 4)),
)
# The paper's DyVal settings: SFT on depth 4, RL and tests on depth 5 with up to 8 redundant premises, 20 to 22 of them
# out of distribution. Sizes are depths here, not operations.
DYVAL = TaskRecipe(
    task="dyval_arithmetic", wording="dyval", train_ops=(5, 5), id_ops=(5, 5), ood_ops=(5, 5),
    options=(("sft.min_depth", 4), ("sft.max_depth", 4), ("redundant", (0, 8)), ("ood.redundant", (20, 22))),
)
# The same for models of book size, as bi.sweep_plans chose it: three levels in SFT and RL alike, further links between
# quantities, names within the compact vocabulary, values modulo 23.
DYVAL_COMPACT = (("modulus", 23), ("compact", True), ("names", 24), ("min_depth", 3), ("max_depth", 3),
                 ("sft.min_depth", 3), ("sft.max_depth", 3), ("extra_links", (0, 2)), ("redundant", (0, 3)),
                 ("ood.redundant", (4, 5)))

SMOKE = Profile(
    name="smoke",
    models=(ModelRecipe(TINY_BASE),),
    seeds=(0,),
    task=TaskRecipe(
        train_ops=(2, 3), id_ops=(3, 3), ood_ops=(4, 4), sft_rows=64, rl_prompts=32, test_problems=16, options=COMPACT,
        apart=True,
    ),
    sft=SFTRecipe(epochs=1, batch_size=16, learning_rate=7e-4, max_length=512, micro_batch_size=16, save_every=2),
    grpo=GRPORecipe(
        prompts=4,
        rollouts=4,
        steps=3,
        learning_rate=1e-4,
        epsilon=1.0,
        beta=0.0,
        max_prompt_length=320,
        max_completion_length=96,
        micro_batch_size=16,
        save_every=1,
    ),
    influence=InfluenceRecipe(prompts=8, rollouts=4, bootstrap=200),
    through=ThroughRecipe(every=1, prompts=8, rollouts=4),
    step_test=StepTestRecipe(train_prompts=16, train_rollouts=4, select_prompts=4, select_rollouts=4, target_prompts=4,
                             predict_rollouts=4, measure_rollouts=4, gains=(0.01,), bootstrap=200),
    evaluation=EvalRecipe(samples=2, pass_at=(1, 2), bootstrap=200),
    passes=PassRecipe(problems=4, samples=4, pass_at=(1, 4)),
    rejection=RejectionRecipe(samples=4, above=0.0, below=1.0),
    sizes=SizesRecipe(ops=(1,), problems=4),
    bases=(ModelRecipe(PLAIN_BASE),),
    note="a few minutes; proves the plumbing and claims nothing",
)

CPU = Profile(
    name="cpu",
    models=(ModelRecipe(TINY_BASE),),
    seeds=(0, 1, 2),
    task=TaskRecipe(options=COMPACT, apart=True),
    sft=SFTRecipe(epochs=5, batch_size=32, learning_rate=2e-4, max_length=512, micro_batch_size=32, save_every=40),
    grpo=GRPORecipe(
        prompts=16,
        rollouts=16,
        steps=150,
        learning_rate=5e-5,
        epsilon=1.0,
        beta=0.0,
        max_prompt_length=320,
        max_completion_length=192,
        micro_batch_size=64,
        save_every=20,
    ),
    influence=InfluenceRecipe(prompts=64, rollouts=16),
    through=ThroughRecipe(every=25),
    sizes=SizesRecipe(ops=(4, 12)),
    bases=(ModelRecipe(PLAIN_BASE), ModelRecipe("models/wide-base"), ModelRecipe("models/small-base")),
    note="two cores; real claims on the book-size model",
)

GPU = Profile(
    name="gpu",
    models=(ModelRecipe("models/gpu-base"),),
    seeds=(0, 1, 2),
    task=TaskRecipe(
        wording="english",
        train_ops=(8, 12),
        id_ops=(12, 12),
        ood_ops=(15, 15),
        sft_rows=2000,
        rl_prompts=10_000,
        test_problems=500,
        apart=True,
    ),
    sft=SFTRecipe(learning_rate=1e-4, epochs=3),
    grpo=GRPORecipe(learning_rate=1e-5, max_prompt_length=1024, max_completion_length=2048),
    evaluation=EvalRecipe(samples=16, pass_at=(1, 4, 16)),
    note="one GPU; a model of 25-100 M parameters on worded problems",
)

PAPER = Profile(
    name="paper",
    models=(
        ModelRecipe("Qwen/Qwen2.5-1.5B"),
        ModelRecipe("Qwen/Qwen2.5-3B", grpo=(("steps", 100),)),
        ModelRecipe(
            "meta-llama/Llama-3.2-1B-Instruct",
            grpo=(("format_reward", 0.05), ("beta", 0.01), ("max_grad_norm", 0.2), ("max_sample_kl", 0.15)),
        ),
    ),
    seeds=(0, 1, 2),
    task=TaskRecipe(
        wording="english",
        train_ops=(15, 20),
        id_ops=(20, 20),
        ood_ops=(25, 25),
        sft_rows=2000,
        rl_prompts=10_000,
        test_problems=500,
    ),
    # 2 x 64 gradients of all parameters would take 800 GB; keys and values of every block take 11 to 20
    influence=InfluenceRecipe(parameters=r"self_attn\.[kv]_proj\.weight$"),
    evaluation=EvalRecipe(samples=16, pass_at=(1, 4, 16)),
    note="the paper's models, data sizes and released recipes; needs hub access and GPUs of 80 GB",
)

CONTROLLED = (*ARMS, "subgoal")
"""The two arms and the strongest control, subgoals alone."""
TREE_ARMS = (*CONTROLLED, "exploitation", "pp", "rc")
"""And subgoals with analysis, between the control and bridge: what each further behaviour costs and gains on trees; and
the paper's other two arms."""
FURTHER_ARMS = ("vanilla", "pp", "rc", "bridge", "subgoal")
"""The paper's four arms and the strongest control, with further seeds and test problems."""
# DyVal arithmetic: each profile's recipes, but for the task and, at book size, the base that can read it.
SMOKE_DYVAL = dataclasses.replace(
    SMOKE, name="smoke-dyval", models=(ModelRecipe(DYVAL_BASE),), bases=(), arms=TREE_ARMS,
    sizes=SizesRecipe(ops=(4,), problems=4),
    task=dataclasses.replace(SMOKE.task, task=DYVAL.task, wording="dyval_compact", options=DYVAL_COMPACT),
)
CPU_DYVAL = dataclasses.replace(
    CPU, name="cpu-dyval", models=(ModelRecipe(DYVAL_BASE),), bases=(), arms=TREE_ARMS,
    sizes=SizesRecipe(ops=(4,), problems=CPU.task.test_problems),
    task=dataclasses.replace(DYVAL, wording="dyval_compact", options=DYVAL_COMPACT, apart=True),
)
GPU_DYVAL = dataclasses.replace(
    GPU, name="gpu-dyval", arms=TREE_ARMS, sizes=SizesRecipe(ops=(6,), problems=GPU.task.test_problems),
    task=dataclasses.replace(DYVAL, rl_prompts=GPU.task.rl_prompts, test_problems=GPU.task.test_problems),
)
PAPER_DYVAL = dataclasses.replace(
    PAPER, name="paper-dyval", models=PAPER.models[:1], arms=TREE_ARMS,
    sizes=SizesRecipe(ops=(6,), problems=PAPER.task.test_problems),
    task=dataclasses.replace(DYVAL, rl_prompts=PAPER.task.rl_prompts, test_problems=PAPER.task.test_problems),
)

PROFILES = {profile.name: profile for profile in (SMOKE, CPU, GPU, PAPER)}


def _with_further_seeds(profile: Profile, count: int = 2) -> Profile:
    """The main comparison with seeds that nothing was chosen on; all else stays as it is."""
    seeds = tuple(range(max(profile.seeds) + 1, max(profile.seeds) + 1 + count))
    return dataclasses.replace(profile, name=f"{profile.name}-seeds", models=profile.models[:1], bases=(), seeds=seeds,
                               arms=FURTHER_ARMS)


def _with_more_problems(profile: Profile, problems: int) -> Profile:
    """The main comparison over its own and the further seeds, with ``problems`` test problems; all else stays as it is.

    The first of them are those of ``profile``.
    """
    task = dataclasses.replace(profile.task, test_problems=problems)
    seeds = (*profile.seeds, *_with_further_seeds(profile).seeds)
    return dataclasses.replace(profile, name=f"{profile.name}-retest", models=profile.models[:1], bases=(),
                               sizes=SizesRecipe(), seeds=seeds, task=task, arms=FURTHER_ARMS)


def _with_more_rows(profile: Profile) -> Profile:
    """The main comparison from the base without behaviours, with more rows of SFT; all else stays as it is."""
    task = dataclasses.replace(profile.task, sft_rows=MORE_ROWS * profile.task.sft_rows)
    return dataclasses.replace(profile, name=f"{profile.name}-dose", models=(ModelRecipe(PLAIN_BASE),), bases=(),
                               sizes=SizesRecipe(), task=task)


def _with_larger_values(profile: Profile) -> Profile:
    """The main comparison with values modulo :data:`LARGER_MODULUS`, from the base that counts so; all else stays."""
    options = tuple({**dict(profile.task.options), "modulus": LARGER_MODULUS}.items())
    return dataclasses.replace(profile, name=f"{profile.name}-range", models=(ModelRecipe(RANGE_BASE),), bases=(),
                               sizes=SizesRecipe(), task=dataclasses.replace(profile.task, options=options))


def _with_longer_rl(profile: Profile) -> Profile:
    """The two arms and their control with more steps of RL, a policy measured every so many steps as ``profile`` has.

    Up to the first of these the run is that of ``profile``, or of the one with further seeds: rates are constant, and
    prompts are ordered by epoch.
    """
    steps = profile.grpo.steps
    seeds = (*profile.seeds, *_with_further_seeds(profile).seeds)
    return dataclasses.replace(profile, name=f"{profile.name}-longer", models=profile.models[:1], bases=(), seeds=seeds,
                               sizes=SizesRecipe(), grpo=dataclasses.replace(profile.grpo, steps=LONGER * steps),
                               through=dataclasses.replace(profile.through, every=steps), arms=CONTROLLED)


BESIDE = {profile.name: profile for profile in (
    SMOKE_DYVAL, CPU_DYVAL, GPU_DYVAL, PAPER_DYVAL, *map(_with_further_seeds, PROFILES.values()),
    _with_more_problems(SMOKE, 24), _with_more_problems(CPU, PAPER.task.test_problems),
    _with_longer_rl(SMOKE), _with_longer_rl(CPU), _with_larger_values(SMOKE), _with_larger_values(CPU),
    *(_with_more_rows(profile) for profile in PROFILES.values() if ModelRecipe(PLAIN_BASE) in profile.bases))}
"""Profiles of another task, with further seeds, more test problems, more rows, longer RL or larger values.

Each is called like the one whose results it joins, and its grid."""


def get_profile(name: str) -> Profile:
    """The profile called ``name``; raises ``ValueError`` that lists the known ones."""
    known = PROFILES | BESIDE
    if name not in known:
        raise ValueError(f"unknown profile {name!r}; choose one of {', '.join(known)}")
    return known[name]


def digest(recipe: Any) -> str:
    """Twelve hex digits that change exactly when a field of ``recipe`` (a dataclass or plain data) changes."""
    data = dataclasses.asdict(recipe) if dataclasses.is_dataclass(recipe) and not isinstance(recipe, type) else recipe
    text = json.dumps(data, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
