"""Signals: ending without anybody noticing, and log rotation."""
import signal
import threading
import time

import pytest
from helpers.backend import answering, each_request
from helpers.env import patience
from helpers.proxy import wait_until


@pytest.fixture(name="slow")
def fixture_slow(start):
    """A proxy whose backend answers when `release` is set."""
    release = threading.Event()

    def answer(connection, request):
        if request.target == "/slow":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nslow")
            assert release.wait(patience(60))
            connection.send(b"done")
        else:
            assert release.wait(patience(60))
            connection.respond(200, b"done")
    backend = start.backend(each_request(answer))
    proxy = start.proxy({"app": [backend.address]}, drain_timeout_ms=60000,
                        limits={"head_timeout_ms": 60000, "keep_alive_timeout_ms": 60000})
    proxy.release = release
    proxy.backend = backend
    yield proxy
    release.set()


@pytest.mark.tsan
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_running_request_finishes_and_then_it_ends(slow, connect, number, tls):
    client, unused = (connect(slow.https if tls else slow.http, tls=tls) for _ in range(2))
    client.request()
    wait_until(lambda: slow.backend.requests, 10, "the request")

    slow.signal(number)

    assert unused.ended()  # idle is idle, with or without a request before
    slow.wait_log(" draining ")
    slow.release.set()
    response = client.response()
    assert response.body == b"done"
    assert response.closes()
    assert client.ended()
    slow.stop()


def test_response_that_has_begun_comes_whole(slow, connect):
    client = connect(slow.https)
    client.request(target="/slow")
    wait_until(lambda: client._more() and b"slow" in client.input, 10, "half the response")

    slow.signal(signal.SIGTERM)
    slow.wait_log(" draining ")
    slow.release.set()

    assert client.response().body == b"slowdone"
    assert client.ended()
    slow.stop()


def test_nobody_new_is_taken_while_it_drains(slow, connect):
    client = connect(slow.https)
    client.request()
    wait_until(lambda: slow.backend.requests, 10, "the request")
    slow.signal(signal.SIGTERM)
    slow.wait_log(" draining ")

    def refused():
        try:
            connect(slow.http, tls=False).close()
            return False
        except ConnectionRefusedError:
            return True
    wait_until(refused, 10, "a refused connection")
    slow.release.set()
    assert client.response().body == b"done"
    slow.stop()


def test_second_signal_ends_at_once(slow, connect):
    client = connect(slow.https)
    client.request()
    wait_until(lambda: slow.backend.requests, 10, "the request")
    slow.signal(signal.SIGTERM)
    slow.wait_log(" draining ")
    begin = time.monotonic()

    slow.signal(signal.SIGTERM)
    slow.stop()

    assert time.monotonic() - begin < 30  # the drain alone would take 60
    client.cut()


def test_drain_has_an_end(start, connect):
    backend = start.backend(lambda c: c.hang())
    proxy = start.proxy({"app": [backend.address]}, drain_timeout_ms=300)
    client = connect(proxy.https)
    client.request()
    wait_until(lambda: backend.connections, 10, "the request")

    proxy.stop()

    client.cut()


def test_handshakes_under_way_do_not_hold_the_end(start, connect):
    proxy = start.proxy(drain_timeout_ms=500)
    for sent in (b"", b"\x16\x03\x01"):
        connect(proxy.https, tls=False).send(sent)

    proxy.stop()


def test_logs_are_opened_again(start, connect, tmp_path):
    log, access = tmp_path / "log", tmp_path / "access"
    proxy = start.proxy({"app": [start.backend(answering()).address]},
                        log={"access": {"path": str(access)}})
    client = connect(proxy.https)
    client.get("/before")
    wait_until(lambda: "/before" in access.read_text(), 10, "a line")

    access.rename(tmp_path / "access.1")
    proxy.signal(signal.SIGUSR1)
    wait_until(access.exists, 10, "a new file")
    client.get("/after")

    wait_until(lambda: "/after" in access.read_text(), 10, "a line in the new file")
    assert "/after" not in (tmp_path / "access.1").read_text()
    assert not log.exists()


def test_counters_come_on_request(start, connect):
    proxy = start.proxy({"app": [start.backend(answering()).address]})
    connect(proxy.https).get("/")

    metrics = proxy.metrics()

    assert metrics["http_requests"] == 1
    assert metrics["tls_handshakes_full"] == 1
    assert metrics["net_accepted"] == 1


@pytest.mark.tsan
def test_drain_under_load_loses_no_request(start, connect, in_background):
    """Every request that got through is answered whole; connections end between requests only."""
    proxy = start.proxy({"app": [start.backend(answering(b"x" * 3000)).address]})
    answered = []

    def visit():
        client = connect(proxy.https)
        while True:
            try:
                client.request()
                response = client.response()
            except Exception:  # pylint: disable=broad-except
                # Closed while idle, which a client must expect (RFC 9112 9.5); never in a response.
                assert client.input == b"", client.input[:200]
                return
            assert response.body == b"x" * 3000
            answered.append(1)
            if response.closes():
                return
    threads = [in_background(visit) for _ in range(8)]
    wait_until(lambda: len(answered) > 100, 30, "some requests")

    proxy.stop()

    for thread in threads:
        thread.join()
