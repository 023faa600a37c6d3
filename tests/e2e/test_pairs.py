"""Every protocol in front with every protocol behind: the same table of cases for all pairs."""
import hashlib
import threading
import time

import pytest
from helpers.env import patience, scaled
from helpers.exchange import Left, serve
from helpers.front import Broken, Front1, Front2
from helpers.proxy import wait_until

FRONTS = ["h1", "h2", "h2c"]
BACKS = ["h1", "h2", "h2c"]
TLS, PLAIN = "127.0.0.1:0", "127.0.0.2:0"
MIB = 1 << 20
APPS = {}


def app(function):
    """What a backend does with requests for /<back>/<name of the function>."""
    APPS[function.__name__] = function
    return function


class Pair:
    """A front and a back, and what the application of this test has seen."""

    def __init__(self, proxy, context, front: str, back: str):
        self.back = back
        self._front = front
        self._open = []
        self._address = proxy.https if front != "h2c" else proxy.http
        self._context = None if front == "h2c" else context[front]

    def is_http2(self) -> bool:
        return self._front != "h1"

    def client(self, **options):
        kind = Front1 if self._front == "h1" else Front2
        self._open.append(kind(self._address, self._context, **options))
        return self._open[-1]

    def target(self, name: str, query: str = "") -> str:
        return f"/{self.back}/{name}{query}"

    def ask(self, method: str, name: str, fields=(), body: bytes = b"", query: str = ""):
        """One exchange on a new connection."""
        client = self.client()
        if body:
            fields = [*fields, ("content-length", str(len(body)))]
        client.begin(method, self.target(name, query), fields, end=not body)
        if body:
            client.write(body)
            client.finish()
        return client.answer()

    def close(self):
        for client in self._open:
            client.close()


@pytest.fixture(scope="module")
def seen():
    """What applications want to tell tests, by the name of the application and the back."""
    return {}


@pytest.fixture(scope="module")
def proxy(start_module, certs, seen):
    def dispatch(exchange):
        _, back, name = exchange.target.partition("?")[0].split("/")
        exchange.seen = seen.setdefault((name, back), [])
        APPS[name](exchange)
    secure = certs.server_context(alpn=["h2"])
    def server(*options):
        # A window that is given back as the application reads, and one connection for everything.
        handler = serve(dispatch, *options, auto_window=False, connection_window=1 << 30)
        return [start_module.backend(handler, receive_buffer=262144).address]
    backends = {
        "h1": {"servers": server()},
        "h2c": {"servers": server("h2c"), "protocol": "h2c"},
        "h2": {"servers": server("h2", secure), "protocol": "h2",
               "tls": {"ca_file": str(certs.ca), "server_name": "shop.test"}},
    }
    return start_module.proxy(
        backends, routes=[{"path": f"/{name}", "backend": name} for name in backends],
        ports={TLS: {"bundles": ["shop"]}, PLAIN: {"tls": False, "h2c": True}})


@pytest.fixture(scope="module")
def contexts(certs):
    return {"h1": certs.context(alpn=["http/1.1"]), "h2": certs.context(alpn=["h2", "http/1.1"])}


@pytest.fixture(params=[f"{front}-{back}" for front in FRONTS for back in BACKS])
def pair(request, proxy, contexts, seen):
    seen.clear()
    pair = Pair(proxy, contexts, *request.param.split("-"))
    yield pair
    pair.close()


def seen_by(seen, pair, name: str) -> list:
    return seen.setdefault((name, pair.back), [])


# ---- Requests ----

@app
def mirror(exchange):
    body = exchange.body()
    fields = [("x-method", exchange.method), ("x-target", exchange.target),
              ("x-length", exchange.get("content-length") or "-"),
              ("x-cookie", " + ".join(exchange.all("cookie"))),
              ("x-te", exchange.get("te") or "-")]
    fields += [(f"x-trailer-{n.lower()}", v) for n, v in exchange.trailers]
    exchange.respond(200, fields, body)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS",
                                    "PROPFIND"])
def test_methods(pair, method):
    answer = pair.ask(method, "mirror", query="?q=%20&r")

    assert answer.status == 200
    assert answer.get("x-method") == method
    assert answer.get("x-target") == pair.target("mirror", "?q=%20&r")


