"""
The documentation is true: its programs run and print what it shows, its links lead somewhere, and it
names everything that is public.

A program is run as it is shown, against a server on loopback that the environment names. A command whose
output is shown is run too; any other is only read. ``AiClient("local")`` would start a model of its own,
so in its place stands llama.cpp's server, which is what the embedded one is; README's programs also meet
the real one where it is installed. Code of somebody else's is fenced as ``py``, and only shown. Comments of HTML
that the reader does not see steer this:

``<!-- continues -->``
    The next program goes on where the last one ended.

``<!-- refuses: 429 503 -->``
    The server answers the next program's first requests with these statuses.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib.util
import inspect
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import attrs
import provider_table
import pytest
import reference_table

import ai_lib
import ai_lib_async
from ai_lib import _cli
from ai_lib._core import errors
from ai_lib._core.catalog import CATALOG
from ai_lib._host.model_file import locate

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "CHANGELOG.md",
    *sorted(DOCS.glob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
    *sorted((ROOT / "examples").glob("*.md")),
)
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in PAGES}
PROVIDERS = TEXTS["docs/providers.md"]
REFERENCE = TEXTS["docs/reference.md"]  # which lists everything, and explains nothing
MANUAL = "\n".join(
    TEXTS[name]
    for name in TEXTS
    if name.startswith(("docs", "README")) and TEXTS[name] is not REFERENCE
)

# Pages as they are read


@attrs.frozen(kw_only=True)
class Block:
    """
    A fenced block, and what steers it.

    Attributes:
        page: Its page, as a path from the root.

        line: The line of its opening fence.

        language: What stands behind the fence.

        text: What is inside.

        steering: The comments right before it.

        output: Of a program: what the text block right behind it shows; ``None``: there is none.
    """

    page: str
    line: int
    language: str
    text: str
    steering: tuple[str, ...] = ()
    output: str | None = None

    @property
    def refusals(self):
        """
        The statuses that come before an answer.
        """
        told = [one for one in self.steering if one.startswith("refuses:")]
        return [int(word) for one in told for word in one.split()[1:]]


_FENCE = re.compile(
    r"(?P<comments>(?:^<!-- [^\n]* -->\n+)*)^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


def blocks_of(page):
    """
    Read the fenced blocks of a page.
    """
    text = TEXTS[page]
    found = []
    end = 0
    for match in _FENCE.finditer(text):
        between, end = text[end : match.start()], match.end()
        is_output = match["language"] == "text" and not between.strip()
        if is_output and found and found[-1].language == "python":
            found[-1] = attrs.evolve(found[-1], output=match["text"])
        block = Block(
            page=page,
            line=text.count("\n", 0, match.start("language")) + 1,
            language=match["language"],
            text=match["text"],
            steering=tuple(re.findall(r"<!-- (.*?) -->", match["comments"])),
        )
        found.append(block)
    return found


BLOCKS = [block for page in TEXTS for block in blocks_of(page)]


def programs():
    """
    List the programs: blocks of Python, each with those that continue it.
    """
    found = []
    for block in BLOCKS:
        if block.language == "python":
            if "continues" in block.steering:
                found[-1].append(block)
            else:
                found.append([block])
    return [pytest.param(one, id=f"{one[0].page}:{one[0].line}") for one in found]


def test_steering_is_understood():
    """
    No comment of HTML steers in words that mean nothing.
    """
    words = r"continues|refuses:( \d{3})+|Written by .*"

    found = re.findall(r"<!--\s*(.*?)\s*-->", "\n".join(TEXTS.values()), re.DOTALL)

    assert found
    assert [] == [one for one in found if not re.fullmatch(words, one)]


# Programs


def run(block, names, change=str):
    """
    Run a block of Python in a namespace.

    Returns:
        What it printed.
    """
    code = "\n" * block.line + change(block.text)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, block.page, "exec", dont_inherit=True), names)
    return printed.getvalue()


def without_model(code):
    """
    Put llama.cpp's server in the place of the embedded model.
    """
    return code.replace('AiClient("local"', 'AiClient("llamacpp"')


@pytest.mark.parametrize("program", programs())
def test_program_does_what_is_shown(program, reader):
    """
    A program of the documentation runs, and prints the text that is shown behind it.
    """
    names = {"__name__": "__main__"}

    for block in program:
        reader.refusals[:] = block.refusals
        printed = run(block, names, without_model)

        assert block.output in (None, printed)
        assert not reader.refusals


@pytest.mark.local_model
@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or not locate().is_here,
    reason="needs the extra `local` and a model on this machine",
)
@pytest.mark.parametrize(
    "program", [one for one in programs() if one.id.startswith("README")]
)
def test_first_programs_run_with_real_model(program, reader):
    """
    README's programs run as they are where the embedded model is installed.
    """
    names = {"__name__": "__main__"}

    printed = "".join(run(block, names) for block in program)

    assert printed.strip()


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(one, id=f"{one.page}:{one.line}")
        for one in BLOCKS
        if one.language == "py"
    ],
)
def test_foreign_code_is_python(block):
    """
    Code of somebody else's, which is not run, is at least Python.
    """
    assert ast.parse(block.text)


# Commands


def commands():
    """
    List what the documentation tells to type, each with the output that is shown.
    """
    found = []
    for block in BLOCKS:
        if block.language == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                line, _, output = part.partition("\n")
                found.append((block.page, line, output))
    for page, text in TEXTS.items():
        plain = _FENCE.sub("", text)
        spans = re.findall(
            r"`(ai-lib [^`]+)`|^    (.*\bai-lib .*)$", plain, re.MULTILINE
        )
        found += [(page, one or other, "") for one, other in spans]
    return [(page, line, output) for page, line, output in found if _ours(line)]


def _ours(line):
    """
    Cut the arguments for ``ai-lib`` out of a line of shell; ``None``: it is not called.
    """
    words = list(shlex.shlex(line, posix=True, punctuation_chars=True))
    words = [word for word in words if word not in {"(", ")"}]
    starts = [at for at, word in enumerate(words) if Path(word).name == "ai-lib"]
    if not starts or "install" in words[: starts[-1]][-1:]:
        return None
    rest = words[starts[-1] + 1 :]
    ends = [at for at, word in enumerate(rest) if set(word) <= set("|&;<>")]
    return rest[: ends[0]] if ends else rest


COMMANDS = commands()


@pytest.mark.parametrize("line", sorted({line for _, line, _ in COMMANDS}))
def test_command_can_be_read(line):
    """
    A command line of the documentation is one that ``ai-lib`` understands.
    """
    code = 0

    try:
        _cli._parser().parse_args(_ours(line))
    except SystemExit as left:  # argparse's, after a mistake or help
        code = left.code

    assert not code


SHOWN = [
    (line, output)
    for _, line, output in COMMANDS
    if output.strip() and "local model" not in output
]


@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no shell")
@pytest.mark.parametrize(("line", "output"), SHOWN, ids=[line for line, _ in SHOWN])
def test_command_does_what_is_shown(line, output, reader, tmp_path):
    """
    A command prints the text that is shown behind it.
    """
    program = tmp_path / "ai-lib"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ai_lib "$@"\n')
    program.chmod(0o755)
    place = Path(ai_lib.__file__).parent.parent
    environ = {name: value for name, value in os.environ.items() if "PROXY" not in name}
    environ["PATH"] = f"{tmp_path}{os.pathsep}{environ['PATH']}"
    environ["PYTHONPATH"] = str(place)

    done = subprocess.run(
        ["sh", "-c", line],
        capture_output=True,
        check=False,
        env=environ,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=30,
    )

    assert output.rstrip() == (done.stderr + done.stdout).rstrip()


# Links


def anchors_of(page):
    """
    List the anchors of a page's headings, as GitHub names them.
    """
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", TEXTS[page]), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", one.lower()) for one in headings]
    return {one.replace(" ", "-") for one in plain}


def links():
    """
    List the links from page to page.
    """
    for page, text in TEXTS.items():
        for goal in re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", text)):
            if not re.match(r"https?://", goal):
                yield page, goal


@pytest.mark.parametrize(("page", "goal"), sorted(set(links())))
def test_link_leads_somewhere(page, goal):
    """
    What a page points at is there, down to the heading.
    """
    path, _, anchor = goal.partition("#")
    place = (ROOT / page).parent / path if path else ROOT / page

    assert place.exists()
    if anchor:
        name = place.resolve().relative_to(ROOT).as_posix()
        assert anchor in anchors_of(name)


def test_index_lists_every_page():
    """
    The index names every page, and nothing else.
    """
    listed = set(re.findall(r"\]\(([\w-]+\.md)", TEXTS["docs/README.md"]))

    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} == listed


def test_page_names_no_folder_of_a_machine():
    """
    Pages show no path of the machine that they were written on.
    """
    found = re.findall(r"/(?:work|home|Users|tmp)/\w+", "\n".join(TEXTS.values()))

    assert found == []


# What is public, is named


@pytest.mark.parametrize("name", ai_lib.__all__)
def test_public_name_is_documented(name):
    """
    Every public name occurs in the documentation.
    """
    assert re.search(rf"\b{name}\b", MANUAL)


def _members(cls):
    return [
        name
        for name in dir(cls)
        if not name.startswith("_") and name not in dir(Exception)
    ]


@pytest.mark.parametrize(
    "cls",
    [ai_lib.AiClient, ai_lib.ChatCompletionStream, ai_lib.CancelHandle],
    ids=lambda cls: cls.__name__,
)
def test_public_method_is_documented(cls):
    """
    Every method and property of what a caller holds occurs in the documentation.
    """
    assert [] == [name for name in _members(cls) if not _said(name)]


def _said(name):
    return re.search(rf"\b{name}\b", MANUAL) is not None


@pytest.mark.parametrize(
    "function",
    [
        ai_lib.AiClient,
        ai_lib_async.AiClient,
        ai_lib.ChatCompletionRequest,
        ai_lib.Timeout,
        ai_lib.RetryPolicy,
        ai_lib.SizeLimits,
        ai_lib.AiLibError,
    ],
    ids=lambda cls: f"{cls.__module__.partition('.')[0]}.{cls.__name__}",
)
def test_keyword_is_documented(function):
    """
    Every keyword of what callers build occurs in the documentation.
    """
    keywords = inspect.signature(function).parameters

    assert [] == [name for name in keywords if not _said(name)]


def test_settings_are_listed():
    """
    Every keyword of a client, of either package, stands in the table of settings.
    """
    table = TEXTS["docs/clients.md"].partition("## Settings")[2].partition("##")[0]
    classes = (ai_lib.AiClient, ai_lib_async.AiClient)
    keywords = {name for cls in classes for name in inspect.signature(cls).parameters}

    unsaid = {name for name in keywords - {"provider"} if f"`{name}`" not in table}

    assert set() == unsaid


def test_response_is_documented():
    """
    Every field of an answer and of its parts occurs in the documentation.
    """
    parts = (
        ai_lib.ChatCompletionResponse,
        ai_lib.Choice,
        ai_lib.Usage,
        ai_lib.ModelInfo,
        ai_lib.Attempt,
        ai_lib.RateLimits,
    )

    fields = {field.name for part in parts for field in attrs.fields(part)}

    assert [] == sorted(name for name in fields if not _said(name))


def test_tree_of_errors_is_true():
    """
    The errors page draws the tree as the module does that is tested, and says a word on each.
    """
    drawing = re.search(r"^    AiLibError\n(.+\n)+", errors.__doc__, re.MULTILINE)[0]
    page = TEXTS["docs/errors.md"]

    explained = re.findall(r"^\| `(\w+Error)` \|", page, re.MULTILINE)

    assert textwrap.dedent(drawing) in page
    assert sorted(re.findall(r"\w+Error", drawing)) == sorted(
        ["AiLibError", *explained]
    )


@pytest.mark.parametrize("page", [name for name in TEXTS if "/coming-from-" in name])
def test_names_beside_names_are_ours(page):
    """
    What a page for those who come from elsewhere tells to write in place of another name is public.
    """
    rows = re.findall(r"^\| .* \| (.*) \|$", TEXTS[page], re.MULTILINE)
    code = " ".join(re.findall(r"`[^`]+`", "\n".join(rows)))
    names = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", code)) - {"OpenTelemetry"}
    attributes = set(re.findall(r"\b(?:client|response)\.(\w+)", code))
    known = {*dir(ai_lib.AiClient), *dir(ai_lib.ChatCompletionResponse)}

    assert names
    assert set() == {name for name in names if name not in ai_lib.__all__} - set(
        dir(builtins)
    )
    assert set() == attributes - known


# What the environment says


#: Stands in the commands that ``to_curl`` writes where a key has no variable; it is not read.
_PLACEHOLDER = "API_KEY"


def variables():
    """
    Find the variables that the source reads: what looks like one in modules that look into the
    environment. Those of providers are in the table that is made of them.
    """
    for package in (ai_lib, ai_lib_async):
        for module in Path(package.__file__).parent.rglob("*.py"):
            text = module.read_text("utf-8")
            if "environ" in text and module.name != "catalog.py":
                yield from filter(_is_variable, _strings(text))


def _strings(text):
    constants = [
        one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.Constant)
    ]
    return [one.value for one in constants if isinstance(one.value, str)]


def _is_variable(text):
    capitals = re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", text)
    return (capitals or text in ("no_proxy", "all_proxy")) and text != _PLACEHOLDER


@pytest.mark.parametrize("name", sorted(set(variables())))
def test_variable_is_documented(name):
    """
    Every variable that the library reads stands on the page of the environment.
    """
    assert f"`{name}`" in TEXTS["docs/environment.md"]


@pytest.mark.parametrize("spec", CATALOG, ids=lambda spec: spec.id)
def test_variable_of_provider_is_documented(spec):
    """
    Every variable that a record names stands on the page of providers.
    """
    fields = [name for name in attrs.asdict(spec) if name.endswith("_env")]
    named = [getattr(spec, name) for name in fields] + [*spec.options.values()]

    unsaid = [one for some in named for one in some if f"`{one}`" not in PROVIDERS]

    assert fields
    assert [] == unsaid


def test_search_for_variables_finds_some():
    """
    The search that the test before relies on finds what is known to be read.
    """
    known = {"AI_API_KEY", "AI_PROXY_URL", "NO_PROXY", "AI_LIB_LOCAL_MODEL"}

    assert known <= set(variables())


def test_loggers_are_documented():
    """
    Every logger stands on the page of hooks and logs.
    """
    sources = (
        path.read_text("utf-8")
        for package in (ai_lib, ai_lib_async)
        for path in Path(package.__file__).parent.rglob("*.py")
    )
    names = {
        name for text in sources for name in re.findall(r'logger\("(\w+)"\)', text)
    }
    page = TEXTS["docs/observability.md"]

    assert {"attempt", "hooks"} <= names
    assert set() == {name for name in names if f"`ai_lib.{name}`" not in page}


# What is generated


def test_provider_page_is_made_from_catalogue():
    """
    The providers page says what the catalogue says; ``python tests/provider_table.py`` writes it anew.
    """
    expected = provider_table.page()

    assert expected == PROVIDERS, provider_table.COMMAND


def test_reference_is_made_from_docstrings():
    """
    The reference says what the docstrings say; ``python tests/reference_table.py`` writes it anew.
    """
    expected = reference_table.page()

    assert expected == REFERENCE, reference_table.COMMAND


def test_reference_lists_every_public_name():
    """
    Every public name stands in the reference, once.
    """
    listed = [name for _, _, names in reference_table.SUBJECTS for name in names]

    assert sorted([*ai_lib.__all__, "otel.OpenTelemetry"]) == sorted(listed)
