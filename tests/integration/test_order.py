"""Order, each once, on every core: contract.md 5."""
import json
import selectors
import threading
import time

import pytest

from ringcast import TEXT, Server, together, unique

CONNECTIONS = 40  # enough for each of two cores to have some


@pytest.fixture(scope="module")
def server():
    server = Server(workers=2, settings={"limits": {"messages_per_second": 1000, "connections_per_user": 0}})
    yield server
    try:
        server.stop()
    finally:
        server.cleanup()


@pytest.fixture
def clients(server):
    clients = [server.connect() for _ in range(CONNECTIONS)]
    yield clients
    for client in clients:
        client.abandon()


def collect(clients, enough):
    """The data of each client's next messages, read as they come until enough(data) holds for each; a number: so many."""
    if isinstance(enough, int):
        count, enough = enough, lambda data: len(data) >= count
    got = {client: [] for client in clients}
    deadline = time.monotonic() + 60
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        while not all(enough(data) for data in got.values()):
            assert time.monotonic() < deadline, sorted(len(data) for data in got.values())
            for key, _ in selector.select(0.1):
                client = key.data
                client._receive(time.monotonic())
                assert not client.ended
                while (frame := client.reader.next()) is not None:
                    assert frame.opcode == TEXT, frame
                    got[client].append(json.loads(frame.payload)["data"])
    return [got[client] for client in clients]


def test_messages_to_a_user_keep_their_order(server, clients):
    user = unique("user")
    for client in clients:
        client.subscribe(user)
    for n in range(100):
        server.api.to_user(user, n)
    server.api.publish_lines([{"type": "custom", "userId": user, "data": n} for n in range(100, 400)])
    for got in collect(clients, 400):
        assert got == list(range(400))
    for client in clients:
        client.expect_nothing()


def test_messages_of_a_topic_keep_their_order(server, clients):
    topic = unique("topic")
    for client in clients:
        client.subscribe(topics=[topic])
    for n in range(100):
        server.api.to_topic(topic, n)
    server.api.publish_lines([{"type": "custom", "topic": topic, "data": n} for n in range(100, 400)])
    for got in collect(clients, 400):
        assert got == list(range(400))
    for client in clients:
        client.expect_nothing()


@pytest.mark.parametrize("kind", ["topic", "userId"])
def test_everyone_sees_several_publishers_in_one_order(server, clients, kind):
    name = unique("shared")
    for client in clients:
        client.subscribe(**({"topics": [name]} if kind == "topic" else {"user": name}))

    def publisher(p):
        api = server.new_api()
        for n in range(60):
            api.publish({"type": "custom", kind: name, "data": [p, n]})
        api.close()

    results = together(lambda: collect(clients, 240), *[lambda p=p: publisher(p) for p in range(4)])[0]
    for got in results:
        assert got == results[0]
    for p in range(4):  # each waited for its answers
        assert [n for q, n in results[0] if q == p] == list(range(60))
    for client in clients:
        client.expect_nothing()


def test_kinds_mix_in_order_for_one_who_waits(server, clients):
    user, topic = unique("user"), unique("topic")
    for client in clients:
        client.subscribe(user, [topic])
    for n in range(120):
        target = ({"userId": user}, {"topic": topic}, {"userId": user, "topic": topic}, {"userIds": [user]})[n % 4]
        server.api.publish({"type": "custom", "data": n, **target})
    for got in collect(clients, 120):
        assert got == list(range(120))


def test_one_message_to_many_users_reaches_each_once(server, clients):
    users = [unique("user") for _ in clients]
    for client, user in zip(clients, users):
        client.subscribe(user)
    for n in range(20):
        server.api.publish({"type": "custom", "userIds": users + users[:5], "data": n})
    for got in collect(clients, 20):
        assert got == list(range(20))
    for client in clients:
        client.expect_nothing()


def test_who_joins_and_leaves_during_a_stream_sees_no_hole(server, clients):
    topic = unique("topic")
    steady, restless = clients[:20], clients[20:24]
    for client in steady:
        client.subscribe(topics=[topic])
    all_left = threading.Event()

    def publisher():
        api = server.new_api()
        n = 0
        while not all_left.is_set():
            api.to_topic(topic, n)
            n += 1
        api.to_topic(topic, None)
        api.close()
        return n

    def comes_and_goes(client):
        for _ in range(10):
            client.send_json({"type": "subscribe", "data": {"topics": [topic]}})
            got = [client.next_message()["data"] for _ in range(15)]
            client.send_json({"type": "unsubscribe", "id": "left", "data": {"topics": [topic]}})
            while (message := client.next_message())["type"] != "ack":
                got.append(message["data"])
            assert got == list(range(got[0], got[0] + len(got)))
            client.expect_nothing()

    def come_and_go():
        try:
            together(*[lambda c=c: comes_and_goes(c) for c in restless])
        finally:
            all_left.set()

    seen, total, _ = together(lambda: collect(steady, lambda data: None in data), publisher, come_and_go)
    for got in seen:
        assert got == [*range(total), None]
