"""The API listener as HTTP: keys, routes, framing, limits, and what is too odd to be read."""

import json
import select
import socket
import threading
import time

import pytest

from ringcast.http_wire import Connection, build
from ringcast.world import world  # noqa: F401 (a fixture)

# ---- keys ---------------------------------------------------------------------------------------

API_TARGETS = [
    ("POST", "/api/publish"),
    ("GET", "/api/publish"),
    ("GET", "/api/stats"),
    ("DELETE", "/api/stats"),
    ("GET", "/api/users/1"),
    ("GET", "/api/users/1/notifications"),
    ("POST", "/api/users/1/disconnect"),
    ("GET", "/api/users/%zz"),
    ("GET", "/api/nope"),
    ("GET", "/api/"),
]


@pytest.mark.parametrize("method, target", API_TARGETS)
def test_without_the_key_everything_below_api_is_401_before_path_and_method(world, method, target):
    key = world.key
    wrong = [
        [],
        [("Authorization", "Bearer wrong")],
        [("Authorization", f"Bearer {key}x")],
        [("Authorization", f"Bearer {key[:-1]}")],
        [("Authorization", f"Bearer {key.swapcase()}")],
        [("Authorization", f"Basic {key}")],
        [("Authorization", key)],
        [("Authorization", "Bearer")],
        [("X-API-Key", "wrong")],
        [("X-API-Key", f"Bearer {key}")],
        [("X-Api-Key-2", key)],
        [("Cookie", f"key={key}")],
    ]
    for headers in wrong:
        with world.connect() as api:
            answer = api.request(method, target, b"{}", headers, key=None)
            assert answer.status == 401, (headers, answer)
            assert answer.error["code"] == "unauthorized"
            assert key not in answer.body.decode()
    with world.connect() as api:
        assert api.request(method, f"{target}?key={key}&token={key}", b"{}", key=None).status == 401


@pytest.mark.parametrize("name, form", [("Authorization", "Bearer {}"), ("X-API-Key", "{}"), ("x-api-KEY", "{}")])
def test_both_headers_hold_the_key(world, name, form):
    answer = world.api.request("GET", "/api/stats", None, [(name, form.format(world.key))], key=None)
    assert answer.status == 200


def test_401_comes_before_the_body(world):
    with world.connect() as api:
        api.send(b"POST /api/publish HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n")
        assert api.read_answer().status == 401


def test_401_to_a_large_body_never_reads_it_as_a_request(world):
    with world.connect() as api:
        body = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 100
        api.send(build("POST", "/api/publish", body))
        assert api.read_answer().status == 401
        rest = api.request("GET", "/healthz")
        assert rest is None or rest.status == 200
        assert not api.unread


# ---- routes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/ws",
        "/api",
        "/api/",
        "/api/nope",
        "/api/publish/",
        "/api//publish",
        "/api/./publish",
        "/api/publis%68",
        "/API/publish",
        "/api/users",
        "/api/users/1/",
        "/api/users/1/nope",
        "/api/users/1/read-all",
        "/api/users/1/notifications/",
        "/api/users/1/notifications/2/nope",
        "/api/users/1/notifications/2/read/3",
        "/api/users/1/disconnect/2",
        "/healthz/",
        "//healthz",
        "/./healthz",
        "/%68ealthz",
        "/healthz;a",
        "/metrics/x",
        "/readyz%00",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_path_is_404(world, method, target):
    answer = world.connect().request(method, target, b"" if method == "POST" else None)
    assert answer.status == 404, answer
    assert answer.error["code"] == "not_found"


@pytest.mark.parametrize(
    "target, allowed",
    [
        ("/api/publish", {"POST"}),
        ("/api/stats", {"GET"}),
        ("/api/users/1", {"GET", "DELETE"}),
        ("/api/users/1/notifications", {"GET"}),
        ("/api/users/1/notifications/n", {"DELETE"}),
        ("/api/users/1/notifications/n/read", {"POST"}),
        ("/api/users/1/notifications/read-all", {"POST", "DELETE"}),  # an id may be so called
        ("/api/users/1/disconnect", {"POST"}),
        ("/healthz", {"GET", "HEAD"}),
        ("/readyz", {"GET", "HEAD"}),
        ("/metrics", {"GET", "HEAD"}),
    ],
)
def test_another_method_is_405_with_allow(world, target, allowed):
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        if method in allowed:
            continue
        answer = world.connect().request(method, target, b"")
        assert answer.status == 405, (method, answer)
        assert answer.error["code"] == "method_not_allowed"
        listed = {name.strip() for name in answer.header("allow").split(",")}
        assert listed - {"HEAD", "OPTIONS"} == allowed - {"HEAD"}


