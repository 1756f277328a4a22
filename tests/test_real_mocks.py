"""
Many formats against servers that others wrote: aimock and llmock, started before the tests.

aimock answers from its fixtures, eleven surfaces of it; llmock fails as it is told to.
"""

from __future__ import annotations

import os

import pytest
import requests

import ai_lib
from ai_lib import ChatCompletionRequest, Message, RetryPolicy, Timeout

pytestmark = pytest.mark.server

# Read here: tests see none of these variables.
AIMOCK = os.environ.get("AI_LIB_TEST_AIMOCK", "").rstrip("/")
LLMOCK = os.environ.get("AI_LIB_TEST_LLMOCK", "").rstrip("/")

WEATHER = ai_lib.Tool(
    "get_weather",
    "Tell the weather in a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)
TOOL_QUESTION = "use the tool"
BROKEN = (ai_lib.InvalidResponseError, ai_lib.IncompleteStreamError)
EMOJI = "Grüße 你好 👩‍👩‍👧‍👦 end"

#: What to ask of a client for each surface of aimock; ``base_url`` is a path there.
AIMOCK_SURFACES = {
    "openai": {"base_url": "/v1", "model": "gpt-4o"},
    "responses": {
        "provider": "openai",
        "dialect": "openai_responses",
        "base_url": "/v1",
        "model": "gpt-4o",
    },
    "anthropic": {"base_url": "/v1", "model": "claude-haiku-5-5"},
    "gemini": {"base_url": "/v1beta", "model": "gemini-3.8-flash"},
    "vertex": {
        "base_url": "/v1/projects/p/locations/global/publishers/google",
        "model": "gemini-3.8-flash",
    },
    "azure": {
        "provider": "azure_openai",
        "base_url": "/openai/v1",
        "model": "gpt-4o",
    },
    "azure_dated": {
        "provider": "azure_openai",
        "base_url": "",
        "provider_options": {"api_version": "2024-10-21"},
        "model": "gpt-4o",
    },
    "ollama": {"base_url": "", "model": "llama3"},
    "cohere": {"base_url": "", "model": "command-a-03-2025"},
    "bedrock": {"base_url": "", "model": "us.anthropic.claude-haiku-5-5"},
    "openrouter": {"base_url": "/api/v1", "model": "openai/gpt-4o"},
}

#: Likewise for llmock. The first five differ in their format, the others speak OpenAI's.
LLMOCK_SURFACES = {
    "openai": {"base_url": "/v1", "model": "gpt-4o"},
    "responses": {
        "provider": "openai",
        "dialect": "openai_responses",
        "base_url": "/v1",
        "model": "gpt-4o",
    },
    "anthropic": {"base_url": "/anthropic/v1", "model": "claude-haiku-5-5"},
    "gemini": {"base_url": "/gemini/v1beta", "model": "gemini-3.8-flash"},
    "cohere": {"base_url": "/cohere", "model": "command-a-03-2025"},
    "mistral": {"base_url": "/mistral/v1", "model": "mistral-small-latest"},
    "groq": {"base_url": "/groq/openai/v1", "model": "openai/gpt-oss-20b"},
    "together": {"base_url": "/together/v1", "model": "openai/gpt-oss-20b"},
    "perplexity": {
        "dialect": "openai_chat",
        "base_url": "/perplexity/v1",
        "model": "sonar",
    },
    "ai21": {"base_url": "/ai21/v1", "model": "jamba-large"},
    "xai": {"base_url": "/xai/v1", "model": "grok-4.3"},
}
FORMATS = list(LLMOCK_SURFACES)[:5]
SAID = "one two three four five six seven eight nine ten"


def opener(twin, server, surfaces):
    """
    Make a function that opens a client at a surface of *server*, without retries.
    """

    def open_client(surface, **settings):
        settings = {
            "api_key": "sk-none",
            "timeout": 30,
            **surfaces[surface],
            **settings,
        }
        settings.setdefault("provider", surface)
        settings["base_url"] = server + settings["base_url"]
        return twin.client(disable_proxy=True, **settings)

    return open_client


@pytest.fixture(scope="session")
def aimock_address():
    """
    Give the address of aimock, before anything else is made.
    """
    if not AIMOCK:
        pytest.skip("needs an aimock server's address in AI_LIB_TEST_AIMOCK")
    return AIMOCK


@pytest.fixture(scope="session")
def llmock_address():
    """
    Give the address of llmock, before anything else is made.
    """
    if not LLMOCK:
        pytest.skip("needs an llmock server's address in AI_LIB_TEST_LLMOCK")
    return LLMOCK


@pytest.fixture
def aimock(aimock_address, twin):
    """
    Give a function that opens a client at a surface of aimock.
    """
    return opener(twin, aimock_address, AIMOCK_SURFACES)


@pytest.fixture
def llmock(llmock_address, twin):
    """
    Give a function that opens a client at a surface of llmock, which then has nothing planned.
    """
    tell("reset")
    return opener(twin, llmock_address, LLMOCK_SURFACES)


def tell(path, **body):
    """
    Tell llmock something by its own interface.
    """
    reply = requests.post(f"{LLMOCK}/_llmock/{path}", json=body, timeout=30)
    reply.raise_for_status()


def plan(behavior, **fields):
    """
    Tell llmock what to do with the next request.
    """
    tell("scenario", behaviors=[{"type": behavior, **fields}])


def ask(text="Say hi", **fields):
    """
    A request to the client's own model.
    """
    return ChatCompletionRequest("auto", [Message.user(text)], **fields)


def streamed(client, request):
    """
    Give the whole answer of a stream, and the texts of its chunks.
    """
    with client.chat_completion_stream(request) as stream:
        texts = [chunk.text for chunk in stream]
    assert "completed" == stream.outcome
    return stream.response, texts


def whole(client, request):
    """
    Give a whole answer, in the same form.
    """
    response = client.chat_completion(request)
    return response, [response.text]


def failed_stream(client, request):
    """
    Give the error that a stream ends in, at its opening or later.
    """
    with pytest.raises(ai_lib.AiLibError) as caught:
        streamed(client, request)
    return caught.value


both_ways = pytest.mark.parametrize("answered", [whole, streamed])


# aimock: every format, answers by its fixtures

every_surface = pytest.mark.parametrize("surface", AIMOCK_SURFACES)


@every_surface
@both_ways
def test_aimock_answers(aimock, surface, answered):
    """
    Text, reason to stop and usage come, whole and streamed.
    """
    response, texts = answered(aimock(surface), ask())

    assert "Hello from aimock." == response.text == "".join(texts)
    assert "stop" == response.finish_reason
    # It always counts nothing for Ollama.
    assert (0 if surface == "ollama" else 12) == response.usage.total_tokens


@every_surface
@both_ways
def test_aimock_letters_of_several_bytes_stay_whole(aimock, surface, answered):
    """
    Text that is sent in pieces of one letter, or of half of one, comes as it was written.
    """
    response, texts = answered(aimock(surface), ask("emoji"))
    joined = "".join(texts).encode("utf-16", "surrogatepass").decode("utf-16")

    assert EMOJI == response.text == joined


# For these two it puts reasoning where the servers themselves do not.
@pytest.mark.parametrize(
    "surface", [name for name in AIMOCK_SURFACES if name not in ("cohere", "ollama")]
)
@both_ways
def test_aimock_reasoning_is_apart_from_the_text(aimock, surface, answered):
    """
    What was thought is not in the text.
    """
    response, _ = answered(aimock(surface), ask("ponder"))

    assert ("let me see", "42") == (response.reasoning, response.text)


@every_surface
@both_ways
def test_aimock_calls_a_tool_and_hears_its_result(aimock, surface, answered):
    """
    A call comes whole, and the conversation goes on behind its result.
    """
    client = aimock(surface)
    request = ask(TOOL_QUESTION, tools=[WEATHER])

    response, _ = answered(client, request)
    call = response.tool_calls[0]
    turn = [
        *request.messages,
        response.message,
        Message.tool('{"sky": "clear"}', call.id, name=call.name),
        Message.user("Say hi"),
    ]
    more, _ = answered(client, ChatCompletionRequest("auto", turn, tools=[WEATHER]))

    assert "tool_calls" == response.finish_reason
    assert ("get_weather", {"city": "Paris"}) == (call.name, call.parse_arguments())
    assert "Hello from aimock." == more.text


@every_surface
@both_ways
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("rate limit me", (ai_lib.RateLimitError, 429, 1.0), id="429"),
        pytest.param("overload me", (ai_lib.OverloadedError, 529, None), id="529"),
        pytest.param("no such words", (ai_lib.NotFoundError, 404, None), id="404"),
    ],
)
def test_aimock_errors_have_their_class(aimock, surface, answered, text, expected):
    """
    An error in the format of each surface is the error that it means.
    """
    with pytest.raises(ai_lib.AiLibError) as caught:
        answered(aimock(surface), ask(text))
    error = caught.value

    assert expected == (type(error), error.status_code, error.retry_after)


