"""Rollouts: ``k`` sampled completions of each prompt, judged; a killed run completes its table with the same bytes.

With ``out``, finished chunks of prompts lie in ``<out>.partial`` until the table is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from bi.files import atomic_write, require_space
from bi.progress import Progress
from bi.training.checkpoints import clear_disk_errors
from bi.training.policy import Policy, check_lengths, decode_completion, digest_rows, encode_prompt
from bi.training.reward import Score, score
from bi.training.sampler import row_keys, sample

CHUNK_ROWS = 512  # rows between two saves, whole prompts
IDENTITY = b"bi_identity"
SCHEMA = pa.schema([
    ("problem_id", pa.string()), ("sample", pa.int64()), ("prompt", pa.string()), ("completion", pa.string()),
    ("answer", pa.bool_()), ("reward", pa.float64()), ("strict", pa.bool_()), ("format", pa.bool_()),
    ("first_error", pa.string()), ("error_operations", pa.int64()), ("n_reflection", pa.int64()),
    ("n_analysis", pa.int64()), ("n_subgoal", pa.int64()), ("prompt_ids", pa.list_(pa.int32())),
    ("completion_ids", pa.list_(pa.int32())), ("logprob", pa.float64()), ("n_tokens", pa.int64()),
    ("finished", pa.bool_()),
])
JUDGED = ("answer", "reward", "strict", "format", "first_error", "error_operations", "n_reflection", "n_analysis",
          "n_subgoal")


@dataclass(frozen=True)
class RolloutPlan:
    """How to sample: ``k`` completions a prompt; ``seed`` and ``purpose`` name the noise (see ``bi.streams``)."""

    k: int
    max_new_tokens: int
    temperature: float = 1.0
    seed: int = 0
    purpose: str = "rollouts"

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.k < 1:
            raise ValueError(f"k is {self.k}; sample at least one completion a prompt")


def make_rollouts(
    policy: Policy,
    rows: Sequence[Mapping[str, Any]],
    k: int,
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    seed: int = 0,
    purpose: str = "rollouts",
    out: str | os.PathLike[str] | None = None,
    batch_rows: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Sample and judge exactly ``k`` completions of each row (``problem_id``, ``prompt``, ``wording``).

    One table row per completion: ``answer`` (is it right), ``reward`` (answer and format), ``strict``, ``format``,
    ``first_error`` and counts as in :class:`bi.training.reward.Score`; ``prompt_ids`` and ``completion_ids`` (with the
    eos id where ``finished``); ``logprob``, the model's log-probability of the completion at temperature 1, in nats.
    The noise of a row depends on (``seed``, ``purpose``, ``problem_id``, sample) alone. With ``out`` the table is also
    written there as parquet, and a killed run continues after its last finished chunk.
    Raises ``ValueError`` for bad rows before anything is sampled.
    """
    plan = RolloutPlan(k, max_new_tokens, temperature, seed, purpose)
    prompts = encode_rows(policy, rows)
    chunk = max(1, CHUNK_ROWS // k)
    line = Progress(len(rows), "rollouts of prompt") if progress else None
    if out is None:
        tables = [_roll(policy, rows[at:at + chunk], prompts[at:at + chunk], plan, batch_rows, line, at)
                  for at in range(0, len(rows), chunk)]
        return frame(pa.concat_tables(tables))
    path, identity = Path(out), _identity(policy, rows, plan, batch_rows)
    if path.is_file() and (pq.read_schema(path).metadata or {}).get(IDENTITY) == identity:
        return load_rollouts(path)
    work = _open_work(path, identity)
    with clear_disk_errors(work):
        require_space(work, 16 * k * sum(len(ids) + max_new_tokens for ids in prompts))
        for at in range(0, len(rows), chunk):
            part = work / f"chunk-{at // chunk:05d}.parquet"
            if not part.is_file():
                _write(part, _roll(policy, rows[at:at + chunk], prompts[at:at + chunk], plan, batch_rows, line, at))
        whole = pa.concat_tables([pq.read_table(part) for part in sorted(work.glob("chunk-*.parquet"))])
        _write(path, whole, identity)
    shutil.rmtree(work, ignore_errors=True)
    return load_rollouts(path)


def encode_rows(policy: Policy, rows: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Prompt ids of rows that have what rollouts need; ``ValueError`` names the row and what is wrong with it."""
    if not rows:
        raise ValueError("rows is empty; rollouts need at least one prompt")
    seen: set[str] = set()
    for index, row in enumerate(rows):
        for column in ("problem_id", "prompt", "wording"):
            if not isinstance(row.get(column), str) or not row[column]:
                raise ValueError(f"row {index}: column {column!r} is {row.get(column)!r}; give a text")
        if row["problem_id"] in seen:
            raise ValueError(f"row {index}: problem_id {row['problem_id']!r} was used before; make each one different")
        seen.add(row["problem_id"])
    prompts = [encode_prompt(policy.tokenizer, row["prompt"]) for row in rows]
    named = [(str(row["problem_id"]), len(ids)) for row, ids in zip(rows, prompts, strict=True)]
    check_lengths(named, policy.context - 1, "context of the model with one token to sample")
    return prompts


def judge(policy: Policy, ids: Sequence[int], row: Mapping[str, Any], format_reward: float = 0.0) -> tuple[str, Score]:
    """Text and score of sampled ``ids`` for the problem of ``row``."""
    text = decode_completion(policy.tokenizer, ids)
    return text, score(text, row["prompt"], row["wording"], format_reward)


def save_rollouts(rollouts: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table of rollouts as parquet; the file appears when it is whole."""
    _write(Path(path), pa.Table.from_pandas(rollouts, schema=SCHEMA, preserve_index=False))


def load_rollouts(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a table of rollouts; raises ``ValueError`` for a file that is none, naming what it lacks."""
    if not Path(path).is_file():
        raise ValueError(f"rollouts {os.fspath(path)!r} do not exist; make them with `bi rollouts`")
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"rollouts {os.fspath(path)!r} are no parquet table ({error}); make them again") from error
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise ValueError(f"rollouts {os.fspath(path)!r} lack the columns {', '.join(missing)}; make them again")
    return frame(table)


def frame(table: pa.Table) -> pd.DataFrame:
    """The table as pandas, with token ids as lists of ints and ``first_error`` missing where there is none."""
    columns = {name: table[name].to_pylist() if pa.types.is_nested(table.schema.field(name).type) else
               table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    return pd.DataFrame(columns)


def _roll(policy: Policy, rows: Sequence[Mapping[str, Any]], prompts: list[list[int]], plan: RolloutPlan,
          batch_rows: int | None, line: Progress | None, before: int) -> pa.Table:
    """Rollouts of one chunk of prompts."""
    keys = row_keys((plan.seed, plan.purpose), [row["problem_id"] for row in rows], plan.k)
    drawn = sample(policy.model, prompts, plan.k, max_new_tokens=plan.max_new_tokens, temperature=plan.temperature,
                   eos_id=policy.eos_ids, pad_id=policy.pad_id, keys=keys, batch_rows=batch_rows)
    records = []
    for place, (ids, logprobs, finished) in enumerate(zip(drawn.ids, drawn.logprobs, drawn.finished, strict=True)):
        row = rows[place // plan.k]
        text, verdict = judge(policy, ids, row)
        records.append({"problem_id": row["problem_id"], "sample": place % plan.k, "prompt": row["prompt"],
                        "completion": text, **{name: getattr(verdict, name) for name in JUDGED},
                        "prompt_ids": prompts[place // plan.k], "completion_ids": ids, "logprob": sum(logprobs),
                        "n_tokens": len(ids), "finished": finished})
    if line is not None:
        line.update(before + len(rows), f"accuracy {sum(r['answer'] for r in records) / len(records):.2f}")
    return pa.Table.from_pylist(records, schema=SCHEMA)


def _identity(policy: Policy, rows: Sequence[Mapping[str, Any]], plan: RolloutPlan, batch_rows: int | None) -> bytes:
    """What decides every byte of the table."""
    state = hashlib.sha256()
    for name, tensor in policy.model.state_dict().items():
        state.update(name.encode())
        state.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    wanted = [{name: row[name] for name in ("problem_id", "prompt", "wording")} for row in rows]
    facts = {"weights": state.hexdigest(), "rows": digest_rows(wanted), "plan": vars(plan), "batch_rows": batch_rows,
             "columns": SCHEMA.names}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest().encode()


def _open_work(path: Path, identity: bytes) -> Path:
    """The folder of finished chunks, emptied if another run left it."""
    work = path.with_name(path.name + ".partial")
    label = work / "identity"
    if not label.is_file() or label.read_bytes() != identity:
        shutil.rmtree(work, ignore_errors=True)
        with atomic_write(label, "wb") as handle:
            handle.write(identity)
    return work


def _write(path: Path, table: pa.Table, identity: bytes | None = None) -> None:
    table = table.replace_schema_metadata({IDENTITY: identity} if identity else None)
    with atomic_write(path, "wb") as handle:
        pq.write_table(table, handle, compression="zstd")
