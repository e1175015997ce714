"""POST /api/publish, one message at a time: who gets it, which bytes, and what is refused."""

import json
import re

import pytest

from ringcast.world import OFFSET, RFC3339, UUID7, seconds_since, world, world2  # noqa: F401 (fixtures)

DOCUMENT_TYPES = ("notification", "job_update", "application_status")


# ---- who gets it --------------------------------------------------------------------------------


def targets(a, b, topic):
    """(what is published, which of the receivers get it)"""
    return [
        ({"userId": a}, {"a", "a+t"}),
        ({"userIds": [a, b]}, {"a", "a+t", "b", "b+t"}),
        ({"userIds": [b]}, {"b", "b+t"}),
        ({"topic": topic}, {"t", "a+t", "b+t"}),
        ({"userId": a, "topic": topic}, {"a+t"}),
        ({"userIds": [a, b], "topic": topic}, {"a+t", "b+t"}),
        ({"broadcast": True}, {"a", "b", "t", "a+t", "b+t", "c", "other topic"}),
    ]


@pytest.mark.parametrize("kind", ["notification", "job_update", "application_status", "chat"])
@pytest.mark.parametrize("row", range(7))
def test_each_type_reaches_exactly_its_target(world, kind, row):
    a, b, c = world.user(), world.user(), world.user()
    topic, other = world.topic(), world.topic()
    receivers = {
        "a": world.receiver(user=a),
        "b": world.receiver(user=b),
        "c": world.receiver(user=c),
        "t": world.receiver(topics=[topic]),
        "a+t": world.receiver(user=a, topics=[topic]),
        "b+t": world.receiver(user=b, topics=[topic]),
        "other topic": world.receiver(topics=[other]),
        "nothing": world.receiver(),
    }
    target, expected = targets(a, b, topic)[row]
    answer = world.api.publish({"type": kind, **target, "data": {"title": "x"}})
    if kind == "notification" and not {"userId", "userIds"} & set(target):
        assert answer.status == 400
        expected = set()
    else:
        assert answer.status == 200, answer
    world.mark()
    got = {name for name, receiver in receivers.items() if name != "nothing" and receiver.until_mark()}
    assert got == expected
    assert receivers["nothing"].is_silent()


@pytest.mark.smoke
def test_a_publication_reaches_receivers_on_every_core(world2):
    user, topic = world2.user(), world2.topic()
    receivers = [world2.receiver(user=user, topics=[topic]) for _ in range(16)]
    assert len(world2.cores_in_use()) == 2, "16 connections fell on one core"
    for target in ({"userId": user}, {"topic": topic}, {"userId": user, "topic": topic}, {"broadcast": True}):
        assert world2.api.publish({"type": "news", **target, "data": target}).status == 200
    world2.mark()
    for receiver in receivers:
        got = [m["data"] for m in receiver.until_mark()]
        assert len(got) == 4
        for expected in ({"userId": user}, {"topic": topic}, {"userId": user, "topic": topic}, {"broadcast": True}):
            assert expected in got


def test_an_unsubscribed_connection_gets_no_broadcast_and_a_subscribed_one_again_does(world):
    topic = world.topic()
    receiver = world.receiver(topics=[topic])
    receiver.client.unsubscribe()
    assert world.api.publish({"type": "news", "broadcast": True, "data": 1}).status == 200
    assert receiver.is_silent()
    receiver.client.subscribe(topics=[topic])
    assert world.api.publish({"type": "news", "broadcast": True, "data": 2}).status == 200
    assert receiver.next()["data"] == 2


@pytest.mark.smoke
def test_order_holds_between_all_kinds_of_target_for_a_publisher_that_waits(world):
    user, topic = world.user(), world.topic()
    receivers = [world.receiver(user=user, topics=[topic]) for _ in range(6)]
    kinds = [{"userId": user}, {"topic": topic}, {"broadcast": True}, {"userIds": [user], "topic": topic}]
    for n in range(40):
        assert world.api.publish({"type": "step", **kinds[n % 4], "data": n}).status == 200
    world.mark()
    for receiver in receivers:
        assert [m["data"] for m in receiver.until_mark()] == list(range(40))


