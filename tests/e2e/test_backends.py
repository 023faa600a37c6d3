"""Backends that refuse, hang, lie or go away, and what a client sees of it: an error it can
understand, or a cut connection; never half an answer as a whole one."""
import json
import socket
import threading

import pytest
from helpers.backend import answering, each_request, echo, refusing_address
from helpers.http1 import Incomplete
from helpers.proxy import wait_until


def test_refused_connection_is_502_and_costs_one_request(start, connect):
    proxy = start.proxy({"app": [refusing_address()]}, threads={"net": 1, "ssl": 0})
    client = connect(proxy.https)

    assert client.get("/").status == 502
    metrics = proxy.metrics()
    assert metrics["net_connect_errors"] >= 1 and metrics["upstream_errors"] >= 1


def test_server_that_comes_back_is_used_again(start, connect):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = "%s:%d" % held.getsockname()
        proxy = start.proxy({"app": [address]})
        client = connect(proxy.https)
        assert client.get("/").status == 502  # bound, and nobody listens
        held.listen()
        backend = start.backend(answering())
        backend.accept_also(held.dup())

    wait_until(lambda: client.get("/").status == 200, 20, "an answer")


def test_connection_that_is_never_accepted_is_504(start, connect):
    """A full backlog: SYNs are dropped."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    address = listener.getsockname()
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(address)
        fillers.append(filler)
    proxy = start.proxy({"app": {"servers": ["%s:%d" % address], "connect_timeout_ms": 300,
                                 "retries": 0}})

    assert connect(proxy.https).get("/").status == 504
    for sock in (listener, *fillers):
        sock.close()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_connection_lost_before_an_answer_is_502(start, connect, how):
    def leave(connection):
        connection.read_request()
        if how == "reset":
            connection.reset()
    proxy = start.proxy({"app": {"servers": [start.backend(leave).address], "retries": 0}})
    client = connect(proxy.https)

    for _ in range(3):
        assert client.get("/").status == 502


@pytest.mark.parametrize("how", ["close", "reset", "hang"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_answer_that_stops_is_cut(start, connect, how, framing, tls):
    def answer(connection):
        connection.read_request()
        if framing == "length":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        else:
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                            b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        # The head must have gone out: otherwise a reset may overtake it, and a 502 is right.
        sent.wait(20)
        if how == "reset":
            connection.reset()
        elif how == "hang":
            connection.hang()
    sent = threading.Event()
    proxy = start.proxy({"app": {"servers": [start.backend(answer).address],
                                 "idle_timeout_ms": 500}})
    client = connect(proxy.https if tls else proxy.http, tls=tls)
    client.request()
    wait_until(lambda: client._more() and b"\r\n\r\n" in client.input, 10, "the head")
    sent.set()

    with pytest.raises((Incomplete, OSError)):
        client.response()
    proxy.wait_metric("http_timeouts" if how == "hang" else "http_aborted_by_upstream", 1)


@pytest.mark.tsan
def test_stale_pooled_connection_is_retried_on_a_fresh_one(start, connect):
    """The backend closes its idle connection just as a request goes out on it."""
    def one_request_each(connection):
        connection.respond(200, b"%d" % connection.number) if connection.read_request() else None
        if connection.read_request():  # swallows a second request, and leaves
            connection.reset()
    backend = start.backend(one_request_each)
    proxy = start.proxy({"app": [backend.address]}, threads={"net": 1, "ssl": 0})
    client = connect(proxy.https)

    for _ in range(10):
        assert client.get("/").status == 200


def test_idle_connection_closed_by_the_backend_is_not_used(start, connect):
    def close_after_one(connection):
        connection.read_request()
        connection.respond(200, b"ok")
    backend = start.backend(close_after_one)
    proxy = start.proxy({"app": {"servers": [backend.address], "retries": 0}},
                        threads={"net": 1, "ssl": 0})
    client = connect(proxy.https)

    for i in range(5):
        assert client.get("/").status == 200
        proxy.wait_metric("net_closed", i + 1)  # the close has arrived


def test_post_is_not_sent_twice(start, connect):
    def lose_second(connection):
        connection.read_request()
        connection.respond(200, b"first")
        connection.read_request()
        connection.reset()
    backend = start.backend(lose_second)
    proxy = start.proxy({"app": [backend.address]}, threads={"net": 1, "ssl": 0})
    client = connect(proxy.https)

    assert client.get("/1").status == 200
    response = client.get("/2", method="POST", body=b"pay")

    assert response.status == 502
    assert [r.target for r in backend.requests] == ["/1", "/2"]


def test_requests_go_round(start, connect):
    backends = [start.backend(answering(name.encode())) for name in "abc"]
    proxy = start.proxy({"app": [b.address for b in backends]}, threads={"net": 1, "ssl": 0})
    client = connect(proxy.https)

    order = b"".join(client.get("/").body for _ in range(12))

    assert sorted(order) == sorted(b"abc" * 4)
    assert order[:3] * 4 == order


@pytest.mark.tsan
def test_dead_server_is_passed_over(start, connect):
    alive = start.backend(answering(b"alive"))
    proxy = start.proxy({"app": {"servers": [refusing_address(), alive.address], "retries": 1}})
    client = connect(proxy.https)

    for _ in range(20):
        assert client.get("/").body == b"alive"
    assert client.get("/", method="POST", body=b"x").body == b"alive"


def test_all_connections_busy_is_503(start, connect, in_background):
    release = threading.Event()

    def answer(connection, _):
        release.wait(20)
        connection.respond(200, b"done")
    backend = start.backend(each_request(answer))
    proxy = start.proxy({"app": {"servers": [backend.address], "max_connections": 2}})
    waiting = [connect(proxy.https) for _ in range(2)]
    for client in waiting:
        client.request()
    wait_until(lambda: len(backend.requests) == 2, 10, "two requests")

    assert connect(proxy.https).get("/").status == 503
    release.set()
    for client in waiting:
        assert client.response().body == b"done"
    assert connect(proxy.https).get("/").status == 200


def test_connections_are_kept_and_reused(start, connect):
    backend = start.backend(each_request(echo))
    proxy = start.proxy({"app": [backend.address]}, threads={"net": 1, "ssl": 0})

    numbers = {json.loads(connect(proxy.https).get("/").body)["connection"] for _ in range(20)}

    assert numbers == {1}


def test_no_connection_is_kept_when_told_so(start, connect):
    backend = start.backend(each_request(echo))
    proxy = start.proxy({"app": {"servers": [backend.address], "keep_alive": 0}})
    client = connect(proxy.https)

    numbers = [json.loads(client.get("/").body)["connection"] for _ in range(5)]

    assert numbers == [1, 2, 3, 4, 5]


def test_kept_connection_is_closed_after_its_time(start, connect):
    backend = start.backend(each_request(echo))
    proxy = start.proxy({"app": {"servers": [backend.address], "keep_alive_timeout_ms": 200}})
    client = connect(proxy.https)
    assert client.get("/").status == 200

    proxy.wait_metric("net_closed", 1)

    assert json.loads(client.get("/").body)["connection"] == 2


def test_connection_close_of_a_backend_is_heard(start, connect):
    def answer(connection):
        request = connection.read_request()
        body = b"%d" % connection.number
        connection.respond(200, body, [("Connection", "close")])
        assert request and not connection.recv(), "a request on a connection that was to close"
    backend = start.backend(answer)
    proxy = start.proxy({"app": [backend.address]})
    client = connect(proxy.https)

    assert [client.get("/").body for _ in range(4)] == [b"1", b"2", b"3", b"4"]


def test_bytes_on_an_idle_connection_end_it(start, connect):
    """What nobody asked for is never taken for the answer to the next request."""
    def answer(connection, _):
        connection.respond(200, b"ok")
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
    proxy = start.proxy({"app": [start.backend(each_request(answer)).address]},
                        threads={"net": 1, "ssl": 0})
    client = connect(proxy.https)

    for i in range(5):
        assert client.get("/").body == b"ok"
        proxy.wait_metric("net_closed", i + 1)  # they have arrived


def test_head_of_an_answer_that_never_ends_is_502(start, connect):
    def answer(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n")
        for i in range(100000):
            connection.send(b"X-%d: y\r\n" % i)
    proxy = start.proxy({"app": {"servers": [start.backend(answer).address], "retries": 0}})

    assert connect(proxy.https).get("/").status == 502


def test_client_that_leaves_frees_the_backend(start, connect):
    left = threading.Event()

    def answer(connection):
        connection.read_request()
        connection.hang()
        left.set()
    backend = start.backend(answer)
    proxy = start.proxy({"app": [backend.address]})
    client = connect(proxy.https)
    client.request()
    wait_until(lambda: backend.requests, 10, "the request")

    client.reset()

    assert left.wait(20)
    proxy.wait_metric("http_aborted_by_client", 1)


def test_start_with_a_dead_backend_is_fine(start, connect):
    proxy = start.proxy({"dead": [refusing_address()], "app": [start.backend(answering()).address]},
                        routes=[{"path": "/dead", "backend": "dead"}, {"backend": "app"}])
    client = connect(proxy.https)

    assert client.get("/dead").status == 502
    assert client.get("/").status == 200
