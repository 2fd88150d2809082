"""The measured part of README.md: every number in it comes from ``results/``, none is typed.

``python -m workflow.readme`` rewrites the blocks between ``<!-- name -->`` and ``<!-- /name -->``; a test holds them to
the tables. ``make reproduce`` does not touch the README, which speaks of the committed results.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from bi.chapter import command_facts, read_if_made, read_table
from bi.evaluation.claims import CLAIMS, judge_claims
from bi.evaluation.findings import IN_PART, NOT_RUN, OPEN, OPPOSITE, SPLITS, UNSEEN, Finding
from bi.evaluation.verdicts import Estimate, find
from bi.files import atomic_write
from bi.recipes import LONGER

ROOT = Path(__file__).resolve().parents[1]
LISTED = {"Of these claims the opposite was seen": (OPPOSITE,),
          "These were tested, and the results do not support them": (UNSEEN,),
          "These are supported in part": (IN_PART,), "These have not been measured yet": (OPEN,)}
"""What the README lists of the claims, and by which verdicts."""
TOLD = {
    ("subgoals", "level_subgoals"):
        "Bridge minus an arm that is given subgoals alone (training size): {}.\n"
        "Difference of the gains from the same accuracy before RL: {}.",
    ("more_steps", "more_steps_subgoals"):
        f"**Where RL goes on**, for {LONGER} times as many steps, bridge minus another arm is:\n\n"
        "- vanilla: {};\n- subgoals alone: {}.",
    ("unseen", "unseen_end"):
        "**The base decides.** From one whose corpus holds no behaviours, bridge minus vanilla is:\n\n"
        "- in the gain, {};\n- after RL, {}.",
}
"""What is seen of two claims each, in words."""
VERBS = {"supported": "holds here", "contradicted": "is contradicted here", "undecided": "is undecided here"}


def blocks(results: Path) -> dict[str, str]:
    """The text of each block, from the tables of ``results`` (a profile's folder)."""
    summary = read_table(results, "summary")
    facts = command_facts(results)

    def level(arm: str, stage: str, split: str) -> str:
        return f"{100 * find(summary, arm, stage, split).value:.1f}"

    def extra(stage: str, split: str) -> Estimate:
        return find(summary, "bridge", stage, split, versus="vanilla")

    gains = {split: extra("gain", split) for split in SPLITS}
    ends = {split: extra("rl", split) for split in SPLITS}
    shown = ["vanilla", "bridge", *(["subgoal"] if "subgoal" in set(summary["arm"]) else [])]
    findings = judge_claims(lambda name: read_if_made(results, name))
    judged = {words: [claim.claim for claim in CLAIMS if findings[claim.key].verdict in verdicts]
              for words, verdicts in LISTED.items()}
    rows = [
        f"| {name} | {arm} | {level(arm, 'sft', split)} | {level(arm, 'rl', split)} |"
        f" {find(summary, arm, 'gain', split).brief()} |"
        for split, name in SPLITS.items() for arm in shown
    ]
    return {
        "commands": "\n".join((
            f"| command | what it does | time, memory ({facts['machine_reproduce']}) |",
            "|---|---|---|",
            f"| `make test` | sets up, runs the tests | {facts['time_test']}, {facts['memory_test']} |",
            f"| `make reproduce` | trains the two main arms, writes the book | {facts['time_reproduce']}, "
            f"{facts['memory_reproduce']} |",
        )),
        "results": "\n".join((
            f"![Accuracy of both arms before and after RL](results/accuracy-{results.name}.png)",
            "",
            "| problems | arm | after SFT, % | after RL, % | gain in points (95% interval) |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"Intervals: {gains['id'].method}. That injection makes RL *gain more* {VERBS[gains['id'].verdict()]} on",
            f"problems of the training size ({gains['id'].points()}) and",
            f"{VERBS[gains['ood'].verdict()]} on larger ones ({gains['ood'].points()}).",
            "",
            "*Training size* is the largest number of operations that is trained on; *subgoal* is an arm with",
            "plain chains whose arithmetic is written one operation at a time, the strongest control.",
        )),
        "missing": "\n".join((
            f"That bridge also *ends* higher, as the paper reports, {VERBS[ends['id'].verdict()]}: after RL it stands "
            f"{ends['id'].points()} relative to vanilla",
            f"on problems of the training size, and {ends['ood'].points()} on larger ones.",
            *_told(findings),
            "",
            "\n\n".join(f"{words}:\n\n" + "\n".join(f"- {claim}" for claim in claims) if claims else f"{words}: none."
                        for words, claims in judged.items()),
        )),
    }


def _told(findings: Mapping[str, Finding]) -> Iterable[str]:
    """Paragraphs of :data:`TOLD`, each behind an empty line; without those of claims that have not been measured."""
    for (first, second), text in TOLD.items():
        if NOT_RUN not in (seen := (findings[first].seen, findings[second].seen)):
            yield from ("", text.format(*seen))


def filled(text: str, parts: dict[str, str]) -> str:
    """``text`` with each block replaced; raises ``ValueError`` for a block that the text does not have."""
    for name, part in parts.items():
        block = re.compile(rf"<!-- {name} -->.*?<!-- /{name} -->", re.S)
        if not block.search(text):
            raise ValueError(f"README.md has no block <!-- {name} --> ... <!-- /{name} -->")
        text = block.sub(lambda _, name=name, part=part: f"<!-- {name} -->\n{part}\n<!-- /{name} -->", text)
    return text


def main() -> None:
    """Rewrite README.md from the committed results of the default profile."""
    path = ROOT / "README.md"
    text = filled(path.read_text(encoding="utf-8"), blocks(ROOT / "results" / "cpu"))
    with atomic_write(path) as handle:
        handle.write(text)


if __name__ == "__main__":
    main()