def test_the_same_number_as_integer_and_as_string_is_one_user(world):
    number = world.number()
    receiver = world.receiver(user=str(number))
    other = world.receiver(user=number)
    answer = world.api.publish({"type": "news", "userIds": [number, str(number)], "data": 1})
    assert answer.status == 200 and "offset" in answer.json, "one user in userIds is one user addressed"
    world.mark()
    assert [m["data"] for m in receiver.until_mark()] == [1]
    assert [m["data"] for m in other.until_mark()] == [1]


@pytest.mark.parametrize(
    "user", ["ä", "a/b", "100%", "日本", "x" * 128, "a b", "ä" * 64, "\U0001f600", 0, 2**53 - 1, "0123", "-1"]
)
def test_users_of_any_name_are_reached(world, user):
    receiver = world.receiver(user=user)
    assert world.api.publish({"type": "news", "userId": user, "data": 1}).status == 200
    assert receiver.next()["data"] == 1


def test_an_escaped_user_id_is_the_user_that_it_spells(world):
    receiver = world.receiver(user="é\U0001f600")
    body = rb'{"type":"news","userId":"\u00e9\ud83d\ude00","data":1}'
    assert world.api.publish(body).status == 200
    assert receiver.next()["data"] == 1


# ---- which bytes --------------------------------------------------------------------------------

RAW_DATA = [
    b"null",
    b"true",
    b"0",
    b"-0",
    b"1.0",
    b"1.10",
    b"1e2",
    b"1E+2",
    b"0.1e-7",
    b"9007199254740993",
    b"123456789012345678901234567890",
    b"3.14159265358979323846264338327950288",
    b'""',
    b'"text"',
    b"[]",
    b"{}",
    b"[1, 2,\t3 ]",
    b"[[[[[[[[[]]]]]]]]]",
    b'{"b":1,"a":2,"c":{"z":0,"y":[1.50,{"x":null}]}}',
    b'{ "a" : 1 , "b" : [ ] }',
    b'{"a":1,\r\n "b":2}',
    rb'{"k":"\u00e9\u0041\/\b\f\n\r\t\"\\"}',
    rb'"\ud83d\ude00 \u2028"',
    '"é 日本 \U0001f600 \u2028\u2029 \ufeff"'.encode(),
    b'"<script>alert(1)</script>&amp;"',
    b'{"a":1,"a":2}',
    b'{"type":"subscribe","data":{"data":{}}}',
    rb'{"\u0000":"\u0000"}',
    rb'{"\ud83d":["half a pair: \ud83d", "\ude00\ud83d"]}',
]


@pytest.mark.parametrize("data", RAW_DATA, ids=lambda data: repr(data)[2:-1])
def test_data_of_a_free_type_arrives_byte_for_byte(world, data):
    user = world.user()
    receiver = world.receiver(user=user)
    body = b' { "data" :  ' + data + b' , "userId":"' + user.encode() + b'","type":"chat_message"} \n'
    assert world.api.publish(body).status == 200
    assert receiver.next_text().encode() == b'{"type":"chat_message","data":' + data + b"}"


@pytest.mark.parametrize("kind", DOCUMENT_TYPES)
@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"{ }",
        b'{"title":"x"}',
        b'{ "title" : "x" , "z":1.10, "a":1e2 }',
        rb'{"message":"\u00e9\/ \"}{","extra":{"id":1,"timestamp":null,"read":"x"}}',
        b'{\n  "title": "x"\n}',
    ],
    ids=repr,
)
def test_what_is_missing_is_appended_in_order_behind_the_bytes_sent(world, kind, data):
    user = world.user()
    receiver = world.receiver(user=user)
    body = b'{"type":"%s","userId":"%s","data":%s}' % (kind.encode(), user.encode(), data)
    answer = world.api.publish(body)
    assert answer.status == 200, answer
    text = receiver.next_text()
    kept = data[:-1].rstrip().decode()
    comma = "" if kept == "{" else ","
    filled = rf'"timestamp":"({RFC3339})"'
    if kind == "notification":
        filled = rf'"id":"({UUID7})","read":false,' + filled
    pattern = re.escape(f'{{"type":"{kind}","data":{kept}') + r"\s*" + comma + filled + r"\s*\}\}"
    match = re.fullmatch(pattern, text)
    assert match, text
    if kind == "notification":
        assert match[1] == answer.json["id"]
    assert abs(seconds_since(match[match.lastindex])) < 60


