"""Completions damaged at random, the way a policy damages them and worse."""

from __future__ import annotations

import random
import string

MANGLES = ("delete", "swap", "repeat", "truncate", "replace", "bytes", "splice", "characters")


def mutate(text: str, other: str, rng: random.Random) -> str:
    """``text`` after one to four kinds of damage; ``other`` is where foreign words come from."""
    for _ in range(rng.randint(1, 4)):
        text = _once(text, other, rng.choice(MANGLES), rng)
    return text


def _once(text: str, other: str, how: str, rng: random.Random) -> str:
    words = text.split(" ")
    at, to = rng.randrange(len(words)), rng.randrange(len(words))
    if how == "delete":
        del words[at : at + rng.randint(1, 3)]
    elif how == "swap":
        words[at], words[to] = words[to], words[at]
    elif how == "repeat":
        words[at:at] = words[at : at + rng.randint(1, 12)] * rng.choice((1, 1, 2, 9))
    elif how == "truncate":
        words = words[: at + 1]
    elif how == "replace":
        words[at] = rng.choice(other.split(" "))
    elif how == "bytes":
        words[at] = rng.randbytes(rng.randint(1, 8)).decode("utf-8", errors="replace")
    elif how == "splice":
        words[at:] = other.split(" ")[to:]
    else:
        letters = list(" ".join(words))
        for _ in range(rng.randint(1, 6)):
            letters.insert(rng.randrange(len(letters) + 1), rng.choice(string.printable))
        return "".join(letters)
    return " ".join(words)


ODD = {
    "one letter": "x",
    "spaces": " ",
    "line ends": "\n",
    "zero bytes": "\0",
    "opening parentheses": "( ",
    "closing parentheses": ") ",
    "minus signs": "- ",
    "dots": ". ",
    "marks": "? ",
    "exclamation marks": "! ",
    "answers": "! 4 ",
    "equals signs": "= ",
    "semicolons": "; ",
    "definitions": "D4 7 = ",
    "lines": "D4 7 = V4 7 . ",
    "differences": "1 - ",
    "factors": "999999 * ",
    "a line of factors": "D4 7 = 9 * ",
    "bullets": "- Let a be the number of each A's B. Then a = 1.\n",
    "one bullet": "- Let a be the number of each A. Then a = 1. Then a = ",
    "facts": "- According to the question, the number of each A. Let a be the number of each B. Then a = 3. ",
    "calls": "- Call the number of each a. Wait, the number of each ",
    "boxes": "\\boxed{ 4} ",
    "open boxes": "\\boxed{",
    "tags": "<think>\n</think>\n<answer>\n",
    "digits": "9",
    "names": "D999 N999 V999 ",
    "wide letters": "\U0001d7d9\u0664\u00b2 ",
}
"""Pieces that, repeated, have exhausted readers of text elsewhere or may exhaust this one."""
