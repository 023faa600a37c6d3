"""The scenarios: what is done, once per peer and round, and which figures come of it."""

import dataclasses
import time

from . import isolation, measure, procs
from .column import Column


@dataclasses.dataclass
class Scenario:
    name: str
    title: str
    about: str
    run: object  # (bench, peer) -> {key: figure}
    columns: list
    plot: str = ""  # the column that is drawn
    most_rounds: int = 9  # of those that take long


BUSY = Column("busy", "core used", "{:.0%}", "")


def _cpu(span, **more):
    return dict(us=span.us_per_request(), system=span.system_share, busy=span.busy,
                per_second=span.requests / span.seconds, **more)


CPU_COLUMNS = [Column("us", "CPU µs"), Column("system", "of it system", "{:.0%}", ""),
               Column("per_second", "per second", "{:,.0f}", ""), BUSY]


def keep_alive(connections, workers=1):
    def run(bench, peer):
        cores = None if workers == 1 else bench.all_cores
        with bench.running(peer, bench.one("p256"), workers, cores) as proxy:
            generator = bench.wrk(proxy, connections, bench.generator_seconds(), cores=cores)
            try:
                return _cpu(bench.span(proxy))
            finally:
                generator.stop()
    return run


def streams(connections, at_once):
    def run(bench, peer):
        if not peer.speaks_http2:
            raise procs.ProcessFailed("does not speak HTTP/2 to a backend of HTTP/1.1")
        with bench.running(peer, bench.one("p256")) as proxy:
            generator = bench.h2load(proxy, connections, at_once, bench.generator_seconds())
            try:
                return _cpu(bench.span(proxy))
            finally:
                generator.stop()
    return run


def handshakes(kind, *options, resumed=False, workers=1):
    """A closed loop: as many as the slower of proxy and generator can do."""
    if resumed:
        options += ("--resume",)

    def run(bench, peer):
        cores = None if workers == 1 else bench.all_cores
        with bench.running(peer, bench.one(kind), workers, cores) as proxy:
            generator = bench.load("handshakes", proxy, "--duration", bench.generator_seconds(),
                                   "--warmup", 0, "--connections", 64, *options, cores=cores)
            span = bench.span(proxy)
            said = generator.result()
            share = said["resumed"] / max(1, said["done"])
            if share > 0.05 and not resumed or share < 0.95 and resumed:
                raise procs.ProcessFailed(f"{share:.0%} of the handshakes were resumed")
            return _cpu(span, failed=said["failed"])
    return run


def transfer(path, connections, *options):
    def run(bench, peer):
        with bench.running(peer, bench.one("p256")) as proxy:
            generator = bench.wrk(proxy, connections, bench.generator_seconds(), path, *options)
            try:
                span = bench.span(proxy)
            finally:
                generator.stop()
            return dict(ms=span.ms_per_mb(), rate=span.megabytes / span.seconds,
                        system=span.system_share, busy=span.busy)
    return run


TRANSFER_COLUMNS = [Column("ms", "CPU ms per MB", "{:.2f}"), Column("system", "of it system", "{:.0%}", ""),
                    Column("rate", "MB/s", "{:,.0f}", ""), BUSY]


def latency(connections, rate):
    def run(bench, peer):
        with bench.origin.preferred(), bench.running(peer, bench.one("p256")) as proxy:
            generator = bench.load("probe", proxy, "--connections", connections, "--rate", rate,
                                   "--warmup", 0.5, "--duration", bench.times.steady, first=True)
            generator.wait_ready()
            time.sleep(0.5)
            begin = measure.Mark(proxy, bench.origin)
            said = generator.result()
            span = measure.Span(begin, measure.Mark(proxy, bench.origin))
            return dict(p50=said["ms"]["p50"], p99=said["ms"]["p99"], p999=said["ms"]["p999"],
                        lag=said["lag_ms"]["p99"], us=span.us_per_request(), busy=span.busy)
    return run


def churn(rate):
    def run(bench, peer):
        with bench.origin.preferred(), bench.running(peer, bench.one("p256")) as proxy:
            generator = bench.load("handshakes", proxy, "--rate", rate, "--warmup", bench.times.warm,
                                   "--duration", bench.times.steady)
            span = bench.span(proxy)
            said = generator.result()
            return dict(us=span.us_per_request(), busy=span.busy, p50=said["total_ms"]["p50"],
                        p99=said["total_ms"]["p99"], failed=said["failed"] + said["missed"])
    return run


