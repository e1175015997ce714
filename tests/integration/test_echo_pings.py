"""Pings and pongs against ringcast-echo: RFC 6455 section 5.5.2 and 5.5.3."""
import pytest

from ringcast import BINARY, CONTINUATION, PING, PONG, TEXT, f, play, rows

ODD = bytes([0, 255, 254, 253, 252, 251, 0, 255])


@rows({
    "empty": [f(PING), (PONG, b"")],
    "text": [f(PING, "Hello, world!"), (PONG, "Hello, world!")],
    "binary": [f(PING, ODD), (PONG, ODD)],
    "125 bytes": [f(PING, b"\xfe" * 125), (PONG, b"\xfe" * 125)],
    "126 bytes": [f(PING, b"\xfe" * 126), 1002],
    "126 bytes, announced alone": [f(PING, announce=126), 1002],
    "65536 bytes, announced alone": [f(PONG, announce=65536), 1002],
    "a pong of 126 bytes": [f(PONG, b"\xfe" * 126), 1002],
    "a fragment of a ping": [f(PING, "a", fin=False), 1002],
    "a fragment of a pong": [f(PONG, fin=False), 1002],
    "an unasked pong": [f(PONG)],
    "an unasked pong with a payload": [f(PONG, "unsolicited")],
    "an unasked pong, then a ping": [f(PONG, "unsolicited") + f(PING, "p"), (PONG, "p")],
    "an unasked pong inside a message": [f(TEXT, "a", fin=False) + f(PONG, ODD) + f(CONTINUATION, "b"), (TEXT, "ab")],
    "ten at once": [b"".join(f(PING, f"payload-{n}") for n in range(10)), *[(PONG, f"payload-{n}") for n in range(10)]],
    "one by one": [step for n in range(10) for step in (f(PING, str(n)), (PONG, str(n)))],
    "inside a message, at once": [f(TEXT, "a", fin=False), f(PING, ODD), (PONG, ODD), f(CONTINUATION, "b"), (TEXT, "ab")],
    "between messages": [f(BINARY, b"a") + f(PING) + f(TEXT, "b"), (BINARY, b"a"), (PONG, b""), (TEXT, "b")],
})
@pytest.mark.parametrize("piece", [None, 1])
def test_pings(suite_echo, script, piece):
    play(suite_echo, script, piece)


@pytest.mark.parametrize("count", [1000, 20000])
def test_answers_every_ping_of_a_reader(suite_echo, count):
    with suite_echo.connect() as client:
        client.send_bytes(b"".join(f(PING, b"%d" % n, mask=b"mask") for n in range(count)))
        for n in range(count):
            client.expect_frame(PONG, b"%d" % n)
        client.close()
