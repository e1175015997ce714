"""ringcast.service under a live systemd: what only process 1 can show. Run by tests/kernel/service."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from ringcast.api import Api
from ringcast.client import HandshakeRefused, WsClient
from ringcast.waiting import eventually

CLIENTS, API = ("127.0.0.1", 5000), ("127.0.0.1", 5001)
CONFIG = pathlib.Path("/etc/ringcast/ringcast.toml")
DROP_IN = pathlib.Path("/run/systemd/system/ringcast.service.d/test.conf")


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True)


def systemctl(*words, check=True):
    done = run("systemctl", *words, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr + journal()
    return done


def show(name):
    return systemctl("show", "ringcast", f"--property={name}", "--value").stdout.strip()


def journal():
    return run("journalctl", "-b", "-o", "cat", "-u", "ringcast", "--no-pager").stdout


def api_key():
    return pathlib.Path("/var/lib/ringcast/api.key").read_text(encoding="ascii").strip()


@pytest.fixture
def service():
    """Running with the installed configuration and unit; stopped behind the test, and both as installed again."""
    installed = CONFIG.read_text(encoding="utf-8")
    systemctl("start", "ringcast")
    yield
    systemctl("stop", "ringcast", check=False)
    CONFIG.write_text(installed, encoding="utf-8")
    DROP_IN.unlink(missing_ok=True)
    systemctl("daemon-reload")
    systemctl("reset-failed", "ringcast", check=False)


def drop_in(text):
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.write_text(text + "\n", encoding="ascii")
    systemctl("daemon-reload")


def restart_with(settings):
    CONFIG.write_text(settings + CONFIG.read_text(encoding="utf-8"), encoding="utf-8")
    systemctl("restart", "ringcast")


def test_start_returns_when_clients_are_served(service):
    with WsClient(CLIENTS) as client:
        client.subscribe(1, ["t"])
        api = Api(API, api_key())
        api.to_topic("t", "hello")
        client.expect_json({"type": "custom", "data": "hello"})
        assert api.get("/readyz", key=None).status == 200
        api.close()
    assert show("ActiveState") == "active"
    assert show("StatusText") == "ringcastd ready clients 127.0.0.1:5000 [::1]:5000 api 127.0.0.1:5001"
    assert "unpinned" not in journal()


def test_runs_as_its_user_with_nothing_to_spare(service):
    status = pathlib.Path(f"/proc/{show('MainPID')}/status").read_text(encoding="ascii")
    field = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.MULTILINE))
    uid = run("id", "-u", "ringcast").stdout.strip()
    assert field["Uid"].split() == [uid] * 4 and uid != "0"
    assert [int(field[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")] == [0, 0, 0]
    assert (field["NoNewPrivs"], field["Seccomp"]) == ("1", "2")
    limits = pathlib.Path(f"/proc/{show('MainPID')}/limits").read_text(encoding="ascii")
    assert re.search(r"Max open files +1048576 +1048576", limits), limits
    assert run("getent", "passwd", "ringcast").stdout.endswith("/var/lib/ringcast:/usr/sbin/nologin\n")
    data = pathlib.Path("/var/lib/ringcast")
    assert (data.stat().st_mode & 0o777, data.owner(), data.group()) == (0o700, "ringcast", "ringcast")


def test_reload_reads_the_key_and_disconnects_nobody(service):
    file, pid = pathlib.Path("/var/lib/ringcast/api.key"), show("MainPID")
    old, new = api_key(), "a-new-key-for-the-api"
    with WsClient(CLIENTS) as client:
        client.subscribe(1, ["t"])
        file.write_text(new + "\n", encoding="ascii")
        systemctl("reload", "ringcast")
        eventually(lambda: "API keys read anew: /var/lib/ringcast/api.key" in journal())
        api = Api(API, new)
        api.to_topic("t", "still here")
        client.expect_json({"type": "custom", "data": "still here"})
        api.close()
        file.write_text("", encoding="ascii")
        assert systemctl("reload", "ringcast", check=False).returncode != 0, "its first line must be the key"
        assert "ringcastd: /var/lib/ringcast/api.key: its first line must be the API key" in journal()
        file.write_text(old + "\n", encoding="ascii")
        systemctl("reload", "ringcast")
    assert (show("ActiveState"), show("MainPID")) == ("active", pid)


def test_stop_drains_and_succeeds(service):
    restart_with('drain_time = "1s"\n')
    clients = [WsClient(CLIENTS) for _ in range(3)]
    systemctl("stop", "--no-block", "ringcast")
    for client in clients:
        client.expect_error("shutting_down", timeout=30)
        client.expect_close(1012, "shutting_down")
    eventually(lambda: show("ActiveState") == "inactive")
    assert (show("Result"), show("ExecMainStatus")) == ("success", "0")


def test_a_drain_may_be_longer_than_the_stop_timeout(service):
    drop_in("[Service]\nTimeoutStopSec=2s")
    restart_with('drain_time = "6s"\n')
    clients = [WsClient(CLIENTS) for _ in range(3)]
    began = time.monotonic()
    systemctl("stop", "--no-block", "ringcast")
    eventually(lambda: show("StatusText").startswith("draining"))
    with pytest.raises(HandshakeRefused) as refused:
        WsClient(CLIENTS)
    assert refused.value.status == 503
    for client in clients:
        client.expect_error("shutting_down", timeout=30)
        client.expect_close(1012, "shutting_down")
    assert time.monotonic() - began > 4, "longer than the timeout"
    eventually(lambda: show("ActiveState") == "inactive")
    assert (show("Result"), show("ExecMainStatus")) == ("success", "0")


def test_a_second_sigterm_ends_a_drain(service):
    restart_with('drain_time = "1h"\n')
    clients = [WsClient(CLIENTS) for _ in range(3)]
    systemctl("stop", "--no-block", "ringcast")
    eventually(lambda: show("StatusText").startswith("draining"))
    systemctl("kill", "ringcast")
    eventually(lambda: show("ActiveState") == "inactive")
    assert show("Result") == "success"
    for client in clients:
        client.abandon()


def test_is_started_again_when_it_is_killed(service):
    first = show("MainPID")
    os.kill(int(first), signal.SIGKILL)
    eventually(lambda: show("ActiveState") == "active" and show("MainPID") not in ("0", first))
    assert show("NRestarts") == "1"
    WsClient(CLIENTS).abandon()


def test_a_killed_server_keeps_its_epoch_in_the_same_boot_and_has_another_in_the_next(service):
    restart_with('durability = "write"\n')

    def epoch():
        api = Api(API, api_key())
        offset = api.to_user("u", 1)["offset"]
        api.close()
        return offset.rpartition("-")[0]

    def kill():
        first = show("MainPID")
        os.kill(int(first), signal.SIGKILL)
        eventually(lambda: show("ActiveState") == "active" and show("MainPID") not in ("0", first))

    def passed():
        variables = pathlib.Path(f"/proc/{show('MainPID')}/environ").read_bytes().split(b"\0")
        return [variable.decode() for variable in variables if variable.startswith(b"BOOT_ID=")]

    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip().replace("-", "")
    assert passed() == [f"BOOT_ID={boot}"], "the unit's %b"
    before = epoch()
    kill()
    assert epoch() == before
    drop_in("[Service]\nEnvironment=BOOT_ID=0123456789abcdef0123456789abcdef")
    kill()
    assert epoch() != before


def test_an_address_in_use_is_not_tried_again(service):
    systemctl("stop", "ringcast")
    with socket.create_server(CLIENTS):
        assert systemctl("start", "ringcast", check=False).returncode != 0
        assert (show("ActiveState"), show("ExecMainStatus"), show("NRestarts")) == ("failed", "2", "0")


def test_a_wrong_configuration_gives_up_after_five_tries(service):
    systemctl("stop", "ringcast")
    CONFIG.write_text("workers = -1\n", encoding="utf-8")
    drop_in("[Unit]\nStartLimitIntervalSec=1h")  # an emulated machine may need more than the usual 10 s for five
    assert systemctl("start", "ringcast", check=False).returncode != 0
    eventually(lambda: show("ActiveState") == "failed", 120)
    line = "ringcastd: /etc/ringcast/ringcast.toml:1: workers: must be an integer from 0 to 64"
    assert journal().splitlines().count(line) == 5, journal()
