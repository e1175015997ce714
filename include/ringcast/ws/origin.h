#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace rc::ws {

/// The parts of a serialized origin; the views point into the text.
struct Origin {
    std::string_view scheme, host;  // as written; case does not count
    uint16_t port = 0;              // the scheme's own if none is written

    friend bool operator==(const Origin& a, const Origin& b);
};

/// Reads `scheme://host[:port]` and nothing else: no path, user, blank or wildcard; `null` is none.
/// A scheme other than http and https must name its port. Core: any. Cost: O(text), allocates nothing.
/// Source: RFC 6454 section 6.2.
std::optional<Origin> parse_origin(std::string_view text);

/// True if the list is empty (every origin), or one of its entries has the same scheme, host and port.
/// Entries that are no origins match nothing; the settings refuse them by parse_origin().
/// Core: any. Cost: O(entries). Source: contract.md 2 and 7 (allowed_origins).
bool origin_allowed(std::span<const std::string> allowed, std::string_view origin);

}  // namespace rc::ws
