"""Starting and ending: contract.md 1."""
import os
import re
import stat

import pytest

from ringcast import RawHttp, Server


@pytest.mark.smoke
def test_names_its_addresses_when_ready(server):
    assert re.search(r"^ringcastd ready clients 127\.0\.0\.1:\d+ api 127\.0\.0\.1:\d+$", server.stderr, re.MULTILINE)
    assert 0 not in (server.address[1], server.api_address[1])


def kernel_version():
    return tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups()))


@pytest.mark.smoke
def test_names_its_kernel_and_what_it_uses_of_it(server):
    (line,) = re.findall(r"io_uring of Linux (.*)", server.stderr)
    kernel, features = line.split(": ")
    assert kernel == os.uname().release
    assert {"DEFER_TASKRUN", "buffer ring", "multishot receive", "MSG_RING"} <= set(features.split(", "))
    assert ("direct descriptors" if kernel_version() >= (6, 13) else "ordinary descriptors") in features


@pytest.mark.smoke
def test_ends_tcp_although_others_stay_idle(start_server):
    """Before Linux 6.13 a direct descriptor that is closed stays open while others receive."""
    server = start_server()
    with server.connect() as idle, server.connect() as client:
        client.send_text("{}")
        client.expect_error("invalid_message")
        client.close()
        idle.round_trip()


def test_makes_an_api_key_that_only_its_user_reads(server):
    key_file = server.data_dir / "api.key"
    assert stat.S_IMODE(os.stat(key_file).st_mode) == 0o600
    assert str(key_file) in server.stderr
    assert server.api_key() not in server.stderr


def test_is_ready_at_every_log_level(start_server):
    server = start_server(args=["--log-level", "error"])
    assert "ready clients" in server.stderr


@pytest.mark.smoke
def test_ends_with_status_0(start_server):
    start_server().stop()


def test_keeps_its_key_over_a_restart(start_server, tmp_path):
    first = start_server(data_dir=tmp_path / "data")
    key = first.api_key()
    first.stop()
    second = start_server(data_dir=tmp_path / "data")
    assert second.api_key() == key
    second.wait_for_stderr(re.escape(str(tmp_path / "data" / "api.key")))


@pytest.mark.parametrize("which", ["address", "api_address"])
def test_refuses_an_address_in_use_with_status_2(server, which):
    taken = "127.0.0.1:%d" % getattr(server, which)[1]
    second = Server(args=["--listen" if which == "address" else "--api-listen", taken], ready=False)
    try:
        assert second.wait_for_exit() == 2
        assert taken in second.stderr
    finally:
        second.cleanup()


@pytest.mark.smoke
def test_refuses_a_data_directory_in_use_with_status_69(server):
    second = Server(data_dir=server.data_dir, ready=False)
    try:
        assert second.wait_for_exit() == 69
    finally:
        second.cleanup()


@pytest.mark.parametrize("settings, key", [({"nonsense": 1}, "nonsense"), ({"ping_interval": 5}, "ping_interval"),
                                           ({"limits": {"subscriptions": 0}}, "subscriptions"),
                                           ({"limits": {"nonsense": 0}}, "nonsense")])
def test_refuses_bad_settings_with_one_line_and_status_2(settings, key):
    server = Server(settings=settings, ready=False)
    try:
        assert server.wait_for_exit() == 2
        lines = server.stderr.splitlines()
        assert len(lines) == 1, lines
        assert key in lines[0] and server.config_file.name in lines[0]
        assert re.search(r"\b\d+\b", lines[0]), lines
    finally:
        server.cleanup()


@pytest.mark.smoke
def test_says_that_it_is_healthy_on_both_listeners(server):
    for address in (server.address, server.api_address):
        with RawHttp(address) as http:
            answer = http.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").read_response()
            assert (answer.status, answer.body.strip()) == (200, b"ok")


def test_environment_overrides_the_file_and_flags_the_environment(start_server):
    server = start_server(env={"RINGCAST_DATA_DIR": "/nonexistent/of-the-flag", "RINGCAST_LIMITS_SUBSCRIPTIONS": "1"},
                          settings={"limits": {"subscriptions": 50}})
    with server.connect() as client:
        client.subscribe(1, ["a"])
        client.send_json({"type": "subscribe", "data": {"topics": ["b"]}})
        client.expect_refusal("subscription_limit_exceeded", 1008)
