"""Peers that are slow, out of weakness or on purpose: nothing is lost, nothing piles up, and who
takes too long is told so or cut."""
import hashlib
import threading
import time

import pytest
from helpers.backend import answering, each_request, echo
from helpers.env import scaled
from helpers.http1 import Incomplete
from helpers.proxy import wait_until

MIB = 1 << 20


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_request_one_byte_at_a_time(start, connect, tls):
    proxy = start.proxy({"app": [start.backend(each_request(echo)).address]})
    client = connect(proxy.https if tls else proxy.http, tls=tls)

    for byte in client.head("POST", "/slow", [("Transfer-Encoding", "chunked")]) + \
            b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n":
        client.send(bytes([byte]))

    response = client.response()
    assert b'"body": "abcde"' in response.body


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
    b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;a\r\n world\r\n0\r\nX-T: 1\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nhello world"])
def test_response_one_byte_at_a_time(start, connect, answer):
    def dribble(connection):
        connection.read_request()
        for byte in answer:
            connection.send(bytes([byte]))
            time.sleep(0.0005)
    proxy = start.proxy({"app": [start.backend(dribble).address]})

    response = connect(proxy.https).get("/")

    assert response.body == b"hello world"


def test_first_bytes_of_a_response_do_not_wait_for_the_rest(start, connect):
    def answer(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        assert connection.read_request() is None  # until the client leaves
    proxy = start.proxy({"app": [start.backend(answer).address]})
    client = connect(proxy.https)
    client.request()

    while b"first" not in client.input:
        assert client._more()


def test_first_bytes_of_an_upload_do_not_wait_for_the_rest(start, connect):
    seen = []

    def answer(connection):
        request = connection.read_head()
        seen.append(connection.read_exactly(5))
        connection.read_exactly(int(request.get("content-length")) - 5)
        connection.respond(200, b"all")
    proxy = start.proxy({"app": [start.backend(answer).address]})
    client = connect(proxy.https)

    client.send(client.head("POST", "/", [("Content-Length", "10")]) + b"first")
    wait_until(lambda: seen == [b"first"], 10, "the first bytes")
    client.send(b"rest.")

    assert client.response().body == b"all"


@pytest.mark.whole_process
@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_slow_reader_holds_the_backend_and_no_memory(start, connect, tls):
    size = 256 * MIB
    taken = [0]

    def answer(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        block = b"x" * 65536
        for _ in range(size // len(block)):
            connection.send(block)
            taken[0] += len(block)
    proxy = start.proxy({"app": [start.backend(answer).address]})
    client = connect(proxy.https if tls else proxy.http, tls=tls, receive_buffer=65536)
    before = proxy.rss_bytes()
    client.request()

    # Nobody reads: what was taken is in the kernel's buffers and in the proxy's, which are bounded.
    last = -1
    while taken[0] != last or taken[0] == 0:
        last = taken[0]
        time.sleep(0.5)
    assert taken[0] < 64 * MIB
    assert proxy.rss_bytes() - before < 4 * MIB

    response = client.response()
    assert len(response.body) == size
    assert proxy.rss_bytes() - before < 8 * MIB


@pytest.mark.whole_process
def test_slow_backend_holds_the_client_and_no_memory(start, connect):
    size = 256 * MIB
    sent = [0]

    def answer(connection):
        request = connection.read_head()
        wait_until(stalled, 60, "a stalled client")
        digest = hashlib.sha256()
        left = int(request.get("content-length"))
        while left:
            data = connection.recv(1 << 20)
            digest.update(data)
            left -= len(data)
        connection.respond(200, digest.hexdigest().encode())

    def stalled():
        before = sent[0]
        time.sleep(0.5)
        return sent[0] == before > 0
    proxy = start.proxy({"app": [start.backend(answer).address]})
    client = connect(proxy.https, seconds=60)
    before = proxy.rss_bytes()
    client.send(client.head("PUT", "/", [("Content-Length", str(size))]))

    digest = hashlib.sha256()
    block = bytes(range(256)) * 256
    peak_while_stalled = 0
    for _ in range(size // len(block)):
        client.send(block)
        digest.update(block)
        sent[0] += len(block)
        peak_while_stalled = max(peak_while_stalled, proxy.rss_bytes()) \
            if sent[0] % (8 * MIB) == 0 else peak_while_stalled

    assert client.response().body == digest.hexdigest().encode()
    assert peak_while_stalled - before < 8 * MIB


def test_client_that_takes_nothing_is_cut(start, connect):
    proxy = start.proxy({"app": [start.backend(answering(b"x" * 32 * MIB)).address]},
                        limits={"send_timeout_ms": 500})
    client = connect(proxy.https, receive_buffer=4096)
    client.request()

    metrics = proxy.wait_metric("http_timeouts", 1)

    assert metrics["http_aborted_by_client"] + metrics["http_timeouts"] >= 1
    with pytest.raises((Incomplete, OSError)):
        client.response()


def test_empty_line_is_no_request_yet(start, connect):
    proxy = start.proxy(limits={"head_timeout_ms": 300, "keep_alive_timeout_ms": 300})
    client = connect(proxy.https)
    client.send(b"\r\n")

    assert client.ended()


@pytest.mark.parametrize("sent", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: shop.test\r\n"])
def test_head_that_does_not_arrive_is_408(start, connect, sent):
    proxy = start.proxy(limits={"head_timeout_ms": 300})
    client = connect(proxy.https)
    client.send(sent)

    response = client.response()

    assert response.status == 408 and response.closes()
    assert client.ended()


def test_head_that_dribbles_is_408(start, connect):
    """A byte now and then does not buy time: the whole head has a limit."""
    proxy = start.proxy(limits={"head_timeout_ms": 500})
    client = connect(proxy.http, tls=False)
    begin = time.monotonic()
    client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n")

    client.sock.settimeout(0.1)
    while True:
        try:
            if client._more():
                break
        except TimeoutError:
            client.send(b"X: y\r\n")
        assert time.monotonic() - begin < 60

    client.sock.settimeout(20)
    assert client.response().status == 408


def test_body_that_does_not_arrive_is_408(start, connect):
    proxy = start.proxy({"app": [start.backend(lambda c: c.read_request()).address]},
                        limits={"body_timeout_ms": 300})
    client = connect(proxy.https)
    client.send(client.head("POST", "/", [("Content-Length", "10")]) + b"12345")

    response = client.response()

    assert response.status == 408 and response.closes()
    assert proxy.metrics()["http_timeouts"] == 1


def test_body_that_dribbles_is_408(start, connect, in_background):
    """A byte now and then does not buy time: after a grace of 10 s a body has a least rate."""
    proxy = start.proxy({"app": [start.backend(lambda c: c.read_request()).address]},
                        limits={"min_rate_bytes_per_s": 1000})
    client = connect(proxy.http, tls=False, seconds=60)
    client.send(client.head("POST", "/", [("Content-Length", "1000000")]))
    answered = threading.Event()

    def dribble():
        while not answered.wait(0.2):
            client.send(b"x")
    in_background(dribble)
    try:
        response = client.response()
    finally:
        answered.set()

    assert response.status == 408 and response.closes()
    assert proxy.metrics()["http_timeouts"] == 1


def test_idle_connection_is_closed_in_good_order(start, connect):
    proxy = start.proxy(limits={"head_timeout_ms": 300, "keep_alive_timeout_ms": 300})
    used, unused = connect(proxy.https), connect(proxy.https)
    assert used.get("/").status == 404

    assert used.ended()
    assert unused.ended()


def test_slow_loris_does_not_keep_others_out(start, connect):
    n = scaled(300, 50)
    proxy = start.proxy({"app": [start.backend(answering()).address]},
                        limits={"head_timeout_ms": 1500})
    slow = [connect(proxy.http, tls=False) for _ in range(n)]
    for client in slow:
        client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\nX")

    for _ in range(20):
        assert connect(proxy.https).get("/").status == 200
    proxy.wait_metric("http_timeouts", n, 20)
