#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rc::http {

/// The raw segments of a path, between its slashes, nothing decoded: `/api/users/a%2Fb` is {api, users,
/// a%2Fb},
/// `/api/` is {api, ""}. Empty if the path does not begin with a slash. Views into `path`.
/// Cost: O(bytes), one allocation.
std::vector<std::string_view> split_path(std::string_view path);

/// Replaces each %XX by its byte, once: `%2541` becomes `%41`. `+` stays `+`, as it is in a path. The result
/// may hold any byte, NUL included. @return nothing if a `%` is not followed by two hex digits.
std::optional<std::string> percent_decode_once(std::string_view text);

/// True if every name and value of the query decodes.
bool query_well_formed(std::string_view query);

/// The value of the first parameter of that name, form-decoded as browsers' URLSearchParams encodes it: `+`
/// is a space, then each %XX once. A parameter without `=` has the empty value. Names are decoded before they
/// are compared. @return nothing if there is none, or if its escapes are bad (query_count() tells them
/// apart). Source: WHATWG URL, application/x-www-form-urlencoded.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

/// How many parameters have that name: above one is ambiguous, and the caller's to refuse.
size_t query_count(std::string_view query, std::string_view name);

}  // namespace rc::http
