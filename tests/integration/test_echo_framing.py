"""Lengths, masks and cuts against ringcast-echo: RFC 6455 section 5.2 and 5.3."""
import random

import pytest

from ringcast import BINARY, TEXT, f, play, rows

SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 124, 125, 126, 127, 128, 4095, 4096, 4097, 65534, 65535, 65536, 65537]


def payload(opcode, size):
    return b"*" * size if opcode == TEXT else random.Random(size).randbytes(size)


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
@pytest.mark.parametrize("size", SIZES)
def test_echoes_every_length(suite_echo, opcode, size):
    for piece in (None, 997) if size > 128 else (None, 1):
        play(suite_echo, [f(opcode, payload(opcode, size)), (opcode, payload(opcode, size))], piece)


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_echoes_all_lengths_of_one_segment_in_order(suite_echo, opcode):
    play(suite_echo, [b"".join(f(opcode, payload(opcode, size)) for size in range(300)),
                      *[(opcode, payload(opcode, size)) for size in range(300)]])


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1\2\3\4", b"\0\0\0\x80"], ids=bytes.hex)
def test_unmasks_at_every_offset(suite_echo, mask):
    play(suite_echo, [step for size in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 4097)
                      for step in (f(BINARY, payload(BINARY, size), mask=mask), (BINARY, payload(BINARY, size)))])


def test_does_not_mind_where_a_frame_is_cut(suite_echo):
    wire = f(TEXT, "a" * 126) + f(BINARY, b"\xff") + f(TEXT, "")
    answers = [(TEXT, "a" * 126), (BINARY, b"\xff"), (TEXT, "")]
    for at in range(1, len(wire)):
        play(suite_echo, [wire[:at], wire[at:], *answers])


@rows({
    "unmasked text": [f(TEXT, "hello", mask=False), 1002],
    "unmasked empty": [f(TEXT, mask=False), 1002],
    "unmasked behind a masked one": [f(TEXT, "a") + f(TEXT, "b", mask=False), (TEXT, "a"), 1002],
    "5 in 16 bits": [f(TEXT, "hello", length_bits=16), 1002],
    "125 in 16 bits": [f(BINARY, b"x" * 125, length_bits=16), 1002],
    "0 in 64 bits": [f(TEXT, length_bits=64), 1002],
    "126 in 64 bits": [f(BINARY, b"x" * 126, length_bits=64), 1002],
    "65535 in 64 bits": [f(BINARY, announce=65535, length_bits=64), 1002],
    "2^63": [f(BINARY, announce=1 << 63), 1002],
    "2^64 - 1": [f(BINARY, announce=(1 << 64) - 1), 1002],
    "2^63 - 1": [f(BINARY, announce=(1 << 63) - 1), 1009],
    "a byte more than is taken": [f(BINARY, announce=(16 << 20) + 1), 1009],
    "2^32 + 5": [f(TEXT, announce=(1 << 32) + 5), 1009],
})
@pytest.mark.parametrize("piece", [None, 1])
def test_closes_at_a_bad_head(suite_echo, script, piece):
    play(suite_echo, script, piece)
