"""A server that takes everything and never answers, cheap enough for thousands of connections:

    python3 -m helpers.hang

prints its address and runs until it is ended.
"""
import selectors
import socket

if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    events = selectors.DefaultSelector()
    events.register(listener, selectors.EVENT_READ)
    print("%s:%d" % listener.getsockname(), flush=True)
    while True:
        for key, _ in events.select():
            try:
                if key.fileobj is listener:
                    events.register(listener.accept()[0], selectors.EVENT_READ)
                elif not key.fileobj.recv(262144):
                    raise ConnectionError
            except OSError:
                if key.fileobj is not listener:
                    events.unregister(key.fileobj)
                    key.fileobj.close()
