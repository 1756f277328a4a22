"""
Requests, responses and chunks as records.
"""

import pickle

import attrs
import pytest

from ai_lib._core.chat import (
    ChatCompletionChunk,
    ChatCompletionRequest,
    ChatCompletionResponse,
    Choice,
    ChunkChoice,
    Citation,
    Delta,
    FinishReason,
    Usage,
    UsageStatus,
    as_request,
)
from ai_lib._core.errors import ConfigurationError
from ai_lib._core.messages import ImagePart, Message, Role
from ai_lib._core.tools import Tool, ToolCall

SCHEMA = {"name": "answer", "schema": {"type": "object"}}


def request(**more):
    return ChatCompletionRequest("anvil-1", "Hi", **more)


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param("Hi", id="string"),
        pytest.param(Message.user("Hi"), id="message"),
        pytest.param([Message.user("Hi")], id="list"),
        pytest.param(iter([Message.user("Hi")]), id="iterator"),
    ],
)
def test_messages_are_widened_to_a_tuple(messages):
    """
    A string is one user message.
    """
    made = ChatCompletionRequest("anvil-1", messages)

    assert (Message.user("Hi"),) == made.messages


@pytest.mark.parametrize("wrong", ["Hi", {"role": "user", "content": "Hi"}, None])
def test_messages_are_messages(wrong):
    """
    The error names what was there instead.
    """
    with pytest.raises(TypeError, match=f"not {type(wrong).__name__}"):
        ChatCompletionRequest("anvil-1", [wrong])


def test_everything_else_is_left_to_the_provider():
    """
    By default nothing but model and messages is set.
    """
    made = attrs.asdict(request(), recurse=False)

    del made["model"], made["messages"]
    assert {None, ()} == {
        value for value in made.values() if not isinstance(value, dict)
    }
    assert [{}, {}] == [value for value in made.values() if isinstance(value, dict)]


@pytest.mark.parametrize(
    ("given", "stored"),
    [("END", ("END",)), (["a", "b"], ("a", "b")), (None, ()), ((), ())],
)
def test_stop_is_widened_to_a_tuple(given, stored):
    """
    One string is one stop text, not its letters.
    """
    assert stored == request(stop=given).stop


def test_collections_are_copies():
    """
    What a caller changes afterwards does not change the request.
    """
    tools, extensions, headers = [Tool("a")], {"a": 1}, {"X-A": "1"}

    made = request(tools=tools, extensions=extensions, extra_headers=headers)
    tools.clear()
    extensions.clear()
    headers.clear()

    assert ((Tool("a"),), {"a": 1}, {"X-A": "1"}) == (
        made.tools,
        made.extensions,
        made.extra_headers,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": "0.5"},
        {"max_tokens": 1.5},
        {"top_p": "1"},
        {"top_k": 2.5},
        {"seed": "1"},
        {"n": "1"},
        {"tool_choice": {"type": "auto"}},
        {"reasoning_effort": 3},
        {"user": 5},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_field_of_another_type_is_refused(wrong):
    """
    The error names the field.
    """
    (name,) = wrong

    with pytest.raises(TypeError, match=name):
        request(**wrong)


def test_model_is_text():
    """
    A model that is no string is a TypeError; an empty one means the default.
    """
    with pytest.raises(TypeError, match="model"):
        ChatCompletionRequest(None, "Hi")
    assert "" == ChatCompletionRequest("", "Hi").model


@pytest.mark.parametrize(
    "form",
    [
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": SCHEMA},
        None,
    ],
)
def test_response_format_is_one_of_three(form):
    """
    Text, an object, or a schema.
    """
    assert form == request(response_format=form).response_format


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"type": "json"},
        "json_object",
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": None},
        {"type": "json_schema", "json_schema": {"name": "x"}},
        {"type": "json_schema", "json_schema": {"schema": "{}"}},
    ],
)
def test_other_response_format_is_refused(form):
    """
    The error shows how one looks.
    """
    with pytest.raises(ValueError, match="response_format"):
        request(response_format=form)


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"X-Title": "LEAK\n"}, "X-Title"),
        ({"Authorization": "LEAK"}, "Authorization"),
        ({"x-api-key": "LEAK"}, "x-api-key"),
        ({"content-length": "0"}, "content-length"),
    ],
)
def test_extra_headers_are_checked(headers, name):
    """
    What cannot be sent or is not the caller's is refused at once, its value hidden.
    """
    with pytest.raises(ConfigurationError, match=name) as caught:
        request(extra_headers=headers)

    assert "LEAK" not in str(caught.value)


def test_request_is_changed_by_evolve():
    """
    A change makes another request; extensions and headers survive it.
    """
    made = request(extensions={"a": 1}, stop="x")

    changed = attrs.evolve(made, temperature=0.5)

    assert (0.5, None) == (changed.temperature, made.temperature)
    assert (made.extensions, made.stop) == (changed.extensions, changed.stop)


