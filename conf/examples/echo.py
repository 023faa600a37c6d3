#!/usr/bin/python3
"""Servers that say everything again, and their clients, to try protocols.json with:

    conf/examples/echo.py serve                                           until Ctrl-C
    conf/examples/echo.py websocket wss://localhost:8443/chat WORD...
    conf/examples/echo.py grpc localhost:8443 WORD...

Needs python3-websockets and python3-grpcio. The clients trust certs/ca.crt.
"""
import asyncio
import ssl
import sys
from concurrent import futures
from pathlib import Path

WEBSOCKET_PORT, GRPC_PORT = 9002, 9003
CA = Path(__file__).resolve().parents[2] / "certs/ca.crt"
METHOD = "/example.Echo/Echo"  # a stream of bytes in each direction


async def serve_websocket():
    import websockets

    async def echo(socket):
        async for message in socket:
            await socket.send(message)
    async with websockets.serve(echo, "127.0.0.1", WEBSOCKET_PORT):
        print(f"WebSocket on port {WEBSOCKET_PORT}, gRPC on port {GRPC_PORT}", flush=True)
        await asyncio.Future()


def serve():
    import grpc

    class Echo(grpc.GenericRpcHandler):
        def service(self, details):
            if details.method != METHOD:
                return None
            return grpc.stream_stream_rpc_method_handler(lambda requests, _: requests)
    server = grpc.server(futures.ThreadPoolExecutor(), [Echo()])
    server.add_insecure_port(f"127.0.0.1:{GRPC_PORT}")
    server.start()
    asyncio.run(serve_websocket())


async def ask_websocket(url, words):
    import websockets
    trust = ssl.create_default_context(cafile=CA) if url.startswith("wss:") else None
    async with websockets.connect(url, ssl=trust) as socket:
        for word in words:
            await socket.send(word)
            print(await socket.recv())


def ask_grpc(address, words):
    import grpc
    trust = grpc.ssl_channel_credentials(CA.read_bytes())
    with grpc.secure_channel(address, trust) as channel:
        answers = channel.stream_stream(METHOD)(iter([word.encode() for word in words]))
        for answer in answers:
            print(answer.decode())
        print(f"grpc-status {answers.code().value[0]}")


def main(arguments):
    if arguments == ["serve"]:
        serve()
    elif arguments[:1] == ["websocket"] and len(arguments) > 2:
        asyncio.run(ask_websocket(arguments[1], arguments[2:]))
    elif arguments[:1] == ["grpc"] and len(arguments) > 2:
        ask_grpc(arguments[1], arguments[2:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        pass
