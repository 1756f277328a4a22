"""
Bytes to chunks and to the whole answer, the same at every cut; errors behind what came before.
"""

from __future__ import annotations

import gc
import gzip
import json
import struct
import tracemalloc
import weakref
import zlib

import attrs
import pytest

from ai_lib._core.answer import chunks_of
from ai_lib._core.chat import (
    ChatCompletionChunk,
    ChatCompletionResponse,
    Choice,
    ChunkChoice,
    Citation,
    Delta,
    ToolCallDelta,
    Usage,
    UsageStatus,
)
from ai_lib._core.errors import (
    AiLibError,
    InvalidResponseError,
    NetworkError,
    OverloadedError,
    QuotaExhaustedError,
    ResponseTooLargeError,
)
from ai_lib._core.http import SizeLimits
from ai_lib._core.ledger import Attempt, RateLimits
from ai_lib._core.messages import Message
from ai_lib._core.stream import ChunkDecoder
from ai_lib._core.tools import ToolCall

BASE = ChatCompletionResponse(
    model="asked-for",
    provider="acme",
    request_id="req-1",
    warnings=("top_k was dropped",),
    rate_limits=RateLimits(requests_limit=10),
)


@attrs.define
class Parser:
    """
    A small wire format: ``{"t": text}`` is a chunk, ``[DONE]`` the end mark.

    Text that ends in ``<`` is held back until more comes, as where tags are looked for.
    """

    framing: str = "sse"
    done: bool = False
    held: str = ""
    seen: list = attrs.field(factory=list)

    def feed(self, frame):
        name, data = frame
        self.seen.append(data)
        if data == "[DONE]":
            self.done = True
            return
        try:
            events = json.loads(data)
        except ValueError:
            events = None
        if events is None:
            raise InvalidResponseError("That is not JSON.")
        for event in events if isinstance(events, list) else [events]:
            if name == "error" or "error" in event:
                raise OverloadedError(event["error"], code="overloaded")
            yield self.chunk(event)

    def chunk(self, event):
        text = self.held + event.get("t", "")
        self.held = "<" if text.endswith("<") else ""
        delta = Delta(
            content=text.removesuffix("<") or None,
            reasoning=event.get("r"),
            refusal=event.get("refusal"),
            tool_calls=[ToolCallDelta(**call) for call in event.get("calls", ())],
            citations=[Citation(url=url) for url in event.get("urls", ())],
            provider_state=event.get("state"),
        )
        choice = ChunkChoice(
            event.get("n", 0),
            delta,
            finish_reason=event.get("end"),
            raw_finish_reason=event.get("end"),
            logprobs=event.get("logprobs"),
        )
        usage = event.get("usage")
        return ChatCompletionChunk(
            [] if event.get("bare") else [choice],
            id=event.get("id", ""),
            model=event.get("model", ""),
            created=event.get("created", 0),
            usage=Usage(total_tokens=usage) if usage else None,
            raw=event,
        )

    def finish(self):
        if self.held:
            yield ChatCompletionChunk([ChunkChoice(0, Delta(content=self.held))])


def decode_whole(body):
    """
    Read a JSON body of the same small format.
    """
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidResponseError("The body is no JSON object.")
    if "error" in value:
        raise QuotaExhaustedError(value["error"])
    message = Message.assistant(value["text"], tool_calls=value.get("calls", ()))
    return ChatCompletionResponse(
        id="whole",
        choices=(Choice(message=message, finish_reason="stop"),),
        usage=Usage(total_tokens=9),
        usage_status=UsageStatus.FINALIZED,
        warnings=("one more",),
        raw=value,
    )


def decoder_of(**changes):
    """
    A decoder of event streams in the small format.
    """
    return ChunkDecoder(
        **{
            "parser": Parser(),
            "decode_whole": decode_whole,
            "base": BASE,
            "content_type": "text/event-stream",
            **changes,
        }
    )


def sse(*events):
    """
    Encode events; a string goes as it is.
    """
    texts = (one if isinstance(one, str) else json.dumps(one) for one in events)
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def chunks_from(decoder):
    """
    All chunks that need no more bytes.
    """
    return list(iter(decoder.next_chunk, None))


