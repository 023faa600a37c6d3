"""sallyport certs: what it lists, what a name gets and why, and what a reload changes and refuses."""
import json
import os
import pty
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from helpers.env import BINARY, patience
from helpers.proxy import wait_until

PORT, STRICT = "127.0.0.1:0", "127.0.0.2:0"


@pytest.fixture
def own(tmp_path, certs):
    return certs.copy(tmp_path / "own")


@pytest.fixture
def proxy(start, own):
    start.certs = own
    return start.proxy(ports={PORT: {"bundles": ["shop", "api", "wild"]},
                              STRICT: {"bundles": ["wild", "old"], "strict_sni": True}},
                       certificates={"watch": False})


def certs_command(proxy, *arguments, **options):
    return subprocess.run([BINARY, "certs", *arguments, "--socket", proxy.control.path],
                          capture_output=True, text=True, check=False, **options)


def as_json(proxy, *arguments):
    return json.loads(certs_command(proxy, *arguments, "--json").stdout)


def serial_of(own, name) -> str:
    shown = subprocess.run(["openssl", "x509", "-in", own.chain(name), "-noout", "-serial"],
                           capture_output=True, text=True, check=True)
    return shown.stdout.strip().partition("=")[2].lower()


def fingerprint_of(own, name) -> str:
    shown = subprocess.run(["openssl", "x509", "-in", own.chain(name), "-noout", "-fingerprint",
                            "-sha256"], capture_output=True, text=True, check=True)
    return shown.stdout.strip().partition("=")[2].replace(":", "").lower()


def served(proxy, name) -> str:
    """The serial number of what a client gets."""
    host, port = proxy.addresses[PORT].rsplit(":", 1)
    shown = subprocess.run(f"openssl s_client -connect {host}:{port} -servername {name} </dev/null "
                           "2>/dev/null | openssl x509 -noout -serial", shell=True,
                           capture_output=True, text=True, check=True)
    return shown.stdout.strip().partition("=")[2].lower()


# ---- list ----

def test_the_list_has_every_certificate(proxy, own):
    bundles = {b["bundle"]: b for b in as_json(proxy, "list")["bundles"]}

    assert set(bundles) == {"shop", "api", "wild", "old"}
    assert bundles["api"]["names"] == ["alias.test", "api.test"]
    keys = {c["key"]: c for c in bundles["shop"]["certificates"]}
    assert set(keys) == {"ECDSA P-256", "RSA 2048"}
    assert keys["RSA 2048"]["serial"] == serial_of(own, "shop-rsa")
    assert keys["RSA 2048"]["fingerprint"] == fingerprint_of(own, "shop-rsa")
    assert keys["RSA 2048"]["issuer"] == "CN=sallyport end-to-end intermediate"
    assert keys["RSA 2048"]["days_left"] in (29, 30) and not keys["RSA 2048"]["expired"]
    assert "last_used" not in bundles["api"]


def test_use_is_counted_by_bundle(proxy, own):
    for _ in range(3):
        assert served(proxy, "alias.test") == serial_of(own, "api-ecdsa")
    bundles = {b["bundle"]: b for b in as_json(proxy, "list")["bundles"]}
    assert bundles["api"]["handshakes"] == 3 and bundles["api"]["last_used"]
    assert bundles["shop"]["handshakes"] == 0


def test_the_first_to_expire_stands_at_the_top(proxy, own):
    own.leaf("old-rsa", "rsa", ["old.test"], days=3)
    assert certs_command(proxy, "reload").returncode == 0
    lines = certs_command(proxy, "list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "BUNDLE", "KEY", "ISSUER", "EXPIRES", "DAYS", "STAPLE",
                                "LAST", "USED", "HANDSHAKES"]
    assert lines[1].startswith("old.test") and len(lines) == 6
    assert any(line.startswith("alias.test +1  api ") for line in lines)


def on_a_terminal(*command, env=None) -> bytes:
    """What it writes when standard output is a terminal."""
    leader, follower = pty.openpty()
    with subprocess.Popen(command, stdout=follower, env={**os.environ, **(env or {})}) as process:
        os.close(follower)
        written = b""
        try:
            while piece := os.read(leader, 65536):
                written += piece
        except OSError:  # the other side has ended
            pass
        os.close(leader)
        assert process.wait(patience(10)) == 0
    return written


