"""TLS as clients see it: versions, certificates, names, resumption, and how a stream ends."""
import re
import socket
import ssl
import subprocess
import time

import pytest
from conftest import TLS_PORT
from helpers.backend import answering, each_request
from helpers.env import patience
from helpers.http1 import Client, Incomplete
from helpers.proxy import wait_until
from helpers.rawtls import RawTls

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
GET = b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
LAST_GET = b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"


def s_client(proxy, certs, *arguments, given: bytes = b"", server_name="shop.test"):
    """openssl s_client's whole output; it ends with its input."""
    host, port = proxy.https
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", str(certs.ca),
         *(["-servername", server_name] if server_name else ["-noservername"]), *arguments],
        input=given, capture_output=True, timeout=patience(30), check=False)
    return (done.stdout + done.stderr).decode("latin-1")


def peer_names(client: Client) -> list:
    return [value for kind, value in client.sock.getpeercert()["subjectAltName"] if kind == "DNS"]


@pytest.fixture(scope="module")
def proxy(start_module):
    """Every bundle on one port, one server behind it."""
    backend = start_module.backend(answering())
    return start_module.proxy({"app": [backend.address]},
                              ports={TLS_PORT: {"bundles": ["shop", "api", "wild", "old"]}})


@pytest.fixture
def tls_proxy(start):
    """The same with one bundle, other TLS settings and counters of its own."""
    def make(**port):
        backend = start.backend(answering())
        return start.proxy({"app": [backend.address]},
                           ports={TLS_PORT: {"bundles": ["shop"], **port}})
    return make


# Versions and algorithms

@pytest.mark.parametrize("version, name", [(TLS12, "TLSv1.2"), (TLS13, "TLSv1.3")])
def test_intermediate_speaks_both_versions(proxy, certs, connect, version, name):
    client = connect(proxy.https, context=certs.context(version, version))

    assert client.sock.version() == name
    assert client.get("/").body == b"hello\n"


def test_modern_refuses_tls12(tls_proxy, certs, connect):
    proxy = tls_proxy(preset="modern")

    with pytest.raises(ssl.SSLError, match="protocol version|PROTOCOL_VERSION"):
        connect(proxy.https, context=certs.context(highest=TLS12))
    assert connect(proxy.https).sock.version() == "TLSv1.3"
    assert proxy.wait_metric("tls_handshakes_failed", 1)["tls_handshakes_failed"] == 1


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(proxy, certs, version):
    output = s_client(proxy, certs, version, "-cipher", "DEFAULT@SECLEVEL=0")

    assert "Cipher is (NONE)" in output
    assert "alert protocol version" in output


@pytest.mark.parametrize("cipher", ["AES128-SHA", "ECDHE-RSA-AES128-SHA", "AES128-GCM-SHA256"])
def test_suites_without_forward_secrecy_or_aead_are_refused(proxy, certs, cipher):
    output = s_client(proxy, certs, "-tls1_2", "-cipher", f"{cipher}@SECLEVEL=0")

    assert "Cipher is (NONE)" in output


@pytest.mark.parametrize("arguments, kind", [
    (["-tls1_3", "-sigalgs", "ECDSA+SHA256"], "ECDSA"),
    (["-tls1_3", "-sigalgs", "RSA-PSS+SHA256"], "RSA-PSS"),
    (["-tls1_2", "-sigalgs", "ECDSA+SHA256"], "ECDSA"),
    (["-tls1_2", "-sigalgs", "RSA-PSS+SHA256"], "RSA-PSS"),
    (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "RSA"),
    (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "ECDSA"),
])
def test_certificate_fits_what_the_client_can_verify(proxy, certs, arguments, kind):
    output = s_client(proxy, certs, *arguments)

    assert "Verify return code: 0 (ok)" in output
    assert re.search(r"Peer signature type: (\S+)", output)[1].startswith(kind)


def test_client_that_can_do_both_gets_ecdsa(proxy, certs):
    assert "Peer signature type: ECDSA" in s_client(proxy, certs)


def test_no_common_signature_algorithm_is_refused_and_counted(start, certs, connect):
    proxy = start.proxy(ports={TLS_PORT: {"bundles": ["api"]}})

    output = s_client(proxy, certs, "-sigalgs", "RSA-PSS+SHA256", server_name="api.test")

    assert "handshake failure" in output
    assert proxy.wait_metric("tls_handshakes_failed", 1)["tls_handshakes_full"] == 0
    assert connect(proxy.https, server_name="api.test").get("/").status == 404


