#include "message.h"

#include <fmt/format.h>

#include "ringcast/base/assert.h"

namespace rc::load {
namespace {

constexpr std::string_view kHead = R"({"type":"load","data":)";
constexpr std::string_view kMark = R"({"m":")";
constexpr std::string_view kPad = R"(","p":")";
constexpr std::string_view kTail = R"("})";
static_assert(kHead.size() + kMark.size() + kStampChars + kPad.size() + kTail.size() + 1 == kMessageBytesMin);

int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool read_hex(const char* from, int digits, uint64_t& out) {
    uint64_t value = 0;
    int bad = 0;
    for (int i = 0; i < digits; ++i) {
        int const d = digit(from[i]);
        bad |= d;
        value = value << 4 | static_cast<uint64_t>(d & 15);
    }
    out = value;
    return bad >= 0;
}

std::optional<Stamp> read_at(const char* from) {
    uint64_t at = 0, publication = 0, stream = 0, seq = 0;
    if (!read_hex(from, 16, at) || !read_hex(from + 16, 8, publication) || !read_hex(from + 24, 8, stream) ||
        !read_hex(from + 32, 8, seq))
        return std::nullopt;
    return Stamp{static_cast<int64_t>(at), static_cast<uint32_t>(publication), static_cast<uint32_t>(stream),
                 static_cast<uint32_t>(seq)};
}

}  // namespace

std::string make_data(const Stamp& stamp, uint32_t message_bytes) {
    RC_ASSERT(message_bytes >= kMessageBytesMin);
    auto const fixed = kHead.size() + kMark.size() + kStampChars + kPad.size() + kTail.size() + 1;
    std::string data = fmt::format("{}{:016x}{:08x}{:08x}{:08x}{}", kMark, static_cast<uint64_t>(stamp.at_ns),
                                   stamp.publication, stamp.stream, stamp.seq, kPad);
    data.append(message_bytes > fixed ? message_bytes - fixed : 0, 'x');
    return data.append(kTail);
}

std::string make_message(const Stamp& stamp, uint32_t message_bytes) {
    return fmt::format("{}{}}}", kHead, make_data(stamp, message_bytes));
}

std::optional<Stamp> read_stamp(std::string_view text) {
    constexpr auto kBefore = kHead.size() + kMark.size();
    if (text.size() >= kBefore + kStampChars && text.substr(0, kHead.size()) == kHead &&
        text.substr(kHead.size(), kMark.size()) == kMark)
        return read_at(text.data() + kBefore);
    auto const mark = text.find(R"("m":")");
    if (mark == std::string_view::npos || text.size() < mark + 5 + kStampChars) return std::nullopt;
    return read_at(text.data() + mark + 5);
}

}  // namespace rc::load
