"""Data for a script, inside the page that shows it."""

from __future__ import annotations

import json
from typing import Any


def data_script(data: Any) -> str:
    """Plain data as a JSON element of HTML, which no text in it can end."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>'
