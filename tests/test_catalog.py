"""
The table of providers holds together, and every record can be used.
"""

from __future__ import annotations

import re

import attrs
import pytest

from ai_lib._core.catalog import CATALOG, Provider
from ai_lib._core.chat import ChatCompletionRequest
from ai_lib._core.dialects import DIALECTS, openai_chat
from ai_lib._core.dialects._errors import KINDS
from ai_lib._core.families import FAMILIES, PLAIN, family_of
from ai_lib._core.http import HttpResponse
from ai_lib._core.messages import Message
from ai_lib._core.providers import CAPABILITIES, ResolvedTarget
from ai_lib._core.tools import Tool

FIELDS = {field.name for field in attrs.fields(ChatCompletionRequest)}
KNOWN_DROPS = FIELDS - {"model", "messages", "extensions", "extra_headers", "tools"}
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")

every_record = pytest.mark.parametrize("spec", CATALOG, ids=lambda spec: spec.id)


def test_members_are_the_records():
    """
    ``Provider`` names every built-in record, in the order of the table.
    """
    assert [spec.id for spec in CATALOG] == [str(one) for one in Provider]
    assert [one.name for one in Provider] == [one.value.upper() for one in Provider]


def test_names_are_unique():
    """
    No id and no alias means two providers.
    """
    names = [name for spec in CATALOG for name in (spec.id, *spec.aliases)]

    assert sorted(set(names)) == sorted(names)


@every_record
def test_record_is_complete(spec):
    """
    A record names a dialect, a place, its variables, its documentation and a default model.
    """
    assert spec.dialect in DIALECTS
    assert re.match(r"https?://[^/]+", spec.base_url)
    assert not spec.base_url.endswith("/")
    assert spec.docs_url.startswith("https://")
    assert spec.name
    variables = [*spec.api_key_env, *spec.base_url_env, *spec.model_env]
    variables += [name for names in spec.options.values() for name in names]
    assert all(VARIABLE.fullmatch(name) for name in variables)
    assert bool(spec.api_key_env) != spec.embedded
    assert spec.default_model or spec.first_listed_model or spec.model_env
    assert spec.verified in ("recorded traffic", "real server", "documentation")


@every_record
def test_placeholders_are_options(spec):
    """
    What stands in braces in a URL can be filled.
    """
    urls = [spec.base_url, *spec.other_base_urls.values()]
    names = {name for url in urls for name in re.findall(r"\{(\w+)\}", url)}

    assert names <= spec.options.keys()


@every_record
def test_words_are_known(spec):
    """
    Capabilities, fields, families and kinds of errors are spelled as elsewhere.
    """
    quirks = spec.quirks

    assert spec.capabilities <= set(CAPABILITIES)
    assert ("list_models" in spec.capabilities) == (spec.models_path is not None)
    assert quirks.drop <= KNOWN_DROPS
    assert quirks.rename.keys() <= KNOWN_DROPS
    assert quirks.ranges.keys() <= KNOWN_DROPS
    assert quirks.families in (*FAMILIES, "")
    assert set(quirks.error_codes.values()) <= KINDS.keys()
    assert all(code == code.lower() for code in quirks.error_codes)
    assert quirks.tool_choice.keys() <= {"none", "required", "named"}
    assert set(quirks.replay) <= {"reasoning_content", "reasoning_details", "thinking"}


@pytest.mark.parametrize("table", FAMILIES)
def test_families_hold_together(table):
    """
    Patterns compile, and name fields that there are.
    """
    for family in FAMILIES[table]:
        assert re.compile(family.models)
        assert family.drop | family.drop_while_reasoning <= KNOWN_DROPS
        assert family.fixed.keys() <= KNOWN_DROPS


def test_model_of_no_family_takes_everything():
    """
    An unknown model, or a provider without a table, is refused nothing.
    """
    assert PLAIN is family_of("openai", "gpt-4o")
    assert PLAIN is family_of("", "gpt-6-luna")
    assert not PLAIN.drop


openai_records = [spec for spec in CATALOG if spec.dialect == "openai_chat"]


@pytest.mark.parametrize("spec", openai_records, ids=lambda spec: spec.id)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_request_with_everything_can_be_sent(spec, stream):
    """
    Every record makes a request of all that there is; each field is sent, renamed or warned of.
    """
    model = spec.default_model or "some-model"
    options = dict.fromkeys(spec.options, "x")
    target = ResolvedTarget(
        spec=spec,
        model=model,
        base_url=spec.base_url.format(**options),
        options={**options, "api_version": "", "base_model": ""},
    )
    plain = {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 5,
        "frequency_penalty": 0.5,
        "presence_penalty": 0.5,
        "stop": "x",
        "seed": 1,
        "logprobs": True,
        "user": "u-1234",
        "metadata": {"a": "b"},
        "parallel_tool_calls": True,
    }
    request = ChatCompletionRequest(
        model,
        [Message.system("Be brief."), Message.user("Hi")],
        tools=[Tool("now")],
        max_tokens=100,
        **plain,
    )

    encoded = openai_chat.encode_request(
        target, request, stream=stream, on_unsupported="warn"
    )

    body = encoded.json()
    assert 100 == body[spec.quirks.max_tokens_field]
    assert stream == body.get("stream", False)
    warned = " ".join(encoded.warnings)
    for name in plain:
        assert (name in body) != (f"{spec.id} does not take {name}" in warned) or (
            f"{name} was sent as" in warned
        )


@pytest.mark.parametrize("spec", openai_records, ids=lambda spec: spec.id)
def test_answer_goes_back(spec):
    """
    An answer with reasoning and a call can be put into the next request to the same provider.
    """
    target = ResolvedTarget(spec=spec, model="m", base_url="https://x.example/v1")
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "now", "arguments": "{}"},
    }
    message = {"content": "", "reasoning_content": "Hm.", "tool_calls": [call]}
    body = openai_chat.encode_json({"choices": [{"index": 0, "message": message}]})

    response = openai_chat.decode_response(target, HttpResponse(status=200, body=body))
    (one,) = response.tool_calls
    request = ChatCompletionRequest(
        "m",
        [Message.user("Hi"), response.message, Message.tool("noon", one.id)],
        tools=[Tool("now")],
    )
    sent = openai_chat.encode_request(
        target, request, stream=False, on_unsupported="error"
    ).json()["messages"]

    assert ["user", "assistant", "tool"] == [each["role"] for each in sent]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"]
    wanted = "reasoning_content" in spec.quirks.replay
    assert ("Hm." if wanted else None) == sent[1].get("reasoning_content")
