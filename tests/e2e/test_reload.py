"""Another configuration while the program runs, by SIGHUP: what changes, what stays, and that nobody
notices."""
import copy
import os
import shutil
import socket
import threading
from pathlib import Path

import pytest
from helpers.backend import answering
from helpers.env import patience, scaled
from helpers.proxy import wait_until

TLS, PLAIN = "127.0.0.1:0", "127.0.0.2:0"
MORE = "127.0.0.3:0"


def fixed(text, **keys):
    return {"respond": {"text": text}, **keys}


def becomes(client, body):
    """Applied is applied; each thread goes by it from its next turn on."""
    wait_until(lambda: client.get("/").body == body, what=f"the answer {body}")


@pytest.fixture
def proxy(start):
    return start.proxy({"app": [start.backend(answering(body=b"app")).address]})


def changed(proxy, **keys):
    return {**copy.deepcopy(proxy.config), **keys}


class Load:
    """Clients that ask all the time, each request on a new or an old connection."""

    def __init__(self, connect_to):
        self.errors, self.n = [], 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(connect_to, keep), daemon=True)
                         for keep in (False, True, False, True)]
        for thread in self._threads:
            thread.start()

    def _run(self, connect_to, keep):
        client = None
        try:
            while not self._stop.is_set():
                client = client or connect_to()
                response = client.get("/")
                assert response.status == 200
                self.n += 1
                if not keep or response.closes():
                    client.close()
                    client = None
        except BaseException as error:  # pylint: disable=broad-except
            self.errors.append(error)

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(patience(30))
        assert not self.errors, self.errors
        return self.n


@pytest.fixture
def load(connect):
    loads = []

    def begin(address, tls=True):
        loads.append(Load(lambda: connect(address() if callable(address) else address, tls=tls)))
        return loads[-1]
    yield begin
    for one in loads:
        one._stop.set()


# What changes

@pytest.mark.tsan
def test_routes_hold_from_the_next_request_on(proxy, connect):
    client = connect(proxy.https)
    assert client.get("/").body == b"app"

    assert proxy.reload(changed(proxy, routes=[fixed("fixed")]))

    becomes(client, b"fixed")
    becomes(connect(proxy.https), b"fixed")


def test_a_request_under_way_ends_as_it_began(start, connect):
    go = threading.Event()

    def slow(connection):
        connection.read_request()
        go.wait(patience(20))
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
    proxy = start.proxy({"app": [start.backend(slow).address]})
    client = connect(proxy.https)
    client.send(client.head())
    wait_until(lambda: proxy.metrics()["upstream_requests"] == 1)

    assert proxy.reload(changed(proxy, routes=[fixed("fixed")], backends={}))

    go.set()
    assert client.response().body == b"slow"
    becomes(client, b"fixed")


def test_a_port_that_is_added_serves_and_one_that_is_removed_refuses(proxy, connect):
    ports = proxy.config["ports"]
    plain = proxy.http

    assert proxy.reload(changed(proxy, ports={**ports, MORE: {"tls": False}}))
    assert connect(proxy.address(MORE), tls=False).get("/").status == 200

    assert proxy.reload(changed(proxy, ports={TLS: ports[TLS]}))
    def is_refused():
        try:
            socket.create_connection(plain).close()
        except ConnectionRefusedError:
            return True
        return False
    wait_until(is_refused, what="a refusal")
    assert connect(proxy.https).get("/").status == 200


def test_connections_of_a_removed_port_finish_and_go(start, connect):
    go = threading.Event()

    def slow(connection):
        connection.read_request()
        go.wait(patience(20))
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
    proxy = start.proxy({"app": [start.backend(slow).address]})
    idle, busy = connect(proxy.http, tls=False), connect(proxy.http, tls=False)
    busy.send(busy.head())
    wait_until(lambda: proxy.metrics()["upstream_requests"] == 1)

    assert proxy.reload(changed(proxy, ports={TLS: proxy.config["ports"][TLS]}))

    assert idle.ended()
    go.set()
    response = busy.response()
    assert response.body == b"slow" and response.closes()
    assert busy.ended()
    wait_until(lambda: proxy.open_sockets() < 20)


