"""
aiohttp, and ``json.loads``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp

from contenders import BODY, HEADERS, STREAMED
from contenders.lines import text_of


class Async:
    def __init__(self, url: str) -> None:
        self._url = f"{url}/chat/completions"
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector)

    async def call(self) -> str:
        async with self._session.post(self._url, json=BODY, headers=HEADERS) as answer:
            text: str = json.loads(await answer.read())["choices"][0]["message"][
                "content"
            ]
        return text

    async def stream(self) -> AsyncIterator[str]:
        async with self._session.post(
            self._url, json=STREAMED, headers=HEADERS
        ) as answer:
            async for line in answer.content:
                if text := text_of(line):
                    yield text

    async def close(self) -> None:
        await self._session.close()
