"""The hard days: very many clients, and what is left when they are gone. How to run the slow ones: docs/testing.md."""
import json
import subprocess

import pytest

from ringcast import build_has_sanitizer
from ringcast.server import program
from ringcast.swarm import Swarm, ask_all, descriptors_max, expect_rest, metrics, settled_rss, swarms

LIFE = ("connected,half-head,upgraded,subscribed,half-frame,half-fragment,closing,unread,"
        "api-connected,api-half-head,api-half-body,api-unread")
KEPT_MAX = 8 << 20  # bytes of tables and allocator that a crowd may leave for the next one


def crowd(server, count):
    """One message to so many subscribers; then all leave. The memory that they took."""
    half = count // 2
    with swarms(Swarm(server), Swarm(server)) as both:
        opened = ask_all(both, "open", half, "subscribed", 0)
        assert [answer["there"] for answer in opened] == [half, half], opened
        assert metrics(server, "connections", "subscribers", "ring_slots_used") == {
            "connections": count, "subscribers": count, "ring_slots_used": count}
        full = server.rss_bytes()
        for swarm in both:
            swarm.begin("texts", 1, 60)
        server.api.to_topic("all", "to everybody")
        reached = [swarm.answer() for swarm in both]
        assert [(answer["reached"], answer["most"]) for answer in reached] == [(half, 1), (half, 1)], reached
        ask_all(both, "leave", "fin")
    expect_rest(server)
    print(f"{count} clients within {max(a['seconds'] for a in opened):.2f} s, all reached within "
          f"{max(a['seconds'] for a in reached):.2f} s; {full >> 10} KiB with them, {settled_rss(server) >> 10} after")
    return full


def check_crowds(server, count):
    crowd(server, 1000)  # by then every receive buffer has been used
    warm, descriptors = settled_rss(server), server.descriptors()
    full = crowd(server, count)
    once, again = settled_rss(server), []
    for _ in range(3):  # the allocator gives back now more, now less
        crowd(server, count)
        again.append(settled_rss(server))
    assert server.descriptors() == descriptors
    if not build_has_sanitizer():
        assert full > warm and once - warm < KEPT_MAX, (warm, full, once)
        assert min(again) - once < 1 << 20, f"it grows with each crowd: {once}, {again}"


def test_a_crowd_is_reached_and_leaves_nothing(start_server):
    check_crowds(start_server(workers=2), 4000)


@pytest.mark.slow
def test_35000_clients_are_reached_and_leave_nothing(start_server):
    if descriptors_max() < 20000:
        pytest.skip(f"needs 20,000 descriptors, the limit is {descriptors_max()}")
    check_crowds(start_server(workers=2), 35000)


@pytest.mark.slow
def test_150000_clients_of_one_process_are_each_reached(start_server):
    """A ring has 20,000 places, so there are eight; the clients come from 16 addresses, for the sake of their ports."""
    if descriptors_max() < 20000:
        pytest.skip(f"needs 20,000 descriptors, the limit is {descriptors_max()}")
    server, count = start_server(workers=8), 150_000
    expect_rest(server)  # the test's own API connection is there from now on
    descriptors = server.descriptors()
    command = [program("ringcast-load"), "fanout", "-n", count, "--sources", 16, "--warmup", 0, "--duration", "5s",
               "--url", "ws://{}:{}/ws".format(*server.address), "--api", "http://{}:{}".format(*server.api_address),
               "--api-key-file", server.data_dir / "api.key", "--server-pid", server.pid, "--json", "-"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[:4000] + done.stderr
    result = json.loads(done.stdout)
    deliveries, published = result["deliveries"], result["publications"]["topic"]["published"]
    assert result["connections"]["subscribed"] == count and published > 0
    assert deliveries["received"] == count * published, deliveries
    last = result["latency_ns"]["topic_last"]
    print(f"{count} clients, {published} publications to all, the last has it after {last['p50'] / 1e6:.0f} ms")
    expect_rest(server)
    assert server.descriptors() == descriptors


def churn(server, count, hold_ms):
    """Connections opened and dropped by FIN and by RST, in each stage of their life."""
    with swarms(Swarm(server, sources=8), Swarm(server, sources=8)) as both:
        answers = ask_all(both, "churn", count // 2, 150, hold_ms, 0, "both", LIFE)
    assert sum(answer["opened"] for answer in answers) == count, answers
    assert sum(answer["reached"] for answer in answers) > count * 0.99, answers
    expect_rest(server)
    print(f"{count} dropped after {hold_ms} ms, in {max(a['seconds'] for a in answers):.1f} s; "
          f"{settled_rss(server) >> 10} KiB, {server.descriptors()} descriptors")


def check_churn(server, count):
    churn(server, 2400, 0)
    churn(server, 2400, 20)
    warm, descriptors = settled_rss(server), server.descriptors()
    churn(server, count // 2, 0)  # most before the server has looked at what they said
    churn(server, count // 2, 20)  # and after it
    assert server.descriptors() == descriptors
    if not build_has_sanitizer():
        assert settled_rss(server) - warm < max(1 << 20, warm // 50), "memory is lost"
    with server.connect() as client:
        client.round_trip()


def test_connections_dropped_in_every_stage_leave_nothing(start_server):
    check_churn(start_server(workers=2), 4800)


@pytest.mark.slow
def test_100000_connections_dropped_in_every_stage_leave_nothing(start_server):
    check_churn(start_server(workers=2), 100000)
