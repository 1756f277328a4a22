"""
Where a call goes, and with which key: what a caller's words and the environment make of a provider's record.

Environment values are read one at a time and kept in no variable: tracebacks show the locals of
their frames, and ``os.environ`` holds keys. *environ* is given for tests; ``None`` is the process's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import attrs

from ai_lib._core.checks import must_be
from ai_lib._core.errors import ConfigurationError, MissingApiKeyError
from ai_lib._core.http import Credential, Signature
from ai_lib._core.providers import ProviderSpec, ResolvedTarget
from ai_lib._core.record import Record
from ai_lib._core.registry import (
    check_dialect,
    find_provider,
    providers,
    split_model_string,
)
from ai_lib._core.secrets import Secret, as_key, check_base_url, redact

Environ = Mapping[str, str] | None
ApiKey = str | Callable[[], str] | Secret

_text = must_be("a text", str, optional=True)


@attrs.frozen(init=False, eq=False, repr=False)
class Target(Record):
    """
    Where an attempt may go, in a caller's words; what is left out comes from the record or the environment.

    Attributes:
        provider: Id or alias of the provider, or a record that need not be registered.

        model: The provider's name of the model; ``None``: the default one.

        api_key: The key, or a function that gives it, asked at each attempt. Never shown.

        base_url: Another address than the record's.

        weight: Its share under the strategy ``"weighted"``, above zero.

        prices: Of a million tokens read and of a million written, in any currency; all that
            ``"cheapest"`` looks at.

        dialect: Another dialect that the provider speaks.

        provider_options: What the record asks for (``resource``, ``region`` …), else from the environment.
    """

    provider: str | ProviderSpec = attrs.field(
        validator=must_be("a provider's name or a ProviderSpec", (str, ProviderSpec))
    )
    model: str | None = attrs.field(default=None, validator=_text)
    api_key: Secret | Callable[[], str] | None = attrs.field(default=None, repr=False)
    base_url: str | None = attrs.field(
        default=None, validator=_text, repr=lambda url: repr(url and redact(url))
    )
    weight: float = attrs.field(default=1.0, validator=attrs.validators.gt(0))
    prices: tuple[float, float] | None = None
    dialect: str | None = attrs.field(default=None, validator=_text)
    provider_options: Mapping[str, str] = attrs.field(factory=dict)

    def __init__(
        self,
        provider: str | ProviderSpec,
        model: str | None = None,
        *,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        weight: float = 1.0,
        prices: tuple[float, float] | None = None,
        dialect: str | None = None,
        provider_options: Mapping[str, str] | None = None,
    ) -> None:
        try:
            key = Secret(api_key, "api_key") if isinstance(api_key, str) else api_key
        finally:
            del api_key  # tracebacks show the locals of their frames
        self.__attrs_init__(
            provider=provider,
            model=model,
            api_key=key,
            base_url=base_url,
            weight=weight,
            prices=_to_prices(prices),
            dialect=dialect,
            provider_options=dict(provider_options or {}),
        )

    @classmethod
    def of(
        cls, value: str | ProviderSpec | Target, model: str | None = None, **more: Any
    ) -> Target:
        """
        Read what callers write: a provider, ``"provider/model"``, ``"provider:model"`` or a target.

        Args:
            value: A string is taken apart only if no *model* is given.

            model: As the attribute, and so are *more*; a target is given back as it is.
        """
        if isinstance(value, Target):
            return value
        if isinstance(value, str) and model is None:
            found = split_model_string(value)
            if found is not None:
                return cls(found[0].id, found[1], **more)
        return cls(value, model, **more)


def _to_prices(prices: tuple[float, float] | None) -> tuple[float, float] | None:
    if prices is None:
        return None
    pair = tuple(prices)
    if len(pair) != 2 or any(
        not isinstance(price, int | float) or not price >= 0 for price in pair
    ):
        raise ValueError("prices must be two numbers: of a million tokens in, and out")
    return pair


@attrs.frozen(kw_only=True, eq=False, repr=False)
class KeySource(Record):
    """
    Where a target's key comes from.

    Attributes:
        variable: The environment variable that ``to_curl`` names in its place.

        secret: The key; ``None``: it is asked for at each attempt.

        token: It is the token of a sign-in, whatever it looks like.

        signature: There is no key: requests are signed.
    """

    variable: str
    secret: Secret | None = None
    token: bool = False
    signature: Signature | None = None
    _given: Callable[[], str] | None = attrs.field(default=None, repr=False)

    @classmethod
    def of(cls, key: object, *, variable: str) -> KeySource | None:
        """
        Read what callers write; ``None`` stays ``None``.

        Raises:
            ConfigurationError: A key that cannot be sent.
        """
        try:
            given = as_key(key)
        finally:
            del key  # tracebacks show the locals of their frames
        if given is None:
            return None
        if isinstance(given, Secret):
            return cls(variable=variable, secret=given)
        return cls(variable=variable, given=given)

    def ask(self) -> Secret:
        """
        Give the key, asking the caller's function for it if there is one. May block.

        Raises:
            ConfigurationError: What it gave cannot be sent. What it raises passes.
        """
        if self.secret is not None:
            return self.secret
        given = cast("Callable[[], str]", self._given)
        return Secret(given(), "api_key")

    def credential(
        self, spec: ProviderSpec, secret: Secret | None
    ) -> Credential | Signature:
        """
        Say how the key is put on a request to *spec*: as a key, or as the token that it is.
        """
        if self.signature is not None:
            return self.signature
        token = self.token or (
            secret is not None
            and spec.token_pattern != ""
            and re.fullmatch(spec.token_pattern, secret.reveal()) is not None
        )
        return Credential(
            header="Authorization" if token else spec.key_header,
            prefix="Bearer " if token else spec.key_prefix,
            variable=self.variable,
            secret=secret,
        )


def _value(environ: Environ, name: str) -> str:
    return (os.environ if environ is None else environ).get(name, "").strip()


def _first_set(environ: Environ, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if _value(environ, name)), None)


def first_configured(environ: Environ = None) -> ProviderSpec | None:
    """
    Find the first provider of the catalogue for which the environment holds a key.
    """
    for spec in providers():
        if _first_set(environ, spec.api_key_env + spec.token_env):
            return spec
    return None


def resolve(
    target: Target, *, environ: Environ = None
) -> tuple[ResolvedTarget, KeySource | None]:
    """
    Look up all that an attempt at *target* needs.

    The base URL is the target's own, else that of the provider's variables, else of ``AI_BASE_URL``, else
    the record's. The key is the target's own, else that of the provider's variables, else of
    ``AI_API_KEY``. A provider's key goes to the hosts of its record, and to those that somebody named for
    it: as ``base_url``, in the provider's own variable, or in ``AI_BASE_URL``, which redirects every
    provider, keys included.

    Returns:
        The target, and where its key comes from; ``None``: it needs none, and there is none.

    Raises:
        ConfigurationError: No such provider or dialect, a setting that is missing or cannot be right.

        MissingApiKeyError: No key where one is due.
    """
    spec = find_provider(target.provider)
    dialect = target.dialect or spec.dialect
    options = _options(spec, target.provider_options, environ)
    base_url = _base_url(spec, target, dialect, environ)
    if "{" in base_url:
        for name in re.findall(r"\{(\w+)\}", base_url):
            base_url = base_url.replace(f"{{{name}}}", _option(spec, options, name))
    if base_url or not spec.embedded:
        base_url = check_base_url(base_url)
    resolved = ResolvedTarget(
        spec=spec if dialect == spec.dialect else attrs.evolve(spec, dialect=dialect),
        model=target.model or "",
        base_url=base_url,
        options=options,
    )
    key = _key_source(spec, target, environ)
    if key is None and spec.aws_service:
        key = _signing(resolved)
    return resolved, key


def _options(
    spec: ProviderSpec, given: Mapping[str, str], environ: Environ
) -> dict[str, str]:
    for name in given:
        if name not in spec.options:
            takes = ", ".join(spec.options) or "none"
            raise ConfigurationError(
                f"{spec.id} takes no provider option {name!r}; it takes {takes}."
            )
    found = {
        name: str(
            given.get(name) or _value(environ, _first_set(environ, variables) or "")
        )
        for name, variables in spec.options.items()
    }
    return {name: value for name, value in found.items() if value}


_IN_URL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")


def _option(spec: ProviderSpec, options: Mapping[str, str], name: str) -> str:
    value = options.get(name)
    if value is None:
        ways = [
            f"pass provider_options={{{name!r}: …}}",
            *_setting(spec.options.get(name)),
        ]
        raise ConfigurationError(f"{spec.id} needs {name!r}: {' or '.join(ways)}.")
    value = value.removeprefix("https://").rstrip("/")
    if not _IN_URL.fullmatch(value):
        raise ConfigurationError(
            f"The provider option {name!r} of {spec.id} cannot stand in a URL."
        )
    return value


def _setting(variables: tuple[str, ...] | None) -> list[str]:
    return [f"set {' or '.join(variables)}"] if variables else []


def _base_url(
    spec: ProviderSpec, target: Target, dialect: str, environ: Environ
) -> str:
    usual = spec.base_url
    if dialect != spec.dialect and target.base_url is None:
        usual = spec.other_dialects.get(dialect, "")
        if not usual:
            spoken = (spec.dialect, *spec.other_dialects)
            raise ConfigurationError(
                f"{spec.id} does not speak {dialect!r} but {', '.join(spoken)};"
                " for another server pass base_url= too."
            )
    if target.base_url is not None:
        check_dialect(dialect)
        return target.base_url
    # A variable names the provider's own surface; another one is found only below it.
    below = usual.startswith(spec.base_url)
    variable = _first_set(environ, spec.base_url_env) if below else None
    if variable:
        own = _completed(spec, variable, _value(environ, variable))
        return own + usual.removeprefix(spec.base_url)
    if not spec.embedded and _value(environ, "AI_BASE_URL"):
        return check_base_url(_value(environ, "AI_BASE_URL"), "AI_BASE_URL")
    return usual


def _completed(spec: ProviderSpec, variable: str, value: str) -> str:
    """
    Make a base URL of what a variable holds: maybe a host alone, or without its path.
    """
    if "://" not in value:
        usual = urlsplit(spec.base_url)
        host, slash, path = value.partition("/")
        if host.startswith(":"):
            host = f"{usual.hostname}{host}"  # OLLAMA_HOST may be a port alone
        port = re.search(r":\d+$", usual.netloc)
        if port and not re.search(r":\d+$", host):
            host += port[0]
        value = f"{usual.scheme}://{host}{slash}{path}"
    url = check_base_url(value, variable)
    if not urlsplit(url).path:
        url += spec.base_url_suffixes.get(variable, "")
    return url


def _key_source(
    spec: ProviderSpec, target: Target, environ: Environ
) -> KeySource | None:
    variables = spec.api_key_env or ("AI_API_KEY",)
    if target.api_key is not None:
        return KeySource.of(target.api_key, variable=variables[0])
    if spec.embedded:
        return None
    variables += spec.token_env
    variable = _first_set(environ, (*variables, "AI_API_KEY"))
    if variable:
        secret = Secret(_value(environ, variable), variable)
        token = variable in spec.token_env
        return KeySource(variable=variable, secret=secret, token=token)
    if spec.key_required and not spec.aws_service:
        raise MissingApiKeyError(
            f"No API key for {spec.id}: pass api_key= or set {' or '.join(variables)}.",
            provider=spec.id,
        )
    return None


def _signing(target: ResolvedTarget) -> KeySource:
    """
    Have requests signed in place of a key; whether there are credentials is seen when the first one is.
    """
    from importlib.util import find_spec

    spec = target.spec
    if find_spec("botocore") is None:
        raise MissingApiKeyError(
            f"No API key for {spec.id}: pass api_key= or set {' or '.join(spec.api_key_env)};"
            " or sign requests with credentials of AWS: install the extra"
            f" `{spec.aws_service}`: in the checkout, pip install '.[{spec.aws_service}]'.",
            provider=spec.id,
        )
    region = _option(spec, target.options, "region")
    variable = spec.api_key_env[0]
    signature = Signature(service=spec.aws_service, region=region, variable=variable)
    return KeySource(variable=variable, signature=signature)


_AUTO = frozenset({"", "auto", "default", "provider_default"})


def resolve_model(
    spec: ProviderSpec,
    requested: str | None,
    *,
    default: str | None = None,
    environ: Environ = None,
) -> str | None:
    """
    Tell which model *requested* means at a provider.

    Empty, ``auto``, ``default`` and ``provider_default`` mean: the client's *default*, else what the
    provider's variables name, else the record's default, else what ``DEFAULT_AI_MODEL`` names, whatever
    provider that was meant for.

    Returns:
        The model; ``None`` when it is the first that the server lists.

    Raises:
        ConfigurationError: Nothing names one.
    """
    if not _is_auto(requested):
        return requested
    if not _is_auto(default):
        return default
    for variable in spec.model_env:
        if not _is_auto(_value(environ, variable)):
            return _value(environ, variable)
    fallback = spec.default_model or _value(environ, "DEFAULT_AI_MODEL")
    if not _is_auto(fallback):
        return fallback
    if spec.first_listed_model:
        return None
    ways = " or ".join(["pass model=", *_setting(spec.model_env)])
    raise ConfigurationError(f"{spec.id} has no default model: {ways}.")


def _is_auto(model: str | None) -> bool:
    return model is None or model.strip().lower() in _AUTO
