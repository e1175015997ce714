#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rc::http {

struct ResponseOptions {
    bool keep_alive = true;
    bool head_only = false;  // an answer to HEAD: the length of the body, and no body
    int minor_version = 1;   // of the request
    std::vector<std::pair<std::string_view, std::string_view>>
        headers;  // further ones; must hold no CR, LF or NUL
};

/// The words for a status, empty for one that this server never sends.
std::string_view reason_phrase(int status);

/// A whole response, ready to send. Content-Length stands in every one but 1xx and 204, which have no body.
/// A 101 names its own Connection header among `headers`; the others get one where the version asks for it.
/// @param content_type  left out if empty
/// Core: any. Cost: one allocation, one copy of the body.
/// Source: RFC 9112 section 4, RFC 9110 section 8.6.
std::string make_response(int status, std::string_view content_type, std::string_view body,
                          const ResponseOptions& options);
/// Likewise, behind what stands in `out`.
void append_response(std::string& out, int status, std::string_view content_type, std::string_view body,
                     const ResponseOptions& options);

}  // namespace rc::http
