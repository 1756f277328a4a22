"""
The face of both packages, and what none of their modules does.
"""

from __future__ import annotations

import ast
import inspect
import pickle
import subprocess
import sys
import types
from importlib import metadata
from pathlib import Path

import pytest

import ai_lib
import ai_lib_async

ROOT = Path(__file__).parent.parent
PACKAGES = [ai_lib, ai_lib_async]
SOURCES = [
    *sorted((ROOT / "ai_lib").rglob("*.py")),
    *sorted((ROOT / "ai_lib_async").rglob("*.py")),
]


def name_of(one):
    """
    A package's or a file's name, for test ids.
    """
    return one.__name__ if isinstance(one, types.ModuleType) else one.stem


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_names_are_sorted_and_there(package):
    """
    ``__all__`` is sorted, names each thing once, and everything that it names is there.
    """
    assert sorted(set(package.__all__)) == package.__all__
    for name in package.__all__:
        assert getattr(package, name) is not None


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_nothing_is_exported_by_accident(package):
    """
    What is public in a package is in its ``__all__``, submodules and ``__future__`` aside.
    """
    public = {
        name
        for name in dir(package)
        if not name.startswith("_")
        and name not in ("annotations", "TYPE_CHECKING")
        and not isinstance(getattr(package, name), types.ModuleType)
    }

    assert set(package.__all__) == public


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_checkers_see_what_there_is(package):
    """
    What a type checker takes for the package's names, is what is loaded.
    """
    tree = ast.parse(Path(package.__file__).read_text())
    [seen] = [
        one
        for one in tree.body
        if isinstance(one, ast.If) and "TYPE_CHECKING" == ast.unparse(one.test)
    ]
    names = {}

    exec("\n".join(map(ast.unparse, seen.body)), names)

    assert {*names} - {"__builtins__"} == {*package.__all__}
    for name in package.__all__:
        assert getattr(package, name) is names[name], name


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_a_name_that_is_not_there_is_an_attribute_error(package):
    """
    What a package does not have is missed as in any other module.
    """
    assert not hasattr(package, "AiClients")
    with pytest.raises(ImportError, match="AiClients"):
        exec(f"from {package.__name__} import AiClients")  # our own words


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_names_can_be_loaded_by_many_threads_at_once(package):
    """
    Threads that ask a fresh package for its names at the same time all get the same ones.
    """
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
import threading, {package.__name__} as package
gate, found = threading.Barrier(8), []
def load(number):
    gate.wait()
    names = package.__all__[number:] + package.__all__[:number]
    found.append({{name: getattr(package, name) for name in names}})
threads = [threading.Thread(target=load, args=(9 * one,)) for one in range(8)]
[one.start() for one in threads]
[one.join() for one in threads]
print(len(found), all(one == found[0] for one in found))
"""

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "8 True" == done.stdout.strip()


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_everything_public_is_documented(package):
    """
    Every public name and every public member of a public class has a docstring.
    """
    for name in package.__all__:
        one = getattr(package, name)
        assert inspect.getdoc(one), name
        if not inspect.isclass(one):
            continue
        for key, member in vars(one).items():
            shown = getattr(member, "fget", getattr(member, "__func__", member))
            if not key.startswith("_") and inspect.isfunction(shown):
                assert shown.__doc__, f"{name}.{key}"


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_tracebacks_show_no_underscore(package):
    """
    Clients, streams and errors say that they live where users import them from.
    """
    for name in ("AiClient", "ChatCompletionStream"):
        assert package.__name__ == getattr(package, name).__module__
    for name in package.__all__:
        one = getattr(package, name)
        if inspect.isclass(one) and issubclass(one, BaseException):
            assert "ai_lib" == one.__module__, name


def test_errors_are_found_where_they_say_they_are():
    """
    An error pickled in one process is read in another that has imported nothing yet.
    """
    data = pickle.dumps(ai_lib.RateLimitError("no", retry_after=2))
    code = f"import pickle; e = pickle.loads({data!r}); print(type(e), e.retry_after)"

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "<class 'ai_lib.RateLimitError'> 2" == done.stdout.strip()


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_version_is_the_installed_one(package):
    """
    ``__version__`` is what the installed metadata say.
    """
    try:
        installed = metadata.version("ai-lib")
    except metadata.PackageNotFoundError:
        pytest.skip("not installed")

    assert installed == package.__version__


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_package_is_typed(package):
    """
    Both packages say that they have types.
    """
    assert (Path(package.__file__).parent / "py.typed").exists()


#: Never called: they run what they are given, or undo what protects.
BANNED = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "pickle.load",
    "pickle.loads",
    "marshal.load",
    "marshal.loads",
    "shelve.open",
    "yaml.load",
    "os.system",
    "os.popen",
    "ssl._create_unverified_context",
    "tempfile.mktemp",
}
#: What an executor's process was sent by the batch that it works for: the executor unpickles all of it anyway.
ALLOWED = {("worker.py", "pickle.loads")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_banned_call(path):
    """
    No module evaluates text, unpickles, runs a shell, or turns verification off.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if (path.name, called) not in ALLOWED:
            assert called not in BANNED, f"line {node.lineno}"
        for keyword in node.keywords:
            value = ast.unparse(keyword.value)
            assert (keyword.arg, value) not in {
                ("verify", "False"),
                ("shell", "True"),
                ("check_hostname", "False"),
            }, f"line {node.lineno}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_print(path):
    """
    Only the command line prints.
    """
    if path.parent.name == "_cli":
        pytest.skip("the command line")
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]

    # The embedded server's own program talks to its parent that way.
    printed = [node for node in calls if ast.unparse(node.func) == "print"]
    assert not printed or path.name == "llama_server.py"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_logged_of_headers_and_keys(path):
    """
    No logging call is given a header, a key, a body or a secret.
    """
    levels = {"debug", "info", "warning", "error", "exception", "critical", "log"}
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = ast.unparse(node.func.value).lower()
        if node.func.attr in levels and "log" in owner:
            names = {
                one.id if isinstance(one, ast.Name) else one.attr
                for argument in node.args
                for one in ast.walk(argument)
                if isinstance(one, ast.Name | ast.Attribute)
            }
            assert not names & {"headers", "api_key", "secret", "credential", "body"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_loggers_are_made_in_one_place(path):
    """
    Every logger is made where it is seen to that nothing is printed unless the program wants it.
    """
    if path.name == "log.py" or path.parent.name == "_cli":
        pytest.skip("makes them, or is the program")

    assert "getLogger" not in path.read_text()


def test_import_warns_of_nothing():
    """
    Both packages are imported with warnings as errors, assertions off.
    """
    code = "import ai_lib, ai_lib_async, ai_lib._transport, ai_lib_async._transport"
    setup = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "

    done = subprocess.run(
        [sys.executable, "-OO", "-W", "error", "-X", "dev", "-c", setup + code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "" == done.stderr
    assert 0 == done.returncode
