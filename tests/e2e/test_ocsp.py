"""OCSP stapling against responders that are right, slow, wrong and dead."""
import socket
import ssl
import subprocess
import time

import pytest
from helpers.env import patience
from helpers.ocsp import (RSA, Authority, OpensslResponder, answer, free_port, stapled)
from helpers.proxy import wait_until

PORT = "127.0.0.1:0"
pytestmark = pytest.mark.tsan


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


@pytest.fixture
def responder(authority):
    """responder(): openssl's, started; the certificates are there by then."""
    started, port = [], free_port()

    def begin(**options):
        started.append(OpensslResponder(port, authority, **options))
        return started[-1]
    begin.url = f"http://localhost:{port}/"
    yield begin
    for each in started:
        each.stop()


def run(start, certs, ocsp=None, **config):
    return start.proxy(ports={PORT: {"bundles": ["site"]}}, bundles={"site": {"certs": certs}},
                       certificates={"ocsp": ocsp or {}}, **config)


def url_of(backend) -> str:
    return f"http://{backend.address}/"


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_the_responder_of_the_certificate_is_asked(start, authority, responder, version):
    certs = [authority.leaf("ec", responder.url), authority.leaf("rsa", responder.url, key=RSA)]
    responder()
    proxy = run(start, certs)
    proxy.wait_metric("tls_ocsp_good", 2)
    assert stapled(proxy.https, authority, version=version) == "good"
    rsa = ["-sigalgs", "RSA-PSS+SHA256"]
    assert stapled(proxy.https, authority, version=version, more=rsa) == "good"
    metrics = proxy.metrics()
    assert (metrics["tls_ocsp_stapled"], metrics["tls_ocsp_unstapled"]) == (2, 0)


def test_another_responder_can_be_given(start, authority, responder):
    certs = [authority.leaf("plain")]
    responder()
    proxy = run(start, certs, {"responder": responder.url})
    proxy.wait_metric("tls_ocsp_good", 1)
    assert stapled(proxy.https, authority) == "good"


def test_a_path_that_knows_no_get_is_asked_with_post(start, authority, responder):
    certs = [authority.leaf("path", responder.url + "status")]
    responder()
    proxy = run(start, certs)
    proxy.wait_metric("tls_ocsp_good", 1)


def test_a_restart_with_a_dead_responder_uses_what_was_kept(start, authority, responder, tmp_path):
    certs = [authority.leaf("kept", responder.url)]
    server = responder()
    cache = {"cache": str(tmp_path / "cache")}
    first = run(start, certs, cache)
    first.wait_metric("tls_ocsp_good", 1)
    first.stop()
    server.stop()
    second = run(start, certs, cache)
    assert stapled(second.https, authority) == "good"
    assert second.metrics()["tls_ocsp_fetches"] == 0  # it is not half as old as it gets
    second.stop()
    for file in (tmp_path / "cache").iterdir():  # what is in the folder is not believed
        response = bytearray(file.read_bytes())
        response[100] ^= 1
        file.write_bytes(response)
    third = run(start, certs, cache)
    third.wait_metric("tls_ocsp_failed_connect", 1)
    assert stapled(third.https, authority) == ""


def test_who_was_dead_is_asked_again(start, authority, responder):
    certs = [authority.leaf("late", responder.url)]
    proxy = run(start, certs)
    proxy.wait_metric("tls_ocsp_failed_connect", 1)
    assert stapled(proxy.https, authority) == ""
    responder()
    wait_until(lambda: stapled(proxy.https, authority) == "good", 20, "a staple")


def test_revoked_is_told_loudly_and_not_stapled(start, authority, responder):
    certs = [authority.leaf("revoked", responder.url)]
    authority.says("revoked", "R")
    responder()
    proxy = run(start, certs)
    proxy.wait_log(r" error tls ocsp=revoked bundle=site ")
    assert stapled(proxy.https, authority) == ""
    assert proxy.metrics()["tls_ocsp_revoked"] == 1


def test_a_response_is_asked_for_again_before_its_time_is_over(start, authority):
    responses = []
    backend = start.backend(lambda connection: answer(connection, responses[-1]))
    certs = [authority.leaf("short", url_of(backend))]
    responses.append(authority.response("short", minutes=3))
    proxy = run(start, certs)
    proxy.wait_metric("tls_ocsp_good", 1)
    again = proxy.wait_log(r"ocsp=good .* valid_for_s=(\d+) again_in_s=(\d+)")
    assert 80 <= int(again[2]) <= 105, again[0]  # of three minutes


