"""The closing handshake against ringcast-echo: RFC 6455 section 5.5.1 and 7."""
import socket
import time

import pytest

from ringcast import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload, f, play, rows
from utf8_cases import INVALID, VALID

VALID_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
INVALID_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 9999, 65535]
LONG = b"*" * 262144


def close(code, reason=b""):
    return f(CLOSE, close_payload(code, reason))


BYE = close(1000)


@rows({
    "after a message": [f(TEXT, "a") + BYE, (TEXT, "a"), 1000],
    "twice": [BYE + BYE, 1000],
    "twice, with other codes": [BYE + close(1001), 1000],
    "then a ping": [BYE + f(PING), 1000],
    "then a text": [BYE + f(TEXT, "never"), 1000],
    "then nonsense": [BYE + b"\xff\xff\xff", 1000],
    "then a wrong close": [BYE + f(CLOSE, b"\x03"), 1000],
    "then half a frame": [BYE + f(TEXT, "never")[:4], 1000],
    "inside a message": [f(TEXT, "a", fin=False) + BYE + f(CONTINUATION, "b"), 1000],
    "after a long message, then a ping": [f(TEXT, LONG) + BYE + f(PING), (TEXT, LONG), 1000],
    "after many messages": [f(BINARY, b"x" * 1000) * 200 + BYE, *[(BINARY, b"x" * 1000)] * 200, 1000],
    "after pings": [f(PING, "a") + f(PING, "b") + BYE, (PONG, "a"), (PONG, "b"), 1000],
    "empty": [f(CLOSE), None],
    "of one byte": [f(CLOSE, b"\x03"), 1002],
    "of 125 bytes": [close(1000, "*" * 123), 1000],
    "of 126 bytes": [close(1000, "*" * 124), 1002],
    "with a reason": [close(1000, "Hello World!"), 1000],
    "with a reason of many bytes a code point": [close(1000, "à bientôt, 😀"), 1000],
    "in fragments": [f(CLOSE, close_payload(1000), fin=False), 1002],
    "unmasked": [f(CLOSE, close_payload(1000), mask=False), 1002],
    **{f"code {code}": [close(code), code] for code in VALID_CODES},
    **{f"code {code} and a reason": [close(code, "because"), code] for code in VALID_CODES},
    **{f"invalid code {code}": [close(code), 1002] for code in INVALID_CODES},
    **{f"invalid code {code} and a reason": [close(code, "because"), 1002] for code in INVALID_CODES},
    **{f"reason {name}": [close(1000, text), 1000] for name, text in VALID if len(text) <= 123},
    **{f"wrong reason {name}": [close(1000, text), 1007] for name, text in INVALID if len(text) <= 123},
})
@pytest.mark.parametrize("piece", [None, 1])
def test_closes(suite_echo, script, piece):
    long = any(isinstance(step, bytes) and len(step) > 10000 for step in script)
    play(suite_echo, script, 1000 if piece and long else piece)


def test_every_code_that_may_be_sent_and_no_other_is_answered_with_itself(suite_echo):
    allowed = {*VALID_CODES, *range(3000, 5000)}
    for code in [*range(0, 3100), *range(3100, 5000, 97), *range(4999, 5100), *range(5100, 65536, 997)]:
        play(suite_echo, [close(code), code if code in allowed else 1002])


@pytest.mark.parametrize("sent, code", [(BYE, 1000), (f(CLOSE), None), (f(5), 1002), (BYE + f(PING), 1000)],
                         ids=["close", "empty close", "failure", "close and more"])
def test_ends_tcp_though_the_client_does_nothing(suite_echo, sent, code):
    with suite_echo.connect() as client:
        client.send_bytes(sent)
        assert client.receive_frame().close_code == code
        came = time.monotonic()
        client.expect_end()
        assert time.monotonic() - came < 1


def test_what_comes_right_behind_a_close_meets_no_reset(suite_echo):
    for _ in range(50):
        with suite_echo.connect() as client:
            client.send_bytes(BYE)
            assert client.receive_frame().close_code == 1000
            client.send_bytes(f(TEXT, "late"))
            client.send_bytes(f(PING, "later"), 1)
            assert client.socket.recv(1) == b""


@pytest.mark.parametrize("sent, answers", [(b"", []), (f(TEXT, "a"), [(TEXT, b"a")]), (f(TEXT, "half")[:5], []),
                                           (f(TEXT, "a", fin=False), [])], ids=["idle", "a message", "half a frame", "half a message"])
def test_a_client_that_ends_tcp_without_a_close_is_let_go(suite_echo, sent, answers):
    with suite_echo.connect() as client:
        client.send_bytes(sent)
        client.socket.shutdown(socket.SHUT_WR)
        for opcode, payload in answers:
            client.expect_frame(opcode, payload)
        client.expect_end()


def test_the_close_comes_behind_what_was_asked_for_before(suite_echo):
    with suite_echo.connect() as client:
        client.send_bytes(b"".join(f(TEXT, str(n)) for n in range(1000)) + f(5))
        for n in range(1000):
            client.expect_frame(TEXT, str(n))
        client.expect_close(1002)
