"""The demo backend by itself: a fault that it promises is the fault that arrives."""
import http.client
import json
import socket

import pytest
from helpers.proxy import split_address

PATTERN = bytes(97 + (j * j % 65521) % 26 for j in range(65521))


def fnv1a64(data: bytes) -> str:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return f"{value:016x}"


@pytest.fixture(scope="module", name="origin")
def fixture_origin(start_module):
    return split_address(start_module.origin().address)


def ask(address, target, method="GET", body=None, **fields):
    connection = http.client.HTTPConnection(*address, timeout=20)
    connection.request(method, target, body, {name.replace("_", "-"): value
                                              for name, value in fields.items()})
    return connection.getresponse()


def raw(address, target) -> bytes:
    """Everything up to the end of the stream."""
    with socket.create_connection(address, timeout=20) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: origin.test\r\n\r\n".encode())
        data = b""
        while piece := sock.recv(65536):
            data += piece
        return data


def test_what_arrived_is_shown_to_programs_and_to_people(origin):
    shown = json.load(ask(origin, "/?a=<b>", Accept="application/json", X_Forwarded_For="192.0.2.1"))
    page = ask(origin, "/?a=%3Cb%3E", X_Note="<script>").read()

    assert shown["target"] == "/?a=<b>" and shown["client"] == "192.0.2.1"
    assert ["X-Forwarded-For", "192.0.2.1"] in shown["fields"]
    assert b"&lt;script&gt;" in page and b"<script>" not in page


@pytest.mark.parametrize("target", ["/bytes/100000", "/chunked/100000?size=777",
                                    "/close-delimited/100000", "/slow/30?ms=1"])
def test_generated_content_is_the_pattern(origin, target):
    content = ask(origin, target).read()

    assert content == (PATTERN * 2)[:len(content)]
    assert len(content) == (30 if "slow" in target else 100000)


def test_checksum_stands_in_the_trailers(origin):
    assert fnv1a64(PATTERN[:500]).encode() in raw_until(origin, "/chunked/500?trailers=1")


def raw_until(address, target) -> bytes:
    """A chunked answer with its framing."""
    with socket.create_connection(address, timeout=20) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: origin.test\r\n\r\n".encode())
        data = b""
        while not (b"\r\n0\r\n" in data and data.endswith(b"\r\n\r\n")):
            data += sock.recv(65536)
        return data


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_are_counted_and_echoed(origin, chunked):
    body = bytes(range(256)) * 100
    given = (lambda: iter([body[:999], body[999:]])) if chunked else (lambda: body)

    sunk = json.load(ask(origin, "/sink", "POST", given()))["body"]
    echoed = ask(origin, "/echo", "POST", given()).read()

    assert sunk["bytes"] == len(body) and sunk["fnv1a64"] == fnv1a64(body)
    assert sunk["chunked"] is chunked
    assert echoed == body


def test_early_answer_comes_before_the_body(origin):
    with socket.create_connection(origin, timeout=20) as sock:
        sock.sendall(b"POST /status/413?early=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 413")
        sock.sendall(b"12345GET /status/204 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 204")


@pytest.mark.parametrize("target, ends", [("/cut/1000", PATTERN[:500]), ("/close", b""),
                                          ("/cut-chunked", b"never comes\n\r\n"),
                                          ("/garbage", b"\xff\xfe\r\n")])
def test_cut_is_cut_where_it_says(origin, target, ends):
    assert raw(origin, target).endswith(ends)


@pytest.mark.parametrize("target", ["/reset", "/reset?after=1000"])
def test_reset_is_a_reset(origin, target):
    with pytest.raises(ConnectionResetError):
        raw(origin, target)


def test_unknown_page_lists_those_that_there_are(origin):
    answer = ask(origin, "/no/such/page")

    assert answer.status == 404
    assert b"/chunked/N" in answer.read()
