"""Certificates of clients: authorities that issue, revoke and publish lists, by the openssl
command. Nothing is kept."""
import hashlib
import base64
import subprocess
from pathlib import Path

CONFIG = """
[ca]
default_ca = this
[this]
dir = {folder}
database = {folder}/index.txt
serial = {folder}/serial
crlnumber = {folder}/crlnumber
new_certs_dir = {folder}
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
policy = any
email_in_dn = no
unique_subject = no
default_crl_days = 7
crl_extensions = list
[any]
organizationName = optional
commonName = supplied
[list]
authorityKeyIdentifier = keyid
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
[req]
distinguished_name = dn
[dn]
"""


def openssl(*command, given=None):
    done = subprocess.run(["openssl", *map(str, command)], input=given, capture_output=True,
                          check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class ClientCert:
    """A certificate and its key, in files; `sent` has what it was issued by behind it."""

    def __init__(self, pem: Path, key: Path, sent: Path):
        self.pem, self.key, self.sent = pem, key, sent

    def der(self) -> bytes:
        return openssl("x509", "-in", self.pem, "-outform", "DER")

    def fingerprint(self) -> str:
        return hashlib.sha256(self.der()).hexdigest()

    def field(self) -> str:
        """The value of Client-Cert, RFC 9440 2.2."""
        return f":{base64.b64encode(self.der()).decode()}:"


class Authority:
    def __init__(self, folder: Path, name: str, issuer=None):
        self.folder = folder / name.replace(" ", "-")
        self.folder.mkdir()
        self.name, self.issuer = name, issuer
        self.pem, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        self._config = self.folder / "ca.cnf"
        self._config.write_text(CONFIG.format(folder=self.folder))
        (self.folder / "index.txt").write_text("")
        (self.folder / "serial").write_text("1000\n")
        (self.folder / "crlnumber").write_text("01\n")
        if issuer is None:
            self._new_key(self.key)
            openssl("req", "-x509", "-config", self._config, "-extensions", "authority", "-days",
                    "30", "-key", self.key, "-subj", f"/CN={name}", "-out", self.pem)
        else:
            made = issuer.issue(name, extensions="authority")
            self.pem.write_bytes(made.pem.read_bytes())
            self.key.write_bytes(made.key.read_bytes())

    @staticmethod
    def _new_key(path: Path):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)

    def _above(self) -> str:
        """What a client sends behind its own: authorities but the root."""
        if self.issuer is None:
            return ""
        return self.pem.read_text() + self.issuer._above()  # pylint: disable=protected-access

    def issue(self, name: str, extensions="client", subject=None, start=None, end=None):
        """`start` and `end` as YYMMDDHHMMSSZ."""
        base = self.folder / name.replace(" ", "-").replace("/", "-")
        pem, key, request = base.with_suffix(".pem"), base.with_suffix(".key"), base.with_suffix(
            ".csr")
        self._new_key(key)
        openssl("req", "-new", "-utf8", "-config", self._config, "-key", key, "-subj",
                subject or f"/CN={name}", "-out", request)
        dates = [*(["-startdate", start] if start else []),
                 *(["-enddate", end] if end else ["-days", "30"])]
        openssl("ca", "-batch", "-notext", "-utf8", "-config", self._config, "-extensions",
                extensions, *dates, "-in", request, "-out", pem)
        sent = base.with_suffix(".sent.pem")
        sent.write_text(pem.read_text() + self._above())
        return ClientCert(pem, key, sent)

    def revoke(self, cert: ClientCert):
        openssl("ca", "-config", self._config, "-revoke", cert.pem)

    def crl(self, *arguments) -> str:
        """Its list as it is now, PEM."""
        return openssl("ca", "-config", self._config, "-gencrl", *arguments).decode()
