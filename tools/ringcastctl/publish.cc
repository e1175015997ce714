#include <fmt/format.h>
#include <simdjson.h>

#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "commands.h"
#include "remote.h"
#include "ringcast/proto/encode.h"

namespace rc::ctl {
namespace {

namespace http = boost::beast::http;

constexpr std::string_view kDefaultKeyFile = "ringcast-data/api.key";

Result<std::string> read_key(const std::string& path) {
    std::ifstream file(path);
    std::string key;
    if (!file || !std::getline(file, key) || key.empty())
        return fail(Errc::settings, fmt::format("{}: no API key can be read from it", path));
    return key;
}

Result<std::string> find_key(const PublishOptions& options) {
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

Result<std::string> data_json(const PublishOptions& options) {
    if (options.data) {
        simdjson::dom::parser parser;
        simdjson::dom::element element;
        if (auto const error = parser.parse(*options.data).get(element))
            return fail(Errc::settings, fmt::format("--data is no JSON: {}", simdjson::error_message(error)));
        return *options.data;
    }
    std::string out = "{";
    auto const field = [&out](std::string_view name, const std::optional<std::string>& value) {
        if (!value) return;
        if (out.size() > 1) out += ',';
        fmt::format_to(std::back_inserter(out), R"("{}":)", name);
        proto::append_json_string(out, *value);
    };
    field("title", options.title);
    field("message", options.message);
    field("category", options.category);
    field("link", options.link);
    return out + '}';
}

Result<std::string> message_json(const PublishOptions& options) {
    auto const data = data_json(options);
    if (!data) return data;
    std::string out = R"({"type":)";
    proto::append_json_string(out, options.type);
    if (options.users.size() == 1) {
        out += R"(,"userId":)" + user_json(options.users.front());
    } else if (!options.users.empty()) {
        for (const auto& user : options.users)
            out += (&user == &options.users.front() ? R"(,"userIds":[)" : ",") + user_json(user);
        out += ']';
    }
    if (options.topic) {
        out += R"(,"topic":)";
        proto::append_json_string(out, *options.topic);
    }
    if (options.broadcast) out += R"(,"broadcast":true)";
    if (!options.store) out += R"(,"store":false)";
    return out + R"(,"data":)" + *data + '}';
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

Result<int> publish(const PublishOptions& options) {
    auto const remote = parse_url(options.api, "http");
    if (!remote) return tl::unexpected(remote.error());
    auto const key = find_key(options);
    if (!key) return tl::unexpected(key.error());
    auto const body = message_json(options);
    if (!body) return tl::unexpected(body.error());

    std::string path = remote->path;
    while (path.ends_with('/'))
        path.pop_back();
    http::request<http::string_body> request{http::verb::post, path + "/api/publish", 11};
    request.set(http::field::host, remote->authority);
    request.set(http::field::user_agent, "ringcastctl/" RINGCAST_VERSION);
    request.set(http::field::content_type, "application/json");
    request.set("X-API-Key", *key);
    if (options.idempotency_key) request.set("Idempotency-Key", *options.idempotency_key);
    request.body() = *body;
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
    std::puts(response.body().c_str());
    return 0;
}

}  // namespace rc::ctl
