"""Clients that do not read: contract.md 3, slow_consumer."""
import json
import time

import pytest

from ringcast import CLOSE, TEXT, eventually, unique

CHUNK = "x" * 60000


def stop_reading(server, user, topic):
    client = server.connect(receive_buffer=4096)
    client.subscribe(user, [topic])
    return client


def flood_until_gone(server, user, publish):
    """Publishes until the user has no connection. How many it took."""
    for n in range(2000):
        publish(n)
        if not server.api.user(user)["connections"]:
            return n + 1
    raise AssertionError("the slow client is still connected")


@pytest.mark.smoke
def test_a_client_that_does_not_read_is_dropped_and_no_other(either):
    slow_user, user, topic = unique("slow"), unique("user"), unique("topic")
    slow = stop_reading(either, slow_user, topic)
    with either.connect() as fast:
        fast.subscribe(user, [topic])

        def publish(n):
            either.api.to_topic(topic, {"n": n, "x": CHUNK})
            assert fast.next_message()["data"]["n"] == n

        began = time.monotonic()
        count = flood_until_gone(either, slow_user, publish)
        assert time.monotonic() - began < 20
        assert count * len(CHUNK) > 1 << 20  # not before its queue was full
        fast.round_trip()

    # What it still gets is whole, in order, and ends with the reason, if that could be sent.
    n = 0
    while (frame := slow.receive_frame()) is not None and frame.opcode == TEXT and b'"custom"' in frame.payload:
        assert json.loads(frame.payload)["data"]["n"] == n
        n += 1
    assert n < count
    if frame is not None:
        assert b'"slow_consumer"' in frame.payload
        closing = slow.receive_frame()
        if closing is not None:
            assert (closing.opcode, closing.close_code, closing.close_reason) == (CLOSE, 1013, "slow_consumer")
    slow.abandon()


def test_its_log_is_not_lost(server):
    user = unique("user")
    slow = stop_reading(server, user, unique("topic"))
    count = flood_until_gone(server, user, lambda n: server.api.to_user(user, {"n": n, "x": CHUNK}))
    slow.abandon()
    with server.connect() as client:
        assert client.subscribe(user, since="0")["gap"] is False
        for n in range(count):
            assert client.next_message()["data"]["n"] == n


@pytest.mark.parametrize("limits, data", [({"send_queue_messages": 10}, CHUNK[:20000]), ({"send_queue_bytes": 100000}, CHUNK)])
def test_the_limits_are_settings(start_server, limits, data):
    server = start_server(settings={"limits": limits})
    slow = stop_reading(server, "slow", "topic")
    flood_until_gone(server, "slow", lambda n: server.api.to_topic("topic", data))
    slow.abandon()


def test_a_burst_alone_is_no_slowness(either):
    """More messages than the queue may hold, published at once, to a client that reads."""
    user, topic = unique("user"), unique("topic")
    with either.connect() as client:
        client.subscribe(user, [topic])
        either.api.publish_lines([{"type": "custom", "topic": topic, "data": n} for n in range(4000)])
        for n in range(4000):
            assert client.next_message()["data"] == n
        client.expect_nothing()


def test_a_burst_is_no_slowness_with_a_short_queue(start_server):
    server = start_server(settings={"limits": {"send_queue_messages": 4}})
    with server.connect() as client:
        client.subscribe("u", ["t"])
        server.api.publish_lines([{"type": "custom", "topic": "t", "data": n} for n in range(500)])
        server.api.publish_lines([{"type": "custom", "userId": "u", "data": n} for n in range(500, 900)])
        for n in range(900):
            assert client.next_message()["data"] == n


def test_many_that_do_not_read_are_dropped(server):
    user, topic = unique("slow"), unique("topic")
    clients = [stop_reading(server, user, topic) for _ in range(20)]
    flood_until_gone(server, user, lambda n: server.api.to_topic(topic, CHUNK))
    for client in clients:
        client.abandon()
    with server.connect() as client:
        client.round_trip()


def test_a_slow_reader_that_reads_at_last_gets_everything(server):
    user, topic = unique("user"), unique("topic")
    client = stop_reading(server, user, topic)
    for n in range(12):
        server.api.to_topic(topic, {"n": n, "x": CHUNK})
    eventually(lambda: server.api.user(user)["connections"])
    for n in range(12):
        assert client.next_message()["data"]["n"] == n
    client.expect_nothing()
    client.abandon()
