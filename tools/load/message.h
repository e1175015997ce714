#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rc::load {

/// What a message carries about itself.
struct Stamp {
    int64_t at_ns = 0;         // CLOCK_MONOTONIC: when it was meant to be sent
    uint32_t publication = 0;  // a number of its own, over all streams
    uint32_t stream = 0;       // within which order is promised
    uint32_t seq = 0;          // its place there, from 0
    friend bool operator==(const Stamp&, const Stamp&) = default;
};

constexpr uint32_t kStampChars = 40;  // in hexadecimal digits
/// The shortest text that holds a stamp.
constexpr uint32_t kMessageBytesMin = 78;

/// `"data":` of a message whose whole text, `{"type":"load","data":...}`, has that many bytes.
std::string make_data(const Stamp& stamp, uint32_t message_bytes);
/// That text itself: what a client receives.
std::string make_message(const Stamp& stamp, uint32_t message_bytes);

/// Reads the stamp of such a text, also where a server has put further fields or blanks around it; nothing if
/// there is none. Cost: O(1) for a text that came as it was sent.
std::optional<Stamp> read_stamp(std::string_view text);

}  // namespace rc::load
