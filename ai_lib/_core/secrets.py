"""
Keys that nothing prints, and the checks of what callers put on the wire: keys, headers, base URLs.

Every key that becomes a ``Secret`` is known to ``redact`` from then on, for as long as the process
lives or until 4,096 newer ones have come.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from base64 import b64encode
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import quote, unquote, urlsplit

from ai_lib._core.errors import ConfigurationError
from ai_lib._core.network import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_STARS = "***"
_SALT = os.urandom(16)

_KEY = re.compile(r"[\x20-\x7e]+")


class Secret:
    """
    A key that is shown by nothing but ``reveal()``.

    Equal to another ``Secret`` of the same value. It can be copied (it is its own copy) but not
    pickled, and JSON does not take it.

    Args:
        value: The key; white space at its ends is taken off.

        name: Where it came from, for messages: a variable's name, or ``api_key``.

    Raises:
        ConfigurationError: It is empty or holds anything but printable ASCII characters. The message
            holds *name*, never *value*.
    """

    __slots__ = ("_value", "name")

    def __init__(self, value: str, name: str) -> None:
        self.name = name
        problem = _problem_of_key(value)
        if problem:
            del value  # tracebacks show the locals of their frames
            raise ConfigurationError(f"{name} {problem}")
        self._value = value.strip()
        _KNOWN.add(self._value)

    def reveal(self) -> str:
        """
        Give the key in clear. Call it where the header is written, and keep it nowhere.
        """
        return self._value

    @property
    def fingerprint(self) -> str:
        """
        Sixteen hexadecimal digits by which keys can be told apart in this process, and in no other.
        """
        return self.fingerprint_with(_SALT)

    def fingerprint_with(self, salt: bytes) -> str:
        """
        The same, for those who share a *salt* of at most 64 bytes.
        """
        from hashlib import blake2b

        return blake2b(self._value.encode(), key=salt, digest_size=8).hexdigest()

    def __repr__(self) -> str:
        return f"<secret {self.name}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        from hmac import compare_digest

        return compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


def as_key(key: object) -> Secret | Callable[[], str] | None:
    """
    Take a key as callers write it, so that no frame holds it in clear when it is refused.

    Raises:
        ConfigurationError: It cannot be sent.
    """
    try:
        if isinstance(key, str):
            return Secret(key, "api_key")
        if key is None or isinstance(key, Secret):
            return key
        if callable(key):
            return cast("Callable[[], str]", key)
        kind = type(key).__name__
    finally:
        del key
    raise ConfigurationError(
        f"api_key must be a string or a function that gives one, not {kind}."
    )


def _problem_of_key(value: object) -> str:
    if not isinstance(value, str):
        return f"must be a string, not {type(value).__name__}."
    key = value.strip()
    if not key:
        return "is empty."
    if not _KEY.fullmatch(key):
        return (
            "holds a line break or another character that no key has;"
            " only printable ASCII can be sent."
        )
    return ""


class _KnownKeys:
    """
    The keys of this process, newest last, and what must be searched for to take them out of a text.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._keys: dict[str, None] = {}
        self._needles: tuple[tuple[str, ...], tuple[str, ...]] | None = ((), ())

    def add(self, key: str) -> None:
        with self._lock:
            known = self._keys.pop(key, self) is None
            self._keys[key] = None
            if known:
                return
            if len(self._keys) > self._limit:
                del self._keys[next(iter(self._keys))]
            self._needles = None

    def needles(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """
        What is replaced wherever it stands, longest first, and the keys too short for that.
        """
        needles = self._needles
        if needles is None:
            with self._lock:
                long = {key for key in self._keys if len(key) >= _SHORT}
                forms = {form for key in long for form in _forms(key)}
                needles = self._needles = (
                    tuple(sorted(forms, key=len, reverse=True)),
                    tuple(key for key in self._keys if key not in long),
                )
        return needles


#: Keys below this length may be words of a sentence ("test", "ollama", "EMPTY").
_SHORT = 8
_KNOWN = _KnownKeys(4096)


def _forms(key: str) -> Iterable[str]:
    """
    The key as it is, in a URL, in JSON, and inside base64 at each of the three places it can begin.
    """
    yield key
    yield quote(key, safe="")
    yield key.replace("\\", "\\\\").replace('"', '\\"')
    if len(key) < 16:
        return
    for before in range(3):
        encoded = b64encode(b" " * before + key.encode()).decode().rstrip("=")
        whole = (
            (before + len(key)) * 8 // 6
        )  # digits that depend on nothing behind the key
        yield encoded[(before * 8 + 5) // 6 : whole]


# A token, not a word of prose: not just small letters, the first maybe a capital.
_VALUE = r"(?![A-Za-z][a-z]*\.?(?![\w~+/=*.-]))[\w.~+/=*-]{6,}"
# In the tails of keys that begin in a known way: a digit or capital, or twenty characters.
_TAIL = r"(?=[\w*-]*[0-9A-Z*]|[\w-]{20})"
_IN_QUERIES = (
    r"((?i:[?&;](?:key|token|auth|sig|signature|secret|password)"
    r"|(?<![a-z])(?:api[_-]?key|access[_-]?token|client[_-]?secret))=)"
    r"[^\s&\"'<>#;,)*]+"
)
_IN_HEADERS = (
    r"((?i:(?<![a-z])(?:api[_-]?key|access[_-]?token|authorization))"
    rf"[\"']?\s{{0,3}}:\s{{0,3}}[\"']?){_VALUE}"
)

#: What must stand in a text, in small letters, for a pattern to fit; the pattern; what takes the place of it.
_PATTERNS = (
    (("://",), r"(://)[^\s/?#]+@", rf"\1{_STARS}@"),
    (("=",), _IN_QUERIES, rf"\1{_STARS}"),
    (
        ("bearer", "basic"),
        rf"\b((?i:bearer|basic)\s{{1,3}}){_VALUE}",
        rf"\1{_STARS}",
    ),
    ((":",), _IN_HEADERS, rf"\1{_STARS}"),
    (
        ("sk-", "pk-", "rk-", "pplx-", "nvapi-"),
        rf"(?<![\w-])(?:sk|pk|rk|csk|pplx|nvapi)-{_TAIL}[\w*-]{{8,}}",
        _STARS,
    ),
    (
        ("hf_", "gsk_", "r8_", "fw_", "xai-"),
        rf"(?<![\w-])(?:hf_|gsk_|r8_|fw_|xai-){_TAIL}[A-Za-z0-9*]{{8,}}",
        _STARS,
    ),
    (
        ("aiza", "akia", "asia"),
        r"(?<![\w-])(?:AIza[\w-]{16,}|(?:AKIA|ASIA)[A-Z0-9]{16})",
        _STARS,
    ),
    (("eyj",), r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?", _STARS),
)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """
    A pattern, compiled when first needed: that takes longer than the import of the module.
    """
    return re.compile(pattern)


_ABOUT_KEYS = (
    r"(?i)\b(?:\w+[_-])?(?:api[ _-]?)?keys?\b|\btokens?\b|\bbearer\b|\bauthorization\b"
    r"|\bunauthorized\b|\bcredentials?\b|\bpasswords?\b|\bsecrets?\b"
)


def redact(text: str) -> str:
    """
    Take keys out of *text*: those that this process knows, and what looks like one.

    A known key is replaced wherever it stands, as it is, quoted for a URL or JSON, or in base64. One of
    fewer than 8 characters is replaced only as a word of its own; if it is all letters or all digits,
    only within 40 characters of a word such as *key*, *token* or *bearer*, so that ``"test"`` as a key
    leaves "test failed" alone and is taken out of "Incorrect API key provided: test".

    Unknown ones are found by what stands before them (``Bearer``, ``api_key=``, ``user:`` in a URL) or
    by how providers' keys begin.
    """
    if not text:
        return text
    long, short = _KNOWN.needles()
    for needle in long:
        if needle in text:
            text = text.replace(needle, _STARS)
    for key in short:
        if key in text:
            text = _without_short(text, key)
    # Beside ASCII there are letters that patterns take for others, whatever their case.
    plain = text.lower() if text.isascii() else None
    for marks, pattern, replacement in _PATTERNS:
        if plain is None or any(mark in plain for mark in marks):
            text = _compiled(pattern).sub(replacement, text)
    return text


def _without_short(text: str, key: str) -> str:
    ordinary = key.isalpha() or key.isdigit()

    def replacement(found: re.Match[str]) -> str:
        start, end = found.span()
        before, after = text[max(0, start - 40) : start], text[end : end + 40]
        if ordinary and not re.search(_ABOUT_KEYS, f"{before}\n{after}"):
            return found[0]
        return _STARS

    return re.sub(rf"(?<![\w-]){re.escape(key)}(?![\w-])", replacement, text)


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(
    r"(?:[\x21-\x7e\xa0-\xff](?:[\x20-\x7e\xa0-\xff]*[\x21-\x7e\xa0-\xff])?)?"
)

#: What is the library's own to send: keys, framing, the connection, the encoding it can undo.
_OWN_HEADERS = frozenset(
    {
        "accept-encoding",
        "api-key",
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-api-key",
        "x-goog-api-key",
    }
)


def check_header(name: str, value: str) -> None:
    """
    Refuse a header that cannot be sent, or is not the caller's to set.

    Raises:
        ConfigurationError: It names the header, never its value.
    """
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{redact(repr(name))[:80]} is not the name of a header."
        )
    if name.lower() in _OWN_HEADERS:
        raise ConfigurationError(
            f"The header {name} is set by the library itself; a key is given as api_key=."
        )
    if not isinstance(value, str):
        raise ConfigurationError(
            f"The value of the header {name} must be a string, not {type(value).__name__}."
        )
    if not _HEADER_VALUE.fullmatch(value):
        raise ConfigurationError(
            f"The value of the header {name} holds a line break, a control character, a character"
            " outside latin-1, or a space at an end."
        )


def check_headers(
    instance: object,  # noqa: ARG001 attrs gives it
    attribute: object,  # noqa: ARG001 attrs gives it
    value: Mapping[str, str],
) -> None:
    """
    Check each header of a mapping: a validator for attrs.

    Raises:
        ConfigurationError: As of ``check_header``.
    """
    for name, one in value.items():
        check_header(name, one)


_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_warned: set[str] = set()
_OURS = r"ai_lib(?:_async)?(?:\.|$)|<attrs"


def check_base_url(url: str, name: str = "base_url") -> str:
    """
    Check a base URL, and take the slashes off its end.

    Plain http to another machine than this one is warned of, once for each host.

    Args:
        url: Absolute, http or https, nothing behind its path.

        name: What messages call it: an argument or a variable.

    Raises:
        ConfigurationError: It is none, or names a user, or its path climbs.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"{name} must be a string, not {type(url).__name__}.")
    text, plain = _checked_url(url.strip(), name)
    if plain:
        _warn_of_plain_http(plain)
    return text


@lru_cache(maxsize=64)
def _checked_url(text: str, name: str) -> tuple[str, str]:
    """
    Check what the text says; clients are often made for the same.

    Returns:
        It without slashes at its end, and the host that keys would go to unencrypted, empty: none.
    """
    if _NOT_IN_URLS.search(text):
        raise ConfigurationError(
            f"{name} holds a space, a backslash or a control character."
        )
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(
            f"{name} is not a URL: its host or port cannot be read."
        ) from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(
            f"{name} must begin with https:// or http:// and a host."
        )
    if "@" in parts.netloc:
        raise ConfigurationError(f"{name} must not hold a user name or password.")
    if "?" in text or "#" in text:
        raise ConfigurationError(f"{name} must end with its path: no '?', no '#'.")
    if any(unquote(segment) in (".", "..") for segment in parts.path.split("/")):
        raise ConfigurationError(f"{name} must not have '..' in its path.")
    plain = parts.scheme == "http" and not is_loopback(host)
    return text.rstrip("/"), host if plain else ""


def _warn_of_plain_http(host: str) -> None:
    if host in _warned:
        return
    warnings.warn(
        f"Keys and prompts go to {host} unencrypted: its base URL begins with http://.",
        UserWarning,
        stacklevel=_callers_level(),
    )
    _warned.add(host)


def _callers_level() -> int:
    """
    Count up to the first frame that is not ours: that of a warning's function is 1.
    """
    import inspect

    level, frame = 0, inspect.currentframe()
    while frame is not None and re.match(_OURS, frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    return level
