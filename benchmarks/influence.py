"""Seconds for the Gram matrix of group gradients: this package against the plain loop, traker, kronfluence and dattri.

All methods do the same job, from rollouts with rewards to the matrix < grad J(q), grad J(q') >, on one randomly
initialised Llama model with one thread. They take turns in one process, so that what else runs on the machine hits all
alike: trust the ratios. Each is compared with a float64 loop before its time counts. The libraries work out single
rollouts and need the weights applied afterwards; they do not know that rollouts share a prompt. Libraries that are not
installed are left out (`pip install -e '.[bench]'`).

    python benchmarks/influence.py                      # table on the screen
    python benchmarks/influence.py --write              # and into results/influence/benchmark.csv
    python benchmarks/influence.py --size medium --only loop,shared,bfloat16,sketch

The floor is counted in floating-point operations: 6 for each parameter of a matrix and each token (prompts once a
group, completions once), 12 for attention, 2 for each entry of the Gram product, at the speed of a matrix product of
the same width measured in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import io
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pandas as pd
import torch
from floor import matrix_parameters, product_speed
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from bi.evaluation.intervals import numpy_stream
from bi.influence.advantages import Weighting, group_weights
from bi.influence.gradients import group_gradients
from bi.influence.groups import RolloutGroup, iterate_groups
from bi.influence.kernel import gram
from bi.influence.likelihood import completion_logprobs
from bi.influence.sketch import Sketch
from bi.provenance import library_versions, provenance, vector_units, write_table
from bi.training.pretrain import passes_format

ROOT = Path(__file__).resolve().parents[1]
VOCABULARY = 512
SIZES = {"small": dict(hidden_size=128, intermediate_size=384, num_hidden_layers=4),
         "medium": dict(hidden_size=256, intermediate_size=640, num_hidden_layers=4),
         "large": dict(hidden_size=384, intermediate_size=1024, num_hidden_layers=6)}


@dataclass(frozen=True)
class Job:
    """A model, its rollouts as groups, and the weights (rollouts,) and owner (rollouts,) of every rollout."""

    model: LlamaForCausalLM
    rollouts: pd.DataFrame
    groups: list[RolloutGroup]
    weights: np.ndarray
    owner: np.ndarray

    def batches(self) -> tuple[Tensor, Tensor, Tensor]:
        """Ids (R, T), and per position whether the next token is a completion's (R, T - 1), and lengths (R,)."""
        rows = [[*g.prompt, *c] for g in self.groups for c in g.completions]
        starts = [len(g.prompt) for g in self.groups for _ in g.completions]
        width = max(map(len, rows))
        ids, mask = torch.zeros(len(rows), width, dtype=torch.long), torch.zeros(len(rows), width - 1)
        for place, (row, start) in enumerate(zip(rows, starts, strict=True)):
            ids[place, : len(row)] = torch.tensor(row)
            mask[place, start - 1 : len(row) - 1] = 1
        return ids, mask, torch.tensor([len(row) for row in rows])

    def combine(self, kernel: np.ndarray) -> np.ndarray:
        """The matrix of groups from that of rollouts."""
        select = np.zeros((len(self.groups), len(self.weights)))
        select[self.owner, np.arange(len(self.weights))] = self.weights
        return select @ kernel @ select.T


