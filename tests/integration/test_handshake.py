"""The client listener's HTTP: contract.md 2, RFC 6455 section 4."""
import socket
import time

import pytest

from ringcast import TEXT, RawHttp, Server, WsClient, encode_frame, together, unique, until
from ringcast.client import accept_value, new_key

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = [("Host", "localhost:5000"), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
           ("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Version", "13")]


def head(target="/ws", *more, method="GET", version="HTTP/1.1", without=(), instead=None, raw=b""):
    """An upgrade request: fields left out, replaced (None: left out), added; raw bytes before its last line."""
    instead = instead or {}
    lines = []
    for name, value in UPGRADE:
        if name in without:
            continue
        lines.append(f"{name}: {instead.get(name, value)}")
    lines += [f"{name}: {value}" for name, value in more]
    text = f"{method} {target} {version}\r\n" + "".join(line + "\r\n" for line in lines)
    return text.encode("latin-1") + raw + b"\r\n"


def answer(server, data, piece=None):
    with RawHttp(server.address) as http:
        return http.send(data, piece).read_response()


def status(server, data, piece=None):
    response = answer(server, data, piece)
    return response and response.status


def refused_and_closed(server, data, statuses=(400,)):
    """One answer of those statuses, then the end; what came after the head was no request."""
    with RawHttp(server.address) as http:
        http.send(data)
        response = http.read_response(timeout=5)
        assert response.status in statuses, response
        assert response.headers.get("connection", "").lower() == "close"
        http.expect_end(timeout=5)


@pytest.mark.smoke
def test_accepts_the_sample_of_the_rfc(server):
    response = answer(server, head())
    assert response.status == 101
    assert response.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert response.headers["upgrade"].lower() == "websocket"
    assert response.headers["connection"].lower() == "upgrade"


@pytest.mark.smoke
def test_accepts_random_keys(either):
    for _ in range(200):
        key = new_key()
        response = answer(either, head(instead={"Sec-WebSocket-Key": key}))
        assert (response.status, response.headers["sec-websocket-accept"]) == (101, accept_value(key))


@pytest.mark.parametrize("request_", [
    head(instead={"Connection": "keep-alive, uPgRaDe"}),
    head(instead={"Connection": "keep-alive,Upgrade"}),
    head(instead={"Upgrade": "WebSocket"}),
    head().replace(b"Sec-WebSocket-Key", b"sec-websocket-key").replace(b"Upgrade: ", b"upgrade: "),
    head(without=("Connection",), raw=b"Connection: keep-alive\r\nConnection: upgrade\r\n"),
    head("/ws?from=here"),
    head("/ws?"),
    head("http://localhost:5000/ws"),
    head(instead={"Host": "[::1]:5000"}),
    head("/ws", ("Content-Length", "0")),
    head("/ws", ("X-Text", "obs \xe9 text")),
    head().replace(b"Version: 13", b"Version:\t 13 \t"),
    head("/ws", *[(f"X-{n}", "x") for n in range(50)]),
])
def test_accepts(server, request_):
    assert status(server, request_) == 101


@pytest.mark.parametrize("request_", [
    head(without=("Host",)),
    head("/ws", ("Host", "localhost:5000")),
    head(instead={"Host": "local host"}),
    head(instead={"Host": "user@localhost"}),
    head(raw=b"X-A: one\r\n two\r\n"),
    head(raw=b"\tX-A: one\r\n"),
    head().replace(b"\r\nHost", b"\r\n Host"),
    head(raw=b"X-A : one\r\n"),
    head(raw=b": one\r\n"),
    head(raw=b"X-A\r\n"),
    head(raw=b"X-A: one\rtwo\r\n"),
    head(raw=b"X-A: one\nX-B: two\r\n"),
    head().replace(b"\r\n", b"\n"),
    head("/ws two"),
    head(" /ws"),
    head("ws"),
    head("/ws#fragment"),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    b"\x00" * 64,
])
def test_refuses_what_is_malformed_and_closes(server, request_):
    refused_and_closed(server, request_)


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/11", "http/1.1", ""])
def test_refuses_other_versions_of_http(server, version):
    refused_and_closed(server, head(version=version), (400, 426, 505) if version == "HTTP/1.0" else (400, 505))


def test_refuses_http_2_prior_knowledge(server):
    refused_and_closed(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 405, 501, 505))


TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_knows_every_byte_that_a_name_may_hold(server):
    for byte in range(256):
        expected = 101 if byte in TOKEN else 101 if byte == ord(":") else 400
        assert status(server, head(raw=b"X" + bytes([byte]) + b"Y: one\r\n")) == expected, byte


