"""SIGHUP: the key files are read anew, and nobody who is there notices."""
import os
import signal

import pytest

from ringcast import ServiceManager
from ringcast.api import Api
from ringcast.waiting import eventually

READ_ANEW = "info API keys read anew: "


def reload(server, line=READ_ANEW):
    """SIGHUP, and the line that says what came of it."""
    already = server.stderr.count(line)
    server.signal(signal.SIGHUP)
    eventually(lambda: server.stderr.count(line) > already)


def statuses(server, *keys):
    """What each key gets, on one connection."""
    api = Api(server.api_address, key=None)
    try:
        return [api.get("/api/stats", key=key).status for key in keys]
    finally:
        api.close()


def replace(file, text):
    """As an administrator should: never half a file."""
    fresh = file.with_name(file.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_new_key_is_in_force_on_every_core_and_nobody_is_disconnected(start_server, workers):
    server = start_server(workers=workers)
    old, new = server.api_key(), "a-new-key-for-the-api"
    with server.connect() as client:
        client.subscribe(1, ["t"])
        kept_alive = Api(server.api_address, key=None)
        assert kept_alive.get("/api/stats", key=old).status == 200
        replace(server.data_dir / "api.key", new + "\n")
        assert statuses(server, old, new) == [200, 401], "nothing is read unasked"
        reload(server)
        for _ in range(4 * workers):
            assert statuses(server, old, new) == [401, 200]
        assert kept_alive.get("/api/stats", key=old).status == 401, "open connections too"
        kept_alive.close()
        server.api = server.new_api()
        server.api.to_topic("t", "still here")
        client.expect_json({"type": "custom", "data": "still here"})
    assert old not in server.stderr and new not in server.stderr


def make_missing(file):
    file.unlink()


def make_empty(file):
    replace(file, "")


def make_directory(file):
    file.unlink()
    file.mkdir()


def make_pipe(file):
    file.unlink()
    os.mkfifo(file)


def make_huge(file):
    replace(file, "k" * (1 << 20) + "\n")


@pytest.mark.parametrize("spoil, why", [
    (make_missing, "cannot be read: No such file or directory"),
    (make_empty, "its first line must be the API key"),
    (make_directory, "is no ordinary file"),
    (make_pipe, "is no ordinary file"),
    (make_huge, "is larger than 1048576 bytes"),
])
def test_a_bad_file_keeps_the_last_good_key_and_writes_one_line(start_server, spoil, why):
    server = start_server()
    good, file = server.api_key(), server.data_dir / "api.key"
    spoil(file)
    reload(server, line=f"error {file}: {why}; the keys that were read before stay in force")
    assert statuses(server, good) == [200]
    assert server.stderr.count(str(file)) == 2, "one line at the start, one now"
    if file.is_dir():
        file.rmdir()
    replace(file, "good-again-and-long-enough\n")
    reload(server)
    assert statuses(server, good, "good-again-and-long-enough") == [401, 200]


def test_many_at_once_end_with_the_newest_content(start_server):
    server = start_server(workers=2)
    for n in range(50):
        replace(server.data_dir / "api.key", f"key-of-generation-{n:04}\n")
        server.signal(signal.SIGHUP)
    eventually(lambda: statuses(server, "key-of-generation-0049") == [200])
    reload(server)
    assert statuses(server, "key-of-generation-0049", "key-of-generation-0048") == [200, 401]


def test_a_key_of_the_environment_has_no_file(start_server):
    key = "the-environments-own-key"
    server = start_server(env={"RINGCAST_API_KEY": key})
    reload(server, line="info there is no key file to read")
    assert statuses(server, key) == [200]
    assert key not in server.stderr


def test_tells_the_service_manager_when_it_begins_and_when_it_is_done(start_server):
    manager = ServiceManager()
    try:
        server = start_server(env=manager.env)
        assert "READY" in manager.next()
        for spoil in (None, make_missing):
            if spoil:
                spoil(server.data_dir / "api.key")
            server.signal(signal.SIGHUP)
            told = manager.next()
            assert list(told) == ["RELOADING", "MONOTONIC_USEC"] and told["RELOADING"] == "1", told
            assert int(told["MONOTONIC_USEC"]) > 0
            assert manager.next() == {"READY": "1"}
    finally:
        manager.close()


def test_during_a_drain_it_is_no_second_signal_to_end(start_server):
    server = start_server(settings={"drain_time": "1h"})
    clients = [server.connect() for _ in range(2)]
    server.signal(signal.SIGTERM)
    server.wait_for_stderr("draining: signal")
    replace(server.data_dir / "api.key", "a-key-for-those-who-still-publish\n")
    reload(server)
    assert statuses(server, "a-key-for-those-who-still-publish") == [200]
    assert "ending now" not in server.stderr
    for client in clients:
        client.abandon()
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0


def test_one_before_it_is_ready_does_not_end_it(start_server):
    """Also where the program that starts it has it ignored, as nohup does."""
    server = start_server(under=["nohup"])
    reload(server)
    assert statuses(server, server.api_key()) == [200]
