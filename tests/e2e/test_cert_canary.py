"""New certificates for a share of the handshakes first: how large it is, and how it ends."""
import json
import ssl
import time

import pytest
from helpers.cert_site import ANSWER, Site
from helpers.env import patience, scaled
from helpers.issuing import replace
from helpers.proxy import wait_until


@pytest.fixture
def site(start, issuer):
    return Site(start, issuer)


def begin(site, share, seconds=60, query=""):
    """With whatever is in the files by now."""
    answer = site.proxy.control.ask(f"/certs/reload?canary={share}&canary_s={seconds}{query}",
                                    "POST")
    assert answer.status == 200, answer.body
    assert answer.json()["canary"] and not answer.json()["swapped"]


def canary(site) -> dict:
    return site.proxy.control.ask("/certs/canary").json()


def count(site, serial_of, n, name="shop.test") -> dict:
    """How many of so many handshakes got which certificate."""
    seen = {}
    for _ in range(n):
        serial = serial_of(site.proxy, name)
        seen[serial] = seen.get(serial, 0) + 1
    return seen


def all_get(site, serial_of, serial, name="shop.test"):
    assert count(site, serial_of, 10, name) == {serial: 10}


# ---- The share ----

@pytest.mark.parametrize("share", [0.5, 5, 30, 100])
def test_so_many_get_the_new_one(site, serial_of, share):
    old, new = site.serials["shop"], site.renew("shop")
    n = scaled(400, 200)
    begin(site, share)

    seen = count(site, serial_of, n)

    assert set(seen) <= {old, new}
    assert abs(seen.get(new, 0) - n * share / 100) <= 1
    # The server has done the last one when it has read what the client sent at its end.
    def counted():
        bundle, = canary(site)["bundles"]
        return bundle["bundle"] == "shop" and (
            bundle["handshakes"], bundle["old_handshakes"]) == (seen.get(new, 0), seen.get(old, 0))
    wait_until(counted, 10, "their count")


def test_what_did_not_change_is_not_tried(site, serial_of):
    site.renew("shop")
    begin(site, 50)
    all_get(site, serial_of, site.serials["api"], "api.test")
    answer = site.proxy.control.ask("/certs/reload?canary=50", "POST").json()
    assert answer["changed"] == 1  # not in force yet, so it still is a change


# ---- It ends by itself ----

@pytest.mark.tsan
def test_it_completes_when_clients_like_it(site, clients, serial_of):
    load = clients(site.proxy)
    new = site.renew("shop")

    begin(site, 20, seconds=2)
    wait_until(lambda: not canary(site)["active"], 20, "the end of the canary")

    all_get(site, serial_of, new)
    done = load.end()
    assert {site.serials["shop"], new} == set(done["serials"])
    metrics = site.proxy.metrics()
    assert metrics["tls_canaries_completed"] == 1 and metrics["tls_canaries_reverted"] == 0
    assert metrics["tls_handshakes_failed"] == 0


def self_signed(site):
    site.renew("shop", self_signed=True)


def of_another_name(site):
    replace(site.files["shop"], site.issuer.make("other.test").pem)


def refusals_until_it_ends(site, serial_of) -> int:
    """Clients that come until the canary has ended: how many did not like what they got."""
    refused, end = 0, time.monotonic() + patience(20)
    while canary(site)["active"]:
        assert time.monotonic() < end
        for _ in range(10):
            try:
                serial_of(site.proxy, "shop.test")
            except ssl.SSLCertVerificationError:
                refused += 1
    return refused


@pytest.mark.tsan
@pytest.mark.parametrize("spoil", [self_signed, of_another_name], ids=lambda f: f.__name__)
def test_it_goes_back_when_clients_do_not(site, serial_of, spoil):
    spoil(site)
    begin(site, 30)

    refused = refusals_until_it_ends(site, serial_of)

    all_get(site, serial_of, site.serials["shop"])
    metrics = site.proxy.metrics()
    assert metrics["tls_canaries_reverted"] == 1 and metrics["tls_canaries_completed"] == 0
    said = site.proxy.wait_log(r'canary=went_back reason="bundle shop: (\d+) of (\d+) handshakes')
    print(f"{refused} clients refused it before it went back: {said[0]}")
    assert refused >= int(said[1]) >= 3


