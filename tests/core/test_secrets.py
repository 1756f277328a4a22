"""
Keys that nothing prints, and the checks of what callers put on the wire.
"""

import copy
import json
import pickle
import threading
import time
import traceback
import warnings
from base64 import b64encode

import attrs
import pytest

from ai_lib._core import secrets
from ai_lib._core.errors import ConfigurationError
from ai_lib._core.secrets import (
    Secret,
    check_base_url,
    check_header,
    check_headers,
    redact,
)

KEY = "LEAK-me-0123456789"


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """
    The keys that this test made known, and no other's.
    """
    own = secrets._KnownKeys(3)
    monkeypatch.setattr(secrets, "_KNOWN", own)
    return own


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
    "show",
    [
        pytest.param(repr, id="repr"),
        pytest.param(str, id="str"),
        pytest.param("{}".format, id="format"),
        pytest.param("%s".__mod__, id="percent"),
        pytest.param(lambda secret: repr([{"key": secret}]), id="in a container"),
        pytest.param(lambda secret: repr(getattr(secret, "__dict__", "")), id="dict"),
    ],
)
def test_secret_is_shown_by_nothing(show):
    """
    No way to print a secret prints its value.
    """
    secret = Secret(KEY, "api_key")

    shown = show(secret)

    assert KEY not in shown


def test_secret_is_revealed_stripped():
    """
    White space at the ends is taken off; reveal gives the rest.
    """
    secret = Secret(f" {KEY}\r\n", "api_key")

    assert KEY == secret.reveal()


def test_secrets_are_equal_by_value():
    """
    Equality and hash go by the value, whatever the name.
    """
    one, same, other = Secret(KEY, "A"), Secret(KEY, "B"), Secret(KEY + "x", "A")

    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != KEY


def test_fingerprint_tells_keys_apart_without_giving_them_away():
    """
    A fingerprint is equal for equal keys, differs otherwise, and is no plain hash of the key.
    """
    from hashlib import blake2b

    one, same, other = Secret(KEY, "A"), Secret(KEY, "B"), Secret(KEY + "x", "A")

    assert one.fingerprint == same.fingerprint
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint != blake2b(KEY.encode(), digest_size=8).hexdigest()


def test_secret_is_its_own_copy():
    """
    Copies and deep copies are the secret itself.
    """
    secret = Secret(KEY, "api_key")

    assert secret is copy.copy(secret)
    assert secret is copy.deepcopy([secret])[0]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_secret_refuses_pickle(protocol):
    """
    No protocol of pickle takes a secret.
    """
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Secret(KEY, "api_key"), protocol)


def test_secret_refuses_json():
    """
    JSON does not take a secret.
    """
    with pytest.raises(TypeError):
        json.dumps({"key": Secret(KEY, "api_key")})


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param(" \n", id="blank"),
        pytest.param("LEAK\nX-Evil: 1", id="line break"),
        pytest.param("LEAK\x00", id="nul"),
        pytest.param("LEAK\x7f", id="delete"),
        pytest.param("LEAK\u00e9", id="latin-1"),
        pytest.param("LEAK\u201d", id="typographic quote"),
        pytest.param(b"LEAK", id="bytes"),
        pytest.param(None, id="none"),
    ],
)
def test_malformed_key_is_refused_by_name(value):
    """
    A key that cannot be sent is a ConfigurationError that names its variable and hides its value.
    """
    with pytest.raises(ConfigurationError, match="GROQ_API_KEY") as caught:
        Secret(value, "GROQ_API_KEY")

    assert "LEAK" not in str(caught.value)
    assert "LEAK" not in locals_of(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"Incorrect API key provided: {KEY}.", id="message"),
        pytest.param(f"prefix{KEY}suffix", id="inside a word"),
        pytest.param(f'{{"authorization": "Bearer {KEY}"}}', id="json"),
        pytest.param(b64encode(KEY.encode()).decode(), id="base64"),
        pytest.param(b64encode(f"user:{KEY}".encode()).decode(), id="basic user"),
        pytest.param(b64encode(f"me:{KEY}".encode()).decode(), id="basic me"),
        pytest.param(b64encode(f"root:{KEY}!".encode()).decode(), id="basic root"),
    ],
)
def test_known_key_is_redacted_wherever_it_stands(text):
    """
    A key of this process is taken out as it is and in base64, at every alignment.
    """
    Secret(KEY, "api_key")

    redacted = redact(text)

    assert KEY not in redacted
    assert b64encode(KEY.encode()).decode()[4:16] not in redacted
    assert "***" in redacted


def test_known_key_is_redacted_as_urls_and_json_write_it():
    """
    The quoted forms of a key are taken out too.
    """
    Secret('odd/key+with "quotes"', "api_key")

    redacted = redact(
        r'{"a": "odd/key+with \"quotes\""} odd%2Fkey%2Bwith%20%22quotes%22'
    )

    assert '{"a": "***"} ***' == redacted


