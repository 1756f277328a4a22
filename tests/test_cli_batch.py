"""
``ai-lib batch`` as a shell sees it: files in, files out, and what is left when it is stopped or killed.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest
import terminals
from batch_server import BatchServer
from faults import PATIENCE, answer, refusal
from twins import eventually


def prompt_of(request):
    """
    What a request asks.
    """
    return request.json()["messages"][-1]["content"]


@pytest.fixture
def failing():
    """
    Give the prompts that are refused.
    """
    return set()


@pytest.fixture
def echoing(server, failing):
    """
    Give a server that answers with the prompt.
    """

    def step(exchange):
        text = prompt_of(exchange.request)
        return (refusal(400) if text in failing else answer(text))(exchange)

    server.script(step)
    return server


@pytest.fixture
def environ(echoing, tmp_path):
    """
    Give variables that hold groq's key, and groq's server on loopback.
    """
    return terminals.surroundings(echoing, tmp_path)


@pytest.fixture
def run(environ, tmp_path):
    """
    Run ``ai-lib batch`` to its end: exit code, standard output, standard error.
    """

    def to_the_end(*arguments, piped=""):
        return terminals.run(
            "batch", *arguments, environ=environ, piped=piped, cwd=tmp_path
        )

    return to_the_end


@pytest.fixture
def started(environ, tmp_path):
    """
    Start ``ai-lib batch``, to be stopped.
    """
    processes = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "ai_lib", "batch", *arguments],
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environ,
        )
        processes.append(process)
        return process

    yield start

    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def requests(tmp_path):
    """
    Write so many prompts to in.jsonl.
    """

    def write(count):
        lines = [json.dumps(str(number)) for number in range(count)]
        (tmp_path / "in.jsonl").write_text("\n".join(lines))

    return write


def answers_in(text):
    """
    The answers of output lines, by their names.
    """
    lines = [json.loads(line) for line in text.splitlines()]
    return {
        line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"]
        for line in lines
        if line["response"] and line["response"]["status_code"] == 200
    }


ARGUMENTS = ("in.jsonl", "-o", "out.jsonl", "-p", "groq")


def test_every_kind_of_line_is_answered(run, server, tmp_path):
    """
    Lines of OpenAI's, bodies, prompts and texts are asked; names are kept or given; nothing is said.
    """
    body = {"model": "m1", "messages": [{"role": "user", "content": "a"}], "top_p": 0.5}
    lines = [
        {
            "custom_id": "x",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": body,
        },
        {"messages": [{"role": "user", "content": "b"}], "custom_id": "y"},
        {"prompt": "c", "temperature": 0},
        "d",
    ]
    text = "\n".join(map(json.dumps, lines))
    (tmp_path / "in.jsonl").write_text(text)

    code, out, err = run(*ARGUMENTS)

    assert (0, "", "") == (code, out, err)
    assert {"x": "a", "y": "b", "request-2": "c", "request-3": "d"} == answers_in(
        (tmp_path / "out.jsonl").read_text()
    )
    asked = {prompt_of(one): one.json() for one in server.requests}
    assert ("m1", 0.5) == (asked["a"]["model"], asked["a"]["top_p"])
    assert 0 == asked["c"]["temperature"]
    assert asked["d"]["model"]


def test_model_of_the_command_line_is_asked(run, server, requests, tmp_path):
    """
    ``-m`` says the model of every line.
    """
    line = {"model": "m1", "messages": [{"role": "user", "content": "a"}]}
    (tmp_path / "in.jsonl").write_text(json.dumps(line))

    code, _, _ = run(*ARGUMENTS, "-m", "m2")

    assert 0 == code
    assert "m2" == server.requests[0].json()["model"]


def test_what_failed_is_asked_again_and_nothing_else(
    run, server, requests, failing, tmp_path
):
    """
    A failure is written as one, and costs the exit code; the same command asks for it alone.
    """
    requests(10)
    failing.update({"3", "5"})
    first = run(*ARGUMENTS)
    lines = (tmp_path / "out.jsonl").read_text()
    failing.clear()

    second = run(*ARGUMENTS)

    told = "ai-lib: 2 of 10 failed; the same command asks them again\n"
    assert (1, "", told) == first
    statuses = Counter(
        json.loads(line)["response"]["status_code"] for line in lines.splitlines()
    )
    assert {200: 8, 400: 2} == statuses
    assert (0, "", "") == second
    asked = Counter(map(prompt_of, server.requests))
    assert {"3": 2, "5": 2} == {text: n for text, n in asked.items() if n > 1}
    text = (tmp_path / "out.jsonl").read_text()
    assert 10 == len(text.splitlines()) == len(answers_in(text))


def test_killed_run_goes_on(started, run, server, requests, tmp_path):
    """
    After a kill in the middle, and with torn last lines, the same command pays for nothing twice but what was under
    way.
    """
    requests(200)
    at_once, turns = 8, threading.Semaphore(100)

    def step(exchange):
        turns.acquire(timeout=PATIENCE)
        return answer(prompt_of(exchange.request))(exchange)

    server.script(step)
    child = started(*ARGUMENTS, "-c", str(at_once))
    server.until(lambda one: len(one.requests) >= 100 + at_once)
    child.send_signal(signal.SIGKILL)
    child.wait(PATIENCE)
    for name in ("out.jsonl", "out.jsonl.journal"):
        with (tmp_path / name).open("ab") as file:
            file.write(b'{"answered":"12')
    turns.release(1000)

    code, _, err = run(*ARGUMENTS)

    assert (0, "") == (code, err.replace(torn_line(err), ""))
    text = (tmp_path / "out.jsonl").read_text()
    assert {f"request-{n}": str(n) for n in range(200)} == answers_in(text)
    assert 200 == len(text.splitlines())
    asked = Counter(map(prompt_of, server.requests))
    twice = [text for text, count in asked.items() if count > 1]
    assert len(twice) <= 2 * at_once
    assert max(asked.values()) <= 2


def torn_line(said):
    """
    What the log says of a torn line.
    """
    return next((one for one in said.splitlines(True) if "torn" in one), "")


def test_interrupt_says_how_to_go_on(started, run, server, requests, tmp_path):
    """
    Ctrl-C ends it at once with 130; what was answered is written, and not asked again.
    """
    requests(50)
    hold = threading.Event()

    def step(exchange):
        text = prompt_of(exchange.request)
        if int(text) >= 20:
            hold.wait(PATIENCE)
        return answer(text)(exchange)

    server.script(step)
    child = started(*ARGUMENTS, "-c", "4")
    server.until(lambda one: len(one.requests) >= 24)  # four of them are held
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=PATIENCE)
    hold.set()
    written = answers_in((tmp_path / "out.jsonl").read_text())

    code, _, _ = run(*ARGUMENTS)

    told = "ai-lib: interrupted: 20 of 50 are answered; the same command goes on\n"
    assert (130, told) == (child.returncode, said.decode())
    assert {f"request-{n}" for n in range(20)} == set(written)
    assert 0 == code
    assert 50 == len(answers_in((tmp_path / "out.jsonl").read_text()))
    asked = Counter(map(prompt_of, server.requests))
    assert {1} == {asked[str(number)] for number in range(20)}


def test_broken_lines_are_named_before_anything_is_asked(run, server, tmp_path):
    """
    Every broken line is named with its number and what to do, and nothing is sent.
    """
    lines = ['"fine"', "{", '{"prompt": 5}', "", '{"custom_id": "a", "body": {}}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines))

    code, _, err = run(*ARGUMENTS)

    assert 2 == code
    found = err.splitlines()
    assert [2, 3, 5] == [
        int(line.partition("line ")[2].partition(":")[0]) for line in found
    ]
    assert all(line.endswith("mend that line, or take it out") for line in found)
    assert not server.requests
    assert ["in.jsonl"] == [one.name for one in tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("nowhere.jsonl", "-o", "out.jsonl"), "nowhere.jsonl: No such file"),
        (("empty.jsonl", "-o", "out.jsonl"), "empty.jsonl holds no requests"),
        (("in.jsonl", "-o", "in.jsonl"), "IN and OUT are one file"),
        (("in.jsonl", "-o", "nowhere/out.jsonl"), "nowhere"),
        (("in.jsonl", "-o", "mine.txt"), "mine.txt is there already"),
        (("in.jsonl", "-o", "out.jsonl", "-c", "0"), "at least 1"),
        (("in.jsonl", "-o", "-", "-c", "2", "--mode", "provider"), "--concurrency"),
        (("in.jsonl", "-o", "out.jsonl", "--journal", "mine.txt"), "no journal"),
        (("in.jsonl",), "-o"),
    ],
)
def test_what_cannot_be_right_is_said(run, requests, tmp_path, arguments, problem):
    """
    A command that cannot be right ends with 2 and leaves every file as it was.
    """
    requests(1)
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "mine.txt").write_text("mine")

    code, out, err = run(*arguments, "-p", "groq")

    assert (2, "") == (code, out)
    assert problem in err
    assert "mine" == (tmp_path / "mine.txt").read_text()
    assert not (tmp_path / "out.jsonl").exists()


def test_answers_of_two_models_do_not_mix(run, server, requests, tmp_path):
    """
    An output that was begun with one provider and model goes on with these alone.
    """
    requests(2)
    run(*ARGUMENTS, "-m", "m1")
    before = (tmp_path / "out.jsonl").read_text()

    code, _, err = run(*ARGUMENTS, "-m", "m2")

    assert 2 == code
    assert "was begun with -p groq -m m1" in err
    assert before == (tmp_path / "out.jsonl").read_text()
    assert 2 == len(server.requests)


def test_two_runs_do_not_share_an_output(started, run, server, requests, tmp_path):
    """
    A second run of the same command is refused while the first goes on, and does it no harm.
    """
    requests(5)
    hold = threading.Event()

    def step(exchange):
        hold.wait(PATIENCE)
        return answer("yes")(exchange)

    server.script(step)
    child = started(*ARGUMENTS)
    server.until(lambda one: one.requests)

    code, _, err = run(*ARGUMENTS)

    hold.set()
    assert 0 == child.wait(PATIENCE)
    assert 2 == code
    assert "still going on" in err
    assert 5 == len(answers_in((tmp_path / "out.jsonl").read_text()))


def test_pipes_work_without_files(run, tmp_path):
    """
    Standard input to standard output leaves no file behind.
    """
    code, out, err = run("-", "-o", "-", "-p", "groq", piped='"a"\n"b"\n')

    assert (0, "") == (code, err)
    assert {"request-0": "a", "request-1": "b"} == answers_in(out)
    assert [] == list(tmp_path.iterdir())


def test_standard_output_with_a_journal_goes_on(run, server, requests, tmp_path):
    """
    With ``--journal`` a run to standard output gives all answers again, and asks for none again.
    """
    requests(3)
    arguments = ("in.jsonl", "-o", "-", "-p", "groq", "--journal", "my.journal")

    first, second = run(*arguments), run(*arguments)

    assert answers_in(first[1]) == answers_in(second[1])
    assert 3 == len(server.requests)


def test_wrong_key_is_not_tried_on_every_line(run, server, requests, tmp_path):
    """
    When the key is refused, the rest is not asked: it would be refused, too.
    """
    requests(500)
    server.script(refusal(401, "Bad key."))

    code, _, err = run(*ARGUMENTS)

    assert 1 == code
    assert "Bad key." in err
    assert "stopped: 0 of 500 are answered; the same command goes on" in err
    assert len(server.requests) < 100


def test_identical_requests_are_sent_once(run, server, tmp_path):
    """
    With ``--dedupe`` each content is sent once, and answered under every name.
    """
    (tmp_path / "in.jsonl").write_text('"a"\n"b"\n"a"\n"a"\n')

    code, _, _ = run(*ARGUMENTS, "--dedupe")

    assert 0 == code
    assert 2 == len(server.requests)
    assert ["a", "b", "a", "a"] == [
        answers_in((tmp_path / "out.jsonl").read_text())[f"request-{n}"]
        for n in range(4)
    ]


def test_order_is_kept_when_asked(run, server, requests, tmp_path):
    """
    With ``--ordered`` the output has the order of the input.
    """
    requests(30)
    first = threading.Event()

    def step(exchange):
        text = prompt_of(exchange.request)
        if text == "0":
            first.wait(PATIENCE)
        elif text == "7":
            first.set()
        return answer(text)(exchange)

    server.script(step)

    code, _, _ = run(*ARGUMENTS, "-c", "8", "--ordered")

    assert 0 == code
    found = answers_in((tmp_path / "out.jsonl").read_text())
    assert [f"request-{n}" for n in range(30)] == list(found)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_bar_is_shown_on_a_terminal(environ, requests, tmp_path):
    """
    A terminal sees how far it is, and the file gets the answers.
    """
    pytest.importorskip("tqdm")
    requests(20)

    line = ("batch", *ARGUMENTS)
    with terminals.Terminal(
        *line, environ=environ, cwd=tmp_path, size=(24, 120)
    ) as terminal:
        code = terminal.end()

    assert 0 == code, terminal.raw
    assert "100%" in terminal.screen
    assert "20/20" in terminal.screen
    assert 20 == len(answers_in((tmp_path / "out.jsonl").read_text()))


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_answers_do_not_drive_the_terminal(environ, server, requests, tmp_path):
    """
    On a terminal what an answer holds of control characters is written out; no bar comes between.
    """
    requests(1)
    server.script(answer("red\x1b[31m \x9b31m"))

    line = ("batch", "in.jsonl", "-o", "-", "-p", "groq")
    with terminals.Terminal(*line, environ=environ, cwd=tmp_path) as terminal:
        code = terminal.end()

    assert 0 == code, terminal.raw
    assert not {"\x1b", "\x9b"} & set(terminal.raw)
    assert {"request-0": "red\x1b[31m \x9b31m"} == answers_in(terminal.raw)


@pytest.fixture
def provider(environ):
    """
    Give a server of the providers' own batch APIs, where OpenAI's is looked for.
    """
    made = BatchServer()
    environ.update(
        OPENAI_API_KEY="key-of-openai", OPENAI_BASE_URL=made.base_url("openai")
    )
    yield made
    made.close()


PROVIDED = (*ARGUMENTS[:-1], "openai", "--mode", "provider")


def test_provider_works_a_file_off(run, provider, requests, tmp_path):
    """
    With ``--mode provider`` the provider's own batch API is used, and the output is the same.
    """
    requests(3)

    code, _, err = run(*PROVIDED)

    assert (0, "") == (code, err)
    assert 3 == len(answers_in((tmp_path / "out.jsonl").read_text()))
    assert 1 == provider.made()


def test_provider_goes_on_after_an_interrupt(
    started, run, provider, requests, tmp_path
):
    """
    Ctrl-C leaves the provider's job to go on, and the same command fetches what came of it.
    """
    requests(3)
    provider.polls = 10**6
    child = started(*PROVIDED)
    eventually(provider.made)
    eventually(
        lambda: b"provider batch" in (tmp_path / "out.jsonl.journal").read_bytes()
    )
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=PATIENCE)
    provider.polls = 0

    code, _, _ = run(*PROVIDED)

    assert 130 == child.returncode
    told = "ai-lib: interrupted: 0 of 3 are answered; the same command goes on\n"
    assert said.decode().endswith(told)
    assert 0 == code
    assert 3 == len(answers_in((tmp_path / "out.jsonl").read_text()))
    assert 1 == provider.made()
