"""The control socket, as curl and the commands use it."""
import contextlib
import http.client
import json
import socket
import subprocess

from .env import BINARY, patience


class Answer:
    def __init__(self, raw: bytes):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.fields = {name.lower(): value.strip()
                       for name, _, value in (line.partition(":") for line in lines)}

    def json(self):
        return json.loads(self.body)


class Control:
    """Requests over a unix socket, one connection each."""

    def __init__(self, path):
        self.path = str(path)

    def connect(self) -> socket.socket:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(patience(10))
        s.connect(self.path)
        return s

    def raw(self, request: bytes) -> bytes:
        """What comes until the other side ends."""
        with self.connect() as s:
            try:
                s.sendall(request)
            except BrokenPipeError:
                pass
            answer = b""
            while True:
                try:
                    piece = s.recv(65536)
                except ConnectionResetError:
                    return answer
                if not piece:
                    return answer
                answer += piece

    def ask(self, target: str, method: str = "GET", body: bytes = None, fields: dict = None) -> Answer:
        fields = {"Host": "localhost", "Connection": "close", **(fields or {})}
        if body is not None:
            fields["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return Answer(self.raw(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + (body or b"")))

    @contextlib.contextmanager
    def keep(self):
        """ask(target, method, value, content_type), which returns the status: all requests over one
        connection."""
        kept = http.client.HTTPConnection("localhost")
        kept.sock = self.connect()

        def ask(target, method, value, content_type="application/json"):
            kept.request(method, target, json.dumps(value), {"Content-Type": content_type})
            answer = kept.getresponse()
            answer.read()
            return answer.status
        try:
            yield ask
        finally:
            kept.close()

    def command(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        """sallyport ARGUMENTS --socket PATH"""
        return subprocess.run([str(BINARY), *arguments, "--socket", self.path], text=True,
                              capture_output=True, timeout=patience(60), check=False, **options)
