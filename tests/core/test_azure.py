"""
Azure OpenAI in its full variety: addresses, keys and tokens, deployments, the content filter.
"""

from __future__ import annotations

import json

import attrs
import pytest
from faults import reply

from ai_lib import AiClient
from ai_lib._core.catalog import CATALOG
from ai_lib._core.chat import ChatCompletionRequest
from ai_lib._core.dialects import openai_chat, openai_responses
from ai_lib._core.errors import (
    AuthenticationError,
    ConfigurationError,
    ContentFilteredError,
    InvalidRequestError,
    MissingApiKeyError,
    ModelNotFoundError,
    RateLimitError,
)
from ai_lib._core.http import HttpResponse
from ai_lib._core.providers import ResolvedTarget
from ai_lib._core.stream import ChunkDecoder
from ai_lib._core.targets import Target, resolve
from ai_lib._core.tools import Tool

SPEC = next(spec for spec in CATALOG if spec.id == "azure_openai")
RESOURCE = "https://r.openai.azure.com"
FOUNDRY = "https://r.services.ai.azure.com"
#: In the shape of a token of Entra ID, and none.
TOKEN = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJub2JvZHkifQ.c2ln"


def target_at(base=f"{RESOURCE}/openai/v1", model="prod", **options):
    """
    A deployment.
    """
    return ResolvedTarget(spec=SPEC, model=model, base_url=base, options=options)


def encoded(target, dialect=openai_chat, **fields):
    """
    The ``HttpRequest`` for a request of *fields*.
    """
    request = ChatCompletionRequest(target.model, "Hi", **fields)
    return dialect.encode_request(target, request, stream=False, on_unsupported="warn")


def response_of(body, status=200, **headers):
    """
    An answer.
    """
    raw = json.dumps(body).encode()
    return HttpResponse(status=status, body=raw, headers=headers)


# Addresses


@pytest.mark.parametrize(
    ("base", "version", "chat", "responses", "models"),
    [
        pytest.param(
            f"{RESOURCE}/openai/v1",
            "",
            f"{RESOURCE}/openai/v1/chat/completions",
            f"{RESOURCE}/openai/v1/responses",
            f"{RESOURCE}/openai/v1/models",
            id="v1",
        ),
        pytest.param(
            f"{RESOURCE}/openai/v1",
            "preview",
            f"{RESOURCE}/openai/v1/chat/completions?api-version=preview",
            f"{RESOURCE}/openai/v1/responses?api-version=preview",
            f"{RESOURCE}/openai/v1/models?api-version=preview",
            id="preview",
        ),
        pytest.param(
            RESOURCE,
            "",
            f"{RESOURCE}/openai/v1/chat/completions",
            f"{RESOURCE}/openai/v1/responses",
            f"{RESOURCE}/openai/v1/models",
            id="bare",
        ),
        pytest.param(
            f"{RESOURCE}/openai",
            "",
            f"{RESOURCE}/openai/v1/chat/completions",
            f"{RESOURCE}/openai/v1/responses",
            f"{RESOURCE}/openai/v1/models",
            id="half-way",
        ),
        pytest.param(
            RESOURCE,
            "2024-10-21",
            f"{RESOURCE}/openai/deployments/prod/chat/completions"
            "?api-version=2024-10-21",
            f"{RESOURCE}/openai/v1/responses",
            f"{RESOURCE}/openai/models?api-version=2024-10-21",
            id="dated",
        ),
        pytest.param(
            f"{RESOURCE}/openai/v1",
            "2025-04-01-preview",
            f"{RESOURCE}/openai/deployments/prod/chat/completions"
            "?api-version=2025-04-01-preview",
            f"{RESOURCE}/openai/responses?api-version=2025-04-01-preview",
            f"{RESOURCE}/openai/models?api-version=2025-04-01-preview",
            id="dated-with-responses",
        ),
        pytest.param(
            f"{RESOURCE}/openai/deployments/d",
            "",
            f"{RESOURCE}/openai/deployments/d/chat/completions?api-version=2024-10-21",
            f"{RESOURCE}/openai/v1/responses",
            f"{RESOURCE}/openai/models?api-version=2024-10-21",
            id="deployment",
        ),
        pytest.param(
            f"{RESOURCE}/openai/deployments/d/chat/completions",
            "2024-12-01-preview",
            f"{RESOURCE}/openai/deployments/d/chat/completions"
            "?api-version=2024-12-01-preview",
            f"{RESOURCE}/openai/v1/responses",
            f"{RESOURCE}/openai/models?api-version=2024-12-01-preview",
            id="target-uri",
        ),
        pytest.param(
            f"{FOUNDRY}/openai/v1/responses",
            "",
            f"{FOUNDRY}/openai/v1/chat/completions",
            f"{FOUNDRY}/openai/v1/responses",
            f"{FOUNDRY}/openai/v1/models",
            id="target-uri-v1",
        ),
        pytest.param(
            f"{FOUNDRY}/api/projects/p",
            "",
            f"{FOUNDRY}/api/projects/p/openai/v1/chat/completions",
            f"{FOUNDRY}/api/projects/p/openai/v1/responses",
            f"{FOUNDRY}/api/projects/p/openai/v1/models",
            id="project",
        ),
        pytest.param(
            f"{FOUNDRY}/models",
            "",
            f"{FOUNDRY}/models/chat/completions?api-version=2024-05-01-preview",
            f"{FOUNDRY}/openai/v1/responses",
            f"{FOUNDRY}/openai/v1/models",
            id="inference",
        ),
        pytest.param(
            "https://gateway.example.com/azure",
            "",
            "https://gateway.example.com/azure/chat/completions",
            "https://gateway.example.com/azure/responses",
            "https://gateway.example.com/azure/models",
            id="gateway",
        ),
    ],
)
def test_addresses(base, version, chat, responses, models):
    """
    The v1 surface, or the one of old where a dated version or a deployment asks for it.
    """
    target = target_at(base, api_version=version)

    assert chat == encoded(target).url
    assert responses == encoded(target, openai_responses).url
    assert models == openai_chat.models_request(target).url


