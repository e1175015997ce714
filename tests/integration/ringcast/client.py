"""A WebSocket client on a raw socket, which can also be rude."""
import base64
import hashlib
import itertools
import json
import os
import select
import socket
import struct
import time

from .frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, FrameReader, close_payload, encode_frame

PATIENCE = 15.0  # seconds to wait for an event that must come; sanitizer builds on busy machines are slow
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Closed(AssertionError):
    """The connection ended where something else was expected. code is None without a close frame."""

    def __init__(self, code, reason):
        super().__init__(f"closed: {code} {reason!r}")
        self.code, self.reason = code, reason


class HandshakeRefused(AssertionError):
    def __init__(self, status, headers, body):
        super().__init__(f"handshake answered {status}: {body!r}")
        self.status, self.headers, self.body = status, headers, body


def accept_value(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


class WsClient:
    """Connects, and shakes hands unless told otherwise.

    Messages of the server's heartbeat are counted in `heartbeats` and skipped by next_message() and what
    stands on it. `address` is a host and a port, or a unix socket's path; `preamble` goes before the request.
    """

    def __init__(self, address, path="/ws", *, headers=(), handshake=True, receive_buffer=None, first_bytes=b"",
                 source=None, preamble=b""):
        self.address = address
        if isinstance(address, str):
            family = socket.AF_UNIX
        else:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = FrameReader()
        self.ended = False  # the server's FIN or a reset came
        self.heartbeats = 0
        self._ids = itertools.count(1)
        if preamble:
            self.send_bytes(preamble)
        if handshake:
            self.handshake(path, headers, first_bytes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.abandon()

    # --- the handshake ---

    def request(self, path="/ws", headers=(), key=None):
        """The bytes of an upgrade request."""
        host, port = ("localhost", 80) if isinstance(self.address, str) else self.address
        lines = [f"GET {path} HTTP/1.1", f"Host: {f'[{host}]' if ':' in host else host}:{port}", "Upgrade: websocket",
                 "Connection: Upgrade", f"Sec-WebSocket-Key: {key or new_key()}", "Sec-WebSocket-Version: 13"]
        lines += [f"{name}: {value}" for name, value in headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def handshake(self, path="/ws", headers=(), first_bytes=b""):
        """Sends the request, with first_bytes in the same segment. Raises HandshakeRefused."""
        key = new_key()
        self.send_bytes(self.request(path, headers, key) + first_bytes)
        self.response_headers = self.read_101(key)

    def read_101(self, key):
        while b"\r\n\r\n" not in self.reader.buffer:
            if not self._receive(time.monotonic() + PATIENCE):
                raise Closed(None, f"in the handshake, after {bytes(self.reader.buffer)!r}")
        head, _, rest = bytes(self.reader.buffer).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if status != 101:
            raise HandshakeRefused(status, headers, rest)
        assert headers["upgrade"].lower() == "websocket"
        assert headers["connection"].lower() == "upgrade"
        assert headers["sec-websocket-accept"] == accept_value(key)
        assert "sec-websocket-extensions" not in headers
        self.reader.buffer[:] = rest
        return headers

    # --- sending ---

    def send_bytes(self, data, piece=None):
        """Sends everything, in pieces of that many bytes if told."""
        if piece is None:
            self.socket.sendall(data)
        else:
            for at in range(0, len(data), piece):
                self.socket.sendall(data[at:at + piece])

    def send_frame(self, opcode, payload=b"", **shape):
        self.send_bytes(encode_frame(opcode, payload, **shape))

    def send_text(self, text):
        self.send_frame(TEXT, text)

    def send_json(self, message):
        self.send_text(json.dumps(message))

    def send_fragments(self, opcode, payload, size):
        """One message in frames of that many bytes."""
        pieces = [payload[at:at + size] for at in range(0, len(payload), size)] or [b""]
        self.send_bytes(b"".join(
            encode_frame(opcode if n == 0 else CONTINUATION, piece, fin=n == len(pieces) - 1)
            for n, piece in enumerate(pieces)))

    # --- receiving ---

    def _receive(self, deadline):
        """Takes what the socket has. False at its end or at the deadline."""
        if self.ended:
            return False
        ready, _, _ = select.select([self.socket], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            self.ended = True
            return False
        self.reader.feed(data)
        return True

    def receive_frame(self, timeout=PATIENCE):
        """The next frame. None if the connection ended; TimeoutError."""
        deadline = time.monotonic() + timeout
        while (frame := self.reader.next()) is None:
            if not self._receive(deadline):
                if self.ended:
                    return None
                raise TimeoutError(f"no frame within {timeout} s; partial: {bytes(self.reader.buffer)!r}")
        return frame

    def pending_frames(self):
        """Frames that have arrived already."""
        while self._receive(0.0):
            pass
        return list(iter(self.reader.next, None))

    def next_text(self, timeout=PATIENCE):
        """The next message's bytes, heartbeats included. Raises Closed."""
        frame = self.receive_frame(timeout)
        if frame is None:
            raise Closed(None, "without a close frame")
        if frame.opcode == CLOSE:
            raise Closed(frame.close_code, frame.close_reason)
        assert frame.opcode == TEXT and frame.fin, frame
        return frame.payload

    def next_raw(self, timeout=PATIENCE):
        """The next message's bytes, heartbeats skipped."""
        deadline = time.monotonic() + timeout
        while True:
            text = self.next_text(max(0.0, deadline - time.monotonic()))
            if text != b'{"type":"ping"}':
                return text
            self.heartbeats += 1

    def next_message(self, timeout=PATIENCE):
        return json.loads(self.next_raw(timeout))

    def expect_json(self, expected, timeout=PATIENCE):
        message = self.next_message(timeout)
        assert message == expected, message
        return message

    def expect_error(self, code, id=None, timeout=PATIENCE):
        """An error of that code, with that id or without one. Returns its words."""
        message = self.next_message(timeout)
        assert set(message) == ({"type", "data"} if id is None else {"type", "id", "data"}), message
        assert message["type"] == "error" and message.get("id") == id, message
        assert set(message["data"]) == {"code", "message"}, message
        assert message["data"]["code"] == code, message
        assert isinstance(message["data"]["message"], str) and message["data"]["message"], message
        return message["data"]["message"]

    def expect_ack(self, id=None, timeout=PATIENCE):
        """An ack with that id or without one. Returns its data."""
        message = self.next_message(timeout)
        assert set(message) == ({"type", "data"} if id is None else {"type", "id", "data"}), message
        assert message["type"] == "ack" and message.get("id") == id, message
        assert isinstance(message["data"], dict), message
        return message["data"]

    def expect_frame(self, opcode, payload, timeout=PATIENCE):
        frame = self.receive_frame(timeout)
        if isinstance(payload, str):
            payload = payload.encode()
        assert frame is not None and (frame.opcode, frame.payload) == (opcode, payload), frame

    def expect_close(self, code, reason=None, timeout=PATIENCE):
        """A close frame of this code next (heartbeats aside), then, our answer given, the end of the stream, at
        which the socket is closed. reason None: any."""
        deadline = time.monotonic() + timeout
        while True:
            frame = self.receive_frame(max(0.0, deadline - time.monotonic()))
            if frame is None or frame.payload != b'{"type":"ping"}':
                break
        assert frame is not None, f"ended without a close frame, expected {code}"
        assert frame.opcode == CLOSE, frame
        assert frame.close_code == code, (frame.close_code, frame.close_reason)
        if reason is not None:
            assert frame.close_reason == reason, frame.close_reason
        try:
            self.send_frame(CLOSE, close_payload(code))
        except OSError:
            pass
        self.expect_end()
        self.socket.close()
        return frame.close_reason

    def expect_refusal(self, code, close_code, timeout=PATIENCE):
        """The error's text, then the close frame with the code as its reason. Returns the error's words."""
        words = self.expect_error(code, timeout=timeout)
        self.expect_close(close_code, code)
        return words

    def expect_end(self, timeout=PATIENCE):
        """The end of the stream, and no byte before it."""
        deadline = time.monotonic() + timeout
        while self._receive(deadline):
            pass
        assert self.ended, "the connection is still open"
        assert not self.reader.buffer, bytes(self.reader.buffer)

    def expect_nothing(self):
        """Nothing is on its way to this client: the answers to two questions come next. (Two, because a core
        reads its sockets before what other cores have sent it.) Counts as two messages."""
        for _ in range(2):
            self.round_trip()

    def round_trip(self):
        """One message that changes nothing and its ack, which must come next."""
        id = f"round-trip-{next(self._ids)}"
        self.send_json({"type": "unsubscribe", "id": id, "data": {"topics": []}})
        self.expect_ack(id)

    # --- what clients of the protocol do ---

    def subscribe(self, user=None, topics=None, **more):
        """Subscribes and waits for the ack, whose data it returns."""
        data = dict(more)
        if user is not None:
            data["userId"] = user
        if topics is not None:
            data["topics"] = list(topics)
        id = f"subscribe-{next(self._ids)}"
        self.send_json({"type": "subscribe", "id": id, "data": data})
        return self.expect_ack(id)

    def unsubscribe(self, topics=None, **more):
        data = dict(more)
        if topics is not None:
            data["topics"] = list(topics)
        id = f"unsubscribe-{next(self._ids)}"
        self.send_json({"type": "unsubscribe", "id": id, "data": data})
        return self.expect_ack(id)

    def mark_read(self, notification_id):
        id = f"mark-read-{next(self._ids)}"
        self.send_json({"type": "mark_read", "id": id, "data": {"notificationId": notification_id}})
        return self.expect_ack(id)

    # --- leaving ---

    def close(self, code=1000):
        """The closing handshake: what was under way is dropped, the server's answer and its FIN are awaited."""
        self.send_frame(CLOSE, close_payload(code))
        while (frame := self.receive_frame()) is not None and frame.opcode != CLOSE:
            pass
        assert frame is not None and frame.close_code == code, frame
        self.expect_end()
        self.socket.close()

    def abandon(self):
        self.socket.close()

    def reset(self):
        """Closes with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def new_key():
    return base64.b64encode(os.urandom(16)).decode()
