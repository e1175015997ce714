#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace rc::ws {

/// Why a connection ends, as this server says it in a close frame.
/// Source: RFC 6455 section 7.4.1 and the IANA registry of close codes; contract.md 2 and 3.
enum class CloseCode : uint16_t {
    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    unsupported = 1003,
    invalid_payload = 1007,
    policy = 1008,
    too_big = 1009,
    internal = 1011,
    service_restart = 1012,
    try_again_later = 1013,
};

/// Stands for "no code came"; never on the wire.
constexpr uint16_t kNoStatusReceived = 1005;

/// True for the codes that a peer may put into a close frame: 1000-1003, 1007-1014, 3000-4999.
constexpr bool may_arrive(uint16_t code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/// Close codes as they are counted: each of 1000 to 1014, then 3000 to 3999, 4000 to 4999, and none.
constexpr size_t kCloseKinds = 18;
constexpr size_t close_kind(uint16_t code) {
    if (code >= 1000 && code <= 1014 && code != kNoStatusReceived) return code - 1000;
    return code < 3000 || code > 4999 ? kCloseKinds - 1 : 12 + code / 1000;
}
/// "1008", "3xxx" or "none".
std::string close_kind_name(size_t kind);

/// What a close frame says. The reason points into the payload that it was read from.
struct CloseBody {
    uint16_t code = kNoStatusReceived;
    std::string_view reason;
};

/// Reads the unmasked payload of a whole close frame.
/// Errors: the code to answer with: protocol_error for a single byte or a code that may not arrive,
/// invalid_payload for a reason that is not UTF-8. Core: any. Cost: O(payload), allocates nothing.
/// Source: RFC 6455 sections 5.5.1 and 7.4.
tl::expected<CloseBody, CloseCode> parse_close(std::string_view payload);

}  // namespace rc::ws
