"""A real browser opens a page through the proxy."""
import shutil
import subprocess

import pytest
from helpers.env import patience

BROWSER = shutil.which("chromium") or shutil.which("chromium-headless-shell")

PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>before</title><link rel="stylesheet" href="style.css">
</head><body><h1>Served through the proxy</h1><p id="said">nothing</p><img src="dot.svg">
<script src="script.js"></script></body></html>
"""
SCRIPT = """
fetch("data.json").then(r => r.json()).then(data =>
    fetch("echo", {method: "POST", body: "x".repeat(100000)}).then(r => r.text()).then(text => {
        document.getElementById("said").textContent =
            data.said + " " + text.length + " " + location.protocol + " " +
            getComputedStyle(document.querySelector("h1")).color;
        document.title = "after";
    }));
"""
FILES = {
    "index.html": PAGE, "script.js": SCRIPT, "data.json": '{"said": "hello"}',
    "style.css": "h1 { color: rgb(1, 2, 3); }",
    "dot.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>',
}
TYPES = {"html": "text/html", "js": "text/javascript", "json": "application/json",
         "css": "text/css", "svg": "image/svg+xml", "ico": "image/x-icon"}


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
def test_page_with_scripts_opens(start, tmp_path):
    from helpers.backend import each_request

    def answer(connection, request):
        name = request.target.strip("/") or "index.html"
        if name == "echo":
            connection.respond(200, request.body, [("Content-Type", "text/plain")])
        elif name in FILES:
            connection.respond(200, FILES[name].encode(),
                               [("Content-Type", TYPES[name.rsplit(".")[-1]])])
        else:
            connection.respond(404, b"", reason="Not Found")
    backend = start.backend(each_request(answer))
    proxy = start.proxy({"app": [backend.address]})
    host, port = proxy.https
    picture = tmp_path / "page.png"

    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--disable-default-apps", "--disable-extensions",
         "--disable-dev-shm-usage", "--ignore-certificate-errors",
         f"--host-resolver-rules=MAP shop.test {host}", f"--user-data-dir={tmp_path / 'profile'}",
         "--window-size=640,400", f"--screenshot={picture}", "--virtual-time-budget=10000",
         "--dump-dom", f"https://shop.test:{port}/"],
        capture_output=True, timeout=patience(90), check=False)

    page = done.stdout.decode()
    assert 'id="said">hello 100000 https: rgb(1, 2, 3)<' in page, page + done.stderr.decode()
    assert "<title>after</title>" in page
    if picture.exists():
        assert picture.read_bytes().startswith(b"\x89PNG")
    asked = {request.target for request in backend.requests}
    assert {"/", "/script.js", "/data.json", "/style.css", "/dot.svg", "/echo"} <= asked
