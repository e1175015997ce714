"""Conversations with ringcast-echo as rows of a table."""
import contextlib
import socket

import pytest

from .client import WsClient
from .frames import CLOSE, close_payload, encode_frame

FIN_WITHIN = 3.0  # seconds; a server that forgot to would be made to by its deadline, after 5


def f(opcode, payload=b"", **shape):
    """A client's frame as bytes: what encode_frame() takes."""
    return encode_frame(opcode, payload, **shape)


def rows(table):
    """Parameters for a test(…, script) from {name: script}."""
    return pytest.mark.parametrize("script", list(table.values()), ids=list(table))


def play(server, script, piece=None):
    """One connection. Of the script's steps, in order,
      bytes              are sent (in pieces of that many bytes if told);
      (opcode, payload)  is the next frame that comes;
      a code             is that of the close frame that comes next, and the end: no byte comes behind it, and the
                         server's FIN soon after the client's; None: the close frame is empty.
    A script that does not end with a code ends with a closing handshake of 1000, begun by the client."""
    with server.connect() as client:
        if not script or isinstance(script[-1], (bytes, tuple)):
            script = [*script, encode_frame(CLOSE, close_payload(1000)), 1000]
        for number, step in enumerate(script):
            try:
                take(client, step, piece)
            except (AssertionError, TimeoutError, OSError) as error:
                raise AssertionError(f"step {number}, {str(step)[:80]}: {str(error)[:300]}") from error


def take(client: WsClient, step, piece):
    if isinstance(step, bytes):
        client.send_bytes(step, piece)
        return
    frame = client.receive_frame()
    assert frame is not None, "the connection ended"
    if isinstance(step, tuple):
        opcode, payload = step
        payload = payload.encode() if isinstance(payload, str) else payload
        assert frame.fin and frame.opcode == opcode, f"{frame.opcode} {frame.payload[:80]!r}"
        assert frame.payload == payload, f"{len(frame.payload)} bytes: {frame.payload[:80]!r}"
        return
    assert frame.opcode == CLOSE, f"{frame.opcode} {frame.payload[:80]!r}"
    assert frame.close_code == step, (frame.close_code, frame.close_reason)
    with contextlib.suppress(OSError):
        client.socket.shutdown(socket.SHUT_WR)
    client.expect_end(FIN_WITHIN)
