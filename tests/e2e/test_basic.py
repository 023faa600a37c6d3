"""The front door as a visitor meets it: pages, redirects, routes, error pages."""
import json
import socket

import pytest
from conftest import PLAIN_PORT, TLS_PORT
from helpers.backend import answering, each_request, echo, refusing_address
from helpers.http1 import curl


def curl_through(proxy, certs, url_path, *arguments, host="shop.test", **options):
    address, port = proxy.https
    return curl("--cacert", certs.ca, "--resolve", f"{host}:{port}:{address}",
                f"https://{host}:{port}{url_path}", *arguments, **options)


def test_curl_gets_a_page_of_the_origin(start, certs):
    origin = start.origin()
    proxy = start.proxy({"app": [origin.address]})

    done = curl_through(proxy, certs, "/?asked=this", "-i", "--http1.1")

    assert done.stdout.startswith(b"HTTP/1.1 200 ")
    assert b"/?asked=this" in done.stdout


def test_curl_that_offers_http2_gets_http11_where_the_port_has_only_that(start, certs):
    ports = {TLS_PORT: {"bundles": ["shop"], "alpn": ["http/1.1"]}}
    proxy = start.proxy({"app": [start.backend(answering()).address]}, ports=ports)

    done = curl_through(proxy, certs, "/", "-w", "%{http_version}", "--http2")

    assert done.stdout == b"hello\n1.1"


def test_head_has_the_fields_of_get_and_no_body(start, connect):
    proxy = start.proxy({"app": [start.nginx().address]})
    client = connect(proxy.https)

    get = client.get("/text")
    head = client.get("/text", method="HEAD")

    assert get.body == b"hello from nginx\n"
    assert head.status == 200 and head.get("content-length") == get.get("content-length")
    assert client.get("/text").body == get.body  # nothing of a body was in between


def test_nginx_files_ranges_and_validators_pass(start, connect):
    nginx = start.nginx()
    (nginx.root / "file.txt").write_text("0123456789")
    proxy = start.proxy({"app": [nginx.address]})
    client = connect(proxy.https)

    whole = client.get("/file.txt")
    part = client.get("/file.txt", [("Range", "bytes=2-4")])
    unchanged = client.get("/file.txt", [("If-None-Match", whole.get("etag"))])

    assert (whole.status, whole.body) == (200, b"0123456789")
    assert (part.status, part.body) == (206, b"234")
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert client.get("/missing").status == 404
    assert client.get("/empty").status == 204
    assert client.get("/old").status == 301


def test_plain_port_redirects_to_the_tls_port(start, connect):
    proxy = start.proxy(ports={PLAIN_PORT: {"tls": False, "redirect_to_port": 8443}})
    client = connect(proxy.http, tls=False)

    response = client.get("/a/b?c=d", [("Host", "shop.test")])

    assert response.status == 308
    assert response.get("location") == "https://shop.test:8443/a/b?c=d"


def test_redirect_to_port_443_names_no_port(start, connect):
    proxy = start.proxy(ports={PLAIN_PORT: {"tls": False, "redirect_to_port": 443}})
    client = connect(proxy.http, tls=False)

    for host in ("shop.test", "shop.test:80"):
        response = client.get("/x", [("Host", host)])
        assert response.get("location") == "https://shop.test/x"


def test_respond_route_gives_status_fields_and_text(start, connect):
    proxy = start.proxy(routes=[
        {"path": "/health", "respond": {"status": 200, "headers": {"X-Health": "good"},
                                        "text": "alive\n"}},
        {"path": "/gone", "respond": {"status": 410}},
        {"path": "/none", "respond": {"status": 204}}])
    client = connect(proxy.https)

    health = client.get("/health")
    assert (health.status, health.body, health.get("x-health")) == (200, b"alive\n", "good")
    assert client.get("/health", method="HEAD").get("content-length") == "6"
    assert client.get("/gone").status == 410
    assert client.get("/none").status == 204


@pytest.mark.parametrize("target, location", [
    ("/old/page?q=1", "https://new.test/old/page?q=1"),
    ("/old", "https://new.test/old"),
])
def test_redirect_route_fills_in_the_path(start, connect, target, location):
    proxy = start.proxy(routes=[
        {"path": "/old", "redirect": {"status": 301, "location": "https://new.test{path}"}}])

    response = connect(proxy.https).get(target)

    assert (response.status, response.get("location")) == (301, location)


def test_redirect_route_fills_in_the_host(start, connect):
    proxy = start.proxy(routes=[{"redirect": {"location": "https://www.{host}/"}}])

    response = connect(proxy.https).get("/", [("Host", "shop.test")])

    assert (response.status, response.get("location")) == (308, "https://www.shop.test/")


ROUTED = [  # host, path, which backend
    ("shop.test", "/", "shop"),
    ("SHOP.Test", "/", "shop"),
    ("shop.test:8443", "/", "shop"),
    ("shop.test", "/api", "api"),
    ("shop.test", "/api/v1?x", "api"),
    ("shop.test", "/api?x", "api"),
    ("shop.test", "/apis", "shop"),
    ("shop.test", "/ap", "shop"),
    ("a.wild.test", "/", "wild"),
    ("a.b.wild.test", "/", None),
    ("wild.test", "/", None),
    ("other.test", "/", None),
    ("other.test", "/everywhere/x", "api"),
]


