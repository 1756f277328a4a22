"""
Files of OpenAI's Batch API: requests in, what came of them out.
"""

from __future__ import annotations

import json

import attrs
import pytest

from ai_lib._core.batch import BatchItem
from ai_lib._core.batch.bodies import request_of
from ai_lib._core.batch.jsonl import (
    decode_inputs,
    decode_outputs,
    encode_input,
    encode_output,
)
from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    Choice,
    Citation,
    Usage,
    UsageStatus,
)
from ai_lib._core.errors import (
    AiLibError,
    AuthenticationError,
    InvalidRequestError,
    NetworkError,
    RateLimitError,
    UnsupportedFeatureError,
)
from ai_lib._core.messages import AudioPart, FilePart, ImagePart, Message, TextPart
from ai_lib._core.targets import Target, resolve
from ai_lib._core.tools import Tool, ToolCall

REQUEST = ChatCompletionRequest(
    "m",
    [
        Message("developer", "Be brief."),
        Message.user(
            [
                "Look:",
                ImagePart.from_bytes(b"\x89PNG", "image/png", detail="low"),
                ImagePart.from_url("https://h/a.png"),
                AudioPart.from_bytes(b"RIFF", "audio/wav"),
                AudioPart.from_bytes(b"ID3", "audio/mpeg"),
                FilePart.from_bytes(b"%PDF", "application/pdf", name="a.pdf"),
                FilePart(url="file-123"),
            ],
            name="ann",
        ),
        Message.assistant(tool_calls=[ToolCall("c1", "f", '{"a":1}')]),
        Message.tool("2", "c1", name="f"),
        Message.assistant("Two."),
        Message.user("Thanks"),
    ],
    temperature=0.5,
    max_tokens=100,
    top_p=0.9,
    top_k=5,
    frequency_penalty=0.1,
    presence_penalty=0.2,
    stop=["END"],
    seed=7,
    n=2,
    logprobs=True,
    top_logprobs=3,
    tools=[Tool("f", "Count.", {"type": "object"}, strict=True)],
    tool_choice="f",
    parallel_tool_calls=False,
    response_format={
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object"}},
    },
    reasoning_effort="low",
    user="u",
    metadata={"a": "b"},
    extensions={"service_tier": "flex", "deep": [{"er": None}]},
)


def line_of(body, **more):
    """
    Write an input line.
    """
    line = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": body,
    }
    return json.dumps({**line, **more}).encode()


ASK = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


# Inputs


def test_request_comes_back_as_it_was_written():
    """
    Every field survives the way into a line and back.
    """
    line = encode_input("a-1", REQUEST)

    (found,) = decode_inputs([line], "in.jsonl")

    assert ("a-1", REQUEST) == (found.custom_id, found.request)
    written = json.loads(line)
    assert {"custom_id", "method", "url", "body"} == set(written)
    assert ("POST", "/v1/chat/completions") == (written["method"], written["url"])


def test_request_for_a_provider_is_written_in_its_words():
    """
    For OpenAI the bound of tokens has its newer name there, and is understood again.
    """
    named = Target("openai", "gpt-4o")
    target, _ = resolve(named, environ={"OPENAI_API_KEY": "KEYqv7Lm2Rt9Ws4Zx8"})
    line = encode_input(
        "a", ChatCompletionRequest("m", "Hi", max_tokens=5), target=target
    )

    body = json.loads(line)["body"]
    assert ("gpt-4o", 5) == (body["model"], body["max_completion_tokens"])
    assert 5 == request_of(body).max_tokens


