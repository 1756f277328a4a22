"""
What tests of all kinds share: the twins, and servers that go wrong.
"""

from __future__ import annotations

import logging
import os
import shutil
import ssl
from concurrent.futures import ThreadPoolExecutor

import docs_server
import faults
import pytest
from twins import make_twin

from ai_lib._core import budget, registry

_SETTINGS = ("_API_KEY", "_BASE_URL", "_PROXY", "_proxy", "NETRC", "SSL_CERT_FILE")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    """
    Keep what the machine's environment says out of the tests.
    """
    for name in list(os.environ):
        ours = name.startswith("AI_") and not name.startswith("AI_LIB_TEST_")
        if ours or name.endswith(_SETTINGS):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _full_budgets():
    """
    Let no test spend another one's retries: servers of some are the same.
    """
    budget._budgets.clear()


# Servers


@pytest.fixture
def server():
    """
    Give a server that goes wrong as its script says.
    """
    with faults.FaultServer() as made:
        yield made


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """
    Give the paths of a throwaway authority, and of a certificate and its key for this machine.
    """
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificates with the openssl command")
    return faults.make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls_server(certificates):
    """
    Give the same over TLS; its authority is ``server.ca``.
    """
    ca, leaf, key = certificates
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf, key)
    with faults.FaultServer(tls=context) as made:
        made.ca = str(ca)
        yield made


# Twins


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def twin(request):
    """
    Give one package after the other, the async one on both event loops, in debug mode if it has one.
    """
    made = make_twin(request.param, debug=True)
    yield made
    made.close()


@pytest.fixture(params=["blocking", "asyncio"])
def pair(request):
    """
    Give one package after the other.
    """
    made = make_twin(request.param)
    yield made
    made.close()


@pytest.fixture
def in_thread():
    """
    Give a function that runs another in a thread; the result is a future.
    """
    with ThreadPoolExecutor(64, "test") as executor:
        yield executor.submit


# Readers of the documentation


@pytest.fixture(scope="module")
def provider():
    """
    Give the provider that the documentation talks to.
    """
    with docs_server.DocsServer() as made:
        yield made


@pytest.fixture
def reader(provider, tmp_path, monkeypatch):
    """
    Give a reader's surroundings: keys, files, nothing registered, and no network.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.7\n" + bytes(100))
    (tmp_path / "hello.wav").write_bytes(b"RIFF\0\0\0\0WAVE" + bytes(100))
    (tmp_path / "uploads").mkdir()
    (tmp_path / "report.txt").write_text("All is well.\n")
    for name, value in provider.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):  # the discard port: nobody listens
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # httpx and requests must be told
    loggers = [(one, one.level) for one in map(logging.getLogger, (None, "ai_lib"))]
    registered = [(one, dict(one)) for one in (registry._providers, registry._dialects)]

    yield provider

    for logger, level in loggers:
        logger.setLevel(level)
    for table, before in registered:
        table.clear()
        table.update(before)