def busy_data(kind):
    """Both in a closed loop: data that alone would take the whole core, and handshakes that would."""
    def run(bench, peer):
        seconds = bench.generator_seconds()
        with bench.running(peer, bench.one(kind)) as proxy:
            data = bench.wrk(proxy, 64, seconds, "/", "-s", __file__.replace("scenarios.py", "pipeline.lua"))
            time.sleep(bench.times.warm)
            generator = bench.load("handshakes", proxy, "--duration", seconds - bench.times.warm - 1,
                                   "--warmup", 0.5, "--connections", 32)
            try:
                before = measure.thread_seconds(proxy.pids(), "[ET_SSL")
                span = bench.span(proxy)
                share = (measure.thread_seconds(proxy.pids(), "[ET_SSL") - before) / (
                    span.seconds + bench.times.warm)
                said = generator.result()
            finally:
                data.stop()
            done = said["per_second"]
            return dict(done=done, took=said["handshake_ms"]["p50"], failed=said["failed"],
                        data=span.requests / span.seconds - done, share=share, busy=span.busy)
    return run


def idle():
    """Each made one request. What the kernel holds for a socket is not in it."""
    def run(bench, peer):
        connections = peer.most_idle
        with bench.running(peer, bench.one("p256")) as proxy:
            warm = bench.load("idle", proxy, "--connections", 64, "--duration", 0.2)
            warm.result()
            time.sleep(0.5)
            before = measure.pss_kb(proxy.pids())
            generator = bench.load("idle", proxy, "--connections", connections, "--duration", 60)
            try:
                generator.wait_ready()
                time.sleep(bench.times.settle)
                held = measure.pss_kb(proxy.pids())
            finally:
                generator.stop()
            return dict(kb=(held - before) / connections, base=before / 1024)
    return run


def certificates(count):
    def run(bench, peer):
        with bench.running(peer, bench.many_certs(count)) as proxy:
            figures = dict(ready=proxy.ready_s, mb=measure.pss_kb(proxy.pids()) / 1024)
            if peer.reload_signal is not None and count > 1:
                figures.update(_reload(bench, peer, proxy, count))
            return figures
    return run


def _reload(bench, peer, proxy, count):
    """One file of all changes; seconds until it is what clients see."""
    host, file = bench.many_certs(count)[-1]
    old = procs.tls_serial(proxy.port, host)
    bench.make_certs(file.parent, count - 1, 1)
    start, peak = time.monotonic(), 0
    proxy.signal(peer.reload_signal)
    while time.monotonic() - start < 120:
        peak = max(peak, measure.pss_kb(proxy.pids()))
        try:
            if procs.tls_serial(proxy.port, host) != old:
                return dict(reload=time.monotonic() - start, peak=peak / 1024)
        except OSError:
            pass
        time.sleep(0.005)
    return {}


CERT_COLUMNS = [Column("ready", "s until it serves", "{:.2f}"), Column("mb", "MB", "{:.0f}"),
                Column("reload", "s until a changed one is served", "{:.2f}"),
                Column("peak", "MB at the most meanwhile", "{:.0f}")]

_HANDSHAKE = ("Connections one after the other, 64 at a time, each with a full handshake{}, one "
              "request, and a clean close.")
_ALL = " Proxy with two workers, load and origin all share both cores: only CPU time can be compared."

