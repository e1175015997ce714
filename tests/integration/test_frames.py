"""Frames against ringcastd and ringcast-echo: RFC 6455 section 5 and 7, contract.md 2."""
import random
import time

import pytest

from ringcast import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, EchoServer, close_payload, encode_frame,
                      together)
from utf8_cases import INVALID, VALID

LIMIT = 16384
FRAGMENTS = 64


class Target:
    """What a program answers to a text: ringcastd with an ack or an error, ringcast-echo with the text."""

    def __init__(self, name, server):
        self.name, self.server, self.connect = name, server, server.connect

    def text(self, size=None, id=1):
        """A harmless message, of that many bytes if told."""
        text = b'{"type":"unsubscribe","id":%d,"data":{"topics":[]},"x":""}' % id
        if size is not None:
            text = text[:-2] + b"x" * (size - len(text)) + text[-2:]
            assert len(text) == size
        return text

    def expect_answer(self, client, text, id=1):
        """The answer to a valid UTF-8 text."""
        if self.name == "echo":
            assert client.next_text() == text
        elif text.startswith(b'{"type":"unsubscribe"'):
            client.expect_ack(id)
        else:
            client.expect_error("invalid_message")

    def expect_alive(self, client):
        client.send_text(self.text())
        self.expect_answer(client, self.text())


@pytest.fixture(scope="module")
def limited_echo():
    server = EchoServer(args=["--max-message", LIMIT, "--max-fragments", FRAGMENTS])
    yield server
    try:
        server.stop()
    finally:
        server.cleanup()


@pytest.fixture(scope="module", params=["ringcastd", "echo"])
def target(request):
    return Target(request.param, request.getfixturevalue("server" if request.param == "ringcastd" else "limited_echo"))


@pytest.fixture
def client(target):
    with target.connect() as client:
        yield client


# --- what is allowed ---

@pytest.mark.parametrize("size", [62, 125, 126, 127, 4096, LIMIT - 1, LIMIT])
@pytest.mark.parametrize("piece", [None, 1, 997])
@pytest.mark.smoke
def test_takes_messages_of_every_size(target, client, size, piece):
    text = target.text(size)
    client.send_bytes(encode_frame(TEXT, text), piece)
    target.expect_answer(client, text)


def test_takes_any_mask(target, client):
    for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1\2\3\4"):
        client.send_frame(TEXT, target.text(), mask=mask)
        target.expect_answer(client, target.text())


def test_takes_fragments_of_every_size(target, client):
    text = target.text(200)
    for size in (4, 7, 50, 199, 200):
        client.send_fragments(TEXT, text, size)
        target.expect_answer(client, text)


def test_takes_as_many_fragments_as_allowed(target, client):
    text = target.text()
    frames = [encode_frame(TEXT, b"", fin=False)] + [encode_frame(CONTINUATION, b"", fin=False)] * (FRAGMENTS - 2)
    client.send_bytes(b"".join(frames) + encode_frame(CONTINUATION, text))
    target.expect_answer(client, text)
    target.expect_alive(client)


def test_takes_many_messages_in_one_segment(target, client):
    texts = [target.text(id=n) for n in range(200)]
    client.send_bytes(b"".join(encode_frame(TEXT, text) for text in texts))
    for n, text in enumerate(texts):
        target.expect_answer(client, text, id=n)


def test_answers_a_ping_with_its_payload(target, client):
    for payload in (b"", b"hello", bytes(range(125))):
        client.send_frame(PING, payload)
        client.expect_frame(PONG, payload)


def test_answers_ten_pings_of_one_segment_in_order(target, client):
    client.send_bytes(b"".join(encode_frame(PING, b"%d" % n) for n in range(10)))
    for n in range(10):
        client.expect_frame(PONG, b"%d" % n)


def test_answers_a_ping_that_comes_byte_by_byte(target, client):
    client.send_bytes(encode_frame(PING, b"slow"), 1)
    client.expect_frame(PONG, b"slow")


def test_ignores_pongs(target, client):
    client.send_frame(PONG, b"nobody asked")
    client.send_frame(PONG)
    target.expect_alive(client)


