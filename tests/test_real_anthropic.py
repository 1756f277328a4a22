"""
Anthropic's format against a real server: llama.cpp's, which speaks it at ``/v1/messages``.

The model is tiny: what it says is never looked at, only that it speaks.
"""

from __future__ import annotations

import os

import pytest

from ai_lib import AiClient, ChatCompletionRequest, ContextLengthExceededError, Message

pytestmark = pytest.mark.server
QUESTION = "What is the capital of France? Answer in one sentence."


# Read here: tests see none of these variables.
SERVERS = {
    name: os.environ.get(name)
    for name in ("AI_LIB_TEST_LLAMA", "AI_LIB_TEST_LLAMA_THINK")
}


def client_at(variable):
    """
    Open a client at the server that an environment variable names.
    """
    url = SERVERS[variable]
    if not url:
        pytest.skip(f"needs a llama.cpp server's address in {variable}")
    return AiClient(
        "anthropic",
        api_key="sk-none",
        base_url=f"{url.rstrip('/')}/v1",
        disable_proxy=True,
        timeout=120,
    )


@pytest.fixture
def client():
    """
    Give a client of a plain model.
    """
    with client_at("AI_LIB_TEST_LLAMA") as made:
        yield made


@pytest.fixture
def thinking_client():
    """
    Give a client of a model that thinks.
    """
    with client_at("AI_LIB_TEST_LLAMA_THINK") as made:
        yield made


def ask(*messages, **fields):
    """
    A request for a few words.
    """
    fields = {"max_tokens": 24, "temperature": 0, **fields}
    return ChatCompletionRequest("local", messages, **fields)


def test_whole_answer(client):
    """
    There is text, a reason to stop and a count of tokens.
    """
    response = client.chat_completion(ask(Message.user(QUESTION), temperature=0))

    assert response.text
    assert response.finish_reason in ("stop", "length")
    assert response.usage.prompt_tokens > 0
    assert response.usage.completion_tokens > 0


def test_stream_says_what_a_whole_answer_says(client):
    """
    The chunks add up; without chance it is the same answer.
    """
    request = ask(Message.user(QUESTION), temperature=0)

    with client.chat_completion_stream(request) as stream:
        text = "".join(chunk.text for chunk in stream)

    assert client.chat_completion(request).text == text == stream.response.text
    assert "completed" == stream.outcome
    assert stream.response.usage.completion_tokens > 0


def test_conversation_of_all_roles(client):
    """
    The server takes the turns that are made of any order of messages.
    """
    response = client.chat_completion(
        ask(
            Message.system("Be brief."),
            Message.assistant("Welcome!"),
            Message.user("Hi"),
            Message.user(QUESTION),
            Message.assistant("Paris. "),
            Message.system("Be kind."),
            Message.user("And Spain?"),
        )
    )

    assert response.text
    assert 2 == len(response.warnings)


def test_long_prompt_is_told(client):
    """
    A prompt beyond the context is an error of its own.
    """
    with pytest.raises(ContextLengthExceededError) as caught:
        client.chat_completion(ask(Message.user("word " * 40_000)))

    assert 400 == caught.value.status_code


def test_models_are_listed(client):
    """
    There is a model, and its name is known.
    """
    assert [client.get_model_info(one.id).id for one in client.list_models()]


def test_reasoning_is_apart(thinking_client):
    """
    Thoughts are no text, whole or streamed, and go back with the answer.
    """
    request = ask(Message.user("What is 2+2?"), temperature=0, max_tokens=48)

    whole = thinking_client.chat_completion(request)
    with thinking_client.chat_completion_stream(request) as stream:
        thoughts = "".join(chunk.reasoning for chunk in stream)
    streamed = stream.response
    again = thinking_client.chat_completion(
        ask(*request.messages, streamed.message, Message.user("And 3+3?"))
    )

    assert whole.reasoning
    assert thoughts == streamed.reasoning
    assert "anthropic_messages" in streamed.message.provider_state
    assert again.finish_reason in ("stop", "length")
