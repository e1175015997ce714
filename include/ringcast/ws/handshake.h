#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ringcast/http/request.h"

namespace rc::ws {

/// The answer to a client's key: base64 of the SHA-1 of the key and the protocol's GUID.
/// Core: any. Source: RFC 6455 section 4.2.2 (5.4).
std::string accept_value(std::string_view key);

/// True if the value is base64 of exactly 16 bytes. Source: RFC 6455 section 4.1 (7).
bool is_valid_key(std::string_view key);

/// Whether a request may become a WebSocket. Otherwise status, words and headers of the refusal, for
/// http::make_response.
struct UpgradeVerdict {
    int status = 101;
    std::string_view message;                                            // a literal
    std::vector<std::pair<std::string_view, std::string_view>> headers;  // literals

    bool upgrade() const { return status == 101; }
};

/// Judges the request by RFC 6455 section 4.2.1 alone; path, origin and identity are the caller's.
/// Statuses: 405 another method than GET; 417 Expect; 400 an announced body, Connection without the upgrade
/// token, a bad key; 426 no WebSocket upgrade, or another version than 13. In that order: method, Expect,
/// body, Upgrade, Connection, version, key.
/// Core: any. Cost: O(header fields); allocates for refusals only.
UpgradeVerdict check_upgrade(const http::RequestHead& request);

/// The 101 response. Extensions are never negotiated.
/// @param key  of a request that check_upgrade() let pass
/// @param subprotocol  the one that the server selects; only one that the client offered
std::string switching_response(std::string_view key,
                               std::optional<std::string_view> subprotocol = std::nullopt);

/// False if the request names an origin that is not allowed, or several. One without the header is no
/// browser and passes. @param allowed  as origin_allowed()
bool request_origin_allowed(std::span<const std::string> allowed, const http::RequestHead& request);

}  // namespace rc::ws
