"""A thousand messages of each size against ringcast-echo: one by one, all at once, and by a client that reads late."""
import random

import pytest

from ringcast import BINARY, PING, PONG, TEXT, EchoServer, build_has_sanitizer, encode_frame, together
from ringcast.client import PATIENCE

KIB, MIB = 1 << 10, 1 << 20
COUNT = 1000
SIZES = [0, 16, 64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 128 * KIB]
KINDS = pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
MASK = b"\x5a\xa5\x0f\xf0"


def message(opcode, size):
    return (b"*" * size) if opcode == TEXT else random.Random(size).randbytes(size)


def expect(client, opcode, data, count=COUNT):
    for _ in range(count):
        frame = client.receive_frame()
        assert frame is not None and (frame.opcode, frame.payload) == (opcode, data), frame and (frame.opcode, len(frame.payload))


@KINDS
@pytest.mark.parametrize("size", SIZES)
def test_one_by_one(suite_echo, opcode, size):
    data = message(opcode, size)
    wire = encode_frame(opcode, data, mask=MASK)
    with suite_echo.connect() as client:
        for _ in range(COUNT):
            client.send_bytes(wire)
            expect(client, opcode, data, 1)
        client.close()


@KINDS
@pytest.mark.parametrize("size", SIZES)
def test_all_at_once(suite_echo, opcode, size):
    data = message(opcode, size)
    wire = encode_frame(opcode, data, mask=MASK)
    with suite_echo.connect() as client:
        together(lambda: [client.send_bytes(wire) for _ in range(COUNT)], lambda: expect(client, opcode, data))
        client.close()


@pytest.fixture(scope="module")
def small_echo():
    """A queue of two messages of 128 KiB."""
    server = EchoServer(args=["--max-message", 128 * KIB])
    yield server
    try:
        server.stop()
    finally:
        server.cleanup()


def write_until_refused(to, chunk):
    """Writes copies of it until nothing is taken for a second. How many bytes were, and what is left of the last."""
    to.settimeout(1.0)
    sent, rest = 0, memoryview(b"")
    try:
        while sent < 256 * MIB:
            rest = rest or memoryview(chunk)
            taken = to.send(rest)
            sent, rest = sent + taken, rest[taken:]
    except TimeoutError:
        to.settimeout(PATIENCE)
        return sent, rest
    raise AssertionError("it took 256 MiB and nobody read the answers")


def expect_bytes(from_, unit, count):
    """That many copies of it, without looking into them one by one."""
    left, at, pattern = count * len(unit), 0, unit * (2 + MIB // len(unit))
    while left > 0:
        data = from_.recv(min(left, MIB))
        assert data and data == pattern[at:at + len(data)], f"{left} bytes before the end"
        left, at = left - len(data), (at + len(data)) % len(unit)


@pytest.mark.parametrize("opcode, size", [(BINARY, 128 * KIB), (BINARY, 125), (TEXT, 0), (PING, 4)],
                         ids=["128 KiB", "125 bytes", "nothing", "pings"])
def test_who_writes_and_does_not_read_is_made_to_wait(small_echo, opcode, size):
    """The server holds little for it, serves others, and answers everything once it reads."""
    data = message(TEXT, size)
    wire, answer = encode_frame(opcode, data, mask=MASK), PONG if opcode == PING else opcode
    with small_echo.connect(receive_buffer=64 * KIB) as client, small_echo.connect() as other:
        before = small_echo.rss_bytes()
        sent, rest = write_until_refused(client.socket, wire * max(1, 64 * KIB // len(wire)))
        if not build_has_sanitizer():
            assert small_echo.rss_bytes() - before < 64 * MIB
        other.send_text("meanwhile")
        other.expect_frame(TEXT, "meanwhile")
        count = (sent + len(rest)) // len(wire)
        together(lambda: client.send_bytes(rest), lambda: expect_bytes(client.socket, encode_frame(answer, data, mask=False), count))
        client.close()
