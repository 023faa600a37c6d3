"""Clients that vanish, by RST, at every stage of a connection: each costs its own connection and
nothing is left of it."""
import pytest
from helpers.backend import each_request
from helpers.env import scaled
from helpers.http1 import Client
from helpers.proxy import wait_until
from helpers.rawtls import RawTls

GET = b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"


def connected(client):
    pass


def some_of_the_hello(client):
    client.sock.sendall(client.hello()[:50])


def the_hello(client):
    client.sock.sendall(client.hello())


def the_servers_flight(client):
    the_hello(client)
    client.sock.recv(100)


def some_of_finished(client):
    client.sock.sendall(client.last_flight()[:20])


def finished(client):
    client.shake_hands()


def some_of_a_request(client):
    client.shake_hands()
    client.send(GET[:10])


def half_a_record(client):
    client.shake_hands()
    client.sock.sendall(client.record(GET)[:20])


def a_request(client):
    client.shake_hands()
    client.send(GET)


def some_of_an_upload(client):
    client.shake_hands()
    client.send(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000)


def some_of_the_response(client):
    a_request(client)
    client.read_until(b"HTTP/1.1 200")


def the_response(client):
    a_request(client)
    client.read_until(b"x" * 10 + b"end")


STAGES = [connected, some_of_the_hello, the_hello, the_servers_flight, some_of_finished, finished,
          some_of_a_request, half_a_record, a_request, some_of_an_upload, some_of_the_response,
          the_response]


@pytest.mark.tsan
@pytest.mark.parametrize("ssl_threads", [0, 2])
def test_resets_at_every_stage_then_a_request(start, context, ssl_threads):
    backend = start.backend(each_request(lambda c, _: c.respond(200, b"x" * 100000 + b"end")))
    proxy = start.proxy({"app": [backend.address]}, threads={"net": 2, "ssl": ssl_threads})
    sockets = proxy.open_sockets()

    for _ in range(scaled(1000, 5 * len(STAGES)) // len(STAGES)):
        for stage in STAGES:
            client = RawTls(proxy.https, context)
            stage(client)
            client.reset()

    with Client(proxy.https, context) as client:
        assert client.get("/").body.endswith(b"end")
    # Pooled connections to the backend are all that may stay.
    wait_until(lambda: proxy.open_sockets() <= sockets + 2 * 64, 20, "closing of the sockets")
    proxy.stop()


@pytest.mark.parametrize("stage", STAGES, ids=lambda s: s.__name__)
def test_reset_closes_its_connection_at_once(start, context, stage):
    backend = start.backend(each_request(lambda c, _: c.respond(200, b"x" * 100000 + b"end")))
    proxy = start.proxy({"app": {"servers": [backend.address], "keep_alive": 0}})
    sockets = proxy.open_sockets()
    client = RawTls(proxy.https, context)
    stage(client)
    wait_until(lambda: proxy.open_sockets() > sockets or stage is the_response, 10, "a connection")

    client.reset()

    wait_until(lambda: proxy.open_sockets() == sockets, 10, "closing of the sockets")
