"""gRPC through the proxy, with gRPC's own client and server: all four shapes, both sides with TLS and
without."""
import threading
import time
from concurrent import futures

import grpc
import pytest
from helpers.env import patience
from helpers.proxy import wait_until

SERVICE = "test.Parrot"
FRONTS = ["tls", "plain"]
BACKS = ["h2", "h2c"]


class Parrot(grpc.GenericRpcHandler):
    """Messages are bytes as they are: no code was generated."""

    def __init__(self):
        self.cancelled = threading.Event()
        self.methods = {
            "Say": grpc.unary_unary_rpc_method_handler(self.say),
            "Repeat": grpc.unary_stream_rpc_method_handler(self.repeat),
            "Join": grpc.stream_unary_rpc_method_handler(self.join),
            "Echo": grpc.stream_stream_rpc_method_handler(self.echo),
            "Refuse": grpc.unary_unary_rpc_method_handler(self.refuse),
            "Endless": grpc.unary_stream_rpc_method_handler(self.endless),
        }

    def service(self, details):
        return self.methods.get(details.method.rpartition("/")[2])

    @staticmethod
    def say(request, context):
        asked = dict(context.invocation_metadata())
        context.send_initial_metadata([("x-first", asked.get("x-asked", "-"))])
        context.set_trailing_metadata([("x-last", "2"), ("x-last-bin", b"\x00\xff\r\n")])
        return request

    @staticmethod
    def repeat(request, _):
        for i in range(100):
            yield b"%d %s" % (i, request)

    @staticmethod
    def join(requests, _):
        return b",".join(requests)

    @staticmethod
    def echo(requests, _):
        yield from requests

    @staticmethod
    def refuse(_, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "nicht so, 100 % sicher")

    def endless(self, request, context):
        context.add_callback(self.cancelled.set)
        while context.is_active():
            yield request
            time.sleep(0.001)


class Calls:
    """Stubs without generated code."""

    def __init__(self, channel):
        self.say = channel.unary_unary(f"/{SERVICE}/Say")
        self.repeat = channel.unary_stream(f"/{SERVICE}/Repeat")
        self.join = channel.stream_unary(f"/{SERVICE}/Join")
        self.echo = channel.stream_stream(f"/{SERVICE}/Echo")
        self.refuse = channel.unary_unary(f"/{SERVICE}/Refuse")
        self.missing = channel.unary_unary(f"/{SERVICE}/Missing")
        self.endless = channel.unary_stream(f"/{SERVICE}/Endless")


@pytest.fixture(scope="module")
def parrot():
    return Parrot()


@pytest.fixture(scope="module")
def addresses(parrot, certs):
    """Of a real gRPC server, by protocol."""
    server = grpc.server(futures.ThreadPoolExecutor(32), [parrot],
                         options=[("grpc.so_reuseport", 0)])
    pair = certs.key("shop-ecdsa").read_bytes(), certs.chain("shop-ecdsa").read_bytes()
    ports = {"h2c": server.add_insecure_port("127.0.0.1:0"),
             "h2": server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))}
    server.start()
    yield {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    server.stop(1).wait()


@pytest.fixture(scope="module", params=BACKS)
def proxy(request, start_module, addresses, certs):
    backend = {"servers": [addresses[request.param]], "protocol": request.param}
    if request.param == "h2":
        backend["tls"] = {"ca_file": str(certs.ca), "server_name": "shop.test"}
    return start_module.proxy({"app": backend},
                              ports={"127.0.0.1:0": {"bundles": ["shop"]},
                                     "127.0.0.2:0": {"tls": False, "h2c": True}})


@pytest.fixture(params=FRONTS)
def calls(request, proxy, certs):
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    if request.param == "tls":
        credentials = grpc.ssl_channel_credentials(certs.ca.read_bytes())
        channel = grpc.secure_channel("%s:%d" % proxy.https, credentials,
                                      [*options, ("grpc.ssl_target_name_override", "shop.test")])
    else:
        channel = grpc.insecure_channel("%s:%d" % proxy.http, options)
    with channel:
        yield Calls(channel)


def test_unary(calls):
    answer, call = calls.say.with_call(b"hello", timeout=patience(10),
                                       metadata=[("x-asked", "1")])

    assert answer == b"hello"
    assert call.code() == grpc.StatusCode.OK
    assert dict(call.initial_metadata())["x-first"] == "1"
    last = dict(call.trailing_metadata())
    assert (last["x-last"], last["x-last-bin"]) == ("2", b"\x00\xff\r\n")


def test_unary_with_a_large_message(calls):
    message = bytes(range(256)) * 12000

    assert calls.say(message, timeout=patience(20)) == message


def test_a_stream_of_answers(calls):
    assert list(calls.repeat(b"x", timeout=patience(10))) == [b"%d x" % i for i in range(100)]


def test_a_stream_of_questions(calls):
    assert calls.join(iter([b"a", b"b", b"c"] * 100), timeout=patience(10)) == \
        b",".join([b"a", b"b", b"c"] * 100)


def test_a_conversation(calls):
    """Each answer comes before the next question."""
    answered = threading.Semaphore(1)

    def questions():
        for i in range(100):
            assert answered.acquire(timeout=patience(10))
            yield b"%d" % i
    answers = []
    for answer in calls.echo(questions(), timeout=patience(20)):
        answers.append(answer)
        answered.release()

    assert answers == [b"%d" % i for i in range(100)]


@pytest.mark.tsan
def test_many_at_once(calls):
    pending = [calls.say.future(b"%d" % i, timeout=patience(20)) for i in range(200)]

    assert [call.result() for call in pending] == [b"%d" % i for i in range(200)]


def test_an_error_arrives_with_its_words(calls):
    """Trailers without a body."""
    with pytest.raises(grpc.RpcError) as error:
        calls.refuse(b"", timeout=patience(10))

    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert error.value.details() == "nicht so, 100 % sicher"


def test_a_method_that_is_not_there(calls):
    with pytest.raises(grpc.RpcError) as error:
        calls.missing(b"", timeout=patience(10))

    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_client_that_hangs_up_is_gone_for_the_server_too(calls, parrot):
    parrot.cancelled.clear()
    answers = calls.endless(b"x")
    next(answers)

    answers.cancel()

    wait_until(parrot.cancelled.is_set, 10, "the server being told")
    assert calls.say(b"again", timeout=patience(10)) == b"again"


def test_a_deadline_ends_the_call_at_both_ends(calls, parrot):
    parrot.cancelled.clear()

    with pytest.raises(grpc.RpcError) as error:
        list(calls.endless(b"x", timeout=0.3))

    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(parrot.cancelled.is_set, 10, "the server being told")