def test_what_expires_soon_is_yellow_on_a_terminal_alone(proxy, own):
    own.leaf("old-rsa", "rsa", ["old.test"], days=3)
    assert certs_command(proxy, "reload").returncode == 0
    command = [BINARY, "certs", "list", "--socket", proxy.control.path]
    shown = on_a_terminal(*command, env={"TERM": "xterm", "NO_COLOR": ""})
    assert b"\x1b[33mold.test" in shown and b"\x1b[33mshop.test" not in shown
    assert b"\x1b" not in on_a_terminal(*command, env={"TERM": "xterm", "NO_COLOR": "1"})
    assert b"\x1b" not in on_a_terminal(*command, env={"TERM": "dumb", "NO_COLOR": ""})
    assert "\x1b" not in certs_command(proxy, "list").stdout


# ---- explain ----

def explained(proxy, name, port=PORT):
    answer = as_json(proxy, "explain", name, "--port", port)
    assert len(answer["ports"]) == 1
    return answer, answer["ports"][0]


@pytest.mark.parametrize("name, port, match, bundle", [
    ("shop.test", PORT, "exact", "shop"),
    ("SHOP.test.", PORT, "exact", "shop"),
    ("a.wild.test", PORT, "wildcard", "wild"),
    ("b.a.wild.test", PORT, "default", "shop"),
    ("nobody.test", PORT, "default", "shop"),
    ("", PORT, "default", "shop"),
    ("10.0.0.1", STRICT, "default", "wild"),
    ("[::1]", STRICT, "default", "wild"),
    ("old.test", STRICT, "exact", "old"),
])
def test_a_name_gets_its_bundle_and_the_reason(proxy, name, port, match, bundle):
    _, got = explained(proxy, name, port)
    assert (got["match"], got["bundle"], got["port"]) == (match, bundle, port)
    assert got["why"]
    text = certs_command(proxy, "explain", name, "--port", port).stdout
    assert f"port {port}: bundle {bundle} ({match}" in text


def test_strict_names_are_refused_and_that_is_explained(proxy):
    _, got = explained(proxy, "nobody.test", STRICT)
    assert got["match"] == "refused" and "strict_sni" in got["why"] and "bundle" not in got
    assert f"port {STRICT}: refused" in certs_command(proxy, "explain", "nobody.test").stdout


def test_what_is_shadowed_is_told(start, own):
    own.leaf("wild-ecdsa", "ecdsa", ["*.test", "x.wild.test"])
    own.leaf("api-ecdsa", "ecdsa", ["shop.test"])
    start.certs = own
    proxy = start.proxy(ports={PORT: {"bundles": ["old", "shop", "wild", "api"]}})
    _, got = explained(proxy, "shop.test")
    assert got["bundle"] == "shop"
    assert [(s["bundle"], s["match"], s.get("pattern")) for s in got["shadowed"]] == [
        ("api", "exact", "shop.test"), ("wild", "wildcard", "*.test"), ("old", "default", None)]
    text = certs_command(proxy, "explain", "shop.test").stdout
    assert "not: bundle wild (wildcard *.test): a wildcard is only asked when" in text
    assert "not: bundle api (exact shop.test): the other bundle comes first" in text


def test_who_gets_which_key_is_what_clients_get(proxy, own):
    _, got = explained(proxy, "shop.test")
    given = {c["key"]: c["for"] for c in got["certificates"]}
    assert given == {"ECDSA P-256": "clients that offer ECDSA",
                     "RSA 2048": "clients that offer no ECDSA"}
    _, got = explained(proxy, "api.test")
    assert [c["for"] for c in got["certificates"]] == ["every client"]


def test_international_names_are_asked_for_in_ascii(proxy):
    answer, got = explained(proxy, "bücher.test")
    assert answer["asked"] == "xn--bcher-kva.test" and "RFC 5890" in answer["note"]
    assert got["match"] == "default"


@pytest.mark.parametrize("name", ["https://shop.test/", "shop.test:443", "*.wild.test", "a b"])
def test_what_no_client_asks_for_is_refused(proxy, name):
    ended = certs_command(proxy, "explain", name)
    assert ended.returncode == 1 and "is no host name that a client could ask for" in ended.stderr


def test_an_unknown_port_is_told_with_the_nearest(proxy):
    ended = certs_command(proxy, "explain", "shop.test", "--port", "127.0.0.1:1")
    assert ended.returncode == 1
    assert f'no TLS port "127.0.0.1:1"; did you mean "{PORT}"?' in ended.stderr


# ---- reload ----

def test_a_reload_tells_both_certificates_and_serves_the_new_one(proxy, own):
    old = serial_of(own, "api-ecdsa"), fingerprint_of(own, "api-ecdsa")
    own.leaf("api-ecdsa", "ecdsa", ["api.test", "alias.test"])
    new = serial_of(own, "api-ecdsa"), fingerprint_of(own, "api-ecdsa")
    assert served(proxy, "api.test") == old[0]

    ended = certs_command(proxy, "reload")
    assert ended.returncode == 0, ended.stderr
    for text in ["api: changed", *old, *new]:
        assert text in ended.stdout
    assert "1 changed, 3 as before, 0 refused" in ended.stdout
    assert served(proxy, "api.test") == new[0]
    assert "0 changed, 4 as before" in certs_command(proxy, "reload").stdout


