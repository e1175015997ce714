#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ringcast/base/result.h"
#include "ringcast/net/peer_address.h"

namespace rc::net {

/// A set of networks that peers are in or not, as `proxy.trusted` lists them: `10.0.0.0/8`, `2001:db8::/32`,
/// an address alone, or the word `unix` for every peer that comes by a unix socket (its file's mode says
/// who can). Immutable, so every core may read one.
class Networks {
  public:
    Networks() = default;  // holds nobody

    /// IPv4 written as IPv6 is the IPv4 network; no IPv6 network holds an IPv4 peer.
    /// Errors: settings, naming the text that is no network, and what it lacks. Core: any. Cost: allocates.
    static Result<Networks> parse(std::span<const std::string> texts);

    /// Core: any. Cost: O(networks), allocates nothing.
    [[nodiscard]] bool contains(const PeerAddress& peer) const;
    [[nodiscard]] bool empty() const { return texts_.empty(); }
    /// As they were written.
    [[nodiscard]] const std::vector<std::string>& texts() const { return texts_; }
    /// True if one of them is a whole family: 0.0.0.0/0 or ::/0.
    [[nodiscard]] bool holds_everybody() const;

  private:
    struct Network {
        uint16_t family;
        uint8_t prefix_bits;
        std::array<uint8_t, 16> ip;
    };
    static Result<Network> parse_one(const std::string& text);

    std::vector<Network> networks_;
    std::vector<std::string> texts_;
};

}  // namespace rc::net
