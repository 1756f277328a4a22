"""
Throw mutated answers at every dialect: streams, whole bodies, errors, lists of models.

Run from the root of the project; pytest does not collect it::

    python tests/fuzz/dialects.py --seconds 600 --seed 1

What is looked for: anything but an ``AiLibError`` that comes out, two ways to cut the same bytes that
give two results, values that are not of their field's type, an answer that cannot go back to its own
provider or to another one, a request to a host that is not the provider's, a case that takes long. Each kind
is shown once, with the bytes; ``--case N`` repeats one case.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import math
import pathlib
import random
import signal
import struct
import sys
import time
import traceback
import types
import typing
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import attrs
from seeds import SEEDS

from ai_lib import (
    AiLibError,
    ChatCompletionRequest,
    ChatCompletionResponse,
    Message,
    Tool,
    from_dict,
    to_dict,
)
from ai_lib._core.catalog import CATALOG
from ai_lib._core.chat import ChatCompletionChunk
from ai_lib._core.dialects import DIALECTS, Follow
from ai_lib._core.errors import InvalidResponseError
from ai_lib._core.http import HttpRequest, HttpResponse, SizeLimits
from ai_lib._core.providers import ModelInfo, ResolvedTarget
from ai_lib._core.stream import ChunkDecoder

#: Seconds that one case may take.
PATIENCE = 5.0
LIMITS = SizeLimits(event=200_000, answer=2_000_000)
FRAMINGS = {"ollama": "json_lines", "bedrock_converse": "aws"}


class HungError(BaseException):
    """
    A case takes too long.
    """


# What to throw


class Raw(str):
    """
    A piece of JSON as text, which ``json.dumps`` would not write.
    """

    __slots__ = ()


def deep(count: int, begin: str = "[", end: str = "]", inside: str = "1") -> Raw:
    """
    Nest *count* times.
    """
    return Raw(begin * count + inside + end * count)


ATOMS: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    7.5,
    1e300,
    2**31,
    2**63,
    10**40,
    "",
    " ",
    "x",
    "0",
    "null",
    "[DONE]",
    "a\nb\r\n\tc",
    "\x00\x1b[31m\u2028\ufeff",
    "\ud800",
    "\udc00 end",
    "😀" * 3,
    "<think>",
    "</think>",
    "https://elsewhere.example/x",
    "http://[::1",
    "//x/../..?a#b",
    "2026-11-01T00:00:00Z",
    "9999-99-99T99:99:99+99:99",
    "x" * 5000,
    '{"a": 1}',
    '{"a": ',
    "try again in 99999999999s",
    [],
    {},
    [[]],
    [{}],
    [None],
    [0, "x"],
    {"text": "t", "type": "text"},
    {"": None},
    [{"type": "text", "text": None}] * 3,
    Raw("NaN"),
    Raw("-Infinity"),
    Raw("1e999"),
    Raw("-0.0"),
    Raw("1" * 4000),
    Raw("1" * 5000),
    deep(30),
    deep(150),
    deep(320),
    deep(480),
    deep(700),
    deep(900),
    deep(980),
    deep(5000),
    deep(100, '{"a":', "}"),
    deep(450, '{"a":', "}"),
    deep(950, '{"a":', "}"),
    deep(600, '[{"text":', "}]"),
)


def words_of_the_dialects() -> list[str]:
    """
    List what may be keys or values there: the short texts in the modules themselves.
    """
    here = pathlib.Path(import_module("ai_lib._core.dialects").__file__ or "").parent
    found: dict[str, None] = {}
    for path in sorted(here.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            value = node.value if isinstance(node, ast.Constant) else None
            if isinstance(value, str) and 0 < len(value) < 45 and " " not in value:
                found[value] = None
    return list(found)


WORDS = words_of_the_dialects()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """
    List the paths to everything in a JSON value, itself included.
    """
    found = [path]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += places(inner, (*path, index))
    return found


def at(value: Any, path: Sequence[Any]) -> Any:
    """
    Give what stands at *path*.
    """
    for step in path:
        value = value[step]
    return value


def copied(value: Any) -> Any:
    """
    Copy a JSON value.
    """
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value


POOL = [
    at(one, path)
    for seeds in SEEDS.values()
    for one in (*seeds.values_of_streams(), *seeds.bodies, *seeds.errors, *seeds.models)
    for path in places(one)
]


def any_value(chance: random.Random) -> Any:
    """
    Make a value: a nasty one, or one that stands somewhere else.
    """
    kind = chance.random()
    if kind < 0.6:
        return copied(chance.choice(ATOMS))
    return copied(chance.choice(POOL)) if kind < 0.85 else chance.choice(WORDS)


def _twice(box: Any, key: Any, chance: random.Random) -> None:
    if isinstance(box, list):
        box[key:key] = [copied(box[key]) for _ in range(chance.choice([1, 1, 2, 30]))]
    else:
        box[chance.choice(WORDS)] = copied(box[key])


def _gone(box: Any, key: Any, _: random.Random) -> None:
    del box[key]


def _other(box: Any, key: Any, chance: random.Random) -> None:
    box[key] = any_value(chance)


def _inside(box: Any, key: Any, chance: random.Random) -> None:
    wrap = chance.choice(["list", "dict", "first"])
    if wrap == "list":
        box[key] = [box[key]]
    elif wrap == "dict":
        box[key] = {chance.choice(WORDS): box[key]}
    elif isinstance(box[key], list) and box[key]:
        box[key] = box[key][0]


def _added(box: Any, key: Any, chance: random.Random) -> None:
    spot = box[key]
    if isinstance(spot, dict):
        spot[chance.choice(WORDS)] = any_value(chance)
    elif isinstance(spot, list):
        spot.insert(chance.randint(0, len(spot)), any_value(chance))


def _renamed(box: Any, key: Any, chance: random.Random) -> None:
    if isinstance(box, dict):
        box[chance.choice(WORDS)] = box.pop(key)


def _shuffled(box: Any, key: Any, chance: random.Random) -> None:
    if isinstance(box[key], list):
        chance.shuffle(box[key])


CHANGES = (_other, _other, _other, _gone, _twice, _inside, _added, _added, _renamed)
CHANGES += (_shuffled,)


def mutated(value: Any, chance: random.Random) -> Any:
    """
    Change a JSON value at some of its places.
    """
    box = [copied(value)]
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3, 6])):
        path = chance.choice(places(box)[1:] or [()])
        if path:
            chance.choice(CHANGES)(at(box, path[:-1]), path[-1], chance)
        if not box:
            box = [any_value(chance)]
    return box[0]


def written(value: Any, chance: random.Random) -> str:
    """
    Write a JSON value; ``Raw`` as it is.
    """
    raws: list[str] = []

    def marked(one: Any) -> Any:
        if isinstance(one, Raw):
            raws.append(one)
            return f"@@{len(raws) - 1}@@"
        if isinstance(one, dict):
            return {key: marked(inner) for key, inner in one.items()}
        return [marked(inner) for inner in one] if isinstance(one, list) else one

    if isinstance(value, Raw):
        return value
    text = json.dumps(marked(value), ensure_ascii=chance.random() < 0.5)
    for number, raw in enumerate(raws):
        text = text.replace(f'"@@{number}@@"', raw)
    return text


def encoded(text: str) -> bytes:
    """
    Encode text, halves of letters as they would be.
    """
    return text.encode("utf-8", "surrogatepass")


GARBAGE = (
    b"\x00",
    b"\xff\xfe",
    b"\xf0\x9f",
    b"\r",
    b"\n\n",
    b"{",
    b"]",
    b'"',
    b"data: ",
)
GARBAGE += (b"event: error\n", b"\xef\xbb\xbf", b"<html>", b"[DONE]", b"null", b"\\u")


def spoilt(body: bytes, chance: random.Random) -> bytes:
    """
    Spoil bytes: mostly not at all, else cut, filled with garbage, encoded otherwise.
    """
    kind = chance.random()
    if kind < 0.75 or not body:
        return body
    where = chance.randint(0, len(body))
    if kind < 0.82:
        return body[:where]
    if kind < 0.96:
        gone = chance.choice([0, 0, 1, 5, 50])
        return body[:where] + chance.choice(GARBAGE) + body[where + gone :]
    text = body.decode("utf-8", "replace")
    return text.encode(chance.choice(["utf-16", "utf-32", "utf-16-be", "utf-7"]))


# Bytes of streams


def sse(events: Sequence[tuple[str, str]], chance: random.Random) -> bytes:
    """
    Write server-sent events.
    """
    end = chance.choice(["\n", "\n", "\r\n", "\r"])
    lines = []
    for name, data in events:
        if name and chance.random() < 0.95:
            lines.append(f"event: {name}")
        lines += [f"data: {line}" for line in data.split("\n")]
        lines.append("")
    return encoded(end.join([*lines, ""]))


def json_lines(events: Sequence[tuple[str, str]], chance: random.Random) -> bytes:
    """
    Write lines of JSON.
    """
    end = chance.choice(["\n", "\r\n"])
    return encoded("".join(data + end for _, data in events))


def json_array(events: Sequence[tuple[str, str]], chance: random.Random) -> bytes:
    """
    Write an array of objects, as Gemini does without ``alt=sse``.
    """
    inner = chance.choice([",", ",\r\n"]).join(data for _, data in events)
    return encoded(f"[{inner}]")


def aws_headers(pairs: Sequence[tuple[str, str]], chance: random.Random) -> bytes:
    """
    Write headers of one message of AWS's event stream, now and then of another type.
    """
    found = b""
    for name, value in pairs:
        key = encoded(name)[:255]
        found += bytes([len(key)]) + key
        kind = (
            chance.choice([0, 1, 2, 3, 4, 5, 6, 8, 9]) if chance.random() < 0.02 else 7
        )
        text = encoded(value)[:2000]
        sizes = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
        if kind in sizes:
            found += bytes([kind]) + chance.randbytes(sizes[kind])
        else:
            found += bytes([kind]) + struct.pack(">H", len(text)) + text
    return found


def aws_stream(events: Sequence[tuple[str, str]], chance: random.Random) -> bytes:
    """
    Write messages of AWS's event stream, a few with a wrong checksum or size.
    """
    found = b""
    for name, data in events:
        kind, _, rest = name.rpartition("exception:")
        pairs = [(":message-type", "event"), (":event-type", name)]
        if kind or name.startswith("exception:"):
            pairs = [(":message-type", "exception"), (":exception-type", rest)]
        if chance.random() < 0.02:
            pairs = [(":message-type", "error"), (":error-code", rest)]
        head = aws_headers(pairs, chance)
        payload = encoded(data)
        size = len(head) + len(payload) + 16
        wrong = chance.choice([1, 2, 3, 4]) if chance.random() < 0.03 else 0
        prelude = struct.pack(">II", size + (wrong == 3), len(head) + (wrong == 4))
        start = prelude + struct.pack(">I", zlib.crc32(prelude) ^ (wrong == 1))
        start += head + payload
        found += start + struct.pack(">I", zlib.crc32(start) ^ (wrong == 2))
    return found


NUMBERED = ("index", "output_index", "contentBlockIndex", "item_id", "call_id", "id")


def numbered(value: Any, number: int) -> Any:
    """
    Copy a JSON value, its indexes and ids numbered.
    """
    if isinstance(value, dict):
        return {
            key: number + inner
            if key in NUMBERED and isinstance(inner, int)
            else f"{inner}{number}"
            if key in NUMBERED and isinstance(inner, str)
            else numbered(inner, number)
            for key, inner in value.items()
        }
    return (
        [numbered(one, number) for one in value] if isinstance(value, list) else value
    )


def long_stream(dialect: str, chance: random.Random) -> list[tuple[str, Any]]:
    """
    Repeat the events of a stream many times, each time with other indexes or the same.
    """
    events = chance.choice(SEEDS[dialect].streams)
    events = chance.sample(events, chance.randint(1, len(events)))
    own = chance.random() < 0.7
    return [
        (name, numbered(data, number) if own else data)
        for number in range(chance.choice([300, 1500]))
        for name, data in events
    ]


def stream_of(dialect: str, chance: random.Random) -> bytes:
    """
    Make the bytes of one mutated stream.
    """
    seeds = SEEDS[dialect]
    if chance.random() < 0.002:
        texts = long_stream(dialect, chance)
        return written_stream(dialect, texts, chance)
    events = list(chance.choice(seeds.streams))
    for _ in range(chance.choice([0, 0, 0, 1, 2, 4])):
        other = chance.choice(seeds.streams)
        where = chance.randint(0, len(events))
        match chance.choice(["drop", "twice", "swap", "foreign", "name", "error"]):
            case "drop" if events:
                del events[min(where, len(events) - 1)]
            case "twice" if events:
                events.insert(where, chance.choice(events))
            case "swap":
                chance.shuffle(events)
            case "foreign":
                events.insert(where, chance.choice(other))
            case "name" if events:
                name = chance.choice([*(name for name, _ in other), "", "error"])
                events.insert(where, (name, chance.choice(events)[1]))
            case "error":
                events.insert(where, ("", chance.choice(seeds.errors)))
    often = chance.choice([0.0, 0.1, 0.3, 1.0])
    changed = [
        (name, mutated(data, chance) if chance.random() < often else data)
        for name, data in events
    ]
    return spoilt(written_stream(dialect, changed, chance), chance)


def written_stream(
    dialect: str, events: Sequence[tuple[str, Any]], chance: random.Random
) -> bytes:
    """
    Write events as the dialect's servers do, now and then as others do.
    """
    texts = [
        (name, data if isinstance(data, str) else written(data, chance))
        for name, data in events
    ]
    framing = FRAMINGS.get(dialect, "sse")
    if dialect == "gemini" and chance.random() < 0.4:
        framing = "array"
    writers: dict[str, Callable[..., bytes]] = {
        "sse": sse,
        "json_lines": json_lines,
        "aws": aws_stream,
        "array": json_array,
    }
    if chance.random() < 0.02:
        framing = chance.choice(list(writers))
    return writers[framing](texts, chance)


def body_of(values: Sequence[Any], chance: random.Random) -> bytes:
    """
    Make the bytes of one mutated body.
    """
    text = written(mutated(chance.choice(values), chance), chance)
    return spoilt(encoded(text), chance)


def pieces_of(body: bytes, chance: random.Random) -> list[bytes]:
    """
    Cut *body* anywhere.
    """
    longest = chance.choice([1, 7, 60, 1000, 100_000])
    if len(body) > 2000 and longest == 1:
        longest = 60
    pieces = []
    start = 0
    while start < len(body):
        size = chance.randint(1, longest)
        pieces.append(body[start : start + size])
        start += size
    return pieces


# Where to


#: Models whose family is spoken to otherwise than the provider's default.
MODELS = {
    "openai": ("gpt-4o", "o3-mini", "gpt-5"),
    "azure_openai": ("my-deployment",),
    "anthropic": ("claude-3-5-haiku-latest", "claude-opus-4-6", "claude-x-9"),
    "gemini": ("gemini-2.5-flash", "gemini-2.0-flash", "gemma-3-27b", "models/a"),
    "vertex": ("gemini-2.5-pro",),
    "bedrock": ("mistral.mistral-large-3", "amazon.nova-pro-v1:0", "meta.llama4-x"),
    "cohere": ("command-a-reasoning-08-2025",),
    "mistral": ("magistral-medium-latest",),
    "ollama": ("gpt-oss:20b", "qwen3"),
    "replicate": ("anthropic/claude-4-sonnet", "openai/gpt-5", "0" * 64),
}


def targets_of(dialect: str) -> list[ResolvedTarget]:
    """
    Give every built-in provider's targets for a dialect.
    """
    found = []
    for spec in CATALOG:
        base = spec.base_url if spec.dialect == dialect else ""
        base = base or spec.other_dialects.get(dialect, "")
        if not base:
            continue
        options = dict.fromkeys(spec.options, "global")  # a location, too
        kept = {key: one for key, one in options.items() if key != "api_version"}
        for model in (spec.default_model or "some-model", *MODELS.get(spec.id, ())):
            target = ResolvedTarget(
                spec=attrs.evolve(spec, dialect=dialect),
                model=model,
                base_url=base.format(**options),
                options=kept,
            )
            found.append(target)
    return found


TARGETS = {dialect: targets_of(dialect) for dialect in DIALECTS}
MODULES: dict[str, Any] = {
    dialect: import_module(f"ai_lib._core.dialects.{dialect}") for dialect in DIALECTS
}
HEADERS = (
    {},
    {"content-type": "application/json"},
    {"content-type": "text/html; charset=x"},
    {"retry-after": "3", "x-request-id": "r-1"},
    {"retry-after": "Wed, 21 Oct 2065 07:28:00 GMT", "retry-after-ms": "1e9"},
    {"retry-after": "-1", "x-should-retry": "maybe", "date": "yesterday"},
    {
        "date": "Sun, 22 Nov 2026 12:00:00 GMT",
        "x-amzn-errortype": "Throttling:http://x",
    },
    {"x-ratelimit-remaining-requests": "none", "x-ratelimit-reset-tokens": "6m0s"},
    {
        "x-ratelimit-limit-requests": "9" * 400,
        "anthropic-ratelimit-tokens-reset": "2026",
    },
)


# What must hold


def well_typed(value: Any, kind: Any, where: str) -> None:
    """
    Compare a value with the type of its field, as deep as our own classes go.
    """
    origin = typing.get_origin(kind)
    if kind is Any:
        return
    if origin in (typing.Union, types.UnionType):
        kinds = typing.get_args(kind)
        if value is None:
            assert type(None) in kinds, f"{where} is None"
            return
        fitting = [one for one in kinds if _may_be(value, one)]
        assert fitting, f"{where} is a {type(value).__name__}: {value!r:.80}"
        well_typed(value, fitting[0], where)
    elif origin in (tuple, Sequence):
        assert isinstance(value, tuple | list), f"{where} is a {type(value).__name__}"
        for one in value:
            well_typed(one, typing.get_args(kind)[0], f"{where}[]")
    elif attrs.has(kind):
        assert isinstance(value, kind), f"{where} is a {type(value).__name__}"
        for field in attrs.fields(kind):
            name = field.alias if isinstance(value, Mapping) else field.name
            well_typed(getattr(value, name), field.type, f"{where}.{name}")
    else:
        assert _may_be(value, kind), (
            f"{where} is a {type(value).__name__}: {value!r:.80}"
        )
        if isinstance(value, float):
            assert math.isfinite(value), f"{where} is {value}"


def _may_be(value: Any, kind: Any) -> bool:
    origin = typing.get_origin(kind) or kind
    if origin is Any:
        return True
    if origin in (int, float) and isinstance(value, bool):
        return False
    if origin is float and isinstance(value, int):
        return True
    if origin is type(None):
        return value is None
    return isinstance(value, origin)


def plain(value: Any, kind: Any) -> None:
    """
    Turn a value into plain values, through JSON, and back.
    """
    kept = json.loads(json.dumps(to_dict(value)))
    again = from_dict(kind, kept)
    other = json.dumps(filled(to_dict(again)))
    assert json.dumps(filled(kept)) == other, "it comes back otherwise"


def filled(value: Any) -> Any:
    """
    Leave out what is empty: lists and tuples without items count as one.
    """
    found: Any = value
    if isinstance(value, dict):
        found = {}
        for key, inner in value.items():
            kept = filled(inner)
            if not (kept.__class__ in (dict, list) and not kept):
                found[key] = kept
    elif isinstance(value, list):
        found = []
        for inner in value:
            found.append(filled(inner))
    return found


def sound_response(response: ChatCompletionResponse) -> None:
    """
    Check all that a caller may do with an answer.
    """
    well_typed(response, ChatCompletionResponse, "response")
    hash(response.citations)
    assert isinstance(response.text, str)
    assert response.message.role == "assistant"
    plain(response, ChatCompletionResponse)


def sound_error(error: AiLibError) -> None:
    """
    Check all that a caller may do with an error.
    """
    assert isinstance(error.message, str)
    for name, kinds in (
        ("code", str),
        ("request_id", str),
        ("body", str),
        ("provider", str),
        ("status_code", int),
        ("retry_after", int | float),
    ):
        value = getattr(error, name)
        assert value is None or isinstance(value, kinds), f"{name} is {value!r:.80}"
    assert error.body is None or len(error.body) <= 2000
    assert len(error.message) < 3000, "a long message"
    after = error.retry_after
    assert after is None or (math.isfinite(after) and after >= 0), f"wait {after}"
    if error.partial is not None:
        sound_response(error.partial)
    kept = json.loads(json.dumps(to_dict(error)))
    again = from_dict(AiLibError, kept)
    assert type(error) is type(again)
    assert error.message == again.message


def sound_request(request: HttpRequest, target: ResolvedTarget) -> None:
    """
    Check that a request can be sent, and that the key may go there.
    """
    there, base = urlsplit(request.url), urlsplit(target.base_url)
    own = [base.hostname or "", *target.spec.quirks.domains]
    own.append(own[0].replace("bedrock-runtime", "bedrock"))
    others = target.spec.quirks.base_urls.values()
    own += [urlsplit(other).hostname or "" for other in others]
    host = there.hostname or ""
    assert any(f".{host}".endswith(f".{one}") for one in own), f"sent to {host}"
    assert there.scheme == base.scheme
    assert "@" not in there.netloc
    for text in (
        request.url,
        *(f"{key}:{one}" for key, one in request.headers.items()),
    ):
        assert text.isascii()
        assert text.isprintable()
    assert " " not in request.url
    if request.body is not None:
        assert isinstance(json.loads(request.body.decode("utf-8")), dict)


# The cases


def further_down(depth: int, check: Callable[..., None], *arguments: Any) -> None:
    """
    Call where the stack is higher than it was where the bytes were read.
    """
    if depth:
        further_down(depth - 1, check, *arguments)
    else:
        check(*arguments)


WISHES: dict[str, Any] = {
    "tools": [Tool("look", "Look it up.", {"type": "object", "properties": {}})],
    "tool_choice": "look",
    "temperature": 0.5,
    "max_tokens": 5000,
    "stop": ["END"],
    "reasoning_effort": "low",
    "logprobs": True,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True},
    },
}


def goes_on(
    chance: random.Random, target: ResolvedTarget, response: ChatCompletionResponse
) -> None:
    """
    Send the answer back where it came from, and somewhere else.
    """
    message = response.message
    turns = [Message.system("Be brief."), Message.user("hello"), message]
    for call in message.tool_calls:
        told = chance.choice(["42", '{"a": 1}', written(any_value(chance), chance)])
        turns.append(Message.tool(told, call.id, name=call.name))
    if chance.random() < 0.5:
        turns += [Message.user("more"), message]
    fields = {
        name: value
        for name, value in WISHES.items()
        if chance.random() < (0.7 if name == "tools" else 0.1)
    }
    messages = [*turns, Message.user("go on")]
    request = ChatCompletionRequest(target.model, messages, **fields)
    other = chance.choice(TARGETS[chance.choice(DIALECTS)])
    for where in (target, other):
        try:
            found = MODULES[where.dialect].encode_request(
                where, request, stream=chance.random() < 0.5, on_unsupported="warn"
            )
        except AiLibError as error:
            sound_error(error)
        else:
            sound_request(found, where)
            assert all(isinstance(one, str) for one in found.warnings)


def decoded(
    target: ResolvedTarget, pieces: list[bytes], content: tuple[str, str]
) -> tuple[list[ChatCompletionChunk], AiLibError | None, ChatCompletionResponse]:
    """
    Decode a stream as a client does.
    """
    module = MODULES[target.dialect]
    content_type, encoding = content

    def decode_whole(body: bytes) -> ChatCompletionResponse:
        found = module.decode_response(target, HttpResponse(status=200, body=body))
        if isinstance(found, Follow):
            raise InvalidResponseError("a ticket")
        assert isinstance(found, ChatCompletionResponse)
        return found

    decoder = ChunkDecoder(
        parser=module.chunk_parser(target),
        decode_whole=decode_whole,
        base=ChatCompletionResponse(provider=target.provider, model=target.model),
        content_type=content_type,
        content_encoding=encoding,
        limits=LIMITS,
    )
    chunks: list[ChatCompletionChunk] = []
    error = None
    try:
        for piece in (*pieces, b""):
            decoder.feed(piece)
            while (chunk := decoder.next_chunk()) is not None:
                chunks.append(chunk)
                if len(chunks).bit_count() == 1:
                    assert isinstance(decoder.response.text, str)
    except AiLibError as caught:
        error = caught
    assert decoder.ended
    return chunks, error, decoder.response


def try_stream(chance: random.Random, dialect: str) -> Iterator[bytes]:
    """
    Decode a stream twice, cut in two ways.
    """
    target = chance.choice(TARGETS[dialect])
    body = stream_of(dialect, chance)
    if chance.random() < 0.05:
        body = body_of(
            chance.choice([SEEDS[dialect].bodies, SEEDS[dialect].errors]), chance
        )
    types_ = ("text/event-stream", "", "application/json", "text/html")
    content_type = chance.choice(types_) if chance.random() < 0.2 else ""
    encoding = "gzip" if chance.random() < 0.1 else ""
    packed = gzip.compress(body, mtime=0) if encoding else body
    yield body
    runs = []
    for _ in range(2):
        pieces = pieces_of(packed, chance)
        runs.append(decoded(target, pieces, (content_type, encoding)))
    (chunks, error, response), (others, other, again) = runs
    assert len(chunks) == len(others), "another number of chunks for another cut"
    assert repr(chunks) == repr(others), "other chunks for another cut"
    assert repr(response) == repr(again), "another answer for another cut"
    assert type(error) is type(other), "another error for another cut"
    assert str(error) == str(other), "another message for another cut"
    for chunk in chunks:
        well_typed(chunk, ChatCompletionChunk, "chunk")
        for choice in chunk.choices:
            set(choice.delta.citations)
    for chunk in chunks[:3]:
        plain(chunk, ChatCompletionChunk)
    if error is not None:
        further_down(50, sound_error, error)
    further_down(50, sound_response, response)
    further_down(200, goes_on, chance, target, response)


def answer(chance: random.Random, body: bytes, statuses: Sequence[int]) -> HttpResponse:
    """
    Make an answer.
    """
    headers = chance.choice(HEADERS)
    return HttpResponse(status=chance.choice(statuses), headers=headers, body=body)


def try_body(chance: random.Random, dialect: str) -> Iterator[bytes]:
    """
    Decode a whole answer.
    """
    target = chance.choice(TARGETS[dialect])
    seeds = SEEDS[dialect]
    values = seeds.errors if chance.random() < 0.2 else seeds.bodies
    body = body_of(values, chance)
    yield body
    try:
        found = MODULES[dialect].decode_response(
            target, answer(chance, body, (200, 200, 201, 202))
        )
    except AiLibError as error:
        sound_error(error)
        return
    if isinstance(found, Follow):
        for request in (found.request, found.stream):
            if request is not None:
                sound_request(request, target)
        assert 0 <= found.after <= 60
        return
    further_down(50, sound_response, found)
    further_down(200, goes_on, chance, target, found)


def try_error(chance: random.Random, dialect: str) -> Iterator[bytes]:
    """
    Decode an answer with an error status.
    """
    target = chance.choice(TARGETS[dialect])
    seeds = SEEDS[dialect]
    body = body_of(seeds.errors if chance.random() < 0.9 else seeds.bodies, chance)
    yield body
    statuses = (
        400,
        401,
        402,
        403,
        404,
        408,
        409,
        413,
        422,
        424,
        429,
        498,
        500,
        503,
        529,
    )
    error = MODULES[dialect].decode_error(target, answer(chance, body, statuses))
    assert isinstance(error, AiLibError)
    sound_error(error)


def try_models(chance: random.Random, dialect: str) -> Iterator[bytes]:
    """
    Decode a page of the model list.
    """
    target = chance.choice(TARGETS[dialect])
    seeds = SEEDS[dialect]
    body = body_of(seeds.models if chance.random() < 0.9 else seeds.errors, chance)
    yield body
    try:
        found, more = MODULES[dialect].decode_models(
            target, answer(chance, body, (200,))
        )
    except AiLibError as error:
        sound_error(error)
        return
    for one in found:
        well_typed(one, ModelInfo, "model")
        assert one.id
        plain(one, ModelInfo)
    if more is not None:
        sound_request(more, target)


TRIES = (try_stream, try_stream, try_stream, try_stream, try_body, try_body, try_body)
TRIES += (try_error, try_error, try_models)


@attrs.define
class Tally:
    """
    What was tried and found.
    """

    cases: Counter[str] = attrs.field(factory=Counter)
    findings: dict[str, int] = attrs.field(factory=dict)
    slowest: tuple[float, str] = (0.0, "")

    def run(self, seed: int, number: int) -> None:
        """
        Make one case, and try it.
        """
        chance = random.Random(f"{seed}/{number}")  # to be repeated
        dialect = chance.choice(DIALECTS)
        attempt = chance.choice(TRIES)
        self.cases[f"{dialect} {attempt.__name__.removeprefix('try_')}"] += 1
        body = b""
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        try:
            steps = attempt(chance, dialect)
            body = next(steps)
            next(steps, None)
        except (Exception, HungError) as error:  # noqa: BLE001 - what is looked for
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.note(error, f"--seed {seed} --case {number}: {dialect}", body)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            took = time.monotonic() - began
            self.slowest = max(self.slowest, (took, f"{dialect} --case {number}"))

    def note(self, error: BaseException, where: str, body: bytes) -> None:
        """
        Show what was found, once for each place.
        """
        frames = traceback.extract_tb(error.__traceback__)
        ours = [one for one in frames if "/ai_lib/" in one.filename] or list(frames)
        spot = f"{pathlib.Path(ours[-1].filename).name}:{ours[-1].name}"
        key = f"{type(error).__name__} at {spot}"
        if isinstance(error, AssertionError):
            key = f"{error!s:.90} ({frames[-1].name})"
        self.findings[key] = self.findings.get(key, 0) + 1
        if self.findings[key] == 1:
            lines = traceback.format_list(
                frames[-1:] if frames[-1:] == ours[-1:] else ours[-3:]
            )
            sys.stdout.write(f"\n{key}\n  {where}\n{''.join(lines)}  {error!s:.300}\n")
            sys.stdout.write(f"  {body[:1500]!r}\n")
            sys.stdout.flush()


def hang_up(*_: object) -> None:
    """
    End a case that takes too long.
    """
    raise HungError(f"more than {PATIENCE} s")


def main() -> int:
    """
    Read the command line, and try cases until the time is up.
    """
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int)
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, hang_up)
    to_dict(Message.user("x"))  # resolves the types of the fields
    tally = Tally()
    until = time.monotonic() + options.seconds
    number = options.case or 0
    while number == options.case or (options.case is None and time.monotonic() < until):
        tally.run(options.seed, number)
        number += 1
    for name, count in sorted(tally.cases.items()):
        sys.stdout.write(f"{count:9,} {name}\n")
    total, kinds = sum(tally.cases.values()), len(tally.findings)
    seconds, slowest = tally.slowest
    sys.stdout.write(f"{total:,} cases, {kinds} findings\n")
    sys.stdout.write(f"slowest: {seconds:.2f} s, {slowest}\n")
    for key, count in tally.findings.items():
        sys.stdout.write(f"{count:9,} {key}\n")
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main())
