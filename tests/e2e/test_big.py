"""Bodies far larger than memory should be: equal at both ends, and the proxy stays small."""
import hashlib
import subprocess
import threading

import pytest
from helpers.env import SCALE, patience, scaled
from helpers.http1 import curl

MIB = 1 << 20
SIZE = scaled(1024, 16) * MIB
# What the buffers of one exchange and the allocator's habits may add.
GROWTH = 16 * MIB


def pseudo_random(path, size: int):
    """A file that no two blocks of are alike, quickly made."""
    with open(path, "wb") as out:
        openssl = subprocess.Popen(
            ["openssl", "enc", "-aes-128-ctr", "-K", "0" * 32, "-iv", "0" * 32, "-in", "/dev/zero"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        left = size
        while left:
            left -= out.write(openssl.stdout.read(min(left, MIB)))
        openssl.kill()
        openssl.wait()
        openssl.stdout.close()


def sha256_of(path) -> str:
    return subprocess.run(["sha256sum", path], check=True, capture_output=True,
                          timeout=patience(60)).stdout.split()[0].decode()


def check_memory(proxy, before: int):
    if SCALE == 1:  # a sanitizer's memory is its own
        assert proxy.peak_rss_bytes() - before < GROWTH


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_download(start, certs, tls):
    nginx = start.nginx()
    pseudo_random(nginx.root / "big", SIZE)
    proxy = start.proxy({"app": [nginx.address]})
    host, port = proxy.https if tls else proxy.http
    before = proxy.rss_bytes()

    fetch = start.client("curl", "-sS", "--http1.1", "--cacert", certs.ca,
                         "--resolve", f"shop.test:{port}:{host}",
                         f"{'https' if tls else 'http'}://shop.test:{port}/big",
                         stdout=subprocess.PIPE)
    digest = hashlib.sha256()
    while data := fetch.stdout.read(MIB):
        digest.update(data)
    assert fetch.wait(patience(10)) == 0

    assert digest.hexdigest() == sha256_of(nginx.root / "big")
    check_memory(proxy, before)
    (nginx.root / "big").unlink()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_upload(start, certs, tmp_path, framing):
    pseudo_random(tmp_path / "big", SIZE)

    def digest_of(connection):
        request = connection.read_head()
        digest = hashlib.sha256()
        if framing == "length":
            left = int(request.get("content-length"))
            while left:
                data = connection.recv(MIB)
                assert data
                digest.update(data)
                left -= len(data)
        else:
            while size := int(connection._read_until(b"\r\n"), 16):
                digest.update(connection.read_exactly(size))
                assert connection.read_exactly(2) == b"\r\n"
            assert connection._read_until(b"\r\n") == b"\r\n"
        connection.respond(200, digest.hexdigest().encode())
    proxy = start.proxy({"app": [start.backend(digest_of).address]})
    host, port = proxy.https
    before = proxy.rss_bytes()

    done = curl("--http1.1", "--cacert", certs.ca, "--resolve", f"shop.test:{port}:{host}",
                "-T", tmp_path / "big", "-H", "Expect:",
                *(["-H", "Transfer-Encoding: chunked"] if framing == "chunked" else []),
                f"https://shop.test:{port}/", seconds=120)

    assert done.stdout.decode() == sha256_of(tmp_path / "big")
    check_memory(proxy, before)
    (tmp_path / "big").unlink()


def test_both_directions_at_once(start, connect):
    """A server that answers while it reads: neither side may wait for the other to end."""
    size = scaled(64, 4) * MIB
    block = bytes(range(256)) * 256

    def mirror(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        left = size
        while left:
            data = connection.recv(65536)
            connection.send(data)
            left -= len(data)
    proxy = start.proxy({"app": [start.backend(mirror).address]})
    client = connect(proxy.http, tls=False, seconds=60)  # Python's TLS takes turns, not both at once

    def upload():
        client.send(client.head("POST", "/", [("Content-Length", str(size))]))
        for _ in range(size // len(block)):
            client.send(block)
    sender = threading.Thread(target=upload, daemon=True)
    sender.start()
    response = client.response()
    sender.join(patience(30))

    assert hashlib.sha256(response.body).digest() == \
        hashlib.sha256(block * (size // len(block))).digest()
