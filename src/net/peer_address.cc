#include "ringcast/net/peer_address.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "ringcast/base/assert.h"
#include "ringcast/io/ring.h"

namespace rc::net {
namespace {
constexpr std::array<uint8_t, 12> kV4InV6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
}

std::string_view peer_kind_name(PeerKind kind) {
    switch (kind) {
        case PeerKind::loopback: return "loopback";
        case PeerKind::private_network: return "private";
        case PeerKind::public_network: return "public";
        case PeerKind::unix_socket: return "unix";
        case PeerKind::count_: break;
    }
    RC_ASSERT(false);
}

PeerAddress PeerAddress::from(const io::PeerBuffer& peer) {
    sockaddr_storage storage{};
    std::memcpy(&storage, peer.storage.data(), std::min<std::size_t>(peer.size, peer.storage.size()));
    auto const address = Address::from_sockaddr(storage, peer.size);
    return address ? from(*address) : PeerAddress{};
}

PeerAddress PeerAddress::from(const Address& address) {
    PeerAddress out{.port = address.port};
    switch (address.kind) {
        case Address::Kind::v4: {
            out.family = AF_INET;
            out.ip = address.ip;
            break;
        }
        case Address::Kind::v6: {
            bool const mapped = std::ranges::equal(kV4InV6, std::span(address.ip).first(kV4InV6.size()));
            out.family = mapped ? AF_INET : AF_INET6;
            if (mapped) {
                std::ranges::copy(std::span(address.ip).subspan(kV4InV6.size()), out.ip.begin());
            } else {
                out.ip = address.ip;
            }
            break;
        }
        case Address::Kind::unix_path: out.family = AF_UNIX; break;
    }
    return out;
}

std::string PeerAddress::format() const {
    if (family != AF_INET && family != AF_INET6) return "unix";
    auto text = (family == AF_INET ? Address::v4({ip[0], ip[1], ip[2], ip[3]}, port) : Address::v6(ip, port))
                    .format();
    if (port == 0) {
        text.resize(text.rfind(':'));
        if (family == AF_INET6) text = text.substr(1, text.size() - 2);
    }
    return text;
}

PackedPeer PeerTable::put(uint32_t slot, const PeerAddress& address) {
    PackedPeer packed;
    packed.family_ = static_cast<uint8_t>(address.family);
    packed.port_ = address.port;
    if (address.family == AF_INET6) {
        v6_.reach(slot);
        v6_[slot] = address.ip;
    } else {
        std::ranges::copy(std::span(address.ip).first(packed.v4_.size()), packed.v4_.begin());
    }
    return packed;
}

PeerAddress PeerTable::get(uint32_t slot, PackedPeer packed) const {
    PeerAddress address{.family = packed.family_, .port = packed.port_};
    if (packed.family_ == AF_INET6) {
        address.ip = v6_[slot];
    } else {
        std::ranges::copy(packed.v4_, address.ip.begin());
    }
    return address;
}

PeerKind PeerAddress::kind() const {
    if (family == AF_INET) {
        if (ip[0] == 127) return PeerKind::loopback;
        bool const is_private = ip[0] == 10 || (ip[0] == 172 && ip[1] >> 4 == 1) ||
                                (ip[0] == 192 && ip[1] == 168) || (ip[0] == 100 && ip[1] >> 6 == 1) ||
                                (ip[0] == 169 && ip[1] == 254);
        return is_private ? PeerKind::private_network : PeerKind::public_network;
    }
    if (family == AF_INET6) {
        if (Address::v6(ip, 0).is_loopback()) return PeerKind::loopback;
        bool const is_private = (ip[0] & 0xfe) == 0xfc || (ip[0] == 0xfe && ip[1] >> 6 == 2);
        return is_private ? PeerKind::private_network : PeerKind::public_network;
    }
    return PeerKind::unix_socket;
}

}  // namespace rc::net
