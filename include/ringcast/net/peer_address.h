#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ringcast/base/address.h"
#include "ringcast/base/pages.h"

namespace rc::io {
struct PeerBuffer;
}

namespace rc::net {

/// Where a peer is, as metrics tell it: an address as a label would make one series for each client.
enum class PeerKind : uint8_t { loopback, private_network, public_network, unix_socket, count_ };
constexpr std::size_t kPeerKinds = static_cast<std::size_t>(PeerKind::count_);
/// "loopback", "private", "public", "unix"
std::string_view peer_kind_name(PeerKind kind);

/// A peer's address: 20 bytes, turned into text when somebody asks. IPv4 written as
/// IPv6 (::ffff:192.0.2.1) is kept as IPv4, so that one host is one peer on every listener.
struct PeerAddress {
    uint16_t family = 0;  // AF_INET, AF_INET6; AF_UNIX or 0: a peer without an address
    uint16_t port = 0;    // 0: not known, as in most forwarding headers
    std::array<uint8_t, 16> ip{};

    static PeerAddress from(const io::PeerBuffer& peer);
    static PeerAddress from(const Address& address);

    /// As base's Address writes it, without the port if there is none; "unix" for a peer without an address.
    [[nodiscard]] std::string format() const;
    /// Private: RFC 1918, RFC 6598 (carrier NAT), link-local and unique local addresses.
    [[nodiscard]] PeerKind kind() const;

    friend bool operator==(const PeerAddress&, const PeerAddress&) = default;
};

/// A peer's address as a connection keeps it: 8 bytes, with which a PeerTable finds the rest.
class PackedPeer {
  private:
    friend class PeerTable;
    std::array<uint8_t, 4> v4_{};
    uint16_t port_ = 0;
    uint8_t family_ = 0;
};

/// The peers' addresses of one core, by slot: IPv6 takes 16 bytes a slot here, from the first such peer on;
/// IPv4 nothing. Core: own core only.
class PeerTable {
  public:
    [[nodiscard]] PackedPeer put(uint32_t slot, const PeerAddress& address);
    [[nodiscard]] PeerAddress get(uint32_t slot, PackedPeer packed) const;

  private:
    Pages<std::array<uint8_t, 16>> v6_;
};

}  // namespace rc::net
