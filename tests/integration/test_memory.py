"""What an idle, subscribed connection costs. Slow, and needs 20,000 descriptors:

    RINGCAST_BUILD=build /usr/bin/python3 -m pytest -q -m slow tests/integration/test_memory.py
"""
import pathlib
import resource
import subprocess
import sys
import time

import pytest

from ringcast import build_has_sanitizer
from ringcast.swarm import expect_rest
import ringcast

FEW, MANY = 5000, 19000
# A connection, its user and its topic: what one with an integer and one with a string of 28 bytes for its user's name takes
# of the server's memory.
BYTES_MAX = {0: 224, 28: 260}
TABLES_MAX = 16  # more of it with a second core, whose tables grow by steps of their own


class Holder:
    """Clients in a process of their own, since one process has too few descriptors for all."""

    def __init__(self, server, first, count, user_bytes):
        self.process = subprocess.Popen(
            [sys.executable, pathlib.Path(ringcast.__file__).parent / "hold.py", str(server.address[1]), str(first), str(count),
             str(user_bytes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def wait_until_ready(self):
        assert self.process.stdout.readline() == b"ready\n"

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def settled_rss(server):
    """When two looks a second apart differ by less than 64 KiB."""
    last = 0
    while abs((now := server.rss_bytes()) - last) > 65536:
        last = now
        time.sleep(1)
    return now


@pytest.mark.slow
@pytest.mark.parametrize("workers, user_bytes", [(1, 0), (1, 28), (2, 0)])
def test_what_an_idle_connection_costs(start_server, workers, user_bytes):
    if build_has_sanitizer():
        pytest.skip("a sanitizer's memory is not the server's")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < MANY + 500:
        pytest.skip(f"needs {MANY + 500} descriptors, the limit is {hard}")
    server = start_server(workers=workers)
    empty = settled_rss(server)
    holders = []
    try:
        holders.append(Holder(server, 0, FEW, user_bytes))
        holders[0].wait_until_ready()
        few = settled_rss(server)
        half = (MANY - FEW) // 2
        holders += [Holder(server, FEW, half, user_bytes), Holder(server, FEW + half, MANY - FEW - half, user_bytes)]
        for holder in holders[1:]:
            holder.wait_until_ready()
        many = settled_rss(server)
        slope = (many - few) / (MANY - FEW)
        print(f"{workers} cores: {empty} bytes empty, {few} with {FEW}, {many} with {MANY}: {slope:.0f} bytes a connection")
        assert slope <= BYTES_MAX[user_bytes] + TABLES_MAX * (workers - 1)
    finally:
        for holder in holders:
            holder.end()
    expect_rest(server)
    with server.connect() as client:
        client.round_trip()