@pytest.mark.parametrize("target", ["/healthz", "/readyz", "/metrics"])
def test_the_health_routes_need_no_key(world, target):
    for version in ("1.1", "1.0"):
        with world.connect() as api:
            host = "Host: h\r\n" if version == "1.1" else ""
            api.send(f"GET {target} HTTP/{version}\r\n{host}\r\n".encode())
            assert api.read_answer().status == 200
            assert version == "1.1" or api.at_end()
    with world.connect() as api:
        answer = api.request("HEAD", target, key=None)
        assert answer.status == 200 and int(answer.header("content-length")) > 0
        assert api.request("GET", "/healthz", key=None).body.strip() == b"ok", "no body came after HEAD"
        assert api.request("GET", f"{target}?x=1", key=None).status == 200
        assert api.request("GET", target, key="wrong").status == 200


def test_http_1_0_with_keep_alive_stays_open(world):
    with world.connect() as api:
        for _ in range(3):
            api.send(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            answer = api.read_answer()
            assert answer.status == 200 and answer.header("connection") == "keep-alive"


def test_the_client_listener_has_health_and_no_api(world):
    with Connection(world.server.address, world.key) as client:
        assert client.request("GET", "/healthz").body.strip() == b"ok"
    for method, target in (("POST", "/api/publish"), ("GET", "/api/stats"), ("GET", "/metrics")):
        with Connection(world.server.address, world.key) as client:
            assert client.request(method, target, b"{}" if method == "POST" else None).status == 404


# ---- connections --------------------------------------------------------------------------------


def test_a_connection_serves_many_requests_and_errors_keep_it(world):
    with world.connect() as api:
        for _ in range(20):
            assert api.request("GET", "/healthz").status == 200
            assert api.request("GET", "/api/nope").status == 404
            assert api.publish({"type": "news", "userId": world.user(), "data": 1}).status == 200
            assert api.publish(b"{").status == 400
            assert api.request("PUT", "/api/stats").status == 405


def test_connection_close_is_honoured(world):
    for spelling in ("close", "Close", "keep-alive, close"):
        with world.connect() as api:
            answer = api.request("GET", "/healthz", None, [("Connection", spelling)])
            assert answer.status == 200 and answer.header("connection") == "close"
            assert api.at_end()


def test_100_pipelined_requests_are_answered_in_order(world):
    user = world.user()
    receiver = world.receiver(user=user)
    ids = [f"{user}-{n}" for n in range(100)]
    requests = []
    for n, own in enumerate(ids):
        message = {"type": "notification", "userId": user, "data": {"id": own}}
        requests.append(build("POST", "/api/publish", json.dumps(message).encode(), (), world.key))
        if n % 10 == 5:
            requests.append(build("GET", "/healthz"))
        if n % 10 == 7:
            requests.append(build("GET", "/api/nope", None, (), world.key))
    with world.connect() as api:
        api.send(b"".join(requests))
        got = []
        for n in range(100):
            got.append(api.read_answer().json["id"])
            if n % 10 == 5:
                assert api.read_answer().body.strip() == b"ok"
            if n % 10 == 7:
                assert api.read_answer().status == 404
    assert got == ids
    assert [receiver.next()["data"]["id"] for _ in ids] == ids


def test_requests_may_arrive_in_any_pieces(world):
    user = world.user()
    receiver = world.receiver(user=user)
    body = json.dumps({"type": "news", "userId": user, "data": "x" * 20}).encode()
    bytes_ = build("POST", "/api/publish", body, (), world.key) * 3
    for size in (1, 7, 64):
        with world.connect() as api:
            for at in range(0, len(bytes_), size):
                api.send(bytes_[at : at + size])
            assert [api.read_answer().status for _ in range(3)] == [200] * 3
    world.mark()
    assert len(receiver.until_mark()) == 9


def test_a_connection_closes_after_1000_requests(world):
    with world.connect() as api:
        sender = threading.Thread(target=api.send, args=(build("GET", "/healthz") * 1010,))
        sender.start()
        answers = [api.read_answer() for _ in range(1000)]
        assert {answer.status for answer in answers} == {200}
        assert answers[998].header("connection") is None
        assert answers[999].header("connection") == "close"
        assert api.at_end()
        sender.join()


def test_a_peer_that_ends_in_the_middle_leaves_nothing_behind(world):
    user = world.user()
    receiver = world.receiver(user=user)
    body = json.dumps({"type": "news", "userId": user, "data": 1}).encode()
    request = build("POST", "/api/publish", body, (), world.key)
    for cut in (1, 20, len(request) - len(body), len(request) - 1):
        with world.connect() as api:
            api.send(request[:cut])
            api.socket.shutdown(socket.SHUT_WR)
            answer = api.read_answer()
            assert answer is None or 400 <= answer.status < 500
            assert api.at_end()
    world.mark()
    assert receiver.until_mark() == []
    assert world.connect().request("GET", "/healthz").status == 200


def test_a_peer_that_half_closes_still_gets_its_answers(world):
    user = world.user()
    receiver = world.receiver(user=user)
    body = json.dumps({"type": "news", "userId": user, "data": 1}).encode()
    with world.connect() as api:
        api.send(build("POST", "/api/publish", body, (), world.key) * 2)
        api.socket.shutdown(socket.SHUT_WR)
        assert [api.read_answer().status for _ in range(2)] == [200, 200]
        assert api.at_end()
    world.mark()
    assert len(receiver.until_mark()) == 2


def test_resets_leave_the_server_well(world):
    body = json.dumps({"type": "news", "userId": world.user(), "data": 1}).encode()
    request = build("POST", "/api/publish", body, (), world.key)
    for n in range(60):
        with world.connect() as api:
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            api.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            api.send(request[: len(request) - n % 3 * 10] * (n % 4))
    assert world.connect().request("GET", "/readyz").status == 200


def test_no_answer_is_lost_when_connections_end_fast(world):
    """Peers that close as soon as they have the answer, again and again: the next one still gets its own."""
    for _ in range(3000):
        with socket.create_connection(world.server.api_address, timeout=15) as raw:
            raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert raw.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


# ---- bodies -------------------------------------------------------------------------------------


def chunked(pieces, last=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + last


def chunked_head(world, headers=()):
    return build("POST", "/api/publish", None, [("Transfer-Encoding", "chunked"), *headers], world.key)


def test_chunked_bodies(world):
    user = world.user()
    receiver = world.receiver(user=user)
    body = json.dumps({"type": "news", "userId": user, "data": 1}).encode()
    single_bytes = [bytes([byte]) for byte in body]
    rows = [
        chunked([body]),
        chunked(single_bytes),
        chunked([body], b"000\r\n\r\n"),
        chunked([body], b"0\r\nX-Trailer: 1\r\n\r\n"),
        b"%X;name=value\r\n%s\r\n0\r\n\r\n" % (len(body), body),
        b"000%X\r\n%s\r\n0;x\r\n\r\n" % (len(body), body),
    ]
    with world.connect() as api:
        for row in rows:
            api.send(chunked_head(world) + row)
            assert api.read_answer().status == 200, row
    world.mark()
    assert len(receiver.until_mark()) == len(rows)


@pytest.mark.parametrize(
    "body",
    [
        b"0x5\r\nxxxxx\r\n0\r\n\r\n",
        b"+5\r\nxxxxx\r\n0\r\n\r\n",
        b"-1\r\n\r\n",
        b"5 5\r\nxxxxx\r\n0\r\n\r\n",
        b"\r\n\r\n",
        b"g\r\n\r\n",
        b"5\nxxxxx\r\n0\r\n\r\n",
        b"5\r\nxxxxxx\r\n0\r\n\r\n",
        b"5\r\nxxxxx0\r\n\r\n",
        b"10000000000000000\r\n",
        b"ffffffffffffffff1\r\n",
        b"5;" + b"x" * 10_000 + b"\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"0\r\n" + b"T: x\r\n" * 3000 + b"\r\n",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_bad_chunk_is_refused_and_ends_the_connection(world, body):
    with world.connect() as api:
        api.send(chunked_head(world) + body + build("GET", "/healthz"))
        assert api.read_answer().status in (400, 413, 431)
        assert api.at_end(), "what follows must never be read as a request"


def test_a_chunk_that_announces_too_much_is_413(world):
    for size in (b"100001", b"7fffffff", b"7fffffffffffffff"):
        with world.connect() as api:
            api.send(chunked_head(world) + size + b"\r\n")
            assert api.read_answer().status == 413
            assert api.at_end()


@pytest.mark.parametrize(
    "headers, statuses",
    [
        (["Content-Length: 9223372036854775808"], {400, 413}),
        (["Content-Length: 18446744073709551616"], {400, 413}),
        (["Content-Length: 99999999999999999999999999"], {400, 413}),
        (["Content-Length: -1"], {400}),
        (["Content-Length: +5"], {400}),
        (["Content-Length: 5 5"], {400}),
        (["Content-Length: 0x5"], {400}),
        (["Content-Length: 5,5"], {400}),
        (["Content-Length:"], {400}),
        (["Content-Length: 5", "Content-Length: 5"], {400}),
        (["Content-Length: 5", "Content-Length: 6"], {400}),
        (["Content-Length: 5", "Transfer-Encoding: chunked"], {400}),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], {400}),
        (["Transfer-Encoding: xchunked"], {400, 501}),
        (["Transfer-Encoding: gzip, chunked"], {400, 501}),
        (["Transfer-Encoding: chunked, chunked"], {400, 501}),
        (["Transfer-Encoding: identity"], {400, 501}),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], {400}),
        (["Content-Length: 1048577"], {413}),
    ],
    ids=repr,
)
def test_a_body_whose_end_is_in_doubt_is_refused_and_ends_the_connection(world, headers, statuses):
    head = "\r\n".join(
        ["POST /api/publish HTTP/1.1", "Host: h", f"X-API-Key: {world.key}", *headers, "", ""]
    )
    with world.connect() as api:
        api.send(head.encode() + b"0\r\n\r\nx" + build("GET", "/healthz"))
        answer = api.read_answer()
        assert answer.status in statuses, answer
        assert api.at_end(), "what follows must never be read as a request"


