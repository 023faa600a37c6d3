"""What the manual shows is what happens: every line with a prompt is run, in the order of its page."""
import json
import shutil
import socket
import subprocess

import pytest
from helpers.backend import answering
from helpers.env import patience
from helpers.manual import AMOUNT, BAD, PAGES, TAG, Copy, Shell, answers, blocks, examples, \
    free_port, hold
from helpers.proxy import wait_until

THREADS = (r"\bet_(net|ssl|task)=\d+", r"et_\1=N")
CHECKED = ["changes.md", "configuration.md", "control.md", "getting-started.md", "http.md",
           "logs-and-metrics.md", "operations.md", "tls.md"]


def test_no_page_with_examples_is_left_out():
    shown = [page.name for page in sorted(PAGES.glob("*.md")) if examples(page.name)]
    assert shown == CHECKED


def inherited_port():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.set_inheritable(True)
    return listener


def test_changes(start, tmp_path):
    proxy = start.proxy(admin={"socket": "run/sallyport.sock"},
                        **json.loads(blocks("changes.md", "json")[0]))
    shell = Shell(tmp_path, env={"SALLYPORT_SOCKET": proxy.control.path})
    shown = examples("changes.md")
    assert len(shown) >= 14

    for command, printed in shown:
        hold(shell, command, printed)
    assert sum(len(TAG.findall(command)) for command, _ in shown) == 1


def test_configuration(tmp_path):
    (tmp_path / "bad.json").write_text(BAD % '"tls": false, "bundels": ["site"]')
    shell = Shell(tmp_path)

    for command, printed in examples("configuration.md"):
        hold(shell, command, printed)


def test_control(start, connect, tmp_path):
    """Ports 443 and 80 are handed in: their names are the page's, their numbers are not."""
    listeners = {name: inherited_port() for name in ("443", "80")}
    backends = {"127.0.0.1:900%d" % n: start.backend(answering()).address for n in (1, 2)}
    ports = {"443": {"bundles": ["shop"], "accept": {"fd": listeners["443"].fileno()}},
             "80": {"tls": False, "accept": {"fd": listeners["80"].fileno()}}}
    proxy = start.proxy({"app": list(backends.values())}, ports=ports,
                        threads={"net": 1, "ssl": 1}, admin={"socket": "run/sallyport.sock"},
                        inherited=[listener.fileno() for listener in listeners.values()])
    for listener in listeners.values():
        listener.close()
    assert connect(proxy.address("443")).get("/").status == 200
    shell = Shell(tmp_path, {**backends, **{f"[::]:{name}": proxy.addresses[name] for name in listeners},
                             "sallyport.json": proxy.config_path.name})
    marks = [(r"(served within) .*", r"\1"), (r"( running) .*", r"\1"), AMOUNT]

    for command, printed in examples("control.md"):
        if printed:
            hold(shell, command, printed, *marks)
        else:  # more than a page shows
            assert f'"pid": {proxy.pid}' in shell.run(command) or f"pid {proxy.pid} " in shell.run(command)


@pytest.fixture
def site(tmp_path, certs):
    """The folder that pages call /etc/sallyport, with a certificate."""
    folder = tmp_path / "etc"
    folder.mkdir()
    for end in ("pem", "key"):
        shutil.copy(certs.folder / f"shop-ecdsa.{end}", folder / f"site.{end}")
    shutil.copy(certs.key("api-ecdsa"), folder / "wrong.key")
    shutil.copy(certs.ca, folder / "ca.pem")
    return folder


def test_getting_started(start, tmp_path, site):
    copy = Copy(tmp_path, start)
    copy.background("build/release/sallyport origin --port 9001")
    copy.background("build/release/sallyport run -c conf/quickstart.json")
    copy.wait_for("9001", "8443")
    shell = Shell(tmp_path, {**copy.ports, "443": free_port(), "80": free_port(),
                             "/etc/sallyport": str(site), "/var/log/sallyport": str(tmp_path)})
    config = json.loads(shell.moved(blocks("getting-started.md", "json")[0]))
    assert config.pop("user") == "sallyport"  # nobody has that name here
    (site / "sallyport.json").write_text(json.dumps(config))
    (tmp_path / "bad.json").write_text(BAD % '"bundels": ["site"], "defer_accept": "5"')

    for command, printed in examples("getting-started.md"):
        said = None
        if command.startswith("sallyport run"):
            said = shell.begin(command, printed.count("\n"))
        elif command.endswith("/json"):  # the page shows the first lines
            said = "".join(shell.run(command).splitlines(True)[:printed.count("\n")])
        elif "bad.json" in command:
            # Under its own port: what is told is in the file.
            said = shell.run(command).replace("/8443", "/" + shell.places["8443"])
        hold(shell, command, printed, THREADS, said=said)


def test_http(start, tmp_path):
    shell = Shell(tmp_path, {"8080": free_port()})
    start.proxy(**json.loads(shell.moved(blocks("http.md", "json")[0])))

    for command, printed in examples("http.md"):
        hold(shell, command, printed)


def test_logs_and_metrics(start, tmp_path):
    proxy = start.proxy(log={"access": {"path": "access.log"}})
    shell = Shell(tmp_path, {"$(pidof sallyport)": str(proxy.pid)})

    for command, printed in examples("logs-and-metrics.md"):
        hold(shell, command, printed)
    wait_until((tmp_path / "access.log").exists, 10, "a log of that name")


