"""A publisher that asks again: idempotency keys and the ids of notifications."""

import json
import threading

import pytest

from ringcast.http_wire import build
from ringcast.world import world  # noqa: F401 (a fixture)


def with_key(key):
    return [("Idempotency-Key", key)]


def target_of(world, kind):
    user, topic = world.user(), world.topic()
    return {
        "userId": {"userId": user},
        "userIds": {"userIds": [user, world.user()]},
        "topic": {"topic": topic},
        "user and topic": {"userId": user, "topic": topic},
        "broadcast": {"broadcast": True},
        "not stored": {"userId": user, "store": False},
    }[kind], world.receiver(user=user, topics=[topic])


KINDS = ["userId", "userIds", "topic", "user and topic", "broadcast", "not stored"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_key_gives_the_same_answer_and_delivers_once(world, kind):
    target, receiver = target_of(world, kind)
    key = world.user()
    first = world.api.publish({"type": "news", **target, "data": {"n": 1}}, with_key(key))
    assert first.status == 200, first
    for api in (world.api, world.connect(), world.connect()):
        again = api.publish({"type": "news", **target, "data": {"n": 1}}, with_key(key))
        assert (again.status, again.json) == (200, first.json)
    world.mark()
    assert [m["data"] for m in receiver.until_mark()] == [{"n": 1}]


def test_a_notification_with_a_key_and_no_id_keeps_its_first_id(world):
    user = world.user()
    receiver = world.receiver(user=user)
    message = {"type": "notification", "userId": user, "data": {"title": "x"}}
    first = world.api.publish(message, with_key(user))
    again = world.api.publish(message, with_key(user))
    assert first.status == again.status == 200 and first.json == again.json
    world.mark()
    assert [m["data"]["id"] for m in receiver.until_mark()] == [first.json["id"]]


@pytest.mark.parametrize("kind", ["userId", "topic", "broadcast", "not stored"])
def test_the_same_key_with_other_content_is_a_conflict(world, kind):
    target, receiver = target_of(world, kind)
    key = world.user()
    base = {"type": "news", **target, "data": {"n": 1}}
    first = world.api.publish(base, with_key(key))
    assert first.status == 200
    other = [
        {**base, "type": "olds"},
        {**base, "data": {"n": 2}},
        {"type": "news", "userId": world.user(), "data": {"n": 1}},
        {"type": "news", "topic": world.topic(), "data": {"n": 1}},
    ]
    if "userId" in target:
        other.append({**base, "topic": world.topic(), "store": True})
    for message in other:
        answer = world.api.publish(message, with_key(key))
        assert answer.status == 409 and answer.error["code"] == "conflict", (message, answer)
    # `data` counts as bytes, what stands around it does not.
    spaced = json.dumps(base).encode().replace(b'{"n": 1}', b'{"n":1}')
    assert world.api.publish(spaced, with_key(key)).status == 409
    around = json.dumps(base).encode().replace(b'"data": ', b'"data":\n')
    assert world.api.publish(around, with_key(key)).json == first.json
    world.mark()
    assert [m["data"] for m in receiver.until_mark()] == [{"n": 1}]


def test_keys_are_global_and_exact(world):
    user = world.user()
    receiver = world.receiver(user=user)
    rows = [f"{user}.k", f"{user}.K", f"{user}.k ."[:-2] + "_", f"{user}.{{}}", f'{user}."q",;=~']
    for n, key in enumerate(rows):
        message = {"type": "news", "userId": user, "data": n}
        assert world.api.publish(message, with_key(key)).status == 200
    world.mark()
    assert [m["data"] for m in receiver.until_mark()] == list(range(len(rows)))


@pytest.mark.parametrize("batch", [False, True], ids=["header", "line"])
def test_the_length_of_a_key(world, batch):
    for length, fits in ((0, False), (1, True), (255, True), (256, False)):
        user = world.user()
        key = "12"[batch] if length == 1 else (user + "k" * 256)[:length]
        message = {"type": "news", "userId": user, "data": 1}
        if batch:
            answer = world.api.publish_lines([{**message, "idempotencyKey": key}])
            assert answer.json["accepted"] == int(fits), (length, answer)
        else:
            head = [("Idempotency-Key", key)] if key else []
            if not key:
                answer = send_with_empty_key(world, message)
            else:
                answer = world.api.publish(message, head)
            assert answer.status == (200 if fits else 400), (length, answer)
            assert fits or answer.error["code"] == "invalid_message"


def send_with_empty_key(world, message):
    body = json.dumps(message).encode()
    head = f"POST /api/publish HTTP/1.1\r\nHost: h\r\nX-API-Key: {world.key}\r\nIdempotency-Key:\r\n"
    with world.connect() as api:
        api.send(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return api.read_answer()


def test_two_keys_in_one_request_are_refused(world):
    message = {"type": "news", "userId": world.user(), "data": 1}
    answer = world.api.publish(message, with_key(world.user()) + with_key(world.user()))
    assert answer.status == 400


@pytest.mark.parametrize("value", [b"1", b"null", b"true", b"[]", b"{}"])
def test_a_lines_key_is_a_string(world, value):
    line = b'{"type":"news","userId":"a","data":1,"idempotencyKey":' + value + b"}"
    answer = world.api.publish_lines([line])
    assert answer.json["accepted"] == 0
    assert "idempotencyKey" in answer.json["rejected"][0]["message"]


def test_a_refused_request_does_not_take_its_key(world):
    user = world.user()
    receiver = world.receiver(user=user)
    bad = {"type": "notification", "userId": user, "data": {"title": 1}}
    assert world.api.publish(bad, with_key(user)).status == 400
    big = {"type": "news", "userId": user, "data": "x" * 65536}
    assert world.api.publish(big, with_key(user)).status == 413
    good = {"type": "notification", "userId": user, "data": {"title": "x"}}
    assert world.api.publish(good, with_key(user)).status == 200
    world.mark()
    assert len(receiver.until_mark()) == 1


def test_a_conflict_does_not_take_its_key(world):
    user, own = world.user(), world.user()
    message = {"type": "notification", "userId": user, "data": {"id": own, "title": "x"}}
    assert world.api.publish(message).status == 200
    other = {**message, "data": {"id": own, "title": "y"}}
    assert world.api.publish(other, with_key(user)).status == 409
    assert world.api.publish({"type": "news", "userId": user, "data": 1}, with_key(user)).status == 200


def test_lines_and_requests_share_the_keys(world):
    user = world.user()
    receiver = world.receiver(user=user)
    message = {"type": "news", "userId": user, "data": 1}
    assert world.api.publish(message, with_key(user)).status == 200
    batch = [{**message, "idempotencyKey": user}, {**message, "data": 2, "idempotencyKey": user}]
    answer = world.api.publish_lines(batch)
    assert answer.json["accepted"] == 1
    assert [(r["line"], r["code"]) for r in answer.json["rejected"]] == [(2, "conflict")]
    world.mark()
    assert [m["data"] for m in receiver.until_mark()] == [1]


def test_a_key_twice_in_one_batch_delivers_once(world):
    user, topic = world.user(), world.topic()
    receiver = world.receiver(user=user, topics=[topic])
    by_user = {"type": "news", "userId": user, "data": 1, "idempotencyKey": user}
    by_topic = {"type": "news", "topic": topic, "data": 2, "idempotencyKey": topic}
    answer = world.api.publish_lines([by_user, by_user, by_topic, by_topic])
    assert answer.json == {"accepted": 4, "rejected": []}
    world.mark()
    assert [m["data"] for m in receiver.until_mark()] == [1, 2]


def test_a_header_key_beside_ndjson_is_refused(world):
    answer = world.api.publish_lines([{"type": "news", "userId": "a", "data": 1}], with_key(world.user()))
    assert answer.status == 400 and answer.error["code"] == "invalid_message"


def test_a_single_messages_key_is_no_field_of_its_body(world):
    """The header is a single message's key; a field must not silently do nothing or something else."""
    user = world.user()
    receiver = world.receiver(user=user)
    message = {"type": "news", "userId": user, "data": 1, "idempotencyKey": user}
    answers = [world.api.publish(message).status for _ in range(2)]
    world.mark()
    delivered = len(receiver.until_mark())
    assert (answers, delivered) in [([400, 400], 0), ([200, 200], 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_requests_at_the_same_time_with_one_key_get_one_answer(world, kind):
    target, receiver = target_of(world, kind)
    rounds, publishers = 10, 6
    keys = [world.user() for _ in range(rounds)]
    start = threading.Barrier(publishers)
    answers = [[] for _ in range(publishers)]
    connections = [world.connect() for _ in range(publishers)]

    def publish(n):
        api = connections[n]
        for round_number, key in enumerate(keys):
            start.wait()
            message = {"type": "news", **target, "data": round_number}
            answer = api.publish(message, with_key(key))
            answers[n].append((answer.status, answer.json))

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(publishers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(publishers):
        assert len(answers[n]) == rounds
        assert answers[n] == answers[0]
        assert all(status == 200 for status, _ in answers[n])
    world.mark()
    assert [m["data"] for m in receiver.until_mark()] == list(range(rounds))


def test_pipelined_requests_with_one_key_get_one_answer(world):
    user = world.user()
    receiver = world.receiver(user=user)
    body = json.dumps({"type": "news", "userId": user, "data": 1}).encode()
    request = build("POST", "/api/publish", body, with_key(user), world.key)
    with world.connect() as api:
        api.send(request * 20)
        answers = [api.read_answer() for _ in range(20)]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    world.mark()
    assert [m["data"] for m in receiver.until_mark()] == [1]


# ---- the ids of notifications -------------------------------------------------------------------


def notification(own, users, **data):
    target = {"userIds": users} if isinstance(users, list) else {"userId": users}
    return {"type": "notification", **target, "data": {"id": own, **data}}


def test_a_notification_again_is_passed_over(world):
    user, own = world.user(), world.user()
    receiver = world.receiver(user=user)
    first = world.api.publish(notification(own, user, title="x"))
    again = world.api.publish(notification(own, user, title="x"))
    assert first.status == again.status == 200
    assert again.json == first.json
    world.mark()
    assert len(receiver.until_mark()) == 1
    assert world.api.request("GET", f"/api/users/{user}").json["unreadCount"] == 1


def test_only_users_who_have_not_got_it_get_it(world):
    users, own = [world.user() for _ in range(3)], world.user()
    receivers = [world.receiver(user=user) for user in users]
    assert world.api.publish(notification(own, users[1], title="x")).status == 200
    assert world.api.publish(notification(own, users, title="x")).status == 200
    world.mark()
    assert [[m["data"]["id"] for m in r.until_mark()] for r in receivers] == [[own]] * 3


def test_another_content_for_any_of_the_users_is_a_conflict_and_does_nothing(world):
    has, has_not, own = world.user(), world.user(), world.user()
    receivers = [world.receiver(user=user) for user in (has, has_not)]
    assert world.api.publish(notification(own, has, title="x")).status == 200
    for users in (has, [has_not, has], [has, has_not]):
        answer = world.api.publish(notification(own, users, title="y"))
        assert answer.status == 409 and answer.error["code"] == "conflict"
    topic = notification(own, has, title="x")
    topic["topic"] = world.topic()
    assert world.api.publish(topic).status == 409
    world.mark()
    assert [len(r.until_mark()) for r in receivers] == [1, 0]
    assert world.api.publish(notification(own, has_not, title="y")).status == 200, "an id is each user's own"


def test_the_same_id_pipelined_and_at_once_is_delivered_once(world):
    user = world.user()
    receiver = world.receiver(user=user)
    ids = [world.user() for _ in range(10)]
    start = threading.Barrier(4)
    answers = [[] for _ in range(4)]
    connections = [world.connect() for _ in range(4)]

    def publish(n):
        api = connections[n]
        for own in ids:
            start.wait()
            answers[n].append(api.publish(notification(own, user, title="x")).body)

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == answers[0] for mine in answers) and len(answers[0]) == 10
    world.mark()
    assert [m["data"]["id"] for m in receiver.until_mark()] == ids


def test_an_id_stays_taken_after_it_was_read(world):
    user, own = world.user(), world.user()
    receiver = world.receiver(user=user)
    assert world.api.publish(notification(own, user, title="x")).status == 200
    assert world.api.request("POST", f"/api/users/{user}/notifications/{own}/read", b"").status == 200
    assert world.api.publish(notification(own, user, title="x")).status == 200
    world.mark()
    assert len(receiver.until_mark()) == 1
    assert world.api.request("GET", f"/api/users/{user}").json["unreadCount"] == 0
