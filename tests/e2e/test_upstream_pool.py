"""How requests share connections to HTTP/2 servers: as few as what the server allows takes, none lost
when a connection goes, and an old one not kept for ever."""
import contextlib
import shutil
import socket
import ssl
import subprocess
import threading

import pytest
from helpers.env import patience, scaled
from helpers.exchange import Http2Server, serve
from helpers.http2 import GOAWAY, MAX_STREAMS, NO_ERROR, frame
from helpers.proxy import wait_until

ONE_THREAD = {"net": 1, "ssl": 0}


class Watch:
    """How many exchanges each connection carries, and has carried at most."""

    def __init__(self):
        self._lock = threading.Lock()
        self.running = {}
        self.most = {}

    def connections(self) -> int:
        return len(self.most)

    def now(self) -> int:
        with self._lock:
            return sum(self.running.values())

    @contextlib.contextmanager
    def carrying(self, exchange):
        with self._lock:
            now = self.running[exchange.peer] = self.running.get(exchange.peer, 0) + 1
            self.most[exchange.peer] = max(now, self.most.get(exchange.peer, 0))
        try:
            yield
        finally:
            with self._lock:
                self.running[exchange.peer] -= 1


class Changing:
    """An application that a test exchanges for another one."""

    def __init__(self, app):
        self.app = app

    def __call__(self, exchange):
        self.app(exchange)


def gathering(watch, n):
    """Nobody is answered before n are there."""
    gate = threading.Event()

    def app(exchange):
        with watch.carrying(exchange):
            if watch.now() >= n:
                gate.set()
            assert gate.wait(patience(20)), f"{watch.running} of {n}"
            exchange.respond(200, [], exchange.target.encode())
    return app


def begin_asking(proxy, connect, in_background, n) -> tuple:
    """n requests at the same time, each on a connection of its own: the answers' statuses as they
    come, and the threads."""
    clients = [connect(proxy.http, tls=False) for _ in range(n)]
    statuses = []

    def ask(client, i):
        response = client.get(f"/{i}")
        assert response.status != 200 or response.body == f"/{i}".encode()
        statuses.append(response.status)
    return statuses, [in_background(ask, client, i) for i, client in enumerate(clients)]


def ask_at_once(proxy, connect, in_background, n) -> list:
    """The same to the end."""
    statuses, threads = begin_asking(proxy, connect, in_background, n)
    for thread in threads:
        thread.join(patience(30))
    return statuses


def test_requests_at_once_share_one_connection(start, connect, in_background):
    watch = Watch()
    backend = start.backend(serve(gathering(watch, 40), "h2c"))
    proxy = start.proxy({"app": {"servers": [backend.address], "protocol": "h2c"}},
                        threads=ONE_THREAD)

    assert ask_at_once(proxy, connect, in_background, 40) == [200] * 40
    assert list(watch.most.values()) == [40]
    metrics = proxy.metrics()
    assert metrics["net_connects"] == 1
    assert metrics["upstream_requests"] == 40 and metrics["upstream_reused"] == 39


@pytest.mark.tsan
def test_what_a_server_allows_is_obeyed(start, connect, in_background):
    """The second wave knows: connections for all of it, and no more than five on each."""
    watch = Watch()
    app = Changing(gathering(watch, 1))
    backend = start.backend(serve(app, "h2c", settings={MAX_STREAMS: 5}))
    proxy = start.proxy({"app": {"servers": [backend.address], "protocol": "h2c"}},
                        threads=ONE_THREAD)
    assert ask_at_once(proxy, connect, in_background, 1) == [200]

    app.app = gathering(watch, 20)
    assert ask_at_once(proxy, connect, in_background, 20) == [200] * 20
    assert max(watch.most.values()) == 5 and watch.connections() == 4


