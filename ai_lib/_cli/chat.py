"""
``ai-lib chat``: one question, or a conversation.
"""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from typing import TYPE_CHECKING, Any

import attrs

from ai_lib._cli import saved
from ai_lib._cli.prompt import attach, prompt_of, text_of
from ai_lib._cli.target import Who, add_target_arguments, choose, model_of
from ai_lib._cli.terminal import make_writer, note

if TYPE_CHECKING:
    from ai_lib import (
        AiClient,
        CancelHandle,
        ChatCompletionRequest,
        ChatCompletionResponse,
        Message,
    )
    from ai_lib._cli import Commands
    from ai_lib._core.messages import Part

EXAMPLES = """\
examples:
  ai-lib chat "Name three primes."
  ai-lib chat -p groq "Name three primes."
  ai-lib chat -m groq/openai/gpt-oss-20b "Name three primes."
  ai-lib chat "Summarise this." < report.txt
  git diff | ai-lib chat "Review this change." -
  ai-lib chat -a photo.png "What is in this picture?"
  ai-lib chat -p local -m some-model.gguf "Say hello."
  ai-lib chat --json "Name three primes." | jq .usage
  ai-lib chat --dry-run -p groq "Name three primes."
  ai-lib chat -i --save talk.json
  ai-lib chat -i --resume talk.json --save talk.json

Without --provider the first provider answers whose key is in the environment, such as
OPENAI_API_KEY; without any key the local model does. That one needs the extra `local`:
in the checkout, pip install '.[local]'. Colours and Markdown, on a terminal, need the
extra `cli`.
"""


def add(commands: Commands) -> None:
    """
    Add the command.
    """
    chat = commands.add(
        "chat",
        help="ask one thing, or hold a conversation",
        description="Ask one thing, and print the answer as it comes; or hold a conversation (-i).",
        examples=EXAMPLES,
        run=_run,
    )
    add = chat.add_argument
    prompt: Any = add(
        "prompt",
        nargs="*",
        metavar="PROMPT",
        help="what to ask; - stands for standard input, which follows after a blank line",
    )
    prompt.completer = _complete_nothing
    add_target_arguments(chat)
    add("-s", "--system", metavar="TEXT", help="how to answer")
    add(
        "-a",
        "--attach",
        action="append",
        default=[],
        metavar="FILE",
        help="an image, a sound, a document or a text to ask about; may be repeated",
    )
    add(
        "-i",
        "--interactive",
        action="store_true",
        help="a conversation: ask again and again; /help there lists its commands",
    )
    add("--resume", metavar="FILE", help="go on with the conversation in FILE")
    add("--save", metavar="FILE", help="keep the conversation in FILE")
    add("--max-tokens", type=_length, metavar="N", help="the answer's length at most")
    add("--temperature", type=_randomness, metavar="T", help="randomness; 0: none")
    add("--no-stream", action="store_true", help="print the answer when it is whole")
    add("--plain", action="store_true", help="print the text as it is, no Markdown")
    add(
        "--json",
        action="store_true",
        help="print the whole response as one JSON object (implies --no-stream)",
    )
    add(
        "--dry-run",
        action="store_true",
        help="print what would be sent, as a command for curl without the key; send nothing",
    )


def _complete_nothing(**_: Any) -> list[str]:
    return []


