"""
A caller's hooks: plain callables, each given one event.

They are called where the call runs (of a race: in a thread of its own), so they must be quick, and in
the async package must not block. One that raises is logged and harms no call. No event holds a key.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ai_lib._core.log import logger

if TYPE_CHECKING:
    from ai_lib._core.events import Event

#: Numbers for calls.
call_ids = itertools.count(1)

Hook: TypeAlias = "Callable[[Event], object]"
#: The classes in ``events``, by name: they are imported when there is a hook to tell.
Kind = Literal[
    "BreakerEvent",
    "ChunkEvent",
    "ErrorEvent",
    "FailoverEvent",
    "RequestEvent",
    "ResponseEvent",
    "RetryEvent",
]


def as_hooks(value: Any) -> tuple[Hook, ...]:
    """
    Read what callers write: one callable or several.

    Raises:
        TypeError: One cannot be called.
    """
    if value is None:
        return ()
    if not callable(value) and not isinstance(value, Iterable):
        kind = type(value).__name__
        raise TypeError(f"hooks must be a callable or several, not {kind}")
    hooks = (value,) if callable(value) else tuple(value)
    for one in hooks:
        if not callable(one):
            raise TypeError(f"hooks must be callables, not {type(one).__name__}")
    return hooks


def tell(hooks: Sequence[Hook], kind: Kind, **facts: Any) -> None:
    """
    Make an event of *facts*, and give it to every hook.
    """
    from ai_lib._core import events

    event: Event = getattr(events, kind)(**facts)
    for hook in hooks:
        try:
            hook(event)
        except Exception as error:  # noqa: BLE001  # harms no call
            name = getattr(hook, "__qualname__", type(hook).__name__)
            # Not the message or the traceback: they may hold what the event holds.
            logger("hooks").warning(
                "The hook %s raised %s when told of a %s.",
                name,
                type(error).__name__,
                type(event).__name__,
            )