def outcome(decoder, pieces):
    """
    Feed *pieces* and the end; chunks, error and answer as plain values that can be compared.
    """
    chunks = []
    error = None
    try:
        for piece in (*pieces, b""):
            decoder.feed(piece)
            while (chunk := decoder.next_chunk()) is not None:
                chunks.append(attrs.asdict(chunk))
            if decoder.ended:
                break
    except AiLibError as caught:
        error = type(caught).__name__, str(caught), caught.body, caught.partial
    assert decoder.ended
    assert decoder.next_chunk() is None
    return chunks, error, decoder.response


def texts_and_error(decoder, pieces):
    """
    The chunks' texts, the name of the error, and the text of the answer.
    """
    chunks, error, response = outcome(decoder, pieces)
    texts = [
        choice["delta"]["content"] or ""
        for chunk in chunks
        for choice in chunk["choices"]
    ]
    return texts, error and error[0], response.text


def cuts_of(body):
    """
    The body whole, byte by byte, and cut in two at each place.
    """
    yield [body]
    yield [body[at : at + 1] for at in range(len(body))]
    for at in range(1, len(body)):
        yield [body[:at], body[at:]]


END = {"end": "stop"}
DONE = "[DONE]"
A, B = {"t": "a"}, {"t": "b"}

# What each body gives: texts of the chunks, the error, the text of the answer.
BODIES = {
    "end-mark": (sse(A, B, END, DONE), (["a", "b", ""], None, "ab")),
    "end-mark-alone": (sse(A, DONE), (["a"], None, "a")),
    "finish-reason-alone": (sse(A, END), (["a", ""], None, "a")),
    "after-the-end-mark": (sse(A, DONE, "garbage", B), (["a"], None, "a")),
    "end-mark-only": (sse(DONE), ([], None, "")),
    "no-end": (sse(A, B), (["a", "b"], "IncompleteStreamError", "ab")),
    "torn": (sse(A, B)[:-6], (["a"], "IncompleteStreamError", "a")),
    "torn-end-mark": (sse(A, DONE)[:-4], (["a"], "IncompleteStreamError", "a")),
    "torn-after-finish": (sse(A, END, B)[:-6], (["a", ""], None, "a")),
    "no-last-blank-line": (sse(A, DONE)[:-1], (["a"], None, "a")),
    "no-last-line-end": (sse(A, DONE)[:-2], (["a"], None, "a")),
    "one-of-two-finished": (
        sse(A, {"n": 1, "t": "c"}, END),
        (["a", "c", ""], "IncompleteStreamError", "a"),
    ),
    "error-event": (sse(A, {"error": "busy"}, B), (["a"], "OverloadedError", "a")),
    "error-first": (sse({"error": "busy"}), ([], "OverloadedError", "")),
    "error-without-line-end": (
        sse({"error": "busy"})[:-2],
        ([], "OverloadedError", ""),
    ),
    "error-between-chunks-of-one-event": (
        sse([A, B, {"error": "busy"}, A]),
        (["a", "b"], "OverloadedError", "ab"),
    ),
    "not-json": (sse(A, "garbage", B), (["a"], "InvalidResponseError", "a")),
    "held-back": (sse(A, {"t": "b<"}, DONE), (["a", "b", "<"], None, "ab<")),
    "held-back-and-cut": (
        sse(A, {"t": "b<"}),
        (["a", "b", "<"], "IncompleteStreamError", "ab<"),
    ),
    "held-back-and-error": (
        sse({"t": "b<"}, {"error": "busy"}),
        (["b", "<"], "OverloadedError", "b<"),
    ),
    "comments-and-returns": (
        b": hi\r\n\r\ndata: " + json.dumps(A).encode() + b"\r\n\r\ndata:[DONE]\r\n\r\n",
        (["a"], None, "a"),
    ),
    "json": (b'{"text": "hi"}', (["hi"], None, "hi")),
    "padded-json": (b'\n \r\n\n{"text":\n "hi"}\n', (["hi"], None, "hi")),
    "json-with-mark": (b'\xef\xbb\xbf{"text": "hi"}', (["hi"], None, "hi")),
    "json-error": (b'{"error": "broke"}', ([], "QuotaExhaustedError", "")),
    "json-array": (b"[1]", ([], "InvalidResponseError", "")),
    "cut-json": (b'{"text": "h', ([], "InvalidResponseError", "")),
    "page": (b"<!doctype html><title>Login</title>", ([], "InvalidResponseError", "")),
    "text": (b"upstream\nbroke\n", ([], "InvalidResponseError", "")),
    "text-without-line-end": (b"upstream broke", ([], "InvalidResponseError", "")),
    "nothing": (b"", ([], "IncompleteStreamError", "")),
    "blank": (b"\r\n\n ", ([], "IncompleteStreamError", "")),
    "comments": (b": ping\n\n: ping\n\n", ([], "IncompleteStreamError", "")),
    "names-only": (b"event: start\n\n", ([], "IncompleteStreamError", "")),
}


