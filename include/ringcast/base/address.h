#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ringcast/base/result.h"

namespace rc {

/// Where somebody listens or calls from: an IPv4 or IPv6 address with a port, or a unix socket's path.
struct Address {
    enum class Kind : uint8_t { v4, v6, unix_path };

    Kind kind = Kind::v4;
    std::array<uint8_t, 16> ip{};  // in network order; v4 uses the first four
    uint16_t port = 0;             // host order; 0 lets the kernel choose when listening
    std::string path;              // of a unix socket, absolute; empty where the peer's socket has no name

    static Address v4(std::array<uint8_t, 4> ip, uint16_t port);
    static Address v6(std::array<uint8_t, 16> ip, uint16_t port);
    static Address unix_path(std::string path);

    /// 127.0.0.0/8, ::1, and the former written as IPv6; never a unix socket.
    [[nodiscard]] bool is_loopback() const;
    /// `127.0.0.1:5000`, `[::1]:5000` or `unix:/path`: what parse_addresses() reads.
    [[nodiscard]] std::string format() const;
    /// Fills `out` for bind() and connect(). @return the length to give along
    socklen_t to_sockaddr(sockaddr_storage& out) const;
    /// Errors: system for a family that is none of the three, or a length too short for its family.
    static Result<Address> from_sockaddr(const sockaddr_storage& in, socklen_t length);

    friend bool operator==(const Address&, const Address&) = default;
};

constexpr std::size_t kUnixPathBytesMax = 107;  // sun_path without its end mark

/// Reads `host:port`, `[v6]:port` or `unix:/path`. Names are not looked up: a host is an IP address, or
/// `localhost`, which is both 127.0.0.1 and ::1 and so the one text that gives two addresses.
/// Errors: settings, with words that go behind "is not an address: ". Core: any. Cost: allocates.
Result<std::vector<Address>> parse_addresses(std::string_view text);

}  // namespace rc
