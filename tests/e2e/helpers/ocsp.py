"""An authority whose certificates name a responder, and responders: openssl's own, and one that does
what a test tells it to."""
import re
import socket
import subprocess
from pathlib import Path

from .proxy import wait_until

KEY = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
RSA = ["rsa:2048"]
FIELDS = "HTTP/1.0 200 OK\r\nContent-Type: application/ocsp-response\r\nContent-Length: {}\r\n\r\n"


class Authority:
    """A root that issues leaves, and knows of each whether it is good."""

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._config = folder / "openssl.cnf"
        self._config.write_text("[req]\ndistinguished_name = dn\n[dn]\n")
        self.ca = folder / "root.pem"
        self.index = folder / "index.txt"
        self.index.write_text("")
        self._make("root", KEY, "/CN=sallyport end-to-end OCSP root",
                   ["basicConstraints=critical,CA:TRUE"])

    def _make(self, name, key, subject, extensions, signer=()):
        command = ["openssl", "req", "-x509", "-nodes", "-config", self._config, "-days", "30",
                   "-newkey", *key, "-subj", subject, "-keyout", self.folder / f"{name}.key",
                   "-out", self.folder / f"{name}.pem", *signer]
        for extension in extensions:
            command += ["-addext", extension]
        subprocess.run(command, check=True, capture_output=True)

    def leaf(self, name: str, url: str = None, must_staple=False, key=None, host="shop.test") -> dict:
        """As in "certs" of a bundle: a certificate that is good, and asks at `url`."""
        extensions = [f"subjectAltName=DNS:{host}", "basicConstraints=critical,CA:FALSE"]
        if url:
            extensions.append(f"authorityInfoAccess=OCSP;URI:{url}")
        if must_staple:
            extensions.append("tlsfeature=status_request")
        self._make(name, key or KEY, f"/CN={name}", extensions,
                   ["-CA", self.ca, "-CAkey", self.folder / "root.key"])
        pem = self.folder / f"{name}.pem"
        (self.folder / f"{name}-alone.pem").write_text(pem.read_text())
        pem.write_text(pem.read_text() + self.ca.read_text())
        self.says(name, "V")
        return {"chain": str(pem), "key": str(self.folder / f"{name}.key")}

    def says(self, name: str, status: str):
        """Of a leaf, from now on: "V" valid, "R" revoked."""
        shown = subprocess.run(["openssl", "x509", "-in", self.folder / f"{name}.pem", "-noout",
                                "-serial"], check=True, capture_output=True, text=True).stdout
        serial = shown.strip().partition("=")[2]
        others = [line for line in self.index.read_text().splitlines() if f"\t{serial}\t" not in line]
        revoked = "200101000000Z,keyCompromise" if status == "R" else ""
        others.append(f"{status}\t491231235959Z\t{revoked}\t{serial}\tunknown\t/CN={name}")
        self.index.write_text("\n".join(others) + "\n")

    def response(self, name: str, signer: str = "root", minutes: int = 60, ca: "Authority" = None) -> bytes:
        """A response about a leaf, in DER, by this authority's key `signer`, as `ca` would give it."""
        ca = ca or self
        request, out = self.folder / "request.der", self.folder / "response.der"
        subprocess.run(["openssl", "ocsp", "-issuer", ca.ca, "-cert", ca.folder / f"{name}-alone.pem",
                        "-no_nonce", "-reqout", request], check=True, capture_output=True)
        subprocess.run(["openssl", "ocsp", "-index", ca.index, "-CA", ca.ca, "-rsigner",
                        self.folder / f"{signer}.pem", "-rkey", self.folder / f"{signer}.key",
                        "-nmin", str(minutes), "-reqin", request, "-respout", out],
                       check=True, capture_output=True)
        return out.read_bytes()


class OpensslResponder:
    """`openssl ocsp`: reads the index anew for nobody, so it is started after the leaves are made."""

    def __init__(self, port: int, authority: Authority, minutes: int = 60):
        self._authority = authority
        self._minutes = minutes
        self.port = port
        self._process = None
        self.start()

    def start(self):
        a = self._authority
        self.log = a.folder / "responder.log"
        self.log.write_text("")
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                ["openssl", "ocsp", "-index", a.index, "-port", str(self.port), "-CA", a.ca,
                 "-rsigner", a.ca, "-rkey", a.folder / "root.key", "-nmin", str(self._minutes),
                 "-ignore_err"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: "waiting for OCSP" in self.log.read_text(), 10, "the responder")

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answer(connection, der: bytes, fields: str = FIELDS):
    """What a handler of a backend does with a request."""
    request = connection.read_head()
    if request is None:
        return
    length = request.get("Content-Length")
    if length:
        connection.read_exactly(int(length))
    connection.sock.sendall(fields.format(len(der)).encode() + der)


def stapled(address, authority, name="shop.test", version="-tls1_3", more=()) -> str:
    """What a client is told of the certificate: "good", or "" for nothing."""
    shown = subprocess.run(["openssl", "s_client", "-connect", "%s:%d" % address, "-servername", name,
                            "-status", version, "-CAfile", authority.ca, "-verify_return_error",
                            *more], input="", capture_output=True, text=True, check=False)
    assert "Verification: OK" in shown.stdout, shown.stdout + shown.stderr
    found = re.search(r"Cert Status: (\w+)", shown.stdout)
    return found[1] if found else ""
