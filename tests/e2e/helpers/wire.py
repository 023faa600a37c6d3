"""A connection's bytes, plain or TLS, for one thread that reads and any that write."""
import socket
import ssl
import threading

from .env import patience
from .http1 import reset


class Wire:
    """Over a connected socket. `context`: TLS, the handshake included; `server`: as the server."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext = None, server: bool = False,
                 server_name: str = None):
        self.sock = sock
        self.tls = None
        self._turn = threading.Lock()  # what is encrypted first is sent first
        self._state = threading.Lock()  # OpenSSL's object is one thread's at a time
        if context:
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server,
                                        server_hostname=server_name)
            self._shake_hands()

    @classmethod
    def connect(cls, address: tuple, context: ssl.SSLContext = None, server_name="shop.test",
                seconds: float = 20, receive_buffer: int = 0):
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        try:
            sock.settimeout(patience(seconds))
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
            return cls(sock, context, server_name=server_name)
        except BaseException:
            sock.close()
            raise

    def _shake_hands(self):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.sock.sendall(self._outgoing.read())
                self._receive()
        self.sock.sendall(self._outgoing.read())

    def _receive(self):
        data = self.sock.recv(262144)
        with self._state:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    @property
    def alpn(self):
        return self.tls.selected_alpn_protocol() if self.tls else None

    def send(self, data: bytes):
        with self._turn:
            if self.tls:
                with self._state:
                    self.tls.write(data)
                    data = self._outgoing.read()
            self.sock.sendall(data)

    def recv(self, at_most: int = 65536) -> bytes:
        """b"": the end in good order. A stream that was cut raises (with TLS: no close_notify)."""
        if not self.tls:
            return self.sock.recv(at_most)
        while True:
            try:
                with self._state:
                    return self.tls.read(at_most)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLWantReadError:
                self._receive()

    def close(self):
        self.sock.close()

    def reset(self):
        """RST instead of FIN, and no close_notify."""
        reset(self.sock)