def wrong_responses(authority, tmp_path) -> dict:
    """Name of the counter, and what the responder says."""
    other = Authority(tmp_path / "other")
    authority.leaf("another")
    return {
        "tls_ocsp_failed_other": authority.response("another"),
        "tls_ocsp_failed_signature": other.response("wrong", ca=authority),
        "tls_ocsp_failed_malformed": b"\x30\x03\x02\x01\x05",
        "tls_ocsp_failed_refused": b"\x30\x03\x0a\x01\x03",  # tryLater
        "tls_ocsp_failed_too_large": b"\x30\x84\x00\x10\x00\x00" + bytes(2000),
        "tls_ocsp_failed_unknown": None,
    }


@pytest.mark.parametrize("counter", ["tls_ocsp_failed_other", "tls_ocsp_failed_signature",
                                     "tls_ocsp_failed_malformed", "tls_ocsp_failed_refused",
                                     "tls_ocsp_failed_too_large", "tls_ocsp_failed_unknown"])
def test_what_is_wrong_is_not_stapled(start, authority, tmp_path, counter):
    said = []
    backend = start.backend(lambda connection: answer(connection, said[0]))
    certs = [authority.leaf("wrong", url_of(backend))]
    response = wrong_responses(authority, tmp_path)[counter]
    if response is None:
        authority.index.write_text("")
        response = authority.response("wrong")
    said.append(response)
    proxy = run(start, certs)
    proxy.wait_metric(counter, 1)
    assert stapled(proxy.https, authority) == ""
    assert proxy.metrics()["tls_ocsp_good"] == 0


def test_a_web_page_is_no_response(start, authority):
    def page(connection):
        answer(connection, b"<p>Hello", "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n"
                                        "Content-Length: {}\r\n\r\n")
    backend = start.backend(page)
    proxy = run(start, [authority.leaf("web", url_of(backend))])
    proxy.wait_metric("tls_ocsp_failed_http", 1)
    assert stapled(proxy.https, authority) == ""