@pytest.mark.parametrize(("body", "expected"), BODIES.values(), ids=BODIES.keys())
def test_a_stream_is_the_same_at_every_cut(body, expected):
    """
    Chunks first, then the end or the error; never an empty stream that looks whole.
    """
    whole = outcome(decoder_of(), [body])

    results = [outcome(decoder_of(), pieces) for pieces in cuts_of(body)]

    assert expected == texts_and_error(decoder_of(), [body])
    assert [whole] * len(results) == results


@pytest.mark.parametrize(("body", "expected"), BODIES.values(), ids=BODIES.keys())
def test_a_compressed_stream_is_the_same_byte_by_byte(body, expected):
    """
    Compressed bytes may be cut anywhere too.
    """
    packed = gzip.compress(body)

    whole = texts_and_error(decoder_of(content_encoding="gzip"), [packed])
    bytewise = texts_and_error(
        decoder_of(content_encoding="gzip"), (bytes([one]) for one in packed)
    )

    assert expected == whole
    assert expected == bytewise


# Ends


@pytest.mark.parametrize("last", [DONE, END], ids=["end-mark", "finish-reason"])
def test_only_the_end_mark_ends_before_the_bytes_do(last):
    """
    An open connection does not matter once the end mark was seen; usage may follow a finish reason.
    """
    decoder = decoder_of()

    decoder.feed(sse(A, last))
    chunks_from(decoder)

    assert decoder.ended is (last == DONE)


def test_what_follows_the_end_mark_is_not_parsed():
    """
    Neither what came along with it nor what comes later.
    """
    parser = Parser()
    decoder = decoder_of(parser=parser)

    decoder.feed(sse(A, DONE, B))
    chunks_from(decoder)
    decoder.feed(sse(B))
    chunks_from(decoder)

    assert [json.dumps(A), DONE] == parser.seen
    assert decoder.response.text == "a"


def test_a_broken_connection_raises_its_error_behind_the_chunks():
    """
    The transport's error gets what the stream had brought.
    """
    decoder = decoder_of()
    broken = NetworkError("reset")

    decoder.feed(sse(A) + b"data: {")
    decoder.cut(broken)
    chunk = decoder.next_chunk()
    with pytest.raises(NetworkError) as caught:
        decoder.next_chunk()

    assert chunk.text == "a"
    assert broken is caught.value
    assert broken.partial.text == "a"
    assert (
        broken.provider,
        broken.model,
        broken.request_id,
    ) == ("acme", "asked-for", "req-1")
    assert decoder.ended


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(sse(A, END), id="finish-reason"),
        pytest.param(sse(A, DONE), id="end-mark"),
        pytest.param(sse(A, DONE)[:-2], id="end-mark-without-line-end"),
        pytest.param(sse(A, END) + b"data: {", id="torn-behind-finish-reason"),
    ],
)
def test_a_broken_connection_does_not_matter_to_a_whole_answer(body):
    """
    When all that was due has come, the error is forgotten.
    """
    decoder = decoder_of()

    decoder.feed(body)
    decoder.cut(NetworkError("reset"))
    chunks_from(decoder)

    assert decoder.ended
    assert decoder.response.text == "a"
    assert decoder.response.usage_status is UsageStatus.UNSUPPORTED


def test_a_connection_that_breaks_before_anything_came_has_no_partial_answer():
    """
    There was no stream yet, so there is no part of one.
    """
    decoder = decoder_of()

    decoder.cut(NetworkError("reset"))
    with pytest.raises(NetworkError) as caught:
        decoder.peek()

    assert caught.value.partial is None


def test_a_json_body_that_is_cut_is_the_connection_s_error():
    """
    What could not be read because it did not come is not the provider's fault.
    """
    decoder = decoder_of()

    decoder.feed(b'{"text": "h')
    decoder.cut(NetworkError("reset"))

    with pytest.raises(NetworkError, match="reset"):
        decoder.next_chunk()


