"""Everything that a client can grow has an end, which it is told of or cut at, and a counter."""
import resource
from pathlib import Path

import pytest
from helpers.backend import answering, each_request
from helpers.env import scaled
from helpers.http1 import Incomplete
from helpers.proxy import wait_until


@pytest.fixture(name="limited")
def fixture_limited(start):
    def make(**limits):
        return start.proxy({"app": [start.backend(answering()).address]}, limits=limits)
    return make


@pytest.mark.parametrize("length, status", [(1000, 200), (1100, 414), (100000, 414)])
def test_target(limited, connect, length, status):
    proxy = limited(max_target_bytes=1024)
    client = connect(proxy.https)

    response = client.get("/" + "x" * (length - 1))

    assert response.status == status
    assert response.closes() == (status != 200)


@pytest.mark.parametrize("length, status", [(3000, 200), (5000, 431), (200000, 431)])
def test_head(limited, connect, length, status):
    proxy = limited(max_head_bytes=4096)
    client = connect(proxy.https)
    client.send(client.head("GET", "/", [("X", "y" * length)])[:length + 200])

    assert client.response().status == status


def test_head_that_is_endless(limited, connect):
    proxy = limited()
    client = connect(proxy.http, tls=False)
    client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n")

    try:
        for i in range(100000):
            client.send(b"X-%d: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" % i)
        client.send(b"\r\n")
    except ConnectionError:
        pass  # refused long before
    try:
        assert client.response().status == 431
    except ConnectionError:
        pass  # the answer may be overtaken by RST, as the client goes on sending
    assert proxy.wait_metric("http_bad_requests", 1)["upstream_requests"] == 0


@pytest.mark.parametrize("count, status", [(20, 200), (40, 431)])
def test_number_of_fields(limited, connect, count, status):
    response = connect(limited(max_fields=30).https).get("/", [(f"X-{i}", "y") for i in range(count)])

    assert response.status == status


def test_body_with_a_length_is_refused_before_it_is_read(limited, connect):
    proxy = limited(max_body_bytes=1000)
    client = connect(proxy.https)

    assert client.get("/", method="POST", body=b"x" * 1000).status == 200
    # A little too long: the answer comes at once, and the connection may go on when it was sent.
    client.send(client.head("POST", "/", [("Content-Length", "1001")]))
    response = client.response()
    assert response.status == 413
    if not response.closes():
        client.send(b"x" * 1001)
        assert client.get("/").status == 200
    # Nobody reads a terabyte for the sake of a connection.
    client = connect(proxy.https)
    client.send(client.head("POST", "/", [("Content-Length", "1000000000000")]))
    response = client.response()
    assert response.status == 413 and response.closes()
    assert client.ended()


def test_chunked_body_is_refused_at_its_limit(start, connect):
    bodies = []

    def answer(connection, request):
        bodies.append(request.body)
        connection.respond()
    proxy = start.proxy({"app": [start.backend(each_request(answer)).address]},
                        limits={"max_body_bytes": 1000})
    client = connect(proxy.https)
    client.send(client.head("POST", "/", [("Transfer-Encoding", "chunked")]))

    try:
        for _ in range(20):
            client.send(b"64\r\n" + b"x" * 100 + b"\r\n")
        client.send(b"0\r\n\r\n")
        assert client.response().status == 413
    except (ConnectionError, Incomplete):
        pass  # the request was on its way already: cut
    assert bodies == []


def test_body_that_is_mostly_framing(start, connect):
    proxy = start.proxy({"app": [start.backend(each_request(lambda c, _: c.respond())).address]})
    client = connect(proxy.http, tls=False)
    client.send(client.head("POST", "/", [("Transfer-Encoding", "chunked")]))

    with pytest.raises((ConnectionError, Incomplete, AssertionError)):
        for _ in range(100000):
            client.send(b"1;" + b"e" * 200 + b"\r\nx\r\n")
        client.send(b"0\r\n\r\n")
        assert client.response().status == 200


def test_trailers(start, connect):
    proxy = start.proxy({"app": [start.backend(each_request(lambda c, _: c.respond())).address]},
                        limits={"max_trailer_bytes": 100})
    client = connect(proxy.https)
    client.send(client.head("POST", "/", [("Transfer-Encoding", "chunked")])
                + b"1\r\nx\r\n0\r\nX: " + b"y" * 200 + b"\r\n\r\n")

    try:
        assert client.response().status in (400, 431)
    except (ConnectionError, Incomplete):
        pass
    assert proxy.metrics()["http_responses_2xx"] == 0


def test_requests_on_one_connection(limited, connect):
    proxy = limited(max_requests_per_connection=3)
    client = connect(proxy.https)

    assert [client.get("/").closes() for _ in range(3)] == [False, False, True]
    assert client.ended()


def test_port_has_limits_of_its_own(start, connect):
    proxy = start.proxy(routes=[{"respond": {"text": "ok"}}], limits={"max_fields": 30}, ports={
        "127.0.0.1:0": {"tls": False}, "127.0.0.2:0": {"tls": False, "limits": {"max_fields": 3}}})
    fields = [(f"X-{i}", "y") for i in range(10)]

    assert connect(proxy.address("127.0.0.1:0"), tls=False).get("/", fields).status == 200
    assert connect(proxy.address("127.0.0.2:0"), tls=False).get("/", fields).status == 431


