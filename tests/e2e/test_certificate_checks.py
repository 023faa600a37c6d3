"""What is said of certificate files that are not as they should be: by `check`, at a start, at a reload."""
import datetime
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import TLS_PORT
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from helpers.env import BINARY, patience


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def certificates_of(path: Path) -> list:
    end = "-----END CERTIFICATE-----\n"
    return [part + end for part in path.read_text().split(end) if part.strip()]


class Site:
    """One bundle, "site", of site.pem and site.key in a folder of its own."""

    def __init__(self, folder: Path, certs):
        self.folder, self.certs = folder, certs
        self.pem, self.key = folder / "site.pem", folder / "site.key"
        shutil.copy(certs.chain("shop-ecdsa"), self.pem)
        shutil.copy(certs.key("shop-ecdsa"), self.key)
        self.key.chmod(0o600)
        self.cert = {"chain": str(self.pem), "key": str(self.key)}
        self.bundle = {"certs": [self.cert]}

    def write(self, *certificates):
        self.pem.write_text("".join(certificates))

    def config(self) -> dict:
        return {"ports": {TLS_PORT: {"bundles": ["site"]}}, "bundles": {"site": self.bundle},
                "routes": [{"respond": {"status": 204}}]}

    def check(self):
        path = self.folder / "c.json"
        path.write_text(json.dumps(self.config()))
        return subprocess.run([BINARY, "check", path], capture_output=True, text=True,
                              timeout=patience(20), check=False)

    def make(self, name: str, days: int = 30):
        """A leaf for the bundle's place, of another key."""
        self.certs.leaf(name, "ecdsa", ["shop.test"], days)
        shutil.copy(self.certs.chain(name), self.pem)
        shutil.copy(self.certs.key(name), self.key)
        self.key.chmod(0o600)


@pytest.fixture(name="site")
def fixture_site(tmp_path, certs):
    return Site(tmp_path, certs)


def break_order(site):
    leaf, between, root = certificates_of(site.pem)
    site.write(leaf, root, between)


def put_leaf_last(site):
    leaf, between, root = certificates_of(site.pem)
    site.write(between, leaf, root)


def add_stranger(site):
    site.write(*certificates_of(site.pem), certificates_of(site.certs.chain("api-ecdsa"))[0])


def cut_off(site):
    text = site.pem.read_text()
    site.pem.write_text(text[:len(text) - 60])


def exchange_key(site):
    shutil.copy(site.certs.key("api-ecdsa"), site.key)


def exchange_files(site):
    site.cert.update(chain=str(site.key), key=str(site.pem))


def to_der(site):
    openssl("x509", "-in", site.pem, "-outform", "DER", "-out", site.folder / "x")
    os.replace(site.folder / "x", site.pem)


def to_pkcs12(site):
    openssl("pkcs12", "-export", "-in", site.pem, "-inkey", site.key, "-passout", "pass:x",
            "-out", site.folder / "x")
    os.replace(site.folder / "x", site.pem)


def encrypt(site, passphrase=None):
    openssl("pkey", "-in", site.key, "-aes256", "-passout", "pass:secret", "-out", site.folder / "x")
    os.replace(site.folder / "x", site.key)
    if passphrase is not None:
        site.cert["passphrase_file"] = str(site.folder / "passphrase")
        (site.folder / "passphrase").write_text(passphrase)


def make_weak(site):
    openssl("req", "-x509", "-nodes", "-newkey", "rsa:1024", "-subj", "/CN=weak", "-addext",
            "subjectAltName=DNS:shop.test", "-keyout", site.key, "-out", site.pem)


def make_nameless(site):
    openssl("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj",
            "/CN=shop.test", "-keyout", site.key, "-out", site.pem)


def make_p521(site):
    openssl("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521", "-subj",
            "/CN=x", "-addext", "subjectAltName=DNS:shop.test", "-keyout", site.key, "-out", site.pem)


