#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "ringcast/base/result.h"
#include "ringcast/base/time.h"

namespace rc::auth {

struct Fetched {
    std::string text;    // at most kKeySourceBytesMax
    Duration fresh_for;  // by its Cache-Control; kFreshByDefault where that says nothing
};

constexpr Duration kFreshByDefault = minutes(15), kFreshMin = minutes(1), kFreshMax = hours(24);
constexpr Duration kFetchTimeout = seconds(10), kFetchConnectTimeout = seconds(5);

/// Gets a set of keys by http or https. Certificates are verified, redirects are not followed.
/// @param give_up  asked about once a second; true ends it
/// Errors: unavailable, with words for the log. Core: a thread that may wait; blocks up to kFetchTimeout.
Result<Fetched> fetch_keys(const std::string& url, const std::function<bool()>& give_up);

/// For how long an answer with these Cache-Control lines is fresh, between kFreshMin and kFreshMax.
/// Source: RFC 9111 section 5.2.2.
Duration fresh_for(std::string_view cache_control);

/// Whether a URL may be asked for keys: https, or http to a loopback address or `localhost`; with a host, and
/// without a user or password in it.
bool is_key_url(std::string_view url);

}  // namespace rc::auth
