"""Statistics, metrics, health, and the API of a server that drains."""
import datetime
import signal
import subprocess
import threading
import time

import pytest

from ringcast import Closed, HandshakeRefused, WsClient
from ringcast.exposition import counters, parse
from ringcast.http_wire import Connection
from ringcast.server import program
from ringcast.world import World, world, world2  # noqa: F401 (fixtures)


def metrics_of(api):
    answer = api.request("GET", "/metrics", key=None)
    assert answer.status == 200
    assert answer.header("content-type").replace(" ", "") in (
        "text/plain;version=0.0.4",
        "text/plain;version=0.0.4;charset=utf-8",
    )
    return parse(answer.body.decode())


def gauges(families):
    return {name: sum(f.samples.values()) for name, f in families.items() if f.kind == "gauge"}


# ---- metrics ------------------------------------------------------------------------------------


def test_metrics_are_well_formed_and_our_own(world):
    families = metrics_of(world.api)
    assert len(families) >= 10
    for name in families:
        assert name.startswith(("ringcast_", "process_")), name
    assert any(f.kind == "counter" for f in families.values())
    assert any(f.kind == "gauge" for f in families.values())


@pytest.mark.smoke
def test_metrics_hold_a_sample_for_each_core(world2):
    families = metrics_of(world2.api)
    per_core = [f for f in families.values() if {k for _, labels in f.samples for k, _ in labels} == {"core"}]
    assert len(per_core) > 5
    for family in per_core:
        assert {dict(labels)["core"] for _, labels in family.samples} == {"0", "1"}, family.name


def test_counters_only_grow_and_move_with_what_happens(start_server):
    server = start_server(workers=2)
    world = World(server)
    try:
        before = metrics_of(world.api)
        receivers = [world.receiver(user="a", topics=["t"]) for _ in range(3)]
        for n in range(10):
            assert world.api.publish({"type": "news", "userId": "a", "data": n}).status == 200
        for receiver in receivers:
            assert [receiver.next()["data"] for _ in range(10)] == list(range(10))
        during = metrics_of(world.api)
        assert set(during) >= set(before), "a family went away"
        grown = {n: v - counters(before).get(n, 0) for n, v in counters(during).items()}
        assert min(grown.values()) >= 0
        assert any("publi" in name and growth == 10 for name, growth in grown.items()), grown
        assert any(growth == 30 for growth in grown.values()), f"nothing counts the 30 deliveries: {grown}"
        raised = {n for n, v in gauges(during).items() if v - gauges(before).get(n, 0) == 3}
        assert any("connection" in name for name in raised), gauges(during)
        assert world.api.publish(b"{").status == 400
        for receiver in receivers:
            receiver.client.close()
        connection_gauges = [name for name in raised if "connection" in name]
        deadline = time.monotonic() + 10
        while (after := gauges(metrics_of(world.api))) and any(
            after[name] != gauges(before)[name] for name in connection_gauges
        ):
            assert time.monotonic() < deadline, after
    finally:
        world.close()


# ---- stats --------------------------------------------------------------------------------------


def test_stats_have_totals_and_a_row_for_each_core(world2):
    receivers = [world2.receiver(user=world2.user()) for _ in range(16)]
    stats = world2.api.request("GET", "/api/stats").json
    totals, rows = stats["totals"], stats["cores"]
    assert [row["core"] for row in rows] == [0, 1]
    for row in rows:
        assert set(row) - {"core"} == set(totals)
    for key in ("connections", "subscribers", "users"):
        assert totals[key] == sum(row[key] for row in rows), key
        assert all(row[key] > 0 for row in rows), f"16 connections fell on one core: {key}"
    assert totals["connections"] >= len(receivers)
    assert all(value >= 0 for value in totals.values())


