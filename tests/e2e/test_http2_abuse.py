"""Peers that abuse HTTP/2: a budget of the connection ends each, with a reason, while everybody else
is served as ever and memory stays where it was."""
import json
import subprocess
import sys
import threading
import time

import pytest
from helpers.abuse import ABUSES
from helpers.env import ROOT, SLOWDOWN, patience, scaled
from helpers.http2 import ENHANCE_YOUR_CALM, Http2Client

WAITING = "127.0.0.3:0"  # where what only time tells is told soon
CONNECTIONS = 50
SECONDS = 0.3
MIB = 1 << 20
# Of resident memory while CONNECTIONS clients abuse it, on top of what an idle proxy has: the figure
# of docs/manual/limits.md, with room for the allocator's. Streams whose windows stay shut cost most.
MOST_MEMORY = 256 * MIB


@pytest.fixture(scope="module")
def proxy(start_module):
    """/text is everybody's, the rest is the abusers'."""
    hang = start_module.client(sys.executable, "-m", "helpers.hang", cwd=ROOT / "tests/e2e",
                               stdout=subprocess.PIPE, text=True)
    nginx = start_module.nginx()
    (nginx.root / "big").write_bytes(bytes(MIB))
    routes = [{"path": "/text", "backend": "app"}, {"path": "/big", "backend": "app"},
              {"backend": "hang"}]
    impatient = {"body_timeout_ms": 500, "send_timeout_ms": 500}
    proxy = start_module.proxy({"app": [nginx.address], "hang": [hang.stdout.readline().strip()]},
                               routes=routes,
                               ports={"127.0.0.1:0": {"bundles": ["shop"]},
                                      "127.0.0.2:0": {"tls": False, "h2c": True},
                                      WAITING: {"tls": False, "h2c": True, "limits": impatient}})
    proxy.idle_bytes = proxy.rss_bytes()
    return proxy


class Bystander:
    """Asks every few milliseconds and takes the time."""

    def __init__(self, client):
        self.client = client
        self.took = []
        self.errors = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._stop.wait(0.005):
                began = time.monotonic()
                assert self.client.get("/text").body == b"hello from nginx\n"
                self.took.append(time.monotonic() - began)
        except BaseException as error:  # pylint: disable=broad-except
            self.errors.append(error)

    def stop(self) -> list:
        self._stop.set()
        self._thread.join(patience(20))
        assert not self.errors, self.errors
        return sorted(self.took)


def crowd(name: str, address: tuple, connections: int, seconds: float) -> dict:
    """What the GOAWAYs said to them, and how often."""
    done = subprocess.run(
        [sys.executable, "-m", "helpers.abuse", name, address[0], str(address[1]),
         str(connections), str(seconds)], cwd=ROOT / "tests/e2e", capture_output=True,
        timeout=patience(60), check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[pytest.mark.tsan] if name == "rapid_reset" else []) for name in ABUSES])
def test_abuse_is_ended_and_hurts_nobody_else(proxy, connect, context, certs, name):
    budget = ABUSES[name][0]
    start = proxy.metrics()
    proxy.forget_peak()
    others = [Bystander(connect(proxy.https)),
              Bystander(Http2Client(proxy.https, certs.context(alpn=["h2"])))]

    n = scaled(CONNECTIONS, 5)
    waits = budget in ("stalled_streams", "abandoned_streams")
    said = crowd(name, proxy.address(WAITING) if waits else proxy.http, n, SECONDS)

    took = [other.stop() for other in others]
    end = proxy.metrics()
    assert set(said) == {f"{ENHANCE_YOUR_CALM} {budget}"}, said
    assert sum(said.values()) >= n
    over = end[f"http2_over_{budget}"] - start[f"http2_over_{budget}"]
    assert over == sum(said.values())
    assert f"reason={budget}" in proxy.log()
    for times in took:
        assert times, "a request of a bystander"
        assert times[len(times) // 2] < patience(0.25), "the usual request of a bystander"
        # The abusers and the backends want the same processors: mostly it is less than 0.3 s.
        assert times[-1] < patience(5), "the slowest request of a bystander"
    grown = proxy.peak_rss_bytes() - proxy.idle_bytes
    print(f"{name}: {sum(said.values())} sent away; bystanders median "
          f"{[round(1000 * t[len(t) // 2], 1) for t in took]} ms, worst "
          f"{[round(1000 * t[-1], 1) for t in took]} ms; memory +{grown / MIB:.1f} MiB")
    if SLOWDOWN == 1:  # else a sanitizer keeps what was freed
        assert grown < MOST_MEMORY
