"""The lines of README.md that somebody may copy do what it says, on ports that are free."""
import re

import pytest
from helpers.env import ROOT
from helpers.manual import AMOUNT, BAD, Copy, Shell, examples, hold

README = ROOT / "README.md"


def lines_to_try(name: str) -> list:
    found = re.search(rf"<!-- try: {name} -->\n```\n(.*?)```\n", README.read_text(), re.S)
    assert found, f"no lines to try {name}"
    return found[1].splitlines()


@pytest.fixture
def copy(tmp_path, start):
    return Copy(tmp_path, start)


def test_http2(copy):
    """With what `make run` starts."""
    copy.background("build/release/sallyport origin --port 9001")
    copy.background("build/release/sallyport run -c conf/quickstart.json")
    copy.wait_for("9001", "8443")

    said = [copy.run(line) for line in lines_to_try("http2")]

    assert said == ["HTTP/2\n"]


def test_websocket_and_grpc(copy):
    *servers, websocket, grpc = lines_to_try("protocols")
    for line in servers:
        copy.background(line.removesuffix(" &"))
    copy.wait_for("9002", "9003", "8443")

    assert copy.run(websocket) == "hello\n"
    assert copy.run(grpc) == "hello\ngrpc-status 0\n"


def test_lines_with_a_prompt(start, tmp_path):
    backends = {"green": ["127.0.0.1:9001"], "blue": ["127.0.0.1:9002"]}
    proxy = start.proxy(backends, admin={"socket": "run/sallyport.sock"},
                        routes=[{"path": "/blue", "backend": "blue"}, {"backend": "green"}])
    (tmp_path / "bad.json").write_text(BAD % '"bundels": ["site"]')
    shell = Shell(tmp_path, {"conf/quickstart.json": str(proxy.config_path),
                             "conf/run/sallyport.sock": proxy.control.path},
                  {"SALLYPORT_SOCKET": proxy.control.path})
    shown = examples("../../README.md")
    assert len(shown) == 8

    for command, printed in shown:
        if command.startswith("sallyport certs"):
            continue
        if printed:
            hold(shell, command, printed, *([AMOUNT] if " status" in command else []))
        else:  # too much to show
            assert "sallyport_http_requests_total " in shell.run(command)


def test_certificates_that_change(start, tmp_path, certs):
    """First a new one, then one whose key is another's."""
    own = certs.copy(tmp_path / "own")
    own.leaf("shop-ecdsa", "ecdsa", ["shop.example.com"])
    own.leaf("site-ecdsa", "ecdsa", ["site.example.com"])
    bundle = {"certs": [{"chain": str(own.chain("shop-ecdsa")), "key": str(own.key("shop-ecdsa"))}]}
    proxy = start.proxy(ports={"127.0.0.1:0": {"bundles": ["shop"]}}, bundles={"shop": bundle},
                        certificates={"watch": False})
    shell = Shell(tmp_path, {"/etc/sallyport/shop.": f"{own.folder}/shop-ecdsa."},
                  {"SALLYPORT_SOCKET": proxy.control.path})
    marks = [(r"\d{4}-\d\d-\d\d", "DAY"), (r"\b[0-9a-f]{16,}\b", "HEX"), AMOUNT]
    reloads = [printed for command, printed in examples("../../README.md")
               if command == "sallyport certs reload"]
    assert len(reloads) == 2

    own.leaf("shop-ecdsa", "ecdsa", ["shop.example.com"])
    hold(shell, "sallyport certs reload", reloads[0], *marks)
    own.key("shop-ecdsa").write_bytes(own.key("site-ecdsa").read_bytes())
    hold(shell, "sallyport certs reload", reloads[1], *marks)
