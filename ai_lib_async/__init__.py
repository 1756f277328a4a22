"""
One typed interface to every large language model provider, async. The twin of ``ai_lib``: same names, with ``await``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_lib._core.face import face as _face
from ai_lib._core.version import __version__ as __version__

if TYPE_CHECKING:
    from ai_lib._core.batch import (
        BatchInput,
        BatchItem,
        BatchOutput,
    )
    from ai_lib._core.batch.progress import (
        BatchProgress,
    )
    from ai_lib._core.batch.records import (
        JournalItem,
    )
    from ai_lib._core.breaker import (
        BreakerPolicy,
    )
    from ai_lib._core.call import (
        CancelHandle,
    )
    from ai_lib._core.catalog import (
        Provider,
    )
    from ai_lib._core.chat import (
        ChatCompletionChunk,
        ChatCompletionRequest,
        ChatCompletionResponse,
        Choice,
        ChunkChoice,
        Citation,
        Delta,
        FinishReason,
        ToolCallDelta,
        Usage,
        UsageStatus,
    )
    from ai_lib._core.dialects import (
        ChunkParser,
        Dialect,
        Follow,
    )
    from ai_lib._core.errors import (
        AiLibError,
        ApiError,
        AuthenticationError,
        CircuitOpenError,
        ClientClosedError,
        ConfigurationError,
        ContentFilteredError,
        ContextLengthExceededError,
        IncompleteStreamError,
        InvalidRequestError,
        InvalidResponseError,
        LocalModelError,
        MissingApiKeyError,
        ModelNotFoundError,
        NetworkError,
        NotFoundError,
        OverloadedError,
        PermissionDeniedError,
        QuotaExhaustedError,
        RateLimitedLocallyError,
        RateLimitError,
        RequestTimeoutError,
        ResponseTooLargeError,
        ServerError,
        StreamCancelledError,
        UnsupportedFeatureError,
    )
    from ai_lib._core.events import (
        BreakerEvent,
        ChunkEvent,
        ErrorEvent,
        Event,
        FailoverEvent,
        RequestEvent,
        ResponseEvent,
        RetryEvent,
    )
    from ai_lib._core.flow import (
        Send,
    )
    from ai_lib._core.http import (
        HttpRequest,
        HttpResponse,
        SizeLimits,
    )
    from ai_lib._core.ledger import (
        Attempt,
        RateLimits,
    )
    from ai_lib._core.messages import (
        AudioPart,
        FilePart,
        ImagePart,
        Message,
        Role,
        TextPart,
    )
    from ai_lib._core.providers import (
        ModelInfo,
        ProviderSpec,
        Quirks,
        ResolvedTarget,
    )
    from ai_lib._core.racing import (
        Hedge,
    )
    from ai_lib._core.rate_limit import (
        RateLimit,
    )
    from ai_lib._core.registry import (
        Target,
        register_dialect,
        register_provider,
    )
    from ai_lib._core.retry import (
        RetryPolicy,
    )
    from ai_lib._core.serialization import (
        from_dict,
        to_dict,
    )
    from ai_lib._core.state import (
        LocalState,
        StateStore,
    )
    from ai_lib._core.timeouts import (
        Timeout,
    )
    from ai_lib._core.tools import (
        Tool,
        ToolCall,
        ToolChoice,
    )
    from ai_lib._host import (
        read_batch_input,
        read_batch_output,
        read_journal,
        write_batch_input,
        write_batch_output,
    )
    from ai_lib_async._batch import (
        BatchRun,
    )
    from ai_lib_async._client import (
        AiClient,
        Transport,
        quick_chat_text,
    )
    from ai_lib_async._stream import (
        ChatCompletionStream,
    )

__all__ = [
    "AiClient",
    "AiLibError",
    "ApiError",
    "Attempt",
    "AudioPart",
    "AuthenticationError",
    "BatchInput",
    "BatchItem",
    "BatchOutput",
    "BatchProgress",
    "BatchRun",
    "BreakerEvent",
    "BreakerPolicy",
    "CancelHandle",
    "ChatCompletionChunk",
    "ChatCompletionRequest",
    "ChatCompletionResponse",
    "ChatCompletionStream",
    "Choice",
    "ChunkChoice",
    "ChunkEvent",
    "ChunkParser",
    "CircuitOpenError",
    "Citation",
    "ClientClosedError",
    "ConfigurationError",
    "ContentFilteredError",
    "ContextLengthExceededError",
    "Delta",
    "Dialect",
    "ErrorEvent",
    "Event",
    "FailoverEvent",
    "FilePart",
    "FinishReason",
    "Follow",
    "Hedge",
    "HttpRequest",
    "HttpResponse",
    "ImagePart",
    "IncompleteStreamError",
    "InvalidRequestError",
    "InvalidResponseError",
    "JournalItem",
    "LocalModelError",
    "LocalState",
    "Message",
    "MissingApiKeyError",
    "ModelInfo",
    "ModelNotFoundError",
    "NetworkError",
    "NotFoundError",
    "OverloadedError",
    "PermissionDeniedError",
    "Provider",
    "ProviderSpec",
    "Quirks",
    "QuotaExhaustedError",
    "RateLimit",
    "RateLimitError",
    "RateLimitedLocallyError",
    "RateLimits",
    "RequestEvent",
    "RequestTimeoutError",
    "ResolvedTarget",
    "ResponseEvent",
    "ResponseTooLargeError",
    "RetryEvent",
    "RetryPolicy",
    "Role",
    "Send",
    "ServerError",
    "SizeLimits",
    "StateStore",
    "StreamCancelledError",
    "Target",
    "TextPart",
    "Timeout",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "Transport",
    "UnsupportedFeatureError",
    "Usage",
    "UsageStatus",
    "from_dict",
    "quick_chat_text",
    "read_batch_input",
    "read_batch_output",
    "read_journal",
    "register_dialect",
    "register_provider",
    "to_dict",
    "write_batch_input",
    "write_batch_output",
]

if not TYPE_CHECKING:  # a checker would take every name for one that is there
    __getattr__, __dir__ = _face(
        __name__,
        {
            "_batch": ("BatchRun",),
            "_client": (
                "AiClient",
                "Transport",
                "quick_chat_text",
            ),
            "_stream": ("ChatCompletionStream",),
        },
    )
