"""POST /api/publish with NDJSON: order, what is counted, and what is refused."""

import json

import pytest

from ringcast.http_wire import build
from ringcast.world import world, world2  # noqa: F401 (fixtures)

LIMIT = 16 << 20


def line(user, n):
    return {"type": "news", "userId": user, "data": n}


@pytest.mark.smoke
def test_lines_are_delivered_in_order(world):
    user, topic = world.user(), world.topic()
    by_user = world.receiver(user=user)
    by_topic = world.receiver(topics=[topic])
    lines = []
    for n in range(500):
        lines += [line(user, n), {"type": "news", "topic": topic, "data": n}]
    answer = world.api.publish_lines(lines)
    assert answer.status == 200 and answer.json == {"accepted": 1000, "rejected": []}
    for receiver in (by_user, by_topic):
        assert [receiver.next()["data"] for _ in range(500)] == list(range(500))
        assert receiver.is_silent()


@pytest.mark.smoke
def test_what_is_published_after_a_batchs_answer_comes_after_the_batch(world2):
    """Contract 5: order between the kinds holds for a publisher that waits for each answer."""
    for _ in range(20):
        user, topic = world2.user(), world2.topic()
        receivers = [world2.receiver(user=user), world2.receiver(topics=[topic])]
        lines = []
        for n in range(500):
            lines += [line(user, n), {"type": "news", "topic": topic, "data": n}]
        assert world2.api.publish_lines(lines).json["accepted"] == 1000
        world2.mark()
        assert [len(receiver.until_mark()) for receiver in receivers] == [500, 500]


@pytest.mark.parametrize(
    "text, accepted, rejected",
    [
        (b"", 0, []),
        (b"\n", 0, []),
        (b"G", 1, []),
        (b"G\n", 1, []),
        (b"G\r\nG\r\n", 2, []),
        (b"\n\n G \n\n\tG\n \n", 2, []),
        (b"G\nB\nG", 2, [2]),
        (b"\n\nB\n\nG\nB", 1, [3, 6]),
        (b"B\n\n\n", 0, [1]),
        (b"\n \r\n\t\nB", 0, [4]),
        (b"GG", 0, [1]),
        (b"G G\nG", 1, [1]),
        (b"[G]\nnull\n1", 0, [1, 2, 3]),
        (b"\xff\nG", 1, [1]),
        (b"G\x00\nG", 1, [1]),
    ],
    ids=repr,
)
def test_lines_are_counted_from_one_and_blank_ones_skipped(world, text, accepted, rejected):
    user = world.user()
    receiver = world.receiver(user=user)
    good, bad = json.dumps(line(user, 1)).encode(), b'{"type":"ping"}'
    body = b"".join({ord("G"): good, ord("B"): bad}.get(byte, bytes([byte])) for byte in text)
    answer = world.api.publish(body, (), "application/x-ndjson")
    assert answer.status == 200, answer
    assert set(answer.json) == {"accepted", "rejected"}
    assert answer.json["accepted"] == accepted
    assert [entry["line"] for entry in answer.json["rejected"]] == rejected
    for entry in answer.json["rejected"]:
        assert set(entry) == {"line", "code", "message"} and entry["message"]
        assert entry["code"] == "invalid_message"
    world.mark()
    assert len(receiver.until_mark()) == accepted


def test_each_rejected_line_says_why(world):
    user, own = world.user(), world.user()
    rows = [
        ({"type": "notification", "userId": user, "data": {"id": own, "title": "x"}}, None, ""),
        ({"type": "notification", "userId": user, "data": {"title": 1}}, "invalid_message", "title"),
        ({"type": "news", "userId": user, "data": "x" * 65536}, "too_large", ""),
        ({"type": "notification", "userId": user, "data": {"id": own, "title": "y"}}, "conflict", ""),
        ({"type": "news", "topic": "a b", "data": 1}, "invalid_message", "topic"),
        ({"type": "news", "userIds": [], "data": 1}, "invalid_message", "userIds"),
        ({"type": "news", "data": 1}, "invalid_message", ""),
        (b'{"type":"news",', "invalid_message", ""),
        (json.dumps(line(user, 1)).encode() + b" " * (1 << 20), "too_large", ""),
        (line(user, 1), None, ""),
    ]
    answer = world.connect().publish_lines([row[0] for row in rows])
    expected = [(n, code) for n, (_, code, _) in enumerate(rows, 1) if code]
    assert [(entry["line"], entry["code"]) for entry in answer.json["rejected"]] == expected
    words = {n: word for n, (_, _, word) in enumerate(rows, 1)}
    for entry in answer.json["rejected"]:
        assert words[entry["line"]] in entry["message"]
    assert answer.json["accepted"] == 2