def test_the_limit_of_connections_makes_no_exception(start, connect, in_background):
    watch = Watch()
    go_on = threading.Event()
    app = Changing(gathering(watch, 1))
    backend = start.backend(serve(app, "h2c", settings={MAX_STREAMS: 3}))
    proxy = start.proxy({"app": {"servers": [backend.address], "protocol": "h2c",
                                 "max_connections": 2, "retries": 0}}, threads=ONE_THREAD)
    assert ask_at_once(proxy, connect, in_background, 1) == [200]

    def hold(exchange):
        with watch.carrying(exchange):
            assert go_on.wait(patience(20))
            exchange.respond(200, [], exchange.target.encode())
    app.app = hold
    statuses, _ = begin_asking(proxy, connect, in_background, 8)
    wait_until(lambda: len(statuses) == 2 and watch.now() == 6, 20, "two refusals")
    assert statuses == [503, 503]
    go_on.set()
    wait_until(lambda: sorted(statuses) == [200] * 6 + [503] * 2, 20, "six answers")
    assert watch.connections() == 2


def test_each_data_thread_has_its_own(start, connect):
    watch = Watch()
    backend = start.backend(serve(gathering(watch, 1), "h2c"))
    proxy = start.proxy({"app": {"servers": [backend.address], "protocol": "h2c"}},
                        threads={"net": 2, "ssl": 0})

    for _ in range(scaled(60)):
        assert connect(proxy.http, tls=False).get("/").status == 200
    assert watch.connections() <= 2


def test_a_connection_that_goes_away_takes_nothing_with_it(start, connect, in_background):
    """The server says GOAWAY again and again while it is asked; it finishes what it has taken."""
    watch = Watch()

    def app(exchange):
        if exchange.number > 10:
            return  # GOAWAY leaves it out: not acted on, whenever it came
        with watch.carrying(exchange):
            if exchange.number == 10:
                exchange.peer.send(frame(GOAWAY, 0, 0, exchange.stream.id.to_bytes(4, "big")
                                         + NO_ERROR.to_bytes(4, "big")))
            exchange.respond(200, [], exchange.target.encode())
    backend = start.backend(serve(app, "h2c"))
    proxy = start.proxy({"app": {"servers": [backend.address], "protocol": "h2c", "retries": 2}},
                        threads=ONE_THREAD)

    def one_client(first):
        client = connect(proxy.http, tls=False)
        for i in range(first, first + scaled(100)):
            response = client.get(f"/{i}")
            assert (response.status, response.body) == (200, f"/{i}".encode())
    threads = [in_background(one_client, 1000 * k) for k in range(4)]
    for thread in threads:
        thread.join(patience(60))
    assert watch.connections() > scaled(100) * 4 // 10 // 4
    assert "UPSTREAM" not in proxy.log()


def test_an_idle_connection_is_closed_in_good_order(start, connect):
    ends = []

    def handler(connection):
        server = Http2Server(connection, lambda exchange: exchange.respond(204))
        server.serve()
        ends.append(server.goaway)
    backend = start.backend(handler)
    proxy = start.proxy({"app": {"servers": [backend.address], "protocol": "h2c",
                                 "keep_alive_timeout_ms": 200}}, threads=ONE_THREAD)

    assert connect(proxy.http, tls=False).get("/").status == 204
    wait_until(lambda: ends, 20, "the connection's end")
    assert ends[0] is not None and ends[0].code == NO_ERROR


def test_a_server_that_dies_costs_what_was_on_it(start, connect, in_background):
    """All on the connection hear of it; who asks next gets a new one."""
    watch = Watch()

    def die_when_ten_are_there(exchange):
        with watch.carrying(exchange):
            if watch.now() == 10:
                exchange.peer.wire.close()
            else:
                exchange.wait_left()
    app = Changing(die_when_ten_are_there)
    backend = start.backend(serve(app, "h2c"))
    proxy = start.proxy({"app": {"servers": [backend.address], "protocol": "h2c", "retries": 0}},
                        threads=ONE_THREAD)

    assert ask_at_once(proxy, connect, in_background, 10) == [502] * 10
    app.app = lambda exchange: exchange.respond(204)
    assert connect(proxy.http, tls=False).get("/").status == 204


