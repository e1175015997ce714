"""Large messages, in frames and writes of every size, against ringcast-echo."""
import random
import time

import pytest

from ringcast import BINARY, CONTINUATION, TEXT, encode_frame, f

KIB, MIB = 1 << 10, 1 << 20
KINDS = pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
MASK = b"\x5a\xa5\x0f\xf0"
slow = pytest.mark.slow


def payload(opcode, size):
    return (b"*" * (size - 3) + "€".encode()) if opcode == TEXT else random.Random(size).randbytes(size)


def echoed(server, opcode, data, wire, piece=None):
    with server.connect() as client:
        client.send_bytes(wire, piece)
        frame = client.receive_frame(60)
        assert frame is not None and frame.opcode == opcode and frame.fin
        assert frame.payload == data, f"{len(frame.payload)} bytes of {len(data)}"
        client.close()


def in_fragments(opcode, data, size):
    return b"".join(encode_frame(CONTINUATION if at else opcode, data[at:at + size], fin=at + size >= len(data), mask=MASK)
                    for at in range(0, len(data), size))


@KINDS
@pytest.mark.parametrize("size", [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB])
def test_echoes_in_one_frame(suite_echo, opcode, size):
    data = payload(opcode, size)
    echoed(suite_echo, opcode, data, encode_frame(opcode, data, mask=MASK))


@KINDS
@pytest.mark.parametrize("size", [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB])
def test_echoes_4_mib_in_fragments(suite_echo, opcode, size):
    data = payload(opcode, 4 * MIB)
    echoed(suite_echo, opcode, data, in_fragments(opcode, data, size))


@KINDS
@pytest.mark.parametrize("size", [64, 64 * KIB, MIB])
def test_echoes_16_mib_in_fragments(suite_echo, opcode, size):
    data = payload(opcode, 16 * MIB)
    echoed(suite_echo, opcode, data, in_fragments(opcode, data, size))


@KINDS
@pytest.mark.parametrize("piece", [64, 128, 256, 512, 1024, 2048])
def test_echoes_1_mib_that_is_written_in_pieces(suite_echo, opcode, piece):
    data = payload(opcode, MIB)
    echoed(suite_echo, opcode, data, encode_frame(opcode, data, mask=MASK), piece)


def test_takes_no_byte_more(suite_echo):
    data = payload(BINARY, 16 * MIB)
    with suite_echo.connect() as client:
        client.send_bytes(encode_frame(BINARY, data, fin=False, mask=MASK) + f(CONTINUATION, b"x"))
        client.expect_close(1009)


@slow
def test_a_message_may_take_longer_than_ringcastd_would_wait(suite_echo):
    data = payload(TEXT, 120)
    wire = encode_frame(TEXT, data)
    with suite_echo.connect() as client:
        for byte in wire:
            client.send_bytes(bytes([byte]))
            time.sleep(0.1)
        client.expect_frame(TEXT, data)
        client.close()