@pytest.fixture
def silent():
    """The URL of somebody who lets everybody in and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def handshakes_a_second(address, authority, seconds=1.0) -> float:
    context = ssl.create_default_context(cafile=str(authority.ca))
    end, n, began = time.monotonic() + seconds, 0, time.monotonic()
    while time.monotonic() < end:
        with socket.create_connection(address, timeout=patience(10)) as sock:
            with context.wrap_socket(sock, server_hostname="shop.test"):
                n += 1
    return n / (time.monotonic() - began)


def test_a_responder_that_hangs_delays_nothing(start, authority, silent):
    certs = [authority.leaf("hangs", silent, must_staple=True)]
    proxy = run(start, certs, {"timeout_ms": 60000})
    proxy.wait_metric("tls_ocsp_fetches", 1)
    slowest = 0.0
    for _ in range(20):
        began = time.monotonic()
        assert stapled(proxy.https, authority) == ""
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < patience(5)
    assert handshakes_a_second(proxy.https, authority) > 5
    assert proxy.metrics()["tls_ocsp_must_staple_missing"] == 20
    began = time.monotonic()
    proxy.stop()  # nor does it hold up the end
    assert time.monotonic() - began < patience(10)


def test_a_responder_that_hangs_is_given_up(start, authority, silent):
    proxy = run(start, [authority.leaf("hangs", silent)], {"timeout_ms": 200})
    proxy.wait_metric("tls_ocsp_failed_timeout", 1)
    proxy.wait_log(r" warn tls ocsp=timeout bundle=site .* failures=1 ")


def test_a_reload_waits_for_a_certificate_that_demands_a_staple(start, authority, responder):
    old = authority.leaf("old", responder.url)
    new = authority.leaf("new", responder.url, must_staple=True)
    responder()
    proxy = run(start, [old])
    config = {**proxy.config, "bundles": {"site": {"certs": [new]}}}
    assert proxy.reload(config)
    assert stapled(proxy.https, authority) == "good"  # by the very first client
    assert proxy.metrics()["tls_ocsp_must_staple_missing"] == 0


def test_it_serves_without_when_there_is_none(start, authority, silent):
    old = authority.leaf("old")
    new = authority.leaf("new", silent, must_staple=True)
    proxy = run(start, [old], {"must_staple_wait_ms": 300})
    config = {**proxy.config, "bundles": {"site": {"certs": [new]}}}
    assert proxy.reload(config)
    proxy.wait_log(r"warn .*/bundles/site: .*demands a staple \(must-staple\), and there is none")
    assert stapled(proxy.https, authority) == ""
    assert proxy.metrics()["tls_ocsp_must_staple_missing"] == 1


def test_a_certificate_that_is_read_anew_keeps_its_staple(start, authority, responder):
    certs = [authority.leaf("same", responder.url)]
    server = responder()
    proxy = run(start, certs, {"cache": "off"})
    proxy.wait_metric("tls_ocsp_good", 1)
    server.stop()
    chain = authority.folder / "same.pem"
    chain.write_text(chain.read_text())
    assert proxy.reload()
    assert stapled(proxy.https, authority) == "good"
    assert proxy.metrics()["tls_ocsp_fetches"] == 1


def test_a_file_is_stapled_and_read_by_a_reload(start, authority):
    file = authority.folder / "site.der"
    certs = [{**authority.leaf("filed"), "ocsp": str(file)}]
    proxy = run(start, certs, {"fetch": False})
    proxy.wait_log(r"warn .*/bundles/site: .*site.der: the OCSP response cannot be read")
    assert stapled(proxy.https, authority) == ""
    file.write_bytes(authority.response("filed"))
    assert proxy.reload()
    assert stapled(proxy.https, authority) == "good"


def test_without_fetching_nobody_is_asked(start, authority, responder):
    certs = [authority.leaf("quiet", responder.url)]
    responder()
    proxy = run(start, certs, {"fetch": False})
    assert stapled(proxy.https, authority) == ""
    assert proxy.metrics()["tls_ocsp_fetches"] == 0


def test_metrics_show_every_staple(start, authority, responder):
    certs = [authority.leaf("ec", responder.url), authority.leaf("rsa", must_staple=True, key=RSA)]
    responder()
    proxy = run(start, certs)
    proxy.wait_log(r" error tls /bundles/site: the certificate demands a staple")  # and never will have
    proxy.wait_metric("tls_ocsp_good", 1)
    page = proxy.control.ask("/metrics").body.decode()
    values = dict(line.rsplit(" ", 1) for line in page.splitlines() if line.startswith("sallyport_ocsp_"))
    assert values["sallyport_ocsp_certificates"] == "2"
    assert values["sallyport_ocsp_staples"] == "1"
    assert values["sallyport_ocsp_must_staple_missing"] == "1"
    until = int(values['sallyport_ocsp_next_update_seconds{bundle="site",certificate="0"}'])
    assert 3000 < until - time.time() < 3700


def test_certs_list_shows_how_old_it_is(start, authority, responder):
    certs = [authority.leaf("listed", responder.url)]
    responder()
    proxy = run(start, certs)
    proxy.wait_metric("tls_ocsp_good", 1)
    shown = proxy.control.command("certs", "list")
    assert shown.returncode == 0 and "missing" not in shown.stdout, shown
    assert subprocess.run(["ls", proxy.config_path.with_suffix(".ocsp")], check=True,
                          capture_output=True).stdout


def test_a_file_that_changes_is_taken_without_being_asked(start, authority):
    file = authority.folder / "site.der"
    certs = [{**authority.leaf("watched"), "ocsp": str(file)}]
    file.write_bytes(authority.response("watched", minutes=5))
    proxy = run(start, certs, {"fetch": False})
    assert stapled(proxy.https, authority) == "good"
    before = proxy.control.ask("/metrics").body
    file.write_bytes(authority.response("watched", minutes=90))

    def changed():
        name = b"sallyport_ocsp_next_update_seconds{"
        line = [x for x in proxy.control.ask("/metrics").body.splitlines() if x.startswith(name)]
        return line and line[0] not in before.splitlines()
    wait_until(changed, 20, "the new response")
    assert stapled(proxy.https, authority) == "good"
