"""One line in the terminal when a job starts and one when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bi.progress import duration
from workflow.plan import Estimate, Job, in_words


class Progress:
    """Turns events of jobs into lines; counts what is done and estimates what is left."""

    def __init__(self, todo: list[Job], estimate: Estimate, cores: int, say: Callable[[str], None]) -> None:
        """``todo`` are the jobs of the plan, ``say`` gets the lines."""
        self.waiting = list(todo)
        self.total, self.done, self.failed = len(todo), 0, 0
        self.estimate, self.cores, self.say = estimate, cores, say
        self.began = time.monotonic()

    def hear(self, event: dict[str, Any]) -> None:
        """Say what an event of a job means."""
        clock = _clock(time.monotonic() - self.began)
        if event["event"] == "started":
            self.say(f"[{clock}] started   {event['job']}{' (resumed)' if event['resumed'] else ''}")
        elif event["event"] == "finished":
            self.done += 1
            stage, arm = event["stage"], event["arm"]
            self.estimate = self.estimate.updated(stage, arm, event["wall_s"])
            done = next((job for job in self.waiting if (job.stage, job.arm) == (stage, arm)), None)
            if done:
                self.waiting.remove(done)
            self.say(f"[{clock}] finished  {event['job']} in {duration(event['wall_s'])}, {event['peak_mb']} MB; "
                     f"{self.done} of {self.total} done{self.left()}")
        elif event["event"] == "failed":
            self.failed += 1
            self.say(f"[{clock}] FAILED    {event['job']}\n{event['message']}")

    def left(self) -> str:
        """The time still to expect of the stages to come that have been timed, and which have not."""
        told = in_words(self.waiting, self.estimate, self.cores, "left") if self.waiting else ""
        return f", {told}" if told else ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
