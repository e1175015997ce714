"""The hard days: time that stands still or jumps (hazards.md N7, N8, N9). Slow ones: docs/testing.md."""
import pathlib
import threading
import time

import pytest

from ringcast import TEXT, RawHttp, build_has_sanitizer, encode_frame, eventually, together
from ringcast.stall import stalled, stopped, threads
from ringcast.swarm import metrics
from ringcast.world import seconds_since

FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
UNLIMITED = {"limits": {"messages_per_second": 10000, "connections_per_user": 0}}


def expect_in_order(client, count):
    """What a publisher said to this client's user and to its topic: each exactly once, each kind in its order."""
    seen = {"user": [], "topic": []}
    while len(seen["user"]) + len(seen["topic"]) < 2 * count:
        message = client.next_message()
        seen[message["type"]].append(message["data"])
    assert seen == {"user": list(range(count)), "topic": list(range(count))}
    client.expect_nothing()


# --- N9: the whole process stands still

STANDSTILL = {"ping_interval": "1s", "limits": {**UNLIMITED["limits"], "handshake_timeout": "1s"}}


def check_standstill(server, seconds):
    clients = [server.connect() for _ in range(30)]
    for client in clients:
        client.subscribe("u", ["t"])
    half_message = server.connect()
    frame = encode_frame(TEXT, '{"type":"subscribe","id":7,"data":{"topics":["x"]}}')
    half_message.send_bytes(frame[:20])
    eventually(lambda: server.api.get("/api/stats").json()["totals"]["frames_partial"] == 1)

    count, published, half_head = 200, threading.Event(), []

    def publish():
        api = server.new_api(patience=seconds + 15)
        for n in range(count):
            api.to_user("u", n, type="user")
            api.to_topic("t", n, type="topic")
            if n == count // 2:
                published.set()
                time.sleep(0.2)  # the rest falls into the standstill
        api.close()

    def stand_still():
        published.wait(30)
        half_head.append(RawHttp(server.address).send(b"GET /healthz HTTP/1.1\r\n"))
        eventually(lambda: metrics(server, "handshakes_pending")["handshakes_pending"] == 1)
        with stopped(server.pid):
            half_message.send_bytes(frame[20:])  # in time, though the server sees it late
            half_head[0].send(b"Host: a\r\n\r\n")
            time.sleep(seconds)

    together(publish, stand_still)
    half_message.expect_ack(7)
    assert half_head[0].read_response().status == 200
    for client in clients:
        expect_in_order(client, count)
        assert client.heartbeats <= seconds + 20, "one for all that were missed"
        client.close()
    half_message.close()
    half_head[0].socket.close()


def test_nobody_is_lost_while_the_process_stands_still(start_server):
    check_standstill(start_server(workers=2, settings=STANDSTILL), 2)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [8, 60])
def test_nobody_is_lost_while_the_process_stands_still_for_long(start_server, seconds):
    check_standstill(start_server(workers=2, settings=STANDSTILL), seconds)


# --- N8: one core stands still

def by_core(server, open_one, figure):
    """Opens until each core has some; a list of lists."""
    def count():
        return [core[figure] for core in server.api.get("/api/stats").json()["cores"]]
    found = [[], []]
    before = count()
    while min(len(some) for some in found) < 5 or sum(len(some) for some in found) < 20:
        one = open_one()
        now = count()
        found[0 if now[0] > before[0] else 1].append(one)
        before = now
    return found


def check_stalled_core(server, seconds):
    def client():
        client = server.connect()
        client.subscribe("u", ["t"])
        return client
    clients = by_core(server, client, "connections")
    apis = [[], []]
    while not apis[0]:
        api, before = server.new_api(), [core["api_requests_total"] for core in server.api.get("/api/stats").json()["cores"]]
        for _ in range(50):
            api.get("/healthz", key=None)
        after = [core["api_requests_total"] for core in server.api.get("/api/stats").json()["cores"]]
        apis[0 if after[0] - before[0] >= 50 else 1].append(api)
    api, slowest, answered = apis[0][0], 0.0, 0
    with stalled(threads(server.pid)["core-1"]):
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            for one in clients[0]:
                asked = time.monotonic()
                one.send_json({"type": "unsubscribe", "id": "still there", "data": {"topics": []}})
                while "ack" != (message := one.next_message())["type"]:
                    one.seen = getattr(one, "seen", []) + [message["data"]]
                slowest = max(slowest, time.monotonic() - asked)
            if answered < 300:  # fewer than a mailbox holds
                api.to_user("u", answered, type="user")  # by the store, to both cores
                answered += 1
            time.sleep(0.01)
        assert not any(one.pending_frames() for one in clients[1])
    assert slowest < 1, slowest
    assert answered > 50
    for one in clients[0] + clients[1]:
        seen = getattr(one, "seen", [])
        while len(seen) < answered:
            seen.append(one.next_message()["data"])
        assert seen == list(range(answered))
        one.expect_nothing()
        one.close()
    print(f"core-1 stood still for {seconds} s; {answered} publications meanwhile; the others' slowest answer took "
          f"{slowest * 1000:.0f} ms")
    for some in apis:
        for one in some:
            one.close()


def test_while_a_core_stalls_the_others_serve_and_it_catches_up(start_server):
    check_stalled_core(start_server(workers=2, settings=UNLIMITED), 2)


@pytest.mark.slow
def test_while_a_core_stalls_for_15_seconds_the_others_serve_and_it_catches_up(start_server):
    check_stalled_core(start_server(workers=2, settings=UNLIMITED), 15)


# --- N7: the wall clock jumps

@pytest.mark.skipif(not FAKETIME.exists(), reason="libfaketime is not installed")
def test_jumps_of_the_wall_clock_move_nothing_but_timestamps(start_server, tmp_path):
    if build_has_sanitizer():
        pytest.skip("a sanitizer will not be preloaded behind another library")
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    server = start_server(
        settings={"ping_interval": "500ms", "limits": {"handshake_timeout": "3s", "messages_per_second": 10}},
        env={"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1",
             "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"})
    client = server.connect()
    client.subscribe("u", offsets=True)
    numbers = []
    hour = 3600
    for jump, expected in (("+0", 0), ("+1h", -hour), ("-1h", hour), ("1970-01-02 00:00:00", None), ("+2d", -48 * hour)):
        half_head = RawHttp(server.address).send(b"GET /ws HTTP/1.1\r\n")
        offset.write_text(jump + "\n")
        began, heartbeats = time.monotonic(), client.heartbeats

        server.api.notify("u")
        message = client.next_message()
        numbers.append(int(message["offset"].rpartition("-")[2]))
        age = seconds_since(message["data"]["timestamp"])
        if expected is None:
            assert message["data"]["timestamp"].startswith("1970-01-0"), message
        else:
            assert abs(age - expected) < 60, (jump, message)

        half_head.expect_end()  # neither at once nor never
        assert 2 < time.monotonic() - began < 8, jump
        half_head.socket.close()
        for _ in range(9):  # within a second: the rate has not moved either
            client.send_json({"type": "unsubscribe", "id": 1, "data": {"topics": []}})
        for _ in range(9):
            client.expect_ack(1)
        passed = time.monotonic() - began
        assert abs((client.heartbeats - heartbeats) - passed / 0.5) <= 3, (jump, passed, client.heartbeats - heartbeats)
    assert numbers == sorted(set(numbers))
    assert [n["offset"] for n in server.api.notifications("u")["notifications"]] == [
        f"{message['offset'].rpartition('-')[0]}-{n}" for n in reversed(numbers)]
    client.close()
