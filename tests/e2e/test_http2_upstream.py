"""Backends that speak HTTP/2: how connections are shared, what is sent again, what a server may do.
That each protocol in front works with each behind is in test_pairs.py."""
import socket
import subprocess
import threading
import time

import pytest
from helpers.exchange import serve
from helpers.http2 import (ENHANCE_YOUR_CALM, GOAWAY, INTERNAL_ERROR, MAX_STREAMS, PING,
                           PROTOCOL_ERROR, REFUSED_STREAM, Http2Client, frame)
from helpers.proxy import wait_until

PLAIN = "127.0.0.1:0"
ONE_THREAD = {"net": 1, "ssl": 1}  # what is shared is shared by the requests of one data thread


def answer(exchange):
    exchange.body()
    exchange.respond(200, [("x-connection", str(id(exchange.peer)))], b"hello\n")


@pytest.fixture
def setup(start):
    """setup(app, ...) starts a backend and a proxy in front; returns both."""
    def make(app, settings=None, **config):
        backend = start.backend(serve(app, "h2c", settings=settings))
        config = {"retries": 2, **config}
        proxy = start.proxy({"app": {"servers": [backend.address], "protocol": "h2c", **config}},
                            ports={PLAIN: {"tls": False, "h2c": True}}, threads=ONE_THREAD)
        return backend, proxy
    return make


