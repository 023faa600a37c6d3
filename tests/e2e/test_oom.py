"""Allocations and system calls that fail, anywhere in the process and its libraries: a request may
be lost for it, the process never, and when the shortage is over it serves as before."""
import ssl

import pytest
from helpers.backend import answering
from helpers.env import TOOLS, scaled
from helpers.http1 import Client, Incomplete
from helpers.proxy import wait_until

pytestmark = pytest.mark.whole_process  # a sanitizer has an allocator of its own

BODY = b"x" * 100_000


@pytest.fixture(name="failing")
def fixture_failing(start, tmp_path):
    """A proxy under failing_calls.so: set_every(kind, n) makes each nth call fail, failures(kind)
    counts."""
    control = tmp_path / "control"
    count = tmp_path / "control.count"
    control.write_text("")
    # Nothing is pooled: each request needs all that a first one needs.
    backend = {"servers": [start.backend(answering(BODY)).address], "keep_alive": 0}
    proxy = start.proxy(
        {"app": backend}, threads={"net": 2, "ssl": 1},
        env={"LD_PRELOAD": str(TOOLS / "failing_calls.so"), "FAILING_CALLS_CONTROL": str(control)})

    def state(kind) -> list:
        """[every, failures]"""
        wait_until(count.exists, 10, "the counts")
        lines = [line.split() for line in count.read_text().splitlines()]
        return next([int(n) for n in rest] for word, *rest in lines if word == kind)

    def set_every(kind, every):
        fresh = tmp_path / "control.fresh"
        fresh.write_text(f"{kind} {every}\n")
        fresh.rename(control)
        wait_until(lambda: state(kind)[0] == every, 10, "the change")
    proxy.set_every = set_every
    proxy.failures = lambda kind: state(kind)[1]
    return proxy


def visit(proxy, context) -> bool:
    """One visit by TLS with two requests; was it answered? Half an answer is never a whole one."""
    try:
        with Client(proxy.https, context, seconds=3) as client:
            for _ in range(2):
                response = client.get("/")
                if response.status != 200:
                    assert response.status in (500, 502, 503, 504)
                    return False
                assert response.body == BODY
        return True
    except (OSError, ssl.SSLError, Incomplete, TimeoutError):
        return False


@pytest.mark.parametrize("kind, every, visits", [
    ("malloc", 2, 40), ("malloc", 7, 40), ("malloc", 50, 40), ("malloc", 400, 150),
    ("accept", 2, 40), ("accept", 1, 2),  # which waits for its time limit
    ("socket", 2, 40), ("socket", 1, 40), ("send", 3, 40), ("recv", 3, 40), ("epoll", 2, 40),
    ("epoll", 5, 40)])
def test_process_lives_and_serves_again(failing, context, kind, every, visits):
    for _ in range(3):
        assert visit(failing, context)

    failing.set_every(kind, every)
    wait_until(lambda: (visit(failing, context), failing.failures(kind))[1], 60, "a failure")
    for _ in range(scaled(visits)):
        visit(failing, context)
    assert failing.running()
    failing.set_every(kind, 0)

    wait_until(lambda: visit(failing, context), 20, "an answer")
    for _ in range(10):
        assert visit(failing, context)

    def all_closed():
        metrics = failing.metrics()
        return metrics["net_opened"] == metrics["net_closed"]
    wait_until(all_closed, 20, "closing of all connections")


def test_each_early_allocation_in_turn(failing, context):
    """Every EVERY from 3 to 40: over time each place has been the one that failed."""
    for every in range(3, 41):
        failing.set_every("malloc", every)
        for _ in range(scaled(3)):
            visit(failing, context)
    failing.set_every("malloc", 0)

    wait_until(lambda: visit(failing, context), 20, "an answer")


def test_start_without_memory_is_refused_or_serves(tmp_path, certs):
    """Whichever allocation fails at the start: a message and status 1, or it serves; no crash."""
    import json
    import os
    import signal
    import subprocess

    from conftest import make_config
    from helpers.env import BINARY
    config = tmp_path / "c.json"
    config.write_text(json.dumps(make_config(certs, {"app": ["127.0.0.1:9"]})))
    control = tmp_path / "control"
    for every in list(range(1, 40, 3)) + [100, 1000, 5000]:
        control.write_text(f"malloc {every}\n")
        with open(tmp_path / "log", "wb") as log:
            process = subprocess.Popen(
                [BINARY, "run", "-c", config], stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, "LD_PRELOAD": str(TOOLS / "failing_calls.so"),
                     "FAILING_CALLS_CONTROL": str(control)})
            try:
                status = process.wait(1)
            except subprocess.TimeoutExpired:
                control.write_text("malloc 0\n")
                process.send_signal(signal.SIGTERM)
                status = process.wait(20)
        assert status in (0, 1), f"every {every}: {status}\n{(tmp_path / 'log').read_text()}"
