"""
Journals on real disks: what is there after a kill, and what is given back.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ai_lib._core.batch import BatchItem
from ai_lib._core.batch.records import HEADER, content_key, item_to_line
from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse, Choice
from ai_lib._core.errors import ConfigurationError, RateLimitError, ServerError
from ai_lib._core.messages import Message
from ai_lib._host.journal import Journal, read_journal

TESTS = str(Path(__file__).parent)


def request(text="Hi"):
    """
    Make a request.
    """
    return ChatCompletionRequest("m", text, temperature=0.5)


def answered(index, text="Hi", answer="Hello"):
    """
    Make an item that was answered.
    """
    choice = Choice(message=Message.assistant(answer), finish_reason="stop")
    response = ChatCompletionResponse(id=f"r{index}", model="m", choices=[choice])
    return BatchItem(index=index, request=request(text), response=response)


def failed(index, text="Hi"):
    """
    Make an item that was refused.
    """
    error = RateLimitError("slower", provider="groq", status_code=429)
    return BatchItem(index=index, request=request(text), error=error)


@pytest.fixture
def path(tmp_path):
    """
    Give the path of a journal that is not there yet.
    """
    return tmp_path / "run.jsonl"


@pytest.fixture
def filled(path):
    """
    Give the path of a journal with three answers and a failure.
    """
    with Journal.open(path) as journal:
        journal.append([answered(0, "a"), answered(1, "b", "one"), failed(2, "c")])
        journal.append([answered(3, "b", "two")])
    return path


# Giving back


def test_answers_are_given_back(filled):
    """
    An answered request is given its answer at its new place, as it was.
    """
    with Journal.open(filled) as journal:
        found = journal.recall(request("a"), 7)

    assert answered(0, "a").response == found.response
    assert (7, request("a"), None) == (found.index, found.request, found.error)


def test_failures_are_asked_again(filled):
    """
    What ended in an error is not given back.
    """
    with Journal.open(filled) as journal:
        assert journal.recall(request("c"), 2) is None


def test_duplicates_are_counted(filled):
    """
    Each stored answer is given once: a third request of one content finds nothing after two.
    """
    with Journal.open(filled) as journal:
        texts = {journal.recall(request("b"), 0).response.text for _ in range(2)}

        assert {"one", "two"} == texts
        assert journal.recall(request("b"), 0) is None
        assert 1 == journal.answered


def test_changed_list_is_matched_by_content(filled):
    """
    In another order, with some gone and others new, each request still finds its own.
    """
    with Journal.open(filled) as journal:
        found = [journal.recall(request(text), 0) for text in ("new", "b", "a")]

    assert found[0] is None
    assert found[1].response.text in ("one", "two")
    assert "Hello" == found[2].response.text


def test_what_this_run_appends_is_its_own(path):
    """
    An answer is given back to later runs only, so that identical requests are each asked.
    """
    with Journal.open(path) as journal:
        journal.append([answered(0)])

        assert journal.recall(request(), 1) is None

    with Journal.open(path) as journal:
        assert journal.recall(request(), 1) is not None


def test_many_are_all_found(path):
    """
    Thousands of answers, some of the same content, are each found exactly once.
    """
    texts = [f"{number % 4000}" for number in range(5000)]
    with Journal.open(path, fsync=False) as journal:
        journal.append(answered(i, text, text) for i, text in enumerate(texts))

    with Journal.open(path) as journal:
        random.Random(1).shuffle(texts)
        found = [journal.recall(request(text), 0).response.text for text in texts]

        assert texts == found
        assert 0 == journal.answered


def test_long_answers_are_whole(path):
    """
    An answer of any length is given back whole, whatever its characters.
    """
    text = "ä\n\u2028\ud83d" * 20_000
    with Journal.open(path) as journal:
        journal.append([answered(0, "a", text), answered(1, "b")])

    with Journal.open(path) as journal:
        assert text == journal.recall(request("a"), 0).response.text
        assert "Hello" == journal.recall(request("b"), 0).response.text


# Reading


def test_items_are_read_without_the_run(filled):
    """
    A journal is read while a run has it open; errors come back as their classes.
    """
    with Journal.open(filled):
        found = list(read_journal(filled))

    assert [0, 1, 2, 3] == [one.index for one in found]
    assert [True, True, False, True] == [one.ok for one in found]
    assert isinstance(found[2].error, RateLimitError)
    assert 429 == found[2].error.status_code
    assert found[0].request is None
    assert content_key(request("a")) == found[0].key


def test_requests_are_kept_when_asked(path):
    """
    With ``keep_requests`` an item has its request, but never its headers.
    """
    secret = ChatCompletionRequest("m", "Hi", extra_headers={"X-Trace": "s3cret"})
    item = BatchItem(index=0, request=secret, error=ServerError("no"))
    with Journal.open(path, keep_requests=True) as journal:
        journal.append([item])

    (found,) = read_journal(path)

    assert ChatCompletionRequest("m", "Hi") == found.request
    assert b"s3cret" not in path.read_bytes()


def test_notes_are_kept(path):
    """
    The newest note of each name is there when the journal is opened again; ``None`` takes one back.
    """
    with Journal.open(path) as journal:
        journal.note("batch", {"id": "b1"})
        journal.note("batch", {"id": "b2"})
        journal.note("other", 1)
        journal.append([answered(0)])
        journal.note("other", None)
        assert {"batch": {"id": "b2"}} == journal.notes

    with Journal.open(path) as journal:
        assert {"batch": {"id": "b2"}} == journal.notes
        assert journal.recall(request(), 0) is not None


def test_note_that_is_no_json_is_refused(path):
    """
    A note that could not be read back is not written.
    """
    with Journal.open(path) as journal:
        with pytest.raises(TypeError):
            journal.note("a", object())
        with pytest.raises(ValueError):
            journal.note("a", float("nan"))

    assert HEADER == path.read_bytes()


# Files


def test_new_file_is_private(path):
    """
    A new journal can be read by its owner alone; one that was there keeps its mode.
    """
    Journal.open(path).close()
    assert 0o600 == path.stat().st_mode & 0o777

    path.chmod(0o644)
    Journal.open(path).close()
    assert 0o644 == path.stat().st_mode & 0o777


@pytest.mark.parametrize(
    "content",
    [
        b"{}\n",
        b"my notes",
        b'{"custom_id": "1"}\n{"custom_id": "2"}\n',
        b"\x00\x01",
        b'{"ai_lib":"journal","version":2}\n',
        b"\n",
    ],
)
def test_other_files_are_left_alone(path, content):
    """
    A file that is no journal of ours is refused by name, and stays as it is.
    """
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"run\.jsonl"):
        Journal.open(path)
    with pytest.raises(ConfigurationError, match=r"run\.jsonl"):
        list(read_journal(path))

    assert content == path.read_bytes()


def test_symbolic_link_is_followed(path, tmp_path):
    """
    A link names the file that it points to, there or not.
    """
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)

    with Journal.open(link) as journal:
        journal.append([answered(0)])
        with pytest.raises(ConfigurationError, match="still going on"):
            Journal.open(path)

    assert link.is_symlink()
    assert 1 == len(list(read_journal(path)))


def test_folder_and_device_are_refused(tmp_path):
    """
    Only a regular file can be a journal.
    """
    with pytest.raises(IsADirectoryError):
        Journal.open(tmp_path)
    with pytest.raises(ConfigurationError, match="no regular file"):
        Journal.open("/dev/null")


def test_missing_folder_is_the_systems_error(tmp_path):
    """
    A path that cannot be is an ``OSError`` that names it.
    """
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Journal.open(tmp_path / "nowhere" / "run.jsonl")


def test_closed_journal_says_so(path):
    """
    A closed journal takes and gives nothing; closing it twice is fine.
    """
    journal = Journal.open(path)
    journal.append([answered(0)])
    journal.close()
    journal.close()

    with pytest.raises(ConfigurationError, match="closed"):
        journal.append([answered(1)])


# Broken lines


def test_torn_last_line_is_cut_at_every_byte(path, tmp_path):
    """
    Wherever the last line was torn, it is cut off, all before it is there, and more can be written.
    """
    first = HEADER + item_to_line(answered(0, "a"), content_key(request("a")))
    last = item_to_line(answered(1, "b", "é"), content_key(request("b")))
    for cut in range(len(last)):
        path.write_bytes(first + last[:cut])

        with Journal.open(path, fsync=False) as journal:
            assert journal.recall(request("b"), 1) is None
            assert journal.recall(request("a"), 0) is not None
            assert first == path.read_bytes()
            journal.append([answered(1, "b", "é")])

        assert first + last == path.read_bytes()


def test_torn_header_is_completed_at_every_byte(path):
    """
    A journal whose very header was torn is a new one.
    """
    for cut in range(len(HEADER)):
        path.write_bytes(HEADER[:cut])
        assert [] == list(read_journal(path))

        Journal.open(path, fsync=False).close()

        assert HEADER == path.read_bytes()


def test_reader_stops_before_a_torn_line(filled):
    """
    Who reads a journal that is being written gets the whole lines, and changes nothing.
    """
    with filled.open("ab") as file:
        file.write(b'{"answered":"00')
    before = filled.read_bytes()

    assert 4 == len(list(read_journal(filled)))
    assert before == filled.read_bytes()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "no JSON"),
        ("[1]", "neither an item nor a note"),
        ('{"answered":"12","item":{}}', "32 hexadecimal"),
        ('{"answered":7,"item":{}}', "32 hexadecimal"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_broken_line_elsewhere_is_named(filled, line, problem):
    """
    A line that is broken but whole is not ours to judge: it is named by its number, nothing is changed.
    """
    lines = filled.read_text().splitlines(keepends=True)
    filled.write_text("".join([*lines[:2], f"{line}\n", *lines[2:]]))
    before = filled.read_bytes()

    with pytest.raises(ConfigurationError, match=f"line 3 is broken.*{problem}"):
        Journal.open(filled)
    with pytest.raises(ConfigurationError, match="line 3 is broken"):
        list(read_journal(filled))

    assert before == filled.read_bytes()


def test_item_that_is_none_is_named_when_it_is_wanted(path):
    """
    An answer that cannot be read is named by its line when it is asked for.
    """
    key = content_key(request()).hex()
    line = json.dumps({"answered": key, "item": {"index": 0, "response": 3}})
    path.write_bytes(HEADER + line.encode() + b"\n")

    with (
        Journal.open(path) as journal,
        pytest.raises(ConfigurationError, match="line 2 is broken"),
    ):
        journal.recall(request(), 0)


def test_lost_blocks_are_passed_over(filled):
    """
    Zeros, which a crash of the machine leaves of what never reached the disk, cost their line only.
    """
    lines = filled.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2][:20] + bytes(50) + lines[2][70:]
    filled.write_bytes(b"".join(lines) + bytes(4096))

    with Journal.open(filled) as journal:
        assert [0, 2, 3] == [one.index for one in read_journal(filled)]
        assert journal.recall(request("a"), 0) is not None
        journal.append([answered(4, "d")])

    assert [0, 2, 3, 4] == [one.index for one in read_journal(filled)]


# Several at once


def test_second_open_is_refused(path):
    """
    A journal serves one run at a time, in one process or in two; it is free once closed.
    """
    with Journal.open(path):
        with pytest.raises(ConfigurationError, match=r"run\.jsonl is the journal of"):
            Journal.open(path)
        code = f"from ai_lib._host.journal import Journal; Journal.open({str(path)!r})"
        other = subprocess.run(
            [sys.executable, "-c", code], check=False, capture_output=True, text=True
        )

    assert 1 == other.returncode
    assert "ConfigurationError" in other.stderr
    Journal.open(path).close()


def test_threads_share_their_syncs(path):
    """
    What many threads append at once is all there, each line whole.
    """
    with (
        Journal.open(path) as journal,
        ThreadPoolExecutor(16) as pool,
    ):
        start = threading.Barrier(16)

        def work(worker):
            start.wait()
            for number in range(25):
                journal.append([answered(worker * 25 + number, f"{worker}.{number}")])

        list(pool.map(work, range(16)))

    found = list(read_journal(path))
    assert set(range(400)) == {one.index for one in found}
    assert 400 == len(found)


FORK = """
import os, sys
from ai_lib._host.journal import Journal
sys.path.insert(0, {tests!r})
from test_journal import answered
journal = Journal.open({path!r})
journal.append([answered(0)])
reader, writer = os.pipe()
if os.fork() == 0:
    try:
        journal.append([answered(1)])
    except Exception as error:
        print(type(error).__name__, flush=True)
    os.close(writer)
    journal.close()
    os.read(0, 1)  # lives on until it is told
    os._exit(0)
