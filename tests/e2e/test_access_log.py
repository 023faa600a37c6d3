"""One line for each request, in two formats, fit for the tools that read them."""
import json
import re
import time

import pytest
from helpers.backend import answering, refusing_address
from helpers.http1 import Incomplete
from helpers.proxy import wait_until

TEXT = re.compile(
    r'(?P<client>\S+) - - \[(?P<time>[^]]+)\] "(?P<line>[^"]*)" (?P<status>\d+|-) (?P<bytes>\d+) '
    r'"(?P<referer>[^"]*)" "(?P<agent>[^"]*)" host="(?P<host>[^"]*)" in=(?P<in>\d+) us=(?P<us>\d+) '
    r'server="(?P<server>[^"]*)" upstream_us=(?P<upstream_us>\d+|-) tls=(?P<tls>\S+) id=(?P<id>\S+) '
    r'error=(?P<error>\S+)')


@pytest.fixture(name="logged")
def fixture_logged(start, tmp_path):
    """A proxy and a function for the first n lines of its access log, read."""
    path = tmp_path / "access.log"

    def make(backends=None, log_format="json", **config):
        proxy = start.proxy(backends or {"app": [start.backend(answering()).address]},
                            log={"access": {"path": str(path), "format": log_format}}, **config)

        def lines(n):
            wait_until(lambda: path.read_text().count("\n") >= n, 10, f"{n} lines")
            text = path.read_text().splitlines()
            if log_format == "json":
                return [json.loads(line) for line in text]
            found = [TEXT.fullmatch(line) for line in text]
            assert all(found), text
            return [match.groupdict() for match in found]
        return proxy, lines
    return make


def test_json_line(logged, connect):
    proxy, lines = logged()
    client = connect(proxy.https)
    client.get("/a?b=c", [("User-Agent", "tester/1"), ("Referer", "https://x/")], method="POST",
               body=b"12345")

    line = lines(1)[0]

    assert line["client"] == "127.0.0.1"
    assert (line["method"], line["host"], line["path"]) == ("POST", "shop.test", "/a?b=c")
    assert (line["status"], line["bytes_in"], line["bytes_out"]) == (200, 5, 6)
    assert (line["user_agent"], line["referer"]) == ("tester/1", "https://x/")
    assert line["tls"] == "TLSv1.3" and line["protocol"] == "HTTP/1.1"
    assert 0 < line["upstream_us"] <= line["duration_us"] < 60_000_000
    assert line["server"].startswith("127.0.0.1:")
    assert line["error"] is None
    assert abs(time.mktime(time.strptime(line["time"][:19], "%Y-%m-%dT%H:%M:%S"))
               - time.mktime(time.gmtime())) < 120


def test_text_line(logged, connect):
    proxy, lines = logged(log_format="text")
    connect(proxy.http, tls=False).get("/a?b", [("User-Agent", 'quo"te')])

    line = lines(1)[0]

    assert line["line"] == "GET /a?b HTTP/1.1"
    assert (line["status"], line["bytes"], line["in"]) == ("200", "6", "0")
    assert line["agent"] == r"quo\x22te" and line["referer"] == "-"
    assert line["tls"] == "-" and line["error"] == "-"
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3} \+0000", line["time"])


def test_request_id_is_the_backends(start, logged, connect):
    backend = start.backend(answering())
    proxy, lines = logged({"app": [backend.address]})
    connect(proxy.https).get("/")

    assert lines(1)[0]["request_id"] == backend.requests[0].get("x-request-id")


def test_local_answers_have_lines_too(logged, connect):
    proxy, lines = logged({"app": [refusing_address()]},
                          routes=[{"path": "/fixed", "respond": {"text": "four"}},
                                  {"path": "/app", "backend": "app"}])
    client = connect(proxy.https)
    for target in ("/fixed", "/nothing", "/app"):
        client.get(target)

    fixed, nothing, app = lines(3)

    assert (fixed["status"], fixed["bytes_out"], fixed["upstream_us"]) == (200, 4, None)
    assert (nothing["status"], nothing["error"]) == (404, "no_route")
    assert (app["status"], app["error"]) == (502, "upstream_connect")


def test_refused_request_has_a_line(logged, connect):
    proxy, lines = logged()
    client = connect(proxy.http, tls=False)
    client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\nX : y\r\n\r\n")
    assert client.response().status == 400

    line = lines(1)[0]

    assert (line["status"], line["error"]) == (400, "bad_field_name")


def test_cut_answer_says_why(start, logged, connect):
    def cut(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n12345")
    proxy, lines = logged({"app": [start.backend(cut).address]})
    client = connect(proxy.https)
    client.request()
    with pytest.raises((Incomplete, OSError)):
        client.response()

    line = lines(1)[0]

    assert (line["status"], line["bytes_out"], line["error"]) == (200, 5, "upstream_cut")


def test_client_that_left_has_a_line(start, logged, connect):
    backend = start.backend(lambda c: (c.read_request(), c.hang()))
    proxy, lines = logged({"app": [backend.address]})
    client = connect(proxy.https)
    client.request()
    wait_until(lambda: backend.requests, 10, "the request")
    client.reset()

    assert lines(1)[0]["error"] == "client_closed"


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_nothing_of_a_peer_breaks_a_line(logged, connect, log_format):
    proxy, lines = logged(log_format=log_format)
    client = connect(proxy.http, tls=False)
    client.send(b"GET /\x7b%0a\"x HTTP/1.1\r\nHost: shop.test\r\n\r\n")  # refused: a quote in a path
    client.close()
    client = connect(proxy.http, tls=False)
    client.get("/?" + "x" * 6000, [("User-Agent", "\xff\xfe\t" + "y" * 2000)])

    found = lines(2)

    assert len(found) == 2
    assert max(len(str(value)) for line in found for value in line.values()) < 2100


@pytest.mark.tsan
def test_every_request_has_exactly_one_line(logged, connect, in_background):
    proxy, lines = logged()

    def visit(visitor):
        client = connect(proxy.https)
        for i in range(25):
            client.get(f"/{visitor}/{i}")
    for thread in [in_background(visit, visitor) for visitor in range(8)]:
        thread.join()

    paths = [line["path"] for line in lines(200)]

    assert sorted(paths) == sorted(f"/{v}/{i}" for v in range(8) for i in range(25))