def test_what_was_on_a_connection_that_dies_is_tried_on_another_one(start, connect, in_background):
    watch = Watch()

    def die_once(exchange):
        with watch.carrying(exchange):
            if watch.connections() > 1 or exchange.number == 1:
                exchange.respond(200, [], exchange.target.encode())
            elif watch.now() == 10:
                exchange.peer.wire.close()
            else:
                exchange.wait_left()
    backend = start.backend(serve(die_once, "h2c"))
    proxy = start.proxy({"app": {"servers": [backend.address], "protocol": "h2c"}},
                        threads=ONE_THREAD)

    assert ask_at_once(proxy, connect, in_background, 1) == [200]
    assert ask_at_once(proxy, connect, in_background, 10) == [200] * 10
    assert watch.connections() == 2


def test_a_shared_connection_outlives_a_configuration(start, connect, in_background):
    watch = Watch()
    app = Changing(gathering(watch, 1))
    backend = start.backend(serve(app, "h2c"))
    config = {"servers": [backend.address], "protocol": "h2c"}
    proxy = start.proxy({"app": config}, threads=ONE_THREAD)
    assert ask_at_once(proxy, connect, in_background, 1) == [200]

    assert proxy.reload({**proxy.config, "backends": {"app": {**config, "retries": 3}}})
    app.app = gathering(watch, 10)
    assert ask_at_once(proxy, connect, in_background, 10) == [200] * 10
    assert watch.connections() == 1


def test_what_runs_on_a_server_that_is_removed_finishes(start, connect, in_background):
    watch = Watch()
    go_on = threading.Event()
    ends = []

    def hold(exchange):
        with watch.carrying(exchange):
            assert go_on.wait(patience(20))
            exchange.respond(200, [], exchange.target.encode())

    def handler(connection):
        server = Http2Server(connection, hold)
        server.serve()
        ends.append(server.goaway)
    old = start.backend(handler)
    new = start.backend(serve(gathering(Watch(), 1), "h2c"))
    proxy = start.proxy({"app": {"servers": [old.address], "protocol": "h2c"}},
                        threads=ONE_THREAD)
    statuses, _ = begin_asking(proxy, connect, in_background, 5)
    wait_until(lambda: watch.now() == 5, 20, "five requests")

    assert proxy.reload({**proxy.config,
                         "backends": {"app": {"servers": [new.address], "protocol": "h2c"}}})
    assert ask_at_once(proxy, connect, in_background, 3) == [200] * 3
    assert not statuses
    go_on.set()
    wait_until(lambda: ends, 20, "the end of the old connection")
    wait_until(lambda: statuses == [200] * 5, 20, "five answers")
    assert ends[0] is not None and ends[0].code == NO_ERROR


def test_connections_over_tls_are_shared_too(start, connect, in_background, certs):
    watch = Watch()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.chain("shop-ecdsa"), certs.key("shop-ecdsa"))
    context.set_alpn_protocols(["h2"])
    backend = start.backend(serve(gathering(watch, 20), "h2", context))
    proxy = start.proxy({"app": {"servers": [backend.address], "protocol": "h2",
                                 "tls": {"ca_file": str(certs.ca),
                                         "server_name": "shop.test"}}}, threads=ONE_THREAD)

    assert ask_at_once(proxy, connect, in_background, 20) == [200] * 20
    assert watch.connections() == 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(not shutil.which("nghttpd"), reason="no nghttpd")
def test_load_on_a_server_that_many_know(start, tmp_path):
    """nghttpd, and the connections that fifty requests at once need: one for each data thread."""
    (tmp_path / "page").write_bytes(b"x" * 1000)
    port = free_port()
    start.client("nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", str(tmp_path), str(port))
    wait_until(lambda: listens(port), 10, "nghttpd")
    proxy = start.proxy({"app": {"servers": [f"127.0.0.1:{port}"], "protocol": "h2c"}})
    n = scaled(5000)

    said = subprocess.run(["h2load", "-p", "http/1.1", "-n", str(n), "-c", "50",
                           "http://%s:%d/page" % proxy.http], capture_output=True, text=True,
                          timeout=patience(60), check=True).stdout
    assert f"{n} succeeded, 0 failed, 0 errored" in said, said
    assert proxy.metrics()["net_connects"] <= 2
