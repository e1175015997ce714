"""The inbox and the administration of users over the API."""
import json
import re

import pytest

from ringcast.http_wire import Connection
from ringcast.world import OFFSET, RFC3339, is_like, quote, seconds_since, world  # noqa: F401 (a fixture)

ODD_USERS = ["a/b", "ä", "100%", "100%25", "a b", "a+b", "a?b", "a#b", "..", ".", "a&b=c", "日本", "%2F", "x" * 128]


def ids(page):
    return [item["data"]["id"] for item in page["notifications"]]


# ---- the list -----------------------------------------------------------------------------------


def test_the_list_is_the_inbox_newest_first(world):
    user = world.user()
    sent = [world.notify(user, title=f"n{n}", category="job_match", link="/jobs/1") for n in range(3)]
    page = world.notifications(user)
    assert set(page) == {"notifications", "unreadCount", "next"}
    assert ids(page) == [answer["id"] for answer in reversed(sent)]
    assert [item["offset"] for item in page["notifications"]] == [a["offset"] for a in reversed(sent)]
    assert page["unreadCount"] == 3 and page["next"] is None
    for item in page["notifications"]:
        assert set(item) == {"offset", "type", "data"}
        assert item["type"] == "notification" and is_like(OFFSET, item["offset"])
        assert list(item["data"]) == ["title", "category", "link", "id", "read", "timestamp"]
        assert item["data"]["read"] is False
        assert abs(seconds_since(item["data"]["timestamp"])) < 60


def test_the_list_holds_the_data_as_it_was_published(world):
    user = world.user()
    data = rb'{"title":"\u00e9\/<b>","n":[1.50,1e2,123456789012345678901234567890],"id":"n","read":false,"z":null}'
    body = b'{"type":"notification","userId":"%s","data":%s}' % (user.encode(), data)
    assert world.api.publish(body).status == 200
    raw = world.of_user(user, "/notifications").body
    assert data[:-1] in raw
    assert world.of_user(user, "/notifications/n/read", "POST").status == 200
    raw = world.of_user(user, "/notifications").body
    assert data[:-1].replace(b'"read":false', b'"read":true') in raw


def test_other_messages_of_the_user_are_not_in_the_inbox(world):
    user, topic = world.user(), world.topic()
    for kind in ("news", "job_update", "application_status"):
        assert world.api.publish({"type": kind, "userId": user, "data": {"id": 1}}).status == 200
    own = world.notify(user)["id"]
    in_topic = world.api.publish({"type": "notification", "userId": user, "topic": topic, "data": {}}).json["id"]
    page = world.notifications(user)
    assert ids(page) == [in_topic, own] and page["unreadCount"] == 2


def test_pages_walk_the_whole_inbox(world):
    user = world.user()
    lines = [{"type": "notification", "userId": user, "data": {"id": f"n{n}"}} for n in range(105)]
    assert world.api.publish_lines(lines).json["accepted"] == 105
    expected = [f"n{n}" for n in range(104, -1, -1)]
    for limit in (1, 7, 100):
        if limit == 1:
            expected_now, walk = expected[:5], 5
        else:
            expected_now, walk = expected, 1000
        got, query = [], f"?limit={limit}"
        while walk > 0:
            page = world.notifications(user, query)
            assert len(page["notifications"]) <= limit and page["unreadCount"] == 105
            got += ids(page)
            if page["next"] is None:
                break
            assert len(page["notifications"]) == limit
            query = f"?before={page['next']}&limit={limit}"
            walk -= 1
        assert got == expected_now


def test_the_last_page_says_that_it_is_the_last(world):
    user = world.user()
    for _ in range(4):
        world.notify(user)
    assert world.notifications(user, "?limit=4")["next"] is None
    first = world.notifications(user, "?limit=2")
    second = world.notifications(user, f"?limit=2&before={first['next']}")
    assert len(second["notifications"]) == 2 and second["next"] is None


