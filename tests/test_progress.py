"""
How far a batch is: as numbers, to a callable, in a terminal, and in a log.
"""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import threading

import pytest

from ai_lib._core.batch import BatchItem
from ai_lib._core.batch.progress import BatchProgress, ProgressMeter
from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse, Usage
from ai_lib._core.errors import ServerError
from ai_lib._host.progress import Progress, open_progress

REQUEST = ChatCompletionRequest("m", "Hi")
ANSWERED = BatchItem(
    index=0,
    request=REQUEST,
    response=ChatCompletionResponse(
        usage=Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15)
    ),
)
FAILED = BatchItem(index=1, request=REQUEST, error=ServerError("no"))


class Clock:
    """
    A clock that is set by hand.
    """

    now = 100.0

    def __call__(self):
        """
        Give the time.
        """
        return self.now


@pytest.fixture
def clock():
    """
    Give a clock that is set by hand.
    """
    return Clock()


# Numbers


def test_everything_is_counted(clock):
    """
    Answers, failures, recalled ones and tokens are counted; what was recalled costs no tokens.
    """
    meter = ProgressMeter(10, clock=clock)
    meter.done(ANSWERED)
    meter.done(FAILED)
    meter.done(ANSWERED, recalled=True)
    clock.now += 2

    found = meter.snapshot(running=4, limit=8, waiting=1.5)

    assert (
        BatchProgress(
            done=3,
            failed=1,
            total=10,
            running=4,
            recalled=1,
            tokens=15,
            rate=1.0,
            waiting=1.5,
            concurrency=8,
            elapsed=2.0,
            remaining=7.0,
        )
        == found
    )


def test_rate_is_of_the_recent_past(clock):
    """
    The rate follows the last half minute, and the end is estimated from it.
    """
    meter = ProgressMeter(2000, clock=clock)
    for _ in range(600):
        clock.now += 0.1
        meter.done(ANSWERED)
    assert 10.0 == pytest.approx(meter.snapshot().rate, rel=0.02)

    for _ in range(200):
        clock.now += 0.5
        meter.done(ANSWERED)

    found = meter.snapshot()
    assert 2.0 == pytest.approx(found.rate, rel=0.02)
    assert 600 == pytest.approx(found.remaining, rel=0.02)


def test_slow_items_have_a_rate(clock):
    """
    When hardly any finish in half a minute, the whole run tells the rate.
    """
    meter = ProgressMeter(100, clock=clock)
    for _ in range(10):
        clock.now += 60
        meter.done(ANSWERED)

    assert 1 / 60 == pytest.approx(meter.snapshot().rate)


def test_recalled_items_make_no_rate(clock):
    """
    Thousands that were recalled at once do not promise an early end.
    """
    meter = ProgressMeter(2000, clock=clock)
    for _ in range(1000):
        meter.done(ANSWERED, recalled=True)
    for _ in range(10):
        clock.now += 1
        meter.done(ANSWERED)

    found = meter.snapshot()

    assert 1.0 == pytest.approx(found.rate)
    assert 990 == pytest.approx(found.remaining)


def test_end_is_unknown_until_something_is_known(clock):
    """
    Without a total or a first item nothing is promised; at the end nothing remains.
    """
    without = ProgressMeter(clock=clock)
    without.done(ANSWERED)
    clock.now += 1
    whole = ProgressMeter(1, clock=clock)

    assert without.snapshot().remaining is None
    assert whole.snapshot().remaining is None
    whole.done(FAILED)
    assert 0.0 == whole.snapshot().remaining


def test_meter_stays_small(clock):
    """
    What is remembered does not grow with the number of items.
    """
    meter = ProgressMeter(clock=clock)
    for _ in range(100_000):
        clock.now += 0.01
        meter.done(ANSWERED)

    assert len(meter._marks) < 200


def test_progress_is_said_in_words():
    """
    What is nothing is not mentioned.
    """
    whole = BatchProgress(
        done=1234,
        failed=5,
        total=10_000,
        running=16,
        recalled=100,
        tokens=1_203_000,
        rate=8.25,
        waiting=12.0,
        remaining=3725.0,
    )

    assert (
        "1,234/10,000 (12 %), 5 failed, 100 from the journal, 8.2/s,"
        " 1,203,000 tokens, 16 running, waiting 0:12, 1:02:05 left"
    ) == str(whole)
    assert "3 done, 6.0/min" == str(BatchProgress(done=3, rate=0.1))
    assert "0/0 (0 %)" == str(BatchProgress(total=0))


# Callables


def snapshots(count):
    """
    Make some snapshots, one after another.
    """
    return [BatchProgress(done=one, total=count - 1) for one in range(count)]


def test_callable_is_told_at_most_ten_times_a_second(clock):
    """
    The first is told, then one a tenth of a second, and the last one always, once.
    """
    told = []
    progress = Progress(open_progress(told.append)._display, clock=clock)
    for snapshot in snapshots(31):
        progress.tell(snapshot)
        clock.now += 0.03125
    progress.close()
    progress.close()

    done = [one.done for one in told]
    assert [0, 4, 8, 12, 16, 20, 24, 28, 30] == done


def test_last_state_can_be_told_at_the_end():
    """
    What is given to ``close`` is told after all else.
    """
    told = []
    progress = open_progress(told.append, 2)
    first, second, third = snapshots(3)
    progress.tell(first)
    progress.tell(second)
    progress.close(third)

    assert [first, third] == told


