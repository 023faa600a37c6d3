"""Clients that use a TLS port at full speed, in a process of their own, so that they do not share an
interpreter with whoever measures:

    python3 -m helpers.clients HOST PORT CA NAME KIND...

runs one thread for each KIND (see KINDS) until standard input ends, or one of them fails. Prints
"running" when each has done something, and at the end as JSON how much they did and what failed.
"""
import collections
import json
import ssl
import subprocess
import sys
import threading
from pathlib import Path

from .env import patience
from .http1 import Client
from .http2 import Http2Client

KEPT_FOR = 100  # requests on a connection that is kept
AT_ONCE = 8     # streams
KINDS = {}


def kind(function):
    KINDS[function.__name__] = function
    return function


class Load:
    """What the threads of this process have in common."""

    def __init__(self, address: tuple, ca: str, name: str):
        self.address, self.ca, self.name = address, ca, name
        self.done = collections.Counter()
        self.serials = collections.Counter()
        self.errors = []
        self.over = threading.Event()

    def context(self, older: bool = False, alpn=None):
        context = ssl.create_default_context(cafile=self.ca)
        if older:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if alpn:
            context.set_alpn_protocols([alpn])
        return context

    def one(self, context, session=None) -> Client:
        client = Client(self.address, context, self.name, session)
        resumed = client.sock.session_reused
        self.done["resumed" if resumed else "full"] += 1
        if not resumed:
            self.serials[client.sock.getpeercert()["serialNumber"]] += 1
        return client

    def ask(self, client: Client) -> bool:
        """False: it was the last on this connection."""
        response = client.get("/")
        assert response.status == 200, response.status
        self.done["requests"] += 1
        return not response.closes()


def _each_on_a_new_one(load, context, resumes):
    session = None
    while not load.over.is_set():
        with load.one(context, session) as client:
            load.ask(client)
            session = client.sock.session if resumes else None
        yield


@kind
def new(load):
    return _each_on_a_new_one(load, load.context(), False)


@kind
def new_older(load):
    return _each_on_a_new_one(load, load.context(older=True), False)


@kind
def resuming(load):
    return _each_on_a_new_one(load, load.context(), True)


@kind
def resuming_older(load):
    return _each_on_a_new_one(load, load.context(older=True), True)


@kind
def kept(load):
    context = load.context()
    while not load.over.is_set():
        with load.one(context) as client:
            for _ in range(KEPT_FOR):
                if load.over.is_set() or not load.ask(client):
                    break
                yield


def _http2(load, context, rounds):
    with Http2Client(load.address, context, load.name) as client:
        load.done["full"] += 1
        for _ in range(rounds):
            for stream in [client.request() for _ in range(AT_ONCE)]:
                assert client.wait_over(stream).status == 200
                load.done["requests"] += 1
            yield
            if load.over.is_set() or client.goaway:
                break


@kind
def http2_kept(load):
    context = load.context(alpn="h2")
    while not load.over.is_set():
        yield from _http2(load, context, KEPT_FOR)


@kind
def http2_new(load):
    context = load.context(alpn="h2")
    while not load.over.is_set():
        yield from _http2(load, context, 1)


def _run(load, name, begun):
    try:
        for _ in KINDS[name](load):
            begun.set()
    except BaseException as error:  # pylint: disable=broad-except
        load.errors.append(f"{name}: {error!r}")
        load.over.set()
    begun.set()


def main(host, port, ca, name, *kinds):
    load = Load((host, int(port)), ca, name)
    begun = [threading.Event() for _ in kinds]
    threads = [threading.Thread(target=_run, args=(load, one, event), daemon=True)
               for one, event in zip(kinds, begun)]
    for thread in threads:
        thread.start()
    for event in begun:
        event.wait(patience(30))
    print("running", flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), load.over.set()), daemon=True).start()
    load.over.wait()
    for thread in threads:
        thread.join(patience(30))
        if thread.is_alive():
            load.errors.append("a client hangs")
    print(json.dumps({**load.done, "serials": load.serials, "errors": load.errors}), flush=True)


class Clients:
    """Such processes, for a test: HTTP/1.1 in one, HTTP/2 in the other. `start` is the fixture."""

    PROCESSES = (("new", "new_older", "resuming", "resuming_older", "kept"),
                 ("http2_kept", "http2_new", "new"))

    def __init__(self, start, address: tuple, name: str, processes=PROCESSES):
        self._processes = [
            start.client(sys.executable, "-m", "helpers.clients", *map(str, address),
                         str(start.certs.ca), name, *kinds, text=True,
                         cwd=Path(__file__).resolve().parents[1],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for kinds in processes]
        for process in self._processes:
            assert process.stdout.readline() == "running\n"

    def end(self) -> dict:
        """How much of what they did. Nothing may have failed."""
        done, serials = collections.Counter(), collections.Counter()
        for process in self._processes:
            process.stdin.close()
        for process in self._processes:
            told = json.loads(process.stdout.readline())
            process.wait(patience(10))
            assert not told["errors"], told["errors"]
            serials.update(told.pop("serials"))
            told.pop("errors")
            done.update(told)
        return {**done, "serials": serials}


if __name__ == "__main__":
    main(*sys.argv[1:])
