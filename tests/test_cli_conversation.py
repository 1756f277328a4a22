"""
``ai-lib chat -i``: a conversation, typed on a terminal or piped; and what of it is kept in files.
"""

from __future__ import annotations

import json
import stat
import subprocess
import sys

import faults
import pytest
import terminals

from ai_lib import ChatCompletionRequest, ImagePart, Message, from_dict

needs_terminal = pytest.mark.skipif(
    sys.platform == "win32", reason="needs a pseudo-terminal"
)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def said(*texts):
    """
    A step that streams a whole answer.
    """
    return faults.stream(*faults.events(*texts))


def asked(server):
    """
    The messages of each request, as pairs of role and content.
    """
    return [
        [(one["role"], one["content"]) for one in request.json()["messages"]]
        for request in server.requests
    ]


@pytest.fixture
def environ(server, tmp_path):
    """
    Give variables that hold groq's key, and groq's server on loopback.
    """
    return terminals.surroundings(server, tmp_path)


@pytest.fixture
def run(environ, tmp_path):
    """
    Run ``ai-lib chat -p groq`` in pipes.
    """

    def to_the_end(*arguments, piped=""):
        line = ("chat", "-p", "groq", *arguments)
        return terminals.run(*line, piped=piped, environ=environ, cwd=tmp_path)

    return to_the_end


@pytest.fixture
def typed(environ, tmp_path):
    """
    Start ``ai-lib chat -p groq -i`` on a terminal, and wait until it asks.
    """
    started = []

    def start(*arguments, **changes):
        line = ("chat", "-p", "groq", "-i", *arguments)
        surroundings = {**environ, **changes}
        terminal = terminals.Terminal(*line, environ=surroundings, cwd=tmp_path)
        started.append(terminal)
        terminal.until("> ")
        return terminal

    yield start

    for terminal in started:
        terminal.__exit__()


# Asking


def test_each_question_knows_what_was_said(run, server):
    """
    A line is a question; what was asked and answered before goes along.
    """
    server.script(said("Hello, ", "Ada."), said("Ada."))

    code, out, err = run("-i", piped="I am Ada.\n\nWho am I?\n")

    first = ("user", "I am Ada.")
    assert (0, "Hello, Ada.\nAda.\n", "") == (code, out, err)
    assert [
        [first],
        [first, ("assistant", "Hello, Ada."), ("user", "Who am I?")],
    ] == asked(server)


def test_prompt_is_the_first_question(run, server):
    """
    A PROMPT is asked first; then the conversation goes on.
    """
    server.script(said("One."), said("Two."))

    _, out, _ = run("-i", "-s", "Be brief.", "First?", piped="Second?\n")

    assert "One.\nTwo.\n" == out
    assert ("system", "Be brief.") == asked(server)[1][0]
    assert ("user", "First?") == asked(server)[0][1]


def test_question_of_several_lines_stands_between_quotes(run, server):
    """
    Three quotes begin and end a question of several lines, a slash in it included.
    """
    server.script(said("Yes."))

    run("-i", piped='"""\n/etc is\na folder?\n"""\n"""one line"""\n"""left open\n')

    questions = [messages[-1][1] for messages in asked(server)]
    assert ["/etc is\na folder?", "one line", "left open"] == questions


def test_failed_question_leaves_no_trace(run, server):
    """
    An error is one line, the next question is asked as if nothing had been, and the exit code tells.
    """
    server.script(faults.refusal(400, "Not this."), said("Yes."))

    code, out, err = run("-i", piped="Bad?\nGood?\n")

    assert (1, "Yes.\n") == (code, out)
    assert 1 == err.count("\n")
    assert "Not this." in err
    assert [("user", "Good?")] == asked(server)[1]


def test_options_that_do_not_go_together_are_refused(run):
    """
    A conversation is no JSON object, and reads standard input itself.
    """
    assert 2 == run("-i", "--json")[0]
    assert 2 == run("-i", "--dry-run")[0]
    assert 2 == run("--dry-run", "--save", "talk.json", "Hi")[0]
    assert 2 == run("-i", "-")[0]


# Commands


def test_command_that_does_not_exist_is_not_sent(run, server):
    """
    A slash begins a command; a space before it makes it a question.
    """
    server.script(said("A path."))

    code, out, err = run("-i", piped="/usr/bin what?\n /usr/bin what?\n")

    assert (1, "A path.\n") == (code, out)
    assert "no command /usr/bin" in err
    assert [[("user", "/usr/bin what?")]] == asked(server)


