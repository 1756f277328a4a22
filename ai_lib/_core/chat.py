"""
What is asked and what comes back, in the same types for every provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import attrs

from ai_lib._core.checks import must_be, shown
from ai_lib._core.messages import Message, Role
from ai_lib._core.record import MutableRecord, Record
from ai_lib._core.secrets import check_headers
from ai_lib._core.tools import Tool, ToolCall

if TYPE_CHECKING:
    from ai_lib._core.ledger import Attempt, RateLimits

_number = must_be("a number", (int, float), optional=True)
_integer = must_be("a whole number", int, optional=True)
_positive = must_be("a whole number", int, optional=True, least=1)
_text = must_be("a text", str, optional=True)


class FinishReason(StrEnum):
    """
    Why a model stopped.

    An open set: a reason that none of these means is kept as the provider wrote it, so the
    fields are plain strings, and these are the ones to compare with.
    """

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"


class UsageStatus(StrEnum):
    """
    How much a usage can be relied on.
    """

    FINALIZED = "finalized"
    ESTIMATED = "estimated"
    PENDING = "pending"
    UNSUPPORTED = "unsupported"


def _to_messages(messages: Iterable[Message] | Message | str) -> tuple[Message, ...]:
    if isinstance(messages, str):
        return (Message.user(messages),)
    if isinstance(messages, Message):
        return (messages,)
    if not isinstance(messages, Iterable) or isinstance(messages, Mapping):
        raise TypeError(
            f"messages must be a text or Message objects, not {shown(messages)}"
        )
    found = tuple(messages)
    if not found:
        raise ValueError("messages must hold at least one message")
    wrong = [type(one).__name__ for one in found if not isinstance(one, Message)]
    if wrong:
        raise TypeError(f"messages must hold Message objects, not {wrong[0]}")
    return found


def _to_strings(value: str | Iterable[str] | None) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if value is not None and not isinstance(value, Iterable):
        raise TypeError(f"stop must be a text or several, not {shown(value)}")
    found = tuple(value or ())
    if wrong := [shown(one) for one in found if not isinstance(one, str)]:
        raise TypeError(f"stop must hold texts, not {wrong[0]}")
    return found


def _to_tools(tools: Iterable[Tool] | None) -> tuple[Tool, ...]:
    given: Any = tools
    if isinstance(given, Tool) or callable(given):
        given = (given,)
    if given is not None and not isinstance(given, Iterable):
        raise TypeError(f"tools must hold Tool objects, not {shown(given)}")
    found = tuple(given or ())
    for one in found:
        if isinstance(one, Tool):
            continue
        name = getattr(one, "__name__", None)
        if callable(one) and name:
            raise TypeError(
                f"tools must hold Tool objects; Tool.from_function({name}) makes one"
            )
        raise TypeError(f"tools must hold Tool objects, not {shown(one)}")
    return found


def _to_mapping(value: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(value or {})


@attrs.frozen(eq=False, repr=False)
class ChatCompletionRequest(Record):
    """
    What to ask a model.

    ``None`` everywhere means: leave it to the provider, send nothing.

    Attributes:
        model: The provider's name of the model; empty or ``"auto"``: the client's default.

        messages: The conversation, oldest first; a string is one user message.

        temperature: Randomness; 0 for the likeliest words.

        max_tokens: Bound of the answer in tokens, reasoning included.

        top_p: Sample from the likeliest words that together have this probability.

        top_k: Sample from this many of the likeliest words.

        frequency_penalty: Against repeating words, by how often they came; -2 to 2.

        presence_penalty: Against repeating words at all; -2 to 2.

        stop: Texts that end the answer.

        seed: For the same answer again, as far as the provider can.

        n: How many answers.

        logprobs: Whether to tell the log probabilities of the answer's tokens.

        top_logprobs: How many alternatives to tell at each token.

        tools: Functions that the model may ask for.

        tool_choice: ``"auto"``, ``"none"``, ``"required"``, or a tool's name.

        parallel_tool_calls: Whether it may ask for several at once.

        response_format: ``{"type": "json_object"}``, or ``{"type": "json_schema",
            "json_schema": {"name": …, "schema": …, "strict": …}}``.

        reasoning_effort: How long to think: ``"none"``, ``"minimal"``, ``"low"``,
            ``"medium"``, ``"high"`` and whatever else the model knows.

        user: Your own stable, anonymous name of the end user.

        metadata: Pairs of strings that the provider keeps with the request.

        extensions: Merged last and verbatim into the JSON body: what this library does
            not know, or does otherwise. Never checked.

        extra_headers: Sent along. Not the key, host or length: ``ConfigurationError``.
    """

    model: str = attrs.field(validator=must_be("a text", str))
    messages: tuple[Message, ...] = attrs.field(converter=_to_messages)
    temperature: float | None = attrs.field(
        default=None, kw_only=True, validator=_number
    )
    max_tokens: int | None = attrs.field(
        default=None, kw_only=True, validator=_positive
    )
    top_p: float | None = attrs.field(default=None, kw_only=True, validator=_number)
    top_k: int | None = attrs.field(default=None, kw_only=True, validator=_integer)
    frequency_penalty: float | None = attrs.field(
        default=None, kw_only=True, validator=_number
    )
    presence_penalty: float | None = attrs.field(
        default=None, kw_only=True, validator=_number
    )
    stop: tuple[str, ...] = attrs.field(default=(), converter=_to_strings, kw_only=True)
    seed: int | None = attrs.field(default=None, kw_only=True, validator=_integer)
    n: int | None = attrs.field(default=None, kw_only=True, validator=_positive)
    logprobs: bool | None = attrs.field(default=None, kw_only=True)
    top_logprobs: int | None = attrs.field(
        default=None, kw_only=True, validator=_integer
    )
    tools: tuple[Tool, ...] = attrs.field(default=(), converter=_to_tools, kw_only=True)
    tool_choice: str | None = attrs.field(default=None, kw_only=True, validator=_text)
    parallel_tool_calls: bool | None = attrs.field(default=None, kw_only=True)
    response_format: Mapping[str, Any] | None = attrs.field(default=None, kw_only=True)
    reasoning_effort: str | None = attrs.field(
        default=None, kw_only=True, validator=_text
    )
    user: str | None = attrs.field(default=None, kw_only=True, validator=_text)
    metadata: Mapping[str, str] | None = attrs.field(default=None, kw_only=True)
    extensions: Mapping[str, Any] = attrs.field(
        factory=dict, converter=_to_mapping, kw_only=True
    )
    extra_headers: Mapping[str, str] = attrs.field(
        factory=dict, converter=_to_mapping, kw_only=True, validator=check_headers
    )

    def __attrs_post_init__(self) -> None:
        form = self.response_format
        if form is None:
            return
        if not isinstance(form, Mapping) or form.get("type") not in (
            "text",
            "json_object",
            "json_schema",
        ):
            raise ValueError(
                'response_format must be {"type": "json_object"} or {"type": "json_schema",'
                ' "json_schema": {"name": …, "schema": …}}'
            )
        if form["type"] == "json_schema" and not isinstance(
            (form.get("json_schema") or {}).get("schema"), Mapping
        ):
            raise ValueError(
                'response_format["json_schema"]["schema"] must be a JSON schema'
            )


def as_request(value: object) -> ChatCompletionRequest:
    """
    Give *value* if it is a request.

    Raises:
        TypeError: It is none.
    """
    if isinstance(value, ChatCompletionRequest):
        return value
    raise TypeError(
        f"request must be a ChatCompletionRequest, not {type(value).__name__};"
        " quick_chat_text(model, text) takes a text"
    )


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Usage(Record):
    """
    Tokens that a call cost, as the provider counted them.

    Attributes:
        prompt_tokens: What was read, cached tokens included.

        completion_tokens: What was written, reasoning included.

        total_tokens: As sent, else the sum.

        cached_tokens: How many of the read ones came from a cache; ``None``: not told.

        reasoning_tokens: How many of the written ones were reasoning; ``None``: not told.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Citation(Record):
    """
    A source that an answer names.

    Attributes:
        url: Where it is.

        title: What it is called.

        start: Where in the text the cited words begin, in characters; ``None``: not told.

        end: Where they end.

        text: The cited words of the source.
    """

    url: str | None = None
    title: str | None = None
    start: int | None = None
    end: int | None = None
    text: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Choice(Record):
    """
    One answer.

    Attributes:
        index: Its place, from 0.

        message: What the model said; goes back into the next request as it is.

        finish_reason: Why it stopped, in the words of ``FinishReason`` where one of them
            means it, else as it came; ``None``: not told.

        raw_finish_reason: As it came.

        logprobs: As they came, chunks' lists joined.
    """

    index: int = 0
    message: Message = attrs.field(factory=lambda: Message(Role.ASSISTANT))
    finish_reason: str | None = None
    raw_finish_reason: str | None = None
    logprobs: Mapping[str, Any] | None = attrs.field(default=None, repr=False)