def test_a_parser_s_error_is_raised_once():
    """
    Afterwards it is over.
    """
    decoder = decoder_of()

    decoder.feed(sse({"error": "busy"}))
    with pytest.raises(OverloadedError):
        decoder.next_chunk()
    decoder.feed(sse(A))

    assert decoder.next_chunk() is None
    assert decoder.ended


# Errors


def test_an_incomplete_stream_tells_what_it_had_brought():
    """
    The partial answer has the type of a whole one, and its usage is pending.
    """
    _, error, _ = outcome(decoder_of(), [sse({"t": "a", "r": "hm", "id": "x"})])

    partial = error[3]
    assert partial.text == "a"
    assert partial.reasoning == "hm"
    assert partial.id == "x"
    assert partial.finish_reason is None
    assert partial.usage_status is UsageStatus.PENDING
    assert partial.warnings == BASE.warnings


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        pytest.param(b"<html>" + b"x" * 10_000, "<html>" + "x" * 1994, id="page"),
        pytest.param(b"broken " * 1000, ("broken " * 1000)[:2000], id="text"),
        pytest.param(b": ping\n\n", ": ping\n\n", id="comments"),
        pytest.param(
            b"token=sk-abcdefghijklmnopqrstuvwx0123\n", "token=***\n", id="key"
        ),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_an_answer_that_is_no_stream_is_shown_in_part(body, shown):
    """
    The first bytes are on the error, bounded and without keys.
    """
    _, error, _ = outcome(decoder_of(), [body])

    assert shown == error[2]


def test_an_error_holds_neither_the_stream_s_bytes_nor_the_decoder():
    """
    The traceback shows no locals in which an echoed key could be.
    """
    decoder = decoder_of()

    decoder.feed(sse(A, {"error": "busy", "echo": "sk-secret"}))
    decoder.next_chunk()
    with pytest.raises(OverloadedError) as caught:
        decoder.next_chunk()

    frames = list(caught.traceback)[1:]
    shown = [repr(value) for frame in frames for value in frame.frame.f_locals.values()]
    assert frames
    assert not [text for text in shown if "sk-secret" in text]


@pytest.mark.parametrize("body", [sse(A, DONE), sse(A), sse({"error": "x"}), b"<"])
def test_nothing_keeps_a_decoder_alive(body):
    """
    A decoder that is dropped is gone at once, also behind an error.
    """
    decoder = decoder_of()
    gone = weakref.ref(decoder)
    gc.disable()
    try:
        outcome(decoder, [body])
        del decoder

        assert gone() is None
    finally:
        gc.enable()


# The whole answer


RICH = [
    {"bare": True, "id": ""},
    {"id": "c1", "model": "given", "created": 17, "r": "hm "},
    {"id": "c2", "model": "other", "created": 18, "r": "ok", "t": ""},
    {"t": "al", "usage": 5, "urls": ["u1", "u2"], "state": {"openai_chat": 1}},
    {
        "t": "pha",
        "usage": 7,
        "urls": ["u2", "u3"],
        "logprobs": {"content": [1], "x": 1},
    },
    {"n": 2, "t": "gamma", "end": "length"},
    {"n": 1, "t": "beta", "refusal": "no"},
    {"n": 1, "refusal": "pe", "logprobs": {"content": None}},
    {
        "logprobs": {"content": [2, 3], "refusal": [4], "x": 2},
        "state": {"openai_chat": 2},
    },
    {"n": 1, "end": "content_filter", "logprobs": {"content": None}},
    {"logprobs": {"x": None}},
    {"end": "stop"},
    {"bare": True, "usage": 8},
    {"bare": True},
    DONE,
]