def test_reset_begins_anew_and_keeps_the_system(run, server):
    """
    After /reset nothing of what was said is sent, but how to answer.
    """
    server.script(said("Yes."))

    run("-i", "-s", "Be brief.", piped="One?\n/reset\nTwo?\n")

    assert [("system", "Be brief."), ("user", "Two?")] == asked(server)[1]


def test_model_and_provider_change_and_the_conversation_goes_on(
    environ, server, tmp_path
):
    """
    /model and /provider say who answers next; a slash in a model's name is the model's.
    """
    server.script(said("Yes."))
    changed = {**environ, "MISTRAL_API_KEY": "k-1", "MISTRAL_BASE_URL": server.url}
    piped = "One?\n/model openai/other\nTwo?\n/provider mistral small\nThree?\n/model\n"

    code, _, err = terminals.run(
        *("chat", "-p", "groq", "-i"), piped=piped, environ=changed, cwd=tmp_path
    )

    assert code == 0
    models = [request.json()["model"] for request in server.requests]
    assert ["openai/other", "small"] == models[1:]
    assert [1, 3, 5] == [len(messages) for messages in asked(server)]
    assert err.endswith("ai-lib: mistral, small\n")


def test_provider_that_cannot_be_asked_changes_nothing(run, server):
    """
    Without its key a provider is refused, and who answered before answers on.
    """
    server.script(said("Yes."))

    code, out, err = run("-i", piped="/provider anthropic\nWell?\n")

    assert (1, "Yes.\n") == (code, out)
    assert "ANTHROPIC_API_KEY" in err
    assert "api_key=" not in err


def test_system_is_exchanged(run, server):
    """
    /system says how to answer from then on, in place of what was said before.
    """
    server.script(said("Yes."))

    run("-i", "-s", "Be brief.", piped="/system Be long.\nWell?\n")

    assert [("system", "Be long."), ("user", "Well?")] == asked(server)[0]


# Attachments


def test_attachments_are_what_their_bytes_say(run, server, tmp_path):
    """
    An image, a document and a text go along, each as what it is, whatever it is called.
    """
    (tmp_path / "picture.dat").write_bytes(PNG)
    (tmp_path / "letter").write_bytes(b"%PDF-1.7\n" + bytes(100))
    (tmp_path / "main.py").write_text("print('ü')\n", "utf-8")
    server.script(said("Nice."))
    files = ["-a", "picture.dat", "-a", "letter", "-a", "main.py"]

    code, _, err = run(*files, "What is this?")

    text, image, document, source = asked(server)[0][0][1]
    assert (0, "") == (code, err)
    assert {"type": "text", "text": "What is this?"} == text
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert "letter" == document["file"]["filename"]
    assert "main.py:\n\nprint('ü')\n" == source["text"]


@pytest.mark.parametrize(
    ("name", "data"),
    [("none", None), ("empty", b""), ("data", b"\0\1\2\3")],
    ids=["missing", "empty", "unknown"],
)
def test_file_that_cannot_be_attached_is_said_before_anything_is_sent(
    run, server, tmp_path, name, data
):
    """
    A mistake in --attach is exit code 2, names the file, and sends nothing.
    """
    if data is not None:
        (tmp_path / name).write_bytes(data)

    code, out, err = run("-a", name, "What is this?")

    assert (2, "") == (code, out)
    assert name in err
    assert "mime=" not in err
    assert 1 == err.count("\n")
    assert not server.requests


def test_attached_file_stays_until_a_question_is_answered(run, server, tmp_path):
    """
    /attach goes with the next question that is answered, not with those after it.
    """
    (tmp_path / "main.py").write_text("pass")
    server.script(faults.refusal(400, "no"), said("Yes."))

    _, _, err = run("-i", piped="/attach main.py\n/attach gone\nA?\nB?\nC?\n")

    contents = [messages[-1][1] for messages in asked(server)]
    assert ["A?\nmain.py:\n\npass", "B?\nmain.py:\n\npass"] == contents[:2]
    assert "C?" == contents[2]
    assert "gone: No such file" in err
    assert "/attach alone" in err


# Files


