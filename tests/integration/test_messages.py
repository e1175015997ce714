"""What clients say and what they get: contract.md 3."""
import json
import random
import re

import pytest

from ringcast import unique

BIG = 1 << 53


def quiet(text):
    """Inserts the text as an ignored field's value into a message that is answered with an ack."""
    return '{"type":"unsubscribe","id":1,"data":{"topics":[]},"ignored":%s}' % text


def subscribe(data, id=None):
    return {"type": "subscribe", "data": data, **({} if id is None else {"id": id})}


@pytest.fixture
def client(server):
    with server.connect() as client:
        yield client


# --- JSON ---

@pytest.mark.parametrize("text", [
    "", " ", "\n\t\r ", "\ufeff{}", '\ufeff{"type":"pong"}', "123", '"pong"', "true", "null", "[]", '[{"type":"pong"}]', "{}",
    '{"type":"pong"', '{"type":"pong"}}', '{"type":"pong"} x', '{"type":"pong"}{"type":"pong"}', '{"type":"pong"},',
    '{"type":"pong",}', "{'type':'pong'}", '{type:"pong"}', '{"type":"pong"}\0', '\0{"type":"pong"}', '{"type":"pong"//\n}',
    '{"type":"pong" /* */}', "nope", "<html>", '{"type"}', '{"type":}', '{:"pong"}', '{,"type":"pong"}', '{"type":"pong","a"}',
    '{"type";"pong"}', '{"type":"po\nng"}', '{"type":"pong}', '{"type":"pong"\x0b}', '{"type":"pong"\xa0}',
])
def test_refuses_what_is_no_message(client, text):
    client.send_text(text)
    client.expect_error("invalid_message")
    client.expect_nothing()


NO_VALUE = """
tru|True|TRUE|nul|nope|tru3 nope|undefined|NaN|-NaN|nan|Infinity|-Infinity|inf|01|-01|00|-012|+1|.5|-.5|1.|-1.|1.e5|01.e5|1e|1e+|1E-
-|--1|- 1|1 2|1,2|0x1|0x|0b1|1_000|1f|1e1.5|1eE2|0e|0e+|9.e+|2.e3|1+2|"a|a"|'a'|"\\q"|"\\x41"|"\\a"|"\\u12"|"\\u12G4"|"\\uD8"|"\\"
"\\\\\\"|"a"b"|"\\U0041"|[|]|[1|[1,|[1,]|[,1]|[,]|[1,,2]|[1 2]|["a":1]|[1}|{]|{"a":1]|{"a"|{"a":|{"a":1|{"a":1,|{"a":1,}|{,}|{"a",1}
{"a" 1}|{1:2}|{a:1}|{"a":1 "b":2}|{"a"::1}|{null:1}|{[]:1}|[1]]|{}}|[-]|[*]|[?]|[!]|[\\]|[<null>]|["x",truth]|[true false]|[1][2]|#|@
""".strip().replace("\n", "|").split("|")


@pytest.mark.parametrize("value", NO_VALUE + ['"raw \t tab"', '"raw \n line"', '"raw \x00 nul"', '"raw \x1f unit"', "\x0c1",
                                              "1\u2028", "\u00a01"])
def test_refuses_bad_json_in_ignored_parts_too(client, value):
    client.send_text(quiet(value))
    message = client.next_message()
    assert (message["type"], message["data"]["code"]) == ("error", "invalid_message")
    client.expect_nothing()