ERRORS = {
    "missing": (lambda s: s.pem.unlink(), "{pem}: cannot be opened: No such file or directory"),
    "folder": (lambda s: (s.pem.unlink(), s.pem.mkdir()), "{pem}: is a directory, no regular file"),
    "empty": (lambda s: s.pem.write_text(""), "{pem}: is empty"),
    "cut off": (cut_off, "{pem}: certificate 3 cannot be read: its end is missing"),
    "DER": (to_der, "{pem}: is a certificate in DER form, not PEM; convert it with: openssl x509 "
                    "-inform DER -in {pem} -out chain.pem"),
    "PKCS#12": (to_pkcs12, "{pem}: is PKCS#12, not PEM; convert it with: openssl pkcs12 -in {pem}"),
    "other key": (exchange_key, "{key}: does not belong to the certificate in {pem}"),
    "exchanged": (exchange_files, "{key}: holds no certificate but \"-----BEGIN PRIVATE" " KEY\": a private "
                                  "key: were chain and key exchanged?"),
    "order": (break_order, "certificate 2 (CN=sallyport end-to-end root) did not issue certificate 1 "
                           "(CN=shop-ecdsa): the right order of the file's certificates is 1, 3, 2"),
    "leaf not first": (put_leaf_last, "the key belongs to certificate 2 of the file; the server's own "
                                      "certificate must come first: the right order is 2, 1, 3"),
    "stranger": (add_stranger, "certificate 4 (CN=api-ecdsa) does not belong here: certificate 3 "
                               "(CN=sallyport end-to-end root) was issued by CN=sallyport end-to-end root"),
    "encrypted": (encrypt, "{key}: the key is encrypted: \"passphrase_file\" has to name the file"),
    "wrong passphrase": (lambda s: encrypt(s, "wrong\n"), "{key}: the key cannot be decrypted: the first "
                         "line of {folder}/passphrase is not its passphrase"),
    "no passphrase": (lambda s: encrypt(s, "\n"), "{folder}/passphrase: the first line is empty"),
    "weak": (make_weak, "{pem}: certificate 1 has a key that is too weak (RSA 1024)"),
    "nameless": (make_nameless, "{pem}: the certificate has no names (subjectAltName), and the bundle is "
                                "given none"),
    "curve": (make_p521, "{pem}: is for a key that is ECDSA P-521; ECDSA P-256 and P-384, RSA and Ed25519"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_bad_file_is_told_with_its_bundle_and_a_reason(site, case):
    spoil, text = ERRORS[case]
    spoil(site)
    text = text.format(pem=site.pem, key=site.key, folder=site.folder)
    done = site.check()

    assert done.returncode == 1
    assert f"c.json: /bundles/site: {text if text.startswith('/') else f'{site.pem}: {text}'}" in done.stderr


def alone(site):
    site.write(certificates_of(site.pem)[0])


def without_root(site):
    site.write(*certificates_of(site.pem)[:2])


WARNINGS = {
    "alone": (alone, "{pem}: holds no intermediate certificate, and its issuer, CN=sallyport end-to-end "
                     "intermediate, is no authority of this system"),
    "without root": (without_root, "{pem}: the chain is not complete: the issuer of its last certificate "
                     "(CN=sallyport end-to-end intermediate), CN=sallyport end-to-end root, is no authority"),
    "expires": (lambda s: s.make("soon", 5), "{pem}: the certificate expires in "),
    "names": (lambda s: s.bundle.update(names=["shop.test", "other.test"]),
              "{pem}: does not cover \"other.test\" of the bundle's names"),
    "mark": (lambda s: s.pem.write_bytes(b"\xef\xbb\xbf" + s.pem.read_bytes()),
             "{pem}: begins with a byte order mark"),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_what_clients_will_not_like_is_warned_of(site, case):
    change, text = WARNINGS[case]
    change(site)
    done = site.check()

    assert done.returncode == 0, done.stderr
    assert f"/bundles/site: warning: {text.format(pem=site.pem)}" in done.stderr


def test_a_key_that_everybody_can_read_is_warned_of(site):
    site.key.chmod(0o644)
    hidden = [p for p in site.key.parents if not p.stat().st_mode & 0o001]
    done = site.check()

    assert done.returncode == 0
    assert ("can be read by every user of this machine (mode 0644)" in done.stderr) != bool(hidden)


def test_a_chain_is_complete_when_the_system_knows_its_issuer(site, certs):
    without_root(site)
    path = site.folder / "c.json"
    path.write_text(json.dumps(site.config()))
    done = subprocess.run([BINARY, "check", path], capture_output=True, text=True, check=False,
                          timeout=patience(20), env={**os.environ, "SSL_CERT_FILE": str(certs.ca)})

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("form", ["encrypted", "combined"])
def test_it_serves_what_it_says_is_good(site, start, connect, form):
    if form == "encrypted":
        encrypt(site, "secret\n")
    else:
        site.pem.write_text(site.key.read_text() + site.pem.read_text())
        site.pem.chmod(0o600)
        del site.cert["key"]
    assert (done := site.check()).returncode == 0 and done.stderr == "", done.stderr
    assert connect(start.proxy(**site.config()).https).get("/").status == 204


def make_expired(site):
    now = datetime.datetime.utcnow()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "expired")])
    key = ec.generate_private_key(ec.SECP256R1())
    cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=9))
            .not_valid_after(now - datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.test")]), False)
            .sign(key, hashes.SHA256()))
    site.pem.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    site.key.write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                           serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))


def reload(proxy):
    return subprocess.run([BINARY, "certs", "reload", "--socket", proxy.control.path],
                          capture_output=True, text=True, timeout=patience(20), check=False)


def test_an_expired_certificate_may_start_and_may_not_replace(site, start, connect):
    proxy = start.proxy(**site.config())
    make_expired(site)
    refused = reload(proxy)

    assert refused.returncode == 1
    assert f"{site.pem}: the certificate has expired: it was valid until 2" in refused.stdout + refused.stderr
    assert connect(proxy.https).get("/").status == 204  # the old one serves

    started = start.proxy(**site.config())  # better a warning in browsers than no name at all
    assert f"{site.pem}: the certificate has expired" in started.log()

    site.bundle["allow_expired"] = True
    assert site.check().returncode == 0


def test_allow_expired_lets_it_replace(site, start):
    site.bundle["allow_expired"] = True
    proxy = start.proxy(**site.config())
    make_expired(site)

    assert (done := reload(proxy)).returncode == 0, done.stdout + done.stderr
