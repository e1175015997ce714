#include "ringcast/net/networks.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace rc::net {
namespace {

constexpr std::string_view kUnixWord = "unix";
constexpr uint8_t kV4Bits = 32, kV6Bits = 128, kMappedBits = kV6Bits - kV4Bits;

// Digits alone, without a zero in front: 010 is no octal number, nor ten.
std::optional<uint8_t> prefix_length(std::string_view text, uint8_t most) {
    uint8_t bits = 0;
    auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), bits);
    if (failed != std::errc{} || end != text.data() + text.size() || bits > most) return std::nullopt;
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    return bits;
}

// The first byte behind the prefix that is partly inside it.
constexpr uint8_t last_mask(uint8_t bits) {
    return static_cast<uint8_t>(0xff00 >> (bits % 8));
}

}  // namespace

Result<Networks::Network> Networks::parse_one(const std::string& text) {
    auto const no = [&](std::string_view why) {
        auto shown = text.substr(0, 64);
        std::ranges::replace_if(
            shown, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
        return fail(Errc::settings, fmt::format("\"{}\" is not a network: {}", shown, why));
    };
    if (text == kUnixWord) return Network{AF_UNIX, 0, {}};

    auto const slash = text.find('/');
    std::string const host = text.substr(0, slash);
    Network out{AF_INET, kV4Bits, {}};
    if (host.find('\0') != std::string::npos || ::inet_pton(AF_INET, host.c_str(), out.ip.data()) != 1) {
        out = {AF_INET6, kV6Bits, {}};
        if (host.find('\0') != std::string::npos || ::inet_pton(AF_INET6, host.c_str(), out.ip.data()) != 1)
            return no("it is written as 10.0.0.0/8, 2001:db8::/32, an address alone, or unix");
    }
    if (slash != std::string::npos) {
        auto const bits = prefix_length(std::string_view(text).substr(slash + 1), out.prefix_bits);
        if (!bits) return no(fmt::format("behind the / stands a number from 0 to {}", out.prefix_bits));
        out.prefix_bits = *bits;
    }
    // 10.1.2.3/8 may mean a host or a network: who wrote it says which.
    for (uint8_t at = out.prefix_bits / 8; at < out.ip.size(); ++at) {
        auto const inside = at == out.prefix_bits / 8 ? last_mask(out.prefix_bits) : uint8_t{0};
        if ((out.ip[at] & ~inside & 0xff) != 0)
            return no(fmt::format("bits are set behind the first {}", out.prefix_bits));
    }
    auto const as_peer = PeerAddress::from(Address::v6(out.ip, 0));
    if (out.family == AF_INET6 && as_peer.family == AF_INET)  // the whole of ::ffff:0:0/96 stands before it
        return Network{AF_INET, static_cast<uint8_t>(out.prefix_bits - kMappedBits), as_peer.ip};
    return out;
}

Result<Networks> Networks::parse(std::span<const std::string> texts) {
    Networks out;
    for (const auto& text : texts) {
        auto network = parse_one(text);
        if (!network) return tl::unexpected(std::move(network.error()));
        out.networks_.push_back(*network);
        out.texts_.push_back(text);
    }
    return out;
}

bool Networks::contains(const PeerAddress& peer) const {
    return std::ranges::any_of(networks_, [&](const Network& network) {
        if (network.family != peer.family) return false;
        if (network.family == AF_UNIX) return true;
        auto const whole = network.prefix_bits / 8;
        if (!std::equal(network.ip.begin(), network.ip.begin() + whole, peer.ip.begin())) return false;
        return network.prefix_bits % 8 == 0 ||
               ((network.ip[whole] ^ peer.ip[whole]) & last_mask(network.prefix_bits)) == 0;
    });
}

bool Networks::holds_everybody() const {
    return std::ranges::any_of(networks_, [](const Network& network) {
        return network.family != AF_UNIX && network.prefix_bits == 0;
    });
}

}  // namespace rc::net