def is_refused(connect, address) -> bool:
    """Accepted by the kernel, closed by the program without a word."""
    try:
        client = connect(address, tls=False)
        client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        return client.sock.recv(1) == b""
    except ConnectionError:
        return True


def test_connections_of_one_address(start, connect):
    proxy = start.proxy(routes=[{"respond": {"text": "ok"}}],
                        throttle={"max_connections_per_address": 3})
    clients = [connect(proxy.http, tls=False) for _ in range(3)]
    for client in clients:
        assert client.get("/").status == 200

    assert is_refused(connect, proxy.http)
    assert is_refused(connect, proxy.https)
    assert proxy.wait_metric("net_throttled_per_address", 2)
    for client in clients:
        assert client.get("/").status == 200
    clients[0].close()
    wait_until(lambda: not is_refused(connect, proxy.http), 10, "room for one more")


def test_exempt_addresses_are_not_counted(start, connect):
    proxy = start.proxy(routes=[{"respond": {"text": "ok"}}],
                        throttle={"max_connections_per_address": 1, "exempt": ["127.0.0.0/8"]})

    clients = [connect(proxy.http, tls=False) for _ in range(5)]

    assert [client.get("/").status for client in clients] == [200] * 5


def test_connections_in_total(start, connect):
    n = scaled(50, 10)
    proxy = start.proxy(routes=[{"respond": {"text": "ok"}}], throttle={"max_connections": n})
    clients = [connect(proxy.http, tls=False) for _ in range(n)]
    for client in clients:  # not idle: half a request each
        client.send(b"GET / HTTP/1.1\r\n")
    # Each thread accepts from a queue of its own: one that comes later could be accepted earlier.
    proxy.wait_metric("net_opened", n)

    # The rest wait in the backlog, or are refused: both are an end, and those inside are served.
    late = connect(proxy.http, tls=False)
    late.request()
    proxy.wait_metric("net_throttled_total", 1)
    for client in clients:
        client.send(b"Host: shop.test\r\n\r\n")
        assert client.response().status == 200
    for client in clients[:n // 2]:
        client.close()
    def served():
        try:
            with_room = connect(proxy.http, tls=False)
            return with_room.get("/").status == 200
        except (ConnectionError, Incomplete):
            return False
    wait_until(served, 10, "room for one more")


def test_descriptors_that_run_out(start, connect):
    """Fewer than the throttle was told at the start: accept and connect fail for real."""
    proxy = start.proxy({"app": [start.backend(answering()).address]}, threads={"net": 1, "ssl": 0})
    assert connect(proxy.http, tls=False).get("/").status == 200
    highest = max(int(fd.name) for fd in Path(f"/proc/{proxy.pid}/fd").iterdir())
    resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (highest + 5, highest + 5))

    clients = [connect(proxy.http, tls=False) for _ in range(40)]
    for client in clients:
        client.request()
    proxy.wait_metric("net_accept_errors_warn", 1)
    for client in clients:
        client.close()

    def served():
        try:
            return connect(proxy.http, tls=False).get("/").status == 200
        except (ConnectionError, Incomplete):
            return False
    wait_until(served, 20, "an answer")


def test_memory_ceiling(start, connect):
    proxy = start.proxy(routes=[{"respond": {"text": "ok"}}], throttle={"memory_ceiling_bytes": 1}, ports={
        "127.0.0.1:0": {"tls": False}, "127.0.0.2:0": {"tls": False, "accept": {"backdoor": True}}})

    wait_until(lambda: is_refused(connect, proxy.address("127.0.0.1:0")), 10, "a refused client")
    assert proxy.metrics()["net_throttled_memory"] >= 1
    assert connect(proxy.address("127.0.0.2:0"), tls=False).get("/").status == 200


def test_backdoor_port_skips_the_throttles(start, connect):
    proxy = start.proxy(routes=[{"respond": {"text": "ok"}}], throttle={"max_connections": 2}, ports={
        "127.0.0.1:0": {"tls": False}, "127.0.0.2:0": {"tls": False, "accept": {"backdoor": True}}})
    for _ in range(2):
        assert connect(proxy.address("127.0.0.1:0"), tls=False).get("/").status == 200

    assert connect(proxy.address("127.0.0.2:0"), tls=False).get("/").status == 200


def test_idle_connections_make_room_for_new_ones(start, connect):
    proxy = start.proxy(routes=[{"respond": {"text": "ok"}}], threads={"net": 1, "ssl": 0},
                        throttle={"max_keep_alive": 5})
    clients = []
    for _ in range(10):
        clients.append(connect(proxy.http, tls=False))
        assert clients[-1].get("/").status == 200

    assert proxy.wait_metric("net_keep_alive_evicted", 5)
    assert clients[0].ended()
    assert clients[-1].get("/").status == 200


def test_idle_connections_make_room_when_the_total_is_reached(start, connect):
    proxy = start.proxy({"app": [start.backend(answering()).address]},
                        throttle={"max_connections": 4})
    idle = [connect(proxy.https) for _ in range(4)]
    assert all(client.get("/").status == 200 for client in idle)

    late = connect(proxy.https)

    assert late.get("/").status == 200
    metrics = proxy.wait_metric("net_keep_alive_evicted", 1)
    assert metrics["net_throttled_total"] >= 1
    assert any(client.ended() for client in idle)
