"""What comes in one moment, more of it than the server's queues have places for."""
import json
import os
import signal
import threading
import time

from ringcast import RawHttp, together, unique


def head(server, body, content_type="application/json", **fields):
    lines = ["POST /api/publish HTTP/1.1", "Host: api", f"Authorization: Bearer {server.api_key()}",
             f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def at_once(server, count, request):
    """Sends this request on so many connections while the server stands still, and returns the answers."""
    connections = [RawHttp(server.api_address) for _ in range(count)]
    for connection in connections:
        assert connection.send(b"GET /healthz HTTP/1.1\r\nHost: api\r\n\r\n").read_response().status == 200
    os.kill(server.pid, signal.SIGSTOP)
    try:
        for connection in connections:
            connection.send(request)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    answers = [connection.read_response() for connection in connections]
    for connection in connections:
        connection.socket.close()
    return answers


def test_many_batches_at_once_are_taken(either):
    line = json.dumps({"type": "custom", "topic": unique("topic"), "data": {}}) + "\n"
    batch = (line * 50).encode()
    answers = at_once(either, 40, head(either, batch, "application/x-ndjson") + batch)
    assert [answer.json() for answer in answers] == [{"accepted": 50, "rejected": []}] * 40


def test_many_requests_with_one_key_are_one_publication(start_server):
    server = start_server(workers=1)
    with server.connect() as client:
        topic = unique("topic")
        client.subscribe(topics=[topic])
        body = json.dumps({"type": "custom", "topic": topic, "data": 1}).encode()
        answers = at_once(server, 700, head(server, body, Idempotency_Key=unique("key")) + body)
        assert {answer.status for answer in answers} <= {200, 503}
        assert len({answer.body for answer in answers if answer.status == 200}) == 1
        assert client.next_message() == {"type": "custom", "data": 1}
        client.expect_nothing()


def test_of_very_many_rejected_lines_the_first_are_named(server):
    lines = ["{}"] * 5000
    answer = server.api.post("/api/publish", "\n".join(lines), content_type="application/x-ndjson").json()
    assert answer["accepted"] == 0
    assert [rejected["line"] for rejected in answer["rejected"]] == list(range(1, 1001))


def test_clients_that_are_refused_do_not_hold_up_the_end(start_server):
    server = start_server(settings={"drain_time": "300ms"})
    ended, refused = threading.Event(), threading.Barrier(9)

    def knock():
        knocks = 0
        while not ended.is_set():
            try:
                with RawHttp(server.address) as http:
                    http.send(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").read_to_end()
            except OSError:
                return
            knocks += 1
            if knocks == 10:
                refused.wait(30)

    def end():
        refused.wait(30)
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        try:
            assert server.wait_for_exit(20) == 0
            assert time.monotonic() - began < 5
        finally:
            ended.set()

    together(end, *[knock] * 8)
