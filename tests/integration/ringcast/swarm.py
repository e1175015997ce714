"""Many clients at once: the program swarm.cc, which says what it can do."""
import contextlib
import itertools
import json
import re
import resource
import subprocess
import time

from .server import build_dir
from .waiting import eventually

# What is zero when nobody is connected and nothing is under way.
GAUGES = ("connections", "handshakes_pending", "ring_slots_used", "ring_buffers_lent", "fanouts_waiting",
          "fanout_bytes_waiting", "frames_partial", "frame_bytes_held", "subscribers", "subscriptions", "topics",
          "users", "api_body_bytes")
_networks = itertools.count(1)


class Swarm:
    """Clients in a process of their own, at most as many as its descriptors. sources: how many loopback addresses
    they come from, each of which has 28,000 ports."""

    def __init__(self, server, topic="all", sources=2, nice=0):
        network = next(_networks) % 250 + 1
        command = ["nice", "-n", nice, build_dir() / "tests/integration/swarm", "{}:{}".format(*server.address),
                   "{}:{}".format(*server.api_address), server.api_key(), topic]
        command += [f"127.{network}.0.{n + 1}" for n in range(sources)]
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def begin(self, *command):
        """For a command that lasts; answer() has its result."""
        self.process.stdin.write(" ".join(str(word) for word in command) + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        assert line, f"the swarm ended with status {self.process.wait()}"
        return json.loads(line)

    def ask(self, *command):
        self.begin(*command)
        return self.answer()

    def open(self, count, stage, rate=0):
        """All of them must get there."""
        got = self.ask("open", count, stage, rate)
        assert got["there"] == count, got
        return got

    def gone(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@contextlib.contextmanager
def swarms(*all):
    try:
        yield all
    finally:
        for swarm in all:
            swarm.gone()


def ask_all(several, *command):
    """The same of each, at the same time."""
    for swarm in several:
        swarm.begin(*command)
    return [swarm.answer() for swarm in several]


def descriptors_max():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def metrics(server, *names):
    """Each figure, summed over the cores."""
    text = server.api.get("/metrics", key=None).body.decode()
    return {name: sum(int(value) for value in re.findall(rf"^ringcast_{name}(?:\{{[^}}]*\}})? (\d+)$", text, re.MULTILINE))
            for name in names}


def expect_rest(server, within=30):
    """Nobody is connected any more, and nothing is held for anybody."""
    def at_rest():
        held = {name: value for name, value in metrics(server, *GAUGES).items() if value}
        last.update(held=held)
        return not held
    last = {}
    try:
        eventually(at_rest, within)
    except AssertionError:
        raise AssertionError(f"still held after {within} s: {last['held']}") from None
    server.check_stderr()


def settled_rss(server):
    """When two looks half a second apart differ by less than 64 KiB."""
    last = 0
    while abs((now := server.rss_bytes()) - last) > 65536:
        last = now
        time.sleep(0.5)
    return now
