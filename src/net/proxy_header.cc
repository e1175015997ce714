#include "ringcast/net/proxy_header.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "ringcast/base/assert.h"

namespace rc::net {
namespace {

constexpr std::string_view kWord = "PROXY ";
constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr uint8_t kHeadBytes = 16;  // signature, version and command, family, length
constexpr uint8_t kV4AddressBytes = 12, kV6AddressBytes = 36, kUnixAddressBytes = 216;
static_assert(kHeadBytes + kV6AddressBytes <= ProxyHeaderParser::kLineBytesMax);

// Decimal, without zeros in front.
std::optional<uint16_t> read_port(std::string_view text) {
    uint16_t port = 0;
    auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    return port;
}

std::optional<PeerAddress> read_address(bool v6, std::string_view host, std::string_view port_text) {
    auto const port = read_port(port_text);
    if (!port) return std::nullopt;
    std::string const terminated(host);
    std::array<uint8_t, 16> ip6{};
    std::array<uint8_t, 4> ip4{};
    if (v6) {
        if (::inet_pton(AF_INET6, terminated.c_str(), ip6.data()) != 1) return std::nullopt;
        return PeerAddress::from(Address::v6(ip6, *port));
    }
    if (::inet_pton(AF_INET, terminated.c_str(), ip4.data()) != 1) return std::nullopt;
    return PeerAddress::from(Address::v4(ip4, *port));
}

uint16_t two_bytes(const char* at) {
    return static_cast<uint16_t>(static_cast<uint8_t>(at[0]) << 8 | static_cast<uint8_t>(at[1]));
}

}  // namespace

ProxyHeaderParser::State ProxyHeaderParser::fail(std::string_view literal) {
    failure_ = literal;
    return State::failed;
}

ProxyHeaderParser::State ProxyHeaderParser::feed(std::string_view bytes, std::size_t& consumed) {
    consumed = 0;
    while (state_ == State::need_more && consumed < bytes.size()) {
        if (wanted_ != 0 && size_ == wanted_) {
            auto const skipped = std::min<std::size_t>(to_skip_, bytes.size() - consumed);
            consumed += skipped;
            to_skip_ = static_cast<uint16_t>(to_skip_ - skipped);
            if (to_skip_ == 0) state_ = State::complete;
        } else {
            buffer_[size_++] = bytes[consumed++];
            state_ = buffer_[0] == kWord[0] ? step_line() : step_block();
        }
    }
    return state_;
}

// --- version 1: "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"

ProxyHeaderParser::State ProxyHeaderParser::step_line() {
    char const last = buffer_[size_ - 1];
    if (size_ <= kWord.size())
        return last == kWord[size_ - 1] ? State::need_more : fail("no PROXY header comes first");
    bool const after_return = buffer_[size_ - 2] == '\r';
    if (last == '\n' && after_return)
        return read_line({buffer_.data() + kWord.size(), size_ - kWord.size() - 2});
    if (after_return || (last != '\r' && (last < 0x20 || last > 0x7e)))
        return fail("the PROXY line holds control bytes");
    return size_ < kLineBytesMax ? State::need_more : fail("the PROXY line is longer than 107 bytes");
}

ProxyHeaderParser::State ProxyHeaderParser::read_line(std::string_view line) {
    std::array<std::string_view, 5> parts;  // protocol, source, destination, their ports
    bool const unknown = line == "UNKNOWN" || line.starts_with("UNKNOWN ");
    if (unknown) return State::complete;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        auto const space = i + 1 < parts.size() ? line.find(' ') : std::string_view::npos;
        if (i + 1 < parts.size() && space == std::string_view::npos)
            return fail("the PROXY line lacks a part");
        parts[i] = line.substr(0, space);
        line.remove_prefix(std::min(line.size(), parts[i].size() + 1));
    }
    auto const [protocol, source, destination, source_port, destination_port] = parts;
    if (protocol != "TCP4" && protocol != "TCP6") return fail("the PROXY line is of no known protocol");
    bool const v6 = protocol == "TCP6";
    client_ = read_address(v6, source, source_port);
    if (!client_ || !read_address(v6, destination, destination_port))
        return fail("the PROXY line holds no address");
    return State::complete;
}

// --- version 2: a signature, four bytes, addresses, and further fields (TLVs), which nobody asked for

ProxyHeaderParser::State ProxyHeaderParser::step_block() {
    if (size_ <= kSignature.size()) {
        bool const right = buffer_[size_ - 1] == kSignature[size_ - 1];
        return right ? State::need_more : fail("no PROXY header comes first");
    }
    if (size_ == kHeadBytes) return read_head();
    return size_ == wanted_ ? read_addresses() : State::need_more;
}

ProxyHeaderParser::State ProxyHeaderParser::read_head() {
    auto const command = static_cast<uint8_t>(buffer_[12]), family = static_cast<uint8_t>(buffer_[13]);
    auto const length = two_bytes(&buffer_[14]);
    if (command >> 4 != 2) return fail("the PROXY header is of no known version");
    if ((command & 0xf) > 1) return fail("the PROXY header holds no known command");
    if (length > limits::kProxyHeaderBytesMax - kHeadBytes) return fail("the PROXY header is too long");

    wanted_ = kHeadBytes;
    to_skip_ = length;
    bool const local = (command & 0xf) == 0;  // whatever the family, even one that does not exist
    if (!local) {
        uint8_t addresses = 0;
        // Streams and datagrams: a proxy may have its client by HTTP/3.
        switch (family) {
            case 0x00: break;
            case 0x11:
            case 0x12: addresses = kV4AddressBytes; break;
            case 0x21:
            case 0x22: addresses = kV6AddressBytes; break;
            case 0x31:
            case 0x32: addresses = kUnixAddressBytes; break;
            default: return fail("the PROXY header is of no known family");
        }
        if (length < addresses) return fail("the PROXY header is shorter than its addresses");
        if (addresses == kUnixAddressBytes) {
            client_ = PeerAddress{};
        } else {
            wanted_ = static_cast<uint8_t>(kHeadBytes + addresses);
            to_skip_ = static_cast<uint16_t>(length - addresses);
        }
    }
    if (wanted_ > kHeadBytes || to_skip_ > 0) return State::need_more;
    return State::complete;
}

ProxyHeaderParser::State ProxyHeaderParser::read_addresses() {
    const char* const at = buffer_.data() + kHeadBytes;
    if (wanted_ == kHeadBytes + kV4AddressBytes) {
        std::array<uint8_t, 4> ip{};
        std::copy_n(at, ip.size(), ip.begin());
        client_ = PeerAddress::from(Address::v4(ip, two_bytes(at + 8)));
    } else {
        RC_ASSERT(wanted_ == kHeadBytes + kV6AddressBytes);
        std::array<uint8_t, 16> ip{};
        std::copy_n(at, ip.size(), ip.begin());
        client_ = PeerAddress::from(Address::v6(ip, two_bytes(at + 32)));
    }
    return to_skip_ > 0 ? State::need_more : State::complete;
}

}  // namespace rc::net
