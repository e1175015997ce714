"""A flood of tokens whose signatures do not hold, against clients that only listen (hazards A11). By hand, or in suite days."""
import os
import pathlib
import random
import subprocess
import sys
import time

import pytest

from ringcast.exposition import parse
from test_tokens import RsaKey, jwt_settings

QUIET_CLIENTS, BAD_A_SECOND, PHASE_S, ROUNDS = 1000, 10_000, 4, 3


class Flood:
    """Sends tokens that one by one are refused at BAD_A_SECOND, while it is on."""

    def __init__(self, address, token):
        here = pathlib.Path(__file__).parent
        self.process = subprocess.Popen(
            [sys.executable, here / "token_flood.py", address[0], str(address[1]), str(BAD_A_SECOND)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        self.say(token)
        assert self.process.stdout.readline() == "ready\n"

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0
        self.process.stdout.close()


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
    flood = Flood(server.address, theirs.token(header={"kid": "ours"}))

    def refused():
        family = parse(server.api.get("/metrics", key=None).body.decode())["ringcast_tokens_refused_total"]
        return sum(family.samples.values())

    quiet, flooded, rate = [], [], []
    latencies(server, clients, 1)
    for _ in range(ROUNDS):
        quiet += latencies(server, clients, PHASE_S)
        before, began = refused(), time.monotonic()
        flood.say("on")
        flooded += latencies(server, clients, PHASE_S)
        rate.append((refused() - before) / (time.monotonic() - began))
        flood.say("off")
        time.sleep(0.3)  # what is under way ends
    flood.end()
    for client in clients:
        client.abandon()
    print(f"\nbad tokens a second: {[round(r) for r in rate]}; p99 quiet {p99(quiet) * 1e3:.2f} ms, flooded "
          f"{p99(flooded) * 1e3:.2f} ms, ratio {p99(flooded) / p99(quiet):.2f}; median {sorted(quiet)[len(quiet) // 2] * 1e3:.2f} "
          f"and {sorted(flooded)[len(flooded) // 2] * 1e3:.2f} ms")
    assert min(rate) > 0.9 * BAD_A_SECOND, "the flood is too thin to show anything"
    assert p99(flooded) <= 1.2 * p99(quiet)
