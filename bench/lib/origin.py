"""The origin: the one of sallyport-load, because it costs less than any server that is installed
(nginx's `return 200` costs about 40 % more), reads uploads whole before it answers, and counts."""

import contextlib
import json
import time
import urllib.request

from . import procs


class Origin:
    def __init__(self, load_program, cores, log):
        self.port = procs.free_port()
        self.process = procs.Process([load_program, "origin", "--target", f"127.0.0.1:{self.port}"],
                                     cores, log)
        self._wait()

    def _wait(self):
        for _ in range(200):
            try:
                self.stats()
                return
            except OSError:
                self.process.check()
                time.sleep(0.01)
        raise procs.ProcessFailed("the origin does not answer")

    def stats(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=5) as answer:
            return json.load(answer)

    @contextlib.contextmanager
    def preferred(self):
        """Runs before the generators that share its core: they shall not delay its answers. (Where
        nothing else counts than throughput, an origin that lets requests gather costs less.)"""
        procs.prefer(self.process.popen.pid, True)
        try:
            yield
        finally:
            procs.prefer(self.process.popen.pid, False)

    def stop(self):
        self.process.stop()
