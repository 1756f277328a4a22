"""
requests, and ``json.loads``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import requests

from contenders import BODY, HEADERS, STREAMED
from contenders.lines import text_of


class Blocking:
    def __init__(self, url: str) -> None:
        self._url = f"{url}/chat/completions"
        self._session = requests.Session()

    def call(self) -> str:
        response = self._session.post(self._url, json=BODY, headers=HEADERS)
        text: str = json.loads(response.content)["choices"][0]["message"]["content"]
        return text

    def stream(self) -> Iterator[str]:
        with self._session.post(
            self._url, json=STREAMED, headers=HEADERS, stream=True
        ) as response:
            for line in response.iter_lines():
                if text := text_of(line):
                    yield text

    def close(self) -> None:
        self._session.close()
