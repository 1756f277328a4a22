"""
The dependency rule: what may import what, and what is loaded when.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("ai_lib", "ai_lib_async")
HTTP = {"requests", "urllib3", "certifi", "httpx", "httpcore", "h11", "aiohttp"}
LOOPS = {"asyncio", "anyio", "trio", "sniffio"}

#: What the core may import beside the standard library and itself.
OF_THE_CORE = {"attrs", "cattrs", "tenacity"}

#: Of the standard library, what waits, connects, or starts something.
NEVER_IN_THE_CORE = {
    "asyncio",
    "concurrent",
    "http",
    "multiprocessing",
    "queue",
    "select",
    "selectors",
    "signal",
    "socketserver",
    "subprocess",
    "urllib.request",
}


def modules_of(*folders):
    """
    List the modules in some folders, by name.
    """
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts).removesuffix(".__init__")
            found[name] = path
    return found


def imports_of(path, *, typing=False, lazy=True):
    """
    List what a module imports, absolute names.

    Args:
        typing: Whether what only type checkers see counts.

        lazy: Whether what functions import counts.
    """
    found = set()

    def walk(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                if typing:
                    walk(child)
                continue
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not lazy:
                continue
            if isinstance(child, ast.Import):
                found.update(one.name for one in child.names)
            if isinstance(child, ast.ImportFrom):
                assert not child.level, f"{path}: a relative import"
                found.add(child.module)
                found.update(f"{child.module}.{one.name}" for one in child.names)
            walk(child)

    walk(ast.parse(path.read_text()))
    return found


CORE = modules_of("ai_lib/_core")
ALL = modules_of(*PACKAGES)


@pytest.mark.parametrize("name", CORE)
def test_core_imports_little(name):
    """
    The core imports the standard library, attrs, cattrs, tenacity and itself.
    """
    for imported in imports_of(CORE[name]):
        top = imported.partition(".")[0]
        ours = imported.startswith("ai_lib._core") or imported == "ai_lib"
        assert ours or top in OF_THE_CORE or top in sys.stdlib_module_names, imported
        assert top not in NEVER_IN_THE_CORE, imported
        assert imported not in NEVER_IN_THE_CORE, imported


#: Names that wait, connect or start something, wherever they are called.
FORBIDDEN_CALLS = {
    "time.sleep",
    "threading.Thread",
    "threading.Timer",
    "socket.socket",
    "socket.create_connection",
    "socket.getaddrinfo",
    "os.fork",
    "os.system",
    "os.popen",
}


def calls_of(path):
    """
    List the dotted names that a module calls.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


@pytest.mark.parametrize("name", CORE)
def test_core_never_waits(name):
    """
    The core opens no socket, starts no thread and no process, and never sleeps.
    """
    for called, line in calls_of(CORE[name]):
        assert called not in FORBIDDEN_CALLS, f"line {line}"
        assert not called.startswith("subprocess."), f"line {line}"


@pytest.mark.parametrize("name", ALL)
def test_only_transport_and_pool_import_an_http_library(name):
    """
    Only a package's ``_transport`` and ``_pool`` import its HTTP library.
    """
    package, _, module = name.rpartition(".")
    if module in ("_transport", "_pool", "_by_httpx") and package in PACKAGES:
        own = {"requests", "urllib3"} if package == "ai_lib" else {"httpx"}
        allowed = {*own, "certifi"}
    else:
        allowed = set()

    tops = {one.partition(".")[0] for one in imports_of(ALL[name])}

    assert tops & HTTP <= allowed


@pytest.mark.parametrize("name", modules_of("ai_lib_async"))
def test_async_package_imports_core_and_host_only(name):
    """
    The async package takes nothing from the blocking package's shell; of names, a checker is told there.
    """
    places = ("ai_lib._core", "ai_lib._host", "ai_lib._public")
    for imported in imports_of(ALL[name], typing=True):
        if imported == "ai_lib" or imported.startswith("ai_lib."):
            assert imported.startswith(places), imported


