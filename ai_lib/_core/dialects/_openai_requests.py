"""
What requests in OpenAI's two formats have in common: which fields a provider and a model take, in what
words they are told how long to think, and which tool to call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from ai_lib._core.dialects._shared import Adjustments, encode_json, function_tool
from ai_lib._core.errors import UnsupportedFeatureError
from ai_lib._core.families import Family, family_of
from ai_lib._core.tools import Tool, ToolChoice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_lib._core.chat import ChatCompletionRequest
    from ai_lib._core.providers import Quirks, ResolvedTarget

#: Values that say nothing, and can be left out without a word.
NEUTRAL = {
    "top_p": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "n": 1,
    "logprobs": False,
}

#: Takes the place of a tool choice when "none" can only be had without tools.
_NO_TOOLS = object()


@attrs.define(kw_only=True, eq=False, repr=False)
class RequestEncoder(ABC):
    """
    One request on its way to the wire; what is written otherwise in each format is left to subclasses.
    """

    target: ResolvedTarget
    request: ChatCompletionRequest
    stream: bool
    fit: Adjustments

    @property
    def quirks(self) -> Quirks:
        """
        By what the provider differs from the plain dialect.
        """
        return self.target.spec.quirks

    @property
    def family(self) -> Family:
        """
        What the model takes; the one behind a deployment where the caller names it.
        """
        model = self.target.options.get("base_model") or self.target.model
        return family_of(self.quirks.families, model)

    # Parameters

    def effort_fields(self, asked: str | None) -> dict[str, Any]:
        """
        Say how long to think, in the words of the family, else the record's, else OpenAI's.

        Raises:
            UnsupportedFeatureError: By policy.
        """
        if asked is None:
            return {}
        if "reasoning_effort" in self.family.drop | self.quirks.drop:
            self.fit.leave_out("reasoning_effort", why=f"with {self.target.model}")
            return {}
        for efforts in (self.family.efforts, self.quirks.efforts):
            said = efforts.get(asked, efforts.get("*"))
            if said is not None:
                return self._other_effort(asked, said)
        return {"reasoning_effort": asked}

    def _other_effort(self, asked: str, said: Mapping[str, Any]) -> dict[str, Any]:
        parameter = f"reasoning_effort={asked!r}"
        sent = said.get("reasoning_effort")
        if not said:
            self.fit.leave_out(parameter, why=f"with {self.target.model}")
        elif sent != asked and (sent is not None or asked != "none"):
            words = ", ".join(f"{key}={value!r}" for key, value in said.items())
            why = f"with {self.target.model}"
            self.fit.change(parameter, f"{words} was sent instead", why=why)
        return dict(said)

    def value_of(self, name: str, effort: Mapping[str, Any]) -> Any:
        """
        Give what is sent of the request's field *name*; ``None``: nothing.

        Args:
            effort: What ``effort_fields`` gave: a model that reasons may take less.

        Raises:
            UnsupportedFeatureError: By policy.
        """
        value = getattr(self.request, name)
        if value is None or value == ():
            return None
        if name in self._refused(effort) and self.family.fixed.get(name) != value:
            if NEUTRAL.get(name) != value:
                self.fit.leave_out(name, why=self._because(name))
            return None
        return self.within(name, value)

    def _refused(self, effort: Mapping[str, Any]) -> frozenset[str]:
        family = self.family
        told = effort.get("reasoning_effort")
        reasons = family.reasons_by_default if told is None else told != "none"
        conditional = family.drop_while_reasoning if reasons else frozenset()
        return self.quirks.drop | family.drop | conditional

    def _because(self, name: str) -> str:
        if name in self.quirks.drop:
            return ""
        if name in self.family.drop:
            return f"with {self.target.model}"
        return f"with {self.target.model} while it reasons"

    def within(self, name: str, value: Any) -> Any:
        """
        Move a number into the range that the provider takes of the field *name*.

        Raises:
            UnsupportedFeatureError: By policy.
        """
        low, high = self.quirks.ranges.get(name, (None, None))
        if low is None or high is None or low <= value <= high:
            return value
        moved = low if value < low else high
        self.fit.change(f"{name}={value}", f"{moved} was sent instead")
        return moved

    # What is said in words

    def ask_in_words(
        self, form: Mapping[str, Any], messages: list[dict[str, Any]], *, instead: bool
    ) -> None:
        """
        Ask for a response format that there is no field for in the system message.

        Args:
            form: The request's.

            messages: The ones on the wire, one of the system's first if there is any.

            instead: Whether the field says ``json_object`` besides.

        Raises:
            UnsupportedFeatureError: By policy.
        """
        if form["type"] == "text":
            return
        instruction = "Answer with one JSON object and nothing else."
        if form["type"] == "json_schema":
            schema = encode_json(form["json_schema"]["schema"]).decode()
            instruction += f" It must be valid against this JSON schema: {schema}"
        self.fit.change(
            f"response_format={form['type']}",
            "it was asked for in the system message"
            + (", with json_object" if instead else ""),
        )
        if messages and messages[0].get("role") == "system":
            messages[0]["content"] = _with_text(messages[0]["content"], instruction)
        else:
            messages.insert(0, self.system_message(instruction))

    @abstractmethod
    def system_message(self, text: str) -> dict[str, Any]:
        """
        Make a message of the system.
        """

    # Tools

    def tools(self) -> dict[str, Any]:
        """
        Give the fields that say which tools there are, and how to choose.

        Raises:
            UnsupportedFeatureError: By policy.
        """
        request = self.request
        if not request.tools and "tools" not in request.extensions:
            # Neither may be sent without tools (OpenAI: 400).
            for name in ("tool_choice", "parallel_tool_calls"):
                if getattr(request, name) is not None:
                    self.fit.leave_out(name, why="without tools")
            return {}
        found: dict[str, Any] = {}
        if request.tools:
            found["tools"] = [self.tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            found |= self._tool_choice(request.tool_choice)
            if found.get("tool_choice") is _NO_TOOLS:
                return {}
        if request.parallel_tool_calls is not None:
            if "parallel_tool_calls" in self.quirks.drop:
                self.fit.leave_out("parallel_tool_calls")
            else:
                found["parallel_tool_calls"] = request.parallel_tool_calls
        return found

    @abstractmethod
    def tool(self, tool: Tool) -> dict[str, Any]:
        """
        Describe a tool.
        """

    def function(self, tool: Tool) -> dict[str, Any]:
        """
        Describe a tool but for its type; ``strict`` where it was said and is taken.

        Raises:
            UnsupportedFeatureError: By policy.
        """
        function: dict[str, Any] = function_tool(tool)["function"]
        if tool.strict is not None:
            if self.quirks.strict_tools:
                function["strict"] = tool.strict
            elif tool.strict:
                self.fit.leave_out(f"strict of the tool {tool.name}")
        return function

    @abstractmethod
    def named_choice(self, name: str) -> dict[str, Any]:
        """
        Ask for the tool *name*.
        """

    def _tool_choice(self, asked: str) -> dict[str, Any]:
        words = self.quirks.tool_choice
        if "tool_choice" in self.quirks.drop:
            words = {"none": None, "required": None, "named": None}
        kind = asked if asked in tuple(ToolChoice) else "named"
        word = words.get(kind, kind)
        if word is None and kind == "none":
            return {"tool_choice": _NO_TOOLS}
        if word is None:
            self.fit.change(f"tool_choice={asked!r}", "the model may choose")
            return {}
        if kind == "auto" and "tool_choice" in self.quirks.drop:
            return {}
        if word == "named":
            return {"tool_choice": self.named_choice(asked)}
        return {"tool_choice": word}

    # Media

    def refuse_url(self, what: str) -> NoReturn:
        """
        Say that *what* must come as bytes.

        Raises:
            UnsupportedFeatureError: Always.
        """
        raise UnsupportedFeatureError(
            f"{self.target.provider} does not fetch the URL of {what}: pass the bytes"
            " (from_file, from_bytes).",
            provider=self.target.provider,
            model=self.target.model or None,
        )


def is_remote(url: str) -> bool:
    """
    Whether *url* is one that is fetched; else it is a file's id.
    """
    return url[:8].lower().startswith(("http://", "https://"))


def _with_text(content: Any, more: str) -> Any:
    if isinstance(content, str):
        return f"{content}\n\n{more}" if content else more
    return [*content, {"type": "text", "text": more}]