@pytest.mark.parametrize("n", [1, 1000, 70000, MIB])
def test_bodies_with_a_length(pair, n):
    body = bytes(range(256)) * (n // 256 + 1)

    answer = pair.ask("POST", "mirror", body=body[:n])

    assert answer.get("x-length") == str(n)
    assert answer.body == body[:n]


def test_an_empty_body_with_a_length(pair):
    client = pair.client()

    client.begin("POST", pair.target("mirror"), [("content-length", "0")], end=True)

    answer = client.answer()
    assert (answer.status, answer.body) == (200, b"")
    assert answer.get("x-length") == "0"


def test_bodies_without_a_length(pair):
    client = pair.client()
    client.begin("POST", pair.target("mirror"), end=False)
    for piece in (b"one", b"two", b"x" * 50000):
        client.write(piece)
    client.finish()

    answer = client.answer()

    assert answer.body == b"onetwo" + b"x" * 50000
    assert answer.get("x-length") == "-"


def test_trailers_of_a_request(pair):
    client = pair.client()
    client.begin("POST", pair.target("mirror"), [("te", "trailers"), ("trailer", "x-sum")],
                 end=False)
    client.write(b"body")
    client.finish([("x-sum", "42")])

    answer = client.answer()

    assert answer.get("x-trailer-x-sum") == "42"
    assert answer.body == b"body"


def test_cookies_are_one_field_for_who_knows_only_one(pair):
    """HTTP/2 may cut them into crumbs (RFC 9113 8.2.3)."""
    crumbs = [("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]

    answer = pair.ask("GET", "mirror", crumbs if pair.is_http2() else [("cookie", "a=1; b=2; c=3")])

    got = answer.get("x-cookie")
    assert (got if pair.back == "h1" else got.replace(" + ", "; ")) == "a=1; b=2; c=3"


@app
def reply_to_expect(exchange):
    exchange.seen.append(exchange.get("expect"))
    exchange.interim(100)
    exchange.respond(200, [], exchange.body())


def test_a_body_that_waits_to_be_asked_for(pair):
    client = pair.client()
    client.begin("POST", pair.target("reply_to_expect"),
                 [("expect", "100-continue"), ("content-length", "4")], end=False)
    if pair.is_http2():
        client.client.wait(lambda: client.stream.interim, "100")
    else:
        client.wait_body(len(b"HTTP/1.1 100 \r\n\r\n"))
    client.write(b"body")
    client.finish()

    answer = client.answer()

    assert [head.status for head in answer.interim] == [100]
    assert answer.body == b"body"


# ---- Responses ----

@app
def sized(exchange):
    n = int(exchange.target.partition("?")[2])
    exchange.respond(200, [("content-type", "x/y")], bytes(range(256)) * (n // 256) + b"." * (n % 256))


@pytest.mark.parametrize("n", [0, 1, 16384, 100000, 3 * MIB])
def test_responses_with_a_length(pair, n):
    answer = pair.ask("GET", "sized", query=f"?{n}")

    assert answer.get("content-length") == str(n)
    assert len(answer.body) == n
    assert answer.get("content-type") == "x/y"


def test_head_tells_the_length_of_what_it_leaves_out(pair):
    answer = pair.ask("HEAD", "sized", query="?100000")

    assert answer.get("content-length") == "100000"
    assert answer.body == b""


@app
def status(exchange):
    exchange.body()
    exchange.respond(int(exchange.target.partition("?")[2]), [("etag", '"x"')])


@pytest.mark.parametrize("code", [204, 304, 404, 500, 599])
def test_statuses(pair, code):
    answer = pair.ask("GET", "status", query=f"?{code}")

    assert (answer.status, answer.body) == (code, b"")
    assert answer.get("etag") == '"x"'


@app
def unsized(exchange):
    exchange.head(200)
    for piece in (b"one", b"two", b"x" * 50000):
        exchange.write(piece)
    exchange.finish()


def test_responses_without_a_length(pair):
    answer = pair.ask("GET", "unsized")

    assert answer.body == b"onetwo" + b"x" * 50000
    assert answer.get("content-length") is None


@app
def with_trailers(exchange):
    exchange.respond(200, [("trailer", "x-sum")], b"body", [("x-sum", "42"), ("x-more", "1")])


def test_trailers_of_a_response(pair):
    client = pair.client()
    client.begin("GET", pair.target("with_trailers"), [("te", "trailers")])

    answer = client.answer()

    assert answer.body == b"body"
    assert [(n.lower(), v) for n, v in answer.trailers] == [("x-sum", "42"), ("x-more", "1")]


@app
def early_hints(exchange):
    exchange.interim(103, [("link", "</style.css>; rel=preload")])
    exchange.interim(103, [("link", "</script.js>; rel=preload")])
    exchange.respond(200, [], b"page")


def test_early_hints(pair):
    answer = pair.ask("GET", "early_hints")

    assert [(head.status, head.get("link")) for head in answer.interim] == \
        [(103, "</style.css>; rel=preload"), (103, "</script.js>; rel=preload")]
    assert answer.body == b"page"


@app
def many_fields(exchange):
    exchange.respond(200, [("set-cookie", f"c{i}=1") for i in range(60)], b"")


def test_fields_that_repeat_stay_apart(pair):
    answer = pair.ask("GET", "many_fields")

    assert answer.all("set-cookie") == [f"c{i}=1" for i in range(60)]


def test_exchanges_follow_each_other_on_a_connection(pair):
    client = pair.client()
    for i in range(20):
        client.begin("POST", pair.target("mirror"), [("content-length", "2")], end=False)
        client.write(b"%02d" % i)
        client.finish()
        assert client.answer().body == b"%02d" % i


@pytest.mark.tsan
def test_all_pairs_at_once(proxy, contexts, seen, in_background):
    def exchange(pair, number):
        client = pair.client()
        for i in range(scaled(40, 10)):
            body = b"%d %d" % (number, i) * (1 + i * 97 % 3000)
            client.begin("POST", pair.target("mirror"), [], end=False)
            client.write(body)
            client.finish([("x-sum", str(i))])
            answer = client.answer()
            assert (answer.status, answer.body) == (200, body)
            assert answer.get("x-trailer-x-sum") == str(i)
    pairs = [Pair(proxy, contexts, front, back) for front in FRONTS for back in BACKS]
    threads = [in_background(exchange, pair, n) for n, pair in enumerate(pairs * 2)]
    for thread in threads:
        thread.join(patience(60))
    for pair in pairs:
        pair.close()


# ---- Both directions at once ----

@app
def echo_as_it_comes(exchange):
    exchange.head(200)
    for piece in iter(exchange.read, b""):
        exchange.write(piece)
    exchange.finish()


def test_both_directions_at_once(pair):
    client = pair.client()
    client.begin("POST", pair.target("echo_as_it_comes"), end=False)
    for i in range(50):
        client.write(b"%04d" % i)
        client.wait_body(1)
    client.finish()

    assert client.answer().body == b"".join(b"%04d" % i for i in range(50))


@app
def answer_early(exchange):
    exchange.respond(413, [], b"too much")
    exchange.seen.append("answered")


def test_an_answer_before_the_end_of_the_request(pair, seen):
    client = pair.client()
    client.begin("POST", pair.target("answer_early"), end=False)
    client.write(b"x" * 1000)
    wait_until(lambda: seen_by(seen, pair, "answer_early"), 10, "the answer")

    answer = client.answer()

    assert (answer.status, answer.body) == (413, b"too much")


# ---- Ends that are not good ----

@app
def cut_before_the_head(exchange):
    exchange.seen.append(exchange.method)
    exchange.body()
    exchange.cut()


def test_a_backend_that_leaves_without_an_answer(pair, seen):
    answer = pair.ask("POST", "cut_before_the_head", body=b"x")

    assert answer.status == 502
    assert seen_by(seen, pair, "cut_before_the_head") == ["POST"]  # not tried again


@app
def cut_inside(exchange):
    exchange.head(200, [("content-length", "100")] if "?length" in exchange.target else [])
    exchange.write(b"half")
    time.sleep(0.05)  # so that the proxy has passed it on
    exchange.cut()


@pytest.mark.parametrize("query", ["?length", "?none"])
def test_half_an_answer_never_passes_for_a_whole(pair, query):
    with pytest.raises(Broken) as broken:
        pair.ask("GET", "cut_inside", query=query)

    if broken.value.so_far:
        assert broken.value.so_far.status == 200
        assert broken.value.so_far.body in (b"", b"half")


@app
def endless(exchange):
    exchange.head(200)
    try:
        while True:
            exchange.write(b"x" * 1000)
            time.sleep(0.001)
    except Left:
        exchange.seen.append("left")
        raise


def test_a_client_that_leaves_during_the_answer(pair, seen):
    client = pair.client()
    client.begin("GET", pair.target("endless"))
    client.wait_body(5000)

    client.cancel()

    wait_until(lambda: seen_by(seen, pair, "endless") == ["left"], 10, "the backend being told")
    if pair.is_http2():  # it was that stream alone
        client.begin("GET", pair.target("mirror"))
        assert client.answer().status == 200


@app
def never(exchange):
    exchange.seen.append("asked")
    if exchange.wait_left():
        exchange.seen.append("left")
    raise Left


def test_a_client_that_leaves_before_the_answer(pair, seen):
    client = pair.client()
    client.begin("GET", pair.target("never"))
    wait_until(lambda: seen_by(seen, pair, "never") == ["asked"], 10, "the request")

    client.cancel()

    wait_until(lambda: seen_by(seen, pair, "never") == ["asked", "left"], 10, "CANCEL")


@app
def whole_body(exchange):
    exchange.seen.append("asked")
    try:
        exchange.seen.append(len(exchange.body()))
    except Left:
        exchange.seen.append("left")
        raise


def test_half_a_request_never_passes_for_a_whole(pair, seen):
    client = pair.client()
    client.begin("POST", pair.target("whole_body"), end=False)
    client.write(b"half")
    wait_until(lambda: seen_by(seen, pair, "whole_body") == ["asked"], 10, "the request")

    client.cancel()

    wait_until(lambda: len(seen_by(seen, pair, "whole_body")) == 2, 10, "the end")
    assert seen_by(seen, pair, "whole_body") == ["asked", "left"]


# ---- Slow sides ----

SLOW_BYTES = 24 * MIB


@app
def much(exchange):
    piece = bytes(range(256)) * 256
    exchange.head(200, [("content-length", str(SLOW_BYTES))])
    exchange.seen.append(0)
    for _ in range(SLOW_BYTES // len(piece)):
        exchange.write(piece)
        exchange.seen[0] += len(piece)
    exchange.finish()


def standing_still(count):
    """The value of count() when it has not changed for a while."""
    last, since = count(), time.monotonic()
    while time.monotonic() - since < 0.3:
        time.sleep(0.02)
        if count() != last:
            last, since = count(), time.monotonic()
    return last


@pytest.mark.whole_process
def test_a_client_that_does_not_read_holds_the_backend(pair, seen):
    client = pair.client(receive_buffer=65536)
    client.begin("GET", pair.target("much"))
    wait_until(lambda: seen_by(seen, pair, "much"), 10, "the answer's beginning")

    written = standing_still(lambda: seen_by(seen, pair, "much")[0])

    assert written < SLOW_BYTES * 2 // 3  # what sockets hold, and little more
    answer = client.answer()
    assert hashlib.sha256(answer.body).digest() == \
        hashlib.sha256(bytes(range(256)) * (SLOW_BYTES // 256)).digest()


may_read = threading.Event()


@app
def lazy(exchange):
    exchange.seen.append("asked")
    may_read.wait(20)
    exchange.respond(200, [], hashlib.sha256(exchange.body()).hexdigest().encode())


@pytest.mark.whole_process
def test_a_backend_that_does_not_read_holds_the_client(pair, in_background):
    piece, sent = bytes(range(256)) * 256, [0]
    client = pair.client()
    may_read.clear()
    client.begin("POST", pair.target("lazy"), [("content-length", str(SLOW_BYTES))], end=False)

    def upload():
        for _ in range(SLOW_BYTES // len(piece)):
            client.write(piece)
            sent[0] += len(piece)
        client.finish()
    thread = in_background(upload)
    went = standing_still(lambda: sent[0])
    may_read.set()
    thread.join(20)

    assert went < SLOW_BYTES * 2 // 3
    assert client.answer().body == \
        hashlib.sha256(bytes(range(256)) * (SLOW_BYTES // 256)).hexdigest().encode()
