import io

import pytest

from bi.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def run(stream, seconds, steps=range(1, 101), total=100):
    clock = Clock()
    progress = Progress(total, "GRPO step", stream=stream, clock=clock)
    for step in steps:
        clock.now += seconds
        progress.update(step, "reward 0.50")
    return stream.getvalue()


def test_a_log_gets_few_lines_and_the_last_one():
    lines = run(io.StringIO(), 2.0).splitlines()
    assert len(lines) == 7  # every 30 s of 200 s, and the end
    assert lines[0] == "GRPO step 15/100, 2 min 50 s left, reward 0.50"
    assert lines[-1] == "GRPO step 100/100, done in 3 min 20 s, reward 0.50"


def test_a_terminal_gets_one_line_that_renews_itself():
    text = run(Terminal(), 1.0)
    assert text.count("\n") == 1 and text.endswith("\n") and text.count("\r") == 100


def test_a_resumed_run_estimates_from_its_own_speed():
    lines = run(io.StringIO(), 40.0, steps=range(91, 101)).splitlines()
    assert lines[0] == "GRPO step 91/100, 6 min 0 s left, reward 0.50"


def test_close_ends_an_open_line():
    stream = Terminal()
    progress = Progress(5, "x", stream=stream)
    progress.update(1)
    progress.close()
    progress.close()
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize(("seconds", "text"), [(7.4, "7 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text
