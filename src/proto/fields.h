#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "json_text.h"
#include "ringcast/base/result.h"
#include "ringcast/base/user_id.h"

/// Reads the fields that client messages and publications have in common. A path such as
/// "subscribe.data.userId" names the field in error texts.
namespace rc::proto {

/// An object's members by a list of names; all others are ignored.
template <size_t N>
struct Fields {
    std::array<std::optional<json::Value>, N> values;
    std::array<bool, N> twice{};

    [[nodiscard]] std::optional<size_t> first_twice() const {
        for (size_t i = 0; i < N; i++) {
            if (twice[i]) return i;
        }
        return std::nullopt;
    }
};

template <size_t N>
Fields<N> pick_fields(std::string_view object_raw, const std::array<std::string_view, N>& names) {
    Fields<N> fields;
    json::Members members(object_raw);
    while (members.next()) {
        for (size_t i = 0; i < N; i++) {
            if (members.key() != names[i]) continue;
            fields.twice[i] = fields.values[i].has_value();
            if (!fields.twice[i]) fields.values[i] = members.value();
        }
    }
    return fields;
}

tl::unexpected<Error> refuse_twice(std::string_view path);

/// Errors: invalid_message for another kind.
Result<std::string> read_string(const json::Value& value, std::string_view path);
Result<bool> read_boolean(const json::Value& value, std::string_view path);
Result<UserId> read_user_id(const json::Value& value, std::string_view path);
/// A notification's id: 1-256 bytes without U+0000.
Result<std::string> read_notification_id(const json::Value& value, std::string_view path);

/// `PATH must be WANTED, got KIND`.
tl::unexpected<Error> refuse_kind(std::string_view path, std::string_view wanted, const json::Value& got);

}  // namespace rc::proto
