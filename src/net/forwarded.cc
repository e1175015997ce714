#include "ringcast/net/forwarded.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

#include "ringcast/base/ascii.h"

namespace rc::net {
namespace {

using Hop = std::optional<PeerAddress>;  // nothing: it cannot be read

constexpr bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
// RFC 9110 section 5.6.2
constexpr bool is_token_char(char c) {
    return is_alnum(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
constexpr bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back()))
        text.remove_suffix(1);
    return text;
}

template <std::size_t N>
bool read_ip(int family, std::string_view text, std::array<uint8_t, N>& out) {
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) return false;
    std::ranges::copy(text, terminated.begin());
    return ::inet_pton(family, terminated.data(), out.data()) == 1;
}

// What stands behind the address: nothing, a port, or a port's obfuscated name, which is none to us.
std::optional<uint16_t> read_port(std::string_view text) {
    if (text.empty()) return 0;
    text.remove_prefix(1);
    if (text.starts_with('_')) {
        bool const named = text.size() > 1 && std::ranges::all_of(text, [](char c) {
                               return is_alnum(c) || c == '.' || c == '_' || c == '-';
                           });
        return named ? std::optional<uint16_t>(0) : std::nullopt;
    }
    uint16_t port = 0;
    auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (failed != std::errc{} || end != text.data() + text.size() || text.size() > 5) return std::nullopt;
    return port;
}

// RFC 7239 section 6. X-Forwarded-For also has IPv6 without brackets, which leaves no room for a port.
Hop read_node(std::string_view text, bool bare_v6) {
    std::array<uint8_t, 16> v6{};
    std::array<uint8_t, 4> v4{};
    bool const brackets = text.starts_with('[');
    auto const end = std::min(text.size(), brackets ? text.find(']') : text.find(':'));
    if (brackets && end < text.size()) {
        auto const rest = text.substr(end + 1);
        auto const port = rest.empty() || rest.front() == ':' ? read_port(rest) : std::nullopt;
        if (!port || !read_ip(AF_INET6, text.substr(1, end - 1), v6)) return std::nullopt;
        return PeerAddress::from(Address::v6(v6, *port));
    }
    if (read_ip(AF_INET, text.substr(0, end), v4)) {
        auto const port = read_port(text.substr(end));
        if (!port) return std::nullopt;
        return PeerAddress::from(Address::v4(v4, *port));
    }
    if (bare_v6 && read_ip(AF_INET6, text, v6)) return PeerAddress::from(Address::v6(v6, 0));
    return std::nullopt;
}

// One line of Forwarded: each element's `for`, from the left.
class ForwardedLine {
  public:
    explicit ForwardedLine(std::string_view line) : rest_(line) {}

    // Nothing if the line breaks the grammar: then none of it can be told from what a client put there.
    std::optional<std::vector<Hop>> read() {
        std::vector<Hop> hops;
        do {
            skip_blanks();
            if (rest_.empty() || rest_.front() == ',') continue;  // an empty element
            auto hop = read_element();
            if (!hop) return std::nullopt;
            hops.push_back(*hop);
        } while (take(','));
        if (!rest_.empty()) return std::nullopt;
        return hops;
    }

  private:
    // *( ";" [ token "=" value ] )
    std::optional<Hop> read_element() {
        Hop hop;
        bool has_for = false;
        do {
            skip_blanks();
            auto const name = read_token();
            if (name.empty()) continue;
            if (!take('=')) return std::nullopt;
            auto const value = read_value();
            if (!value) return std::nullopt;
            if (equal_ignoring_case(name, "for")) {
                if (has_for) return std::nullopt;
                has_for = true;
                hop = read_node(*value, false);
            }
            skip_blanks();
        } while (take(';'));
        return hop;
    }

    // Escapes stay as they are: no address needs one, so what holds one is read as no address.
    std::optional<std::string_view> read_value() {
        if (!take('"')) {
            auto const token = read_token();
            return token.empty() ? std::nullopt : std::optional(token);
        }
        for (std::size_t at = 0; at < rest_.size(); ++at) {
            if (rest_[at] == '\\') {
                ++at;
            } else if (rest_[at] == '"') {
                auto const value = rest_.substr(0, at);
                rest_.remove_prefix(at + 1);
                return value;
            }
        }
        return std::nullopt;
    }

    std::string_view read_token() {
        auto const end = std::ranges::find_if_not(rest_, is_token_char);
        auto const token = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
        rest_.remove_prefix(token.size());
        return token;
    }
    bool take(char c) {
        if (!rest_.starts_with(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void skip_blanks() {
        while (!rest_.empty() && is_blank(rest_.front()))
            rest_.remove_prefix(1);
    }

    std::string_view rest_;
};

// From the nearest hop towards the client.
class Walk {
  public:
    Walk(const PeerAddress& peer, const Networks& trusted) : known_(peer), trusted_(trusted) {}
    // True if the hop beyond this one counts too.
    bool step(const Hop& hop) {
        if (!hop) return false;
        known_ = *hop;
        return trusted_.contains(known_);
    }
    [[nodiscard]] const PeerAddress& known() const { return known_; }

  private:
    PeerAddress known_;
    const Networks& trusted_;
};

PeerAddress walk_x_forwarded_for(Walk walk, std::span<const std::string_view> lines) {
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
        for (std::string_view rest = *line; !rest.empty();) {
            auto const comma = rest.rfind(',');
            auto const last = comma == std::string_view::npos ? rest : rest.substr(comma + 1);
            rest = comma == std::string_view::npos ? std::string_view() : rest.substr(0, comma);
            auto const node = trimmed(last);
            if (!node.empty() && !walk.step(read_node(node, true))) return walk.known();
        }
    }
    return walk.known();
}

PeerAddress walk_forwarded(Walk walk, std::span<const std::string_view> lines) {
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
        auto const hops = ForwardedLine(*line).read();
        if (!hops) return walk.known();
        for (auto hop = hops->rbegin(); hop != hops->rend(); ++hop) {
            if (!walk.step(*hop)) return walk.known();
        }
    }
    return walk.known();
}

}  // namespace

PeerAddress forwarded_client(const PeerAddress& peer, const ForwardingHeaders& headers,
                             const Networks& trusted) {
    if (!trusted.contains(peer)) return peer;
    auto const by_list = walk_x_forwarded_for({peer, trusted}, headers.x_forwarded_for);
    if (headers.forwarded.empty()) return by_list;
    auto const by_rfc = walk_forwarded({peer, trusted}, headers.forwarded);
    if (headers.x_forwarded_for.empty()) return by_rfc;
    return by_list.family == by_rfc.family && by_list.ip == by_rfc.ip ? by_rfc : peer;
}

}  // namespace rc::net
