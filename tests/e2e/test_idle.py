"""Thousands of idle TLS connections: held with little memory, and every one still good."""
import subprocess

import pytest
from helpers.env import SCALE, TOOLS, patience, scaled


@pytest.mark.parametrize("ssl_threads", [0, 1])
def test_idle_connections_are_held_and_then_used(start, certs, ssl_threads):
    n = scaled(10_000, 200)
    proxy = start.proxy(routes=[{"respond": {"text": "ok"}}],
                        threads={"net": 2, "ssl": ssl_threads},
                        throttle={"max_connections": n},
                        limits={"head_timeout_ms": 600_000, "keep_alive_timeout_ms": 600_000},
                        ports={"127.0.0.1:0": {"bundles": ["shop"], "accept": {"backlog": 4096},
                                               "handshake_timeout_ms": 60_000}})
    host, port = proxy.https
    before = proxy.rss_bytes()

    client = start.client(TOOLS / "idle_client", host, str(port), "shop.test", str(n),
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert client.stdout.readline() == f"open {n}\n"
    held = proxy.rss_bytes() - before
    assert proxy.wait_metric("tls_handshakes_full", n)["tls_handshakes_full"] == n
    client.stdin.write("go\n")
    client.stdin.flush()
    result = client.stdout.readline()
    client.stdin.close()
    assert client.wait(patience(60)) == 0

    assert result == f"answered {n}\n"
    if SCALE == 1:
        print(f"{held / n:.0f} bytes of resident memory for each idle connection")
        assert held / n < 40_000  # far from a limit: what it costs is measured elsewhere