@pytest.mark.smoke
def test_answers_a_ping_inside_a_fragmented_message_first(target, client):
    text = target.text()
    client.send_frame(TEXT, text[:10], fin=False)
    client.send_frame(PING, b"p" * 125)
    client.expect_frame(PONG, b"p" * 125)
    client.send_bytes(encode_frame(CONTINUATION, text[10:20], fin=False) + encode_frame(PING, b"2")
                      + encode_frame(PONG, b"3") + encode_frame(CONTINUATION, text[20:]))
    client.expect_frame(PONG, b"2")
    target.expect_answer(client, text)


# --- what is not ---

@pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
def test_closes_at_an_unmasked_frame(target, client, opcode):
    payload = close_payload(1000) if opcode == CLOSE else b"hello"
    client.send_frame(opcode, payload, mask=False)
    if opcode == BINARY and target.name == "ringcastd":
        assert client.receive_frame().close_code in (1002, 1003)
    else:
        client.expect_close(1002)


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("kind", ["text", "continuation", "ping", "close", "empty"])
def test_closes_at_a_reserved_bit(target, client, rsv, kind):
    if kind == "continuation":
        client.send_bytes(encode_frame(TEXT, b"a", fin=False) + encode_frame(CONTINUATION, b"b", rsv=rsv))
    elif kind == "empty":
        client.send_frame(TEXT, b"", rsv=rsv)
    else:
        opcode = {"text": TEXT, "ping": PING, "close": CLOSE}[kind]
        client.send_frame(opcode, close_payload(1000), rsv=rsv)
    client.expect_close(1002)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.smoke
def test_closes_at_a_reserved_opcode(client, opcode):
    client.send_frame(opcode, b"x")
    client.expect_close(1002)


def test_answers_what_came_before_a_broken_frame(target, client):
    text = target.text()
    client.send_bytes(encode_frame(TEXT, text) + encode_frame(PING, b"p") + encode_frame(5) + encode_frame(TEXT, text))
    target.expect_answer(client, text)
    client.expect_frame(PONG, b"p")
    client.expect_close(1002)


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_closes_at_a_fragmented_or_long_control_frame(target, opcode):
    for shape in ({"fin": False}, {"payload": close_payload(1000) + b"a" * 124},
                  {"payload": close_payload(1000), "length_bits": 16}, {"payload": b"", "announce": 1 << 40}):
        with target.connect() as client:
            client.send_frame(opcode, **shape)
            client.expect_close(1002)


@pytest.mark.parametrize("size, bits", [(5, 16), (0, 16), (125, 16), (5, 64), (300, 64), (65535, 64)])
def test_closes_at_a_length_that_is_not_shortest(client, size, bits):
    client.send_bytes(encode_frame(TEXT, b"", announce=size, length_bits=bits))
    client.expect_close(1002)


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1, (1 << 63) + 5])
def test_closes_at_a_length_with_the_high_bit(client, length):
    client.send_frame(TEXT, announce=length)
    client.expect_close(1002)


@pytest.mark.parametrize("length", [LIMIT + 1, 65535, 65536, 65537, (1 << 31) - 1, 1 << 31, (1 << 32) + 5, (1 << 63) - 1])
@pytest.mark.parametrize("piece", [None, 1])
def test_closes_at_the_head_of_a_frame_that_is_too_long(client, length, piece):
    client.send_bytes(encode_frame(TEXT, announce=length), piece)
    client.expect_close(1009)


def test_closes_at_the_head_of_the_fragment_that_is_too_much(target, client):
    text = target.text(LIMIT)
    client.send_frame(TEXT, text[:-1], fin=False)
    client.send_frame(CONTINUATION, announce=2)
    client.expect_close(1009)


