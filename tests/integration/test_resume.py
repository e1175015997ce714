"""Offsets, replay, resumption and read marks: contract.md 3 and 5."""
import random
import re
import threading

import pytest

from ringcast import eventually, together, unique

OFFSET = re.compile(r"\S+-\d+")


@pytest.fixture
def user():
    return unique("user")


@pytest.fixture
def client(server):
    with server.connect() as client:
        yield client


def asks(client, id=None, **data):
    """A subscribe whose ack is not awaited."""
    client.send_json({"type": "subscribe", "data": data, **({} if id is None else {"id": id})})


def received(client, count):
    """The next messages as (type, data, offset)."""
    return [(m["type"], m["data"], m.get("offset")) for m in (client.next_message() for _ in range(count))]


def custom(published):
    """What received() has for these (data, offset) pairs."""
    return [("custom", data, offset) for data, offset in published]


def publish(server, user, numbers, **more):
    """(data, offset) of each."""
    return [(n, server.api.to_user(user, n, **more)["offset"]) for n in numbers]


# --- the shapes of asking and answering ---

@pytest.mark.parametrize("asked", [{"offsets": True}, {"since": "0"}, {"replay": "unread"}, {"offsets": True, "since": "0"},
                                   {"offsets": True, "replay": "unread"}])
@pytest.mark.parametrize("id", [None, 7])
def test_is_acked_always(server, client, user, asked, id):
    asks(client, id, userId=user, **asked)
    data = client.expect_ack(id)
    assert set(data) == {"offset", "gap", "unreadCount"}
    assert (data["gap"], data["unreadCount"]) == (False, 0)
    assert OFFSET.fullmatch(data["offset"])
    client.expect_nothing()


def test_is_not_acked_without_any_of_them(server, client, user):
    asks(client, userId=user, offsets=False)
    asks(client, userId=user, sync=True)
    asks(client, userId=user, sync=False)
    client.expect_nothing()


@pytest.mark.parametrize("data", [
    {"since": "0", "replay": "unread"}, {"since": "0", "topics": ["a"], "userId": None}, {"since": 0}, {"since": None}, {"since": True},
    {"since": ["0"]}, {"since": ""}, {"since": "00"}, {"since": "1"}, {"since": " 0"}, {"since": "0 "}, {"since": "-"}, {"since": "-5"},
    {"since": "abc"}, {"since": "abc-"}, {"since": "abc-x"}, {"since": "abc--1"}, {"since": "abc-1.0"}, {"since": "abc-01"},
    {"since": "x" * 1000}, {"since": "a" * 1000 + "-1"}, {"since": "a-" + "1" * 30}, {"since": "a-1\0"},
    {"replay": "all"}, {"replay": ""}, {"replay": True}, {"replay": None}, {"replay": 1}, {"replay": ["unread"]},
    {"offsets": 1}, {"offsets": "true"}, {"offsets": None}, {"sync": 1}, {"sync": "true"}, {"sync": None}, {"sync": {}},
])
def test_refuses_other_values(client, user, data):
    asks(client, 1, **{"userId": user, **data})
    client.expect_error("invalid_message", id=1)
    client.expect_nothing()
    client.subscribe(unique("other"))  # nothing was changed


def test_since_needs_a_user(client):
    asks(client, 1, since="0")
    client.expect_error("invalid_message", id=1)
    asks(client, 2, since="0", topics=["a"])
    client.expect_error("invalid_message", id=2)


def test_since_may_come_when_the_user_is_known(server, client, user):
    client.subscribe(user)
    published = publish(server, user, [1])
    client.expect_json({"type": "custom", "data": 1})
    client.subscribe(topics=[], since="0")
    assert received(client, 1) == custom(published)


# --- offsets ---

