"""
litellm.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import litellm

from contenders import KEY, MODEL, PROMPT


class _Asks:
    def __init__(self, url: str) -> None:
        self._asked: dict[str, Any] = {
            "model": f"openai/{MODEL}",
            "messages": [{"role": "user", "content": PROMPT}],
            "api_base": url,
            "api_key": KEY,
        }


class Blocking(_Asks):
    def call(self) -> str:
        text: str = litellm.completion(**self._asked).choices[0].message.content
        return text

    def stream(self) -> Iterator[str]:
        for chunk in litellm.completion(**self._asked, stream=True):
            yield chunk.choices[0].delta.content or ""

    def close(self) -> None:
        """
        Leave it: it keeps its clients itself.
        """


class Async(_Asks):
    async def call(self) -> str:
        answer = await litellm.acompletion(**self._asked)
        text: str = answer.choices[0].message.content
        return text

    async def stream(self) -> AsyncIterator[str]:
        async for chunk in await litellm.acompletion(**self._asked, stream=True):
            yield chunk.choices[0].delta.content or ""

    async def close(self) -> None:
        """
        Leave it: it keeps its clients itself.
        """