def test_before_is_exclusive_and_takes_any_offset_of_the_log(world):
    user = world.user()
    first = world.notify(user, id="1")
    between = world.api.publish({"type": "news", "userId": user, "data": 1}).json
    last = world.notify(user, id="2")
    assert ids(world.notifications(user, f"?before={last['offset']}")) == ["1"]
    assert ids(world.notifications(user, f"?before={between['offset']}")) == ["1"]
    assert ids(world.notifications(user, f"?before={first['offset']}")) == []


def test_the_read_filter(world):
    user = world.user()
    for n in range(6):
        world.notify(user, id=str(n))
    for n in (1, 4):
        assert world.of_user(user, f"/notifications/{n}/read", "POST").status == 200
    rows = [("", "543210"), ("?read=false", "5320"), ("?read=true", "41")]
    for query, expected in rows:
        page = world.notifications(user, query)
        assert "".join(ids(page)) == expected and page["unreadCount"] == 4
    page = world.notifications(user, "?read=false&limit=2")
    assert ids(page) == ["5", "3"]
    page = world.notifications(user, f"?limit=2&read=false&before={page['next']}")
    assert ids(page) == ["2", "0"] and page["next"] is None


@pytest.mark.parametrize(
    "query, word",
    [
        ("?limit=0", "limit"),
        ("?limit=101", "limit"),
        ("?limit=-1", "limit"),
        ("?limit=", "limit"),
        ("?limit=abc", "limit"),
        ("?limit=1.0", "limit"),
        ("?limit=99999999999999999999", "limit"),
        ("?limit=1&limit=2", "limit"),
        ("?read=maybe", "read"),
        ("?read=", "read"),
        ("?read=1", "read"),
        ("?before=", "before"),
        ("?before=abc", "before"),
        ("?before=-1", "before"),
        ("?before=a-b", "before"),
        ("?limit=%zz", ""),
    ],
)
def test_a_bad_query_is_refused_by_name(world, query, word):
    answer = world.of_user(world.user(), f"/notifications{query}")
    assert answer.status == 400 and answer.error["code"] == "invalid_message"
    assert word in answer.error["message"]


@pytest.mark.parametrize("query", ["?limit=1", "?limit=100", "?limit=%31", "?further=1", "?"])
def test_a_good_query_passes(world, query):
    world.notifications(world.user(), query)


def test_an_unknown_user_has_an_empty_inbox(world):
    user = world.user()
    assert world.notifications(user) == {"notifications": [], "unreadCount": 0, "next": None}
    assert world.of_user(user).json == {"userId": user, "connections": [], "unreadCount": 0}
    assert world.of_user(user, "/notifications/read-all", "POST").json == {"marked": 0}
    assert world.of_user(user, "/disconnect", "POST").json == {"closed": 0}


def test_a_notification_published_as_read_is_not_unread(world):
    user = world.user()
    world.notify(user, id="1", read=True)
    world.notify(user, id="2", read=False)
    page = world.notifications(user)
    assert [item["data"]["read"] for item in page["notifications"]] == [False, True]
    assert page["unreadCount"] == 1


def test_the_oldest_notifications_give_way_to_new_ones(start_server):
    server = start_server(settings={"inbox": {"notifications_per_user": 5}})
    with Connection(server.api_address, server.api_key()) as api:
        for n in range(8):
            message = {"type": "notification", "userId": 1, "data": {"id": str(n)}}
            assert api.publish(message).status == 200
        page = api.request("GET", "/api/users/1/notifications").json
        assert ids(page) == list("76543") and page["unreadCount"] == 5
        assert api.request("POST", "/api/users/1/notifications/2/read", b"").status == 404


# ---- marking and removing -----------------------------------------------------------------------