def test_messages_of_the_log_have_their_offset(server, client, user):
    topic = unique("topic")
    start = client.subscribe(user, [topic], offsets=True)["offset"]
    answer = server.api.notify(user)
    message = client.next_message()
    assert list(message) == ["type", "data", "offset"]
    assert message["offset"] == answer["offset"] != start
    second = server.api.to_user(user, 1)["offset"]
    client.expect_json({"type": "custom", "data": 1, "offset": second})
    third = server.api.to_user(user, 2, topic=topic)["offset"]
    client.expect_json({"type": "custom", "data": 2, "offset": third})
    assert len({start, answer["offset"], second, third}) == 4
    server.api.to_topic(topic, 3)
    client.expect_json({"type": "custom", "data": 3})
    server.api.to_user(user, 4, store=False)
    client.expect_json({"type": "custom", "data": 4})
    server.api.publish({"type": "custom", "broadcast": True, "data": 5})
    client.expect_json({"type": "custom", "data": 5})


def test_messages_to_several_users_have_an_offset_too(server, client, user):
    client.subscribe(user, offsets=True)
    server.api.publish({"type": "custom", "userIds": [user, unique("other")], "data": 1})
    message = client.next_message()
    assert OFFSET.fullmatch(message["offset"])
    with server.connect() as other:
        assert other.subscribe(user, offsets=True)["offset"] == message["offset"]


def test_who_asks_for_nothing_sees_no_offset(server, client, user):
    client.subscribe(user)
    server.api.to_user(user, 1)
    client.expect_json({"type": "custom", "data": 1})


def test_the_acks_offset_is_the_newest(server, client, user):
    published = publish(server, user, range(3))
    assert client.subscribe(user, offsets=True)["offset"] == published[-1][1]
    client.expect_nothing()


# --- since ---

@pytest.mark.smoke
def test_since_0_replays_everything_and_goes_live(either, user):
    first = either.api.notify(user, "one")["offset"]
    second = either.api.to_user(user, 2, type="job_update_x")["offset"]
    third = either.api.notify(user, "three")["offset"]
    with either.connect() as client:
        ack = client.subscribe(user, since="0")
        assert (ack["offset"], ack["gap"], ack["unreadCount"]) == (third, False, 2)
        replayed = received(client, 3)
        assert [(kind, offset) for kind, _, offset in replayed] == [("notification", first), ("job_update_x", second),
                                                                    ("notification", third)]
        assert [replayed[0][1]["title"], replayed[1][1], replayed[2][1]["title"]] == ["one", 2, "three"]
        live = publish(either, user, [4])
        assert received(client, 1) == custom(live)
        client.expect_nothing()


def test_since_is_exclusive(server, client, user):
    published = publish(server, user, range(6))
    for n in range(6):
        with server.connect() as client:
            ack = client.subscribe(user, since=published[n][1])
            assert (ack["offset"], ack["gap"]) == (published[-1][1], False)
            assert received(client, 5 - n) == custom(published[n + 1:])
            client.expect_nothing()


def test_the_ack_comes_before_the_first_message(server, client, user):
    publish(server, user, range(50))
    for _ in range(10):
        with server.connect() as client:
            asks(client, userId=user, since="0")
            assert client.next_message()["type"] == "ack"
            assert [data for _, data, _ in received(client, 50)] == list(range(50))


def test_a_message_with_a_topic_needs_the_topic_in_a_replay_too(server, client, user):
    topic, other = unique("topic"), unique("topic")
    plain = publish(server, user, ["plain"])
    with_topic = publish(server, user, ["with topic"], topic=topic)
    with_other = publish(server, user, ["with other"], topic=other)
    more = publish(server, user, ["more"])
    for topics, expected in ((None, plain + more), ([topic], plain + with_topic + more),
                             ([other, topic], plain + with_topic + with_other + more)):
        with server.connect() as client:
            ack = client.subscribe(user, topics, since="0")
            assert ack["offset"] == more[-1][1]
            assert received(client, len(expected)) == custom(expected)
            client.expect_nothing()


def test_topics_that_were_held_before_count_in_a_replay(server, client, user):
    topic = unique("topic")
    published = publish(server, user, ["with topic"], topic=topic)
    client.subscribe(user, [topic])
    client.subscribe(topics=[], since="0")
    assert received(client, 1) == custom(published)


