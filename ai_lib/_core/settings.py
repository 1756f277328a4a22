"""
What a client was made with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import attrs

from ai_lib._core.breaker import BreakerPolicy
from ai_lib._core.checks import must_be
from ai_lib._core.dialects import OnUnsupported
from ai_lib._core.gate import Gate
from ai_lib._core.hooks import Hook, as_hooks
from ai_lib._core.http import SizeLimits
from ai_lib._core.providers import ProviderSpec
from ai_lib._core.racing import Hedge
from ai_lib._core.rate_limit import RateLimit
from ai_lib._core.record import Record
from ai_lib._core.retry import RetryPolicy
from ai_lib._core.routing import Routing, check_routing
from ai_lib._core.secrets import Secret, check_header
from ai_lib._core.state import PROCESS_STATE, StateStore
from ai_lib._core.targets import Target
from ai_lib._core.timeouts import Timeout

#: What belongs to one provider, and does not go along to another: its key before all.
_BOUND = ("api_key", "base_url", "model", "dialect", "provider_options")
#: Keywords that say the same in two ways: a new one takes the place of the other.
_RIVALS = {
    "max_retries": "retry",
    "retry": "max_retries",
    "proxy": "disable_proxy",
    "disable_proxy": "proxy",
}


_USUAL_RETRY = RetryPolicy()
_POLICIES = ("warn", "error", "drop")


def _to_headers(headers: Any) -> dict[str, str]:
    if headers is not None and not isinstance(headers, Mapping):
        kind = type(headers).__name__
        raise TypeError(f"default_headers must map names to values, not be a {kind}")
    for name, value in (headers or {}).items():
        check_header(name, value)
    return dict(headers or {})


def _to_hedge(value: Any) -> Hedge | None:
    return Hedge.of(value)


def _to_targets(value: Any) -> tuple[Target, ...]:
    if value == ():
        return ()
    single = isinstance(value, str | ProviderSpec | Target)
    if value is not None and not single and not isinstance(value, Iterable):
        raise TypeError(f"failover must hold targets, not {type(value).__name__}")
    return tuple(Target.of(one) for one in ([value] if single else value or ()))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Settings(Record):
    """
    What a client was made with, as the constructor of ``AiClient`` describes it.
    """

    provider: str | ProviderSpec | Target
    api_key: Secret | Callable[[], str] | None = attrs.field(default=None, repr=False)
    base_url: str | None = None
    model: str | None = None
    dialect: str | None = None
    provider_options: Mapping[str, str] | None = None
    timeout: float | Timeout | None = None
    max_retries: int | None = attrs.field(
        default=None, validator=must_be("a whole number", int, optional=True)
    )
    retry: RetryPolicy | None = attrs.field(
        default=None, validator=must_be("a RetryPolicy", RetryPolicy, optional=True)
    )
    failover: tuple[Target, ...] = attrs.field(default=(), converter=_to_targets)
    routing: Routing = attrs.field(default="failover", validator=check_routing)
    hedge: Hedge | None = attrs.field(default=None, converter=_to_hedge)
    rate_limit: RateLimit | None = attrs.field(
        default=None, validator=must_be("a RateLimit", RateLimit, optional=True)
    )
    breaker: BreakerPolicy | None = attrs.field(
        default=None, validator=must_be("a BreakerPolicy", BreakerPolicy, optional=True)
    )
    max_concurrency: int | None = attrs.field(
        default=None, validator=must_be("a whole number", int, optional=True, least=1)
    )
    hooks: tuple[Hook, ...] = attrs.field(
        default=(), converter=as_hooks, repr=lambda hooks: f"<{len(hooks)} hooks>"
    )
    state_store: StateStore | None = attrs.field(default=None, repr=False)
    on_unsupported: OnUnsupported = attrs.field(default="warn")
    proxy: str | None = attrs.field(default=None, repr=False)
    disable_proxy: bool = False
    ca_bundle: str | None = None
    default_headers: Mapping[str, str] = attrs.field(
        factory=dict, converter=_to_headers, repr=False
    )
    size_limits: SizeLimits | None = attrs.field(
        default=None, validator=must_be("SizeLimits", SizeLimits, optional=True)
    )

    @on_unsupported.validator
    def _check_policy(self, _: object, value: object) -> None:
        if value not in _POLICIES:
            one_of = ", ".join(map(repr, _POLICIES))
            raise ValueError(f"on_unsupported must be one of {one_of}, not {value!r}")

    @property
    def own_target(self) -> Target:
        """
        The target that these settings describe, in the caller's words.
        """
        named = Target.of(self.provider)
        return Target(
            named.provider,
            self.model or named.model,
            api_key=cast("Any", self.api_key or named.api_key),
            base_url=self.base_url or named.base_url,
            weight=named.weight,
            prices=named.prices,
            dialect=self.dialect or named.dialect,
            provider_options=self.provider_options or named.provider_options,
        )

    def gate(self) -> Gate:
        """
        Make what every attempt passes.
        """
        return Gate(
            breaker=self.breaker,
            rate_limit=self.rate_limit,
            max_concurrency=self.max_concurrency,
            latencies=self.routing == "lowest_latency",
            store=self.state_store or PROCESS_STATE,
        )

    def changed(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """
        Give the keywords of the constructor that make the same settings but for *changes*.
        """
        keywords = {one.name: getattr(self, one.name) for one in attrs.fields(Settings)}
        gone = {_RIVALS[name] for name in changes if name in _RIVALS}
        if "provider" in changes:
            gone.update(_BOUND)
        for name in gone:
            del keywords[name]
        return {**keywords, **changes}

    def policy(self) -> RetryPolicy:
        """
        When to retry, however it was said.
        """
        if self.max_retries is None:
            return self.retry or _USUAL_RETRY
        if self.retry is not None:
            raise ValueError("max_retries and retry say the same: pass one of them")
        if self.max_retries < 0:
            raise ValueError(f"max_retries must not be negative: {self.max_retries}")
        return RetryPolicy(attempts=self.max_retries + 1)
