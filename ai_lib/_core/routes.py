"""
Where attempts go: targets with all that is needed there, and how far a redirect may lead.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from urllib.parse import urljoin, urlsplit

import attrs

from ai_lib._core.chat import ChatCompletionRequest
from ai_lib._core.dialects import Dialect
from ai_lib._core.errors import ConfigurationError, InvalidResponseError
from ai_lib._core.families import dialect_for
from ai_lib._core.http import HttpRequest, HttpResponse
from ai_lib._core.providers import Origin, ResolvedTarget
from ai_lib._core.record import Record
from ai_lib._core.registry import loader_of
from ai_lib._core.targets import KeySource, Target, resolve, resolve_model


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Route(Record):
    """
    A target with all that an attempt at it needs.

    Attributes:
        target: Where it goes.

        load: Gives the module that speaks its format; the first time it imports it.

        key: Where its key comes from; ``None``: it needs none.

        launch: Starts the embedded server, where there is one, and says where it listens.

        chosen: The caller chose the dialect: no request goes in another.

        names: What the one model there is called; empty: there may be many.

        model: The target's default model; ``None``: the record's, or the environment's.

        fixed: Whether that model is asked for whatever a request says: so of a target to fail over to.
    """

    target: ResolvedTarget
    load: Callable[[], Dialect]
    key: KeySource | None = None
    launch: Callable[[], Origin] | None = attrs.field(default=None, repr=False)
    chosen: bool = False
    names: tuple[str, ...] = ()
    model: str | None = None
    fixed: bool = False

    @property
    def dialect(self) -> Dialect:
        """
        The module that speaks its format.
        """
        return self.load()

    def named(self, requested: str) -> str | None:
        """
        Tell which model *requested* means here; ``None``: the first that the server lists.
        """
        if self.fixed and self.model is not None:
            requested = self.model
        return self.checked(
            resolve_model(self.target.spec, requested, default=self.model)
        )

    @property
    def host(self) -> str:
        """
        Where it goes, for what all that goes there shares.
        """
        return urlsplit(self.target.base_url).netloc

    def checked(self, model: str | None) -> str | None:
        """
        Give *model* back, if it may be asked for here.

        Raises:
            ConfigurationError: There is one model only, and it is not this one.
        """
        known = {one.lower() for one in self.names}
        if model is None or not known or model.lower() in known:
            return model
        raise ConfigurationError(
            f"{self.target.provider} has no model {model!r}: the local model is one, here"
            f" {self.names[0]}. Leave the model out, or pass a .gguf file as the client's model."
        )

    def suited(self, request: ChatCompletionRequest, model: str) -> Route:
        """
        Give the route in the dialect that *request* needs: mostly this one.
        """
        name = self.target.dialect
        if not self.chosen:
            name = dialect_for(self.target, request, model)
        if name == self.target.dialect:
            return self
        spec = attrs.evolve(self.target.spec, dialect=name)
        target = attrs.evolve(self.target, spec=spec)
        return attrs.evolve(self, target=target, load=loader_of(name))


def route_of(
    wanted: Target, serve: Callable[[str | None], Origin], *, fixed: bool = False
) -> Route:
    """
    Look up all that an attempt needs.

    Args:
        wanted: Where it goes, in the caller's words.

        serve: Starts the embedded server for a model file, or the default model, and says where it listens.

        fixed: As the route's.
    """
    target, key = resolve(wanted)
    embedded = target.spec.embedded and wanted.base_url is None
    model, launch = wanted.model, None
    names: tuple[str, ...] = ()
    if embedded:
        file = model if model and model.lower().endswith(".gguf") else None
        model, launch = None if file else model, partial(serve, file)
        names = (*embedded_names(file), target.provider)
    route = Route(
        target=target,
        load=loader_of(target.dialect),
        key=key,
        launch=launch,
        chosen=wanted.dialect is not None,
        names=names,
        model=model,
        fixed=fixed,
    )
    if model and embedded:
        route.checked(resolve_model(target.spec, model))
    return route


def embedded_names(file: str | None = None) -> tuple[str, ...]:
    """
    List what the embedded model is called, the name for messages first.

    Args:
        file: The caller's own; by default the one of ``AI_LIB_LOCAL_MODEL``, else SmolLM2.
    """
    file = file or os.environ.get("AI_LIB_LOCAL_MODEL")
    if file:
        from pathlib import PurePath

        return PurePath(file).stem, PurePath(file).name, file
    return (
        "SmolLM2-135M",
        "SmolLM2",
        "SmolLM2-135M-Instruct",
        "SmolLM2-135M-Instruct.Q4_1",  # as its server lists it
    )


def redirected(
    route: Route, request: HttpRequest, response: HttpResponse
) -> HttpRequest:
    """
    Follow 307 and 308 within the origin; neither key nor prompt goes anywhere else.
    """
    where = response.headers.get("location", "")
    try:
        goal = urljoin(request.url, where) if where else ""
        host = urlsplit(goal).hostname
        same = _origin(goal) == _origin(request.url) and "@" not in goal
    except ValueError:
        host, same = None, False
    if response.status not in (307, 308) or not same:
        raise InvalidResponseError(
            f"{route.target.provider} answered {response.status}, a redirect to"
            f" {host or 'nowhere'}; neither key nor prompt was sent"
            " there. If that is its new address, pass it as base_url=.",
            status_code=response.status,
        )
    return attrs.evolve(request, url=goal)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, port