def test_longer_key_is_redacted_whole():
    """
    Of two keys of which one begins the other, the longer one leaves no rest.
    """
    Secret("shared-beginning", "A")
    Secret("shared-beginning-and-more", "B")

    assert "***" == redact("shared-beginning-and-more")


def test_only_the_newest_keys_are_remembered():
    """
    Memory is bounded: the oldest key is forgotten, one that is used again is new.
    """
    for name in ("first-key", "second-key", "third-key", "first-key", "fourth-key"):
        Secret(name, "api_key")

    redacted = redact("first-key second-key third-key fourth-key")

    assert "*** second-key *** ***" == redacted


def test_keys_may_be_made_known_by_many_threads(known):
    """
    Threads that make secrets and redact at once do not disturb one another.
    """
    problems = []

    def work(number):
        try:
            for turn in range(200):
                key = f"thread-{number}-{turn}-key"
                Secret(key, "api_key")
                redact("nothing to see here")
        except RuntimeError as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == problems
    assert 3 == len(known.needles()[0] and known._keys)


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        pytest.param("test", "test failed", "test failed", id="a sentence"),
        pytest.param("test", "the latest contest", "the latest contest", id="in words"),
        pytest.param(
            "test",
            "Incorrect API key provided: test",
            "Incorrect API key provided: ***",
            id="echoed",
        ),
        pytest.param(
            "test",
            "'test' is no valid api_key",
            "'***' is no valid api_key",
            id="before",
        ),
        pytest.param("test", "Bearer test", "Bearer ***", id="header"),
        pytest.param("1234", "port 1234 is closed", "port 1234 is closed", id="digits"),
        pytest.param("1234", "token 1234 expired", "token *** expired", id="pin"),
        pytest.param("abc123", "got abc123", "got ***", id="mixed"),
        pytest.param("abc123", "got xabc1234", "got xabc1234", id="mixed in a word"),
        pytest.param("ollama", "ollama: refused", "ollama: refused", id="a name"),
    ],
)
def test_short_key_is_redacted_as_a_word_near_talk_of_keys(key, text, expected):
    """
    A key that may be an ordinary word goes where keys are spoken of, and stays elsewhere.
    """
    Secret(key, "api_key")

    assert expected == redact(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Bearer abcDEF123456", "Bearer ***", id="bearer"),
        pytest.param("Basic dXNlcjpwYXNz", "Basic ***", id="basic"),
        pytest.param("a sk-proj-abcDEF123456 b", "a *** b", id="openai"),
        pytest.param("sk-ab1d****************wxyz.", "***.", id="masked echo"),
        pytest.param("sk-ant-api03-x_Y-z0123456", "***", id="anthropic"),
        pytest.param("'gsk_a1B2c3D4e5F6g7H8'", "'***'", id="groq"),
        pytest.param("hf_a1B2c3D4e5F6g7H8", "***", id="huggingface"),
        pytest.param("xai-a1B2c3D4e5F6g7H8", "***", id="xai"),
        pytest.param("AIzaSyA-bcdefghijklmnopqrst", "***", id="google"),
        pytest.param("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "***", id="jwt"),
        pytest.param("https://h/x?key=abc&y=1", "https://h/x?key=***&y=1", id="query"),
        pytest.param("/x?a=1&token=t%20t", "/x?a=1&token=***", id="second in query"),
        pytest.param("api_key=abc, n=2", "api_key=***, n=2", id="api_key"),
        pytest.param("access_token=abc", "access_token=***", id="access_token"),
        pytest.param("GROQ_API_KEY=abc", "GROQ_API_KEY=***", id="assignment"),
        pytest.param("http://u:p@host:1/", "http://***@host:1/", id="userinfo"),
        pytest.param("https://u:p@ss@host", "https://***@host", id="two at signs"),
        pytest.param('"x-api-key": "abc123def"', '"x-api-key": "***"', id="header"),
        pytest.param("api-key: abc123def", "api-key: ***", id="azure header"),
    ],
)
def test_what_looks_like_a_key_is_redacted(text, expected):
    """
    Unknown keys are taken out by their looks, and nothing around them.
    """
    assert expected == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A task-list for risk-free, desk-bound work; ask-me-anything-you-like-today.",
        "Bearer authentication is required. Send a Bearer token.",
        "No API key for groq: pass api_key= or set GROQ_API_KEY.",
        "Use sk-learn-like names, an sk- prefix or hf_hub.",
        "See https://example.com/a@b and mail@example.com, max_tokens=5, monkey=1.",
        "x-api-key: missing",
        "openai/gpt-oss-120b and xai-grok-4-fast and hf_transformers",
        "The basic idea: authorization: denied.",
    ],
)
def test_prose_is_left_alone(text):
    """
    Ordinary sentences pass unchanged.
    """
    assert text == redact(text)


