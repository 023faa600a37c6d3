"""The configuration of a running program: looked at, planned, changed, confirmed, undone, kept."""
import json
import os
import pty
import pwd
import re
import signal
import stat
import tempfile
import threading
import time
from pathlib import Path

import pytest
from helpers.backend import answering
from helpers.env import BINARY, SCALE, patience, scaled
from helpers.front import Front2
from helpers.http1 import Client
from helpers.proxy import Program, Proxy, wait_until


def fixed(text, **keys):
    return {"respond": {"text": text}, **keys}


@pytest.fixture
def proxy(start):
    return start.proxy({"app": [start.backend(answering(body=b"app")).address]},
                       routes=[fixed("one")])


def change(proxy, method, target, value=None, fields=None, body=None):
    body = json.dumps(value).encode() if value is not None else body
    return proxy.control.ask(target, method, body, {"Content-Type": "application/json",
                                                    **(fields or {})})


def patch(proxy, operations, target="/config", **fields):
    return change(proxy, "PATCH", target, operations,
                  {"Content-Type": "application/json-patch+json", **fields})


def revisions(proxy):
    return proxy.control.ask("/revisions").json()["revisions"]


def says(connect, proxy):
    client = connect(proxy.https)
    try:
        return client.get("/").body.decode()
    finally:
        client.close()


def again(start, proxy) -> Proxy:
    """The same program, started anew."""
    other = Proxy.__new__(Proxy)
    other.config, other.config_path, other.control = proxy.config, proxy.config_path, proxy.control
    Program.__init__(other, proxy.config_path.parent, ["run", "-c", str(proxy.config_path)],
                     f"{proxy.config_path.stem}-again{len(start.programs)}")
    start.programs.append(other)
    other.addresses = {}
    wait_until(other._all_listening, 15, "listening")  # pylint: disable=protected-access
    return other


# ---- Looking ----

def test_the_configuration_is_there_as_it_was_written(proxy):
    whole = proxy.control.ask("/config")
    assert whole.status == 200 and whole.json() == proxy.config
    assert proxy.control.ask("/config/routes/0/respond").json() == {"text": "one"}
    assert re.fullmatch(r'"0-[0-9a-f]{16}"', whole.fields["etag"])
    missing = proxy.control.ask("/config/rotues")
    assert missing.status == 404 and "did you mean \\\"routes\\\"" in missing.body.decode()


def test_nothing_is_written_before_there_is_a_change(proxy):
    assert revisions(proxy) == []
    assert not list(proxy.config_path.parent.glob("*.revisions"))


# ---- Changing ----

def test_a_value_is_set(proxy, connect):
    answer = change(proxy, "PUT", "/config/routes/0/respond/text?comment=because", "two")

    assert answer.status == 200, answer.body
    told = answer.json()
    assert told["applied"] and told["revision"] == 2 and told["connections"] == 0
    assert told["plan"]["changes"] == [{"kind": "changed", "pointer": "/routes/0/respond/text",
                                        "before": "one", "after": "two"}]
    assert [e["part"] for e in told["plan"]["effects"]] == ["routes"]
    assert says(connect, proxy) == "two"
    newest, first = revisions(proxy)
    assert (newest["revision"], newest["comment"], newest["uid"]) == (2, "because", os.getuid())
    assert newest["pid"] == os.getpid() and newest["current"] and first["comment"] == "as it was started"
    assert answer.fields["etag"].startswith('"2-')


def test_a_dry_run_changes_nothing(proxy, connect):
    answer = change(proxy, "PUT", "/config/routes/0/respond/text?dry_run", "two")

    assert answer.status == 200 and not answer.json()["applied"]
    assert answer.json()["text"].startswith('~ /routes/0/respond/text: "one" -> "two"\ntouches:\n')
    assert says(connect, proxy) == "one" and revisions(proxy) == []