@pytest.mark.parametrize(
    "given, appended",
    [
        ({"id": "ID"}, ["read", "timestamp"]),
        ({"read": True}, ["id", "timestamp"]),
        ({"timestamp": "2023-01-01T00:00:00Z"}, ["id", "read"]),
        ({"timestamp": "2023-01-01T00:00:00Z", "read": False, "id": "ID"}, []),
        ({"read": True, "title": "x", "id": "ID"}, ["timestamp"]),
    ],
)
def test_what_a_notification_brings_is_not_filled_in(world, given, appended):
    user = world.user()
    given = {key: world.user() if value == "ID" else value for key, value in given.items()}
    receiver = world.receiver(user=user)
    assert world.api.publish({"type": "notification", "userId": user, "data": given}).status == 200
    data = receiver.next()["data"]
    assert list(data) == list(given) + appended
    assert {key: data[key] for key in given} == given


def test_ids_and_reads_of_other_types_are_their_own(world):
    user = world.user()
    receiver = world.receiver(user=user)
    for kind in ("job_update", "application_status"):
        sent = {"id": 7, "timestamp": "2023-01-01T00:00:00Z", "read": 5, "further": None}
        assert world.api.publish({"type": kind, "userId": user, "data": sent}).status == 200
        assert list(receiver.next()["data"].items()) == list(sent.items())


def test_one_publication_to_many_fills_in_the_same_for_all(world):
    users = [world.user() for _ in range(3)]
    receivers = [world.receiver(user=user) for user in users]
    assert world.api.publish({"type": "notification", "userIds": users, "data": {"title": "x"}}).status == 200
    assert len({receiver.next_text() for receiver in receivers}) == 1


# ---- the answer ---------------------------------------------------------------------------------


def test_the_answers_id_and_offset(world):
    user, other, topic, own = world.user(), world.user(), world.topic(), world.user()
    rows = [
        ({"type": "news", "userId": user}, True),
        ({"type": "news", "userIds": [user]}, True),
        ({"type": "news", "userIds": [user, user]}, True),
        ({"type": "news", "userId": user, "topic": topic}, True),
        ({"type": "news", "userIds": [user, other]}, False),
        ({"type": "news", "topic": topic}, False),
        ({"type": "news", "broadcast": True}, False),
        ({"type": "news", "userId": user, "store": False}, False),
        ({"type": "news", "userId": user, "store": True}, True),
        ({"type": "job_update", "userId": user}, True),
        ({"type": "notification", "userId": user}, True),
        ({"type": "notification", "userIds": [user, other]}, False),
    ]
    seen = set()
    for message, with_offset in rows:
        answer = world.api.publish({**message, "data": {}})
        assert answer.status == 200, (message, answer)
        assert list(answer.json) == (["id", "offset"] if with_offset else ["id"]), message
        assert re.fullmatch(UUID7, answer.json["id"]), message
        assert not with_offset or re.fullmatch(OFFSET, answer.json["offset"]), message
        assert not seen & set(answer.json.values()), "an id or an offset came twice"
        seen |= set(answer.json.values())
    answer = world.api.publish({"type": "notification", "userId": user, "data": {"id": own}})
    assert answer.json["id"] == own


def test_the_answers_offset_is_the_one_that_clients_see(world):
    user = world.user()
    receiver = world.receiver(user=user, offsets=True)
    answer = world.api.publish({"type": "news", "userId": user, "data": 1})
    assert list(receiver.next().items()) == [("type", "news"), ("data", 1), ("offset", answer.json["offset"])]


def test_store_false_is_delivered_live_and_not_kept(world):
    user = world.user()
    receiver = world.receiver(user=user, offsets=True)
    for n in range(3):
        message = {"type": "typing", "userId": user, "data": n, "store": n == 1}
        assert world.api.publish(message).status == 200
        got = receiver.next()
        assert got["data"] == n and ("offset" in got) == (n == 1)
    later = world.receiver(user=user, since="0")
    world.mark()
    assert [m["data"] for m in later.until_mark()] == [1]


# ---- refusals -----------------------------------------------------------------------------------

LONG_TOPIC, LONG_USER = "t" * 129, "u" * 129

