"""The hard days: a bad line, and sockets that take nothing (hazards.md N16, L2). Slow ones: docs/testing.md."""
import pytest

from ringcast import build_has_sanitizer, eventually
from ringcast.network import bad_line, may_make_networks, own_loopback
from ringcast.swarm import Swarm, descriptors_max, expect_rest, metrics, settled_rss, swarms

pytestmark = pytest.mark.skipif(not may_make_networks(), reason="no network of its own may be made here")
PATIENCE = 90.0  # TCP waits long where it has lost the same packet several times


def check_bad_line(start_server, clients, messages, delay_s):
    with bad_line(delay_s=delay_s) as move:
        server = start_server(workers=2, settings={
            "listen": ["10.9.0.1:0"], "api_listen": ["10.9.0.1:0"], "auth": {"allow_open": True},
            "limits": {"messages_per_second": 10000, "connections_per_user": 0}})
        line = move()
        all = [server.connect() for _ in range(clients)]
        for client in all:
            client.send_json({"type": "subscribe", "id": 1, "data": {"userId": "u", "topics": ["t"], "offsets": True}})
        for client in all:
            client.expect_ack(1, PATIENCE)
        api = server.new_api(patience=PATIENCE)
        for first in range(0, messages, 50):
            several = range(first, min(first + 50, messages))
            api.publish_lines([{"type": "user", "userId": "u", "data": n} for n in several] +
                              [{"type": "topic", "topic": "t", "data": n} for n in several])
        for client in all:
            seen = {"user": [], "topic": []}
            offsets = []
            while len(seen["user"]) + len(seen["topic"]) < 2 * messages:
                message = client.next_message(PATIENCE)
                seen[message["type"]].append(message["data"])
                if "offset" in message:
                    offsets.append(int(message["offset"].rpartition("-")[2]))
            assert seen == {"user": list(range(messages)), "topic": list(range(messages))}
            assert offsets == list(range(offsets[0], offsets[0] + messages))
            client.send_json({"type": "unsubscribe", "id": 2, "data": {}})
        for client in all:
            client.expect_ack(2, PATIENCE)
        failures = metrics_of(api, "protocol_failures_total")
        api.close()
        print(f"{line.carried} packets: {line.lost} lost, {line.doubled} doubled, {line.overtook} overtook others")
        assert failures == 0
        assert line.lost > 10 and line.doubled > 10 and line.overtook > 10
        for client in all:
            client.abandon()
        line.loss = 0
        server.stop()


def metrics_of(api, name):
    return api.get("/api/stats").json()["totals"][name]


def test_over_a_bad_line_each_message_comes_once_and_in_order(start_server):
    check_bad_line(start_server, 5, 60, 0.005)


@pytest.mark.slow
def test_over_a_bad_and_long_line_each_message_comes_once_and_in_order(start_server):
    check_bad_line(start_server, 30, 500, 0.15)


@pytest.mark.slow
def test_10000_that_never_read_are_dropped_and_others_notice_nothing(start_server):
    if descriptors_max() < 12000:
        pytest.skip(f"needs 12,000 descriptors, the limit is {descriptors_max()}")
    with own_loopback():
        server = start_server(workers=2, settings={"limits": {"messages_per_second": 10000}})
        with swarms(Swarm(server), Swarm(server)) as (deaf, others):
            others.open(50, "subscribed")
            user = server.connect(receive_buffer=4096)
            user.subscribe("deaf-user", ["all"])
            deaf.open(10000, "never-reads")
            before, rounds, most = settled_rss(server), 0, 0
            data = "x" * 200
            while metrics(server, "connections")["connections"] > 50:
                server.api.publish_lines([{"type": "custom", "topic": "all", "data": data}] * 100)
                server.api.publish_lines([{"type": "custom", "userId": "deaf-user", "data": rounds}] * 10)
                rounds += 1
                got = others.ask("texts", rounds * 100, 10)
                assert got["left"] == got["reached"] == 50, got
                most = max(most, server.rss_bytes())
                others.ask("idle", 0.5)
                assert rounds < 100
            closed = server.api.get("/metrics", key=None).body.decode()
            assert 'code="slow_consumer"' in closed
            # Five seconds for the closing handshake that they do not read either.
            eventually(lambda: metrics(server, "ring_slots_used")["ring_slots_used"] <= 51, 20)
            user.abandon()
            with server.connect() as again:  # nothing of what was its own is lost
                again.subscribe("deaf-user", since="0")
                for n in range(rounds * 10):
                    assert again.next_message()["data"] == n // 10
            print(f"10,000 dropped after {rounds} rounds of 100 messages; {before >> 20} MiB before, at most {most >> 20}, "
                  f"{settled_rss(server) >> 20} after")
        expect_rest(server)
        if not build_has_sanitizer():
            assert most - before < 512 << 20
            assert settled_rss(server) - before < 64 << 20
        server.stop()