def test_clients_that_resume_hide_nothing(site, connect, certs, serial_of):
    """They have seen the old certificate and do not look at the new one."""
    context = certs.context()
    session = connect(site.proxy.https, context=context)
    assert session.get("/").status == 200
    session = session.sock.session
    self_signed(site)
    begin(site, 50)

    refused, end = 0, time.monotonic() + patience(20)
    while canary(site)["active"]:
        assert time.monotonic() < end, "many more would have been refused"
        for _ in range(60):
            with connect(site.proxy.https, context=context, session=session) as client:
                assert client.sock.session_reused and client.get("/").status == 200
                session = client.sock.session
        for _ in range(3):
            try:
                serial_of(site.proxy, "shop.test")
            except ssl.SSLCertVerificationError:
                refused += 1

    assert site.proxy.metrics()["tls_canaries_reverted"] == 1
    print(f"{refused} clients refused it before it went back")


def test_a_person_may_insist_on_what_went_back(site, certs, connect):
    site.renew("shop", self_signed=True)
    begin(site, 50)
    assert site.proxy.control.ask("/certs/canary/back", "POST").status == 200

    assert site.reload().returncode == 0

    with pytest.raises(ssl.SSLCertVerificationError):
        connect(site.proxy.https)


# ---- Somebody ends it ----

def test_a_person_ends_it(site, serial_of):
    control = site.proxy.control
    assert control.ask("/certs/canary/complete", "POST").status == 409
    old, new = site.serials["shop"], site.renew("shop")

    begin(site, 50)
    assert control.command("certs", "canary", "back").returncode == 0
    assert not canary(site)["active"]
    all_get(site, serial_of, old)

    begin(site, 50)
    assert control.command("certs", "canary", "complete").returncode == 0
    assert not canary(site)["active"]
    all_get(site, serial_of, new)


def test_another_reload_ends_it(site, serial_of):
    site.renew("shop")
    begin(site, 50)
    other = site.renew("api")

    assert site.reload("api").returncode == 0

    assert not canary(site)["active"]
    all_get(site, serial_of, site.serials["shop"])
    all_get(site, serial_of, other, "api.test")


def test_a_reload_that_is_refused_does_not_end_it(site, serial_of):
    old, new = site.serials["shop"], site.renew("shop")
    begin(site, 50)
    replace(site.files["api"], b"")

    assert site.reload().returncode == 1
    assert site.reload("--dry-run").returncode == 1

    assert canary(site)["active"]
    assert set(count(site, serial_of, 10)) == {old, new}


def test_another_configuration_ends_it(site, serial_of):
    new = site.renew("shop")
    begin(site, 50)
    config = {**site.proxy.config, "routes": [{"path": "/x", "respond": {"text": "x"}}, *ANSWER]}
    replace(site.proxy.config_path, json.dumps(config).encode())

    ended = site.proxy.control.command("config", "apply", str(site.proxy.config_path))

    assert ended.returncode == 0, ended.stderr
    assert not canary(site)["active"]
    all_get(site, serial_of, site.serials["shop"])
    assert site.proxy.reload()  # SIGHUP looks at the files
    all_get(site, serial_of, new)


def test_the_program_ends_in_the_middle_of_one(site):
    site.renew("shop")
    begin(site, 50)
    site.proxy.stop()


@pytest.mark.whole_process  # a watch that is as quick as usual, and a client that is quicker
def test_the_watch_leaves_alone_what_went_back(start, issuer, serial_of):
    site = Site(start, issuer, certificates={"watch": True})
    self_signed(site)
    begin(site, 30)
    refusals_until_it_ends(site, serial_of)

    site.renew("api")  # something else to look at
    wait_until(lambda: serial_of(site.proxy, "api.test") != site.serials["api"])
    all_get(site, serial_of, site.serials["shop"])

    new = site.renew("shop")
    wait_until(lambda: serial_of(site.proxy, "shop.test") == new)
    assert site.proxy.metrics()["tls_canaries_begun"] == 1
