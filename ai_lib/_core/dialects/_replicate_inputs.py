"""
What Replicate's models take: a prompt, and parameters, under names of their maker's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from ai_lib._core.dialects._shared import Adjustments, data_url, plain_fields
from ai_lib._core.errors import UnsupportedFeatureError
from ai_lib._core.messages import ImagePart, Message, Role, TextPart
from ai_lib._core.tools import ToolChoice

if TYPE_CHECKING:
    from ai_lib._core.chat import ChatCompletionRequest
    from ai_lib._core.providers import ResolvedTarget


@attrs.frozen(kw_only=True)
class _Inputs:
    """
    What the models of one maker call their inputs.

    Attributes:
        models: Pattern that fits the beginning of the names.

        system: The system message; empty: it is put before the prompt.

        messages: The conversation in OpenAI's form, where there is more of it than one message; empty: it is
            written out in the prompt.

        images: Addresses of images; empty: it takes none.

        one_image: It takes one, and not as a list.

        names: Parameters that it takes, each with its name.
    """

    models: str
    system: str = "system_prompt"
    messages: str = ""
    images: str = ""
    one_image: bool = False
    names: Mapping[str, str] = attrs.field(factory=dict)


def _same(*names: str, **others: str) -> dict[str, str]:
    return {**{name: name for name in names}, **others}


_SAMPLING = ("temperature", "top_p")
_PENALTIES = ("presence_penalty", "frequency_penalty")
_OPEN = _same(
    "max_tokens", *_SAMPLING, "top_k", *_PENALTIES, "seed", stop="stop_sequences"
)
_OPENAI = _same("reasoning_effort", max_tokens="max_completion_tokens")

# The models' own pages, "API", read 2026-11. A name that is not known there is refused with 422.
_INPUTS = (
    _Inputs(
        models=r"meta/llama-2|replicate/llama-2",
        names=_same(
            *_SAMPLING,
            "top_k",
            "seed",
            max_tokens="max_new_tokens",
            stop="stop_sequences",
        ),
    ),
    _Inputs(
        models=r"openai/gpt-oss",
        names=_same("max_tokens", *_SAMPLING, *_PENALTIES),
        system="",
    ),
    _Inputs(
        models=r"openai/gpt-4",
        messages="messages",
        images="image_input",
        names=_same(*_SAMPLING, *_PENALTIES, max_tokens="max_completion_tokens"),
    ),
    _Inputs(
        models=r"openai/", messages="messages", images="image_input", names=_OPENAI
    ),
    _Inputs(
        models=r"anthropic/", images="image", one_image=True, names=_same("max_tokens")
    ),
    _Inputs(
        models=r"google/gemini",
        system="system_instruction",
        images="images",
        names=_same(*_SAMPLING, max_tokens="max_output_tokens"),
    ),
    _Inputs(
        models=r"(?:deepseek-ai|qwen)/",
        system="",
        names=_same("max_tokens", *_SAMPLING, *_PENALTIES),
    ),
    _Inputs(models=r"", names=_OPEN),
)

#: What there is no input for at any model, or only at some.
_FIELDS = (
    *_OPEN,
    "reasoning_effort",
    "n",
    "logprobs",
    "top_logprobs",
    "parallel_tool_calls",
    "user",
    "metadata",
)


@attrs.define(kw_only=True)
class InputEncoder:
    """
    Makes a model's input of a request.

    Attributes:
        fit: Told of what is left out or said otherwise.
    """

    target: ResolvedTarget
    request: ChatCompletionRequest
    fit: Adjustments

    @property
    def _inputs(self) -> _Inputs:
        name = self.target.model.lower()
        return next(one for one in _INPUTS if re.match(one.models, name))

    def encode(self) -> dict[str, Any]:
        """
        Build the input.

        Raises:
            UnsupportedFeatureError: By policy, or where nothing else can be right.
        """
        self._check()
        names = {name: self._inputs.names.get(name) for name in _FIELDS}
        quirks = self.target.spec.quirks
        found = plain_fields(self.fit, self.request, quirks, names)
        stops = names["stop"]
        if stops in found:
            found[stops] = ",".join(found[stops])
        return {**self._conversation(), **found}

    def _check(self) -> None:
        form = self.request.response_format or {"type": "text"}
        if self.request.tools and self.request.tool_choice != ToolChoice.NONE:
            self._refuse("tools")
        if form["type"] != "text":
            self._refuse(f"response_format={form['type']}")

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedFeatureError(
            f"{self.target.provider} does not take {what}.",
            provider=self.target.provider,
            model=self.target.model or None,
        )

    # Messages

    def _conversation(self) -> dict[str, Any]:
        images = self._images()
        system: list[str] = []
        turns: list[tuple[Role, str]] = []
        for message in self.request.messages:
            text = self._text(message)
            if message.name:
                self.fit.leave_out("the name of a message")
            if message.role in (Role.SYSTEM, Role.DEVELOPER):
                system.append(text)
            elif text:
                turns.append((message.role, text))
        inputs = self._inputs
        plain = all(role in _PLAIN_ROLES for role, _ in turns)
        found: dict[str, Any] = {}
        if system and inputs.system:
            found[inputs.system] = "\n\n".join(system)
        elif system:
            turns.insert(0, (Role.SYSTEM, "\n\n".join(system)))
        if inputs.messages and len(turns) > 1 and plain and not images:
            found[inputs.messages] = _in_openai_form(
                found.pop(inputs.system, ""), turns
            )
        else:
            found["prompt"] = _transcript(turns)
        return found | images

    def _text(self, message: Message) -> str:
        texts = [part.text for part in message.parts if isinstance(part, TextPart)]
        others = [one for one in message.parts if not isinstance(one, TextPart)]
        if any(not isinstance(one, ImagePart) for one in others):
            self._refuse("sounds and files")
        if others and message.role is not Role.USER:
            self._refuse("images but of users")
        calls = [
            f"[calls {one.name} with {one.arguments}]" for one in message.tool_calls
        ]
        return "\n".join([*texts, *calls]) or message.refusal or ""

    def _images(self) -> dict[str, Any]:
        parts = [part for one in self.request.messages for part in one.parts]
        found = [one for one in parts if isinstance(one, ImagePart)]
        if not found:
            return {}
        inputs = self._inputs
        if not inputs.images or (inputs.one_image and len(found) > 1):
            few = "more than one image" if inputs.images else "images"
            self._refuse(f"{few} with {self.target.model}")
        if any(one.detail not in (None, "auto") for one in found):
            self.fit.leave_out("the detail of an image")
        urls = [one.url or data_url(one) for one in found]
        return {inputs.images: urls[0] if inputs.one_image else urls}


_PLAIN_ROLES = frozenset({Role.USER, Role.ASSISTANT})
_SPEAKERS = {Role.USER: "User", Role.ASSISTANT: "Assistant", Role.TOOL: "Tool"}


def _transcript(turns: Iterable[tuple[Role, str]]) -> str:
    """
    Write a conversation out, for a model that continues a text; a user's only message as it is.
    """
    rest = list(turns)
    system = rest.pop(0)[1] if rest and rest[0][0] is Role.SYSTEM else ""
    if len(rest) == 1 and rest[0][0] is Role.USER:
        blocks = [rest[0][1]]
    else:
        blocks = [f"{_SPEAKERS[role]}: {text}" for role, text in rest]
        if rest and rest[-1][0] is not Role.ASSISTANT:
            blocks.append("Assistant:")
    return "\n\n".join([system, *blocks] if system else blocks)


def _in_openai_form(
    system: str, turns: Iterable[tuple[Role, str]]
) -> list[dict[str, str]]:
    first = [{"role": "system", "content": system}] if system else []
    return [*first, *({"role": role.value, "content": text} for role, text in turns)]