def _to_choices(choices: Iterable[Choice]) -> tuple[Choice, ...]:
    return tuple(choices)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChatCompletionResponse(Record):
    """
    A whole answer.

    Attributes:
        id: The provider's name of the answer; empty where it has none.

        model: The model that answered, as the provider says.

        created: When, in seconds since 1970; 0: not told.

        choices: The answers, one unless ``n`` asked for more.

        usage: What it cost; ``None``: not told.

        usage_status: How far ``usage`` can be relied on.

        citations: Sources that the answer names.

        provider: Id of the provider that answered.

        request_id: The provider's id of the request, for its support.

        warnings: What was dropped, renamed or changed to suit the provider, in sentences.

        attempts: What the call tried, oldest first; the last one answered.

        rate_limits: What the headers said of the provider's limits.

        raw: The provider's JSON as it came; for a stream the last event's.
    """

    id: str = ""
    model: str = ""
    created: int = 0
    choices: tuple[Choice, ...] = attrs.field(default=(), converter=_to_choices)
    usage: Usage | None = None
    usage_status: UsageStatus = UsageStatus.UNSUPPORTED
    citations: tuple[Citation, ...] = ()
    provider: str = ""
    request_id: str | None = None
    warnings: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    rate_limits: RateLimits | None = None
    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    @property
    def message(self) -> Message:
        """
        The first choice's message; an empty one when there is no choice.
        """
        return self.choices[0].message if self.choices else Message(Role.ASSISTANT)

    @property
    def text(self) -> str:
        """
        The first choice's text; empty when it has none, as with tool calls.
        """
        return self.message.text

    @property
    def reasoning(self) -> str | None:
        """
        What the first choice thought before it answered, where the provider tells.
        """
        return self.message.reasoning

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """
        The first choice's tool calls.
        """
        return self.message.tool_calls

    @property
    def finish_reason(self) -> str | None:
        """
        Why the first choice stopped.
        """
        return self.choices[0].finish_reason if self.choices else None

    def _repr_markdown_(self) -> str:
        from ai_lib._core.showing import show_response

        return show_response(self)