def test_settings_of_a_port_hold_for_new_connections(proxy, connect):
    old = connect(proxy.http, tls=False)
    assert old.get("/").status == 200
    address = proxy.http
    ports = copy.deepcopy(proxy.config["ports"])
    ports[PLAIN]["limits"] = {"max_target_bytes": 100}

    assert proxy.reload(changed(proxy, ports=ports))

    assert proxy.http == address  # the very same socket
    assert old.get("/" + "x" * 200).status == 200
    assert connect(proxy.http, tls=False).get("/" + "x" * 200).status == 414


def test_a_renewed_certificate_is_served_and_clients_still_resume(start, certs, connect):
    folder = start.folder
    pair = {key: shutil.copy(path, folder / f"live-{key}.pem")
            for key, path in certs.bundles()["shop"]["certs"][0].items()}
    bundles = {"shop": {"certs": [{key: str(path) for key, path in pair.items()}]}}
    proxy = start.proxy({"app": [start.backend(answering()).address]}, bundles=bundles)
    context = certs.context()
    first = connect(proxy.https, context=context)
    assert first.get("/").status == 200
    before = first.sock.getpeercert()["serialNumber"]

    certs.leaf("renewed", "ecdsa", ["shop.test"])
    for key, path in certs.pair("renewed").items():
        shutil.copy(path, pair[key])
    assert proxy.reload()

    assert connect(proxy.https).sock.getpeercert()["serialNumber"] != before
    again = connect(proxy.https, context=context, session=first.sock.session)
    assert again.sock.session_reused
    assert first.get("/").status == 200


def test_log_levels_hold_at_once(proxy, connect):
    assert proxy.reload(changed(proxy, log={"levels": "info,http=trace"}))
    start = len(proxy.log())
    connect(proxy.https).get("/")
    proxy.wait_log(" trace http ", start)


def test_limits_of_the_program_hold_for_who_comes_next(proxy, connect):
    clients = [connect(proxy.https) for _ in range(3)]

    assert proxy.reload(changed(proxy, throttle={"max_connections_per_address": 3},
                                handshake={"max_at_once_per_address": 1}))
    with pytest.raises(OSError):
        connect(proxy.https)
    assert all(client.get("/").status == 200 for client in clients)
    clients[0].close()
    proxy.wait_metric("net_closed", 1)

    assert proxy.reload(changed(proxy, throttle={}, handshake={}))
    for _ in range(3):
        assert connect(proxy.https).get("/").status == 200


# What stays

def test_connections_to_a_backend_that_did_not_change_are_kept(proxy, connect):
    client = connect(proxy.https)
    assert client.get("/").status == 200

    assert proxy.reload(changed(proxy, routes=[fixed("fixed", path="/fixed"), {"backend": "app"}]))

    assert client.get("/").body == b"app"
    assert proxy.metrics()["upstream_reused"] == 1


def test_the_same_configuration_again_changes_nothing(proxy, connect):
    client = connect(proxy.https)
    address = proxy.https
    sockets = {os.readlink(fd) for fd in Path(f"/proc/{proxy.pid}/fd").iterdir()}

    for _ in range(5):
        assert proxy.reload()

    assert proxy.https == address
    assert client.get("/").status == 200
    assert sockets <= {os.readlink(fd) for fd in Path(f"/proc/{proxy.pid}/fd").iterdir()}


# Failures

def broken_json(config):
    return "{"


def unknown_key(config):
    return {**config, "colour": "blue"}


def missing_certificate(config):
    config = copy.deepcopy(config)
    config["bundles"]["shop"]["certs"][0]["chain"] = "/nowhere.pem"
    return config


@pytest.mark.parametrize("make", [broken_json, unknown_key, missing_certificate])
def test_a_configuration_that_is_wrong_changes_nothing(proxy, connect, make):
    client = connect(proxy.https)
    good = copy.deepcopy(proxy.config)
    bad = make(changed(proxy, routes=[fixed("fixed")]))

    assert not proxy.reload(bad)

    assert client.get("/").body == b"app"
    assert connect(proxy.https).get("/").body == b"app"
    assert proxy.reload(good)


