"""WebSocket through the proxy: by HTTP/1.1's Upgrade and by HTTP/2's extended CONNECT (RFC 8441), to
backends of either."""
import asyncio
import base64
import copy
import os
import ssl

import pytest
import websockets
from helpers.env import patience
from helpers.exchange import Left, serve
from helpers.http1 import Client
from helpers.http2 import CANCEL, ENABLE_CONNECT, GoneAway, Http2Client
from helpers.proxy import wait_until
from websockets.connection import Connection, Side, State
from websockets.frames import OP_BINARY, OP_CLOSE, OP_PING, OP_PONG, OP_TEXT
from websockets.utils import accept_key

FRONTS = ["h1", "h2", "h2c"]
BACKS = ["h1", "h2", "h2c"]
TLS, PLAIN = "127.0.0.1:0", "127.0.0.2:0"
BIG = os.urandom(1 << 20)


# ---- The backend ----

def accept(exchange):
    """With what the protocol wants as proof."""
    fields = [("sec-websocket-protocol", "chat")] if exchange.get("sec-websocket-protocol") else []
    if exchange.get("sec-websocket-key"):  # HTTP/1.1
        assert exchange.method == "GET" and exchange.protocol == "websocket"
        fields.append(("sec-websocket-accept", accept_key(exchange.get("sec-websocket-key"))))
    else:
        assert (exchange.method, exchange.protocol) == ("CONNECT", "websocket")
    assert exchange.get("sec-websocket-version") == "13"
    exchange.accept_tunnel(fields)


def parrot(exchange, seen: list):
    """Says everything again, until one side closes."""
    accept(exchange)
    talk = Connection(Side.SERVER, State.OPEN, max_size=None)
    while data := exchange.read():
        talk.receive_data(data)
        for message in talk.events_received():
            if message.opcode in (OP_TEXT, OP_BINARY):
                send = talk.send_text if message.opcode == OP_TEXT else talk.send_binary
                send(message.data)
            elif message.opcode == OP_CLOSE:
                seen.append(bytes(message.data))
        for piece in talk.data_to_send():
            exchange.write(piece)
            if not piece:  # the end, after both have closed
                exchange.finish()
                return
    seen.append("ended")


def app(exchange):
    name = exchange.target.rpartition("/")[2]
    seen = exchange.backend.seen
    if name == "refused":
        exchange.respond(403, [], b"members only")
    elif name == "cut":
        accept(exchange)
        exchange.write(b"\x81\x02ab\x81\x7e")  # a frame and the beginning of one
        exchange.cut()
    else:
        try:
            parrot(exchange, seen)
        except Left:
            seen.append("left")
            raise


# ---- The client ----

class Tunnel1:
    """HTTP/1.1's way in."""

    def __init__(self, address, context, target: str, fields=()):
        self.client = Client(address, context)
        key = base64.b64encode(os.urandom(16)).decode()
        self.response = self.client.get(target, [
            ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key), *fields])
        self.open = self.response.status == 101
        if self.open:
            assert self.response.get("sec-websocket-accept") == accept_key(key)
            assert self.response.get("upgrade").lower() == "websocket"

    def send(self, data: bytes):
        self.client.send(data)

    def recv(self) -> bytes:
        """b"" at the end, good or bad."""
        data, self.client.input = self.client.input, b""
        try:
            return data or self.client.sock.recv(65536)
        except (ssl.SSLError, ConnectionError):
            return b""

    def vanish(self):
        self.client.reset()

    def close(self):
        self.client.close()


