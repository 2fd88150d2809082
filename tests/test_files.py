"""A file or folder with its final name is complete, whatever happened on the way."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from bi.files import atomic_folder, atomic_write, file_digest, require_space


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_written_text_is_utf8_with_plain_line_ends(tmp_path):
    with atomic_write(tmp_path / "deep" / "a.txt") as handle:
        handle.write("é\n")
    assert (tmp_path / "deep" / "a.txt").read_bytes() == b"\xc3\xa9\n"
    assert names(tmp_path / "deep") == ["a.txt"]


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), atomic_write(path, "wb") as handle:
        handle.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a.bin"]


def test_unknown_mode_is_named(tmp_path):
    with pytest.raises(ValueError, match="'a'"), atomic_write(tmp_path / "a", "a"):
        pass
    assert names(tmp_path) == []


def test_a_folder_appears_whole_and_replaces_the_old_one(tmp_path):
    path = tmp_path / "out"
    for content in ("one", "two"):
        with atomic_folder(path) as folder:
            (folder / content).write_text(content)
            assert not (path / content).exists()
        assert names(path) == [content]
    assert names(tmp_path) == ["out"]


def test_a_failed_folder_keeps_the_old_one(tmp_path):
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "old").touch()
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "out") as folder:
        (folder / "new").touch()
        raise RuntimeError
    assert names(tmp_path / "out") == ["old"] and names(tmp_path) == ["out"]


WRITER = """
import os, signal, sys
from bi.files import atomic_folder, atomic_write
with atomic_write(sys.argv[1] + "/a.txt") as handle, atomic_folder(sys.argv[1] + "/out") as folder:
    handle.write("half"); handle.flush(); (folder / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_no_final_name_and_the_next_one_cleans_up(tmp_path):
    killed = subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "a.txt").exists() and not (tmp_path / "out").exists()
    assert len(names(tmp_path)) == 2
    with atomic_write(tmp_path / "a.txt") as handle:
        handle.write("whole")
    with atomic_folder(tmp_path / "out"):
        pass
    assert names(tmp_path) == ["a.txt", "out"]


def test_a_folder_moved_aside_by_a_writer_that_died_comes_back(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    aside = tmp_path / f".out.writing-{dead.pid}-old"
    aside.mkdir()
    (aside / "precious").touch()
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "out"):
        raise RuntimeError
    assert names(tmp_path / "out") == ["precious"]


def test_leftovers_of_live_writers_are_not_touched(tmp_path):
    other = tmp_path / f".a.txt.writing-{os.getppid()}"
    other.touch()
    with atomic_write(tmp_path / "a.txt"):
        pass
    assert other.exists()


def test_missing_space_is_told_before_work_with_both_amounts(tmp_path):
    require_space(tmp_path / "not" / "there", 1)
    with pytest.raises(OSError, match=r"MB needed, .* MB free") as caught:
        require_space(tmp_path / "not" / "there", 10**18)
    assert caught.value.errno == errno.ENOSPC and names(tmp_path) == []


def test_a_write_that_hits_the_size_limit_leaves_no_file(tmp_path):
    code = ("import resource, sys; from bi.files import atomic_write\n"
            "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
            "with atomic_write(sys.argv[1], 'wb') as handle: handle.write(b'x' * 10000)")
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.bin")], capture_output=True, text=True)
    assert run.returncode != 0 and "OSError" in run.stderr and names(tmp_path) == []


def test_digest_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a").startswith("ba7816bf8f01cfea")
