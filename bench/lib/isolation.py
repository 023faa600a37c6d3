"""Established users while others shake hands: what a storm of handshakes does to them, and how many
of the handshakes succeed."""

import math
import time

from . import measure, stats
from .column import Column

LEVELS = (1, 2, 4)
CONNECTIONS, RATE = 32, 500
OPEN_MAX = 17000  # connections of one generator process
WINDOW_S = 0.1

ABOUT = (
    f"{CONNECTIONS} established connections make {RATE} requests a second in total, open loop, while "
    "handshakes (TLS 1.3, full, one request each) arrive at 1, 2 and 4 times this peer's own capacity: "
    "what it completed in a closed loop just before, divided by the share of its core that it used for "
    "it. Good: completed within 2 s, as a share of the capacity. The handshake time is the median of all "
    "that completed. Both count from 2 s after the flood began to its end. Offered: the share of the "
    "intended rate that the generator managed to start; below 1, the load's core was the limit. The plot "
    "shows 4×; the shaded part is the flood.")
SAME = "As isolation-rsa-now."


def _at_levels(key):
    return ",".join(f"{key}-{level}" for level in LEVELS)


COLUMNS = [
    Column("capacity", "handshakes/s, closed loop", "{:,.0f}", ""),
    Column("p50," + _at_levels("p50"), "p50 ms before / at 1× / 2× / 4×", "{:.2f}"),
    Column("p99," + _at_levels("p99"), "p99 ms", "{:.2f}"),
    Column(_at_levels("good"), "good at 1× / 2× / 4×", "{:.2f}", "high"),
    Column(_at_levels("took"), "handshake ms", "{:,.0f}"),
    Column(_at_levels("offered"), "offered", "{:.2f}", ""),
    Column("busy-4", "core used at 4×", "{:.0%}", ""),
    Column("lag-4", "probe's own lag at 4×, p99 ms", "{:.2f}", ""),
]


def scenario(kind, shape):
    def run(bench, peer):
        figures = {"capacity": _capacity(bench, peer, kind), "flood_s": bench.times.flood}
        calm = []
        for level in LEVELS:
            flood = _Flood(bench, peer, kind, shape, figures["capacity"] * level)
            calm += flood.calm
            figures.update({f"{key}-{level}": value for key, value in flood.figures.items()})
            figures[f"good-{level}"] = flood.good_per_second / figures["capacity"]
            if level == LEVELS[-1]:
                figures["series"] = flood.series
        figures.update(p50=stats.quantile(calm, 0.5), p99=stats.quantile(calm, 0.99))
        return figures
    return run


def _capacity(bench, peer, kind):
    """Of a second of the proxy's core: the generator's core may be the slower one."""
    with bench.running(peer, bench.one(kind)) as proxy:
        generator = bench.load("handshakes", proxy, "--frugal", "--warmup", 0, "--connections", 64,
                               "--duration", bench.generator_seconds())
        span = bench.span(proxy)
        generator.result()
    return span.requests / span.cpu_s


class _Flood:
    """One level, on a freshly started peer: calm, flood, and some time after it."""

    def __init__(self, bench, peer, kind, shape, rate):
        times = bench.times
        files = [bench.dir / f"probe-{bench.n_started}.txt"]
        with bench.origin.preferred(), bench.running(peer, bench.one(kind)) as proxy:
            probe = bench.load("probe", proxy, "--connections", CONNECTIONS, "--rate", RATE,
                               "--warmup", 0.5, "--samples", files[0], "--duration",
                               times.calm + times.flood + times.after, first=True)
            probe.wait_ready()
            time.sleep(0.5 + times.calm)
            self.begin = time.monotonic()
            generators = self._start(bench, proxy, shape, rate, files)
            time.sleep(times.settle)
            mark = measure.Mark(proxy, bench.origin)
            time.sleep(times.flood - times.settle - 0.1)
            span = measure.Span(mark, measure.Mark(proxy, bench.origin))
            said = [g.result() for g in generators]
            self.end = self.begin + times.flood
            self.figures = dict(busy=span.busy, lag=probe.result()["lag_ms"]["p99"])
        self._evaluate(bench, files, said, rate)

    def _start(self, bench, proxy, shape, rate, files):
        flood_s = bench.times.flood
        n = math.ceil(rate * flood_s / OPEN_MAX)
        options = ["--together", 100] if shape == "together" else []
        generators = []
        for i in range(n):
            files.append(bench.dir / f"flood-{bench.n_started}-{i}.txt")
            generators.append(bench.load(
                "handshakes", proxy, "--frugal", "--rate", rate / n, "--warmup", bench.times.settle, "--duration",
                flood_s - bench.times.settle, "--samples", files[-1], *options))
        return generators

    def _evaluate(self, bench, files, said, rate):
        probes = _read(files[0])
        settled = self.begin + bench.times.settle, self.end - 0.1
        self.calm = [ms for t, ms in probes if t < self.begin]
        loaded = [ms for t, ms in probes if settled[0] <= t < settled[1]]
        done = [(t + ms / 1000, ms, handshake) for file in files[1:] for t, handshake, ms in _read(file)]
        done = [(ms, handshake) for t, ms, handshake in done if settled[0] <= t < settled[1]]
        self.good_per_second = sum(ms <= 2000 for ms, _ in done) / (settled[1] - settled[0])
        self.figures.update(
            p50=stats.quantile(loaded, 0.5), p99=stats.quantile(loaded, 0.99),
            took=stats.median([handshake for _, handshake in done]),
            offered=sum(s["started_per_second"] for s in said) / rate)
        self.series = [(round(t - self.begin, 2), round(ms, 3)) for t, ms in stats.by_window(
            probes, WINDOW_S, self.begin - bench.times.calm, self.end + bench.times.after, 0.99)]


def _read(file):
    """Lines of a time of the monotonic clock and durations, all in us: seconds and ms."""
    with open(file, encoding="ascii") as lines:
        rows = [[int(n) for n in line.split()] for line in lines]
    return [(row[0] / 1e6, *(n / 1e3 for n in row[1:])) for row in rows]
