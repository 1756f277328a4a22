"""
Our data classes as plain JSON values and back, for histories and batches that are kept.

Providers' JSON is not read here: that is written by hand in their dialects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

import attrs

from ai_lib._core import errors
from ai_lib._core.batch import BatchItem
from ai_lib._core.chat import (
    ChatCompletionChunk,
    ChatCompletionRequest,
    ChatCompletionResponse,
    Choice,
    ChunkChoice,
    Citation,
    Delta,
    ToolCallDelta,
    Usage,
    UsageStatus,
)
from ai_lib._core.errors import AiLibError
from ai_lib._core.ledger import Attempt, RateLimits
from ai_lib._core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
)
from ai_lib._core.providers import ModelInfo
from ai_lib._core.tools import Tool, ToolCall

if TYPE_CHECKING:
    from enum import StrEnum

    from cattrs import Converter

T = TypeVar("T")

_PARTS = {"text": TextPart, "image": ImagePart, "audio": AudioPart, "file": FilePart}
_TAGS = {part: tag for tag, part in _PARTS.items()}
_CLASSES = (
    *_TAGS,
    Tool,
    ToolCall,
    Message,
    ChatCompletionRequest,
    Usage,
    RateLimits,
    Attempt,
    Citation,
    Choice,
    ChatCompletionResponse,
    ToolCallDelta,
    Delta,
    ChunkChoice,
    ChatCompletionChunk,
    ModelInfo,
    BatchItem,
)

#: What an error keeps beside its class and message, each with the type of its value.
_ERROR_FIELDS: dict[str, Any] = {
    "provider": str,
    "model": str,
    "status_code": int,
    "code": str,
    "request_id": str,
    "retry_after": float,
    "rate_limits": RateLimits,
    "body": str,
    "attempts": tuple[Attempt, ...],
    "elapsed": float,
    "partial": ChatCompletionResponse,
    "previous": tuple[AiLibError, ...],
    "retryable": bool,
    "failover": bool,
}


def to_dict(value: Any) -> Any:
    """
    Turn one of the library's data classes into plain values that JSON can hold.

    What was left at its default is left out. Parts are told apart by ``"type"``, bytes are base64, an
    error is its class, message and attributes.

    Args:
        value: A message, part, request, response, chunk, … or a list or tuple of them.

    Raises:
        TypeError: It is none of the library's data classes.
    """
    if isinstance(value, list | tuple):
        return [to_dict(one) for one in value]
    if not isinstance(value, (*_CLASSES, AiLibError)):
        raise TypeError(f"to_dict does not take {type(value).__name__}")
    return _converter().unstructure(value)


def from_dict(cls: type[T], data: Any) -> T:
    """
    Turn what ``to_dict`` gave back into an instance of *cls*; keys that it does not know are ignored.

    Args:
        cls: The class, or ``list[…]`` of it.

        data: Plain values, as ``json.loads`` gives them.

    Raises:
        ValueError: *data* does not fit; the message says where.
    """
    from cattrs import transform_error

    problem = ""
    try:
        return _converter().structure(data, cls)
    except RecursionError:
        problem = "it is nested too deeply"
    except Exception as error:  # noqa: BLE001  cattrs raises what hooks and classes raise, in groups
        problem = "; ".join(transform_error(error, format_exception=_explain)[:5])
    name = getattr(cls, "__name__", str(cls))
    raise ValueError(f"not the data of {name}: {problem}")


def _explain(error: BaseException, _: type | None) -> str:
    if isinstance(error, KeyError):
        return "a required key is missing"
    return str(error)[:200] or type(error).__name__


@cache
def _converter() -> Converter:
    """
    Build the one converter. Annotations are strings that name what only type checkers import.
    """
    from cattrs import Converter

    names = {one.__name__: one for one in _CLASSES}
    for one in _CLASSES:
        attrs.resolve_types(one, localns=names)
    converter = Converter(omit_if_default=True)
    converter.register_structure_hook_factory(attrs.has, _object_reader(converter))
    _add_values(converter)
    _add_collections(converter)
    _add_parts(converter)
    _add_errors(converter)
    return converter


def _object_reader(converter: Converter) -> Any:
    from cattrs.gen import make_dict_structure_fn

    def reader(cls: type) -> Any:
        read: Any = make_dict_structure_fn(cls, converter)
        return lambda value, kind: read(_mapping(value), kind)

    return reader


def _add_values(converter: Converter) -> None:
    for kind, accepted, words in (
        (str, str, "text"),
        (int, int, "a whole number"),
        (float, (int, float), "a number"),
        (bool, bool, "true or false"),
    ):
        converter.register_structure_hook(kind, _strict(kind, accepted, words))
    for choice in (Role, UsageStatus):  # by name, for they are texts as well
        converter.register_structure_hook(choice, _to_member)
    converter.register_structure_hook(bytes, _from_base64)
    converter.register_unstructure_hook(str, str)  # a StrEnum in a field for text
    converter.register_unstructure_hook(bytes, _to_base64)


def _strict(kind: Any, accepted: Any, words: str) -> Any:
    def structure(value: Any, _: Any) -> Any:
        mistaken = isinstance(value, bool) and kind is not bool
        if mistaken or not isinstance(value, accepted):
            raise TypeError(f"expected {words}, not {type(value).__name__}")
        return kind(value)

    return structure


def _to_member(value: Any, kind: type[StrEnum]) -> StrEnum:
    if value not in tuple(kind):
        raise ValueError(f"expected one of {', '.join(kind)}, not {value!r}")
    return kind(value)


def _to_base64(data: bytes) -> str:
    from base64 import b64encode

    return b64encode(data).decode("ascii")


def _from_base64(value: Any, _: Any) -> bytes:
    from base64 import b64decode

    if not isinstance(value, str):
        raise TypeError(f"expected base64, not {type(value).__name__}")
    try:
        return b64decode(value, validate=True)
    except ValueError:
        raise ValueError("not valid base64") from None


def _add_collections(converter: Converter) -> None:
    """
    Take mappings as they are, since they are the caller's or the provider's JSON; never take a text
    for a list of letters.
    """

    def is_mapping(kind: Any) -> bool:
        return get_origin(kind) is Mapping

    def is_sequence(kind: Any) -> bool:
        return get_origin(kind) in (tuple, Sequence)

    def to_mapping(value: Any, _: Any) -> dict[str, Any]:
        return _mapping(value)

    def to_tuple(value: Any, kind: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise TypeError(f"expected a list, not {type(value).__name__}")
        items: Any = list[get_args(kind)[0]]  # type: ignore[misc]  # known when it runs
        return tuple(converter.structure(value, items))

    converter.register_structure_hook_func(is_mapping, to_mapping)
    converter.register_unstructure_hook_func(is_mapping, dict)
    converter.register_unstructure_hook_func(lambda kind: kind is Any, _same)
    converter.register_structure_hook_func(is_sequence, to_tuple)


def _same(value: Any) -> Any:
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected an object, not {type(value).__name__}")
    return dict(value)


def _add_parts(converter: Converter) -> None:
    from cattrs.gen import make_dict_unstructure_fn

    for part, tag in _TAGS.items():
        plain: Any = make_dict_unstructure_fn(
            part, converter, _cattrs_omit_if_default=True
        )
        converter.register_unstructure_hook(part, _tagged(tag, plain))

    def to_part(value: Any, _: Any) -> Part:
        tag = _mapping(value).get("type")
        if not isinstance(tag, str) or tag not in _PARTS:
            raise ValueError(f"its type must be one of {', '.join(_PARTS)}")
        return converter.structure(value, _PARTS[tag])

    def to_content(value: Any, _: Any) -> str | tuple[Part, ...]:
        if isinstance(value, str):
            return value
        return tuple(converter.structure(value, tuple[Part, ...]))

    def from_content(value: Any) -> Any:
        if isinstance(value, str):
            return str(value)
        return [converter.unstructure(part) for part in value]

    content = attrs.fields(Message).content.type
    converter.register_structure_hook_func(lambda kind: kind == Part, to_part)
    converter.register_structure_hook_func(lambda kind: kind == content, to_content)
    converter.register_unstructure_hook_func(lambda kind: kind == content, from_content)


def _tagged(tag: str, plain: Any) -> Any:
    def unstructure(part: Part) -> dict[str, Any]:
        return {"type": tag, **plain(part)}

    return unstructure


def _add_errors(converter: Converter) -> None:
    kinds = {
        one.__name__: one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, AiLibError)
    }

    def is_error(kind: Any) -> bool:
        return isinstance(kind, type) and issubclass(kind, AiLibError)

    def from_error(error: AiLibError) -> dict[str, Any]:
        kept = {"class": type(error).__name__, "message": error.message}
        for name, kind in _ERROR_FIELDS.items():
            value = vars(error).get(name)
            if value is not None and value != ():
                kept[name] = converter.unstructure(value, unstructure_as=kind)
        return kept

    def to_error(value: Any, kind: Any) -> AiLibError:
        data = _mapping(value)
        known = {
            name: converter.structure(data[name], of)
            for name, of in _ERROR_FIELDS.items()
            if data.get(name) is not None
        }
        # A class of a later release is read as the base that was asked for.
        found: type[AiLibError] = kinds.get(str(data.get("class")), kind)
        return found(converter.structure(data.get("message", ""), str), **known)

    converter.register_structure_hook_func(is_error, to_error)
    converter.register_unstructure_hook_func(is_error, from_error)
