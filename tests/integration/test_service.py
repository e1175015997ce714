"""ringcastd under a service manager: what it tells by sd_notify(3), and when."""
import os
import pathlib
import re
import signal
import sys

import pytest

from ringcast import Server, ServiceManager, WsClient, build_has_sanitizer
from ringcast.server import Process, program
from test_tokens import SECRET, jwt_settings, token

SECOND = 1_000_000  # of EXTEND_TIMEOUT_USEC
UNIT = pathlib.Path(__file__).resolve().parents[2] / "systemd/ringcast.service"


@pytest.fixture
def manager():
    manager = ServiceManager()
    yield manager
    manager.close()


def expect_stopping(manager, status, at_least_s):
    told = manager.next()
    assert list(told) == ["STOPPING", "STATUS", "EXTEND_TIMEOUT_USEC"] and told["STOPPING"] == "1", told
    assert told["STATUS"].startswith(status), told
    assert at_least_s * SECOND < int(told["EXTEND_TIMEOUT_USEC"]) <= (at_least_s + 60) * SECOND, told


@pytest.mark.parametrize("workers", [1, 2])
def test_tells_that_it_is_ready_then_that_it_stops(start_server, manager, workers):
    server = start_server(workers=workers, env=manager.env, settings={"drain_time": "200ms"})
    told = manager.next()
    assert list(told) == ["READY", "STATUS"] and told["READY"] == "1", told
    assert told["STATUS"] in server.stderr.splitlines(), "the status is the ready line"
    with server.connect() as client:
        client.subscribe(1)
        server.signal(signal.SIGTERM)
        expect_stopping(manager, "draining", 0.2)
        client.expect_error("shutting_down")
        client.expect_close(1012, "shutting_down")
    expect_stopping(manager, "drained", 0)
    assert server.wait_for_exit() == 0
    assert manager.heard_nothing_more()


def test_is_ready_only_when_it_serves(manager):
    """From the datagram alone, without the line: clients and probes are served."""
    server = Server(env=manager.env, args=["--listen", "127.0.0.1:0"], ready=False)
    try:
        told = manager.next(30)
        addresses = re.fullmatch(r"ringcastd ready clients 127\.0\.0\.1:(\d+) api 127\.0\.0\.1:(\d+)", told["STATUS"])
        assert addresses, told
        clients, api = ([("127.0.0.1", int(port))] for port in addresses.groups())
        server.client_addresses, server.api_addresses = clients, api
        assert server.new_api().get("/readyz", key=None).status == 200
        server.connect().close()
    finally:
        server.cleanup()


def test_a_drain_longer_than_the_stop_timeout_asks_for_its_time(start_server, manager):
    server = start_server(env=manager.env, settings={"drain_time": "1h"})
    manager.next()
    clients = [server.connect() for _ in range(2)]
    server.signal(signal.SIGTERM)
    expect_stopping(manager, "draining: closing the clients over 1h", 3600)
    server.signal(signal.SIGTERM)
    expect_stopping(manager, "ending now", 0)
    assert server.wait_for_exit() == 0
    for client in clients:
        client.abandon()


def test_a_signal_before_it_is_ready_ends_it_behind_that(tmp_path, manager):
    signalled = ("import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM});"
                 "os.kill(os.getpid(), signal.SIGTERM); os.execv(sys.argv[1], sys.argv[1:])")
    server = Process([sys.executable, "-c", signalled, program("ringcastd"), "--data-dir", tmp_path / "data",
                      "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"], env=manager.env)
    assert "READY" in manager.next(30)
    expect_stopping(manager, "draining", 10)
    expect_stopping(manager, "drained", 0)
    assert server.wait_for_exit() == 0


def test_a_start_that_fails_tells_nothing(manager):
    server = Server(env=manager.env, settings={"ping_interval": 5}, ready=False)
    assert server.wait_for_exit() == 2
    assert manager.heard_nothing_more()
    server.cleanup()


@pytest.mark.parametrize("socket", ["/nonexistent/notify", "no path", "@ringcast-nobody-%d" % os.getpid()])
def test_a_manager_out_of_reach_costs_a_line_and_nothing_else(start_server, socket):
    server = start_server(env={"NOTIFY_SOCKET": socket})
    assert server.api.get("/readyz", key=None).status == 200
    server.wait_for_stderr(r"warning the service manager cannot be told: \w+")
    server.stop()


# --- the unit's system call filter

def behind_the_units_filter(refused=""):
    sandbox = pathlib.Path(__file__).parent / "ringcast/sandbox.py"
    return ["/usr/bin/python3", sandbox, UNIT, refused]


without_sanitizer = pytest.mark.skipif(build_has_sanitizer(), reason="the filter is not made for sanitizers")


@without_sanitizer
@pytest.mark.parametrize("refused", ["", "setpriority"])
def test_tokens_are_checked_behind_the_units_filter(start_server, tmp_path, refused):
    (tmp_path / "secrets").write_text(SECRET + "\n")
    server = start_server(under=behind_the_units_filter(refused), settings=jwt_settings(tmp_path / "secrets"))
    if refused:
        server.wait_for_stderr("tokens: the sandbox refuses to lower its priority")
    assert ("lower its priority" in server.stderr) is bool(refused), server.stderr
    client = server.connect()
    client.send_json({"type": "subscribe", "id": 1, "data": {"token": token()}})
    client.expect_ack(1)


@without_sanitizer
@pytest.mark.parametrize("refused, pinned", [("", True), ("sched_setaffinity", False)])
def test_serves_behind_the_units_system_call_filter(start_server, manager, refused, pinned):
    server = start_server(workers=2, env=manager.env, under=behind_the_units_filter(refused),
                          settings={"drain_time": "200ms"})
    assert "READY" in manager.next()
    if not pinned:  # the log may come behind the ready line
        server.wait_for_stderr("runs unpinned")
    assert ("runs unpinned" in server.stderr) is not pinned, server.stderr
    clients = [server.connect() for _ in range(8)]
    for n, client in enumerate(clients):
        client.subscribe(n, ["t"])
    server.api.to_user(3, "for one")
    clients[3].expect_json({"type": "custom", "data": "for one"})
    server.api.to_topic("t", "for all")
    for client in clients:
        client.expect_json({"type": "custom", "data": "for all"})
    server.signal(signal.SIGTERM)
    for client in clients:
        client.expect_error("shutting_down", timeout=30)
        client.expect_close(1012, "shutting_down")
    assert server.wait_for_exit() == 0
    server.check_stderr()


@without_sanitizer
def test_a_unix_socket_is_made_behind_the_units_system_call_filter(start_server, tmp_path):
    """Not a `group`: the unit refuses chown."""
    listener = {"address": f"unix:{tmp_path}/client.sock", "mode": "0660"}
    server = start_server(settings={"listener": [listener]}, under=behind_the_units_filter())
    with WsClient(server.client_sockets[0]) as client:
        client.round_trip()
    assert os.stat(server.client_sockets[0]).st_mode & 0o777 == 0o660


@without_sanitizer
def test_a_filter_without_io_uring_ends_the_start_with_status_78():
    server = Server(under=behind_the_units_filter("io_uring_setup"), ready=False)
    assert server.wait_for_exit() == 78
    assert "allow io_uring_setup" in server.stderr.splitlines()[-1]
    server.cleanup()
