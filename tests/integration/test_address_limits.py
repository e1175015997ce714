"""Limits of addresses: 429 before the upgrade, for the address that the client really has."""
import re
import time

import pytest

from ringcast.api import Api
from ringcast.client import HandshakeRefused, WsClient
from ringcast.waiting import eventually, until

A, B = "127.0.0.1", "127.0.0.2"


def refused(server, source=A, **how):
    """The answer that a client gets who is not let in."""
    with pytest.raises(HandshakeRefused) as answer:
        server.connect(source=source, **how)
    return answer.value


def is_let_in(server, source=A, **how):
    try:
        server.connect(source=source, **how).abandon()
    except HandshakeRefused:
        return False
    return True


def expect_429(answer):
    assert answer.status == 429
    assert re.fullmatch(r"[1-9]\d*", answer.headers["retry-after"]), answer.headers
    assert answer.headers["connection"] == "close"
    return int(answer.headers["retry-after"])


def hits(server, limit, name="refused"):
    text = server.api.get("/metrics", key=None).body.decode()
    return sum(int(value) for value in re.findall(
        rf'^ringcast_limit_{name}_total\{{core="\d+",limit="{limit}"\}} (\d+)$', text, re.MULTILINE))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.smoke
def test_so_many_connections_of_an_address_and_no_more(start_server, workers):
    server = start_server(workers=workers, settings={"limits": {"connections_per_address": 5}})
    clients = [server.connect() for _ in range(5)]
    # Of two cores, each has the other's count a moment later: at first one more may pass.
    eventually(lambda: not is_let_in(server))
    expect_429(refused(server))
    for client in clients:
        client.subscribe("u")
        client.round_trip()
    others = [server.connect(source=B) for _ in range(5)]
    eventually(lambda: not is_let_in(server, B))
    clients.pop().close()
    eventually(lambda: is_let_in(server))
    assert hits(server, "connections_per_address") >= 2
    lines = re.findall(r"warning core \d: limits\.connections_per_address: \d+ refused, the last of them 127", server.stderr)
    assert 1 <= len(lines) <= workers, "one every 10 s"
    for client in clients + others:
        client.abandon()


