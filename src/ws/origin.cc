#include "ringcast/ws/origin.h"

#include <algorithm>

#include "ringcast/base/ascii.h"

namespace rc::ws {
namespace {

bool is_letter(char c) {
    return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_scheme(std::string_view text) {
    return !text.empty() && is_letter(text[0]) && std::ranges::all_of(text, [](char c) {
        return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
    });
}

/// A name, an IPv4 address, or an IPv6 address in brackets. Browsers send names in ASCII (punycode).
bool is_host(std::string_view text) {
    if (text.starts_with('[')) {
        const std::string_view inside = text.substr(1, text.size() - 2);
        return text.ends_with(']') && text.size() > 2 && std::ranges::all_of(inside, [](char c) {
                   return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f') || c == ':' ||
                          c == '.';
               });
    }
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_';
    });
}

std::optional<uint16_t> parse_port(std::string_view text) {
    if (text.empty() || text.size() > 5 || !std::ranges::all_of(text, is_digit)) return std::nullopt;
    uint32_t port = 0;
    for (char c : text)
        port = port * 10 + static_cast<uint32_t>(c - '0');
    if (port == 0 || port > 65'535) return std::nullopt;
    return static_cast<uint16_t>(port);
}

/// 0: it has none, as those of pages that an app brings along.
uint16_t default_port(std::string_view scheme) {
    if (equal_ignoring_case(scheme, "http")) return 80;
    return equal_ignoring_case(scheme, "https") ? 443 : 0;
}

std::optional<Origin> parse_parts(std::string_view scheme, std::string_view authority) {
    const size_t bracket = authority.rfind(']');
    const size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
    const bool has_port = colon != std::string_view::npos;
    const std::string_view host = authority.substr(0, colon);
    if (!is_scheme(scheme) || !is_host(host)) return std::nullopt;
    const auto port = has_port ? parse_port(authority.substr(colon + 1)) : default_port(scheme);
    if (!port) return std::nullopt;
    return Origin{scheme, host, *port};
}

/// A name whose subdomains are somebody's own: no address, and not the last label of all names.
bool may_have_subdomains(std::string_view host) {
    if (equal_ignoring_case(host, "localhost")) return true;
    const size_t last_dot = host.rfind('.');
    if (last_dot == std::string_view::npos || last_dot == 0 || last_dot + 1 == host.size()) return false;
    return host.find("..") == std::string_view::npos && host[0] != '.' && is_letter(host[last_dot + 1]);
}

}  // namespace

bool operator==(const Origin& a, const Origin& b) {
    return a.port == b.port && equal_ignoring_case(a.scheme, b.scheme) && equal_ignoring_case(a.host, b.host);
}

bool OriginPattern::matches(const Origin& asked) const {
    if (!any_label) return asked == origin;
    if (asked.host.size() < origin.host.size() + 2) return false;
    const size_t label_end = asked.host.size() - origin.host.size() - 1;
    const bool one_label = asked.host.find('.') == label_end;
    return one_label && Origin{asked.scheme, asked.host.substr(label_end + 1), asked.port} == origin;
}

std::optional<OriginPattern> parse_origin_pattern(std::string_view text) {
    constexpr std::string_view kMark = "://*.";
    const size_t mark = text.find(kMark);
    if (mark == std::string_view::npos) {
        const auto origin = parse_origin(text);
        if (!origin) return std::nullopt;
        return OriginPattern{*origin};
    }
    const auto origin = parse_parts(text.substr(0, mark), text.substr(mark + kMark.size()));
    if (!origin || !may_have_subdomains(origin->host)) return std::nullopt;
    return OriginPattern{*origin, true};
}

std::optional<Origin> parse_origin(std::string_view text) {
    const size_t scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos) return std::nullopt;
    return parse_parts(text.substr(0, scheme_end), text.substr(scheme_end + 3));
}

bool origin_allowed(std::span<const std::string> allowed, std::string_view origin) {
    if (allowed.empty()) return true;
    const auto asked = parse_origin(origin);
    if (!asked) return false;
    return std::ranges::any_of(allowed, [&](const std::string& entry) {
        const auto pattern = parse_origin_pattern(entry);
        return pattern && pattern->matches(*asked);
    });
}

}  // namespace rc::ws
