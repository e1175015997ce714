"""Subscriptions a connection and connections a user: contract.md 3."""
import pytest

from ringcast import eventually, unique


def names(first, count):
    return [f"t{n}" for n in range(first, first + count)]


@pytest.fixture
def client(server):
    with server.connect() as client:
        yield client


def refuse(client, topics):
    client.send_json({"type": "subscribe", "data": {"topics": topics}})
    client.expect_refusal("subscription_limit_exceeded", 1008)


def test_a_hundred_topics_are_allowed(server, client):
    client.subscribe(topics=names(0, 100))
    client.subscribe(topics=names(0, 100))
    server.api.to_topic("t0", 1)
    server.api.to_topic("t99", 2)
    client.expect_json({"type": "custom", "data": 1})
    client.expect_json({"type": "custom", "data": 2})


def test_the_101st_at_once_closes(client):
    refuse(client, names(0, 101))


def test_60_and_41_close(server, client):
    user = unique("user")
    client.subscribe(user, names(0, 60))
    refuse(client, names(60, 41))
    assert server.api.user(user)["connections"] == []


def test_60_and_40_are_allowed_and_one_more_is_not(client):
    client.subscribe(topics=names(0, 60))
    client.subscribe(topics=names(60, 40))
    refuse(client, names(100, 1))


def test_60_and_the_same_60_are_allowed(client):
    client.subscribe(topics=names(0, 60))
    client.subscribe(topics=names(0, 60))
    client.subscribe(topics=names(20, 80))


def test_one_name_twice_counts_once(client):
    client.subscribe(topics=names(0, 100) + names(0, 100))


def test_dropped_topics_make_room(client):
    client.subscribe(topics=names(0, 100))
    client.unsubscribe(names(0, 50))
    client.subscribe(topics=names(100, 50))
    client.unsubscribe()
    client.subscribe(topics=names(200, 100))
    refuse(client, names(0, 1))


def test_the_users_own_updates_are_no_topic(client):
    client.subscribe(unique("user"), names(0, 100))


def test_churn_leaves_nothing_behind(server, client):
    user = unique("user")
    for n in range(30):
        client.subscribe(user, names(n * 100, 100))
        client.unsubscribe(names(n * 100, 100))
    assert server.api.user(user)["connections"][0]["topics"] == []
    client.subscribe(topics=names(0, 100))


def test_topics_are_listed_by_the_api(server, client):
    user = unique("user")
    client.subscribe(user, ["b", "a"])
    assert sorted(server.api.user(user)["connections"][0]["topics"]) == ["a", "b"]


def test_the_number_of_subscriptions_is_a_setting(start_server):
    server = start_server(settings={"limits": {"subscriptions": 3}})
    with server.connect() as client:
        client.subscribe(topics=names(0, 3))
        refuse(client, names(3, 1))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("limit", [1, 3, 8])
@pytest.mark.smoke
def test_the_oldest_connection_of_a_user_goes(start_server, workers, limit):
    server = start_server(workers=workers, settings={"limits": {"connections_per_user": limit}})
    clients = []
    for n in range(limit + 6):
        clients.append(server.connect())
        clients[-1].subscribe("u")
        if n >= limit:
            clients[n - limit].expect_refusal("connection_limit_exceeded", 1008)
    with server.connect() as stranger:
        stranger.subscribe("other")
        stranger.expect_nothing()
    left = clients[-limit:]
    server.api.to_user("u", 1)
    for client in left:
        client.expect_json({"type": "custom", "data": 1})
        client.expect_nothing()
    assert len(server.api.user("u")["connections"]) == limit
    for client in left:  # who leaves makes room
        client.close()
    eventually(lambda: not server.api.user("u")["connections"])
    again = [server.connect() for _ in range(limit)]
    for client in again:
        client.subscribe("u")
    for client in again:
        client.expect_nothing()


@pytest.mark.parametrize("workers", [1, 2])
def test_sixty_four_connections_a_user_by_default(start_server, workers):
    server = start_server(workers=workers)
    clients = [server.connect() for _ in range(64)]
    for client in clients:
        client.subscribe("u")
    for client in clients:
        client.expect_nothing()
    one_more = server.connect()
    one_more.subscribe("u")
    clients[0].expect_refusal("connection_limit_exceeded", 1008)
    one_more.expect_nothing()
    clients[1].expect_nothing()


def test_a_burst_of_connections_of_one_user_leaves_the_limit(start_server):
    server = start_server(workers=2, settings={"limits": {"connections_per_user": 4}})
    clients = [server.connect() for _ in range(40)]
    for client in clients:
        client.send_json({"type": "subscribe", "data": {"userId": "u"}})
    eventually(lambda: len(server.api.user("u")["connections"]) == 4)
    refused = 0
    for client in clients:
        if client.pending_frames():
            refused += 1
    assert refused == 36


def test_zero_is_no_limit(server):
    user = unique("user")
    clients = [server.connect() for _ in range(80)]
    for client in clients:
        client.subscribe(user)
    assert len(server.api.user(user)["connections"]) == 80
    for client in clients:
        client.round_trip()
        client.abandon()


def test_connections_that_are_not_the_users_do_not_count(start_server):
    server = start_server(settings={"limits": {"connections_per_user": 1}})
    with server.connect() as mine, server.connect() as nobody, server.connect() as other:
        mine.subscribe("u")
        mine.subscribe("u")
        nobody.subscribe(topics=["a"])
        other.subscribe("v")
        for client in (mine, nobody, other):
            client.expect_nothing()
