#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// UTF-8 by the code point, for texts that are short or rarely looked at.
namespace rc::proto {

inline constexpr uint32_t kReplacementCharacter = 0xfffd;

struct CodePoint {
    uint32_t value;  // kReplacementCharacter where the bytes are no UTF-8
    uint32_t bytes;  // 1 where they are not
};

/// The first code point.
/// @param text  not empty
CodePoint first_code_point(std::string_view text);

/// Whether text holds a C0 or C1 control character or DEL.
bool has_control_characters(std::string_view text);

void append_utf8(std::string& out, uint32_t code_point);

/// A peer's bytes as a person may read them in an error text: at most 64 bytes of them, cut between code
/// points and marked as cut; control characters and what is no UTF-8 become '?'.
std::string printable(std::string_view input);

}  // namespace rc::proto