def test_what_has_no_place_is_refused():
    """
    A sound that is an address cannot be said in the format: an error, and no line without it.
    """
    sound = Message.user([AudioPart.from_url("https://h/a.mp3")])

    with pytest.raises(UnsupportedFeatureError):
        encode_input("a", ChatCompletionRequest("m", [sound]))
    with pytest.raises(UnsupportedFeatureError):
        encode_input("a", ChatCompletionRequest("m", "Hi", tool_choice="none"))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        (
            {"max_completion_tokens": 5, "max_tokens": 6},
            {"max_tokens": 5, "extensions": {"max_tokens": 6}},
        ),
        ({"max_tokens": None, "seed": None, "tools": None, "stop": None}, {}),
        ({"stop": "END"}, {"stop": ("END",)}),
        ({"stream": False}, {}),
        ({"store": True, "x": None}, {"extensions": {"store": True, "x": None}}),
        ({"tool_choice": "required"}, {"tool_choice": "required"}),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
            {
                "extensions": {
                    "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}
                }
            },
        ),
        (
            {"tools": [{"type": "custom", "custom": {"name": "g"}}]},
            {"extensions": {"tools": [{"type": "custom", "custom": {"name": "g"}}]}},
        ),
        (
            {"response_format": {"type": "grammar"}},
            {"extensions": {"response_format": {"type": "grammar"}}},
        ),
    ],
)
def test_fields_find_their_names(more, expected):
    """
    What has a name here gets it, what has none goes along as it is, null is nothing.
    """
    assert attrs.evolve(ChatCompletionRequest("m", "Hi"), **expected) == request_of(
        {**ASK, **more}
    )


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]},
        {"role": "user", "content": [{"type": "text", "text": "a", "cache": {}}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_data": "JVBE"}}]},
        {"role": "assistant", "content": "a", "audio": {"id": "1"}},
        {"role": "assistant", "content": "a", "name": "bob"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", "type": "custom", "custom": {}}],
        },
    ],
)
def test_messages_without_a_name_go_along_as_they_are(message):
    """
    What a message holds beyond the names here is sent as it came, with all messages.
    """
    body = {"model": "m", "messages": [*ASK["messages"], message]}

    request = request_of(body)

    assert body["messages"] == request.extensions["messages"]
    assert 2 == len(request.messages)
    sent = json.loads(encode_input("a", request, on_unsupported="warn"))["body"]
    assert body["messages"] == sent["messages"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "no JSON"),
        (b"[1]", "neither a JSON object nor a text"),
        (b'""', "prompt must be a text"),
        (b'{"prompt": ["a"]}', "prompt must be a text"),
        (b'{"prompt": "a", "messages": []}', "both a prompt and messages"),
        (b'{"prompt": "a", "custom_id": 5}', "custom_id must be a text"),
        (b'{"messages": []}', "messages is missing"),
        (b"\xff{}", "not UTF-8"),
        (b"[" * 300 + b"]" * 300, "nested too deeply"),
        (b"{}", "neither a body nor messages nor a prompt"),
        (b'{"body": {}}', "custom_id must be a text"),
        (line_of(ASK, custom_id=5), "custom_id must be a text"),
        (line_of(ASK, method="GET"), "method must be POST"),
        (line_of(ASK, url="/v1/embeddings"), "url must be .*embeddings"),
        (line_of([]), "body must be an object"),
        (line_of({"model": "m"}), "messages is missing"),
        (line_of({**ASK, "messages": []}), "messages is missing"),
        (line_of({**ASK, "messages": {"role": "user"}}), "messages is no list"),
        (line_of({**ASK, "messages": [5]}), r"messages\[0\]: it is no object"),
        (line_of({**ASK, "messages": [{"role": "function"}]}), "role must be one of"),
        (
            line_of({**ASK, "messages": [{"role": "user", "content": 5}]}),
            r"messages\[0\]: content is no list",
        ),
        (
            line_of(
                {
                    **ASK,
                    "messages": [
                        {
                            "role": "user",
                            "content": [{"type": "image_url", "image_url": {"url": 5}}],
                        }
                    ],
                }
            ),
            "url of an image",
        ),
        (
            line_of(
                {
                    **ASK,
                    "messages": [
                        {
                            "role": "user",
                            "content": [{"type": "input_audio", "input_audio": {}}],
                        }
                    ],
                }
            ),
            "lacks format",
        ),
        (line_of({**ASK, "temperature": "hot"}), "temperature"),
        (line_of({**ASK, "max_tokens": 0}), "max_tokens"),
        (line_of({**ASK, "model": 5}), "model is no text"),
        (line_of({**ASK, "tools": "f"}), "tools is no list"),
        (
            line_of({**ASK, "tools": [{"type": "function", "function": {}}]}),
            "needs a name",
        ),
        (line_of({**ASK, "stream": True}), "does not stream"),
    ],
)
def test_broken_line_is_named(line, problem):
    """
    A line that is no request is named by its file, its number and what is wrong.
    """
    lines = [line_of(ASK, custom_id="1"), b"\n", line]
    found = decode_inputs(lines, "in.jsonl")

    assert "1" == next(found).custom_id
    with pytest.raises(
        ValueError, match=rf"^in\.jsonl, line 3: .*{problem}.*take it out$"
    ):
        next(found)


