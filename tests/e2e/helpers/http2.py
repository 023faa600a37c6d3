"""HTTP/2 frame by frame, for either side: writes any bytes, reads strictly (RFC 9113), and what it
calls a message is a whole one. Only HPACK is somebody else's."""
import re
import struct
import threading

from hpack import Decoder, Encoder

from .env import patience
from .http1 import Incomplete
from .wire import Wire

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
PRIORITY_UPDATE = 0x10
ACK = END_STREAM = 0x01
END_HEADERS = 0x04
PADDED = 0x08
WITH_PRIORITY = 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW, MAX_FRAME, MAX_HEADER_LIST = range(1, 7)
ENABLE_CONNECT = 8
NO_RFC7540_PRIORITIES = 9
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, \
    FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM, \
    INADEQUATE_SECURITY, HTTP_1_1_REQUIRED = range(14)
DEFAULT_WINDOW = 65535
LARGEST_WINDOW = (1 << 31) - 1
CONNECTION_FIELDS = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings_frame(values: dict) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in values.items()))


def window_frame(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def reset_frame(stream: int, code: int = CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


class StreamReset(Exception):
    """The peer reset the stream; `stream` has what came before."""

    def __init__(self, stream):
        super().__init__(f"stream {stream.id} was reset with {stream.reset}")
        self.stream = stream


class GoneAway(Exception):
    """The peer's stream of bytes ended; `goaway` is what it said, or None."""

    def __init__(self, goaway):
        super().__init__(f"the connection ended: GOAWAY {goaway}")
        self.goaway = goaway


class Goaway:
    def __init__(self, payload: bytes):
        self.last_stream, self.code = struct.unpack_from(">II", payload)
        self.debug = payload[8:].decode("latin-1")

    def __repr__(self):
        return f"last_stream={self.last_stream} code={self.code} debug={self.debug!r}"


class Head:
    """A block of fields with its pseudo-fields apart."""

    def __init__(self, block: list):
        self.pseudo = {n: v for n, v in block if n.startswith(":")}
        self.fields = [(n, v) for n, v in block if not n.startswith(":")]
        names = [n for n, _ in block]
        assert len(self.pseudo) == len(names) - len(self.fields), f"pseudo-field twice: {block}"
        assert names[:len(self.pseudo)] == list(self.pseudo), f"pseudo-fields not first: {block}"
        for name, value in self.fields:
            assert re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9a-z]+", name), name
            assert name not in CONNECTION_FIELDS, name
            assert name != "te" or value == "trailers", value
            assert value == value.strip(" \t") and not re.search("[\0\r\n]", value), (name, value)

    @property
    def status(self) -> int:
        return int(self.pseudo[":status"])

    def all(self, name: str) -> list:
        return [v for n, v in self.fields if n == name.lower()]

    def get(self, name: str):
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None


class Stream:
    """What has arrived on it, and how much may be sent and received."""

    def __init__(self, peer, number: int):
        self.id = number
        self.interim = []     # heads with 1xx
        self.head = None      # the request's, or the final response's
        self.body = bytearray()
        self.trailers = []
        self.ended = False    # by the peer
        self.reset = None     # the peer's code
        self.sent_end = False
        self.data_frames = 0
        self.send_window = peer.their(INITIAL_WINDOW)
        self.receive_window = peer.settings.get(INITIAL_WINDOW, DEFAULT_WINDOW)
        self.method = None    # of the request that we sent

    # As in http1.Response, so that a test reads either.
    @property
    def status(self) -> int:
        return int(self.head.pseudo[":status"])

    @property
    def fields(self) -> list:
        return self.head.fields

    def all(self, name: str) -> list:
        return self.head.all(name)

    def get(self, name: str):
        return self.head.get(name)

    def over(self) -> bool:
        return self.ended or self.reset is not None


class Peer:
    """One end of a connection. Without read_in_background() whoever waits reads. `auto_window`: what
    arrives is given back to the windows at once."""

    first_stream = 1

    def __init__(self, wire: Wire, settings: dict = None, auto_window: bool = True,
                 connection_window: int = DEFAULT_WINDOW):
        self.wire = wire
        self.settings = settings or {}
        self.auto_window = auto_window
        self.streams = {}
        self.goaway = None
        self.ended = False
        self.error = None  # of the reading thread
        self.pings = []    # payloads of ACKs
        self.settings_acked = 0
        self.frames_read = 0
        self.next_stream = self.first_stream
        self._their = {}
        self._their_settings_seen = False
        self._send_window = DEFAULT_WINDOW
        self._receive_window = connection_window
        self._input = b""
        self._encoder, self._decoder = Encoder(), Decoder()
        self._decoder.max_header_list_size = 1 << 24
        self._changed = threading.Condition(threading.RLock())
        self._encoding = threading.RLock()
        self._reader = None
        first = settings_frame(self.settings)
        if connection_window > DEFAULT_WINDOW:
            first += window_frame(0, connection_window - DEFAULT_WINDOW)
        self.send(self.preface() + first)

    def preface(self) -> bytes:
        return b""

    def their(self, setting: int) -> int:
        return self._their.get(setting, {INITIAL_WINDOW: DEFAULT_WINDOW, MAX_FRAME: 16384,
                                         MAX_STREAMS: 1 << 31}.get(setting, 0))

    # ---- Writing ----

    def send(self, data: bytes):
        self.wire.send(data)

    def block(self, fields: list) -> bytes:
        return self._encoder.encode([(n, v) for n, v in fields])

    def send_fields(self, stream: Stream, fields: list, end: bool = False):
        """HEADERS, in several frames if need be."""
        with self._encoding:  # blocks have to arrive in the order in which they were encoded
            block, most = self.block(fields), self.their(MAX_FRAME)
            pieces = [block[i:i + most] for i in range(0, len(block), most)] or [b""]
            out = b""
            for i, piece in enumerate(pieces):
                flags = END_HEADERS if i == len(pieces) - 1 else 0
                flags |= END_STREAM if end and i == 0 else 0
                out += frame(CONTINUATION if i else HEADERS, flags, stream.id, piece)
            stream.sent_end = stream.sent_end or end
            self.send(out)

    def send_data(self, stream: Stream, data: bytes, end: bool = False):
        """Waits for windows; StreamReset when the peer wants no more."""
        view = memoryview(data)
        while view:
            self.wait(lambda: stream.reset is not None or min(stream.send_window,
                                                              self._send_window) > 0, "a window")
            if stream.reset is not None:
                raise StreamReset(stream)
            n = min(len(view), stream.send_window, self._send_window, self.their(MAX_FRAME))
            with self._changed:
                stream.send_window -= n
                self._send_window -= n
            last = end and n == len(view)
            self.send(frame(DATA, END_STREAM if last else 0, stream.id, bytes(view[:n])))
            view = view[n:]
        if end and not data:
            self.send(frame(DATA, END_STREAM, stream.id))
        stream.sent_end = stream.sent_end or end

    def reset(self, stream: Stream, code: int = CANCEL):
        self.send(reset_frame(stream.id, code))

    def give_window(self, stream: Stream, n: int):
        """Of the stream and the connection."""
        with self._changed:
            stream.receive_window += n
            self._receive_window += n
        self.send(window_frame(stream.id, n) + window_frame(0, n))

    def _reply(self, data: bytes):
        """What the protocol wants. A peer that has ended its reading may still have things to say."""
        try:
            self.send(data)
        except OSError:
            pass

    # ---- Reading ----

    def _read_exactly(self, n: int):
        """None: the end of the stream, between two frames."""
        while len(self._input) < n:
            data = self.wire.recv(262144)
            if not data:
                if self._input:
                    raise Incomplete(None)
                return None
            self._input += data
        taken, self._input = self._input[:n], self._input[n:]
        return taken

    def read_frame(self):
        """(kind, flags, stream, payload), or None at the end. HEADERS come with their whole
        block."""
        head = self._read_exactly(9)
        if head is None:
            return None
        length = int.from_bytes(head[:3], "big")
        kind, flags, number = struct.unpack(">BBI", head[3:])
        assert length <= self.settings.get(MAX_FRAME, 16384), f"frame of {length} bytes"
        payload = self._read_exactly(length) if length else b""
        if payload is None:
            raise Incomplete(None)
        self.frames_read += 1
        if kind == HEADERS and not flags & END_HEADERS:
            more = self.read_frame()
            assert more and more[0] == CONTINUATION and more[2] == number, more
            return kind, flags | END_HEADERS, number, payload + more[3]
        if kind == CONTINUATION and not flags & END_HEADERS:
            more = self.read_frame()
            assert more and more[0] == CONTINUATION and more[2] == number, more
            return kind, flags | END_HEADERS, number, payload + more[3]
        return kind, flags, number, payload

    def step(self) -> bool:
        """Reads one frame and acts on it. False: the end."""
        got = self.read_frame()
        with self._changed:
            if got is None:
                self.ended = True
            else:
                self._on_frame(*got)
            self._changed.notify_all()
        return got is not None

    def _on_frame(self, kind: int, flags: int, number: int, payload: bytes):
        if not self._their_settings_seen:
            assert kind == SETTINGS and not flags & ACK, "SETTINGS have to come first"
        if kind == SETTINGS:
            self._on_settings(flags, payload)
        elif kind == PING:
            if flags & ACK:
                self.pings.append(payload)
            else:
                self._reply(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self.goaway = Goaway(payload)
        elif kind == WINDOW_UPDATE:
            self._on_window_update(number, *struct.unpack(">I", payload))
        elif kind == HEADERS:
            self._on_headers(number, flags, payload)
        elif kind == DATA:
            self._on_data(number, flags, payload)
        elif kind == RST_STREAM:
            self._known(number).reset, = struct.unpack(">I", payload)
        else:
            assert kind in (PRIORITY, PRIORITY_UPDATE), f"frame type {kind}"

    def _known(self, number: int) -> Stream:
        assert number in self.streams, f"nobody knows stream {number}"
        return self.streams[number]

    def _on_settings(self, flags: int, payload: bytes):
        if flags & ACK:
            self.settings_acked += 1
            return
        self._their_settings_seen = True
        before = self.their(INITIAL_WINDOW)
        self._their.update(struct.unpack_from(">HI", payload, i) for i in range(0, len(payload), 6))
        for stream in self.streams.values():
            stream.send_window += self.their(INITIAL_WINDOW) - before
        self._reply(frame(SETTINGS, ACK))

    def _on_window_update(self, number: int, increment: int):
        assert increment > 0
        if number == 0:
            self._send_window += increment
            assert self._send_window <= LARGEST_WINDOW
        else:
            self._known(number).send_window += increment

    def _on_data(self, number: int, flags: int, payload: bytes):
        stream = self._known(number)
        assert stream.head and not stream.over(), f"DATA on stream {number} out of place"
        self._receive_window -= len(payload)
        stream.receive_window -= len(payload)
        assert min(self._receive_window, stream.receive_window) >= 0, "more than the window"
        if flags & PADDED:
            payload = payload[1:len(payload) - payload[0]]
        stream.body += payload
        stream.data_frames += 1
        stream.ended = bool(flags & END_STREAM)
        if stream.ended:
            self._check_length(stream)
        if self.auto_window and payload:
            stream.receive_window += len(payload)
            self._receive_window += len(payload)
            self._reply(window_frame(number, len(payload)) + window_frame(0, len(payload)))

    def _on_headers(self, number: int, flags: int, payload: bytes):
        if flags & PADDED:
            payload = payload[1:len(payload) - payload[0]]
        if flags & WITH_PRIORITY:
            payload = payload[5:]
        head = Head([(str(n), str(v)) for n, v in
                     self._decoder.decode(payload)])
        stream = self._stream_of_headers(number)
        assert not stream.over(), f"HEADERS on stream {number}, which is over"
        if stream.head:
            assert flags & END_STREAM and not head.pseudo, "trailers"
            stream.trailers = head.fields
        elif head.pseudo.get(":status", "200").startswith("1"):
            assert not flags & END_STREAM, "a 1xx that ends the stream"
            stream.interim.append(head)
        else:
            stream.head = head
        stream.ended = bool(flags & END_STREAM)
        if stream.ended:
            self._check_length(stream)
        self._on_head(stream, head)

    def _stream_of_headers(self, number: int) -> Stream:
        return self._known(number)

    def _on_head(self, stream: Stream, head: Head):
        """For a server."""

    @staticmethod
    def _check_length(stream: Stream):
        length = stream.head.get("content-length")
        bodyless = stream.method == "HEAD" or stream.head.pseudo.get(":status") in ("204", "304")
        if length is not None and not bodyless:
            assert int(length) == len(stream.body), f"{length} promised, {len(stream.body)} came"

    # ---- Waiting ----

    def read_in_background(self):
        def read():
            try:
                while self.step():
                    pass
            except BaseException as error:  # pylint: disable=broad-except
                with self._changed:
                    self.error = error
                    self.ended = True
                    self._changed.notify_all()
        self._reader = threading.Thread(target=read, daemon=True)
        self._reader.start()

    def wait(self, condition, what="it", seconds: float = 20):
        """Until the condition holds; GoneAway when the connection ends first."""
        if self._reader:
            with self._changed:
                there = self._changed.wait_for(lambda: self.ended or condition(), patience(seconds))
                assert there, f"{what} did not happen"
                if not condition():
                    raise self.error or GoneAway(self.goaway)
            return
        while not condition():
            if self.ended or not self.step():
                raise GoneAway(self.goaway)

    def wait_over(self, stream: Stream, seconds: float = 20) -> Stream:
        """Until the peer has ended the stream; StreamReset if not in good order."""
        self.wait(stream.over, f"the end of stream {stream.id}", seconds)
        if stream.reset is not None and not stream.ended:
            raise StreamReset(stream)
        return stream

    def wait_end(self, seconds: float = 20):
        """Until the peer closes the connection. Returns its GOAWAY, or None."""
        try:
            self.wait(lambda: False, "the end of the connection", seconds)
        except GoneAway:
            pass
        return self.goaway

    def ping(self, seconds: float = 20):
        """There and back: the peer has read everything before."""
        payload = struct.pack(">Q", len(self.pings) + 1)
        self.send(frame(PING, 0, 0, payload))
        self.wait(lambda: payload in self.pings, "a PING's answer", seconds)

    def close(self):
        self.wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Http2Client(Peer):
    """`context`: TLS, with "h2" agreed by ALPN; None: plain, by prior knowledge."""

    def __init__(self, address: tuple, context=None, server_name: str = "shop.test",
                 seconds: float = 20, receive_buffer: int = 0, **options):
        wire = Wire.connect(address, context, server_name, seconds, receive_buffer)
        assert not context or wire.alpn == "h2", f"ALPN: {wire.alpn}"
        self.host = server_name or "shop.test"
        self.scheme = "https" if context else "http"
        super().__init__(wire, {ENABLE_PUSH: 0, **options.pop("settings", {})}, **options)

    def preface(self) -> bytes:
        return PREFACE

    def open(self) -> Stream:
        """The next stream, with nothing sent on it."""
        stream = Stream(self, self.next_stream)
        self.next_stream += 2
        self.streams[stream.id] = stream
        return stream

    def head(self, method="GET", target="/", fields=(), authority=None, pseudo=()) -> list:
        """The list of fields; `pseudo` adds to the pseudo-fields."""
        return [(":method", method), (":scheme", self.scheme),
                (":authority", authority or self.host), (":path", target), *pseudo,
                *((name.lower(), value) for name, value in fields)]

    def request(self, method="GET", target="/", fields=(), body: bytes = b"", end: bool = True,
                authority=None, pseudo=(), trailers=()) -> Stream:
        """Sends it. `end` False: more of the body follows (send_data)."""
        stream = self.open()
        stream.method = method
        whole = end and not body and not trailers
        self.send_fields(stream, self.head(method, target, fields, authority, pseudo), whole)
        if body:
            self.send_data(stream, body, end and not trailers)
        if trailers:
            self.send_fields(stream, list(trailers), True)
        return stream

    def get(self, target="/", fields=(), method="GET", body: bytes = b"", **rest) -> Stream:
        """Sends a request and reads its response, whole."""
        return self.wait_over(self.request(method, target, fields, body, **rest))
