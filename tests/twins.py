"""
Both packages behind one blocking interface, so that a scenario is written once.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from functools import partial

import faults
import pytest
from anyio.from_thread import start_blocking_portal

import ai_lib
import ai_lib_async

#: Looks like no provider's key, so that only who knows it can hide it.
KEY = "LEAKzq8Xw2Rk5Tn9VbHd4Jm7"
PROMPT = "PROMPTqx7 is what nobody else may read"


def ask(text=PROMPT, **more):
    """
    Make a request.
    """
    return ai_lib.ChatCompletionRequest("m", [ai_lib.Message.user(text)], **more)


class BlockingTwin:
    """
    ``ai_lib``, as it is.
    """

    name = "blocking"
    package = ai_lib

    def call(self, function, /, *arguments, **keywords):
        """
        Call a function of the package.
        """
        return function(*arguments, **keywords)

    def client(self, server=None, /, **settings):
        """
        Make a client of *server*, without retries if nothing else is said.
        """
        return ClientOf(self, self.raw_client(server, **settings))

    def raw_client(self, server=None, /, **settings):
        """
        Make the package's own client, to be used where ``call`` runs.
        """
        if server is not None:
            settings.setdefault("base_url", server.url)
        if "retry" not in settings:
            settings.setdefault("max_retries", 0)
        settings.setdefault("api_key", KEY)
        provider = settings.pop("provider", "openai")
        client = self.package.AiClient(provider, **settings)
        self.made.append(client)
        return client

    def __init__(self):
        self.made = []

    def close(self):
        """
        Close every client that was made.
        """
        for client in self.made:
            self.call(client.close)


class AsyncTwin(BlockingTwin):
    """
    ``ai_lib_async``, in an event loop of its own in another thread.
    """

    package = ai_lib_async

    def __init__(self, backend, *, debug=False):
        super().__init__()
        self.name = backend
        self._stack = ExitStack()
        options = {"debug": True} if debug else {}
        portal = start_blocking_portal(backend, options)
        self.portal = self._stack.enter_context(portal)

    def call(self, function, /, *arguments, **keywords):
        """
        Call a function in the loop, and wait for what it promises.
        """
        return self.portal.call(partial(function, *arguments, **keywords))

    def close(self):
        """
        Close every client that was made, and the loop.
        """
        try:
            super().close()
        finally:
            self._stack.close()


class _Of:
    """
    A public object, the awaiting done.
    """

    plain = frozenset()

    def __init__(self, twin, one):
        self.twin = twin
        self.one = one

    def __getattr__(self, name):
        found = getattr(self.one, name)
        if name in self.plain or not callable(found):
            return found
        return partial(self._call, found)

    def _call(self, function, /, *arguments, **keywords):
        result = self.twin.call(function, *arguments, **keywords)
        if isinstance(result, self.twin.package.ChatCompletionStream):
            return StreamOf(self.twin, result)
        return result

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class ClientOf(_Of):
    """
    A client.
    """

    plain = frozenset({"prepare", "default_chat_model"})

    def with_options(self, **changes):
        """
        Make another one.
        """
        changed = self.one.with_options(**changes)
        self.twin.made.append(changed)
        return ClientOf(self.twin, changed)

    def stream_with_cancel(self, request):
        """
        Make a stream and its handle.
        """
        stream, handle = self.twin.call(
            _plainly, self.one.chat_completion_stream_with_cancel, request
        )
        return StreamOf(self.twin, stream), handle


def _plainly(function, *arguments):
    """
    Call a function that is no coroutine's in either package, also from a portal.
    """
    return function(*arguments)


class StreamOf(_Of):
    """
    A stream: an iterator.
    """

    def __iter__(self):
        return self

    def __next__(self):
        step = getattr(self.one, "__anext__", None) or self.one.__next__
        try:
            return self.twin.call(step)
        except StopAsyncIteration:
            raise StopIteration from None

    def until_failed(self):
        """
        Read until it fails; give the texts and the error.
        """
        texts = []
        with pytest.raises(ai_lib.AiLibError) as caught:
            texts.extend(chunk.text for chunk in self)
        return texts, caught.value


def make_twin(name, *, debug=False):
    """
    Make the twin of this name: ``blocking``, or an event loop's.
    """
    if name == "blocking":
        return BlockingTwin()
    return AsyncTwin(name, debug=debug and name == "asyncio")


def eventually(condition, within=faults.PATIENCE):
    """
    Wait until *condition* holds, where nothing tells of a change.
    """
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.001)


class Stopwatch:
    """
    Seconds since it was made.
    """

    def __init__(self):
        self._began = time.monotonic()

    @property
    def seconds(self):
        """
        What it shows.
        """
        return time.monotonic() - self._began