def test_deployment_is_escaped():
    """
    It can be called anything, and stands in the body too.
    """
    target = target_at(RESOURCE, "my/prod", api_version="2024-10-21")

    request = encoded(target)

    assert "/deployments/my%2Fprod/chat" in request.url
    assert "my/prod" == request.json()["model"]


@pytest.mark.parametrize(
    ("environ", "base"),
    [
        ({"AZURE_RESOURCE_NAME": "r"}, f"{RESOURCE}/openai/v1"),
        ({"AZURE_OPENAI_ENDPOINT": f"{RESOURCE}/"}, RESOURCE),
        ({"AZURE_OPENAI_BASE_URL": f"{FOUNDRY}/openai/v1"}, f"{FOUNDRY}/openai/v1"),
    ],
    ids=["resource", "endpoint", "base-url"],
)
def test_where_is_said_in_the_environment(environ, base):
    """
    As a name, as the bare resource, or whole.
    """
    environ = {"AZURE_OPENAI_API_KEY": "k", **environ}

    target, _ = resolve(Target("azure"), environ=environ)

    assert base == target.base_url


def test_without_a_resource_nothing_is_guessed():
    """
    The sentence says what to do.
    """
    with pytest.raises(ConfigurationError, match="AZURE_RESOURCE_NAME"):
        resolve(Target("azure", api_key="k"), environ={})


def test_without_a_deployment_nothing_is_guessed():
    """
    Deployments are named by the customer.
    """
    with (
        AiClient("azure", api_key="k", base_url=RESOURCE) as client,
        pytest.raises(ConfigurationError, match="AZURE_OPENAI_DEPLOYMENT"),
    ):
        client.prepare(ChatCompletionRequest("auto", "Hi"))


# Keys and tokens


@pytest.mark.parametrize(
    ("key", "header", "prefix"),
    [("0123456789abcdef", "api-key", ""), (TOKEN, "Authorization", "Bearer ")],
    ids=["key", "token"],
)
@pytest.mark.parametrize("given", ["string", "function"])
def test_token_is_told_from_a_key(key, header, prefix, given):
    """
    By what it looks like, also when a function gives it at each attempt.
    """
    value = key if given == "string" else lambda: key
    target, source = resolve(
        Target("azure", api_key=value, base_url=RESOURCE), environ={}
    )

    credential = source.credential(target.spec, source.ask())

    assert (header, prefix + key) == (credential.header, credential.header_value())


