"""A long backlog: streamed to several devices while live publications go on, each message once and in order."""
import threading


def publish(api, labels):
    api.publish_lines([{"type": "custom", "userId": "u", "data": n} for n in labels])


def test_a_backlog_comes_once_and_in_order_on_every_device_while_more_is_published(start_server):
    count, live = 100_000, 2_000
    server = start_server(workers=2, settings={"inbox": {"notifications_per_user": 1_000_000}})
    for first in range(0, count, 20_000):
        publish(server.api, range(first, min(first + 20_000, count)))
    got, failures, started = [[], []], [], threading.Barrier(3)

    def device(n):
        try:
            with server.connect() as client:
                ack = client.subscribe("u", since="0")
                assert ack["gap"] is False
                started.wait(60)
                while len(got[n]) < count + live:
                    message = client.next_message(timeout=60)
                    got[n].append((message["data"], int(message["offset"].rpartition("-")[2])))
        except BaseException as failure:
            failures.append(failure)
            raise

    devices = [threading.Thread(target=device, args=(n,)) for n in range(2)]
    for thread in devices:
        thread.start()
    started.wait(60)
    for n in range(count, count + live, 100):
        publish(server.api, range(n, n + 100))
    for thread in devices:
        thread.join(300)
    assert not failures
    for received in got:
        assert [data for data, _ in received] == list(range(count + live))
        offsets = [offset for _, offset in received]
        assert offsets == sorted(set(offsets))
    assert got[0] == got[1]
    store = server.api.get("/api/stats").json()
    assert store["totals"]["replayed_total"] > count


def test_a_resume_that_retention_overtakes_ends_and_the_next_one_is_told_of_the_gap(start_server):
    """A client that reads nothing, while all that it still lacks gives way to newer messages."""
    kept, pad = 1000, "x" * 8000  # more than the socket takes
    server = start_server(settings={"inbox": {"notifications_per_user": kept}})

    def publish(numbers):
        server.api.publish_lines([{"type": "custom", "userId": "u", "data": {"n": n, "pad": pad}} for n in numbers])

    publish(range(kept))
    with server.connect(receive_buffer=4096) as client:
        assert client.subscribe("u", since="0")["gap"] is False
        publish(range(kept, 3 * kept))
        seen = []
        while (message := client.next_message())["type"] != "error":
            seen.append(message["data"]["n"])
            offset = message["offset"]
        assert message["data"]["code"] == "internal_error"
        client.expect_close(1011, "internal_error")
        assert seen == list(range(len(seen))) and len(seen) < kept
    with server.connect() as client:
        assert client.subscribe("u", since=offset)["gap"] is True
        assert [client.next_message()["data"]["n"] for _ in range(kept)] == list(range(2 * kept, 3 * kept))
