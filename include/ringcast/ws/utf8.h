#pragma once

#include <cstdint>
#include <string_view>

namespace rc::ws {

/// Checks UTF-8 as it arrives, in any pieces. It fails at the first byte after which no continuation could
/// make the text valid: overlong forms, surrogates and values above U+10FFFF fail at their second byte.
/// Core: any. Cost: 3 bytes of state; O(bytes), eight at a time while they are ASCII.
/// Source: RFC 3629 section 4; RFC 6455 section 8.1.
class Utf8Validator {
  public:
    /// @return false from the first impossible byte on, also for every later call
    [[nodiscard]] bool feed(std::string_view bytes);
    /// True if what was fed is valid and does not end inside a code point.
    [[nodiscard]] bool complete() const { return missing_ == 0; }

  private:
    static constexpr uint8_t kFailed = 0xFF;

    uint8_t missing_ = 0;               // continuation bytes still to come, or kFailed
    uint8_t low_ = 0x80, high_ = 0xBF;  // what the next of them may be
};

/// True if the whole text is valid UTF-8.
[[nodiscard]] inline bool is_valid_utf8(std::string_view text) {
    Utf8Validator validator;
    return validator.feed(text) && validator.complete();
}

/// The longest beginning of the text that has at most bytes_max bytes and does not cut a code point.
/// @param text  valid UTF-8
std::string_view cut_at_code_point(std::string_view text, uint32_t bytes_max);

}  // namespace rc::ws
