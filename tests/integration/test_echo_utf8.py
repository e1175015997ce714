"""UTF-8 in text messages against ringcast-echo: RFC 6455 section 8.1, RFC 3629."""
import itertools

import pytest

from ringcast import CONTINUATION, PING, PONG, TEXT, f, play
from utf8_cases import INVALID, VALID


def named(cases):
    return pytest.mark.parametrize("text", [text for _, text in cases], ids=[name for name, _ in cases])


def by_byte(text):
    """Each byte a fragment of its own, and an empty last one."""
    return [f(CONTINUATION if n else TEXT, text[n:n + 1], fin=False) for n in range(len(text))] + [f(CONTINUATION if text else TEXT)]


def decodes(text):
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def may_begin_a_text(text):
    tails = [bytes(tail) for size in range(4) for tail in itertools.product((0x80, 0x90, 0xA0, 0xBF), repeat=size)]
    return any(decodes(text + tail) for tail in tails)


def valid_prefix(text):
    """How many bytes may stand at the beginning of a text. (Python's own decoder waits for a surrogate's end.)"""
    return next((n for n in range(len(text)) if not may_begin_a_text(text[:n + 1])), len(text))


@named(VALID)
def test_takes(suite_echo, text):
    play(suite_echo, [f(TEXT, text), (TEXT, text), *by_byte(text), (TEXT, text)])
    play(suite_echo, [f(TEXT, text) + f(TEXT, "x"), (TEXT, text), (TEXT, "x")], piece=1)


@named(INVALID)
def test_closes_at(suite_echo, text):
    play(suite_echo, [f(TEXT, text), 1007])
    play(suite_echo, [b"".join(by_byte(text)), 1007])
    play(suite_echo, [f(TEXT, "good") + f(TEXT, text) + f(TEXT, "never"), (TEXT, "good"), 1007])


@named(INVALID)
def test_closes_at_the_first_wrong_byte_of(suite_echo, text):
    good = valid_prefix(text)
    if good == len(text):  # cut off: known at the end of the message only
        play(suite_echo, [*by_byte(text)[:-1], f(PING, "still"), (PONG, "still"), f(CONTINUATION), 1007])
        return
    fragments = by_byte(text)
    play(suite_echo, [*fragments[:good], f(PING, "still"), (PONG, "still"), fragments[good], 1007])
    # In the middle of a frame whose end never comes. (A ping has no place inside it.)
    wire = f(TEXT, text + b"the end")
    play(suite_echo, [wire[:len(wire) - len(text) - 7 + good], wire[len(wire) - len(text) - 7 + good:-7], 1007])


def test_closes_at_a_wrong_byte_before_a_long_frame_is_whole(suite_echo):
    """The parts of the suites' well-known case, in frames and in pieces of one."""
    head, wrong, rest = "κόσμε".encode(), b"\xf4\x90\x80\x80", b"edited"
    play(suite_echo, [f(TEXT, head, fin=False), f(CONTINUATION, wrong, fin=False), 1007])
    play(suite_echo, [f(TEXT, head, fin=False), f(CONTINUATION, wrong[:2], fin=False), 1007])
    wire = f(TEXT, head + wrong + rest)
    at = len(wire) - len(wrong + rest)
    play(suite_echo, [wire[:at + 2], 1007])


def test_echoes_every_code_point(suite_echo):
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    texts = ["".join(every[at:at + 65536]) for at in range(0, len(every), 65536)]
    play(suite_echo, [step for text in texts for step in (f(TEXT, text), (TEXT, text))])


@pytest.mark.parametrize("character", ["é", "€", "😀"])
def test_takes_code_points_cut_anywhere(suite_echo, character):
    text = (character * 2000).encode()
    for size in (1, 2, 3, 5, 7, 4095):
        with suite_echo.connect() as client:
            client.send_fragments(TEXT, text, size)
            client.expect_frame(TEXT, text)
            client.send_bytes(f(TEXT, text), size if size > 4 else None)
            client.expect_frame(TEXT, text)


@pytest.mark.parametrize("at", [0, 4093, 4094, 4095, 4096, 65535, 999999])
def test_finds_a_wrong_byte_anywhere(suite_echo, at):
    text = bytearray(b"a" * 1000000)
    text[at] = 0xFF
    play(suite_echo, [f(TEXT, bytes(text)), 1007])


def test_minds_no_payload_but_a_texts(suite_echo):
    for _, sequence in INVALID:
        if len(sequence) > 125:
            continue
        play(suite_echo, [f(2, sequence) + f(PING, sequence), (2, sequence), (PONG, sequence)])
