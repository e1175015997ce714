"""A program on a terminal of its own, and what a person would see there."""
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

from .client import PATIENCE
from .server import clean_environment

_SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Screen:
    """Runs a command with its three descriptors on a pseudo-terminal. It knows the few control sequences that are
    used, and fails on any other, on text that is longer than a row, and on one row too many."""

    def __init__(self, command, *, columns=80, rows=24, env=None):
        self.columns, self.rows = columns, rows
        self._own = [""] * rows  # the alternate screen
        self.alternate, self.cursor_shown, self.plain_text = False, True, ""
        self._row = self._column = 0
        self._pending, self._ended = "", False
        ready, go = os.pipe()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.read(ready, 1)
            os.execve(command[0], [str(part) for part in command], {**clean_environment(), "TERM": "xterm", **(env or {})})
        self._set_size()
        self.modes = termios.tcgetattr(self._fd)
        os.write(go, b"x")
        os.close(go)
        os.close(ready)

    def _set_size(self):
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))

    def resize(self, columns, rows):
        """The kernel tells the program by SIGWINCH."""
        self.columns, self.rows = columns, rows
        self._own = [""] * rows
        self._set_size()

    def modes_now(self):
        return termios.tcgetattr(self._fd)

    def type(self, keys):
        os.write(self._fd, keys)

    def lines(self):
        return [line.rstrip() for line in self._own]

    def _read(self, timeout):
        if not self._ended and select.select([self._fd], [], [], timeout)[0]:
            try:
                data = os.read(self._fd, 1 << 16)
            except OSError:  # the other side is closed
                data = b""
            self._ended = not data
            self._pending += data.decode("ascii")
            self._interpret()

    def _interpret(self):
        text, at = self._pending, 0
        while at < len(text):
            if text[at] == "\x1b":
                match = _SEQUENCE.match(text, at)
                if match is None:
                    assert len(text) - at < 12, f"no control sequence: {text[at:at + 20]!r}"
                    break
                self._control(*match.groups())
                at = match.end()
            else:
                self._character(text[at])
                at += 1
        self._pending = text[at:]

    def _control(self, private, number, final):
        if private and number == "1049":
            self.alternate = final == "h"
            self._own = [""] * self.rows
        elif private and number == "25":
            self.cursor_shown = final == "h"
        elif final == "H" and not number:
            self._row = self._column = 0
        elif final == "K" and not number:
            self._own[self._row] = self._own[self._row][:self._column]
        elif final == "J" and not number:
            self._own[self._row] = self._own[self._row][:self._column]
            self._own[self._row + 1:] = [""] * (self.rows - self._row - 1)
        else:
            assert final == "m" and not private and number in ("", "1", "7"), (private, number, final)

    def _character(self, character):
        if not self.alternate:
            self.plain_text += character
        elif character == "\r":
            self._column = 0
        elif character == "\n":
            self._row += 1
            assert self._row < self.rows, "the screen would scroll"
        else:
            assert self._column < self.columns, f"longer than the row: {self._own[self._row]!r}"
            line = self._own[self._row].ljust(self._column)
            self._own[self._row] = line[:self._column] + character + line[self._column + 1:]
            self._column += 1

    def wait(self, question, timeout=PATIENCE):
        """The first true answer to the question about self.lines()."""
        deadline = time.monotonic() + timeout
        while not (answer := question(self.lines())):
            assert not self._ended, f"it ended; {self.plain_text!r}"
            assert time.monotonic() < deadline, "\n".join(self.lines()) + self.plain_text
            self._read(0.05)
        return answer

    def wait_for_exit(self, timeout=PATIENCE):
        """The status; negative for a signal."""
        deadline = time.monotonic() + timeout
        while not self._ended:
            assert time.monotonic() < deadline, "\n".join(self.lines()) + self.plain_text
            self._read(0.05)
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = None
        return status

    def close(self):
        if self.pid is not None:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self._fd)