@pytest.mark.smoke
def test_read_read_all_and_delete(world):
    user = world.user()
    for n in range(5):
        world.notify(user, id=str(n))
    one = world.of_user(user, "/notifications/2/read", "POST")
    assert one.status == 200 and one.json == {"read": True}
    again = world.of_user(user, "/notifications/2/read", "POST")
    assert again.status == 200 and again.json == {"read": True}
    assert world.notifications(user)["unreadCount"] == 4
    gone = world.of_user(user, "/notifications/3", "DELETE")
    assert gone.status == 204 and gone.body == b""
    page = world.notifications(user)
    assert ids(page) == list("4210") and page["unreadCount"] == 3
    everything = world.of_user(user, "/notifications/read-all", "POST")
    assert everything.status == 200 and everything.json == {"marked": 3}
    assert world.of_user(user, "/notifications/read-all", "POST").json == {"marked": 0}
    page = world.notifications(user)
    assert page["unreadCount"] == 0 and all(item["data"]["read"] is True for item in page["notifications"])
    assert world.of_user(user, "/notifications/2", "DELETE").status == 204
    assert ids(world.notifications(user)) == list("410")


def test_an_unknown_notification_is_404(world):
    user, other = world.user(), world.user()
    world.notify(user, id="mine")
    for who, own in ((user, "unknown"), (other, "mine"), (world.user(), "mine"), (user, "")):
        for method, rest in (("POST", f"/notifications/{own}/read"), ("DELETE", f"/notifications/{own}")):
            answer = world.of_user(who, rest, method)
            assert answer.status == 404 and answer.error["code"] == "not_found", (who, rest, answer)
    assert world.of_user(user, "/notifications/mine", "DELETE").status == 204
    assert world.of_user(user, "/notifications/mine", "DELETE").status == 404
    assert world.of_user(user, "/notifications/mine/read", "POST").status == 404


def test_posts_without_a_body_need_no_length(world):
    """`curl -X POST` sends neither a body nor a length."""
    user = world.user()
    world.notify(user, id="1")
    for rest in ("/notifications/1/read", "/notifications/read-all", "/disconnect"):
        world.api.send(
            f"POST /api/users/{user}{rest} HTTP/1.1\r\nHost: h\r\nX-API-Key: {world.key}\r\n\r\n".encode()
        )
        assert world.api.read_answer().status == 200
    world.notify(user, id="2")
    assert world.api.request("DELETE", f"/api/users/{user}/notifications/2").status == 204
    assert world.api.request("DELETE", f"/api/users/{user}/notifications/1", b"").status == 204


def test_marking_reaches_sync_connections(world):
    user = world.user()
    syncing = [world.receiver(user=user, sync=True) for _ in range(4)]
    plain = world.receiver(user=user)
    stranger = world.receiver(user=world.user(), sync=True)
    for n in range(3):
        world.notify(user, id=str(n))
    assert world.of_user(user, "/notifications/1/read", "POST").status == 200
    assert world.of_user(user, "/notifications/1/read", "POST").status == 200
    assert world.of_user(user, "/notifications/read-all", "POST").status == 200
    assert world.of_user(user, "/notifications/read-all", "POST").status == 200
    world.mark()
    for receiver in syncing:
        assert [m for m in receiver.until_mark() if m["type"] != "notification"] == [
            {"type": "notification_read", "data": {"notificationId": "1", "unreadCount": 2}},
            {"type": "notification_read", "data": {"all": True, "unreadCount": 0}},
        ]
    assert [m["type"] for m in plain.until_mark()] == ["notification"] * 3
    assert stranger.until_mark() == []


def test_deleting_what_is_unread_reaches_sync_connections(world):
    user = world.user()
    syncing, plain = world.receiver(user=user, sync=True), world.receiver(user=user)
    for n in range(3):
        world.notify(user, id=str(n))
    assert world.of_user(user, "/notifications/1/read", "POST").status == 200
    for n in (1, 2, 2):
        world.of_user(user, f"/notifications/{n}", "DELETE")
    world.mark()
    assert [m["data"] for m in syncing.until_mark() if m["type"] != "notification"] == [
        {"notificationId": "1", "unreadCount": 2}, {"notificationId": "2", "unreadCount": 1}]
    assert [m["type"] for m in plain.until_mark()] == ["notification"] * 3
    assert world.notifications(user)["unreadCount"] == 1


