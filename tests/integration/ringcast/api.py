"""The backend's side: the HTTP API, and HTTP byte by byte."""
import http.client
import json
import select
import socket
import time
from urllib.parse import quote

from .client import PATIENCE


class Response:
    """status, headers (lower-case names, the last of each), body; json() parses the body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def error(self):
        """The code of an API error, its shape checked."""
        content = self.json()
        assert set(content) == {"error"} and set(content["error"]) == {"code", "message"}, content
        assert isinstance(content["error"]["message"], str) and content["error"]["message"]
        return content["error"]["code"]

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


class Api:
    """Requests on one kept connection, opened anew where the server has closed it. Not for several threads."""

    def __init__(self, address, key, patience=PATIENCE):
        self.address, self.key, self.patience = address, key, patience
        self._connection = None

    def request(self, method, path, body=None, *, headers=None, key=..., content_type="application/json"):
        """body: bytes, str, or what json.dumps() takes. key: None sends none."""
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        send = dict(headers or {})
        key = self.key if key is ... else key
        if key is not None:
            send["Authorization"] = f"Bearer {key}"
        if body is not None and content_type is not None:
            send["Content-Type"] = content_type
        if self._connection is not None and select.select([self._connection.sock], [], [], 0)[0]:
            self.close()  # it ended while it was idle
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self.address, timeout=self.patience)
        try:
            self._connection.request(method, path, body, send)
            answer = self._connection.getresponse()
            content = answer.read()
        except BaseException:
            self.close()
            raise
        if answer.will_close:
            self.close()
        return Response(answer.status, {n.lower(): v for n, v in answer.getheaders()}, content)

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body, **more)

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- what a backend does; each asserts success ---

    def publish(self, message, *, idempotency_key=None):
        """message: the whole of it, a dict or its JSON text. Returns the answer's object."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        answer = self.post("/api/publish", message, headers=headers)
        assert answer.status == 200, answer
        return answer.json()

    def notify(self, user, title="hello", **more):
        """One notification to one user. more: beside type, userId and data (`topic`). Returns the answer."""
        return self.publish({"type": "notification", "userId": user, "data": {"title": title}, **more})

    def to_user(self, user, data, type="custom", **more):
        return self.publish({"type": type, "userId": user, "data": data, **more})

    def to_topic(self, topic, data, type="custom", **more):
        return self.publish({"type": type, "topic": topic, "data": data, **more})

    def publish_lines(self, messages):
        """NDJSON; every line must be accepted."""
        body = "".join(json.dumps(m) + "\n" for m in messages)
        answer = self.post("/api/publish", body, content_type="application/x-ndjson")
        assert answer.status == 200, answer
        assert answer.json() == {"accepted": len(messages), "rejected": []}, answer

    def user(self, user):
        answer = self.get(f"/api/users/{quote(str(user), safe='')}")
        assert answer.status == 200, answer
        return answer.json()

    def notifications(self, user, query=""):
        answer = self.get(f"/api/users/{quote(str(user), safe='')}/notifications{query}")
        assert answer.status == 200, answer
        return answer.json()

    def mark_read(self, user, notification_id):
        path = f"/api/users/{quote(str(user), safe='')}/notifications/{quote(notification_id, safe='')}/read"
        return self.post(path)

    def mark_all_read(self, user):
        return self.post(f"/api/users/{quote(str(user), safe='')}/notifications/read-all")

    def disconnect(self, user, reason=None):
        body = None if reason is None else {"reason": reason}
        answer = self.post(f"/api/users/{quote(str(user), safe='')}/disconnect", body)
        assert answer.status == 200, answer
        return answer.json()["closed"]


class RawHttp:
    """Bytes to and from a listener."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data, piece=None):
        """Everything, in pieces of that many bytes if told. The server may have closed already."""
        try:
            if piece is None:
                self.socket.sendall(data)
            else:
                for at in range(0, len(data), piece):
                    self.socket.sendall(data[at:at + piece])
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def send_fin(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def _receive(self, deadline):
        ready, _, _ = select.select([self.socket], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(f"nothing more after {bytes(self.buffer)!r}")
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        self.ended = not data
        self.buffer += data

    def read_response(self, *, head_only=False, timeout=PATIENCE):
        """The next response, 100 Continue included. None if the stream ends instead."""
        deadline = time.monotonic() + timeout
        while b"\r\n\r\n" not in self.buffer and not self.ended:
            self._receive(deadline)
        if b"\r\n\r\n" not in self.buffer:
            assert not self.buffer, bytes(self.buffer)
            return None
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        assert lines[0].startswith("HTTP/1.1 "), lines[0]
        status = int(lines[0].split(" ")[1])
        length = 0 if head_only or status in (100, 101, 204) else int(headers["content-length"])
        self.buffer[:] = rest
        while len(self.buffer) < length:
            assert not self.ended, f"the body ends early: {bytes(self.buffer)!r}"
            self._receive(deadline)
        body = bytes(self.buffer[:length])
        del self.buffer[:length]
        return Response(status, headers, body)

    def read_to_end(self, timeout=PATIENCE):
        """All bytes up to the end of the stream."""
        deadline = time.monotonic() + timeout
        while not self.ended:
            self._receive(deadline)
        return bytes(self.buffer)

    def expect_end(self, timeout=PATIENCE):
        assert self.read_to_end(timeout) == b""