def test_a_port_that_is_taken_changes_nothing(proxy, connect):
    taken = socket.create_server(("127.0.0.3", 0))
    key = f"127.0.0.3:{taken.getsockname()[1]}"
    ports = {**proxy.config["ports"], "127.0.0.4:0": {"tls": False}, key: {"tls": False}}
    client = connect(proxy.https)
    assert client.get("/").body == b"app"
    sockets = proxy.open_sockets()

    assert not proxy.reload(changed(proxy, ports=ports, routes=[fixed("fixed")]))

    assert "Address already in use" in proxy.log()
    assert client.get("/").body == b"app"
    wait_until(lambda: proxy.open_sockets() <= sockets)
    taken.close()
    assert proxy.reload(changed(proxy, ports=ports, routes=[fixed("fixed")]))
    becomes(connect(proxy.address(key), tls=False), b"fixed")


def test_what_an_open_port_cannot_change_is_refused(proxy, connect):
    ports = copy.deepcopy(proxy.config["ports"])
    ports[TLS]["accept"] = {"reuse_port": True}

    assert not proxy.reload(changed(proxy, ports=ports))

    assert "reuse_port" in proxy.log()
    assert connect(proxy.https).get("/").status == 200


# Under load

ACCEPTS = [{"mode": "per_thread"}, {"mode": "single"}, {"mode": "dedicated", "threads": 2},
           {"backlog": 100, "tcp_keepalive_s": 30}]


@pytest.mark.tsan
@pytest.mark.parametrize("threads", [{"net": 2, "ssl": 1}, {"net": 2, "ssl": 0}])
def test_nobody_notices_listeners_that_change(start, load, threads):
    proxy = start.proxy({"app": [start.backend(answering()).address]}, threads=threads)
    loads = [load(proxy.https), load(proxy.http, tls=False)]

    for i in range(scaled(40, 8)):
        ports = copy.deepcopy(proxy.config["ports"])
        ports[TLS]["accept"] = ACCEPTS[i % len(ACCEPTS)]
        ports[PLAIN]["accept"] = ACCEPTS[(i + 1) % len(ACCEPTS)]
        ports[PLAIN]["limits"] = {"max_fields": 50 + i}
        assert proxy.reload(changed(proxy, ports=ports))

    assert all(one.end() > 0 for one in loads)


@pytest.mark.tsan
def test_nobody_notices_routes_and_backends_that_change(start, load):
    servers = [start.backend(answering()).address for _ in range(4)]
    proxy = start.proxy({"app": servers[:1]})
    loads = [load(proxy.https), load(proxy.http, tls=False)]

    for i in range(scaled(60, 10)):
        backends = {"app": {"servers": servers[i % 3:i % 3 + 2], "keep_alive": 1 + i % 3},
                    f"app{i % 2}": {"servers": servers[:1]}}
        routes = [fixed("x", path=f"/{i}"), {"backend": f"app{i % 2}", "path": "/other"},
                  {"backend": "app"}]
        assert proxy.reload(changed(proxy, backends=backends, routes=routes))

    assert all(one.end() > 0 for one in loads)


@pytest.mark.whole_process
def test_many_reloads_leave_nothing_behind(proxy, connect):
    client = connect(proxy.https)
    configs = []
    for i in range(2):
        ports = copy.deepcopy(proxy.config["ports"])
        ports[TLS]["accept"] = ACCEPTS[i]
        configs.append(changed(proxy, ports=ports, routes=[fixed(str(i))]))
    for i in range(10):
        assert proxy.reload(configs[i % 2])
    sockets, memory = proxy.open_sockets(), proxy.rss_bytes()

    for i in range(scaled(300, 40)):
        assert proxy.reload(configs[i % 2])
        becomes(client, str(i % 2).encode())

    wait_until(lambda: proxy.open_sockets() <= sockets + 2)
    assert proxy.rss_bytes() < memory + 12 * 1024 * 1024