def test_everything_is_added_up():
    """
    Text by choice, the first id and model, the last usage and state, lists joined.
    """
    decoder = decoder_of()

    decoder.feed(sse(*RICH))
    chunks_from(decoder)
    response = decoder.response

    assert (response.id, response.model, response.created) == ("c1", "given", 17)
    assert [choice.index for choice in response.choices] == [0, 1, 2]
    assert [one.message.text for one in response.choices] == ["alpha", "beta", "gamma"]
    assert response.reasoning == "hm ok"
    assert [one.message.refusal for one in response.choices] == [None, "nope", None]
    reasons = [one.finish_reason for one in response.choices]
    assert reasons == ["stop", "content_filter", "length"]
    assert reasons == [one.raw_finish_reason for one in response.choices]
    assert Usage(total_tokens=8) == response.usage
    assert response.usage_status is UsageStatus.FINALIZED
    assert [one.url for one in response.citations] == ["u1", "u2", "u3"]
    assert response.message.provider_state == {"openai_chat": 2}
    logprobs = {"content": [1, 2, 3], "refusal": [4], "x": 2}
    assert logprobs == response.choices[0].logprobs
    assert response.choices[1].logprobs == {"content": None}
    assert response.choices[2].logprobs is None
    assert response.raw == {"bare": True}


def test_what_is_known_besides_is_in_the_answer():
    """
    The client's facts are there, the attempts when it knows them.
    """
    decoder = decoder_of()
    attempts = (Attempt(provider="acme", model="asked-for", status_code=200),)

    decoder.feed(sse(A, DONE))
    chunks_from(decoder)
    before = decoder.response
    decoder.attempts = attempts
    response = decoder.response

    assert before.attempts == ()
    assert attempts == response.attempts
    assert (
        attrs.evolve(
            response,
            choices=(),
            attempts=(),
            raw={},
            usage_status=UsageStatus.UNSUPPORTED,
        )
        == BASE
    )


def test_the_answer_so_far_grows_with_the_chunks_taken():
    """
    Chunks that wait are not in it; at the end it is made once.
    """
    decoder = decoder_of()
    decoder.feed(sse(A, B, DONE))

    seen = []
    for _ in range(3):
        seen.append((decoder.response.text, decoder.response.usage_status))
        decoder.next_chunk()

    pending, unsupported = UsageStatus.PENDING, UsageStatus.UNSUPPORTED
    assert [("", pending), ("a", pending), ("ab", pending)] == seen
    assert decoder.response.usage_status is unsupported
    assert decoder.response is decoder.response


CALLS = [
    {"calls": [{"index": 1, "id": "two", "name": "b", "arguments": '{"y"'}]},
    {"calls": [{"index": 0, "id": "", "name": "a"}, {"index": 1, "arguments": ":1"}]},
    {"calls": [{"index": 0, "arguments": ""}, {"index": 1, "id": "", "name": ""}]},
    {"calls": [{"index": 1, "id": "late", "name": "late", "arguments": "}"}]},
    {
        "calls": [
            {"index": 1, "extra": {"k": 1}},
            {"index": 7, "id": "last", "name": "c"},
        ]
    },
    {"calls": [{"index": 1, "extra": {"k": 2}}]},
]


def test_tool_calls_are_put_together_by_index():
    """
    The first id and name count, arguments are joined, an id that is missing is made up.
    """
    expected = (
        ToolCall("call_0", "a", "{}"),
        ToolCall("two", "b", '{"y":1}', extra={"k": 2}),
        ToolCall("last", "c", "{}"),
    )
    decoder = decoder_of()

    decoder.feed(sse(*CALLS, DONE))
    chunks_from(decoder)

    assert expected == decoder.response.tool_calls
    assert decoder.response.tool_calls[1].parse_arguments() == {"y": 1}


@pytest.mark.parametrize(
    ("reason", "expected"), [("stop", "tool_calls"), ("length", "length")]
)
def test_a_stop_with_calls_is_a_stop_for_calls(reason, expected):
    """
    In the chunk as in the answer; what the provider said stays beside it.
    """
    decoder = decoder_of()

    decoder.feed(sse(*CALLS, {"end": reason}, DONE))
    last = chunks_from(decoder)[-1].choices[0]

    assert (expected, reason) == (last.finish_reason, last.raw_finish_reason)
    assert expected == decoder.response.finish_reason
    assert reason == decoder.response.choices[0].raw_finish_reason


def test_calls_behind_the_stop_count_too():
    """
    The answer knows all of them, whatever came first.
    """
    decoder = decoder_of()

    decoder.feed(sse({"end": "stop"}, *CALLS, DONE))
    chunks_from(decoder)

    assert decoder.response.finish_reason == "tool_calls"


