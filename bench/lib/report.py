"""Tables and plots of results: {scenario: {"date": ..., "peers": {peer: [figures of each round]}}}."""

import datetime

from . import scenarios, stats, svg


def _values(rounds, key):
    return [r[key] for r in rounds if key in r]


def _median(rounds, key):
    return stats.median(_values(rounds, key))


def _cell(column, rounds, best):
    medians = [_median(rounds, key) for key in column.keys()]
    if not stats.clean(medians):
        return "-"
    text = " / ".join("-" if m != m else column.form.format(m) for m in medians)
    return f"**{text}**" if column.best and medians[-1] == best else text


def _best(column, peers):
    medians = stats.clean(_median(rounds, column.keys()[-1]) for rounds in peers.values())
    if not medians or not column.best:
        return None
    return medians[0] if column.best == "low" else medians[-1]


def table(scenario, peers):
    """Medians of the rounds; the spread is that of the first column."""
    first = scenario.columns[0]
    heads = [""] + [c.title for c in scenario.columns] + ["spread"]
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    best = {c.key: _best(c, peers) for c in scenario.columns}
    for name, rounds in peers.items():
        cells = [_cell(c, rounds, best[c.key]) for c in scenario.columns]
        spread = stats.spread(_values(rounds, first.key))
        cells.append("-" if spread != spread or len(rounds) < 2 else f"{spread:.0%}")
        lines.append("| " + " | ".join([name] + cells) + " |")
    return "\n".join(lines)


def plot(scenario, peers):
    """None: this scenario has none."""
    if scenario.plot:
        column = next(c for c in scenario.columns if c.key == scenario.plot)
        rows = []
        for name, rounds in peers.items():
            values = stats.clean(_values(rounds, column.key))
            if values:
                rows.append((name, stats.median(values), values[0], values[-1]))
        return svg.bars(f"{scenario.title}: {column.title}", rows, column.form) if rows else None
    if scenario.name.startswith("isolation"):
        series = {name: rounds[-1]["series"] for name, rounds in peers.items() if "series" in rounds[-1]}
        if series:
            return svg.lines(f"{scenario.title}, at 4× capacity", series, "s since the flood began",
                             "p99 ms of established connections, each 0.1 s", _flood_of(peers))
    return None


def _flood_of(peers):
    return (0, max(r["flood_s"] for rounds in peers.values() for r in rounds))


def document(results, info):
    """The page, and its plots by file name."""
    parts, plots = [_head(info)], {}
    for scenario in scenarios.ALL:
        result = results.get(scenario.name)
        peers = {name: rounds for name, rounds in result["peers"].items() if rounds} if result else {}
        if not peers:
            continue
        n = max(len(r) for r in peers.values())
        parts.append(f"## {scenario.title}\n\n{scenario.about} `{scenario.name}`, {n} "
                     f"round{'s' if n > 1 else ''}, {result['date']}.\n\n{table(scenario, peers)}\n")
        drawing = plot(scenario, peers)
        if drawing:
            plots[f"{scenario.name}.svg"] = drawing
            parts.append(f"![{scenario.title}](benchmarks/{scenario.name}.svg)\n")
    return "\n".join(parts), plots


def _head(info):
    m = info["machine"]
    versions = "\n".join(f"| {name} | {version} |" for name, version in info["versions"].items())
    kind = "virtual machine" if m["virtual"] else "machine"
    return f"""# Benchmarks

Written by `bench/run`, scenario by scenario: each table says in how many rounds.
Run it on the machine that matters to you: `make bench`.

- {m["cores"]}-core {kind}, {m["processor"]}, {m["memory_gb"]} GB; {m["system"]}, Linux {m["kernel"]},
  {m["openssl"]}.
- One worker on one core; the load generators and the origin on another. The figures are medians of
  rounds in which every peer had its turn (A, B, C, A, B, C...), so that a machine that slows down
  slows down for all. The spread is that of the first column: (highest - lowest) / median.
- **CPU** is the proxy's own, user and system, of all its processes and threads, from
  `/proc/PID/task/*/schedstat`. It is divided by the requests that the origin counted in the same time.
  Absolute times mean little on another machine; ratios within a table hold.
- **Latency** is measured open loop: a request's latency counts from the moment it was due, not from the
  moment it could be sent.
- The same for all: TLS 1.2 and 1.3, X25519, AES-128-GCM first, one certificate, stateless tickets, no
  session cache, backlog 4096, keep-alive on both sides, no access log. Everything else is the
  program's default. `nginx-511` is nginx with its own default backlog. hitch passes TCP on and never
  looks at HTTP. `sallyport` has a handshake thread beside its data thread, on the same core;
  `sallyport-loop` does both in one loop.
- wrk makes HTTP requests; handshakes, probes, idle connections and the origin are `sallyport-load`
  (`bench/load`). Full TLS 1.3 handshakes come from a client of its own that costs a quarter of OpenSSL's
  (`bench/load/tls13_client.c`), so that one core can ask for four times of what another can serve.

| | version |
|---|---|
{versions}
"""


def today():
    return datetime.date.today().isoformat()