#: It cuts behind the third event, before which these have no text.
BEGIN_WITHOUT_TEXT = ("responses", "anthropic", "cohere", "bedrock")


@every_surface
def test_aimock_cut_stream_is_told(aimock, surface):
    """
    A connection that is dropped in the middle is an error that holds what had come.
    """
    error = failed_stream(aimock(surface), ask("please cut"))

    assert isinstance(error, ai_lib.IncompleteStreamError)
    assert (surface not in BEGIN_WITHOUT_TEXT) == bool(error.partial.text)
    assert "This answer will be cut in the middle of the stream.".startswith(
        error.partial.text
    )
    assert error.partial.finish_reason is None


@every_surface
@both_ways
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        # In lines of JSON, one without an end is a stream that was cut.
        pytest.param("malformed", BROKEN, id="malformed"),
        pytest.param("disconnect", ai_lib.NetworkError, id="disconnect"),
        pytest.param("drop", ai_lib.ServerError, id="drop"),
    ],
)
def test_aimock_chaos_is_an_error_of_ours(aimock, surface, answered, fault, kind):
    """
    Broken JSON, a closed connection and a bare 500 come out as the library's errors.
    """
    request = ask(extra_headers={f"x-aimock-chaos-{fault}": "1"})

    with pytest.raises(kind):
        answered(aimock(surface), request)


