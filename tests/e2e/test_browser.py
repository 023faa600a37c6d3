"""A real browser opens a page through the proxy."""
import shutil
import subprocess

import pytest
from helpers.backend import each_request
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


def opened(url: str, host: str, folder, *more):
    """What the browser made of a page, as text."""
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--disable-default-apps", "--disable-extensions",
         "--disable-dev-shm-usage", "--ignore-certificate-errors",
         f"--host-resolver-rules=MAP shop.test {host}", f"--user-data-dir={folder / 'profile'}",
         *more, "--virtual-time-budget=10000", "--dump-dom", url],
        capture_output=True, timeout=patience(90), check=False)
    return done.stdout.decode() + done.stderr.decode()


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
def test_page_with_scripts_opens(start, tmp_path):
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

    page = opened(f"https://shop.test:{port}/", host, tmp_path, "--window-size=640,400",
                  f"--screenshot={picture}")

    assert 'id="said">hello 100000 https: rgb(1, 2, 3)<' in page, page
    assert "<title>after</title>" in page
    if picture.exists():
        assert picture.read_bytes().startswith(b"\x89PNG")
    asked = {request.target for request in backend.requests}
    assert {"/", "/script.js", "/data.json", "/style.css", "/dot.svg", "/echo"} <= asked


N_RESOURCES = 200
MANY = "".join(
    [f'<link rel="stylesheet" href="{i}.css">' for i in range(0, N_RESOURCES, 4)] +
    [f'<script src="{i}.js" defer></script>' for i in range(1, N_RESOURCES, 4)] +
    [f'<img src="{i}.svg">' for i in range(2, N_RESOURCES + 1, 2)])
MANY_PAGE = f"""<!DOCTYPE html><html><head><meta charset="utf-8"></head><body><p id="said"></p>{MANY}
<script>
window.ran = 0;
addEventListener("load", () => {{
    const entries = performance.getEntriesByType("resource");
    const images = [...document.images].filter(i => i.complete && i.naturalWidth > 0).length;
    const protocols = [...new Set(entries.map(e => e.nextHopProtocol))].join();
    document.getElementById("said").textContent =
        `${{entries.length}} resources by ${{protocols}}, ${{window.ran}} scripts, ${{images}} images, ` +
        `${{document.styleSheets.length}} sheets`;
}});
</script></body></html>"""


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
def test_page_of_200_resources_comes_over_http2(start, tmp_path):
    bodies = {"html": MANY_PAGE, "css": "p { margin: 0; }" * 300, "js": "window.ran++;" + " " * 5000,
              "svg": FILES["dot.svg"] + "<!--" + "x" * 3000 + "-->"}

    def answer(connection, request):
        kind = request.target.rpartition(".")[2] if request.target != "/" else "html"
        if kind in bodies:
            connection.respond(200, bodies[kind].encode(), [("Content-Type", TYPES[kind])])
        else:
            connection.respond(404, b"", reason="Not Found")
    backend = start.backend(each_request(answer))
    proxy = start.proxy({"app": [backend.address]}, log={"access": {"path": str(tmp_path / "access.log")}})
    host, port = proxy.https

    page = opened(f"https://shop.test:{port}/", host, tmp_path)

    assert (f'id="said">{N_RESOURCES} resources by h2, {N_RESOURCES // 4} scripts, '
            f"{N_RESOURCES // 2} images, {N_RESOURCES // 4} sheets<") in page, page
    proxy.stop()
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert len([line for line in lines if "HTTP/2" in line and '" 200 ' in line]) > N_RESOURCES