@pytest.mark.parametrize("value", [
    "null", "true", "false", "0", "-0", "-1", "1.0", "1e5", "1E+5", "1e-5", "0.1e1", "-0.0", "123456789012345678901234567890",
    "1e300", "-1e-300", '""', '"\\u0000"', '"\\u00e9"', '"\\ud83d\\ude00"', '"\u2028\u2029"', '"\x7f"', '"é😀"', '"\\/\\b\\f\\n\\r\\t\\\\\\""',
    "[]", "{}", '[[],{},""]', '{"a":1,"a":2}', '{"":0}', '[1, 2 ,\t3\n,\r4]', '{"type":1,"data":2,"id":3}',
])
def test_ignores_unknown_fields_with_any_value(client, value):
    client.send_text(quiet(value))
    client.expect_ack(1)


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
def test_nests_sixteen_levels_and_no_further(client, opening, closing):
    client.send_text(quiet(opening * 14 + "[]" + closing * 14))  # 1 + 14 + 1
    client.expect_ack(1)
    client.send_text(quiet(opening * 15 + "1" + closing * 15))
    client.expect_ack(1)
    client.send_text(quiet(opening * 15 + "[]" + closing * 15))
    assert client.next_message()["data"]["code"] == "invalid_message"
    client.send_text('{"type":"pong","data":{"x":' + opening * 14 + "[]" + closing * 14 + "}}")
    client.expect_error("invalid_message")
    client.expect_nothing()


def test_refuses_deep_nesting_quickly(client):
    for text in ("[" * 16000, '{"a":' * 3000, quiet("[" * 7000 + "]" * 7000)):
        client.send_text(text)
        assert client.next_message()["data"]["code"] == "invalid_message"


def test_takes_long_values(client):
    client.send_text(quiet('"' + "x" * 16000 + '"'))
    client.expect_ack(1)
    client.send_text(quiet("[" + "0," * 7000 + "0]"))
    client.expect_ack(1)


@pytest.mark.parametrize("text", [
    '{"type":"pong","type":"pong"}', '{"type":"pong","\\u0074ype":"pong"}', '{"type":"pong","id":1,"id":1}',
    '{"type":"subscribe","data":{},"data":{"topics":[]}}', '{"type":"pong","data":1,"data":2}',
    *['{"type":"%s","data":{"%s":%s,"%s":%s}}' % (kind, name, value, name, value)
      for kind, name, value in [("subscribe", "userId", "1"), ("subscribe", "topics", "[]"), ("subscribe", "token", '"a"'),
                                ("subscribe", "replay", '"unread"'), ("subscribe", "since", '"0"'),
                                ("subscribe", "offsets", "true"), ("subscribe", "sync", "true"),
                                ("unsubscribe", "topics", "[]"), ("unsubscribe", "userId", "1"),
                                ("mark_read", "notificationId", '"a"'), ("pong", "topics", "[]"),
                                ("unsubscribe", "since", '"0"')]],
    '{"type":"subscribe","data":{"topics":[],"t\\u006fpics":[]}}',
])
def test_refuses_fields_that_stand_twice(client, text):
    client.send_text(text)
    message = client.next_message()
    assert (message["type"], message["data"]["code"]) == ("error", "invalid_message")
    client.expect_nothing()


def test_lets_unknown_fields_stand_twice(client):
    client.send_text('{"type":"unsubscribe","id":1,"x":1,"x":2,"data":{"topics":[],"y":1,"y":2,"z":{"topics":1,"topics":2}}}')
    client.expect_ack(1)


# --- type and data ---

@pytest.mark.parametrize("type", ["", "Pong", "PONG", "pong ", " pong", "pongs", "ping", "ack", "error", "notification",
                                  "notification_read", "job_update", "subscribe\0", "pong\u0000", None, 1, True, ["pong"], {}])
def test_refuses_unknown_types(client, type):
    client.send_json({"type": type, "data": {}})
    client.expect_error("invalid_message")
    client.expect_nothing()


@pytest.mark.parametrize("type", ["subscribe", "unsubscribe", "mark_read"])
@pytest.mark.parametrize("data", [None, [], "x", 1, True])
def test_refuses_data_that_is_no_object(client, type, data):
    client.send_json({"type": type, "data": data})
    client.expect_error("invalid_message")
    client.expect_nothing()


@pytest.mark.parametrize("type", ["subscribe", "mark_read"])
def test_refuses_missing_data(client, type):
    client.send_json({"type": type})
    client.expect_error("invalid_message")


def test_takes_escaped_type_and_names(client):
    client.send_text('{"\\u0074ype":"p\\u006fng"}')
    client.send_text('{"\\u0074ype":"uns\\u0075bscribe","\\u0069d":1,"d\\u0061ta":{"topics":[]}}')
    client.expect_ack(1)


