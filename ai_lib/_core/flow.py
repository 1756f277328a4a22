"""
Flows: what a client does, written once for both packages.

A flow is a generator. It yields *effects*, which say what it needs (a request sent, more bytes, a
pause), and is sent the answer, or has the error thrown in at the very ``yield`` that asked. It ends by
returning its result or raising. A flow never waits and knows no HTTP library.

A *driver* is a shell's loop that performs the effects of one flow, ten lines each: blocking in
``ai_lib._client``, awaiting in ``ai_lib_async._client``. Whatever interrupts the wait (Ctrl-C, a
cancelled task) is thrown in as well, so the flow's ``finally`` blocks always run.

Flows call each other with ``yield from``. In tests a list of replies is a driver::

    flow = core.chat_completion(request)
    assert isinstance(next(flow), Send)
    flow.send(HttpResponse(status=200, body=b"…"))   # StopIteration carries the result
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, Union

import attrs

from ai_lib._core.http import (
    DEFAULT_LIMITS,
    ByteStream,
    HttpRequest,
    HttpResponse,
    SizeLimits,
)
from ai_lib._core.record import Record

if TYPE_CHECKING:
    from ai_lib._core.call import Call
    from ai_lib._core.racing import Race
    from ai_lib._core.slots import Slots

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class Send(Record):
    """
    Send a request; the reply is an ``HttpResponse``.

    Attributes:
        request: What to send; its credential is put on by the transport.

        stream: Whether to leave the body of a success open.

        limits: How much of a body to take.
    """

    request: HttpRequest
    stream: bool = False
    limits: SizeLimits = DEFAULT_LIMITS


@attrs.frozen(eq=False, repr=False)
class Read(Record):
    """
    Read from an open body; the reply is the next bytes, ``b""`` at their end.
    """

    stream: ByteStream


@attrs.frozen(eq=False, repr=False)
class Close(Record):
    """
    Close an open body, its connection with it; no reply. Allowed twice.
    """

    stream: ByteStream


@attrs.frozen(eq=False, repr=False)
class Sleep(Record):
    """
    Pause for some seconds; no reply.
    """

    seconds: float


@attrs.frozen(eq=False, repr=False)
class Run(Record):
    """
    Call a blocking function of the host (a key's callable, the start of the local model) where it
    blocks nobody else; the reply is what it returns. It is left behind when the call is cancelled.
    """

    function: Callable[[], Any]


@attrs.frozen(eq=False, repr=False)
class Note(Record):
    """
    Call a function that may wait for a store, and fails for nobody: where it blocks nobody, whatever is cancelled
    or has run out; no reply.
    """

    function: Callable[[], object]


@attrs.frozen(eq=False, repr=False)
class Keep(Record):
    """
    Call a function that writes to a disk, where it blocks nobody, whatever is cancelled or has run out; the reply is
    what it returns.
    """

    function: Callable[[], Any]


@attrs.frozen(eq=False, repr=False)
class Finish(Record):
    """
    Run a flow under a call of its own to its end, whatever else is cancelled meanwhile; the reply is what it returns.
    Nothing is begun for a call that was cancelled before.
    """

    flow: Flow[Any]
    call: Call


class Promise(Protocol):
    """
    What an executor gives for a function that it will call: a ``concurrent.futures.Future``, or one like it.
    """

    def add_done_callback(self, fn: Callable[[Any], object], /) -> object:
        """
        Call *fn* when it is there, in any thread.
        """

    def result(self, timeout: float | None = None) -> Any:
        """
        Give what came of it.
        """

    def cancel(self) -> bool:
        """
        Call the function no more, if it was not yet.
        """


@attrs.frozen(eq=False, repr=False)
class Join(Record):
    """
    Wait for what an executor does; the reply is what comes of it. It is taken back when the call is cancelled.
    """

    promise: Promise


@attrs.frozen(eq=False, repr=False)
class Take(Record):
    """
    Wait for one of a target's slots; no reply. It is given back by ``slots.leave()``.
    """

    slots: Slots


Effect = Union[
    Send, Read, Close, Sleep, Run, Note, Keep, Finish, Join, Take, "Race[Any]"
]
Flow = Generator[Effect, Any, T]


def send(
    request: HttpRequest, *, stream: bool = False, limits: SizeLimits = DEFAULT_LIMITS
) -> Flow[HttpResponse]:
    """
    Yield a ``Send``; typed.
    """
    response: HttpResponse = yield Send(request, stream, limits)
    return response


def read(stream: ByteStream) -> Flow[bytes]:
    """
    Yield a ``Read``; typed.
    """
    data: bytes = yield Read(stream)
    return data


def race(runners: Race[T]) -> Flow[T]:
    """
    Yield a ``Race``; typed.
    """
    result: T = yield runners
    return result


def run(function: Callable[[], T]) -> Flow[T]:
    """
    Yield a ``Run``; typed.
    """
    result: T = yield Run(function)
    return result