def test_conversation_is_kept_and_goes_on(run, server, tmp_path):
    """
    --save keeps a conversation for its owner alone; --resume goes on with it, the same model included.
    """
    file = tmp_path / "talk.json"
    server.script(said("Hello, Ada."), said("Ada."), said("Yes."))

    run("-m", "m-1", "--max-tokens", "9", "--save", str(file), "I am Ada.")
    code, _, err = terminals.run(
        *("chat", "--resume", str(file), "--save", str(file), "Who am I?"),
        environ=terminals.surroundings(server, tmp_path, OPENAI_API_KEY="first"),
    )

    request = from_dict(ChatCompletionRequest, json.loads(file.read_text()))
    assert (0, "") == (code, err)
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert [1, 3] == [len(messages) for messages in asked(server)]
    assert "m-1" == server.requests[1].json()["model"]
    assert "Ada." == request.messages[-1].text
    assert 9 == request.max_tokens
    assert "key-of-groq" not in file.read_text()


def test_conversation_keeps_its_attachments(run, server, tmp_path):
    """
    What was attached is in the file, and goes along when the conversation goes on.
    """
    (tmp_path / "photo.png").write_bytes(PNG)
    server.script(said("A square."))

    run("-i", "-a", "photo.png", "What?", "--save", "talk.json", piped="Sure?\n")

    data = json.loads((tmp_path / "talk.json").read_text())
    first = from_dict(ChatCompletionRequest, data).messages[0]
    assert Message.user(["What?", ImagePart.from_bytes(PNG, "image/png")]) == first


def test_file_of_something_else_is_not_written_over(run, server, tmp_path):
    """
    --save and /save take the place of nothing but the conversation's own file.
    """
    (tmp_path / "thesis.txt").write_text("All I have.")
    server.script(said("Yes."))

    code, _, err = run("--save", "thesis.txt", "Hi")
    _, _, later = run("-i", piped="Hi\n/save thesis.txt\n")

    assert 2 == code
    assert "thesis.txt is there already" in err
    assert "thesis.txt is there already" in later
    assert "All I have." == (tmp_path / "thesis.txt").read_text()
    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"messages": 5, "model": ""}', "[" * 9999]
)
def test_file_that_holds_no_conversation_is_one_line(run, tmp_path, text):
    """
    --resume of something else is exit code 2 and says so.
    """
    (tmp_path / "talk.json").write_text(text)

    code, _, err = run("--resume", "talk.json", "Hi")

    assert 2 == code
    assert "talk.json holds no conversation" in err
    assert 1 == err.count("\n")


def test_place_that_cannot_be_written_is_told_before_anybody_is_asked(run, server):
    """
    Nobody pays for an answer that cannot be saved.
    """
    code, _, err = run("--save", "no/such/folder/talk.json", "Hi")

    assert 2 == code
    assert "No such file" in err
    assert not server.requests


def test_saved_link_stays_a_link(run, server, tmp_path):
    """
    The file behind a link is exchanged, not the link; nothing else is left behind.
    """
    (tmp_path / "kept").mkdir()
    (tmp_path / "talk.json").symlink_to(tmp_path / "kept" / "real.json")
    server.script(said("Yes."))

    code, _, err = run("--save", "talk.json", "Hi")

    assert (0, "") == (code, err)
    assert (tmp_path / "talk.json").is_symlink()
    assert ["real.json"] == [one.name for one in (tmp_path / "kept").iterdir()]


def test_conversation_is_saved_and_loaded_in_the_middle(run, server, tmp_path):
    """
    /save keeps it from then on; /reset and /load leave that file as it is.
    """
    server.script(said("Yes."))

    code, _, err = run(
        "-i",
        piped="A?\n/save one.json\nB?\n/reset\nC?\n/save two.json\n/load one.json\nD?\n",
    )

    def questions(name):
        data = json.loads((tmp_path / name).read_text())
        messages = from_dict(ChatCompletionRequest, data).messages
        return [one.text for one in messages if one.role == "user"]

    assert code == 0, err
    assert ["A?", "B?"] == questions("one.json")
    assert ["C?"] == questions("two.json")
    assert ["A?", "B?", "D?"] == [text for role, text in asked(server)[-1][::2]]


# On a terminal


@needs_terminal
def test_ctrl_d_ends(typed):
    """
    Ctrl-D at an empty line ends the program, exit code 0, after a line end.
    """
    terminal = typed()

    terminal.type("\x04")

    assert 0 == terminal.end()
    assert terminal.screen.endswith("\n")


