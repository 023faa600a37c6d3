"""Backends behind TLS: whom the proxy believes, what it shows and asks for, and that a stream which
is cut is never taken for a whole one."""
import datetime
import json
import ssl
import subprocess
import time

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (Encoding, NoEncryption, PrivateFormat,
                                                          load_pem_private_key)
from helpers.backend import answering, each_request, echo
from helpers.env import BINARY, patience
from helpers.http1 import Incomplete


class Authority:
    """A CA of its own, and servers with certificates of it."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = trustme.CA()
        self.file = folder / "authority.pem"
        self.ca.cert_pem.write_to_path(str(self.file))

    def server(self, *names):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names).configure_cert(context)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def expired_server(self, name):
        """Its certificate was good until yesterday."""
        issuer = x509.load_pem_x509_certificate(self.ca.cert_pem.bytes())
        issuer_key = load_pem_private_key(self.ca.private_key_pem.bytes(), None)
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.utcnow()
        cert = (x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(issuer.subject)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(days=9))
                .not_valid_after(now - datetime.timedelta(days=1))
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
                .sign(issuer_key, hashes.SHA256()))
        both = self.folder / "expired.pem"
        both.write_bytes(cert.public_bytes(Encoding.PEM) + key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        return context

    def files(self, name, *names) -> dict:
        """As "certificate" and "key" of the configuration, or of openssl s_server."""
        cert = self.ca.issue_cert(*names)
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        for number, part in enumerate(cert.cert_chain_pems):
            part.write_to_path(str(chain), append=number > 0)
        cert.private_key_pem.write_to_path(str(key))
        return {"certificate": str(chain), "key": str(key)}


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def over_tls(context, handler, says_goodbye=True):
    """The handler inside TLS; at its end close_notify, or only a FIN."""
    def serve(connection):
        connection.sock = context.wrap_socket(connection.sock, server_side=True,
                                              suppress_ragged_eofs=False)
        connection.tls = {"version": connection.sock.version(),
                          "alpn": connection.sock.selected_alpn_protocol(),
                          "certificate": connection.sock.getpeercert()}
        handler(connection)
        if says_goodbye:
            connection.sock.unwrap()
    return serve


def backend_of(backend, authority, **tls):
    """As in "backends": believed is who has a certificate of the authority for shop.test."""
    return {"servers": [backend.address], "retries": 0,
            "tls": {"ca_file": str(authority.file), "server_name": "shop.test", **tls}}


def test_requests_go_through_tls(start, connect, authority):
    names = []
    context = authority.server("shop.test")
    context.sni_callback = lambda sock, name, _: names.append(name)
    backend = start.backend(over_tls(context, each_request(echo)))
    proxy = start.proxy({"app": backend_of(backend, authority)})
    client = connect(proxy.https)
    body = b"0123456789abcdef" * 65536

    for _ in range(3):
        reply = json.loads(client.get("/path", method="POST", body=body).body)
        assert reply["body"].encode() == body and reply["target"] == "/path"
        assert reply["connection"] == 1  # pooled
        assert ["x-forwarded-proto", "https"] in reply["fields"]
    assert names == ["shop.test"]
    assert backend.connections[0].tls["alpn"] == "http/1.1"
    assert backend.connections[0].tls["version"] == "TLSv1.3"
    metrics = proxy.metrics()
    assert metrics["tls_client_handshakes_full"] == 1
    assert metrics.get("tls_client_handshakes_failed", 0) == 0


def test_older_tls_is_spoken_unless_the_preset_is_modern(start, connect, authority):
    context = authority.server("shop.test")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    backend = start.backend(over_tls(context, answering()))
    proxy = start.proxy({"app": backend_of(backend, authority)})
    modern = start.proxy({"app": backend_of(backend, authority, preset="modern")})

    assert connect(proxy.https).get("/").status == 200
    assert connect(modern.https).get("/").status == 502


REFUSALS = {
    "expired": ("tls_cert_expired", "certificate has expired"),
    "other name": ("tls_cert_name", "hostname mismatch"),
    "unknown authority": ("tls_cert_unknown_ca", "unable to get local issuer certificate"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_server_that_is_not_believed_is_502_with_the_reason_in_the_log(start, connect, authority,
                                                                       tmp_path, case):
    (tmp_path / "other").mkdir()
    contexts = {
        "expired": authority.expired_server("shop.test"),
        "other name": authority.server("api.test"),
        "unknown authority": Authority(tmp_path / "other").server("shop.test"),
    }
    backend = start.backend(over_tls(contexts[case], answering()))
    proxy = start.proxy({"app": backend_of(backend, authority)})

    assert connect(proxy.https).get("/").status == 502
    label, reason = REFUSALS[case]
    proxy.wait_log(rf'name="shop.test" .*err={label} .*reason="{reason}"')
    proxy.wait_log(rf"backend=app .*err={label}")
    assert not backend.requests
    assert proxy.metrics()["tls_client_failed_certificate"] >= 1


def test_who_does_not_verify_believes_anybody(start, connect, authority):
    backend = start.backend(over_tls(authority.expired_server("api.test"), answering()))
    proxy = start.proxy({"app": {"servers": [backend.address], "tls": {"verify": False}}})

    assert connect(proxy.https).get("/").status == 200


def test_address_is_what_the_certificate_has_to_be_for(start, connect, authority):
    good = start.backend(over_tls(authority.server("127.0.0.1"), answering(b"good")))
    bad = start.backend(over_tls(authority.server("127.0.0.9"), answering(b"bad")))
    tls = {"ca_file": str(authority.file)}
    proxy = start.proxy(
        {"good": {"servers": [good.address], "tls": tls},
         "bad": {"servers": [bad.address], "tls": tls}},
        routes=[{"path": "/good", "backend": "good"}, {"path": "/bad", "backend": "bad"}])
    client = connect(proxy.https)

    assert client.get("/good").body == b"good"
    assert client.get("/bad").status == 502


def test_authorities_of_the_system_are_the_default(start, connect, authority):
    backend = start.backend(over_tls(authority.server("127.0.0.1"), answering()))
    backends = {"app": {"servers": [backend.address], "tls": True}}
    stranger = start.proxy(backends)
    friend = start.proxy(backends, env={"SSL_CERT_FILE": str(authority.file)})

    assert connect(stranger.https).get("/").status == 502
    assert connect(friend.https).get("/").status == 200


def test_certificate_is_shown_to_a_server_that_asks(start, connect, authority):
    context = authority.server("shop.test")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(str(authority.file))
    backend = start.backend(over_tls(context, answering()))
    own = authority.files("proxy", "proxy.test")
    proxy = start.proxy({"app": backend_of(backend, authority, **own)})
    without = start.proxy({"app": backend_of(backend, authority)})

    assert connect(proxy.https).get("/").status == 200
    assert ("DNS", "proxy.test") in backend.connections[0].tls["certificate"]["subjectAltName"]
    assert connect(without.https).get("/").status == 502


def until_close(connection, _):
    """A response that the end of the stream ends."""
    connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it")
    return False


def test_response_that_ends_with_the_stream_is_whole_with_close_notify(start, connect, authority):
    backend = start.backend(over_tls(authority.server("shop.test"), each_request(until_close)))
    proxy = start.proxy({"app": backend_of(backend, authority)})

    assert connect(proxy.https).get("/").body == b"all of it"


def test_response_that_ends_with_the_stream_was_cut_without_close_notify(start, connect, authority):
    backend = start.backend(over_tls(authority.server("shop.test"), each_request(until_close),
                                     says_goodbye=False))
    proxy = start.proxy({"app": backend_of(backend, authority)})

    with pytest.raises((Incomplete, OSError)):
        connect(proxy.https).get("/")
    metrics = proxy.wait_metric("http_aborted_by_upstream", 1)
    assert metrics["tls_truncated"] >= 1


def test_response_with_a_length_needs_no_close_notify(start, connect, authority):
    def once(connection, _):
        connection.respond(200, b"hello", [("Connection", "close")])
        return False
    backend = start.backend(over_tls(authority.server("shop.test"), each_request(once),
                                     says_goodbye=False))
    proxy = start.proxy({"app": backend_of(backend, authority)})
    client = connect(proxy.https)

    for _ in range(3):
        assert client.get("/").body == b"hello"


def test_next_connection_resumes(start, connect, authority):
    def once(connection, _):
        connection.respond(200, b"hello", [("Connection", "close")])
        return False
    backend = start.backend(over_tls(authority.server("shop.test"), each_request(once)))
    proxy = start.proxy({"app": backend_of(backend, authority)},
                        threads={"net": 1, "ssl": 1})
    client = connect(proxy.https)

    for _ in range(5):
        assert client.get("/").status == 200
    metrics = proxy.metrics()
    assert metrics["tls_client_handshakes_full"] + metrics["tls_client_handshakes_resumed"] == 5
    assert metrics["tls_client_handshakes_resumed"] >= 3


def test_handshake_that_nobody_answers_is_504(start, connect, authority):
    backend = start.backend(lambda connection: connection.hang())
    app = backend_of(backend, authority)
    app["connect_timeout_ms"] = 300
    proxy = start.proxy({"app": app})
    began = time.monotonic()

    assert connect(proxy.https).get("/").status == 504
    assert time.monotonic() - began < patience(10)
    proxy.wait_log("backend=app .*err=tls_timeout")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_server_without_tls_is_502(start, connect, authority, answer):
    backend = start.backend(lambda connection: connection.sock.sendall(answer))
    proxy = start.proxy({"app": backend_of(backend, authority)})

    assert connect(proxy.https).get("/").status == 502


@pytest.mark.tsan
def test_many_clients_at_once(start, connect, authority, in_background):
    def sometimes_last(connection, request):
        echo(connection, request)
        return connection.n_requests < 7
    backend = start.backend(over_tls(authority.server("shop.test"), each_request(sometimes_last)))
    app = backend_of(backend, authority)
    app["retries"] = 3
    proxy = start.proxy({"app": app})

    def ask():
        client = connect(proxy.https)
        for number in range(30):
            reply = client.get(f"/{number}")
            assert reply.status == 200 and json.loads(reply.body)["target"] == f"/{number}"
    for thread in [in_background(ask) for _ in range(8)]:
        thread.join()
    assert proxy.metrics()["tls_client_handshakes_resumed"] >= 1


def test_http2_is_not_spoken_with_a_server_that_did_not_choose_it(start, connect, authority):
    backend = start.backend(over_tls(authority.server("shop.test"), answering()))
    app = {**backend_of(backend, authority), "protocol": "h2"}
    proxy = start.proxy({"app": app})

    assert connect(proxy.https).get("/").status == 502
    proxy.wait_log('err=tls_alpn .*reason="the server chose no protocol"')
    assert proxy.metrics()["tls_client_failed_alpn"] >= 1
    assert not backend.requests


# ---- openssl s_server ----

def s_server(start, authority, *options):
    """It answers requests with a page about itself; its address."""
    own = authority.files("s_server", "shop.test")
    server = start.client("openssl", "s_server", "-www", "-naccept", "1000", "-accept",
                          "127.0.0.1:0", "-cert", own["certificate"], "-key", own["key"],
                          *options, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for line in server.stdout:
        if line.startswith(b"ACCEPT"):
            return line.split()[1].decode()
    raise AssertionError("openssl s_server did not start")


@pytest.mark.parametrize("options", [["-tls1_3"], ["-tls1_2"],
                                     ["-tls1_3", "-groups", "P-256"]])  # HelloRetryRequest
def test_s_server_answers(start, connect, authority, options):
    app = {"servers": [s_server(start, authority, *options)], "retries": 0,
           "tls": {"ca_file": str(authority.file), "server_name": "shop.test"}}
    proxy = start.proxy({"app": app})
    client = connect(proxy.https)

    for _ in range(2):
        reply = client.get("/")
        assert reply.status == 200 and b"s_server" in reply.body


def test_s_server_that_speaks_no_protocol_of_ours_is_502(start, connect, authority):
    app = {"servers": [s_server(start, authority, "-alpn", "spdy/3")], "retries": 0,
           "tls": {"ca_file": str(authority.file), "server_name": "shop.test"}}
    proxy = start.proxy({"app": app})

    assert connect(proxy.https).get("/").status == 502
    proxy.wait_log("err=tls_alpn")


# ---- Files that are no good ----

def wrong_files(tmp_path, authority):
    a, b = authority.files("a", "a.test"), authority.files("b", "b.test")
    return {
        "/backends/one/tls/ca_file": {"ca_file": str(tmp_path / "missing.pem")},
        "/backends/two/tls/key": {"ca_file": str(authority.file),
                                  "certificate": a["certificate"], "key": b["key"]},
    }


def test_check_and_run_tell_what_is_wrong_with_the_files(tmp_path, authority):
    wrong = wrong_files(tmp_path, authority)
    config = {"ports": {"127.0.0.1:0": {"tls": False}},
              "backends": {pointer.split("/")[2]: {"servers": ["127.0.0.1:9", "127.0.0.2:9"],
                                                   "tls": tls}
                           for pointer, tls in wrong.items()},
              "routes": [{"path": "/two", "backend": "two"}, {"backend": "one"}]}
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(config))

    told = subprocess.run([BINARY, "check", "--json", path], capture_output=True, check=False)
    assert told.returncode == 1
    pointers = [problem["pointer"] for problem in json.loads(told.stdout)["problems"]
                if problem["level"] == "error"]
    assert sorted(pointers) == sorted(wrong)  # each once, for all servers of the backend
    told = subprocess.run([BINARY, "run", "-c", path], capture_output=True, check=False,
                          timeout=patience(20))
    assert told.returncode == 1
    for pointer in wrong:
        assert pointer in told.stderr.decode()
