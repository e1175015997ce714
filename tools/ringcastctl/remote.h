#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <string>
#include <string_view>

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

/// @param scheme  "ws" or "http"
/// Errors: settings.
Result<Remote> parse_url(std::string_view url, std::string_view scheme);

/// An http:// URL or `unix:/path`.
/// Errors: settings.
Result<Remote> parse_api_address(std::string_view text);

/// Why there is no connection to it, with a hint where nobody listens.
Error connect_error(const Remote& remote, const boost::system::error_code& error);

/// To a host and port. Errors: system.
Result<boost::asio::ip::tcp::socket> connect(boost::asio::io_context& io, const Remote& remote);

/// `123` for a canonical integer as the protocol has them (0 to 2^53-1), else a JSON string.
std::string user_json(std::string_view user);

}  // namespace rc::ctl
