"""Byte sequences for tests of UTF-8, after Autobahn's sections 6 and Markus Kuhn's list: (name, bytes)."""


def _code_point(value, size):
    """The value in the UTF-8 pattern of that size, allowed or not."""
    if size == 1:
        return bytes([value])
    lead = {2: 0xC0, 3: 0xE0, 4: 0xF0, 5: 0xF8, 6: 0xFC}[size]
    tail = [0x80 | value >> 6 * n & 0x3F for n in range(size - 1)]
    return bytes([lead | value >> 6 * (size - 1)] + tail[::-1])


VALID = [
    ("hello", "Hello-µ@ßöäüàá-UTF-8!!".encode()),
    ("kosme", "κόσμε".encode()),
    ("empty", b""),
    ("nul", b"\x00"),
    ("ascii-end", b"\x7f"),
    *[(f"first-and-last-of-{size}-bytes", _code_point(low, size) + _code_point(high, size))
      for size, low, high in [(2, 0x80, 0x7FF), (3, 0x800, 0xFFFF), (4, 0x10000, 0x10FFFF)]],
    *[(f"u+{value:x}", chr(value).encode())
      for value in (0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF, 0xFDD0, 0xFDEF, 0xFEFF, 0x1F600, 0x10FFFE, 0x10FFFF, 0x1FFFE,
                    0x1FFFF, 0xFFFFE, 0xFFFFF, 0x200B, 0x2028, 0xE0001)],
    ("sixty-bytes", "€".encode() * 20),
    ("every-lead-of-two", b"".join(bytes([lead, 0x80]) for lead in range(0xC2, 0xDE))),
    ("every-lead-of-three", b"".join(bytes([lead, 0xA0 if lead == 0xE0 else 0x80, 0x80]) for lead in range(0xE0, 0xF0))),
    ("every-lead-of-four", b"".join(bytes([lead, 0x90 if lead == 0xF0 else 0x80, 0x80, 0x80]) for lead in range(0xF0, 0xF5))),
]

INVALID = [
    *[(f"lone-continuation-{byte:02x}", bytes([byte])) for byte in (0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF)],
    *[(f"{count}-continuations", (b"\x80\xbf" * 4)[:count]) for count in range(2, 8)],
    ("all-continuations-behind-text", b"ab" + bytes(range(0x80, 0xB0))),
    ("leads-of-two-each-with-a-space", b"".join(bytes([lead, 0x20]) for lead in range(0xC0, 0xD0))),
    *[(f"lead-{lead:02x}-with-a-space", bytes([lead, 0x20]))
      for lead in (0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF8, 0xFC)],
    *[(f"last-byte-of-{size}-missing", _code_point(value, size)[:-1])
      for size, value in [(2, 0x80), (2, 0x7FF), (3, 0x800), (3, 0xFFFF), (4, 0x10000), (4, 0x10FFFF), (5, 0x200000),
                          (6, 0x4000000)]],
    *[(f"cut-after-{cut}-and-text", "😀".encode()[:cut] + b"abc") for cut in (1, 2, 3)],
    ("incomplete-ones-in-a-row", b"\xc3\xe2\x82\xf0\x9f\x98"),
    *[(f"impossible-{byte:02x}", bytes([byte])) for byte in (0xC0, 0xC1, 0xF5, 0xF6, 0xF7, 0xF8, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF)],
    ("fe-fe-ff-ff", b"\xfe\xfe\xff\xff"),
    *[(f"overlong-{value:x}-in-{size}", _code_point(value, size))
      for size, value in [(2, 0x2F), (3, 0x2F), (4, 0x2F), (5, 0x2F), (6, 0x2F), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (2, 0x7F),
                          (3, 0x7FF), (4, 0xFFFF), (5, 0x1FFFFF), (6, 0x3FFFFFF)]],
    *[(f"above-the-last-{value:x}", _code_point(value, 4)) for value in (0x110000, 0x110001, 0x13FFFF, 0x140000, 0x1FFFFF)],
    ("first-of-5-bytes", _code_point(0x200000, 5)),
    ("first-of-6-bytes", _code_point(0x4000000, 6)),
    *[(f"surrogate-{value:x}", _code_point(value, 3)) for value in (0xD800, 0xDB7F, 0xDB80, 0xDBFF, 0xDC00, 0xDF80, 0xDFFF)],
    *[(f"pair-{high:x}-{low:x}", _code_point(high, 3) + _code_point(low, 3))
      for high in (0xD800, 0xDB7F, 0xDBFF) for low in (0xDC00, 0xDFFF)],
    ("hello-with-a-flaw", "Hello-µ@ßöäüàá-UTF-8!!".encode() + b"\xed\xa0\x80" + b"edited"),
    ("kosme-and-above-the-last", "κόσμε".encode() + b"\xf4\x90\x80\x80" + b"edited"),
    ("good-then-truncated", "κόσμε".encode() + b"\xce"),
]
