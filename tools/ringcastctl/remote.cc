#include "remote.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <charconv>

#include "ringcast/proto/encode.h"

namespace rc::ctl {
namespace {

Result<Remote> parse_url(std::string_view url, std::string_view scheme) {
    auto const wrong = [&](std::string_view what) {
        return fail(Errc::settings, fmt::format("{}: {}, as in {}://127.0.0.1:{}", url, what, scheme,
                                                scheme == "ws" ? "5000/ws" : "5001"));
    };
    if (url.starts_with(fmt::format("{}s://", scheme))) {
        return fail(Errc::settings,
                    fmt::format("{}: TLS ends at the proxy in front; name the server's own address", url));
    }
    auto const prefix = fmt::format("{}://", scheme);
    if (!url.starts_with(prefix)) return wrong(fmt::format("a URL begins with {}", prefix));
    auto const rest = url.substr(prefix.size());
    auto const slash = std::min(rest.find('/'), rest.size());
    Remote remote;
    remote.authority = rest.substr(0, slash);
    remote.path = rest.substr(slash);

    std::string_view address = remote.authority;
    if (address.starts_with('[')) {
        auto const end = address.find(']');
        if (end == std::string_view::npos) return wrong("a ] is missing");
        remote.host = address.substr(1, end - 1);
        address.remove_prefix(end + 1);
    } else {
        auto const colon = std::min(address.find(':'), address.size());
        remote.host = address.substr(0, colon);
        address.remove_prefix(colon);
    }
    if (remote.host.empty()) return wrong("the host is missing");
    if (address.empty()) {
        remote.port = "80";
    } else {
        uint16_t port = 0;
        auto const digits = address.substr(1);
        auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
        if (address[0] != ':' || error != std::errc() || end != digits.data() + digits.size() || port == 0)
            return wrong("the port is no number from 1 to 65535");
        remote.port = digits;
    }
    return remote;
}

}  // namespace

Result<Remote> parse_address(std::string_view text, std::string_view scheme) {
    constexpr std::string_view kUnix = "unix:";
    if (!text.starts_with(kUnix)) return parse_url(text, scheme);
    Remote remote;
    remote.authority = text;
    remote.socket = text.substr(kUnix.size());
    if (scheme == "ws") remote.path = "/ws";
    if (remote.socket.empty() || remote.socket.size() >= sizeof(sockaddr_un::sun_path))
        return fail(Errc::settings, fmt::format("{}: a socket's path has 1 to {} bytes, as in "
                                                "unix:/run/ringcast/api.sock",
                                                text, sizeof(sockaddr_un::sun_path) - 1));
    return remote;
}

Result<std::vector<Protocol::endpoint>> endpoints_of(const Remote& remote) {
    std::vector<Protocol::endpoint> endpoints;
    if (!remote.socket.empty()) {
        endpoints.emplace_back(boost::asio::local::stream_protocol::endpoint(remote.socket));
        return endpoints;
    }
    boost::asio::io_context io;
    boost::asio::ip::tcp::resolver resolver(io);
    boost::system::error_code error;
    for (const auto& entry : resolver.resolve(remote.host, remote.port, error))
        endpoints.emplace_back(entry.endpoint());
    if (error) return fail(Errc::system, fmt::format("{}: {}", remote.host, error.message()));
    return endpoints;
}

Error connect_error(const Remote& remote, const boost::system::error_code& error) {
    bool const nobody = error == boost::asio::error::connection_refused ||
                        error == boost::system::errc::no_such_file_or_directory;
    if (!nobody) return {Errc::system, fmt::format("{}: {}", remote.authority, error.message())};
    return {Errc::system,
            fmt::format("no server listens at {}; start one with tools/run or ringcastd", remote.authority)};
}

Result<Protocol::socket> connect(boost::asio::io_context& io, const Remote& remote) {
    auto const endpoints = endpoints_of(remote);
    if (!endpoints) return tl::unexpected(endpoints.error());
    Protocol::socket socket(io);
    boost::system::error_code error;
    boost::asio::connect(socket, *endpoints, error);
    if (error) return tl::unexpected(connect_error(remote, error));
    return socket;
}

std::string user_json(std::string_view user) {
    constexpr uint64_t kIntegerMax = (1ULL << 53) - 1;
    uint64_t number = 0;
    auto const [end, error] = std::from_chars(user.data(), user.data() + user.size(), number);
    bool const canonical = error == std::errc() && end == user.data() + user.size() &&
                           number <= kIntegerMax && (user.size() == 1 || user[0] != '0');
    if (canonical) return std::string(user);
    std::string out;
    proto::append_json_string(out, user);
    return out;
}

}  // namespace rc::ctl
