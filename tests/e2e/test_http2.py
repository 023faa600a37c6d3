"""HTTP/2 towards clients: other people's clients, streams that share a connection, and its end."""
import contextlib
import hashlib
import json
import re
import signal
import subprocess
import threading

import pytest
from conftest import PLAIN_PORT, TLS_PORT
from helpers.backend import answering, each_request, echo
from helpers.env import SLOWDOWN, patience, scaled
from helpers.http1 import curl
from helpers.http2 import INITIAL_WINDOW, NO_ERROR, GoneAway, Http2Client
from helpers.proxy import wait_until

PORTS = {TLS_PORT: {"bundles": ["shop"]}, PLAIN_PORT: {"tls": False, "h2c": True}}


@pytest.fixture(name="proxy")
def fixture_proxy(start, tmp_path):
    log = tmp_path / "access.log"
    proxy = start.proxy({"app": {"servers": [start.origin().address], "keep_alive": 1024}},
                        ports=PORTS, log={"access": {"path": str(log), "format": "json"}})
    proxy.access = lambda: [json.loads(line) for line in log.read_text().splitlines()]
    return proxy


@pytest.fixture(name="client")
def fixture_client(certs):
    """client(address, **options): with TLS; context=None without."""
    clients = []

    def open_client(address, **options):
        options.setdefault("context", certs.context(alpn=["h2"]))
        clients.append(Http2Client(address, **options))
        return clients[-1]
    yield open_client
    for one in clients:
        one.close()


def run(*command, seconds=60):
    done = subprocess.run(command, capture_output=True, timeout=patience(seconds), check=False)
    assert done.returncode == 0, done
    return done.stdout.decode()


# Other people's clients

def test_curl_speaks_http2_by_alpn(proxy, certs):
    address, port = proxy.https

    done = curl("--http2", "--cacert", certs.ca, "--resolve", f"shop.test:{port}:{address}",
                f"https://shop.test:{port}/bytes/5", "-w", " %{http_version}")

    assert done.stdout.endswith(b" 2")
    wait_until(proxy.access, 10, "a line")
    assert proxy.access()[0]["protocol"] == "HTTP/2"


@pytest.mark.parametrize("option, version", [("--http2-prior-knowledge", b"2"),
                                             ("--http1.1", b"1.1")])
def test_a_plain_port_may_take_both(proxy, option, version):
    address, port = proxy.http

    done = curl(option, f"http://{address}:{port}/bytes/5", "-w", " %{http_version}")

    assert done.stdout.endswith(b" " + version)


def test_curl_uploads_and_downloads_much(proxy, certs, tmp_path):
    address, port = proxy.https
    there = ["--http2", "--cacert", certs.ca, "--resolve", f"shop.test:{port}:{address}"]
    upload = tmp_path / "upload"
    upload.write_bytes(bytes(range(256)) * scaled(40000))

    back = curl(*there, "--data-binary", f"@{upload}", f"https://shop.test:{port}/echo")
    much = curl(*there, f"https://shop.test:{port}/bytes/{scaled(30)}m")

    assert hashlib.sha256(back.stdout).digest() == hashlib.sha256(upload.read_bytes()).digest()
    assert len(much.stdout) == scaled(30) << 20


def test_nghttp_gets_trailers(proxy):
    address, port = proxy.http

    shown = run("nghttp", "-nv", f"http://{address}:{port}/chunked/1000?size=100&trailers=1")

    assert re.search(r"recv \(stream_id=\d+\) x-checksum: ", shown)
    assert "GOAWAY" in shown and "PROTOCOL_ERROR" not in shown


@pytest.mark.tsan
def test_h2load_runs_32_streams_on_32_connections(proxy):
    address, port = proxy.https
    n = scaled(20000)

    shown = run("h2load", "-n", str(n), "-c", "32", "-m", "32",
                f"https://{address}:{port}/bytes/1k")

    assert re.search(rf"requests: {n} total, {n} started, {n} done, {n} succeeded, 0 failed", shown)


@pytest.mark.tsan
def test_both_protocols_under_load_at_once(proxy, start):
    (tls, tls_port), (plain, plain_port) = proxy.https, proxy.http
    n = scaled(5000)
    loads = [start.client("h2load", "-n", str(n), "-c", "16", "-m", streams, *rest,
                          stdout=subprocess.PIPE, text=True)
             for streams, *rest in [("16", f"https://{tls}:{tls_port}/bytes/1k"),
                                    ("16", f"http://{plain}:{plain_port}/chunked/20k?size=4k"),
                                    ("1", "--h1", f"https://{tls}:{tls_port}/bytes/10k")]]

    for load in loads:
        shown, _ = load.communicate(timeout=patience(60))
        assert f" {n} succeeded, 0 failed" in shown, shown


