#include "ringcast/http/head_parser.h"

#include <algorithm>
#include <array>
#include <utility>

#include "beast.h"
#include "grammar.h"
#include "ringcast/base/ascii.h"
#include "ringcast/base/assert.h"
#include "ringcast/base/limits.h"

namespace rc::http {
namespace {

constexpr std::array<std::pair<std::string_view, Method>, 9> kMethods{{
    {"GET", Method::get},
    {"HEAD", Method::head},
    {"POST", Method::post},
    {"PUT", Method::put},
    {"DELETE", Method::delete_},
    {"OPTIONS", Method::options},
    {"PATCH", Method::patch},
    {"CONNECT", Method::connect},
    {"TRACE", Method::trace},
}};
constexpr size_t kMethodBytesMax = 7;
constexpr std::string_view kVersionPattern = "HTTP/d.d";  // d: a digit
constexpr uint32_t kPortMax = 65'535;

const std::pair<std::string_view, Method>* find_method(std::string_view text) {
    const auto* found = std::find_if(kMethods.begin(), kMethods.end(),
                                     [&](const auto& known) { return known.first == text; });
    return found == kMethods.end() ? nullptr : found;
}

bool is_port(std::string_view text) {
    uint32_t port = 0;
    for (char byte : text) {
        if (!is_digit(byte)) return false;
        port = port * 10 + static_cast<uint32_t>(byte - '0');
        if (port > kPortMax) return false;
    }
    return true;
}

/// host [":" port]: a name or IPv4 address without escapes, or an IPv6 address in brackets. No userinfo.
bool is_authority(std::string_view text) {
    size_t host_end = 0;
    if (text.starts_with('[')) {
        host_end = text.find(']');
        if (host_end == std::string_view::npos || host_end == 1) return false;
        const std::string_view address = text.substr(1, host_end - 1);
        if (!std::all_of(address.begin(), address.end(),
                         [](char byte) { return hex_value(byte) >= 0 || byte == ':' || byte == '.'; })) {
            return false;
        }
        ++host_end;
    } else {
        host_end = std::min(text.find(':'), text.size());
        const std::string_view host = text.substr(0, host_end);
        if (host.empty()) return false;
        if (!std::all_of(host.begin(), host.end(), [](char byte) {
                return is_alpha(byte) || is_digit(byte) || byte == '-' || byte == '.' || byte == '_' ||
                       byte == '~';
            })) {
            return false;
        }
    }
    const std::string_view rest = text.substr(host_end);
    return rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
}

/// What stands after http:// or https://, or nothing if the target is no such address.
std::optional<std::string_view> after_scheme(std::string_view target) {
    for (std::string_view scheme : {"http://", "https://"}) {
        if (equal_ignoring_case(target.substr(0, scheme.size()), scheme)) return target.substr(scheme.size());
    }
    return std::nullopt;
}

}  // namespace

HeadParser::HeadParser(uint32_t max_bytes) : max_bytes_(max_bytes) {
    RC_ASSERT(max_bytes > 0);
}

HeadParser::State HeadParser::feed(std::string_view bytes, size_t& consumed) {
    RC_ASSERT(state_ == State::need_more);
    const std::string_view window = bytes.substr(0, max_bytes_ - text_.size());
    size_t taken = 0;
    while (taken < window.size() && state_ == State::need_more && at_ != At::end) {
        scan(window[taken++]);
        taken += skip_run(window.substr(taken));
    }
    text_.append(window.substr(0, taken));
    bytes_scanned_ += taken;
    consumed = taken;

    if (state_ != State::need_more) return state_;
    if (at_ == At::end) {
        conclude();
    } else if (text_.size() == max_bytes_) {
        refuse(431, "the request's head is larger than this server accepts");
    }
    return state_;
}

const RequestHead& HeadParser::head() const {
    RC_ASSERT(state_ == State::complete);
    return head_;
}

const ParseFailure& HeadParser::failure() const {
    RC_ASSERT(state_ == State::failed);
    return failure_;
}

void HeadParser::reset() {
    auto fields = std::move(head_.fields);
    fields.clear();
    head_ = RequestHead{};
    head_.fields = std::move(fields);
    failure_ = ParseFailure{};
    text_.clear();
    state_ = State::need_more;
    at_ = At::method;
    element_bytes_ = fields_ = 0;
    bytes_scanned_ = 0;
}

// The filter. It stands before Beast, so that everything Beast would forgive has failed already, and it keeps
// its place between calls, so that no byte is looked at twice.
void HeadParser::scan(char byte) {
    switch (at_) {
        case At::method: return scan_method(byte);
        case At::target: return scan_target(byte);
        case At::version: return scan_version(byte);
        case At::request_line_feed:
        case At::line_feed:
            if (byte != '\n') return refuse(400, "a line must end with CR LF");
            at_ = At::line_start;
            return;
        case At::line_start:
            if (byte == '\r') {
                at_ = At::last_line_feed;
                return;
            }
            if (byte == ' ' || byte == '\t')
                return refuse(400, "a header must not be folded over several lines");
            if (byte == ':') return refuse(400, "a header's name must not be empty");
            if (!is_a(byte, kTokenByte)) return refuse(400, "a header's name holds a forbidden byte");
            if (fields_ == limits::kHeaderFieldsMax)
                return refuse(431, "a request may have at most 64 headers");
            ++fields_;
            at_ = At::name;
            return;
        case At::name:
            if (byte == ':') {
                at_ = At::value;
            } else if (!is_a(byte, kTokenByte)) {
                refuse(400, "a header must be a name, a colon at once, and a value");
            }
            return;
        case At::value:
            if (byte == '\r') {
                at_ = At::line_feed;
            } else if (!is_a(byte, kValueByte)) {
                refuse(400, "a header's value holds a control character");
            }
            return;
        case At::last_line_feed:
            if (byte != '\n') return refuse(400, "a line must end with CR LF");
            at_ = At::end;
            return;
        case At::end: RC_ASSERT(false);
    }
}

// Most of a head is the middle of its elements, where no byte changes the place. Only what scan() would pass.
size_t HeadParser::skip_run(std::string_view bytes) {
    auto const while_a = [bytes](ByteClass which) {
        size_t run = 0;
        while (run < bytes.size() && is_a(bytes[run], which))
            ++run;
        return run;
    };
    if (at_ == At::value) return while_a(kValueByte);
    if (at_ == At::name) return while_a(kTokenByte);
    if (at_ != At::target || element_bytes_ == 0) return 0;
    size_t const run = while_a(kTargetByte);
    element_bytes_ += static_cast<uint32_t>(run);
    return run;
}

void HeadParser::scan_method(char byte) {
    if (byte == ' ' && element_bytes_ > 0) {
        const std::string_view method(word_.data(), element_bytes_);
        if (method == "PRI") return refuse(505, "HTTP/2 is not spoken here, only HTTP/1.1");
        if (!find_method(method)) return refuse(501, "the method is unknown");
        at_ = At::target;
        element_bytes_ = 0;
        return;
    }
    if (!is_a(byte, kTokenByte)) return refuse(400, "this is no HTTP request: it must begin with a method");
    if (element_bytes_ == kMethodBytesMax) return refuse(501, "the method is unknown");
    word_[element_bytes_++] = byte;
}

void HeadParser::scan_target(char byte) {
    if (byte == ' ' && element_bytes_ > 0) {
        at_ = At::version;
        element_bytes_ = 0;
        return;
    }
    if (!is_a(byte, kTargetByte)) {
        return refuse(400, "the request target must be visible ASCII, between single spaces");
    }
    if (element_bytes_ == 0 && byte != '/' && ascii_lower(byte) != 'h') {
        return refuse(400, "the request target must begin with a slash");
    }
    ++element_bytes_;
}

void HeadParser::scan_version(char byte) {
    if (element_bytes_ == kVersionPattern.size()) {
        if (byte != '\r') return refuse(400, "the request line must end after the version");
        at_ = At::request_line_feed;
        return;
    }
    const char expected = kVersionPattern[element_bytes_];
    if (expected == 'd' ? !is_digit(byte) : byte != expected) {
        return refuse(400, "the request line must end with HTTP/1.1");
    }
    word_[element_bytes_++] = byte;
    if (element_bytes_ < kVersionPattern.size()) return;
    const std::string_view version(word_.data(), element_bytes_);
    if (version != "HTTP/1.1" && version != "HTTP/1.0")
        refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
}

void HeadParser::conclude() {
    if (auto refused = split_head(text_, head_)) return refuse(400, *refused);
    RC_ASSERT(head_.fields.size() == fields_);
    const auto* method = find_method(head_.method_text);
    RC_ASSERT(method != nullptr);
    head_.method = method->second;

    judge_framing();
    if (state_ == State::need_more) judge_host();
    if (state_ == State::need_more) judge_target();
    if (state_ == State::need_more) judge_connection();
    if (state_ == State::need_more) state_ = State::complete;
}

// Where the body ends must be beyond doubt, or what follows it could be read as a request of somebody else's.
void HeadParser::judge_framing() {
    const size_t lengths = head_.count("content-length");
    const size_t codings = head_.count("transfer-encoding");
    if (lengths > 0 && codings > 0) {
        return refuse(400, "Content-Length and Transfer-Encoding exclude each other");
    }
    if (lengths > 1 || codings > 1) return refuse(400, "Content-Length or Transfer-Encoding is given twice");
    if (lengths == 1) {
        // Beast would take the list `5,5`; what it read of plain digits stands.
        const std::string_view value = *head_.header("content-length");
        if (value.empty() || !std::all_of(value.begin(), value.end(), is_digit) || !head_.content_length) {
            return refuse(400, "Content-Length must be one decimal number");
        }
    }
    if (codings == 1) {
        if (head_.minor_version == 0) return refuse(400, "HTTP/1.0 has no Transfer-Encoding");
        if (!equal_ignoring_case(*head_.header("transfer-encoding"), "chunked")) {
            return refuse(501, "the only Transfer-Encoding supported is chunked");
        }
        RC_ASSERT(head_.chunked);
    }
}

void HeadParser::judge_host() {
    const size_t hosts = head_.count("host");
    if (hosts > 1) return refuse(400, "a request must have one Host header");
    if (hosts == 0) {
        if (head_.minor_version > 0) refuse(400, "a request must have a Host header");
        return;
    }
    if (!is_authority(*head_.header("host"))) refuse(400, "Host must be a host and optionally a port");
}

void HeadParser::judge_target() {
    std::string_view rest = head_.target;
    if (!rest.starts_with('/')) {
        const auto absolute = after_scheme(rest);
        const size_t slash = absolute ? absolute->find('/') : std::string_view::npos;
        if (slash == std::string_view::npos) {
            return refuse(400, "the request target must be a path that begins with a slash");
        }
        // Two names for the host of one request: the gate in front may have looked at the other.
        const auto host = head_.header("host");
        if (!is_authority(absolute->substr(0, slash)) ||
            (host && !equal_ignoring_case(absolute->substr(0, slash), *host))) {
            return refuse(400, "the request target's host must be the one of the Host header");
        }
        rest = absolute->substr(slash);
    }
    const size_t mark = rest.find('?');
    head_.path = rest.substr(0, mark);
    if (mark != std::string_view::npos) head_.query = rest.substr(mark + 1);
}

void HeadParser::judge_connection() {
    const bool modern = head_.minor_version > 0;
    const bool close = head_.lists("connection", "close");
    head_.keep_alive = !close && (modern || head_.lists("connection", "keep-alive"));
    head_.connection_upgrade = head_.lists("connection", "upgrade");
    if (!modern) return;  // RFC 9110 7.8 and 10.1.1: HTTP/1.0 neither upgrades nor expects
    head_.upgrade_websocket = head_.lists("upgrade", "websocket");
    for (const HeaderField& field : head_.fields) {
        if (!equal_ignoring_case(field.name, "expect")) continue;
        if (!equal_ignoring_case(field.value, "100-continue")) {
            return refuse(417, "the only expectation supported is 100-continue");
        }
        head_.expect_continue = true;
    }
}

void HeadParser::refuse(int status, std::string_view message) {
    RC_ASSERT(state_ == State::need_more);
    state_ = State::failed;
    failure_ = ParseFailure{status, std::string(message)};
}

}  // namespace rc::http
