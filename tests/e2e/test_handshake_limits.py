"""Limits of handshakes: how many at once and a second, in total and of one client address."""
import socket
import ssl
import time

import pytest
from helpers.backend import answering
from helpers.env import patience


@pytest.fixture
def limited(start):
    """limited(key=value, ...): a proxy with these keys in /handshake."""
    def make(**keys):
        keys.setdefault("max_wait_ms", int(patience(5000)))
        return start.proxy({"app": [start.backend(answering()).address]}, handshake=keys)
    return make


def connection_from(source, address):
    return socket.create_connection(address, timeout=patience(20), source_address=(source, 0))


def is_refused(address, context):
    """A reset, before or while the ClientHello is sent."""
    try:
        with socket.create_connection(address, timeout=patience(20)) as sock:
            context.wrap_socket(sock, server_hostname="shop.test").close()
    except (ConnectionError, ssl.SSLError):
        return True
    return False


@pytest.mark.parametrize("ssl_threads", [0, 1])
def test_one_address_has_no_more_handshakes_at_once_than_it_may(start, connect, context, ssl_threads):
    proxy = start.proxy({"app": [start.backend(answering()).address]},
                        handshake={"max_at_once_per_address": 2},
                        threads={"net": 1, "ssl": ssl_threads})
    silent = [connection_from("127.0.0.9", proxy.https) for _ in range(2)]

    with pytest.raises(ConnectionResetError):
        connection_from("127.0.0.9", proxy.https).recv(1)

    assert proxy.wait_metric("tls_handshakes_refused_at_once", 1)
    assert "limit=max_at_once_per_address" in proxy.log()
    established = connect(proxy.https)  # another address
    assert established.get("/").status == 200
    for sock in silent:
        sock.close()
    proxy.wait_metric("tls_failed_gone", 2)
    with connection_from("127.0.0.9", proxy.https) as sock, \
            context.wrap_socket(sock, server_hostname="shop.test"):
        pass
    assert established.get("/").status == 200
    proxy.stop()


def test_connections_that_are_open_do_not_count_as_handshakes(limited, connect):
    proxy = limited(max_at_once_per_address=1, max_at_once=1)

    clients = []
    for _ in range(8):
        clients.append(connect(proxy.https))
        assert clients[-1].get("/").status == 200

    assert all(client.get("/").status == 200 for client in clients)
    assert proxy.metrics()["tls_handshakes_refused_at_once"] == 0


def test_one_address_begins_no_more_handshakes_than_it_may(limited, connect, context):
    proxy = limited(rate_per_address_per_s=1, burst_per_address=3)

    refused = [is_refused(proxy.https, context) for _ in range(8)]

    assert not any(refused[:3]) and any(refused[3:])
    assert proxy.metrics()["tls_handshakes_refused_rate"] == sum(refused)
    with connection_from("127.0.0.9", proxy.https) as sock, \
            context.wrap_socket(sock, server_hostname="shop.test"):
        pass
    assert connect(proxy.http, tls=False).get("/").status == 200  # plain ports have no handshakes


def test_exempt_networks_begin_as_many_as_they_like(limited, context):
    proxy = limited(rate_per_address_per_s=1, burst_per_address=1, max_at_once_per_address=1,
                    exempt=["127.0.0.0/8"])

    assert not any(is_refused(proxy.https, context) for _ in range(8))


def test_handshakes_above_the_total_rate_wait_and_are_served(limited, connect, in_background):
    proxy = limited(rate_per_s=20, burst=1)
    begin = time.monotonic()

    def visit():
        assert connect(proxy.https).get("/").status == 200
    for thread in [in_background(visit) for _ in range(10)]:
        thread.join()

    assert time.monotonic() - begin >= 0.44  # nine of them a twentieth of a second apart
    metrics = proxy.metrics()
    assert metrics["tls_handshakes_full"] == 10
    assert metrics["tls_handshakes_paced"] > 0
    assert metrics["tls_handshakes_failed"] == 0


def test_with_all_places_taken_the_next_waits_outside(limited, connect, in_background):
    proxy = limited(max_at_once=2)
    silent = [connection_from("127.0.0.9", proxy.https) for _ in range(2)]
    served = []

    def visit():
        served.append(connect(proxy.https).get("/").status)
    thread = in_background(visit)
    proxy.wait_metric("tls_accept_pauses", 1)
    assert not served
    silent[0].close()
    thread.join()

    assert served == [200]
    assert proxy.metrics()["tls_accept_pause_ms"] > 0
    silent[1].close()


def hello() -> bytes:
    """A ClientHello."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    out = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="shop.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def reserved_port() -> int:
    """Below 1024 nobody else can take it while the proxy lets go of it for a moment."""
    for port in range(700, 1024):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.2", port))
                return port
            except PermissionError:
                pytest.skip("ports below 1024 are not ours")
            except OSError:
                continue
    pytest.skip("no port below 1024 is free")


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("ssl_threads", [0, 1])
def test_a_storm_that_lasts_is_refused_beyond_what_can_be_served(start, connect, certs, ssl_threads, together):
    port = f"127.0.0.2:{reserved_port() if together else 0}"
    proxy = start.proxy({"app": [start.backend(answering()).address]},
                        handshake={"rate_per_s": 20, "burst": 1, "max_waiting": 80, "target_wait_ms": 1,
                                   "shed_after_ms": 1, "max_wait_ms": 60000},
                        ports={port: {"bundles": ["shop"]}}, threads={"net": 1, "ssl": ssl_threads})
    established = connect(proxy.https)
    first = hello()
    waiting = []

    for _ in range(400):
        try:
            sock = socket.create_connection(proxy.https, timeout=patience(20))
            waiting.append(sock)
            sock.sendall(first)
        except ConnectionError:
            pass
    proxy.wait_metric("tls_handshakes_shed", 200)
    assert established.get("/").status == 200
    refused = 400 - len(waiting)
    for sock in waiting:
        sock.settimeout(0)
        try:
            sock.recv(1)
        except BlockingIOError:
            pass
        except ConnectionError:
            refused += 1
        sock.close()
    assert refused >= 200
    assert proxy.metrics()["tls_handshakes_shed"] <= 400

    proxy.wait_log(r"overload=end .* refused=[1-9]\d\d")
    assert connect(proxy.https).get("/").status == 200