def test_custom_id_is_unique():
    """
    Two requests of one name could not be told apart: the second is named, with the first one's line.
    """
    lines = [line_of(ASK, custom_id=one) for one in "abca"]

    with pytest.raises(ValueError, match="in, line 4: custom_id 'a' was in line 1"):
        list(decode_inputs(lines, "in"))


def test_files_of_others_are_read():
    """
    A byte order mark, Windows' ends of lines, empty lines and lines of id and body alone do no harm.
    """
    short = json.dumps({"custom_id": "b", "body": ASK}).encode()
    lines = [b"\xef\xbb\xbf" + line_of(ASK) + b"\r\n", b"\r\n", short + b"\r\n"]

    assert ["a", "b"] == [one.custom_id for one in decode_inputs(lines, "in")]


def test_requests_are_written_by_hand():
    """
    A line may be a body alone, one with a prompt, or a text; where it has no name it is numbered.
    """
    lines = [
        b'"Why?"',
        b"",
        b'{"prompt": "How?", "temperature": 0, "custom_id": "how"}',
        json.dumps(ASK).encode(),
    ]

    found = list(decode_inputs(lines, "in"))

    assert ["request-0", "how", "request-2"] == [one.custom_id for one in found]
    assert [
        ChatCompletionRequest("", "Why?"),
        ChatCompletionRequest("", "How?", temperature=0),
        request_of(ASK),
    ] == [one.request for one in found]


def test_given_name_is_not_given_again():
    """
    A line whose number makes the name of another is named, too.
    """
    lines = [b'{"prompt": "a", "custom_id": "request-1"}', b'"b"']

    with pytest.raises(ValueError, match="in, line 2: custom_id 'request-1'"):
        list(decode_inputs(lines, "in"))


# Outputs

RESPONSE = ChatCompletionResponse(
    id="r",
    model="m-1",
    created=5,
    choices=[
        Choice(
            message=Message(
                "assistant",
                "Hé",
                tool_calls=[ToolCall("1", "f", "{}")],
                reasoning="Hm",
            ),
            finish_reason="tool_calls",
            raw_finish_reason="tool_calls",
            logprobs={"content": []},
        ),
        Choice(index=1, message=Message("assistant", "", refusal="No")),
    ],
    usage=Usage(
        prompt_tokens=5,
        completion_tokens=4,
        total_tokens=9,
        cached_tokens=2,
        reasoning_tokens=1,
    ),
    usage_status=UsageStatus.FINALIZED,
    citations=(Citation(url="https://h", title="H", start=0, end=2, text="x"),),
    request_id="req",
    warnings=("top_k was left out",),
)


def item_of(outcome):
    """
    Make a finished item.
    """
    error = outcome if isinstance(outcome, AiLibError) else None
    response = None if error else outcome
    return BatchItem(index=3, request=REQUEST, response=response, error=error)


def back(item):
    """
    Write an item as a line, and read it again.
    """
    (found,) = decode_outputs([encode_output("a", item)], "out.jsonl")
    assert "a" == found.custom_id
    return found


def test_answer_comes_back_as_it_was_written():
    """
    An answer of whatever provider survives as one of OpenAI's.
    """
    found = back(item_of(RESPONSE))

    assert found.ok
    assert RESPONSE == attrs.evolve(found.unwrap(), raw={})