def test_answers_nothing_to_a_pong(client):
    client.send_json({"type": "pong"})
    client.send_json({"type": "pong", "id": 5})
    client.send_json({"type": "pong", "data": {"any": "thing"}, "more": 1})
    client.expect_nothing()


def test_answers_nothing_without_an_id(server, client):
    user, topic = unique("user"), unique("topic")
    notification = server.api.notify(user)["id"]
    client.send_json(subscribe({"userId": user, "topics": [topic]}))
    client.send_json({"type": "mark_read", "data": {"notificationId": notification}})
    client.send_json({"type": "unsubscribe", "data": {"userId": user, "topics": [topic]}})
    client.send_json({"type": "unsubscribe", "data": {}})
    client.expect_nothing()


# --- id ---

@pytest.mark.parametrize("id", [0, 1, -1, BIG - 1, -(BIG - 1), BIG, -BIG, "", "a", "x" * 64, "é" * 32, "\"\\\n", "😀"])
def test_echoes_the_id(client, id):
    client.send_json({"type": "unsubscribe", "id": id, "data": {"topics": []}})
    client.expect_ack(id)
    client.send_json({"type": "nonsense", "id": id})
    client.expect_error("invalid_message", id=id)


@pytest.mark.parametrize("id", ["null", "true", "[]", "{}", "1.0", "1e2", "1.5", str(BIG + 1), str(-BIG - 1), str(1 << 64),
                                '"' + "x" * 65 + '"', '"' + "é" * 33 + '"', '"\\ud800"', '"\\udc00\\ud800"'])
def test_refuses_a_bad_id_without_echoing_it(client, id):
    client.send_text('{"type":"unsubscribe","id":%s,"data":{"topics":[]}}' % id)
    client.expect_error("invalid_message")
    client.expect_nothing()


def test_acks_carry_the_id_whatever_stands_first(client):
    client.send_text('{"data":{"topics":[]},"id":"last","type":"unsubscribe"}')
    client.expect_ack("last")


# --- userId ---

@pytest.mark.parametrize("user", ["0", "1", str(BIG - 1), '"a"', '"%s"' % ("x" * 128), '"%s"' % ("é" * 64), '"\\u00e9"', '" "', '"0123"',
                                  '"a/b?c"', '"\u00a0"'])
def test_takes_a_user(client, user):
    client.send_text('{"type":"subscribe","id":1,"data":{"userId":%s}}' % user)
    client.expect_ack(1)


@pytest.mark.parametrize("user", ["-1", "-0", "1.0", "1e2", "123.0", "0.5", str(BIG), str(1 << 63), str(1 << 64), "null", "true", "[1]", "{}",
                                  '""', '"%s"' % ("x" * 129), '"%s"' % ("é" * 65), '"a\\u0000"', '"\\u001f"', '"\\u007f"', '"\\u0080"',
                                  '"\\u009f"', '"\u0085"', '"\\n"', '"\\ud800"', '"\\ude00\\ud83d"'])
def test_refuses_a_bad_user(client, user):
    for type in ("subscribe", "unsubscribe"):
        client.send_text('{"type":"%s","id":1,"data":{"userId":%s}}' % (type, user))
        message = client.next_message()  # half a surrogate pair may count as bad JSON, which has no id
        assert message["data"]["code"] == "invalid_message" and (message.get("id") == 1 or "\\u" in user), message
    client.expect_nothing()


def test_takes_a_number_and_its_digits_for_one_user(server):
    number = random.randrange(1 << 40, BIG)
    with server.connect() as one, server.connect() as two:
        one.subscribe(number)
        two.subscribe(str(number))
        one.subscribe(str(number))
        for user in (number, str(number)):
            server.api.to_user(user, {"n": 1})
            for client in (one, two):
                client.expect_json({"type": "custom", "data": {"n": 1}})


def test_takes_digits_with_a_zero_for_another_user(server, client):
    number = random.randrange(1 << 40, BIG)
    client.subscribe(number)
    server.api.to_user(f"0{number}", {})
    client.expect_nothing()