def test_knows_every_byte_that_a_value_may_hold(server):
    for byte in range(256):
        expected = 101 if byte == 9 or byte >= 32 and byte != 127 else 400
        assert status(server, head(raw=b"X-A: one" + bytes([byte]) + b"two\r\n")) == expected, byte


def test_knows_every_byte_that_a_target_may_hold(server):
    sure = set(b"-._~!$&'()*+,;=:@/?0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    arguable = set(b'%"<>[\\]^`{|}')
    for byte in range(256):
        request = b"GET /ws?a=" + bytes([byte]) + b"41 HTTP/1.1\r\n" + head().partition(b"\r\n")[2]
        expected = (101,) if byte in sure else (101, 400) if byte in arguable else (400,)
        assert status(server, request) in expected, byte


@pytest.mark.parametrize("key", [None, "", "AAECAwQFBgcICQoLDA0O", "AAECAwQFBgcICQoLDA0ODxA=", "!!!!!!!!!!!!!!!!!!!!!!==",
                                 "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ===",
                                 "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==", "dGhl IHNhbXBsZSBub25jZQ==",
                                 "dGhlIHNhbXBsZSBub25jZ-==", "=" * 24])
def test_refuses_a_bad_key(server, key):
    without = ("Sec-WebSocket-Key",) if key is None else ()
    assert status(server, head(without=without, instead={"Sec-WebSocket-Key": key})) == 400


def test_refuses_two_keys(server):
    assert status(server, head("/ws", ("Sec-WebSocket-Key", KEY))) == 400


@pytest.mark.parametrize("connection", ["close", "notupgrade", "upgraded", "keep-alive", "up grade", '"upgrade"'])
def test_refuses_an_upgrade_that_connection_does_not_name(server, connection):
    assert status(server, head(instead={"Connection": connection})) == 400


@pytest.mark.parametrize("version", [None, "", "8", "12", "14", "13, 8", "13x", "013", "+13", "1 3"])
def test_answers_another_version_with_the_right_one(server, version):
    without = ("Sec-WebSocket-Version",) if version is None else ()
    response = answer(server, head(without=without, instead={"Sec-WebSocket-Version": version}))
    assert (response.status, response.headers.get("sec-websocket-version")) == (426, "13")


def test_answers_two_versions_with_the_right_one(server):
    response = answer(server, head("/ws", ("Sec-WebSocket-Version", "13")))
    assert (response.status, response.headers.get("sec-websocket-version")) == (426, "13")


@pytest.mark.parametrize("request_", [
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n",
    head(without=("Upgrade",)),
    head(instead={"Upgrade": "h2c"}),
    head(instead={"Upgrade": "websockets"}),
])
def test_asks_for_an_upgrade(server, request_):
    response = answer(server, request_)
    assert response.status == 426
    assert response.headers["upgrade"].lower() == "websocket"
    assert response.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"])
def test_refuses_another_method(server, method):
    with RawHttp(server.address) as http:
        response = http.send(head(method=method)).read_response(head_only=method == "HEAD")
    assert response.status == 405
    assert "GET" in response.headers["allow"]


@pytest.mark.parametrize("method", ["FOO", "get", "GETT"])
def test_refuses_an_unknown_method(server, method):
    assert status(server, head(method=method)) in (405, 501)


@pytest.mark.parametrize("target", ["/", "/ws/", "//ws", "/./ws", "/x/../ws", "/%77s", "/ws%00", "/ws;a", "/WS", "/wss",
                                    "/w", "/healthz/", "/api/publish", "/api/stats", "/metrics", "/readyz",
                                    "http://localhost:5000/other"])
def test_knows_its_paths_byte_by_byte(server, target):
    assert status(server, head(target)) in ((400, 404) if "%00" in target else (404,))


@pytest.mark.parametrize("target", ["*", "localhost:5000", "http://", "://ws", "\\ws"])
def test_refuses_other_forms_of_target(server, target):
    assert status(server, head(target)) in (400, 404)


@pytest.mark.parametrize("more", [
    ("Content-Length", "5"), ("Content-Length", "+0"), ("Content-Length", "0x0"), ("Content-Length", "0,0"),
    ("Content-Length", "-1"), ("Content-Length", ""), ("Content-Length", str(2**64)), ("Content-Length", str(2**64 + 5)),
    ("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "identity"), ("Transfer-Encoding", "xchunked"),
    ("Transfer-Encoding", ""),
])
def test_refuses_a_body_and_parses_nothing_behind_it(server, more):
    refused_and_closed(server, head("/ws", more) + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 501))


def test_refuses_two_kinds_of_length(server):
    refused_and_closed(server, head("/ws", ("Content-Length", "0"), ("Transfer-Encoding", "chunked"))
                       + b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 501))
    refused_and_closed(server, head("/ws", ("Content-Length", "0"), ("Content-Length", "0")))


def test_refuses_an_expectation(server):
    assert status(server, head("/ws", ("Expect", "100-continue"))) == 417


def padded_head(size):
    request = head("/ws", ("X-Padding", "x"))
    return request.replace(b"X-Padding: x", b"X-Padding: x" + b"x" * (size - len(request)))


def test_takes_a_head_up_to_the_limit_and_no_further(server):
    assert len(padded_head(8192)) == 8192
    assert status(server, padded_head(8192)) == 101
    refused_and_closed(server, padded_head(8193), (431,))


def test_a_long_query_is_limited_by_the_head_alone(server):
    room = 8192 - len(head("/ws?token="))
    assert status(server, head("/ws?token=" + "t" * room)) == 101
    refused_and_closed(server, head("/ws?token=" + "t" * (room + 1)), (431,))


def test_takes_another_limit_from_the_settings(start_server):
    server = start_server(settings={"limits": {"header_bytes": 1024}})
    assert status(server, padded_head(1024)) == 101
    refused_and_closed(server, padded_head(1025), (431,))


def test_refuses_a_flood_of_headers_and_endless_lines(server):
    refused_and_closed(server, head("/ws", *[("X-A", "x")] * 10000), (431,))
    refused_and_closed(server, b"GET /" + b"a" * 100000, (431,))
    refused_and_closed(server, b"GET /ws HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 100000, (431,))
    refused_and_closed(server, b"G" * 100000, (400, 431, 501))


def test_does_not_mind_how_the_head_is_cut(server):
    assert status(server, padded_head(2000), piece=1) == 101
    request = head()
    for at in range(1, len(request), 7):
        with RawHttp(server.address) as http:
            assert http.send(request[:at]).send(request[at:]).read_response().status == 101


@pytest.mark.smoke
def test_answers_a_frame_that_came_with_the_handshake(either):
    first = b'{"type":"unsubscribe","id":5,"data":{"topics":[]}}'
    with either.connect(first_bytes=encode_frame(TEXT, first)) as client:
        client.expect_ack(5)


def test_takes_a_pipelined_request_for_a_broken_frame(server):
    with server.connect(first_bytes=b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") as client:
        client.expect_close(1002)


@pytest.mark.parametrize("name, value", [
    ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
    ("Sec-WebSocket-Extensions", "a; b=\"" + "\\c" * 2000),
    ("Sec-WebSocket-Extensions", ","), ("Sec-WebSocket-Extensions", ""),
    ("Sec-WebSocket-Protocol", "chat, superchat"), ("Sec-WebSocket-Protocol", "b" + " " * 6000 + "x"),
    ("Sec-WebSocket-Protocol", ","), ("Sec-WebSocket-Protocol", ";"), ("Sec-WebSocket-Protocol", ""),
    ("Sec-WebSocket-Protocol", "constructor, __proto__"),
])
def test_agrees_to_no_extension_and_no_foreign_protocol(server, name, value):
    response = answer(server, head("/ws", (name, value)))
    assert response.status == 101
    assert "sec-websocket-extensions" not in response.headers
    assert "sec-websocket-protocol" not in response.headers


ALLOWED = ["https://app.example", "http://localhost:3000", "https://*.shop.example"]


@pytest.fixture(scope="module")
def picky():
    server = Server(settings={"allowed_origins": ALLOWED})
    yield server
    try:
        server.stop()
    finally:
        server.cleanup()


@pytest.mark.parametrize("origin", [None, "https://app.example", "http://localhost:3000", "https://APP.EXAMPLE",
                                    "https://app.example:443", "https://a.shop.example", "https://xn--a.shop.example"])
def test_lets_allowed_origins_in(picky, origin):
    assert status(picky, head("/ws", *([] if origin is None else [("Origin", origin)]))) == 101


@pytest.mark.parametrize("origin", [
    "", "null", "http://app.example", "ws://app.example", "https://app.example:8443", "https://app.example:80",
    "https://app.example.evil.com", "https://evilapp.example", "https://evil.com/https://app.example",
    "https://app.example.", "https://sub.app.example", "https://app.example/", "https://app.example/path",
    "https://app.example?", "https://app.example@evil.com", "https://user@app.example", "app.example", "//app.example",
    "https://app.exampl\xe9", "https://xn--app-example", "https://app.example https://evil.com",
    "https://evil.com, https://app.example", "http://localhost", "http://localhost:30000", "http://localhost:300",
    "https://localhost:3000", "http://127.0.0.1:3000", "file://", "*", "https://app_example", "https:app.example",
    "https://app.example\t.evil.com", "https://shop.example", "https://a.b.shop.example", "https://.shop.example",
    "https://a..shop.example", "https://ashop.example", "https://a.shop.example.", "https://a.shop.example.evil.com",
    "http://a.shop.example", "https://a.shop.example:8443", "https://evil.com/.shop.example", "https://*.shop.example",
    "https://evil.com@a.shop.example", "https://evil.com#.shop.example", "https://evil.com\\.shop.example", "NULL",
])
def test_keeps_other_origins_out(picky, origin):
    assert status(picky, head("/ws", ("Origin", origin))) == 403


def test_keeps_two_origins_out(picky):
    assert status(picky, head("/ws", ("Origin", ALLOWED[0]), ("Origin", ALLOWED[0]))) == 403
    assert status(picky, head("/ws", ("Origin", ALLOWED[0]), ("Origin", "https://evil.com"))) == 403


def test_lets_every_origin_in_by_default(server):
    assert status(server, head("/ws", ("Origin", "https://anywhere.example"))) == 101


def test_closes_a_head_that_does_not_end_in_time(start_server):
    server = start_server(settings={"limits": {"handshake_timeout": "300ms"}})
    for begin in (b"", b"GET /ws HT", head()[:-2]):
        began = time.monotonic()
        with RawHttp(server.address) as http:
            rest = http.send(begin).read_to_end(timeout=5)
            assert 0.25 <= time.monotonic() - began < 3
            assert rest == b"" or rest.startswith(b"HTTP/1.1 408 ")
    began = time.monotonic()
    with RawHttp(server.address) as http:  # time runs from the first moment, not from the last byte
        http.socket.settimeout(0.05)
        for byte in head():
            http.send(bytes([byte]))
            try:
                if not http.socket.recv(1, socket.MSG_PEEK):
                    break
            except socket.timeout:
                continue
            except ConnectionError:
                break
            break
        assert 0.25 <= time.monotonic() - began < 3
    client = server.connect()
    until(time.monotonic() + 0.8)  # who has shaken hands may be silent
    client.round_trip()
    client.close()


def test_does_not_log_the_query(server):
    secret = unique("secret-in-the-query")
    with server.connect(path=f"/ws?token={secret}") as client:
        client.round_trip()
    status(server, head(f"/nowhere?token={secret}"))
    status(server, head(f"/ws?token={secret}", ("Host", "two")))
    assert secret not in server.stderr


def test_ignores_forwarding_headers_of_strangers(server):
    user = unique("user")
    headers = [("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=203.0.113.9"), ("X-User-Id", "other")]
    with server.connect(headers=headers) as client:
        client.subscribe(user)
        connections = server.api.user(user)["connections"]
        assert len(connections) == 1
        assert "127.0.0.1" in connections[0]["address"] and "203.0.113.9" not in connections[0]["address"]


def test_answers_old_and_brief_health_probes(server):
    with RawHttp(server.address) as http:
        assert http.send(b"GET /healthz HTTP/1.0\r\n\r\n").read_response().status == 200
        http.expect_end()
    with RawHttp(server.address) as http:
        response = http.send(b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").read_response(head_only=True)
        assert (response.status, http.buffer) == (200, b"")


def test_listens_on_both_families_and_on_several_addresses(start_server):
    server = start_server(args=["--listen", "127.0.0.1:0,[::1]:0", "--listen", "127.0.0.1:0"])
    assert len(server.client_addresses) == 3
    for address in server.client_addresses:
        with WsClient(address) as client:
            client.round_trip()


def test_survives_clients_that_leave_in_the_middle(either):
    request = head()
    for at in range(0, len(request), 5):
        with RawHttp(either.address) as http:
            http.send(request[:at]).send_fin().read_to_end(timeout=5)
        client = WsClient(either.address, handshake=False)
        client.send_bytes(request[:at])
        client.reset()
    with either.connect() as client:
        client.round_trip()


def test_answers_every_one_of_many_short_connections(either):
    """What one connection's end still has under way must not hit the next one in its place."""
    request = head("/nowhere")

    def ask():
        for n in range(2000):
            assert status(either, request) == 404, n

    together(*[ask] * 4)


@pytest.mark.smoke
def test_upgrades_every_one_of_many_short_connections(either):
    for _ in range(500):
        client = either.connect()
        client.send_frame(5)
        client.expect_close(1002)