def test_a_patch_is_whole_or_nothing(proxy, connect):
    good = {"op": "replace", "path": "/routes/0/respond/text", "value": "two"}
    answer = patch(proxy, [good, {"op": "test", "path": "/routes/0/respond/text", "value": "x"}])
    assert answer.status == 409 and answer.fields["content-type"] == "application/problem+json"
    answer = patch(proxy, [good, {"op": "add", "path": "/routes/0/backend", "value": "app"}])
    assert answer.status == 422
    assert any("cannot have both" in p["text"] for p in answer.json()["problems"])
    assert says(connect, proxy) == "one"

    assert patch(proxy, [good, {"op": "add", "path": "/routes/-", "value": fixed("x")}]).status == 200
    assert says(connect, proxy) == "two"
    assert change(proxy, "DELETE", "/config/routes/1").status == 200
    merged = change(proxy, "PATCH", "/config", {"throttle": {"max_keep_alive": 9}, "drain_timeout_ms": None},
                    {"Content-Type": "application/merge-patch+json"})
    assert merged.status == 200
    assert proxy.control.ask("/config/throttle/max_keep_alive").json() == 9
    assert change(proxy, "PATCH", "/config", {}).status == 415


def test_what_is_wrong_is_told_all_at_once(proxy):
    wrong = {**proxy.config, "routes": [{"backend": "ap"}], "prots": {}}
    answer = change(proxy, "PUT", "/config", wrong)

    assert answer.status == 422
    texts = [(p["pointer"], p["text"]) for p in answer.json()["problems"]]
    assert ("/routes/0/backend", 'no backend is called "ap"; did you mean "app"?') in texts
    assert ("/prots", 'unknown key "prots"; did you mean "ports"?') in texts
    assert change(proxy, "PUT", "/config", body=b"{").status == 422
    assert change(proxy, "PUT", "/config/routes/0", body=b"{").status == 400
    assert revisions(proxy) == []


def test_what_cannot_be_applied_changes_nothing(proxy, connect, start):
    other = start.proxy(ports={"127.0.0.9:0": {"tls": False}}, routes=[fixed("other")])
    taken = "127.0.0.9:%d" % other.http[1]
    answer = patch(proxy, [{"op": "add", "path": "/ports/" + taken, "value": {"tls": False}},
                           {"op": "replace", "path": "/routes/0/respond/text", "value": "two"}])

    assert answer.status == 422, answer.body
    assert "/ports/" + taken in [p["pointer"] for p in answer.json()["problems"]]
    assert says(connect, proxy) == "one" and revisions(proxy) == []


def test_who_comes_second_is_told(proxy):
    tag = proxy.control.ask("/config").fields["etag"]
    mine = {"If-Match": tag}

    assert change(proxy, "PUT", "/config/routes/0/respond/text", "two", mine).status == 200
    late = change(proxy, "PUT", "/config/routes/0/respond/text", "three", mine)
    assert late.status == 412
    fresh = {"If-Match": late.fields["etag"]}
    assert change(proxy, "PUT", "/config/routes/0/respond/text", "three", fresh).status == 200
    assert len(revisions(proxy)) == 3