def test_a_connection_has_one_user(server, client):
    user = unique("user")
    client.subscribe(user)
    client.send_json(subscribe({"userId": unique("other")}, 1))
    client.expect_error("unauthorized", id=1)
    client.send_json(subscribe({"userId": unique("other"), "topics": ["a"]}))
    client.expect_error("unauthorized")
    client.subscribe(user)
    server.api.to_user(user, 1)
    client.expect_json({"type": "custom", "data": 1})


# --- topics ---

@pytest.mark.parametrize("name", ["a", "x" * 128, "A-Za-z0-9._:-", "..", ".", "-", ":", "_", "0", "job_matches"])
def test_takes_a_topic(server, client, name):
    client.subscribe(topics=[name])
    server.api.to_topic(name, {"n": 1})
    client.expect_json({"type": "custom", "data": {"n": 1}})


@pytest.mark.parametrize("name", ["", "x" * 129, " ", "a b", "a ", "*", "a/b", "/", "a,b", "#", "+", "é", "e\u0301", "😀", "аdmin", "a\0", "a\n",
                                  "\x7f", "a\\", "%61", "a=b", "$", "~", "@", "x" * 10000])
def test_refuses_a_bad_topic(server, client, name):
    good = unique("topic")
    client.send_json(subscribe({"topics": [good, name, good]}, 1))
    client.expect_error("subscription_failed", id=1)
    server.api.to_topic(good, {})
    client.expect_nothing()


@pytest.mark.parametrize("topics", ["null", "{}", "1", '"a"', "true", "[1]", "[null]", '["a",1]', '[["a"]]', "[{}]", '["\\ud800"]',
                                    '["a\\udc00b"]'])
def test_refuses_topics_that_are_no_list_of_strings(client, topics):
    for type in ("subscribe", "unsubscribe"):
        client.send_text('{"type":"%s","data":{"topics":%s}}' % (type, topics))
        client.expect_error("invalid_message")
    client.expect_nothing()


def test_refuses_a_subscribe_that_names_nothing(client):
    for data in ({}, {"unknown": 1}, {"offsets": False}, {"sync": True}):
        client.send_json(subscribe(data))
        client.expect_error("invalid_message")


def test_takes_an_empty_list_of_topics(client):
    client.subscribe(topics=[])


def test_takes_a_topic_that_is_held_already(server, client):
    topic = unique("topic")
    client.subscribe(topics=[topic, topic])
    client.subscribe(topics=[topic])
    server.api.to_topic(topic, 1)
    client.expect_json({"type": "custom", "data": 1})
    client.expect_nothing()
    client.unsubscribe([topic])
    server.api.to_topic(topic, 2)
    client.expect_nothing()


def test_knows_topics_byte_by_byte(server, client):
    topic = unique("Topic")
    client.subscribe(topics=[topic])
    for other in (topic.lower(), topic.upper(), topic + ".", topic[:-1], topic + "0"):
        if other != topic:
            server.api.to_topic(other, {})
    client.expect_nothing()


def test_needs_no_user_for_topics_in_open_mode(server, client):
    topic = unique("topic")
    client.subscribe(topics=[topic])
    server.api.to_topic(topic, {"n": 1})
    client.expect_json({"type": "custom", "data": {"n": 1}})


def test_ignores_a_token_in_open_mode(client):
    client.subscribe(unique("user"), token="rubbish")
    client.subscribe(topics=["a"], token="rubbish")


def test_a_token_must_be_a_string(client):
    for token in (1, None, [], {}):
        client.send_json(subscribe({"userId": "a", "token": token}))
        client.expect_error("invalid_message")


# --- subscribe as a whole ---

def test_a_failed_subscribe_changes_nothing(server, client):
    user, topic = unique("user"), unique("topic")
    client.send_json(subscribe({"userId": user, "topics": [topic, "bad topic"]}))
    client.expect_error("subscription_failed")
    server.api.to_user(user, {})
    server.api.to_topic(topic, {})
    server.api.publish({"type": "custom", "broadcast": True, "data": {}})
    client.expect_nothing()
    client.subscribe(unique("other"))  # the first user was not kept


