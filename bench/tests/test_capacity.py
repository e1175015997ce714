"""bench/capacity: virtual time adds up to what the table of costs says, and is the same each time."""
import os
import pathlib
import subprocess

import pytest

PROGRAM = pathlib.Path(os.environ.get("RINGCAST_BUILD", "build")) / "bench/capacity"
NAMES = ["turn", "look", "mail", "wake", "woken", "accept", "receive", "message", "publisher", "request", "send", "cold", "crowded", "send_byte", "sent",
         "delivery", "client", "client_message", "ask", "commit", "record"]


def run(tmp_path, *arguments, **costs):
    table = tmp_path / "costs.toml"
    table.write_text("".join(f"{name} = {costs.get(name, 0)}\n" for name in NAMES))
    out = subprocess.run([PROGRAM, "--costs", table, "--quick", *arguments], capture_output=True, text=True, check=True).stdout
    head, _, *rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in out.splitlines()]
    return [dict(zip(head, row)) for row in rows]


def test_a_delivery_costs_its_send_and_our_part(tmp_path):
    costs = dict(send=3000, cold=1000, crowded=200, sent=400, delivery=100, publisher=4000, request=6000)

    def cost(*predict):
        rows = run(tmp_path, "--workers", "1", "predict", *predict, **costs)
        return next(float(row["CPU/delivery ns"]) for row in rows if row["work"] == "fan-out, 1 in flight" and row["clients"] == "10000")

    # 10,000 deliveries, one answer, one request; a few heartbeats are among them.
    assert cost() == pytest.approx(4500 + (3000 + 10_000) / 10_000, abs=10)
    assert cost("--crowded") == pytest.approx(4700 + (3200 + 10_000) / 10_000, abs=10)


def test_a_send_costs_once_however_much_goes_in_it(tmp_path):
    rows = run(tmp_path, "--workers", "1", "predict", send=3000, sent=400, delivery=100)
    merged = next(row for row in rows if row["work"] == "fan-out, 16 in flight" and row["clients"] == "1000")
    # Twenty messages: sixteen ask at one and the same time and go together, then four. Each answer is a send too.
    assert float(merged["CPU/delivery ns"]) == pytest.approx(3400 * 2 / 20 + 100 + 3000 / 1000, abs=2)


def test_requests_come_one_after_the_other_from_the_publishers_cpu(tmp_path):
    rows = run(tmp_path, "--workers", "1", "predict", ask=100_000, client=50_000)
    targeted = next(row for row in rows if row["work"] == "targeted, 16 in flight")
    # To ask, to take the message, and to take the answer.
    assert float(targeted["published/s"]) == pytest.approx(1e9 / 200_000, rel=0.02)


def test_the_store_s_commits_bound_what_is_stored(tmp_path):
    rows = run(tmp_path, "--workers", "2", "predict", commit=1_000_000, send=1)
    stored = next(row for row in rows if row["work"].startswith("targeted and stored"))
    # 16 under way share a commit, and wait for the one before theirs at most.
    assert 1.0 <= float(stored["p50 ms"]) <= 2.1
    assert float(stored["store"].rstrip(" %")) > 95


def test_all_works_come_to_an_end_and_twice_to_the_same(tmp_path):
    costs = dict(turn=1500, look=10, mail=60, wake=2000, woken=3000, receive=1500, message=800, request=12_000, send=2500, delivery=200,
                 commit=100_000, record=1000)
    first, second = [run(tmp_path, "--workers", "4", "--clients", "4000", "bends", **costs) for _ in range(2)]
    assert first == second
    reached = {row["work"]: float(row["deliveries/s"]) for row in first}
    assert reached["to everybody"] == pytest.approx(8 * 4000, rel=0.05)
    assert all(reached[work] > 0 for work in reached if work != "heartbeats alone")
