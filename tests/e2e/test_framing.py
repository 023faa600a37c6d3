"""How messages are delimited, and that nothing of a body is lost, added or passed off as whole."""
import asyncio
import json
import re
import threading

import pytest
from helpers.backend import each_request, echo
from helpers.env import patience
from helpers.http1 import Incomplete
from helpers.proxy import wait_until

BODY = bytes(range(256)) * 1000


@pytest.fixture(scope="module", name="echoing")
def fixture_echoing(start_module):
    return start_module.proxy({"app": [start_module.backend(each_request(echo)).address]})


def chunks(data: bytes, size: int) -> bytes:
    pieces = [data[i:i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n"


def chunked_post(client, body: bytes, trailers: bytes = b"", size: int = 1000):
    client.send(client.head("POST", "/", [("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")])
                + chunks(body, size) + trailers + b"\r\n")
    return json.loads(client.response().body)


# Requests

@pytest.mark.parametrize("size", [1, 7, 4096, 65536, 1 << 20])
def test_chunked_upload_arrives_whole(echoing, connect, size):
    body = BODY[:3000] if size == 1 else BODY
    seen = chunked_post(connect(echoing.https), body, size=size)

    assert seen["body"].encode("latin-1") == body


def test_trailers_of_a_request_arrive(echoing, connect):
    seen = chunked_post(connect(echoing.https), b"abc", b"X-Sum: 6\r\nX-Other: b\r\n")

    assert ["X-Sum", "6"] in seen["trailers"]
    assert seen["body"] == "abc"


def test_upload_with_a_length_arrives_with_that_length(echoing, connect):
    seen = json.loads(connect(echoing.https).get("/", method="PUT", body=BODY).body)

    assert seen["body"].encode("latin-1") == BODY
    assert ["Content-Length", str(len(BODY))] in [[n.title(), v] for n, v in seen["fields"]]


def test_post_of_nothing_keeps_saying_so(echoing, connect):
    client = connect(echoing.https)
    seen = json.loads(client.get("/", [("Content-Length", "0")], method="POST").body)

    assert ["content-length", "0"] in [[n.lower(), v] for n, v in seen["fields"]]


def test_get_has_no_framing_fields(echoing, connect):
    seen = json.loads(connect(echoing.https).get("/").body)

    assert not {"content-length", "transfer-encoding"} & {n.lower() for n, _ in seen["fields"]}


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_pipelined_requests_are_answered_in_order(echoing, connect, tls):
    client = connect(echoing.https if tls else echoing.http, tls=tls)
    client.send(b"".join(client.head("POST", f"/{i}", [("Content-Length", "3")]) + b"%03d" % i
                         for i in range(100)))

    for i in range(100):
        seen = json.loads(client.response().body)
        assert (seen["target"], seen["body"]) == (f"/{i}", f"{i:03}")


def test_pipelined_requests_behind_a_refused_one_are_not_answered(echoing, connect):
    client = connect(echoing.http, tls=False)
    client.send(client.head("GET", "/1") + b"GET /2 HTTP/1.1\r\nX : y\r\n\r\n" + client.head())

    assert json.loads(client.response().body)["target"] == "/1"
    refused = client.response()
    assert refused.status == 400 and refused.closes()
    assert client.ended()


def test_http10_gets_a_response_until_close(start, connect):
    def answer(connection, _):
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    proxy = start.proxy({"app": [start.backend(each_request(answer)).address]})
    client = connect(proxy.https)

    client.request(version="HTTP/1.0")
    response = client.response()

    assert not response.all("transfer-encoding")
    assert response.body == b"hello"


def test_http10_without_host_is_served(start, connect):
    proxy = start.proxy(routes=[{"respond": {"text": "old"}}])
    client = connect(proxy.http, tls=False)

    client.send(b"GET / HTTP/1.0\r\n\r\n")

    assert client.response().body == b"old"
    assert client.ended()


def test_http10_keep_alive_goes_on_where_the_length_is_known(start, connect):
    proxy = start.proxy(routes=[{"respond": {"text": "old"}}])
    client = connect(proxy.http, tls=False)

    for _ in range(3):
        client.request(version="HTTP/1.0", fields=[("Connection", "keep-alive")])
        response = client.response()
        assert response.body == b"old"
        assert response.get("connection").lower() == "keep-alive"


def test_connection_close_is_heard(echoing, connect):
    client = connect(echoing.https)

    response = client.get("/", [("Connection", "close")])

    assert response.closes()
    assert client.ended()


# 100-continue

def test_100_continue_comes_before_the_body_is_sent(start, connect):
    def answer(connection):
        request = connection.read_head()
        if request.get("expect"):
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_body(request)
        connection.respond(200, request.body)
    proxy = start.proxy({"app": [start.backend(answer).address]})
    client = connect(proxy.https)

    client.send(client.head("PUT", "/", [("Content-Length", "5"), ("Expect", "100-continue")]))
    assert client.sock.recv(65536).startswith(b"HTTP/1.1 100 ")  # nothing of the body was sent
    client.send(b"hello")

    assert client.response().body == b"hello"


def test_refusal_instead_of_100_continue(start, connect):
    def refuse(connection):
        connection.read_head()
        connection.respond(403, b"no", [("Connection", "close")], "Forbidden")
    proxy = start.proxy({"app": [start.backend(refuse).address]})
    client = connect(proxy.https)

    client.send(client.head("PUT", "/", [("Content-Length", "5"), ("Expect", "100-continue")]))

    response = client.response()
    assert response.status == 403
    # The body was never sent: this connection is of no use any more, or takes the body.
    assert response.closes() or client.ended()


def test_answer_without_100_continue_for_a_client_that_does_not_wait(echoing, connect):
    client = connect(echoing.https)

    response = client.get("/", [("Expect", "100-continue")], method="PUT", body=BODY)

    assert json.loads(response.body)["body"].encode("latin-1") == BODY


# Responses

def test_103_and_its_fields_pass(start, connect):
    def answer(connection, _):
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        connection.respond(200, b"page")
    proxy = start.proxy({"app": [start.backend(each_request(answer)).address]})
    client = connect(proxy.https)

    for _ in range(2):
        response = client.get("/")
        assert [r.status for r in response.interim] == [103]
        assert response.interim[0].get("link") == "</a.css>; rel=preload"
        assert response.body == b"page"


def test_http10_client_sees_no_interim_response(start, connect):
    def answer(connection, _):
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        connection.respond(200, b"page")
    proxy = start.proxy({"app": [start.backend(each_request(answer)).address]})
    client = connect(proxy.https)

    client.request(version="HTTP/1.0")

    response = client.response()
    assert response.interim == [] and response.body == b"page"


@pytest.mark.parametrize("size", [1, 100, 70000])
def test_chunked_response_arrives_whole(start, connect, size):
    body = BODY[:2000] if size == 1 else BODY

    def answer(connection, _):
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                        + chunks(body, size) + b"X-Sum: 7\r\n\r\n")
    proxy = start.proxy({"app": [start.backend(each_request(answer)).address]})
    client = connect(proxy.https)

    for _ in range(3):
        response = client.get("/", [("TE", "trailers")])
        assert response.body == body
        assert ("X-Sum", "7") in response.trailers


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n"])
def test_response_until_close_arrives_whole(start, connect, answer):
    def respond(connection):
        connection.read_request()
        connection.send(answer + BODY)
    proxy = start.proxy({"app": [start.backend(respond).address]})
    client = connect(proxy.https)

    response = client.get("/")

    assert response.body == BODY
    assert response.get("transfer-encoding") == "chunked"  # the client can tell the end from a cut
    assert client.get("/").body == BODY


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("fields", ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"])
def test_responses_without_body_have_none(start, connect, status, fields):
    def answer(connection, _):
        connection.send(f"HTTP/1.1 {status} X\r\n{fields}\r\n".encode())
    proxy = start.proxy({"app": {"servers": [start.backend(each_request(answer)).address],
                                 "retries": 0}})
    client = connect(proxy.https)

    for _ in range(2):
        response = client.get("/")
        if (status, fields) == (204, "Content-Length: 5\r\n"):
            assert response.status == 502  # RFC 9110 8.6: a server must not send that
        else:
            assert response.status == status and response.body == b""
            assert not response.all("transfer-encoding")
    if status == 204:
        assert not response.all("content-length") or response.status == 502


def test_head_of_a_chunked_resource_has_no_body(start, connect):
    def answer(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        if request.method != "HEAD":
            connection.send(b"2\r\nok\r\n0\r\n\r\n")
    proxy = start.proxy({"app": [start.backend(each_request(answer)).address]})
    client = connect(proxy.https)

    assert client.get("/", method="HEAD").status == 200
    assert client.get("/").body == b"ok"


@pytest.mark.parametrize("cut", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n"])
@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_cut_response_is_a_cut_connection(start, connect, cut, tls, version):
    def answer(connection):
        connection.read_request()
        connection.send(cut)
    proxy = start.proxy({"app": [start.backend(answer).address]})
    client = connect(proxy.https if tls else proxy.http, tls=tls)

    client.request(version=version)

    with pytest.raises((Incomplete, OSError)):  # ssl.SSLError is one: no close_notify
        client.response()
    assert proxy.wait_metric("http_aborted_by_upstream", 1)


def test_response_longer_than_its_length_is_cut_at_it(start, connect):
    def answer(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345HTTP/1.1 200 OK\r\n"
                        b"Content-Length: 6\r\n\r\nforged")
        connection.hang()
    proxy = start.proxy({"app": [start.backend(answer).address]}, threads={"net": 1, "ssl": 0})
    client = connect(proxy.https)

    for _ in range(3):
        assert client.get("/").body == b"12345"  # never "forged": that connection is not reused


def test_answer_before_the_upload_has_ended(start, connect):
    def answer(connection):
        connection.read_head()
        connection.respond(413, b"too large for me", [("Connection", "close")], "Too Large")
        connection.hang()
    proxy = start.proxy({"app": [start.backend(answer).address]})
    client = connect(proxy.https)

    client.send(client.head("POST", "/", [("Content-Length", "1000000")]) + b"x" * 1000)

    response = client.response()
    assert (response.status, response.body) == (413, b"too large for me")


# Tunnels

def test_upgrade_becomes_a_tunnel(start, connect):
    def answer(connection):
        request = connection.read_head()
        assert request.get("upgrade") == "echo"
        assert "upgrade" in request.get("connection").lower()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n"
                        b"Connection: Upgrade\r\n\r\nwelcome")
        while data := connection.recv():
            connection.send(data.upper())
        connection.send(b"bye")
    proxy = start.proxy({"app": [start.backend(answer).address]})
    client = connect(proxy.http, tls=False)

    response = client.get("/", [("Upgrade", "echo"), ("Connection", "Upgrade")])
    assert response.status == 101 and response.get("upgrade") == "echo"
    assert client.read_exactly(7) == b"welcome"
    for text in (b"abc", b"x" * 200000):
        client.send(text)
        assert client.read_exactly(len(text)) == text.upper()
    client.sock.shutdown(1)  # half: the other direction goes on
    assert client.read_exactly(3) == b"bye"
    assert client.ended()
    assert proxy.metrics()["http_upgrades"] == 1


def test_refused_upgrade_is_an_ordinary_response(start, connect):
    backend = start.backend(each_request(lambda c, _: c.respond(200, b"no tunnel")))
    proxy = start.proxy({"app": [backend.address]})
    client = connect(proxy.https)

    for _ in range(2):
        response = client.get("/", [("Upgrade", "echo"), ("Connection", "Upgrade")])
        assert (response.status, response.body) == (200, b"no tunnel")


def test_upgrade_to_http2_is_not_passed_on(echoing, connect):
    """A backend that took it would speak HTTP/2 to whoever sent it, past every rule of the proxy."""
    response = connect(echoing.https).get("/", [
        ("Upgrade", "h2c"), ("Connection", "Upgrade, HTTP2-Settings"),
        ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")])

    names = {n.lower() for n, _ in json.loads(response.body)["fields"]}
    assert not names & {"upgrade", "http2-settings"}


@pytest.fixture(name="websocket_server")
def fixture_websocket_server():
    """python3-websockets, echoing, in a thread; its port."""
    import websockets
    loop = asyncio.new_event_loop()
    ready, port, stop = threading.Event(), [], asyncio.Event()

    async def echoing(socket):
        async for message in socket:
            await socket.send(message)

    async def serve():
        async with websockets.serve(echoing, "127.0.0.1", 0, max_size=None) as server:
            port.append(server.sockets[0].getsockname()[1])
            ready.set()
            await stop.wait()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(patience(10))
    yield port[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(patience(20))


def test_websocket_passes(start, context, websocket_server):
    import websockets
    proxy = start.proxy({"app": [f"127.0.0.1:{websocket_server}"]})
    host, port = proxy.https

    async def talk():
        uri = f"wss://shop.test:{port}/chat"
        async with websockets.connect(uri, ssl=context, host=host, port=port,
                                      server_hostname="shop.test", max_size=None) as socket:
            for message in ("hello", "é" * 1000, b"\0\1\2", BODY * 8, ""):
                await socket.send(message)
                assert await socket.recv() == message
            await (await socket.ping())
    asyncio.run(asyncio.wait_for(talk(), patience(60)))

    def closed():
        metrics = proxy.metrics()
        return metrics["net_opened"] == metrics["net_closed"]
    wait_until(closed, 10, "the end of both connections")


def test_tunnel_that_idles_is_ended(start, connect):
    def answer(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        connection.hang()
    proxy = start.proxy({"app": [start.backend(answer).address]},
                        limits={"tunnel_timeout_ms": 1000})
    client = connect(proxy.https)
    assert client.get("/", [("Upgrade", "x"), ("Connection", "upgrade")]).status == 101

    client.cut()


def test_date_and_reason_pass(start, connect):
    def answer(connection, _):
        connection.respond(299, b"", [("Date", "Sun, 06 Nov 1994 08:49:37 GMT")], "Quite Fine")
    proxy = start.proxy({"app": [start.backend(each_request(answer)).address]})

    response = connect(proxy.https).get("/")

    assert (response.status, response.reason) == (299, "Quite Fine")
    assert response.get("date") == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_repeated_fields_stay_apart_and_in_order(start, connect):
    def answer(connection, request):
        assert [v for n, v in request.fields if n.lower() == "x-many"] == ["1", "2", "3"]
        connection.respond(200, b"", [("Set-Cookie", "a=1"), ("X", "y"), ("Set-Cookie", "b=2")])
    proxy = start.proxy({"app": [start.backend(each_request(answer)).address]})

    response = connect(proxy.https).get("/", [("X-Many", "1"), ("X-Many", "2"), ("X-Many", "3")])

    assert re.findall("a=1|b=2", " ".join(response.all("set-cookie"))) == ["a=1", "b=2"]