# Streams that share a connection

def test_a_stalled_download_neither_stops_its_neighbours_nor_fills_memory(proxy, client):
    plain = client(proxy.https, auto_window=False, connection_window=64 << 20)
    plain.get("/bytes/1")
    before = proxy.rss_bytes()

    stalled = [plain.request(target="/bytes/64m") for _ in range(4)]  # none opens its window
    plain.wait(lambda: all(len(s.body) == 65535 for s in stalled), "a window's worth of each")

    for _ in range(20):
        assert len(plain.get("/bytes/50k").body) == 50 << 10
    assert proxy.rss_bytes() - before < 16 << 20
    assert all(len(s.body) == 65535 for s in stalled)


def test_a_stalled_upload_does_not_stop_its_neighbours(start, client):
    release = threading.Event()

    def stall(connection):
        if connection.read_head().target == "/stall":
            assert release.wait(patience(60))
            connection.hang()
        else:
            connection.respond(200, b"ok")
    proxy = start.proxy({"app": [start.backend(stall).address]})
    peer = client(proxy.https)
    peer.read_in_background()

    stalled = peer.request("POST", "/stall", end=False)

    def send_much():
        with contextlib.suppress(OSError, GoneAway):  # until the test is over
            peer.send_data(stalled, bytes(1 << 24))
    sender = threading.Thread(target=send_much, daemon=True)
    sender.start()
    for _ in range(10):
        assert peer.get("/").body == b"ok"
    release.set()
    peer.close()
    sender.join(patience(20))


def test_window_of_a_fast_upload_grows(start, client):
    proxy = start.proxy({"app": [start.backend(each_request(echo)).address]})
    peer = client(proxy.https)
    stream = peer.request("POST", "/", end=False)
    granted = 65535

    for _ in range(40):
        room = stream.send_window
        peer.send_data(stream, bytes(room))
        peer.ping()
        peer.wait(lambda: stream.send_window > 0, "room")
        granted = max(granted, stream.send_window)
    peer.send_data(stream, b"", end=True)

    assert peer.wait_over(stream).status == 200
    assert granted > 500_000  # http2.max_stream_window_bytes is 1 MiB


# Its end

def test_draining_says_so_twice_and_finishes_what_runs(start, client):
    release = threading.Event()

    def answer(connection, _):
        assert release.wait(patience(60))
        connection.respond(200, b"done")
    backend = start.backend(each_request(answer))
    proxy = start.proxy({"app": [backend.address]}, drain_timeout_ms=60000)
    busy, idle = client(proxy.https), client(proxy.https)
    idle.ping()
    running = busy.request()
    wait_until(lambda: backend.requests, 10, "the request")

    proxy.signal(signal.SIGTERM)
    busy.wait(lambda: busy.goaway is not None, "GOAWAY")
    assert (busy.goaway.last_stream, busy.goaway.code) == (2**31 - 1, NO_ERROR)
    late = busy.request()  # was on its way, as far as anybody knows
    idle_end = idle.wait_end()
    release.set()

    assert busy.wait_over(running).body == b"done"
    try:
        assert busy.wait_over(late).body == b"done"
    except GoneAway as gone:  # after the second GOAWAY: to be asked again elsewhere
        assert gone.goaway.last_stream < late.id
    assert busy.wait_end().code == NO_ERROR
    assert (idle_end.last_stream, idle_end.code) == (0, NO_ERROR)
    proxy.stop()


def test_idle_connection_is_told_to_go(start, client):
    proxy = start.proxy({"app": [start.backend(answering()).address]},
                        limits={"keep_alive_timeout_ms": 500})
    peer = client(proxy.https)
    assert peer.get("/").status == 200

    goaway = peer.wait_end()

    assert (goaway.last_stream, goaway.code) == (1, NO_ERROR)


def test_connection_ends_after_its_last_request(start, client):
    proxy = start.proxy({"app": [start.backend(answering()).address]},
                        limits={"max_requests_per_connection": 3})
    peer = client(proxy.https)

    for _ in range(3):
        assert peer.get("/").status == 200

    assert peer.wait_end().last_stream == 5


def test_window_that_never_opens_ends_its_stream_alone(start, client):
    proxy = start.proxy({"app": [start.backend(answering(bytes(100000))).address]},
                        limits={"send_timeout_ms": int(1000 * SLOWDOWN)})
    peer = client(proxy.https, settings={INITIAL_WINDOW: 0})
    stalled = peer.request()

    peer.wait(lambda: stalled.reset is not None, "RST_STREAM")

    assert not stalled.body
    peer.ping()  # the connection lives
    assert proxy.wait_metric("http_timeouts", 1)