def test_takes_fragments_up_to_the_limit(target, client):
    text = target.text(LIMIT)
    client.send_fragments(TEXT, text, LIMIT // FRAGMENTS)
    target.expect_answer(client, text)


@pytest.mark.parametrize("payload", [b"", b"x"])
def test_closes_at_one_fragment_too_many(client, payload):
    client.send_bytes(encode_frame(TEXT, payload, fin=False)
                      + encode_frame(CONTINUATION, payload, fin=False) * (FRAGMENTS - 1))
    client.send_frame(CONTINUATION, payload, fin=False)
    client.expect_close(1009)


def test_closes_at_an_endless_stream_of_fragments(client):
    client.send_bytes(encode_frame(TEXT, b"x", fin=False) + encode_frame(CONTINUATION, b"x", fin=False) * 65534)
    client.expect_close(1009)


@pytest.mark.parametrize("frames", [
    [encode_frame(CONTINUATION, b"x")],
    [encode_frame(CONTINUATION, b"x", fin=False)],
    [encode_frame(TEXT, b"x", fin=False), encode_frame(TEXT, b"x")],
    [encode_frame(TEXT, b"x", fin=False), encode_frame(TEXT, b"x", fin=False)],
    [encode_frame(TEXT, b"x", fin=False), encode_frame(CONTINUATION, b"x", fin=False), encode_frame(TEXT, b"x")],
])
def test_closes_at_fragments_out_of_sequence(client, frames):
    client.send_bytes(b"".join(frames))
    client.expect_close(1002)


def test_closes_at_a_continuation_after_the_end(target, client):
    client.send_fragments(TEXT, target.text(), 20)
    target.expect_answer(client, target.text())
    client.send_frame(CONTINUATION, b"x")
    client.expect_close(1002)


# --- UTF-8 ---

def utf8_wire(sequence, cut):
    if cut == "whole":
        return encode_frame(TEXT, sequence), None
    if cut == "fragments":
        pieces = [sequence[at:at + 1] for at in range(len(sequence))] or [b""]
        return b"".join(encode_frame(TEXT if n == 0 else CONTINUATION, piece, fin=n == len(pieces) - 1)
                        for n, piece in enumerate(pieces)), None
    return encode_frame(TEXT, sequence), 1


@pytest.mark.parametrize("cut", ["whole", "fragments", "segments"])
def test_takes_valid_utf8(target, client, cut):
    for name, sequence in VALID:
        assert len(sequence) <= FRAGMENTS, name
        client.send_bytes(*utf8_wire(sequence, cut))
        target.expect_answer(client, sequence)


@pytest.mark.parametrize("cut", ["whole", "fragments", "segments"])
def test_closes_at_invalid_utf8(target, cut):
    for name, sequence in INVALID:
        assert len(sequence) <= FRAGMENTS, name
        with target.connect() as client:
            try:
                client.send_bytes(*utf8_wire(sequence, cut))
            except ConnectionError:
                pass  # closed at the first wrong byte
            try:
                client.expect_close(1007)
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from error


def test_checks_utf8_of_long_texts_at_every_border(target):
    for size in (4095, 4096, 4097, LIMIT):
        good = b"a" * (size - 3) + "€".encode()
        with target.connect() as client:
            client.send_frame(TEXT, good)
            target.expect_answer(client, good)
        for bad in (b"a" * (size - 1) + b"\xe2", b"a" * (size - 2) + b"\xe2a", b"\x80" + b"a" * (size - 1)):
            with target.connect() as client:
                client.send_frame(TEXT, bad)
                client.expect_close(1007)


# --- closing ---

def echoed_close(client, payload, piece=None):
    client.send_bytes(encode_frame(CLOSE, payload), piece)
    frame = client.receive_frame()
    client.expect_end()
    assert frame is not None and frame.opcode == CLOSE, frame
    return frame


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
                                  4999])
def test_answers_a_close_with_its_code(target, code):
    for reason in (b"", b"because", "à bientôt".encode(), b"r" * 123):
        with target.connect() as client:
            assert echoed_close(client, close_payload(code, reason)).close_code == code


def test_answers_an_empty_close(client):
    assert echoed_close(client, b"").payload in (b"", close_payload(1000))


@pytest.mark.parametrize("payload", [b"\x03", b"\0"] + [close_payload(code) for code in (
    0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 5001, 65535)])
def test_closes_at_a_close_that_says_nonsense(client, payload):
    assert echoed_close(client, payload).close_code == 1002


def test_closes_at_a_reason_that_is_too_long(client):
    client.send_frame(CLOSE, close_payload(1000, b"r" * 124))
    client.expect_close(1002)


@pytest.mark.parametrize("reason", [b"\xff", b"ok\xed\xa0\x80", b"cut\xe2\x82", b"\xc0\xaf"])
def test_closes_at_a_reason_that_is_no_utf8(client, reason):
    assert echoed_close(client, close_payload(1000, reason)).close_code == 1007


