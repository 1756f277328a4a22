"""
Who is measured: each library used as its documentation says, for the same question.

A contender is a class with ``call()``, ``stream()`` and ``close()``; the async ones have the same,
awaited. It is made with the base URL of the API and keeps one client. ``stream()`` gives
the pieces of text. "Raw" ones post, and read with ``json.loads``: no types, no retries, no checks.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple


class Contender(NamedTuple):
    """
    Where a contender is, and what it needs.

    Attributes:
        module: Its module.

        name: Its class there.

        needs: The package that must be installed.
    """

    module: str
    name: str
    needs: str

    @property
    def installed(self) -> bool:
        """
        Whether it can be measured here.
        """
        return find_spec(self.needs) is not None

    def load(self) -> Any:
        """
        Import its class.
        """
        return getattr(import_module(f"contenders.{self.module}"), self.name)


BLOCKING = {
    "ai_lib": Contender("ours", "Blocking", "ai_lib"),
    "http.client": Contender("raw_http_client", "Blocking", "http"),
    "requests": Contender("raw_requests", "Blocking", "requests"),
    "httpx": Contender("raw_httpx", "Blocking", "httpx"),
    "openai": Contender("of_openai", "Blocking", "openai"),
    "litellm": Contender("of_litellm", "Blocking", "litellm"),
}
ASYNC = {
    "ai_lib_async": Contender("ours_async", "Async", "ai_lib_async"),
    "httpx, async": Contender("raw_httpx", "Async", "httpx"),
    "aiohttp": Contender("raw_aiohttp", "Async", "aiohttp"),
    "openai, async": Contender("of_openai", "Async", "openai"),
    "litellm, async": Contender("of_litellm", "Async", "litellm"),
}

#: The question.
MODEL = "gpt-4o-mini"
PROMPT = "Tell me a story in one sentence."
KEY = "sk-benchmark-0000000000000000000000"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}
STREAMED = BODY | {"stream": True}
HEADERS = {"authorization": f"Bearer {KEY}"}
