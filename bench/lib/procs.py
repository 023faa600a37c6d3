"""Processes of a measurement: started on given cores, watched as a tree, stopped by their own pid."""

import itertools
import os
import signal
import socket
import ssl
import subprocess
import sys
import time


class ProcessFailed(Exception):
    pass


class Process:
    """A child with all its descendants. Its output goes to a file, which is quoted when it fails."""

    def __init__(self, argv, cores, log, first=False, env=None, cwd=None):
        self.argv = [str(a) for a in argv]
        self.log = log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd,
                env=dict(os.environ, **(env or {})), start_new_session=True,
                preexec_fn=lambda: _place(cores, first))

    def pids(self):
        return tree(self.popen.pid)

    def said(self):
        with open(self.log, "rb") as file:
            return file.read()[-2000:].decode(errors="replace")

    def check(self):
        if self.popen.poll() is not None:
            raise ProcessFailed(f"{self.argv[0]} ended with {self.popen.returncode}:\n{self.said()}")

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout_s):
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self):
        pids = self.pids()
        if self.popen.poll() is None:
            self.popen.terminate()
            if self.wait(3) is None:
                self.popen.kill()
                self.popen.wait()
        for pid in pids:  # children that did not go with their parent
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def _place(cores, first):
    """In the child. `first`: runs before everything else on its cores, so that waiting for a core
    that it shares with a generator does not count as the proxy's latency."""
    os.sched_setaffinity(0, cores)
    if first:
        prefer(0, True)


def prefer(pid, yes):
    """Where we may: SCHED_FIFO, or back to an ordinary weight."""
    policy, priority = (os.SCHED_FIFO, 1) if yes else (os.SCHED_OTHER, 0)
    try:
        os.sched_setscheduler(pid, policy, os.sched_param(priority))
    except PermissionError:
        print("no permission for SCHED_FIFO: the load's own delays count as latency", file=sys.stderr)


def _parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def tree(root):
    """root and its descendants."""
    parents = {int(name): _parent_of(name) for name in os.listdir("/proc") if name.isdigit()}
    found, new = set(), {root} & set(parents)
    while new:
        found |= new
        new = {pid for pid, parent in parents.items() if parent in new} - found
    return sorted(found)


# The administrator's, as 443 is, where we may; else below the ephemeral range, where no outgoing
# connection of the generators can take it.
_PORTS = range(601, 1024) if os.geteuid() == 0 else range(20443, 30000)
_rotation = itertools.cycle(_PORTS)


def free_port():
    """Another one each time, for as long as there are: connections of the last one may linger."""
    for port in itertools.islice(_rotation, len(_PORTS)):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise ProcessFailed("no free port")


def tls_serial(port, host="localhost", timeout_s=5):
    """Shakes hands; the serial number of the certificate that was shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout_s) as plain:
        with context.wrap_socket(plain, server_hostname=host) as secured:
            return _serial_of(secured.getpeercert(True))


def _serial_of(der):
    """The INTEGER after the version in the tbsCertificate (RFC 5280 4.1)."""
    def content(at):
        length, start = der[at + 1], at + 2
        if length & 0x80:
            n = length & 0x7F
            length, start = int.from_bytes(der[start:start + n], "big"), start + n
        return start, length

    at, _ = content(0)
    at, _ = content(at)
    start, length = content(at)  # [0] version
    start, length = content(start + length)
    return int.from_bytes(der[start:start + length], "big")


def wait_until_serving(process, port, host="localhost", timeout_s=60):
    """Seconds until a handshake succeeded."""
    start = time.monotonic()
    while True:
        try:
            tls_serial(port, host)
            return time.monotonic() - start
        except (OSError, ssl.SSLError):
            process.check()
        if time.monotonic() - start > timeout_s:
            raise ProcessFailed(f"{process.argv[0]} does not serve:\n{process.said()}")
        time.sleep(0.005)
