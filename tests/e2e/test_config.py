"""What the program says about configurations, and with which exit status."""
import json
import socket
import subprocess

import pytest
from conftest import PLAIN_PORT, TLS_PORT, make_config
from helpers.env import BINARY, ROOT, patience


def sallyport(*arguments):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True,
                          timeout=patience(20), stdin=subprocess.DEVNULL, check=False)


@pytest.fixture(name="run")
def fixture_run(tmp_path, certs):
    """run(command, config): writes it (a dict, or text as it is) and gives the result."""
    def do(command, config):
        path = tmp_path / "test.json"
        path.write_text(config if isinstance(config, str) else json.dumps(config, indent=2))
        return sallyport(command, *(["-c"] if command == "run" else []), path)
    do.good = lambda **rest: make_config(certs, {"app": ["127.0.0.1:9"]}, **rest)
    return do


def test_good_configuration_passes_the_check(run):
    done = run("check", run.good())

    assert done.returncode == 0, done.stderr
    assert "ok" in done.stdout and done.stderr == ""


@pytest.mark.parametrize("name", sorted(p.name for p in (ROOT / "conf").glob("**/*.json")
                                        if "schema" not in p.name))
def test_shipped_configurations_read_well(name, tmp_path):
    path = next((ROOT / "conf").glob(f"**/{name}"))
    done = sallyport("check", path)

    # Their certificates are made on the user's machine: what is wrong may only be that.
    assert done.returncode == 0 or "unknown key" not in done.stderr


MISTAKES = {  # a change to a good configuration, and words of what is said of it
    "unknown key": (lambda c: c.update(prots={}), ["prots", "ports"]),
    "unknown key deep down": (lambda c: c["backends"]["app"].update(server=[]), ["server", "servers"]),
    "wrong type": (lambda c: c["ports"][TLS_PORT].update(tls="yes"), ["true", "false"]),
    "out of range": (lambda c: c["threads"].update(net=0), ["1", "256"]),
    "no such bundle": (lambda c: c["ports"][TLS_PORT].update(bundles=["shp"]), ["shp", "shop"]),
    "no such backend": (lambda c: c["routes"].append({"backend": "ap"}), ["ap", "app"]),
    "TLS without bundle": (lambda c: c["ports"][TLS_PORT].pop("bundles"), ["bundles"]),
    "bad port": (lambda c: c["ports"].update({"x:y": {"tls": False}}), ["127.0.0.1:443"]),
    "bad server": (lambda c: c["backends"]["app"].update(servers=["nowhere"]), ["host:port"]),
    "two actions": (lambda c: c["routes"].append({"backend": "app", "respond": {}}), ["respond"]),
    "no action": (lambda c: c["routes"].append({"path": "/"}), ["backend", "redirect", "respond"]),
    "no ports": (lambda c: c.pop("ports"), ["ports"]),
    "bundle on a plain port": (lambda c: c["ports"][PLAIN_PORT].update(bundles=["shop"]), ["tls"]),
    "h2c with TLS": (lambda c: c["ports"][TLS_PORT].update(h2c=True), ["alpn"]),
    "bad network": (lambda c: c.update(forwarding={"trusted": ["10.0.0.0/33"]}), ["10.0.0.0/33"]),
}


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_told_with_its_place(run, command, name):
    config = run.good()
    change, words = MISTAKES[name]
    change(config)

    done = run(command, config)

    assert done.returncode == 1
    assert "test.json:" in done.stderr
    for word in words:
        assert word in done.stderr


def test_all_mistakes_are_told_at_once(run):
    config = run.good()
    for name in ("unknown key", "wrong type", "out of range", "no such backend"):
        MISTAKES[name][0](config)

    done = run("check", config)

    assert done.returncode == 1
    for word in ("prots", "true", "256", "ap"):
        assert word in done.stderr


def test_place_is_line_and_column(run):
    done = run("check", '{\n  "ports": {\n    "443": { "tls": 5 }\n  }\n}\n')

    assert "test.json:3:21: /ports/443/tls: " in done.stderr


@pytest.mark.parametrize("text", ["", "{", "[]", "nonsense", '{"a": 1, "a": 2}', "{}", "\0", "\xff",
                                  '{"ports": {"80": {"tls": false}}} x', "[" * 5000])
