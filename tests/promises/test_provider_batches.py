"""
Batches through the providers' own APIs, by both packages' real clients on loopback.
"""

from __future__ import annotations

import asyncio

import pytest

import ai_lib
import ai_lib_async
from ai_lib import ChatCompletionRequest, Message
from ai_lib._core.batch.apis import BATCH_APIS
from ai_lib._core.batch.jobs import Polling
from tests.batch_server import BatchServer

QUICK = Polling(first=0.01, longest=0.02)


@pytest.fixture
def server():
    """
    A server of all four APIs.
    """
    found = BatchServer()
    yield found
    found.close()


def requests():
    prompts = ("one", "refuse", "two")
    return [
        (index, ChatCompletionRequest("m-1", [Message.user(one)]))
        for index, one in enumerate(prompts)
    ]


def run_blocking(settings, told):
    with ai_lib.AiClient(**settings) as client:
        call = client._begin()
        run = client._core.provider_run(call, tell=told.__setitem__, polling=QUICK)
        client._run(run.submit(requests()), call)
        client._run(run.collect(), call)


def run_async(settings, told):
    async def main():
        async with ai_lib_async.AiClient(**settings) as client:
            call = client._begin()
            run = client._core.provider_run(call, tell=told.__setitem__, polling=QUICK)
            await client._run(run.submit(requests()), call)
            await client._run(run.collect(), call)

    asyncio.run(main())


@pytest.mark.parametrize("run", [run_blocking, run_async], ids=["blocking", "async"])
@pytest.mark.parametrize("api", BATCH_APIS)
def test_batch_through_a_real_client(server, api, run):
    """
    Submitted, asked after through faults, fetched: each item has its own answer or error.
    """
    pattern = r"GET .*/(batches|jobs)/[\w-]+$"
    server.faults += [(pattern, 503, {}), (pattern, None, {})]
    server.cuts = 1
    told = {}
    settings = {"provider": api, "api_key": "k-1", "base_url": server.base_url(api)}

    run(settings, told)

    assert "echo one" == told[0].text
    assert isinstance(told[1], ai_lib.InvalidRequestError)
    assert "echo two" == told[2].text
    assert 1 == server.made()
