"""
A provider on loopback that goes wrong on purpose: raw sockets, threads, and a script.

A server answers each request with the next *step* of its script; the last one repeats. A step is
a function that is given the exchange, sends what it likes, and returns whether the connection stays.
Most are made by ``reply`` and ``raw`` of *pieces*: bytes to send, or functions that do something else
in their place (``stall``, ``reset``, ``hang_up``, ``wait_for(event)``, ``drip(…)``).
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import threading
import time
import zlib
from contextlib import contextmanager, suppress

import attrs

#: Seconds after which something that should have happened has not.
PATIENCE = 10.0

REASONS = {200: "OK", 307: "Temporary Redirect", 429: "Too Many Requests"}


class Over(Exception):
    """
    The exchange is over, and its connection with it.
    """


@attrs.frozen(kw_only=True)
class Received:
    """
    A request as it came.
    """

    method: str
    path: str
    headers: dict[str, str]
    head: bytes
    body: bytes
    connection: int

    def json(self):
        """
        Read the body.
        """
        return json.loads(self.body)


class Exchange:
    """
    One request on one connection, for a step to answer.
    """

    def __init__(self, server, sock, connection):
        self.server = server
        self.sock = sock
        self.connection = connection
        self.request = None
        self.chunked = False
        self._held = b""

    def send(self, data):
        """
        Send bytes as they are.
        """
        try:
            self.sock.sendall(data)
        except OSError:
            raise Over from None

    def send_body(self, data):
        """
        Send bytes of a body, framed as its headers said.
        """
        if self.chunked and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.send(data)

    def begin_tls(self, context):
        """
        Shake hands.
        """
        plain = self.sock
        self.sock = context.wrap_socket(plain, server_side=True)
        self.server.replace(plain, self.sock)

    def receive(self):
        """
        Wait for one request; ``None``: the peer has left.
        """
        while b"\r\n\r\n" not in self._held:
            if not self._more():
                return None
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = line.split(" ", 2)
        headers = {}
        for one in lines:
            name, _, value = one.partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        while len(self._held) < length:
            if not self._more():
                return None
        body, self._held = self._held[:length], self._held[length:]
        return Received(
            method=method,
            path=path,
            headers=headers,
            head=head,
            body=body,
            connection=self.connection,
        )

    def _more(self):
        try:
            data = self.sock.recv(65536)
        except OSError:
            return False
        self._held += data
        return bool(data)

    def wait_for_peer(self):
        """
        Wait until the peer has left or the server closes.
        """
        while self._more():
            pass
        raise Over


class FaultServer:
    """
    A server with a script; a context manager that closes every connection.

    Args:
        tls: A server's ``ssl.SSLContext``; ``None``: plain http.

        greet: Called with the exchange before anything is read, TLS included.

    Attributes:
        requests: What was received, in order.

        accepted: How many connections there were.

        open: How many are open now, as far as the peer has not left.
    """

    def __init__(self, *, tls=None, greet=None):
        self.tls = tls
        self.greet = greet
        self.requests = []
        self.accepted = 0
        self.open = 0
        self.errors = []
        self._steps = []
        self._sockets = set()
        self._threads = []
        self._changed = threading.Condition()
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def origin(self):
        """
        Scheme, host and port.
        """
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def url(self):
        """
        The base URL of an API of OpenAI's kind.
        """
        return f"{self.origin}/v1"

    def script(self, *steps):
        """
        Answer the next requests with these steps; the last repeats.
        """
        with self._changed:
            self._steps = list(steps)
        return self

    def until(self, condition, within=PATIENCE):
        """
        Wait until *condition* holds of this server.
        """
        with self._changed:
            held = self._changed.wait_for(lambda: condition(self), within)
        assert held, f"waited in vain: {self}"

    def until_requests(self, count):
        """
        Wait until so many requests have come.
        """
        self.until(lambda server: len(server.requests) >= count)

    def until_left(self):
        """
        Wait until no peer holds a connection any more.
        """
        self.until(lambda server: server.open == 0)

    def drop_connections(self):
        """
        Close all connections that are open, as a server does that restarts.
        """
        with self._changed:
            sockets = list(self._sockets)
        for sock in sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.until_left()

    def close(self):
        """
        Close everything and wait for its threads.
        """
        with self._changed:
            self._closing = True
            sockets = list(self._sockets)
            self._changed.notify_all()
        self._shut(self._listener)
        for sock in sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not self.errors, self.errors

    def replace(self, old, new):
        """
        Take one socket of a connection for another, to be closed with the server.
        """
        with self._changed:
            self._sockets.discard(old)
            self._sockets.add(new)

    @property
    def closing(self):
        """
        Whether it is being closed.
        """
        return self._closing

    def pause(self, seconds):
        """
        Wait, or until the server closes.
        """
        with self._changed:
            if self._changed.wait_for(lambda: self._closing, seconds):
                raise Over

    def __repr__(self):
        return (
            f"<FaultServer accepted={self.accepted} open={self.open}"
            f" requests={len(self.requests)}>"
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()]
        self._threads.append(thread)
        thread.start()

    @staticmethod
    def _shut(sock):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                if self._closing:
                    sock.close()
                    return
                self.accepted += 1
                self.open += 1
                number = self.accepted
                self._sockets.add(sock)
                self._changed.notify_all()
            self._start(self._serve, sock, number)

    def _serve(self, sock, number):
        exchange = Exchange(self, sock, number)
        try:
            if self.greet is not None:
                self.greet(exchange)
            if self.tls is not None:
                exchange.begin_tls(self.tls)
            while self._one(exchange):
                pass
        except (Over, OSError):
            pass
        except Exception as error:  # noqa: BLE001  # shown by close()
            self.errors.append(error)
        finally:
            exchange.sock.close()
            with self._changed:
                self._sockets.discard(exchange.sock)
                self.open -= 1
                self._changed.notify_all()

    def _one(self, exchange):
        request = exchange.receive()
        if request is None:
            return False
        exchange.request = request
        exchange.chunked = False
        with self._changed:
            self.requests.append(request)
            steps = self._steps
            step = steps.pop(0) if len(steps) > 1 else (steps or [_unexpected])[0]
            self._changed.notify_all()
        return bool(step(exchange))


# Pieces


def stall(exchange):
    """
    Send nothing more, until the peer leaves.
    """
    exchange.wait_for_peer()


def reset(exchange):
    """
    Drop the connection with a RST.
    """
    exchange.sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    exchange.sock.close()
    raise Over


def hang_up(exchange):
    """
    Close the connection, whatever was announced.
    """
    with suppress(OSError):
        exchange.sock.shutdown(socket.SHUT_WR)
    raise Over


def wait_for(event):
    """
    Go on once *event* is set.
    """

    def piece(exchange):
        deadline = time.monotonic() + PATIENCE
        while not event.wait(0.01):
            if exchange.server.closing or time.monotonic() > deadline:
                raise Over

    return piece


def pause(seconds):
    """
    Go on after *seconds*.
    """

    def piece(exchange):
        exchange.server.pause(seconds)

    return piece


def drip(data, *, every, of=1):
    """
    Send *data* in pieces of *of* bytes, *every* so many seconds.
    """

    def piece(exchange):
        for start in range(0, len(data), of):
            exchange.send_body(data[start : start + of])
            exchange.server.pause(every)

    return piece


def drip_forever(data, *, every):
    """
    Send *data* again and again, until the peer leaves.
    """

    def piece(exchange):
        while True:
            exchange.send_body(data)
            exchange.server.pause(every)

    return piece


# Steps


def _put(exchange, pieces, send):
    for piece in pieces:
        if isinstance(piece, bytes):
            send(piece)
        else:
            piece(exchange)


def raw(*pieces, keep=False):
    """
    A step that sends bytes as they are.
    """

    def step(exchange):
        _put(exchange, pieces, exchange.send)
        return keep

    return step


def reply(
    *pieces,
    status=200,
    content_type="application/json",
    headers=(),
    framing="length",
    length=None,
    early=b"",
    keep=True,
):
    """
    A step that answers: headers, and a body of *pieces*.

    Args:
        framing: ``"length"``, ``"chunked"``, or ``"close"``: the end of the connection is the body's.

        length: What ``content-length`` says, where it is not the truth.

        early: Sent before the answer as it is: interim answers.
    """

    def step(exchange):
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Whatever')}"]
        if content_type is not None:
            lines.append(f"Content-Type: {content_type}")
        lines += [f"{name}: {value}" for name, value in dict(headers).items()]
        if framing == "length":
            size = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
            lines.append(f"Content-Length: {size if length is None else length}")
        elif framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
            exchange.chunked = True
        else:
            lines.append("Connection: close")
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        if framing == "length":  # in one packet, as servers do
            first = next((one for one in pieces[:1] if isinstance(one, bytes)), b"")
            exchange.send(early + head + first)
            _put(exchange, pieces[1:] if first else pieces, exchange.send_body)
        else:
            exchange.send(early + head)
            _put(exchange, pieces, exchange.send_body)
        if exchange.chunked:
            exchange.send(b"0\r\n\r\n")
        return keep and framing != "close"

    return step


def _unexpected(exchange):
    return reply(b'{"error": {"message": "unscripted"}}', status=418)(exchange)


# What a provider of OpenAI's kind says


def completion(text="hi", **more):
    """
    A whole answer's body.
    """
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    body = {"id": "c1", "object": "chat.completion", "model": "m", "usage": usage}
    return json.dumps({**body, "choices": [choice], **more}).encode()


def answer(text="hi", **options):
    """
    A step that answers a request that is no stream.
    """
    return reply(completion(text), **options)


def refusal(status, message="no", *, code=None, headers=(), **options):
    """
    A step that says no.
    """
    error = {"message": message, "type": code or "some_error", "code": code}
    body = json.dumps({"error": error}).encode()
    return reply(body, status=status, headers=headers, **options)


def event(text=None, *, finish=None, usage=None):
    """
    One event of a stream.
    """
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "c1", "object": "chat.completion.chunk", "model": "m"}
    body["choices"] = [] if usage else [choice]
    if usage:
        body["usage"] = usage
    return b"data: %b\n\n" % json.dumps(body).encode()


FINISH = event(finish="stop")
DONE = b"data: [DONE]\n\n"


def events(*texts):
    """
    The pieces of a whole stream.
    """
    return [*map(event, texts), FINISH, DONE]


def stream(*pieces, framing="chunked", **options):
    """
    A step that answers with a stream of events, made of pieces.
    """
    options.setdefault("content_type", "text/event-stream")
    return reply(*pieces, framing=framing, **options)


def models(*ids):
    """
    A step that lists models.
    """
    data = [{"id": one, "object": "model"} for one in ids]
    return reply(json.dumps({"object": "list", "data": data}).encode())


def bomb(size, *, start=b"", piece=2**20):
    """
    *size* zero bytes behind *start*, compressed.
    """
    compressor = zlib.compressobj(9, wbits=31)
    pieces = [compressor.compress(start)]
    block = b" " * piece
    pieces += [compressor.compress(block) for _ in range(size // piece)]
    return b"".join([*pieces, compressor.flush()])


# Other surroundings


@contextmanager
def port_that_never_accepts():
    """
    An address whose connections never come about: its queue is full.
    """
    listener = socket.socket()
    waiting = []
    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            waiting.append(one)
            with suppress(BlockingIOError):
                one.connect(listener.getsockname())
        yield listener.getsockname()[1]
    finally:
        for one in (*waiting, listener):
            one.close()


def free_port():
    """
    A port that refuses connections.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def make_certificates(folder):
    """
    Make an authority and a certificate for this machine, with the ``openssl`` command.

    Returns:
        The paths of the authority, the certificate and its key.
    """
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    request, extension = folder / "leaf.csr", folder / "leaf.ext"
    leaf, leaf_key = folder / "leaf.pem", folder / "leaf.key"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    extension.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")

    def openssl(*words):
        command = ["openssl", *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    extensions = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    subject = ["-subj", "/CN=Throwaway CA", "-days", "2"]
    openssl(
        "req", "-x509", *curve, "-keyout", ca_key, "-out", ca, *subject, *extensions
    )
    openssl(
        "req", *curve, "-keyout", leaf_key, "-out", request, "-subj", "/CN=localhost"
    )
    openssl(
        *("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key),
        *("-CAcreateserial", "-days", "2", "-extfile", extension, "-out", leaf),
    )
    return ca, leaf, leaf_key
