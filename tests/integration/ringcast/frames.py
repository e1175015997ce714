"""RFC 6455 frames, right and wrong ones alike."""
import os
import struct
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def _masked(payload, key):
    if not payload:
        return b""
    size = len(payload)
    stream = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")


def encode_frame(opcode, payload=b"", *, fin=True, rsv=0, mask=True, length_bits=None, announce=None):
    """One client frame as bytes.

    mask: True for a random key, False for none, or the four bytes themselves.
    length_bits: 7, 16 or 64 forces that form; None takes the shortest.
    announce: the length to write in place of the payload's own.
    """
    if isinstance(payload, str):
        payload = payload.encode()
    length = len(payload) if announce is None else announce
    if length_bits is None:
        length_bits = 7 if length < 126 else 16 if length < 1 << 16 else 64
    mask_bit = 0 if mask is False else 0x80
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if length_bits == 7:
        head += bytes([mask_bit | length])
    elif length_bits == 16:
        head += bytes([mask_bit | 126]) + struct.pack(">H", length)
    else:
        head += bytes([mask_bit | 127]) + struct.pack(">Q", length)
    if mask is False:
        return head + payload
    key = os.urandom(4) if mask is True else mask
    return head + key + _masked(payload, key)


def close_payload(code, reason=b""):
    return struct.pack(">H", code) + (reason.encode() if isinstance(reason, str) else reason)


@dataclass(frozen=True)
class Frame:
    """A frame that the server sent."""
    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0

    @property
    def close_code(self):
        """None for an empty close frame."""
        return struct.unpack(">H", self.payload[:2])[0] if len(self.payload) >= 2 else None

    @property
    def close_reason(self):
        return self.payload[2:].decode()


class FrameReader:
    """Cuts the server's bytes into frames. Asserts what RFC 6455 asks of a server: no mask, shortest length,
    no reserved bit, whole control frames of at most 125 bytes."""

    def __init__(self):
        self.buffer = bytearray()

    def feed(self, data):
        self.buffer += data

    def next(self):
        """The next whole frame, or None."""
        data = self.buffer
        if len(data) < 2:
            return None
        opcode, fin, rsv = data[0] & 15, bool(data[0] & 0x80), data[0] >> 4 & 7
        assert not data[1] & 0x80, "the server masked a frame"
        length, head = data[1] & 127, 2
        if length == 126:
            if len(data) < 4:
                return None
            length, head = struct.unpack_from(">H", data, 2)[0], 4
            assert length > 125, "length is not in its shortest form"
        elif length == 127:
            if len(data) < 10:
                return None
            length, head = struct.unpack_from(">Q", data, 2)[0], 10
            assert length > 0xFFFF, "length is not in its shortest form"
        assert rsv == 0, f"reserved bits {rsv}"
        if opcode >= 8:
            assert fin and length <= 125, "bad control frame"
        if len(data) < head + length:
            return None
        payload = bytes(data[head:head + length])
        del data[:head + length]
        return Frame(opcode, payload, fin, rsv)
