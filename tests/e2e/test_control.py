"""The control socket: who may use it, what it answers, and that nobody who misuses it is in the way."""
import json
import os
import socket
import stat
import subprocess
import tempfile
import time

import pytest
from helpers.backend import answering, each_request
from helpers.env import BINARY, patience, scaled
from helpers.proxy import wait_until

OTHER_UID = 65534


@pytest.fixture
def proxy(start):
    return start.proxy({"app": [start.backend(answering()).address]})


def as_other_user(function) -> int:
    """The exit status of a child that runs function() as nobody."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(OTHER_UID)
            os.setuid(OTHER_UID)
            os._exit(function())
        except BaseException:  # pylint: disable=broad-except
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# ---- What it answers ----

def test_it_lists_what_there_is(proxy):
    answer = proxy.control.ask("/")

    assert answer.status == 200
    paths = {(route["method"], route["path"]) for route in answer.json()["routes"]}
    assert {("GET", "/status"), ("GET", "/connections"), ("GET", "/metrics"), ("POST", "/drain"),
            ("POST", "/drain/{port}"), ("POST", "/stop")} <= paths
    assert all(route["help"] for route in answer.json()["routes"])


def test_curl_can_use_it(proxy):
    answer = subprocess.run(["curl", "-sS", "--fail", "--unix-socket", proxy.control.path,
                             "http://localhost/status"], capture_output=True, check=True)
    assert json.loads(answer.stdout)["pid"] == proxy.pid


def test_status_tells_what_is(proxy, connect):
    client = connect(proxy.https)
    assert client.get("/").status == 200

    status = wait_until(lambda: (s := proxy.control.ask("/status").json())["connections"]["idle"] >= 1
                        and s, 10, "an idle connection")

    assert status["state"] == "running"
    assert status["config"] == str(proxy.config_path)
    assert status["requests"]["total"] == 1 and status["requests"]["2xx"] == 1
    assert status["handshakes"]["full"] == 1 and status["handshakes"]["cpu_us_per_full"] > 0
    assert sum(bucket["n"] for bucket in status["handshakes"]["served_after"]) == 1
    assert status["memory"]["resident_bytes"] > 1 << 20
    ports = {port["name"]: port for port in status["ports"]}
    assert ports["127.0.0.1:0"]["connections"] == 1 and ports["127.0.0.2:0"]["connections"] == 0
    assert ports["127.0.0.1:0"]["addresses"] == ["{}:{}".format(*proxy.https)]
    server = status["backends"][0]["servers"][0]
    assert server["state"] == "up" and server["connections"] == 1
    assert {thread["name"] for thread in status["threads"]} == {
        "[ET_NET 0]", "[ET_NET 1]", "[ET_SSL 0]", "[ET_TASK 0]"}


def test_server_that_cannot_be_reached_is_down(start, connect):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        proxy = start.proxy({"app": ["{}:{}".format(*unused.getsockname())]})
        assert connect(proxy.https).get("/").status == 502

    server = proxy.control.ask("/status").json()["backends"][0]["servers"][0]

    assert server["state"] == "down" and server["failures"] >= 1


def test_connections_are_shown_with_their_tls(proxy, connect):
    client = connect(proxy.https)
    plain = connect(proxy.http, tls=False)
    assert client.get("/").status == plain.get("/").status == 200

    found = proxy.control.ask("/connections").json()

    assert found["complete"]
    mine = [c for c in found["connections"] if c.get("port") == "127.0.0.1:0"]
    assert len(mine) == 1
    assert mine[0]["tls"]["version"] == "TLSv1.3" and mine[0]["transport"] == "tls"
    assert mine[0]["client"].startswith("127.0.0.1:")
    assert mine[0]["bytes_in"] > 0 and mine[0]["bytes_out"] > 0
    assert [c["id"] for c in found["connections"]] == sorted(c["id"] for c in found["connections"])
    assert any(c["side"] == "server" for c in found["connections"])


@pytest.mark.parametrize("query,n", [("port=127.0.0.2:0", 3), ("port=127.0.0.2:0&limit=2", 2),
                                     ("port=127.0.0.2:0&limit=0", 0), ("address=10.9.8.7", 0),
                                     ("state=handshake", 0), ("port=127.0.0.2%3A0", 3)])
def test_connections_can_be_chosen(proxy, connect, query, n):
    clients = [connect(proxy.http, tls=False) for _ in range(3)]
    for client in clients:
        assert client.get("/").status == 200

    found = proxy.control.ask(f"/connections?{query}").json()

    assert len(found["connections"]) == n
    assert found["complete"] == (found["matched"] == n)


def test_every_metric_has_help_and_type(proxy, connect):
    connect(proxy.https).get("/")

    answer = proxy.control.ask("/metrics")

    assert answer.fields["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.body.decode().splitlines()
    types = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE ")}
    helps = {line.split()[2] for line in lines if line.startswith("# HELP ")}
    values = {}
    for line in lines:
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            values[name] = float(value)
    assert set(types) == helps
    for name in values:
        bare = name.partition("{")[0]
        family = next((bare[:-len(end)] for end in ("_bucket", "_sum", "_count")
                       if bare.endswith(end) and types.get(bare[:-len(end)]) == "histogram"), bare)
        assert family in types, name
        assert (types[family] == "counter") == family.endswith("_total"), name
    assert values["sallyport_http_requests_total"] == 1
    assert values["sallyport_tls_handshakes_full_total"] == 1
    assert values['sallyport_tls_handshake_wait_ms_bucket{le="+Inf"}'] == 1
    assert values['sallyport_connections{side="client"}'] == 1
    assert values["process_resident_memory_bytes"] > 1 << 20


def test_head_is_the_answer_without_its_body(proxy):
    answer = proxy.control.ask("/status", "HEAD")
    assert answer.status == 200 and answer.body == b"" and int(answer.fields["content-length"]) > 0


# ---- Refusals ----

@pytest.mark.parametrize("target,method,status", [
    ("/nothing", "GET", 404), ("/status/", "GET", 404), ("/status", "POST", 405),
    ("/status?x=1", "GET", 400), ("/connections?limit=many", "GET", 400),
    ("/drain/no-such-port", "POST", 404), ("/drain/%zz", "POST", 404)])
def test_what_is_wrong_is_a_problem(proxy, target, method, status):
    answer = proxy.control.ask(target, method)

    assert answer.status == status
    assert answer.fields["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status and answer.json()["detail"]


def test_wrong_method_is_told_the_right_one(proxy):
    assert proxy.control.ask("/status", "DELETE").fields["allow"] == "GET, HEAD"


@pytest.mark.parametrize("request_bytes", [
    b"GET /status HTTP/1.1\r\n\r\n", b"GET /status\r\n\r\n", b"\x16\x03\x01\x02\x00",
    b"GET /status HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"y" * 40000 + b"\r\n\r\n"])
def test_malformed_request_is_refused_and_the_next_is_served(proxy, request_bytes):
    answer = proxy.control.raw(request_bytes + b"\r\n\r\n")

    assert b"HTTP/1.1 4" in answer and b"application/problem+json" in answer
    assert proxy.control.ask("/status").status == 200


def test_body_that_is_too_large_is_refused(proxy):
    announced = b"POST /stop HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n"
    assert b"HTTP/1.1 4" in proxy.control.raw(announced)
    assert proxy.control.ask("/stop", "POST", b"x" * (1 << 20)).status == 400
    assert proxy.control.ask("/status").status == 200


def test_stuck_clients_are_in_nobodys_way(proxy):
    stuck = [proxy.control.connect() for _ in range(scaled(200, 20))]
    for i, client in enumerate(stuck):
        client.sendall([b"", b"GET /sta", b"GET /connections HTTP/1.1\r\nHost: a\r\n\r\n" * 50,
                        b"POST /stop HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"][i % 4])

    begin = time.monotonic()
    for _ in range(10):
        assert proxy.control.ask("/status").status == 200

    assert time.monotonic() - begin < patience(10)
    for client in stuck:
        client.close()


# ---- Other users ----

def ask_as_other_user(path: str, expected: bytes) -> int:
    """0: the answer begins so. 1: another. 2: the system lets nobody connect."""
    def attempt():
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(path)
            except PermissionError:
                return 2
            s.sendall(b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return 0 if s.recv(4096).startswith(expected) else 1
    return as_other_user(attempt)


@pytest.fixture
def reachable():
    """A folder that other users can look into, as those of a test are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield f"{folder}/control.sock"


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")


