"""
What answers, streams and items of batches look like in a notebook.
"""

import pytest

from ai_lib._core.batch import BatchItem
from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    Choice,
    Citation,
    Usage,
)
from ai_lib._core.errors import ServerError
from ai_lib._core.messages import Message, Role
from ai_lib._core.showing import show_stream
from ai_lib._core.tools import ToolCall


def answer(text="", *, finish="stop", citations=(), **more):
    """
    Make an answer of one choice, about which nothing else is known.
    """
    message = Message(Role.ASSISTANT, text, **more)
    choice = Choice(message=message, finish_reason=finish)
    return ChatCompletionResponse(choices=(choice,), citations=citations)


def shown(response):
    return response._repr_markdown_()


def test_text_is_shown_as_it_is():
    """
    The model's Markdown stays Markdown.
    """
    text = "# Primes\n\n* 2\n* 3\n\n```python\nprint(5)\n```"

    assert text == shown(answer(text))


def test_who_answered_stands_below():
    """
    Below the text stand the provider, the model, the tokens, and what was changed.
    """
    response = ChatCompletionResponse(
        choices=(Choice(message=Message.assistant("Hi"), finish_reason="stop"),),
        provider="groq",
        model="a`b",
        usage=Usage(prompt_tokens=1200, completion_tokens=2, total_tokens=1202),
        warnings=("groq does not take top_k: it was left out.",),
        raw={"secret": "LEAK"},
    )

    expected = (
        "Hi\n\n*`groq` · `` a`b `` · 1,200 + 2 tokens*\n\n"
        "- groq does not take top\\_k: it was left out."
    )
    assert expected == shown(response)


def test_structured_answer_is_a_block_of_json():
    """
    A text that is a JSON object is shown with a line for each of its values.
    """
    response = answer('{"name": "Ada", "born": [10, "décembre"]}')

    expected = '```json\n{\n  "name": "Ada",\n  "born": [\n    10,\n    "décembre"\n  ]\n}\n```'
    assert expected == shown(response)


@pytest.mark.parametrize("text", ["[a link](there)", '{"name": "Ad', "{" * 100_000])
def test_what_only_begins_like_json_is_text(text):
    """
    What cannot be read as JSON is shown as it is.
    """
    assert text == shown(answer(text))


def test_calls_are_shown_with_their_arguments():
    """
    A call has its tool's name and its arguments, also if they are no JSON.
    """
    calls = (
        ToolCall("call_1", "get_weather", '{"city": "Paris"}'),
        ToolCall("call_2", "now", ""),
        ToolCall("call_3", "say", '{"text": "```'),
    )

    text = shown(answer(finish="tool_calls", tool_calls=calls))

    assert [
        "**Calls** `get_weather` **with**",
        '```json\n{\n  "city": "Paris"\n}\n```',
        "**Calls** `now` **with**",
        "```json\n{}\n```",
        "**Calls** `say` **with**",
        '````\n{"text": "```\n````',
    ] == text.split("\n\n")


def test_reasoning_and_refusal_are_quoted():
    """
    What was thought comes first and what was refused behind it, both as quotations.
    """
    response = answer("No.", reasoning="First.\n\nThen.", refusal="Not that.")

    assert (
        "> **Reasoning:** First.\n>\n> Then.\n\nNo.\n\n> **Refused:** Not that."
        == shown(response)
    )


def test_several_answers_are_numbered():
    """
    With more than one choice each has its number.
    """
    choices = [Choice(index=n, message=Message.assistant("ab"[n])) for n in range(2)]

    text = shown(ChatCompletionResponse(choices=choices))

    assert "**Answer 1**\n\na\n\n**Answer 2**\n\nb" == text


def test_cut_answer_says_so():
    """
    An answer that was not ended by the model says what ended it.
    """
    assert "One, tw\n\n*ended by `length`*" == shown(answer("One, tw", finish="length"))


@pytest.mark.parametrize("fence", ["```", "~~~", "````"])
def test_open_block_is_ended(fence):
    """
    A block of code that is still open does not swallow what stands below it.
    """
    text = f"{fence}python\nx = 1\n```python"

    assert f"{text}\n{fence}\n\n*… still to come*" == show_stream(
        answer(text, finish=None), None, None, opened=True
    )


def test_sources_are_links_once():
    """
    Sources are listed once each; only addresses of the web become links.
    """
    citations = (
        Citation(url="https://example.com/a", title="A [book]"),
        Citation(url="https://example.com/a", title="A [book]"),
        Citation(url="javascript:alert(1)", title="B"),
        Citation(url="https://example.com/c"),
        Citation(),
    )

    text = shown(answer("So.", citations=citations))

    assert (
        "So.\n\nSources:\n\n- [A \\[book\\]](https://example.com/a)\n- B\n"
        "- [https://example.com/c](https://example.com/c)" == text
    )


def test_half_letters_can_be_sent():
    """
    What is shown can be encoded, whatever the model wrote.
    """
    assert "a?b" == shown(answer("a\ud800b"))


def test_empty_answer_shows_nothing():
    """
    An answer without anything is an empty text, no error.
    """
    assert "" == shown(ChatCompletionResponse())


@pytest.mark.parametrize(
    ("outcome", "error", "end"),
    [
        pytest.param(None, None, "*… still to come*", id="running"),
        pytest.param("cancelled", None, "*cancelled before its end*", id="cancelled"),
        pytest.param("closed", None, "*closed before its end*", id="closed"),
        pytest.param(
            "failed",
            ServerError("no *luck*"),
            r"**ServerError:** no \*luck\*",
            id="ours",
        ),
        pytest.param(
            "failed",
            KeyboardInterrupt("x"),
            "*ended by `KeyboardInterrupt`*",
            id="else",
        ),
        pytest.param("completed", None, "*`groq`*", id="completed"),
    ],
)
def test_stream_says_how_it_ended(outcome, error, end):
    """
    Below what has come of a stream stands how it ended.
    """
    choice = Choice(message=Message.assistant("2, 3"))
    response = ChatCompletionResponse(choices=(choice,), provider="groq")

    text = show_stream(response, outcome, error, opened=True)

    assert f"2, 3\n\n{end}" == text


def test_item_shows_its_answer_or_error():
    """
    An item of a batch shows what came of it.
    """
    request = ChatCompletionRequest("auto", "Hi")
    good = BatchItem(index=0, request=request, response=answer("Hello"))
    bad = BatchItem(index=1, request=request, error=ServerError("down"))

    assert "**Item 0**\n\nHello" == shown(good)
    assert "**Item 1**\n\n**ServerError:** down" == shown(bad)
