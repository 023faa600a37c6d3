"""Certificates that are replaced while clients use the port at full speed: nobody notices, and
whatever is wrong with new ones costs nothing."""
import collections
import json
import signal
import statistics
import threading
import time

import pytest
from helpers.cert_site import ANSWER, Site
from helpers.clients import Clients
from helpers.env import patience, scaled
from helpers.issuing import key_pem, new_key, replace
from helpers.proxy import wait_until

SERVED_WITHIN_S = 0.1  # of the command's return


@pytest.fixture
def site(start, issuer):
    return Site(start, issuer)


# ---- Good ones ----

@pytest.mark.tsan
def test_nobody_notices_that_certificates_change_all_the_time(site, clients, serial_of):
    load = clients(site.proxy)
    waits_s, end = [], time.monotonic() + 8

    while len(waits_s) < 3 or len(waits_s) < scaled(100) and time.monotonic() < end:
        serial = site.renew("shop")
        ended = site.reload()
        returned = time.monotonic()
        assert ended.returncode == 0, ended.stderr
        assert serial_of(site.proxy, "shop.test") == serial
        waits_s.append(time.monotonic() - returned)

    done = load.end()
    print(f"{len(waits_s)} reloads; the new one was served {statistics.median(waits_s) * 1000:.1f} ms "
          f"after the command's return (median; at most {max(waits_s) * 1000:.1f} ms, a handshake "
          f"included); clients meanwhile: {done['requests']} requests, {done['full']} full and "
          f"{done['resumed']} resumed handshakes, {len(done['serials'])} certificates seen")
    assert statistics.median(waits_s) < patience(SERVED_WITHIN_S)
    assert done["resumed"] > 0 and len(done["serials"]) > 1
    metrics = site.proxy.metrics()
    assert metrics["tls_handshakes_failed"] == 0


# ---- Bad ones ----

def missing(site):
    site.files["shop"].unlink()


def empty(site):
    replace(site.files["shop"], b"")


def damaged(site):
    pem = site.issuer.make("shop.test").pem
    replace(site.files["shop"], pem[:200] + b"!" + pem[201:])


def cut_short(site):
    replace(site.files["shop"], site.issuer.make("shop.test").pem[:500])


def key_of_another(site):
    made = site.issuer.make("shop.test")
    replace(site.files["shop"], made.chain + key_pem(new_key()))


def expired(site):
    site.renew("shop", days=-1)


# What is done to the file of "shop", and a word of what is said about it.
BAD = {missing: "No such file", empty: "is empty", damaged: "", cut_short: "",
       key_of_another: "does not belong", expired: "expired"}


@pytest.fixture(scope="module")
def busy(start_module, issuer):
    """A site that clients use all the time, while its files become good and bad."""
    site = Site(start_module, issuer)
    load = Clients(start_module, site.proxy.https, "shop.test")
    yield site
    done = load.end()
    assert done["requests"] > 0 and site.proxy.metrics()["tls_handshakes_failed"] == 0


@pytest.fixture
def sound(busy):
    """The same, with all files good and served at the beginning."""
    for name in busy.files:
        busy.serials[name] = busy.renew(name)
    ended = busy.reload()
    assert ended.returncode == 0, ended.stderr
    return busy


@pytest.mark.parametrize("spoil", BAD, ids=lambda f: f.__name__)
def test_a_bad_bundle_keeps_all_the_old_ones(sound, serial_of, spoil):
    sound.renew("api")
    spoil(sound)

    ended = sound.reload()

    assert ended.returncode == 1
    assert f"bundle shop: {sound.files['shop']}: " in ended.stderr and BAD[spoil] in ended.stderr
    assert "error: bundle api" not in ended.stderr
    for name in ("shop", "api"):
        assert serial_of(sound.proxy, f"{name}.test") == sound.serials[name]


@pytest.mark.parametrize("spoil", BAD, ids=lambda f: f.__name__)
def test_with_partial_the_good_one_changes(sound, serial_of, spoil):
    new = sound.renew("api")
    spoil(sound)

    ended = sound.reload("--partial")

    assert ended.returncode == 1
    assert f"bundle shop: {sound.files['shop']}: " in ended.stderr
    assert serial_of(sound.proxy, "shop.test") == sound.serials["shop"]
    assert serial_of(sound.proxy, "api.test") == new


