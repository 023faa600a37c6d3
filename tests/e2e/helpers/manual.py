"""Examples of the documents, run as somebody would type them."""
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from .env import BINARY, ROOT, patience
from .proxy import wait_until

PAGES = ROOT / "docs/manual"
# Amounts, and units that go with them.
AMOUNT = (r"\d+(?:\.\d+)?(?: (?:[KMG]iB|B|us|ms|s|min|h|d)\b)?"
          r"(?: \d+(?:\.\d+)? (?:[KMG]iB|B|us|ms|s|min|h|d)\b)*", "N")
# A configuration with mistakes; the port's are the test's.
BAD = ('{\n  "ports": {\n    "8443": { %s }\n  },\n  "routes": [{ "path": "/", "backend": "ap" }],\n'
       '  "backends": { "app": { "servers": ["127.0.0.1:9001"] } }\n}\n')
TAG = re.compile(r'"(\d+-[0-9a-f]{16})"')


def blocks(page: str, *kinds: str) -> list:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", (PAGES / page).read_text(), re.M | re.S)
    return [text for kind, text in fenced if kind in kinds]


def examples(page: str) -> list:
    """(command, what is printed) of every line with a prompt, in the order of the page."""
    found = []
    for block in blocks(page, "", "console"):
        found += re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, re.M)
    return found


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


class Shell:
    """Runs lines in a folder. What they name is elsewhere here: `places` says where, and holds for
    what the page prints as well."""

    def __init__(self, folder: Path, places: dict = None, env: dict = None):
        self.folder = folder
        self.places = dict(places or {})
        (folder / "bin").mkdir(exist_ok=True)
        (folder / "bin/sallyport").symlink_to(BINARY)
        self._env = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **(env or {})}

    def moved(self, text: str) -> str:
        if not self.places:
            return text
        # A number is meant as a whole one.
        names = [rf"(?<!\d){re.escape(name)}(?!\d)" for name in self.places]
        return re.sub("|".join(names), lambda m: self.places[m[0]], text)

    def start(self, command: str) -> subprocess.Popen:
        # pylint: disable=consider-using-with
        return subprocess.Popen(["bash", "-c", self.moved(command)], cwd=self.folder, text=True,
                                env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)

    def run(self, command: str) -> str:
        return self.start(command).communicate(timeout=patience(60))[0]

    def begin(self, command: str, lines: int, poke=lambda: None) -> str:
        """The first lines of a program that goes on; then it is ended."""
        process = self.start("exec " + command)
        try:
            poke()
            said = "".join(process.stdout.readline() for _ in range(lines))
            process.send_signal(signal.SIGTERM)
            rest = process.communicate(timeout=patience(30))[0]
        finally:
            process.kill()
        assert process.wait() == 0, said + rest
        return said

    def learn(self, printed: str, said: str):
        """A tag in a later command is that of an earlier answer."""
        self.places.update(zip(TAG.findall(printed), TAG.findall(said)))


def same(text: str, *marks) -> str:
    """Without what differs from run to run: moments, users, processes; and what `marks` (pattern,
    replacement) name. Columns are as wide as what is in them."""
    marks = [(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"), (r"(TIME) +\d+ +\d+ +", r"\1 "),
             (r"(?i)\bdate: .*", "date"), (r"-[0-9a-f]{16}\"", '-HASH"'), (r"\bpid=\d+", "pid=N"),
             *marks, (r"\r", ""), (r" +$", ""), (r" +", " ")]
    for pattern, replacement in marks:
        text = re.sub(pattern, replacement, text, flags=re.M)
    return text


def without_warnings(text: str) -> str:
    """Those of an example's own making are no part of what it shows."""
    return "".join(line for line in text.splitlines(True) if not line.startswith("warning:"))


def hold(shell: Shell, command: str, printed: str, *marks, said: str = None):
    """The line says what the page says that it says, down to a line of dots if there is one."""
    said = shell.run(command) if said is None else said
    if printed.endswith("\n...\n"):
        printed = printed.removesuffix("...\n")
        said = "".join(said.splitlines(True)[:printed.count("\n")])
    assert same(without_warnings(said), *marks) == same(shell.moved(printed), *marks), command
    shell.learn(printed, said)


class Copy:
    """What the lines of a document need of the tree, in a folder of its own and with other ports."""
    FILES = ["conf/quickstart.json", "conf/examples/protocols.json", "conf/examples/echo.py"]
    PORTS = ["8443", "8080", "9001", "9002", "9003"]

    def __init__(self, folder: Path, start):
        self.folder, self._start = folder, start
        self.ports = {port: free_port() for port in self.PORTS}
        for name in self.FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(self.moved((ROOT / name).read_text()))
            (folder / name).chmod(0o755)
        shutil.copy(ROOT / "certs/make-certs.sh", folder)
        subprocess.run([folder / "make-certs.sh", folder / "certs"], check=True)

    def moved(self, text: str) -> str:
        return re.sub(r"\b(" + "|".join(self.PORTS) + r")\b", lambda m: self.ports[m[1]], text)

    def command(self, line: str) -> list:
        return ["bash", "-c", "exec " + self.moved(line).replace("build/release/sallyport",
                                                                  str(BINARY))]

    def background(self, line: str):
        self._start.client(*self.command(line), cwd=self.folder)

    def run(self, line: str) -> str:
        return subprocess.run(self.command(line), cwd=self.folder, capture_output=True, text=True,
                              check=True, timeout=patience(30)).stdout

    def wait_for(self, *ports):
        for port in ports:
            wait_until(lambda port=port: answers(self.ports[port]), 15, f"port {port}")
