"""The lines of README.md that somebody may copy do what it says, on ports that are free."""
import re
import shutil
import socket
import subprocess

import pytest
from helpers.env import BINARY, ROOT, patience
from helpers.proxy import wait_until

README = ROOT / "README.md"
FILES = ["conf/quickstart.json", "conf/examples/protocols.json", "conf/examples/echo.py"]
PORTS = ["8443", "8080", "9001", "9002", "9003"]


def lines_to_try(name: str) -> list:
    found = re.search(rf"<!-- try: {name} -->\n```\n(.*?)```\n", README.read_text(), re.S)
    assert found, f"no lines to try {name}"
    return found[1].splitlines()


def free_port() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return str(sock.getsockname()[1])


def answers(port: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(port)), 1).close()
        return True
    except OSError:
        return False


class Copy:
    """What the lines need of the tree, in a folder of its own and with other ports."""

    def __init__(self, folder, start):
        self.folder, self.start = folder, start
        self.ports = {port: free_port() for port in PORTS}
        for name in FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(self.moved((ROOT / name).read_text()))
            (folder / name).chmod(0o755)
        shutil.copy(ROOT / "certs/make-certs.sh", folder)
        subprocess.run([folder / "make-certs.sh", folder / "certs"], check=True)

    def moved(self, text: str) -> str:
        return re.sub(r"\b(" + "|".join(PORTS) + r")\b", lambda m: self.ports[m[1]], text)

    def command(self, line: str) -> list:
        return ["bash", "-c", "exec " + self.moved(line).replace("build/release/sallyport",
                                                                  str(BINARY))]

    def background(self, line: str):
        self.start.client(*self.command(line), cwd=self.folder)

    def run(self, line: str) -> str:
        return subprocess.run(self.command(line), cwd=self.folder, capture_output=True, text=True,
                              check=True, timeout=patience(30)).stdout

    def wait_for(self, *ports):
        for port in ports:
            wait_until(lambda port=port: answers(self.ports[port]), 15, f"port {port}")


@pytest.fixture
def copy(tmp_path, start):
    return Copy(tmp_path, start)


def test_http2(copy):
    """With what `make run` starts."""
    copy.background("build/release/sallyport origin --port 9001")
    copy.background("build/release/sallyport run -c conf/quickstart.json")
    copy.wait_for("9001", "8443")

    said = [copy.run(line) for line in lines_to_try("http2")]

    assert said == ["HTTP/2\n"]


def test_websocket_and_grpc(copy):
    *servers, websocket, grpc = lines_to_try("protocols")
    for line in servers:
        copy.background(line.removesuffix(" &"))
    copy.wait_for("9002", "9003", "8443")

    assert copy.run(websocket) == "hello\n"
    assert copy.run(grpc) == "hello\ngrpc-status 0\n"
