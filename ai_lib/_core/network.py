"""
Proxies and certificates, resolved once for both transports; nothing here opens a socket.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from ai_lib._core.errors import ConfigurationError
from ai_lib._core.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ssl import SSLContext

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """
    Tell whether *host* is this machine by its very name or address; nothing is looked up.
    """
    name = host.strip("[]").rstrip(".").lower()
    if name in _LOOPBACK or name.endswith(".localhost"):
        return True
    from ipaddress import ip_address

    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _without_userinfo(url: str | None) -> str:
    if url is None:
        return "None"
    scheme, separator, rest = url.partition("://")
    return repr(scheme + separator + rest.rpartition("@")[2])


@attrs.frozen(kw_only=True, eq=False, repr=False)
class NetworkSettings(Record):
    """
    By which proxy, and trusting which certificates.

    Attributes:
        http_proxy: For http addresses; ``None``: none. Its user and password are not shown.

        https_proxy: For https addresses, likewise.

        no_proxy: Hosts that are reached directly, as ``NO_PROXY`` writes them, in lower case.

        proxies_loopback: Whether even this machine is reached by the proxy.

        ca_bundle: A file of certificates, or a directory of hashed ones; ``None``: the default bundle.
    """

    http_proxy: str | None = attrs.field(default=None, repr=_without_userinfo)
    https_proxy: str | None = attrs.field(default=None, repr=_without_userinfo)
    no_proxy: tuple[str, ...] = ()
    proxies_loopback: bool = False
    ca_bundle: str | None = None

    def proxy_for(self, url: str) -> str | None:
        """
        Tell by which proxy *url* is reached, credentials included; ``None``: directly.
        """
        parts = urlsplit(url)
        proxy = self.https_proxy if parts.scheme == "https" else self.http_proxy
        if proxy is None:
            return None
        host = (parts.hostname or "").rstrip(".")
        if not self.proxies_loopback and is_loopback(host):
            return None
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        if any(_matches(entry, host, port) for entry in self.no_proxy):
            return None
        return proxy


def _matches(entry: str, host: str, port: int | None) -> bool:
    """
    Compare a host with one entry of ``NO_PROXY``: ``*``, an address, a block of them, or the end of a name.
    """
    if entry == "*":
        return True
    name, entry_port = _split_port(entry)
    if entry_port is not None and entry_port != port:
        return False
    from ipaddress import ip_address, ip_network

    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        name = name.removeprefix("*").lstrip(".")
        return bool(name) and (host == name or host.endswith("." + name))
    try:
        return address in ip_network(name, strict=False)
    except ValueError:
        return False


def _split_port(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        name, _, port = entry[1:].partition("]")
        port = port.removeprefix(":")
    elif entry.count(":") == 1:
        name, _, port = entry.partition(":")
    else:
        name, port = entry, ""
    return name, int(port) if port.isascii() and port.isdecimal() else None


def resolve_network(
    *,
    proxy: str | None = None,
    disable_proxy: bool = False,
    ca_bundle: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> NetworkSettings:
    """
    Decide on proxies and certificates, once for a client.

    The proxy is *proxy*, else that of ``AI_PROXY_URL``, else those of ``HTTPS_PROXY``, ``HTTP_PROXY`` and
    ``ALL_PROXY`` in small letters or capitals. ``NO_PROXY`` excepts hosts from all but *proxy*, and this
    machine is never reached by any but *proxy*.

    Certificates are those of *ca_bundle*, else of ``SSL_CERT_FILE``, ``SSL_CERT_DIR``,
    ``REQUESTS_CA_BUNDLE`` or ``CURL_CA_BUNDLE``, in this order.

    Args:
        proxy: A URL, maybe with user and password.

        disable_proxy: Reach everything directly, whatever the environment says.

        ca_bundle: A file or a directory.

        environ: For tests; ``None``: the process's own.

    Raises:
        ConfigurationError: A proxy that is no URL of one, or certificates that are not there. It names the
            variable or argument, and shows no credentials.
    """
    bundle = _ca_bundle(ca_bundle, environ)
    if disable_proxy:
        if proxy is not None:
            raise ConfigurationError("Either proxy= or disable_proxy=True, not both.")
        return NetworkSettings(ca_bundle=bundle)
    if proxy is not None:
        explicit = _checked_proxy(proxy, "proxy")
        return NetworkSettings(
            http_proxy=explicit,
            https_proxy=explicit,
            proxies_loopback=True,
            ca_bundle=bundle,
        )
    http, https = _proxies_from(environ)
    if http is None and https is None:
        return NetworkSettings(ca_bundle=bundle)
    excepted = _value(environ, "no_proxy") or _value(environ, "NO_PROXY")
    return NetworkSettings(
        http_proxy=http,
        https_proxy=https,
        no_proxy=tuple(excepted.lower().replace(",", " ").split()),
        ca_bundle=bundle,
    )


def _value(environ: Mapping[str, str] | None, name: str) -> str:
    return (os.environ if environ is None else environ).get(name, "").strip()


def _proxies_from(
    environ: Mapping[str, str] | None,
) -> tuple[str | None, str | None]:
    """
    Read the proxies for http and for https; each variable is looked at once at most, a client is made quickly.
    """
    every = _proxy_of(environ, "AI_PROXY_URL")
    if every:
        return every, every
    http = _proxy_of(environ, "http_proxy")
    shouted = http is None and _value(environ, "HTTP_PROXY")
    # Under CGI it is what a web client sent as its header "Proxy".
    if shouted and not _value(environ, "REQUEST_METHOD"):
        http = _checked_proxy(shouted, "HTTP_PROXY")
    https = _proxy_of(environ, "https_proxy", "HTTPS_PROXY")
    if http and https:
        return http, https
    every = _proxy_of(environ, "all_proxy", "ALL_PROXY")
    return http or every, https or every


def _proxy_of(environ: Mapping[str, str] | None, *names: str) -> str | None:
    for name in names:
        value = _value(environ, name)
        if value:
            return _checked_proxy(value, name)
    return None


def _checked_proxy(value: str, name: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(
            f"{name} must be a string, not {type(value).__name__}."
        )
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not url.isprintable() or " " in url:
        raise ConfigurationError(f"{name} is not the URL of a proxy.")
    if name == "proxy" and "://" not in value and parts.port is None:
        raise ConfigurationError("proxy must be a URL such as http://host:port.")
    if parts.scheme not in ("http", "https"):
        raise ConfigurationError(
            f"{name} names a proxy that is not http:// or https://; name one of these with"
            " proxy= or AI_PROXY_URL, or pass disable_proxy=True."
        )
    return url.rstrip("/")


_BUNDLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def _ca_bundle(
    given: str | os.PathLike[str] | None, environ: Mapping[str, str] | None
) -> str | None:
    if given is not None:
        return _existing(os.fspath(given), "ca_bundle")
    for name in _BUNDLES:
        if _value(environ, name):
            return _existing(_value(environ, name), name)
    return None


def _existing(path: str, name: str) -> str:
    if not os.path.exists(path):  # noqa: PTH110  # a client is made quickly
        raise ConfigurationError(
            f"{name} names certificates that are not there: {path!r}."
        )
    return path


#: By the bundle that settings name; ``None``: the shell's own.
_contexts: dict[str | None, SSLContext] = {}
#: Those whose certificates were loaded.
_trusting: set[SSLContext] = set()


def tls_context(
    settings: NetworkSettings, default: Callable[[], str], *, trusting: bool = True
) -> SSLContext:
    """
    Give the context that verifies servers: TLS 1.2 or newer, names and certificates checked.

    Loading certificates takes some 20 ms, so one is kept for each bundle and shared by all clients; nobody
    may change what it trusts.

    Args:
        settings: Which certificates.

        default: Gives the path of the bundle for settings that name none; asked only when it is to be loaded.

        trusting: Whether it must hold the certificates by now: without any it refuses every server, which is as much as
            plain http needs. They are loaded into the same context when somebody first asks for them.

    Raises:
        ConfigurationError: The bundle cannot be read.
    """
    own = settings.ca_bundle
    context = _contexts.get(own) or _new_context()
    if trusting and context not in _trusting:
        _load(context, own or default())
        _trusting.add(context)
    kept = _contexts.setdefault(own, context)
    if kept is not context:  # another thread was faster
        return tls_context(settings, default, trusting=trusting)
    return context


def _new_context() -> SSLContext:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: SSLContext, path: str) -> None:
    try:
        if os.path.isdir(path):  # noqa: PTH112  # as above
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except OSError as error:  # of which ssl.SSLError is one
        raise ConfigurationError(
            f"The certificates in {path!r} cannot be read: {error}"
        ) from error


def timeout_from_environment(
    environ: Mapping[str, str] | None = None,
) -> float | None:
    """
    Read how many seconds a call may take from ``AI_HTTP_TIMEOUT_SECS``, else ``AI_TIMEOUT_SECS``.

    Raises:
        ConfigurationError: Not a number above zero.
    """
    for name in ("AI_HTTP_TIMEOUT_SECS", "AI_TIMEOUT_SECS"):
        text = _value(environ, name)
        if text:
            return _to_seconds(text, name)
    return None


def _to_seconds(text: str, name: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(f"{name} must be seconds, a number above zero.")
    return seconds
