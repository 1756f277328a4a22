"""
What errors advise programs to do, said to who types.
"""

from __future__ import annotations

import re

#: Advice for programs, and what it means here.
_ADVICE = (
    (r"\bpass (?:api_key=|provider_options=\{.*?\}) or set\b", "set"),
    (r"\b(pass|with) model=", r"\1 --model"),
    (r"\bproxy= or AI_PROXY_URL, or pass disable_proxy=True", "AI_PROXY_URL"),
    (r"\bregister_provider\(.*?\)\) adds a provider", "ai-lib providers lists them"),
    (r"\bas the client's model\b", "as --model"),
    (r"\bpass it as base_url=", "put it into AI_BASE_URL"),
)


def for_the_shell(error: Exception) -> str:
    """
    Say what went wrong, and what to do about it in a shell.
    """
    message = str(error)
    for pattern, meaning in _ADVICE:
        message = re.sub(pattern, meaning, message)
    return message