ALL = [
    Scenario("http1-64", "HTTP/1.1 requests, 64 connections",
             "wrk, keep-alive, answers of 60 bytes. CPU time of the proxy for each request.",
             keep_alive(64), CPU_COLUMNS, "us"),
    Scenario("http1-1000", "HTTP/1.1 requests, 1,000 connections",
             "The same with 1,000 connections.", keep_alive(1000), CPU_COLUMNS, "us"),
    Scenario("http2-32x32", "HTTP/2 requests, 32 connections with 32 streams",
             "h2load over TLS, the backend speaks HTTP/1.1, answers of 60 bytes. CPU time of the proxy for "
             "each request.", streams(32, 32), CPU_COLUMNS, "us"),
    Scenario("latency", "Latency, 64 connections, 5,000 requests a second",
             "Open loop: each request has its time, and its latency counts from there.",
             latency(64, 5000),
             [Column("p50", "p50 ms", "{:.2f}"), Column("p99", "p99 ms", "{:.2f}"),
              Column("p999", "p99.9 ms", "{:.2f}"), Column("lag", "p99 ms of the generator's own lag", "{:.2f}", ""),
              Column("us", "CPU µs"), BUSY]),
    Scenario("full-p256", "Full handshake, TLS 1.3, P-256, and one request",
             _HANDSHAKE.format(""), handshakes("p256", "--frugal"), CPU_COLUMNS, "us"),
    Scenario("full-rsa", "Full handshake, TLS 1.3, RSA-2048, and one request",
             _HANDSHAKE.format(""), handshakes("rsa", "--frugal"), CPU_COLUMNS, "us"),
    Scenario("tls12-p256", "Full handshake, TLS 1.2, P-256, and one request",
             _HANDSHAKE.format(" of TLS 1.2"), handshakes("p256", "--tls12"), CPU_COLUMNS, "us"),
    Scenario("resumed", "Resumed handshake, TLS 1.3, and one request",
             "The same with a session ticket and X25519 (psk_dhe_ke).",
             handshakes("p256", resumed=True), CPU_COLUMNS, "us"),
    Scenario("resumed12", "Resumed handshake, TLS 1.2, and one request",
             "The same with a session ticket of TLS 1.2.",
             handshakes("p256", "--tls12", resumed=True), CPU_COLUMNS, "us"),
    Scenario("churn", "A connection for each request, 500 a second",
             "Open loop, full TLS 1.3 handshakes with P-256. Latency from the time the connection was "
             "due to the end of the answer.", churn(500),
             [Column("us", "CPU µs"), Column("p50", "p50 ms", "{:.2f}"), Column("p99", "p99 ms", "{:.2f}"),
              Column("failed", "failed", "{:.0f}"), BUSY]),
    Scenario("busy-data", "Handshakes beside data that takes a whole core",
             "wrk with 64 connections, 16 requests at a time, and 32 clients that shake hands (RSA-2048, full, one request), both "
             "in a closed loop.", busy_data("rsa"),
             [Column("done", "handshakes/s", "{:,.0f}", "high"),
              Column("share", "handshake threads' share of the core", "{:.0%}", ""), Column("took", "handshake ms", "{:,.0f}"),
              Column("failed", "failed", "{:.0f}"), Column("data", "requests/s", "{:,.0f}", "high"), BUSY]),
    Scenario("download-1m", "1 MiB downloads", "wrk, 8 connections.",
             transfer("/bytes/1048576", 8), TRANSFER_COLUMNS, "ms"),
    Scenario("download-100m", "100 MiB downloads", "wrk, 4 connections.",
             transfer("/bytes/104857600", 4), TRANSFER_COLUMNS, "ms"),
    Scenario("upload-100m", "100 MiB uploads", "wrk, 4 connections.",
             transfer("/bytes/2", 4, "-s", __file__.replace("scenarios.py", "upload.lua")),
             TRANSFER_COLUMNS, "ms"),
    Scenario("idle-10000", "10,000 idle connections",
             "TLS 1.3, one request each, then nothing. Growth of the proportional set size of all its "
             "processes, for each connection.",
             idle(), [Column("kb", "kB per connection"), Column("base", "MB before", "{:.1f}")], "kb",
             most_rounds=3),
    Scenario("certs-1", "1 certificate", "From start to the first handshake.", certificates(1),
             CERT_COLUMNS[:2]),
    Scenario("certs-1000", "1,000 certificates", "P-256, a host and a file each. Then one file "
             "changes and the proxy is told by a signal.", certificates(1000), CERT_COLUMNS,
             most_rounds=3),
    Scenario("certs-10000", "10,000 certificates", "The same with 10,000.", certificates(10000),
             CERT_COLUMNS, most_rounds=2),
    Scenario("http1-64-all", "HTTP/1.1 requests, 64 connections, two workers",
             "As http1-64." + _ALL, keep_alive(64, 2), CPU_COLUMNS, "us"),
    Scenario("full-p256-all", "Full handshake, TLS 1.3, P-256, two workers",
             "As full-p256." + _ALL, handshakes("p256", "--frugal", workers=2), CPU_COLUMNS, "us"),
]
for _kind, _name in (("rsa", "RSA-2048"), ("p256", "P-256")):
    for _shape, _said in (("now", "each speaks as soon as it is connected"),
                          ("together", "those of 100 ms connect first, then speak together")):
        _first = _kind == "rsa" and _shape == "now"
        ALL.append(Scenario(
            f"isolation-{_kind}-{_shape}", f"Isolation: {_name} handshakes, {_said}",
            isolation.ABOUT if _first else isolation.SAME, isolation.scenario(_kind, _shape),
            isolation.COLUMNS, most_rounds=3))