def test_stats_and_metrics_tell_the_cpu_time_of_turns(world2):
    world2.receiver(user=world2.user())
    turns = world2.api.request("GET", "/api/stats").json["turn_cpu_seconds"]
    assert turns["count"] == turns["buckets"][-1][1] > 0
    assert turns["buckets"] == sorted(turns["buckets"], key=lambda bucket: bucket[1])
    assert 0 < turns["sum"] < 60
    family = metrics_of(world2.api)["ringcast_turn_cpu_seconds"]
    assert {dict(labels)["core"] for name, labels in family.samples if name.endswith("_count")} == {"0", "1"}


def test_stats_tell_which_server_this_is_and_what_it_takes(start_server):
    server = start_server(workers=2)
    stats, figures = server.api.get("/api/stats").json(), metrics_of(World(server).api)
    version = subprocess.run([program("ringcastd"), "--version"], capture_output=True, text=True, check=True).stdout
    assert version == f"ringcastd {stats['version']}\n"
    started = datetime.datetime.fromisoformat(stats["started"].replace("Z", "+00:00")).timestamp()
    assert time.time() - 60 < started <= time.time()
    assert figures["process_start_time_seconds"].samples[("process_start_time_seconds", ())] == pytest.approx(started, abs=0.002)
    assert stats["process"]["resident_bytes"] == pytest.approx(server.rss_bytes(), rel=0.2)
    used = figures["process_cpu_seconds_total"].samples[("process_cpu_seconds_total", ())]
    assert 0 < stats["process"]["cpu_seconds"] <= used <= server.cpu_seconds() + 0.02  # the kernel tells it in ticks of 10 ms
    rows = [core["turn_cpu_seconds_total"] for core in stats["cores"]]
    assert min(rows) > 0 and stats["totals"]["turn_cpu_seconds_total"] == pytest.approx(sum(rows), abs=2e-6)


def test_stats_tell_what_was_refused_and_closed(start_server):
    server = start_server(settings={"limits": {"connections_per_user": 1}})
    nothing = server.api.get("/api/stats").json()
    assert [nothing[key] for key in ("messages_refused", "closed", "limit_refused")] == [{}, {}, {}]
    with server.connect() as first, server.connect() as second:
        first.send_json({"type": "nothing"})
        first.expect_error("invalid_message")
        first.subscribe("u")
        second.subscribe("u")
        first.expect_error("connection_limit_exceeded")
        stats = server.api.get("/api/stats").json()
    assert stats["messages_refused"] == {"invalid_message": 1}
    assert stats["closed"] == {"connection_limit_exceeded": 1}
    assert stats["limit_refused"] == {"connections_per_user": 1}


def test_stats_follow_the_connections(start_server):
    server = start_server(workers=2)
    world = World(server)
    try:
        def connections():
            return world.api.request("GET", "/api/stats").json["totals"]["connections"]

        assert connections() == 0
        receivers = [world.receiver(user="a") for _ in range(6)]
        assert connections() == 6
        for receiver in receivers[:4]:
            receiver.client.close()
        deadline = time.monotonic() + 10
        while connections() != 2:
            assert time.monotonic() < deadline
    finally:
        world.close()


# ---- health and drain ---------------------------------------------------------------------------


def test_health_and_readiness_of_a_running_server(world):
    assert world.api.request("GET", "/healthz", key=None).body.strip() == b"ok"
    assert world.api.request("GET", "/readyz", key=None).status == 200


def test_a_draining_server_serves_publishers_until_its_last_client_is_closed(start_server):
    server = start_server(workers=2, settings={"drain_time": "2s", "limits": {"messages_per_second": 1000}})
    world = World(server)
    try:
        receivers = [world.receiver(user="a") for _ in range(12)]
        with Connection(server.api_address) as probe:
            assert probe.request("GET", "/readyz").status == 200
            begun = time.monotonic()
            server.signal(signal.SIGTERM)
            while (answer := probe.request("GET", "/readyz")).status == 200:
                assert time.monotonic() - begun < 1, "readyz says ready while the server drains"
            assert answer.status == 503
            assert probe.request("GET", "/healthz").status == 200
            answer = world.api.publish({"type": "notification", "userId": "a", "data": {"title": "late"}})
            assert answer.status == 200, "publishers are served while clients are there"
            assert world.api.request("GET", "/api/users/a").json["unreadCount"] == 1
            with pytest.raises(HandshakeRefused) as refused:
                WsClient(server.address)
            assert refused.value.status == 503
        results = drain_all(receivers, begun)
        assert [r["code"] for r in results] == [1012] * 12
        assert all(r["error"] == r["reason"] == "shutting_down" for r in results)
        assert sum(r["late"] for r in results) >= 6, "the first half of the drain closed more than its share"
        ends = sorted(r["after"] for r in results)
        assert ends[0] < 0.8 and 1.0 < ends[-1] < 4, ends
        assert server.wait_for_exit(10) == 0
    finally:
        world.close()


