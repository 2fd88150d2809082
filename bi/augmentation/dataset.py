"""Behaviours for a Hugging Face ``datasets`` dataset, in memory, on disk or streamed. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from bi.augmentation.behaviors import BEHAVIORS
from bi.augmentation.formats import Request, get_format, inject_row
from bi.recipes import BehaviorRates
from bi.tasks.vocabulary import WORLDS, World

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

AnyDataset = TypeVar("AnyDataset", "Dataset", "IterableDataset")
_LISTED = 10


def inject_dataset(
    dataset: AnyDataset,
    format: str,
    rates: BehaviorRates,
    *,
    seed: int = 0,
    wording: str | None = None,
    worlds: tuple[World, ...] = WORLDS,
    num_proc: int | None = None,
    keep_unread: bool = False,
) -> AnyDataset:
    """``dataset`` with the columns ``prompt``, ``completion`` and the realised counts; all other columns stay.

    Works on a map-style ``Dataset``, with ``num_proc`` processes, and on a streamed ``IterableDataset``, row by row as
    it is read (``num_proc`` must then be left out). The rows are those that ``bi inject`` writes for the same seed.

    ``worlds`` is the vocabulary of public iGSM rows. Rows that cannot be read raise ``ValueError`` with their indices
    and reasons: at once for a map-style dataset, when they come for a streamed one. With ``keep_unread`` they stay,
    with ``None`` in the new columns, and a further column ``unread`` holds the reason (``None`` for good rows).
    """
    from datasets import Dataset

    get_format(format)
    request = Request(rates, seed, wording, worlds=worlds)
    if isinstance(dataset, Dataset):
        change = partial(_change, format=format, request=request, refuse=False)
        changed = dataset.map(change, with_indices=True, num_proc=num_proc, desc="injecting behaviours")
        if keep_unread:
            return changed  # type: ignore[return-value]
        refused = [(index, reason) for index, reason in enumerate(changed["unread"]) if reason is not None]
        if refused:
            listed = "; ".join(f"row {index}: {reason}" for index, reason in refused[:_LISTED])
            more = f"; and {len(refused) - _LISTED} more" if len(refused) > _LISTED else ""
            raise ValueError(f"{len(refused)} rows cannot be read ({listed}{more}); mend or filter them, or keep them "
                             "with keep_unread=True")
        return changed.remove_columns("unread")  # type: ignore[return-value]
    if num_proc is not None:
        raise ValueError(f"num_proc={num_proc}: a streamed dataset is read row by row; leave it out")
    change = partial(_change, format=format, request=request, refuse=not keep_unread)
    streamed = dataset.map(change, with_indices=True)
    return streamed if keep_unread else streamed.remove_columns("unread")


def _change(row: Mapping[str, Any], index: int, format: str, request: Request, refuse: bool) -> dict[str, Any]:
    given = {name: _without_empty(value) for name, value in row.items()}
    try:
        changed, reason = inject_row(given, format, request), None
    except ValueError as error:
        if refuse:
            raise ValueError(f"row {index} cannot be read: {error}") from None
        changed, reason = {}, str(error)
    new = ("prompt", "completion", *(f"n_{name}" for name in BEHAVIORS))
    return {name: changed.get(name, row.get(name)) for name in new} | {"unread": reason}


def _without_empty(value: Any) -> Any:
    """A list of objects without the fields that are ``None``: Arrow gives all objects of a list the same fields."""
    if isinstance(value, list):
        return [{k: v for k, v in item.items() if v is not None} if isinstance(item, dict) else item for item in value]
    return value
