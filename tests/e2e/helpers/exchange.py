"""One application for backends of either protocol: a function that is given each exchange.

    def app(exchange):
        body = exchange.body()
        exchange.respond(200, [("content-type", "text/plain")], body)

    start.backend(serve(app))                       HTTP/1.1
    start.backend(serve(app, "h2c"))                HTTP/2, prior knowledge
    start.backend(serve(app, "h2", context))        HTTP/2 over TLS
"""
import threading

from .backend import Cut
from .env import patience
from .http2 import (CANCEL, DATA, END_STREAM, INTERNAL_ERROR, PREFACE, GoneAway, Peer, Stream,
                    StreamReset, frame)
from .wire import Wire


class Left(Exception):
    """The proxy gave the exchange up, or the test ended."""


class Exchange:
    """What both have: method, target, authority, fields, trailers (after the body), protocol (of an
    upgrade or extended CONNECT), number (1, 2, 3... on its connection)."""

    method = target = authority = protocol = ""
    fields = ()

    def all(self, name: str) -> list:
        return [v for n, v in self.fields if n.lower() == name]

    def get(self, name: str):
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    def body(self) -> bytes:
        return b"".join(iter(self.read, b""))

    def respond(self, status=200, fields=(), body: bytes = b"", trailers=()):
        """The whole response, its length told unless there are trailers."""
        if not trailers and status not in (204, 304):
            fields = [*fields, ("content-length", str(len(body)))]
        whole = not trailers and (not body or self.method == "HEAD")
        self.head(status, fields, end=whole)
        if not whole:
            self.write(body)
            self.finish(trailers)


class Exchange1(Exchange):
    """HTTP/1.1."""

    def __init__(self, connection, request):
        self.connection = connection
        self.method, self.target, self.fields = request.method, request.target, request.fields
        self.authority = request.get("host")
        self.protocol = request.get("upgrade") or ""
        self.number = connection.n_requests
        self.trailers = request.trailers
        self.left_bytes = int(request.get("content-length") or 0)
        self.chunked = request.get("transfer-encoding") is not None
        self.request = request
        self.framed = False  # our response is chunked
        self.tunnel = False  # nothing but bytes from here on
        self.is_over = False
        self.cut_off = False

    def read(self) -> bytes:
        """The next piece of the body, b"" at its end."""
        try:
            return self._read()
        except OSError as error:
            raise Left from error

    def _read(self) -> bytes:
        if self.tunnel:
            return self.connection.recv()
        if self.chunked:
            return self._read_chunk()
        data = self.connection.recv(min(self.left_bytes, 65536)) if self.left_bytes else b""
        if self.left_bytes and not data:
            raise Cut("inside a body")
        self.left_bytes -= len(data)
        return data

    def _read_chunk(self) -> bytes:
        c = self.connection
        line = c._read_until(b"\r\n")  # pylint: disable=protected-access
        if not line:
            raise Cut("between two chunks")
        size = int(line, 16)
        if size:
            data = c.read_exactly(size)
            assert c.read_exactly(2) == b"\r\n"
            return data
        while (line := c._read_until(b"\r\n")) != b"\r\n":  # pylint: disable=protected-access
            if not line:
                raise Cut("inside the trailers")
            self.trailers.append(tuple(line[:-2].decode("latin-1").split(": ", 1)))
        self.chunked = False
        return b""

    def _send(self, data: bytes):
        try:
            self.connection.send(data)
        except OSError as error:
            raise Left from error

    def interim(self, status: int, fields=()):
        self.head(status, fields, end=True)
        self.is_over = False

    def head(self, status: int, fields=(), end: bool = False):
        fields = list(fields)
        names = {n.lower() for n, _ in fields}
        if status == 101:
            fields += [("connection", "upgrade"), ("upgrade", self.protocol)]
        elif not end and "content-length" not in names:
            self.framed = True
            fields.append(("transfer-encoding", "chunked"))
        lines = [f"HTTP/1.1 {status} X", *(f"{n}: {v}" for n, v in fields)]
        self._send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
        self.is_over = end

    def accept_tunnel(self, fields=()):
        self.head(101, fields)
        self.tunnel = True

    def write(self, data: bytes):
        if data:
            self._send(b"%x\r\n%s\r\n" % (len(data), data) if self.framed else data)

    def finish(self, trailers=()):
        if self.framed:
            lines = "".join(f"{n}: {v}\r\n" for n, v in trailers)
            self._send(b"0\r\n" + lines.encode("latin-1") + b"\r\n")
        self.is_over = True

    def cut(self):
        """The response ends where it should not."""
        self.cut_off = self.is_over = True
        self.connection.reset()

    def wait_left(self) -> bool:
        """Until the proxy gives the exchange up."""
        try:
            while self.connection.sock.recv(65536):
                pass
        except OSError:
            pass
        return True