def test_token_of_the_environment_need_not_look_like_one():
    """
    Its variable tells.
    """
    environ = {"AZURE_OPENAI_AD_TOKEN": "opaque", "AZURE_RESOURCE_NAME": "r"}

    target, source = resolve(Target("azure"), environ=environ)

    credential = source.credential(target.spec, source.secret)
    assert ("Authorization", "Bearer opaque", "AZURE_OPENAI_AD_TOKEN") == (
        credential.header,
        credential.header_value(),
        credential.variable,
    )


def test_key_of_the_environment_comes_before_a_token():
    """
    The order is the record's.
    """
    environ = {
        "AZURE_OPENAI_AD_TOKEN": TOKEN,
        "AZURE_API_KEY": "abc",
        "AZURE_RESOURCE_NAME": "r",
    }

    target, source = resolve(Target("azure"), environ=environ)

    assert "api-key" == source.credential(target.spec, source.secret).header


def test_missing_key_names_every_variable():
    """
    The token's too.
    """
    with pytest.raises(MissingApiKeyError, match="AZURE_OPENAI_AD_TOKEN"):
        resolve(Target("azure", base_url=RESOURCE), environ={})


def test_other_providers_take_any_key_as_a_key():
    """
    What looks like a token may be one of theirs.
    """
    target, source = resolve(Target("anthropic", api_key=TOKEN), environ={})

    assert (
        target.spec.key_header == source.credential(target.spec, source.secret).header
    )


def test_token_is_sent_as_one(pair, server):
    """
    And no key beside it.
    """
    body = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
    server.script(reply(json.dumps(body).encode()))
    client = pair.client(server, provider="azure", api_key=lambda: TOKEN)

    client.chat_completion(ChatCompletionRequest("prod", "Hi"))

    (request,) = server.requests
    assert f"Bearer {TOKEN}" == request.headers["authorization"]
    assert "api-key" not in request.headers


# Models behind deployments


def test_family_is_that_of_the_base_model():
    """
    The name of a deployment may hide it.
    """
    hidden = encoded(target_at(), temperature=0.5)
    told = encoded(target_at(base_model="gpt-6-luna"), temperature=0.5)

    assert 0.5 == hidden.json()["temperature"]
    assert "temperature" not in told.json()


@pytest.mark.parametrize("dialect", [openai_chat, openai_responses])
@pytest.mark.parametrize(
    ("target", "hinted"),
    [
        pytest.param(target_at(), True, id="hidden"),
        pytest.param(target_at(base_model="gpt-6-luna"), False, id="told"),
    ],
)
def test_refused_parameter_says_what_to_declare(dialect, target, hinted):
    """
    Where the model behind the deployment is not known.
    """
    error = {
        "code": "unsupported_parameter",
        "message": "Unsupported parameter: 'max_tokens'.",
        "param": "max_tokens",
    }

    found = dialect.decode_error(target, response_of({"error": error}, 400))

    assert isinstance(found, InvalidRequestError)
    assert hinted == ("base_model" in str(found))


def test_providers_that_name_their_models_give_no_hint():
    """
    There is nothing to declare.
    """
    spec = attrs.evolve(SPEC, id="other", options={})
    target = attrs.evolve(target_at(), spec=spec)
    error = {"code": "unsupported_parameter", "message": "No."}

    found = openai_chat.decode_error(target, response_of({"error": error}, 400))

    assert "base_model" not in str(found)


def test_tools_with_effort_go_by_responses_of_the_same_resource():
    """
    Under the version that has them.
    """
    options = {"base_model": "gpt-6-luna", "api_version": "2024-10-21"}
    request = ChatCompletionRequest(
        "prod", "Hi", tools=[Tool("t")], reasoning_effort="low"
    )

    with AiClient(
        "azure", api_key="k", base_url=RESOURCE, provider_options=options
    ) as client:
        prepared = client.prepare(request)

    assert f"{RESOURCE}/openai/v1/responses" == prepared.url
    assert {"effort": "low", "summary": "auto"} == prepared.json()["reasoning"]


# The content filter