def test_what_never_asks_for_an_upgrade_does_not_count(start_server):
    server = start_server(settings={"limits": {"connections_per_address": 2, "new_connections_per_address": 2}})
    silent = [WsClient(server.address, handshake=False) for _ in range(10)]
    for path in ("/healthz", "/nothing"):
        for _ in range(5):
            with WsClient(server.address, handshake=False) as probe:
                probe.send_bytes(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                assert probe.socket.recv(12) == (b"HTTP/1.1 200" if path == "/healthz" else b"HTTP/1.1 404")
    mine = [server.connect() for _ in range(2)]
    expect_429(refused(server))
    for client in silent + mine:
        client.abandon()


def test_a_refused_client_holds_no_place(start_server):
    server = start_server(settings={"limits": {"connections_per_address": 1}, "allowed_origins": ["https://ok.example"]})
    first = server.connect()
    for _ in range(10):
        expect_429(refused(server))
    first.close()
    with server.connect() as second:
        second.round_trip()
    for _ in range(5):
        assert refused(server, headers=[("Origin", "https://evil.example")]).status == 403
    eventually(lambda: is_let_in(server))


def test_so_many_new_connections_a_second(start_server):
    server = start_server(settings={"limits": {"new_connections_per_address": 20}})
    began = time.monotonic()
    admitted = sum(is_let_in(server) for _ in range(200))
    took = time.monotonic() - began
    assert 20 <= admitted <= 20 + 20 * took + 1, (admitted, took)
    assert expect_429(refused(server)) == 1
    assert is_let_in(server, B)
    until(time.monotonic() + 1.1)
    assert sum(is_let_in(server) for _ in range(20)) == 20


def test_the_client_behind_a_trusted_proxy_is_the_one_that_counts(start_server):
    server = start_server(settings={"limits": {"connections_per_address": 1}, "proxy": {"trusted": ["127.0.0.0/8"]}})

    def behind(address):
        return {"headers": [("X-Forwarded-For", address)]}

    clients = [server.connect(**behind("192.0.2.1")), server.connect(**behind("192.0.2.2"))]
    expect_429(refused(server, **behind("192.0.2.1")))
    expect_429(refused(server, source=B, **behind("192.0.2.2")))
    expect_429(refused(server, **behind("::ffff:192.0.2.1")))
    clients.append(server.connect(**behind("2001:db8:1:2::1")))
    expect_429(refused(server, **behind("2001:db8:1:2:ffff::9")))
    clients.append(server.connect(**behind("2001:db8:1:3::1")))
    clients += [server.connect() for _ in range(3)]  # the proxy itself: its health checks
    for client in clients:
        client.abandon()


def test_forwarding_headers_of_strangers_make_no_new_address(start_server):
    server = start_server(settings={"limits": {"connections_per_address": 1}})
    with server.connect(headers=[("X-Forwarded-For", "192.0.2.1")]):
        expect_429(refused(server, headers=[("X-Forwarded-For", "192.0.2.2"), ("Forwarded", "for=192.0.2.3")]))


@pytest.mark.parametrize("workers", [1, 2])
def test_wrong_api_keys_have_a_rate_and_good_ones_pass(start_server, workers):
    server = start_server(workers=workers, settings={"limits": {"auth_failures_per_address": 10}})
    api = Api(server.api_address, key="wrong")
    assert [api.get("/api/stats").status for _ in range(10)] == [401] * 10
    eventually(lambda: api.get("/api/stats").status == 429)
    answer = api.get("/api/stats")
    assert answer.error() == "too_many_requests" and 1 <= int(answer.headers["retry-after"]) <= 60
    assert api.get("/api/stats", key=None).status == 429
    assert server.api.get("/api/stats").status == 200, "who has a key is not to be stopped by a neighbour"
    assert api.get("/healthz", key=None).status == 200
    expect_429(refused(server))
    assert is_let_in(server, B)
    assert hits(server, "auth_failures_per_address") >= 3
    api.close()


def test_wrong_api_keys_through_a_trusted_proxy_are_their_senders(start_server):
    server = start_server(settings={"limits": {"auth_failures_per_address": 3}, "proxy": {"trusted": ["127.0.0.1"]}})

    def status(client):
        headers = {} if client is None else {"X-Forwarded-For": client}
        return server.api.get("/api/stats", key="wrong", headers=headers).status

    assert [status("192.0.2.1") for _ in range(5)] == [401] * 3 + [429] * 2
    assert status("192.0.2.2") == 401
    assert [status(None) for _ in range(5)] == [401] * 5, "the proxy's own"
    expect_429(refused(server, headers=[("X-Forwarded-For", "192.0.2.1")]))


def test_a_key_without_the_right_is_no_failure(start_server, tmp_path):
    file = tmp_path / "keys"
    file.write_text('[[key]]\nname = "n"\nrights = ["read"]\nkey = "a-key-of-sixteen"\n')
    server = start_server(api_key="a-key-of-sixteen", settings={
        "api_key_file": str(file), "limits": {"auth_failures_per_address": 2}})
    for _ in range(10):
        assert server.api.post("/api/publish", {}).status == 401
    assert is_let_in(server)


@pytest.mark.parametrize("dry_run", [False, True])
def test_wrong_tokens_are_failures_too(start_server, tmp_path, dry_run):
    file = tmp_path / "secrets"
    file.write_text("a-secret-of-at-least-32-characters-for-hs256\n")
    server = start_server(settings={
        "auth": {"mode": "jwt", "jwt": {"algorithms": ["HS256"], "secret_file": str(file)}},
        "limits": {"auth_failures_per_address": 3, "dry_run": dry_run}})
    statuses = [refused(server, path="/ws?token=wrong").status for _ in range(6)]
    assert statuses == [401] * 3 + [401 if dry_run else 429] * 3
    assert is_let_in(server) is dry_run, "without a token as well"
    assert refused(server, source=B, path="/ws?token=wrong").status == 401
    assert hits(server, "auth_failures_per_address", "dry_run" if dry_run else "refused") == 4, "once each"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_dry_run_counts_and_logs_and_refuses_nobody(start_server, workers):
    limits = {"connections_per_user": 2, "connections_per_address": 2, "new_connections_per_address": 1,
              "auth_failures_per_address": 1, "dry_run": True}
    server = start_server(workers=workers, settings={"limits": limits})
    clients = [server.connect() for _ in range(10)]
    for client in clients:
        client.subscribe("u")
    for _ in range(5):
        assert server.api.get("/api/stats", key="wrong").status == 401
    assert len(server.api.user("u")["connections"]) == 10
    for client in clients:
        client.expect_nothing()
    for limit in ("connections_per_user", "connections_per_address", "new_connections_per_address",
                  "auth_failures_per_address"):
        eventually(lambda: hits(server, limit, "dry_run") >= 1)
        assert hits(server, limit) == 0
        server.wait_for_stderr(rf"limits\.{limit}: \d+ would have been refused but for limits\.dry_run, the last of them ")
    for client in clients:
        client.abandon()


def test_memory_of_many_addresses_is_given_back(start_server):
    server = start_server(settings={"limits": {"connections_per_address": 100, "new_connections_per_address": 100}})
    for n in range(1, 101):
        server.connect(source=f"127.0.1.{n}").abandon()
    assert server.api.get("/api/stats").json()["totals"]["limited_addresses"] == 100
    eventually(lambda: server.api.get("/api/stats").json()["totals"]["limited_addresses"] == 0)
