"""
Notebooks: what a cell shows, calls while the kernel's event loop runs, and the button that interrupts. In a real
kernel, against a server on loopback.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import docs_server
import faults
import pytest
import tour
from faults import event, events, stream
from kernels import Kernel
from twins import KEY

from ai_lib import ChatCompletionResponse

SETUP = """
import ai_lib, ai_lib_async
from ai_lib import ChatCompletionRequest

request = ChatCompletionRequest("m", "Hi")
settings = {{"api_key": "{key}", "base_url": "{url}", "max_retries": 0}}
client = ai_lib.AiClient("openai", **settings)
twin = ai_lib_async.AiClient("openai", **settings)
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """
    Give a kernel for all tests.
    """
    with Kernel(tmp_path_factory.mktemp("kernel")) as made:
        yield made


@pytest.fixture
def kernel(running, server):
    """
    Give it with clients of the server: ``client``, ``twin``, and a ``request``.
    """
    running.give("%reset -f")
    running.give(SETUP.format(key=KEY, url=server.url))
    yield running
    running.give("await twin.close(); client.close()")


def test_response_shows_itself(kernel, server):
    """
    A cell that ends with an answer shows it as Markdown, and in plain text as ever.
    """
    server.script(faults.answer("**2**, 3 and 5."))

    [shown] = kernel.run("response = client.chat_completion(request)\nresponse").shown

    assert (
        "**2**, 3 and 5.\n\n*`openai` · `m` · 3 + 2 tokens*" == shown["text/markdown"]
    )
    assert shown["text/plain"].startswith(f"{ChatCompletionResponse.__name__}(id='c1'")
    assert KEY not in str(shown)


def test_blocking_call_runs_beside_the_loop(kernel, server):
    """
    The blocking client works in a cell, where an event loop runs.
    """
    server.script(faults.answer("Hello"))

    printed = kernel.give(
        "import asyncio\nasyncio.get_running_loop()\n"
        "print(client.quick_chat_text('m', 'Hi'))\n"
        "print([one.ok for one in client.chat_completion_batch([request] * 3)])"
    )

    assert "Hello\n[True, True, True]\n" == printed


def test_async_calls_are_awaited_in_a_cell(kernel, server):
    """
    The async client works from cell to cell, in the kernel's own loop.
    """
    server.script(stream(*events("a", "b")))

    kernel.give("stream = await twin.chat_completion_stream(request)")
    printed = kernel.give("async for chunk in stream:\n    print(chunk.text, end=' ')")

    assert "a b  " == printed


def opening(package, step):
    """
    Write a cell that opens a stream of one package and reads one chunk.
    """
    if package == "blocking":
        return f"stream = client.chat_completion_stream(request)\n{step.format('next')}"
    opened = "stream = await twin.chat_completion_stream(request)"
    return f"{opened}\n{step.format('await anext')}"


@pytest.mark.parametrize("package", ["blocking", "async"])
def test_stream_shows_itself_and_keeps_its_chunks(kernel, server, package):
    """
    A stream shows what has come and how it ended; showing it takes no chunk.
    """
    server.script(stream(*events("2, 3", " and 5.")))
    rest = {"blocking": "stream.until_done()", "async": "await stream.until_done()"}

    begun = kernel.run(opening(package, "_ = {}(stream)\nstream")).shown
    again = kernel.run("stream").shown
    printed = kernel.give(f"print(({rest[package]}).text)")
    ended = kernel.run("stream").shown

    assert begun == again
    assert "2, 3\n\n*… still to come*" == begun[0]["text/markdown"]
    assert "<ChatCompletionStream openai 'm' open>" == begun[0]["text/plain"]
    assert "2, 3 and 5.\n" == printed
    assert "2, 3 and 5.\n\n*`openai` · `m`*" == ended[0]["text/markdown"]
    assert "<ChatCompletionStream openai 'm' completed>" == ended[0]["text/plain"]


def test_stream_that_has_not_begun_sends_nothing_to_be_shown(kernel, server):
    """
    A stream with a handle is shown before it is opened, and is not opened by that.
    """
    code = "stream, handle = client.chat_completion_stream_with_cancel(request)\nstream"

    [shown] = kernel.run(code).shown
    after = kernel.run("handle.cancel()\nnext(stream)")
    [ended] = kernel.run("stream").shown

    assert "*not begun yet*" == shown["text/markdown"]
    assert "StreamCancelledError" == after.error
    assert "*cancelled before its end*" == ended["text/markdown"]
    assert not server.requests


READING = {
    "blocking": "with client.chat_completion_stream(request) as stream:\n"
    "    for chunk in stream:\n        print(chunk.text)",
    "async": "async with await twin.chat_completion_stream(request) as stream:\n"
    "    async for chunk in stream:\n        print(chunk.text)",
}
#: The kernel's event loop notices the signal only when something else wakes it (ipykernel 7), so where the loop
#: waits, a little comes meanwhile.
REST = {"blocking": faults.stall, "async": faults.drip_forever(b":", every=0.02)}
ASKING = {
    "blocking": "print(client.quick_chat_text('m', 'Hi'))",
    "async": "print(await twin.quick_chat_text('m', 'Hi'))",
}


@pytest.mark.parametrize("package", ["blocking", "async"])
def test_interrupted_stream_is_closed(kernel, server, package, in_thread):
    """
    The button closes the connection of a stream that is read; what had come is there, and the client works on.
    """
    server.script(stream(event("One,"), REST[package]), faults.answer("Hello"))

    running = in_thread(kernel.run, READING[package])
    kernel.until_printed("One,")
    kernel.interrupt()
    cell = running.result(faults.PATIENCE)
    server.until_left()
    [shown] = kernel.run("stream").shown

    assert cell.error in ("KeyboardInterrupt", "CancelledError")
    assert shown["text/markdown"].startswith("One,\n\n*")  # in a read, or between two
    assert kernel.give("print(stream.outcome)") in ("failed\n", "closed\n")
    assert "Hello\n" == kernel.give(ASKING[package])