def test_operations(start, tmp_path, site):
    taken = socket.create_server(("127.0.0.1", 0))
    routes = [{"respond": {"status": 204}}]
    proxy = start.proxy(ports={"127.0.0.1:0": {"tls": False, "accept": {"mode": "dedicated", "threads": 2}}},
                        routes=routes, threads={"net": 2, "ssl": 1, "task": 1})
    shell = Shell(tmp_path, {"127.0.0.1:9001": "127.0.0.1:%d" % taken.getsockname()[1],
                             "8443": free_port(), "/etc/sallyport": str(tmp_path), "$(pidof sallyport)": str(proxy.pid)})
    (tmp_path / "x.json").write_text(shell.moved(
        json.dumps({"ports": {"127.0.0.1:9001": {"tls": False}}, "routes": routes})))
    act = json.loads(blocks("operations.md", "json")[0])
    act["bundles"] = {"site": {"certs": [{"chain": "etc/site.pem", "key": "etc/site.key"}]}}
    (tmp_path / "act.json").write_text(json.dumps({**act, "routes": routes}))

    for command, printed in examples("operations.md"):
        if shutil.which(command.split()[0]) is None and not command.startswith("sallyport"):
            continue
        said = None
        if command.startswith("systemd-socket-activate"):
            said = shell.begin(command, printed.count("\n"), lambda: wait_until(
                lambda: answers(shell.places["8443"]), 10, "the socket"))
        # ThreadSanitizer has a thread of its own.
        hold(shell, command, printed, THREADS, (r"^ *\d+ +\d+ ", ""), (r"^(sallyport\n)+", r"\1"),
             said=said)
    taken.close()
    assert (site / "site.pem").exists()


def failing_handshakes(address, ca):
    """One of each kind that the page shows, behind three that go well."""
    host, port = address
    url = f"https://shop.test:{port}/"
    resolved = ["--resolve", f"shop.test:{port}:{host}"]
    curl = ["curl", "-s", "-o", "/dev/null"]
    openssl = ["openssl", "s_client", "-servername", "shop.example.com", "-connect", f"{host}:{port}"]
    commands = [[*curl, "--cacert", str(ca), *resolved, url]] * 3 + [
        [*curl, f"https://{host}:{port}/"],
        [*openssl, "-tls1_2", "-alpn", "h2,http/1.1", "-cipher", "ECDHE-RSA-AES256-SHA384"],
        [*openssl, "-alpn", "spdy/3"]]
    for command in commands:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                       timeout=patience(30))


def test_tls(start, tmp_path, site, certs):
    proxy = start.proxy(ports={"127.0.0.1:0": {"bundles": ["site"]}},
                        bundles={"site": {"certs": [{"chain": "etc/site.pem", "key": "etc/site.key"}]}},
                        admin={"socket": "run/sallyport.sock"})
    failing_handshakes(proxy.address("127.0.0.1:0"), certs.ca)
    shutil.copy(proxy.config_path, tmp_path / "sallyport.json")
    shell = Shell(tmp_path, {"127.0.0.1:8443": "127.0.0.1:0", "/etc/sallyport": str(site)})
    both = {"ports": {"127.0.0.1:0": {"tls": False}}, "routes": [{"backend": "shop"}]}
    (tmp_path / "c2.json").write_text(json.dumps({
        "ports": {"8443": {"bundles": ["site"]}}, "routes": [{"respond": {"status": 204}}],
        "bundles": {"site": {"certs": [{"chain": "etc/site.pem", "key": "etc/wrong.key"}]}}}))
    (tmp_path / "c3.json").write_text(json.dumps({**both, "backends": {"shop": {
        "servers": ["127.0.0.1:9001"], "tls": {"ca_file": "etc/internal-ca.pem"}}}}))
    marks = [(r"^ +(mimalloc|glibc) .*", "allocator"), (r"^ +(OpenSSL|jansson|c-ares) .*", r"\1"),
             (r"^ +(yes|no) ", "  yes/no "), (r"[tq]\d\d[di]\w{6}_\w{12}_\w{12}", "JA4"),
             (r"TLSv1\.\d(,TLSv1\.\d)+", "VERSIONS"), (r"127\.0\.0\.1:[1-9]\d*", "PEER"), AMOUNT]

    for command, printed in examples("tls.md"):
        if not command.startswith("sallyport certs"):
            hold(shell, command, printed, *marks)


def test_tls_certificates(start, tmp_path, certs):
    """The first to expire stands at the top; what is reloaded, and tried, has changed before."""
    own = certs.copy(tmp_path / "own")
    names = {"old": ["old.example.com"], "shop": ["shop.example.com", "www.example.com"],
             "wild": ["*.example.com"]}
    for days, (name, kind) in enumerate([("old-rsa", "rsa"), ("shop-ecdsa", "ecdsa"),
                                         ("shop-rsa", "rsa"), ("wild-ecdsa", "ecdsa")]):
        own.leaf(name, kind, names[name.partition("-")[0]], days=10 + 10 * days)
    start.certs = own
    proxy = start.proxy(ports={"127.0.0.1:0": {"bundles": ["shop", "wild", "old"]}},
                        certificates={"watch": False})
    failing_handshakes(proxy.address("127.0.0.1:0"), certs.ca)
    shell = Shell(tmp_path, {"127.0.0.1:8443": "127.0.0.1:0"}, {"SALLYPORT_SOCKET": proxy.control.path})
    marks = [(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?", "DAY"), (r"\b[0-9a-f]{16,}\b", "HEX"), AMOUNT]

    for command, printed in examples("tls.md"):
        if command.startswith("sallyport certs"):
            if command == "sallyport certs reload":
                own.leaf("wild-ecdsa", "ecdsa", names["wild"])
            elif command == "sallyport certs canary":
                own.leaf("shop-ecdsa", "ecdsa", names["shop"])
                answer = proxy.control.ask("/certs/reload?canary=5", method="POST")
                assert answer.status == 200 and answer.json()["canary"]
            hold(shell, command, printed, *marks)
