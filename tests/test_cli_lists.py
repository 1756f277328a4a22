"""
``ai-lib providers`` and ``ai-lib models``: what can be asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import faults
import pytest
import terminals

from ai_lib._core.catalog import CATALOG


@pytest.fixture
def environ(server, tmp_path):
    """
    Give variables that hold groq's key, and no other.
    """
    return terminals.surroundings(server, tmp_path)


# Providers


def test_every_provider_is_listed_with_its_variable(environ):
    """
    Each provider of the catalogue has a line; the one whose key is set says so.
    """
    code, out, err = terminals.run("providers", environ=environ)

    head, *lines = [line.split() for line in out.splitlines()]
    assert (0, "") == (code, err)
    assert ["PROVIDER", "DIALECT", "DEFAULT", "MODEL", "KEY", "SET"] == head
    assert [spec.id for spec in CATALOG] == [line[0] for line in lines]
    named = {line[0]: line for line in lines}
    assert ["GROQ_API_KEY", "yes"] == named["groq"][-2:]
    assert ["ANTHROPIC_API_KEY", "no"] == named["anthropic"][-2:]


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["table", "json"])
def test_no_key_is_shown(environ, arguments):
    """
    Whether a key is set is told, the key never.
    """
    _, out, err = terminals.run("providers", *arguments, environ=environ)

    assert "GROQ_API_KEY" in out
    assert "key-of-groq" not in out + err


def test_provider_of_a_package_is_listed(environ, tmp_path):
    """
    What an installed package adds is listed; one that is broken is told of, and hides no other.
    """
    points = {"gateway": "gateway:GATEWAY", "broken": "gateway:NOTHING"}
    info = tmp_path / "gateway-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: gateway\nVersion: 1.0\n"
    )
    lines = [f"{name} = {value}\n" for name, value in points.items()]
    (info / "entry_points.txt").write_text("[ai_lib.providers]\n" + "".join(lines))
    (tmp_path / "gateway.py").write_text(
        "from ai_lib import ProviderSpec\n"
        "GATEWAY = ProviderSpec(id='gateway', dialect='openai_chat',\n"
        "    base_url='https://llm.example.com/v1', key_required=False)\n"
    )
    places = [str(tmp_path), *filter(None, [environ.get("PYTHONPATH")])]
    changed = {**environ, "PYTHONPATH": os.pathsep.join(places)}

    code, out, err = terminals.run("providers", "gateway", environ=changed)

    assert code == 0
    assert ["gateway", "openai_chat"] == out.splitlines()[1].split()[:2]
    assert "'broken' (gateway:NOTHING) cannot be loaded" in err


def test_providers_as_json_say_which_variable_is_set(environ):
    """
    --json gives all variables in their order, and the one that holds the key.
    """
    changed = {**environ, "GEMINI_API_KEY": "", "GOOGLE_API_KEY": "key-of-google"}

    code, out, _ = terminals.run("providers", "--json", environ=changed)

    found = {one["id"]: one for one in json.loads(out)}
    assert code == 0
    assert "GROQ_API_KEY" == found["groq"]["set"]
    assert "GOOGLE_API_KEY" == found["gemini"]["set"]
    assert found["anthropic"]["set"] is None
    assert not found["anthropic"]["ready"]
    assert found["local"]["ready"]


def test_default_model_is_what_would_be_asked(environ):
    """
    A variable that names the model comes before the record's default.
    """
    changed = {**environ, "GROQ_MODEL": "some-model"}

    _, out, _ = terminals.run("providers", "groq", environ=changed)

    assert "some-model" in out


def test_providers_are_filtered(environ):
    """
    Words must be in a name or dialect; --set leaves those that can be asked.
    """
    _, by_dialect, _ = terminals.run("providers", "ANTHROPIC_mess", environ=environ)
    _, by_key, _ = terminals.run("providers", "--set", environ=environ)
    code, out, err = terminals.run("providers", "nobody", environ=environ)

    assert "anthropic " in by_dialect
    assert "groq" not in by_dialect
    assert "groq " in by_key
    assert "anthropic" not in by_key
    assert (1, "") == (code, out)
    assert "no provider fits" in err


def test_providers_need_no_http_library(environ):
    """
    The list loads no HTTP library, and nobody is asked.
    """
    code = (
        "import sys; from ai_lib._cli import main; main(['providers']);"
        "print(*sys.modules, file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environ,
        timeout=60,
    )

    loaded = set(done.stderr.split())
    assert not loaded & {"requests", "urllib3", "httpx", "httpcore", "rich"}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_narrow_terminal_gets_a_line_for_each_thing(environ):
    """
    Where the table is wider than the terminal, no line is broken in the middle.
    """
    with terminals.Terminal(
        "providers", "groq", environ=environ, size=(24, 30)
    ) as terminal:
        code = terminal.end()

    assert code == 0
    assert "provider: groq\n" in terminal.screen
    assert "key: GROQ_API_KEY\n" in terminal.screen


# Models


def test_models_are_listed(environ, server):
    """
    Each model has a line, with what is known of it.
    """
    server.script(faults.models("a-large", "b-small"))

    code, out, err = terminals.run("models", "-p", "groq", environ=environ)

    assert (0, "") == (code, err)
    assert ["MODEL", "a-large", "b-small"] == [
        line.split()[0] for line in out.splitlines()
    ]


def test_models_are_filtered(environ, server):
    """
    Every word must be in a name, whatever its letters' size; none left is exit code 1.
    """
    server.script(faults.models("GPT-6-mini", "gpt-6", "other-mini"))

    _, out, _ = terminals.run("models", "-p", "groq", "gpt", "MINI", environ=environ)
    code, none, err = terminals.run("models", "-p", "groq", "llama", environ=environ)

    assert ["MODEL", "GPT-6-mini"] == [line.split()[0] for line in out.splitlines()]
    assert (1, "") == (code, none)
    assert "none of 3 models fits" in err


def test_models_as_json_are_all_that_is_known(environ, server):
    """
    --json gives the fields of ``ModelInfo``; an empty list is a list.
    """
    server.script(faults.models("a-large"))

    _, out, _ = terminals.run("models", "-p", "groq", "--json", environ=environ)
    _, none, _ = terminals.run("models", "-p", "groq", "--json", "x", environ=environ)

    assert "a-large" == json.loads(out)[0]["id"]
    assert [] == json.loads(none)


def test_provider_that_is_asked_for_models_is_named(environ, server):
    """
    Without --provider the first whose key is set is asked, and named.
    """
    server.script(faults.models("a-large"))

    code, out, err = terminals.run("models", environ=environ)

    assert code == 0
    assert "a-large" in out
    assert err.startswith("ai-lib: groq")


def test_refused_list_is_one_line(environ, server):
    """
    The provider's no is one line on standard error, and exit code 1.
    """
    server.script(faults.refusal(401, "Wrong key."))

    code, out, err = terminals.run("models", "-p", "groq", environ=environ)

    assert (1, "") == (code, out)
    assert "Wrong key." in err
    assert 1 == err.count("\n")


def test_names_of_models_cannot_break_lines(environ, server):
    """
    What a server lists stands in one line, and drives no terminal.
    """
    server.script(faults.models("evil\x1b[2J\nname"))

    _, out, _ = terminals.run("models", "-p", "groq", environ=environ)

    assert 2 == out.count("\n")
    assert "evil^[[2J name" in out
