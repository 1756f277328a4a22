"""
What both packages give to their users, and where it is: loaded when it is first asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

#: The names of the core that are public, by their modules.
NAMES: Mapping[str, tuple[str, ...]] = {
    "batch": (
        "BatchInput",
        "BatchItem",
        "BatchOutput",
    ),
    "batch.progress": ("BatchProgress",),
    "batch.records": ("JournalItem",),
    "breaker": ("BreakerPolicy",),
    "call": ("CancelHandle",),
    "catalog": ("Provider",),
    "chat": (
        "ChatCompletionChunk",
        "ChatCompletionRequest",
        "ChatCompletionResponse",
        "Choice",
        "ChunkChoice",
        "Citation",
        "Delta",
        "FinishReason",
        "ToolCallDelta",
        "Usage",
        "UsageStatus",
    ),
    "dialects": (
        "ChunkParser",
        "Dialect",
        "Follow",
    ),
    "errors": (
        "AiLibError",
        "ApiError",
        "AuthenticationError",
        "CircuitOpenError",
        "ClientClosedError",
        "ConfigurationError",
        "ContentFilteredError",
        "ContextLengthExceededError",
        "IncompleteStreamError",
        "InvalidRequestError",
        "InvalidResponseError",
        "LocalModelError",
        "MissingApiKeyError",
        "ModelNotFoundError",
        "NetworkError",
        "NotFoundError",
        "OverloadedError",
        "PermissionDeniedError",
        "QuotaExhaustedError",
        "RateLimitedLocallyError",
        "RateLimitError",
        "RequestTimeoutError",
        "ResponseTooLargeError",
        "ServerError",
        "StreamCancelledError",
        "UnsupportedFeatureError",
    ),
    "flow": ("Send",),
    "events": (
        "BreakerEvent",
        "ChunkEvent",
        "ErrorEvent",
        "Event",
        "FailoverEvent",
        "RequestEvent",
        "ResponseEvent",
        "RetryEvent",
    ),
    "http": (
        "HttpRequest",
        "HttpResponse",
        "SizeLimits",
    ),
    "ledger": (
        "Attempt",
        "RateLimits",
    ),
    "messages": (
        "AudioPart",
        "FilePart",
        "ImagePart",
        "Message",
        "Role",
        "TextPart",
    ),
    "providers": (
        "ModelInfo",
        "ProviderSpec",
        "Quirks",
        "ResolvedTarget",
    ),
    "racing": ("Hedge",),
    "rate_limit": ("RateLimit",),
    "registry": (
        "register_dialect",
        "register_provider",
    ),
    "retry": ("RetryPolicy",),
    "serialization": (
        "from_dict",
        "to_dict",
    ),
    "state": (
        "LocalState",
        "StateStore",
    ),
    "targets": ("Target",),
    "timeouts": ("Timeout",),
    "tools": (
        "Tool",
        "ToolCall",
        "ToolChoice",
    ),
}

#: The names of the host that are.
_OF_THE_HOST = (
    "read_batch_input",
    "read_batch_output",
    "read_journal",
    "write_batch_input",
    "write_batch_output",
)


def face(
    package: str, own: Mapping[str, tuple[str, ...]]
) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """
    Make the ``__all__``, the ``__getattr__`` and the ``__dir__`` of a package.

    Args:
        package: Its name.

        own: The public names of its own modules.

    Returns:
        The public names; what finds one and keeps it as the package's own, so that it is asked once; what lists
        everything.
    """
    places = {name: f"{package}.{module}" for module in own for name in own[module]}
    for module, names in NAMES.items():
        places.update(dict.fromkeys(names, f"ai_lib._core.{module}"))
    places.update(dict.fromkeys(_OF_THE_HOST, "ai_lib._host"))

    def find(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(places[name]), name)
        setattr(sys.modules[package], name, found)
        return found

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *places})

    return sorted(places), find, listed
