#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "ringcast/base/result.h"

/// Where a server is, and the socket to it.
namespace rc::ctl {

struct Remote {
    std::string host;  // without brackets
    std::string port;
    std::string path;       // with its slash; "" when there was none
    std::string authority;  // as a person named it
    std::string socket;     // a unix socket's path; then there is no host and no port

    [[nodiscard]] std::string host_header() const { return socket.empty() ? authority : "localhost"; }
};

/// A URL of that scheme, or `unix:/path`.
/// @param scheme  "ws" or "http"
/// Errors: settings.
Result<Remote> parse_address(std::string_view text, std::string_view scheme);

/// TCP, or a unix socket.
using Protocol = boost::asio::generic::stream_protocol;

/// In the order in which they are to be tried. Errors: system.
Result<std::vector<Protocol::endpoint>> endpoints_of(const Remote& remote);

/// Why there is no connection to it, with a hint where nobody listens.
Error connect_error(const Remote& remote, const boost::system::error_code& error);

/// Errors: system.
Result<Protocol::socket> connect(boost::asio::io_context& io, const Remote& remote);

/// `123` for a canonical integer as the protocol has them (0 to 2^53-1), else a JSON string.
std::string user_json(std::string_view user);

}  // namespace rc::ctl