@pytest.mark.parametrize("name", modules_of("ai_lib/_host"))
def test_host_imports_core_only(name):
    """
    The host's modules take from the core, and the HTTP libraries of nobody.
    """
    for imported in imports_of(ALL[name]):
        if imported.startswith("ai_lib"):
            assert imported.startswith(("ai_lib._core", "ai_lib._host")), imported
        assert imported.partition(".")[0] not in HTTP | LOOPS, imported


DIALECTS = {
    name: path
    for name, path in CORE.items()
    if name.startswith("ai_lib._core.dialects.")
}
NEVER_IN_A_DIALECT = (
    "breaker",
    "budget",
    "call",
    "catalog",
    "client",
    "flow",
    "hooks",
    "racing",
    "rate_limit",
    "reading",
    "registry",
    "retry",
    "routing",
    "state",
    "stream",
    "timeouts",
)


@pytest.mark.parametrize("name", DIALECTS)
def test_dialect_knows_no_other_and_no_policy(name):
    """
    A dialect imports records and what dialects share: no other dialect, no catalogue, no client.
    """
    public = {one for one in DIALECTS if not one.rpartition(".")[2].startswith("_")}
    for imported in imports_of(DIALECTS[name]):
        module = imported.removeprefix("ai_lib._core.").partition(".")[0]
        assert not (
            imported.startswith("ai_lib._core.") and module in NEVER_IN_A_DIALECT
        ), imported
        assert imported not in public - {name}, imported


@pytest.mark.parametrize("name", ["catalog", "families"])
def test_data_imports_no_code(name):
    """
    The catalogue and the families are data: they name dialects by strings.
    """
    imported = imports_of(CORE[f"ai_lib._core.{name}"])

    ours = {one for one in imported if one.startswith("ai_lib._core.")}
    assert not {one for one in ours if "dialects." in one or "registry" in one}


def test_no_module_imports_itself_around_corners():
    """
    Imports at the top of modules run in no circle, so threads may load them in any order.
    """
    needs = {
        name: {one for one in imports_of(path, lazy=False) if one in ALL} - {name}
        for name, path in ALL.items()
    }
    # A package is there before its modules; what it is asked for later does not count.
    for name in needs:
        needs[name] -= {"ai_lib", "ai_lib_async"}

    order = list(graphlib.TopologicalSorter(needs).static_order())

    assert set(needs) <= set(order)


def loaded_by(code):
    """
    Run code in a fresh interpreter; give the modules that are loaded then, and the threads alive.
    """
    tail = (
        "; import sys, threading; print(*sys.modules); print(threading.active_count())"
    )
    command = [sys.executable, "-S", "-c", f"{SETUP}{code}{tail}"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True
    )
    modules, threads = done.stdout.splitlines()
    return set(modules.split()), int(threads)


#: Without ``site``: what other packages put into every interpreter does not count.
SETUP = f"import sys; sys.path[:0] = {[str(ROOT), *sys.path]!r}; "


def test_blocking_package_is_light():
    """
    ``import ai_lib`` loads no HTTP library and no event loop, and starts no thread.
    """
    loaded, threads = loaded_by("import ai_lib")

    assert not loaded & (HTTP | LOOPS | {"ssl", "tenacity", "multiprocessing"})
    assert 1 == threads


def test_async_package_is_light():
    """
    ``import ai_lib_async`` loads no HTTP library, neither requests nor httpx.
    """
    loaded, threads = loaded_by("import ai_lib_async")

    assert not loaded & HTTP
    assert 1 == threads


#: What a plain call of OpenAI's format has no use for.
NOT_IN_A_PLAIN_CALL = {
    "ai_lib._batch",
    "ai_lib_async._batch",
    "ai_lib.otel",
    "ai_lib._core.answer",
    "ai_lib._core.batch",
    "ai_lib._core.events",
    "ai_lib._core.framing",
    "ai_lib._core.schemas",
    "ai_lib._core.serialization",
    "ai_lib._core.stream",
    "ai_lib._host.journal",
    "ai_lib._host.lines",
    "ai_lib._host.local_model",
    "ai_lib._host.progress",
    "cattrs",
    "concurrent.futures.process",
    "importlib.metadata",
    "multiprocessing",
    "pathlib",
    "random",
    "subprocess",
    "tenacity",
}