def test_a_publication_without_a_length_is_refused(world):
    with world.connect() as api:
        api.send(build("POST", "/api/publish", None, (), world.key))
        answer = api.read_answer()
        assert (answer.status, answer.error["code"]) == (411, "invalid_message")
        api.send(build("GET", "/healthz"))
        assert api.read_answer().status == 200, "there was no body, so the next request's place is known"


def test_expect_100_continue(world):
    user = world.user()
    receiver = world.receiver(user=user)
    body = json.dumps({"type": "news", "userId": user, "data": 1}).encode()
    request = build("POST", "/api/publish", body, [("Expect", "100-continue")], world.key)
    head = request[: -len(body)]
    with world.connect() as api:
        for _ in range(2):
            api.send(head)
            assert api.read_answer().status == 100
            api.send(body)
            assert api.read_answer().status == 200
        api.send(request)  # a client that does not wait
        answer = api.read_answer()
        if answer.status == 100:
            answer = api.read_answer()
        assert answer.status == 200
    world.mark()
    assert len(receiver.until_mark()) == 3


def test_expect_100_continue_is_refused_without_100_where_the_request_is(world):
    rows = [
        (None, "/api/publish", [("Content-Length", "10")], 401),
        (world.key, "/api/nope", [("Content-Length", "10")], 404),
        (world.key, "/api/publish", [("Content-Length", str(17 << 20))], 413),
        (world.key, "/api/publish", [("Content-Length", "10"), ("Content-Type", "text/plain")], 415),
    ]
    for key, target, headers, status in rows:
        with world.connect() as api:
            api.send(build("POST", target, None, [*headers, ("Expect", "100-continue")], key))
            assert api.read_answer().status == status


