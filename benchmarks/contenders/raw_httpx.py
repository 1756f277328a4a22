"""
httpx, and ``json.loads``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import httpx

from contenders import BODY, HEADERS, STREAMED
from contenders.lines import text_of

#: As many connections as there are calls.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None)


class Blocking:
    def __init__(self, url: str) -> None:
        self._url = f"{url}/chat/completions"
        self._client = httpx.Client(limits=_LIMITS, timeout=60)

    def call(self) -> str:
        response = self._client.post(self._url, json=BODY, headers=HEADERS)
        text: str = json.loads(response.content)["choices"][0]["message"]["content"]
        return text

    def stream(self) -> Iterator[str]:
        with self._client.stream(
            "POST", self._url, json=STREAMED, headers=HEADERS
        ) as response:
            for line in response.iter_lines():
                if text := text_of(line):
                    yield text

    def close(self) -> None:
        self._client.close()


class Async:
    def __init__(self, url: str) -> None:
        self._url = f"{url}/chat/completions"
        self._client = httpx.AsyncClient(limits=_LIMITS, timeout=60)

    async def call(self) -> str:
        response = await self._client.post(self._url, json=BODY, headers=HEADERS)
        text: str = json.loads(response.content)["choices"][0]["message"]["content"]
        return text

    async def stream(self) -> AsyncIterator[str]:
        async with self._client.stream(
            "POST", self._url, json=STREAMED, headers=HEADERS
        ) as response:
            async for line in response.aiter_lines():
                if text := text_of(line):
                    yield text

    async def close(self) -> None:
        await self._client.aclose()
