"""The server's heartbeats, and clients that have gone silent: contract.md 3."""
import json
import selectors
import time

import pytest

from ringcast import PING, PONG, Server, until

HEARTBEAT = b'{"type":"ping"}'


@pytest.fixture(scope="module")
def brisk():
    """Heartbeats every 200 ms."""
    server = Server(settings={"ping_interval": "200ms"})
    yield server
    try:
        server.stop()
    finally:
        server.cleanup()


@pytest.fixture(scope="module")
def impatient():
    """Silence ends after 500 ms."""
    server = Server(settings={"inactivity_timeout": "500ms", "limits": {"messages_per_second": 1000}})
    yield server
    try:
        server.stop()
    finally:
        server.cleanup()


@pytest.mark.smoke
def test_comes_at_the_interval(brisk):
    with brisk.connect() as client:
        began = time.monotonic()
        for _ in range(10):
            assert client.next_text() == HEARTBEAT
        assert 1.7 <= time.monotonic() - began <= 4.0  # the first one at any time of the first interval


def test_comes_while_the_client_is_busy(brisk):
    with brisk.connect() as client:
        began = time.monotonic()
        while time.monotonic() - began < 1.0:
            client.round_trip()
            time.sleep(0.15)
        assert client.heartbeats >= 3


def test_needs_no_subscription_and_no_answer(brisk):
    with brisk.connect() as client:
        for _ in range(5):
            assert client.next_text() == HEARTBEAT
        client.round_trip()


def test_does_not_come_inside_of_other_frames(brisk):
    with brisk.connect() as client:
        client.subscribe("u", ["t"])
        for n in range(300):
            brisk.api.to_topic("t", {"n": n, "x": "x" * 5000})
            assert client.next_message()["data"]["n"] == n


@pytest.mark.parametrize("workers", [1, 2])
def test_is_spread_over_the_connections(start_server, workers):
    """50 connections of one burst: their heartbeats fill the interval, whatever the moment of connecting."""
    server = start_server(workers=workers, settings={"ping_interval": "500ms"})
    clients = [server.connect() for _ in range(50)]
    began = time.monotonic()
    seen = {client: [] for client in clients}
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        while time.monotonic() - began < 1.6:
            for key, _ in selector.select(0.05):
                key.data._receive(time.monotonic())
                while (frame := key.data.reader.next()) is not None:
                    assert frame.payload == HEARTBEAT
                    seen[key.data].append(time.monotonic() - began)
    for times in seen.values():
        assert 2 <= len(times) <= 4, times
        assert times[0] <= 0.8, times
    tenths = [0] * 10
    for times in seen.values():
        for moment in times:
            tenths[int(moment * 20) % 10] += 1
    total = sum(tenths)
    assert max(tenths) <= total * 0.4, tenths
    assert sum(1 for count in tenths if count) >= 6, tenths
    for client in clients:
        client.abandon()


def refused_after(client, began, low=0.45, high=2.5):
    client.expect_refusal("inactivity_timeout", 1008)
    assert low <= time.monotonic() - began <= high, time.monotonic() - began


@pytest.mark.smoke
def test_silence_closes(impatient):
    began = time.monotonic()
    with impatient.connect() as client:
        refused_after(client, began)


def test_silence_closes_who_has_subscribed_and_still_receives(impatient):
    with impatient.connect() as client:
        client.subscribe("u", ["t"])
        began = time.monotonic()
        while True:
            impatient.api.to_topic("t", 1)
            message = client.next_message()
            if message["type"] == "error":
                break
            assert time.monotonic() - began < 3
        assert message["data"]["code"] == "inactivity_timeout"
        assert time.monotonic() - began >= 0.45
        client.expect_close(1008, "inactivity_timeout")


def test_control_frames_are_no_activity(impatient):
    with impatient.connect() as client:
        began = time.monotonic()
        while time.monotonic() - began < 0.4:
            client.send_frame(PING, b"")
            client.expect_frame(PONG, b"")
            client.send_frame(PONG)
            time.sleep(0.12)
        refused_after(client, began)


@pytest.mark.parametrize("text", ['{"type":"pong"}', "nonsense", '{"type":"unsubscribe","data":{"topics":[]}}'])
def test_any_text_message_keeps_a_client(impatient, text):
    with impatient.connect() as client:
        began = time.monotonic()
        while time.monotonic() - began < 1.2:
            last = time.monotonic()
            client.send_text(text)
            until(last + 0.2)
        errors = 0
        while (message := client.next_message())["data"]["code"] != "inactivity_timeout":
            assert (text, message["data"]["code"]) == ("nonsense", "invalid_message")
            errors += 1
        assert errors == 0 or text == "nonsense"
        assert time.monotonic() - last >= 0.45
        client.expect_close(1008, "inactivity_timeout")


def test_a_message_under_way_is_no_activity(impatient):
    with impatient.connect() as client:
        began = time.monotonic()
        client.send_frame(1, json.dumps({"type": "pong"})[:5], fin=False)
        refused_after(client, began)


def test_silence_closes_each_at_its_own_time(impatient):
    clients = []
    for _ in range(20):
        clients.append((impatient.connect(), time.monotonic()))
        time.sleep(0.02)
    for client, began in clients:
        client.expect_refusal("inactivity_timeout", 1008)
        assert time.monotonic() - began >= 0.45
