"""Handshakes that fail: what the control socket and `sallyport handshakes` tell about them."""
import json
import re
import select
import ssl
import subprocess

import pytest
from helpers.backend import answering
from helpers.env import BINARY
from helpers.proxy import wait_until


@pytest.fixture
def proxy(start):
    return start.proxy({"app": [start.backend(answering()).address]})


def fail_with_alpn(connect, certs, proxy, name="shop.test"):
    with pytest.raises(ssl.SSLError):
        connect(proxy.https, context=certs.context(alpn=["spdy/3"]), server_name=name)


def failures(proxy, query="") -> list:
    return proxy.control.ask(f"/handshakes?failed{query}").json()["failed"]


def wait_failures(proxy, n) -> list:
    return wait_until(lambda: len(f := failures(proxy)) >= n and f, 10, f"{n} failures")


def command(proxy, *options) -> str:
    return subprocess.run([BINARY, "handshakes", "--socket", proxy.control.path, *options],
                          capture_output=True, check=True, text=True).stdout


def test_failure_is_told_with_what_was_offered(proxy, connect, certs):
    fail_with_alpn(connect, certs, proxy)

    failure, = wait_failures(proxy, 1)
    assert failure["err"] == "tls_alpn" and failure["reason"]
    assert failure["alert_sent"] == "no_application_protocol" and "alert_received" not in failure
    assert failure["sni"] == "shop.test" and failure["port"] == "127.0.0.1:0"
    assert failure["peer"].startswith("127.0.0.1:")
    assert failure["alpn"] == ["spdy/3"]
    assert failure["versions"][:2] == ["TLSv1.3", "TLSv1.2"]
    assert "X25519" in failure["groups"] and "P-256" in failure["groups"]
    assert "rsa_pss_rsae_sha256" in failure["signature_algorithms"]
    assert re.fullmatch(r"t13d\d{4}s3_[0-9a-f]{12}_[0-9a-f]{12}", failure["ja4"])


def test_client_that_does_not_believe_us_is_told_by_its_alert(proxy, connect):
    nobody = ssl.create_default_context()
    nobody.check_hostname = False
    with pytest.raises(ssl.SSLError):
        connect(proxy.https, context=nobody)

    failure, = wait_failures(proxy, 1)
    assert failure["err"] == "tls_alert" and failure["alert_received"] == "unknown_ca"
    assert failure["sni"] == "shop.test" and failure["ja4"].startswith("t13d")
    assert failure["crypto_us"] > 0


def test_same_client_has_the_same_fingerprint(proxy, connect, certs):
    for name in ("shop.test", "api.test"):
        fail_with_alpn(connect, certs, proxy, name)
    with pytest.raises(ssl.SSLError):
        connect(proxy.https, context=certs.context(highest=ssl.TLSVersion.TLSv1_2,
                                                   alpn=["spdy/3"]))

    first, second, older = wait_failures(proxy, 3)
    assert first["ja4"] == second["ja4"] != older["ja4"]
    assert older["ja4"].startswith("t12d")


def test_totals_tell_what_was_agreed_on(proxy, connect, certs):
    connect(proxy.https).get("/")
    connect(proxy.https, context=certs.context(highest=ssl.TLSVersion.TLSv1_2)).get("/")
    fail_with_alpn(connect, certs, proxy)
    wait_failures(proxy, 1)

    totals = proxy.control.ask("/handshakes").json()["totals"]
    assert totals["full"] == 2 and totals["failed"] == 1 and totals["full_cpu_us"] > 0
    assert totals["versions"] == {"TLSv1.2": 1, "TLSv1.3": 1}
    assert totals["groups"]["X25519"] == 2
    assert sum(totals["ciphers"].values()) == 2
    assert totals["reasons"]["alpn"] == 1
    metrics = proxy.metrics()
    assert metrics["tls_handshake_crypto_us"] == 2 and metrics["tls_handshake_ms"] == 2


def test_plain_http_is_a_failure_without_an_offer(proxy, connect):
    assert connect(proxy.https, tls=False).get("/").status == 400

    failure, = wait_failures(proxy, 1)
    assert failure["err"] == "tls_plain_http" and "ja4" not in failure


def test_answer_can_be_asked_for_in_parts(proxy, connect, certs):
    for _ in range(5):
        fail_with_alpn(connect, certs, proxy)
    everything = wait_failures(proxy, 5)

    assert [f["number"] for f in everything] == [1, 2, 3, 4, 5]
    assert [f["number"] for f in failures(proxy, "&limit=2")] == [4, 5]
    assert [f["number"] for f in failures(proxy, "&after=3")] == [4, 5]
    assert proxy.control.ask("/handshakes?limit=1001").status == 400


def test_command_shows_numbers_and_failures(proxy, connect, certs):
    connect(proxy.https).get("/")
    fail_with_alpn(connect, certs, proxy)
    wait_failures(proxy, 1)

    shown = command(proxy)
    assert re.search(r"^completed +1 full \(\d+ us of CPU each\), 0 resumed$", shown, re.M)
    assert re.search(r"^versions +TLSv1.3 1$", shown, re.M)
    assert "> no_application_protocol" in shown and "shop.test" in shown
    only = command(proxy, "--failed")
    assert "completed" not in only and "> no_application_protocol" in only
    assert json.loads(command(proxy, "--json"))["totals"]["failed"] == 1


def test_command_follows(proxy, start, connect, certs):
    fail_with_alpn(connect, certs, proxy)  # is not told
    wait_failures(proxy, 1)
    plain = start.client(BINARY, "handshakes", "--follow", "--socket", proxy.control.path,
                         stdout=subprocess.PIPE, text=True)
    as_json = start.client(BINARY, "handshakes", "--follow", "--json", "--socket",
                           proxy.control.path, stdout=subprocess.PIPE, text=True)

    def told(follower) -> bool:
        """A handshake before the follower is there is not told."""
        fail_with_alpn(connect, certs, proxy, "api.test")
        return bool(select.select([follower.stdout], [], [], 0.7)[0])
    wait_until(lambda: told(plain), 20, "a line")
    wait_until(lambda: told(as_json), 20, "a line of JSON")
    assert "name=api.test" in plain.stdout.readline()
    assert json.loads(as_json.stdout.readline())["sni"] == "api.test"
    for follower in (plain, as_json):
        follower.terminate()
        follower.wait()