def test_a_mark_of_the_socket_shows_in_the_inbox(world):
    user = world.user()
    receiver = world.receiver(user=user)
    other = world.receiver(user=user, sync=True)
    world.notify(user, id="n 1")
    assert receiver.next()["data"]["id"] == "n 1"
    receiver.client.mark_read("n 1")
    assert other.next()["type"] == "notification"
    assert other.next()["data"] == {"notificationId": "n 1", "unreadCount": 0}
    page = world.notifications(user)
    assert page["unreadCount"] == 0 and page["notifications"][0]["data"]["read"] is True


# ---- names in paths -----------------------------------------------------------------------------


@pytest.mark.parametrize("user", ODD_USERS)
def test_an_id_in_a_path_is_decoded_once(world, user):
    user = (world.user() + user)[-128:] if len(user) < 100 else user
    own = "n/1 %2F?"
    receiver = world.receiver(user=user)
    world.notify(user, id=own)
    assert receiver.next()["data"]["id"] == own
    info = world.of_user(user).json
    assert info["userId"] == user and info["unreadCount"] == 1 and len(info["connections"]) == 1
    assert ids(world.notifications(user)) == [own]
    assert world.of_user(user, f"/notifications/{quote(own)}/read", "POST").json == {"read": True}
    assert world.of_user(user, f"/notifications/{quote(quote(own))}/read", "POST").status == 404
    assert world.of_user(user, f"/notifications/{quote(own)}", "DELETE").status == 204
    assert world.of_user(user, "/disconnect", "POST").json == {"closed": 1}
    receiver.client.expect_refusal("disconnected", 1008)


def test_users_that_look_alike_are_different(world):
    name = world.user()
    for n, user in enumerate((name, name + "%25", name + "%", name + " ", name + "+", name.upper()), 1):
        for _ in range(n):
            world.notify(user)
    for n, user in enumerate((name, name + "%25", name + "%", name + " ", name + "+", name.upper()), 1):
        assert world.notifications(user)["unreadCount"] == n, user


def test_a_number_in_a_path_is_the_user_of_that_number(world):
    number = world.number()
    world.notify(number)
    world.notify(str(number))
    info = world.of_user(number).json
    assert info["userId"] == str(number) and info["unreadCount"] == 2


@pytest.mark.parametrize(
    "name", ["%zz", "%", "%4", "a%", "%FF", "%C3", "%00", "%0A", "%7F", "%C2%85", "%ED%A0%80", "x" * 129]
)
@pytest.mark.parametrize("rest, method", [("", "GET"), ("/notifications", "GET"), ("/disconnect", "POST")])
def test_a_path_that_names_no_user_is_refused(world, name, rest, method):
    answer = world.api.request(method, f"/api/users/{name}{rest}", b"" if method == "POST" else None)
    assert answer.status == 400 and answer.error["code"] == "invalid_message", answer


# ---- users and their connections ----------------------------------------------------------------


def test_a_users_connections_are_listed_from_every_core(world):
    user, topics = world.user(), sorted(world.topic() for _ in range(3))
    assert world.of_user(user).json["connections"] == []
    receivers = [world.receiver(user=user, topics=topics[: n % 4]) for n in range(12)]
    info = world.of_user(user).json
    assert set(info) == {"userId", "connections", "unreadCount"} and info["userId"] == user
    assert len(info["connections"]) == 12
    for connection in info["connections"]:
        assert set(connection) == {"since", "address", "topics"}
        assert is_like(RFC3339, connection["since"]) and abs(seconds_since(connection["since"])) < 60
    by_address = {connection["address"]: sorted(connection["topics"]) for connection in info["connections"]}
    for n, receiver in enumerate(receivers):
        host, port = receiver.client.socket.getsockname()
        assert by_address[f"{host}:{port}"] == topics[: n % 4]
    receivers[3].client.unsubscribe(topics[:1])
    receivers[0].client.close()
    info = world.of_user(user).json
    assert sorted(len(connection["topics"]) for connection in info["connections"]) == sorted([1, 2, 2, 0, 1, 2, 3, 0, 1, 2, 3])


