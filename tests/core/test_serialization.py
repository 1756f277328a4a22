"""
Our data classes as plain JSON values, and back.
"""

import json

import pytest

from ai_lib._core.batch import BatchItem
from ai_lib._core.chat import (
    ChatCompletionChunk,
    ChatCompletionRequest,
    ChatCompletionResponse,
    Choice,
    ChunkChoice,
    Citation,
    Delta,
    FinishReason,
    ToolCallDelta,
    Usage,
    UsageStatus,
)
from ai_lib._core.errors import AiLibError, NetworkError, RateLimitError, ServerError
from ai_lib._core.ledger import Attempt, RateLimits
from ai_lib._core.messages import AudioPart, FilePart, ImagePart, Message, TextPart
from ai_lib._core.providers import ModelInfo
from ai_lib._core.serialization import from_dict, to_dict
from ai_lib._core.tools import Tool, ToolCall

MESSAGE = Message(
    "assistant",
    [
        TextPart("Look:"),
        ImagePart.from_bytes(b"\x00\xff", "image/png", detail="low"),
        AudioPart.from_url("https://h/a.mp3"),
        FilePart.from_bytes(b"%PDF-", "application/pdf", name="a.pdf"),
    ],
    tool_calls=[ToolCall("1", "f", '{"a": 1}', extra={"signature": "s"})],
    reasoning="Hm",
    refusal="No",
    provider_state={"gemini": {"parts": [{"thought": True}]}},
)
REQUEST = ChatCompletionRequest(
    "anvil-1",
    [Message.system("Be brief."), MESSAGE, Message.tool("2", "1", name="f")],
    temperature=0.5,
    max_tokens=10,
    stop=["END"],
    logprobs=True,
    tools=[Tool("f", "Count.", {"type": "object"}, strict=True)],
    tool_choice="auto",
    response_format={"type": "json_object"},
    metadata={"a": "b"},
    extensions={"deep": [{"er": None}]},
    extra_headers={"X-Title": "t"},
)
ATTEMPT = Attempt(
    provider="groq",
    model="m",
    status_code=200,
    waited=0.5,
    usage=Usage(prompt_tokens=1, cached_tokens=0),
)
RESPONSE = ChatCompletionResponse(
    id="1",
    model="m",
    created=5,
    choices=(Choice(message=MESSAGE, finish_reason="stop", raw_finish_reason="eos"),),
    usage=Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
    usage_status=UsageStatus.FINALIZED,
    citations=(Citation(url="https://h", start=0, end=4),),
    provider="groq",
    warnings=("top_k was dropped.",),
    attempts=(ATTEMPT,),
    rate_limits=RateLimits(tokens_reset=1.5),
    raw={"id": "1", "x": [1, {"y": None}]},
)
CHUNK = ChatCompletionChunk(
    choices=(
        ChunkChoice(
            0, Delta(content="a", tool_calls=(ToolCallDelta(0, "1", "f", "{"),))
        ),
    ),
    id="1",
    usage=Usage(),
    raw={"a": {"b": [1]}},
)


ASKED = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(MESSAGE, id="message"),
        pytest.param(REQUEST, id="request"),
        pytest.param(RESPONSE, id="response"),
        pytest.param(CHUNK, id="chunk"),
        pytest.param(ATTEMPT, id="attempt"),
        pytest.param(ModelInfo(id="m", context_window=5, raw={"a": 1}), id="model"),
        pytest.param(ModelInfo(id="m", name="M"), id="named model"),
        pytest.param(BatchItem(index=3, request=REQUEST, response=RESPONSE), id="item"),
        pytest.param(TextPart(""), id="empty text"),
        pytest.param(Message.user(""), id="empty message"),
        pytest.param(ChatCompletionResponse(), id="empty response"),
        *(pytest.param(part, id=type(part).__name__) for part in MESSAGE.content),
    ],
)
def test_value_survives_json(value):
    """
    Through JSON and back it is equal.
    """
    text = json.dumps(to_dict(value))

    assert value == from_dict(type(value), json.loads(text))


def test_conversation_is_a_list():
    """
    A list of messages becomes a list, and list[Message] reads it.
    """
    conversation = [Message.user("Hi"), MESSAGE]

    plain = to_dict(conversation)

    assert {"role": "user", "content": "Hi"} == plain[0]
    assert conversation == from_dict(list[Message], plain)


def test_what_is_unset_is_left_out():
    """
    Defaults take no place.
    """
    assert {"role": "assistant"} == to_dict(Message.assistant())
    assert {} == to_dict(ChatCompletionResponse())
    asked = {"role": "user", "content": "hi"}
    assert {"model": "m", "messages": [asked]} == to_dict(
        ChatCompletionRequest("m", "hi")
    )


def test_parts_are_told_apart_by_type():
    """
    The tag stands in each part, bytes are base64.
    """
    assert [
        {"type": "text", "text": "Look:"},
        {"type": "image", "data": "AP8=", "mime": "image/png", "detail": "low"},
        {"type": "audio", "url": "https://h/a.mp3"},
        {
            "type": "file",
            "data": "JVBERi0=",
            "mime": "application/pdf",
            "name": "a.pdf",
        },
    ] == to_dict(MESSAGE)["content"]


def test_members_are_plain_strings():
    """
    What is written is str itself, and what is read is a member again.
    """
    choice = Choice(finish_reason=FinishReason.STOP)

    plain = to_dict(ChatCompletionResponse(choices=(choice,), usage_status="pending"))

    assert str is type(plain["choices"][0]["finish_reason"])
    assert str is type(plain["usage_status"])
    assert UsageStatus.PENDING is from_dict(ChatCompletionResponse, plain).usage_status