# Names

@pytest.mark.parametrize("asked, got", [
    ("shop.test", "shop.test"),
    ("SHOP.test", "shop.test"),
    ("api.test", "api.test"),
    ("alias.test", "api.test"),
    ("a.wild.test", "*.wild.test"),
    ("old.test", "old.test"),
    ("a.b.wild.test", "shop.test"),  # a wildcard is one label: the default bundle
    ("wild.test", "shop.test"),
    ("unknown.test", "shop.test"),
    (None, "shop.test"),
])
def test_name_chooses_the_bundle(proxy, certs, connect, asked, got):
    context = certs.context()
    context.check_hostname = False

    client = connect(proxy.https, context=context, server_name=asked)

    assert got in peer_names(client)


def test_default_bundle_is_for_unknown_names(start, certs, connect):
    proxy = start.proxy(ports={TLS_PORT: {"bundles": ["shop", "api"], "default_bundle": "api"}})
    context = certs.context()
    context.check_hostname = False

    assert "api.test" in peer_names(connect(proxy.https, context=context, server_name="x.test"))
    assert "shop.test" in peer_names(connect(proxy.https))


def test_strict_sni_refuses_unknown_names(tls_proxy, certs, connect):
    proxy = tls_proxy(strict_sni=True)

    for name in ("unknown.test", "sub.shop.test"):
        with pytest.raises(ssl.SSLError, match="unrecognized name|UNRECOGNIZED_NAME"):
            connect(proxy.https, server_name=name)
    assert connect(proxy.https).get("/").status == 200
    assert proxy.wait_metric("tls_handshakes_failed", 2)["tls_handshakes_failed"] == 2


def test_names_of_a_bundle_override_those_of_its_certificates(start, certs, connect):
    bundles = certs.bundles()
    bundles["api"]["names"] = ["only.test"]
    proxy = start.proxy(ports={TLS_PORT: {"bundles": ["shop", "api"]}}, bundles=bundles)
    context = certs.context()
    context.check_hostname = False

    assert "api.test" in peer_names(connect(proxy.https, context=context, server_name="only.test"))
    assert "shop.test" in peer_names(connect(proxy.https, context=context, server_name="api.test"))


# ALPN

@pytest.mark.parametrize("offered, chosen", [
    (["http/1.1"], "http/1.1"),
    (["h2", "http/1.1"], "h2"),
    (["http/1.1", "h2"], "h2"),
    ([], None),
])
def test_alpn_chooses_what_both_speak(proxy, certs, connect, offered, chosen):
    client = connect(proxy.https, context=certs.context(alpn=offered or None))

    assert client.sock.selected_alpn_protocol() == chosen
    assert chosen == "h2" or client.get("/").status == 200


def test_alpn_without_a_common_protocol_is_refused(tls_proxy, certs, connect):
    proxy = tls_proxy()

    # RFC 7301 3.2
    with pytest.raises(ssl.SSLError, match="no application protocol|NO_APPLICATION_PROTOCOL"):
        connect(proxy.https, context=certs.context(alpn=["spdy/3"]))
    assert proxy.wait_metric("tls_handshakes_failed", 1)["tls_handshakes_failed"] == 1


# Resumption

@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_ticket_resumes(tls_proxy, certs, connect, version):
    proxy = tls_proxy()
    context = certs.context(version, version)
    first = connect(proxy.https, context=context)
    assert first.get("/").status == 200  # TLS 1.3: the ticket came with it

    second = connect(proxy.https, context=context, session=first.sock.session)

    assert second.get("/").status == 200
    assert not first.sock.session_reused and second.sock.session_reused
    metrics = proxy.metrics()
    assert (metrics["tls_handshakes_full"], metrics["tls_handshakes_resumed"]) == (1, 1)


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_no_tickets_when_they_are_off(tls_proxy, certs, connect, version):
    proxy = tls_proxy(session_tickets=False)
    context = certs.context(version, version)
    first = connect(proxy.https, context=context)
    assert first.get("/").status == 200
    session = first.sock.session

    assert session is None or not session.has_ticket
    if session is not None:
        second = connect(proxy.https, context=context, session=session)
        assert second.get("/").status == 200
        assert not second.sock.session_reused


def test_ticket_of_another_process_means_a_full_handshake(tls_proxy, certs, connect):
    context = certs.context()
    other = connect(tls_proxy().https, context=context)
    assert other.get("/").status == 200
    proxy = tls_proxy()

    client = connect(proxy.https, context=context, session=other.sock.session)

    assert client.get("/").status == 200
    assert not client.sock.session_reused


