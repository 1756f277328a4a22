"""
Items that are asked in other processes: the recipe of a client and a request in, an answer or an error out.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError
from importlib import import_module
from typing import Any

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
from ai_lib._core.secrets import redact
from ai_lib._core.settings import Settings

Ask = Callable[[ChatCompletionRequest, Call], Flow[ChatCompletionResponse]]

#: How many clients a process keeps for batches to come.
_MOST = 8

_clients: OrderedDict[bytes, Any] = OrderedDict()
_lock = threading.Lock()


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

    def ask(request: ChatCompletionRequest, call: Call) -> Flow[ChatCompletionResponse]:
        call.check()
        promise = executor.submit(answer, recipe, request)
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
        response: ChatCompletionResponse = outcome
        return response

    return ask


# There


def answer(
    recipe: ClientRecipe, request: ChatCompletionRequest
) -> ChatCompletionResponse | Exception:
    """
    Ask, with a client that this process keeps.

    Returns:
        The answer, or what came instead: errors that fly through an executor lose what they know.
    """
    try:
        client = _client_of(recipe)
        found: ChatCompletionResponse = client._answer(  # noqa: SLF001  # made for this
            request, leaves_refusals=recipe.leaves_refusals
        )
    except Exception as error:  # noqa: BLE001  # raised where the batch runs
        return error.with_traceback(None)
    return found


def _client_of(recipe: ClientRecipe) -> Any:
    with _lock:
        if recipe.token not in _clients:
            _clients[recipe.token] = _made(recipe)
            while len(_clients) > _MOST:  # may be in use: let go of, not closed
                _clients.popitem(last=False)
        _clients.move_to_end(recipe.token)
        return _clients[recipe.token]


def _made(recipe: ClientRecipe) -> Any:
    make = import_module("ai_lib").AiClient  # stands above this package: found by name
    try:
        return make(**recipe.keywords())
    except MissingApiKeyError as error:
        where = "In a process of the executor (send_keys=True sends the client's own)"
        error.args = (f"{where}: {error.message}",)
        raise