@pytest.mark.parametrize("package", PACKAGES)
def test_package_alone_loads_next_to_nothing(package):
    """
    A package that is only imported loads neither its classes nor what these are made with.
    """
    loaded, _ = loaded_by(f"import {package}")

    assert {"attr", "logging", "json", "asyncio", "socket"}.isdisjoint(loaded)
    assert {
        "ai_lib",
        "ai_lib._core",
        "ai_lib._core.face",
        "ai_lib._core.version",
        "ai_lib._quiet",
    } >= {one for one in loaded if one.startswith("ai_lib.")} - {package}


@pytest.mark.parametrize("package", PACKAGES)
def test_plain_call_loads_what_it_needs(package):
    """
    A call that is answered loads no batches, streams, tables of schemas or other formats.
    """
    use = f"""
import sys, {package} as package
class Transport:
    def answer(self):
        body = b'{{"choices": [{{"message": {{"content": "hi"}}, "finish_reason": "stop"}}]}}'
        return package.HttpResponse(status=200, body=body)
    if package.__name__ == "ai_lib":
        def send(self, effect, call): return self.answer()
    else:
        async def send(self, effect, call): return self.answer()
request = package.ChatCompletionRequest("gpt-4o", [package.Message.user("hi")])
client = package.AiClient("openai", api_key="x", transport=Transport())
asked = client.chat_completion(request)
if package.__name__ == "ai_lib_async":
    import asyncio
    async def ask(): return await asked
    asked = asyncio.run(ask())
assert "hi" == asked.text
"""
    loaded, _ = loaded_by(f"exec({use!r})")

    needless = NOT_IN_A_PLAIN_CALL
    if package == "ai_lib_async":
        needless = needless - {"subprocess"}  # asyncio's own
    assert not loaded & (needless | HTTP)
    dialects = "ai_lib._core.dialects."
    spoken = {one.removeprefix(dialects) for one in loaded if one.startswith(dialects)}
    assert {"openai_chat"} == {one for one in spoken if not one.startswith("_")}


def test_async_package_never_loads_requests():
    """
    Not even when it is used; nor httpx, which carries only what no connection of ours does.
    """
    use = """
import asyncio, ai_lib_async
async def use():
    settings = {"api_key": "x", "base_url": "http://127.0.0.1:1/v1", "max_retries": 0}
    async with ai_lib_async.AiClient("openai", **settings) as client:
        try:
            await client.chat_completion(ai_lib_async.ChatCompletionRequest("m", "hi"))
        except ai_lib_async.NetworkError:
            pass
asyncio.run(use())
import sys, threading
print(*sys.modules); print(threading.active_count())
"""
    command = [sys.executable, "-S", "-c", SETUP + use]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.splitlines()[0].split())

    assert "ai_lib_async._exchange" in loaded
    assert not loaded & (HTTP - {"certifi"})


@pytest.mark.parametrize("package", PACKAGES)
def test_client_opens_nothing_before_its_first_call(package):
    """
    A client that is made opens nothing and loads no HTTP library.
    """
    code = f"import {package}; c = {package}.AiClient('openai', api_key='x')"
    loaded, threads = loaded_by(code)

    assert not loaded & HTTP
    assert 1 == threads


def test_core_alone_starts_nothing():
    """
    Every module of the core can be imported by itself; none opens a socket or starts a thread.
    """
    names = ", ".join(CORE)
    guard = (
        "import socket, threading\n"
        "def no(*a, **k): raise AssertionError('not in the core')\n"
        "socket.socket.__init__ = no; threading.Thread.start = no\n"
    )
    code = f"exec({guard!r}); import {names}"

    loaded, threads = loaded_by(code)

    assert set(CORE) <= loaded
    assert not loaded & (HTTP | LOOPS)
    assert 1 == threads