@needs_terminal
@pytest.mark.parametrize("options", [(), ("--plain",)], ids=["Markdown", "plain"])
def test_ctrl_c_stops_the_answer_and_not_the_program(typed, server, options):
    """
    What had come is shown and kept, the connection is closed, and the next question is asked.
    """
    server.script(faults.stream(faults.event("Two, "), faults.stall), said("Three."))
    terminal = typed(*options)

    terminal.type("Count.\n")
    terminal.until("Two,")
    terminal.type("\x03")
    terminal.until("stopped")
    terminal.until("> ")
    server.until_left()
    terminal.type("Go on.\n")
    terminal.until("Three.")
    terminal.until("> ")
    terminal.type("\x04")

    assert 0 == terminal.end()
    assert "Traceback" not in terminal.screen
    assert [("user", "Count."), ("assistant", "Two, "), ("user", "Go on.")] == asked(
        server
    )[1]


@needs_terminal
@pytest.mark.parametrize("options", [(), ("--no-stream",)], ids=["stream", "whole"])
def test_ctrl_c_before_the_first_word_takes_the_question_back(typed, server, options):
    """
    A wait for headers is ended too; the question leaves no trace.
    """
    server.script(faults.raw(faults.stall), said("Yes."))
    terminal = typed(*options)

    terminal.type("Well?\n")
    server.until_requests(1)
    terminal.type("\x03")
    terminal.until("stopped, and the question forgotten")
    terminal.until("> ")
    server.script(said("Yes.") if not options else faults.answer("Yes."))
    terminal.type("Again?\n")
    terminal.until("Yes.")

    assert [("user", "Again?")] == asked(server)[1]


@needs_terminal
def test_ctrl_c_drops_the_line_that_is_typed(typed, server):
    """
    A line is thrown away, and nothing of it is sent.
    """
    server.script(said("Yes."))
    terminal = typed()

    terminal.type("Wrong wo")
    terminal.until("Wrong wo")
    terminal.interrupt_until("Ctrl-D ends")
    terminal.until("> ")
    terminal.type("Right?\n")
    terminal.until("Yes.")

    assert [[("user", "Right?")]] == asked(server)


@needs_terminal
def test_what_is_pasted_is_one_question(typed, server):
    """
    Lines that are pasted are asked together; the arrow keys bring questions back.
    """
    pytest.importorskip("readline")
    server.script(said("Yes."))
    terminal = typed()

    terminal.type("\x1b[200~one\ntwo\x1b[201~\n")
    terminal.until("Yes.")
    terminal.until("> ")
    terminal.type("\x1b[A\n")
    terminal.until("Yes.")

    assert ["one\ntwo"] * 2 == [messages[-1][1] for messages in asked(server)]


@needs_terminal
def test_answers_alone_go_into_a_file(environ, server, tmp_path):
    """
    Where standard output is redirected, the sign to type stays on the terminal, and answers are plain.
    """
    server.script(said("**Yes.**"))
    code = (
        "import sys; from ai_lib._cli import main; sys.stdout = open('out', 'w');"
        "sys.exit(main(['chat', '-p', 'groq', '-i']))"
    )

    with terminals.Terminal(environ=environ, code=code, cwd=tmp_path) as terminal:
        terminal.until("> ")
        terminal.type("Well?\n")
        terminal.until("> ")
        terminal.type("\x04")
        left = terminal.end()

    assert 0 == left
    assert "**Yes.**\n" == (tmp_path / "out").read_text()


@needs_terminal
def test_commands_are_listed_and_completed(typed):
    """
    /help lists the commands, and Tab completes them.
    """
    pytest.importorskip("readline")
    terminal = typed()

    terminal.type("/he\t\n")
    shown = terminal.until("Ctrl-D")

    for command in ("/attach", "/save", "/load", "/reset", "/model", "/quit"):
        assert command in shown


@needs_terminal
def test_resumed_questions_are_found_again(typed, server, run):
    """
    The arrow keys bring back what was asked before the conversation was resumed.
    """
    pytest.importorskip("readline")
    server.script(said("Yes."))
    run("--save", "talk.json", "Is it?")
    terminal = typed("--resume", "talk.json")

    terminal.type("\x1b[A\n")
    terminal.until("Yes.")

    assert [("user", "Is it?")] * 2 == asked(server)[1][::2]


def test_second_ctrl_c_is_obeyed_whatever_happens(environ, server, tmp_path):
    """
    Should stopping the stream itself hang, the next Ctrl-C interrupts all the same.
    """
    code = """
import signal, threading
from ai_lib._cli.terminal import stopped_by_key
try:
    with stopped_by_key(threading.Event().wait):
        signal.raise_signal(signal.SIGINT)
        print("one")
        signal.raise_signal(signal.SIGINT)
        print("two")
except KeyboardInterrupt:
    print("left")
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
        timeout=30,
    )

    assert ("one\nleft\n", "") == (done.stdout, done.stderr)