@pytest.mark.parametrize("package", ["blocking", "async"])
def test_interrupted_call_is_closed(kernel, server, package, in_thread):
    """
    The button ends a call that waits for its answer, and the client works on.
    """
    head = b"HTTP/1.1 200 OK\r\nX-Noise: "
    server.script(faults.raw(head, REST[package]), faults.answer("Hello"))

    running = in_thread(kernel.run, ASKING[package])
    server.until_requests(1)
    kernel.interrupt()
    cell = running.result(faults.PATIENCE)

    assert cell.error in ("KeyboardInterrupt", "CancelledError")
    server.until_left()
    assert "Hello\n" == kernel.give(ASKING[package])


def test_interrupted_batch_keeps_what_is_finished(kernel, server, in_thread):
    """
    The button ends a batch; what was finished is on the exception.
    """
    server.script(faults.answer("Hello"), faults.raw(faults.stall))
    code = (
        "try:\n    client.chat_completion_batch([request] * 2, max_concurrency=1)\n"
        "except KeyboardInterrupt as error:\n"
        "    print([one.response.text for one in error.items])"
    )

    running = in_thread(kernel.run, code)
    server.until_requests(2)
    kernel.interrupt()

    assert "['Hello']\n" == running.result(faults.PATIENCE).printed
    server.until_left()


@pytest.fixture(params=["Context", "Verbose"])
def traceback(request, kernel):
    """
    Give a function that runs a cell and gives the error that ended it, and what is shown of that: as ever, or with
    the variables of each function.
    """
    kernel.give(f"%xmode {request.param}")

    def traceback(code):
        cell = kernel.run(code)
        return cell.error, cell.traceback

    yield traceback
    kernel.give("%xmode Context")


FAILURES = {
    "AuthenticationError": faults.refusal(401, f"wrong: {KEY}"),
    "NetworkError": faults.raw(faults.reset),
}


@pytest.mark.parametrize("package", ["blocking", "async"])
@pytest.mark.parametrize("failure", FAILURES)
def test_traceback_shows_no_key(server, traceback, package, failure):
    """
    What a notebook shows of an error holds no key.
    """
    server.script(FAILURES[failure])

    error, shown = traceback(ASKING[package])

    assert failure == error
    assert "quick_chat_text" in shown
    assert KEY not in shown


@pytest.mark.parametrize(
    ("package", "code"),
    [
        pytest.param(package, code[package], id=f"{package} {name}")
        for package in ASKING
        for name, code in {"call": ASKING, "stream": READING}.items()
    ],
)
def test_traceback_of_interrupted_cell_shows_no_key(
    kernel, server, traceback, package, code
):
    """
    Nor does what it shows of a call or a stream that was interrupted before its first byte.
    """
    server.script(faults.raw(b"HTTP/1.1 200 OK\r\nX-Noise: ", REST[package]))

    with ThreadPoolExecutor() as threads:
        running = threads.submit(traceback, code)
        server.until_requests(1)
        kernel.interrupt()
        error, shown = running.result(faults.PATIENCE)

    assert error in ("KeyboardInterrupt", "CancelledError")
    assert "client" in shown or "twin" in shown
    assert KEY not in shown


# The notebook that is kept


def test_tour_is_as_it_is_shown(tmp_path):
    """
    The example notebook runs without an error, and what stands below its cells is what they give.
    """
    kept = tour.read()

    executed = tour.executed(tour.read(), tmp_path)

    assert kept.cells == executed.cells, tour.COMMAND
    assert kept == executed, tour.COMMAND


def test_tour_says_nothing_of_the_machine():
    """
    The notebook holds no path, time or address of where it was run, and no error.
    """
    text = tour.NOTEBOOK.read_text("utf-8")

    found = re.findall(r"127\.0\.0\.1|/(?:home|tmp|usr|Users|work)/|20\d\d-\d\d", text)

    assert not found
    assert '"output_type": "error"' not in text
    assert {"cells", "metadata", "nbformat", "nbformat_minor"} == {*json.loads(text)}
    assert len(text) < 50_000


# The page on notebooks


PAGE = Path(__file__).parent.parent / "docs" / "notebooks.md"


@attrs.frozen
class Told:
    """
    A cell of the page, and the text that is shown behind it.
    """

    code: str
    printed: str | None


def cells():
    """
    List the cells of the page: fenced as ``py``, since they run in a notebook only.
    """
    found = re.findall(
        r"^```py\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?",
        PAGE.read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    return [Told(code, printed or None) for code, printed in found]


def test_cells_of_page_do_what_is_shown(running, tmp_path):
    """
    The cells of the page on notebooks run one after another, and give what is shown.
    """
    told = cells()
    with docs_server.DocsServer() as provider:
        running.give(f"%reset -f\n%cd -q {tmp_path}")
        running.give(f"import os\nos.environ.update({provider.environment!r})")

        ran = [running.run(one.code) for one in told]

        assert [None] * len(told) == [cell.error for cell in ran]
        for one, cell in zip(told, ran, strict=True):
            shown = [each.get("text/markdown", "") for each in cell.shown[-1:]]
            given = [cell.printed.rstrip(), *shown]
            assert one.printed is None or one.printed.rstrip() in given
