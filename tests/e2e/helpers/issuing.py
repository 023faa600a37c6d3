"""Certificates made in this process, thousands a second: signed by the intermediate of the test
session, so that a client of it believes them, and all with one key unless a test wants another."""
import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (Encoding, NoEncryption, PrivateFormat,
                                                          load_pem_private_key)


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def replace(path: Path, content: bytes):
    """As a program does that renews certificates: nobody sees half a file."""
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(content)
    os.replace(beside, path)


class Made:
    """A certificate, as it is in a file with its chain and its key."""

    def __init__(self, serial: int, chain: bytes, key: bytes):
        self.serial = f"{serial:X}".zfill(2)  # as getpeercert() has it
        if len(self.serial) % 2:
            self.serial = "0" + self.serial
        self.chain = chain
        self.key = key

    @property
    def pem(self) -> bytes:
        return self.chain + self.key


class Issuer:
    def __init__(self, certs):
        self._between = certs.chain("between").read_bytes()
        self._issuer = x509.load_pem_x509_certificate(self._between).subject
        self._signs = load_pem_private_key(certs.key("between").read_bytes(), None)
        self.key = new_key()
        self._pems = {}

    def _pem_of(self, key) -> bytes:
        return self._pems.setdefault(id(key), (key, key_pem(key)))[1]

    def make(self, *names: str, key=None, days: int = 30, self_signed: bool = False) -> Made:
        """Good for so many days from now on; negative: it was until then."""
        key = key or self.key
        own = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        serial = x509.random_serial_number()
        now = datetime.datetime.utcnow()
        cert = (x509.CertificateBuilder()
                .subject_name(own).issuer_name(own if self_signed else self._issuer)
                .public_key(key.public_key()).serial_number(serial)
                .not_valid_before(now - datetime.timedelta(days=90))
                .not_valid_after(now + datetime.timedelta(days=days))
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]),
                               critical=False)
                .sign(key if self_signed else self._signs, hashes.SHA256()))
        chain = cert.public_bytes(Encoding.PEM) + (b"" if self_signed else self._between)
        return Made(serial, chain, self._pem_of(key))


def bundle(path: Path) -> dict:
    """Of the configuration, for a file with everything in it."""
    return {"certs": [{"chain": str(path), "key": str(path)}]}