def test_the_first_1000_rejected_lines_are_named(world):
    user = world.user()
    receiver = world.receiver(user=user)
    good = json.dumps(line(user, 1)).encode()
    for bad in (999, 1000, 1001, 1500):
        answer = world.api.publish_lines([b"x"] * bad + [good])
        assert answer.status == 200 and answer.json["accepted"] == 1
        assert [entry["line"] for entry in answer.json["rejected"]] == list(range(1, min(bad, 1000) + 1))
        assert receiver.next()["data"] == 1


@pytest.mark.smoke
def test_a_batch_may_hold_16_mib(world):
    user = world.user()
    receiver = world.receiver(user=user)
    good = json.dumps(line(user, 1)).encode()
    body = good + b"\n" * (LIMIT - 2 * len(good)) + good
    assert len(body) == LIMIT
    answer = world.connect().publish(body, (), "application/x-ndjson")
    assert answer.status == 200 and answer.json == {"accepted": 2, "rejected": []}
    world.mark()
    assert len(receiver.until_mark()) == 2


def test_a_batch_above_16_mib_is_refused_before_its_body(world):
    head = build("POST", "/api/publish", None, [("Content-Type", "application/x-ndjson")], world.key)
    with world.connect() as api:
        api.send(head[:-2] + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1))
        answer = api.read_answer()
        assert answer.status == 413 and answer.error["code"] == "too_large"
        assert api.at_end()


def test_a_chunked_batch_above_16_mib_is_refused_and_delivers_nothing(world):
    user = world.user()
    receiver = world.receiver(user=user)
    head = build(
        "POST",
        "/api/publish",
        None,
        [("Content-Type", "application/x-ndjson"), ("Transfer-Encoding", "chunked")],
        world.key,
    )
    good = json.dumps(line(user, 1)).encode() + b"\n"
    with world.connect() as api:
        api.send(head + b"%x\r\n%s\r\n" % (len(good), good))
        api.send((b"100000\r\n" + b"\n" * (1 << 20) + b"\r\n") * 16 + b"0\r\n\r\n")
        answer = api.read_answer()
        assert answer is None or answer.status == 413
    world.mark()
    assert receiver.until_mark() == []


def test_large_lines_in_one_batch_arrive_whole(world):
    user = world.user()
    receiver = world.receiver(user=user)
    texts = [chr(ord("a") + n % 26) * 60_000 for n in range(12)]
    answer = world.connect().publish_lines([line(user, text) for text in texts])
    assert answer.json == {"accepted": 12, "rejected": []}
    assert [receiver.next()["data"] for _ in texts] == texts


def test_a_batch_of_many_users_and_topics(world):
    users, topics = [world.user() for _ in range(40)], [world.topic() for _ in range(40)]
    receivers = [world.receiver(user=user, topics=[topic]) for user, topic in zip(users, topics)]
    lines = []
    for n in range(25):
        for user, topic in zip(users, topics):
            lines += [line(user, n), {"type": "job_update", "topic": topic, "data": {"id": n}}]
    answer = world.connect().publish_lines(lines)
    assert answer.json == {"accepted": 2000, "rejected": []}
    for receiver in receivers:
        got = [receiver.next() for _ in range(50)]
        assert [m["data"] for m in got if m["type"] == "news"] == list(range(25))
        assert [m["data"]["id"] for m in got if m["type"] == "job_update"] == list(range(25))


def test_store_false_in_a_batch(world):
    user = world.user()
    receiver = world.receiver(user=user)
    answer = world.api.publish_lines([{**line(user, 1), "store": False}, line(user, 2)])
    assert answer.json == {"accepted": 2, "rejected": []}
    world.mark()
    assert sorted(m["data"] for m in receiver.until_mark()) == [1, 2]
    later = world.receiver(user=user, since="0")
    world.mark()
    assert [m["data"] for m in later.until_mark()] == [2]


def test_batches_that_come_one_after_another_leave_places_to_single_publications(world):
    """Each finds the places taken that those before it took while they were fewer."""
    users = [world.user() for _ in range(40)]
    lines = [{"type": "news", "userIds": users, "data": n} for n in range(900)]
    body = "\n".join(json.dumps(each) for each in lines).encode()

    def published():
        return world.api.request("GET", "/api/stats").json["totals"]["published_stored_total"]

    publishers = [world.connect() for _ in range(4)]
    for publisher in publishers:
        before = published()
        publisher.send(build("POST", "/api/publish", body, [("Content-Type", "application/x-ndjson")], world.key))
        world.wait_until(published, lambda now, least=before + 60: now >= least)
    answer = world.connect().publish(line(world.user(), 1))
    assert answer.status == 200, answer
    for publisher in publishers:
        assert publisher.read_answer().json == {"accepted": len(lines), "rejected": []}