def test_topic_messages_without_a_user_are_not_replayed(server, client, user):
    topic = unique("topic")
    server.api.to_topic(topic, 1)
    server.api.publish({"type": "custom", "broadcast": True, "data": 1})
    server.api.to_user(user, 1, store=False)
    client.subscribe(user, [topic], since="0")
    client.expect_nothing()


def test_a_replayed_notification_shows_read_as_it_is_now(server, client, user):
    ids = [server.api.notify(user, str(n))["id"] for n in range(3)]
    assert server.api.mark_read(user, ids[1]).status == 200
    ack = client.subscribe(user, since="0")
    assert ack["unreadCount"] == 2
    assert [(data["id"], data["read"]) for _, data, _ in received(client, 3)] == [(ids[0], False), (ids[1], True), (ids[2], False)]


def test_a_deleted_notification_is_not_replayed(server, client, user):
    ids = [server.api.notify(user, str(n))["id"] for n in range(3)]
    assert server.api.request("DELETE", f"/api/users/{user}/notifications/{ids[1]}").status == 204
    client.subscribe(user, since="0")
    assert [data["id"] for _, data, _ in received(client, 2)] == [ids[0], ids[2]]
    client.expect_nothing()


def another_epoch(offset):
    epoch, _, number = offset.rpartition("-")
    return ("b" if epoch[0] == "a" else "a") + epoch[1:] + "-" + number


def test_an_offset_of_another_epoch_is_a_gap(server, client, user):
    published = publish(server, user, range(3))
    ack = client.subscribe(user, since=another_epoch(published[1][1]))
    assert (ack["gap"], ack["offset"]) == (True, published[-1][1])
    assert received(client, 3) == custom(published)
    client.expect_nothing()


def test_an_offset_above_the_newest_is_a_gap(server, client, user):
    published = publish(server, user, range(3))
    epoch, _, number = published[-1][1].rpartition("-")
    ack = client.subscribe(user, since=f"{epoch}-{int(number) + 1000}")
    assert (ack["gap"], ack["offset"]) == (True, published[-1][1])
    assert received(client, 3) == custom(published)


def test_an_offset_older_than_what_is_kept_is_a_gap(start_server):
    server = start_server(settings={"inbox": {"notifications_per_user": 5}, "limits": {"messages_per_second": 1000}})
    published = publish(server, "u", range(12))
    notifications = [server.api.notify("u", str(n))["offset"] for n in range(7)]

    def resume(since):
        with server.connect() as client:
            ack = client.subscribe("u", since=since)
            messages = received(client, 10)
            client.expect_nothing()
            return ack, messages

    kept = [offset for _, offset in published[-5:]] + notifications[-5:]
    for since in (published[0][1], published[5][1]):
        ack, messages = resume(since)
        assert (ack["gap"], ack["offset"], ack["unreadCount"]) == (True, notifications[-1], 5)
        assert [offset for _, _, offset in messages] == kept
    ack, messages = resume("0")
    assert ack["gap"] is False
    assert [offset for _, _, offset in messages] == kept


def test_resumes_over_a_kill_and_restart(start_server, tmp_path):
    server = start_server(data_dir=tmp_path / "data")
    published = publish(server, "u", range(20))
    server.kill()
    server = start_server(data_dir=tmp_path / "data", workers=2)
    published += publish(server, "u", range(20, 25))
    with server.connect() as client:
        ack = client.subscribe("u", since=published[4][1])
        assert (ack["gap"], ack["offset"]) == (False, published[-1][1])
        assert received(client, 20) == custom(published[5:])
        client.expect_nothing()


# --- replay ---

@pytest.mark.smoke
def test_replays_the_unread_oldest_first(server, client, user):
    ids = [server.api.notify(user, str(n))["id"] for n in range(5)]
    server.api.to_user(user, "no notification")
    server.api.mark_read(user, ids[0])
    server.api.mark_read(user, ids[3])
    ack = client.subscribe(user, replay="unread")
    assert (ack["gap"], ack["unreadCount"]) == (False, 3)
    messages = received(client, 3)
    assert [data["id"] for _, data, _ in messages] == [ids[1], ids[2], ids[4]]
    assert all(kind == "notification" and data["read"] is False and OFFSET.fullmatch(offset) for kind, data, offset in messages)
    live = publish(server, user, ["live"])
    assert received(client, 1) == custom(live)
    client.expect_nothing()


