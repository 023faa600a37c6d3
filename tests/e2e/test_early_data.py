"""Early data (0-RTT): what goes to the backend before the client's handshake is over, what waits, and
that nothing is taken twice. The client is openssl s_client, behind a relay that can hold back the
second flight, with which the handshake ends."""
import os
import re
import select
import socket
import subprocess
import threading

import hpack
import pytest
from conftest import TLS_PORT
from helpers.backend import each_request
from helpers.env import patience
from helpers.http2 import frame, settings_frame
from helpers.proxy import wait_until

GET = b"GET /it HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
POST = (b"POST /it HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
        b"hello")


class Relay:
    """To `there`, one connection after the other. With `holds`, what a client sends after it has
    heard from the server waits for release(). `first` is the first flight of the last client."""

    def __init__(self, there, holds=True):
        self.there, self.holds = there, holds
        self.first, self.garbles = b"", False
        self.released, self.is_cut = threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "%s:%d" % self.listener.getsockname()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, socket.create_connection(self.there) as server:
                self._serve(client, server)

    def _serve(self, client, server):
        heard, self.first = False, b""
        open_ones = {client, server}
        while open_ones and not self.is_cut.is_set():
            held = self.holds and heard and not self.released.is_set()
            readable = select.select([s for s in open_ones if not (held and s is client)], [], [],
                                     0.01)[0]
            for sock in readable:
                data = self._received(sock)
                other = server if sock is client else client
                if not data:
                    open_ones.discard(sock)
                    if sock is server:
                        return  # and the client is let go
                    self._end(other)
                    continue
                if sock is server:
                    heard = True
                elif not heard:
                    self.first += data
                elif self.garbles:
                    data = b"\x17\x03\x03\x00\x20" + b"?" * 32
                try:
                    other.sendall(data)
                except OSError:
                    return

    @staticmethod
    def _received(sock):
        try:
            return sock.recv(65536)
        except OSError:
            return b""

    @staticmethod
    def _end(sock):
        try:
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def release(self):
        self.released.set()

    def cut(self):
        """Both sides, without what is held."""
        self.is_cut.set()

    def close(self):
        self.cut()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def relay():
    made = []

    def make(proxy, **options):
        made.append(Relay(proxy.https, **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


def answer(connection, request):
    """425 to /too-early while it is; else what there is."""
    if request.target == "/too-early" and request.all("Early-Data"):
        return connection.respond(425, b"not yet\n", [])
    return connection.respond(200, b"hello\n", [])


@pytest.fixture
def early(start):
    """A proxy that takes early data, and its backend."""
    def make(**port):
        backend = start.backend(each_request(answer))
        settings = {"bundles": ["shop"], "early_data": True, **port}
        proxy = start.proxy({"app": [backend.address]}, ports={TLS_PORT: settings})
        return proxy, backend
    return make


class Client:
    """openssl s_client under the test's hand."""

    def __init__(self, start, certs, address, *arguments, data=None, folder=None):
        early_file = []
        if data is not None:
            path = folder / "early"
            path.write_bytes(data)
            early_file = ["-early_data", str(path)]
        self.process = start.client(
            "openssl", "s_client", "-connect", address, "-CAfile", str(certs.ca), "-tls1_3",
            "-servername", "shop.test", "-ign_eof", *early_file, *arguments,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.output = ""

    def send(self, data: bytes):
        self.process.stdin.write(data)
        self.process.stdin.flush()
        return self

    def until(self, pattern: str):
        """Reads until the pattern is in the output."""
        def look():
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                data = os.read(self.process.stdout.fileno(), 65536)
                self.output += data.decode("latin-1")
                assert data or re.search(pattern, self.output), self.output
            return re.search(pattern, self.output)
        return wait_until(look, 15, f"/{pattern}/ from s_client")

    def end(self) -> str:
        out, _ = self.process.communicate(timeout=patience(20))
        self.output += out.decode("latin-1")
        return self.output


@pytest.fixture
def client(start, certs, tmp_path):
    def make(address, *arguments, data=None):
        if not isinstance(address, str):
            address = "%s:%d" % address
        return Client(start, certs, address, *arguments, data=data, folder=tmp_path)
    return make


@pytest.fixture
def ticket(client, tmp_path):
    """A file with a session of the proxy, of a connection that asked for something."""
    def make(proxy, *arguments, request=GET):
        path = tmp_path / f"session{len(list(tmp_path.glob('session*')))}"
        client(proxy.https, "-sess_out", str(path), *arguments).send(request).end()
        return str(path)
    return make


def counted(proxy, prefix="tls_early_refused_") -> dict:
    return {name[len(prefix):]: n for name, n in proxy.metrics().items()
            if name.startswith(prefix) and n > 0}


def early_requests(backend) -> list:
    """Of all but the one that got the ticket: the value of Early-Data."""
    return [request.get("Early-Data") for request in backend.requests[1:]]


# What goes at once

def test_a_safe_request_is_answered_before_the_handshake_is_over(early, client, ticket, relay):
    proxy, backend = early()
    session, between = ticket(proxy), relay(proxy)

    one = client(between.address, "-sess_in", session, data=GET)
    one.until("HTTP/1.1 200 OK[^!]*hello")

    assert early_requests(backend) == ["1"]
    assert proxy.metrics()["tls_handshakes_resumed"] == 0  # it is not over
    between.release()
    assert "Early data was accepted" in one.end()
    metrics = proxy.wait_metric("tls_handshakes_resumed", 1)
    assert (metrics["tls_early_accepted"], metrics["http_early_requests"]) == (1, 1)
    assert metrics["tls_early_bytes"] == len(GET)
    assert metrics["tls_handshakes_failed"] == 0 and counted(proxy) == {}


def test_without_the_setting_nothing_is_taken_early(early, client, ticket):
    proxy, backend = early(early_data=False)

    output = client(proxy.https, "-sess_in", ticket(proxy), data=GET).send(GET).end()

    assert "Early data was not sent" in output and "HTTP/1.1 200 OK" in output
    assert early_requests(backend) == [None]


def test_a_ticket_of_a_port_with_early_data_brings_none_to_one_without(early, client, ticket,
                                                                      tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(48))
    secret.chmod(0o600)
    here, _ = early(ticket_secret_file=str(secret))
    there, backend = early(ticket_secret_file=str(secret), early_data=False)

    output = client(there.https, "-sess_in", ticket(here), data=GET).send(GET).end()

    assert "Early data was rejected" in output and "Reused, TLSv1.3" in output
    assert [r.get("Early-Data") for r in backend.requests] == [None]


def test_a_large_request_comes_in_pieces(early, client, ticket, relay):
    proxy, backend = early()
    session, between = ticket(proxy), relay(proxy)
    field = b"X-Large: " + b"x" * 15000 + b"\r\n"
    request = GET.replace(b"Connection", field + b"Connection")

    client(between.address, "-sess_in", session, data=request).until("HTTP/1.1 200 OK")

    assert early_requests(backend) == ["1"]
    assert len(backend.requests[1].get("X-Large")) == 15000


def test_connections_go_on_after_their_handshake(early, client, ticket, relay):
    """Keep-alive: a request in the early data, one after it."""
    proxy, backend = early()
    session, between = ticket(proxy), relay(proxy)
    first = GET.replace(b"Connection: close\r\n", b"")

    one = client(between.address, "-sess_in", session, data=first)
    one.until("HTTP/1.1 200 OK")
    between.release()
    one.send(POST)
    output = one.end()

    assert output.count("HTTP/1.1 200 OK") == 2
    assert early_requests(backend) == ["1", None]
    assert backend.requests[2].body == b"hello"


# What waits

def test_a_post_waits_for_the_handshake(early, client, ticket, relay):
    proxy, backend = early()
    session, between = ticket(proxy), relay(proxy)

    one = client(between.address, "-sess_in", session, data=POST)
    proxy.wait_metric("http_early_waited", 1)
    assert len(backend.requests) == 1  # the one that got the ticket
    between.release()

    assert "HTTP/1.1 200 OK" in one.end()
    assert early_requests(backend) == [None]
    assert backend.requests[1].body == b"hello"
    assert proxy.metrics()["http_early_requests"] == 0


def test_an_upgrade_waits_for_the_handshake(early, client, ticket, relay):
    proxy, backend = early()
    session, between = ticket(proxy), relay(proxy)
    upgrade = (b"GET /it HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\n"
               b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")

    one = client(between.address, "-sess_in", session, data=upgrade)
    proxy.wait_metric("http_early_waited", 1)
    assert len(backend.requests) == 1
    between.release()

    one.until("HTTP/1.1 200 OK")
    assert early_requests(backend) == [None]


def test_what_waits_ends_with_its_client(early, client, ticket, relay):
    proxy, backend = early()
    session, between = ticket(proxy), relay(proxy)
    client(between.address, "-sess_in", session, data=POST)
    proxy.wait_metric("http_early_waited", 1)

    between.cut()

    assert proxy.wait_metric("tls_handshakes_failed", 1)["tls_failed_gone"] == 1
    assert len(backend.requests) == 1


def test_a_handshake_that_never_ends_is_ended(early, client, ticket, relay):
    proxy, backend = early(handshake_timeout_ms=int(patience(500)))
    session, between = ticket(proxy), relay(proxy)

    one = client(between.address, "-sess_in", session, data=POST)
    one.end()

    metrics = proxy.wait_metric("tls_handshakes_failed", 1)
    assert (metrics["tls_handshake_timeouts"], metrics["http_early_waited"]) == (1, 1)
    assert len(backend.requests) == 1


def test_a_handshake_that_ends_in_nonsense_has_failed(early, client, ticket, relay):
    proxy, backend = early()
    session, between = ticket(proxy), relay(proxy)
    client(between.address, "-sess_in", session, data=POST)
    proxy.wait_metric("http_early_waited", 1)

    between.garbles = True
    between.release()

    metrics = proxy.wait_metric("tls_handshakes_failed", 1)
    assert metrics["tls_failed_protocol"] == 1 and len(backend.requests) == 1


# Once

def test_a_ticket_is_good_for_early_data_once(early, client, ticket):
    proxy, backend = early()
    session = ticket(proxy)

    first = client(proxy.https, "-sess_in", session, data=GET).end()
    second = client(proxy.https, "-sess_in", session, data=GET).send(GET).end()

    assert "Early data was accepted" in first and "Early data was rejected" in second
    assert "HTTP/1.1 200 OK" in second and "Reused, TLSv1.3" in second
    assert early_requests(backend) == ["1", None]
    assert counted(proxy) == {"used": 1}


def test_a_recorded_flight_does_nothing_when_it_is_sent_again(early, client, ticket, relay):
    proxy, backend = early()
    session, between = ticket(proxy), relay(proxy, holds=False)
    assert "accepted" in client(between.address, "-sess_in", session, data=GET).end()
    assert early_requests(backend) == ["1"]

    for n in range(1, 4):
        with socket.create_connection(proxy.https) as thief:
            thief.sendall(between.first)
            assert proxy.wait_metric("tls_early_refused_used", n)
    assert early_requests(backend) == ["1"]
    assert proxy.metrics()["tls_early_accepted"] == 1


def test_a_ticket_of_another_process_resumes_without_early_data(early, client, ticket, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(48))
    secret.chmod(0o600)
    here, there = [early(ticket_secret_file=str(secret))[0] for _ in range(2)]

    output = client(there.https, "-sess_in", ticket(here), data=GET).send(GET).end()

    assert "Reused, TLSv1.3" in output and "Early data was rejected" in output
    assert counted(there) == {"foreign": 1}


def test_a_ticket_from_before_too_many_others_is_forgotten(early, client, ticket, certs, connect):
    proxy, _ = early(early_data={"max_tickets": 1024})
    session = ticket(proxy)
    context = certs.context()
    for _ in range(1100):
        with socket.create_connection(proxy.https) as sock, \
                context.wrap_socket(sock, server_hostname="shop.test"):
            pass

    output = client(proxy.https, "-sess_in", session, data=GET).send(GET).end()

    assert "Early data was rejected" in output
    assert counted(proxy) == {"forgotten": 1}


def test_where_clients_are_asked_for_certificates_nobody_is_early(early, client, ticket, certs):
    proxy, backend = early(client_auth={"mode": "optional", "ca_file": str(certs.ca)})

    output = client(proxy.https, "-sess_in", ticket(proxy), data=GET).send(GET).end()

    assert "Reused, TLSv1.3" in output and "Early data was rejected" in output
    assert counted(proxy) == {"client_auth": 1} and early_requests(backend) == [None]


def test_a_ticket_that_is_not_good_for_resuming_is_told(early, client, ticket):
    here, there = early()[0], early()[0]

    output = client(there.https, "-sess_in", ticket(here), data=GET).send(GET).end()

    assert "New, TLSv1.3" in output and "HTTP/1.1 200 OK" in output
    assert counted(there) == {"not_resumed": 1}


# 425

TOO_EARLY = GET.replace(b"/it", b"/too-early")


def test_425_is_asked_again_when_the_handshake_is_over(early, client, ticket, relay):
    proxy, backend = early()
    session, between = ticket(proxy), relay(proxy)

    one = client(between.address, "-sess_in", session, data=TOO_EARLY)
    proxy.wait_metric("http_early_retried", 1)
    assert early_requests(backend) == ["1"]
    between.release()

    output = one.end()
    assert "HTTP/1.1 200 OK" in output and "HTTP/1.1 425" not in output
    assert early_requests(backend) == ["1", None]


def test_425_is_passed_on_to_who_said_early_data(early, client, ticket, relay):
    proxy, backend = early()
    session, between = ticket(proxy), relay(proxy)
    request = TOO_EARLY.replace(b"Connection", b"Early-Data: 1\r\nConnection")

    client(between.address, "-sess_in", session, data=request).until("HTTP/1.1 425 ")

    assert early_requests(backend) == ["1"]
    assert proxy.metrics()["http_early_retried"] == 0


@pytest.mark.parametrize("fields", [[("Early-Data", "1")], [("Early-Data", "maybe")],
                                    [("Early-Data", "1"), ("early-data", "1")]])
def test_early_data_of_who_is_in_front_is_passed_on_in_its_one_form(early, connect, fields):
    """RFC 8470 5.1: an intermediary must not remove it; 5.2: its 425 is theirs."""
    proxy, backend = early(early_data=False)

    response = connect(proxy.https).get("/too-early", fields=fields)

    assert response.status == 425
    assert [r.get("Early-Data") for r in backend.requests] == ["1"]


# HTTP/2

def http2(*requests) -> bytes:
    """A client's first bytes: preface, settings, and requests of (method, body)."""
    encoder = hpack.Encoder()
    out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings_frame({})
    for i, (method, body) in enumerate(requests):
        block = encoder.encode([(":method", method), (":scheme", "https"), (":path", "/it"),
                                (":authority", "shop.test")])
        out += frame(1, 4 if body else 5, 2 * i + 1, block)
        if body:
            out += frame(0, 1, 2 * i + 1, body)
    return out


def test_http2_takes_what_is_safe_and_lets_the_rest_wait(early, client, ticket, relay):
    proxy, backend = early()
    session = ticket(proxy, "-alpn", "h2", request=http2(("GET", b"")) + frame(7, 0, 0, bytes(8)))
    between = relay(proxy)
    assert len(backend.requests) == 1

    client(between.address, "-sess_in", session, "-alpn", "h2",
           data=http2(("POST", b"one"), ("GET", b""), ("POST", b"two")))
    wait_until(lambda: early_requests(backend) == ["1"])
    proxy.wait_metric("http_early_waited", 2)
    assert backend.requests[1].method == "GET"
    between.release()

    wait_until(lambda: len(backend.requests) == 4)
    assert early_requests(backend) == ["1", None, None]
    assert {r.body for r in backend.requests[2:]} == {b"one", b"two"}