class Tunnel2:
    """HTTP/2's."""

    def __init__(self, address, context, target: str, fields=()):
        self.client = Http2Client(address, context)
        self.client.ping()
        assert self.client.their(ENABLE_CONNECT) == 1
        self.response = self.client.request(
            "CONNECT", target, [("sec-websocket-version", "13"), *fields], end=False,
            pseudo=[(":protocol", "websocket")])
        self.client.wait(lambda: self.response.head is not None, "the answer")
        self.open = self.response.status == 200
        self.read = 0
        if self.open:
            assert self.response.get("sec-websocket-accept") is None
            assert self.response.get("upgrade") is None
        else:
            self.client.wait_over(self.response)

    def send(self, data: bytes):
        self.client.send_data(self.response, data)

    def recv(self) -> bytes:
        stream = self.response
        try:
            self.client.wait(lambda: len(stream.body) > self.read or stream.over())
        except GoneAway:
            return b""
        data = bytes(stream.body[self.read:])
        self.read += len(data)
        return data

    def vanish(self):
        self.client.reset(self.response, CANCEL)

    def close(self):
        self.client.close()


class Talk:
    """WebSocket's messages over a tunnel."""

    def __init__(self, tunnel):
        self.tunnel = tunnel
        self.state = Connection(Side.CLIENT, State.OPEN, max_size=None)

    def flush(self):
        for piece in self.state.data_to_send():
            if piece:
                self.tunnel.send(piece)

    def receive(self):
        """The next frame."""
        while True:
            if frames := self.state.events_received():
                assert len(frames) == 1
                return frames[0]
            data = self.tunnel.recv()
            assert data, "the tunnel ended"
            self.state.receive_data(data)

    def say(self, message):
        (self.state.send_text if isinstance(message, str) else self.state.send_binary)(
            message.encode() if isinstance(message, str) else message)
        self.flush()


class Pair:
    def __init__(self, proxy, context, backends, front: str, back: str):
        self.front, self.back = front, back
        self.address = proxy.http if front == "h2c" else proxy.https
        self.context = None if front == "h2c" else context[front]
        self.seen = backends[back].seen
        self._open = []

    def tunnel(self, name="parrot", fields=()):
        kind = Tunnel1 if self.front == "h1" else Tunnel2
        self._open.append(kind(self.address, self.context, f"/{self.back}/{name}", fields))
        return self._open[-1]

    def talk(self) -> Talk:
        tunnel = self.tunnel()
        assert tunnel.open
        return Talk(tunnel)

    def close(self):
        for tunnel in self._open:
            tunnel.close()


@pytest.fixture(scope="module")
def backends(start_module, certs):
    secure = certs.server_context(alpn=["h2"])
    found = {}
    for name, protocol, context in (("h1", "http/1.1", None), ("h2c", "h2c", None),
                                    ("h2", "h2", secure)):
        def dispatch(exchange, name=name):
            exchange.backend = found[name]
            app(exchange)
        options = {} if name == "h1" else {"settings": {ENABLE_CONNECT: 1}}
        found[name] = start_module.backend(serve(dispatch, protocol, context, **options))
        found[name].seen = []
    return found


@pytest.fixture(scope="module")
def proxy(start_module, backends, certs):
    spoken = {"h1": {}, "h2c": {"protocol": "h2c"},
              "h2": {"protocol": "h2",
                     "tls": {"ca_file": str(certs.ca), "server_name": "shop.test"}}}
    return start_module.proxy(
        {name: {"servers": [backend.address], **spoken[name]} for name, backend in backends.items()},
        routes=[{"path": f"/{name}", "backend": name} for name in backends],
        ports={TLS: {"bundles": ["shop"]}, PLAIN: {"tls": False, "h2c": True}})


@pytest.fixture(scope="module")
def contexts(certs):
    return {"h1": certs.context(alpn=["http/1.1"]), "h2": certs.context(alpn=["h2"])}


@pytest.fixture(params=[f"{front}-{back}" for front in FRONTS for back in BACKS])
def pair(request, proxy, contexts, backends):
    for backend in backends.values():
        backend.seen.clear()
    pair = Pair(proxy, contexts, backends, *request.param.split("-"))
    yield pair
    pair.close()


@pytest.mark.parametrize("message", ["hello", "é" * 1000, b"\0\1\2", b"", BIG],
                         ids=["text", "utf-8", "binary", "empty", "large"])