# (body without `data`, a word that the message must hold)
BAD_TARGETS = [
    ({}, ""),
    ({"userId": "a", "userIds": ["b"]}, "userId"),
    ({"broadcast": True, "userId": "a"}, "broadcast"),
    ({"broadcast": True, "userIds": ["a"]}, "broadcast"),
    ({"broadcast": True, "topic": "t"}, "broadcast"),
    ({"broadcast": "true"}, "broadcast"),
    ({"broadcast": 1}, "broadcast"),
    ({"userIds": []}, "userIds"),
    ({"userIds": [], "topic": "t"}, "userIds"),
    ({"userIds": "a"}, "userIds"),
    ({"userIds": {}}, "userIds"),
    ({"userIds": None}, "userIds"),
    ({"userIds": ["a", None]}, "userIds"),
    ({"userIds": ["a", ""]}, "userIds"),
    ({"userIds": ["a", -1]}, "userIds"),
    ({"userIds": [["a"]]}, "userIds"),
    ({"userId": None}, "userId"),
    ({"userId": ""}, "userId"),
    ({"userId": LONG_USER}, "userId"),
    ({"userId": "ä" * 65}, "userId"),
    ({"userId": -1}, "userId"),
    ({"userId": 2**53}, "userId"),
    ({"userId": 2**64}, "userId"),
    ({"userId": 1.5}, "userId"),
    ({"userId": True}, "userId"),
    ({"userId": [1]}, "userId"),
    ({"userId": {}}, "userId"),
    ({"userId": "a\x00"}, "userId"),
    ({"userId": "a\n"}, "userId"),
    ({"userId": "\x7f"}, "userId"),
    ({"userId": "\x85"}, "userId"),
    ({"userId": None, "topic": "t"}, "userId"),
    ({"topic": None}, "topic"),
    ({"topic": ""}, "topic"),
    ({"topic": LONG_TOPIC}, "topic"),
    ({"topic": "a b"}, "topic"),
    ({"topic": "a/b"}, "topic"),
    ({"topic": "a*"}, "topic"),
    ({"topic": "ä"}, "topic"),
    ({"topic": 1}, "topic"),
    ({"topic": ["t"]}, "topic"),
    ({"userId": "a", "topic": "a b"}, "topic"),
    ({"userId": "a", "store": None}, "store"),
    ({"userId": "a", "store": "false"}, "store"),
    ({"userId": "a", "store": 0}, "store"),
]


def refused(world, body, word="", status=400, code="invalid_message"):
    answer = world.api.publish(body)
    assert answer.status == status, (body if len(body) < 300 else len(body), answer)
    assert answer.error["code"] == code
    assert word in answer.error["message"], (word, answer.error)


@pytest.mark.parametrize("target, word", BAD_TARGETS, ids=lambda value: repr(value)[:40])
def test_a_bad_target_is_refused_by_name(world, target, word):
    refused(world, {"type": "news", **target, "data": {}}, word)


@pytest.mark.parametrize("user", [b"1.0", b"1e2", b"-0.0", rb'"\ud800"', rb'"a\udc00"', b"01", b"+1"])
def test_a_user_id_in_a_form_that_is_none_is_refused(world, user):
    refused(world, b'{"type":"news","userId":' + user + b',"data":1}')


@pytest.mark.parametrize(
    "kind",
    ["ping", "pong", "subscribe", "unsubscribe", "mark_read", "error", "ack", "notification_read"]
    + ["", "News", "1a", "_a", "a-b", "a.b", "a b", "ä", "a" * 65, None, 1, True, [], {}],
)
def test_a_type_that_is_the_protocols_own_or_no_name_is_refused(world, kind):
    refused(world, {"type": kind, "userId": "a", "data": {}}, "type")


@pytest.mark.parametrize("kind", ["a", "a" * 64, "a1_", "pings", "offset", "message"])
def test_a_type_that_is_a_name_passes(world, kind):
    assert world.api.publish({"type": kind, "userId": world.user(), "data": {}}).status == 200


