"""Every way to spread the work over threads serves the same."""
import pytest
from helpers.backend import answering
from helpers.env import scaled

ACCEPT = {
    "shared": {"mode": "per_thread"},
    "reuse_port": {"mode": "per_thread", "reuse_port": True},
    "dedicated": {"mode": "dedicated", "threads": 2},
    "single": {"mode": "single"},
}


@pytest.mark.tsan
@pytest.mark.parametrize("accept", ACCEPT)
@pytest.mark.parametrize("ssl_threads", [0, 1, 3])
def test_mode_serves(start, connect, in_background, accept, ssl_threads):
    options = {"accept": ACCEPT[accept]}
    proxy = start.proxy({"app": [start.backend(answering()).address]},
                        ports={"127.0.0.1:0": {"bundles": ["shop"], **options},
                               "127.0.0.2:0": {"tls": False, **options}},
                        threads={"net": 3, "ssl": ssl_threads})
    visits = scaled(20, 4)

    def visit():
        for _ in range(visits):
            with connect(proxy.https) as client:
                assert client.get("/").status == 200
                assert client.get("/").status == 200
            with connect(proxy.http, tls=False) as client:
                assert client.get("/").status == 200
    for thread in [in_background(visit) for _ in range(4)]:
        thread.join()

    metrics = proxy.metrics()
    assert metrics["http_responses_2xx"] == 4 * visits * 3
    assert metrics["tls_handshakes_full"] == 4 * visits
    assert metrics["tls_handshakes_failed"] == 0
    if ssl_threads:
        assert metrics["tls_migrations"] == 4 * visits
    proxy.stop()


@pytest.mark.parametrize("accept", ACCEPT)
def test_mode_ends_with_connections_open(start, connect, accept):
    proxy = start.proxy({"app": [start.backend(answering()).address]},
                        ports={"127.0.0.1:0": {"bundles": ["shop"], "accept": ACCEPT[accept]}},
                        threads={"net": 2, "ssl": 2})
    clients = [connect(proxy.https) for _ in range(8)]
    silent = [connect(proxy.https, tls=False) for _ in range(8)]
    for client in clients[:4]:
        assert client.get("/").status == 200

    proxy.stop()

    assert all(client.ended() for client in clients)
    for client in silent:
        client.cut()


@pytest.mark.parametrize("options", [
    {"tcp_nodelay": False}, {"recv_buffer_bytes": 8192, "send_buffer_bytes": 8192},
    {"tcp_keepalive_s": 60}, {"linger_s": 1}, {"fast_open": 16}, {"notsent_lowat_bytes": 16384},
    {"congestion": "cubic"}, {"tos": 16}, {"backlog": 1}, {"accepts_per_turn": 1},
    {"localhost_only": True}, {"backdoor": True}], ids=lambda o: "_".join(o))
def test_accept_option_serves(start, connect, options):
    proxy = start.proxy({"app": [start.backend(answering(b"x" * 200000)).address]},
                        ports={"127.0.0.1:0": {"bundles": ["shop"], "accept": options}})

    for _ in range(3):
        assert len(connect(proxy.https).get("/").body) == 200000


def test_deferred_accept_serves(start, connect):
    proxy = start.proxy({"app": [start.backend(answering()).address]},
                        ports={"127.0.0.1:0": {"bundles": ["shop"], "defer_accept": 5}})

    assert connect(proxy.https).get("/").status == 200


def test_inherited_descriptor_serves(start, connect, tmp_path):
    """Socket activation: the listener is open before the program starts."""
    import socket
    listener = socket.create_server(("127.0.0.1", 0))
    listener.set_inheritable(True)
    proxy = start.proxy({"app": [start.backend(answering()).address]},
                        ports={"127.0.0.1:0": {"bundles": ["shop"],
                                               "accept": {"fd": listener.fileno()}}},
                        inherited=[listener.fileno()])

    assert connect(listener.getsockname()).get("/").status == 200
    listener.close()
    assert proxy.running()
