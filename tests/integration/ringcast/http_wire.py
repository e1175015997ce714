"""HTTP/1.1 as bytes: a client that sends exactly what a test says and reads answers strictly."""

import json
import re
import socket

TIMEOUT_S = 15.0


class Answer:
    """One response. `body` is bytes; `headers` keeps order and spelling."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name):
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} stands {len(found)} times"
        return found[0] if found else None

    @property
    def json(self):
        assert self.header("content-type") == "application/json", self
        return json.loads(self.body)

    @property
    def error(self):
        """The refusal's code and words; its shape is checked here, once for all tests."""
        body = self.json
        assert set(body) == {"error"} and set(body["error"]) == {"code", "message"}, self
        assert body["error"]["code"] and body["error"]["message"], self
        return body["error"]

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


class Connection:
    """One TCP (or unix) connection to the API, and what of it has not been read yet."""

    def __init__(self, address, key=None, timeout=TIMEOUT_S):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.key = key
        self.unread = b""
        self.last = None  # answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Where the last answer said that the server closes, it goes first."""
        try:
            while self.last is not None and self.last.header("connection") == "close" and self._more():
                pass
        except OSError:
            pass  # closed already
        self.socket.close()

    def send(self, data):
        """Sends bytes as they are; a peer that has closed already shows in the answer, not here."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _more(self):
        try:
            piece = self.socket.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        self.unread += piece
        return bool(piece)

    def read_answer(self, head_only=False):
        """The next response; None if the peer closed before its first byte."""
        while b"\r\n\r\n" not in self.unread:
            if not self._more():
                assert not self.unread, f"closed inside a response head: {self.unread[:200]!r}"
                return None
        head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        status_line = re.fullmatch(r"HTTP/1\.1 ([1-5]\d\d) [ -~]+", lines[0])
        assert status_line, lines[0]
        headers = []
        for line in lines[1:]:
            field = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([!-~](?:[ -~]*[!-~])?)", line)
            assert field, line
            headers.append((field[1], field[2]))
        answer = self.last = Answer(int(status_line[1]), headers, b"")
        if answer.status < 200 or answer.status == 204:
            assert answer.header("content-length") is None, answer
            return answer
        length = int(answer.header("content-length"))
        if head_only:
            return answer
        while len(self.unread) < length:
            assert self._more(), f"closed after {len(self.unread)} of {length} body bytes"
        answer.body, self.unread = self.unread[:length], self.unread[length:]
        return answer

    def at_end(self):
        """True if the peer closes without another byte. Waits for it."""
        return not self.unread and not self._more()

    def request(self, method, target, body=None, headers=(), key=True):
        """Sends a plain request; `key` is True for the server's, None for none, or another one."""
        self.send(build(method, target, body, headers, self.key if key is True else key))
        return self.read_answer(head_only=method == "HEAD")

    def publish(self, message, headers=(), content_type="application/json"):
        """`message`: bytes as they are, or something to encode."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        fields = list(headers)
        if content_type:
            fields.append(("Content-Type", content_type))
        return self.request("POST", "/api/publish", body, fields)

    def publish_lines(self, lines, headers=()):
        """NDJSON of bytes, or things to encode."""
        encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        return self.publish(b"\n".join(encoded), headers, "application/x-ndjson")


def build(method, target, body=None, headers=(), key=None):
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")
