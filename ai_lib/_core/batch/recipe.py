"""
A client as it travels to another process.
"""

from __future__ import annotations

import pickle  # only to see whether something can be; nothing is read
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ai_lib._core.errors import ConfigurationError
from ai_lib._core.secrets import Secret
from ai_lib._core.settings import Settings
from ai_lib._core.targets import Target

Key = str | Callable[[], str] | None


@attrs.frozen(kw_only=True, repr=False)
class ClientRecipe:
    """
    What it takes to make a client again elsewhere. Pickles.

    Attributes:
        settings: Keywords of the constructor, *provider* too, without keys.

        keys: Its own, and that of each target to fail over to; ``None``: it is looked up where the client is made.

        leaves_refusals: Whether it leaves refusals for the rate of requests to who asks.
    """

    settings: Mapping[str, Any]
    keys: tuple[Key, ...]
    leaves_refusals: bool

    def __repr__(self) -> str:
        return "<ClientRecipe>"

    @classmethod
    def of(
        cls, settings: Settings, *, leaves_refusals: bool, send_keys: bool
    ) -> ClientRecipe:
        """
        Write down a client.

        Args:
            settings: Its own.

            leaves_refusals: As the recipe's.

            send_keys: Whether keys that it was given as text go along. Callables always do: they are called there.

        Raises:
            ConfigurationError: Something of it cannot be pickled.
        """
        found = [
            settings.own_target.api_key,
            *(one.api_key for one in settings.failover),
        ]
        keys = tuple(_key(one, send_keys=send_keys) for one in found)
        plain: dict[str, Any] = {
            name: _without_key(value)
            for name, value in settings.changed({}).items()
            if value is not None and name != "api_key"
        }
        for name, value in (*plain.items(), ("api_key", keys)):
            _check_pickles(name, value)
        return cls(settings=plain, keys=keys, leaves_refusals=leaves_refusals)

    def keywords(self) -> dict[str, Any]:
        """
        Give the keywords that make the client.
        """
        own, *others = self.keys
        failover = [
            attrs.evolve(target, api_key=key)
            for target, key in zip(self.settings["failover"], others, strict=True)
        ]
        return {**self.settings, "failover": failover, "api_key": own}


def _key(key: Secret | Callable[[], str] | None, *, send_keys: bool) -> Key:
    if isinstance(key, Secret):
        return key.reveal() if send_keys else None
    return key


def _without_key(value: Any) -> Any:
    if isinstance(value, Target):
        return attrs.evolve(value, api_key=None)
    if isinstance(value, tuple):
        return tuple(map(_without_key, value))
    return value


def _check_pickles(name: str, value: Any) -> None:
    try:
        pickle.dumps(value)
    except Exception as error:  # noqa: BLE001  # pickle passes on what objects raise
        raise ConfigurationError(
            f"{name} of this client cannot go to the executor's processes: {error}. Functions must"
            " be named ones of a module."
        ) from None
