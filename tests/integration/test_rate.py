"""Ten messages in any second: contract.md 3, rate_limit_exceeded. The window slides."""
import json
import time

import pytest

from ringcast import CLOSE, PING, PONG, TEXT, Server, close_payload, encode_frame, until

ROUND_TRIP = {"type": "unsubscribe", "data": {"topics": []}}


@pytest.fixture(scope="module")
def strict():
    server = Server()
    yield server
    try:
        server.stop()
    finally:
        server.cleanup()


@pytest.fixture
def client(strict):
    with strict.connect() as client:
        yield client


def asked(client, id):
    """One message whose ack is awaited; the times around it."""
    before = time.monotonic()
    client.send_json({**ROUND_TRIP, "id": id})
    client.expect_ack(id)
    return before, time.monotonic()


def burst(count, first=0):
    return b"".join(encode_frame(TEXT, json.dumps({**ROUND_TRIP, "id": n})) for n in range(first, first + count))


def test_ten_at_once_pass(client):
    client.send_bytes(burst(10))
    for n in range(10):
        client.expect_ack(n)
    assert client.pending_frames() == []


@pytest.mark.parametrize("piece", [None, 50])
def test_the_eleventh_closes_and_nothing_more_is_processed(client, piece):
    client.send_bytes(burst(30), piece)
    for n in range(10):
        client.expect_ack(n)
    client.expect_refusal("rate_limit_exceeded", 1008)


@pytest.mark.parametrize("text", ['{"type":"pong"}', "nonsense", "", '{"type":"subscribe","data":{"topics":["bad topic"]}}',
                                  '{"type":"subscribe","data":{"topics":["a"]}}'])
def test_every_text_message_counts(client, text):
    client.send_bytes(encode_frame(TEXT, text) * 10 + burst(1))
    errors = 0
    while True:
        message = client.next_message()
        assert message["type"] == "error", message
        if message["data"]["code"] == "rate_limit_exceeded":
            break
        errors += 1
    assert errors in (0, 10)
    client.expect_close(1008, "rate_limit_exceeded")


def test_fragments_count_once_and_empty_ones_not_at_all(client):
    for n in range(10):
        client.send_fragments(TEXT, json.dumps({**ROUND_TRIP, "id": n}).encode(), 5)
        client.expect_ack(n)
    client.send_frame(TEXT, b"", fin=False)
    assert client.pending_frames() == []
    client.send_frame(0, b"")
    client.expect_refusal("rate_limit_exceeded", 1008)


def test_a_second_after_the_first_there_is_room_again(client):
    began, answered = asked(client, 0)
    client.send_bytes(burst(9, 1))
    for n in range(1, 10):
        client.expect_ack(n)
    until(answered + 1.02)
    for n in range(10, 14):
        asked(client, n)


def test_the_eleventh_within_the_second_closes_however_late(client):
    began, _ = asked(client, 0)
    client.send_bytes(burst(9, 1))
    for n in range(1, 10):
        client.expect_ack(n)
    until(began + 0.75)
    client.send_json({**ROUND_TRIP, "id": 10})
    client.expect_refusal("rate_limit_exceeded", 1008)


def test_no_border_lets_twenty_through(client):
    """Ten just before the border of any fixed window that begins at the first message, and more behind it."""
    _, answered = asked(client, 0)
    until(answered + 0.7)
    client.send_bytes(burst(9, 1))
    for n in range(1, 10):
        client.expect_ack(n)
    until(answered + 1.05)  # the first has left the window, the nine have not
    asked(client, 10)
    client.send_json({**ROUND_TRIP, "id": 11})
    client.expect_refusal("rate_limit_exceeded", 1008)


def test_a_steady_ten_a_second_goes_on(client):
    began = time.monotonic()
    for n in range(20):
        until(began + n * 0.13)
        client.send_json({**ROUND_TRIP, "id": n})
    for n in range(20):
        client.expect_ack(n)


def test_each_connection_has_its_own_window(strict):
    clients = [strict.connect() for _ in range(5)]
    for client in clients:
        client.subscribe("same user")
        client.send_bytes(burst(9))
    for client in clients:
        for n in range(9):
            client.expect_ack(n)
        client.abandon()


@pytest.mark.parametrize("opcodes", [[PING], [PONG], [PING, PONG]])
def test_the_eleventh_control_frame_in_a_second_closes(client, opcodes):
    client.send_bytes(b"".join(encode_frame(opcodes[n % len(opcodes)], b"%d" % n) for n in range(11)))
    for n in range(10):
        if opcodes[n % len(opcodes)] == PING:
            client.expect_frame(PONG, b"%d" % n)
    client.expect_refusal("rate_limit_exceeded", 1008)


def test_control_frames_and_messages_count_apart_and_a_close_not_at_all(client):
    client.send_bytes(encode_frame(PONG) * 10 + burst(10) + encode_frame(CLOSE, close_payload(1000)))
    for n in range(10):
        client.expect_ack(n)
    client.expect_close(1000)


def test_control_frames_have_room_again_after_a_second(client):
    for n in range(10):
        client.send_frame(PING, b"%d" % n)
        client.expect_frame(PONG, b"%d" % n)
    until(time.monotonic() + 1.02)
    client.send_frame(PING, b"again")
    client.expect_frame(PONG, b"again")


def test_a_flood_ends_at_the_first_too_many(strict):
    for frame in (encode_frame(PING, b"x" * 100), encode_frame(TEXT, '{"type":"pong"}')):
        with strict.connect() as client:
            try:
                client.send_bytes(frame * 20000)
            except OSError:
                pass
            seen = 0
            while (received := client.receive_frame()) is not None and received.opcode == PONG:
                seen += 1
            assert seen <= 10
            if received is not None:  # a reset may have overtaken it
                assert received.opcode == TEXT and b"rate_limit_exceeded" in received.payload
    with strict.connect() as client:
        client.round_trip()


def test_the_limit_is_a_setting(start_server):
    server = start_server(settings={"limits": {"messages_per_second": 3}})
    with server.connect() as client:
        client.send_bytes(burst(4))
        for n in range(3):
            client.expect_ack(n)
        client.expect_refusal("rate_limit_exceeded", 1008)
