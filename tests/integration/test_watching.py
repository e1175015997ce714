"""ringcastctl status and top."""
import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading

import pytest

from ringcast import eventually, unique
from ringcast.screen import Screen
from ringcast.server import clean_environment, program
from ringcast.stall import stopped

pytestmark = pytest.mark.skipif(not program("ringcastctl").exists(), reason="not part of a sanitizer build")
PATIENCE = 30.0


def command(server, *args):
    return [program("ringcastctl"), *args, "--api", "http://%s:%d" % server.api_address]


def environment(server):
    return {**clean_environment(), "RINGCAST_API_KEY": server.api_key()}


def ask(server, *args, key=None):
    env = environment(server) if key is None else {"RINGCAST_API_KEY": key}
    return subprocess.run(command(server, *args), env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE)


def summary(text):
    """The rows by their names."""
    return {line[:13].rstrip(): line[13:] for line in text.splitlines()}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- status


@pytest.mark.smoke
def test_status_sums_up_a_healthy_server(start_server):
    server = start_server(workers=2, settings={"limits": {"connections_per_user": 2}})
    with server.connect() as first, server.connect() as second:
        first.subscribe("u", ["t", "s"])
        second.subscribe("u")
        server.api.notify("u")
        server.api.to_topic("t", 1)
        assert server.api.post("/api/publish", {"type": "Bad", "userId": "u", "data": 1}).status == 400
        with server.connect() as third:
            third.subscribe("u")
            stats = server.api.get("/api/stats").json()
            shown = ask(server, "status")
    assert (shown.returncode, shown.stderr) == (0, ""), shown
    rows = summary(shown.stdout)
    assert re.fullmatch(r"ringcast %s at %s:%d, up \d+ s, 2 workers" % (re.escape(stats["version"]), *server.api_address),
                        rows.pop("server"))
    assert re.fullmatch(r"[\d.]+ [MG]iB", rows.pop("memory"))
    assert re.fullmatch(r"up, 0 waiting, [\d.]+ KiB: 1 users, 1 notifications, 0 messages", rows.pop("store"))
    assert re.fullmatch(r"1 of 1\.0 requests each, p50 < [\d.]+ [mu]s, p99 < [\d.]+ [mu]s", rows.pop("commits"))
    assert re.fullmatch(r"3 live, 0 replayed; [\d.]+ (KiB|B) sent", rows.pop("delivered"))
    assert re.fullmatch(r"[23] \([01] more in a handshake\)", rows.pop("connections"))  # the oldest is being closed
    assert re.fullmatch(r"[23] connections, [02] to topics", rows.pop("subscribed"))
    assert rows == {"health": "ready", "published": "1 to the store, 1 live; 0 on their way", "slow clients": "0 closed",
                    "refused": "publications 1, connections_per_user 1", "trouble": "none"}


def test_status_prints_the_servers_answer_as_json(server):
    shown = ask(server, "status", "--json")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert set(json.loads(shown.stdout)) == set(server.api.get("/api/stats").json())


def test_status_of_a_server_that_drains(start_server):
    server = start_server(settings={"drain_time": "1m"})
    clients = [server.connect() for _ in range(3)]
    server.signal(signal.SIGTERM)
    eventually(lambda: server.api.get("/readyz").status == 503)
    for args in ([], ["--json"]):
        shown = ask(server, "status", *args)
        assert (shown.returncode, shown.stderr) == (1, "ringcastctl: not ready: draining\n"), shown
        assert json.loads(shown.stdout)["workers"] == 1 if args else summary(shown.stdout)["health"] == "NOT READY: draining"
    for client in clients:
        client.abandon()


def test_status_of_a_server_that_cannot_store(start_server):
    server = start_server()
    server.api.notify("u")
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    assert server.api.post("/api/publish", {"type": "notification", "userId": "u", "data": {}}).status == 503
    shown = ask(server, "status")
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert (shown.returncode, shown.stderr) == (1, "ringcastctl: not ready: the store is down\n"), shown
    rows = summary(shown.stdout)
    assert rows["health"] == "NOT READY: the store is down" and rows["store"].startswith("DOWN, ")
    assert rows["trouble"] == "store failures 1"
    eventually(lambda: ask(server, "status").returncode == 0)