def test_does_not_mind_how_a_close_is_cut(target):
    for payload, code in ((close_payload(4321, "κόσμε, à bientôt"), 4321), (close_payload(1000, b"abc\xe2\x28\xa1defg"), 1007)):
        wire = encode_frame(CLOSE, payload)
        for at in range(1, len(wire)):
            with target.connect() as client:
                client.send_bytes(wire[:at])
                client.send_bytes(wire[at:])
                assert client.receive_frame().close_code == code
                client.expect_end()
        with target.connect() as client:
            assert echoed_close(client, payload, piece=1).close_code == code


@pytest.mark.smoke
def test_ignores_what_follows_a_close(target, client):
    client.send_bytes(encode_frame(CLOSE, close_payload(1000)) + encode_frame(TEXT, target.text()) + encode_frame(PING, b"p")
                      + encode_frame(CLOSE, close_payload(1001)) + encode_frame(5))
    began = time.monotonic()
    assert client.receive_frame().close_code == 1000
    client.expect_end()
    assert time.monotonic() - began < 2


def test_answers_a_close_inside_a_fragmented_message(target, client):
    client.send_frame(TEXT, target.text()[:5], fin=False)
    assert echoed_close(client, close_payload(1000)).close_code == 1000


def test_sends_the_answers_before_the_close(target, client):
    client.send_bytes(encode_frame(TEXT, target.text()) + encode_frame(PING, b"p") + encode_frame(CLOSE, close_payload(1000)))
    target.expect_answer(client, target.text())
    client.expect_frame(PONG, b"p")
    client.expect_close(1000)


# --- robustness ---

def session(target, rng):
    """Some messages, whole and in fragments, with pings between, as bytes; at most 10 pings."""
    wire = bytearray()
    for n in range(6):
        text = target.text(rng.choice([None, 62, 125, 126, 127, 700, 5000]), id=n)
        mask = bytes(rng.randrange(256) for _ in range(4))
        if rng.random() < 0.5:
            wire += encode_frame(TEXT, text, mask=mask)
            continue
        cuts = sorted(rng.sample(range(len(text)), rng.randrange(1, 6)))
        pieces = [text[a:b] for a, b in zip([0] + cuts, cuts + [len(text)])]
        for i, piece in enumerate(pieces):
            wire += encode_frame(CONTINUATION if i else TEXT, piece, fin=i == len(pieces) - 1, mask=mask)
            if i == 0:
                wire += encode_frame(PING, b"ping %d" % n, mask=mask)
    return bytes(wire) + encode_frame(CLOSE, close_payload(1000), mask=b"abcd")


def answers(target, segments):
    with target.connect() as client:
        for segment in segments:
            client.send_bytes(segment)
        while client._receive(time.monotonic() + 10):
            pass
        assert client.ended
        return bytes(client.reader.buffer)


def test_answers_the_same_however_the_bytes_are_cut(target):
    for seed in range(40):
        rng = random.Random(seed)
        wire = session(target, rng)
        whole = answers(target, [wire])
        assert whole.endswith(close_payload(1000)), seed
        cuts = sorted(rng.sample(range(1, len(wire)), min(len(wire) - 1, rng.choice([1, 5, 40, 200]))))
        assert answers(target, [wire[a:b] for a, b in zip([0] + cuts, cuts + [len(wire)])]) == whole, seed


@pytest.mark.smoke
def test_survives_clients_that_leave_in_the_middle(target):
    text = target.text()
    for n in range(100):
        wire = encode_frame(TEXT, text, fin=n % 2 == 0)
        client = target.connect()
        client.send_bytes(wire[:n % len(wire) + 1])
        if n % 3 == 0:
            client.reset()
        elif n % 3 == 1:
            client.socket.shutdown(1)
            while client.receive_frame() is not None:
                pass
            client.abandon()
        else:
            client.abandon()
    with target.connect() as client:
        target.expect_alive(client)


def test_survives_rubbish(target):
    rng = random.Random(6455)
    for _ in range(60):
        client = target.connect()
        try:
            client.send_bytes(rng.randbytes(rng.randrange(1, 3000)))
            client.socket.shutdown(1)
            while client.receive_frame() is not None:
                pass
        except OSError:
            pass
        client.abandon()
    with target.connect() as client:
        target.expect_alive(client)