def test_the_answer_for_programs_has_it_all(proxy, own):
    old = serial_of(own, "shop-rsa")
    own.leaf("shop-rsa", "rsa", ["shop.test"])
    answer = as_json(proxy, "reload", "shop")
    assert (answer["changed"], answer["kept"], answer["refused"]) == (1, 3, 0)
    assert answer["swapped"] and not answer["dry_run"] and answer["took_ms"] > 0
    [bundle] = answer["bundles"]
    assert (bundle["bundle"], bundle["outcome"]) == ("shop", "changed")
    pairs = {p["new"]["key"]: p for p in bundle["certificates"]}
    assert pairs["RSA 2048"]["old"]["serial"] == old
    assert pairs["RSA 2048"]["new"]["serial"] == serial_of(own, "shop-rsa")
    assert pairs["RSA 2048"]["new"]["not_after"]
    assert pairs["ECDSA P-256"]["old"] == pairs["ECDSA P-256"]["new"]


def test_a_dry_run_changes_nothing(proxy, own):
    old = serial_of(own, "api-ecdsa")
    own.leaf("api-ecdsa", "ecdsa", ["api.test", "alias.test"])
    ended = certs_command(proxy, "reload", "--dry-run")
    assert ended.returncode == 0 and serial_of(own, "api-ecdsa") in ended.stdout
    assert "dry run: 1 would change, 3 stay as they are, 0 would be refused" in ended.stdout
    assert served(proxy, "api.test") == old


def test_only_the_named_bundles_are_looked_at(proxy, own):
    before = serial_of(own, "shop-ecdsa")
    own.leaf("api-ecdsa", "ecdsa", ["api.test", "alias.test"])
    own.leaf("shop-ecdsa", "ecdsa", ["shop.test"])
    ended = certs_command(proxy, "reload", "api", "wild")
    assert ended.returncode == 0 and "1 changed, 3 as before" in ended.stdout
    assert served(proxy, "api.test") == serial_of(own, "api-ecdsa")
    assert served(proxy, "shop.test") == before


def break_wild(own):
    shutil.copy(own.key("api-ecdsa"), own.key("wild-ecdsa"))


def test_one_bad_bundle_keeps_all_as_they_are(proxy, own):
    old = serial_of(own, "api-ecdsa")
    own.leaf("api-ecdsa", "ecdsa", ["api.test", "alias.test"])
    break_wild(own)
    ended = certs_command(proxy, "reload")
    assert ended.returncode == 1
    assert "nothing has changed" in ended.stderr
    assert f"error: bundle wild: {own.key('wild-ecdsa')}: " in ended.stderr
    assert served(proxy, "api.test") == old
    answer = json.loads(certs_command(proxy, "reload", "--json").stdout)
    assert answer["status"] == 422 and not answer["swapped"]
    assert answer["problems"][0]["bundle"] == "wild"
    assert answer["problems"][0]["file"] == str(own.key("wild-ecdsa"))


def test_partial_changes_the_good_ones(proxy, own):
    own.leaf("api-ecdsa", "ecdsa", ["api.test", "alias.test"])
    break_wild(own)
    ended = certs_command(proxy, "reload", "--partial")
    assert ended.returncode == 1
    assert "api: changed" in ended.stdout and "wild: refused" in ended.stdout
    assert "1 changed, 2 as before, 1 refused" in ended.stdout
    assert "error: bundle wild: " in ended.stderr
    assert served(proxy, "api.test") == serial_of(own, "api-ecdsa")
    assert certs_command(proxy, "reload", "--partial", "--json").returncode == 1


def test_an_unknown_bundle_is_told_with_the_nearest(proxy):
    ended = certs_command(proxy, "reload", "api", "shp")
    assert ended.returncode == 1 and 'no bundle "shp"; did you mean "shop"?' in ended.stderr


def test_a_canary_serves_a_share_and_then_all(proxy, own):
    old = serial_of(own, "api-ecdsa")
    own.leaf("api-ecdsa", "ecdsa", ["api.test", "alias.test"])
    new = serial_of(own, "api-ecdsa")
    ended = certs_command(proxy, "reload", "--canary", "50%", "--canary-for", "2s")
    assert ended.returncode == 0 and "canary: 50% of the handshakes" in ended.stdout, ended.stderr
    assert {served(proxy, "api.test") for _ in range(4)} == {old, new}
    wait_until(lambda: {served(proxy, "api.test") for _ in range(4)} == {new}, 20, "the end of it")


