"""The program under test: started with a configuration, asked, stopped, and looked at afterwards."""
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from .control import Control
from .env import BINARY, ROOT, patience

# What a sanitizer or an assertion of the program leaves on standard error.
REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer"
                    r"|assertion failed|double free|stack smashing|buffer overflow detected")
LISTENING = re.compile(r" listening port=(\S+) address=(\S+)")
COUNTER_NAMES = re.findall(r"^\s*X\((\w+),",
                           (ROOT / "include/sallyport/base/metrics_table.h").read_text(), re.M)


def split_address(text: str) -> tuple:
    """"127.0.0.1:80" or "[::1]:80" as (host, port)."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def wait_until(condition, seconds=10.0, what="it"):
    """The first true value of condition(); fails after that long (and then some, if sanitized)."""
    end = time.monotonic() + patience(seconds)
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not happen within {patience(seconds)} s"
        time.sleep(0.01)


class Program:
    """A process of the binary with its output in files. Ends with the test."""

    def __init__(self, folder: Path, arguments: list, name: str, env: dict = None,
                 inherited: list = ()):
        self.log_path = folder / f"{name}.stderr"
        self.out_path = folder / f"{name}.stdout"
        self._name = name
        self.looked_at = False  # stop() was called
        with open(self.log_path, "ab") as err, open(self.out_path, "ab") as out:
            self.process = subprocess.Popen([str(BINARY), *arguments], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=err, pass_fds=inherited,
                                            env={**os.environ, **(env or {})})

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def running(self) -> bool:
        return self.process.poll() is None

    def wait_log(self, pattern: str, start: int = 0, seconds: float = 10.0) -> re.Match:
        """The first match in the log from character `start` on."""
        def look():
            found = re.search(pattern, self.log()[start:])
            assert found or self.running(), f"{self._name} ended:\n{self.log()}"
            return found
        return wait_until(look, seconds, f"/{pattern}/ in the log of {self._name}")

    def signal(self, number: int):
        self.process.send_signal(number)

    def wait(self, seconds: float = 20.0) -> int:
        try:
            return self.process.wait(patience(seconds))
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # a core or a sanitizer's stack trace
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            raise AssertionError(f"{self._name} did not end:\n{self.log()[-4000:]}") from None

    def stop(self, expected: int = 0):
        """SIGTERM, unless it has ended; then everything that must be true of an ended one."""
        self.looked_at = True
        if self.running():
            self.signal(signal.SIGTERM)
        status = self.wait()
        log = self.log()
        print(f"--- {self._name}: exit status {status}; the end of its log:\n{log[-6000:]}")
        assert not REPORT.search(log), f"{self._name}: a report in its log:\n{log[-20000:]}"
        assert status == expected, f"{self._name} ended with {status}:\n{log[-4000:]}"


class Proxy(Program):
    def __init__(self, folder: Path, config: dict, name: str = "proxy", env: dict = None,
                 inherited: list = ()):
        self.config = config
        self.config_path = folder / f"{name}.json"
        # Several programs of a test share its folder.
        config.setdefault("admin", {"socket": f"{name}.sock"})
        self.control = Control(folder / config["admin"].get("socket", "run/sallyport.sock"))
        self.config_path.write_text(json.dumps(config, indent=2))
        super().__init__(folder, ["run", "-c", str(self.config_path)], name, env, inherited)
        self.addresses = {}
        try:
            wait_until(self._all_listening, 60, f"listening of {name}")
        except BaseException:  # nobody else knows of the process
            self.process.kill()
            self.process.wait()
            raise

    def _all_listening(self) -> bool:
        log = self.log()
        assert self.running(), f"{self._name} ended with {self.process.returncode}:\n{log}"
        self.addresses = dict(LISTENING.findall(log))
        return len(self.addresses) == len(self.config["ports"])

    def reload(self, config: dict = None) -> bool:
        """Writes the configuration, if there is another one, and sends SIGHUP. Was it applied?"""
        if config is not None:
            self.config_path.write_text(json.dumps(config, indent=2))
        start = len(self.log())
        self.signal(signal.SIGHUP)
        applied = self.wait_log(r" app (applied config=|reload: failed)", start)[1] != "reload: failed"
        if applied and config is not None:
            self.config = config
        self.addresses.update(LISTENING.findall(self.log()[start:]))
        return applied

    def address(self, key: str) -> tuple:
        """Where the port with this key really listens, as (host, port)."""
        return split_address(self.addresses[key])

    def _first(self, tls: bool) -> tuple:
        for key, port in self.config["ports"].items():
            if port.get("tls", True) == tls:
                return self.address(key)
        raise KeyError("no such port")

    @property
    def https(self) -> tuple:
        return self._first(True)

    @property
    def http(self) -> tuple:
        return self._first(False)

    def metrics(self) -> dict:
        """Every counter, from a dump into the log (what is 0 is not in it)."""
        # The dump has no last line; the first line of a second one shows that the first is over.
        first = r" metric event_loop_turns=\d+\n"
        start = len(self.log())
        self.signal(signal.SIGUSR2)
        self.wait_log(first, start)
        self.signal(signal.SIGUSR2)
        dump = self.wait_log(rf"{first}(?s:.*?){first}", start)[0]
        return {**dict.fromkeys(COUNTER_NAMES, 0),
                **{name: int(value) for name, value in re.findall(r" metric (\w+)=(\d+)\n", dump)}}

    def wait_metric(self, name: str, at_least: int, seconds: float = 10.0) -> dict:
        def look():
            metrics = self.metrics()
            return metrics if metrics[name] >= at_least else None
        return wait_until(look, seconds, f"{name} >= {at_least}")

    def rss_bytes(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def peak_rss_bytes(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    def forget_peak(self):
        """The peak counts from here on (man 5 proc, clear_refs)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def open_sockets(self) -> int:
        n = 0
        for fd in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                n += os.readlink(fd).startswith("socket:")
            except FileNotFoundError:
                pass
        return n


class Origin(Program):
    """`sallyport origin`, the demo backend."""

    def __init__(self, folder: Path, name: str = "origin"):
        super().__init__(folder, ["origin", "--port", "0", "--name", name], name)
        def listening():
            assert self.running(), self.log()
            return re.search(r"(127\.0\.0\.1:[1-9]\d*)", self.log() + self.out_path.read_text())
        self.address = wait_until(listening, 10, "listening of the origin")[1]