def test_judges_a_subscribe_in_the_order_of_the_contract(client):
    user = unique("user")
    client.subscribe(user)
    too_many = [f"t{n}" for n in range(101)]
    client.send_json(subscribe({"userId": "other", "topics": [1]}))
    client.expect_error("invalid_message")
    client.send_json(subscribe({"userId": "other", "topics": ["bad topic"]}))
    client.expect_error("unauthorized")
    client.send_json(subscribe({"userId": "other", "topics": too_many}))
    client.expect_error("unauthorized")
    client.send_json(subscribe({"userId": user, "topics": too_many + ["bad topic"]}))
    client.expect_error("subscription_failed")
    client.send_json(subscribe({"userId": user, "topics": too_many}))
    client.expect_refusal("subscription_limit_exceeded", 1008)


# --- who gets what ---

@pytest.mark.smoke
def test_delivers_by_target(either):
    user, other, topic = unique("user"), unique("other"), unique("topic")
    api = either.api
    with either.connect() as both, either.connect() as user_only, either.connect() as topic_only, \
            either.connect() as stranger, either.connect() as mute:
        everyone = {"both": both, "user": user_only, "topic": topic_only, "stranger": stranger, "mute": mute}
        both.subscribe(user, [topic])
        user_only.subscribe(user)
        topic_only.subscribe(topics=[topic])
        stranger.subscribe(other, [topic])

        def check(target, *expected):
            api.publish({"type": "custom", "data": target, **target})
            for name, client in everyone.items():
                if name in expected:
                    client.expect_json({"type": "custom", "data": target})
                client.expect_nothing()

        check({"userId": user}, "both", "user")
        check({"topic": topic}, "both", "topic", "stranger")
        check({"userId": user, "topic": topic}, "both")
        check({"userIds": [user, other]}, "both", "user", "stranger")
        check({"userIds": [user, user, other], "topic": topic}, "both", "stranger")
        check({"broadcast": True}, "both", "user", "topic", "stranger")
        check({"userId": user, "store": False}, "both", "user")


def test_delivers_data_as_published(server, client):
    topic = unique("topic")
    client.subscribe(topics=[topic])
    data = '{"z":1.50,"a":[1e2,-0,12345678901234567890,"\\u00e9\\/é"],"z2":{"":null},"type":"ping","html":"</script>\u2028"}'
    server.api.publish('{"topic":"%s","data":%s,"type":"custom"}' % (topic, data))
    assert client.next_raw().decode() == '{"type":"custom","data":%s}' % data


def test_delivers_the_three_types_of_the_document(server, client):
    user, topic = unique("user"), unique("topic")
    client.subscribe(user, [topic])
    notification = {"title": "Title", "message": "Content", "category": "job_match", "link": "/jobs/123"}
    answer = server.api.publish({"type": "notification", "userId": user, "data": notification})
    message = client.next_message()
    assert list(message) == ["type", "data"] and message["type"] == "notification"
    assert list(message["data"]) == [*notification, "id", "read", "timestamp"]
    assert {name: message["data"][name] for name in notification} == notification
    assert message["data"]["id"] == answer["id"]
    assert message["data"]["read"] is False
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", message["data"]["timestamp"])

    job = {"id": 123, "title": "Software Engineer", "company": "TechSA", "status": "new", "timestamp": "2023-01-01T00:00:00Z"}
    server.api.publish({"type": "job_update", "topic": topic, "data": job})
    client.expect_json({"type": "job_update", "data": job})
    server.api.publish({"type": "job_update", "topic": topic, "data": {}})
    assert list(client.next_message()["data"]) == ["timestamp"]

    status = {"id": 456, "jobId": 123, "jobTitle": "Software Engineer", "company": "TechSA", "status": "interview_scheduled",
              "message": "January 15th", "timestamp": "2023-01-01T00:00:00Z"}
    server.api.publish({"type": "application_status", "userId": user, "topic": topic, "data": status})
    client.expect_json({"type": "application_status", "data": status})