def test_replays_no_unread_of_a_topic_that_is_not_held(server, client, user):
    topic = unique("topic")
    server.api.notify(user, "with topic", topic=topic)
    plain = server.api.notify(user, "plain")["id"]
    ack = client.subscribe(user, replay="unread")
    assert ack["unreadCount"] == 2
    assert [data["id"] for _, data, _ in received(client, 1)] == [plain]
    client.expect_nothing()


# --- what a replay costs and what waits behind it ---

def test_a_replay_does_not_count_towards_the_queue(start_server):
    server = start_server(settings={"limits": {"send_queue_messages": 5, "send_queue_bytes": 20000}})
    server.api.publish_lines([{"type": "custom", "userId": "u", "data": {"n": n, "x": "x" * 2000}} for n in range(900)])
    client = server.connect(receive_buffer=4096)
    client.subscribe("u", since="0")
    for n in range(900):
        assert client.next_message()["data"]["n"] == n
    live = server.api.to_user("u", {"n": 900})["offset"]
    client.expect_json({"type": "custom", "data": {"n": 900}, "offset": live})
    client.close()


def test_newer_messages_wait_behind_a_replay(either, user):
    either.api.publish_lines([{"type": "custom", "userId": user, "data": {"n": n, "x": "x" * 3000}} for n in range(1000)])
    with either.connect(receive_buffer=4096) as client:
        asks(client, userId=user, since="0")
        assert client.next_message()["type"] == "ack"
        for n in range(1000, 1050):
            either.api.to_user(user, {"n": n})
        messages = [client.next_message()]
        while messages[-1]["data"]["n"] != 1049:
            messages.append(client.next_message())
        first = messages[0]["data"]["n"]
        assert [m["data"]["n"] for m in messages] == list(range(first, 1050))
        assert first in (0, 50)  # of 1,050 messages the newest 1,000 are kept
        assert len({m["offset"] for m in messages}) == len(messages)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.smoke
def test_no_gap_and_no_duplicate_while_others_publish(start_server, workers):
    """Clients come, stay for a while, go, and resume where they were, under a stream of publications."""
    server = start_server(workers=workers, settings={"limits": {"messages_per_second": 1000}})
    total = 400
    server.api.to_user("u", -1)

    def publisher():
        api = server.new_api()
        for n in range(total):
            api.to_user("u", n)
        api.close()

    def resumer(seed):
        rng = random.Random(seed)
        seen, offset = [], "0"
        while True:
            with server.connect() as client:
                assert client.subscribe("u", since=offset)["gap"] is False
                for _ in range(rng.randrange(1, 60)):
                    message = client.next_message()
                    seen.append(message["data"])
                    offset = message["offset"]
                    if message["data"] == total - 1:
                        client.expect_nothing()
                        assert seen == list(range(-1, total))
                        return

    together(publisher, *[lambda seed=seed: resumer(seed) for seed in range(4)])


def test_replay_goes_over_to_live_without_a_seam(start_server):
    server = start_server(workers=2, settings={"limits": {"messages_per_second": 1000}})
    total = 300

    def publisher():
        api = server.new_api()
        for n in range(total):
            api.notify("u", str(n))
        api.close()

    def newcomer(pause):
        eventually(lambda: server_has(pause))
        with server.connect() as client:
            client.subscribe("u", replay="unread")
            titles = [client.next_message()["data"]["title"] for _ in range(total)]
            assert titles == [str(n) for n in range(total)]
            client.expect_nothing()

    api_lock = threading.Lock()

    def server_has(count):
        with api_lock:
            return server.api.user("u")["unreadCount"] >= count

    together(publisher, *[lambda pause=pause: newcomer(pause) for pause in (0, 20, 100, 250)])


# --- read marks ---

def read_mark(id, unread):
    return {"type": "notification_read", "data": {"notificationId": id, "unreadCount": unread}}