@pytest.mark.smoke
def test_disconnect_closes_every_connection_of_the_user_and_no_other(world):
    user = world.user()
    receivers = [world.receiver(user=user) for _ in range(10)]
    bystander = world.receiver(user=world.user())
    world.api.publish({"type": "news", "userId": user, "data": 1})
    answer = world.of_user(user, "/disconnect", "POST", b'{"reason":"account closed"}')
    assert answer.status == 200 and answer.json == {"closed": 10}
    for receiver in receivers:
        assert receiver.next()["data"] == 1
        assert receiver.client.expect_error("disconnected") == "account closed"
        receiver.client.expect_close(1008, "account closed")
    assert world.of_user(user).json["connections"] == []
    assert world.of_user(user, "/disconnect", "POST", b"{}").json == {"closed": 0}
    assert bystander.is_silent()


@pytest.mark.parametrize(
    "body, reason",
    [
        (b"", "disconnected"),
        (b"{}", "disconnected"),
        (b'{"further":1}', "disconnected"),
        (b'{"reason":"x"}', "x"),
        (b'{"reason":"' + b"r" * 123 + b'"}', "r" * 123),
        (('{"reason":"' + "ä" * 61 + '!"}').encode(), "ä" * 61 + "!"),
        (rb'{"reason":"\u00e9 \"q\" \\ \ud83d\ude00"}', 'é "q" \\ \U0001f600'),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_the_reason_is_the_message_and_the_close_reason(world, body, reason):
    user = world.user()
    receiver = world.receiver(user=user)
    assert world.of_user(user, "/disconnect", "POST", body).json == {"closed": 1}
    assert receiver.client.expect_error("disconnected") == reason
    receiver.client.expect_close(1008, reason)


@pytest.mark.parametrize(
    "body",
    [
        b'{"reason":"' + b"r" * 124 + b'"}',
        ('{"reason":"' + "ä" * 62 + '"}').encode(),
        b'{"reason":1}',
        b'{"reason":null}',
        b'{"reason":["x"]}',
        b'{"reason":"x","reason":"y"}',
        rb'{"reason":"\ud800"}',
        b'{"reason":"\xff"}',
        b"[]",
        b'"x"',
        b"{",
        b"{} {}",
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_bad_reason_is_refused_and_closes_nothing(world, body):
    user = world.user()
    receiver = world.receiver(user=user)
    answer = world.of_user(user, "/disconnect", "POST", body)
    assert answer.status == 400 and answer.error["code"] == "invalid_message", answer
    assert receiver.is_silent()


def test_a_disconnected_client_may_come_back_and_resume(world):
    user = world.user()
    receiver = world.receiver(user=user, offsets=True)
    offset = receiver.ack["offset"]
    assert world.of_user(user, "/disconnect", "POST").json == {"closed": 1}
    receiver.client.expect_refusal("disconnected", 1008)
    world.notify(user, id="missed")
    back = world.receiver(user=user, since=offset)
    assert back.ack["gap"] is False and back.ack["unreadCount"] == 1
    assert back.next()["data"]["id"] == "missed"


def test_errors_are_json_also_for_the_inbox(world):
    answer = world.of_user("x", "/notifications/none", "DELETE")
    assert re.fullmatch(rb'\{"error":\{"code":"not_found","message":"[^"]+"\}\}\s*', answer.body)
    assert json.loads(answer.body) == answer.json