def test_unknown_keys_are_ignored():
    """
    What a later release wrote is read as far as it is known.
    """
    data = {
        "role": "user",
        "content": [{"type": "text", "text": "Hi", "new": 1}],
        "new": {},
    }

    assert Message.user(["Hi"]) == from_dict(Message, data)


@pytest.mark.parametrize(
    ("cls", "data", "words"),
    [
        pytest.param(Message, 5, r"expected an object, not int @ \$", id="number"),
        pytest.param(
            Message, None, r"expected an object, not NoneType @ \$", id="null"
        ),
        pytest.param(Message, {}, r"required key is missing @ \$\.role", id="missing"),
        pytest.param(Message, {"role": "x"}, r"not 'x' @ \$\.role", id="role"),
        pytest.param(
            Message,
            {"role": "user", "content": 5},
            r"expected a list, not int @ \$\.content",
            id="content",
        ),
        pytest.param(
            Message,
            {"role": "user", "content": [{"type": "zip"}]},
            r"one of text, image, audio, file @ \$\.content\[0\]",
            id="part",
        ),
        pytest.param(
            Message,
            {"role": "user", "content": ["Hi", {}]},
            r"expected an object, not str @ \$\.content\[0\]",
            id="string among parts",
        ),
        pytest.param(
            Message,
            {"role": "user", "content": [{"type": "image", "data": "AP8"}]},
            r"not valid base64 @ \$\.content\[0\]\.data",
            id="base64",
        ),
        pytest.param(
            ChatCompletionRequest,
            {"model": "m", "messages": "Hi"},
            r"expected a list, not str @ \$\.messages",
            id="text for a list",
        ),
        pytest.param(
            ChatCompletionRequest,
            {"model": "m", "messages": [{"role": "user", "name": 5}]},
            r"expected text, not int @ \$\.messages\[0\]\.name",
            id="number for text",
        ),
        pytest.param(
            ChatCompletionRequest,
            {"model": "m", "messages": ASKED, "n": True},
            r"expected a whole number, not bool @ \$\.n",
            id="truth for a number",
        ),
        pytest.param(
            ChatCompletionRequest,
            {"model": "m", "messages": ASKED, "metadata": [1]},
            r"expected an object, not list @ \$\.metadata",
            id="list for an object",
        ),
        pytest.param(
            ChatCompletionRequest,
            {"model": "m", "messages": ASKED, "extra_headers": {"Host": "LEAK"}},
            "The header Host",
            id="header",
        ),
        pytest.param(
            list[Message], [{"role": "user"}, 3], r"not int @ \$\[1\]", id="in a list"
        ),
        pytest.param(
            BatchItem,
            {"index": 0, "request": {"model": "m", "messages": ASKED}, "error": "x"},
            r"expected an object, not str @ \$\.error",
            id="error",
        ),
    ],
)
def test_data_that_does_not_fit_is_a_value_error(cls, data, words):
    """
    The message says what was expected, and where.
    """
    with pytest.raises(ValueError, match=words) as caught:
        from_dict(cls, data)

    assert "LEAK" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("value", [5, {"a": 1}, "text", object()])
def test_other_values_are_refused(value):
    """
    Only the library's data classes are turned into plain values.
    """
    with pytest.raises(TypeError, match="to_dict does not take"):
        to_dict(value)


def test_error_survives_json():
    """
    Class, message and attributes come back; what was before it too.
    """
    error = RateLimitError(
        "Too fast.",
        provider="groq",
        status_code=429,
        retry_after=2,
        rate_limits=RateLimits(requests_remaining=0),
        attempts=(ATTEMPT,),
        partial=RESPONSE,
        previous=(ServerError("It failed."),),
        retryable=False,
    )

    arrived = from_dict(AiLibError, json.loads(json.dumps(to_dict(error))))

    assert RateLimitError is type(arrived)
    assert {**vars(error), "previous": ()} == {**vars(arrived), "previous": ()}
    assert "Too fast." == arrived.message
    assert [(ServerError, "It failed.")] == [
        (type(one), one.message) for one in arrived.previous
    ]


def test_error_of_an_unknown_class_is_read_as_its_base():
    """
    A later release's class is an AiLibError here, and no other class can be named.
    """
    for name in ("TooNewError", "KeyError", "Attempt", None, 5):
        error = from_dict(AiLibError, {"class": name, "message": "Hm."})

        assert (AiLibError, "Hm.") == (type(error), error.message)


def test_failed_item_survives_json():
    """
    A batch's item keeps its error.
    """
    item = BatchItem(index=1, request=REQUEST, error=NetworkError("Reset."))

    arrived = from_dict(BatchItem, json.loads(json.dumps(to_dict(item))))

    assert (1, REQUEST, None) == (arrived.index, arrived.request, arrived.response)
    assert (NetworkError, "Reset.") == (type(arrived.error), arrived.error.message)


def test_data_that_is_nested_without_end_is_a_value_error():
    """
    Depth is no way to a RecursionError.
    """
    data = {"class": "ServerError", "message": "x"}
    for _ in range(5000):
        data = {"class": "ServerError", "message": "x", "previous": [data]}

    with pytest.raises(ValueError, match="not the data of AiLibError"):
        from_dict(AiLibError, data)
