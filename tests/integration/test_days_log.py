"""The hard days: nobody reads the log, or its disk is full (hazards.md N24)."""
import os
import signal
import socket
import subprocess
import time

import pytest

from ringcast import Server, eventually
from ringcast.server import clean_environment, program
from ringcast.swarm import metrics

ENDS_WITHIN = 10.0


def a_free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Unheard(Server):
    """A server with this as stderr, so that its ready line cannot be awaited."""

    def __init__(self, stderr, tmp_path):
        self.data_dir, self._api_key = tmp_path / "data", None
        client_port, api_port = a_free_port(), a_free_port()
        self.process = subprocess.Popen(
            [program("ringcastd"), "--listen", f"127.0.0.1:{client_port}", "--api-listen", f"127.0.0.1:{api_port}",
             "--data-dir", self.data_dir, "--workers", "2", "--log-level", "debug"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, env=clean_environment())
        self.client_addresses, self.api_addresses = [("127.0.0.1", client_port)], [("127.0.0.1", api_port)]
        eventually(self._answers)
        self.api = self.new_api()

    def _answers(self):
        assert self.process.poll() is None, self.process.returncode
        try:
            with socket.create_connection(self.api_address, 1):
                return True
        except OSError:
            return False

    def end(self):
        self.api.close()
        self.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert self.process.wait(ENDS_WITHIN) == 0
        return time.monotonic() - began


def full_pipe():
    """A pipe with no room, and its other end."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(write_end, True)
    return read_end, write_end


def full_socket():
    """As systemd connects services with its journal: nobody reads, and there is no room."""
    read_end, write_end = socket.socketpair()
    write_end.setblocking(False)
    try:
        while True:
            write_end.send(b"x" * 100)
    except BlockingIOError:
        write_end.setblocking(True)
    return read_end.detach(), write_end.detach()


def say_much(server, lines):
    """Makes the server log so many lines: at level debug, a line for each breach of the protocol."""
    for _ in range(lines):
        with server.connect(first_bytes=b"\xff\xff") as client:  # reserved bits
            client.expect_close(1002)


@pytest.mark.parametrize("kind", ["pipe that nobody reads", "journal that has stopped", "full disk", "pipe whose reader is gone"])
def test_a_log_that_takes_nothing_holds_up_nothing(tmp_path, kind):
    if kind == "full disk":
        ends = [os.open("/dev/full", os.O_WRONLY)]
    else:
        ends = list(full_socket() if "journal" in kind else full_pipe())
    stderr = ends.pop()
    if kind == "pipe whose reader is gone":
        os.close(ends.pop())
    try:
        server = Unheard(stderr, tmp_path)
        try:
            say_much(server, 700)  # more than a core's mailbox holds
            assert metrics(server, "log_lines_dropped_total")["log_lines_dropped_total"] > 50
            with server.connect() as client:
                client.subscribe("u", ["t"])
                server.api.to_topic("t", 1)
                assert client.next_message()["data"] == 1
                client.close()
            server.end()
        finally:
            server.process.kill()
            server.process.wait()
    finally:
        for end in [stderr, *ends]:
            os.close(end)


def test_a_log_that_is_read_again_goes_on(tmp_path):
    read_end, write_end = full_pipe()
    try:
        server = Unheard(write_end, tmp_path)
        try:
            say_much(server, 700)
            dropped = metrics(server, "log_lines_dropped_total")["log_lines_dropped_total"]
            os.set_blocking(read_end, False)
            heard = bytearray()

            def says_something_new():
                try:
                    heard.extend(os.read(read_end, 1 << 20))
                except BlockingIOError:
                    say_much(server, 1)
                return heard.count(b"closing 127.0.0.1") > 200
            eventually(says_something_new)
            # The question of before is in the access log, too late for its own answer.
            assert metrics(server, "log_lines_dropped_total")["log_lines_dropped_total"] <= dropped + 1
            server.end()
        finally:
            server.process.kill()
            server.process.wait()
    finally:
        os.close(read_end)
        os.close(write_end)