def goaway(last: int, code: int = 0) -> bytes:
    return frame(GOAWAY, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big"))


# ---- Sharing ----

def test_requests_share_one_connection(setup):
    backend, proxy = setup(answer)
    with Http2Client(proxy.http) as client:
        streams = [client.request() for _ in range(50)]
        for stream in streams:
            assert client.wait_over(stream).status == 200

    assert len(backend.connections) == 1
    assert proxy.wait_metric("upstream_requests", 50)["upstream_reused"] == 49


class Crowd:
    """Counts how many requests are answered at the same time, for each connection."""

    def __init__(self):
        self._lock, self._now, self.most = threading.Lock(), {}, {}

    def enter(self, peer):
        with self._lock:
            self._now[peer] = self._now.get(peer, 0) + 1
            self.most[peer] = max(self.most.get(peer, 0), self._now[peer])

    def leave(self, peer):
        with self._lock:
            self._now[peer] -= 1


def test_a_servers_limit_is_kept_and_more_connections_opened(setup):
    gate, crowd = threading.Event(), Crowd()

    def app(exchange):
        crowd.enter(exchange.peer)
        gate.wait(20)
        crowd.leave(exchange.peer)
        answer(exchange)
    backend, proxy = setup(app, settings={MAX_STREAMS: 3})
    with Http2Client(proxy.http) as client:
        streams = [client.request()]
        wait_until(lambda: len(backend.requests) == 1, 10, "the first request")
        streams += [client.request() for _ in range(9)]
        wait_until(lambda: len(backend.requests) == 10, 10, "all requests")
        gate.set()
        for stream in streams:
            assert client.wait_over(stream).status == 200

    assert max(crowd.most.values()) == 3
    assert len(backend.connections) >= 4


def test_before_a_server_has_told_its_limit_it_is_not_overrun(setup):
    crowd = Crowd()

    def app(exchange):
        crowd.enter(exchange.peer)
        time.sleep(0.01)
        crowd.leave(exchange.peer)
        answer(exchange)
    _, proxy = setup(app, settings={MAX_STREAMS: 2})
    with Http2Client(proxy.http) as client:
        streams = [client.request("POST", body=b"x") for _ in range(20)]
        for stream in streams:
            assert client.wait_over(stream).status == 200

    assert max(crowd.most.values()) <= 2


def test_one_slow_response_does_not_hold_up_the_others(setup):
    gate = threading.Event()

    def app(exchange):
        if exchange.target == "/slow":
            exchange.head(200)
            exchange.write(b"x")
            gate.wait(20)
        else:
            exchange.head(200)
        exchange.finish()
    _, proxy = setup(app)
    with Http2Client(proxy.http) as client:
        slow = client.request(target="/slow")
        for _ in range(20):
            assert client.get().status == 200
        assert not slow.ended
        gate.set()
        assert client.wait_over(slow).status == 200


# ---- What is sent again ----

def test_what_a_server_refuses_is_sent_again(setup, connect):
    def app(exchange):
        if len(exchange.peer.backend.requests) == 1:
            exchange.cut(REFUSED_STREAM)
        else:
            answer(exchange)
    backend, proxy = setup(app)

    assert connect(proxy.http, tls=False).get(method="POST").status == 200
    assert len(backend.requests) == 2
    assert proxy.wait_metric("upstream_refused", 1)["upstream_retries"] == 1


def test_a_body_that_was_passed_on_is_not_sent_again(setup, connect):
    def app(exchange):
        exchange.body()
        exchange.cut(REFUSED_STREAM)
    backend, proxy = setup(app)

    response = connect(proxy.http, tls=False).get(method="POST", body=b"once")

    assert response.status == 502
    assert len(backend.requests) == 1


def test_what_goaway_leaves_out_is_sent_again(setup, connect):
    def app(exchange):
        if exchange.peer is first[0]:
            if exchange.stream.id == 3:
                exchange.peer.send(goaway(1))
            gate.wait(20)
        exchange.body()
        exchange.respond(200, [], exchange.target.encode())
    first, gate = [], threading.Event()

    def remembering(exchange):
        first.append(exchange.peer)
        app(exchange)
    backend, proxy = setup(remembering)
    with Http2Client(proxy.http) as client:
        under_way = client.request(target="/one")
        wait_until(lambda: len(backend.requests) == 1, 10, "the first request")
        left_out = client.request("DELETE", "/two")
        assert client.wait_over(left_out).body == b"/two"
        gate.set()
        assert client.wait_over(under_way).body == b"/one"

    assert len(backend.connections) == 2
    assert connect(proxy.http, tls=False).get("/three").status == 200
    assert len(backend.connections) == 2


def test_a_server_that_goes_away_after_each_request(setup, connect):
    def app(exchange):
        exchange.peer.send(goaway(exchange.stream.id))
        answer(exchange)
    backend, proxy = setup(app)
    client = connect(proxy.http, tls=False)

    for _ in range(20):
        assert client.get().status == 200
    assert len(backend.connections) == 20


# ---- What goes wrong ----

def test_a_reset_is_not_sent_again_and_the_connection_lives_on(setup, connect):
    def app(exchange):
        if exchange.target == "/bad":
            exchange.cut(INTERNAL_ERROR)
        else:
            answer(exchange)
    backend, proxy = setup(app)
    client = connect(proxy.http, tls=False)

    assert client.get("/bad").status == 502
    assert client.get("/good").status == 200
    assert len(backend.connections) == 1
    proxy.wait_log("error=upstream_reset")


@pytest.mark.parametrize("fields", [
    [(":status", "101")], [("x", "no status")], [(":status", "200"), ("connection", "close")],
    [(":status", "200"), ("transfer-encoding", "chunked")], [(":status", "200"), ("X-Upper", "1")],
    [(":status", "200"), ("x", "a\r\nb: c")], [(":status", "200"), ("content-length", "x")]])
def test_a_malformed_response_is_502_and_the_connection_lives_on(setup, connect, fields):
    resets = []

    def app(exchange):
        if exchange.target != "/bad":
            answer(exchange)
            return
        exchange.peer.send_fields(exchange.stream, fields)
        exchange.peer.wait(lambda: exchange.stream.reset is not None, "RST_STREAM")
        resets.append(exchange.stream.reset)
    backend, proxy = setup(app)
    client = connect(proxy.http, tls=False)

    assert client.get("/bad").status == 502
    assert client.get("/good").status == 200
    wait_until(lambda: resets == [PROTOCOL_ERROR], 10, "RST_STREAM")
    assert len(backend.connections) == 1


def test_a_server_that_floods_loses_the_connection(setup, connect):
    def app(exchange):
        if exchange.target == "/flood":
            for _ in range(100):
                exchange.peer.send(frame(PING, 0, 0, b"12345678") * 1000)
            exchange.peer.wait_end()
            ends.append(exchange.peer.goaway.code)
        else:
            answer(exchange)
    ends = []
    _, proxy = setup(app, retries=0)
    client = connect(proxy.http, tls=False)

    assert client.get("/flood").status == 502
    assert client.get("/good").status == 200
    assert proxy.wait_metric("http2_over_pings", 1)
    assert set(ends) <= {ENHANCE_YOUR_CALM}


def test_no_answer_in_time_is_504_and_the_connection_lives_on(setup, connect):
    def app(exchange):
        if exchange.target == "/never":
            exchange.wait_left()
        else:
            answer(exchange)
    backend, proxy = setup(app, response_timeout_ms=300)
    client = connect(proxy.http, tls=False)

    assert client.get("/never").status == 504
    assert client.get("/good").status == 200
    assert len(backend.connections) == 1


# ---- Others' servers and clients ----

def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture(params=["h2c", "h2"])
def nghttpd(request, start, certs, tmp_path):
    """A server of another make, as a backend's configuration."""
    (tmp_path / "index.html").write_bytes(b"from nghttpd\n" * 1000)
    port = free_port()
    command = ["nghttpd", "-d", str(tmp_path), "--trailer", "x-sum: 7", "-a", "127.0.0.1"]
    tls = []
    if request.param == "h2":
        cert = certs.bundles()["shop"]["certs"][0]
        tls = [cert["key"], cert["chain"]]
    else:
        command.append("--no-tls")
    start.client(*command, str(port), *tls, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: listens(port), 10, "nghttpd")
    backend = {"servers": [f"127.0.0.1:{port}"], "protocol": request.param}
    if tls:
        backend["tls"] = {"ca_file": str(certs.ca), "server_name": "shop.test"}
    return backend


def test_nghttpd_is_served_to_h2load(start, nghttpd):
    proxy = start.proxy({"app": nghttpd}, ports={PLAIN: {"tls": False, "h2c": True}})
    host, port = proxy.http
    done = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "16",
                           f"http://{host}:{port}/index.html"],
                          capture_output=True, text=True, timeout=60, check=True)

    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
    assert proxy.metrics()["upstream_errors"] == 0


def test_nghttpds_trailers_reach_a_client(start, nghttpd):
    proxy = start.proxy({"app": nghttpd}, ports={PLAIN: {"tls": False, "h2c": True}})
    with Http2Client(proxy.http) as client:
        stream = client.get("/index.html")

    assert stream.body == b"from nghttpd\n" * 1000
    assert ("x-sum", "7") in stream.trailers
