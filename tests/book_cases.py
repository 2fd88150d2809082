"""Pages of the book as data, and invented results to build it from. The numbers here mean nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from rollout_cases import write_rollouts
from through_cases import through_tables

from bi.augmentation.anatomy import KINDS
from bi.course import EXERCISES
from bi.evaluation.ablation import ablation_table
from bi.evaluation.base_model import SIZE
from bi.evaluation.bases import bases_table
from bi.evaluation.before_after import completion_pairs
from bi.evaluation.lines import SUMS, line_table
from bi.evaluation.tables import behavior_rows, summary_table
from bi.evaluation.verdicts import Estimate
from bi.notebook import read_cells
from bi.provenance import provenance, write_json, write_table
from bi.recipes import CONTROLLED
from bi.sweep import SPLITS, SweepPlan, cells
from bi.sweep_plans import get_plan
from bi.training.pretrain import BASES
from workflow.course import LAB

ROOT = Path(__file__).resolve().parents[1]
PROFILE = "cpu"
ACCURACY = {("vanilla", "sft", "id"): 0.3, ("vanilla", "rl", "id"): 0.4, ("bridge", "sft", "id"): 0.45,
            ("bridge", "rl", "id"): 0.7, ("vanilla", "sft", "ood"): 0.2, ("vanilla", "rl", "ood"): 0.25,
            ("bridge", "sft", "ood"): 0.3, ("bridge", "rl", "ood"): 0.5}
SEEDS = (0, 1, 2)
COMMANDS = ("test", "reproduce", "book")


@dataclass(frozen=True)
class Page:
    """One page: its name in the table of contents, its file, and its Markdown (of a notebook: the Markdown cells)."""

    name: str
    path: Path
    text: str

    @property
    def code_free(self) -> str:
        """The text without fenced code, but with what directives hold."""
        return re.sub(r"```(?:python|bash|text)?\n.*?```", "", self.text, flags=re.DOTALL)


def toc_names() -> list[str]:
    """Names in the table of contents, in reading order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *chapters]


@cache
def pages() -> tuple[Page, ...]:
    """All pages of the book."""
    found = []
    for name in toc_names():
        path = next((ROOT / f"{name}{end}" for end in (".md", ".ipynb") if (ROOT / f"{name}{end}").is_file()), None)
        assert path is not None, f"_toc.yml names {name}, which is no file"
        found.append(Page(name, path, _markdown(path)))
    return tuple(found)


def _markdown(path: Path) -> str:
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    return "\n\n".join("".join(cell["source"]) for cell in read_cells(path) if cell["cell_type"] == "markdown")


