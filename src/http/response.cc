#include "ringcast/http/response.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "grammar.h"
#include "ringcast/base/assert.h"

namespace rc::http {
namespace {

bool has_body(int status) {
    return status >= 200 && status != 204;
}

/// A line break in a header would let whoever chose the text write headers, or a response, of his own.
void append_header(std::string& out, std::string_view name, std::string_view value) {
    RC_ASSERT(!name.empty() && std::all_of(name.begin(), name.end(), is_token_char));
    RC_ASSERT(std::all_of(value.begin(), value.end(), is_value_char));
    out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

std::string_view reason_phrase(int status) {
    switch (status) {
        case 100: return "Continue";
        case 101: return "Switching Protocols";
        case 200: return "OK";
        case 204: return "No Content";
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 408: return "Request Timeout";
        case 409: return "Conflict";
        case 411: return "Length Required";
        case 413: return "Content Too Large";
        case 415: return "Unsupported Media Type";
        case 417: return "Expectation Failed";
        case 426: return "Upgrade Required";
        case 429: return "Too Many Requests";
        case 431: return "Request Header Fields Too Large";
        case 500: return "Internal Server Error";
        case 501: return "Not Implemented";
        case 503: return "Service Unavailable";
        case 505: return "HTTP Version Not Supported";
        default: return "";
    }
}

std::string make_response(int status, std::string_view content_type, std::string_view body,
                          const ResponseOptions& options) {
    RC_ASSERT(status >= 100 && status <= 599);
    RC_ASSERT(has_body(status) || body.empty());
    size_t bytes = 128 + content_type.size() + body.size();
    for (const auto& [name, value] : options.headers)
        bytes += name.size() + value.size() + 4;
    std::string out;
    out.reserve(bytes);

    fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
    for (const auto& [name, value] : options.headers)
        append_header(out, name, value);
    if (has_body(status)) {
        if (!content_type.empty()) append_header(out, "Content-Type", content_type);
        fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", body.size());
    }
    if (status >= 200) {
        if (!options.keep_alive) {
            out.append("Connection: close\r\n");
        } else if (options.minor_version == 0) {
            out.append("Connection: keep-alive\r\n");
        }
    }
    out.append("\r\n");
    if (!options.head_only) out.append(body);
    return out;
}

}  // namespace rc::http