@pytest.mark.parametrize("spoil", BAD, ids=lambda f: f.__name__)
def test_a_dry_run_tells_the_same_and_changes_nothing(sound, serial_of, spoil):
    sound.renew("api")
    told = sound.reload("--dry-run")
    assert told.returncode == 0 and "api: changed" in told.stdout
    spoil(sound)

    for options in (["--dry-run"], ["--dry-run", "--partial"]):
        ended = sound.reload(*options)
        assert ended.returncode == 1
        assert f"bundle shop: {sound.files['shop']}: " in ended.stderr
        for name in ("shop", "api"):
            assert serial_of(sound.proxy, f"{name}.test") == sound.serials[name]


def test_what_was_bad_is_served_when_it_is_good_again(sound, serial_of):
    damaged(sound)
    assert sound.reload().returncode == 1
    new = sound.renew("shop")

    assert sound.reload().returncode == 0
    assert serial_of(sound.proxy, "shop.test") == new


def test_a_file_that_is_written_over_in_place_is_seen(sound, serial_of):
    """The same inode, the same length, and moments later."""
    first = sound.issuer.make("shop.test")
    sound.files["shop"].write_bytes(first.pem)
    assert sound.reload().returncode == 0
    made = sound.issuer.make("shop.test")
    while len(made.pem) != len(first.pem):
        made = sound.issuer.make("shop.test")

    for now in [made, first] * scaled(20, 5):
        time.sleep(0.01)  # more than a file system's clock takes for a step
        sound.files["shop"].write_bytes(now.pem)
        answer = sound.proxy.control.ask("/certs/reload", "POST")
        assert answer.status == 200 and answer.json()["changed"] == 1
        assert serial_of(sound.proxy, "shop.test") == now.serial


# ---- Everything at once ----

@pytest.mark.tsan
def test_commands_signals_and_configurations_at_the_same_time(site, clients, serial_of,
                                                              in_background):
    load = clients(site.proxy)
    control = site.proxy.control
    over = threading.Event()
    seen = collections.Counter()
    renewing = threading.Lock()
    base = site.proxy.config

    def until_over(what):
        def run():
            while not over.is_set():
                what()
        return run

    def by_command():
        with renewing:
            site.renew("shop")
        seen[f"command {site.reload().returncode}"] += 1

    def by_request():
        with renewing:
            site.renew("api")
        answer = control.ask("/certs/reload?bundle=api", "POST")
        seen[f"request {answer.status}"] += 1

    def by_canary():
        answer = control.ask("/certs/reload?canary=50&canary_s=1", "POST")
        seen[f"canary {answer.status}"] += 1
        for target in ("/certs/canary", "/certs", "/certs/explain?name=shop.test"):
            assert control.ask(target).status == 200
        control.ask("/certs/canary/complete", "POST")

    def by_signal():
        site.proxy.signal(signal.SIGHUP)
        time.sleep(0.02)

    def by_configuration():
        n = seen["configuration"]
        config = {**base, "routes": [{"path": f"/{n}", "respond": {"text": "other\n"}}, *ANSWER]}
        replace(site.proxy.config_path, json.dumps(config).encode())
        ended = control.command("config", "apply", str(site.proxy.config_path))
        seen["configuration"] += 1
        seen[f"apply {ended.returncode}"] += 1

    threads = [in_background(until_over(what)) for what in (
        by_command, by_command, by_request, by_canary, by_signal, by_configuration)]
    time.sleep(4)
    over.set()
    for thread in threads:
        thread.join(patience(30))
    wait_until(lambda: not control.ask("/certs/canary").json()["active"], 30, "the canary's end")
    serial = site.renew("shop")
    wait_until(lambda: site.reload().returncode == 0 and
               serial_of(site.proxy, "shop.test") == serial, 10, "the last certificate")

    done = load.end()
    print(dict(seen), {k: v for k, v in done.items() if k != "serials"})
    assert set(seen) >= {"command 0", "request 200", "canary 200", "apply 0"}
    assert not [what for what in seen if what.endswith((" 1", " 422", " 503"))], seen
    assert site.proxy.metrics()["tls_handshakes_failed"] == 0
