"""Networks of a test's own, for which it needs CAP_SYS_ADMIN: one host alone, or two with a bad line between them.

Only the thread that made a network is in it, with what it starts.
"""
import contextlib
import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time

_NEWNET = 0x40000000
_SETIFF, _TUN, _NO_PACKET_INFO = 0x400454CA, 0x0001, 0x1000
_libc = ctypes.CDLL(None, use_errno=True)


def _new_network(mtu):
    if _libc.unshare(_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    _ip("link", "set", "lo", "mtu", mtu, "up")


def _ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True)


def may_make_networks():
    """Tries it, in a process that ends with it."""
    if not all(map(shutil.which, ["unshare", "ip"])):
        return False
    return subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


@contextlib.contextmanager
def _home():
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _libc.setns(here, _NEWNET)
        os.close(here)


@contextlib.contextmanager
def own_loopback(mtu=1500):
    """A host without a network, whose loopback has an Ethernet's packets instead of 64 KiB ones: what the kernel
    buffers for a socket goes by them."""
    with _home():
        _new_network(mtu)
        yield


def _tunnel(address):
    tunnel = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    fcntl.ioctl(tunnel, _SETIFF, struct.pack("16sH22x", b"line", _TUN | _NO_PACKET_INFO))
    _ip("addr", "add", f"{address}/24", "dev", "line")
    _ip("link", "set", "line", "mtu", 1500, "up")
    return tunnel


class Line(threading.Thread):
    """Carries the IP packets between two hosts, as netem would: each is lost, doubled, or delayed, and some overtake
    those that are delayed. The kernels at both ends see just that."""

    def __init__(self, ends, loss, double, overtake, delay_s, seed):
        super().__init__(daemon=True)
        self.ends, self.loss, self.double, self.overtake, self.delay = ends, loss, double, overtake, delay_s
        self.dice = random.Random(seed)
        self.carried, self.lost, self.doubled, self.overtook = 0, 0, 0, 0
        self.over = threading.Event()

    def run(self):
        under_way, numbers = [], itertools.count()
        while not self.over.is_set():
            wait = min(0.05, max(0.0, under_way[0][0] - time.monotonic())) if under_way else 0.05
            for end in select.select(self.ends, [], [], wait)[0]:
                with contextlib.suppress(BlockingIOError):
                    while packet := os.read(end, 2048):
                        self.take(packet, self.ends[end == self.ends[0]], under_way, numbers)
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, to, packet = heapq.heappop(under_way)
                with contextlib.suppress(OSError):
                    os.write(to, packet)

    def take(self, packet, to, under_way, numbers):
        self.carried += 1
        if self.dice.random() < self.loss:
            self.lost += 1
            return
        due = time.monotonic() + self.delay
        if self.dice.random() < self.overtake:
            self.overtook += 1
            due -= self.delay
        copies = 1
        if self.dice.random() < self.double:
            self.doubled += 1
            copies = 2
        for _ in range(copies):
            heapq.heappush(under_way, (due, next(numbers), to, packet))


@contextlib.contextmanager
def bad_line(*, loss=0.05, double=0.05, overtake=0.25, delay_s=0.15, seed=1, near="10.9.0.1", far="10.9.0.2"):
    """Yields a function: this thread is on the near host, and on the far one after it was called. It returns the Line."""
    with _home():
        _new_network(1500)
        ends = [_tunnel(near)]
        line = None

        def move():
            nonlocal line
            _new_network(1500)
            ends.append(_tunnel(far))
            line = Line(ends, loss, double, overtake, delay_s, seed)
            line.start()
            return line
        try:
            yield move
        finally:
            if line:
                line.over.set()
                line.join()
            for end in ends:
                os.close(end)