def test_another_expectation_is_417(world):
    with world.connect() as api:
        assert api.request("GET", "/healthz", None, [("Expect", "200-ok")]).status == 417


# ---- heads that cannot be read ------------------------------------------------------------------

HOST = b"Host: h\r\n"


@pytest.mark.parametrize(
    "head, statuses",
    [
        # H1
        (b"GET /healthz HTTP/1.1\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\nHost: u@a\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", {400}),
        # H7
        (b"get /healthz HTTP/1.1\r\n" + HOST + b"\r\n", {501, 400}),
        (b"FOO /healthz HTTP/1.1\r\n" + HOST + b"\r\n", {501}),
        (b"CONNECT h:80 HTTP/1.1\r\n" + HOST + b"\r\n", {400, 405, 501}),
        # H8
        (b"GET /healthz\r\n\r\n", {400, 505}),
        (b"GET /healthz HTTP/0.9\r\n" + HOST + b"\r\n", {400, 505}),
        (b"GET /healthz HTTP/1.2\r\n" + HOST + b"\r\n", {400, 505}),
        (b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n", {400, 505}),
        (b"GET /healthz http/1.1\r\n" + HOST + b"\r\n", {400, 505}),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 60, {400}),
        # H10
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\n\tX: a\r\n" + HOST + b"\r\n", {400}),
        # H11
        (b"GET /healthz HTTP/1.1\n" + HOST + b"\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\nHost: h\n\n", {400}),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X\x00: a\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X\xff: a\r\n\r\n", {400}),
        (b"GET /health\x00z HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
        (b"GET /health\xffz HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
        (b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
        (b"GET /healthz  HTTP/1.1\r\n" + HOST + b"\r\n", {400, 505}),
        (b"GET /healthz HTTP/1.1 \r\n" + HOST + b"\r\n", {400, 505}),
        (b" GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
        # H12
        (b"GET /healthz HTTP/1.1\r\nHost : h\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b": x\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"no colon\r\n\r\n", {400}),
        # H14
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 8192 + b"\r\n\r\n", {431}),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: x\r\n" * 64 + b"\r\n", {431}),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: x\r\n" * 10_000 + b"\r\n", {431}),
        (b"GET /" + b"x" * 8192 + b" HTTP/1.1\r\n" + HOST + b"\r\n", {431}),
        # H15
        (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", {400, 404}),
        (b"GET h:80 HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
        (b"GET http://other/healthz HTTP/1.1\r\n" + HOST + b"\r\n", {400, 404}),
        (b"GET /healthz#fragment HTTP/1.1\r\n" + HOST + b"\r\n", {400, 404}),
    ],
    ids=lambda value: repr(value[:60]) if isinstance(value, bytes) else None,
)
def test_an_odd_head_is_refused_and_ends_the_connection(world, head, statuses):
    with world.connect() as api:
        api.send(head + build("GET", "/healthz"))
        answer = api.read_answer()
        assert answer.status in statuses, answer
        if answer.status not in (404, 405):
            assert api.at_end(), "what follows must never be read as a request"


@pytest.mark.parametrize("where", ["name", "value", "target"])
def test_each_forbidden_byte_is_refused(world, where):
    """H11: all 256 values in a name, a value and the target. (A fresh connection each: refusals close.)"""
    token = set(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    fine = {
        "name": token | {ord(":")},
        "value": set(range(0x20, 0x100)) - {0x7F} | {9},
        "target": set(range(0x21, 0x7F)),
    }[where]
    uncertain = {"value": set(range(0x80, 0x100)), "target": set(b'"<>\\^`{|}#?% '), "name": set()}[where]
    for byte in range(256):
        if byte in uncertain:
            continue
        piece = bytes([byte])
        head = {
            "name": b"GET /healthz HTTP/1.1\r\nHost: h\r\nX" + piece + b"X: v\r\n\r\n",
            "value": b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: v" + piece + b"v\r\n\r\n",
            "target": b"GET /healthz?x" + piece + b"x HTTP/1.1\r\nHost: h\r\n\r\n",
        }[where]
        with world.connect() as api:
            api.send(head)
            status = api.read_answer().status
            assert (status == 200) if byte in fine else (status == 400), (where, byte, status)


def test_a_head_of_exactly_8_kib_passes_and_a_byte_more_does_not(world):
    for size, status in ((8191, 200), (8192, 200), (8193, 431)):
        plain = b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n"
        head = plain.replace(b"X: ", b"X: " + b"x" * (size - len(plain)))
        assert len(head) == size
        with world.connect() as api:
            api.send(head)
            assert api.read_answer().status == status, size


def test_the_absolute_form_with_our_host_passes(world):
    with world.connect() as api:
        api.send(b"GET http://h/healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert api.read_answer().status == 200


def test_answers_have_no_header_twice_and_name_their_type(world):
    for target, kind in (("/api/stats", "application/json"), ("/healthz", "text/plain"), ("/api/x", "application/json")):
        answer = world.api.request("GET", target)
        assert answer.header("content-type").split(";")[0] == kind
        names = [name.lower() for name, _ in answer.headers]
        assert len(names) == len(set(names))


def test_a_refusal_never_repeats_more_than_64_bytes_of_input(world):
    long = "x" * 500
    bodies = [
        {"type": long, "userId": "a", "data": 1},
        {"type": "news", "userId": long, "data": 1},
        {"type": "news", "topic": long + " ", "data": 1},
        {"type": "news", "userIds": [long], "data": 1},
    ]
    for body in bodies:
        assert "x" * 65 not in world.api.publish(body).error["message"]
    for target in (f"/api/{long}", f"/api/users/1/notifications?limit={long}", f"/api/users/{long}"):
        assert "x" * 65 not in world.api.request("GET", target).error["message"]


def test_many_connections_at_once(world):
    connections = [world.connect() for _ in range(200)]
    for api in connections:
        api.send(build("GET", "/healthz"))
    assert {api.read_answer().status for api in connections} == {200}


# ---- what does not come (last: it takes ten seconds from the first test on) ---------------------


def test_a_request_that_stops_arriving_is_ended(waiting):
    """A head or a body of which nothing more comes, or two bytes a second: ended after ten seconds."""
    for name, (answer, after_s) in waiting().items():
        assert answer is None or answer.status == 408, name
        assert 8 < after_s < 14, name


def test_an_idle_connection_stays(waiting):
    """Publishers keep their connections: a deadline runs from a request's first byte."""
    waiting()
    assert waiting.idle.request("GET", "/healthz").status == 200


@pytest.fixture(scope="module", autouse=True)
def waiting(server2):
    """Begins at the module's first test, so that the wait costs nothing: other tests run meanwhile."""
    results = {}
    key = server2.api_key()
    head = build("POST", "/api/publish", None, [("Content-Length", "1000")], key)
    chunks = build("POST", "/api/publish", None, [("Transfer-Encoding", "chunked")], key)
    rows = {
        "half a head": (b"GET /healthz HTTP/1.1\r\nHost:", False),
        "a head that trickles": (b"GET /healthz?", True),
        "no body": (head, False),
        "half a body": (head + b'{"type":', False),
        "half a chunk": (chunks + b"5\r\n{", False),
        "a body that trickles": (head, True),
    }

    def wait(name, request, trickle):
        with Connection(server2.api_address, timeout=20) as api:
            begun = time.monotonic()
            api.send(request)
            while trickle and not select.select([api.socket], [], [], 0.5)[0] and time.monotonic() - begun < 20:
                api.send(b"x")
            results[name] = (api.read_answer(), time.monotonic() - begun)

    threads = [threading.Thread(target=wait, args=(name, *row), daemon=True) for name, row in rows.items()]
    for thread in threads:
        thread.start()

    def collect():
        for thread in threads:
            thread.join(20)
        assert set(results) == set(rows), "a connection was still open after 20 seconds"
        return results

    with Connection(server2.api_address) as idle:
        assert idle.request("GET", "/healthz").status == 200
        collect.idle = idle
        yield collect