class Exchange2(Exchange):
    """HTTP/2."""

    def __init__(self, peer, stream: Stream):
        self.peer, self.stream = peer, stream
        pseudo = stream.head.pseudo
        self.method, self.target = pseudo[":method"], pseudo.get(":path", "")
        self.authority = pseudo.get(":authority") or stream.head.get("host")
        self.protocol = pseudo.get(":protocol", "")
        self.fields = stream.head.fields
        self.number = (stream.id + 1) // 2
        self.cut_off = False
        self._read_bytes = 0

    @property
    def trailers(self):
        return self.stream.trailers

    @property
    def is_over(self):
        return self.stream.sent_end or self.stream.reset is not None or self.cut_off

    def read(self) -> bytes:
        s = self.stream
        try:
            self.peer.wait(lambda: len(s.body) > self._read_bytes or s.over(), "the body")
        except GoneAway as gone:
            raise Left from gone
        if s.reset is not None:
            raise Left(f"RST_STREAM {s.reset}")
        data = bytes(s.body[self._read_bytes:])
        self._read_bytes += len(data)
        if data and not self.peer.auto_window:
            self.peer.give_window(s, len(data))
        return data

    def _guarded(self, function, *arguments):
        try:
            function(*arguments)
        except (StreamReset, GoneAway, OSError) as error:
            raise Left from error

    def interim(self, status: int, fields=()):
        self._guarded(self.peer.send_fields, self.stream, [(":status", str(status)), *fields])

    def head(self, status: int, fields=(), end: bool = False):
        self._guarded(self.peer.send_fields, self.stream, [(":status", str(status)), *fields], end)

    def accept_tunnel(self, fields=()):
        self.head(200, fields)

    def write(self, data: bytes):
        self._guarded(self.peer.send_data, self.stream, data)

    def finish(self, trailers=()):
        if trailers:
            self._guarded(self.peer.send_fields, self.stream, list(trailers), True)
        else:
            self._guarded(self.peer.send, frame(DATA, END_STREAM, self.stream.id))
            self.stream.sent_end = True

    def cut(self, code: int = INTERNAL_ERROR):
        self.cut_off = True
        self._guarded(self.peer.reset, self.stream, code)

    def wait_left(self) -> bool:
        try:
            self.peer.wait(lambda: self.stream.reset is not None, "RST_STREAM")
        except GoneAway:
            return True
        return self.stream.reset == CANCEL


class Http2Server(Peer):
    """The server's end of one connection; a thread for each request."""

    first_stream = 2

    def __init__(self, connection, app, context=None, **options):
        self.app = app
        self.backend = connection.backend
        self._threads = []
        wire = Wire(connection.sock, context, server=True)
        assert not context or wire.alpn == "h2", f"ALPN: {wire.alpn}"
        super().__init__(wire, **options)

    def serve(self):
        preface = self._read_exactly(len(PREFACE))
        if preface is None:
            return  # a connection that was never used
        assert preface == PREFACE, preface
        self.read_in_background()
        self._reader.join()
        for thread in self._threads:
            thread.join(patience(30))
        if self.error and not isinstance(self.error, OSError):
            raise self.error

    def _stream_of_headers(self, number: int) -> Stream:
        if number not in self.streams:
            assert number % 2 == 1 and number > max([0, *self.streams]), f"new stream {number}"
            self.streams[number] = Stream(self, number)
        return self.streams[number]

    def _on_head(self, stream: Stream, head):
        if stream.trailers:
            return
        exchange = Exchange2(self, stream)
        self.backend.requests.append(exchange)
        thread = threading.Thread(target=self._run, args=(exchange,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, exchange):
        try:
            self.app(exchange)
        except (Left, OSError):
            pass
        except Exception as error:  # pylint: disable=broad-except
            self.backend.errors.append(error)
            self.give_up(exchange)

    @staticmethod
    def give_up(exchange):
        """An error of the test's own: nobody shall wait for an answer."""
        try:
            exchange.cut()
        except Left:
            pass


def serve(app, protocol: str = "http/1.1", context=None, **options):
    """A handler for start.backend(). `options` are Peer's, where it is HTTP/2."""
    def http1(connection):
        while (request := connection.read_head()) is not None:
            exchange = Exchange1(connection, request)
            try:
                app(exchange)
            except Left:
                return
            if exchange.cut_off or exchange.tunnel or not exchange.is_over:
                return
            try:
                exchange.body()  # what the app did not read
            except Left:
                return

    def http2(connection):
        Http2Server(connection, app, context, **options).serve()
    return http1 if protocol == "http/1.1" else http2
