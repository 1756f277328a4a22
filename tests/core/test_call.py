"""
A call: how it is stopped, and what it tells of itself.
"""

from __future__ import annotations

import threading

import pytest

from ai_lib._core.call import Call, CancelHandle
from ai_lib._core.errors import NetworkError, StreamCancelledError
from ai_lib._core.ledger import Attempt
from ai_lib._core.timeouts import Timeout


@pytest.fixture
def call():
    """
    Give a call.
    """
    return Call(Timeout())


def test_cancel_wakes_what_waits(call):
    """
    ``cancel`` wakes the wait that is under way, and no other.
    """
    woken = []

    call.begin_wait(lambda: woken.append("first"))
    call.end_wait()
    call.begin_wait(lambda: woken.append("second"))
    call.cancel()
    call.end_wait()
    call.cancel()

    assert ["second"] == woken


def test_cancelled_call_begins_no_wait(call):
    """
    A wait that begins behind a ``cancel`` is refused, and leaves nothing to wake.
    """
    woken = []
    call.cancel()

    with pytest.raises(StreamCancelledError):
        call.begin_wait(lambda: woken.append(1))
    call.cancel()

    assert [] == woken
    with pytest.raises(StreamCancelledError):
        call.check()


def test_cancel_of_a_signal_handler_does_not_lock_up(call):
    """
    A handler that runs in the middle of the call's own thread may cancel.
    """
    woken = []

    def interrupted():
        call.cancel()
        woken.append(1)

    call.begin_wait(interrupted)
    cancelling = threading.Thread(target=call.cancel, daemon=True)
    with call._lock:
        call.cancelled = True
        call._wake = None
        call.cancel()
    cancelling.start()
    cancelling.join(5)

    assert not cancelling.is_alive()


def test_handle_stops_its_call(call):
    """
    A handle is all that cancels, and tells whether it did.
    """
    handle = CancelHandle(call)

    assert not handle.cancelled
    handle.cancel()
    handle.cancel()

    assert handle.cancelled
    assert call.cancelled
    assert "Call" not in repr(handle)


def test_errors_are_completed(call):
    """
    An error that leaves the call is told what the call knows, and keeps what it knows itself.
    """
    call.attempts.append(Attempt(provider="p", model="m"))
    error = NetworkError("cut", model="other")

    stamped = call.stamp(error, provider="p", model="m")

    assert stamped is error
    assert ("p", "other") == (error.provider, error.model)
    assert tuple(call.attempts) == error.attempts
    assert error.elapsed >= 0