os.close(writer)
os.read(reader, 1)
os._exit(0)  # as if killed: nothing is closed by hand
"""


def test_forked_child_has_no_part(path):
    """
    A forked child cannot write, and does not keep the journal locked when its parent is gone.
    """
    code = FORK.format(tests=TESTS, path=str(path))
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    said = parent.stdout.readline()
    parent.wait(30)

    with Journal.open(path) as journal:
        journal.append([answered(2)])
    parent.stdin.close()
    parent.stdout.close()

    assert b"ConfigurationError\n" == said
    assert [0, 2] == [one.index for one in read_journal(path)]


# Kills and full disks

KILLED = """
import sys
sys.path.insert(0, {tests!r})
from test_journal import answered
from ai_lib._host.journal import Journal
number = int(sys.argv[1])
with Journal.open({path!r}) as journal:
    while True:
        size = 1 + number % 7
        group = [answered(number + i, str(number + i), "x" * 999) for i in range(size)]
        journal.append(group)
        number += size
        print(number, flush=True)
"""


def test_nothing_that_was_kept_is_lost_to_a_kill(path):
    """
    Killed five times in the middle of writing, a journal has all that ``append`` returned for.
    """
    dice = random.Random(5)
    kept = 0
    code = KILLED.format(tests=TESTS, path=str(path))
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(kept)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(dice.randrange(1, 60)):
            kept = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().splitlines()
        kept = int(rest[-1]) if rest else kept
        child.stdout.close()
        child.wait(30)

        with Journal.open(path) as journal:
            found = {one.index for one in read_journal(path)}
            assert set(range(kept)) <= found
            assert path.read_bytes().endswith(b"\n")
            assert journal.recall(request(str(kept - 1)), 0) is not None


FULL = """
import errno, resource, signal, sys
sys.path.insert(0, {tests!r})
from test_journal import answered
from ai_lib._host.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal.open({path!r}) as journal:
    journal.append([answered(0, "a")])
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    try:
        journal.append([answered(1, "b", "x" * 5000)])
    except OSError as error:
        print(errno.errorcode[error.errno], error.filename == {path!r})
    journal.append([answered(2, "c")])
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    journal.append([answered(3, "d")])
"""


def test_full_disk_leaves_whole_lines(path):
    """
    What does not fit is refused as the system's error and leaves nothing behind; what fits goes on.
    """
    pytest.importorskip("resource")
    code = FULL.format(tests=TESTS, path=str(path))

    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )

    assert "EFBIG True\n" == done.stdout
    assert [0, 2, 3] == [one.index for one in read_journal(path)]


# Memory


def test_finished_items_take_little_memory(path):
    """
    Opened, a journal takes less than 100 bytes a finished item, however long the answers are.
    """
    count = 200_000
    line = item_to_line(answered(0, "a", "x" * 200), bytes(16))
    dice = random.Random(3)
    with path.open("wb") as file:
        file.write(HEADER)
        for _ in range(count):
            key = dice.randbytes(16).hex().encode()
            file.write(line.replace(b"0" * 32, key, 1))

    tracemalloc.start()
    try:
        with Journal.open(path) as journal:
            held, peak = tracemalloc.get_traced_memory()
            assert count == journal.answered
    finally:
        tracemalloc.stop()

    assert held < 100 * count
    assert peak < 100 * count