def invent_results(folder: Path) -> Path:
    """Every table and record that the pages read, under ``folder/results``; returns the profile's folder."""
    rng = np.random.default_rng(0)
    results = folder / "results" / PROFILE
    counts = pd.concat([_counts(cell, accuracy, seed, rng) for cell, accuracy in ACCURACY.items() for seed in SEEDS])
    base = [_counts(("base", "base", split), 0.2, 0, np.random.default_rng(1)) for split in ("id", "ood")]
    counts = pd.concat([counts, *base], ignore_index=True)
    values = counts.assign(task="igsm", metric="accuracy", value=counts["correct"] / counts["n"])
    train = pd.concat([_counts((arm, "sft", "train"), 0.4, seed, rng, n=8) for arm in ("vanilla", "bridge")
                       for seed in SEEDS])
    main = _main(values)
    tables = {
        "main": main, "summary": summary_table(values, resamples=100), "rollout_accuracy": pd.concat([counts, train]),
        "curves": pd.DataFrame([(arm, seed, step, *rng.random(2)) for arm in ("vanilla", "bridge") for seed in SEEDS
                                for step in range(20)],
                               columns=["arm", "seed", "step", "rollout_accuracy", "frac_reward_zero_std"]),
        "influence": _influence(rng), "anatomy": _anatomy(), "behaviors": behavior_rows(main, _sft_data(main)),
        "completions": completion_pairs(write_rollouts(folder / "runs", profile=PROFILE)),
        "ablation": ablation_table(counts, resamples=50), "lines": line_table(line_counts(rng), resamples=50),
    }
    for name, table in tables.items():
        write_table(results / f"{name}.csv", table, provenance(PROFILE, SEEDS, "0123456789ab", 12.0, root=ROOT))
    for grid, arms in (("through", ("vanilla", "bridge")), ("longer", CONTROLLED)):
        for name, table in through_tables(arms).items():
            write_table(results / grid / f"{name}.csv", table, provenance(PROFILE, SEEDS, "0123456789ab", 12.0,
                                                                          root=ROOT))
    for name, table in _influence_tables(rng).items():
        write_table(results.parent / "influence" / f"{name}.csv", table, provenance("any", [0], "0123456789ab", 12.0,
                                                                                      root=ROOT))
    for name in ("main", "summary", "rollout_accuracy", "influence", "anatomy", "behaviors", "ablation"):
        write_table(results / "dyval" / f"{name}.csv", tables[name], provenance(PROFILE, SEEDS, "0123456789ab", 12.0,
                                                                                root=ROOT))
    deeper = counts[counts["arm"] != "base"].assign(base="dyval-base", size=counts["split"].map({"id": 3, "ood": 4}))
    deeper = bases_table(deeper, resamples=50).assign(trained=lambda rows: rows["size"] == 3)
    write_table(results / "depth" / "accuracy.csv", deeper, provenance(PROFILE, SEEDS, "0123456789ab", 12.0, root=ROOT))
    for name in ("summary", "influence", "anatomy"):
        write_table(results / "range" / f"{name}.csv", tables[name], provenance(PROFILE, SEEDS, "0123456789ab", 12.0,
                                                                                root=ROOT))
    later = counts.assign(seed=counts["seed"] + len(SEEDS))
    for name, table in {"summary": tables["summary"], "rollout_accuracy": later,
                        "ablation": ablation_table(later, resamples=50)}.items():
        write_table(results / "seeds" / f"{name}.csv", table, provenance(PROFILE, SEEDS, "0123456789ab", 12.0,
                                                                         root=ROOT))
    for name, recipe in BASES.items():
        for table, content in base_card(SIZE[recipe.corpus.size], recipe.corpus.sizes).items():
            facts = provenance("base", [0], "0123456789ab", 12.0, root=ROOT)
            write_table(folder / "models" / name / f"{table}.csv", content, facts)
    speeds = pd.DataFrame([(name, 2e4, 1e4, 3e4, 0.3, 8) for name in ("pretraining", "fine-tuning", "sampling")],
                          columns=["work", "tokens_per_s", "slowest", "fastest", "floor_share", "n"])
    write_table(results.parent / "benchmarks" / "throughput.csv", speeds, provenance(PROFILE, [0], "0123456789ab", 12.0,
                                                                                      root=ROOT))
    drawn = pd.DataFrame([(kind, name, 100.0, 90.0, 110.0, 2.0, 1.5, 2.5, 3, "a processor", "0123456")
                          for kind in ("plain", "injected") for name in ("ours", "released")],
                         columns=["kind", "generator", "rows_per_s", "slowest", "fastest", "ours_times", "least",
                                  "most", "n", "processor", "commit"])
    write_table(results.parent / "benchmarks" / "generation.csv", drawn, provenance(PROFILE, [0], "0123456789ab", 12.0,
                                                                                     root=ROOT))
    for name in ("regime", "sft", "grpo", "arms", "dyval", "dose"):
        for table, content in sweep_tables(get_plan(name)).items():
            facts = provenance(PROFILE, [1000], "0123456789ab", 12.0, root=ROOT)
            write_table(results.parent / "sweep" / name / f"{table}.csv", content, facts)
    write_json(results / "timings.json", [{"stage": "sft", "arm": "bridge", "seed": 0, "wall_s": 30.0, "peak_mb": 900}])
    commands = [(f"make {word}", 60.0, 1.5, "2 cores", "0123456", "2025-01-01") for word in COMMANDS]
    pd.DataFrame(commands, columns=["command", "wall_s", "peak_gb", "machine", "commit", "date"]).to_csv(
        results.parent / "commands.csv", index=False)
    course = [("code", exercise.label, 0.2, 0.3) for exercise in EXERCISES] + [("lab", name, 3.0, 4.0) for name in LAB]
    write_table(results.parent / "course.csv", pd.DataFrame([*course, ("make", "course", 0.5, 0.5)], columns=[
        "kind", "item", "cpu_s", "wall_s"]), provenance("any", [], "0123456789ab", 12.0, root=ROOT))
    return results


