"""
What the raw contenders make of a line of a stream.
"""

from __future__ import annotations

import json


def text_of(line: bytes | str) -> str | None:
    """
    Read the text of an event's line; ``None``: it has none.
    """
    if len(line) < 20:  # blank, or the end mark
        return None
    text: str | None = json.loads(line[6:])["choices"][0]["delta"].get("content")
    return text