def test_callable_that_raises_harms_nothing(caplog):
    """
    Its error is logged once, without keys, and it goes on being told.
    """
    told = []

    def raising(snapshot):
        told.append(snapshot)
        raise ValueError("sk-proj-abcdefghijklmnopqrstuvwxyz0123456789")

    progress = open_progress(raising)
    with caplog.at_level(logging.ERROR, "ai_lib.batch"):
        progress.tell(BatchProgress())
        progress.close(BatchProgress(done=1))

    assert 2 == len(told)
    (record,) = caplog.records
    assert "ai_lib.batch" == record.name
    assert "ValueError" in record.getMessage()
    assert "abcdefghijklmnop" not in record.getMessage()


def test_slow_callable_keeps_no_thread_waiting():
    """
    While one thread tells, others go on; what they had to tell is told at the end.
    """
    entered, leave = threading.Event(), threading.Event()
    told = []

    def slow(snapshot):
        told.append(snapshot.done)
        entered.set()
        assert leave.wait(30)

    progress = open_progress(slow)
    thread = threading.Thread(target=progress.tell, args=[BatchProgress(done=1)])
    thread.start()
    assert entered.wait(30)
    progress.tell(BatchProgress(done=2))
    assert [1] == told

    leave.set()
    thread.join(30)
    progress.close()

    assert [1, 2] == told


def test_what_cannot_be_told_is_refused():
    """
    Texts and coroutine functions are named as mistakes; nothing and ``False`` show nothing.
    """

    async def told(_):
        """
        Be told, by whoever would await it.
        """

    for wrong in ("yes", 1):
        with pytest.raises(TypeError, match="True, False or a callable"):
            open_progress(wrong)
    with pytest.raises(TypeError, match="coroutine"):
        open_progress(told)
    for nothing in (None, False):
        progress = open_progress(nothing)
        assert not progress.due
        progress.tell(BatchProgress())
        progress.close()


# Terminals and logs


def test_log_gets_a_line_a_tenth(monkeypatch):
    """
    Where stderr is no terminal, a long batch writes ten lines, and its end.
    """
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    clock = Clock()
    progress = Progress(open_progress(True, 1000)._display, clock=clock)
    for snapshot in snapshots(1001):
        clock.now += 1
        progress.tell(snapshot)
    progress.close()

    lines = stream.getvalue().splitlines()
    assert 10 == len(lines)
    assert "100/1,000 (10 %)" == lines[0]
    assert "1,000/1,000 (100 %)" == lines[-1]


def test_log_gets_one_line_of_an_unknown_number(monkeypatch):
    """
    When nobody knows how many there are, only the end is said.
    """
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    progress = open_progress(True)
    progress.tell(BatchProgress(done=1))
    progress.close(BatchProgress(done=5))

    assert "5 done\n" == stream.getvalue()


def test_no_stderr_is_no_harm(monkeypatch):
    """
    A process without stderr shows nothing.
    """
    monkeypatch.setattr(sys, "stderr", None)

    open_progress(True, 3).close(BatchProgress(done=3))


SHOW = """
import sys, threading
{hide}
from ai_lib._core.batch.progress import BatchProgress
from ai_lib._host.progress import open_progress
progress = open_progress(True, 40)
for done in (10, 20):
    while not progress.due:
        pass
    progress.tell(BatchProgress(done=done, total=40, failed=2, rate=2.0, tokens=1234))
progress.close(BatchProgress(done=40, total=40, failed=3))
print(threading.active_count(), "tqdm" in sys.modules)
"""


def in_terminal(code):
    """
    Run code with its stderr a terminal of 100 columns; give its output and what the terminal got.
    """
    pty = pytest.importorskip("pty")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    environ = {**os.environ, "COLUMNS": "100"}
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, env=environ
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            more = os.read(ours, 4096)
        except OSError:  # what Linux says when the other side is closed
            break
        if not more:
            break
        shown += more
    os.close(ours)
    output = child.communicate(timeout=30)[0].decode()
    assert 0 == child.returncode, shown
    return output, shown.decode()


def test_terminal_without_tqdm_has_one_line():
    """
    Without tqdm one line is written over, and left standing at the end.
    """
    output, shown = in_terminal(SHOW.format(hide="sys.modules['tqdm'] = None"))

    assert output.startswith("1 ")
    assert "20/40 (50 %), 2 failed, 2.0/s, 1,234 tokens" in shown
    assert 1 == shown.count("\n")
    last = shown.rstrip("\r\n").rpartition("\r")[2]
    assert "40/40 (100 %), 3 failed" == last.rstrip()


def test_terminal_with_tqdm_has_a_bar():
    """
    With tqdm a bar shows the same, and leaves no thread behind.
    """
    pytest.importorskip("tqdm")

    output, shown = in_terminal(SHOW.format(hide=""))

    assert "1 True\n" == output
    assert "50%|" in shown
    assert "20/40 [00:00, 2 failed, 2.0/s, 1,234 tokens]" in shown
    assert "40/40 [00:00, 3 failed]" in shown


def test_piped_stderr_loads_no_tqdm():
    """
    Where there is no terminal nothing is loaded and no bar is drawn.
    """
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(hide="")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "1 False\n" == done.stdout
    assert "\r" not in done.stderr
    assert 3 == len(done.stderr.splitlines())
