"""
Proxies, certificates, and the time-out that the environment sets.
"""

import ssl

import certifi
import pytest

from ai_lib._core import network
from ai_lib._core.errors import ConfigurationError
from ai_lib._core.network import (
    NetworkSettings,
    is_loopback,
    resolve_network,
    timeout_from_environment,
    tls_context,
)

PROXY = "http://proxy.example:3128"
OTHER = "http://other.example:8080"
HTTPS = "https://api.example.com/v1"
HTTP = "http://api.example.com/v1"

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBdDCCARugAwIBAgIUTEST
-----END CERTIFICATE-----
"""


@pytest.mark.parametrize(
    ("environ", "url", "expected"),
    [
        pytest.param({}, HTTPS, None, id="none"),
        pytest.param({"HTTPS_PROXY": PROXY}, HTTPS, PROXY, id="https"),
        pytest.param({"https_proxy": PROXY}, HTTPS, PROXY, id="small letters"),
        pytest.param({"HTTPS_PROXY": PROXY}, HTTP, None, id="https for http"),
        pytest.param({"HTTP_PROXY": PROXY}, HTTP, PROXY, id="http"),
        pytest.param({"HTTP_PROXY": PROXY}, HTTPS, None, id="http for https"),
        pytest.param({"ALL_PROXY": PROXY}, HTTPS, PROXY, id="all for https"),
        pytest.param({"all_proxy": PROXY}, HTTP, PROXY, id="all for http"),
        pytest.param(
            {"ALL_PROXY": OTHER, "HTTPS_PROXY": PROXY}, HTTPS, PROXY, id="https first"
        ),
        pytest.param(
            {"https_proxy": PROXY, "HTTPS_PROXY": OTHER}, HTTPS, PROXY, id="small first"
        ),
        pytest.param(
            {"AI_PROXY_URL": PROXY, "HTTPS_PROXY": OTHER}, HTTPS, PROXY, id="ours first"
        ),
        pytest.param({"HTTPS_PROXY": "  "}, HTTPS, None, id="blank"),
        pytest.param(
            {"HTTPS_PROXY": "proxy.example:3128"}, HTTPS, PROXY, id="without scheme"
        ),
        pytest.param(
            {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, HTTP, None, id="under CGI"
        ),
        pytest.param(
            {"http_proxy": PROXY, "REQUEST_METHOD": "GET"},
            HTTP,
            PROXY,
            id="small letters under CGI",
        ),
    ],
)
def test_proxy_comes_from_the_environment(environ, url, expected):
    """
    Our own variable, then the usual ones by scheme, then the one for all.
    """
    settings = resolve_network(environ=environ)

    assert expected == settings.proxy_for(url)


def test_explicit_proxy_comes_first():
    """
    proxy= is asked before any variable, and NO_PROXY and loopback do not except from it.
    """
    environ = {"AI_PROXY_URL": OTHER, "HTTPS_PROXY": OTHER, "NO_PROXY": "*"}

    settings = resolve_network(proxy=PROXY, environ=environ)

    assert PROXY == settings.proxy_for(HTTPS)
    assert PROXY == settings.proxy_for("http://127.0.0.1:8080/v1")


def test_disabled_proxy_is_none():
    """
    disable_proxy stands above the environment; with proxy= it is a contradiction.
    """
    environ = {"AI_PROXY_URL": OTHER, "ALL_PROXY": OTHER}

    assert resolve_network(disable_proxy=True, environ=environ).proxy_for(HTTPS) is None
    with pytest.raises(ConfigurationError, match="not both"):
        resolve_network(proxy=PROXY, disable_proxy=True, environ={})


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.0.0.1",
        "127.9.9.9",
        "[::1]",
        "0.0.0.0",
    ],
)
def test_this_machine_is_reached_directly(host):
    """
    The environment's proxy is not asked for loopback.
    """
    settings = resolve_network(environ={"ALL_PROXY": PROXY})

    assert settings.proxy_for(f"http://{host}:11434/api") is None
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "localhost.example.com",
        "10.0.0.1",
        "128.0.0.1",
        "2001:db8::1",
        "",
    ],
)
def test_other_machines_are_not_this_one(host):
    """
    What only looks like loopback is not.
    """
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("entries", "url", "direct"),
    [
        pytest.param("*", HTTPS, True, id="all"),
        pytest.param("api.example.com", HTTPS, True, id="host"),
        pytest.param("API.Example.COM", HTTPS, True, id="capitals"),
        pytest.param("example.com", HTTPS, True, id="suffix"),
        pytest.param(".example.com", HTTPS, True, id="suffix with dot"),
        pytest.param("*.example.com", HTTPS, True, id="suffix with star"),
        pytest.param(".api.example.com", HTTPS, True, id="dot and the host itself"),
        pytest.param("ample.com", HTTPS, False, id="half a label"),
        pytest.param("other.com, example.com", HTTPS, True, id="second of two"),
        pytest.param("other.com example.com", HTTPS, True, id="parted by space"),
        pytest.param("example.com:443", HTTPS, True, id="default port"),
        pytest.param("example.com:8443", HTTPS, False, id="another port"),
        pytest.param("example.com:80", HTTP, True, id="http's port"),
        pytest.param("", HTTPS, False, id="empty"),
        pytest.param(".", HTTPS, False, id="a dot"),
        pytest.param("10.0.0.0/8", "https://10.1.2.3/v1", True, id="block"),
        pytest.param("10.0.0.0/8", "https://11.1.2.3/v1", False, id="outside a block"),
        pytest.param("10.1.2.3/8", "https://10.9.9.9/v1", True, id="block by a host"),
        pytest.param("10.1.2.3", "https://10.1.2.3/v1", True, id="address"),
        pytest.param("10.1.2.3:8443", "https://10.1.2.3:8443/", True, id="with port"),
        pytest.param("10.1.2.3:8443", "https://10.1.2.3/", False, id="wrong port"),
        pytest.param("2.3", "https://10.1.2.3/v1", False, id="end of an address"),
        pytest.param("2001:db8::/32", "https://[2001:db8::5]/", True, id="v6 block"),
        pytest.param(
            "[2001:db8::5]", "https://[2001:db8::5]/", True, id="v6 in brackets"
        ),
        pytest.param(
            "[2001:db8::5]:1", "https://[2001:db8::5]/", False, id="v6 and port"
        ),
        pytest.param("10.0.0.0/99", "https://10.1.2.3/v1", False, id="no block"),
    ],
)
def test_no_proxy_excepts(entries, url, direct):
    """
    NO_PROXY takes hosts, suffixes, ports, addresses, blocks and a star.
    """
    environ = {"ALL_PROXY": PROXY, "NO_PROXY": entries}

    settings = resolve_network(environ=environ)

    assert (None if direct else PROXY) == settings.proxy_for(url)


@pytest.mark.parametrize(
    "value",
    [
        "http://",
        "http://user:LEAK@",
        "ftp://user:LEAK@proxy.example",
        "socks5://user:LEAK@proxy.example:1080",
        "http://user:LEAK@proxy.example:port",
        "http://user:LEAK@proxy.example:99999",
        "http://user:LEAK@[::1",
        "http://user:LEAK@pro xy",
        "http://user:LEAK@pro\nxy",
    ],
)
@pytest.mark.parametrize("way", ["proxy", "HTTPS_PROXY", "AI_PROXY_URL"])
def test_proxy_that_is_none_is_refused_by_name(way, value):
    """
    The error names argument or variable, and shows no credentials.
    """
    given = {"proxy": value} if way == "proxy" else {"environ": {way: value}}

    with pytest.raises(ConfigurationError, match=way) as caught:
        resolve_network(**{"environ": {}, **given})

    assert "LEAK" not in str(caught.value)


def test_credentials_of_a_proxy_are_used_and_not_shown():
    """
    proxy_for gives them, the repr does not.
    """
    settings = resolve_network(proxy="http://me:LEAK@proxy.example:1/", environ={})

    assert "http://me:LEAK@proxy.example:1" == settings.proxy_for(HTTPS)
    assert "LEAK" not in repr(settings)
    assert "http://proxy.example:1" in repr(settings)


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "bundle.pem"
    path.write_text(CERTIFICATE)
    return path


@pytest.mark.parametrize(
    "variable",
    ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"],
)
def test_bundle_comes_from_the_environment(bundle, variable):
    """
    Each of the usual variables names a bundle.
    """
    settings = resolve_network(environ={variable: str(bundle)})

    assert str(bundle) == settings.ca_bundle


def test_bundles_have_an_order(bundle, tmp_path):
    """
    The argument comes before the variables, OpenSSL's before those of other programs.
    """
    environ = {"REQUESTS_CA_BUNDLE": "/nowhere", "SSL_CERT_FILE": str(bundle)}

    assert str(bundle) == resolve_network(environ=environ).ca_bundle
    assert (
        str(tmp_path) == resolve_network(ca_bundle=tmp_path, environ=environ).ca_bundle
    )
    assert resolve_network(environ={}).ca_bundle is None


@pytest.mark.parametrize("way", ["ca_bundle", "SSL_CERT_FILE", "CURL_CA_BUNDLE"])
def test_bundle_that_is_missing_is_refused_by_name(way, tmp_path):
    """
    The error names argument or variable, and the path.
    """
    path = str(tmp_path / "nothing.pem")
    given = {"ca_bundle": path} if way == "ca_bundle" else {"environ": {way: path}}

    with pytest.raises(ConfigurationError, match=way) as caught:
        resolve_network(**{"environ": {}, **given})

    assert path in str(caught.value)


@pytest.fixture
def contexts(monkeypatch):
    own = {}
    monkeypatch.setattr(network, "_contexts", own)
    return own


def test_context_verifies(contexts, tmp_path):
    """
    Names and certificates are checked, TLS 1.2 is the least, and one is built for all.
    """
    settings = NetworkSettings(ca_bundle=str(tmp_path))

    context = tls_context(settings, default=lambda: pytest.fail("not asked for"))

    assert ssl.CERT_REQUIRED == context.verify_mode
    assert context.check_hostname
    assert ssl.TLSVersion.TLSv1_2 <= context.minimum_version
    assert context is tls_context(NetworkSettings(ca_bundle=str(tmp_path)), default=str)


def test_default_bundle_is_asked_for_when_none_is_set(contexts, tmp_path):
    """
    Settings without a bundle use the shell's own, which is asked for once, when it is loaded.
    """
    asked = []

    def default():
        asked.append(True)
        return str(tmp_path)

    context = tls_context(NetworkSettings(), default, trusting=False)
    before = list(asked)
    tls_context(NetworkSettings(), default)
    tls_context(NetworkSettings(), default)

    assert {None: context} == contexts
    assert ([], [True]) == (before, asked)


def test_certificates_are_loaded_when_they_are_needed(contexts):
    """
    For plain http a context holds none; the same one holds them as soon as somebody needs it to.
    """
    settings = NetworkSettings(ca_bundle=certifi.where())

    context = tls_context(settings, default=str, trusting=False)
    before = context.get_ca_certs()
    same = tls_context(settings, default=str)

    assert [] == before
    assert same is context
    assert context.get_ca_certs()


def test_bundle_that_holds_no_certificates_is_refused(contexts, bundle):
    """
    OpenSSL's complaint becomes a ConfigurationError that names the path.
    """
    with pytest.raises(ConfigurationError, match=r"bundle\.pem"):
        tls_context(NetworkSettings(ca_bundle=str(bundle)), default=str)

    assert {} == contexts


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"AI_TIMEOUT_SECS": "30"}, 30.0),
        ({"AI_HTTP_TIMEOUT_SECS": "1.5", "AI_TIMEOUT_SECS": "30"}, 1.5),
        ({"AI_HTTP_TIMEOUT_SECS": " ", "AI_TIMEOUT_SECS": "30"}, 30.0),
    ],
)
def test_timeout_comes_from_the_environment(environ, expected):
    """
    The longer name is asked first; blank ones do not count.
    """
    assert expected == timeout_from_environment(environ)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon", "30s"])
def test_timeout_that_is_none_is_refused_by_name(value):
    """
    Anything but a number above zero is a ConfigurationError.
    """
    with pytest.raises(ConfigurationError, match="AI_TIMEOUT_SECS"):
        timeout_from_environment({"AI_TIMEOUT_SECS": value})