@pytest.mark.parametrize(
    "piece",
    [
        "sk-",
        "Bearer ",
        "://a@",
        "eyJaaaaaaaa.",
        "api_key=",
        "key key ",
        "*sk-a",
        "a" * 9,
    ],
)
def test_redaction_is_linear(piece):
    """
    A long hostile text takes time by its length, not by its square.
    """
    Secret("test", "api_key")
    text = piece * (400_000 // len(piece))

    began = time.perf_counter()
    redact(text)

    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("name", ["X-Title", "x_y", "http-referer", "!#$%&'*+.^`|~1"])
@pytest.mark.parametrize("value", ["", "x", "two words", "caf\u00e9"])
def test_header_of_the_callers_is_accepted(name, value):
    """
    Tokens as names, latin-1 text as values.
    """
    check_header(name, value)


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a:", "a\r\nb", "\u00e9", "a\x00", 5, None],
)
def test_header_name_must_be_a_token(name):
    """
    What is no token is no name of a header.
    """
    with pytest.raises(ConfigurationError, match="is not the name of a header"):
        check_header(name, "x")


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "HOST",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "Cookie",
        "x-api-key",
        "Api-Key",
        "X-Goog-Api-Key",
        "Proxy-Authorization",
        "Accept-Encoding",
    ],
)
def test_header_of_the_librarys_is_refused(name):
    """
    Keys, framing and the connection are not the caller's to set.
    """
    with pytest.raises(ConfigurationError, match=name) as caught:
        check_header(name, "LEAK")

    assert "LEAK" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "LEAK\r\nX: 1",
        "LEAK\n",
        "LEAK\x00",
        "LEAK\x1b[0m",
        "LEAK\x85",
        "LEAK\u2028",
        "LEAK\U0001f600",
        " LEAK",
        "LEAK ",
        b"LEAK",
        7,
        None,
    ],
)
def test_header_value_that_cannot_be_sent_is_refused(value):
    """
    The error names the header and hides the value.
    """
    with pytest.raises(ConfigurationError, match="X-Title") as caught:
        check_header("X-Title", value)

    assert "LEAK" not in str(caught.value)


def test_headers_are_checked_by_attrs():
    """
    check_headers is a validator of a field that holds a mapping.
    """

    @attrs.frozen
    class Carrier:
        headers: dict = attrs.field(validator=check_headers)

    with pytest.raises(ConfigurationError, match="X-Bad"):
        Carrier({"X-Good": "1", "X-Bad": "1\n"})
    assert {"X-Good": "1"} == Carrier({"X-Good": "1"}).headers


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.example.com/v1", "https://api.example.com/v1"),
        ("https://api.example.com/v1//", "https://api.example.com/v1"),
        (" https://api.example.com\n", "https://api.example.com"),
        ("http://localhost:8080/v1/", "http://localhost:8080/v1"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://[::1]:1/v1", "http://[::1]:1/v1"),
        ("HTTPS://API.example.com", "HTTPS://API.example.com"),
        ("https://h/a..b/v1", "https://h/a..b/v1"),
    ],
)
def test_base_url_is_taken_without_its_last_slash(url, expected):
    """
    A sound base URL passes, without warning, slashes at its end off.
    """
    assert expected == check_base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com/v1",
        "/v1",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "https://",
        "https:///v1",
        "https://user:LEAK@api.example.com",
        "https://LEAK@api.example.com",
        "https://api.example.com/v1?key=LEAK",
        "https://api.example.com/v1?",
        "https://api.example.com/v1#LEAK",
        "https://api.example.com/../admin",
        "https://api.example.com/v1/%2e%2E/admin",
        "https://api.example.com/./v1",
        "https://api.example.com/a b",
        "https://api.example.com/\r\nX: LEAK",
        "https://api.example.com\\@evil.example",
        "https://api.example.com:99999/v1",
        "https://api.example.com:port",
        "https://[::1/v1",
        b"https://api.example.com",
        None,
    ],
)
def test_base_url_that_is_none_is_refused(url):
    """
    The error says what must be, names the setting and shows no credentials.
    """
    with pytest.raises(ConfigurationError, match="GROQ_BASE_URL") as caught:
        check_base_url(url, "GROQ_BASE_URL")

    assert "LEAK" not in str(caught.value)


def test_plain_http_to_another_machine_is_warned_of_once(monkeypatch):
    """
    The first use of a host warns, the second does not.
    """
    monkeypatch.setattr(secrets, "_warned", set())

    with pytest.warns(UserWarning, match=r"models\.example\.com unencrypted"):
        check_base_url("http://models.example.com/v1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_base_url("http://models.example.com/v2")
