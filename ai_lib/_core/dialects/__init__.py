"""
The wire formats: what a dialect is, and the table of those that there are.

A dialect is a module of pure functions that satisfies ``Dialect``; mypy checks each one where the
table is written. A dialect imports records, errors, ``_shared`` and ``_errors``, and nothing else of
the core: no other dialect, no catalogue, no policy, no client.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, Protocol

import attrs

from ai_lib._core.chat import (
    ChatCompletionChunk,
    ChatCompletionRequest,
    ChatCompletionResponse,
)
from ai_lib._core.errors import AiLibError
from ai_lib._core.http import HttpRequest, HttpResponse
from ai_lib._core.providers import ModelInfo, ResolvedTarget
from ai_lib._core.record import Record

OnUnsupported = Literal["warn", "error", "drop"]
Framing = Literal["sse", "sse_or_json_array", "json_lines", "aws_event_stream"]

#: A frame: (event name, data). Server-sent events: the ``event`` field, mostly empty, and the data.
#: JSON lines, objects of an array: an empty name and the JSON. AWS event streams: the event's or exception's type, the
#: latter behind ``"exception:"``, and the payload's text.
Frame = tuple[str, str]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Follow(Record):
    """
    Said by ``decode_response`` of a provider that answers in several steps: send this next.

    Attributes:
        request: The next request.

        after: Seconds to wait before it.

        stream: What to send in its place, and at once, where a stream is wanted; ``None``: there is none.
    """

    request: HttpRequest
    after: float = 0.0
    stream: HttpRequest | None = None


class ChunkParser(Protocol):
    """
    Turns the frames of one stream into chunks; made anew for every stream.

    Attributes:
        framing: How its bytes are framed.

        done: The provider's end mark was seen; no frame is fed after it.
    """

    framing: Framing
    done: bool

    def feed(self, frame: Frame) -> Iterable[ChatCompletionChunk]:
        """
        Read one frame. An unknown event gives nothing.

        Raises:
            AiLibError: The provider reports an error in the stream, or the frame cannot be read.
        """

    def finish(self) -> Iterable[ChatCompletionChunk]:
        """
        Give what was held back, once the end mark was seen or the bytes have ended.
        """


class Dialect(Protocol):
    """
    What a module must have to be a dialect. Every function is total: an unknown field is kept in
    ``raw``, an unknown event ignored, a broken body is an ``InvalidResponseError``.
    """

    def encode_request(
        self,
        target: ResolvedTarget,
        request: ChatCompletionRequest,
        *,
        stream: bool,
        on_unsupported: OnUnsupported,
    ) -> HttpRequest:
        """
        Ours to theirs; the key is not in it.

        Raises:
            UnsupportedFeatureError: By *on_unsupported*, or where nothing else can be right.
        """

    def decode_response(
        self, target: ResolvedTarget, response: HttpResponse
    ) -> ChatCompletionResponse | Follow:
        """
        Theirs to ours.

        Raises:
            ApiError: An error in a body with a status of success.

            InvalidResponseError: A body that cannot be read.
        """

    def chunk_parser(self, target: ResolvedTarget) -> ChunkParser:
        """
        A new parser for one stream.
        """

    def decode_error(
        self, target: ResolvedTarget, response: HttpResponse
    ) -> AiLibError:
        """
        An answer with an error status, as the error that it means: an ``ApiError``, or for 408 a
        ``RequestTimeoutError``.
        """

    def models_request(self, target: ResolvedTarget) -> HttpRequest:
        """
        The request for the first page of the model list.

        Raises:
            UnsupportedFeatureError: The provider has no list.
        """

    def decode_models(
        self, target: ResolvedTarget, response: HttpResponse
    ) -> tuple[list[ModelInfo], HttpRequest | None]:
        """
        The models of a page, and the request for the next page, if there is one.
        """


#: The built-in ones: names of modules beside this one, each imported when first used.
DIALECTS = (
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "gemini",
    "cohere_v2",
    "ollama",
    "bedrock_converse",
    "replicate",
)

if TYPE_CHECKING:
    from ai_lib._core.dialects import (
        anthropic_messages,
        bedrock_converse,
        cohere_v2,
        gemini,
        ollama,
        openai_chat,
        openai_responses,
        replicate,
    )

    _checked: tuple[Dialect, ...] = (
        openai_chat,
        openai_responses,
        anthropic_messages,
        gemini,
        cohere_v2,
        ollama,
        bedrock_converse,
        replicate,
    )
