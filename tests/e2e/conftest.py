"""Fixtures: everything that a test starts ends with it, and is looked at when it has ended."""
import faulthandler
import os
import resource
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from helpers.backend import Backend
from helpers.certs import Certs
from helpers.clients import Clients
from helpers.env import BINARY, patience
from helpers.http1 import Client
from helpers.issuing import Issuer
from helpers.nginx import Nginx
from helpers.proxy import Origin, Proxy

TLS_PORT = "127.0.0.1:0"
PLAIN_PORT = "127.0.0.2:0"
TEST_SECONDS = 120
# Routes of a test that wants 404 for everything: a port needs at least one.
NOWHERE = [{"host": "nowhere.test", "respond": {"status": 204}}]


def pytest_configure(config):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not there: build it, or set SALLYPORT_BIN", returncode=2)
    # Thousands of connections, for the proxy and for the clients in here.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def children() -> list:
    """Processes that this one started and that still are."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            found.append((folder / "cmdline").read_text().replace("\0", " "))
    return found


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left():
    yield
    assert children() == []


@pytest.fixture(autouse=True)
def time_limit(request):
    """A test that hangs fails with the stacks of its threads instead of holding the run up."""
    def expired(*_):
        faulthandler.dump_traceback(all_threads=True)
        raise TimeoutError(f"{request.node.name} hangs")
    signal.signal(signal.SIGALRM, expired)
    signal.alarm(int(patience(TEST_SECONDS)))
    yield
    signal.alarm(0)


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="session")
def issuer(certs):
    """Makes certificates fast."""
    return Issuer(certs)


@pytest.fixture(scope="session")
def context(certs):
    """A TLS client's trust."""
    return certs.context()


def make_config(certs, backends=None, routes=None, ports=None, **rest) -> dict:
    """A configuration: a TLS port and a plain one, everything to the first backend, unless said
    otherwise. A backend is a list of servers or an object."""
    backends = {name: value if isinstance(value, dict) else {"servers": value}
                for name, value in (backends or {}).items()}
    if routes is None:
        routes = [{"backend": name} for name in list(backends)[:1]] or NOWHERE
    if ports is None:
        ports = {TLS_PORT: {"bundles": ["shop"]}, PLAIN_PORT: {"tls": False}}
    used = {bundle for port in ports.values() for bundle in port.get("bundles", [])}
    bundles = {name: value for name, value in certs.bundles().items() if name in used}
    # A sanitizer on a busy machine makes handshakes wait for longer than anybody means by overload.
    handshake = {"max_wait_ms": int(patience(2000))}
    return {"ports": ports, "bundles": bundles, "backends": backends, "routes": routes,
            "threads": {"net": 2, "ssl": 1}, "handshake": handshake, **rest}


class Starter:
    """Starts things and remembers them."""

    def __init__(self, folder: Path, certs: Certs):
        self.folder = folder
        self.certs = certs
        self.programs = []
        self.backends = []
        self.nginxes = []
        self.clients = []

    def client(self, *command, **options) -> subprocess.Popen:
        """A process that is ended with the test if it has not."""
        self.clients.append(subprocess.Popen(command, **options))
        return self.clients[-1]

    def proxy(self, backends=None, env=None, inherited=(), **config) -> Proxy:
        name = f"proxy{len(self.programs)}"
        proxy = Proxy(self.folder, make_config(self.certs, backends, **config), name, env,
                      inherited)
        self.programs.append(proxy)
        return proxy

    def origin(self) -> Origin:
        origin = Origin(self.folder, f"origin{len(self.programs)}")
        self.programs.append(origin)
        return origin

    def backend(self, handler, **options) -> Backend:
        backend = Backend(handler, **options)
        self.backends.append(backend)
        return backend

    def nginx(self, **options) -> Nginx:
        nginx = Nginx(self.folder / f"nginx{len(self.nginxes)}", **options)
        self.nginxes.append(nginx)
        return nginx

    def stop(self):
        failures = []
        for client in self.clients:
            if client.poll() is None:
                client.kill()
                client.wait()
        for program in self.programs:
            if not program.looked_at:
                try:
                    program.stop()
                except AssertionError as failure:
                    failures.append(failure)
        for nginx in self.nginxes:
            nginx.stop()
        for backend in self.backends:
            backend.close()
        errors = [error for backend in self.backends for error in backend.errors]
        assert not failures and not errors, [*failures, *errors]


@pytest.fixture
def start(tmp_path, certs):
    """start.proxy(...), start.backend(...), start.origin(), start.nginx(): for one test."""
    starter = Starter(tmp_path, certs)
    yield starter
    starter.stop()


@pytest.fixture(scope="module")
def start_module(tmp_path_factory, certs):
    """The same for all tests of a file, where none of them can leave traces."""
    starter = Starter(tmp_path_factory.mktemp("module"), certs)
    yield starter
    starter.stop()


@pytest.fixture
def connect(context):
    """connect(address) opens a TLS client; tls=False a plain one. Closed with the test."""
    clients = []

    def open_client(address, tls=True, **options):
        clients.append(Client(address, options.pop("context", context) if tls else None,
                              **options))
        return clients[-1]
    yield open_client
    for client in clients:
        client.close()


@pytest.fixture
def serial_of(connect):
    """serial_of(proxy, name): of the certificate that a client gets who asks for the name."""
    def ask(proxy, name: str) -> str:
        client = connect(proxy.https, server_name=name)
        serial = client.sock.getpeercert()["serialNumber"]
        client.close()
        return serial
    return ask


@pytest.fixture
def clients(start):
    """clients(proxy, name): begins to use the TLS port at full speed, until end()."""
    def begin(proxy, name="shop.test", **options):
        return Clients(start, proxy.https, name, **options)
    return begin


@pytest.fixture
def in_background():
    """in_background(function, ...) runs it in a thread; its error is the test's."""
    threads, errors = [], []

    def run(function, *arguments):
        def guarded():
            try:
                function(*arguments)
            except BaseException as error:  # pylint: disable=broad-except
                errors.append(error)
        threads.append(threading.Thread(target=guarded, daemon=True))
        threads[-1].start()
        return threads[-1]
    yield run
    for thread in threads:
        thread.join(patience(30))
        assert not thread.is_alive()
    assert not errors, errors
