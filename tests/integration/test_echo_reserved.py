"""Reserved bits and opcodes against ringcast-echo: RFC 6455 section 5.2."""
import pytest

from ringcast import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload, f, play

BEFORE = {
    "alone": ([], []),
    "behind a text": ([f(TEXT, "good")], [(TEXT, "good")]),
    "behind a ping": ([f(PING, "p")], [(PONG, "p")]),
    "inside a message": ([f(BINARY, b"a", fin=False)], []),
}
BEHIND = f(TEXT, "never seen") + f(PING, "never answered")
SIZES = [0, 1, 13, 125, 126, 300, 65536]


def check(server, frame, before, piece):
    """The frame closes, what came before it is answered, what comes behind it is not."""
    sent, answers = BEFORE[before]
    play(server, [b"".join(sent) + frame + BEHIND, *answers, 1002], piece)


@pytest.mark.parametrize("piece", [None, 1])
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("rsv", range(1, 8))
def test_closes_at_a_reserved_bit(suite_echo, rsv, before, piece):
    inside = before == "inside a message"
    for opcode in (CONTINUATION,) if inside else (TEXT, BINARY):
        check(suite_echo, f(opcode, "*" * 13, rsv=rsv), before, piece)
    for opcode, payload in ((PING, b"p"), (PONG, b""), (CLOSE, close_payload(1000)), (CLOSE, b"")):
        check(suite_echo, f(opcode, payload, rsv=rsv), before, piece)


@pytest.mark.parametrize("piece", [None, 1])
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_closes_at_a_reserved_opcode(suite_echo, opcode, before, piece):
    for size in SIZES if piece is None else SIZES[:3]:
        check(suite_echo, f(opcode, "*" * size), before, piece)
    check(suite_echo, f(opcode, "x", fin=False), before, piece)
