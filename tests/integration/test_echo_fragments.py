"""Fragmented messages against ringcast-echo: RFC 6455 section 5.4."""
import random

import pytest

from ringcast import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload, f, play, rows


def part(payload, opcode=CONTINUATION, **shape):
    """A frame that more are to follow."""
    return f(opcode, payload, fin=False, **shape)


def last(payload):
    return f(CONTINUATION, payload)


@rows({
    "two of a text": [part("ab", TEXT) + last("cd"), (TEXT, "abcd")],
    "two of a binary": [part(b"\xff", BINARY) + last(b"\xfe"), (BINARY, b"\xff\xfe")],
    "two in segments": [part("ab", TEXT), last("cd"), (TEXT, "abcd")],
    "all empty": [part("", TEXT) + part("") + part("") + last(""), (TEXT, "")],
    "an empty first": [part("", TEXT) + last("x"), (TEXT, "x")],
    "an empty last": [part("x", TEXT) + last(""), (TEXT, "x")],
    "an empty one between": [part("a", TEXT) + part("") + last("b"), (TEXT, "ab")],
    "a ping between": [part("1", TEXT), f(PING, "p"), (PONG, "p"), last("2"), (TEXT, "12")],
    "a ping between, in one segment": [part("1", TEXT) + f(PING, "p") + last("2"), (PONG, "p"), (TEXT, "12")],
    "pings everywhere": [f(PING, "0") + part("1", TEXT) + f(PING, "1") + part("2") + f(PING, "2") + part("3") + f(PING, "3")
                         + last("4") + f(PING, "4"),
                         (PONG, "0"), (PONG, "1"), (PONG, "2"), (PONG, "3"), (TEXT, "1234"), (PONG, "4")],
    "two messages": [part("a", TEXT) + last("b") + part(b"\xff", BINARY) + last(b""), (TEXT, "ab"), (BINARY, b"\xff")],
    "a close between": [part("a", TEXT) + f(CLOSE, close_payload(1000)) + last("b"), 1000],
    "a fragmented ping": [part("a", PING) + last("b"), 1002],
    "a fragmented pong": [part("a", PONG) + last("b"), 1002],
    "a fragmented close": [part(close_payload(1000), CLOSE) + last(""), 1002],
    "a fragmented ping inside a text": [part("a", TEXT) + part("p", PING) + last("b"), 1002],
    "a continuation of nothing": [last("a") + f(TEXT, "never"), 1002],
    "an unfinished continuation of nothing": [part("a") + f(TEXT, "never"), 1002],
    "an empty continuation of nothing": [last("") + f(TEXT, "never"), 1002],
    "a continuation behind a whole text": [f(TEXT, "a") + last("b"), (TEXT, "a"), 1002],
    "a continuation behind the last": [part("a", TEXT) + last("b") + last("c"), (TEXT, "ab"), 1002],
    "an unfinished one behind the last": [part("a", TEXT) + last("b") + part("c"), (TEXT, "ab"), 1002],
    "a text inside a text": [part("a", TEXT) + f(TEXT, "b"), 1002],
    "an unfinished text inside a text": [part("a", TEXT) + part("b", TEXT), 1002],
    "a binary inside a text": [part("a", TEXT) + f(BINARY, "b"), 1002],
    "a text inside a binary": [part("a", BINARY) + f(TEXT, "b"), 1002],
    "a text behind three parts": [part("a", TEXT) + part("b") + part("c") + f(TEXT, "d"), 1002],
    "an empty text inside a text": [part("a", TEXT) + f(TEXT, ""), 1002],
})
@pytest.mark.parametrize("piece", [None, 1])
def test_fragments(suite_echo, script, piece):
    play(suite_echo, script, piece)


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
@pytest.mark.parametrize("size", [1, 7, 125, 126, 1300, 4096, 65535])
def test_joins_fragments_of_every_size(suite_echo, opcode, size):
    payload = "é€😀a".encode() * 6554 if opcode == TEXT else random.Random(size).randbytes(65537)
    with suite_echo.connect() as client:
        client.send_fragments(opcode, payload, size)
        client.expect_frame(opcode, payload)
        client.close()


def test_takes_very_many_empty_fragments(suite_echo):
    play(suite_echo, [part("a", TEXT) + part("") * 100000 + last("b"), (TEXT, "ab")])