# llmock: every format and some who share OpenAI's, failing as told

every_provider = pytest.mark.parametrize("surface", LLMOCK_SURFACES)
every_format = pytest.mark.parametrize("surface", FORMATS)


@every_provider
@both_ways
def test_llmock_answers(llmock, surface, answered):
    """
    Text and reason to stop come, whole and streamed, word by word.
    """
    plan("reply", text=SAID)

    response, texts = answered(llmock(surface), ask())

    assert SAID == response.text == "".join(texts)
    assert "stop" == response.finish_reason


@every_provider
@both_ways
def test_llmock_tool_loop_comes_to_an_end(llmock, surface, answered):
    """
    A call in pieces is whole in the end, and its result brings words.
    """
    client = llmock(surface)
    request = ask(TOOL_QUESTION, tools=[WEATHER])

    response, _ = answered(client, request)
    call = response.tool_calls[0]
    turn = [
        *request.messages,
        response.message,
        Message.tool('{"sky": "clear"}', call.id, name=call.name),
    ]
    more, _ = answered(client, ChatCompletionRequest("auto", turn, tools=[WEATHER]))

    assert "tool_calls" == response.finish_reason
    assert ("get_weather", {"city": "mock-city"}) == (call.name, call.parse_arguments())
    assert more.text
    assert "stop" == more.finish_reason


# Cohere's list is elsewhere than llmock has it.
@pytest.mark.parametrize(
    "surface", [name for name in LLMOCK_SURFACES if name != "cohere"]
)
def test_llmock_models_are_listed(llmock, surface):
    """
    The list has names to ask for.
    """
    models = llmock(surface).list_models()

    assert models
    assert all(model.id for model in models)


@every_format
@both_ways
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ai_lib.InvalidRequestError),
        (401, ai_lib.AuthenticationError),
        (403, ai_lib.PermissionDeniedError),
        (404, ai_lib.NotFoundError),
        (408, ai_lib.RequestTimeoutError),
        (429, ai_lib.RateLimitError),
        (500, ai_lib.ServerError),
        (503, ai_lib.OverloadedError),
        (529, ai_lib.OverloadedError),
    ],
)
def test_llmock_status_has_its_class(llmock, surface, answered, status, kind):
    """
    An error in the format of each provider is the error that it means.
    """
    plan("fail", status=status)

    with pytest.raises(ai_lib.AiLibError) as caught:
        answered(llmock(surface), ask())

    assert kind is type(caught.value)
    assert status == caught.value.status_code


@every_format
def test_llmock_prompt_beyond_the_context_is_told(llmock, surface):
    """
    The message of a prompt that is too long makes the class, in every format.
    """
    plan(
        "fail",
        status=400,
        message="This model's maximum context length is 8 tokens. You asked for 9.",
    )

    with pytest.raises(ai_lib.ContextLengthExceededError):
        llmock(surface).chat_completion(ask())