def make_job(size: str, queries: int, rollouts: int, prompt: int, longest: int, turn: int = 0) -> Job:
    """A random model and random rollouts of half to all of ``longest`` tokens, every group with both outcomes.

    The rollouts are other ones each ``turn``, the model is the same.
    """
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, num_attention_heads=4, num_key_value_heads=2,
                                         max_position_embeddings=prompt + longest, **SIZES[size])).eval()
    rng, rows = numpy_stream(turn, "benchmark"), []
    for q in range(queries):
        ids = rng.integers(VOCABULARY, size=prompt).tolist()
        rows += [{"problem_id": f"q{q}", "prompt_ids": ids, "reward": float(i % 2), "sample": i,
                  "completion_ids": rng.integers(VOCABULARY, size=rng.integers(longest // 2, longest + 1)).tolist()}
                 for i in range(rollouts)]
    table = pd.DataFrame(rows)
    groups = list(iterate_groups(table))
    weights = np.concatenate([group_weights(g.rewards, g.lengths, Weighting()).weights for g in groups])
    return Job(model, table, groups, weights, np.repeat(np.arange(queries), rollouts))


def loop(job: Job, model: nn.Module | None = None) -> np.ndarray:
    """One forward and one backward pass for each rollout."""
    model = model or job.model
    parameters, rows = list(model.parameters()), []
    for group, weights in zip(job.groups, np.split(job.weights, len(job.groups)), strict=True):
        total = [torch.zeros_like(p) for p in parameters]
        for completion, weight in zip(group.completions, weights, strict=True):
            value = completion_logprobs(model, group.prompt, [completion]).sum()
            for place, gradient in zip(total, torch.autograd.grad(value, parameters), strict=True):
                place += weight * gradient
        rows.append(torch.cat([t.flatten() for t in total]).numpy())
    return gram(np.stack(rows))


def plain(job: Job) -> np.ndarray:
    """One backward pass a group, the prompt repeated in every row."""
    from bi.influence.backward import WeightedGradient
    from bi.influence.likelihood import differentiable

    parameters = list(job.model.parameters())
    with differentiable(job.model, parameters):
        backward = WeightedGradient(job.model, parameters, share_prefix=False)
        rows = [backward(g.prompt, g.completions, w, "q").clone().numpy()
                for g, w in zip(job.groups, np.split(job.weights, len(job.groups)), strict=True)]
    return gram(np.stack(rows))


def shared(job: Job) -> np.ndarray:
    """This package: one backward pass a group, the prompt encoded once."""
    return gram(group_gradients(job.model, job.rollouts).full())


def bfloat16(job: Job) -> np.ndarray:
    """The same with bfloat16 passes."""
    return gram(group_gradients(job.model, job.rollouts, autocast=torch.bfloat16).full())


def sketch(job: Job) -> np.ndarray:
    """The same in float32 with sketched rows (fold, k = 2^20, or 2^19 for a model with hardly more parameters)."""
    size = 2**20 if sum(p.numel() for p in job.model.parameters()) > 2**21 else 2**19
    return gram(group_gradients(job.model, job.rollouts, sketch=Sketch("fold", size)).full())


def _logprob(model: nn.Module, params: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """log pi of one row, as functions of parameters that libraries differentiate; padding is behind a causal mask."""
    logits = torch.func.functional_call(model, params, (ids[None],), {"use_cache": False}).logits[0, :-1]
    losses = F.cross_entropy(logits, ids[1:], reduction="none")
    return -(losses * mask).sum()


def traker(job: Job) -> np.ndarray:
    """traker's per-sample gradients (vmap), not projected."""
    from trak.gradient_computers import FunctionalGradientComputer
    from trak.modelout_functions import AbstractModelOutput

    class Output(AbstractModelOutput):
        @staticmethod
        def get_output(model: nn.Module, weights: Any, buffers: Any, ids: Tensor, mask: Tensor) -> Tensor:
            return _logprob(model, {**weights, **buffers}, ids, mask)

        def get_out_to_loss_grad(self, *_: Any) -> Tensor:
            raise NotImplementedError

    size = sum(p.numel() for p in job.model.parameters())
    computer = FunctionalGradientComputer(job.model, Output, size, torch.float32, torch.device("cpu"))
    ids, mask, _ = job.batches()
    rows = []
    for begin in range(0, len(ids), 8):
        found = computer.compute_per_sample_grad((ids[begin : begin + 8], mask[begin : begin + 8]))
        rows.append(torch.cat([g.flatten(1) for g in found.values()], 1).detach().numpy())
    return job.combine(gram(np.concatenate(rows)))


def dattri(job: Job) -> np.ndarray:
    """dattri's TracIn with one checkpoint, without projection: a kernel of rollouts."""
    from dattri.algorithm.tracin import TracInAttributor
    from dattri.task import AttributionTask

    class Exact(TracInAttributor):
        """Its own projection would lose 4e-2."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.projector_kwargs = None

    def target(params: Any, data: tuple[Tensor, Tensor]) -> Tensor:
        ids, mask = (part.reshape(part.shape[-1]) for part in data)
        return _logprob(job.model, params, ids, mask)

    task = AttributionTask(loss_func=target, model=job.model, checkpoints=[job.model.state_dict()])
    ids, mask, _ = job.batches()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(ids, mask), batch_size=8)
    exact = Exact(task=task, weight_list=torch.ones(1), normalized_grad=False, device="cpu")
    return job.combine(exact.attribute(loader, loader).double().numpy())


def kronfluence(job: Job) -> np.ndarray:
    """kronfluence's pairwise scores with the identity in place of the Hessian; linear layers only."""
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.arguments import FactorArguments, ScoreArguments
    from kronfluence.task import Task

    class LogProb(Task):
        def compute_train_loss(self, batch: Any, model: nn.Module, sample: bool = False) -> Tensor:
            ids, mask = batch
            logits = model(ids, use_cache=False).logits[:, :-1]
            losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view_as(mask)
            return -(losses * mask).sum()

        def compute_measurement(self, batch: Any, model: nn.Module) -> Tensor:
            return self.compute_train_loss(batch, model)

    import copy

    ids, mask, _ = job.batches()
    data = torch.utils.data.TensorDataset(ids, mask)
    task = LogProb()
    model = prepare_model(copy.deepcopy(job.model), task)
    with tempfile.TemporaryDirectory() as folder:
        analyzer = Analyzer("bench", model, task, cpu=True, output_dir=folder, disable_tqdm=True)
        analyzer.fit_all_factors("f", data, per_device_batch_size=8,
                                 factor_args=FactorArguments(strategy="identity"))
        analyzer.compute_pairwise_scores("s", "f", data, data, per_device_query_batch_size=8,
                                         per_device_train_batch_size=8, score_args=ScoreArguments())
        scores = analyzer.load_pairwise_scores("s")
    return job.combine(scores["all_modules"].double().numpy())


METHODS: dict[str, Callable[[Job], np.ndarray]] = {
    "loop": loop, "plain": plain, "shared": shared, "bfloat16": bfloat16, "sketch": sketch, "traker": traker,
    "kronfluence": kronfluence, "dattri": dattri}
MODULES = {"traker": "trak", "kronfluence": "kronfluence", "dattri": "dattri"}


def linear_only(job: Job) -> np.ndarray:
    """The float64 truth over linear layers alone, which is what kronfluence sees."""
    rows = group_gradients(job.model.double(), job.rollouts, parameters=r"proj|lm_head").full()
    job.model.float()
    return gram(rows)


def flops(job: Job) -> float:
    """Floating-point operations of the least work that the job needs (see the module)."""
    config, model = job.model.config, job.model
    matrices, total = matrix_parameters(model), 0.0
    for group in job.groups:
        start, lengths = len(group.prompt), group.lengths
        total += 6 * matrices * (start + lengths.sum())
        attended = start**2 / 2 + sum(n * start + n**2 / 2 for n in lengths)
        total += 12 * config.hidden_size * config.num_hidden_layers * attended
    size = sum(p.numel() for p in model.parameters())
    return total + 2 * len(job.groups) ** 2 * size


def entry_error(found: np.ndarray, truth: np.ndarray) -> float:
    """Largest error of an entry of a Gram matrix, those on its diagonal too, relative to the norms of its prompts."""
    scale = np.sqrt(np.diagonal(truth))
    return float(np.abs((found - truth) / np.outer(scale, scale)).max())


def cosine_error(found: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square error of the cosines of different prompts: what is wrong with directions, whatever the norms."""
    cosines = [gram / np.sqrt(np.outer(np.diagonal(gram), np.diagonal(gram))) for gram in (found, truth)]
    return float(np.sqrt(np.mean((cosines[0] - cosines[1])[~np.eye(len(truth), dtype=bool)] ** 2)))


def compare(jobs: list[Job], names: list[str]) -> pd.DataFrame:
    """Time the methods in turns; rows ``method, seconds, ratio, error, cosine_error, floor_share, n``.

    Each round has rollouts of its own: kernels of half precision are compiled for every new shape, and a table that
    repeats would hide it. Seconds and ratios are medians, errors the largest of all rounds. What the processor emulates
    runs once, for its errors, and has no time.
    """
    import copy

    times: dict[str, list[float]] = {name: [] for name in names}
    errors: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    speeds, work = [], []
    emulated = set() if passes_format(torch.device("cpu")) == torch.bfloat16 else {"bfloat16"}
    for turn, job in enumerate(jobs):
        truth = loop(job, copy.deepcopy(job.model).double())
        truths = {name: linear_only(job) if name == "kronfluence" else truth for name in names}
        speeds.append(product_speed(job.model.config.hidden_size))
        work.append(flops(job))
        for name in names if turn == 0 else [name for name in names if name not in emulated]:
            with contextlib.redirect_stderr(io.StringIO()):
                began = time.process_time()
                found = METHODS[name](job)
                times[name].append(np.nan if name in emulated else time.process_time() - began)
            errors[name].append((entry_error(found, truths[name]), cosine_error(found, truths[name])))
            spent = "emulated" if name in emulated else f"{times[name][-1]:.2f} s"
            print(f"{name}: {spent}, error {errors[name][-1][0]:.1e}, of cosines {errors[name][-1][1]:.1e}",
                  flush=True)
    floor, rows = np.array(work) / max(speeds), []
    for name in names:
        spent = np.array(times[name])
        against = {other: np.array(times[other])[: len(spent)] if other in times else np.full(len(spent), np.nan)
                   for other in ("loop", "shared")}
        rows.append({"method": name, "seconds": np.median(spent), "ratio": np.median(against["loop"] / spent),
                     "against_shared": np.median(spent / against["shared"]),
                     "error": max(error for error, _ in errors[name]),
                     "cosine_error": max(error for _, error in errors[name]),
                     "floor_share": np.median(floor[: len(spent)] / spent), "n": len(spent)})
    return pd.DataFrame(rows)


def calculated(name: str, parameters: float, layers: int, width: int, speed: float = 989e12,
               used: float = 0.4) -> dict[str, Any]:
    """Time and memory on one GPU by calculation: 64 prompts x 16 rollouts, 512 tokens each (128 of them prompt).

    ``speed``: peak bfloat16 operations a second (an H100's, dense, by its data sheet); ``used``: the share of it that
    passes through a model reach, an assumption.
    """
    prompts, rollouts, prompt, completion = 64, 16, 128, 384
    tokens = prompts * (prompt + rollouts * completion)
    attended = prompts * (prompt**2 / 2 + rollouts * (completion * prompt + completion**2 / 2))
    passes = 6 * parameters * tokens + 12 * width * layers * attended
    product = 2 * prompts**2 * parameters
    return {"model": name, "parameters": parameters, "passes_pflop": passes / 1e15, "gram_pflop": product / 1e15,
            "seconds": (passes + product) / (used * speed), "weights_gb": 2 * parameters / 1e9,
            "rows_gb": 4 * prompts * parameters / 1e9, "sketched_rows_gb": 4 * prompts * 2**20 / 1e9}


def main() -> None:
    """Run the comparison, print it, and write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--only", default=",".join(METHODS), help="methods, separated by commas (default: all)")
    parser.add_argument("--queries", type=int, default=8)
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--longest", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="into results/influence, over rows of the same kind")
    options = parser.parse_args()
    torch.set_num_threads(1)
    wanted = [name for name in options.only.split(",") if name in METHODS]
    names = [name for name in wanted if name not in MODULES or importlib.util.find_spec(MODULES[name])]
    print(f"not installed: {', '.join(sorted(set(wanted) - set(names))) or 'none'}")
    jobs = [make_job(options.size, options.queries, options.rollouts, options.prompt, options.longest, turn)
            for turn in range(options.rounds)]
    began = time.monotonic()
    table = compare(jobs, names).assign(
        size=options.size, parameters=sum(p.numel() for p in jobs[0].model.parameters()), queries=options.queries,
        rollouts=options.rollouts, prompt=options.prompt, longest=options.longest,
        processor=vector_units())
    print(table.to_string(index=False))
    on_gpu = pd.DataFrame([calculated("100 M", 1e8, 12, 768), calculated("1.5 B", 1.54e9, 28, 1536)])
    print(on_gpu.to_string(index=False))
    if options.write:
        write(table, on_gpu, options, time.monotonic() - began)


def write(table: pd.DataFrame, on_gpu: pd.DataFrame, options: argparse.Namespace, wall_s: float) -> None:
    """``benchmark.csv`` and ``benchmark_gpu.csv``, with their provenance.

    Rows of other shapes, methods and kinds of processor are kept, each with the commit that it was measured at.
    """
    from bi.recipes import digest

    place = ROOT / "results" / "influence" / "benchmark.csv"
    facts = provenance("any", [0], digest(vars(options)), wall_s, root=ROOT)
    table = table.assign(commit=facts["commit"][:7])
    if place.is_file():
        old = pd.read_csv(place)
        shape = ["size", "prompt", "longest", "processor"]
        again = (old[shape] == table[shape].iloc[0]).all(axis=1) & old["method"].isin(table["method"])
        table = pd.concat([old[~again], table], ignore_index=True)
        columns = {"here": table["processor"] == table["processor"].iloc[-1], "size": table["parameters"],
                   "longest": -table["longest"], "method": table["method"].map(list(METHODS).index)}
        table = table.loc[pd.DataFrame(columns).sort_values(list(columns)).index]
    more = {name: importlib.metadata.version(name) for name in MODULES if importlib.util.find_spec(MODULES[name])}
    facts["libraries"] = library_versions() | more
    write_table(place, table, facts)
    write_table(place.with_name("benchmark_gpu.csv"), on_gpu, facts)


if __name__ == "__main__":
    main()
