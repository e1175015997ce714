"""Listeners and their marks: PROXY protocol (hazards H23), unix sockets with mode, group and stale files."""
import os
import pathlib
import re
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest

from ringcast import Closed, Server, WsClient
from ringcast.exposition import parse
from ringcast.http_wire import Connection
from ringcast.waiting import eventually

LINE = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def block(command=0x21, family=0x11, body=socket.inet_aton("192.0.2.1") + bytes(4) + struct.pack(">HH", 56324, 443),
          length=None):
    return SIGNATURE + struct.pack(">BBH", command, family, len(body) if length is None else length) + body


V6 = block(family=0x21, body=socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + struct.pack(">HH", 9, 443))


def addresses(server, user):
    return [c["address"] for c in server.api.request("GET", f"/api/users/{user}").json()["connections"]]


def metric(server, name):
    return sum(parse(server.api.request("GET", "/metrics", key=None).body.decode())[name].samples.values())


@pytest.fixture(scope="module")
def proxied():
    """A marked listener, and one that is not; the tests' own address is trusted."""
    server = Server(workers=2, settings={
        "proxy": {"trusted": ["127.0.0.1"]}, "limits": {"handshake_timeout": "1500ms"},
        "listener": [{"address": "127.0.0.1:0", "proxy_protocol": True}, {"address": "127.0.0.1:0"}]})
    yield server
    try:
        server.stop()
    finally:
        server.cleanup()


def ends_without_an_answer(client):
    try:
        return client.socket.recv(4096) == b""
    except ConnectionResetError:
        return True


# --- PROXY protocol


@pytest.mark.smoke
@pytest.mark.parametrize("header, address", [
    (LINE, "192.0.2.1:56324"),
    (b"PROXY TCP6 2001:db8::7 ::1 9 443\r\n", "[2001:db8::7]:9"),
    (block(), "192.0.2.1:56324"),
    (V6, "[2001:db8::7]:9"),
    (block(body=block()[16:] + b"\x02\x00\x0bexample.org"), "192.0.2.1:56324"),
    (block(family=0x31, body=bytes(216)), "unix"),
    (b"PROXY UNKNOWN\r\n", None),
    (block(command=0x20, family=0, body=b""), None),
    (block(command=0x20), None),
    (block(family=0, body=b""), None),
])
def test_h23_a_header_names_the_client_and_without_an_address_the_socket_does(proxied, header, address):
    with proxied.connect(preamble=header) as client:
        user = f"h23-{abs(hash(header))}"
        client.subscribe(user=user)
        client.round_trip()
        host, port = client.socket.getsockname()
        assert addresses(proxied, user) == [address or f"{host}:{port}"]


@pytest.mark.parametrize("header", [LINE, block(), V6], ids=["line", "block", "block-v6"])
def test_h23_a_header_in_one_byte_segments_is_the_same(proxied, header):
    client = proxied.connect(handshake=False)
    client.send_bytes(header, piece=1)
    client.handshake()
    client.round_trip()
    client.close()


@pytest.mark.parametrize("header", [LINE, block()], ids=["line", "block"])
def test_h23_a_header_is_the_same_wherever_it_is_cut(proxied, header):
    clients = []
    for cut in range(1, len(header)):
        client = proxied.connect(handshake=False)
        client.send_bytes(header[:cut])
        clients.append((client, header[cut:]))
    for client, rest in clients:
        client.send_bytes(rest)
    for client, _ in clients:
        client.handshake()
    for client, _ in clients:
        client.round_trip()
        client.abandon()


@pytest.mark.parametrize("first", [
    b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"PROXY UNKNOWN " + b"x" * 94,
    b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n",
    b"PROXY TCP4 192.0.2.300 198.51.100.1 1 2\r\n",
    block(command=0x11), block(command=0x31), block(command=0x22), block(family=0x41), block(family=0x13),
    block(body=bytes(11)), block(length=65535), block(command=0x20, length=65535),
])
def test_h23_what_is_no_header_is_closed_without_an_answer(proxied, first):
    before = metric(proxied, "ringcast_proxy_refused_total")
    client = proxied.connect(handshake=False)
    client.send_bytes(first)
    assert ends_without_an_answer(client)
    assert metric(proxied, "ringcast_proxy_refused_total") == before + 1


@pytest.mark.parametrize("first", [b"", LINE[:30], block()[:14], LINE, LINE + b"GET /ws HTTP/1.1\r\n"])
def test_h23_header_and_handshake_have_one_time(proxied, first):
    client = proxied.connect(handshake=False)
    began = time.monotonic()
    client.send_bytes(first)
    assert ends_without_an_answer(client)
    assert 1.4 < time.monotonic() - began < 6


