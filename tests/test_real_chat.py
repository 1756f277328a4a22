"""
OpenAI's chat format against a real server: llama.cpp's, with a real, tiny model.

What it says is never looked at, only that it speaks.
"""

from __future__ import annotations

import os
import threading

import pytest
from twins import Stopwatch

import ai_lib

pytestmark = pytest.mark.server

# Read here: tests see none of these variables.
SERVERS = {
    name: os.environ.get(name)
    for name in (
        "AI_LIB_TEST_LLAMA",
        "AI_LIB_TEST_LLAMA_KEY",
        "AI_LIB_TEST_LLAMA_TOOLS",
        "AI_LIB_TEST_LLAMA_THINK",
    )
}
WEATHER = ai_lib.Tool(
    "get_weather",
    "Tell the weather in a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)


@pytest.fixture
def client_at(twin):
    """
    Give a function that opens a client at the server that a variable names.
    """

    def open_client(variable, **settings):
        url = SERVERS[variable]
        if not url:
            pytest.skip(f"needs a llama.cpp server's address in {variable}")
        base_url = f"{url.rstrip('/')}/v1"
        settings = {"api_key": "sk-real-test-1", "timeout": 120, **settings}
        return twin.client(provider="llamacpp", base_url=base_url, **settings)

    return open_client


def ask(text="What is the capital of France? Answer in one sentence.", **fields):
    """
    A request for a few words of the model that is listed first, the same words each time.
    """
    fields = {"max_tokens": 24, "temperature": 0, **fields}
    return ai_lib.ChatCompletionRequest("auto", [ai_lib.Message.user(text)], **fields)


def test_whole_answer(client_at):
    """
    There is text, a reason to stop and a count of tokens.
    """
    response = client_at("AI_LIB_TEST_LLAMA").chat_completion(ask())

    assert response.text
    assert response.finish_reason in ("stop", "length")
    assert response.usage.prompt_tokens > 0
    assert "llamacpp" == response.provider


def test_stream(client_at):
    """
    The chunks' texts are the answer's, and the usage comes along.
    """
    with client_at("AI_LIB_TEST_LLAMA").chat_completion_stream(ask()) as stream:
        texts = [chunk.text for chunk in stream]

    assert len(texts) > 2
    assert "".join(texts) == stream.response.text
    assert stream.response.usage.completion_tokens > 0
    assert "completed" == stream.outcome


def test_running_stream_is_cancelled_from_another_thread(client_at):
    """
    The reader is free within a tenth of a second, and keeps what had come.
    """
    long = ask("Write a long story about a ship.", max_tokens=2000)
    client = client_at("AI_LIB_TEST_LLAMA")
    stream, handle = client.stream_with_cancel(long)
    first = next(stream)
    watch = []
    canceller = threading.Thread(
        target=lambda: (watch.append(Stopwatch()), handle.cancel())
    )
    canceller.start()

    _, error = stream.until_failed()
    seconds = watch[0].seconds
    canceller.join()

    assert isinstance(error, ai_lib.StreamCancelledError)
    assert error.partial.text.startswith(first.text)
    assert seconds < 0.5  # 0.1 is promised, on a machine with a core to spare


def test_models_are_listed(client_at):
    """
    The list names the model that answers.
    """
    client = client_at("AI_LIB_TEST_LLAMA")

    models = client.list_models()

    assert models
    assert models[0].id == client.get_model_info(models[0].id).id


def test_json_schema_is_kept(client_at):
    """
    The answer is JSON of the schema, whatever it says.
    """
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}

    response = client_at("AI_LIB_TEST_LLAMA").chat_completion(
        ask(response_format=form, max_tokens=200)
    )

    assert '"city"' in response.text
    assert response.text.lstrip().startswith("{")


def test_batch_is_answered_in_order(client_at):
    """
    Every item is answered, at its place.
    """
    requests = [ask(max_tokens=4) for _ in range(5)]

    items = client_at("AI_LIB_TEST_LLAMA").chat_completion_batch(requests)

    assert [0, 1, 2, 3, 4] == [item.index for item in items]
    assert all(item.ok for item in items)


def test_wrong_key_is_refused(client_at):
    """
    401 is an AuthenticationError.
    """
    client = client_at("AI_LIB_TEST_LLAMA_KEY", api_key="sk-wrong-key")

    with pytest.raises(ai_lib.AuthenticationError) as caught:
        client.chat_completion(ask())

    assert 401 == caught.value.status_code


def test_prompt_beyond_the_context_is_told(client_at):
    """
    A prompt of too many tokens is a ContextLengthExceededError.
    """
    with pytest.raises(ai_lib.ContextLengthExceededError):
        client_at("AI_LIB_TEST_LLAMA_KEY").chat_completion(ask("word " * 2000))


def test_tool_call_is_streamed_and_answered(client_at):
    """
    A call comes in pieces, is whole in the end, and takes its result.
    """
    client = client_at("AI_LIB_TEST_LLAMA_TOOLS")
    examples = []
    for number, city in enumerate(
        ("Rome", "Paris", "Berlin")
    ):  # even a tiny model gets it
        call = ai_lib.ToolCall(f"call_{number}", "get_weather", f'{{"city": "{city}"}}')
        examples += [
            ai_lib.Message.user(f"Weather in {city}?"),
            ai_lib.Message.assistant(tool_calls=[call]),
        ]
    request = ai_lib.ChatCompletionRequest(
        "auto",
        [*examples, ai_lib.Message.user("Weather in Oslo?")],
        tools=[WEATHER],
        max_tokens=60,
        temperature=0,
    )

    with client.chat_completion_stream(request) as stream:
        for _ in stream:
            pass
    call = stream.response.tool_calls[0]
    turn = [
        ai_lib.Message.user("Weather in Oslo?"),
        stream.response.message,
        ai_lib.Message.tool('{"sky": "clear"}', call.id),
    ]
    answer = client.chat_completion(
        ai_lib.ChatCompletionRequest("auto", turn, tools=[WEATHER], max_tokens=24)
    )

    assert "get_weather" == call.name
    assert "city" in call.parse_arguments()
    assert "tool_calls" == stream.response.finish_reason
    assert answer.finish_reason


def test_reasoning_is_apart_from_the_answer(client_at):
    """
    What a thinking model thinks comes as reasoning, in streams and whole answers.
    """
    client = client_at("AI_LIB_TEST_LLAMA_THINK")

    whole = client.chat_completion(ask(max_tokens=60))
    with client.chat_completion_stream(ask(max_tokens=60)) as stream:
        pieces = [chunk.reasoning for chunk in stream]

    assert whole.reasoning
    assert "".join(pieces) == stream.response.reasoning


def test_dropped_stream_frees_the_server(client_at):
    """
    A stream that is left in the middle does not keep the next caller waiting.
    """
    client = client_at("AI_LIB_TEST_LLAMA_KEY")  # it has one slot
    with client.chat_completion_stream(ask("Tell a story.", max_tokens=400)) as stream:
        next(stream)

    response = client.chat_completion(ask(max_tokens=4))

    assert response.choices