def test_session_of_one_name_is_not_another_ones(start, certs, connect):
    """RFC 6066 3: a session resumes only for the name that it was made for."""
    proxy = start.proxy(ports={TLS_PORT: {"bundles": ["shop", "api"]}})
    context = certs.context()
    first = connect(proxy.https, context=context)
    assert first.get("/").status == 404

    second = connect(proxy.https, context=context, session=first.sock.session,
                     server_name="api.test")

    assert second.get("/").status == 404
    assert not second.sock.session_reused
    assert "api.test" in peer_names(second)


# Peers that do not do as they should

@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_handshake_that_does_not_arrive_times_out(tls_proxy, sent, connect):
    proxy = tls_proxy(handshake_timeout_ms=400)
    begin = time.monotonic()

    silent = connect(proxy.https, tls=False)
    silent.send(sent)

    silent.cut()  # how it is told does not matter, that it ends does
    assert time.monotonic() - begin >= 0.35
    metrics = proxy.wait_metric("tls_handshake_timeouts", 1)
    assert metrics["tls_handshakes_full"] == 0
    assert connect(proxy.https).get("/").status == 200


@pytest.mark.parametrize("request_bytes", [
    GET, b"GET / HTTP/1.0\r\n\r\n", b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_plain_http_on_a_tls_port_is_told_so(tls_proxy, connect, request_bytes):
    proxy = tls_proxy()
    client = connect(proxy.https, tls=False)

    client.send(request_bytes)

    response = client.response()
    assert response.status == 400 and response.closes()
    assert b"HTTPS" in response.body
    assert client.ended()
    assert proxy.wait_metric("tls_plain_http", 1)["http_requests"] == 0
    assert connect(proxy.https).get("/").status == 200


@pytest.mark.parametrize("garbage", [
    b"\0" * 64, b"\xff" * 64, b"SSH-2.0-OpenSSH_9.2\r\n", b"\x80\x2e\x01\x00\x02" + b"\0" * 41,
    b"\x16\x03\x01\xff\xff" + b"\0" * 64, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00" * 4,
    b"\x15\x03\x01\x00\x02\x02\x28", b"\x17\x03\x03\x00\x10" + b"\0" * 16, b"\r\n\r\n"])
def test_garbage_ends_its_own_connection_only(tls_proxy, connect, garbage):
    proxy = tls_proxy(handshake_timeout_ms=2000)
    established = connect(proxy.https)
    assert established.get("/").status == 200

    client = connect(proxy.https, tls=False)
    client.send(garbage)
    client.cut()

    assert established.get("/").status == 200
    assert connect(proxy.https).get("/").status == 200
    proxy.wait_metric("tls_handshakes_failed", 1)


def test_fatal_alert_of_a_client_is_counted(tls_proxy, certs, connect):
    proxy = tls_proxy()

    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        connect(proxy.https, context=ssl.create_default_context())

    metrics = proxy.wait_metric("tls_handshakes_failed", 1)
    assert metrics["tls_handshakes_full"] == 0


@pytest.fixture(name="type_to_s_client")
def fixture_type_to_s_client(start, proxy, certs):
    """What `openssl s_client` says to lines that are typed one by one: "R", "K" and "k" are
    commands only when they come alone."""
    def do(version, *lines):
        host, port = proxy.https
        client = start.client("openssl", "s_client", "-connect", f"{host}:{port}", version,
                              "-CAfile", certs.ca, "-servername", "shop.test",
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        for line in lines:
            time.sleep(0.3)
            client.stdin.write(line)
            client.stdin.flush()
        output = client.stdout.read()  # to the end, which is the server's to make
        client.stdin.close()
        client.wait(patience(10))
        return output
    return do


def test_renegotiation_is_refused(type_to_s_client):
    output = type_to_s_client("-tls1_2", b"R\n")

    assert b"RENEGOTIATING" in output
    assert b"no renegotiation" in output


def test_key_update_changes_keys_and_nothing_else(type_to_s_client):
    output = type_to_s_client("-tls1_3", b"K\n", b"k\n", LAST_GET)

    assert b"KEYUPDATE" in output
    assert b"HTTP/1.1 200" in output and output.count(b"hello\n") == 1


# How a stream ends

@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_server_ends_its_stream_with_close_notify(proxy, certs, connect, version):
    client = connect(proxy.https, context=certs.context(version, version))

    response = client.get("/", [("Connection", "close")])

    assert response.closes()
    assert client.ended()  # no ragged end: the context raises otherwise


@pytest.fixture(name="patient_proxy")
def fixture_patient_proxy(start):
    """Whose clients may idle for long, and whose backend takes `delay` seconds."""
    def make(delay):
        def answer(connection, _):
            time.sleep(delay)
            connection.respond(200, b"hello\n")
        return start.proxy({"app": [start.backend(each_request(answer)).address]},
                           limits={"keep_alive_timeout_ms": 600_000, "head_timeout_ms": 600_000})
    return make


@pytest.mark.parametrize("delay", [0, 0.3])
def test_response_comes_whole_after_the_clients_close_notify(patient_proxy, context, delay):
    """RFC 8446 6.1: close_notify ends one direction only."""
    with RawTls(patient_proxy(delay).https, context) as client:
        client.shake_hands()
        client.sock.sendall(client.record(GET) + client.close_notify())
        data, notified = client.read_all()

    assert data.startswith(b"HTTP/1.1 200") and data.endswith(b"hello\n")
    assert notified  # and not only after the keep-alive time: nothing more can come


@pytest.mark.parametrize("delay", [0, 0.3])
def test_response_comes_whole_after_the_clients_fin(patient_proxy, connect, delay):
    """The same without TLS: shutdown(SHUT_WR), as `nc -N` does."""
    client = connect(patient_proxy(delay).http, tls=False)
    client.send(GET)
    client.sock.shutdown(socket.SHUT_WR)

    assert client.response().body == b"hello\n"
    assert client.ended()


@pytest.mark.parametrize("framing, sent", [
    ("Content-Length: 10", b"12345"),
    ("Transfer-Encoding: chunked", b"5\r\n12345\r\n"),
    ("Transfer-Encoding: chunked", b"5\r\n12345\r\n0\r\n")])
@pytest.mark.parametrize("end", ["cut", "reset"])
def test_upload_that_is_cut_is_never_whole(start, context, framing, sent, end):
    bodies = []
    backend = start.backend(lambda c: bodies.append(c.read_request().body))
    proxy = start.proxy({"app": [backend.address]})
    client = RawTls(proxy.https, context)
    client.shake_hands()

    client.send(b"POST / HTTP/1.1\r\nHost: shop.test\r\n" + framing.encode() + b"\r\n\r\n" + sent)
    wait_until(lambda: backend.requests, 10, "the request's head at the backend")
    getattr(client, end)()

    metrics = proxy.wait_metric("http_aborted_by_client", 1)
    assert bodies == []
    if end == "cut":
        assert metrics["tls_truncated"] == 1


def test_records_of_one_byte_the_first_in_single_bytes(proxy, context):
    with RawTls(proxy.https, context) as client:
        client.shake_hands()
        for i, byte in enumerate(LAST_GET):
            record = client.record(bytes([byte]))
            if i < 8:
                client.send_byte_by_byte(record)
            else:
                client.sock.sendall(record)
        data, notified = client.read_all()

    assert data.startswith(b"HTTP/1.1 200") and data.endswith(b"hello\n")
    assert notified


def test_handshake_in_single_bytes(proxy, context):
    with RawTls(proxy.https, context) as client:
        client.shake_hands(client.send_byte_by_byte)
        client.send(LAST_GET)
        data, _ = client.read_all()

    assert data.startswith(b"HTTP/1.1 200")


def test_request_in_one_write_with_finished(proxy, context):
    with RawTls(proxy.https, context) as client:
        client.sock.sendall(client.last_flight() + client.record(LAST_GET))
        data, _ = client.read_all()

    assert data.startswith(b"HTTP/1.1 200") and data.endswith(b"hello\n")


def test_tampered_record_ends_its_own_connection_only(proxy, context, connect):
    with RawTls(proxy.https, context) as client:
        client.shake_hands()
        record = bytearray(client.record(GET))
        record[-1] ^= 1
        client.sock.sendall(record)
        try:
            data, _ = client.read_all()
        except (ssl.SSLError, ConnectionError):
            data = b""

    assert data == b""
    assert connect(proxy.https).get("/").status == 200


def test_cut_response_of_a_backend_is_a_cut_stream(start, connect):
    def cut(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n12345")
    proxy = start.proxy({"app": [start.backend(cut).address]})
    client = connect(proxy.https)
    client.request()

    with pytest.raises((Incomplete, ssl.SSLError, ConnectionError)):
        client.response()
