"""SIGTERM: contract.md 1 and 5."""
import http.client
import itertools
import signal
import time

import pytest

from ringcast.swarm import Swarm, ask_all, swarms
from ringcast import HandshakeRefused, RawHttp, eventually, together

DRAIN = 1.5


def closed_at(client):
    """Waits for the error and the close; when it came."""
    client.expect_error("shutting_down", timeout=30)
    came = time.monotonic()
    client.expect_close(1012, "shutting_down")
    return came


def clients_of(server, count):
    clients = [server.connect() for _ in range(count)]
    for n, client in enumerate(clients):
        if n % 2:
            client.subscribe(n, ["t"])
    return clients


def first_told(clients):
    """Waits for the first that the server says anything to."""
    return eventually(lambda: next((client for client in clients if client._receive(0.0)), None))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.smoke
def test_spreads_the_closes_over_the_drain_time(start_server, workers):
    server = start_server(workers=workers, settings={"drain_time": "1500ms"})
    clients = clients_of(server, 20)
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    times = sorted(moment - began for moment in together(*[lambda c=c: closed_at(c) for c in clients]))
    assert times[0] <= 0.5, times
    assert DRAIN * 0.7 <= times[-1] <= DRAIN + 1.0, times
    for n, moment in enumerate(times):
        assert abs(moment - DRAIN * n / len(times)) <= 0.6, times
    assert server.wait_for_exit() == 0
    assert time.monotonic() - began <= DRAIN + 3


@pytest.mark.smoke
def test_serves_publishers_and_refuses_clients_meanwhile(start_server):
    server = start_server(settings={"drain_time": "2s"})
    clients = clients_of(server, 6)
    server.signal(signal.SIGTERM)
    first_told(clients)
    with pytest.raises(HandshakeRefused) as refused:
        server.connect()
    assert refused.value.status == 503
    assert server.api.get("/readyz", key=None).status == 503
    assert server.api.get("/healthz", key=None).status == 200
    answer = server.api.notify("someone")
    assert answer["offset"]
    server.api.to_topic("t", "while draining")
    for client in clients:
        client.abandon()
    assert server.wait_for_exit() == 0


def test_subscribers_still_receive_while_they_wait(start_server):
    server = start_server(settings={"drain_time": "3s"})
    clients = [server.connect() for _ in range(4)]
    for client in clients:
        client.subscribe("u", ["t"])
    server.signal(signal.SIGTERM)
    told = first_told(clients)
    left = [client for client in clients if client is not told]
    server.api.to_topic("t", 1)
    server.api.to_user("u", 2)
    got = [client.next_message() for client in left]
    assert sum(message == {"type": "custom", "data": 1} for message in got) >= 2, got
    for client in clients:
        client.abandon()
    assert server.wait_for_exit() == 0


def test_what_was_answered_while_draining_is_kept(start_server, tmp_path):
    server = start_server(settings={"drain_time": "1s"}, data_dir=tmp_path / "data")
    clients = clients_of(server, 3)
    server.signal(signal.SIGTERM)

    def publish_until_refused():
        offsets = []
        while True:
            try:
                answer = server.api.post("/api/publish", {"type": "custom", "userId": "u", "data": len(offsets)})
            except (OSError, http.client.HTTPException):
                return offsets
            if answer.status == 503:
                return offsets
            assert answer.status == 200
            offsets.append(answer.json()["offset"])
            time.sleep(0.005)

    offsets = together(publish_until_refused, *[lambda c=c: closed_at(c) for c in clients])[0]
    assert server.wait_for_exit() == 0
    assert offsets
    again = start_server(data_dir=tmp_path / "data")
    with again.connect() as client:
        client.subscribe("u", since="0")
        for n, offset in enumerate(offsets):
            client.expect_json({"type": "custom", "data": n, "offset": offset})


def test_ends_at_once_without_clients(start_server):
    server = start_server(settings={"drain_time": "1m"})
    client = server.connect()
    client.close()
    server.api.get("/api/stats")  # a kept API connection holds up nothing
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert time.monotonic() - began < 5


