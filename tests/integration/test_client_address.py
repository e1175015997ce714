"""Whose connection it is: the socket's peer, or whom a trusted proxy names (contract 2, hazards H22)."""
import pytest

from ringcast import Server
from ringcast.exposition import parse

LOOPBACK = {"proxy": {"trusted": ["127.0.0.1", "10.0.0.0/8"]}}


def addresses(server, user):
    answer = server.api.request("GET", f"/api/users/{user}")
    assert answer.status == 200
    return [connection["address"] for connection in answer.json()["connections"]]


def networks(server):
    """Open connections by kind of network, all cores together."""
    family = parse(server.api.request("GET", "/metrics", key=None).body.decode())["ringcast_connections_by_network"]
    sums = {}
    for (_, labels), value in family.samples.items():
        kind = dict(labels)["network"]
        sums[kind] = sums.get(kind, 0) + value
    return {kind: count for kind, count in sums.items() if count}


def address_seen(server, user, headers, **how):
    with server.connect(headers=headers, **how) as client:
        client.subscribe(user=user)
        client.round_trip()
        own = client.socket.getsockname()
        (seen,) = addresses(server, user)
        return "itself" if seen == f"{own[0]}:{own[1]}" else seen


@pytest.fixture(scope="module")
def behind_proxy():
    server = Server(workers=2, settings=LOOPBACK)
    yield server
    try:
        server.stop()
    finally:
        server.cleanup()


@pytest.mark.parametrize("headers", [
    [("X-Forwarded-For", "192.0.2.1")],
    [("Forwarded", "for=192.0.2.1")],
    [("X-Real-IP", "192.0.2.1")],
])
def test_h22_headers_of_an_untrusted_peer_count_for_nothing(start_server, headers):
    server = start_server(settings={"proxy": {"trusted": ["192.0.2.0/24", "::1"]}})
    with server.connect(headers=headers) as client:
        client.subscribe(user="u")
        client.round_trip()
        host, port = client.socket.getsockname()
        assert addresses(server, "u") == [f"{host}:{port}"]
        assert networks(server) == {"loopback": 1}


@pytest.mark.smoke
@pytest.mark.parametrize("headers, expected", [
    ([("X-Forwarded-For", "192.0.2.1")], "192.0.2.1"),
    ([("X-Forwarded-For", "203.0.113.66, 192.0.2.1, 10.1.2.3")], "192.0.2.1"),
    ([("X-Forwarded-For", "203.0.113.66, 192.0.2.1"), ("x-forwarded-for", "10.1.2.3")], "192.0.2.1"),
    ([('Forwarded', 'for=203.0.113.66, for="[2001:db8::7]:1234";proto=https')], "[2001:db8::7]:1234"),
    ([('forwarded', 'for="[2001:db8::7]"'), ("Forwarded", "for=10.1.2.3")], "2001:db8::7"),
    ([("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")], "192.0.2.1"),
    ([], "itself"),
    ([("X-Forwarded-For", "unknown")], "itself"),
    ([("X-Forwarded-For", "192.0.2.1, garbage")], "itself"),
    ([("Forwarded", "for=_hidden")], "itself"),
    ([('Forwarded', 'for="evil, for=192.0.2.1')], "itself"),
    ([("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.2")], "itself"),
    ([("X-Forwarded-For", "garbage, 10.1.2.3")], "10.1.2.3"),
])
def test_behind_a_trusted_peer_the_nearest_untrusted_hop_is_the_client(behind_proxy, headers, expected):
    assert address_seen(behind_proxy, f"u{abs(hash((expected, *headers)))}", headers) == expected


def test_metrics_tell_kinds_of_networks_and_no_addresses(behind_proxy):
    hosts = ["127.0.0.5", "192.168.1.1", "8.8.8.8", "2001:db8::1"]
    clients = [behind_proxy.connect(headers=[("X-Forwarded-For", host)]) for host in hosts]
    for client in clients:
        client.round_trip()
    assert networks(behind_proxy) == {"loopback": 1, "private": 1, "public": 2}
    text = behind_proxy.api.request("GET", "/metrics", key=None).body.decode()
    assert not any(host in text for host in hosts)
    for client in clients:
        client.close()
        client.expect_end()


def test_the_log_names_the_client_not_the_proxy(start_server):
    server = start_server(settings={**LOOPBACK, "log_level": "debug"})
    with server.connect(headers=[("X-Forwarded-For", "192.0.2.77")]) as client:
        server.wait_for_stderr(r"192\.0\.2\.77 connected")
        client.send_frame(3)
        client.expect_close(1002)
    server.wait_for_stderr(r"closing 192\.0\.2\.77: ")
