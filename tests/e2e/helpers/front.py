"""A client of either protocol, as far as tests of all pairs need one."""
import ssl

from .http1 import Client, Incomplete
from .http2 import CANCEL, GoneAway, Http2Client, StreamReset


class Broken(Exception):
    """The response ended where it should not; `so_far` is what there was of it, or None."""

    def __init__(self, so_far):
        super().__init__("the response was cut")
        self.so_far = so_far


class Front1:
    """HTTP/1.1, one exchange at a time."""

    protocol = "HTTP/1.1"

    def __init__(self, address: tuple, context=None, receive_buffer: int = 0):
        self.client = Client(address, context, receive_buffer=receive_buffer)
        self.method = "GET"
        self.chunked = False

    def begin(self, method="GET", target="/", fields=(), end: bool = True):
        """Sends the head. `end` False: a body follows, chunked unless its length is told."""
        fields = list(fields)
        self.method = method
        self.chunked = not end and not any(n.lower() == "content-length" for n, _ in fields)
        if self.chunked:
            fields.append(("Transfer-Encoding", "chunked"))
        self.client.send(self.client.head(method, target, fields))

    def write(self, data: bytes):
        self.client.send(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    def finish(self, trailers=()):
        if self.chunked:
            lines = "".join(f"{n}: {v}\r\n" for n, v in trailers)
            self.client.send(b"0\r\n" + lines.encode("latin-1") + b"\r\n")

    def wait_body(self, n: int):
        """Until so many bytes of the response have come, framing included."""
        while len(self.client.input) < n:
            if not self.client._more():  # pylint: disable=protected-access
                raise Broken(None)

    def answer(self):
        try:
            return self.client.response(self.method)
        except Incomplete as error:
            raise Broken(error.response) from error
        except (ssl.SSLError, ConnectionError) as error:
            raise Broken(None) from error

    def cancel(self):
        """Gives the exchange up: this one, and with HTTP/1.1 the connection with it."""
        self.client.reset()

    def close(self):
        self.client.close()


class Front2:
    """HTTP/2, one exchange at a time of the many that there may be."""

    protocol = "HTTP/2"

    def __init__(self, address: tuple, context=None, receive_buffer: int = 0):
        self.client = Http2Client(address, context, receive_buffer=receive_buffer,
                                  auto_window=not receive_buffer)
        self.stream = None

    def begin(self, method="GET", target="/", fields=(), end: bool = True):
        self.stream = self.client.request(method, target, fields, end=end)

    def write(self, data: bytes):
        self.client.send_data(self.stream, data)

    def finish(self, trailers=()):
        if trailers:
            self.client.send_fields(self.stream, list(trailers), True)
        else:
            self.client.send_data(self.stream, b"", True)

    def wait_body(self, n: int):
        self.client.wait(lambda: len(self.stream.body) >= n or self.stream.over())

    def answer(self):
        s = self.stream
        if not self.client.auto_window:  # from here on it reads
            self.client.auto_window = True
            self.client.give_window(s, 1 << 20)
        try:
            return self.client.wait_over(s)
        except StreamReset as error:
            raise Broken(s if s.head else None) from error
        except GoneAway as error:
            raise Broken(s if s.head else None) from error

    def cancel(self):
        self.client.reset(self.stream, CANCEL)

    def close(self):
        self.client.close()