@needs_root
def test_other_users_cannot_connect(start, reachable):
    start.proxy(admin={"socket": reachable})

    assert stat.S_IMODE(os.stat(reachable).st_mode) == 0o600
    assert ask_as_other_user(reachable, b"") == 2


@needs_root
def test_other_users_are_denied_whatever_the_file_says(start, reachable):
    proxy = start.proxy(admin={"socket": reachable})
    os.chmod(reachable, 0o666)

    assert ask_as_other_user(reachable, b"HTTP/1.1 403 ") == 0

    proxy.wait_log(rf"warn admin denied uid={OTHER_UID}")
    assert proxy.metrics()["admin_denied"] == 1
    assert proxy.control.ask("/status").status == 200


@needs_root
def test_owner_of_the_socket_may_use_it(start, reachable):
    start.proxy(admin={"socket": reachable, "owner": "nobody"})

    assert os.stat(reachable).st_uid == OTHER_UID
    assert ask_as_other_user(reachable, b"HTTP/1.1 200 ") == 0


# ---- Where it is ----

def test_without_a_word_it_is_beside_the_configuration(start, tmp_path):
    proxy = start.proxy(admin={})

    assert proxy.control.path == str(tmp_path / "run/sallyport.sock")
    assert proxy.control.ask("/status").status == 200
    proxy.stop()
    assert not os.path.exists(proxy.control.path)


