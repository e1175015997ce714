"""The service manager's end of sd_notify(3)."""
import os
import shutil
import socket
import tempfile

from .client import PATIENCE


class ServiceManager:
    """A socket that hears what a service tells: Server(env=manager.env)."""

    def __init__(self):
        self._directory = tempfile.mkdtemp(prefix="ringcast-notify-")
        path = os.path.join(self._directory, "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self.env = {"NOTIFY_SOCKET": path}

    def next(self, timeout=PATIENCE):
        """The next datagram's assignments, in their order."""
        self._socket.settimeout(timeout)
        lines = self._socket.recv(65536).decode("utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def heard_nothing_more(self):
        """For a service that has ended."""
        self._socket.setblocking(False)
        try:
            raise AssertionError(f"told {self._socket.recv(65536)!r}")
        except BlockingIOError:
            return True

    def close(self):
        self._socket.close()
        shutil.rmtree(self._directory)
