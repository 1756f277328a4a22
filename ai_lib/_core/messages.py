"""
Messages and what they are made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from os import PathLike
from typing import Any, Self

import attrs

from ai_lib._core.checks import must_be, shown
from ai_lib._core.files import parse_data_url, read_file
from ai_lib._core.record import Record
from ai_lib._core.tools import ToolCall


class Role(StrEnum):
    """
    Who speaks. ``developer`` is OpenAI's newer word for ``system``; others are sent ``system``.
    """

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@attrs.frozen(eq=False, repr=False)
class TextPart(Record):
    """
    A piece of text.
    """

    text: str = attrs.field(validator=must_be("a text", str))


def _size(data: bytes | None) -> str:
    return "None" if data is None else f"<{len(data)} bytes>"


#: Addresses that providers fetch: the web, and the stores of Google, Amazon and Moonshot.
_SCHEMES = ("https", "http", "gs", "s3", "ms")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _Media(Record):
    """
    Bytes with a type, or the address of some; one of the two.

    Attributes:
        url: Passed on as it is; this library never fetches it.

        data: The bytes themselves.

        mime: Their media type, such as ``image/png``.
    """

    url: str | None = None
    data: bytes | None = attrs.field(default=None, repr=_size)
    mime: str | None = None

    def __attrs_post_init__(self) -> None:
        if (self.url is None) == (self.data is None):
            kind = type(self).__name__
            raise ValueError(f"{kind} needs a url or data, one of the two")
        if self.data is not None and self.mime is None:
            raise ValueError(f"{type(self).__name__} with data needs its mime type")

    @classmethod
    def from_url(cls, url: str, **more: Any) -> Self:
        """
        Name a URL for the provider to fetch; a ``data:`` URL is taken apart into bytes and type.

        Raises:
            ValueError: A ``data:`` URL that is not valid, or a scheme that no provider fetches.
        """
        if url[:5].lower() == "data:":
            mime, data = parse_data_url(url)
            return cls(data=data, mime=mime, **more)
        scheme, separator, _ = url.partition("://")
        if separator and scheme.lower() not in _SCHEMES:
            raise ValueError(
                f"a provider fetches {', '.join(_SCHEMES)} addresses, not {scheme}://;"
                " of a file here, pass the bytes with from_file"
            )
        return cls(url=url, **more)

    @classmethod
    def from_bytes(cls, data: bytes, mime: str, **more: Any) -> Self:
        """
        Take bytes of the media type *mime*.
        """
        return cls(data=bytes(data), mime=mime, **more)

    @classmethod
    def from_file(
        cls,
        path: str | PathLike[str],
        *,
        mime: str | None = None,
        root: str | PathLike[str] | None = None,
        **more: Any,
    ) -> Self:
        """
        Read a file, once, here and now.

        Args:
            path: Taken as it is: no ``~``, no variables.

            mime: Its media type; by default from its first bytes, else its name.

            root: A directory that the file must be in once links are followed, for paths that others name.

        Raises:
            OSError: It cannot be read.

            ValueError: Not a regular file, outside *root*, larger than 20 MiB, or of no known type.
        """
        data, found = read_file(path, mime=mime, root=root)
        return cls(data=data, mime=found, **more)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ImagePart(_Media):
    """
    An image.

    Attributes:
        detail: How closely to look: ``low``, ``high`` or ``auto``, where the provider knows it.
    """

    detail: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AudioPart(_Media):
    """
    A sound.
    """


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FilePart(_Media):
    """
    A document, such as a PDF.

    Attributes:
        name: Its file name, as the model is told.
    """

    name: str | None = None

    @classmethod
    def from_file(
        cls,
        path: str | PathLike[str],
        *,
        mime: str | None = None,
        root: str | PathLike[str] | None = None,
        **more: Any,
    ) -> Self:
        """
        Read a file, once, here and now; its name goes along. Arguments and errors as for images.
        """
        from pathlib import PurePath

        more.setdefault("name", PurePath(path).name)
        return super().from_file(path, mime=mime, root=root, **more)


Part = TextPart | ImagePart | AudioPart | FilePart


def _to_role(role: str) -> Role:
    try:
        return Role(role)
    except ValueError:
        raise ValueError(
            f"role must be one of {', '.join(Role)}, not {role!r}"
        ) from None


def _to_content(
    content: str | Part | Iterable[Part | str] | None,
) -> str | tuple[Part, ...]:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Part):
        return (content,)
    if not isinstance(content, Iterable) or isinstance(content, Mapping | bytes):
        raise TypeError(f"content must be a text or parts, not {shown(content)}")
    parts = tuple(TextPart(part) if isinstance(part, str) else part for part in content)
    for part in parts:
        if not isinstance(part, Part):
            raise TypeError(
                f"content is made of text, images, audio and files, not {type(part).__name__}"
            )
    return parts


def _said(content: Any) -> Any:
    if content is None:
        raise TypeError("content must be a text or parts, not None")
    return content


def _to_calls(calls: Iterable[ToolCall] | None) -> tuple[ToolCall, ...]:
    return tuple(calls or ())


@attrs.frozen(eq=False, repr=False)
class Message(Record):
    """
    One turn of a conversation.

    Attributes:
        role: Who speaks.

        content: A string, or parts (text, images, audio, files) in order.

        tool_calls: The calls that an assistant's message asks for.

        tool_call_id: On a tool's message: which call it answers.

        name: Who of several users speaks; on a tool's message, the tool's name.

        reasoning: What an assistant thought before it answered, where the provider tells.

        refusal: Why the assistant would not answer, where the provider says so apart from the text.

        provider_state: Opaque: what the provider wants back with this message (signatures, encrypted
            reasoning), under the name of its dialect. It goes to the same dialect only.
    """

    role: Role = attrs.field(converter=_to_role)
    content: str | tuple[Part, ...] = attrs.field(default="", converter=_to_content)
    tool_calls: tuple[ToolCall, ...] = attrs.field(
        default=(), converter=_to_calls, kw_only=True
    )
    tool_call_id: str | None = attrs.field(default=None, kw_only=True)
    name: str | None = attrs.field(default=None, kw_only=True)
    reasoning: str | None = attrs.field(default=None, kw_only=True)
    refusal: str | None = attrs.field(default=None, kw_only=True)
    provider_state: Mapping[str, Any] | None = attrs.field(
        default=None, kw_only=True, repr=False
    )

    @property
    def text(self) -> str:
        """
        The text of the content, parts joined with nothing between; empty when there is none.
        """
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def parts(self) -> tuple[Part, ...]:
        """
        The content as parts; a string as one part, an empty one as none.
        """
        if isinstance(self.content, str):
            return (TextPart(self.content),) if self.content else ()
        return self.content

    @classmethod
    def system(cls, content: str | Part | Iterable[Part | str]) -> Message:
        """
        Say how to answer.
        """
        return cls(Role.SYSTEM, _said(content))

    @classmethod
    def user(
        cls, content: str | Part | Iterable[Part | str], *, name: str | None = None
    ) -> Message:
        """
        Ask.
        """
        return cls(Role.USER, _said(content), name=name)

    @classmethod
    def assistant(
        cls,
        content: str | Part | Iterable[Part | str] | None = None,
        *,
        tool_calls: Iterable[ToolCall] = (),
    ) -> Message:
        """
        Say what was answered; ``response.message`` is one of these already.
        """
        return cls(Role.ASSISTANT, content, tool_calls=tool_calls)

    @classmethod
    def tool(
        cls,
        content: str | Part | Iterable[Part | str],
        tool_call_id: str,
        *,
        name: str | None = None,
    ) -> Message:
        """
        Give the result of a call back; *content* as text, an object as JSON text.
        """
        return cls(Role.TOOL, content, tool_call_id=tool_call_id, name=name)