def test_socket_in_use_is_left_to_its_owner(start, tmp_path):
    first = start.proxy(admin={})
    second = start.proxy(admin={})  # nobody asked for its socket: it runs without

    second.wait_log("warn admin no control socket: .*Address already in use")
    assert first.control.ask("/status").json()["pid"] == first.pid
    second.stop()
    assert first.control.ask("/status").status == 200


def test_socket_that_was_asked_for_has_to_be_there(start, tmp_path):
    config = dict(start.proxy().config, admin={"socket": "/proc/none.sock"})
    path = tmp_path / "refused.json"
    path.write_text(json.dumps(config))

    ended = subprocess.run([BINARY, "run", "-c", path], capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "/admin/socket: /proc/none.sock: bind: " in ended.stderr


def test_socket_left_behind_is_replaced(start, tmp_path):
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "proxy0.sock"))
    assert start.proxy().control.ask("/status").status == 200


def test_it_can_be_off(start, tmp_path):
    proxy = start.proxy(admin={"socket": "off"})

    ended = subprocess.run([BINARY, "status", "-c", proxy.config_path], capture_output=True,
                           text=True, check=False)

    assert ended.returncode == 1 and "the control socket is off" in ended.stderr
    assert not (tmp_path / "run").exists()


# ---- Commands ----

def test_commands_find_the_socket_in_the_configuration(proxy):
    for arguments in (["--socket", proxy.control.path], ["-c", proxy.config_path]):
        shown = subprocess.run([BINARY, "status", *arguments], capture_output=True, text=True,
                               check=False)
        assert shown.returncode == 0 and f"pid {proxy.pid} " in shown.stdout, shown.stderr
    shown = subprocess.run([BINARY, "status"], capture_output=True, text=True, check=False,
                           env={"SALLYPORT_SOCKET": proxy.control.path})
    assert shown.returncode == 0


def test_configuration_may_be_broken_meanwhile(proxy):
    config = json.loads(proxy.config_path.read_text())
    proxy.config_path.write_text(json.dumps({**config, "prots": {}}))

    shown = subprocess.run([BINARY, "status", "-c", proxy.config_path, "--json"],
                           capture_output=True, text=True, check=False)

    assert shown.returncode == 0 and json.loads(shown.stdout)["pid"] == proxy.pid


def test_status_is_shown_in_columns(proxy, connect):
    assert connect(proxy.https).get("/").status == 200

    shown = proxy.control.command("status")

    assert shown.returncode == 0
    for part in ("sallyport ", "requests     1, ", "1 full (", "PORT ", "127.0.0.1:0 ", "BACKEND ",
                 "app ", " up ", "[ET_SSL 0] "):
        assert part in shown.stdout, shown.stdout
    assert json.loads(proxy.control.command("status", "--json").stdout)["pid"] == proxy.pid


def test_connections_are_shown_in_columns(proxy, connect):
    assert connect(proxy.https).get("/").status == 200

    shown = proxy.control.command("connections", "--port", "127.0.0.1:0")

    lines = shown.stdout.splitlines()
    assert shown.returncode == 0 and len(lines) == 2 and "TLSv1.3" in lines[1]
    cut = proxy.control.command("connections", "--limit", "1")
    assert "1 of " in cut.stderr and "--limit" in cut.stderr


def test_refusal_is_told_with_its_reason(proxy):
    refused = proxy.control.command("drain", "127.0.0.1:1")

    assert refused.returncode == 1
    assert refused.stderr == ('sallyport drain: no port "127.0.0.1:1"; did you mean '
                              '"127.0.0.1:0"?\n')


def test_nobody_there_is_told(tmp_path):
    for command in ("status", "connections", "drain", "stop"):
        ended = subprocess.run([BINARY, command, "--socket", tmp_path / "none.sock"],
                               capture_output=True, text=True, check=False)
        assert ended.returncode == 1 and "nothing runs there" in ended.stderr