def _length(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def _randomness(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1000:
        raise ArgumentTypeError(f"must be a number from 0 on, not {text}")
    return number


@attrs.define(kw_only=True)
class Talk:
    """
    What was said so far, and how to go on.

    Attributes:
        messages: Oldest first.

        settings: Keywords of the requests: temperature, length, and what a resumed conversation brought.

        who: Whom it was held with before, if it was.
    """

    messages: list[Message] = attrs.field(factory=list)
    settings: dict[str, Any] = attrs.field(factory=dict)
    who: Who | None = None

    @classmethod
    def of_file(cls, path: str) -> Talk:
        """
        Read one.

        Raises:
            OSError: It cannot be read.

            ValueError: It is none.
        """
        who, request = saved.load(path)
        settings = {
            field.name: getattr(request, field.name)
            for field in attrs.fields(type(request))
            if field.name not in ("model", "messages")
        }
        return cls(messages=list(request.messages), settings=settings, who=who)

    def instruct(self, text: str) -> None:
        """
        Say how to answer from now on, in place of what was said of it before.
        """
        from ai_lib import Message, Role

        begun = self.messages[:1]
        if begun and begun[0].role in (Role.SYSTEM, Role.DEVELOPER):
            self.messages.pop(0)
        self.messages.insert(0, Message.system(text))

    def request(self, *more: Message, model: str = "") -> ChatCompletionRequest:
        """
        Make the request that says all of it, and *more*.
        """
        from ai_lib import ChatCompletionRequest

        return ChatCompletionRequest(model, [*self.messages, *more], **self.settings)

    def store(self, path: str, client: AiClient, model: str | None) -> None:
        """
        Write it.

        Raises:
            OSError: It cannot be written.
        """
        request = self.request(model=model or model_of(client))
        saved.store(path, client.provider, request)


def question(text: str, parts: list[Part]) -> Message:
    """
    Make the message that asks.
    """
    from ai_lib import Message

    return Message.user([text, *parts] if parts else text)


def _run(options: Namespace) -> int:
    _check(options)
    talk, parts = _begun(options)
    if options.interactive:
        prompt = text_of(" ".join(options.prompt))
    else:
        prompt = prompt_of(options)
    who, client = choose(options.provider, options.model, before=talk.who)
    with client:
        if options.interactive:
            from ai_lib._cli.conversation import Conversation

            return Conversation(client, who, talk, options).run(prompt, parts)
        asked = question(prompt, parts)
        if options.dry_run:
            return _show_request(client, talk.request(asked), options)
        response = _ask_once(client, talk.request(asked), options)
        if options.save:
            talk.messages += [asked, response.message]
            try:
                talk.store(options.save, client, who.model)
            except OSError as error:
                note(f"error: the conversation is not saved: {saved.said(error)}")
                return 1
    return 0


def _check(options: Namespace) -> None:
    if options.interactive and options.json:
        options.fail("--json is for one question, not for a conversation")
    if options.interactive and "-" in options.prompt:
        options.fail("- and --interactive would both read standard input")
    if options.interactive and options.dry_run:
        options.fail("--dry-run is for one question, not for a conversation")
    if options.save and options.dry_run:
        options.fail("--dry-run asks nothing, so there is nothing to --save")


def _begun(options: Namespace) -> tuple[Talk, list[Part]]:
    """
    Read what the options name: a conversation, attachments.
    """
    try:
        talk = Talk.of_file(options.resume) if options.resume else Talk()
        if options.save:
            own = saved.same_file(options.save, options.resume)
            saved.check_place(options.save, own=own)
        parts = [attach(path) for path in options.attach]
    except (OSError, ValueError) as error:
        options.fail(saved.said(error))
    for name in ("max_tokens", "temperature"):
        if getattr(options, name) is not None:
            talk.settings[name] = getattr(options, name)
    if options.system:
        talk.instruct(text_of(options.system))
    return talk, parts


def _show_request(
    client: AiClient, request: ChatCompletionRequest, options: Namespace
) -> int:
    streams = not (options.no_stream or options.json)
    prepared = client.prepare(request, stream=streams)
    for warning in prepared.warnings:
        note(f"warning: {warning}")
    print(prepared.to_curl(), flush=True)
    return 0


def _ask_once(
    client: AiClient, request: ChatCompletionRequest, options: Namespace
) -> ChatCompletionResponse:
    if options.json:
        import json

        from ai_lib import to_dict

        response = client.chat_completion(request)
        print(json.dumps(to_dict(response)), flush=True)
        return response
    response = show_answer(client, request, options)
    for remark in remarks_on(response):
        note(remark)
    return response


def show_answer(
    client: AiClient,
    request: ChatCompletionRequest,
    options: Namespace,
    *,
    watch: Any = None,
) -> ChatCompletionResponse:
    """
    Ask, and print the answer: as it comes, or when it is whole.

    Args:
        watch: Given the handle that stops a stream, a context manager that holds while it runs.

    Raises:
        AiLibError: What went wrong; what had come is printed.
    """
    writer = make_writer(plain=options.plain)
    try:
        if options.no_stream:
            response = client.chat_completion(request)
            writer.write(response.text)
            return response
        stream, handle = client.chat_completion_stream_with_cancel(request)
        with _unwatched(handle) if watch is None else watch(handle), stream:
            for piece in stream.text_stream:
                writer.write(piece)
            return stream.response
    finally:
        writer.close()


class _unwatched:  # noqa: N801  # stands for a function
    def __init__(self, handle: CancelHandle) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


def remarks_on(response: ChatCompletionResponse) -> list[str]:
    """
    Tell what a reader of the text alone would not know.
    """
    from ai_lib import FinishReason

    remarks = [f"warning: {one}" for one in response.warnings]
    refusal = response.message.refusal
    if refusal and refusal != response.text:
        remarks.append(f"refused: {refusal}")
    if response.finish_reason == FinishReason.LENGTH:
        remarks.append("the answer was cut at its greatest length (--max-tokens)")
    elif response.finish_reason == FinishReason.CONTENT_FILTER:
        remarks.append("the answer was cut by the provider's content filter")
    elif not response.text and not refusal:
        remarks.append("the answer is empty")
    return remarks
