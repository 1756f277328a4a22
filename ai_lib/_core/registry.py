"""
Which providers and dialects there are: those of the catalogue, those that a program registers, and those that
installed packages bring.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

from ai_lib._core.catalog import CATALOG
from ai_lib._core.dialects import DIALECTS
from ai_lib._core.errors import ConfigurationError
from ai_lib._core.forks import ProcessLock
from ai_lib._core.providers import ProviderSpec
from ai_lib._core.secrets import redact

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

    from ai_lib._core.dialects import Dialect

# Providers by every name, in the spelling that _plain gives; the built-in ones first.
_lock = ProcessLock()
_providers: dict[str, ProviderSpec] = {}
_dialects: dict[str, Dialect] = {}


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "").replace("_", "").replace(" ", "")


def _names_of(spec: ProviderSpec) -> dict[str, ProviderSpec]:
    return {_plain(name): spec for name in (spec.id, *spec.aliases)}


for _spec in CATALOG:
    _providers.update(_names_of(_spec))


def register_provider(spec: ProviderSpec) -> None:
    """
    Add a provider for the rest of this process.

    Raises:
        ValueError: Its id or an alias is taken.
    """
    if not isinstance(spec, ProviderSpec):
        raise TypeError(f"a ProviderSpec is needed, not {type(spec).__name__}")
    names = _names_of(spec)
    with _lock():
        for name in names:
            if name in _providers:
                raise ValueError(
                    f"{spec.id!r} cannot be registered: {name!r} is a name of"
                    f" {_providers[name].id!r} already"
                )
        _providers.update(names)


def providers() -> tuple[ProviderSpec, ...]:
    """
    List every provider, the built-in ones first, each once.
    """
    with _lock():
        return tuple({spec.id: spec for spec in _providers.values()}.values())


def find_provider(name: str | ProviderSpec) -> ProviderSpec:
    """
    Find a provider by id or alias; case, ``-`` and ``_`` do not matter. A record is its own.

    One that is not known is looked for among the entry points of the group ``ai_lib.providers``, by
    that name; only that one is loaded.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if isinstance(name, ProviderSpec):
        return name
    found = _providers.get(_plain(name)) or _from_entry_point(name)
    if found is not None:
        return found
    from difflib import get_close_matches

    name = re.split("[/:]", name, maxsplit=1)[0] or name
    known = {spec.id: None for spec in providers()}
    close = get_close_matches(
        name.strip().lower(), (*known, *_providers), n=3, cutoff=0.75
    )
    meant = ", ".join(dict.fromkeys(_providers[_plain(one)].id for one in close))
    hint = f" Did you mean {meant}?" if meant else ""
    raise ConfigurationError(
        f"No provider is called {redact(name)[:80]!r}.{hint} Write PROVIDER/MODEL, such"
        " as openai/gpt-4o; register_provider(ProviderSpec(…)) adds a provider."
    )


def load_installed() -> list[ConfigurationError]:
    """
    Load every provider that an installed package brings, for those who list them.

    Returns:
        What is wrong with those that cannot be loaded.
    """
    wrong = []
    for entry in _entry_points():
        try:
            find_provider(entry.name)
        except ConfigurationError as error:
            wrong.append(error)
    return wrong


def _entry_points() -> EntryPoints:
    from importlib.metadata import entry_points

    return entry_points(group="ai_lib.providers")


def _from_entry_point(name: str) -> ProviderSpec | None:
    for entry in _entry_points():
        if _plain(entry.name) == _plain(name):
            break
    else:
        return None
    try:
        spec: Any = entry.load()
        if callable(spec):
            spec = spec()
    except Exception as error:  # another's code may fail in any way
        raise ConfigurationError(
            f"The entry point {entry.name!r} ({entry.value}) cannot be loaded:"
            f" {type(error).__name__}: {error}"
        ) from error
    if not isinstance(spec, ProviderSpec):
        raise ConfigurationError(
            f"The entry point {entry.name!r} ({entry.value}) gives no ProviderSpec."
        )
    with _lock():
        if _providers.get(_plain(spec.id), spec) != spec:
            raise ConfigurationError(
                f"The entry point {entry.name!r} gives a provider of the id {spec.id!r},"
                " which is taken."
            )
        for alias in (_plain(entry.name), *_names_of(spec)):
            _providers.setdefault(alias, spec)
    return spec


def register_dialect(name: str, module: Dialect) -> None:
    """
    Add a dialect for the rest of this process.

    Args:
        name: As records name it.

        module: A module, or any object, that satisfies ``Dialect``.

    Raises:
        ValueError: The name is taken.

        TypeError: A function of ``Dialect`` is missing.
    """
    from ai_lib._core.dialects import Dialect

    for function in vars(Dialect):
        if not function.startswith("_") and not callable(
            getattr(module, function, None)
        ):
            raise TypeError(f"the dialect {name!r} has no function {function}")
    with _lock():
        if name in DIALECTS or name in _dialects:
            raise ValueError(f"there is a dialect called {name!r} already")
        _dialects[name] = module


def dialect_named(name: str) -> Dialect:
    """
    Find a dialect; a built-in one is imported when it is first asked for.

    Raises:
        ConfigurationError: There is none of that name.
    """
    return loader_of(name)()


def loader_of(name: str) -> Callable[[], Dialect]:
    """
    Find what gives a dialect, without importing it yet.

    Raises:
        ConfigurationError: There is none of that name.
    """
    check_dialect(name)
    return partial(_loaded, name)


def _loaded(name: str) -> Dialect:
    if name in _dialects:
        return _dialects[name]
    return _built_in(name)


@cache
def _built_in(name: str) -> Dialect:
    from importlib import import_module

    return cast("Dialect", import_module(f"ai_lib._core.dialects.{name}"))


def check_dialect(name: str) -> None:
    if name in DIALECTS or name in _dialects:
        return
    known = (*DIALECTS, *_dialects)
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=2)
    there = f"There are {', '.join(known)}."
    hint = f"Did you mean {' or '.join(close)}?" if close else there
    raise ConfigurationError(f"No dialect is called {name[:80]!r}. {hint}")


def split_model_string(text: str) -> tuple[ProviderSpec, str] | None:
    """
    Take ``"provider/model"`` or ``"provider:model"`` apart at its first separator.

    Returns:
        The provider and the rest; ``None`` when what stands before is no known provider, or nothing does.
    """
    head, separator, model = text.partition("/")
    before, colon, _ = head.partition(":")
    if colon:
        head, separator, model = before, colon, text[len(before) + 1 :]
    spec = _providers.get(_plain(head)) if separator else None
    return None if spec is None else (spec, model)
