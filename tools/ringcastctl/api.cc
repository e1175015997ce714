#include "api.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cstdlib>
#include <fstream>

#include "ringcast/base/arguments.h"

namespace rc::ctl {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Stream = beast::basic_stream<Protocol>;

constexpr auto kPatience = seconds(30);
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

http::request<http::string_body> http_request(const ApiAccess& access, const ApiRequest& asked, bool last) {
    std::string path = access.remote.path;
    while (path.ends_with('/'))
        path.pop_back();
    http::request<http::string_body> request{asked.body ? http::verb::post : http::verb::get,
                                             path + asked.path, 11};
    request.set(http::field::host, access.remote.host_header());
    request.set(http::field::user_agent, "ringcastctl/" RINGCAST_VERSION);
    request.set("X-API-Key", access.key);
    request.keep_alive(!last);
    for (const auto& [name, value] : asked.headers)
        request.set(name, value);
    if (asked.body) {
        request.set(http::field::content_type, "application/json");
        request.body() = *asked.body;
    }
    request.prepare_payload();
    return request;
}

}  // namespace

Result<ApiAccess> find_access(const ApiOptions& options) {
    auto remote = parse_address(options.api, "http");
    if (!remote) return tl::unexpected(remote.error());
    auto key = find_key(options);
    if (!key) return tl::unexpected(key.error());
    return ApiAccess{std::move(*remote), std::move(*key)};
}

asio::awaitable<Result<std::vector<ApiAnswer>>> ask_all(const ApiAccess& access,
                                                        std::vector<ApiRequest> requests, Duration patience) {
    auto const endpoints = endpoints_of(access.remote);
    if (!endpoints) co_return tl::unexpected(endpoints.error());
    error_code error;
    auto caught = asio::redirect_error(asio::use_awaitable, error);
    auto const failed = [&] {
        if (error != beast::error::timeout) return connect_error(access.remote, error);
        return Error{Errc::system, fmt::format("{}: no answer within {:g} s", access.remote.authority,
                                               std::chrono::duration<double>(patience).count())};
    };
    Stream stream(co_await asio::this_coro::executor);
    stream.expires_after(patience);
    co_await stream.async_connect(*endpoints, caught);
    if (error) co_return tl::unexpected(failed());
    std::vector<ApiAnswer> answers;
    beast::flat_buffer buffer;
    for (const auto& asked : requests) {
        auto const request = http_request(access, asked, &asked == &requests.back());
        http::response<http::string_body> response;
        stream.expires_after(patience);
        co_await http::async_write(stream, request, caught);
        if (!error) co_await http::async_read(stream, buffer, response, caught);
        if (error) co_return tl::unexpected(failed());
        answers.push_back({response.result_int(), std::move(response.body())});
        if (!response.keep_alive()) break;
    }
    co_return answers;
}

Error error_of(const ApiAnswer& answer) {
    simdjson::dom::parser parser;
    simdjson::dom::element body;
    std::string_view code, message;
    bool const told = !parser.parse(answer.body).get(body) && !body["error"]["code"].get(code) &&
                      !body["error"]["message"].get(message);
    auto const text = told ? fmt::format("{}: {}", code, message) : answer.body;
    return {Errc::system, fmt::format("{} {}", answer.status, in_one_line(text))};
}

Result<std::string> ask(const ApiOptions& options, const ApiRequest& request) {
    auto const access = find_access(options);
    if (!access) return tl::unexpected(access.error());
    std::vector<ApiRequest> const requests{request};
    Result<std::vector<ApiAnswer>> answers;
    asio::io_context io;
    asio::co_spawn(
        io, [&]() -> asio::awaitable<void> { answers = co_await ask_all(*access, requests, kPatience); },
        asio::detached);
    io.run();
    if (!answers) return tl::unexpected(answers.error());
    if (answers->front().status != 200) return tl::unexpected(error_of(answers->front()));
    return std::move(answers->front().body);
}

}  // namespace rc::ctl