def line_counts(rng: np.random.Generator, arms: tuple[str, ...] = ("vanilla", "bridge")) -> pd.DataFrame:
    """Counts of lines as the stage ``lines`` leaves them; all problems show all kinds, bridge more of them."""
    rows = []
    for arm in arms:
        kinds = ("plain", "answer", "all") if arm == "vanilla" else ("plain", "subgoal", "reflection", "answer", "all")
        for seed, stage, split, place, kind in product(SEEDS, ("sft", "rl"), ("id", "ood"), range(6), kinds):
            lines = 0 if kind == "answer" else int(rng.integers(2, 6))
            rows.append((arm, seed, stage, split, f"p{place}", kind, 4, lines, lines, lines // 2, 5 * lines + 2,
                         rng.uniform(1, 3), rng.uniform(1, 3)))
    return pd.DataFrame(rows, columns=["arm", "seed", "stage", "split", "problem_id", "kind", *SUMS])


def _counts(cell: tuple[str, str, str], accuracy: float, seed: int, rng: np.random.Generator,
            n: int = 4) -> pd.DataFrame:
    arm, stage, split = cell
    correct = rng.binomial(n, np.clip(rng.normal(accuracy, 0.2, size=40), 0, 1))
    names = [f"{split}-{seed if split == 'train' else ''}{i}" for i in range(40)]
    return pd.DataFrame({"arm": arm, "seed": seed, "stage": stage, "split": split, "problem_id": names, "n": n,
                         "correct": correct})


def _main(values: pd.DataFrame) -> pd.DataFrame:
    keys = ["task", "arm", "seed", "stage", "split"]
    accuracy = values.groupby(keys, sort=False)["value"].mean().reset_index()
    metrics = {"accuracy": 1.0, "strict": 0.9, "n_reflection": 0.5, "n_analysis": 1.0, "n_subgoal": 2.0}
    parts = [accuracy.assign(metric=metric, value=accuracy["value"] * scale, n=40) for metric, scale in metrics.items()]
    return pd.concat(parts, ignore_index=True)[[*keys, "metric", "value", "n"]]


def _sft_data(main: pd.DataFrame) -> pd.DataFrame:
    rows = main[(main["stage"] == "sft") & (main["split"] == "id")]
    return rows[["task", "arm", "seed", "metric", "value", "n"]]


def _influence(rng: np.random.Generator) -> pd.DataFrame:
    rows = [(arm, seed, target, metric, level * scale, 0.5 * level * scale, 2 * level * scale, 1e-3, 64)
            for arm, level in (("vanilla", 0.4), ("bridge", 0.8)) for seed in SEEDS for target in ("train", "id", "ood")
            for metric, scale in (("mean_accuracy", 1e-3 * rng.uniform(0.9, 1.1)), ("informative_train", 1.0))]
    return pd.DataFrame(rows, columns=["arm", "seed", "target", "metric", "value", "low", "high", "lr", "n"])


def _anatomy() -> pd.DataFrame:
    kinds = (("arithmetic", 0, 0.2), ("arithmetic", 2, 0.2), ("look-up", 0, 0.1), ("order", 0, 0.1),
             ("format", 0, 0.05))
    cells = [("base", 0, "base")] + [(arm, seed, stage) for arm in ("vanilla", "bridge") for seed in SEEDS
                                     for stage in ("sft", "rl")]
    rows = [(arm, seed, stage, split, kind, width, share, share - 0.02, share + 0.02, share / 0.45, 160)
            for arm, seed, stage in cells for split in ("id", "ood") for kind, width, share in kinds]
    return pd.DataFrame(rows, columns=["arm", "seed", "stage", "split", "kind", "operations", "share", "low", "high",
                                       "share_of_errors", "n"])


