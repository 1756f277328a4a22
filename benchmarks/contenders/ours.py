"""
This library.
"""

from __future__ import annotations

from collections.abc import Iterator

from ai_lib import AiClient, ChatCompletionRequest, Message
from contenders import KEY, MODEL, PROMPT


class Blocking:
    def __init__(self, url: str) -> None:
        self._client = AiClient("openai", api_key=KEY, base_url=url)

    def call(self) -> str:
        request = ChatCompletionRequest(MODEL, [Message.user(PROMPT)])
        return self._client.chat_completion(request).text

    def stream(self) -> Iterator[str]:
        request = ChatCompletionRequest(MODEL, [Message.user(PROMPT)])
        with self._client.chat_completion_stream(request) as stream:
            for chunk in stream:
                yield chunk.text

    def close(self) -> None:
        self._client.close()
