"""
The public names that both packages share, for type checkers, who cannot see what is loaded when it is asked for.

Nobody imports this when a program runs: ``face`` has the same names by their modules.
"""

from __future__ import annotations

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
from ai_lib._core.registry import register_dialect, register_provider
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
from ai_lib._core.targets import Target
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

__all__ = [
    "AiLibError",
    "ApiError",
    "Attempt",
    "AudioPart",
    "AuthenticationError",
    "BatchInput",
    "BatchItem",
    "BatchOutput",
    "BatchProgress",
    "BreakerEvent",
    "BreakerPolicy",
    "CancelHandle",
    "ChatCompletionChunk",
    "ChatCompletionRequest",
    "ChatCompletionResponse",
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
    "UnsupportedFeatureError",
    "Usage",
    "UsageStatus",
    "from_dict",
    "read_batch_input",
    "read_batch_output",
    "read_journal",
    "register_dialect",
    "register_provider",
    "to_dict",
    "write_batch_input",
    "write_batch_output",
]
