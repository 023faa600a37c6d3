"""What the scenarios share: where things are, how long they last, and how a peer is run."""

import contextlib
import json
import pathlib
import subprocess
import time

from . import machine, measure, peers, procs
from .origin import Origin

CERTS = {
    "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa": ["-newkey", "rsa:2048"],
}


class Times:
    """Seconds of each part; `quick` is for trying the runner, not for figures."""

    def __init__(self, quick):
        self.warm = 0.5 if quick else 1.5
        self.steady = 1.0 if quick else 4.0
        self.calm = 1.0 if quick else 3.0  # isolation: before the flood
        self.flood = 2.0 if quick else 6.0
        self.settle = 0.5 if quick else 2.0
        self.after = 1.0 if quick else 4.0


class Bench:
    def __init__(self, folder, load_program, sallyport_program, quick):
        self.dir = pathlib.Path(folder)
        self.load_program = load_program
        self.times = Times(quick)
        cores = machine.cores()
        if len(cores) < 2:
            raise procs.ProcessFailed("two cores are needed: one for the proxy, one for the load")
        self.proxy_cores, self.load_cores, self.all_cores = {cores[0]}, {cores[1]}, set(cores[:2])
        self.peers = {p.name: p for p in peers.all_peers(sallyport_program)}
        self.certs = {kind: self._make_cert(kind) for kind in CERTS}
        self.origin = Origin(load_program, self.load_cores, self.dir / "origin.log")
        self.n_started = 0

    def close(self):
        self.origin.stop()

    def _make_cert(self, kind):
        key, cert, both = (self.dir / f"{kind}{end}" for end in (".key", ".crt", ".pem"))
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", *CERTS[kind],
                        "-keyout", key, "-out", cert], check=True, capture_output=True)
        both.write_bytes(cert.read_bytes() + key.read_bytes())
        return both

    def many_certs(self, count):
        """[(host, file)] of so many; made when first asked for."""
        folder = self.dir / "certs"
        if not (folder / f"host{count - 1}.pem").exists():
            self.make_certs(folder, 0, count)
        return [(f"host{i}.test", folder / f"host{i}.pem") for i in range(count)]

    def make_certs(self, folder, first, count):
        folder.mkdir(exist_ok=True)
        subprocess.run([self.load_program, "certs", "--dir", folder, "--first", str(first),
                        "--count", str(count)], check=True, capture_output=True)

    @contextlib.contextmanager
    def running(self, peer, certs, workers=1, cores=None):
        """A peer that serves; `.port` is where."""
        self.n_started += 1
        folder = self.dir / f"{self.n_started}-{peer.name.replace('/', '_')}"
        folder.mkdir()
        folder.chmod(0o777)  # some give up root before they write their pid
        settings = peers.Settings(folder, procs.free_port(), self.origin.port, workers, certs)
        started = time.monotonic()
        process = peer.start(settings, cores or self.proxy_cores)
        try:
            process.port = settings.port
            procs.wait_until_serving(process, settings.port, certs[-1][0], timeout_s=120)
            process.ready_s = time.monotonic() - started
            yield process
        finally:
            process.stop()

    def one(self, kind):
        return [("localhost", self.certs[kind])]

    def load(self, mode, proxy, *options, first=False, cores=None):
        """The project's own generator."""
        argv = [self.load_program, mode, "--target", f"127.0.0.1:{proxy.port}", *options]
        return Generator(self, argv, first, cores)

    def wrk(self, proxy, connections, seconds, path="/", *options, cores=None):
        argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "60s", *options,
                f"https://localhost:{proxy.port}{path}"]
        return Generator(self, argv, False, cores)

    def h2load(self, proxy, connections, streams, seconds, path="/", cores=None):
        argv = ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds:.0f}",
                f"https://localhost:{proxy.port}{path}"]
        return Generator(self, argv, False, cores)

    def span(self, proxy):
        """CPU and requests while a generator that was just started keeps the proxy busy."""
        time.sleep(self.times.warm)
        begin = measure.Mark(proxy, self.origin)
        time.sleep(self.times.steady)
        return measure.Span(begin, measure.Mark(proxy, self.origin))

    def generator_seconds(self):
        """How long a generator has to run for span()."""
        return int(self.times.warm + self.times.steady + 2)


class Generator:
    n_started = 0

    def __init__(self, bench, argv, first, cores):
        Generator.n_started += 1
        self.log = bench.dir / f"generator-{Generator.n_started}.log"
        self.process = procs.Process(argv, cores or bench.load_cores, self.log, first=first)

    def wait_ready(self, timeout_s=120):
        """sallyport-load: its connections stand."""
        until = time.monotonic() + timeout_s
        while "ready" not in self.process.said():
            self.process.check()
            if time.monotonic() > until:
                raise procs.ProcessFailed("the connections were not established in time")
            time.sleep(0.01)

    def result(self, timeout_s=120):
        """sallyport-load: the JSON of its last line."""
        if self.process.wait(timeout_s) != 0:
            self.process.stop()
            raise procs.ProcessFailed(f"{self.process.argv}:\n{self.process.said()}")
        return json.loads(self.process.said().strip().splitlines()[-1])

    def stop(self):
        self.process.stop()
