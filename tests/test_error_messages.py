"""
The page of errors lists what messages say: each of them is what really comes, in both packages.
"""

from __future__ import annotations

import re
from pathlib import Path

import faults
import pytest
from twins import ask

from ai_lib import AiLibError, RateLimit, RetryPolicy, SizeLimits, Timeout
from ai_lib._host.local_model import LocalServers

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"


def rows():
    """
    Read the table: what a message says, and the error's class.
    """
    text = PAGE.read_text("utf-8").partition("## By its words")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(.+?)` \| `(\w+)` \|", text, re.MULTILINE)


ROWS = rows()
THREE = RetryPolicy(attempts=3, backoff=0.001)
HTML = {"content_type": "text/html"}
CUT = (faults.event("hi"), faults.hang_up)
SILENT = (faults.event("hi"), faults.stall)


def call(*steps, **settings):
    """
    Make a situation: a call that meets these steps.
    """

    def situation(pair, server):
        server.script(*steps)
        pair.client(server, provider="groq", **settings).chat_completion(ask())

    return situation


def stream(*steps, **settings):
    """
    Make a situation: a stream that meets these steps.
    """

    def situation(pair, server):
        server.script(*steps)
        client = pair.client(server, provider="groq", **settings)
        client.chat_completion_stream(ask()).until_done()

    return situation


def made(provider="groq", **settings):
    """
    Make a situation: a client that cannot be made.
    """
    return lambda pair, _server: pair.raw_client(provider=provider, **settings)


def nothing_listens(pair, _server):
    """
    Call a port that refuses.
    """
    url = f"http://127.0.0.1:{faults.free_port()}/v1"
    pair.client(provider="groq", base_url=url, retry=THREE).chat_completion(ask())


def nothing_accepts(pair, _server):
    """
    Call a port behind which nobody answers.
    """
    with faults.port_that_never_accepts() as port:
        settings = {"base_url": f"http://127.0.0.1:{port}/v1", "retry": THREE}
        client = pair.client(provider="groq", timeout=Timeout(connect=0.05), **settings)
        client.chat_completion(ask())


def no_such_host(pair, _server):
    """
    Call a host whose name is reserved for being none.
    """
    url = "https://nowhere.invalid/v1"
    pair.client(provider="groq", base_url=url, retry=THREE).chat_completion(ask())


def no_such_proxy(pair, _server):
    """
    Call by a proxy whose port refuses.
    """
    proxy = f"http://user:password@127.0.0.1:{faults.free_port()}"
    pair.client(provider="groq", proxy=proxy, retry=THREE).chat_completion(ask())


def by_proxy(step):
    """
    Make a situation: a call by a proxy that answers with this step.
    """

    def situation(pair, server):
        server.script(step)
        pair.client(provider="groq", proxy=server.origin).chat_completion(ask())

    return situation


def limited(pair, server):
    """
    Call twice where one a minute is allowed, and nobody waits a minute.
    """
    server.script(faults.answer())
    settings = {"rate_limit": RateLimit(requests_per_minute=1)}
    client = pair.client(server, provider="groq", timeout=Timeout(total=5), **settings)
    client.chat_completion(ask())
    client.chat_completion(ask())


def closed(pair, server):
    """
    Call with a client that was closed.
    """
    client = pair.client(server, provider="groq")
    client.close()
    client.chat_completion(ask())


def cancelled(pair, server):
    """
    Read a stream that was cancelled.
    """
    client = pair.client(server, provider="groq")
    stream, handle = client.stream_with_cancel(ask())
    handle.cancel()
    stream.until_done()


def refused(pair, server):
    """
    Send what is not taken.
    """
    client = pair.client(server, provider="groq", on_unsupported="error")
    client.chat_completion(ask(top_k=3))


def model(name):
    """
    A step that does not know a model.
    """
    return faults.refusal(404, f"no model {name}", code="model_not_found")


#: By words that stand in one row alone.
SITUATIONS = {
    "No API key for groq": made(api_key=None),
    "No provider is called": made("grog"),
    "base_url must begin": made(base_url="llm.example.com"),
    "groq answered 401": call(faults.refusal(401)),
    "groq answered 402": call(faults.refusal(402)),
    "groq answered 403": call(faults.refusal(403)),
    "groq answered 404 at": call(faults.reply(b"<html>", status=404, **HTML)),
    "groq answered 404:": call(model("m")),
    "groq answered 400": call(faults.refusal(400)),
    "Again in 3600 s.": call(faults.refusal(429, headers={"retry-after": "3600"})),
    "429: … (3 attempts": call(
        faults.refusal(429, headers={"retry-after-ms": "20"}), retry=THREE
    ),
    "groq answered 503": call(faults.refusal(503), retry=THREE),
    "groq answered 500": call(faults.refusal(500), retry=THREE),
    "no connection: connection refused": nothing_listens,
    "there is no such host name": no_such_host,
    "the proxy …: connection refused": no_such_proxy,
    "it answered": by_proxy(faults.reply(status=502)),
    "it asks for a user": by_proxy(faults.reply(status=407)),
    "no connection within": nothing_accepts,
    "no whole answer within": call(
        faults.raw(faults.stall), retry=THREE, timeout=Timeout(attempt=0.1)
    ),
    "silence for": stream(faults.stream(*SILENT), timeout=Timeout(idle=0.1)),
    "the answer broke off": call(
        faults.reply(b"{", faults.hang_up, length=9), retry=THREE
    ),
    "ended the stream": stream(faults.stream(*CUT)),
    "a web page in place": call(faults.reply(b"<html>Sign in", **HTML)),
    "answered no JSON": call(faults.reply(b"hello")),
    "a redirect to": call(
        faults.reply(status=307, headers={"location": "https://elsewhere.example"})
    ),
    "The answer is larger": call(
        faults.answer("a" * 1000), size_limits=SizeLimits(answer=999)
    ),
    "does not take": refused,
    "the rate limit set here": limited,
    "The client was closed": closed,
    "The stream was cancelled": cancelled,
}
#: Tested where there is what they need: certificates, and a machine without the model.
ELSEWHERE = ("its certificate is not trusted", "The local model needs")


def assert_listed(words, error):
    """
    Assert that the row with these *words*, and no other, lists this message, with its class.
    """
    listed = [
        (message, kind)
        for message, kind in ROWS
        if re.fullmatch(re.escape(message).replace("…", ".+"), str(error))
    ]
    [(message, kind)] = listed or [("", str(error))]
    assert (True, type(error).__name__) == (words in message, kind)


@pytest.mark.parametrize("words", SITUATIONS)
def test_message_is_listed(words, pair, server):
    """
    What goes wrong says what the page of errors lists, in both packages.
    """
    with pytest.raises(AiLibError) as caught:
        SITUATIONS[words](pair, server)

    assert_listed(words, caught.value)


def test_message_of_certificate_is_listed(pair, tls_server):
    """
    A certificate that nobody trusts is said as the page of errors lists it.
    """
    client = pair.client(tls_server, provider="groq")

    with pytest.raises(AiLibError) as caught:
        client.chat_completion(ask())

    assert_listed(ELSEWHERE[0], caught.value)


def test_message_of_local_model_is_listed():
    """
    Without llama.cpp the embedded model says what the page of errors lists.
    """
    servers = LocalServers(engine="no_such_engine")

    with pytest.raises(AiLibError) as caught:
        servers.serve()

    assert_listed(ELSEWHERE[1], caught.value)


def test_every_listed_message_is_met():
    """
    Each row of the page has one situation here, and each situation one row.
    """
    found = {
        words: [message for message, _ in ROWS if words in message]
        for words in (*SITUATIONS, *ELSEWHERE)
    }

    assert sorted([message] for message, _ in ROWS) == sorted(found.values())
