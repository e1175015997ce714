#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rc::http {

/// The methods that this server knows; any other token is refused with 501 before it becomes a request.
enum class Method : uint8_t { get, head, post, put, delete_, options, patch, connect, trace };

/// Why bytes cannot be a request: the status to answer before closing, and words for who wrote the client.
/// The words are ours alone; nothing of the input is repeated in them.
struct ParseFailure {
    int status = 0;
    std::string message;
};

/// One header line: the name as sent, the value without the blanks around it.
struct HeaderField {
    std::string_view name, value;
};

/// The head of one request. Every view points into the text that its HeadParser holds, and ends with that
/// parser's next reset(). Framing and Host are judged already; routes, keys and origins are the caller's.
struct RequestHead {
    Method method = Method::get;
    std::string_view method_text;
    std::string_view target;  // as sent
    std::string_view
        path;  // of the target, byte for byte: nothing decoded, nothing normalised; begins with '/'
    std::string_view query;  // without its '?'; empty if there is none
    int minor_version = 1;   // HTTP/1.minor: 0 or 1

    bool keep_alive = true;           // what the client asks for: the version's default, or Connection
    bool expect_continue = false;     // Expect: 100-continue; never for HTTP/1.0
    bool upgrade_websocket = false;   // Upgrade lists websocket; never for HTTP/1.0
    bool connection_upgrade = false;  // Connection lists upgrade

    std::optional<uint64_t> content_length;
    bool chunked = false;

    std::vector<HeaderField> fields;  // in the order of arrival

    /// The value of the first field of this name. `lower_name` must be lower case; the fields' case is
    /// ignored. Core: any. Cost: O(fields), allocates nothing.
    std::optional<std::string_view> header(std::string_view lower_name) const;
    /// How many fields have this name. Cost: as header().
    size_t count(std::string_view lower_name) const;
    /// The values of all fields of this name, in the order of arrival. Cost: as header(); allocates if there
    /// are any.
    std::vector<std::string_view> all(std::string_view lower_name) const;
    /// True if a comma-separated field of this name, or one of several, lists the token (case ignored).
    /// Both arguments in lower case. Cost: one pass over the values, allocates nothing.
    bool lists(std::string_view lower_name, std::string_view lower_token) const;
};

}  // namespace rc::http