@pytest.fixture(scope="module")
def routed(start_module):
    backends = {name: [start_module.backend(answering(name.encode())).address]
                for name in ("shop", "api", "wild")}
    return start_module.proxy(backends, routes=[
        {"path": "/everywhere", "backend": "api"},
        {"host": "shop.test", "path": "/api", "backend": "api"},
        {"host": "shop.test", "backend": "shop"},
        {"host": "*.wild.test", "path": "/", "backend": "wild"},
        {"host": "shop.test", "path": "/never", "backend": "wild"}])


@pytest.mark.parametrize("host, path, name", ROUTED)
def test_first_route_that_fits_host_and_path_takes_it(routed, connect, host, path, name):
    response = connect(routed.http, tls=False).get(path, [("Host", host)])

    if name:
        assert (response.status, response.body) == (200, name.encode())
    else:
        assert response.status == 404


def test_error_page_is_whole_and_the_connection_goes_on(start, connect):
    proxy = start.proxy({"app": [refusing_address()]})
    client = connect(proxy.https)

    for _ in range(3):
        response = client.get("/")
        assert response.status == 502
        assert response.get("content-type").startswith("text/plain")
        assert b"502 Bad Gateway" in response.body
        assert not response.closes()
    assert client.get("/", method="HEAD").status == 502


def test_browser_gets_its_error_page_as_html(start, connect):
    proxy = start.proxy({"app": [refusing_address()]})

    response = connect(proxy.https).get("/", [("Accept", "text/html,*/*;q=0.8")])

    assert response.get("content-type").startswith("text/html")
    assert b"<h1>502 Bad Gateway</h1>" in response.body


def test_no_route_is_404(start, connect):
    proxy = start.proxy()
    client = connect(proxy.https)

    assert client.get("/").status == 404
    assert client.get("/", method="POST", body=b"x" * 100).status == 404
    assert client.get("/").status == 404


def test_silent_backend_is_504(start, connect):
    backend = start.backend(lambda c: c.hang())
    proxy = start.proxy({"app": {"servers": [backend.address], "response_timeout_ms": 300}})
    client = connect(proxy.https)

    response = client.get("/")

    assert response.status == 504
    assert proxy.metrics()["http_responses_5xx"] == 1


def test_nothing_of_a_peer_gets_into_an_error_page(start, connect):
    proxy = start.proxy()

    response = connect(proxy.https).get("/%3Cscript%3Ealert(1)", [("Host", "shop.test")])

    assert b"script" not in response.body


def test_backend_may_be_a_unix_socket(start, connect, tmp_path):
    path = tmp_path / "backend.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    backend = start.backend(each_request(echo))
    backend.accept_also(listener)
    proxy = start.proxy({"app": [f"unix:{path}"]})

    response = connect(proxy.https).get("/over/unix")

    assert json.loads(response.body)["target"] == "/over/unix"


def test_port_may_be_a_unix_socket(start, tmp_path):
    path = tmp_path / "front.sock"
    backend = start.backend(answering())

    for _ in range(2):  # what a first run may leave behind does not hinder a second one
        proxy = start.proxy({"app": [backend.address]},
                            ports={f"unix:{path}": {"tls": False, "accept": {"unix_mode": "0600"}}})
        assert curl("--unix-socket", path, "http://shop.test/").stdout == b"hello\n"
        assert path.stat().st_mode & 0o777 == 0o600
        proxy.stop()


def test_ipv6_clients_and_servers(start, connect):
    backend = start.backend(answering(), host="::1")
    proxy = start.proxy({"app": [backend.address]}, ports={"[::1]:0": {"bundles": ["shop"]}})

    assert connect(proxy.https).get("/").body == b"hello\n"


def test_server_may_be_a_name(start, connect):
    backend = start.backend(answering())
    port = backend.address.split(":")[1]
    proxy = start.proxy({"app": [f"localhost:{port}"]})

    assert connect(proxy.https).get("/").body == b"hello\n"


def test_one_port_number_serves_both_families(start, connect):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    proxy = start.proxy(ports={str(port): {"bundles": ["shop"]}},
                        routes=[{"respond": {"text": "both\n"}}])

    assert proxy.address(str(port))[1] == port
    assert connect(("127.0.0.1", port)).get("/").body == b"both\n"
    assert connect(("::1", port)).get("/").body == b"both\n"


def test_keep_alive_serves_many_requests_on_one_connection(start, connect):
    backend = start.backend(each_request(echo))
    proxy = start.proxy({"app": [backend.address]}, threads={"net": 1, "ssl": 0})
    client = connect(proxy.https)

    numbers = {json.loads(client.get(f"/{i}").body)["connection"] for i in range(50)}

    metrics = proxy.metrics()
    assert numbers == {1}  # one connection to the backend too
    assert metrics["http_requests"] == metrics["http_responses_2xx"] == 50
    assert metrics["upstream_reused"] == 49
    assert metrics["tls_handshakes_full"] == 1


@pytest.mark.tsan
def test_many_clients_at_once(start, connect, in_background):
    backend = start.backend(answering(b"x" * 5000))
    proxy = start.proxy({"app": [backend.address]}, threads={"net": 3, "ssl": 2})

    def visit():
        client = connect(proxy.https)
        for i in range(20):
            assert client.get(f"/{i}").body == b"x" * 5000
    for thread in [in_background(visit) for _ in range(16)]:
        thread.join()

    assert proxy.metrics()["http_responses_2xx"] == 16 * 20


def test_both_ports_of_a_configuration_serve(start, connect):
    proxy = start.proxy(routes=[{"respond": {"text": "ok"}}])

    assert connect(proxy.address(TLS_PORT)).get("/").body == b"ok"
    assert connect(proxy.address(PLAIN_PORT), tls=False).get("/").body == b"ok"
