"""Session tickets whose keys several programs have in common: of one secret, and of a key file."""
import base64
import os
import re
import ssl
import subprocess
import tempfile
from pathlib import Path

import pytest
from conftest import TLS_PORT
from helpers.backend import answering
from helpers.env import BINARY, patience

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
GET = b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"


@pytest.fixture
def fleet(start):
    """Programs with the same settings for one TLS port."""
    backend = start.backend(answering())

    def make(watch=False, **port):
        return start.proxy({"app": [backend.address]}, certificates={"watch": watch},
                           ports={TLS_PORT: {"bundles": ["shop"], **port}})
    return make


def write(path, content: bytes, mode=0o600) -> str:
    """As those do it who replace a file that others read."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.chmod(mode)
    new.rename(path)
    return str(path)


def s_client(proxy, certs, *arguments) -> str:
    host, port = proxy.https
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", str(certs.ca),
         "-servername", "shop.test", "-ign_eof", *arguments],
        input=GET, capture_output=True, timeout=patience(30), check=False)
    output = done.stdout.decode("latin-1")
    assert "HTTP/1.1 200 OK" in output, output + done.stderr.decode("latin-1")
    return output


def is_resumed(output: str) -> bool:
    """Of the first line that says what was agreed on."""
    found = re.search(r"^(New|Reused), TLSv1\.[23]", output, re.M)
    assert found, output
    return found[1] == "Reused"


def tickets(proxy) -> dict:
    """What became of them, without those that were given out."""
    metrics = proxy.metrics()
    return {name: metrics[f"tls_tickets_{name}"]
            for name in ("current", "old", "unknown", "expired", "damaged")
            if metrics[f"tls_tickets_{name}"] > 0}


def resumes(session, proxy, certs, version) -> bool:
    return is_resumed(s_client(proxy, certs, version, "-sess_in", str(session)))


VERSIONS = pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])


# One secret

@VERSIONS
def test_machines_with_one_secret_resume_each_others_sessions(fleet, certs, tmp_path, version):
    secret = write(tmp_path / "secret", os.urandom(48))
    here, there = fleet(ticket_secret_file=secret), fleet(ticket_secret_file=secret)
    session = tmp_path / "session"

    assert not is_resumed(s_client(here, certs, version, "-sess_out", str(session)))

    assert resumes(session, there, certs, version)
    assert resumes(session, here, certs, version)
    assert tickets(there) == tickets(here) == {"current": 1}
    assert here.metrics()["tls_tickets_issued"] >= 1


@VERSIONS
def test_another_secret_means_a_full_handshake(fleet, certs, tmp_path, version):
    here = fleet(ticket_secret_file=write(tmp_path / "secret", os.urandom(48)))
    there = fleet(ticket_secret_file=write(tmp_path / "other", os.urandom(48)))
    session = tmp_path / "session"
    s_client(here, certs, version, "-sess_out", str(session))

    assert not resumes(session, there, certs, version)
    assert tickets(there) == {"unknown": 1}


def test_the_label_tells_ports_apart_that_have_one_secret(fleet, certs, tmp_path):
    secret = write(tmp_path / "secret", os.urandom(48))
    shop, again, admin = [fleet(ticket_secret_file=secret, ticket_label=label)
                          for label in ("shop", "shop", "admin")]
    session = tmp_path / "session"
    s_client(shop, certs, "-tls1_3", "-sess_out", str(session))

    assert not resumes(session, admin, certs, "-tls1_3")
    assert resumes(session, again, certs, "-tls1_3")


def test_clients_resume_across_a_restart_with_a_secret(fleet, certs, tmp_path):
    secret = write(tmp_path / "secret", os.urandom(48))
    before = fleet(ticket_secret_file=secret)
    session = tmp_path / "session"
    s_client(before, certs, "-tls1_3", "-sess_out", str(session))
    before.stop()

    assert resumes(session, fleet(ticket_secret_file=secret), certs, "-tls1_3")


def test_a_changed_secret_is_taken_by_a_reload(fleet, certs, tmp_path):
    path = tmp_path / "secret"
    proxy = fleet(ticket_secret_file=write(path, os.urandom(48)))
    session = tmp_path / "session"
    s_client(proxy, certs, "-tls1_3", "-sess_out", str(session))
    first = proxy.wait_log(r"ticket_keys=derived seals=(\w{8})")[1]

    write(path, os.urandom(48))
    assert resumes(session, proxy, certs, "-tls1_3")  # nobody has said anything yet
    assert proxy.reload()

    assert not resumes(session, proxy, certs, "-tls1_3")
    assert proxy.log().count(f"seals={first}") == 1


# A key file

def lines(*keys) -> bytes:
    return b"# first seals\n" + b"".join(base64.b64encode(key) + b"\n" for key in keys)


@VERSIONS
@pytest.mark.parametrize("form", [b"".join, lambda keys: lines(*keys)], ids=["binary", "text"])
def test_a_key_file_is_rotated_outside(fleet, certs, tmp_path, version, form):
    """The way of the manual: a new key is put second, then first, then the old one is gone."""
    path, session, newer = tmp_path / "keys", tmp_path / "session", tmp_path / "newer"
    old, new = os.urandom(80), os.urandom(80)
    write(path, form([old]))
    here, there = fleet(ticket_key_file=str(path)), fleet(ticket_key_file=str(path))
    s_client(here, certs, version, "-sess_out", str(session))
    assert resumes(session, there, certs, version)

    write(path, form([old, new]))
    assert here.reload() and there.reload()
    write(path, form([new, old]))
    assert here.reload()  # and the other one has not come to it yet
    s_client(here, certs, version, "-sess_out", str(newer))
    assert resumes(newer, there, certs, version)
    assert resumes(session, here, certs, version)
    assert tickets(there) == {"current": 1, "old": 1}

    write(path, form([new]))
    assert there.reload()
    assert not resumes(session, there, certs, version)
    assert tickets(there) == {"current": 1, "old": 1, "unknown": 1}


def test_a_bad_key_file_changes_nothing_and_is_explained(fleet, certs, tmp_path):
    path, session = tmp_path / "keys", tmp_path / "session"
    proxy = fleet(ticket_key_file=write(path, os.urandom(160)))
    s_client(proxy, certs, "-tls1_3", "-sess_out", str(session))

    write(path, os.urandom(159))
    assert not proxy.reload()

    assert (f"/ports/{TLS_PORT}: {path}: has 159 bytes, expected keys of 80 bytes each"
            in proxy.log())
    assert resumes(session, proxy, certs, "-tls1_3")


def test_a_key_file_is_watched(fleet, certs, tmp_path):
    path, session = tmp_path / "keys", tmp_path / "session"
    old, new = os.urandom(80), b"new." + os.urandom(76)
    proxy = fleet(watch=True, ticket_key_file=write(path, old))
    s_client(proxy, certs, "-tls1_3", "-sess_out", str(session))

    write(path, new + old)

    proxy.wait_log(rf"ticket_keys=listed seals={b'new.'.hex()}")
    assert resumes(session, proxy, certs, "-tls1_3")
    write(path, b"nothing")
    proxy.wait_log(f"error tls watch: port={TLS_PORT} is not changed, the old one goes on: {path}: "
                   "line 1: expected 80 bytes in base64", seconds=30)
    assert resumes(session, proxy, certs, "-tls1_3")


def test_a_missing_file_is_told_at_the_start_and_by_check(fleet, start, certs, tmp_path):
    missing = str(tmp_path / "nowhere")
    with pytest.raises(AssertionError, match=f"{missing}: cannot be opened: No such file"):
        fleet(ticket_secret_file=missing)
    start.programs.clear()
    config = next(tmp_path.glob("proxy*.json"))

    done = subprocess.run([str(BINARY), "check", str(config)], capture_output=True, text=True,
                          check=False, timeout=patience(20))
    assert done.returncode == 1
    assert f"/ports/{TLS_PORT}: {missing}: cannot be opened" in done.stdout + done.stderr


def test_a_file_for_everybody_is_warned_of(fleet):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # pytest's are closed to others, and so is what is in them
        secret = write(Path(folder) / "secret", os.urandom(48), 0o644)

        log = fleet(ticket_secret_file=secret).log()

    assert f"{secret}: can be read by every user of this machine (mode 0644)" in log


# What clients show

def test_a_damaged_ticket_means_a_full_handshake(fleet, certs, tmp_path):
    proxy = fleet()
    session = tmp_path / "session"
    s_client(proxy, certs, "-tls1_2", "-sess_out", str(session))
    pem = session.read_text()
    der = bytearray(base64.b64decode("".join(pem.splitlines()[1:-1])))
    at = der.rindex(b"\x04\x81")  # the ticket is the last long string
    der[at + 3 + 60] ^= 1
    body = base64.encodebytes(bytes(der)).decode()
    session.write_text(f"-----BEGIN SSL SESSION PARAMETERS-----\n{body}"
                       "-----END SSL SESSION PARAMETERS-----\n")

    assert not resumes(session, proxy, certs, "-tls1_2")
    assert tickets(proxy) == {"damaged": 1}


def test_handshakes_shows_what_became_of_tickets(fleet, certs, connect, tmp_path):
    proxy = fleet()
    context = certs.context(TLS13, TLS13)
    first = connect(proxy.https, context=context)
    assert first.get("/").status == 200
    second = connect(proxy.https, context=context, session=first.sock.session)
    assert second.get("/").status == 200

    done = subprocess.run([str(BINARY), "handshakes", "--socket", str(proxy.control.path)],
                          capture_output=True, text=True, check=True, timeout=patience(20))
    assert re.search(r"^tickets +issued 2, current 1$", done.stdout, re.M), done.stdout