def test_messages_go_there_and_back(pair, message):
    talk = pair.talk()

    talk.say(message)

    frame = talk.receive()
    assert frame.opcode == (OP_TEXT if isinstance(message, str) else OP_BINARY)
    assert bytes(frame.data) == (message.encode() if isinstance(message, str) else message)


def test_many_messages_on_the_way_at_once(pair):
    talk = pair.talk()
    for i in range(200):
        talk.say(b"%d" % i * 100)
    got = b""
    while len(got) < sum(len(b"%d" % i) * 100 + 4 for i in range(200)) - 10 * 2:
        got += talk.tunnel.recv()


def test_a_ping_is_answered(pair):
    talk = pair.talk()

    talk.state.send_ping(b"there?")
    talk.flush()

    frame = talk.receive()
    assert (frame.opcode, bytes(frame.data)) == (OP_PONG, b"there?")


def test_closing_in_good_order(pair):
    talk = pair.talk()

    talk.state.send_close(4001, "enough")
    talk.flush()

    frame = talk.receive()
    assert frame.opcode == OP_CLOSE
    assert pair.seen == [b"\x0f\xa1enough"]
    assert talk.tunnel.recv() == b""


def test_what_is_agreed_passes(pair):
    tunnel = pair.tunnel(fields=[("sec-websocket-protocol", "chat")])

    assert tunnel.response.get("sec-websocket-protocol") == "chat"


def test_a_refusal_is_an_ordinary_answer(pair):
    tunnel = pair.tunnel("refused")

    assert not tunnel.open
    assert (tunnel.response.status, tunnel.response.body) == (403, b"members only")


def test_a_client_that_vanishes_is_gone_for_the_backend(pair):
    talk = pair.talk()
    talk.say("hello")
    talk.receive()

    talk.tunnel.vanish()

    wait_until(lambda: pair.seen and pair.seen[-1] in ("left", "ended"), 10, "the end")


def test_a_backend_that_vanishes_is_gone_for_the_client(pair):
    tunnel = pair.tunnel("cut")
    if not tunnel.open:  # all of it came at once: the end was known before anything was passed on
        assert tunnel.response.status == 502
        return
    got = b""
    while data := tunnel.recv():
        got += data

    assert b"\x81\x02ab\x81\x7e".startswith(got)


def test_python_websockets_as_client(proxy, certs, backends):
    """A library of its own at one end, for each backend."""
    async def talk(back):
        host, port = proxy.https
        uri = f"wss://shop.test:{port}/{back}/parrot"
        async with websockets.connect(uri, ssl=certs.context(), host=host, port=port,
                                      server_hostname="shop.test", max_size=None,
                                      compression=None) as socket:
            for message in ("hello", b"\0\1\2", BIG):
                await socket.send(message)
                assert await socket.recv() == message
            await (await socket.ping())
    for back in backends:
        asyncio.run(asyncio.wait_for(talk(back), patience(30)))


@pytest.mark.parametrize("protocol", ["h2c", "websockets", "connect-udp"])
def test_only_websocket_becomes_a_tunnel(proxy, contexts, protocol):
    client = Http2Client(proxy.https, contexts["h2"])
    with client:
        stream = client.request("CONNECT", "/h1/parrot", end=False,
                                pseudo=[(":protocol", protocol)])
        client.wait_over(stream)
        assert stream.status == 501


def test_another_configuration_leaves_an_open_one_alone(pair, proxy):
    """Not even where its route and its backend are gone and its port is another one."""
    before = copy.deepcopy(proxy.config)
    after = copy.deepcopy(before)
    after["routes"] = [{"respond": {"text": "gone"}}]
    del after["backends"]
    for port in after["ports"].values():
        port["limits"] = {"max_fields": 90}
    talk = pair.talk()

    try:
        for config in (after, before):
            talk.say("before")
            assert talk.receive().data == b"before"
            assert proxy.reload(config)
            talk.say("after")
            assert talk.receive().data == b"after"
    finally:
        assert proxy.reload(before)
