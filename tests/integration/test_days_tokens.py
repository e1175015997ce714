"""A flood of tokens whose signatures do not hold, against clients that only listen (hazards A11). By hand, or in suite days."""
import json
import random
import threading
import time

import pytest

from ringcast.client import WsClient
from ringcast.exposition import parse
from ringcast.frames import TEXT, encode_frame
from test_tokens import RsaKey, jwt_settings

QUIET_CLIENTS, BAD_A_SECOND, PHASE_S, ROUNDS = 1000, 10_000, 4, 3
FLOODERS = 10


class Flood(threading.Thread):
    """Sends a token, then a pong so that the refusals are never five in a row, at its share of the rate while it is on."""

    def __init__(self, address, token):
        super().__init__(daemon=True)
        self.client = WsClient(address)
        self.client.socket.settimeout(0)
        self.on, self.ended, self.sent = threading.Event(), False, 0
        pong = encode_frame(TEXT, '{"type":"pong"}')
        self.batch = (encode_frame(TEXT, json.dumps({"type": "subscribe", "data": {"token": token}})) + pong) * 20
        self.start()

    def run(self):
        while not self.ended:
            if not self.on.wait(0.1):
                continue
            due = time.monotonic() + 20 * FLOODERS / BAD_A_SECOND
            rest = memoryview(self.batch)
            while rest and not self.ended:
                try:
                    rest = rest[self.client.socket.send(rest):]
                except BlockingIOError:
                    time.sleep(0.0005)
                try:
                    while self.client.socket.recv(1 << 16):
                        pass
                except BlockingIOError:
                    pass
            self.sent += 20
            time.sleep(max(0.0, due - time.monotonic()))


def latencies(server, clients, seconds):
    """From before a publish to the message's arrival, one random client after the other."""
    out, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        user = random.randrange(len(clients))
        began = time.perf_counter()
        server.api.publish({"type": "note", "userId": f"u{user}", "store": False, "data": 1})
        clients[user].next_text()
        out.append(time.perf_counter() - began)
    return out


def p99(values):
    return sorted(values)[int(len(values) * 0.99)]


@pytest.mark.slow
def test_a11_a_flood_of_bad_signatures_leaves_quiet_clients_their_p99(start_server, tmp_path):
    ours, theirs = RsaKey(tmp_path, "ours"), RsaKey(tmp_path, "theirs")
    pem = tmp_path / "ours.pub"
    pem.write_text(ours.pem)
    settings = jwt_settings(public_key_file=str(pem))
    settings["auth"]["jwt"]["algorithms"] = ["RS256"]
    settings["limits"]["messages_per_second"] = 10_000
    server = start_server(workers=2, settings=settings)
    clients = []
    for i in range(QUIET_CLIENTS):
        client = server.connect(headers=[("Authorization", "Bearer " + ours.token(f"u{i}"))])
        client.send_json({"type": "subscribe", "id": 1, "data": {}})
        client.expect_ack(1)
        clients.append(client)
    floods = [Flood(server.address, theirs.token(header={"kid": "ours"})) for _ in range(FLOODERS)]

    def refused():
        family = parse(server.api.get("/metrics", key=None).body.decode())["ringcast_tokens_refused_total"]
        return sum(family.samples.values())

    quiet, flooded, rate = [], [], []
    latencies(server, clients, 1)
    for _ in range(ROUNDS):
        quiet += latencies(server, clients, PHASE_S)
        before, began = refused(), time.monotonic()
        for flood in floods:
            flood.on.set()
        flooded += latencies(server, clients, PHASE_S)
        rate.append((refused() - before) / (time.monotonic() - began))
        for flood in floods:
            flood.on.clear()
        time.sleep(0.3)  # what is under way ends
    for flood in floods:
        flood.ended = True
        flood.join()
    for client in clients:
        client.abandon()
    print(f"\nbad tokens a second: {[round(r) for r in rate]}; p99 quiet {p99(quiet) * 1e3:.2f} ms, flooded "
          f"{p99(flooded) * 1e3:.2f} ms, ratio {p99(flooded) / p99(quiet):.2f}; median {sorted(quiet)[len(quiet) // 2] * 1e3:.2f} "
          f"and {sorted(flooded)[len(flooded) // 2] * 1e3:.2f} ms")
    assert min(rate) > 0.9 * BAD_A_SECOND, "the flood is too thin to show anything"
    assert p99(flooded) <= 1.2 * p99(quiet)
