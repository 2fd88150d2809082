"""Rows on disk: what is written is read back, and a bad line is named with its file, its number and its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bi.records import PLAIN_ROW, RecordError, iterate_rows, read_rows, write_rows

GOOD = {"prompt": "How many?", "completion": "Three."}


def write_lines(path: Path, *lines: str | bytes) -> Path:
    path.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def test_rows_come_back_as_they_were_written(file: Path) -> None:
    text = "line\nbreak \u2028 é 漢 \""
    rows = [{"prompt": f"{text} {i}", "completion": "", "n": i, "x": 0.5, "list": [1]} for i in range(5)]
    assert write_rows(file, rows) == 5
    assert read_rows(file, PLAIN_ROW) == rows
    assert file.read_bytes().count(b"\n") == 5


def test_line_numbers_count_blank_lines_and_a_byte_order_mark_is_ignored(file: Path) -> None:
    write_lines(file, b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), "", "  ", json.dumps(GOOD))
    assert [line for line, _ in iterate_rows(file, PLAIN_ROW)] == [1, 4]


@pytest.mark.parametrize(("line", "reason"), [
    ("{'prompt': 1}", "not JSON"),
    ('{"prompt": "a"', "not JSON"),
    ('{"prompt": NaN, "completion": ""}', "NaN is not JSON"),
    ("[" * 100_000, "not JSON"),
    ("9" * 5000, "not JSON"),
    ('["prompt", "completion"]', "not a JSON object"),
    ("null", "holds null"),
    ('{"prompt": "a", "answer": "3"}', "lacks the column 'completion'; it has prompt, answer"),
    ("{}", "lacks the column 'prompt'; it has no columns"),
    ('{"prompt": "a", "completion": 7}', "column 'completion' holds a whole number (7), not text"),
    ('{"prompt": "a", "completion": null}', "column 'completion' holds null, not text"),
    ('{"prompt": ["a"], "completion": ""}', "column 'prompt' holds a list (['a']), not text"),
    ('{"prompt": "\\ud800", "completion": ""}', "half a surrogate pair"),
    (b'{"prompt": "\xff", "completion": ""}', "not UTF-8 at byte 13"),
])
def test_a_bad_line_is_named_with_file_line_and_reason(file: Path, line: str | bytes, reason: str) -> None:
    write_lines(file, json.dumps(GOOD), line)
    with pytest.raises(RecordError) as caught:
        read_rows(file, PLAIN_ROW)
    assert caught.value.line == 2
    assert f"{file}, line 2: " in str(caught.value) and reason in str(caught.value)


@pytest.mark.parametrize(("value", "kind", "fits"), [
    (3, int, True), (True, int, False), (3.0, int, False), (3, float, True), (0.5, float, True), (True, float, False),
    (False, bool, True), (0, bool, False),
])
def test_true_is_no_number_but_a_whole_number_is_one(file: Path, value: object, kind: type, fits: bool) -> None:
    write_lines(file, json.dumps({"x": value}))
    if fits:
        assert read_rows(file, {"x": kind}) == [{"x": value}]
    else:
        with pytest.raises(RecordError, match="column 'x' holds"):
            read_rows(file, {"x": kind})


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_a_file_without_rows_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ValueError, match="is empty"):
        read_rows(file, PLAIN_ROW)


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_rows(tmp_path / "absent.jsonl", PLAIN_ROW)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_rows(tmp_path, PLAIN_ROW)


def test_values_that_must_differ_are_checked(file: Path) -> None:
    write_lines(file, '{"problem_id": "a"}', '{"problem_id": "b"}', '{"problem_id": "a"}')
    assert len(read_rows(file, {"problem_id": str})) == 3
    with pytest.raises(RecordError, match="line 3: problem_id 'a' was already used on line 1"):
        read_rows(file, {"problem_id": str}, unique="problem_id")


def test_rows_are_read_one_at_a_time(file: Path) -> None:
    write_lines(file, json.dumps(GOOD), "broken")
    rows = iterate_rows(file, PLAIN_ROW)
    assert next(rows) == (1, GOOD)
    with pytest.raises(RecordError):
        next(rows)


def test_a_failed_write_leaves_the_old_file_and_no_other(file: Path) -> None:
    write_rows(file, [GOOD])
    before = file.read_bytes()

    def rows() -> object:
        yield GOOD
        raise ValueError("the generator failed")

    with pytest.raises(ValueError, match="generator failed"):
        write_rows(file, rows())  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        write_rows(file, [{"x": float("nan")}])
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]