WRONG_FOR_STRING = [1, 1.5, True, None, [], {}]
WRONG_FOR_NUMBER = ["1", True, None, [], {}]
WRONG_FOR_BOOLEAN = ["false", 0, None, [], {}]
KNOWN_FIELDS = {
    "notification": {
        "id": WRONG_FOR_STRING,
        "title": WRONG_FOR_STRING,
        "message": WRONG_FOR_STRING,
        "timestamp": WRONG_FOR_STRING,
        "read": WRONG_FOR_BOOLEAN,
        "category": WRONG_FOR_STRING,
        "link": WRONG_FOR_STRING,
    },
    "job_update": {
        "id": WRONG_FOR_NUMBER,
        "title": WRONG_FOR_STRING,
        "company": WRONG_FOR_STRING,
        "status": WRONG_FOR_STRING,
        "timestamp": WRONG_FOR_STRING,
    },
    "application_status": {
        "id": WRONG_FOR_NUMBER,
        "jobId": WRONG_FOR_NUMBER,
        "jobTitle": WRONG_FOR_STRING,
        "company": WRONG_FOR_STRING,
        "status": WRONG_FOR_STRING,
        "message": WRONG_FOR_STRING,
        "timestamp": WRONG_FOR_STRING,
    },
}


@pytest.mark.parametrize("kind, field", [(k, f) for k, fields in KNOWN_FIELDS.items() for f in fields])
def test_a_known_field_of_the_wrong_type_is_refused_by_name(world, kind, field):
    for value in KNOWN_FIELDS[kind][field]:
        refused(world, {"type": kind, "userId": "a", "data": {field: value}}, field)


@pytest.mark.parametrize("kind", DOCUMENT_TYPES)
def test_data_of_the_documents_types_is_an_object(world, kind):
    for data in (None, [], "x", 1, True):
        refused(world, {"type": kind, "userId": "a", "data": data}, "data")


@pytest.mark.parametrize("kind", [*DOCUMENT_TYPES, "news"])
def test_data_is_always_present(world, kind):
    refused(world, {"type": kind, "userId": "a"}, "data")


def test_a_message_without_a_type_is_refused(world):
    refused(world, {"userId": "a", "data": {}}, "type")


@pytest.mark.parametrize("field", ["id", "read", "timestamp"])
def test_a_filled_in_field_twice_is_refused_by_name(world, field):
    value = b"false" if field == "read" else b'"x"'
    data = b'{"%s":%s,"title":"x","%s":%s}' % (field.encode(), value, field.encode(), value)
    refused(world, b'{"type":"notification","userId":"a","data":' + data + b"}", field)


def test_an_escaped_spelling_of_a_field_is_that_field(world):
    body = rb'{"type":"notification","userId":"a","data":{"i\u0064":1}}'
    refused(world, body, "id")
    body = rb'{"type":"notification","userId":"a","data":{"id":"a","\u0069d":"b"}}'
    refused(world, body, "id")


def test_the_length_of_a_notifications_id(world):
    for length, fits in ((0, False), (1, True), (256, True), (257, False)):
        own = (world.user() + "x" * 256)[:length]
        if length == 1:
            own = "\x41"
        message = {"type": "notification", "userId": world.user(), "data": {"id": own}}
        if fits:
            assert world.api.publish(message).json["id"] == own
        else:
            refused(world, message, "id")


def test_a_notification_needs_a_user_and_the_store(world):
    refused(world, {"type": "notification", "topic": "t", "data": {}}, "user")
    refused(world, {"type": "notification", "broadcast": True, "data": {}}, "user")
    refused(world, {"type": "notification", "userId": "a", "store": False, "data": {}}, "store")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[]",
        b"123",
        b"null",
        b'"text"',
        b'{"type":"news","userId":"a","data":{}} x',
        b'{"type":"news","userId":"a","data":{}}{}',
        b'{"type":"news","userId":"a","data":{},}',
        b'{"type":"news","userId":"a","data":{"a":01}}',
        b'{"type":"news","userId":"a","data":{"a":NaN}}',
        b'{"type":"news","userId":"a","data":{"a":tru}}',
        b'{"type":"news","userId":"a","data":[1,]}',
        b'{"type":"news","userId":"a","data":{"a":1 "b":2}}',
        b'{"type":"news","userId":"a","data":{"a":"\n"}}',
        b'{"type":"news","userId":"a","data":"\xff"}',
        b'{"type":"news","userId":"a","data":"\xed\xa0\x80"}',
        b'{"type":"news","userId":"a","data":"\xc0\xaf"}',
        rb'{"type":"news","userId":"a","data":"\x"}',
        rb'{"type":"news","userId":"a","data":"\u12"}',
        b'\xef\xbb\xbf{"type":"news","userId":"a","data":}',
        b"{'type':'news'}",
        b'{"type":"news","userId":"a","data":{},"further":[}',
    ],
    ids=repr,
)
@pytest.mark.smoke
def test_a_body_that_is_no_json_object_is_refused(world, body):
    refused(world, body)


