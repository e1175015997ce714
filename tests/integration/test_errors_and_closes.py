"""The error table of contract.md 3: the error's text, then the close frame with its code as the reason. The codes about
rates, time, slowness and draining stand in files of their own."""
import pytest

from ringcast import TEXT, encode_frame, unique


@pytest.fixture
def client(server):
    with server.connect() as client:
        yield client


def subscribe(**data):
    return {"type": "subscribe", "data": data}


def test_invalid_message_stays_open(client):
    for n in range(30):
        client.send_json({"type": "nonsense", "id": n})
        client.expect_error("invalid_message", id=n)
    client.round_trip()


def test_subscription_failed_stays_open(client):
    for n in range(30):
        client.send_json({**subscribe(topics=["*"]), "id": n})
        client.expect_error("subscription_failed", id=n)
    client.round_trip()


def test_the_fifth_unauthorized_in_a_row_closes(client):
    client.subscribe("user")
    for n in range(4):
        client.send_json(subscribe(userId="other"))
        client.expect_error("unauthorized")
    client.send_json({**subscribe(userId="other"), "id": "the last"})
    client.expect_error("unauthorized", id="the last")
    client.expect_close(1008, "unauthorized")


def test_processes_nothing_behind_the_fifth_unauthorized(client):
    client.subscribe("user")
    refused = encode_frame(TEXT, '{"type":"subscribe","data":{"userId":"other"}}')
    client.send_bytes(refused * 5 + encode_frame(TEXT, '{"type":"subscribe","id":1,"data":{"topics":["a"]}}') + refused)
    for _ in range(5):
        client.expect_error("unauthorized")
    client.expect_close(1008, "unauthorized")


@pytest.mark.parametrize("between", [{"type": "pong"}, {"type": "nonsense"}, subscribe(userId="user"),
                                     {"type": "unsubscribe", "data": {"topics": []}}])
def test_any_other_message_begins_the_row_anew(client, between):
    client.subscribe("user")
    for _ in range(3):
        for _ in range(4):
            client.send_json(subscribe(userId="other"))
            client.expect_error("unauthorized")
        client.send_json(between)
        if between["type"] == "nonsense":
            client.expect_error("invalid_message")
    client.round_trip()


def test_each_kind_of_unauthorized_counts(server, client):
    mark = {"type": "mark_read", "data": {"notificationId": "a"}}
    client.send_json(mark)
    client.expect_error("unauthorized")
    client.send_json(mark)
    client.expect_error("unauthorized")
    client.send_json(mark)
    client.expect_error("unauthorized")
    client.send_json(mark)
    client.expect_error("unauthorized")
    client.send_json(mark)
    client.expect_refusal("unauthorized", 1008)


def test_disconnected_has_the_backends_reason(either):
    user = unique("user")
    for reason, words in ((None, "disconnected"), ("account closed", "account closed"), ("à bientôt " * 9, "à bientôt " * 9),
                          ("r" * 123, "r" * 123)):
        clients = [either.connect() for _ in range(5)]
        stranger = either.connect()
        stranger.subscribe(unique("other"))
        for client in clients:
            client.subscribe(user)
        assert either.api.disconnect(user, reason) == 5
        for client in clients:
            assert client.expect_error("disconnected") == words
            client.expect_close(1008, words)
        stranger.expect_nothing()
        stranger.abandon()
    assert either.api.disconnect(user) == 0


def test_disconnected_comes_behind_what_was_published_before(server, client):
    user = unique("user")
    client.subscribe(user)
    for n in range(20):
        server.api.to_user(user, n)
    server.api.disconnect(user, "bye")
    for n in range(20):
        client.expect_json({"type": "custom", "data": n})
    assert client.expect_error("disconnected") == "bye"
    client.expect_close(1008, "bye")


def test_forgets_a_closed_connection_before_its_client_answers(server, client):
    user = unique("user")
    client.subscribe(user)
    server.api.disconnect(user)
    server.api.to_user(user, "too late")
    client.expect_error("disconnected")
    client.expect_close(1008, "disconnected")
    assert server.api.user(user)["connections"] == []
