"""A long mixed load against a real nginx behind the proxy: how many requests failed, and what the
proxy's memory and descriptors did meanwhile.

    soak.py [--requests 1000000] [--connections 64]

Bounded: it ends with the last request. Uses h2load, once for each kind of load, in rounds; sanitizer
builds work too (SALLYPORT_BIN), only longer. Exit status 1 with any failed request, a growing
memory, a leaked descriptor, or a proxy that does not end in good order."""
import argparse
import contextlib
import io
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conftest import Starter  # noqa: E402  pylint: disable=wrong-import-position
from helpers.certs import Certs  # noqa: E402  pylint: disable=wrong-import-position

KIB = 1024
FILES = {"small": 512, "page": 16 * KIB, "large": KIB * KIB}

# name, share of the requests, path, requests on one connection, tls
LOADS = [
    ("kept alive, small, TLS", 0.55, "/small", 100000, True),
    ("kept alive, 16 KiB, TLS", 0.20, "/page", 100000, True),
    ("kept alive, small, plain", 0.15, "/small", 100000, False),
    ("ten a connection, small, TLS", 0.06, "/small", 10, True),
    ("one a connection, small, TLS", 0.02, "/small", 1, True),
    ("kept alive, 1 MiB, TLS", 0.005, "/large", 100000, True),
    ("one a connection, plain", 0.015, "/small", 1, False),
]
ROUNDS = 10


def h2load(url: str, requests: int, connections: int) -> tuple:
    """(answered, failed) of `requests` on `connections` that stay open."""
    done = subprocess.run(
        ["h2load", "--h1", "-t", "1", "-c", str(connections), "-n", str(requests), url],
        capture_output=True, text=True, check=False, timeout=1800)
    found = re.search(r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded", done.stdout)
    assert found, done.stdout + done.stderr
    return int(found[1]), requests - int(found[1])


def run_load(url: str, requests: int, each: int, connections: int) -> tuple:
    """Many requests on few connections, or few on each of many: h2load opens as many at once."""
    answered = failed = 0
    while requests > 0:
        step = requests if each > 1000 else min(requests, each * connections)
        wanted = min(connections, max(1, step // each)) if each <= 1000 else connections
        got, lost = h2load(url, step, min(wanted, step))
        answered, failed, requests = answered + got, failed + lost, requests - step
    return answered, failed


def grows(sizes: list) -> bool:
    """Does the memory of the last rounds lie above that of the middle ones by more than 5 %?"""
    if len(sizes) < 6:
        return False
    middle = statistics.median(sizes[len(sizes) // 3:2 * len(sizes) // 3])
    return statistics.median(sizes[-len(sizes) // 4:]) > 1.05 * middle + (1 << 20)


def soak(starter: Starter, requests: int, connections: int) -> bool:
    nginx = starter.nginx()
    for name, size in FILES.items():
        (nginx.root / name).write_bytes(bytes(range(256)) * (size // 256))
    proxy = starter.proxy({"app": [nginx.address]}, log={"levels": "warn,app=info"})
    sockets = proxy.open_sockets()
    answered = failed = 0
    sizes = []
    begin = time.monotonic()
    print(f"{'round':>5} {'s':>6} {'answered':>10} {'failed':>7} {'RSS MiB':>8} {'sockets':>8}")
    for turn in range(1, ROUNDS + 1):
        for _, share, path, each, tls in LOADS:
            host, port = proxy.https if tls else proxy.http
            url = f"{'https' if tls else 'http'}://{host}:{port}{path}"
            got, lost = run_load(url, max(1, int(requests * share / ROUNDS)), each, connections)
            answered, failed = answered + got, failed + lost
        sizes.append(proxy.rss_bytes())
        print(f"{turn:5} {time.monotonic() - begin:6.0f} {answered:10} {failed:7} "
              f"{sizes[-1] / (1 << 20):8.1f} {proxy.open_sockets():8}", flush=True)
    counted = proxy.metrics()["http_responses_2xx"]
    kept = proxy.open_sockets() - sockets
    print(f"{answered} answered, {failed} failed; the proxy counts {counted} with 2xx; "
          f"{kept} sockets kept for the backend")
    problems = []
    if failed:
        problems.append(f"{failed} requests failed")
    if counted < answered:
        problems.append("the counters say less than the clients")
    if grows(sizes):
        problems.append("the memory grows")
    if kept > 2 * 64:
        problems.append("sockets are left over")
    for problem in problems:
        print(f"FAILED: {problem}")
    return not problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sallyport-soak-") as folder:
        folder = Path(folder)
        folder.chmod(0o755)
        (folder / "certs").mkdir()
        starter = Starter(folder, Certs(folder / "certs"))
        try:
            good = soak(starter, options.requests, options.connections)
        finally:
            with contextlib.redirect_stdout(io.StringIO()):  # logs are for tests that fail
                starter.stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
