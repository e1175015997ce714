#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "ringcast/base/limits.h"
#include "ringcast/net/peer_address.h"

namespace rc::net {

/// Reads a PROXY protocol header, version 1 or 2, from bytes in whatever pieces they come, each byte once.
/// It is for connections on which one must come: it tells the two versions apart, but never whether there is
/// a header at all, and fails with the first byte that no header has there.
/// Memory: none but its own. Source: haproxy's proxy-protocol.txt, sections 2.1 and 2.2.
class ProxyHeaderParser {
  public:
    static constexpr std::size_t kLineBytesMax = 107;  // of version 1, with its CRLF

    enum class State : uint8_t { need_more, complete, failed };

    /// @param consumed  how many of the bytes belonged to the header; what follows is the connection's
    State feed(std::string_view bytes, std::size_t& consumed);

    /// Complete: whose connection it is. Nothing where that is the socket's own peer: for LOCAL, as health
    /// checks say it, and for UNKNOWN and UNSPEC. A client on a unix socket of the proxy has no address.
    [[nodiscard]] const std::optional<PeerAddress>& client() const { return client_; }
    /// Failed: why, for the log. Nothing of the input is in it.
    [[nodiscard]] std::string_view failure() const { return failure_; }

  private:
    State step_line();
    State step_block();
    State read_line(std::string_view line);
    State read_head();
    State read_addresses();
    State fail(std::string_view literal);

    State state_ = State::need_more;
    uint8_t size_ = 0;      // of buffer_
    uint8_t wanted_ = 0;    // version 2: bytes of buffer_ that head and addresses take
    uint16_t to_skip_ = 0;  // version 2: bytes behind them that tell us nothing
    std::array<char, kLineBytesMax> buffer_;
    std::optional<PeerAddress> client_;
    std::string_view failure_;
};

}  // namespace rc::net