@pytest.mark.parametrize("arguments", [["status", "x"], ["status", "--watch", "0"],
                                       ["connections", "x"], ["drain", "a", "b"], ["stop", "x"],
                                       ["completion"], ["completion", "fish"], ["man", "x"]])
def test_what_is_not_understood_is_exit_status_2(arguments):
    assert subprocess.run([BINARY, *arguments], capture_output=True, check=False).returncode == 2


def test_completion_is_bash(tmp_path):
    script = tmp_path / "completion"
    script.write_bytes(subprocess.run([BINARY, "completion", "bash"], capture_output=True,
                                      check=True).stdout)
    ask = (f". {script}; COMP_WORDS=(sallyport st); COMP_CWORD=1; _sallyport; echo ${{COMPREPLY[@]}};"
           "COMP_WORDS=(sallyport stop --n); COMP_CWORD=2; _sallyport; echo ${COMPREPLY[@]}")
    completed = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert completed.stdout == "status stop\n--now --no-wait\n"


def test_every_command_has_a_manual_page():
    names = [line.split()[0] for line in
             subprocess.run([BINARY, "help"], capture_output=True, text=True,
                            check=True).stdout.splitlines() if line.startswith("  ")]
    assert "status" in names
    for name in [None, *names]:
        page = subprocess.run([BINARY, "man", *([name] if name else [])], capture_output=True,
                              text=True, check=True).stdout
        assert page.startswith(".TH ") and "\n.SH SYNOPSIS\n" in page


# ---- Drain and stop ----

def test_port_is_drained_while_the_other_serves(start, connect):
    proxy = start.proxy({"app": [start.backend(answering()).address]})
    idle = connect(proxy.https)
    assert idle.get("/").status == 200
    other = connect(proxy.http, tls=False)
    assert other.get("/").status == 200
    silent = connect(proxy.https)

    drained = proxy.control.command("drain", "127.0.0.1:0")

    assert drained.returncode == 0 and "takes no more connections" in drained.stdout
    assert idle.ended() and silent.ended()
    assert other.get("/").status == 200

    def refused():
        try:
            connect(proxy.https, tls=False).close()
            return False
        except ConnectionRefusedError:
            return True
    wait_until(refused, 10, "a refused connection")
    proxy.wait_log("drained ports connections=0")
    ports = {port["name"]: port["state"] for port in proxy.control.ask("/status").json()["ports"]}
    assert ports == {"127.0.0.1:0": "draining", "127.0.0.2:0": "open"}
    assert connect(proxy.http, tls=False).get("/").status == 200


def test_request_under_way_outlives_the_drain_of_its_port(start, connect):
    release = []

    def answer(connection, _):
        wait_until(lambda: release, 30, "the release")
        connection.respond(200, b"done")
    backend = start.backend(each_request(answer))
    proxy = start.proxy({"app": [backend.address]})
    client = connect(proxy.https)
    client.request()
    wait_until(lambda: backend.requests, 10, "the request")

    assert proxy.control.command("drain").returncode == 0
    assert proxy.control.ask("/status").json()["state"] == "draining"
    release.append(1)

    response = client.response()
    assert response.body == b"done" and response.closes()


@pytest.mark.tsan
def test_stop_waits_until_the_program_has_gone(proxy):
    stopped = proxy.control.command("stop")

    assert stopped.returncode == 0 and stopped.stdout == f"process {proxy.pid} has ended\n"
    assert not os.path.exists(proxy.control.path)
    proxy.stop()


def test_stop_now_waits_for_nobody(start, connect):
    backend = start.backend(lambda c: c.hang())
    proxy = start.proxy({"app": [backend.address]}, drain_timeout_ms=60000)
    client = connect(proxy.https)
    client.request()
    wait_until(lambda: backend.connections, 10, "the request")
    begin = time.monotonic()

    assert proxy.control.command("stop", "--no-wait").returncode == 0
    proxy.wait_log(" draining ")
    assert proxy.control.command("stop", "--now").returncode == 0

    assert time.monotonic() - begin < patience(20)
    proxy.stop()
    client.cut()


@pytest.mark.tsan
def test_questions_under_load_are_answered(proxy, connect, in_background):
    end = time.monotonic() + 1.0

    def visit():
        client = connect(proxy.https)
        while time.monotonic() < end:
            assert client.get("/").status == 200

    def ask():
        while time.monotonic() < end:
            for target in ("/status", "/connections", "/metrics"):
                assert proxy.control.ask(target).status == 200
    for function in (visit, visit, ask, ask):
        in_background(function)