def test_ends_when_the_last_client_has_left(start_server):
    server = start_server(settings={"drain_time": "1m"})
    clients = clients_of(server, 2)
    server.signal(signal.SIGTERM)
    first_told(clients)
    for client in clients:
        client.abandon()
    began = time.monotonic()
    assert server.wait_for_exit() == 0
    assert time.monotonic() - began < 5


def test_a_second_signal_ends_it_now_with_a_last_word_to_each(start_server):
    server = start_server(workers=2, settings={"drain_time": "1m"})
    clients = clients_of(server, 10)
    server.signal(signal.SIGTERM)
    first_told(clients)
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit(20) == 0
    assert time.monotonic() - began < 7
    for client in clients:
        client.expect_error("shutting_down")
        assert client.receive_frame().close_code == 1012
        client.abandon()


def test_clients_that_do_not_answer_hold_up_nothing(start_server):
    server = start_server(settings={"drain_time": "500ms"})
    clients = clients_of(server, 5)
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit(20) == 0
    assert time.monotonic() - began < 8
    for client in clients:
        client.expect_error("shutting_down")
        assert client.receive_frame().close_code == 1012
        client.abandon()


def test_half_a_handshake_holds_up_nothing(start_server):
    server = start_server(settings={"drain_time": "1m"})
    with RawHttp(server.address) as http:
        http.send(b"GET /ws HTTP/1.1\r\n")
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait_for_exit(20) == 0
        assert time.monotonic() - began < 12


def test_drain_time_zero_closes_everyone_at_once(start_server):
    server = start_server(settings={"drain_time": "0s"})
    clients = clients_of(server, 10)
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    assert max(together(*[lambda c=c: closed_at(c) for c in clients])) - began < 2
    assert server.wait_for_exit() == 0


def check_drain_of_many(server, count, drain):
    """A herd is sent away evenly, is told why, and publishers are served to the end (hazards.md N17)."""
    with swarms(Swarm(server), Swarm(server)) as both:
        ask_all(both, "open", count // 2, "subscribed", 0)
        server.signal(signal.SIGTERM)
        for swarm in both:
            swarm.begin("ended", drain + 20)
        began, published = time.monotonic(), 0
        eventually(lambda: server.api.get("/readyz", key=None).status == 503)
        while time.monotonic() - began < drain * 0.8:
            server.api.to_topic("all", published)
            published += 1
            with pytest.raises(HandshakeRefused) as refused:
                server.connect()
            assert refused.value.status == 503
            time.sleep(0.05)
        ends = [swarm.answer() for swarm in both]
    assert server.wait_for_exit() == 0
    took = time.monotonic() - began
    for answer in ends:
        assert answer["left"] == 0 and answer["codes"] == {"1012": count // 2}, answer
    by_100_ms = [sum(some) for some in itertools.zip_longest(*[answer["by_100_ms"] for answer in ends], fillvalue=0)]
    by_second = [sum(by_100_ms[at:at + 10]) for at in range(0, drain * 10, 10)]
    print(f"{count} clients sent away over {max(answer['last'] for answer in ends):.2f} s, ended after {took:.2f} s, "
          f"{published} publications meanwhile; by second {by_second}")
    for second, gone in enumerate(itertools.accumulate(by_second), 1):
        assert abs(gone / count - second / drain) < 0.07, by_second
    assert took < drain + 3


def test_many_are_sent_away_evenly(start_server):
    check_drain_of_many(start_server(workers=2, settings={"drain_time": "3s"}), 2000, 3)


@pytest.mark.slow
def test_30000_are_sent_away_evenly(start_server):
    check_drain_of_many(start_server(workers=2, settings={"drain_time": "10s"}), 30000, 10)


@pytest.mark.slow
def test_a_second_signal_ends_it_now_with_30000(start_server):
    server = start_server(workers=2, settings={"drain_time": "1m"})
    with swarms(Swarm(server), Swarm(server)) as both:
        ask_all(both, "open", 15000, "subscribed", 0)
        server.signal(signal.SIGTERM)
        both[0].ask("idle", 1)
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait_for_exit(20) == 0
        print(f"ended {time.monotonic() - began:.2f} s after the second signal")
        assert time.monotonic() - began < 5