def drain_all(receivers, begun):
    results = []

    def follow(client):
        result = {"late": False, "error": None, "code": None}
        try:
            while True:
                message = client.next_message()
                if message["type"] == "notification":
                    result["late"] = True
                if message["type"] == "error":
                    result["error"] = message["data"]["code"]
        except Closed as closed:
            result["code"], result["reason"] = closed.code, closed.reason
        result["after"] = time.monotonic() - begun
        client.abandon()
        results.append(result)

    threads = [threading.Thread(target=follow, args=(receiver.client,)) for receiver in receivers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


def test_a_second_sigterm_ends_the_drain_now(start_server):
    server = start_server(settings={"drain_time": "60s"})
    world = World(server)
    try:
        receivers = [world.receiver(user="a") for _ in range(4)]
        begun = time.monotonic()
        server.signal(signal.SIGTERM)
        server.wait_for_stderr(r"(?i)drain")
        server.signal(signal.SIGTERM)
        results = drain_all(receivers, begun)
        assert len(results) == 4
        assert server.wait_for_exit(15) == 0
        assert time.monotonic() - begun < 15
    finally:
        world.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_clients_it_ends_at_once(start_server, number):
    server = start_server(workers=2, settings={"drain_time": "60s"})
    with Connection(server.api_address, server.api_key()) as api:
        assert api.publish({"type": "news", "userId": "a", "data": 1}).status == 200
        begun = time.monotonic()
        server.signal(number)
        assert server.wait_for_exit(10) == 0
        assert time.monotonic() - begun < 5
        assert api.at_end()


def test_what_was_answered_200_before_the_end_was_delivered(start_server):
    """Publishers that go on while the server ends get answers or the end, never silence."""
    server = start_server(workers=2, settings={"drain_time": "500ms"})
    world = World(server)
    try:
        receiver = world.receiver(user="a")
        answered, got = [], []
        ready = threading.Event()

        def publish():
            api = Connection(server.api_address, server.api_key())
            try:
                for n in range(1_000_000):
                    answer = api.publish({"type": "news", "userId": "a", "data": n})
                    if answer is None or answer.status == 503:
                        return
                    assert answer.status == 200
                    answered.append(n)
                    if n == 20:
                        ready.set()
            except (ConnectionError, AssertionError):
                pass
            finally:
                ready.set()
                api.close()

        publisher = threading.Thread(target=publish)
        publisher.start()
        assert ready.wait(15)
        server.signal(signal.SIGTERM)
        try:
            while True:
                message = receiver.next()
                if message["type"] == "news":
                    got.append(message["data"])
        except Closed:
            pass
        receiver.client.abandon()
        publisher.join(15)
        assert not publisher.is_alive()
        assert server.wait_for_exit(10) == 0
        assert len(answered) > 20
        assert got == list(range(len(got))), "in order, without a gap"
    finally:
        world.close()


# ---- other addresses ------------------------------------------------------------------------------


def test_several_api_addresses(start_server):
    server = start_server(args=["--api-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0,127.0.0.1:0"])
    assert len(server.api_addresses) == 3 and len(set(server.api_addresses)) == 3
    for address in server.api_addresses:
        with Connection(address, server.api_key()) as api:
            assert api.request("GET", "/api/stats").status == 200