# --- ringcastd alone ---

def test_takes_no_binary_messages(server):
    with server.connect() as client:
        client.send_frame(BINARY, b"hello")
        client.expect_close(1003)
    with server.connect() as client:
        client.send_frame(BINARY, b"hel", fin=False)
        client.expect_close(1003)


def test_takes_another_message_limit_from_the_settings(start_server):
    server = start_server(settings={"limits": {"message_bytes": 100}})
    target = Target("ringcastd", server)
    with server.connect() as client:
        client.send_text(target.text(100))
        target.expect_answer(client, target.text(100))
        client.send_text(target.text(101))
        client.expect_close(1009)


def test_gives_a_message_ten_seconds_and_a_close_five(server):
    """Several clients at once, because the times are fixed."""
    def opening(wire):
        client = server.connect()
        client.send_bytes(wire)
        return client, time.monotonic()

    def message_timeout(wire, dribble=b""):
        client, began = opening(wire)
        while not client._receive(time.monotonic() + 0.5) and dribble:
            client.send_bytes(dribble)
        client.expect_close(1008, "message_timeout", timeout=20)
        assert 9.5 <= time.monotonic() - began <= 13

    def never_answers():
        client, began = opening(encode_frame(5))
        assert client.receive_frame().close_code == 1002
        client.expect_end(timeout=20)
        assert time.monotonic() - began <= 7

    def talks_on():
        client, began = opening(encode_frame(5))
        assert client.receive_frame().close_code == 1002
        while not client.ended:
            assert time.monotonic() - began <= 7
            client._receive(time.monotonic() + 0.2)
            try:
                client.send_text("{}")
            except OSError:
                client.ended = True
        assert not client.reader.buffer

    fragment = encode_frame(TEXT, b"{", fin=False)
    jobs = [
        lambda: message_timeout(fragment),
        lambda: message_timeout(encode_frame(TEXT, b"{}")[:-1]),
        lambda: message_timeout(b"\x81"),
        lambda: message_timeout(fragment, encode_frame(CONTINUATION, b" ", fin=False)),
        never_answers,
        talks_on,
    ]
    together(*jobs)
    whole = server.connect()
    whole.send_bytes(fragment)
    whole.send_frame(CONTINUATION, b"}")
    whole.expect_error("invalid_message")
    whole.abandon()


# --- ringcast-echo alone ---

@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.smoke
def test_echoes_every_length(echo, opcode):
    with echo.connect() as client:
        for size in (0, 1, 125, 126, 127, 128, 65535, 65536):
            payload = b"*" * size if opcode == TEXT else random.Random(size).randbytes(size)
            client.send_frame(opcode, payload)
            client.expect_frame(opcode, payload)
            client.send_fragments(opcode, payload, max(1, -(-size // 60)))
            client.expect_frame(opcode, payload)


def test_echo_has_no_rate(echo):
    with echo.connect() as client:
        for n in range(500):
            client.send_frame(PING, b"%d" % n)
            client.expect_frame(PONG, b"%d" % n)
            client.send_text("%d" % n)
            client.expect_frame(TEXT, "%d" % n)


def test_echo_takes_its_limits_from_flags(start_echo):
    server = start_echo(args=["--max-message", 1 << 20, "--max-fragments", 3], workers=2)
    payload = random.Random(1).randbytes(1 << 20)
    with server.connect() as client:
        client.send_frame(BINARY, payload)
        client.expect_frame(BINARY, payload)
        client.send_fragments(BINARY, payload[:9], 3)
        client.expect_frame(BINARY, payload[:9])
        client.send_fragments(BINARY, payload[:10], 3)
        client.expect_close(1009)
    with server.connect() as client:
        client.send_frame(BINARY, announce=(1 << 20) + 1)
        client.expect_close(1009)


@pytest.mark.smoke
def test_echo_serves_many_at_once(start_echo):
    server = start_echo(workers=2)
    clients = [server.connect() for _ in range(50)]
    for n, client in enumerate(clients):
        client.send_text(f"client {n}" * 50)
    for n, client in enumerate(clients):
        client.expect_frame(TEXT, f"client {n}" * 50)
    for client in clients:
        client.close()
