"""Thousands of bundles: what they cost, that only what changed is read, and that reloads leave nothing
behind."""
import collections
import ctypes
import os
import struct
import time

import pytest
from helpers.cert_site import ANSWER, PATIENT, TLS
from helpers.clients import Clients
from helpers.env import scaled
from helpers.issuing import bundle, replace
from helpers.proxy import wait_until

STAYING = {"keep_alive_timeout_ms": 600000}
IN_OPEN = 0x20


class Opened:
    """Which files of a folder are opened meanwhile (inotify(7)), and how often."""

    def __init__(self, folder):
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._fd >= 0 and libc.inotify_add_watch(self._fd, os.fsencode(folder), IN_OPEN) >= 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._fd)

    def files(self) -> collections.Counter:
        found = collections.Counter()
        while True:
            try:
                data = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return found
            while data:
                length = struct.unpack_from("iIII", data)[3]
                name = data[16:16 + length].rstrip(b"\0").decode()
                if name:  # else the folder itself
                    found[name] += 1
                data = data[16 + length:]


class Many:
    """So many bundles, hostN.test in a file of its own, and a proxy that serves them all."""

    def __init__(self, start, issuer, n: int, **config):
        self.issuer, self.n = issuer, n
        config.setdefault("certificates", {"watch": False})
        self.folder = start.folder / f"bundles{len(start.programs)}"
        self.folder.mkdir()
        self.serials = [self.renew(i) for i in range(n)]
        names = [f"host{i}" for i in range(n)]
        began = time.monotonic()
        self.proxy = start.proxy(ports={TLS: {"bundles": names, "limits": STAYING}},
                                 routes=ANSWER,
                                 bundles={name: bundle(self.file(i))
                                          for i, name in enumerate(names)},
                                 handshake=PATIENT, **config)
        self.started_s = time.monotonic() - began

    def file(self, i: int):
        return self.folder / f"host{i}.pem"

    def renew(self, i: int) -> str:
        made = self.issuer.make(f"host{i}.test")
        replace(self.file(i), made.pem)
        return made.serial

    def reload(self, query: str = "") -> dict:
        answer = self.proxy.control.ask(f"/certs/reload{query}", "POST")
        assert answer.status == 200, answer.body
        return answer.json()


@pytest.fixture(scope="module")
def many(start_module, issuer):
    return Many(start_module, issuer, scaled(10000, 500))


def test_all_of_them_are_listed(many):
    bundles = many.proxy.control.ask("/certs").json()["bundles"]

    assert len(bundles) == many.n
    assert [b["names"] for b in bundles] == [[f"host{i}.test"] for i in range(many.n)]
    serials = [b["certificates"][0]["serial"].upper() for b in bundles]
    assert serials == many.serials
    ended = many.proxy.control.command("certs", "list")
    assert ended.returncode == 0 and len(ended.stdout.splitlines()) == many.n + 1
    print(f"{many.n} bundles: serving after {many.started_s:.2f} s")


def test_of_all_only_the_one_that_changed_is_read(many, serial_of):
    which = many.n * 2 // 3
    serial = many.renew(which)
    with Opened(many.folder) as opened:
        answer = many.reload()
        assert set(opened.files()) == {f"host{which}.pem"}

    assert (answer["changed"], answer["kept"], answer["refused"]) == (1, many.n - 1, 0)
    assert [b["bundle"] for b in answer["bundles"]] == [f"host{which}"]
    assert serial_of(many.proxy, f"host{which}.test") == serial
    assert serial_of(many.proxy, "host0.test") == many.serials[0]
    print(f"one of {many.n} changed: reload in {answer['took_ms']:.1f} ms")

    with Opened(many.folder) as opened:
        answer = many.reload()
        assert not opened.files()
    assert answer["changed"] == 0
    many.serials[which] = serial


def test_of_all_only_the_named_one_is_looked_at(many, serial_of):
    one, other = 3, 4
    serial, left = many.renew(one), many.renew(other)

    assert many.reload(f"?bundle=host{one}")["changed"] == 1

    assert serial_of(many.proxy, f"host{one}.test") == serial
    assert serial_of(many.proxy, f"host{other}.test") == many.serials[other]
    assert many.reload()["changed"] == 1
    many.serials[one], many.serials[other] = serial, left


def test_one_bad_file_among_all_is_named(many):
    which = many.n // 3
    good = many.file(which).read_bytes()
    replace(many.file(which), b"")

    ended = many.proxy.control.command("certs", "reload")

    assert ended.returncode == 1
    lines = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert lines and all(f"bundle host{which}: {many.file(which)}: " in line for line in lines)
    replace(many.file(which), good)
    assert many.reload()["refused"] == 0


def test_a_watch_sees_the_one_that_changes(start, issuer, serial_of):
    many = Many(start, issuer, scaled(2000, 200), certificates={"watch": True})
    which = many.n // 2
    with Opened(many.folder) as opened:
        serial = many.renew(which)
        wait_until(lambda: serial_of(many.proxy, f"host{which}.test") == serial)
        assert set(opened.files()) == {f"host{which}.pem", f"host{which}.pem.new"}
    assert serial_of(many.proxy, "host0.test") == many.serials[0]


def test_a_name_among_all_is_explained(many):
    which = many.n - 7
    ended = many.proxy.control.command("certs", "explain", f"host{which}.test")

    assert ended.returncode == 0
    assert f"bundle host{which} (exact host{which}.test)" in ended.stdout


@pytest.mark.whole_process
def test_a_bundle_costs_little_memory(many, start, issuer):
    few = Many(start, issuer, 100)
    each = (many.proxy.rss_bytes() - few.proxy.rss_bytes()) / (many.n - few.n)
    print(f"a bundle (P-256, one intermediate) takes {each / 1024:.1f} KiB")
    assert each < 24 * 1024


@pytest.mark.whole_process
def test_a_thousand_reloads_leave_nothing_behind(start, issuer, connect, context):
    """With clients all the time, and connections that stay as long as 200 others take to come."""
    many = Many(start, issuer, scaled(1000, 200))
    load = Clients(start, many.proxy.https, "host0.test", processes=(("resuming",),))
    pems = [[issuer.make(f"host{i}.test").pem for _ in range(2)] for i in range(50)]
    held, rss = collections.deque(), {}

    for n in range(1000):
        replace(many.file(n % 50), pems[n % 50][n // 50 % 2])
        assert many.reload()["changed"] == 1
        name = f"host{n % 50}.test"
        held.append(connect(many.proxy.https, context=context, server_name=name))
        assert held[-1].get("/").status == 200
        if len(held) > 200:
            held.popleft().close()
        if n + 1 in (1, 250, 500, 1000):
            rss[n + 1] = many.proxy.rss_bytes()

    assert all(client.get("/").status == 200 for client in held)
    done = load.end()
    print("; ".join(f"{n} reloads: {bytes_ >> 20} MiB" for n, bytes_ in rss.items()),
          f"; {done['requests']} requests")
    assert many.proxy.metrics()["tls_handshakes_failed"] == 0
    assert rss[1000] < rss[250] + 8 * 1024 * 1024
