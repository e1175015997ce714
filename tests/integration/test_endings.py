"""How connections end on real sockets: the close frame arrives, and an ordinary close costs the kernel no thread."""
import os
import struct
import subprocess
import sys

import pytest

from ringcast import CLOSE, TEXT, close_payload, encode_frame


@pytest.fixture
def busy_machine():
    """Every CPU has something else to do, so that what can be late is late."""
    spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * os.cpu_count())]
    yield
    for spinner in spinners:
        spinner.kill()
        spinner.wait()


def kernel_threads(server):
    """Threads that the kernel has made for requests that would block."""
    names = []
    for thread in os.listdir(f"/proc/{server.pid}/task"):
        with open(f"/proc/{server.pid}/task/{thread}/comm", encoding="ascii") as file:
            names.append(file.read().strip())
    return [name for name in names if name.startswith("iou-wrk")]


def test_who_breaks_a_rule_and_goes_on_sending_gets_the_close_frame(server, busy_machine):
    """A socket that is closed with bytes unread sends a reset, and that overtakes the close frame."""
    megabytes = bytes(1 << 20)
    announced = bytes([0x80 | TEXT, 0x80 | 127]) + struct.pack(">Q", 64 << 20) + b"mask"
    for _ in range(100):
        with server.connect() as client:
            client.send_bytes(announced)
            for _ in range(4):
                client.send_bytes(megabytes)
            client.expect_close(1009)


@pytest.mark.parametrize("first", ["client", "server"])
def test_an_ordinary_close_costs_no_kernel_thread(start_server, first):
    server = start_server(workers=1)
    for _ in range(50):
        with server.connect() as client:
            if first == "client":
                client.close()  # sends nothing behind its close frame
            else:
                client.send_bytes(encode_frame(TEXT, "{}") * 11)
                for _ in range(10):
                    client.expect_error("invalid_message")
                client.expect_error("rate_limit_exceeded")
                client.expect_close(1008)
    assert kernel_threads(server) == []
