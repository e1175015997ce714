#include "utf8.h"

#include "ringcast/base/limits.h"

namespace rc::proto {

namespace {

uint32_t byte_at(std::string_view text, size_t at) {
    return static_cast<unsigned char>(text[at]);
}

bool is_control(uint32_t point) {
    return point < 0x20 || (point >= 0x7f && point <= 0x9f);
}

}  // namespace

CodePoint first_code_point(std::string_view text) {
    constexpr CodePoint kInvalid{kReplacementCharacter, 1};
    uint32_t lead = byte_at(text, 0);
    if (lead < 0x80) return {lead, 1};
    uint32_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return kInvalid;
    uint32_t point = lead & (0x7fU >> bytes);
    for (uint32_t i = 1; i < bytes; i++) {
        uint32_t next = byte_at(text, i);
        if ((next & 0xc0) != 0x80) return kInvalid;
        point = (point << 6) | (next & 0x3f);
    }
    bool overlong = (bytes == 3 && point < 0x800) || (bytes == 4 && point < 0x10000);
    bool surrogate = point >= 0xd800 && point <= 0xdfff;
    if (overlong || surrogate || point > 0x10ffff) return kInvalid;
    return {point, bytes};
}

bool has_control_characters(std::string_view text) {
    while (!text.empty()) {
        CodePoint next = first_code_point(text);
        if (is_control(next.value)) return true;
        text.remove_prefix(next.bytes);
    }
    return false;
}

void append_utf8(std::string& out, uint32_t code_point) {
    auto push = [&out](uint32_t byte) { out += static_cast<char>(byte); };
    if (code_point < 0x80) {
        push(code_point);
    } else if (code_point < 0x800) {
        push(0xc0 | (code_point >> 6));
        push(0x80 | (code_point & 0x3f));
    } else if (code_point < 0x10000) {
        push(0xe0 | (code_point >> 12));
        push(0x80 | ((code_point >> 6) & 0x3f));
        push(0x80 | (code_point & 0x3f));
    } else {
        push(0xf0 | (code_point >> 18));
        push(0x80 | ((code_point >> 12) & 0x3f));
        push(0x80 | ((code_point >> 6) & 0x3f));
        push(0x80 | (code_point & 0x3f));
    }
}

std::string printable(std::string_view input) {
    std::string out;
    size_t taken = 0;
    while (taken < input.size()) {
        CodePoint next = first_code_point(input.substr(taken));
        if (taken + next.bytes > limits::kEchoedInputBytesMax) return out + "...";
        bool readable = !is_control(next.value) && next.value != kReplacementCharacter;
        if (readable) {
            out.append(input.substr(taken, next.bytes));
        } else {
            out += '?';
        }
        taken += next.bytes;
    }
    return out;
}

}  // namespace rc::proto