def test_peeking_takes_nothing():
    """
    The chunk is still there, and not yet in the answer.
    """
    decoder = decoder_of()

    before = decoder.peek()
    decoder.feed(sse(A, DONE))
    first = decoder.peek()
    text = decoder.response.text

    assert before is None
    assert text == ""
    assert first is decoder.peek()
    assert first is decoder.next_chunk()
    assert decoder.peek() is None
    assert decoder.ended


def test_bytes_may_be_fed_ahead():
    """
    Nothing is lost when chunks are taken only at the end.
    """
    for encoding, body in (("", sse(*RICH)), ("gzip", gzip.compress(sse(*RICH)))):
        decoder = decoder_of(content_encoding=encoding)
        for at in range(0, len(body), 50):
            decoder.feed(body[at : at + 50])
        decoder.feed(b"")

        chunks = chunks_from(decoder)

        assert len(RICH) - 1 == len(chunks)
        assert decoder.ended


def test_bytes_fed_ahead_behind_a_fault_are_left_alone():
    """
    What is broken stays broken.
    """
    decoder = decoder_of(limits=SizeLimits(event=20))

    for piece in (sse(A), b"x" * 21, b"\n\n" + sse(B), b""):
        decoder.feed(piece)
    texts = [decoder.next_chunk().text]
    with pytest.raises(ResponseTooLargeError):
        decoder.next_chunk()

    assert texts == ["a"]
    assert decoder.response.text == "a"


# Whole bodies in place of a stream


def test_a_json_body_is_handed_out_as_one_chunk_with_everything():
    """
    The stream gives the answer, and its response is the one that was decoded.
    """
    calls = [ToolCall("x", "f", "{}")]
    decoder = decoder_of(
        decode_whole=lambda body: decode_whole(b'{"text": "hi"}'),
        content_type="application/json",
    )
    decoder_with_calls = decoder_of(
        decode_whole=lambda body: attrs.evolve(
            decode_whole(b'{"text": "hi"}'),
            choices=(
                Choice(
                    message=Message.assistant("hi", tool_calls=calls),
                    finish_reason="stop",
                ),
            ),
        )
    )

    results = [
        outcome(one, [b'{"an', b'y": 1}']) for one in (decoder, decoder_with_calls)
    ]

    chunks, error, response = results[0]
    assert error is None
    assert [one["choices"][0]["delta"]["content"] for one in chunks] == ["hi"]
    assert chunks[0]["usage"] == {**attrs.asdict(Usage(total_tokens=9))}
    assert response.usage == Usage(total_tokens=9)
    assert (
        response.id,
        response.model,
        response.provider,
    ) == ("whole", "asked-for", "acme")
    assert response.warnings == ("top_k was dropped", "one more")
    assert BASE.rate_limits == response.rate_limits
    chunks, _, response = results[1]
    assert (
        "tool_calls"
        == chunks[0]["choices"][0]["finish_reason"]
        == response.finish_reason
    )
    assert tuple(calls) == response.tool_calls


def test_a_whole_answer_as_chunks_adds_up_to_itself():
    """
    Everything that a response has is in the chunk.
    """
    message = Message(
        "assistant",
        "hi",
        tool_calls=[
            ToolCall("x", "f", '{"a":1}', extra={"k": 1}),
            ToolCall("y", "g", "{}"),
        ],
        reasoning="hm",
        refusal="no",
        provider_state={"openai_chat": 1},
    )
    choice = Choice(
        message=message,
        finish_reason="tool_calls",
        raw_finish_reason="tool_use",
        logprobs={"content": [1]},
    )
    response = ChatCompletionResponse(
        id="i",
        model="m",
        created=3,
        choices=(
            choice,
            Choice(index=1, finish_reason="stop", raw_finish_reason="end"),
        ),
        usage=Usage(total_tokens=1),
        usage_status=UsageStatus.FINALIZED,
        citations=(Citation(url="u"),),
        raw={"k": "v"},
    )
    decoder = ChunkDecoder(
        parser=ReadyChunks(chunks_of(response)), decode_whole=decode_whole
    )

    decoder.feed(sse(DONE))
    chunks_from(decoder)

    assert response == decoder.response


def test_an_answer_without_choices_is_still_a_chunk():
    """
    Its id and usage are not lost.
    """
    response = ChatCompletionResponse(id="x", usage=Usage(total_tokens=1))

    chunks = chunks_of(response)

    assert [("x", [], response.usage)] == [
        (one.id, one.choices, one.usage) for one in chunks
    ]