def test_writers_at_once_lose_nothing(proxy):
    def add(n):
        statuses.append(patch(proxy, [{"op": "add", "path": "/routes/0",
                                       "value": fixed(str(n), path=f"/{n}")}]).status)
    statuses = []
    writers = [threading.Thread(target=add, args=(n,)) for n in range(12)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert statuses == [200] * 12
    paths = {route.get("path") for route in proxy.control.ask("/config/routes").json()}
    assert paths == {None, *(f"/{n}" for n in range(12))}
    assert [r["revision"] for r in revisions(proxy)] == list(range(13, 0, -1))


# ---- Confirming, going back ----

def test_what_is_not_confirmed_goes_back(proxy, connect):
    answer = change(proxy, "PUT", "/config/routes/0/respond/text?confirm=1s", "two")
    assert answer.status == 200 and "confirm_by" in answer.json()
    assert says(connect, proxy) == "two"
    assert change(proxy, "PUT", "/config/routes/0/respond/text", "three").status == 409

    wait_until(lambda: says(connect, proxy) == "one", 10, "going back")
    newest = revisions(proxy)[0]
    assert newest["comment"] == "back to revision 1: 2 was not confirmed in time"
    assert proxy.control.ask("/config/confirm", "POST").status == 409


def test_what_is_confirmed_stays(proxy, connect):
    change(proxy, "PUT", "/config/routes/0/respond/text?confirm=2s", "two")
    assert proxy.control.ask("/config/confirm", "POST").json() == {"revision": 2}
    time.sleep(2.5)
    assert says(connect, proxy) == "two" and len(revisions(proxy)) == 2


def test_a_wrong_time_is_refused(proxy):
    for wrong in ("", "0s", "x", "5d", "2000h", "-1s", "1ss"):
        assert change(proxy, "PUT", f"/config/user?confirm={wrong}", "x").status == 400, wrong


def test_rolling_back(proxy, connect):
    for text in ("two", "three"):
        change(proxy, "PUT", "/config/routes/0/respond/text", text)
    assert proxy.control.ask("/config/rollback", "POST").status == 200
    assert says(connect, proxy) == "two"
    assert proxy.control.ask("/config/rollback?to=1", "POST").json()["revision"] == 5
    assert says(connect, proxy) == "one"
    assert proxy.control.ask("/config/rollback?to=99", "POST").status == 404
    # Out of a pending one, too.
    change(proxy, "PUT", "/config/routes/0/respond/text?confirm=1h", "four")
    assert proxy.control.ask("/config/rollback", "POST").status == 200
    assert says(connect, proxy) == "one"
    assert proxy.control.ask("/config/confirm", "POST").status == 409


# ---- Over a restart ----

def test_a_restart_comes_back_with_what_was_applied(proxy, connect, start):
    change(proxy, "PUT", "/config/routes/0/respond/text", "two")
    proxy.stop()
    proxy = again(start, proxy)

    assert says(connect, proxy) == "two"
    assert proxy.control.ask("/config").fields["etag"].startswith('"2-')
    drift = proxy.control.ask("/drift").json()
    assert not drift["same"]
    assert drift["plan"]["changes"] == [{"kind": "changed", "pointer": "/routes/0/respond/text",
                                         "before": "two", "after": "one"}]


def test_a_file_that_was_changed_is_what_starts(proxy, connect, start):
    change(proxy, "PUT", "/config/routes/0/respond/text", "two")
    proxy.stop()
    proxy.config["routes"] = [fixed("by hand")]
    proxy.config_path.write_text(json.dumps(proxy.config))
    proxy = again(start, proxy)

    assert says(connect, proxy) == "by hand"
    assert revisions(proxy)[0]["comment"] == "the file was changed before a start"
    assert proxy.control.ask("/drift").json()["same"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_goes_back_from_what_was_not_confirmed(proxy, connect, start, end):
    change(proxy, "PUT", "/config/routes/0/respond/text?confirm=1h", "two")
    proxy.signal(end)
    proxy.stop(expected=-end if end == signal.SIGKILL else 0)
    proxy = again(start, proxy)

    assert says(connect, proxy) == "one"
    assert "2 had not been confirmed at a start" in revisions(proxy)[0]["comment"]


def test_a_kill_at_any_instant_leaves_one_whole(proxy, connect, start):
    n = 0
    for i in range(scaled(15)):
        def write():
            nonlocal n
            try:
                while True:
                    change(proxy, "PUT", "/config/routes/0/respond/text", f"text {n}")
                    n += 1
            except (OSError, IndexError, ValueError):
                pass
        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(0.05 + 0.013 * i)
        proxy.signal(signal.SIGKILL)
        writer.join()
        proxy.stop(expected=-signal.SIGKILL)
        proxy = again(start, proxy)
        assert says(connect, proxy) in {"one", f"text {n - 1}", f"text {n}"}
    assert n > 0


def test_a_disk_that_takes_no_more(proxy, connect):
    folder = proxy.config_path.with_suffix(".revisions")
    folder.write_text("in the way")
    answer = change(proxy, "PUT", "/config/routes/0/respond/text", "two")

    assert answer.status == 507 and "cannot be recorded" in answer.json()["detail"]
    assert says(connect, proxy) == "one"


# ---- As another user ----

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")


@pytest.fixture
def state():
    """A folder in one that everybody can reach, not made yet."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder) / "state"


def as_nobody(start, state):
    return start.proxy(routes=[fixed("one")], user="nobody",
                       admin={"socket": str(state.parent / "sock"), "state": str(state)})


@needs_root
def test_another_user_keeps_revisions(start, connect, state):
    """One that cannot even read the file."""
    proxy = as_nobody(start, state)
    assert change(proxy, "PUT", "/config/routes/0/respond/text", "two").status == 200
    proxy.stop()
    proxy = again(start, proxy)

    assert says(connect, proxy) == "two"
    assert change(proxy, "PUT", "/config/routes/0/respond/text", "three").status == 200
    nobody = pwd.getpwnam("nobody")
    assert {file.stat().st_uid for file in (state, *state.iterdir())} == {nobody.pw_uid}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


@needs_root
def test_what_was_written_before_the_user_changed_is_given_too(start, connect, state):
    proxy = as_nobody(start, state)
    change(proxy, "PUT", "/config/routes/0/respond/text?confirm=1h", "two")
    proxy.signal(signal.SIGKILL)
    proxy.stop(expected=-signal.SIGKILL)
    proxy = again(start, proxy)

    assert says(connect, proxy) == "one" and len(revisions(proxy)) == 3
    assert change(proxy, "PUT", "/config/routes/0/respond/text", "three").status == 200


@needs_root
def test_a_folder_with_something_else_is_not_given_away(start, state):
    state.mkdir()
    (state / "other").write_text("")
    proxy = as_nobody(start, state)

    proxy.wait_log("warn app revisions cannot be kept .* holds something else: other")
    assert change(proxy, "PUT", "/config/routes/0/respond/text", "two").status == 507
    assert (state.stat().st_uid, (state / "other").stat().st_uid) == (0, 0)


# ---- By SIGHUP ----

def test_a_reload_is_a_revision_when_there_are_some(proxy, connect):
    assert proxy.reload({**proxy.config, "routes": [fixed("two")]})
    assert says(connect, proxy) == "two" and revisions(proxy) == []
    change(proxy, "PUT", "/config/routes/0/respond/text", "three")
    proxy.signal(signal.SIGHUP)
    wait_until(lambda: says(connect, proxy) == "two", 10, "the reload")
    assert revisions(proxy)[0]["comment"] == "SIGHUP"
    change(proxy, "PUT", "/config/routes/0/respond/text?confirm=1h", "four")
    proxy.signal(signal.SIGHUP)
    proxy.wait_log("reload: failed, nothing has changed: revision 4 waits for its confirmation")


# ---- Commands ----

def config(proxy, *words):
    return proxy.control.command("config", *words)


def test_the_commands(proxy, connect, tmp_path):
    assert config(proxy, "get", "/routes/0/respond/text").stdout == '"one"\n'
    done = config(proxy, "set", "/routes/0/respond/text", "two words", "--comment", "a b/c?")
    assert done.returncode == 0 and "error" not in done.stderr
    assert done.stdout.endswith("applied: revision 2\n") and '"one" -> "two words"' in done.stdout
    assert says(connect, proxy) == "two words"
    assert config(proxy, "set", "/throttle", '{"max_keep_alive": 5}').returncode == 0
    assert config(proxy, "remove", "/throttle").returncode == 0
    assert config(proxy, "set", "/throttle/x/y", "1").returncode == 1

    file = tmp_path / "patch.json"
    file.write_text('[{"op": "replace", "path": "/routes/0/respond/text", "value": "three"}]')
    dry = config(proxy, "patch", str(file), "--dry-run")
    assert dry.returncode == 0 and "applied" not in dry.stdout
    assert config(proxy, "patch", str(file), "--confirm", "1h").stdout.count("unless confirmed") == 1
    assert "unconfirmed" in config(proxy, "history").stdout
    assert config(proxy, "confirm").stdout == "revision 5 stays\n"
    assert "a b/c?" in config(proxy, "history").stdout

    whole = json.loads(config(proxy, "show").stdout)
    whole["routes"] = [fixed("four")]
    file.write_text(json.dumps(whole))
    assert config(proxy, "apply", str(file)).returncode == 0
    assert says(connect, proxy) == "four"
    assert config(proxy, "diff", "5", "6").stdout.startswith('~ /routes/0/respond/text: "three" -> "four"')
    assert '"four" -> "one"' in config(proxy, "diff").stdout
    assert config(proxy, "rollback", "2").returncode == 0
    assert says(connect, proxy) == "two words"
    assert json.loads(config(proxy, "show", "6").stdout) == whole
    assert json.loads(config(proxy, "history", "--json").stdout)["revisions"][0]["revision"] == 7
    wrong = config(proxy, "set", "/routes/0/backend", "ap")
    assert wrong.returncode == 1 and "error: /routes/0" in wrong.stderr
    assert config(proxy, "get").returncode == 2 and config(proxy, "frob").returncode == 2


def on_a_terminal(proxy, answer, *words):
    """What it prints when somebody types `answer`, and its exit status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(str(BINARY), [str(BINARY), "config", *words, "--socket", proxy.control.path])
    os.write(fd, answer)
    out = b""
    while True:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        out += piece
    os.close(fd)
    return out.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_terminal_is_asked_first(proxy, connect):
    out, status = on_a_terminal(proxy, b"n\n", "set", "/routes/0/respond/text", "two")
    assert status == 1 and "apply? [y/N]" in out and '"one" -> "two"' in out
    assert says(connect, proxy) == "one"
    out, status = on_a_terminal(proxy, b"y\n", "set", "/routes/0/respond/text", "two")
    assert status == 0 and "applied: revision 2" in out
    assert says(connect, proxy) == "two"


def test_secrets_are_not_shown(start, connect):
    proxy = start.proxy(env={"SP_SECRET": "hunter2"}, routes=[fixed("${ENV:SP_SECRET}")])
    assert says(connect, proxy) == "hunter2"
    change(proxy, "PUT", "/config/routes/0/respond/status", 201)
    shown = "".join(proxy.control.ask(path).body.decode() for path in
                    ("/config", "/revisions", "/revisions/2", "/revisions/1/diff/2", "/drift"))
    assert "hunter2" not in shown and "${ENV:SP_SECRET}" in shown
    assert "hunter2" not in config(proxy, "show").stdout


class Load:
    """Somebody who asks all the time; `ask()` makes one request and returns its status."""

    def __init__(self, in_background, *asks):
        self.counts = [0] * len(asks)
        self._over = threading.Event()
        self._threads = [in_background(self._run, n, ask) for n, ask in enumerate(asks)]

    def _run(self, n, ask):
        while not self._over.wait(0.002):
            status = ask()
            assert status == 200, status
            self.counts[n] += 1

    def end(self):
        self._over.set()
        for thread in self._threads:
            thread.join(patience(30))
        assert min(self.counts) > 0, self.counts


def anew(address):
    """Each time over another connection."""
    def ask():
        with Client(address) as client:
            return client.get("/json").status
    return ask


def over_http2(address, context):
    front = Front2(address, context)

    def ask():
        front.begin(target="/json")
        return front.answer().status
    return ask


def some_change(n):
    """One of several kinds, each time another value."""
    return [[{"op": "replace", "path": "/routes/0/respond/text", "value": f"text {n}"}],
            [{"op": "add", "path": "/backends/app/connect_timeout_ms", "value": 5000 + n}],
            [{"op": "add", "path": "/limits", "value": {"max_fields": 50 + n % 40}},
             {"op": "replace", "path": "/routes/0/path", "value": f"/{n}"}]][n % 3]


@pytest.mark.tsan
def test_changes_under_load_fail_no_request_and_leave_nothing(start, connect, certs, in_background):
    proxy = start.proxy({"app": [start.origin().address]},
                        routes=[fixed("one", path="/0"), {"backend": "app"}])
    kept = connect(proxy.https)
    load = Load(in_background, lambda: kept.get("/json").status, anew(proxy.http),
                over_http2(proxy.https, certs.context(alpn=["h2"])))
    resident = {}
    with proxy.control.keep() as ask:
        for n in range(1, scaled(1000, 60) + 1):
            assert ask("/config", "PATCH", some_change(n), "application/json-patch+json") == 200
            resident[n] = proxy.rss_bytes()
    load.end()

    print(f"applied {n}, requests {load.counts}, resident {resident[min(n, 100)]}, {resident[n]} bytes")
    assert len(revisions(proxy)) == min(n + 1, 100)
    if SCALE >= 1:  # a sanitizer keeps what was freed
        assert resident[1000] < 1.05 * resident[100]