@every_provider
@both_ways
def test_llmock_rate_limits_are_waited_for(llmock, surface, answered):
    """
    Two refusals are waited out as long as was asked, and llmock finds no fault in it.
    """
    plan("fail", status=429, retry_after=0.1, times=2)
    plan("reply", text=SAID)
    client = llmock(surface, retry=RetryPolicy(backoff=0.2))

    response, _ = answered(client, ask())
    verdict = requests.get(f"{LLMOCK}/_llmock/verdict", timeout=30).json()

    assert SAID == response.text
    assert [429, 429, 200] == [one.status_code for one in response.attempts]
    assert all(one.waited >= 0.1 for one in response.attempts[1:])
    assert (1, 3) == (verdict["calls"], verdict["attempts"])
    assert [] == [one for one in verdict["findings"] if one["severity"] == "error"]


@every_format
@both_ways
def test_llmock_outage_is_told_with_every_attempt(llmock, surface, answered):
    """
    Who stays down is asked as often as allowed, and the errors before the last are kept.
    """
    plan("fail", status=503, retry_after=0, times=None)
    client = llmock(surface, retry=RetryPolicy(attempts=3, backoff=0))

    with pytest.raises(ai_lib.OverloadedError) as caught:
        answered(client, ask())

    assert 3 == len(caught.value.attempts)
    assert 2 == len(caught.value.previous)


@every_format
@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_llmock_what_another_attempt_cannot_mend_is_not_retried(
    llmock, surface, status
):
    """
    One request went out, whatever is allowed.
    """
    plan("fail", status=status, times=None)
    client = llmock(surface, retry=RetryPolicy(attempts=3, backoff=0))

    with pytest.raises(ai_lib.ApiError):
        client.chat_completion(ask())
    seen = requests.get(f"{LLMOCK}/_llmock/requests", timeout=30).json()

    assert 1 == seen["count"]


STREAM_FAULTS = {
    "disconnect": ai_lib.IncompleteStreamError,
    "truncate": ai_lib.IncompleteStreamError,
    "malformed": ai_lib.InvalidResponseError,
}


@every_provider
@pytest.mark.parametrize("fault", STREAM_FAULTS)
def test_llmock_stream_that_breaks_off_is_an_error(llmock, surface, fault):
    """
    A cut connection, an early end and a broken event each have a class, and leave what had come.
    """
    plan("reply", text=SAID)
    plan("stream_fault", kind=fault, after_chunks=7)

    error = failed_stream(llmock(surface), ask())

    assert STREAM_FAULTS[fault] is type(error)
    assert SAID.startswith(error.partial.text)
    assert error.partial.text.startswith("one two")
    assert error.partial.finish_reason is None


@every_provider
@pytest.mark.parametrize("fault", ["disconnect", "truncate"])
def test_llmock_stream_that_breaks_before_its_first_chunk_is_retried(
    llmock, surface, fault
):
    """
    What nobody has seen yet is asked for again, and comes whole.
    """
    plan("reply", text=SAID, times=2)
    plan("stream_fault", kind=fault, after_chunks=0)
    client = llmock(surface, retry=RetryPolicy(attempts=2, backoff=0))

    response, texts = streamed(client, ask())

    assert SAID == response.text == "".join(texts)
    assert 2 == len(response.attempts)


@every_format
def test_llmock_silence_ends_a_stream(llmock, surface):
    """
    A stream that stalls is left after the time allowed.
    """
    plan("reply", text=SAID)
    plan("stream_fault", kind="stall", after_chunks=7, stall_seconds=20)

    error = failed_stream(llmock(surface, timeout=Timeout(idle=0.2)), ask())

    assert isinstance(error, ai_lib.RequestTimeoutError)
    assert error.partial.text.startswith("one two")


@every_format
def test_llmock_late_answer_is_not_waited_for(llmock, surface):
    """
    An answer that takes longer than an attempt may is a time-out.
    """
    plan("delay", seconds=20)

    with pytest.raises(ai_lib.RequestTimeoutError):
        llmock(surface, timeout=Timeout(attempt=0.2)).chat_completion(ask())


# Gemini sends arguments as an object, which cannot be broken.
@pytest.mark.parametrize("surface", [name for name in FORMATS if name != "gemini"])
def test_llmock_broken_arguments_are_kept_as_the_model_wrote_them(llmock, surface):
    """
    Arguments that are no JSON come through, and fail where they are parsed.
    """
    plan("tool_fault", kind="malformed_arguments")
    client = llmock(surface)
    request = ask(TOOL_QUESTION, tools=[WEATHER])

    response, _ = streamed(client, request)
    call = response.tool_calls[0]
    turn = [
        *request.messages,
        response.message,
        Message.tool("The arguments are no JSON.", call.id),
    ]
    more = client.chat_completion(ChatCompletionRequest("auto", turn, tools=[WEATHER]))

    assert '{"city": "' == call.arguments
    with pytest.raises(ValueError):
        call.parse_arguments()
    assert more.text