@pytest.mark.parametrize("arguments", [
    [], ["lists"], ["list", "shop"], ["list", "--partial"], ["explain"], ["explain", "a", "b"],
    ["explain", "a", "--dry-run"], ["reload", "--port", "443"], ["reload", "--canary", "0%"],
    ["reload", "--canary", "101%"], ["reload", "--canary", "a"], ["reload", "--canary", "5%%"],
    ["reload", "--canary-for", "60s"], ["reload", "--canary", "5", "--canary-for", "2d"],
    ["reload", "--canary", "5", "--canary-for", "0s"], ["reload", "--nonsense"],
])
def test_what_is_not_understood_ends_with_two(tmp_path, arguments):
    ended = subprocess.run([BINARY, "certs", *arguments, "-s", Path(tmp_path) / "none.sock"],
                           capture_output=True, text=True, check=False)
    assert ended.returncode == 2 and "usage: sallyport certs" in ended.stderr


def test_nobody_there_is_no_usage_error(tmp_path):
    ended = subprocess.run([BINARY, "certs", "list", "-s", tmp_path / "none.sock"],
                           capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and "none.sock" in ended.stderr


# ---- Metrics and status ----

def metric(proxy, line) -> float:
    """The value of one line of GET /metrics; -1: there is none."""
    for row in proxy.control.ask("/metrics").body.decode().splitlines():
        if row.startswith(f"{line} "):
            return float(row.rpartition(" ")[2])
    return -1


def reloads(proxy, trigger, result):
    return metric(proxy, f'sallyport_certificate_reloads_total{{trigger="{trigger}",result="{result}"}}')


def test_metrics_have_expiry_use_and_reloads(proxy, own):
    assert served(proxy, "api.test")
    expiry = metric(proxy, 'sallyport_certificate_expiry_timestamp_seconds'
                           '{bundle="api",name="alias.test"}')
    assert 28 * 86400 < expiry - time.time() < 31 * 86400
    assert metric(proxy, 'sallyport_certificate_handshakes_total{bundle="api"}') == 1
    assert metric(proxy, 'sallyport_certificate_handshakes_failed_total{bundle="api"}') == 0
    assert metric(proxy, "sallyport_certificate_last_reload_timestamp_seconds") == -1

    certs_command(proxy, "reload")
    certs_command(proxy, "reload", "--dry-run")
    assert reloads(proxy, "command", "ok") == 1
    assert metric(proxy, "sallyport_certificate_last_reload_good") == 1
    assert abs(metric(proxy, "sallyport_certificate_last_reload_timestamp_seconds") - time.time()) < 60
    break_wild(own)
    certs_command(proxy, "reload")
    certs_command(proxy, "reload", "--partial")
    assert reloads(proxy, "command", "refused") == 1 and reloads(proxy, "command", "partly") == 1
    assert metric(proxy, "sallyport_certificate_last_reload_good") == 0
    assert not proxy.reload()
    assert reloads(proxy, "signal", "refused") == 1 and reloads(proxy, "signal", "ok") == 0


def test_what_the_watch_does_is_counted(start, own):
    start.certs = own
    proxy = start.proxy(ports={PORT: {"bundles": ["api", "wild"]}})
    own.leaf("api-ecdsa", "ecdsa", ["api.test", "alias.test"])
    wait_until(lambda: reloads(proxy, "watch", "ok") == 1, 20, "the reload")
    assert reloads(proxy, "watch", "refused") == reloads(proxy, "apply", "ok") == 0
    break_wild(own)
    wait_until(lambda: reloads(proxy, "watch", "refused") == 1, 30, "giving it up")
    assert reloads(proxy, "watch", "ok") == 1


def test_status_has_the_next_to_expire_and_the_last_reload(proxy, own):
    own.leaf("old-rsa", "rsa", ["old.test"], days=3)
    certs_command(proxy, "reload")
    told = proxy.control.ask("/status").json()["certificates"]
    assert (told["bundles"], told["expired"]) == (4, 0)
    assert told["nearest_expiry"]["bundle"] == "old" and told["nearest_expiry"]["time"]
    assert (told["last_reload"]["trigger"], told["last_reload"]["result"]) == ("command", "ok")
    shown = subprocess.run([BINARY, "status", "--socket", proxy.control.path], capture_output=True,
                           text=True, check=True).stdout
    assert "certificates 4 bundles, 0 expired; the next to expire is old: " in shown
    assert "by command: ok" in shown
