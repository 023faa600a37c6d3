"""What two parsers could read in two ways is refused, and the connection closed: nothing of it
reaches a backend, and the next client is served (RFC 9112 11.2, request smuggling)."""
import ssl

import pytest
from helpers.backend import answering, each_request
from helpers.http1 import Incomplete

H = b"Host: shop.test\r\n"
P = b"POST / HTTP/1.1\r\n" + H
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + H + b"\r\n"


def get(fields=H, line=b"GET / HTTP/1.1"):
    return line + b"\r\n" + fields + b"\r\n"


REFUSED = {  # name: (status, bytes)
    # Request line
    "no version": (400, b"GET /\r\n" + H + b"\r\n"),
    "two spaces": (400, get(line=b"GET  / HTTP/1.1")),
    "space in target": (400, get(line=b"GET /a b HTTP/1.1")),
    "space at the end": (400, get(line=b"GET / HTTP/1.1 ")),
    "space in front": (400, get(line=b" GET / HTTP/1.1")),
    "tab": (400, get(line=b"GET\t/ HTTP/1.1")),
    "lower-case http": (400, get(line=b"GET / http/1.1")),
    "version 1.10": (400, get(line=b"GET / HTTP/1.10")),
    "version 01.1": (400, get(line=b"GET / HTTP/01.1")),
    "version 1,1": (400, get(line=b"GET / HTTP/1,1")),
    "version without number": (400, get(line=b"GET / HTTP/")),
    "version 2.0": (505, get(line=b"GET / HTTP/2.0")),
    "version 3.0": (505, get(line=b"GET / HTTP/3.0")),
    "method with a blank sign": (400, get(line=b"G(T / HTTP/1.1")),
    "method with a colon": (400, get(line=b"GET: / HTTP/1.1")),
    "no method": (400, get(line=b"/ HTTP/1.1")),
    "relative target": (400, get(line=b"GET x HTTP/1.1")),
    "fragment": (400, get(line=b"GET /x#y HTTP/1.1")),
    "target with a control": (400, get(line=b"GET /\x01 HTTP/1.1")),
    "target with NUL": (400, get(line=b"GET /\0 HTTP/1.1")),
    "target with raw UTF-8": (400, get(line="GET /é HTTP/1.1".encode())),
    "target with a backslash": (400, get(line=b"GET /a\\b HTTP/1.1")),
    "asterisk for GET": (400, get(line=b"GET * HTTP/1.1")),
    "user information": (400, get(line=b"GET http://u@shop.test/ HTTP/1.1")),
    "foreign scheme": (400, get(line=b"GET ftp://shop.test/ HTTP/1.1")),
    "absolute form against Host": (400, get(line=b"GET http://other.test/ HTTP/1.1")),
    "CONNECT": (501, get(line=b"CONNECT shop.test:443 HTTP/1.1", fields=b"Host: shop.test:443\r\n")),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "HTTP/2 preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "TLS in plain HTTP": (400, b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\r\n\r\n"),
    # Line ends
    "bare LF after the request line": (400, b"GET / HTTP/1.1\n" + H + b"\r\n"),
    "bare LF after a field": (400, b"GET / HTTP/1.1\r\nHost: shop.test\n\r\n"),
    "bare LF only": (400, b"GET / HTTP/1.1\nHost: shop.test\n\n"),
    "bare CR in a field": (400, get(H + b"X: a\rb\r\n")),
    "CR CR LF": (400, get(H + b"X: a\r\r\n")),
    "three empty lines first": (400, b"\r\n\r\n\r\n" + get()),
    "LF first": (400, b"\n" + get()),
    # Fields
    "folded": (400, get(H + b"X: a\r\n b\r\n")),
    "folded with a tab": (400, get(H + b"X: a\r\n\tb\r\n")),
    "folded first": (400, get(b" X: a\r\n" + H)),
    "blank before the colon": (400, get(H + b"X : a\r\n")),
    "tab before the colon": (400, get(H + b"X\t: a\r\n")),
    "no colon": (400, get(H + b"Xa\r\n")),
    "no name": (400, get(H + b": a\r\n")),
    "name with a blank": (400, get(H + b"X Y: a\r\n")),
    "name with NUL": (400, get(H + b"X\0: a\r\n")),
    "name with brackets": (400, get(H + b"X[]: a\r\n")),
    "name with raw UTF-8": (400, get(H + "Xé: a\r\n".encode())),
    "value with NUL": (400, get(H + b"X: a\0b\r\n")),
    "value with DEL": (400, get(H + b"X: a\x7fb\r\n")),
    "value with a control": (400, get(H + b"X: a\x1bb\r\n")),
    # Host
    "no Host": (400, get(b"")),
    "empty Host": (400, get(b"Host:\r\n")),
    "two Hosts": (400, get(H + H)),
    "two different Hosts": (400, get(H + b"Host: other.test\r\n")),
    "Host with a path": (400, get(b"Host: shop.test/x\r\n")),
    "Host with user information": (400, get(b"Host: u@shop.test\r\n")),
    "Host with a comma": (400, get(b"Host: shop.test, other.test\r\n")),
    "Host with a bad port": (400, get(b"Host: shop.test:x\r\n")),
    "Host with port 65536": (400, get(b"Host: shop.test:65536\r\n")),
    "Host with blanks": (400, get(b"Host: shop test\r\n")),
    # Content-Length
    "negative length": (400, P + b"Content-Length: -1\r\n\r\n"),
    "signed length": (400, P + b"Content-Length: +3\r\n\r\nabc"),
    "hexadecimal length": (400, P + b"Content-Length: 0x3\r\n\r\nabc"),
    "empty length": (400, P + b"Content-Length:\r\n\r\n"),
    "length with a blank": (400, P + b"Content-Length: 3 4\r\n\r\nabc"),
    "length with a decimal point": (400, P + b"Content-Length: 3.0\r\n\r\nabc"),
    "length past 64 bits": (400, P + b"Content-Length: 18446744073709551619\r\n\r\nabc"),
    "two lengths": (400, P + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde"),
    "two equal lengths": (400, P + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "list of lengths": (400, P + b"Content-Length: 3, 3\r\n\r\nabc"),
    # Transfer-Encoding
    "length and chunked": (400, P + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + SMUGGLED),
    "chunked and length": (400, P + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED),
    "chunked twice": (400, P + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n"),
    "chunked, chunked": (400, P + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    "gzip, chunked": (501, P + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "chunked, identity": (400, P + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    "identity": (501, P + b"Transfer-Encoding: identity\r\n\r\n"),
    "quoted chunked": (400, P + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n'),
    "xchunked": (501, P + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "chunked with a parameter": (400, P + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n"),
    "empty coding": (400, P + b"Transfer-Encoding:\r\n\r\n"),
    "vertical tab chunked": (400, P + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    "coding in HTTP/1.0": (400, b"POST / HTTP/1.0\r\n" + H + CHUNKED + b"\r\n0\r\n\r\n"),
    # Upgrade and expectations
    "unknown expectation": (417, P + b"Expect: a-miracle\r\nContent-Length: 3\r\n\r\nabc"),
}
# The head is fine, the body is not: the backend may see the request, never a whole one.
BAD_BODY = {
    "size with a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "size with a blank": b"3 \r\nabc\r\n0\r\n\r\n",
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "negative size": b"-1\r\nabc\r\n0\r\n\r\n",
    "size past 64 bits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "bare LF after the size": b"3\nabc\r\n0\r\n\r\n",
    "bare LF after the data": b"3\r\nabc\n0\r\n\r\n",
    "data longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "data shorter than its size": b"5\r\nabc\r\n0\r\n\r\n",
    "NUL in an extension": b"3;\0\r\nabc\r\n0\r\n\r\n",
    "bare LF in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "trailer without colon": b"0\r\nabc\r\n\r\n",
    "folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
    "length in the trailers": b"0\r\nContent-Length: 3\r\n\r\n",
    "host in the trailers": b"0\r\nHost: other.test\r\n\r\n",
    "coding in the trailers": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
}


@pytest.fixture(scope="module", name="whole_requests")
def fixture_whole_requests():
    return []


@pytest.fixture(scope="module", name="proxy")
def fixture_proxy(start_module, whole_requests):
    def answer(connection, request):
        whole_requests.append(request)
        connection.respond(200, b"served")
    return start_module.proxy({"app": [start_module.backend(each_request(answer)).address]})


def refusal(client, data: bytes):
    """Its only response, after which the stream ends."""
    client.send(data)
    response = client.response()
    assert response.closes()
    try:
        rest = client.input
        while piece := client.sock.recv(65536):
            rest += piece
    except (ConnectionError, ssl.SSLError):
        rest = b""  # what the client sent behind its mistake may end in RST
    assert rest == b"", "a second answer: the bytes were read as two requests"
    return response


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("name", REFUSED)
def test_refused(proxy, whole_requests, connect, name, tls):
    status, data = REFUSED[name]
    whole_requests.clear()

    response = refusal(connect(proxy.https if tls else proxy.http, tls=tls), data)

    assert response.status == status
    assert whole_requests == []
    assert connect(proxy.http, tls=False).get("/next").body == b"served"


@pytest.mark.parametrize("name", BAD_BODY)
def test_bad_body_never_becomes_a_whole_request(proxy, whole_requests, connect, name):
    whole_requests.clear()

    client = connect(proxy.http, tls=False)
    try:
        response = refusal(client, P + CHUNKED + b"\r\n" + BAD_BODY[name] + SMUGGLED)
        assert response.status == 400
    except (Incomplete, ConnectionError):
        pass  # once the request is on its way to a backend, cutting is an answer too

    assert whole_requests == []
    assert connect(proxy.http, tls=False).get("/next").body == b"served"


@pytest.mark.parametrize("name", ["bare LF only", "length and chunked", "two Hosts", "folded"])
def test_refused_byte_by_byte(proxy, connect, name):
    """What is read does not depend on how the bytes arrive."""
    status, data = REFUSED[name]
    client = connect(proxy.http, tls=False)
    try:
        for byte in data:
            client.send(bytes([byte]))
    except ConnectionError:
        pass  # refused before the end

    assert client.response().status == status


ACCEPTED = {  # strange, and legal
    "absolute form": b"GET http://shop.test/x HTTP/1.1\r\n" + H + b"\r\n",
    "one empty line first": b"\r\n" + get(),
    "two empty lines first": b"\r\n\r\n" + get(),
    "no blank after the colon": get(b"Host:shop.test\r\n"),
    "blanks around a value": get(b"Host: \t shop.test \t\r\n"),
    "empty value": get(H + b"X:\r\n"),
    "raw UTF-8 in a value": get(H + "X: é\r\n".encode()),
    "unknown method": get(line=b"FROBNICATE / HTTP/1.1"),
    "OPTIONS *": get(line=b"OPTIONS * HTTP/1.1"),
    "upper-case Chunked": P + b"Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunk extension": P + CHUNKED + b"\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
    "upper-case chunk size": P + CHUNKED + b"\r\n1A\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n",
    "chunk size with zeros in front": P + CHUNKED + b"\r\n0003\r\nabc\r\n000\r\n\r\n",
    "GET with a body": b"GET / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\n\r\nabc",
    "Host with a port": get(b"Host: shop.test:8443\r\n"),
    "Host that is an IPv6 address": get(b"Host: [::1]:8443\r\n"),
    "percent and friends in the target": get(line=b"GET /%2e%2e/%00?a=%zz&b[]={c|d} HTTP/1.1"),
    "asterisk in a path": get(line=b"GET /*;a=b,c'()!$&+:@=~ HTTP/1.1"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_strange_and_legal_is_served(proxy, connect, name):
    client = connect(proxy.http, tls=False)

    client.send(ACCEPTED[name])

    assert client.response().body == b"served"
    assert client.get("/next").body == b"served"


@pytest.mark.parametrize("end", ["cut", "more"])
def test_head_that_never_ends_is_no_request(proxy, whole_requests, connect, end):
    whole_requests.clear()
    client = connect(proxy.http, tls=False)

    client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\nX: ")
    if end == "more":
        client.send(b"y")
    client.close()

    assert connect(proxy.http, tls=False).get("/next").body == b"served"
    assert [r.target for r in whole_requests] == ["/next"]


def test_refusals_are_counted(start, connect):
    proxy = start.proxy({"app": [start.backend(answering()).address]})

    for name in ("no Host", "folded", "two lengths"):
        refusal(connect(proxy.http, tls=False), REFUSED[name][1])

    metrics = proxy.metrics()
    assert metrics["http_bad_requests"] == 3
    assert metrics["http_responses_4xx"] == 3
    assert metrics["upstream_requests"] == 0


BAD_RESPONSES = {
    "no status": b"HTTP/1.1\r\n\r\n",
    "status 99": b"HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n",
    "status with four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "other protocol": b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "blank before the colon": b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
                          b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    "garbage": b"\0\1\2\3\4\5\6\7\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>",
    "unasked 101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_RESPONSES)
def test_malformed_response_is_502(start, connect, name):
    def misbehave(connection):
        connection.read_request()
        connection.send(BAD_RESPONSES[name])
    proxy = start.proxy({"app": {"servers": [start.backend(misbehave).address], "retries": 0}})

    response = connect(proxy.http, tls=False).get("/")

    assert response.status == 502
    assert proxy.metrics()["upstream_errors"] == 1
