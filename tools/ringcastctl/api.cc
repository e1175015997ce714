#include "api.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cstdlib>
#include <fstream>

#include "remote.h"
#include "ringcast/base/arguments.h"

namespace rc::ctl {
namespace {

namespace http = boost::beast::http;

constexpr std::string_view kDefaultKeyFile = "ringcast-data/api.key";

Result<std::string> read_key(const std::string& path) {
    std::ifstream file(path);
    std::string key;
    std::getline(file, key);
    key.resize(key.find_last_not_of(" \t\r") + 1);
    if (key.empty()) return fail(Errc::settings, fmt::format("{}: no API key can be read from it", path));
    if (key.starts_with('#') || key.starts_with('['))
        return fail(
            Errc::settings,
            fmt::format("{}: holds several keys, or their hashes; put one into a file of its own", path));
    return key;
}

Result<std::string> find_key(const ApiOptions& options) {
    if (options.api_key) return *options.api_key;
    if (options.api_key_file) return read_key(*options.api_key_file);
    if (const char* key = std::getenv("RINGCAST_API_KEY")) return key;
    auto key = read_key(std::string(kDefaultKeyFile));
    if (key) return key;
    return fail(Errc::settings,
                fmt::format("no API key: give --api-key-file or set RINGCAST_API_KEY; here, {} "
                            "is missing (the server names its file when it starts)",
                            kDefaultKeyFile));
}

Error error_of(const http::response<http::string_body>& response) {
    simdjson::dom::parser parser;
    simdjson::dom::element body;
    std::string_view code, message;
    bool const told = !parser.parse(response.body()).get(body) && !body["error"]["code"].get(code) &&
                      !body["error"]["message"].get(message);
    auto const text = told ? fmt::format("{}: {}", code, message) : response.body();
    return {Errc::system, fmt::format("{} {}", response.result_int(), in_one_line(text))};
}

}  // namespace

Result<std::string> ask(const ApiOptions& api, const ApiRequest& asked) {
    auto const remote = parse_url(api.api, "http");
    if (!remote) return tl::unexpected(remote.error());
    auto const key = find_key(api);
    if (!key) return tl::unexpected(key.error());

    std::string path = remote->path;
    while (path.ends_with('/'))
        path.pop_back();
    http::request<http::string_body> request{asked.body ? http::verb::post : http::verb::get,
                                             path + asked.path, 11};
    request.set(http::field::host, remote->authority);
    request.set(http::field::user_agent, "ringcastctl/" RINGCAST_VERSION);
    request.set("X-API-Key", *key);
    for (const auto& [name, value] : asked.headers)
        request.set(name, value);
    if (asked.body) {
        request.set(http::field::content_type, "application/json");
        request.body() = *asked.body;
    }
    request.prepare_payload();

    boost::asio::io_context io;
    auto socket = connect(io, *remote);
    if (!socket) return tl::unexpected(socket.error());
    boost::system::error_code error;
    boost::beast::flat_buffer buffer;
    http::response<http::string_body> response;
    http::write(*socket, request, error);
    if (!error) http::read(*socket, buffer, response, error);
    if (error) return fail(Errc::system, fmt::format("{}: {}", remote->authority, error.message()));
    if (response.result() != http::status::ok) return tl::unexpected(error_of(response));
    return response.body();
}

}  // namespace rc::ctl
