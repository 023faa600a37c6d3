"""What a backend is told about the client, and which fields end at the proxy."""
import json
import re

import pytest
from helpers.backend import each_request, echo

LOOPBACK = {"trusted": ["127.0.0.0/8"]}


@pytest.fixture(name="seen")
def fixture_seen(start, connect):
    """seen(fields, ...): the fields that a backend saw, by lower-case name; several as a list."""
    def ask(fields=(), tls=True, backend_options=None, **config):
        backend = start.backend(each_request(echo))
        proxy = start.proxy({"app": {"servers": [backend.address], **(backend_options or {})}},
                            **config)
        client = connect(proxy.https if tls else proxy.http, tls=tls)
        found = {"_proxy": proxy, "_address": backend.address}
        for name, value in json.loads(client.get("/x", fields).body)["fields"]:
            name = name.lower()
            if name in found:
                value = [*([found[name]] if isinstance(found[name], str) else found[name]), value]
            found[name] = value
        return found
    return ask


@pytest.mark.parametrize("tls, scheme", [(True, "https"), (False, "http")])
def test_client_scheme_host_and_port_are_told(seen, tls, scheme):
    fields = seen(tls=tls)

    port = (fields["_proxy"].https if tls else fields["_proxy"].http)[1]
    assert fields["x-forwarded-for"] == "127.0.0.1"
    assert fields["x-forwarded-proto"] == scheme
    assert fields["x-forwarded-host"] == "shop.test"
    assert fields["x-forwarded-port"] == str(port)
    assert "forwarded" not in fields and "via" not in fields


FORGED = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "gopher"),
          ("X-Forwarded-Host", "bank.test"), ("X-Forwarded-Port", "1"),
          ("Forwarded", "for=6.6.6.6"), ("X-Request-Id", "mine")]


def test_nothing_is_believed_of_a_peer_that_is_not_trusted(seen):
    fields = seen(FORGED)

    assert fields["x-forwarded-for"] == "127.0.0.1"
    assert fields["x-forwarded-proto"] == "https"
    assert fields["x-forwarded-host"] == "shop.test"
    assert "forwarded" not in fields
    assert fields["x-request-id"] != "mine"


def test_trusted_peer_is_believed_and_added_to(seen):
    fields = seen(FORGED, forwarding=LOOPBACK)

    assert fields["x-forwarded-for"] == "6.6.6.6, 127.0.0.1"
    assert fields["x-forwarded-proto"] == "gopher"
    assert fields["x-forwarded-host"] == "bank.test"
    assert fields["x-request-id"] == "mine"