def base_card(size: str = "n_ops", sizes: tuple[int, ...] = tuple(range(1, 9))) -> dict[str, pd.DataFrame]:
    """Tables of a base model's card, by the column ``size``."""
    metrics = ("accuracy", "strict", "order", "lookup", "arithmetic_1", "arithmetic_2", "arithmetic_3")
    accuracy = pd.DataFrame([(n, metric, 0.9, 0.8, 0.95, 40) for n in sizes for metric in metrics],
                            columns=[size, "metric", "value", "low", "high", "n"])
    anatomy = pd.DataFrame([(sizes[-1], kind, 0, 0.1, 0.05, 0.2, 0.25, 40) for kind in KINDS],
                           columns=[size, "kind", "operations", "share", "low", "high", "share_of_errors", "n"])
    corpus = pd.DataFrame([("solve", "", 90, 80, 0), ("solve", "subgoal", 10, 10, 0)],
                          columns=["kind", "behavior", "documents", "problems", "held_out"])
    overlap = pd.DataFrame([("test_id", 8, 0, 40)], columns=["split", "n_ops", "in_corpus", "n"])
    loss = pd.DataFrame([(n, 3 / n, 2000 * n) for n in range(1, 30)], columns=["step", "loss", "tokens"])
    return {"accuracy": accuracy, "anatomy": anatomy, "corpus": corpus, "overlap": overlap, "loss": loss}


def sweep_tables(plan: SweepPlan) -> dict[str, pd.DataFrame]:
    """Tables of a sweep, as :func:`bi.sweep.collect` makes them."""
    metrics, errors, curves = [], [], []
    for cell in cells(plan):
        facts = [cell.candidate.name, cell.arm, cell.seed]
        stages = ("sft",) if cell.candidate.grpo is None else ("sft", "rl")
        for stage in stages:
            for split in SPLITS:
                metrics += [(*facts, stage, split, metric, 0.4, 0.3, 0.5, 40) for metric in ("accuracy", "mixed")]
                errors += [(*facts, stage, split, kind, 0, 0.1, 0.05, 0.2, 0.25, 40) for kind in KINDS]
        curves += [(*facts, step, 0.5, 0.2, 1.0, 60.0, 0.0, 1.0, 1.0, 1.0) for step in range(1, 21)
                   if stages[-1] == "rl"]
    keys = ["candidate", "arm", "seed"]
    return {"metrics": pd.DataFrame(metrics, columns=[*keys, "stage", "split", "metric", "value", "low", "high", "n"]),
            "anatomy": pd.DataFrame(errors, columns=[*keys, "stage", "split", "kind", "operations", "share", "low",
                                                     "high", "share_of_errors", "n"]),
            **({"curves": pd.DataFrame(curves, columns=[*keys, "step", "rollout_accuracy", "entropy", "format",
                                                        "completion_length", "truncated", "n_reflection", "n_analysis",
                                                        "n_subgoal"])} if curves else {})}


