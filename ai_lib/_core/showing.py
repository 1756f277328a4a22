"""
Answers as Markdown, for notebooks, which ask what a cell gives for it.

What the model wrote stays Markdown; what is said about it stands below, and nothing of the provider's raw JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ai_lib._core.chat import FinishReason

if TYPE_CHECKING:
    from ai_lib._core.batch import BatchItem
    from ai_lib._core.chat import ChatCompletionResponse, Choice, Citation
    from ai_lib._core.messages import Message
    from ai_lib._core.reading import Outcome
    from ai_lib._core.tools import ToolCall

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_TICKS = re.compile("`+")
#: What would begin something else than words.
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~!])")
#: What goes into a link's address as it is.
_ADDRESS = re.compile(r"https?://[^\s<>()\\]+")
#: These need no word: the answer is whole.
_WHOLE = (None, FinishReason.STOP, FinishReason.TOOL_CALLS)


def show_response(response: ChatCompletionResponse) -> str:
    """
    Write an answer as Markdown: its choices, its sources, who gave it and at what cost.
    """
    return _joined([*_answer(response), _facts(response)])


def show_stream(
    response: ChatCompletionResponse,
    outcome: Outcome | None,
    error: BaseException | None,
    *,
    opened: bool,
) -> str:
    """
    Write a stream as Markdown: what has come, and how it ended if it has.

    Args:
        response: The answer so far.

        outcome: How it ended; ``None``: it has not.

        error: What it failed with.

        opened: Whether it has begun to be read.
    """
    parts = list(_answer(response))
    match outcome:
        case "completed":
            parts.append(_facts(response))
        case None:
            parts.append("*… still to come*" if opened else "*not begun yet*")
        case "failed":
            parts.append(_failure(error))
        case _:
            parts.append(f"*{outcome} before its end*")
    return _joined(parts)


def show_item(item: BatchItem) -> str:
    """
    Write an item of a batch as Markdown: its answer, or its error.
    """
    if item.response is not None:
        return _joined([f"**Item {item.index}**", show_response(item.response)])
    return _joined([f"**Item {item.index}**", _failure(item.error)])


def _joined(parts: Iterable[str]) -> str:
    text = "\n\n".join(part for part in parts if part)
    return text.encode("utf-8", "replace").decode(
        "utf-8"
    )  # half letters: nobody sends them


def _answer(response: ChatCompletionResponse) -> Iterator[str]:
    for choice in response.choices:
        if len(response.choices) > 1:
            yield f"**Answer {choice.index + 1}**"
        yield from _choice(choice)
    if response.citations:
        yield "\n".join(_sources(response.citations))


def _choice(choice: Choice) -> Iterator[str]:
    message = choice.message
    if message.reasoning:
        yield _quoted("Reasoning", message.reasoning)
    yield _text(message)
    if message.refusal:
        yield _quoted("Refused", message.refusal)
    for call in message.tool_calls:
        yield _call(call)
    if choice.finish_reason not in _WHOLE:
        yield f"*ended by {_code(str(choice.finish_reason))}*"


def _text(message: Message) -> str:
    text = message.text.strip("\n")
    structured = _indented(text) if text.lstrip()[:1] in ("{", "[") else None
    return _ended(text) if structured is None else structured


def _call(call: ToolCall) -> str:
    arguments = call.arguments.strip() or "{}"
    shown = _indented(arguments) or _fenced(arguments)  # maybe no JSON
    return f"**Calls** {_code(call.name)} **with**\n\n{shown}"


def _indented(text: str) -> str | None:
    """
    Write JSON with a line for each of its values; ``None``: it is none.
    """
    try:
        lines = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return None
    return _fenced(lines, "json")


def _ended(text: str) -> str:
    """
    End a block of code that a cut answer has left open, for what stands below it.
    """
    fence = ""
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if match is None:
            continue
        marks, rest = match.groups()
        if not fence:
            fence = marks if "`" not in rest or marks[0] == "~" else ""
        elif marks.startswith(fence) and not rest.strip():
            fence = ""
    return f"{text}\n{fence}" if fence else text


def _fenced(text: str, language: str = "") -> str:
    longest = max((len(run) for run in _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _quoted(title: str, text: str) -> str:
    lines = f"**{title}:** {_ended(text.strip())}".split("\n")
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _code(text: str) -> str:
    text = " ".join(text.split())
    longest = max((len(run) for run in _TICKS.findall(text)), default=0)
    ticks = "`" * (longest + 1)
    edge = " " if longest else ""
    return f"{ticks}{edge}{text}{edge}{ticks}" if text else ""


def _plain(text: str) -> str:
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def _sources(citations: Iterable[Citation]) -> Iterator[str]:
    shown: dict[str, None] = {}
    for one in citations:
        title = _plain(one.title or one.url or one.text or "")
        if one.url and _ADDRESS.fullmatch(one.url):
            title = f"[{title}]({one.url})"
        if title:
            shown[title] = None
    if shown:
        yield "Sources:\n"
        yield from (f"- {title}" for title in shown)


def _facts(response: ChatCompletionResponse) -> str:
    """
    Say who answered, at what cost, and what was changed to suit the provider.
    """
    facts = [_code(response.provider), _code(response.model)]
    if response.usage is not None:
        usage = response.usage
        facts.append(f"{usage.prompt_tokens:,} + {usage.completion_tokens:,} tokens")
    line = " · ".join(fact for fact in facts if fact)
    changes = "\n".join(f"- {_plain(one)}" for one in response.warnings)
    return _joined([f"*{line}*" if line else "", changes])


def _failure(error: BaseException | None) -> str:
    """
    Say what an error says; of one that is not ours, which may say anything, the class.
    """
    from ai_lib._core.errors import AiLibError

    if error is None:
        return "*failed*"
    name = type(error).__name__
    if isinstance(error, AiLibError):
        return f"**{name}:** {_plain(str(error))}"
    return f"*ended by {_code(name)}*"
