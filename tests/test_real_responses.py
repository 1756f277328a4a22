"""
The Responses format against real servers: llama.cpp's, one of them with a template that knows tools.

The model is tiny: it is never asked to be right, only to speak.
"""

from __future__ import annotations

import json
import os

import pytest

from ai_lib import (
    AiClient,
    ChatCompletionRequest,
    InvalidRequestError,
    Message,
    Tool,
    ToolCall,
)

pytestmark = pytest.mark.server

#: Where the servers are, without ``/v1``; read now, since tests see none of these.
SERVERS = {
    name: os.environ.get(name, "")
    for name in ("AI_LIB_TEST_LLAMA", "AI_LIB_TEST_LLAMA_TOOLS")
}

WEATHER = Tool(
    "get_weather",
    "Weather of a city",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)


def client_of(variable):
    """
    A client of the server that a variable names.
    """
    base = SERVERS[variable]
    if not base:
        pytest.skip(f"{variable} names no server")
    return AiClient(
        "llamacpp", base_url=f"{base}/v1", dialect="openai_responses", max_retries=0
    )


@pytest.fixture
def llama():
    """
    Give a client of the plain server.
    """
    with client_of("AI_LIB_TEST_LLAMA") as client:
        yield client


@pytest.fixture
def llama_with_tools():
    """
    Give a client of the server whose template knows tools.
    """
    with client_of("AI_LIB_TEST_LLAMA_TOOLS") as client:
        yield client


def question(*messages, **more):
    """
    A request that costs little.
    """
    return ChatCompletionRequest(
        "local", messages, **{"max_tokens": 16, "temperature": 0, **more}
    )


def test_whole_answer(llama):
    """
    It speaks, and counts.
    """
    request = question(Message.system("Be brief."), Message.user("Say hello."))

    response = llama.chat_completion(request)

    assert response.text.strip()
    assert response.usage.completion_tokens > 0
    assert response.finish_reason in ("stop", "length")


def test_stream_adds_up_to_the_whole_answer(llama):
    """
    At temperature 0 both are the same.
    """
    request = question(Message.user("What is the capital of France?"))

    whole = llama.chat_completion(request)
    with llama.chat_completion_stream(request) as stream:
        texts = [chunk.text for chunk in stream]

    assert len(texts) > 2
    assert "".join(texts) == stream.response.text == whole.text
    assert whole.usage.completion_tokens == stream.response.usage.completion_tokens


def test_conversation_goes_on(llama):
    """
    Its own answer is taken back.
    """
    first = llama.chat_completion(question(Message.user("Say hello.")))

    request = question(
        Message.user("Say hello."), first.message, Message.user("And in French?")
    )

    assert llama.chat_completion(request).text.strip()


def test_schema_is_kept(llama):
    """
    What comes is of the schema.
    """
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 8}},
        "required": ["name"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}

    response = llama.chat_completion(
        question(Message.user("Invent a person."), response_format=form, max_tokens=60)
    )

    assert {"name"} == set(json.loads(response.text))


def test_models(llama):
    """
    The list is at the same base URL.
    """
    assert llama.list_models()


def test_error_status(llama):
    """
    What it refuses is an error of ours.
    """
    with pytest.raises(InvalidRequestError):
        llama.chat_completion(question(Message.user("Hi"), extensions={"input": 5}))


def asking_for_tools():
    """
    A request after whose examples even a tiny model calls the tool.
    """
    messages = []
    for number, city in enumerate(("Rome", "Paris", "Berlin")):
        call = ToolCall(f"call_{number}", "get_weather", json.dumps({"city": city}))
        messages += [
            Message.user(f"Weather in {city}?"),
            Message.assistant(tool_calls=[call]),
        ]
    return question(
        *messages, Message.user("Weather in Oslo?"), tools=[WEATHER], max_tokens=60
    )


def test_tool_call(llama_with_tools):
    """
    The call is read, and its result is taken.
    """
    request = asking_for_tools()

    response = llama_with_tools.chat_completion(request)
    (call,) = response.tool_calls
    told = llama_with_tools.chat_completion(
        question(
            Message.user("Weather in Oslo?"),
            response.message,
            Message.tool("3 C", call.id),
            tools=[WEATHER],
        )
    )

    assert ("get_weather", "tool_calls") == (call.name, response.finish_reason)
    assert {"city"} == set(call.parse_arguments())
    assert told.usage.completion_tokens > 0


def test_streamed_tool_call(llama_with_tools):
    """
    Its pieces add up to the call.
    """
    with llama_with_tools.chat_completion_stream(asking_for_tools()) as stream:
        chunks = list(stream)

    (call,) = stream.response.tool_calls
    assert len(chunks) > 3
    assert {"city"} == set(call.parse_arguments())
    assert "tool_calls" == stream.response.finish_reason
