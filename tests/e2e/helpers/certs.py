"""Certificates of one test session: a root, an intermediate and leaves, by the openssl command.
Nothing is kept."""
import shutil
import ssl
import subprocess
from pathlib import Path

KEYS = {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}

# bundle: names, kinds of key
BUNDLES = {
    "shop": (["shop.test"], ["ecdsa", "rsa"]),
    "api": (["api.test", "alias.test"], ["ecdsa"]),
    "wild": (["*.wild.test"], ["ecdsa"]),
    "old": (["old.test"], ["rsa"]),
}


class Certs:
    def __init__(self, folder: Path):
        self.folder = folder
        self._config = folder / "openssl.cnf"
        self._config.write_text("[req]\ndistinguished_name = dn\n[dn]\n")
        self.ca = folder / "root.pem"
        ca = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"]
        self._make("root", "ecdsa", "/CN=sallyport end-to-end root", ca)
        self._make("between", "ecdsa", "/CN=sallyport end-to-end intermediate", ca,
                   self._signer("root"))
        for bundle, (names, kinds) in BUNDLES.items():
            for kind in kinds:
                self.leaf(f"{bundle}-{kind}", kind, names)

    def copy(self, folder: Path) -> "Certs":
        """The same in a folder that is not there yet, for a test that changes them."""
        folder.mkdir(parents=True)
        for file in self.folder.iterdir():
            if file.suffix in {".pem", ".key", ".cnf"}:
                shutil.copy(file, folder)
        copy = Certs.__new__(Certs)
        copy.folder, copy.ca = folder, folder / "root.pem"
        copy._config = folder / "openssl.cnf"
        return copy

    def _make(self, name, kind, subject, extensions, signer=(), days=30):
        command = ["openssl", "req", "-x509", "-nodes", "-config", self._config, "-days", str(days),
                   "-newkey", *KEYS[kind], "-subj", subject, "-keyout", self.key(name),
                   "-out", self.chain(name), *signer]
        for extension in extensions:
            command += ["-addext", extension]
        subprocess.run(command, check=True, capture_output=True)

    def _signer(self, name: str) -> list:
        return ["-CA", self.chain(name), "-CAkey", self.key(name)]

    def leaf(self, name: str, kind: str, names: list, days: int = 30):
        """Makes NAME.pem, with intermediate and root behind it (no authority of the system, so that
        a check of it has nothing to say), and NAME.key."""
        alternatives = ",".join(f"DNS:{n}" for n in names)
        self._make(name, kind, f"/CN={name}",
                   [f"subjectAltName={alternatives}", "basicConstraints=critical,CA:FALSE",
                    "extendedKeyUsage=serverAuth"],
                   self._signer("between"), days)
        with open(self.chain(name), "a", encoding="ascii") as chain:
            chain.write(self.chain("between").read_text() + self.ca.read_text())

    def chain(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def pair(self, name: str) -> dict:
        """As in "certs" of a bundle."""
        return {"chain": str(self.chain(name)), "key": str(self.key(name))}

    def bundles(self) -> dict:
        """As in "bundles" of the configuration."""
        return {bundle: {"certs": [self.pair(f"{bundle}-{kind}") for kind in kinds]}
                for bundle, (_, kinds) in BUNDLES.items()}

    def context(self, lowest=None, highest=None, alpn=None) -> ssl.SSLContext:
        """A client that trusts the CA and nobody else."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if lowest:
            context.minimum_version = lowest
        if highest:
            context.maximum_version = highest
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def server_context(self, name: str = "shop-ecdsa", alpn=None) -> ssl.SSLContext:
        """A server with that certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain(name), self.key(name))
        if alpn:
            context.set_alpn_protocols(alpn)
        return context
