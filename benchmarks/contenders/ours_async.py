"""
This library, async.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from ai_lib_async import AiClient, ChatCompletionRequest, Message
from contenders import KEY, MODEL, PROMPT


class Async:
    def __init__(self, url: str) -> None:
        self._client = AiClient("openai", api_key=KEY, base_url=url)

    async def call(self) -> str:
        request = ChatCompletionRequest(MODEL, [Message.user(PROMPT)])
        return (await self._client.chat_completion(request)).text

    async def stream(self) -> AsyncIterator[str]:
        request = ChatCompletionRequest(MODEL, [Message.user(PROMPT)])
        async with await self._client.chat_completion_stream(request) as stream:
            async for chunk in stream:
                yield chunk.text

    async def close(self) -> None:
        await self._client.close()