def test_delivers_large_messages(server, client):
    topic = unique("topic")
    client.subscribe(topics=[topic])
    for size in (1, 100, 125, 126, 127, 4096, 65000):
        server.api.to_topic(topic, "x" * size)
        client.expect_json({"type": "custom", "data": "x" * size})


# --- unsubscribe ---

@pytest.mark.smoke
def test_unsubscribe_drops_the_topics_that_it_names(server, client):
    user, one, two = unique("user"), unique("topic"), unique("topic")
    client.subscribe(user, [one, two])
    client.unsubscribe([one, unique("never-held")], userId=user)
    server.api.to_topic(one, 1)
    server.api.to_topic(two, 2)
    server.api.to_user(user, 3)
    client.expect_json({"type": "custom", "data": 2})
    client.expect_json({"type": "custom", "data": 3})
    client.expect_nothing()


@pytest.mark.parametrize("named", [True, False])
def test_unsubscribe_without_topics_drops_everything_but_the_user(server, client, named):
    user, topic = unique("user"), unique("topic")
    client.subscribe(user, [topic])
    client.unsubscribe(**({"userId": user} if named else {}))
    server.api.to_topic(topic, 1)
    server.api.to_user(user, 2)
    client.expect_nothing()
    client.send_json(subscribe({"userId": unique("other")}))
    client.expect_error("unauthorized")

    client.subscribe(topics=[topic])
    server.api.to_user(user, 3)
    server.api.to_topic(topic, 4)
    client.expect_json({"type": "custom", "data": 4})
    client.subscribe(user)
    server.api.to_user(user, 5)
    client.expect_json({"type": "custom", "data": 5})
    client.expect_nothing()


def test_unsubscribe_for_another_user_is_unauthorized(server, client):
    user, topic = unique("user"), unique("topic")
    client.subscribe(user, [topic])
    client.send_json({"type": "unsubscribe", "id": 1, "data": {"userId": unique("other"), "topics": [topic]}})
    client.expect_error("unauthorized", id=1)
    server.api.to_topic(topic, 1)
    client.expect_json({"type": "custom", "data": 1})


def test_unsubscribe_works_without_a_user_in_open_mode(server, client):
    topic = unique("topic")
    client.subscribe(topics=[topic])
    client.unsubscribe()
    server.api.to_topic(topic, 1)
    client.expect_nothing()


# --- mark_read ---

@pytest.mark.smoke
def test_marks_a_notification_read(server, client):
    user = unique("user")
    first, second = server.api.notify(user)["id"], server.api.notify(user)["id"]
    client.subscribe(user)
    client.mark_read(first)
    inbox = server.api.notifications(user)
    assert inbox["unreadCount"] == 1
    assert {item["data"]["id"]: item["data"]["read"] for item in inbox["notifications"]} == {first: True, second: False}
    client.mark_read(first)
    assert server.api.notifications(user)["unreadCount"] == 1


def test_marks_read_durably(start_server, tmp_path):
    first = start_server(data_dir=tmp_path / "data")
    notification = first.api.notify("u")["id"]
    with first.connect() as client:
        client.subscribe("u")
        client.mark_read(notification)
    first.kill()
    inbox = start_server(data_dir=tmp_path / "data").api.notifications("u")
    assert inbox["unreadCount"] == 0
    assert [item["data"]["read"] for item in inbox["notifications"]] == [True]


def test_marks_only_the_users_own_and_tells_nothing_of_others(server, client):
    foreign = server.api.notify(owner := unique("owner"))["id"]
    unknown = foreign[:-4] + ("0000" if foreign[-4:] != "0000" else "1111")
    client.subscribe(unique("user"))
    words = []
    for id in (foreign, unknown):
        client.send_json({"type": "mark_read", "id": 1, "data": {"notificationId": id}})
        words.append(client.expect_error("invalid_message", id=1).replace(id, "ID"))
    assert words[0] == words[1]
    assert server.api.notifications(owner)["unreadCount"] == 1


