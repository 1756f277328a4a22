"""
What a caller's words and the environment make of providers, keys, addresses and models.
"""

import importlib.metadata
import pickle
import traceback
import types

import attrs
import pytest

from ai_lib._core import registry, secrets
from ai_lib._core.dialects import DIALECTS, Dialect
from ai_lib._core.errors import ConfigurationError, MissingApiKeyError
from ai_lib._core.providers import ProviderSpec
from ai_lib._core.registry import (
    dialect_named,
    find_provider,
    load_installed,
    providers,
    register_dialect,
    register_provider,
    split_model_string,
)
from ai_lib._core.secrets import Secret
from ai_lib._core.targets import (
    KeySource,
    Target,
    first_configured,
    resolve,
    resolve_model,
)

KEY = "LEAK-key-0123456789"

ACME = ProviderSpec(
    id="acme_ai",
    dialect="openai_chat",
    base_url="https://api.acme.example/v1",
    api_key_env=("ACME_API_KEY", "ACME_TOKEN"),
    aliases=("acme", "roadrunner"),
    base_url_env=("ACME_BASE_URL", "ACME_ENDPOINT", "ACME_HOST"),
    base_url_suffixes={"ACME_ENDPOINT": "/v1", "ACME_HOST": "/v1"},
    model_env=("ACME_MODEL", "ACME_DEPLOYMENT"),
    default_model="anvil-1",
    other_dialects={
        "anthropic_messages": "https://api.acme.example/v1/claude",
        "gemini": "https://google.acme.example",
    },
)
REGIONAL = ProviderSpec(
    id="regional",
    dialect="openai_chat",
    base_url="https://{region}.regional.example/{account}",
    options={
        "region": ("REGIONAL_REGION", "REGION"),
        "account": (),
        "version": ("REGIONAL_VERSION",),
    },
    key_required=False,
)
SERVER = ProviderSpec(
    id="server",
    dialect="openai_chat",
    base_url="http://localhost:7777",
    base_url_env=("SERVER_HOST",),
    key_required=False,
    first_listed_model=True,
)
EMBEDDED = ProviderSpec(
    id="inside",
    dialect="openai_chat",
    base_url="",
    key_required=False,
    embedded=True,
)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """
    A registry of this module's records only, and no keys known from elsewhere.
    """
    monkeypatch.setattr(registry, "_providers", {})
    monkeypatch.setattr(registry, "_dialects", {})
    monkeypatch.setattr(secrets, "_KNOWN", secrets._KnownKeys(9))
    for spec in (ACME, REGIONAL, SERVER, EMBEDDED):
        register_provider(spec)


@pytest.fixture
def entry_points(monkeypatch):
    """
    Entry points as an installed package would have them: name to object, and which were loaded.
    """
    offered, loaded = {}, []

    class EntryPoint:
        def __init__(self, name):
            self.name, self.value = name, f"package:{name}"

        def load(self):
            loaded.append(self.name)
            if isinstance(offered[self.name], Exception):
                raise offered[self.name]
            return offered[self.name]

    def found(*, group):
        assert group == "ai_lib.providers"
        return [EntryPoint(name) for name in offered]

    monkeypatch.setattr(importlib.metadata, "entry_points", found)
    return types.SimpleNamespace(offered=offered, loaded=loaded)