@attrs.define
class ReadyChunks:
    """
    A parser that gives chunks made before.
    """

    chunks: list
    framing: str = "sse"
    done: bool = False

    def feed(self, frame):
        self.done = True
        return self.chunks

    def finish(self):
        return ()


@pytest.mark.parametrize(
    "content_type",
    ["text/event-stream", "application/json", "text/html", "text/plain", ""],
)
@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b': hi\n\ndata: {"t": "a"}\n\ndata: [DONE]\n\n', "a", id="stream"),
        pytest.param(b'{"text": "hi"}', "hi", id="json"),
    ],
)
def test_the_body_says_what_it_is_whatever_its_type_says(content_type, body, text):
    """
    Servers call JSON a stream and streams JSON.
    """
    assert text == texts_and_error(decoder_of(content_type=content_type), [body])[2]


@pytest.mark.parametrize("body", [b"null", b'"busy"', b"17"])
def test_json_that_is_no_object_is_read_as_json_where_it_is_called_so(body):
    """
    The dialect says what is wrong with it.
    """
    decoder = decoder_of(content_type="application/json")

    decoder.feed(body)
    decoder.feed(b"")

    with pytest.raises(InvalidResponseError, match="no JSON object"):
        decoder.next_chunk()


def test_json_lines_are_no_json_body():
    """
    Where every line is JSON, only a page is something else.
    """
    lines = b'{"t": "a"}\n{"t": "b", "end": "stop"}\n'

    def decoder():
        return decoder_of(parser=Parser("json_lines"), content_type="application/json")

    assert texts_and_error(decoder(), [lines]) == (["a", "b"], None, "ab")
    assert texts_and_error(decoder(), [b"<html>\n"]) == ([], "InvalidResponseError", "")
    assert texts_and_error(decoder(), [b'{"error": "x"}']) == (
        [],
        "OverloadedError",
        "",
    )
    assert texts_and_error(decoder(), [b"\n\n"]) == ([], "IncompleteStreamError", "")


def aws_message(name, payload):
    """
    Encode an event of an AWS stream.
    """
    value = struct.pack(">BH", 7, len(name)) + name
    head = bytes([len(b":event-type")]) + b":event-type" + value
    prelude = struct.pack(">II", len(head) + len(payload) + 16, len(head))
    start = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return start + struct.pack(">I", zlib.crc32(start))


def test_an_aws_stream_is_the_same_at_every_cut():
    """
    Events, an exception, a broken checksum and a JSON body.
    """
    first, last = aws_message(b"x", b'{"t": "a"}'), aws_message(b"x", b"[DONE]")
    bodies = {
        first + last: (["a"], None, "a"),
        first + last[:-1]: (["a"], "IncompleteStreamError", "a"),
        first + aws_message(b"error", b'{"error": "x"}'): (
            ["a"],
            "OverloadedError",
            "a",
        ),
        first + last[:-1] + b"\x00": (["a"], "InvalidResponseError", "a"),
        b'{"text": "hi"}': (["hi"], None, "hi"),
    }

    for body, expected in bodies.items():
        for pieces in cuts_of(body):
            decoder = decoder_of(parser=Parser("aws_event_stream"))
            assert expected == texts_and_error(decoder, pieces)


# Bounds


def test_an_event_beyond_its_bound_is_an_error_behind_the_chunks():
    """
    The chunks before it are given, and are the partial answer.
    """
    body = sse(A, {"t": "b" * 200}, A)

    for pieces in cuts_of(body):
        decoder = decoder_of(limits=SizeLimits(event=100))
        assert texts_and_error(decoder, pieces) == (["a"], "ResponseTooLargeError", "a")


