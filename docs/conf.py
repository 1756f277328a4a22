"""
The documentation as a site: ``sphinx-build -W -c docs . site``, from the root of the repository.

The pages are plain Markdown that reads well in the repository too. What only the site has is added here
while they are read: the tree of pages, from the lists of ``docs/README.md``; in ``docs/reference.md`` the whole entry
of each name, from its docstring; and a link to that entry wherever a page names it in code.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from enum import Enum
from functools import partial
from pathlib import Path

from sphinx.pycode import ModuleAnalyzer

ROOT = Path(__file__).parent.parent
INDEX = "docs/README"
REFERENCE = "docs/reference"
#: Classes that nobody else calls: their signatures are left out.
MADE_BY_CLIENTS = ("BatchRun", "CancelHandle", "ChatCompletionStream")

sys.path.insert(0, str(ROOT))  # this checkout's docstrings, whatever is installed

import ai_lib
import ai_lib_async

project = "ai_lib"
copyright = "the authors of ai_lib"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = INDEX
include_patterns = ["*.md", "docs/*.md", "examples/*.md", "benchmarks/*.md"]
exclude_patterns = [".*", "build", "dist", "site"]

html_theme = "furo"
html_title = "ai_lib"
html_copy_source = False
html_show_sphinx = False

myst_heading_anchors = 4
suppress_warnings = ["myst.header"]

add_module_names = False
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
maximum_signature_line_length = 80
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

_CODE = r"^```.*?^```$|^#+ .*?$|\[[^\]]*\]\([^)\s]+\)"
_PARTS = re.compile(f"{_CODE}|`(?P<name>[\\w.]+)`", re.MULTILINE | re.DOTALL)
_FOREIGN = re.compile(f"^\\| [^|\n]+ \\||{_PARTS.pattern}", _PARTS.flags)
_ROW = re.compile(r"^\| `([\w.]+)` \|", re.MULTILINE)
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)


def _sections(name):
    _, *parts = _SECTION.split((ROOT / f"{name}.md").read_text("utf-8"))
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _entries():
    """
    Find the full names of what the reference lists.
    """
    found = {}
    for title, text in _sections(REFERENCE).items():
        package = "ai_lib_async" if title == "The async twin" else "ai_lib"
        for name in _ROW.findall(text):
            found.setdefault(name, f"{package}.{name}")
    return found


def _tree():
    """
    Write the tree of pages: a caption for each heading of the index, the pages that it lists.
    """
    parts = []
    for title, text in _sections(INDEX).items():
        lists = "".join(re.findall(r"^(?:- .*\n(?:  .*\n)*)", text, re.MULTILINE))
        pages = re.findall(r"\[[^\]]+\]\(([\w./-]+)\.md\)", lists)
        if pages:
            lines = "\n".join(pages)
            parts.append(
                f"```{{toctree}}\n:caption: {title}\n:hidden:\n\n{lines}\n```\n"
            )
    return "\n".join(["", *parts])


def _with_links(text, page=f"{REFERENCE}.md"):
    known = _entries()
    folder = (ROOT / page).parent
    parts = _FOREIGN if "coming-from" in page else _PARTS  # names of others come first
    text = re.sub(r"\]\(([\w./-]+)\)", partial(_of_folder, folder), text)

    def anew(match):
        name = match["name"]
        return f"{{py:obj}}`{name} <{known[name]}>`" if name in known else match[0]

    return parts.sub(anew, text)


def _of_folder(folder, match):
    """
    Point a link to a folder at what a repository shows of it.
    """
    is_page = (folder / match[1] / "README.md").is_file()
    return f"]({match[1].rstrip('/')}/README.md)" if is_page else match[0]


def _with_entries(text):
    """
    Put the entries of each section behind its table.
    """
    head, *parts = _SECTION.split(text)
    pieces = [head]
    for title, rows in zip(parts[::2], parts[1::2], strict=True):
        package = "ai_lib_async" if title == "The async twin" else "ai_lib"
        entries = "\n".join(_directive(package, name) for name in _ROW.findall(rows))
        rest = f"{_with_links(rows)}\n```{{eval-rst}}\n{entries}```\n\n"
        pieces.append(f"## {title}{rest}")
    return "".join(pieces)


def _directive(package, name):
    path, _, last = f"{package}.{name}".rpartition(".")
    one = getattr(importlib.import_module(path), last)
    if not isinstance(one, type):
        return f".. autofunction:: {path}.{last}\n"
    bases = [base for base in one.__mro__[1:] if base.__module__.startswith("ai_lib")]
    options = ""
    if bases:  # what a private base gives is the class's own
        is_public = bases[0].__name__ in ai_lib.__all__
        options = f"   :{'show-inheritance' if is_public else 'inherited-members'}:\n"
    kind = "exception" if issubclass(one, BaseException) else "class"
    return f".. auto{kind}:: {path}.{last}\n{options}"


# What the docstrings do not say


def _import_for_types():
    """
    Do what modules import for type checkers only, and read aliases that are strings: so annotations can
    be understood.
    """
    for package in (ai_lib, ai_lib_async):
        for name in package.__all__:
            getattr(package, name)  # loaded when it is first asked for
    inner = ("ai_lib.", "ai_lib_async.")
    modules = [sys.modules[name] for name in sys.modules if name.startswith(inner)]
    aliases = {}
    for module in modules:
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                code = "\n".join(map(ast.unparse, node.body))
                exec(compile(code, module.__name__, "exec"), vars(module))
            if isinstance(node, ast.AnnAssign) and "TypeAlias" in ast.dump(node):
                aliases[ast.unparse(node.target)] = module
    for name, home in aliases.items():
        written = vars(home)[name]
        for module in modules:
            if isinstance(written, str) and vars(module).get(name) is written:
                setattr(module, name, eval(written, vars(home)))


def _find_order():
    """
    Tell Sphinx the order of the methods of classes that say of themselves that they are made in the package.
    """
    for package in ("ai_lib", "ai_lib_async"):
        analyzer = ModuleAnalyzer.for_module(package)
        analyzer.analyze()
        for name in ("_client", "_stream", "_batch"):
            source = ModuleAnalyzer.for_module(f"{package}.{name}")
            source.analyze()
            analyzer.tagorder.update(source.tagorder)


def signature(app, what, name, one, options, arguments, returned):
    """
    Leave out signatures that nobody calls, and say ``...`` for what is made anew each time.
    """
    del app, name, options
    if what not in ("class", "exception", "function", "method"):
        return None
    inherited = what == "exception" and "__init__" not in vars(one)
    uncalled = what == "class" and (
        issubclass(one, Enum)
        or getattr(one, "_is_protocol", False)
        or one.__name__ in MADE_BY_CLIENTS
    )
    if inherited or uncalled:
        return "", ""
    made_anew = r"NOTHING|frozenset\(\{.*?\}\)"  # and what is too long to be read
    return re.sub(made_anew, "...", arguments or ""), returned


def docstring(app, what, name, one, options, lines):
    """
    Add the values of an enum, and link names in code to their entries.
    """
    del app, name, options
    known = _entries()
    if what == "property":  # where napoleon takes what stands before a colon for a type
        lines.insert(0, "")
    if what == "class" and issubclass(one, Enum):
        values = ", ".join(f"``{value.value}``" for value in one)
        lines += ["", f"One of {values}."]

    def anew(match):
        goal = known.get(match[1])
        return f":py:obj:`{match[1]} <{goal}>`" if goal else match[0]

    lines[:] = [re.sub(r"``(\w+)``", anew, line) for line in lines]


def read(app, name, source):
    """
    Add to a page what only the site has.
    """
    del app
    if name == REFERENCE:
        source[0] = _with_entries(source[0])
    else:
        source[0] = _with_links(source[0], name)
    if name == INDEX:
        source[0] += _tree()
    if not name.startswith("docs/"):  # may be reached by links alone
        source[0] = f"---\norphan: true\n---\n\n{source[0]}"


def finish(app, error):
    """
    Lead from the site's front door to its index.
    """
    if error is None and app.builder.name == "html":
        goal = f"{INDEX}.html"
        page = f'<!doctype html><meta http-equiv="refresh" content="0; url={goal}">\n'
        (Path(app.outdir) / "index.html").write_text(page, "utf-8")


def setup(app):
    """
    Take part in the build.
    """
    _import_for_types()
    _find_order()
    app.connect("source-read", read)
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-process-docstring", docstring, priority=400)  # before napoleon
    app.connect("build-finished", finish)