def test_request_travels():
    """
    A request pickles, for batches in other processes.
    """
    made = request(tools=[Tool("a")], response_format={"type": "json_object"})

    assert made == pickle.loads(pickle.dumps(made))


def test_request_shows_no_bytes():
    """
    The repr of a request with an image is short.
    """
    image = ImagePart.from_bytes(b"LEAK" * 1000, "image/png")

    shown = repr(ChatCompletionRequest("anvil-1", [Message.user(["What?", image])]))

    assert "LEAK" not in shown
    assert "<4000 bytes>" in shown


def test_response_speaks_for_its_first_choice():
    """
    The shortcuts are the first choice's, however many there are.
    """
    call = ToolCall("1", "f")
    message = Message(Role.ASSISTANT, "Yes", tool_calls=(call,), reasoning="Hm")
    other = Message.assistant("No")

    response = ChatCompletionResponse(
        choices=(
            Choice(message=message, finish_reason="stop"),
            Choice(index=1, message=other, finish_reason="length"),
        )
    )

    assert (message, "Yes", "Hm", (call,), "stop") == (
        response.message,
        response.text,
        response.reasoning,
        response.tool_calls,
        response.finish_reason,
    )


def test_response_without_choices_is_empty():
    """
    The shortcuts never fail.
    """
    response = ChatCompletionResponse()

    assert (Message(Role.ASSISTANT), "", None, (), None) == (
        response.message,
        response.text,
        response.reasoning,
        response.tool_calls,
        response.finish_reason,
    )
    assert UsageStatus.UNSUPPORTED is response.usage_status


def test_response_travels_and_hides_what_came():
    """
    It pickles; its repr leaves the provider's JSON out.
    """
    response = ChatCompletionResponse(
        choices=(Choice(message=Message.assistant("Yes")),),
        usage=Usage(prompt_tokens=1),
        citations=(Citation(url="https://h"),),
        raw={"secret": "LEAK"},
    )

    assert response == pickle.loads(pickle.dumps(response))
    assert "LEAK" not in repr(response)


@pytest.mark.parametrize(
    ("choices", "text", "reasoning"),
    [
        pytest.param((), "", "", id="none"),
        pytest.param((ChunkChoice(0, Delta(content="a")),), "a", "", id="text"),
        pytest.param((ChunkChoice(0, Delta(reasoning="b")),), "", "b", id="reasoning"),
        pytest.param((ChunkChoice(1, Delta(content="a")),), "", "", id="another"),
        pytest.param(
            (ChunkChoice(1, Delta(content="b")), ChunkChoice(0, Delta(content="a"))),
            "a",
            "",
            id="out of order",
        ),
    ],
)
def test_chunk_speaks_for_the_first_choice(choices, text, reasoning):
    """
    By its index, not by its place; nothing is an empty string.
    """
    chunk = ChatCompletionChunk(choices=choices)

    assert (text, reasoning) == (chunk.text, chunk.reasoning)


def test_words_are_strings():
    """
    Members compare with what the wire says.
    """
    assert ["stop", "length", "tool_calls", "content_filter", "error"] == list(
        FinishReason
    )
    assert ["finalized", "estimated", "pending", "unsupported"] == list(UsageStatus)


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        pytest.param(
            {"max_tokens": "3"},
            TypeError,
            "max_tokens must be a whole number, not '3'",
            id="text",
        ),
        pytest.param(
            {"n": True}, TypeError, "n must be a whole number, not True", id="truth"
        ),
        pytest.param(
            {"n": 0}, ValueError, "n must be 1 or more, not 0", id="no answers"
        ),
        pytest.param(
            {"max_tokens": -3},
            ValueError,
            "max_tokens must be 1 or more, not -3",
            id="less than nothing",
        ),
        pytest.param(
            {"stop": 5}, TypeError, "stop must be a text or several, not 5", id="stop"
        ),
        pytest.param(
            {"messages": []},
            ValueError,
            "messages must hold at least one message",
            id="no message",
        ),
        pytest.param(
            {"tools": [print]},
            TypeError,
            "tools must hold Tool objects; Tool.from_function(print) makes one",
            id="function",
        ),
    ],
)
def test_wrong_value_is_refused_in_plain_words(given, kind, words):
    """
    The message names the field and what it must be, and nothing of how that is checked.
    """
    with pytest.raises(kind) as caught:
        ChatCompletionRequest("m", **{"messages": "hi", **given})

    assert words == str(caught.value)


def test_text_in_place_of_a_request_is_refused():
    """
    The error names the function that takes a text.
    """
    with pytest.raises(TypeError, match="not str; quick_chat_text"):
        as_request("hi")


def test_content_that_is_no_text_is_refused():
    """
    A number is neither text nor parts.
    """
    with pytest.raises(TypeError, match="content must be a text or parts, not 5"):
        Message.user(5)
