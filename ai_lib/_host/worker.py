"""
Items that are asked in other processes: the recipe of a client and a request in, an answer or an error out.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError
from hashlib import blake2b
from importlib import import_module
from typing import Any
from uuid import uuid4

from ai_lib._core.batch.plan import BatchOptions
from ai_lib._core.batch.recipe import ClientRecipe
from ai_lib._core.call import Call
from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.errors import (
    AiLibError,
    ConfigurationError,
    MissingApiKeyError,
    NetworkError,
)
from ai_lib._core.flow import Flow, Join
from ai_lib._core.forks import ProcessLock
from ai_lib._core.secrets import redact
from ai_lib._core.settings import Settings

Ask = Callable[[ChatCompletionRequest, Call], Flow[ChatCompletionResponse]]

#: How many clients a process keeps for batches to come.
_MOST = 8

_clients: OrderedDict[bytes, tuple[Any, bool]] = OrderedDict()
_lock = ProcessLock()


# Here


def ask_elsewhere(settings: Settings, options: BatchOptions, *, built_in: bool) -> Ask:
    """
    Make what asks through the executor of a batch; for both packages.

    Args:
        settings: The client's.

        options: The batch's.

        built_in: Whether the client sends by nothing that it was given.

    Raises:
        ConfigurationError: The client cannot be made in another process.
    """
    if not built_in:
        raise ConfigurationError(
            "A client that was given a session, an HTTP client or a transport cannot be made again in the"
            " executor's processes: make it without."
        )
    executor = options.executor
    assert executor is not None
    recipe = ClientRecipe.of(
        settings, leaves_refusals=options.smart, send_keys=options.send_keys
    )
    packed = Packed(pickle.dumps(recipe))

    def ask(request: ChatCompletionRequest, call: Call) -> Flow[ChatCompletionResponse]:
        call.check()
        # Dask takes calls with the same arguments for one.
        promise = executor.submit(answer, packed, _pack(request), uuid4().hex)
        try:
            outcome = yield Join(promise)
        except (AiLibError, BrokenExecutor, CancelledError):
            raise  # a broken executor ends the batch: every other item would fail too
        except Exception as error:  # noqa: BLE001  # executors have errors of their own
            raise NetworkError(
                "The executor has lost this request, answered or not:"
                f" {type(error).__name__}: {redact(str(error))}"
            ) from None
        if isinstance(outcome, BaseException):
            raise outcome
        if not isinstance(outcome, ChatCompletionResponse):
            raise NetworkError(
                "The executor has lost this request, answered or not: in place of an answer it gave"
                f" {type(outcome).__name__}."
            )
        return outcome

    return ask


class Packed(bytes):
    """
    What was pickled here, and is unpickled in ``answer``: an executor that does so itself may break at what
    cannot be, and take all that it runs along. Shows its size alone: a key may be in it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


def _pack(request: ChatCompletionRequest) -> Packed:
    try:
        return Packed(pickle.dumps(request))
    except Exception as error:  # noqa: BLE001  # pickle passes on what objects raise
        raise ConfigurationError(
            f"This request cannot go to the executor's processes: {error}"
        ) from None


# There


def answer(
    packed: Packed,
    request: Packed,
    turn: str,  # noqa: ARG001  # for who tells calls apart by their arguments
) -> ChatCompletionResponse | Exception:
    """
    Ask, with a client that this process keeps.

    Args:
        packed: Its recipe.

        request: What to ask.

        turn: Unlike every other call's.

    Returns:
        The answer, or what came instead: errors that fly through an executor lose what they know.
    """
    try:
        client, leaves_refusals = _client_of(packed)
        found: ChatCompletionResponse = client._answer(  # noqa: SLF001  # made for this
            _unpacked(request), leaves_refusals=leaves_refusals
        )
    except (KeyboardInterrupt, SystemExit) as error:  # ends this process, no other
        return NetworkError(
            "The executor has lost this request, answered or not: its process was told to end"
            f" ({type(error).__name__})."
        )
    except Exception as error:  # noqa: BLE001  # raised where the batch runs
        return _sendable(error.with_traceback(None))
    return found


def _sendable(error: Exception) -> Exception:
    """
    Give an error, or one that stands for it: what cannot be unpickled breaks the executor that carries it.
    """
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # made here
    except Exception:  # noqa: BLE001  # pickle passes on what objects raise
        return ConfigurationError(
            "A process of the executor failed with an error that cannot be sent back."
            f" {type(error).__name__}: {redact(str(error))}"
        )
    return error


def _unpacked(packed: Packed) -> Any:
    try:
        return pickle.loads(packed)  # noqa: S301  # comes by who unpickles anyway
    except Exception as error:  # noqa: BLE001  # likewise
        raise ConfigurationError(
            "A process of the executor cannot read what it was sent: what this client or request is made of"
            f" must be importable there. {type(error).__name__}: {error}"
        ) from None


def _client_of(packed: Packed) -> tuple[Any, bool]:
    """
    Give the client of a recipe, and whether it leaves refusals to who asks.
    """
    key = blake2b(packed, digest_size=16).digest()
    with _lock():
        if key not in _clients:
            recipe: ClientRecipe = _unpacked(packed)
            _clients[key] = _made(recipe), recipe.leaves_refusals
            while len(_clients) > _MOST:  # may be in use: let go of, not closed
                _clients.popitem(last=False)
        _clients.move_to_end(key)
        return _clients[key]


def _made(recipe: ClientRecipe) -> Any:
    make = import_module("ai_lib").AiClient  # stands above this package: found by name
    try:
        return make(**recipe.keywords())
    except MissingApiKeyError as error:
        where = "In a process of the executor (send_keys=True sends the client's own)"
        error.args = (f"{where}: {error.message}",)
        raise