def test_status_says_why_there_is_none(server):
    refused = ask(server, "status", key="wrong")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("ringcastctl: 401 unauthorized: ") and refused.stderr.count("\n") == 1
    nobody = subprocess.run([program("ringcastctl"), "status", "--api", "http://127.0.0.1:1", "--api-key", "k"], env={},
                            capture_output=True, text=True, timeout=PATIENCE)
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert nobody.stderr == "ringcastctl: no server listens at 127.0.0.1:1; start one with tools/run or ringcastd\n"
    clients = "http://%s:%d" % server.address
    elsewhere = subprocess.run([program("ringcastctl"), "status", "--api", clients, "--api-key", "k"], env={},
                               capture_output=True, text=True, timeout=PATIENCE)
    assert elsewhere.returncode == 1
    assert elsewhere.stderr == "ringcastctl: %s:%d is not the API of a ringcast server: it answers 404 to /readyz\n" % server.address


def test_status_waits_no_longer_than_told(start_server):
    server = start_server()
    with stopped(server.pid):
        shown = ask(server, "status", "--timeout", "150ms")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr == "ringcastctl: %s:%d: no answer within 0.15 s\n" % server.api_address


@pytest.mark.parametrize("args", [["status", "--timeout", "1ms"], ["status", "--timeout", "soon"], ["top", "--interval", "2h"]])
def test_a_time_that_is_none_is_refused(args):
    shown = subprocess.run([program("ringcastctl"), *args], env={}, capture_output=True, text=True, timeout=PATIENCE)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr == f"ringcastctl: {args[1]}: must be from 100ms to 1h, for example 5s\n"


# ---- top, a line for each look