# What is made once a chunk is not frozen: building a frozen class costs twice as much.


@attrs.define(eq=False, repr=False)
class ToolCallDelta(MutableRecord):
    """
    A piece of a tool call.

    Attributes:
        index: Which call of the message it belongs to, from 0; always told.

        id: The call's id, on its first piece.

        name: The tool's name, on its first piece.

        arguments: The next characters of the arguments.

        extra: As in ``ToolCall``.
    """

    index: int = 0
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    extra: Mapping[str, Any] | None = None


@attrs.define(eq=False, repr=False)
class Delta(MutableRecord):
    """
    What a chunk adds to a choice; ``None`` or empty: nothing.

    Attributes:
        content: More text.

        reasoning: More reasoning.

        tool_calls: Pieces of tool calls.

        role: Who speaks.

        refusal: More of a refusal.

        citations: Sources.

        provider_state: Opaque; the newest takes the place of those before it.
    """

    content: str | None = None
    reasoning: str | None = None
    tool_calls: Sequence[ToolCallDelta] = ()
    role: str | None = None
    refusal: str | None = None
    citations: Sequence[Citation] = ()
    provider_state: Mapping[str, Any] | None = None


@attrs.define(eq=False, repr=False)
class ChunkChoice(MutableRecord):
    """
    One choice's part of a chunk.

    Attributes:
        index: Which choice, from 0.

        delta: What it adds.

        finish_reason: As in ``Choice``, on one of the last chunks.

        raw_finish_reason: As it came.

        logprobs: Of this chunk's tokens, as they came.
    """

    index: int
    delta: Delta
    finish_reason: str | None = None
    raw_finish_reason: str | None = None
    logprobs: Mapping[str, Any] | None = None


@attrs.define(eq=False, repr=False)
class ChatCompletionChunk(MutableRecord):
    """
    A piece of a streamed answer.

    Attributes:
        choices: What it adds to which choice; may be empty.

        id: The provider's name of the answer.

        model: The model that answers.

        usage: What it cost so far, usually on the last chunk only.

        created: When, in seconds since 1970; 0: not told.

        raw: The provider's event as it came.
    """

    choices: Sequence[ChunkChoice] = ()
    id: str = ""
    model: str = ""
    usage: Usage | None = None
    created: int = 0
    raw: Any = attrs.field(default=None, repr=False)

    @property
    def text(self) -> str:
        """
        What the chunk adds to the first choice's text; maybe nothing.
        """
        for choice in self.choices:
            if choice.index == 0:
                return choice.delta.content or ""
        return ""

    @property
    def reasoning(self) -> str:
        """
        What the chunk adds to the first choice's reasoning; maybe nothing.
        """
        for choice in self.choices:
            if choice.index == 0:
                return choice.delta.reasoning or ""
        return ""
