"""Certificates of clients: who gets in, what backends are told of them, and what a session, another
name or a revocation changes."""
import json
import shutil
import ssl
import subprocess

import pytest
from conftest import PLAIN_PORT, TLS_PORT
from helpers.backend import each_request, echo
from helpers.client_certs import Authority
from helpers.env import patience
from helpers.http1 import curl
from helpers.http2 import Http2Client
from helpers.proxy import wait_until

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13])
PAST = {"start": "200101000000Z", "end": "210101000000Z"}
ALL = ["client-cert", "client-cert-chain", "verified", "subject", "fingerprint"]
NAMES = ["client-cert", "client-cert-chain", "x-client-cert-verified", "x-client-cert-subject",
         "x-client-cert-fingerprint"]


class Pki:
    """A root that issues, an authority below it, and a stranger."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        self.root = Authority(folder, "root")
        self.below = Authority(folder, "below", self.root)
        self.stranger = Authority(folder, "stranger")
        self.ada = self.root.issue("ada", subject="/O=Engines, Ltd/CN=ada")
        self.bob = self.below.issue("bob")
        self.eve = self.stranger.issue("eve")
        self.old = self.root.issue("old", **PAST)
        self.server = self.root.issue("server", extensions="server")


@pytest.fixture(name="pki", scope="module")
def fixture_pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("clients") / "pki")


@pytest.fixture(name="serve")
def fixture_serve(start, tmp_path, pki):
    """serve(mode, crl=..., ...): a proxy whose one port or bundle asks for certificates, and whose
    backend answers with the fields that it was sent."""
    def make(mode="require", crl=None, bundles=("shop",), of_bundle=None, h2=False, **auth):
        ca_file = tmp_path / "ca.pem"
        shutil.copy(pki.root.pem, ca_file)
        auth = {"mode": mode, "ca_file": str(ca_file), **auth}
        if crl is not None:
            (tmp_path / "crl.pem").write_text(crl)
            auth["crl_file"] = str(tmp_path / "crl.pem")
        config = {"ports": {TLS_PORT: {"bundles": list(bundles)}, PLAIN_PORT: {"tls": False}}}
        if of_bundle is None:
            config["ports"][TLS_PORT]["client_auth"] = auth
        else:
            config["bundles"] = start.certs.bundles()
            config["bundles"] = {b: config["bundles"][b] for b in bundles}
            config["bundles"][of_bundle]["client_auth"] = auth
        backend = start.backend(each_request(echo))
        return start.proxy({"app": [backend.address]}, **config)
    return make


@pytest.fixture(name="context_of")
def fixture_context_of(certs):
    """A TLS client with a certificate."""
    def make(cert=None, version=None, alpn=None, sent=True):
        context = certs.context(version, version, alpn)
        if cert is not None:
            context.load_cert_chain(cert.sent if sent else cert.pem, cert.key)
        return context
    return make


def told(answer) -> dict:
    """What the backend was told, by lower-case name."""
    found = {}
    for name, value in json.loads(answer.body)["fields"]:
        assert name.lower() not in found or name.lower() not in NAMES
        found[name.lower()] = value
    return {name: found[name] for name in NAMES if name in found}


def refused(connect, proxy, context, why, **options):
    """TLS 1.3: the client is done, and has sent its request, before the server has looked at its
    certificate; it is told why all the same."""
    with pytest.raises(ssl.SSLError) as found:
        connect(proxy.https, context=context, **options).get("/")
    assert why in str(found.value).lower().replace("_", " ")


# Who gets in

@pytest.mark.tsan
@VERSIONS
def test_required_certificate_opens_the_door(serve, pki, connect, context_of, version):
    proxy = serve("require")

    client = connect(proxy.https, context=context_of(pki.ada, version))

    assert told(client.get("/")) == {"client-cert": pki.ada.field()}
    assert proxy.metrics()["tls_certificates_verified"] == 1


@pytest.mark.tsan
@VERSIONS
@pytest.mark.parametrize("who, alert, label", [
    (None, {TLS12: "handshake failure", TLS13: "certificate required"}, "missing"),
    ("eve", "unknown ca", "unknown_ca"),
    ("old", "certificate expired", "expired"),
    ("server", "unsupported certificate", "refused"),
])
def test_nobody_else_gets_in(serve, pki, connect, context_of, version, who, alert, label):
    proxy = serve("require")
    cert = getattr(pki, who) if who else None

    refused(connect, proxy, context_of(cert, version),
            alert if isinstance(alert, str) else alert[version])

    assert proxy.wait_metric(f"tls_failed_certificate_{label}", 1)["tls_handshakes_full"] == 0
    assert proxy.metrics()["http_requests"] == 0
    line = proxy.wait_log(r"err=tls_client_cert_\w+ .*")[0]
    assert who is None or f'certificate="CN={who}"' in line
    failed = proxy.control.ask("/handshakes?failed").json()["failed"][0]
    assert failed["err"].startswith("tls_client_cert_")
    assert failed.get("certificate") == (f"CN={who}" if who else None)
    assert failed["alert_sent"].replace("_", " ") == (
        alert if isinstance(alert, str) else alert[version])


@VERSIONS
def test_optional_takes_none_or_a_good_one(serve, pki, connect, context_of, version):
    proxy = serve("optional", forward=ALL)

    assert told(connect(proxy.https, context=context_of(None, version)).get("/")) == {
        "x-client-cert-verified": "NONE"}
    fields = told(connect(proxy.https, context=context_of(pki.ada, version)).get("/"))
    assert fields["x-client-cert-verified"] == "SUCCESS"
    assert fields["x-client-cert-subject"] == "CN=ada,O=Engines\\, Ltd"
    assert fields["x-client-cert-fingerprint"] == pki.ada.fingerprint()
    assert fields["client-cert"] == pki.ada.field()
    refused(connect, proxy, context_of(pki.eve, version), "unknown ca")


def test_off_asks_nobody(serve, pki, connect, context_of):
    proxy = serve("off")

    assert told(connect(proxy.https, context=context_of(pki.ada)).get("/")) == {}
    assert proxy.metrics()["tls_certificates_verified"] == 0


def test_client_is_told_whose_certificates_are_wanted(serve, certs):
    host, port = serve("require").https
    output = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", str(certs.ca),
         "-servername", "shop.test"], input=b"", capture_output=True, timeout=patience(30),
        check=False).stdout.decode()

    assert "Acceptable client certificate CA names\nCN = root\n" in output


def test_authority_between_comes_from_the_client(serve, pki, connect, context_of):
    proxy = serve("require", forward=["client-cert", "client-cert-chain"])

    fields = told(connect(proxy.https, context=context_of(pki.bob)).get("/"))

    assert fields["client-cert"] == pki.bob.field()
    chain = fields["client-cert-chain"].split(", ")
    assert len(chain) == 2 and all(c.startswith(":") and c.endswith(":") for c in chain)
    assert chain[0] != pki.bob.field()
    refused(connect, proxy, context_of(pki.bob, sent=False), "unknown ca")


def test_depth_bounds_the_authorities_between(serve, pki, connect, context_of):
    proxy = serve("require", depth=0)

    assert connect(proxy.https, context=context_of(pki.ada)).get("/").status == 200
    refused(connect, proxy, context_of(pki.bob), "unknown ca")
    assert proxy.wait_metric("tls_failed_certificate_refused", 1)


def test_authority_below_a_root_is_trusted_by_itself(serve, pki, connect, context_of, tmp_path):
    proxy = serve("require")
    shutil.copy(pki.below.pem, tmp_path / "ca.pem")
    assert proxy.reload()

    assert connect(proxy.https, context=context_of(pki.bob, sent=False)).get("/").status == 200
    refused(connect, proxy, context_of(pki.ada), "unknown ca")


def test_curl_shows_its_certificate(serve, pki, certs):
    host, port = serve("require", forward=["subject"]).https

    out = curl("--cacert", str(certs.ca), "--cert", str(pki.ada.sent), "--key", str(pki.ada.key),
               "--resolve", f"shop.test:{port}:{host}", f"https://shop.test:{port}/")

    text = out.stdout if isinstance(out.stdout, str) else out.stdout.decode()
    assert "CN=ada,O=Engines" in text


# Revocation

@VERSIONS
def test_revoked_certificate_is_refused(serve, pki, connect, context_of, version):
    gone = pki.root.issue(f"gone {version.name}")
    pki.root.revoke(gone)
    proxy = serve("require", crl=pki.root.crl())

    assert connect(proxy.https, context=context_of(pki.ada, version)).get("/").status == 200
    refused(connect, proxy, context_of(gone, version), "certificate revoked")
    assert proxy.wait_metric("tls_failed_certificate_revoked", 1)


def test_authority_without_a_list_vouches_for_nobody(serve, pki, connect, context_of):
    """A list that is not there cannot be told from one that was kept away."""
    proxy = serve("require", crl=pki.root.crl())

    refused(connect, proxy, context_of(pki.bob), "unknown ca")
    assert proxy.wait_metric("tls_failed_certificate_refused", 1)


def test_revoked_authority_takes_its_certificates_along(start, serve, pki, connect, context_of,
                                                        tmp_path):
    fallen = Authority(pki.folder, f"fallen {tmp_path.name}", pki.root)
    carl = fallen.issue("carl")
    proxy = serve("require", crl=pki.root.crl())
    (tmp_path / "ca.pem").write_text(pki.root.pem.read_text() + fallen.pem.read_text())
    (tmp_path / "crl.pem").write_text(pki.root.crl() + fallen.crl())
    assert proxy.reload()
    assert connect(proxy.https, context=context_of(carl)).get("/").status == 200

    openssl_cert = fallen.issuer.folder / f"{fallen.name}.pem".replace(" ", "-")
    subprocess.run(["openssl", "ca", "-config", str(pki.root.folder / "ca.cnf"), "-revoke",
                    str(openssl_cert)], check=True, capture_output=True)
    (tmp_path / "crl.pem").write_text(pki.root.crl() + fallen.crl())
    assert proxy.reload()

    refused(connect, proxy, context_of(carl), "certificate revoked")
    assert "was revoked by the one above it" in proxy.log()


@pytest.mark.tsan
@VERSIONS
def test_new_list_holds_from_the_next_handshake_on(serve, pki, connect, context_of, tmp_path,
                                                   version):
    """...a resumed one, too; who is in stays."""
    dora = pki.root.issue(f"dora {version.name}")
    proxy = serve("require", crl=pki.root.crl())
    context = context_of(dora, version)
    first = connect(proxy.https, context=context)
    assert first.get("/").status == 200
    again = connect(proxy.https, context=context, session=first.sock.session)
    assert again.get("/").status == 200 and again.sock.session_reused

    pki.root.revoke(dora)
    (tmp_path / "crl.pem").write_text(pki.root.crl())
    assert proxy.reload()

    assert first.get("/").status == 200
    refused(connect, proxy, context, "certificate revoked")
    refused(connect, proxy, context, "certificate revoked", session=again.sock.session)
    assert proxy.metrics()["tls_handshakes_resumed"] == 1


@pytest.mark.parametrize("bad, words", [
    ("nothing", "is empty"),
    ("garbage", "holds no revocation list in PEM form"),
    ("cut", "list 1 cannot be read"),
    ("stranger", 'list 1 is of "CN=stranger", which is not in "ca_file"'),
    ("expired", 'list 1 (of "CN=root") has expired; the next one was due at 2020-01-02'),
    ("der", "is DER, not PEM"),
])
def test_bad_list_changes_nothing_and_is_explained(serve, pki, connect, context_of, tmp_path, bad,
                                                   words):
    proxy = serve("require", crl=pki.root.crl())
    path = tmp_path / "crl.pem"
    if bad == "expired":
        path.write_text(pki.root.crl("-crl_lastupdate", "200101000000Z", "-crl_nextupdate",
                                     "200102000000Z"))
    elif bad == "der":
        path.write_bytes(subprocess.run(
            ["openssl", "crl", "-outform", "DER"], input=pki.root.crl().encode(),
            capture_output=True, check=True).stdout)
    else:
        path.write_text({"nothing": "", "garbage": "hello\n", "cut": pki.root.crl()[:200],
                         "stranger": pki.stranger.crl()}[bad])

    assert not proxy.reload()

    assert words in proxy.log()
    assert f"/ports/{TLS_PORT}: {path}: " in proxy.log()
    assert connect(proxy.https, context=context_of(pki.ada)).get("/").status == 200


def test_server_starts_with_a_list_that_has_expired_and_lets_nobody_in(serve, pki, connect,
                                                                       context_of):
    proxy = serve("require", crl=pki.root.crl("-crl_lastupdate", "200101000000Z",
                                              "-crl_nextupdate", "200102000000Z"))

    assert "has expired" in proxy.log()
    refused(connect, proxy, context_of(pki.ada), "certificate expired")
    proxy.wait_log('reason="CRL has expired"')


def test_certificate_that_is_no_authority_vouches_for_nobody(serve, pki, tmp_path):
    proxy = serve("require")
    shutil.copy(pki.ada.pem, tmp_path / "ca.pem")

    assert not proxy.reload()

    assert 'certificate 1 ("CN=ada,O=Engines\\, Ltd") is no authority' in proxy.log()


# Sessions

def s_client(proxy, certs, cert, *arguments, server_name="shop.test"):
    host, port = proxy.https
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", str(certs.ca),
         "-servername", server_name, *(["-cert", cert.pem, "-key", cert.key] if cert else []),
         *map(str, arguments)],
        input=b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % server_name.encode(),
        capture_output=True, timeout=patience(30), check=False)
    return (done.stdout + done.stderr).decode("latin-1")


@pytest.mark.tsan
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_resumed_client_is_told_of_alike(serve, pki, certs, tmp_path, version):
    proxy = serve("require", forward=["client-cert", "verified", "subject", "fingerprint"])
    session = tmp_path / "session.pem"

    # -ign_eof: the session of TLS 1.3 comes with the answer.
    first = s_client(proxy, certs, pki.ada, version, "-ign_eof", "-sess_out", session)
    second = s_client(proxy, certs, None, version, "-ign_eof", "-sess_in", session)

    assert "New, TLSv1" in first and "Reused, TLSv1" in second
    for output in first, second:
        assert pki.ada.field() in output
        assert pki.ada.fingerprint() in output
        assert "SUCCESS" in output
    metrics = proxy.metrics()
    assert (metrics["tls_handshakes_full"], metrics["tls_handshakes_resumed"]) == (1, 1)
    assert metrics["tls_certificates_verified"] == 2


@pytest.mark.tsan
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_session_of_an_open_name_does_not_open_a_closed_one(serve, certs, tmp_path, version):
    """CVE-2025-23419: one port, one set of ticket keys, two names."""
    proxy = serve("require", bundles=("shop", "api"), of_bundle="api")
    session = tmp_path / "session.pem"

    first = s_client(proxy, certs, None, version, "-ign_eof", "-sess_out", session)
    assert "HTTP/1.1 200" in first
    again = s_client(proxy, certs, None, version, "-ign_eof", "-sess_in", session)
    assert "Reused, TLSv1" in again and "HTTP/1.1 200" in again
    other = s_client(proxy, certs, None, version, "-ign_eof", "-sess_in", session,
                     server_name="api.test")

    assert "Reused" not in other and "HTTP/1.1 200" not in other
    assert proxy.wait_metric("tls_failed_certificate_missing", 1)


@VERSIONS
def test_session_that_was_not_verified_does_not_pass_once_it_is_required(serve, pki, connect,
                                                                         context_of, version):
    proxy = serve("optional")
    context = context_of(None, version)
    first = connect(proxy.https, context=context)
    assert first.get("/").status == 200
    session = first.sock.session
    config = proxy.config
    config["ports"][TLS_PORT]["client_auth"]["mode"] = "require"
    assert proxy.reload(config)

    refused(connect, proxy, context, "certificate required" if version == TLS13 else
            "handshake failure", session=session)
    assert connect(proxy.https, context=context_of(pki.ada, version)).get("/").status == 200


@VERSIONS
def test_other_authorities_end_sessions(serve, pki, connect, context_of, tmp_path, version):
    proxy = serve("require")
    context = context_of(pki.ada, version)
    first = connect(proxy.https, context=context)
    assert first.get("/").status == 200
    (tmp_path / "ca.pem").write_text(pki.root.pem.read_text() + pki.stranger.pem.read_text())
    assert proxy.reload()

    second = connect(proxy.https, context=context, session=first.sock.session)

    assert second.get("/").status == 200 and not second.sock.session_reused


@VERSIONS
def test_backends_that_are_told_the_chain_get_it_on_each_connection(serve, pki, connect,
                                                                    context_of, version):
    """A session does not carry it, so there are none."""
    proxy = serve("require", forward=ALL)
    context = context_of(pki.bob, version)
    first = connect(proxy.https, context=context)
    fields = told(first.get("/"))

    second = connect(proxy.https, context=context, session=first.sock.session)

    assert told(second.get("/")) == fields and "client-cert-chain" in fields
    assert not second.sock.session_reused


# Names with other rules on one port

@pytest.mark.tsan
@pytest.mark.parametrize("with_cert_for", ["api.test", "shop.test"])
def test_connection_is_only_for_names_with_its_rules(serve, pki, connect, context_of,
                                                     with_cert_for):
    proxy = serve("require", bundles=("shop", "api", "wild"), of_bundle="api")
    other = {"api.test": "shop.test", "shop.test": "api.test"}[with_cert_for]
    client = connect(proxy.https, context=context_of(pki.ada), server_name=with_cert_for)

    def status(host):
        client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return client.response().status
    assert status(with_cert_for) == 200
    assert status(other) == 421
    assert status(other.upper() + ".:8443") == 421
    assert status(with_cert_for + ":1234") == 200
    # what nobody is named gets the default bundle: shop
    assert status("192.0.2.1") == (421 if with_cert_for == "api.test" else 200)
    assert status("a.wild.test") == (421 if with_cert_for == "api.test" else 200)
    assert proxy.metrics()["http_misdirected"] >= 2


@pytest.mark.tsan
def test_http2_connection_is_not_shared_with_a_name_of_other_rules(serve, certs, pki, context_of):
    proxy = serve("require", bundles=("shop", "api"), of_bundle="api")

    with Http2Client(proxy.https, context_of(alpn=["h2"])) as client:
        assert client.get("/").status == 200
        stream = client.get("/", authority="api.test")
        assert stream.status == 421 and b"421 Misdirected Request" in stream.body
        assert client.get("/").status == 200
    with Http2Client(proxy.https, context_of(pki.ada, alpn=["h2"]), "api.test") as client:
        fields = told(client.get("/", authority="api.test"))
        assert fields == {"client-cert": pki.ada.field()}
        assert client.get("/", authority="shop.test").status == 421


def test_rules_that_change_hold_for_connections_that_are_open(serve, pki, connect, context_of):
    proxy = serve("optional")
    client = connect(proxy.https, context=context_of())
    assert client.get("/").status == 200
    config = proxy.config
    config["ports"][TLS_PORT]["client_auth"]["mode"] = "require"
    config["ports"][TLS_PORT]["alpn"] = ["http/1.1"]  # a port of its own
    assert proxy.reload(config)

    assert client.get("/").status == 421
    assert connect(proxy.https, context=context_of(pki.ada)).get("/").status == 200


# What clients say themselves

FORGED = [("Client-Cert", ":Zm9yZ2Vk:"), ("client-cert-chain", ":Zm9yZ2Vk:"),
          ("X-Client-Cert-Verified", "SUCCESS"), ("X-CLIENT-CERT-SUBJECT", "CN=root"),
          ("x-client-cert-fingerprint", "00"), ("Client_Cert", "forged"),
          ("X_Client_Cert_Verified", "SUCCESS"), ("X-Client.Cert-Verified", "SUCCESS")]


@pytest.mark.parametrize("port", ["plain", "off", "optional"])
@pytest.mark.parametrize("trusted", [True, False])
def test_nobody_is_believed_about_certificates(serve, connect, context_of, port, trusted):
    proxy = serve("off" if port == "plain" else port)
    if trusted:
        assert proxy.reload({**proxy.config, "forwarding": {"trusted": ["127.0.0.0/8"]}})
    client = (connect(proxy.http, tls=False) if port == "plain" else
              connect(proxy.https, context=context_of()))

    answer = client.get("/", FORGED)

    assert b"forged" not in answer.body and b"Zm9yZ2Vk" not in answer.body
    assert b"SUCCESS" not in answer.body and b"CN=root" not in answer.body


def test_http2_client_is_not_believed_either(serve, pki, context_of):
    proxy = serve("require", forward=["client-cert", "verified"])

    with Http2Client(proxy.https, context_of(pki.ada, alpn=["h2"])) as client:
        stream = client.get("/", [(name.lower(), value) for name, value in FORGED])
    assert told(stream) == {"client-cert": pki.ada.field(), "x-client-cert-verified": "SUCCESS"}
    assert b"forged" not in stream.body and b"CN=root" not in stream.body


def test_trailers_tell_nothing_of_certificates(serve, pki, connect, context_of):
    proxy = serve("require")
    client = connect(proxy.https, context=context_of(pki.ada))

    client.send(b"POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"0\r\nClient-Cert: :Zm9yZ2Vk:\r\n\r\n")

    assert client.response().status == 400


# Limits

def test_long_chain_is_left_out_and_counted(serve, pki, connect, context_of):
    proxy = serve("require", forward=ALL, max_forward_bytes=1024)

    fields = told(connect(proxy.https, context=context_of(pki.bob)).get("/"))

    assert fields["client-cert"] == pki.bob.field()
    assert "client-cert-chain" not in fields
    assert proxy.metrics()["tls_certificate_chains_omitted"] == 1


def test_certificate_that_cannot_be_told_is_refused(serve, pki, connect, context_of):
    big = pki.root.issue("big", subject="/CN=" + "/O=".join(["x" * 60] * 30))
    proxy = serve("require", max_forward_bytes=1024)

    refused(connect, proxy, context_of(big), "bad certificate")
    assert proxy.wait_metric("tls_failed_certificate_refused", 1)


# The control socket

def test_access_log_names_the_client(start, serve, pki, connect, context_of, tmp_path):
    proxy = serve("optional")
    log = tmp_path / "access.log"
    config = {**proxy.config, "log": {"access": {"path": str(log)}}}
    proxy.stop()
    proxy = start.proxy(**{k: v for k, v in config.items() if k != "admin"})

    assert connect(proxy.https, context=context_of(pki.ada)).get("/").status == 200
    assert connect(proxy.https, context=context_of()).get("/").status == 200
    proxy.stop()

    first, second = log.read_text().splitlines()
    assert first.endswith(f'error=- client_cert="CN=ada,O=Engines\\x5c, Ltd" '
                          f"client_cert_sha256={pki.ada.fingerprint()}")
    assert second.endswith("error=-")


# Without anybody's command

def test_new_list_is_noticed_by_itself(serve, pki, connect, context_of, tmp_path):
    finn = pki.root.issue("finn")
    proxy = serve("require", crl=pki.root.crl())
    assert connect(proxy.https, context=context_of(finn)).get("/").status == 200

    pki.root.revoke(finn)
    (tmp_path / "new.pem").write_text(pki.root.crl())
    (tmp_path / "new.pem").rename(tmp_path / "crl.pem")

    def is_out():
        try:
            return connect(proxy.https, context=context_of(finn)).get("/").status != 200
        except ssl.SSLError as error:
            return "revoked" in str(error).lower()
    wait_until(is_out, what="the new list")


def test_command_reads_the_rules_of_ports_too(serve, pki, connect, context_of, tmp_path):
    gina = pki.root.issue("gina")
    proxy = serve("require", crl=pki.root.crl())
    assert proxy.reload({**proxy.config, "certificates": {"watch": False}})
    metrics = proxy.control.ask("/metrics").body.decode()
    assert f'sallyport_client_auth_until_seconds{{port="{TLS_PORT}"}} ' in metrics

    (tmp_path / "crl.pem").write_text("hello\n")
    refused_ = proxy.control.command("certs", "reload")
    assert refused_.returncode == 1 and f"error: port {TLS_PORT}: " in refused_.stderr
    partly = proxy.control.command("certs", "reload", "--partial")
    assert partly.returncode == 1
    assert connect(proxy.https, context=context_of(gina)).get("/").status == 200
    pki.root.revoke(gina)
    (tmp_path / "crl.pem").write_text(pki.root.crl())
    dry = proxy.control.command("certs", "reload", "--dry-run")
    assert "rules of 1 ports would change" in dry.stdout and dry.returncode == 0
    assert connect(proxy.https, context=context_of(gina)).get("/").status == 200
    done = proxy.control.command("certs", "reload")
    assert "rules of 1 ports changed" in done.stdout and done.returncode == 0
    refused(connect, proxy, context_of(gina), "certificate revoked")
