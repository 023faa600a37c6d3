"""What a tree of processes cost: CPU time and memory, from /proc."""

import os
import time

TICKS = os.sysconf("SC_CLK_TCK")


def _stat_seconds(path):
    """User and system time (proc(5), fields 14 and 15)."""
    with open(path, encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def cpu_seconds(pids):
    """(all, system) of every thread of the processes. The whole comes from schedstat, in
    nanoseconds, where the kernel has it; the share of the system from stat, in ticks."""
    total = user = system = 0.0
    for pid in pids:
        for task in _tasks(pid):
            try:
                u, s = _stat_seconds(f"{task}/stat")
                user, system = user + u, system + s
                total += _schedstat(f"{task}/schedstat", u + s)
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended meanwhile
    return total, system


def _tasks(pid):
    try:
        return [f"/proc/{pid}/task/{tid}" for tid in os.listdir(f"/proc/{pid}/task")]
    except (FileNotFoundError, ProcessLookupError):
        return []


def thread_seconds(pids, prefix):
    """CPU time of the threads whose names begin so."""
    total = 0.0
    for pid in pids:
        for task in _tasks(pid):
            with open(f"{task}/comm", encoding="ascii") as file:
                if file.read().startswith(prefix):
                    total += _schedstat(f"{task}/schedstat", 0.0)
    return total


def _schedstat(path, otherwise):
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e9
    except (FileNotFoundError, IndexError):
        return otherwise


def _rollup_kb(pid, field):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith(field):
                    return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def pss_kb(pids):
    """Proportional set size: memory that processes share counts once."""
    return sum(_rollup_kb(pid, "Pss:") for pid in pids)


class Mark:
    """A moment: the proxy's CPU time, what the origin has served, and the clock."""

    def __init__(self, proxy, origin):
        self.cpu_s, self.system_s = cpu_seconds(proxy.pids())
        self.served = origin.stats()
        self.time_s = time.monotonic()


class Span:
    """What happened between two marks."""

    def __init__(self, begin, end):
        self.seconds = end.time_s - begin.time_s
        self.cpu_s = end.cpu_s - begin.cpu_s
        self.system_share = _ratio(end.system_s - begin.system_s, self.cpu_s)
        self.busy = _ratio(self.cpu_s, self.seconds)
        self.requests = end.served["requests"] - begin.served["requests"]
        self.megabytes = (end.served["bytes_in"] + end.served["bytes_out"]
                          - begin.served["bytes_in"] - begin.served["bytes_out"]) / 1e6

    def us_per_request(self):
        return _ratio(self.cpu_s * 1e6, self.requests)

    def ms_per_mb(self):
        return _ratio(self.cpu_s * 1e3, self.megabytes)


def _ratio(a, b):
    return a / b if b else float("nan")
