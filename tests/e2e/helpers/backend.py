"""A backend that does what a test tells it to: a function that is given each connection, in a
thread of its own, and the few calls that such a function needs."""
import json
import re
import socket
import threading

from .env import patience
from .http1 import reset


class Request:
    def __init__(self, head: bytes):
        line, *fields = head.decode("latin-1").split("\r\n")
        self.head = head
        self.method, self.target, self.version = line.split(" ")
        self.fields = [tuple(f.split(": ", 1)) if ": " in f else (f.rstrip(":"), "")
                       for f in fields if f]
        self.body = b""
        self.trailers = []

    def all(self, name: str) -> list:
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name: str):
        """The only value of a field, or None. Twice is a mistake."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None


class Cut(OSError):
    """The proxy ended the stream inside a message. Tests that expect it look at `requests`."""


class Connection:
    """One accepted connection: reads strictly, writes anything."""

    def __init__(self, backend, sock):
        self.backend = backend
        self.sock = sock
        self.number = 0  # 1, 2, 3... in the order of accept
        self.n_requests = 0
        self._input = b""
        sock.settimeout(patience(30))
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def recv(self, at_most: int = 65536) -> bytes:
        if self._input:
            data, self._input = self._input[:at_most], self._input[at_most:]
            return data
        return self.sock.recv(at_most)

    def _read_until(self, mark: bytes) -> bytes:
        """Up to and with `mark`; b"" when the stream ended before its first byte."""
        while mark not in self._input:
            data = self.sock.recv(65536)
            if not data:
                if self._input:
                    raise Cut(f"inside {self._input[:200]!r}")
                return b""
            self._input += data
        end = self._input.index(mark) + len(mark)
        found, self._input = self._input[:end], self._input[end:]
        return found

    def read_exactly(self, n: int) -> bytes:
        parts = []
        while n > 0:
            data = self.recv(min(n, 1 << 20))
            if not data:
                raise Cut(f"inside a body, {n} bytes were left")
            parts.append(data)
            n -= len(data)
        return b"".join(parts)

    def read_head(self):
        """None at the end of the stream."""
        head = self._read_until(b"\r\n\r\n")
        if not head:
            return None
        request = Request(head[:-4])
        self.n_requests += 1
        self.backend.requests.append(request)
        return request

    def read_body(self, request: Request) -> Request:
        if request.get("transfer-encoding"):
            assert request.get("transfer-encoding").lower() == "chunked"
            assert not request.all("content-length")
            self._read_chunks(request)
        else:
            request.body = self.read_exactly(int(request.get("content-length") or 0))
        return request

    def _read_chunks(self, request: Request):
        while True:
            line = self._read_until(b"\r\n")
            if not line:
                raise Cut("between two chunks")
            assert re.fullmatch(rb"[0-9a-fA-F]+\r\n", line), line
            size = int(line, 16)
            if size == 0:
                break
            request.body += self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"
        while (line := self._read_until(b"\r\n")) != b"\r\n":
            if not line:
                raise Cut("inside the trailers")
            request.trailers.append(tuple(line[:-2].decode("latin-1").split(": ", 1)))

    def read_request(self):
        request = self.read_head()
        return self.read_body(request) if request else None

    def send(self, data: bytes):
        self.sock.sendall(data)

    def respond(self, status: int = 200, body: bytes = b"", fields=(), reason: str = "OK"):
        head = f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{n}: {v}\r\n" for n, v in fields)
        self.send(head.encode("latin-1") + b"\r\n" + body)

    def reset(self):
        """RST instead of FIN."""
        reset(self.sock)

    def hang(self):
        """Until the peer or the test ends."""
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass


class Backend:
    """Listens from the start; close() ends it and every connection. Errors of handlers are kept in
    `errors` and are the test's failure (see conftest.py)."""

    def __init__(self, handler, host: str = "127.0.0.1", backlog: int = 1024,
                 receive_buffer: int = 0):
        self.handler = handler
        self.requests = []
        self.connections = []
        self.errors = []
        self._threads = []
        self._closing = False
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, 0), family=family, backlog=backlog)
        if receive_buffer:  # else the system's, which may grow to megabytes
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        port = listener.getsockname()[1]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._listeners = []
        self.accept_also(listener)

    def accept_also(self, listener: socket.socket):
        """Serves what arrives there too; closes it in the end."""
        self._listeners.append(listener)
        thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener):
        while not self._closing:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            connection = Connection(self, sock)
            self.connections.append(connection)
            connection.number = len(self.connections)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: Connection):
        try:
            self.handler(connection)
        except OSError:
            pass  # the proxy went away, or close() came: what it means is the test's business
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(error)
        finally:
            connection.sock.close()

    def close(self):
        self._closing = True
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in self.connections:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(patience(10))


def each_request(answer):
    """A handler that reads one request after the other, whole, and calls answer(connection,
    request). Ends when that returns False."""
    def handler(connection):
        while (request := connection.read_request()) is not None:
            if answer(connection, request) is False:
                return
    return handler


def answering(body: bytes = b"hello\n", status: int = 200, fields=()):
    return each_request(lambda c, _: c.respond(status, body, fields))


def echo(connection, request):
    """What arrived, as JSON."""
    connection.respond(200, json.dumps({
        "method": request.method, "target": request.target, "version": request.version,
        "fields": request.fields, "body": request.body.decode("latin-1"),
        "trailers": request.trailers, "connection": connection.number,
    }).encode(), [("Content-Type", "application/json")])


def refusing_address() -> str:
    """Where nobody listens: bound once, so that it was free, and closed again."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"
