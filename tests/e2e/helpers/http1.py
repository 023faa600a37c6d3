"""A client that writes any bytes and reads HTTP/1.1 strictly: what it calls a response is a whole
one, and a stream that ends early, or without close_notify, raises."""
import re
import socket
import ssl
import struct
import subprocess

from .env import patience


def reset(sock: socket.socket):
    """Closes with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Incomplete(Exception):
    """The stream ended inside a message; `response` is what there was of it."""

    def __init__(self, response):
        super().__init__("the stream ended inside a response" if response else "no response")
        self.response = response


class Response:
    def __init__(self, head: bytes):
        line, *fields = head.decode("latin-1").split("\r\n")
        found = re.fullmatch(r"HTTP/1\.([01]) (\d{3}) ([ -~]*)", line)
        assert found, f"status line {line!r}"
        self.version = f"HTTP/1.{found[1]}"
        self.status = int(found[2])
        self.reason = found[3]
        self.fields = []
        for field in fields:
            name, colon, value = field.partition(":")
            assert colon and re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name), field
            self.fields.append((name, value.strip(" \t")))
        self.body = b""
        self.trailers = []
        self.interim = []  # 1xx responses before this one
        self.head_bytes = head

    def all(self, name: str) -> list:
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name: str):
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def closes(self) -> bool:
        """Did the server say that the connection ends after this response?"""
        return "close" in (self.get("connection") or "").lower()


class Client:
    """`context` (ssl.SSLContext): TLS with it; None: plain."""

    def __init__(self, address: tuple, context: ssl.SSLContext = None,
                 server_name: str = "shop.test", session: ssl.SSLSession = None,
                 seconds: float = 20, receive_buffer: int = 0):
        self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.sock.settimeout(patience(seconds))
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host = server_name or "shop.test"
        self.input = b""
        try:
            self.sock.connect(address)
            if context:
                # A missing close_notify is an error: a cut stream must be told from a whole one.
                self.sock = context.wrap_socket(self.sock, server_hostname=server_name,
                                                session=session, suppress_ragged_eofs=False)
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """RST instead of FIN, and no close_notify."""
        reset(self.sock)

    def send(self, data: bytes):
        self.sock.sendall(data)

    def head(self, method="GET", target="/", fields=(), version="HTTP/1.1") -> bytes:
        lines = [f"{method} {target} {version}"]
        if not any(name.lower() == "host" for name, _ in fields):
            lines.append(f"Host: {self.host}")
        lines += [f"{name}: {value}" for name, value in fields]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    def request(self, method="GET", target="/", fields=(), body: bytes = b"", version="HTTP/1.1"):
        """Sends it, with Content-Length if there is a body."""
        fields = list(fields)
        if body:
            fields.append(("Content-Length", str(len(body))))
        self.send(self.head(method, target, fields, version) + body)

    def get(self, target="/", fields=(), method="GET", body: bytes = b"") -> Response:
        """Sends a request and reads its response."""
        self.request(method, target, fields, body)
        return self.response(method)

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self.input += data
        return bool(data)

    def _take(self, n: int) -> bytes:
        taken, self.input = self.input[:n], self.input[n:]
        return taken

    def _read_until(self, mark: bytes, so_far) -> bytes:
        while mark not in self.input:
            if not self._more():
                raise Incomplete(so_far)
        return self._take(self.input.index(mark) + len(mark))

    def response(self, method="GET") -> Response:
        """The next response, interim ones put aside."""
        interim = []
        while True:
            head = self._read_until(b"\r\n\r\n", None)
            response = Response(head[:-4])
            if response.status >= 200 or response.status == 101:
                break
            interim.append(response)
        response.interim = interim
        self._read_body(response, method)
        return response

    def _read_body(self, response: Response, method: str):
        """RFC 9112 6.3."""
        coding, length = response.get("transfer-encoding"), response.get("content-length")
        assert not (coding and length), "both Transfer-Encoding and Content-Length"
        if method == "HEAD" or response.status in (101, 204, 304):
            return
        if coding:
            assert coding.lower() == "chunked", coding
            self._read_chunks(response)
        elif length is not None:
            assert re.fullmatch(r"\d+", length), length
            self._read_length(response, int(length))
        else:
            assert response.closes() or response.version == "HTTP/1.0", "no framing at all"
            while self._more():
                pass
            response.body = self._take(len(self.input))

    def _read_length(self, response: Response, n: int):
        parts = [self._take(n)]
        n -= len(parts[0])
        while n > 0:
            data = self.sock.recv(min(n, 1 << 20))
            if not data:
                response.body += b"".join(parts)
                raise Incomplete(response)
            parts.append(data)
            n -= len(data)
        response.body += b"".join(parts)

    def _read_chunks(self, response: Response):
        while True:
            line = self._read_until(b"\r\n", response)
            assert re.fullmatch(rb"[0-9a-fA-F]+\r\n", line), f"chunk size {line!r}"
            size = int(line, 16)
            if size == 0:
                break
            self._read_length(response, size)
            assert self._read_until(b"\r\n", response) == b"\r\n"
        while (line := self._read_until(b"\r\n", response)) != b"\r\n":
            name, _, value = line[:-2].decode("latin-1").partition(": ")
            response.trailers.append((name, value))

    def read_exactly(self, n: int) -> bytes:
        """Bytes of a tunnel."""
        while len(self.input) < n:
            if not self._more():
                raise Incomplete(None)
        return self._take(n)

    def ended(self) -> bool:
        """Waits for the end of the stream; True if nothing more came and it ended in good order:
        FIN, with TLS after close_notify."""
        data = self.sock.recv(65536)
        return not self.input and not data

    def cut(self) -> bool:
        """Reads to the end of the stream; True if it was cut: RST, or no close_notify."""
        try:
            while self._more():
                pass
        except (ssl.SSLError, ConnectionError):
            return True
        return False


def curl(*arguments, check=True, seconds=60):
    """curl -sS; its result, standard output as bytes."""
    done = subprocess.run(["curl", "-sS", *map(str, arguments)], capture_output=True,
                          timeout=patience(seconds), check=False)
    assert not check or done.returncode == 0, f"curl: {done.returncode}: {done.stderr.decode()}"
    return done
