"""
Write ``docs/reference.md`` from the docstrings: ``python tests/reference_table.py``.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path

COMMAND = "made anew by: python tests/reference_table.py"
ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference.md"

_HEAD = """\
# Reference

<!-- Written by tests/reference_table.py from the docstrings: change those, and run it. -->

Every public name, by subject. Each is imported from `ai_lib` or, as the same object or as a
[twin](#the-async-twin), from `ai_lib_async`; a name with dots stands in a module of its own. Anything
else, and what begins with an underscore, may change at any time.

`help(name)` shows the whole of an entry, and so do the pages of the built documentation.
"""

_TWIN = """
## The async twin

These are other objects in `ai_lib_async`, with the same names, keywords and meaning; everything else is
the same object in both packages. What differs in use is on [a page of its own](async.md#what-differs).

| name | awaited | plain |
| --- | --- | --- |
"""

#: Every public name, by subject: a heading, where to read about it, and the names.
SUBJECTS = (
    (
        "Client",
        "[Clients](clients.md), [quickstart](quickstart.md)",
        ("AiClient", "quick_chat_text", "Transport"),
    ),
    (
        "Requests and messages",
        "[Requests](requests.md), [images and files](images-and-files.md), [tools](tools.md)",
        (
            "ChatCompletionRequest",
            "Message",
            "Role",
            "TextPart",
            "ImagePart",
            "AudioPart",
            "FilePart",
            "Tool",
            "ToolChoice",
            "ToolCall",
            "to_dict",
            "from_dict",
        ),
    ),
    (
        "Answers",
        "[What it holds](quickstart.md#what-an-answer-holds), [what a call tried](reliability.md#what-a-call-tried)",
        (
            "ChatCompletionResponse",
            "Choice",
            "FinishReason",
            "Usage",
            "UsageStatus",
            "Citation",
            "Attempt",
            "RateLimits",
        ),
    ),
    (
        "Streams",
        "[Streaming and cancelling](streaming.md)",
        (
            "ChatCompletionStream",
            "CancelHandle",
            "ChatCompletionChunk",
            "ChunkChoice",
            "Delta",
            "ToolCallDelta",
        ),
    ),
    (
        "Errors",
        "[Errors](errors.md)",
        (
            "AiLibError",
            "ConfigurationError",
            "MissingApiKeyError",
            "LocalModelError",
            "UnsupportedFeatureError",
            "ApiError",
            "InvalidRequestError",
            "ContextLengthExceededError",
            "ContentFilteredError",
            "AuthenticationError",
            "PermissionDeniedError",
            "NotFoundError",
            "ModelNotFoundError",
            "RateLimitError",
            "QuotaExhaustedError",
            "ServerError",
            "OverloadedError",
            "NetworkError",
            "RequestTimeoutError",
            "IncompleteStreamError",
            "InvalidResponseError",
            "ResponseTooLargeError",
            "StreamCancelledError",
            "ClientClosedError",
            "CircuitOpenError",
            "RateLimitedLocallyError",
        ),
    ),
    (
        "Settings",
        "[Timeouts and retries](reliability.md), [limits](limits.md), [sizes](security.md#sizes)",
        (
            "Timeout",
            "RetryPolicy",
            "RateLimit",
            "BreakerPolicy",
            "SizeLimits",
            "StateStore",
            "LocalState",
        ),
    ),
    (
        "Batches",
        "[Batches](batches.md), [on many machines](batches-on-many-machines.md)",
        (
            "BatchItem",
            "BatchRun",
            "BatchProgress",
            "read_journal",
            "JournalItem",
            "read_batch_input",
            "write_batch_input",
            "BatchInput",
            "read_batch_output",
            "write_batch_output",
            "BatchOutput",
        ),
    ),
    (
        "Routing",
        "[Failover, routing, hedging](routing.md)",
        ("Target", "Hedge"),
    ),
    (
        "Hooks",
        "[Hooks](observability.md)",
        (
            "Event",
            "RequestEvent",
            "ResponseEvent",
            "ChunkEvent",
            "RetryEvent",
            "FailoverEvent",
            "BreakerEvent",
            "ErrorEvent",
            "otel.OpenTelemetry",
        ),
    ),
    (
        "Providers",
        "[Providers](providers.md), [adding a provider](adding-a-provider.md)",
        ("Provider", "ModelInfo", "ProviderSpec", "Quirks", "register_provider"),
    ),
    (
        "Dialects and HTTP",
        "[Adding a dialect](adding-a-dialect.md), [testing](testing-your-code.md#a-transport-of-your-own)",
        (
            "Dialect",
            "ChunkParser",
            "Follow",
            "ResolvedTarget",
            "register_dialect",
            "HttpRequest",
            "HttpResponse",
            "Send",
        ),
    ),
)


def page():
    """
    Write the page.
    """
    parts = [_HEAD]
    for title, where, names in SUBJECTS:
        rows = "".join(f"| `{name}` | {summary(name)} |\n" for name in names)
        head = f"| name | what it is |\n| --- | --- |\n{rows}"
        parts.append(f"\n## {title}\n\n{where}.\n\n{head}")
    return "".join([*parts, _TWIN, *_twins()])


def named(name, package="ai_lib"):
    """
    Find what a public name stands for.
    """
    path, _, last = name.rpartition(".")
    return getattr(
        importlib.import_module(".".join(filter(None, [package, path]))), last
    )


def summary(name):
    """
    Give the first sentence of a docstring, as Markdown.
    """
    first = inspect.getdoc(named(name)).partition("\n\n")[0].replace("\n", " ")
    sentence = re.split(r"(?<=[.:]) (?=[A-Z])", first)[0]
    return sentence.replace("``", "`").replace("|", "\\|")


def _twins():
    import ai_lib

    for name in ai_lib.__all__:
        one, twin = named(name), named(name, "ai_lib_async")
        if one is twin:
            continue
        members = [twin] if inspect.isfunction(twin) else _members(twin)
        awaited = [one for one in members if inspect.iscoroutinefunction(one)]
        plain = [one for one in members if one not in awaited]
        yield f"| `{name}` | {_listed(awaited)} | {_listed(plain)} |\n"


def _members(cls):
    public = (name for name in vars(cls) if not name.startswith("_"))
    found = (vars(cls)[name] for name in public)
    return [one for one in found if callable(one)]


def _listed(functions):
    return ", ".join(f"`{one.__name__}`" for one in functions)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # this checkout's docstrings, whatever is installed
    PAGE.write_text(page(), encoding="utf-8")
