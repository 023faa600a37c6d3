"""A TLS client whose bytes the test carries itself: cut, delayed, changed, one at a time."""
import socket
import ssl

from .env import patience
from .http1 import reset


class RawTls:
    def __init__(self, address: tuple, context: ssl.SSLContext, server_name: str = "shop.test"):
        self.sock = socket.create_connection(address, patience(20))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def taken(self) -> bytes:
        """What TLS wants to send, for the test to send."""
        return self._outgoing.read()

    def hello(self) -> bytes:
        """The ClientHello."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.taken()

    def receive(self) -> bool:
        """Gives TLS what has come; False at the end of the stream."""
        data = self.sock.recv(65536)
        self._incoming.write(data)
        return bool(data)

    def shake_hands(self, send=None):
        """To the client's end of the handshake, its last flight sent. `send`: instead of
        sendall."""
        send = send or self.sock.sendall
        send(self.last_flight(send))

    def last_flight(self, send=None) -> bytes:
        """The same, with the last flight not yet sent."""
        send = send or self.sock.sendall
        while True:
            try:
                self.tls.do_handshake()
                return self.taken()
            except ssl.SSLWantReadError:
                if flight := self.taken():
                    send(flight)
                if not self.receive():
                    raise ConnectionResetError("the stream ended in the handshake") from None

    def send_byte_by_byte(self, data: bytes):
        for byte in data:
            self.sock.sendall(bytes([byte]))

    def record(self, data: bytes) -> bytes:
        """`data` encrypted, for the test to send."""
        self.tls.write(data)
        return self.taken()

    def send(self, data: bytes):
        self.sock.sendall(self.record(data))

    def close_notify(self) -> bytes:
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self.taken()

    def read_all(self) -> tuple:
        """All data until the end, and whether that was a close_notify (else FIN alone)."""
        data = b""
        while True:
            try:
                piece = self.tls.read(65536)
                if not piece:
                    return data, True
                data += piece
            except ssl.SSLWantReadError:
                if not self.receive():
                    return data, False
            except ssl.SSLZeroReturnError:
                return data, True

    def read_until(self, mark: bytes) -> bytes:
        data = b""
        while mark not in data:
            try:
                data += self.tls.read(65536)
            except ssl.SSLWantReadError:
                if not self.receive():
                    raise ConnectionResetError(f"the stream ended after {data!r}") from None
        return data

    def cut(self):
        """FIN without close_notify: a truncation. (close(2) would be RST: the server's tickets are
        unread.)"""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        reset(self.sock)