def test_a_refused_publication_is_neither_delivered_nor_stored(world):
    user = world.user()
    receiver = world.receiver(user=user)
    for bad in ({"type": "ping"}, {"data": None}, {"userIds": [user]}, {"topic": "a b"}):
        message = {"type": "job_update", "userId": user, "data": {}, **bad}
        assert world.api.publish(message).status == 400
    refused(world, {"type": "news", "userIds": [user, ""], "data": {}}, "userIds")
    world.mark()
    assert receiver.until_mark() == []
    later = world.receiver(user=user, since="0")
    world.mark()
    assert later.until_mark() == []


# ---- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["news", "job_update"])
def test_data_of_64_kib_passes_and_a_byte_more_does_not(world, kind):
    user = world.user()
    receiver = world.receiver(user=user)
    for size, fits in ((65535, True), (65536, True), (65537, False)):
        data = b'{"title":"' + b"x" * (size - 12) + b'"}'
        assert len(data) == size
        body = b'{"type":"%s","userId":"%s","data":%s}' % (kind.encode(), user.encode(), data)
        if not fits:
            refused(world, body, status=413, code="too_large")
            continue
        assert world.api.publish(body).status == 200
        assert receiver.next()["data"]["title"] == "x" * (size - 12)


def test_a_message_of_1_mib_passes_and_a_byte_more_does_not(world):
    user = world.user()
    plain = b'{"type":"news","userId":"' + user.encode() + b'","data":1'
    for size, status in (((1 << 20), 200), ((1 << 20) + 1, 413)):
        body = plain + b" " * (size - len(plain) - 1) + b"}"
        answer = world.connect().publish(body)
        assert answer.status == status, (size, answer)
        if status == 413:
            assert answer.error["code"] == "too_large"


def test_10000_users_are_addressed_and_one_more_refused(world):
    first = world.user()
    users = [first] + [f"{first}-{n}" for n in range(9999)]
    near, far = world.receiver(user=first), world.receiver(user=users[-1])
    assert world.api.publish({"type": "news", "userIds": users, "data": 1}).status == 200
    refused(world, {"type": "news", "userIds": [*users, "x"], "data": 2}, "userIds")
    world.mark()
    assert [m["data"] for m in near.until_mark()] == [1]
    assert [m["data"] for m in far.until_mark()] == [1]


def test_the_same_user_twice_counts_once(world):
    user, other = world.user(), world.user()
    receiver = world.receiver(user=user)
    answer = world.api.publish({"type": "news", "userIds": [user, other, user, other], "data": 1})
    assert answer.status == 200 and "offset" not in answer.json
    assert world.api.publish({"type": "notification", "userIds": [user] * 3, "data": {}}).status == 200
    world.mark()
    assert [m["type"] for m in receiver.until_mark()] == ["news", "notification"]


# ---- content types ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type, status",
    [
        (None, 200),
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/json;charset=UTF-8", 200),
        ("Application/JSON", 200),
        ("application/x-ndjson", 200),
        ("application/x-ndjson; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/jsonx", 415),
        ("application/ndjson", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/xml", 415),
    ],
)
def test_content_types(world, content_type, status):
    answer = world.connect().publish({"type": "news", "userId": world.user(), "data": 1}, (), content_type)
    assert answer.status == status, answer
    if status == 415:
        assert answer.error["code"] == "unsupported_media_type"
    elif content_type and "ndjson" in content_type:
        assert answer.json == {"accepted": 1, "rejected": []}


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_a_coded_body_is_refused_and_never_inflated(world, coding):
    message = json.dumps({"type": "news", "userId": world.user(), "data": 1}).encode()
    answer = world.connect().publish(message, [("Content-Encoding", coding)])
    assert answer.status == 415 and answer.error["code"] == "unsupported_media_type"
