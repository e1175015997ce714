#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "ringcast/base/ascii.h"

namespace rc::http {

constexpr bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}
constexpr bool is_alpha(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/// The value of a hex digit, or -1.
constexpr int hex_value(char byte) {
    if (is_digit(byte)) return byte - '0';
    const char lower = ascii_lower(byte);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// RFC 9110 5.6.2, tchar.
constexpr bool is_token_char(char byte) {
    return is_digit(byte) || is_alpha(byte) ||
           std::string_view("!#$%&'*+-.^_`|~").find(byte) != std::string_view::npos;
}

/// RFC 9110 5.5: visible ASCII, blanks, and obs-text, which is opaque to us.
constexpr bool is_value_char(char byte) {
    const auto value = static_cast<uint8_t>(byte);
    return byte == '\t' || (value >= 0x20 && value != 0x7f);
}

/// Visible ASCII but `#`: a fragment is never sent. More than RFC 3986 allows, because browsers send `|` and
/// `{` unescaped; a path is compared byte for byte, so they can only miss.
constexpr bool is_target_char(char byte) {
    return byte > 0x20 && byte < 0x7f && byte != '#';
}

/// The classes as bits of one table, so that a head costs one load a byte.
enum ByteClass : uint8_t { kTokenByte = 1, kValueByte = 2, kTargetByte = 4 };

inline constexpr std::array<uint8_t, 256> kByteClasses = [] {
    std::array<uint8_t, 256> classes{};
    for (int value = 0; value < 256; ++value) {
        const auto byte = static_cast<char>(value);
        classes[static_cast<size_t>(value)] = static_cast<uint8_t>((is_token_char(byte) ? kTokenByte : 0) |
                                                                   (is_value_char(byte) ? kValueByte : 0) |
                                                                   (is_target_char(byte) ? kTargetByte : 0));
    }
    return classes;
}();

constexpr bool is_a(char byte, ByteClass which) {
    return (kByteClasses[static_cast<uint8_t>(byte)] & which) != 0;
}

constexpr std::string_view trim_blanks(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

}  // namespace rc::http