@pytest.mark.smoke
def test_sync_tells_of_marks_by_the_users_other_connections(either, user):
    ids = [either.api.notify(user)["id"] for _ in range(3)]
    with either.connect() as marker, either.connect() as listener, either.connect() as plain, either.connect() as stranger:
        marker.subscribe(user, sync=True)
        listener.subscribe(user, sync=True)
        plain.subscribe(user)
        stranger.subscribe(unique("other"), sync=True)
        marker.mark_read(ids[1])
        listener.expect_json(read_mark(ids[1], 2))
        marker.expect_nothing()
        either.api.mark_read(user, ids[0])
        for client in (marker, listener):
            client.expect_json(read_mark(ids[0], 1))
        marker.mark_read(ids[0])  # again: nothing
        assert either.api.mark_read(user, ids[1]).status == 200
        for client in (marker, listener, plain, stranger):
            client.expect_nothing()
        assert either.api.mark_all_read(user).json() == {"marked": 1}
        for client in (marker, listener):
            client.expect_json({"type": "notification_read", "data": {"all": True, "unreadCount": 0}})
        either.api.mark_all_read(user)
        for client in (marker, listener, plain, stranger):
            client.expect_nothing()


def test_since_with_sync_tells_of_marks_made_meanwhile(server, client, user):
    ids = [server.api.notify(user)["id"] for _ in range(3)]
    with server.connect() as before:
        offset = before.subscribe(user, offsets=True, sync=True)["offset"]
    server.api.mark_read(user, ids[2])
    live = server.api.to_user(user, "between")["offset"]
    server.api.mark_read(user, ids[0])
    client.subscribe(user, since=offset, sync=True)
    messages = [client.next_message() for _ in range(3)]
    assert [m["type"] for m in messages] == ["notification_read", "custom", "notification_read"]
    assert messages[0]["data"]["notificationId"] == ids[2]
    assert messages[1] == {"type": "custom", "data": "between", "offset": live}
    assert messages[2]["data"] == {"notificationId": ids[0], "unreadCount": 1}
    client.expect_nothing()


def test_since_without_sync_tells_of_no_marks(server, client, user):
    id = server.api.notify(user)["id"]
    with server.connect() as before:
        offset = before.subscribe(user, offsets=True)["offset"]
    server.api.mark_read(user, id)
    client.subscribe(user, since=offset)
    client.expect_nothing()
    other = server.api.notify(user)["id"]
    assert client.next_message()["data"]["id"] == other
    server.api.mark_read(user, other)
    client.expect_nothing()


def test_a_mark_moves_the_newest_offset_no_client_sees_twice(server, client, user):
    """After a mark, resuming at the ack's offset brings nothing again."""
    id = server.api.notify(user)["id"]
    server.api.mark_read(user, id)
    with server.connect() as first:
        offset = first.subscribe(user, offsets=True, sync=True)["offset"]
    ack = client.subscribe(user, since=offset, sync=True)
    assert (ack["gap"], ack["offset"]) == (False, offset)
    client.expect_nothing()


# --- one resume upon the other ---

def test_resumes_upon_each_other_are_done_one_by_one(server, client, user):
    published = publish(server, user, range(3))
    for id in (1, 2, 3):
        asks(client, id, userId=user, since="0")
    acked = []
    while 3 not in acked:
        message = client.next_message()
        if message["type"] == "ack":
            acked.append(message["id"])
            assert message["data"]["offset"] == published[-1][1]
    assert acked == [1, 2, 3]
    assert received(client, 3) == custom(published)
    client.expect_nothing()


def test_a_resume_that_is_given_up_is_acked_too(server, client, user):
    published = publish(server, user, range(3))
    asks(client, 1, userId=user, since="0")
    client.send_json({"type": "unsubscribe", "data": {}, "id": 2})
    messages = []
    while {m.get("id") for m in messages} != {1, 2}:
        messages += [m for m in [client.next_message()] if m["type"] == "ack"]
    (ack,) = [m for m in messages if m["id"] == 1]
    assert ack["data"]["offset"] == published[-1][1]
