"""Files of certificates that change are taken over by themselves, however they are changed."""
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from helpers.env import patience, scaled
from helpers.proxy import wait_until

PORT = "127.0.0.1:0"


@pytest.fixture
def own(tmp_path, certs):
    return certs.copy(tmp_path / "own")


@pytest.fixture
def next_ones(tmp_path, certs):
    """Another folder, with certificates of the same names that are not served yet."""
    return certs.copy(tmp_path / "next")


def serial_of(file) -> str:
    shown = subprocess.run(["openssl", "x509", "-in", file, "-noout", "-serial"],
                           capture_output=True, text=True, check=True)
    return shown.stdout.strip().partition("=")[2].lower()


def served(proxy, name="api.test") -> str:
    """The serial number of what a client gets."""
    shown = subprocess.run(f"openssl s_client -connect {proxy.addresses[PORT]} -servername {name} "
                           "</dev/null 2>/dev/null | openssl x509 -noout -serial", shell=True,
                           capture_output=True, text=True, check=True)
    return shown.stdout.strip().partition("=")[2].lower()


def becomes(proxy, serial, name="api.test"):
    wait_until(lambda: served(proxy, name) == serial, 20, f"serial {serial}")


def stays(proxy, serial, name="api.test", seconds=1.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert served(proxy, name) == serial
        time.sleep(0.1)


def proxy_with(start, chain, key, **more):
    """One bundle "api" of these two files, and "wild" of the session's."""
    config = {"ports": {PORT: {"bundles": ["api", "wild"]}}, **more}
    proxy = start.proxy(**config)
    proxy.config["bundles"]["api"] = {"certs": [{"chain": str(chain), "key": str(key)}]}
    assert proxy.reload(proxy.config)
    return proxy


def another(own, name="api-ecdsa", names=("api.test", "alias.test")) -> str:
    """Other files under the same names, written as openssl does, in place. The serial number."""
    own.leaf(name, "ecdsa", list(names))
    return serial_of(own.chain(name))


# ---- How a file can be replaced ----

def test_written_in_place(start, own):
    proxy = proxy_with(start, own.chain("api-ecdsa"), own.key("api-ecdsa"))
    for _ in range(3):
        becomes(proxy, another(own))


def test_renamed_into_place(start, own, next_ones):
    proxy = proxy_with(start, own.chain("api-ecdsa"), own.key("api-ecdsa"))
    serial = another(next_ones)
    os.rename(next_ones.key("api-ecdsa"), own.key("api-ecdsa"))
    os.rename(next_ones.chain("api-ecdsa"), own.chain("api-ecdsa"))
    becomes(proxy, serial)


def test_removed_and_made_anew(start, own, next_ones):
    proxy = proxy_with(start, own.chain("api-ecdsa"), own.key("api-ecdsa"))
    old, serial = served(proxy), another(next_ones)
    own.key("api-ecdsa").unlink()
    own.chain("api-ecdsa").unlink()
    stays(proxy, old)
    shutil.copy(next_ones.key("api-ecdsa"), own.key("api-ecdsa"))
    shutil.copy(next_ones.chain("api-ecdsa"), own.chain("api-ecdsa"))
    becomes(proxy, serial)


def version(folder, certs, number):
    """A folder with tls.crt and tls.key, as in a volume of Kubernetes."""
    target = folder / f"..v{number}"
    target.mkdir(parents=True)
    shutil.copy(certs.chain("api-ecdsa"), target / "tls.crt")
    shutil.copy(certs.key("api-ecdsa"), target / "tls.key")
    return serial_of(target / "tls.crt")


def swap_link(link, target):
    temporary = link.with_name(link.name + "_tmp")
    temporary.symlink_to(target)
    os.rename(temporary, link)


def test_kubernetes_swaps_a_link_to_a_folder(start, tmp_path, own):
    volume = tmp_path / "volume"
    version(volume, own, 0)
    (volume / "..data").symlink_to("..v0")
    for name in ("tls.crt", "tls.key"):
        (volume / name).symlink_to(f"..data/{name}")
    proxy = proxy_with(start, volume / "tls.crt", volume / "tls.key")
    for number in range(1, 5):
        another(own)
        serial = version(volume, own, number)
        swap_link(volume / "..data", f"..v{number}")
        shutil.rmtree(volume / f"..v{number - 1}")
        becomes(proxy, serial)


def test_certbot_swaps_links_into_its_archive(start, tmp_path, own):
    live, archive = tmp_path / "live/api", tmp_path / "archive/api"
    live.mkdir(parents=True)
    archive.mkdir(parents=True)
    proxy = None
    for number in range(1, 4):
        serial = another(own)
        shutil.copy(own.chain("api-ecdsa"), archive / f"fullchain{number}.pem")
        shutil.copy(own.key("api-ecdsa"), archive / f"privkey{number}.pem")
        for name in ("privkey", "fullchain"):
            (live / f"{name}.pem").unlink(missing_ok=True)
            (live / f"{name}.pem").symlink_to(f"../../archive/api/{name}{number}.pem")
        proxy = proxy or proxy_with(start, live / "fullchain.pem", live / "privkey.pem")
        becomes(proxy, serial)


def test_a_link_in_the_middle_of_the_path(start, tmp_path, own):
    for number in range(3):
        another(own)
        version(tmp_path / "all", own, number)
    current = tmp_path / "current"
    current.symlink_to("all/..v0")
    proxy = proxy_with(start, current / "tls.crt", current / "tls.key")
    for number in (1, 2, 0):
        swap_link(current, tmp_path / f"all/..v{number}")
        becomes(proxy, serial_of(tmp_path / f"all/..v{number}/tls.crt"))


def test_a_folder_that_is_exchanged(start, tmp_path, own):
    another(own)
    version(tmp_path / "a", own, 0)
    serial = another(own)
    assert serial == version(tmp_path / "b", own, 0)
    proxy = proxy_with(start, tmp_path / "a/..v0/tls.crt", tmp_path / "a/..v0/tls.key")
    os.rename(tmp_path / "a", tmp_path / "c")
    os.rename(tmp_path / "b", tmp_path / "a")
    becomes(proxy, serial)


# ---- What is half done ----

def test_key_and_certificate_in_two_steps(start, own, next_ones):
    """In between they do not belong together: that is waited for, without a word."""
    proxy = proxy_with(start, own.chain("api-ecdsa"), own.key("api-ecdsa"))
    old, serial = served(proxy), another(next_ones)
    os.rename(next_ones.key("api-ecdsa"), own.key("api-ecdsa"))
    stays(proxy, old, seconds=2)
    os.rename(next_ones.chain("api-ecdsa"), own.chain("api-ecdsa"))
    becomes(proxy, serial)
    assert "is not changed" not in proxy.log()


def test_a_file_that_is_written_slowly(start, own, next_ones):
    proxy = proxy_with(start, own.chain("api-ecdsa"), own.key("api-ecdsa"))
    old, serial = served(proxy), another(next_ones)
    shutil.copy(next_ones.key("api-ecdsa"), own.key("api-ecdsa"))
    with open(own.chain("api-ecdsa"), "wb", buffering=0) as file:
        for line in next_ones.chain("api-ecdsa").read_bytes().splitlines(keepends=True):
            file.write(line)
            time.sleep(0.1)
            if file.tell() < 200:
                assert served(proxy) == old
    becomes(proxy, serial)
    assert "is not changed" not in proxy.log()


def test_what_stays_bad_is_told_once_and_the_next_change_tries_again(start, own, next_ones):
    proxy = proxy_with(start, own.chain("api-ecdsa"), own.key("api-ecdsa"))
    old = served(proxy)
    own.chain("api-ecdsa").write_text("nonsense\n")
    proxy.wait_log(f"error tls watch: bundle=api is not changed, the old one goes on: "
                   f"{own.chain('api-ecdsa')}", seconds=30)
    stays(proxy, old)
    time.sleep(3)
    assert proxy.log().count("is not changed") == 1
    becomes(proxy, another(own))


def test_a_bad_bundle_does_not_hold_up_the_others(start, own, certs):
    start.certs = own
    proxy = start.proxy(ports={PORT: {"bundles": ["api", "wild"]}})
    own.chain("wild-ecdsa").write_text("")
    old = served(proxy, "a.wild.test")
    becomes(proxy, another(own))
    stays(proxy, old, "a.wild.test")
    another(own, "wild-ecdsa", ["*.wild.test"])
    becomes(proxy, serial_of(own.chain("wild-ecdsa")), "a.wild.test")


# ---- Which files ----

def test_off_is_off_and_can_be_changed(start, own):
    proxy = proxy_with(start, own.chain("api-ecdsa"), own.key("api-ecdsa"),
                       certificates={"watch": False})
    old, serial = served(proxy), another(own)
    stays(proxy, old, seconds=2)
    # A reload of the configuration reads files that changed by itself; so other ones, after it.
    proxy.config["certificates"] = {"watch": True}
    assert proxy.reload(proxy.config)
    becomes(proxy, serial)
    becomes(proxy, another(own))
    proxy.config["certificates"] = {"watch": False}
    assert proxy.reload(proxy.config)
    old = served(proxy)
    another(own)
    stays(proxy, old, seconds=2)


def test_the_watch_follows_the_configuration(start, own, next_ones):
    proxy = proxy_with(start, own.chain("api-ecdsa"), own.key("api-ecdsa"))
    proxy.config["bundles"]["api"] = {"certs": [next_ones.pair("api-ecdsa")]}
    assert proxy.reload(proxy.config)
    serial = another(next_ones)
    becomes(proxy, serial)
    another(own)
    stays(proxy, serial)


def test_by_hand_and_by_itself_at_once(start, own):
    proxy = proxy_with(start, own.chain("api-ecdsa"), own.key("api-ecdsa"))
    for _ in range(scaled(10, 3)):
        serial = another(own)
        answer = proxy.control.ask("/certs/reload?bundle=api", method="POST")
        assert answer.status == 200 and served(proxy) == serial
    assert "is not changed" not in proxy.log()


def test_a_thousand_folders(start, own, tmp_path):
    """Only what changed is read again, and each in its own folder is noticed."""
    n = scaled(1000, 100)
    bundles = {}
    for i in range(n):
        folder = tmp_path / f"many/{i}"
        folder.mkdir(parents=True)
        shutil.copy(own.chain("api-ecdsa"), folder / "c.pem")
        shutil.copy(own.key("api-ecdsa"), folder / "k.pem")
        bundles[f"b{i}"] = {"certs": [{"chain": str(folder / "c.pem"), "key": str(folder / "k.pem")}],
                            "names": [f"n{i}.test"]}
    proxy = start.proxy(ports={PORT: {"bundles": ["wild"]}})
    proxy.config["ports"][PORT]["bundles"] = list(bundles)
    proxy.config["bundles"] = bundles
    assert proxy.reload(proxy.config)
    serial = another(own, names=[f"n{n - 1}.test"])
    shutil.copy(own.chain("api-ecdsa"), tmp_path / f"many/{n - 1}/c.pem")
    shutil.copy(own.key("api-ecdsa"), tmp_path / f"many/{n - 1}/k.pem")
    becomes(proxy, serial, f"n{n - 1}.test")
    proxy.wait_log("certificate=changed")
    time.sleep(0.5)
    assert proxy.log().count("certificate=changed") == 1
    assert served(proxy, "n0.test") != serial


def test_nothing_is_done_while_nothing_changes(start, own):
    proxy = proxy_with(start, own.chain("api-ecdsa"), own.key("api-ecdsa"))
    [watch] = [task for task in Path(f"/proc/{proxy.pid}/task").iterdir()
               if (task / "comm").read_text().strip() == "[WATCH]"]
    time.sleep(1)

    def ticks():
        fields = (watch / "stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    before = ticks()
    time.sleep(patience(1))
    assert ticks() - before <= 2