def test_no_configuration_at_all(run, text):
    for command in ("check", "run"):
        done = run(command, text)
        assert done.returncode == 1
        assert "test.json" in done.stderr


def test_file_that_is_not_there():
    for arguments in (["check", "/nonexistent/x.json"], ["run", "-c", "/nonexistent/x.json"]):
        done = sallyport(*arguments)
        assert done.returncode == 1
        assert "/nonexistent/x.json" in done.stderr and "No such file" in done.stderr


def test_problems_as_json(run, tmp_path):
    config = run.good()
    config["prots"] = {}
    run("check", config)

    done = sallyport("check", "--json", tmp_path / "test.json")

    said = json.loads(done.stdout)
    assert done.returncode == 1
    assert said["ok"] is False
    assert said["problems"][0]["pointer"] == "/prots"
    assert said["problems"][0]["level"] == "error"


CERTIFICATES = {
    "missing chain": (lambda certs, pair: {**pair, "chain": "/nonexistent.pem"}, "/nonexistent.pem"),
    "missing key": (lambda certs, pair: {**pair, "key": "/nonexistent.key"}, "/nonexistent.key"),
    "key of another": (lambda certs, pair: {**pair, "key": str(certs.key("api-ecdsa"))}, "belong"),
    "chain that is none": (lambda certs, pair: {**pair, "chain": pair["key"]}, "certificate"),
    "key that is none": (lambda certs, pair: {**pair, "key": pair["chain"]}, "key"),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_bad_certificate_refuses_to_start(run, certs, name):
    change, word = CERTIFICATES[name]
    config = run.good()
    config["bundles"]["shop"]["certs"] = [change(certs, certs.pair("shop-ecdsa"))]

    done = run("run", config)

    assert done.returncode == 1
    assert "shop" in done.stderr and word in done.stderr


def test_port_in_use_refuses_to_start(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        done = run("run", run.good(ports={address: {"tls": False}}))

    assert done.returncode == 1
    assert address in done.stderr and "in use" in done.stderr


def test_unknown_user_refuses_to_start(run):
    done = run("run", run.good(user="no-such-user-here"))

    assert done.returncode == 1
    assert "no-such-user-here" in done.stderr


def test_unwritable_log_refuses_to_start(run):
    done = run("run", run.good(log={"access": {"path": "/nonexistent/access.log"}}))

    assert done.returncode == 1
    assert "/nonexistent/access.log" in done.stderr


@pytest.mark.parametrize("arguments", [
    [], ["frobnicate"], ["run"], ["run", "-c"], ["run", "x.json"], ["run", "--nonsense"], ["check"],
    ["check", "a", "b"], ["origin"], ["origin", "--port", "x"], ["origin", "--port", "65536"]])
def test_misuse_is_status_2_and_says_how(arguments):
    done = sallyport(*arguments)

    assert done.returncode == 2
    assert "sallyport" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("arguments", [["help"], ["--help"], ["run", "--help"], ["check", "--help"],
                                       ["origin", "--help"]])
def test_help_is_help(arguments):
    done = sallyport(*arguments)

    assert done.returncode == 0
    assert "sallyport" in done.stdout


def test_version_says_what_it_is_made_of():
    done = sallyport("version")

    assert done.returncode == 0
    assert "sallyport" in done.stdout and "OpenSSL" in done.stdout


def test_comment_keys_are_ignored(run):
    config = run.good()
    config["// why"] = "because"
    config["ports"][TLS_PORT]["//"] = ["anything", 1]

    assert run("check", config).returncode == 0


def test_privileges_are_given_up(start, connect):
    import os
    import pwd
    if os.geteuid() != 0:
        pytest.skip("only root has something to give up")
    user = pwd.getpwnam("nobody")
    proxy = start.proxy(routes=[{"respond": {"text": "ok"}}], user="nobody")

    assert connect(proxy.https).get("/").body == b"ok"
    with open(f"/proc/{proxy.pid}/status", encoding="ascii") as status:
        lines = dict(line.split(":\t", 1) for line in status)
    assert lines["Uid"].split() == [str(user.pw_uid)] * 4
    assert lines["Gid"].split() == [str(user.pw_gid)] * 4
    assert int(lines["CapEff"], 16) == 0