def test_line_is_as_documented():
    """
    A line has what readers of the format look for.
    """
    line = json.loads(encode_output("a", item_of(RESPONSE)))

    assert {"id", "custom_id", "response", "error", "warnings"} == set(line)
    assert line["id"].startswith("batch_req_")
    assert (200, "req") == (
        line["response"]["status_code"],
        line["response"]["request_id"],
    )
    body = line["response"]["body"]
    assert "chat.completion" == body["object"]
    assert "Hé" == body["choices"][0]["message"]["content"]
    assert 9 == body["usage"]["total_tokens"]
    assert line["error"] is None


@pytest.mark.parametrize(
    ("kind", "status"),
    [(RateLimitError, 429), (InvalidRequestError, 400), (AuthenticationError, 401)],
)
def test_error_with_a_status_is_a_response(kind, status):
    """
    What a provider refused is a response with its status, and an error of its class again.
    """
    body = '{"error": {"message": "No.", "type": "t", "code": "c"}}'
    said = kind("p: No.", status_code=status, request_id="req", body=body)
    for error in (said, kind("No.", status_code=status, request_id="req", code="c")):
        line = json.loads(encode_output("a", item_of(error)))
        found = back(item_of(error)).error

        assert (status, None) == (line["response"]["status_code"], line["error"])
        assert "No." == line["response"]["body"]["error"]["message"]
        assert kind is type(found)
        assert (status, "req", "c") == (
            found.status_code,
            found.request_id,
            found.code,
        )
        assert "No." in found.message


def test_error_without_a_status_is_an_error():
    """
    What was never answered has no response, and is an error of its class again.
    """
    line = json.loads(encode_output("a", item_of(NetworkError("No route."))))
    found = back(item_of(NetworkError("No route."))).error

    assert line["response"] is None
    assert "No route." == line["error"]["message"]
    assert (NetworkError, "No route.") == (type(found), found.message)


def test_expired_request_is_an_error_with_its_code():
    """
    What OpenAI itself writes for a request that it did not get to is read.
    """
    line = b'{"id":"1","custom_id":"a","response":null,"error":{"code":"batch_expired","message":"Too late."}}'

    (found,) = decode_outputs([line], "out")

    assert ("batch_expired", "Too late.") == (found.error.code, found.error.message)
    assert found.response is None


def test_answer_that_cannot_be_read_is_an_error():
    """
    A body that holds no answer is the item's error; the file goes on.
    """
    lines = [
        b'{"custom_id":"a","response":{"status_code":200,"body":{}},"error":null}',
        b'{"custom_id":"b","response":{"status_code":502,"body":"Bad gateway"}}',
        encode_output("c", item_of(RESPONSE)),
    ]

    found = list(decode_outputs(lines, "out"))

    assert [False, False, True] == [one.error is None for one in found]
    assert 502 == found[1].error.status_code


def test_infinite_log_probabilities_cost_themselves_only():
    """
    JSON has no infinity: the answer is written without its log probabilities.
    """
    choice = Choice(
        message=Message.assistant("Hi"), logprobs={"content": [float("-inf")]}
    )
    response = attrs.evolve(RESPONSE, choices=[choice])

    found = back(item_of(response)).response

    assert "Hi" == found.text
    assert "left out" in found.warnings[-1]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "no JSON"),
        (b'{"response":{}}', "custom_id"),
        (b'{"custom_id":"a"}', "neither"),
        (b'{"custom_id":"a","response":{"body":{}}}', "status_code"),
    ],
)
def test_broken_output_line_is_named(line, problem):
    """
    A line that is no output is named by its file, its number and what is wrong.
    """
    with pytest.raises(ValueError, match=rf"^out\.jsonl, line 2: .*{problem}"):
        list(decode_outputs([b"\n", line], "out.jsonl"))


def test_text_parts_may_be_texts():
    """
    Content as a list of plain strings is taken as text.
    """
    body = {"messages": [{"role": "user", "content": ["a", "b"]}]}

    request = request_of(body)

    assert "" == request.model
    assert (TextPart("a"), TextPart("b")) == request.messages[0].content
