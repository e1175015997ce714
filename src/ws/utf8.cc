#include "ringcast/ws/utf8.h"

#include <cstring>

namespace rc::ws {

bool Utf8Validator::feed(std::string_view bytes) {
    if (missing_ == kFailed) return false;
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    while (at != end) {
        if (missing_ == 0) {
            for (uint64_t word; end - at >= 8; at += 8) {
                std::memcpy(&word, at, 8);
                if (word & 0x8080808080808080) break;
            }
            if (at == end) break;
        }
        const auto byte = static_cast<uint8_t>(*at++);
        if (missing_ > 0) {
            if (byte < low_ || byte > high_) {
                missing_ = kFailed;
                return false;
            }
            --missing_;
            low_ = 0x80;
            high_ = 0xBF;
        } else if (byte >= 0x80) {
            if (byte < 0xC2 || byte > 0xF4) {
                missing_ = kFailed;
                return false;
            }
            missing_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
            if (byte == 0xE0) low_ = 0xA0;   // below: overlong
            if (byte == 0xED) high_ = 0x9F;  // above: surrogates
            if (byte == 0xF0) low_ = 0x90;   // below: overlong
            if (byte == 0xF4) high_ = 0x8F;  // above: no code point
        }
    }
    return true;
}

std::string_view cut_at_code_point(std::string_view text, uint32_t bytes_max) {
    if (text.size() <= bytes_max) return text;
    size_t size = bytes_max;
    while (size > 0 && (static_cast<uint8_t>(text[size]) & 0xC0) == 0x80)
        --size;
    return text.substr(0, size);
}

}  // namespace rc::ws
