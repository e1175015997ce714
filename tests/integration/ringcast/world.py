"""A backend with its receivers: what the tests of the API need around one server.

A mark is a broadcast that the test's publisher sends after it has its other answers. Order holds for a publisher
that waits (contract 5), so what a receiver was to get stands before the mark, and what it was not to get is not
awaited by a clock.
"""
import datetime
import itertools
import json
import re
import time
import urllib.parse

import pytest

from .client import WsClient
from .http_wire import Connection
from .server import unique

UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)"
OFFSET = r"[0-9A-Za-z]+-\d+"

_numbers = itertools.count(int(time.time() * 1000) * 1000)


class Receiver:
    """A client that has subscribed, if told to, and collects."""

    def __init__(self, world, user=None, topics=None, **more):
        self.world = world
        self.client = WsClient(world.server.address)
        self.ack = None
        if user is not None or topics is not None:
            self.ack = self.client.subscribe(user, topics, **more)

    def next_text(self):
        return self.client.next_raw().decode()

    def next(self):
        return self.client.next_message()

    def until_mark(self):
        """Every message before the newest mark, in order."""
        texts = list(iter(self.next_text, self.world.mark_text))
        return [json.loads(text) for text in texts]

    def is_silent(self):
        self.client.expect_nothing()
        return True


class World:
    def __init__(self, server):
        self.server = server
        self.key = server.api_key()
        self.mark_text = None
        self._closing = []
        self.api = self.connect()

    def connect(self):
        """Another connection to the API."""
        self._closing.append(Connection(self.server.api_address, self.key))
        return self._closing[-1]

    def receiver(self, user=None, topics=None, **more):
        receiver = Receiver(self, user, topics, **more)
        self._closing.append(receiver.client.socket)
        return receiver

    def mark(self):
        token = unique("mark")
        self.mark_text = f'{{"type":"mark","data":"{token}"}}'
        answer = self.api.publish({"type": "mark", "broadcast": True, "data": token})
        assert answer.status == 200, answer

    def user(self):
        return unique("user")

    def topic(self):
        return unique("topic")

    def number(self):
        """A user that is an integer."""
        return next(_numbers)

    def of_user(self, user, rest="", method="GET", body=None, **more):
        """A request below /api/users/{id}."""
        target = f"/api/users/{quote(user)}{rest}"
        if body is None and method == "POST":
            body = b""
        return self.api.request(method, target, body, **more)

    def notifications(self, user, query=""):
        answer = self.of_user(user, f"/notifications{query}")
        assert answer.status == 200, answer
        return answer.json

    def notify(self, user, **data):
        answer = self.api.publish({"type": "notification", "userId": user, "data": data})
        assert answer.status == 200, answer
        return answer.json

    def cores_in_use(self):
        """The cores that hold a client."""
        return [row for row in self.api.request("GET", "/api/stats").json["cores"] if row["connections"] > 0]

    @staticmethod
    def wait_until(ask, is_so, within_s=15.0):
        """Asks until the answer is so, and returns it. For what happens on the server's own clock."""
        deadline = time.monotonic() + within_s
        while not is_so(answer := ask()):
            assert time.monotonic() < deadline, answer
            time.sleep(0.01)
        return answer

    def close(self):
        for thing in self._closing:
            thing.close()


def quote(text):
    return urllib.parse.quote(str(text), safe="")


def seconds_since(rfc3339):
    then = datetime.datetime.fromisoformat(rfc3339.replace("Z", "+00:00"))
    return (datetime.datetime.now(datetime.timezone.utc) - then).total_seconds()


def is_like(pattern, text):
    return re.fullmatch(pattern, text) is not None


def _world_of(server):
    world = World(server)
    yield world
    world.close()


@pytest.fixture
def world(either):
    """A publisher and receivers: of the shared server on one core, then of the one on two."""
    yield from _world_of(either)


@pytest.fixture
def world2(server2):
    """Of the one on two cores alone."""
    yield from _world_of(server2)