def test_h23_an_unmarked_listener_never_guesses(proxied):
    for header, status in ((LINE, b"501"), (block(), b"400")):  # a method that nobody knows; no request at all
        client = WsClient(proxied.client_addresses[1], handshake=False)
        client.send_bytes(header + b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.socket.recv(4096).startswith(b"HTTP/1.1 " + status)
        assert ends_without_an_answer(client)


def test_h23_a_header_of_an_untrusted_peer_is_not_read(proxied):
    before = metric(proxied, "ringcast_proxy_refused_total")
    client = proxied.connect(handshake=False, source="127.0.0.2")
    assert ends_without_an_answer(client), "before it has sent a byte"
    assert metric(proxied, "ringcast_proxy_refused_total") == before + 1


def test_behind_a_header_the_named_peer_must_be_trusted_for_further_headers(proxied):
    """The proxy passes on bytes; who wrote the request is the peer that it names."""
    forwarded = [("X-Forwarded-For", "203.0.113.5")]
    with proxied.connect(preamble=LINE, headers=forwarded) as client:
        client.subscribe(user="named")
        client.round_trip()
        assert addresses(proxied, "named") == ["192.0.2.1:56324"]
    chain = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"
    with proxied.connect(preamble=chain, headers=forwarded) as client:
        client.subscribe(user="chain")
        client.round_trip()
        assert addresses(proxied, "chain") == ["203.0.113.5"]
    unix = block(family=0x31, body=bytes(216))
    with proxied.connect(preamble=unix, headers=forwarded) as client:
        client.subscribe(user="unix")
        client.round_trip()
        assert addresses(proxied, "unix") == ["unix"]


def test_behind_a_header_the_user_header_counts_from_a_trusted_named_peer_alone(start_server):
    server = start_server(settings={"auth": {"mode": "header"}, "proxy": {"trusted": ["127.0.0.1"], "protocol": True}})
    user = [("X-User-Id", "admin")]
    with server.connect(preamble=LINE, headers=user) as client:
        client.send_json({"type": "subscribe", "data": {"userId": "admin"}})
        client.expect_error("unauthorized")
        assert addresses(server, "admin") == []
    with server.connect(preamble=b"PROXY TCP4 127.0.0.1 127.0.0.1 9 2\r\n", headers=user) as client:
        client.subscribe(user="admin")
        assert addresses(server, "admin") == ["127.0.0.1:9"]


def test_the_setting_marks_every_client_listener(start_server):
    server = start_server(settings={"proxy": {"trusted": ["127.0.0.0/8"], "protocol": True}})
    with pytest.raises((Closed, ConnectionError)):
        server.connect()
    with server.connect(preamble=LINE) as client:
        client.round_trip()
    server.wait_for_stderr(r"warning closing 127\.0\.0\.1:\d+: no PROXY header comes first \(1 so far\)")


# --- unix sockets


def unix_settings(tmp_path, **marks):
    return {"listener": [{"address": f"unix:{tmp_path}/client.sock", **marks}]}


@pytest.mark.smoke
@pytest.mark.parametrize("workers", [1, 2])
def test_clients_and_publishers_come_by_unix_sockets(start_server, tmp_path, workers):
    server = start_server(workers=workers, settings={"listen": [f"unix:{tmp_path}/client.sock"],
                                                     "api_listen": [f"unix:{tmp_path}/api.sock", "127.0.0.1:0"]})
    assert f"clients unix:{tmp_path}/client.sock api unix:{tmp_path}/api.sock 127.0.0.1:" in server.stderr
    assert server.client_sockets == [f"{tmp_path}/client.sock"]
    with WsClient(server.client_sockets[0]) as client:
        client.subscribe(user="u", topics=["t"])
        client.round_trip()
        assert addresses(server, "u") == ["unix"]
        with Connection(f"{tmp_path}/api.sock", key=server.api_key()) as api:
            assert api.publish({"type": "news", "userId": "u", "data": 1}).status == 200
            assert api.publish({"type": "news", "topic": "t", "data": 2}).status == 200
        assert [client.next_message()["data"] for _ in range(2)] == [1, 2]
    server.stop()
    assert os.listdir(tmp_path) == [], "both are removed at the end"


def test_a_trusted_unix_peer_names_the_client(start_server, tmp_path):
    server = start_server(settings={**unix_settings(tmp_path), "proxy": {"trusted": ["unix"]}})
    with WsClient(server.client_sockets[0], headers=[("X-Forwarded-For", "192.0.2.1")]) as client:
        client.subscribe(user="u")
        client.round_trip()
        assert addresses(server, "u") == ["192.0.2.1"]


def test_a_proxy_header_on_a_unix_socket(start_server, tmp_path):
    server = start_server(settings={**unix_settings(tmp_path, proxy_protocol=True), "proxy": {"trusted": ["unix"]}})
    with WsClient(server.client_sockets[0], preamble=V6) as client:
        client.subscribe(user="u")
        client.round_trip()
        assert addresses(server, "u") == ["[2001:db8::7]:9"]


@pytest.mark.parametrize("marks, mode", [({}, 0o660), ({"mode": "0600"}, 0o600), ({"mode": "666"}, 0o666)])
def test_the_file_has_its_mode_whatever_the_umask(start_server, tmp_path, marks, mode):
    server = start_server(settings=unix_settings(tmp_path, **marks), under=["sh", "-c", 'umask 0077; exec "$@"', "sh"])
    assert stat.S_IMODE(os.stat(server.client_sockets[0]).st_mode) == mode


@pytest.mark.skipif(os.getuid() != 0, reason="gives a file to another group")
@pytest.mark.parametrize("group, number", [("daemon", 1), ("4242", 4242)])
def test_the_file_has_its_group(start_server, tmp_path, group, number):
    server = start_server(settings=unix_settings(tmp_path, group=group))
    assert os.stat(server.client_sockets[0]).st_gid == number


def refused(settings):
    server = Server(settings=settings, ready=False)
    try:
        assert server.wait_for_exit(30) == 2, server.stderr
        return server.stderr
    finally:
        server.cleanup()


def test_what_cannot_be_a_socket_is_named_by_its_line(tmp_path):
    path = tmp_path / "client.sock"
    line = r"ringcast\.toml:\d+: listener: "
    missing = refused({"listener": [{"address": f"unix:{tmp_path}/none/client.sock"}]})
    assert re.search(line + rf"unix:{tmp_path}/none/client\.sock: No such file", missing), missing
    path.write_text("precious")
    there = refused(unix_settings(tmp_path))
    assert re.search(line + r"unix:\S+: a file of this name is there, and is no socket", there), there
    assert path.read_text() == "precious"
    path.unlink()
    group = refused(unix_settings(tmp_path, group="no-such-group"))
    assert re.search(line + r'unix:\S+: there is no group "no-such-group"', group), group
    assert not path.exists()


def test_the_socket_of_a_living_server_is_not_stolen(start_server, tmp_path):
    server = start_server(settings=unix_settings(tmp_path))
    with WsClient(server.client_sockets[0]) as client:
        assert "Address already in use" in refused(unix_settings(tmp_path))
        client.round_trip()
    WsClient(server.client_sockets[0]).close()


def test_the_socket_of_a_dead_server_is_replaced(start_server, tmp_path):
    first = start_server(settings=unix_settings(tmp_path))
    path = pathlib.Path(first.client_sockets[0])
    first.kill()
    assert path.exists()
    second = start_server(settings=unix_settings(tmp_path))
    WsClient(second.client_sockets[0]).close()
    second.stop()
    assert not path.exists()


def test_a_socket_that_another_program_put_in_place_is_left_there(start_server, tmp_path):
    server = start_server(settings=unix_settings(tmp_path))
    path = server.client_sockets[0]
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        server.stop()
        assert os.path.exists(path)


def test_servers_that_start_at_once_on_a_dead_socket_do_not_steal_it(tmp_path):
    path = tmp_path / "client.sock"
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        servers = [Server(settings=unix_settings(tmp_path), ready=False) for _ in range(3)]
        try:
            eventually(lambda: sum(s.process.poll() is not None for s in servers) == 2, 30)
            (winner,) = [s for s in servers if s.process.poll() is None]
            winner.wait_for_stderr("ringcastd ready")
            WsClient(str(path)).close()
            winner.signal(signal.SIGTERM)
            assert winner.wait_for_exit() == 0
        finally:
            for s in servers:
                s.api = None
                s.cleanup()


def per_core(server, name):
    samples = parse(server.api.request("GET", "/metrics", key=None).body.decode())[name].samples
    return [value for _, value in sorted(samples.items())]


def test_cores_share_the_connections_of_a_unix_socket(start_server, tmp_path):
    server = start_server(workers=2, settings={**unix_settings(tmp_path)})
    clients = [WsClient(server.client_sockets[0]) for _ in range(600)]
    for client in clients:
        client.round_trip()
    counts = per_core(server, "ringcast_connections")
    assert sum(counts) == 600
    slack = 8 + 1  # accepts that were armed when a core had enough
    assert max(counts) <= 300 * 1.05 + 16 + slack, counts
    for client in clients:
        client.abandon()


def test_a_burst_on_a_unix_socket_is_shared_too(start_server, tmp_path):
    """As many as the queue holds are there before a core looks."""
    server = start_server(workers=2, settings=unix_settings(tmp_path))
    server.signal(signal.SIGSTOP)
    waiting = [WsClient(server.client_sockets[0], handshake=False) for _ in range(400)]
    server.signal(signal.SIGCONT)
    for client in waiting:
        client.handshake()
    counts = per_core(server, "ringcast_connections")
    assert sum(counts) == 400
    assert max(counts) <= 200 * 1.05 + 16 + 9, counts
    for client in waiting:
        client.abandon()


def test_check_names_mistakes_of_listeners_without_opening_them(tmp_path):
    from ringcast.server import clean_environment, program
    config = tmp_path / "ringcast.toml"
    config.write_text('[[listener]]\naddress = "unix:/run/x.sock"\nmode = "0999"\n')
    done = subprocess.run([program("ringcastd"), "--check", "--config", config], env=clean_environment(),
                          capture_output=True, text=True)
    assert done.returncode == 2
    assert "ringcast.toml:3: listener.mode: must be " in done.stderr
    assert not os.path.exists("/run/x.sock")
