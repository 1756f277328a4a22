"""
The standard library, as the floor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

from contenders import BODY, HEADERS, STREAMED
from contenders.lines import text_of


class Blocking:
    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._path = f"{address.path}/chat/completions"
        self._connection = HTTPConnection(address.netloc)

    def _post(self, body: dict[str, object]) -> HTTPResponse:
        headers = HEADERS | {"content-type": "application/json"}
        self._connection.request("POST", self._path, json.dumps(body), headers)
        return self._connection.getresponse()

    def call(self) -> str:
        text: str = json.loads(self._post(BODY).read())["choices"][0]["message"][
            "content"
        ]
        return text

    def stream(self) -> Iterator[str]:
        response = self._post(STREAMED)
        rest = b""
        while block := response.read1(65536):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                if text := text_of(line):
                    yield text

    def close(self) -> None:
        self._connection.close()
