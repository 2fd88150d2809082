"""Rows on disk: JSON Lines read line by line with their columns checked, and written whole or not at all.

Every error names the file and the line, so that a file made elsewhere can be mended. Reading and writing stream: memory
does not grow with the number of rows unless the caller keeps them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from bi.files import atomic_write

Columns = Mapping[str, type]
"""Required columns and their types (``float`` takes whole numbers too)."""

PLAIN_ROW: Columns = {"prompt": str, "completion": str}
"""What SFT needs of a row."""

PROMPT_ROW: Columns = {"problem_id": str, "prompt": str, "answer": str, "wording": str}
"""What rollouts and GRPO need of a row."""

_KINDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


class RecordError(ValueError):
    """A row that cannot be used: names the file, the line (counted from 1) and the reason."""

    def __init__(self, path: str | Path, line: int, reason: str) -> None:
        super().__init__(f"{path}, line {line}: {reason}")
        self.path, self.line, self.reason = Path(path), line, reason


def read_rows(
    path: str | Path,
    columns: Columns,
    *,
    unique: str | None = None,
    check: Callable[[dict[str, Any]], None] | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file, or the first ``limit`` of them; see :func:`iterate_rows` for the errors.

    ``unique`` names a column whose values must differ from row to row. A ``ValueError`` that ``check`` raises on a row
    becomes a :class:`RecordError` with its line.
    """
    rows, first_line = [], {}
    for line, row in iterate_rows(path, columns):
        if unique is not None:
            value = row[unique]
            if value in first_line:
                raise RecordError(path, line, f"{unique} {value!r} was already used on line {first_line[value]}; "
                                              f"make each {unique} different")
            first_line[value] = line
        if check is not None:
            try:
                check(row)
            except ValueError as error:
                raise RecordError(path, line, str(error)) from None
        rows.append(row)
        if len(rows) == limit:
            break
    return rows


def iterate_rows(path: str | Path, columns: Columns) -> Iterator[tuple[int, dict[str, Any]]]:
    """Pairs (line number from 1, row) of a JSON Lines file, one line in memory at a time.

    Blank lines are skipped; columns beyond ``columns`` are kept. Raises ``FileNotFoundError`` or ``IsADirectoryError``
    for a path that is no file, ``ValueError`` for a file without rows, and :class:`RecordError` for a line that is not
    UTF-8, not a JSON object, or lacks a column or has one of the wrong type.
    """
    found = False
    for line, raw in iterate_lines(path):
        found = True
        yield line, parse_row(path, line, raw, columns)
    if not found:
        raise ValueError(f"{path} is empty: it needs at least one row with the columns {', '.join(columns)}")


def iterate_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Pairs (line number from 1, bytes of the line) of all lines that are not blank."""
    if Path(path).is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the JSON Lines file itself")
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist; check the path, or write the file with `bi data`")
    with open(path, "rb") as file:
        for line, raw in enumerate(file, start=1):
            if line == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if raw.strip():
                yield line, raw


def parse_row(path: str | Path, line: int, raw: bytes, columns: Columns) -> dict[str, Any]:
    """The row that one line holds; raises :class:`RecordError` (see :func:`iterate_rows`)."""
    try:
        row = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1} of the line"
        raise RecordError(path, line, f"not UTF-8 at {place}; save the file as UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(path, line, f"not JSON ({_reason(error)}); each line must hold one JSON object") from None
    if not isinstance(row, dict):
        raise RecordError(path, line, f"holds {_kind(row)}, not a JSON object; each line must be one object of columns")
    for column, kind in columns.items():
        _check_column(path, line, row, column, kind)
    return row


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _check_column(path: str | Path, line: int, row: dict[str, Any], column: str, kind: type) -> None:
    if column not in row:
        raise RecordError(path, line, f"lacks the column {column!r}; it has {', '.join(row) or 'no columns'}")
    value = row[column]
    if not _fits(value, kind):
        raise RecordError(path, line, f"column {column!r} holds {_kind(value)}, not {_KINDS[kind]}")
    if kind is str and not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise RecordError(path, line, f"column {column!r} holds half a surrogate pair, which is not text")


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    shown = repr(value)
    return f"{_KINDS[type(value)]} ({shown if len(shown) <= 40 else shown[:37] + '...'})"


def write_rows(
    path: str | Path, rows: Iterable[Mapping[str, Any]], *, seen: Callable[[int], None] | None = None
) -> int:
    """Write ``rows`` as JSON Lines and return their number; the file appears only when the last row is in it.

    Keys keep the order of the row and text is written as it is (UTF-8), so equal rows give equal bytes. ``seen`` is
    told how many rows are written, after each.
    """
    count = 0
    with atomic_write(Path(path), "w") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
            if seen is not None:
                seen(count)
    return count