def test_marks_nothing_before_authentication(server, client):
    notification = server.api.notify(unique("user"))["id"]
    client.send_json({"type": "mark_read", "data": {"notificationId": notification}})
    client.expect_error("unauthorized")
    client.subscribe(topics=["a"])
    client.send_json({"type": "mark_read", "data": {"notificationId": notification}})
    client.expect_error("unauthorized")


@pytest.mark.parametrize("data", [{}, {"notificationId": None}, {"notificationId": 1}, {"notificationId": ["a"]}, {"notificationId": ""},
                                  {"notificationId": "x" * 10000}, {"notificationId": "nobody's"}, {"id": "a"}])
def test_refuses_a_bad_mark_read(client, data):
    client.subscribe(unique("user"))
    client.send_json({"type": "mark_read", "data": data})
    client.expect_error("invalid_message")


def test_marks_a_notification_with_an_id_of_the_publishers_own(server, client):
    user, id = unique("user"), 'any "text" \\ é ' + unique()
    server.api.publish({"type": "notification", "userId": user, "data": {"id": id}})
    client.subscribe(user)
    client.mark_read(id)
    assert server.api.notifications(user)["unreadCount"] == 0


# --- errors ---

@pytest.mark.parametrize("make", [
    lambda text: {"type": text}, lambda text: {"type": text, "data": {}}, lambda text: {"type": {text: text}},
    lambda text: subscribe({"topics": [text]}), lambda text: subscribe({"userId": text}), lambda text: subscribe({"userId": 1, "since": text}),
    lambda text: subscribe({"userId": 1, "replay": text}), lambda text: {"type": "pong", "id": text}, lambda text: {text: text},
    lambda text: {"type": "mark_read", "data": {"notificationId": text}}, lambda text: [text],
])
@pytest.mark.parametrize("unit", ["A", "é", "😀", '"', "\\", "\n", "<", "\x7f", "\u2028"])
def test_echoes_at_most_64_bytes_of_input(client, make, unit):
    text = unit * 1000
    if "mark_read" in str(make("a")):
        client.subscribe(1)
    client.send_text(json.dumps(make(text), ensure_ascii=False))
    message = client.next_message()
    assert message["type"] == "error"
    words = message["data"]["message"]
    longest = max(len(run.group(0)) for run in re.finditer(f"(?:{re.escape(unit)})*", words)) // len(unit)
    own = 2 if unit == '"' else 0  # quotes around it
    assert longest <= 64 // len(unit.encode()) + own, words
    assert words.count(unit) <= longest + 8  # the words have a few quotes and letters of their own


def test_stays_open_at_mistakes(client):
    for _ in range(50):
        client.send_text("nonsense")
        client.expect_error("invalid_message")
        client.send_json(subscribe({"topics": ["bad topic"]}))
        client.expect_error("subscription_failed")
    client.round_trip()


@pytest.mark.smoke
def test_runs_the_session_of_the_document(start_server):
    server = start_server()
    with server.connect() as client:
        client.send_text('{"type":"subscribe","data":{"userId":123,"topics":["job_matches","application_updates"]}}')
        while not server.api.user(123)["connections"]:
            pass
        server.api.publish({"type": "notification", "userId": 123, "data": {"title": "T", "message": "M", "category": "job_match",
                                                                           "link": "/jobs/123"}})
        server.api.publish({"type": "job_update", "topic": "job_matches", "data": {"id": 123, "title": "Software Engineer"}})
        server.api.publish({"type": "application_status", "userId": 123, "topic": "application_updates", "data": {"id": 456}})
        notification = client.next_message()
        assert notification["type"] == "notification"
        assert client.next_message()["type"] == "job_update"
        assert client.next_message()["type"] == "application_status"
        client.send_json({"type": "pong"})
        client.send_json({"type": "mark_read", "data": {"notificationId": notification["data"]["id"]}})
        client.send_text('{"type":"unsubscribe","data":{"userId":123,"topics":["job_matches"]}}')
        client.expect_nothing()
        assert server.api.user(123)["unreadCount"] == 0
        assert [c["topics"] for c in server.api.user("123")["connections"]] == [["application_updates"]]
        client.close()
