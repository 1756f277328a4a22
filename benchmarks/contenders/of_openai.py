"""
openai-python.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from openai import AsyncOpenAI, OpenAI

from contenders import KEY, MODEL, PROMPT


class Blocking:
    def __init__(self, url: str) -> None:
        self._client = OpenAI(api_key=KEY, base_url=url)

    def call(self) -> str:
        answer = self._client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": PROMPT}]
        )
        return answer.choices[0].message.content or ""

    def stream(self) -> Iterator[str]:
        with self._client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": PROMPT}], stream=True
        ) as chunks:
            for chunk in chunks:
                yield chunk.choices[0].delta.content or ""

    def close(self) -> None:
        self._client.close()


class Async:
    def __init__(self, url: str) -> None:
        self._client = AsyncOpenAI(api_key=KEY, base_url=url)

    async def call(self) -> str:
        answer = await self._client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": PROMPT}]
        )
        return answer.choices[0].message.content or ""

    async def stream(self) -> AsyncIterator[str]:
        async with await self._client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": PROMPT}], stream=True
        ) as chunks:
            async for chunk in chunks:
                yield chunk.choices[0].delta.content or ""

    async def close(self) -> None:
        await self._client.close()