RATED = {"hate": {"filtered": False, "severity": "safe"}}


def chunk(*choices, **more):
    """
    An event.
    """
    body = {"id": "c1", "model": "gpt", "choices": list(choices), **more}
    return f"data: {json.dumps(body)}\n\n".encode()


def piece(finish=None, **delta):
    """
    A choice of an event.
    """
    return {"index": 0, "delta": delta, "finish_reason": finish}


def test_events_of_the_filter_are_no_text():
    """
    The first has no choice, those of the asynchronous filter have no delta.
    """
    target = target_at()
    decoder = ChunkDecoder(
        parser=openai_chat.chunk_parser(target),
        decode_whole=lambda body: openai_chat.decode_response(
            target, HttpResponse(status=200, body=body)
        ),
    )
    filtered = {
        "index": 0,
        "finish_reason": None,
        "content_filter_results": RATED,
        "content_filter_offsets": {"check_offset": 0, "start_offset": 0},
    }
    rated = [{"prompt_index": 0, "content_filter_results": RATED}]
    for data in (
        chunk(id="", model="", created=0, prompt_filter_results=rated),
        chunk(piece(role="assistant", content="")),
        chunk(piece(content="Hi")),
        chunk(filtered, id="", model=""),
        chunk(piece("stop")),
        b"data: [DONE]\n\n",
        b"",
    ):
        decoder.feed(data)

    texts = []
    while (one := decoder.next_chunk()) is not None:
        texts.append(one.text)

    assert "Hi" == "".join(texts)
    assert ("Hi", "c1", "gpt", "stop") == (
        decoder.response.text,
        decoder.response.id,
        decoder.response.model,
        decoder.response.finish_reason,
    )


def test_filtered_answer_has_its_reason():
    """
    It may come without a message.
    """
    choice = {
        "index": 0,
        "finish_reason": "content_filter",
        "content_filter_results": {"hate": {"filtered": True, "severity": "high"}},
    }

    response = openai_chat.decode_response(
        target_at(), response_of({"id": "c", "choices": [choice]})
    )

    assert ("", "content_filter") == (response.text, response.finish_reason)


@pytest.mark.parametrize("dialect", [openai_chat, openai_responses])
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        pytest.param(
            400,
            {
                "error": {
                    "code": "content_filter",
                    "message": "The response was filtered.",
                    "param": "prompt",
                    "status": 400,
                    "innererror": {"code": "ResponsibleAIPolicyViolation"},
                }
            },
            ContentFilteredError,
            id="prompt",
        ),
        pytest.param(
            401,
            {"statusCode": 401, "message": "Access denied due to invalid key."},
            AuthenticationError,
            id="key",
        ),
        pytest.param(
            401,
            {"error": {"code": "401", "message": "Access denied."}},
            AuthenticationError,
            id="code-in-digits",
        ),
        pytest.param(
            404,
            {"error": {"code": "DeploymentNotFound", "message": "No such thing."}},
            ModelNotFoundError,
            id="deployment",
        ),
        pytest.param(
            400,
            {"error": {"code": "OperationNotSupported", "message": "Not with this."}},
            InvalidRequestError,
            id="operation",
        ),
        pytest.param(
            429,
            {"error": {"code": "429", "message": "Rate limit is exceeded."}},
            RateLimitError,
            id="limit",
        ),
    ],
)
def test_errors(dialect, status, body, kind):
    """
    Azure's own shapes are read in both formats.
    """
    found = dialect.decode_error(target_at(), response_of(body, status))

    assert type(found) is kind
    assert status == found.status_code


def test_filtered_prompt_with_a_status_of_success():
    """
    The body says it.
    """
    error = {"code": "content_filter", "message": "Filtered.", "status": 400}

    with pytest.raises(ContentFilteredError) as caught:
        openai_chat.decode_response(target_at(), response_of({"error": error}))

    assert 400 == caught.value.status_code


def test_hint_of_when_to_come_back():
    """
    The exact one is taken.
    """
    response = response_of(
        {"error": {"code": "429", "message": "Slow down."}},
        429,
        **{"retry-after": "1", "retry-after-ms": "250"},
    )

    assert 0.25 == openai_chat.decode_error(target_at(), response).retry_after
