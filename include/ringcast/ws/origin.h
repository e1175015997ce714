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
    uint16_t port = 0;              // the scheme's own if none is written; 0: it has none

    friend bool operator==(const Origin& a, const Origin& b);
};

/// Reads `scheme://host[:port]` and nothing else: no path, user, blank or wildcard; `null` is none.
/// Core: any. Cost: O(text), allocates nothing.
/// Source: RFC 6454 section 6.2.
std::optional<Origin> parse_origin(std::string_view text);

/// An entry of a list of origins: one origin, or `https://*.example.org`, which is every origin whose host
/// has one label more, of that scheme and port: neither `https://example.org` nor `https://a.b.example.org`.
struct OriginPattern {
    Origin origin;  // its host without the `*.`
    bool any_label = false;

    [[nodiscard]] bool matches(const Origin& asked) const;
};

/// Reads an origin, or one with `*.` before a name of two labels or more (or before `localhost`): what stands
/// behind a single one is a registry's, not its owner's. Core: any. Cost: O(text), allocates nothing.
std::optional<OriginPattern> parse_origin_pattern(std::string_view text);

/// True if the list is empty (every origin), or one of its entries matches. Entries that are no patterns
/// match nothing; the settings refuse them by parse_origin_pattern(). Core: any. Cost: O(entries). Source:
/// contract.md 2 and 7 (allowed_origins).
bool origin_allowed(std::span<const std::string> allowed, std::string_view origin);

}  // namespace rc::ws
