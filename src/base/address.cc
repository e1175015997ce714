#include "ringcast/base/address.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>

#include "ringcast/base/assert.h"

namespace rc {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::size_t kPathOffset = offsetof(sockaddr_un, sun_path);
static_assert(kUnixPathBytesMax + 1 == sizeof(sockaddr_un{}.sun_path));

constexpr std::array<uint8_t, 16> kV6Loopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
constexpr std::array<uint8_t, 12> kV4InV6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::optional<uint16_t> parse_port(std::string_view text) {
    uint16_t port = 0;
    auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return port;
}

Result<std::vector<Address>> parse_unix(std::string_view path) {
    if (!path.starts_with('/')) return fail(Errc::settings, "the path of a unix socket begins with /");
    if (path.size() > kUnixPathBytesMax)
        return fail(Errc::settings, "the path of a unix socket has at most 107 bytes");
    if (path.find('\0') != std::string_view::npos) return fail(Errc::settings, "a path holds no zero byte");
    return std::vector{Address::unix_path(std::string(path))};
}

}  // namespace

Address Address::v4(std::array<uint8_t, 4> ip, uint16_t port) {
    Address address{.kind = Kind::v4, .port = port};
    std::ranges::copy(ip, address.ip.begin());
    return address;
}

Address Address::v6(std::array<uint8_t, 16> ip, uint16_t port) {
    return {.kind = Kind::v6, .ip = ip, .port = port};
}

Address Address::unix_path(std::string path) {
    return {.kind = Kind::unix_path, .path = std::move(path)};
}

bool Address::is_loopback() const {
    switch (kind) {
        case Kind::v4: return ip[0] == 127;
        case Kind::v6:
            return ip == kV6Loopback ||
                   (std::equal(kV4InV6.begin(), kV4InV6.end(), ip.begin()) && ip[12] == 127);
        case Kind::unix_path: return false;
    }
    return false;
}

std::string Address::format() const {
    std::array<char, INET6_ADDRSTRLEN> host{};
    switch (kind) {
        case Kind::v4:
            ::inet_ntop(AF_INET, ip.data(), host.data(), host.size());
            return fmt::format("{}:{}", host.data(), port);
        case Kind::v6:
            ::inet_ntop(AF_INET6, ip.data(), host.data(), host.size());
            return fmt::format("[{}]:{}", host.data(), port);
        case Kind::unix_path: return fmt::format("{}{}", kUnixPrefix, path);
    }
    return {};
}

socklen_t Address::to_sockaddr(sockaddr_storage& out) const {
    out = {};
    switch (kind) {
        case Kind::v4: {
            sockaddr_in in{};
            in.sin_family = AF_INET;
            in.sin_port = htons(port);
            std::memcpy(&in.sin_addr, ip.data(), sizeof in.sin_addr);
            std::memcpy(&out, &in, sizeof in);
            return sizeof in;
        }
        case Kind::v6: {
            sockaddr_in6 in{};
            in.sin6_family = AF_INET6;
            in.sin6_port = htons(port);
            std::memcpy(&in.sin6_addr, ip.data(), sizeof in.sin6_addr);
            std::memcpy(&out, &in, sizeof in);
            return sizeof in;
        }
        case Kind::unix_path: {
            RC_ASSERT(path.size() <= kUnixPathBytesMax);
            sockaddr_un un{};
            un.sun_family = AF_UNIX;
            std::memcpy(un.sun_path, path.data(), path.size());
            std::memcpy(&out, &un, sizeof un);
            return path.empty() ? kPathOffset : static_cast<socklen_t>(kPathOffset + path.size() + 1);
        }
    }
    return 0;
}

Result<Address> Address::from_sockaddr(const sockaddr_storage& in, socklen_t length) {
    if (in.ss_family == AF_INET && length >= sizeof(sockaddr_in)) {
        sockaddr_in from{};
        std::memcpy(&from, &in, sizeof from);
        std::array<uint8_t, 4> ip{};
        std::memcpy(ip.data(), &from.sin_addr, ip.size());
        return v4(ip, ntohs(from.sin_port));
    }
    if (in.ss_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
        sockaddr_in6 from{};
        std::memcpy(&from, &in, sizeof from);
        std::array<uint8_t, 16> ip{};
        std::memcpy(ip.data(), &from.sin6_addr, ip.size());
        return v6(ip, ntohs(from.sin6_port));
    }
    if (in.ss_family == AF_UNIX && length >= kPathOffset) {
        sockaddr_un from{};
        std::memcpy(&from, &in, sizeof from);
        auto const room = std::min<std::size_t>(length - kPathOffset, sizeof from.sun_path);
        return unix_path(std::string(from.sun_path, ::strnlen(from.sun_path, room)));
    }
    return fail(Errc::system,
                fmt::format("no address of a known family: family {}, {} bytes", in.ss_family, length));
}

Result<std::vector<Address>> parse_addresses(std::string_view text) {
    if (text.starts_with(kUnixPrefix)) return parse_unix(text.substr(kUnixPrefix.size()));

    auto const colon = text.rfind(':');
    if (colon == std::string_view::npos) return fail(Errc::settings, "the port is missing");
    auto const port = parse_port(text.substr(colon + 1));
    if (!port) return fail(Errc::settings, "the port is a number from 0 to 65535");

    std::string const host(text.substr(0, colon));
    if (host.find('\0') != std::string::npos) return fail(Errc::settings, "a host holds no zero byte");
    if (host == "localhost")
        return std::vector{Address::v4({127, 0, 0, 1}, *port), Address::v6(kV6Loopback, *port)};
    if (host.starts_with('[') && host.ends_with(']')) {
        std::array<uint8_t, 16> ip{};
        if (::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), ip.data()) != 1)
            return fail(Errc::settings, "between the brackets stands an IPv6 address");
        return std::vector{Address::v6(ip, *port)};
    }
    std::array<uint8_t, 4> ip{};
    if (::inet_pton(AF_INET, host.c_str(), ip.data()) == 1) return std::vector{Address::v4(ip, *port)};
    if (host.find(':') != std::string::npos)
        return fail(Errc::settings, "an IPv6 address stands in brackets, as in [::1]:5000");
    return fail(Errc::settings, "the host is an IP address or localhost");
}

}  // namespace rc
