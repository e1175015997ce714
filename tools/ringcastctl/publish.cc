#include <fmt/format.h>
#include <simdjson.h>

#include <cstdio>

#include "api.h"
#include "commands.h"
#include "remote.h"
#include "ringcast/proto/encode.h"

namespace rc::ctl {
namespace {

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
    if (options.ttl_seconds) out += fmt::format(R"(,"ttl":{})", *options.ttl_seconds);
    return out + R"(,"data":)" + *data + '}';
}

}  // namespace

Result<int> publish(const PublishOptions& options) {
    auto const body = message_json(options);
    if (!body) return tl::unexpected(body.error());
    ApiRequest request{.path = "/api/publish", .body = *body};
    if (options.idempotency_key) request.headers.emplace_back("Idempotency-Key", *options.idempotency_key);
    auto const answer = ask(options.api, request);
    if (!answer) return tl::unexpected(answer.error());
    std::puts(answer->c_str());
    return 0;
}

}  // namespace rc::ctl
