"""
The records behind providers: data, no code that knows one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from ai_lib._core.record import Record
from ai_lib._core.secrets import Secret


def _words(value: Iterable[str]) -> frozenset[str]:
    return frozenset(value)


def _names(value: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Quirks(Record):
    """
    By what one provider's use of a dialect differs from the plain one.

    Attributes:
        drop: Fields of a request that it does not take: left out, with a warning.

        rename: Fields that it calls otherwise.

        ranges: What it takes of a number, lowest and highest; others are moved inside.

        efforts: How it is told a ``reasoning_effort``, where not by a field of that name: the fields to
            send for each (``"*"``: for any other); none: it cannot be told.

        families: The table of ``families`` by which its models differ.

        tools_with_effort: The dialect, on the same base URL, for tools together with an effort where a family
            takes these in no other.

        responses_names: Its names for ``store`` and ``text.format`` of the Responses format, where they differ;
            ``None``: it has none.

        reasoning_summary: How it is asked to sum up its reasoning, in the Responses format; empty: it is not.

        body: Fields that every request carries, unless the caller's extensions say otherwise.

        max_tokens_field: What it calls ``max_tokens``.

        max_stop: How many stop texts it takes.

        logprobs_count: ``logprobs`` is a number there, of alternatives at each token.

        stream_usage: Whether a stream tells its usage only when asked with ``stream_options``.

        developer_role: It knows the role ``developer``.

        system_turns: It takes a system message between turns, with models that do.

        message_names: It takes the ``name`` of who speaks.

        tool_names: It takes the tool's ``name`` on a tool's result.

        tool_id_length: It takes ids of tool calls of so many letters and digits only.

        tool_choice: Its words for ``none``, ``required`` and ``named``, where they differ; ``None``: it
            has none.

        strict_tools: It takes ``strict`` on a tool.

        response_formats: The types of ``response_format`` that it takes.

        empty_content: The content of a message that only calls tools.

        replay: What of an earlier answer's reasoning it wants back, by the field's name.

        think_tags: Reasoning may come as ``<think>…</think>`` at the start of the text.

        remote_images: It fetches the URL of an image.

        remote_files: It fetches the URL of a file.

        document_urls: A file is a part of type ``document_url`` there, as a URL in any case.

        bare_audio: A sound is a plain base64 string there, or a URL.

        base_urls: Another base URL for the models that a pattern fits, in place of the record's own.

        location_hosts: Another host in place of the record's for the ``location`` that a pattern fits, which
            may stand in it.

        deployments: Its URLs are Azure's: a deployment may stand in them, and an ``api_version``.

        model_id_key: Where an entry of the model list holds the name to ask for.

        domains: Its domains: an answer may send the next request, key included, to any host there, besides the
            base URL's.

        error_codes: Its own codes, as far as they mean something else elsewhere: each in lower case, with
            one of the words in ``KINDS`` of ``_errors``.
    """

    drop: frozenset[str] = attrs.field(default=frozenset(), converter=_words)
    rename: Mapping[str, str] = attrs.field(factory=dict)
    ranges: Mapping[str, tuple[float, float]] = attrs.field(factory=dict)
    efforts: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    families: str = ""
    tools_with_effort: str = ""
    responses_names: Mapping[str, str | None] = attrs.field(factory=dict)
    reasoning_summary: str = ""
    body: Mapping[str, Any] = attrs.field(factory=dict)
    max_tokens_field: str = "max_tokens"
    max_stop: int | None = None
    logprobs_count: bool = False
    stream_usage: bool = True
    developer_role: bool = False
    system_turns: bool = False
    message_names: bool = True
    tool_names: bool = False
    tool_id_length: int | None = None
    tool_choice: Mapping[str, str | None] = attrs.field(factory=dict)
    strict_tools: bool = True
    response_formats: frozenset[str] = attrs.field(
        default=("text", "json_object", "json_schema"), converter=_words
    )
    empty_content: str | None = None
    replay: tuple[str, ...] = attrs.field(default=(), converter=_names)
    think_tags: bool = False
    remote_images: bool = True
    remote_files: bool = False
    document_urls: bool = False
    bare_audio: bool = False
    base_urls: Mapping[str, str] = attrs.field(factory=dict)
    location_hosts: Mapping[str, str] = attrs.field(factory=dict)
    deployments: bool = False
    model_id_key: str = "id"
    domains: tuple[str, ...] = attrs.field(default=(), converter=_names)
    error_codes: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BatchTerms(Record):
    """
    How a provider takes many requests at once, to be answered within hours and for less.

    Attributes:
        api: The batch API that it speaks, by name; see ``batch.apis``.

        endpoints: The dialects that its jobs take, each with what names it there; empty: the name is in the
            path.

        endpoint: What a job calls its endpoint, where that is not what its requests do.

        one_model: Whether all requests of a job must be for one model.

        max_requests: How many a job takes.

        max_bytes: How large its input may be.

        inline_requests: How many may be sent with the job itself; more go in a file.

        inline_bytes: How large that may be.

        upload_path: Where files go, behind the base URL.

        upload_fields: What is said of a file beside its content.

        window: In what time a job is asked to be done, in the provider's words; empty: it is not asked.

        hours: After how many a job is over, done or expired; infinity: nobody says.
    """

    api: str
    endpoints: Mapping[str, str] = attrs.field(
        factory=lambda: {"openai_chat": "/v1/chat/completions"}
    )
    endpoint: str = ""
    one_model: bool = True
    max_requests: int = 50_000
    max_bytes: int = 200_000_000
    inline_requests: int = 0
    inline_bytes: int = 10_000_000
    upload_path: str = "/files"
    upload_fields: Mapping[str, str] = attrs.field(factory=lambda: {"purpose": "batch"})
    window: str = "24h"
    hours: float = 24


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ProviderSpec(Record):
    """
    A company or server that answers, as a record.

    Attributes:
        id: Its name in this library: lower case, digits, ``_`` and ``-``.

        dialect: The wire format that it speaks, by name.

        base_url: Where; without a slash at the end. ``{name}`` is filled from ``options``.

        api_key_env: Variables that may hold the key, in order of lookup.

        name: What people call it; by default the id.

        aliases: Other names that are accepted for the id.

        base_url_env: Variables that may hold another base URL, in order of lookup.

        base_url_suffixes: What is put behind the value of such a variable when it is a
            host without a path.

        model_env: Variables that may name the default model, in order of lookup.

        default_model: What ``"auto"`` means; ``None``: a variable or the caller must say.

        first_listed_model: Whether ``"auto"`` means the first model that the server lists.

        key_required: Whether there is no use in calling it without a key.

        key_header: The header that carries the key.

        key_prefix: What stands before the key there.

        token_env: Variables that may hold the token of a sign-in in place of a key; it is sent as
            ``Authorization: Bearer``.

        token_pattern: So is a key that this fits; empty: none is.

        aws_service: The service of AWS by whose name requests are signed where there is no key; empty: none
            is.

        headers: Headers that every request carries.

        options: What ``base_url`` and the dialect need to know more, each with the
            variables that may hold it, in order of lookup.

        chat_path: Behind the base URL, for dialects that ask.

        models_path: Likewise, for the list of models; ``None``: it has none.

        capabilities: What it can take and give; see ``CAPABILITIES``.

        other_base_urls: Its other hosts by region or purpose, for messages and documents.

        other_dialects: Dialects that it speaks besides, each with its base URL.

        embedded: Whether this library runs the server itself, as a child process.

        batch: Its batch API; ``None``: it has none that is known here.

        sunset: What is known of its end; empty: nothing.

        verified: How the record was checked: ``"recorded traffic"``, ``"real server"``
            or ``"documentation"``.

        docs_url: Where its own documentation is.

        quirks: By what it differs from the plain dialect.
    """

    id: str = attrs.field(validator=attrs.validators.matches_re(r"[a-z0-9][a-z0-9_-]*"))
    dialect: str
    base_url: str
    api_key_env: tuple[str, ...] = attrs.field(default=(), converter=_names)
    name: str = attrs.field(default="")
    aliases: tuple[str, ...] = attrs.field(default=(), converter=_names)
    base_url_env: tuple[str, ...] = attrs.field(default=(), converter=_names)
    base_url_suffixes: Mapping[str, str] = attrs.field(factory=dict)
    model_env: tuple[str, ...] = attrs.field(default=(), converter=_names)
    default_model: str | None = None
    first_listed_model: bool = False
    key_required: bool = True
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    token_env: tuple[str, ...] = attrs.field(default=(), converter=_names)
    token_pattern: str = ""
    aws_service: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    options: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    chat_path: str = "/chat/completions"
    models_path: str | None = "/models"
    capabilities: frozenset[str] = attrs.field(default=frozenset(), converter=_words)
    other_base_urls: Mapping[str, str] = attrs.field(factory=dict)
    other_dialects: Mapping[str, str] = attrs.field(factory=dict)
    embedded: bool = False
    batch: BatchTerms | None = None
    sunset: str = ""
    verified: str = "documentation"
    docs_url: str = ""
    quirks: Quirks = attrs.field(factory=Quirks)


#: The words that ``ProviderSpec.capabilities`` is made of.
CAPABILITIES = (
    "tools",
    "images",
    "audio",
    "files",
    "json_mode",
    "json_schema",
    "reasoning",
    "logprobs",
    "list_models",
)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ResolvedTarget(Record):
    """
    Where an attempt goes, everything looked up: what dialects are given.

    Attributes:
        spec: The provider's record.

        model: The provider's name of the model; ``""`` when none matters.

        base_url: The resolved one, without a slash at the end.

        options: What the record asks for, resolved (``resource``, ``api_version`` …).

        choices: How many answers were asked for.
    """

    spec: ProviderSpec
    model: str = ""
    base_url: str
    options: Mapping[str, str] = attrs.field(factory=dict)
    choices: int = 1

    @property
    def provider(self) -> str:
        """
        The provider's id.
        """
        return self.spec.id

    @property
    def dialect(self) -> str:
        """
        The name of the dialect that is spoken there.
        """
        return self.spec.dialect


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Origin(Record):
    """
    Where the embedded server listens.

    Attributes:
        base_url: Its address, ``/v1`` included.

        key: What it was told to ask for.
    """

    base_url: str
    key: Secret


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ModelInfo(Record):
    """
    A model that a provider lists.

    Attributes:
        id: The name to ask for it.

        name: What people call it; by default the id.

        created: When, in seconds since 1970; ``None``: not told.

        owner: Who made it.

        context_window: Tokens that it can read; ``None``: not told.

        max_output_tokens: Tokens that it can write; ``None``: not told.

        raw: The provider's entry as it came.
    """

    id: str
    name: str = attrs.field(
        default=attrs.Factory(lambda self: self.id, takes_self=True)
    )
    created: int | None = None
    owner: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