def test_a_whole_body_beyond_its_bound_is_an_error():
    """
    No more than the bound is collected.
    """
    decoder = decoder_of(limits=SizeLimits(answer=100))

    decoder.feed(b'{"text": "')
    for _ in range(10):
        decoder.feed(b"x" * 10)

    with pytest.raises(ResponseTooLargeError, match="100 bytes"):
        decoder.next_chunk()


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"t": "x" * 10}, id="text"),
        pytest.param({"r": "x" * 10}, id="reasoning"),
        pytest.param({"refusal": "x" * 10}, id="refusal"),
        pytest.param({"calls": [{"index": 0, "arguments": "x" * 10}]}, id="arguments"),
    ],
)
def test_an_answer_that_grows_beyond_its_bound_is_an_error(event):
    """
    A stream for ever ends some day, at the same chunk for every cut.
    """
    body = sse(*[event] * 20)

    for pieces in ([body], [body[at : at + 9] for at in range(0, len(body), 9)]):
        chunks, error, _ = outcome(decoder_of(limits=SizeLimits(answer=100)), pieces)
        assert len(chunks) == 11
        assert error[0] == "ResponseTooLargeError"


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param(b"x" * 1000, id="line-without-end"),
        pytest.param(b": ping ping ping ping\n\n" * 100, id="comments"),
        pytest.param(b"\n" * 1000, id="blank-lines"),
        pytest.param(b"{" + b" " * 1000, id="json"),
        pytest.param(sse(*[{"bare": True}] * 20), id="events"),
    ],
)
def test_a_bomb_in_a_stream_costs_what_the_bounds_allow(unit):
    """
    Four megabytes in a piece of some kilobytes are not made all at once.
    """
    times = 4_000_000 // len(unit)
    engine = zlib.compressobj(wbits=31)
    packed = b"".join(engine.compress(unit) for _ in range(times)) + engine.flush()
    decoder = decoder_of(
        content_encoding="gzip", limits=SizeLimits(answer=200_000, event=200_000)
    )

    tracemalloc.start()
    try:
        decoder.feed(packed)
        for _ in range(2000):
            if decoder.next_chunk() is None:
                break
        _, peak = tracemalloc.get_traced_memory()
    except ResponseTooLargeError:
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 2_000_000


def test_a_stream_of_many_chunks_keeps_only_its_answer():
    """
    Neither chunks nor events are kept, and pieces of text are not kept apart.
    """
    decoder = decoder_of()
    block = sse(*[{"t": "word "}] * 100)

    tracemalloc.start()
    try:
        for _ in range(200):
            decoder.feed(block)
            while decoder.next_chunk() is not None:
                pass
            decoder._parser.seen.clear()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(decoder.response.text) == 100_000
    assert kept < 100_000 * 2 + 200_000


# Compression and progress


def test_broken_compression_is_an_error_behind_the_chunks():
    """
    What could be read before is given.
    """
    engine = zlib.compressobj(wbits=31)
    body = engine.compress(sse(A)) + engine.flush(zlib.Z_SYNC_FLUSH)

    result = texts_and_error(decoder_of(content_encoding="gzip"), [body, b"\xff" * 20])

    assert result == (["a"], "InvalidResponseError", "a")


def test_compression_without_its_end_is_no_error():
    """
    The end mark decides, not the checksum behind it.
    """
    packed = gzip.compress(sse(A, DONE))

    result = texts_and_error(decoder_of(content_encoding="gzip"), [packed[:-8]])

    assert result == (["a"], None, "a")


def test_an_unknown_compression_is_refused_at_once():
    """
    There is no use in reading on.
    """
    with pytest.raises(InvalidResponseError, match="'br'"):
        decoder_of(content_encoding="br")


@pytest.mark.parametrize(
    ("pieces", "progressed"),
    [
        pytest.param(
            [b"data: {", b'"t": "a"}', b"\n"], [False, False, True], id="line"
        ),
        pytest.param(
            [b": ping\n", b": pi", b"ng\n"], [True, False, True], id="comments"
        ),
        pytest.param([b"\n", b" ", b"\n"], [True, False, True], id="padding"),
        pytest.param([b'{"text"', b': "a"', b"}\n"], [False, False, True], id="json"),
        pytest.param([b": a\n", b""], [True, False], id="end"),
    ],
)
def test_progress_is_a_completed_line_of_the_last_bytes(pieces, progressed):
    """
    Heartbeats keep a stream alive, bytes inside one line do not.
    """
    decoder = decoder_of()

    said = []
    for piece in pieces:
        decoder.feed(piece)
        said.append(decoder.progressed)

    assert progressed == said


def test_halves_of_a_letter_are_put_together():
    """
    An emoji whose escapes came in two events is one letter of the answer.
    """
    halves = sse({"t": "a\ud83d"}, {"t": "\ude00b"}, "[DONE]")

    _, _, answer = outcome(decoder_of(), [halves])

    assert "a😀b" == answer.text
