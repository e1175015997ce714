#include "ringcast/http/response.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "grammar.h"
#include "ringcast/base/assert.h"

namespace rc::http {
namespace {

bool has_body(int status) {
    return status >= 200 && status != 204;
}

/// A line break in a header would let whoever chose the text write headers, or a response, of his own.
void append_header(std::string& out, std::string_view name, std::string_view value) {
    RC_ASSERT(!name.empty() && std::ranges::all_of(name, [](char c) { return is_a(c, kTokenByte); }));
    RC_ASSERT(std::ranges::all_of(value, [](char c) { return is_a(c, kValueByte); }));
    out.append(name).append(": ").append(value).append("\r\n");
}

void append_number(std::string& out, uint64_t number) {
    std::array<char, 20> digits;
    auto const end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.append(digits.data(), end);
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
    std::string out;
    append_response(out, status, content_type, body, options);
    return out;
}

void append_response(std::string& out, int status, std::string_view content_type, std::string_view body,
                     const ResponseOptions& options) {
    RC_ASSERT(status >= 100 && status <= 599);
    RC_ASSERT(has_body(status) || body.empty());
    size_t bytes = out.size() + 128 + content_type.size() + (options.head_only ? 0 : body.size());
    for (const auto& [name, value] : options.headers)
        bytes += name.size() + value.size() + 4;
    out.reserve(bytes);

    out.append("HTTP/1.1 ");
    append_number(out, static_cast<uint64_t>(status));
    out.append(" ").append(reason_phrase(status)).append("\r\n");
    for (const auto& [name, value] : options.headers)
        append_header(out, name, value);
    if (has_body(status)) {
        if (!content_type.empty()) append_header(out, "Content-Type", content_type);
        out.append("Content-Length: ");
        append_number(out, body.size());
        out.append("\r\n");
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
}

}  // namespace rc::http