def test_list_over_several_lines_becomes_one(seen):
    fields = seen([("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "2.2.2.2")],
                  forwarding=LOOPBACK)

    assert fields["x-forwarded-for"] == "1.1.1.1, 2.2.2.2, 127.0.0.1"


def test_forwarded_of_rfc7239(seen):
    fields = seen(forwarding={"forwarded": True, "x_forwarded": False})

    assert re.fullmatch(r'for=127\.0\.0\.1;host="?shop\.test"?;proto=https', fields["forwarded"])
    assert not [name for name in fields if name.startswith("x-forwarded")]


def test_untrusted_fields_go_even_when_none_are_sent(seen):
    fields = seen(FORGED, forwarding={"x_forwarded": False, "request_id": False})

    assert not [name for name in fields if name.startswith(("x-forwarded", "forwarded", "x-req"))]


def test_ipv6_client(start, connect):
    backend = start.backend(each_request(echo))
    proxy = start.proxy({"app": [backend.address]}, ports={"[::1]:0": {"bundles": ["shop"]}},
                        forwarding={"forwarded": True})

    fields = {n.lower(): v for n, v in json.loads(connect(proxy.https).get("/").body)["fields"]}

    assert fields["x-forwarded-for"] == "::1"
    assert 'for="[::1]"' in fields["forwarded"]


def test_request_ids_are_unique(start, connect):
    backend = start.backend(each_request(lambda c, _: c.respond()))
    proxy = start.proxy({"app": [backend.address]})
    client = connect(proxy.https)
    for _ in range(100):
        client.get("/")

    ids = {request.get("x-request-id") for request in backend.requests}

    assert len(ids) == 100
    assert all(re.fullmatch(r"[0-9A-Za-z-]{8,64}", i) for i in ids)


def test_via(seen):
    assert seen(forwarding={"via": True})["via"] == "1.1 sallyport"
    assert seen([("Via", "1.0 before")], forwarding={"via": True})["via"] in (
        ["1.0 before", "1.1 sallyport"], "1.0 before, 1.1 sallyport")


@pytest.mark.parametrize("host", ["shop.test", "shop.test:8443", "SHOP.test"])
def test_host_of_the_client_is_passed_on(seen, host):
    assert seen([("Host", host)])["host"] == host


def test_host_of_the_server_when_asked_for(seen):
    fields = seen(backend_options={"pass_host": False})

    assert fields["host"] == fields["_address"]
    assert fields["x-forwarded-host"] == "shop.test"


HOP_BY_HOP = [("Connection", "X-Private, keep-alive"), ("X-Private", "secret"),
              ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"),
              ("Proxy-Authorization", "Basic eDp5"), ("TE", "gzip"), ("Upgrade-Insecure-Requests", "1")]


def test_fields_of_the_connection_end_at_the_proxy(seen):
    fields = seen(HOP_BY_HOP)

    assert not {"x-private", "keep-alive", "proxy-connection"} & set(fields)
    assert "x-private" not in fields.get("connection", "").lower()
    assert "gzip" not in fields.get("te", "")
    assert fields["upgrade-insecure-requests"] == "1"


@pytest.mark.parametrize("nominated", ["Host", "Content-Length", "X-Forwarded-For", "Cookie",
                                       "X-Request-Id", "Authorization", "Transfer-Encoding"])
def test_connection_cannot_take_away_what_frames_or_identifies(start, connect, nominated):
    """A client that nominates a field must not make the proxy drop what a backend relies on; the
    proxy's own fields stay, and framing stays."""
    backend = start.backend(each_request(echo))
    proxy = start.proxy({"app": [backend.address]})

    response = connect(proxy.https).get(
        "/", [("Connection", nominated), ("Cookie", "a=b")], method="POST", body=b"body")

    seen = json.loads(response.body)
    fields = {n.lower(): v for n, v in seen["fields"]}
    assert seen["body"] == "body"
    assert fields["host"] == "shop.test"
    assert fields["x-forwarded-for"] == "127.0.0.1"
    assert fields["x-request-id"]


def test_fields_of_the_backend_connection_end_at_the_proxy(start, connect):
    def answer(connection, _):
        connection.respond(200, b"x", [
            ("Connection", "X-Private"), ("X-Private", "secret"), ("Keep-Alive", "timeout=5"),
            ("Proxy-Authenticate", "Basic"), ("X-Public", "1"), ("Server", "theirs")])
    proxy = start.proxy({"app": [start.backend(each_request(answer)).address]})

    response = connect(proxy.https).get("/")

    assert not response.all("x-private") and not response.all("keep-alive")
    assert response.get("x-public") == "1" and response.get("server") == "theirs"


def test_other_fields_arrive_as_they_are(seen):
    fields = seen([("Cookie", "a=1; b=2"), ("Authorization", "Bearer x.y"), ("Accept", "*/*"),
                   ("X-Odd", "=?,;\"\\ é"), ("X-Empty", "")])

    assert fields["cookie"] == "a=1; b=2"
    assert fields["authorization"] == "Bearer x.y"
    assert fields["x-odd"] == "=?,;\"\\ é"
    assert fields["x-empty"] == ""


def test_target_arrives_byte_for_byte(start, connect):
    backend = start.backend(each_request(echo))
    client = connect(start.proxy({"app": [backend.address]}).https)

    for target in ("/", "/a//b/../c/./d", "/%2e%2e/%2F", "/?", "/?a=b?c=d", "/a;b=c", "/%zz",
                   "/" + "x" * 4000):
        assert json.loads(client.get(target).body)["target"] == target
