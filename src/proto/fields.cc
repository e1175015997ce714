#include "fields.h"

#include <fmt/format.h>

#include "ringcast/base/limits.h"
#include "utf8.h"

namespace rc::proto {

namespace {

constexpr std::string_view kUserIdRule =
    "an integer from 0 to 9007199254740991, or a string of 1 to 128 bytes without control characters";

}  // namespace

tl::unexpected<Error> refuse_twice(std::string_view path) {
    return fail(Errc::invalid_message, fmt::format("{} stands there twice", path));
}

tl::unexpected<Error> refuse_kind(std::string_view path, std::string_view wanted, const json::Value& got) {
    return fail(Errc::invalid_message,
                fmt::format("{} must be {}, got {}", path, wanted, json::kind_name(got.kind())));
}

Result<std::string> read_string(const json::Value& value, std::string_view path) {
    if (value.kind() != json::Kind::string) return refuse_kind(path, "a string", value);
    if (json::has_half_pair(value.raw))
        return fail(Errc::invalid_message, fmt::format("{} holds half of a surrogate pair", path));
    return json::unescape(value.raw);
}

Result<bool> read_boolean(const json::Value& value, std::string_view path) {
    if (value.kind() != json::Kind::boolean) return refuse_kind(path, "true or false", value);
    return value.raw == "true";
}

Result<UserId> read_user_id(const json::Value& value, std::string_view path) {
    if (value.kind() == json::Kind::number) {
        auto number = json::unsigned_integer(value.raw);
        if (!number || *number > limits::kIntegerIdMax) {
            return fail(Errc::invalid_message,
                        fmt::format("{} must be {}, got {}", path, kUserIdRule, printable(value.raw)));
        }
        return UserId{std::string(value.raw)};
    }
    if (value.kind() != json::Kind::string) return refuse_kind(path, kUserIdRule, value);
    auto text = read_string(value, path);
    if (!text) return tl::unexpected(text.error());
    if (text->empty() || text->size() > limits::kUserIdBytesMax || has_control_characters(*text)) {
        return fail(Errc::invalid_message,
                    fmt::format("{} must be {}, got \"{}\"", path, kUserIdRule, printable(*text)));
    }
    return UserId{std::move(*text)};
}

Result<std::string> read_notification_id(const json::Value& value, std::string_view path) {
    auto text = read_string(value, path);
    if (!text) return text;
    if (text->empty() || text->size() > limits::kNotificationIdBytesMax ||
        text->find('\0') != std::string::npos) {
        return fail(Errc::invalid_message,
                    fmt::format("{} must be a string of 1 to 256 bytes without U+0000", path));
    }
    return text;
}

}  // namespace rc::proto