def _influence_tables(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Tables that stand beside the profile's, for the chapters on co-influence."""
    names = ("naive", "halves", "distinct")
    bias = pd.DataFrame([(n, name, 1 + 2 / n, 0.9, 1.5, 0.95, 10) for n in (4, 8) for name in names],
                        columns=["rollouts", "estimator", "value", "low", "high", "covered", "n"])
    sketch = pd.DataFrame([(kind, k, k**-0.5, k**-0.5, 0.04, 10_000_000, 100) for kind in ("count", "fold")
                           for k in (1024, 4096)],
                          columns=["kind", "size", "error", "bound", "typical", "parameters", "n"])
    methods = ("loop", "plain", "shared", "bfloat16", "sketch", "traker", "kronfluence", "dattri")
    benchmark = pd.DataFrame([(m, 1.5, 2.0, 1e-7, e, 0.5, 900_000, 3, 128, 128, "AVX2", "0123456") for m, e in zip(
        methods, (1e-8, float("nan"), *[1e-4] * 6), strict=True)],
                             columns=["method", "ratio", "against_shared", "error", "cosine_error", "floor_share",
                                      "parameters", "n", "prompt", "longest", "processor", "commit"])
    steps = [{"set": name, "optimiser": optimiser, "gain": gain, "arm": "bridge", "seed": 0, "n": 40, "prompts": 9,
              "train_accuracy": 0.4, "effective": 0.9, "same": 0.9, "step_norm": 0.1,
              **{f"needed_{how}": 1000.0 for how in ("importance", "fresh", "independent")},
              **{f"{what}{end}": (gain if name == "high" else -gain) + shift + 1e-4 * rng.random()
                 for what in ("predicted", "importance", "fresh", "gap_importance", "gap_fresh")
                 for end, shift in (("", 0), ("_low", -0.02), ("_high", 0.02))}}
             for optimiser in ("sgd", "adam") for gain in (0.01, 0.04) for name in ("high", "low")]
    contrasts = [(o, gain, how, 2 * gain, gain, 3 * gain, 40, "bridge", 0) for o in ("sgd", "adam")
                 for gain in (0.01, 0.04) for how in ("predicted", "importance", "fresh")]
    gpu = pd.DataFrame([("1 B", 1.0, 0.1, 2.0, 2.0, 300.0, 0.3)], columns=[
        "model", "passes_pflop", "gram_pflop", "seconds", "weights_gb", "rows_gb", "sketched_rows_gb"])
    return {"bias": bias, "sketch": sketch, "benchmark": benchmark, "benchmark_gpu": gpu, "steps": pd.DataFrame(steps),
            "step_contrasts": pd.DataFrame(contrasts, columns=["optimiser", "gain", "how", "value", "low", "high", "n",
                                                               "arm", "seed"]),
            "step_prompts": pd.DataFrame({"problem_id": ["a", "b"], "n": 16, "correct": [3, 4], "score": 0.1})}


def stage_book(folder: Path, results: Path) -> Path:
    """A source folder with executed chapters, as the engine makes it; returns it."""
    from bi.notebook import run_notebook

    source = folder / "source"
    for name in ("notebooks", "figures"):
        (source / name).mkdir(parents=True, exist_ok=True)
    for name in ("book", "bi", "tests", "workflow", "_config.yml", "_toc.yml"):
        (source / name).symlink_to(ROOT / name)
    (source / "results").symlink_to(results.parent)
    (source / "models").symlink_to(results.parents[1] / "models")
    for name in toc_names():
        if name.startswith("notebooks/"):
            given = {"profile": PROFILE, "results_dir": f"results/{PROFILE}", "figures_dir": "figures"}
            run_notebook(ROOT / f"{name}.ipynb", source / f"{name}.ipynb", given, cwd=source,
                         failed=folder / "failed.ipynb")
    return source


def build_book(source: Path, out: Path, results: Path) -> subprocess.CompletedProcess[str]:
    """Build strictly; the HTML is ``out/_build/html``."""
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(source), "--path-output", str(out),
               "--all", "-W", "-n", "--keep-going"]
    env = os.environ | {"BI_PROFILE": PROFILE, "BI_RESULTS": str(results)}
    return subprocess.run(command, cwd=source, env=env, capture_output=True, text=True)


def sidecar_record(**changes: object) -> dict[str, object]:
    """A complete provenance record with ``changes``."""
    record = provenance(PROFILE, SEEDS, "0123456789ab", 60.0, root=ROOT)
    return json.loads(json.dumps(record)) | changes


def estimate(value: float, low: float, high: float) -> Estimate:
    """An estimate with an interval."""
    return Estimate(value, low, high, 3, "95% percentile bootstrap over 3 seeds")