def locals_of(error):
    """
    What the locals of our frames in an error's traceback show.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if "/ai_lib/" in frame.f_code.co_filename]
    assert ours
    return "".join(shown(value) for frame in ours for value in frame.f_locals.values())


def shown(value):
    try:
        return repr(value)
    except AttributeError:  # an object whose construction failed
        return ""


@pytest.mark.parametrize(
    "name",
    ["acme_ai", "acme-ai", "ACME_AI", "AcmeAI", " acme ai ", "acme", "RoadRunner"],
)
def test_provider_is_found_by_any_spelling(name):
    """
    Id and aliases count, case and hyphens do not.
    """
    assert ACME is find_provider(name)


def test_record_is_its_own_provider():
    """
    A record need not be registered to be used.
    """
    spec = attrs.evolve(ACME, id="unregistered")

    assert spec is find_provider(spec)
    assert "unregistered" == resolve(Target(spec, api_key=KEY))[0].provider


def test_unknown_provider_is_refused_with_close_ones(entry_points):
    """
    The error names what was meant, maybe, and how to add one.
    """
    with pytest.raises(ConfigurationError) as caught:
        find_provider("acmee")

    assert (
        "No provider is called 'acmee'. Did you mean acme_ai?"
        " Write PROVIDER/MODEL, such as openai/gpt-4o;"
        " register_provider(ProviderSpec(…)) adds a provider." == str(caught.value)
    )


def test_unknown_provider_like_no_other_gets_no_guess(entry_points):
    """
    Nothing is suggested where nothing is close.
    """
    with pytest.raises(ConfigurationError, match=r"'zzz'\. Write PROV"):
        find_provider("zzz")


def test_unknown_provider_is_named_without_the_model():
    """
    Of a model string only what stands in the provider's place is named.
    """
    with pytest.raises(ConfigurationError, match=r"called 'nope'\."):
        find_provider("nope/x")


def test_providers_are_listed_once():
    """
    Every record is listed, in order of registration, aliases or not.
    """
    assert (ACME, REGIONAL, SERVER, EMBEDDED) == providers()


@pytest.mark.parametrize(
    "names",
    [
        pytest.param({"id": "acme_ai"}, id="id"),
        pytest.param({"id": "acme-ai"}, id="id in another spelling"),
        pytest.param({"id": "acme"}, id="id that is an alias"),
        pytest.param({"id": "x", "aliases": ("roadrunner",)}, id="alias"),
        pytest.param({"id": "x", "aliases": ("acmeai",)}, id="alias that is an id"),
    ],
)
def test_taken_name_cannot_be_registered(names):
    """
    Nothing is replaced: a taken id or alias is a ValueError, and nothing of the record is kept.
    """
    with pytest.raises(ValueError, match="is a name of 'acme_ai' already"):
        register_provider(attrs.evolve(ACME, **{"aliases": (), **names}))

    assert 4 == len(providers())


def test_only_records_are_registered():
    """
    Anything but a ProviderSpec is a TypeError.
    """
    with pytest.raises(TypeError, match="not dict"):
        register_provider({"id": "x"})


@pytest.mark.parametrize("give", ["record", "function"])
def test_entry_point_adds_a_provider(entry_points, give):
    """
    The one of the name is loaded, once, and no other.
    """
    spec = attrs.evolve(ACME, id="plugged_in", aliases=("acme", "plug"))
    entry_points.offered["other"] = ImportError("must not be loaded")
    entry_points.offered["plugged-in"] = spec if give == "record" else lambda: spec

    assert spec is find_provider("Plugged_In")
    assert spec is find_provider("plug")
    assert ACME is find_provider("acme")
    assert ["plugged-in"] == entry_points.loaded


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param(ImportError("no module x"), "cannot be loaded", id="import"),
        pytest.param(SyntaxError("x"), "cannot be loaded: SyntaxError", id="syntax"),
        pytest.param(lambda: 1 / 0, "cannot be loaded: ZeroDiv", id="broken function"),
        pytest.param("a string", "gives no ProviderSpec", id="string"),
        pytest.param(lambda: None, "gives no ProviderSpec", id="function of nothing"),
        pytest.param(attrs.evolve(ACME, name="Evil"), "is taken", id="taken id"),
    ],
)
def test_entry_point_that_gives_no_new_record_is_refused(entry_points, given, words):
    """
    A plugin that is broken or would replace a provider is a ConfigurationError.
    """
    entry_points.offered["plug"] = given

    with pytest.raises(ConfigurationError, match=words):
        find_provider("plug")

    assert ACME is find_provider("acme_ai")


def test_installed_providers_are_loaded_for_a_list(entry_points):
    """
    Who lists providers has those of packages too, and is told of what cannot be loaded.
    """
    spec = attrs.evolve(ACME, id="plugged_in", aliases=())
    entry_points.offered.update({"broken": ImportError("no x"), "plugged-in": spec})

    wrong = load_installed()

    assert spec in providers()
    assert ["'broken'"] == [str(one).split()[3] for one in wrong]


def test_known_provider_asks_no_entry_point(entry_points):
    """
    A plugin of a known name is not even loaded.
    """
    entry_points.offered["acme"] = ImportError("must not be loaded")

    assert ACME is find_provider("acme")
    assert [] == entry_points.loaded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("acme/anvil-2", ("acme_ai", "anvil-2")),
        ("acme:anvil-2", ("acme_ai", "anvil-2")),
        ("Acme-AI/vendor/anvil:free", ("acme_ai", "vendor/anvil:free")),
        ("acme:vendor/anvil", ("acme_ai", "vendor/anvil")),
        ("acme/", ("acme_ai", "")),
        ("acme", None),
        ("vendor/acme", None),
        ("llama3:8b", None),
        ("llama3:acme/x", None),
        ("/anvil", None),
        ("", None),
    ],
)
def test_model_string_is_split_behind_a_known_provider(text, expected):
    """
    The first separator counts, and only behind a known name.
    """
    found = split_model_string(text)

    assert expected == (found and (found[0].id, found[1]))


@pytest.mark.parametrize(
    ("value", "more", "expected"),
    [
        ("acme", {}, ("acme", None)),
        ("acme/anvil-2", {}, ("acme_ai", "anvil-2")),
        ("acme", {"model": "vendor/x"}, ("acme", "vendor/x")),
        ("acme/anvil-2", {"model": "vendor/x"}, ("acme/anvil-2", "vendor/x")),
        (Target("acme", "x"), {}, ("acme", "x")),
    ],
)
def test_target_is_read_from_what_callers_write(value, more, expected):
    """
    A string is split only if no model is named beside it.
    """
    target = Target.of(value, **more)

    assert expected == (target.provider, target.model)


def test_target_shows_no_key():
    """
    Neither key nor the credentials of an address are in a target's repr, and it does not pickle them.
    """
    target = Target("acme", api_key=KEY, base_url="https://u:LEAK@h")

    assert "LEAK" not in repr(target)
    assert KEY == target.api_key.reveal()
    with pytest.raises(TypeError):
        pickle.dumps(target)


def test_target_refuses_a_malformed_key_without_showing_it():
    """
    No frame of ours holds it when the error is raised.
    """
    with pytest.raises(ConfigurationError, match="api_key") as caught:
        Target("acme", api_key="LEAK\nkey")

    assert "LEAK" not in str(caught.value) + locals_of(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight": 0},
        {"weight": -1},
        {"prices": (1.0,)},
        {"prices": (1.0, -1.0)},
        {"prices": (1.0, float("nan"))},
        {"prices": ("1", "2")},
    ],
)
def test_target_refuses_numbers_that_cannot_be(wrong):
    """
    Weights are above zero, prices two numbers not below it.
    """
    with pytest.raises(ValueError):
        Target("acme", **wrong)


def test_target_can_be_changed_by_evolve():
    """
    attrs.evolve keeps what is not changed.
    """
    target = Target("acme", api_key=KEY, prices=[1, 2], weight=2)

    changed = attrs.evolve(target, model="x")

    assert ("x", (1, 2), 2) == (changed.model, changed.prices, changed.weight)
    assert target.api_key == changed.api_key


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        pytest.param(None, {}, "https://api.acme.example/v1", id="the record's"),
        pytest.param("https://own.example/", {}, "https://own.example", id="explicit"),
        pytest.param(
            "https://own.example",
            {"ACME_BASE_URL": "https://env.example"},
            "https://own.example",
            id="explicit first",
        ),
        pytest.param(
            None,
            {"ACME_BASE_URL": "https://env.example/x/"},
            "https://env.example/x",
            id="variable",
        ),
        pytest.param(
            None,
            {"ACME_BASE_URL": " ", "ACME_ENDPOINT": "https://env.example"},
            "https://env.example/v1",
            id="suffix",
        ),
        pytest.param(
            None,
            {"ACME_ENDPOINT": "https://env.example/v1/"},
            "https://env.example/v1",
            id="suffix that is there",
        ),
        pytest.param(
            None, {"ACME_HOST": "env.example"}, "https://env.example/v1", id="bare host"
        ),
        pytest.param(
            None,
            {"AI_BASE_URL": "https://all.example/v1/"},
            "https://all.example/v1",
            id="for all",
        ),
        pytest.param(
            None,
            {
                "AI_BASE_URL": "https://all.example",
                "ACME_BASE_URL": "https://env.example",
            },
            "https://env.example",
            id="the provider's variable first",
        ),
    ],
)
def test_base_url_comes_from_the_nearest(given, environ, expected):
    """
    Explicit, then the provider's variables, then the one for all, then the record.
    """
    target = Target("acme", api_key=KEY, base_url=given)

    assert expected == resolve(target, environ=environ)[0].base_url


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.0.0.0", "http://0.0.0.0:7777"),
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        ("localhost/base", "http://localhost:7777/base"),
        ("[::1]:9", "http://[::1]:9"),
        ("[::1]", "http://[::1]:7777"),
    ],
)
def test_bare_host_takes_scheme_and_port_of_the_record(value, expected):
    """
    A local server's variable may hold an address without the rest.
    """
    resolved, _ = resolve(Target("server"), environ={"SERVER_HOST": value})

    assert expected == resolved.base_url


@pytest.mark.parametrize("variable", ["ACME_BASE_URL", "AI_BASE_URL", "base_url"])
def test_bad_base_url_is_refused_by_name(variable):
    """
    The error names variable or argument and shows no credentials.
    """
    bad = "https://user:LEAK@api.example"
    given = bad if variable == "base_url" else None

    with pytest.raises(ConfigurationError, match=variable) as caught:
        resolve(Target("acme", api_key=KEY, base_url=given), environ={variable: bad})

    assert "LEAK" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "environ", "expected"),
    [
        pytest.param(
            {"region": "eu", "account": "a-1"},
            {},
            "https://eu.regional.example/a-1",
            id="given",
        ),
        pytest.param(
            {"account": "a"},
            {"REGION": "us"},
            "https://us.regional.example/a",
            id="variable",
        ),
        pytest.param(
            {"account": "a", "region": "eu"},
            {"REGIONAL_REGION": "us"},
            "https://eu.regional.example/a",
            id="given first",
        ),
    ],
)
def test_placeholders_are_filled(options, environ, expected):
    """
    What the base URL needs comes from provider_options, else from the environment.
    """
    target = Target("regional", provider_options=options)

    resolved, key = resolve(target, environ=environ)

    assert expected == resolved.base_url
    assert key is None


def test_placeholders_of_an_explicit_base_url_are_filled():
    """
    A caller's own address may have them, and then needs no others.
    """
    target = Target(
        "regional",
        base_url="https://own.example/{region}",
        provider_options={"region": "eu"},
    )

    resolved, _ = resolve(target, environ={"REGIONAL_VERSION": "2"})

    assert "https://own.example/eu" == resolved.base_url
    assert {"region": "eu", "version": "2"} == resolved.options


def test_missing_option_names_both_ways():
    """
    The error says what to pass and what to set.
    """
    with pytest.raises(ConfigurationError) as caught:
        resolve(Target("regional"), environ={})

    assert (
        "regional needs 'region': pass provider_options={'region': …}"
        " or set REGIONAL_REGION or REGION." == str(caught.value)
    )


@pytest.mark.parametrize(
    "value", ["a/b", "a@b", "../x", "a?b", "a b", "{region}", "a\n"]
)
def test_option_that_would_change_the_address_is_refused(value):
    """
    Only letters, digits and harmless marks go into a URL.
    """
    target = Target("regional", provider_options={"region": value, "account": "a"})

    with pytest.raises(ConfigurationError, match="cannot stand in a URL"):
        resolve(target, environ={})


def test_unknown_option_is_refused():
    """
    A misspelt option is not ignored.
    """
    with pytest.raises(ConfigurationError, match="'regoin'; it takes region, account"):
        resolve(Target("regional", provider_options={"regoin": "eu"}), environ={})


@pytest.mark.parametrize(
    ("given", "environ", "value", "variable"),
    [
        pytest.param(
            KEY, {"ACME_API_KEY": "other"}, KEY, "ACME_API_KEY", id="explicit"
        ),
        pytest.param(
            Secret(KEY, "mine"), {}, KEY, "ACME_API_KEY", id="explicit secret"
        ),
        pytest.param(lambda: KEY, {}, KEY, "ACME_API_KEY", id="callable"),
        pytest.param(None, {"ACME_API_KEY": KEY}, KEY, "ACME_API_KEY", id="first"),
        pytest.param(
            None,
            {"ACME_API_KEY": " ", "ACME_TOKEN": KEY},
            KEY,
            "ACME_TOKEN",
            id="second",
        ),
        pytest.param(None, {"AI_API_KEY": KEY}, KEY, "AI_API_KEY", id="for all"),
        pytest.param(
            None,
            {"AI_API_KEY": "x", "ACME_TOKEN": KEY},
            KEY,
            "ACME_TOKEN",
            id="own first",
        ),
    ],
)
def test_key_comes_from_the_nearest(given, environ, value, variable):
    """
    Explicit, then the provider's variables, then the one for all.
    """
    _, key = resolve(Target("acme", api_key=given), environ=environ)

    assert value == key.ask().reveal()
    assert variable == key.variable
    assert "LEAK" not in repr(key)


def test_missing_key_is_said_at_once():
    """
    The error names the provider, the argument and the variables.
    """
    with pytest.raises(MissingApiKeyError) as caught:
        resolve(Target("acme"), environ={})

    assert (
        "No API key for acme_ai: pass api_key= or set ACME_API_KEY or ACME_TOKEN."
        == str(caught.value)
    )
    assert "acme_ai" == caught.value.provider


def test_key_that_nobody_requires_may_be_missing():
    """
    A local server gets a key only if there is one.
    """
    assert resolve(Target("server"), environ={})[1] is None
    assert KEY == resolve(Target("server", api_key=KEY), environ={})[1].ask().reveal()


def test_embedded_server_gets_nothing_from_the_environment():
    """
    Neither key nor address for all providers is for our own child process.
    """
    environ = {"AI_API_KEY": KEY, "AI_BASE_URL": "https://all.example"}

    resolved, key = resolve(Target("inside"), environ=environ)

    assert ("", None) == (resolved.base_url, key)


def test_malformed_key_of_the_environment_is_refused_by_name(monkeypatch):
    """
    The variable is named; no frame of ours holds the key, nor the environment.
    """
    monkeypatch.setenv("ACME_API_KEY", "LEAK\u00e9key")
    monkeypatch.delenv("ACME_BASE_URL", raising=False)

    with pytest.raises(ConfigurationError, match="ACME_API_KEY") as caught:
        resolve(Target("acme"))

    assert "LEAK" not in str(caught.value) + locals_of(caught.value)


def test_callable_is_asked_each_time():
    """
    A key that changes is followed.
    """
    keys = iter(["first-key", "second-key"])

    source = KeySource.of(lambda: next(keys), variable="X")

    assert ["first-key", "second-key"] == [source.ask().reveal() for _ in range(2)]
    assert source.secret is None


def test_what_a_callable_raises_passes():
    """
    The caller's own error comes out unchanged.
    """

    def vault():
        raise PermissionError("sealed")

    with pytest.raises(PermissionError, match="sealed"):
        KeySource.of(vault, variable="X").ask()


@pytest.mark.parametrize("value", ["", "LEAK\n\x00", None, 5])
def test_what_a_callable_gives_is_checked(value):
    """
    A malformed key is a ConfigurationError at the attempt.
    """
    with pytest.raises(ConfigurationError, match="api_key") as caught:
        KeySource.of(lambda: value, variable="X").ask()

    assert "LEAK" not in str(caught.value) + locals_of(caught.value)


def test_key_of_another_type_is_refused():
    """
    Bytes and numbers are no keys, and are not shown.
    """
    with pytest.raises(ConfigurationError, match="not bytes") as caught:
        KeySource.of(b"LEAK", variable="X")

    assert "LEAK" not in locals_of(caught.value)
    assert KeySource.of(None, variable="X") is None


@pytest.mark.parametrize(
    ("target", "environ", "base_url"),
    [
        pytest.param(
            {"dialect": "openai_chat"}, {}, "https://api.acme.example/v1", id="own"
        ),
        pytest.param(
            {"dialect": "anthropic_messages"},
            {},
            "https://api.acme.example/v1/claude",
            id="other",
        ),
        pytest.param(
            {"dialect": "anthropic_messages"},
            {"ACME_BASE_URL": "https://env.example/v2"},
            "https://env.example/v2/claude",
            id="other below a variable's",
        ),
        pytest.param(
            {"dialect": "gemini"},
            {"ACME_BASE_URL": "https://env.example/v2"},
            "https://google.acme.example",
            id="other elsewhere",
        ),
        pytest.param(
            {"dialect": "semaphore", "base_url": "https://own.example"},
            {},
            "https://own.example",
            id="any with base_url",
        ),
    ],
)
def test_other_dialect_has_its_own_address(target, environ, base_url):
    """
    dialect= chooses among what the provider speaks; an explicit base_url may speak anything known.
    """
    register_dialect(
        "semaphore", types.SimpleNamespace(**dict.fromkeys(protocol(), print))
    )

    resolved, _ = resolve(Target("acme", api_key=KEY, **target), environ=environ)

    assert (target["dialect"], base_url) == (resolved.dialect, resolved.base_url)


def test_dialect_that_is_not_spoken_is_refused():
    """
    The error lists what is spoken.
    """
    target = Target("acme", api_key=KEY, dialect="ollama")

    with pytest.raises(
        ConfigurationError, match="but openai_chat, anthropic_messages, gemini"
    ):
        resolve(target, environ={})


def test_dialect_that_does_not_exist_is_refused():
    """
    Not even an explicit base_url makes an unknown dialect known.
    """
    target = Target(
        "acme", api_key=KEY, dialect="openai_chta", base_url="https://h.example"
    )

    with pytest.raises(ConfigurationError, match=r"Did you mean openai_chat"):
        resolve(target, environ={})


def test_built_in_dialects_are_modules():
    """
    The chat dialect is found by its name, and is what the protocol says.
    """
    module = dialect_named("openai_chat")

    assert "ai_lib._core.dialects.openai_chat" == module.__name__
    assert all(callable(getattr(module, name)) for name in protocol())


def protocol():
    return [name for name in vars(Dialect) if not name.startswith("_")]


def test_dialect_can_be_registered():
    """
    Any object with the protocol's functions is a dialect; names are taken once.
    """
    module = types.SimpleNamespace(**dict.fromkeys(protocol(), print))

    register_dialect("semaphore", module)

    assert module is dialect_named("semaphore")
    for taken in ("semaphore", *DIALECTS):
        with pytest.raises(ValueError, match="already"):
            register_dialect(taken, module)


def test_dialect_without_a_function_is_refused():
    """
    A missing function is a TypeError that names it.
    """
    functions = dict.fromkeys(protocol(), print)
    del functions["decode_error"]

    with pytest.raises(TypeError, match="decode_error"):
        register_dialect("lame", types.SimpleNamespace(**functions))


@pytest.mark.parametrize("name", ["os", "../openai_chat", "_errors", "", "zzz"])
def test_only_dialects_are_imported(name):
    """
    A name that is not in the table imports nothing.
    """
    with pytest.raises(ConfigurationError, match="No dialect is called"):
        dialect_named(name)


@pytest.mark.parametrize(
    ("requested", "default", "environ", "expected"),
    [
        pytest.param("anvil-9", "x", {"ACME_MODEL": "y"}, "anvil-9", id="asked for"),
        pytest.param("", "x", {"ACME_MODEL": "y"}, "x", id="the client's"),
        pytest.param(None, None, {"ACME_MODEL": "y"}, "y", id="variable"),
        pytest.param("AUTO", None, {"ACME_DEPLOYMENT": "y"}, "y", id="second variable"),
        pytest.param(" Default ", "auto", {"ACME_MODEL": " "}, "anvil-1", id="record"),
        pytest.param(
            "provider_default",
            None,
            {"DEFAULT_AI_MODEL": "z"},
            "anvil-1",
            id="record before the general variable",
        ),
    ],
)
def test_model_comes_from_the_nearest(requested, default, environ, expected):
    """
    Asked for, the client's, the variables', the record's.
    """
    found = resolve_model(ACME, requested, default=default, environ=environ)

    assert expected == found


def test_server_is_asked_when_nothing_names_a_model():
    """
    None means the first model of the list; the general variable comes before it.
    """
    assert resolve_model(SERVER, "auto", environ={}) is None
    assert "z" == resolve_model(SERVER, "auto", environ={"DEFAULT_AI_MODEL": "z"})


def test_missing_model_names_both_ways():
    """
    The error says what to pass and what to set.
    """
    spec = attrs.evolve(ACME, default_model=None)

    with pytest.raises(ConfigurationError) as caught:
        resolve_model(spec, "auto", environ={})

    assert (
        "acme_ai has no default model: pass model= or set ACME_MODEL or ACME_DEPLOYMENT."
        == str(caught.value)
    )


def test_first_configured_provider_has_a_key():
    """
    The first whose variable holds something, in the order of the catalogue.
    """
    later = attrs.evolve(ACME, id="later", aliases=(), api_key_env=("LATER_KEY",))
    register_provider(later)

    assert first_configured({}) is None
    assert first_configured({"ACME_TOKEN": " "}) is None
    assert later is first_configured({"LATER_KEY": "x"})
    assert ACME is first_configured({"LATER_KEY": "x", "ACME_TOKEN": "y"})