class Rows:
    """`ringcastctl top` into pipes."""

    def __init__(self, server, *args):
        self.process = subprocess.Popen(command(server, "top", *args), env=environment(server), text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.names = None

    def next(self):
        line = self.process.stdout.readline()
        if self.names is None:
            self.names = line.split()
            line = self.process.stdout.readline()
        values = line.split()
        assert len(values) == len(self.names), line
        return dict(zip(self.names, [values[0], *map(float, values[1:])]))

    def next_note(self):
        return re.sub(r"^\d\d:\d\d:\d\d ", "", self.process.stderr.readline().rstrip("\n"))

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def top_rows():
    started = []

    def start(server, *args):
        started.append(Rows(server, *args))
        return started[-1]

    yield start
    for rows in started:
        rows.close()


def test_top_prints_the_rates_between_looks(start_server, top_rows):
    server = start_server()
    stop, api = threading.Event(), server.new_api()

    def publish():
        while not stop.is_set():
            api.to_user("u", 1)
            api.to_topic("t", 1)

    with server.connect() as first, server.connect() as second:
        first.subscribe("u", ["t"])
        second.subscribe("u", ["t"])
        publisher = threading.Thread(target=publish)
        publisher.start()
        try:
            rows = top_rows(server, "--interval", "400ms", "--count", "3")
            seen = [rows.next() for _ in range(3)]
            assert rows.process.wait(PATIENCE) == 0
        finally:
            stop.set()
            publisher.join()
            api.close()
    slack = 2 / 0.4  # one publication and its deliveries, on their way at a look
    for row in seen:
        assert re.fullmatch(r"\d\d:\d\d:\d\d", row["time"])
        assert row["connections"] == 2 and row["publishes/s"] > 0
        assert row["deliveries/s"] == pytest.approx(2 * row["publishes/s"], abs=2 * slack), row
        assert row["commits/s"] == pytest.approx(row["publishes/s"] / 2, abs=slack), row
        assert row["batch"] == 1 and row["commit_p99_ms"] > 0
        assert row["bytes/s"] > 20 * row["deliveries/s"]
        assert 1 < row["memory_mib"] < 1000
    assert rows.process.stdout.read() == rows.process.stderr.read() == ""


def test_top_survives_a_restart_of_the_server(start_server, top_rows, tmp_path):
    how = {"data_dir": tmp_path / "data", "settings": {"api_listen": [f"127.0.0.1:{free_port()}"]}}
    server = start_server(**how)
    for _ in range(3):
        server.api.notify("u")
    rows = top_rows(server, "--interval", "100ms")
    assert rows.next()["publishes/s"] == 0
    server.stop()
    notes = [rows.next_note()]
    while not notes[-1].startswith("away: no server listens at "):
        notes.append(rows.next_note())  # of its end, as far as a look met it
    server = start_server(**how)
    notes = {rows.next_note()}
    while not notes >= {"ready", "the server has been restarted; rates begin anew"}:
        notes.add(rows.next_note())
    with server.connect():
        eventually(lambda: rows.next()["connections"] == 1)
    rows.process.send_signal(signal.SIGTERM)
    assert rows.process.wait(PATIENCE) == 0


def test_top_ends_with_status_1_where_nobody_is_or_the_key_is_wrong(server, top_rows):
    rows = top_rows(server, "--api-key", "wrong")
    assert rows.process.wait(PATIENCE) == 1
    assert rows.process.stderr.read().startswith("ringcastctl: 401 unauthorized: ")
    shown = subprocess.run([program("ringcastctl"), "top", "--api", "http://127.0.0.1:1", "--api-key", "k"], env={},
                           capture_output=True, text=True, timeout=PATIENCE)
    assert (shown.returncode, shown.stdout) == (1, "") and "no server listens at 127.0.0.1:1" in shown.stderr


def test_top_says_that_the_server_was_away_at_the_end(start_server, top_rows):
    server = start_server()
    rows = top_rows(server, "--interval", "200ms", "--timeout", "100ms", "--count", "3")
    rows.next()
    with stopped(server.pid):
        assert rows.process.wait(PATIENCE) == 1
    assert re.fullmatch(r"\d\d:\d\d:\d\d away: (.*)\nringcastctl: \1\n", rows.process.stderr.read())


def test_top_ends_when_nobody_reads_its_lines(server, top_rows):
    rows = top_rows(server, "--interval", "100ms")
    rows.next()
    rows.process.stdout.close()
    assert rows.process.wait(PATIENCE) == -signal.SIGPIPE


# ---- top, live


@pytest.fixture
def live():
    screens = []

    def start(server, *args, interval="100ms", env=None):
        screens.append(Screen(command(server, "top", "--interval", interval, *args),
                              env={"RINGCAST_API_KEY": server.api_key(), **(env or {})}))
        return screens[-1]

    yield start
    for screen in screens:
        screen.close()


def is_complete(lines):
    return lines[0].startswith(" ringcast ") and lines[-1].startswith(" q: quit")


def has(words):
    return lambda lines: is_complete(lines) and any(words in line for line in lines)


def test_live_shows_the_server_and_each_core(start_server, live):
    server = start_server(workers=2)
    user = unique("user")
    clients = [server.connect() for _ in range(4)]
    for client in clients:
        client.subscribe(user)
    screen = live(server)
    screen.wait(has("%s:%d  ready" % server.api_address))
    assert screen.alternate and not screen.cursor_shown
    screen.wait(has("connections            4  accepts                0"))
    server.api.notify(user)
    lines = screen.wait(lambda lines: has("commits")(lines) and [line for line in lines if re.match(r"deliveries? |.*deliveries +[1-9]", line)] and lines)
    assert any(re.search(r"^store +up, 0 waiting, .*: 1 users, 1 notifications, 0 messages", line) for line in lines)
    at = next(n for n, line in enumerate(lines) if line.startswith("core connections"))
    cores = [re.split(r" {2,}| (?=[0-9-])", line.strip()) for line in lines[at + 1:at + 3]]
    assert [core[0] for core in cores] == ["0", "1"]
    assert sum(int(core[1]) for core in cores) == 4
    for client in clients:
        client.abandon()


@pytest.mark.parametrize("end", ["q", "ctrl-c", "term", "count"])
def test_live_leaves_the_terminal_as_it_was(server, live, end):
    screen = live(server, *(["--count", "2"] if end == "count" else []))
    screen.wait(lambda lines: screen.alternate and is_complete(lines))
    if end != "count":
        assert screen.modes_now() != screen.modes, "keys come singly"
    if end == "term":
        os.kill(screen.pid, signal.SIGTERM)
    elif end != "count":
        screen.type(b"q" if end == "q" else b"\x03")
    assert screen.wait_for_exit() == 0
    assert not screen.alternate and screen.cursor_shown and screen.plain_text == ""
    assert screen.modes_now() == screen.modes


def test_live_gives_the_terminal_back_while_it_is_stopped(server, live):
    screen = live(server)
    screen.wait(is_complete)
    screen.type(b"\x1a")
    screen.wait(lambda _: not screen.alternate)
    eventually(lambda: open(f"/proc/{screen.pid}/stat", encoding="ascii").read().rpartition(")")[2].split()[0] == "T")
    assert screen.cursor_shown and screen.modes_now() == screen.modes
    os.kill(screen.pid, signal.SIGCONT)
    screen.wait(lambda lines: screen.alternate and is_complete(lines))
    screen.type(b"q")
    assert screen.wait_for_exit() == 0
    assert screen.modes_now() == screen.modes


@pytest.mark.parametrize("columns, rows", [(120, 40), (40, 10), (10, 3), (80, 1)])
def test_live_follows_the_size_of_the_terminal(start_server, live, columns, rows):
    server = start_server(workers=12)
    screen = live(server, interval="1h")  # so that nothing but the new size draws it anew
    screen.wait(has("and 5 more cores: a higher terminal shows them"))
    screen.resize(columns, rows)
    lines = screen.wait(lambda lines: all(lines[n] for n in (0, rows - 1)) and lines)  # Screen fails on what is too long
    if rows == 40:
        assert lines[-1].startswith(" q: quit") and sum(bool(re.match(r" +\d+ +0 ", line)) for line in lines) == 12
    screen.type(b"q")
    assert screen.wait_for_exit() == 0


def test_live_says_that_the_server_is_away_and_goes_on_when_it_is_back(start_server, live, tmp_path):
    how = {"data_dir": tmp_path / "data", "settings": {"api_listen": [f"127.0.0.1:{free_port()}"]}}
    server = start_server(**how)
    for _ in range(3):
        server.api.notify("u")
    screen = live(server)
    screen.wait(has("  ready"))
    server.stop()
    screen.wait(has("AWAY"))
    screen.wait(has(": no server listens at %s:%d" % server.api_address))
    server = start_server(**how)
    screen.wait(has("  ready"))
    lines = screen.wait(lambda lines: lines[-1].strip().startswith("q: quit") and "restarts seen: 1, the last at" in lines[-1] and lines)
    assert not any(re.search(r"-\d", line.replace("restarts", "")) for line in lines), "no rate is below zero"
    with server.connect():
        screen.wait(has("connections            1 "))
    screen.type(b"q")
    assert screen.wait_for_exit() == 0


def test_live_takes_no_terminal_for_a_server_that_is_not_there(live, server):
    screen = live(server, "--api-key", "wrong")
    assert screen.wait_for_exit() == 1
    assert screen.plain_text.startswith("ringcastctl: 401 unauthorized: ") and screen.plain_text.count("\n") == 1


@pytest.mark.parametrize("how", [{"args": ["--plain"]}, {"env": {"TERM": "dumb"}}], ids=["asked", "dumb"])
def test_a_terminal_can_have_lines(server, live, how):
    screen = live(server, "--count", "2", *how.get("args", []), env=how.get("env"))
    assert screen.wait_for_exit() == 0
    lines = screen.plain_text.split("\r\n")
    assert lines[0].split()[0] == "time" and len(lines) == 4 and not lines[3]
