#include "ringcast/proto/publish.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include "fields.h"
#include "json_document.h"
#include "object_text.h"
#include "ringcast/base/limits.h"
#include "ringcast/proto/client_message.h"
#include "utf8.h"

namespace rc::proto {

namespace {

constexpr std::array<std::string_view, 9> kTopNames{"type",      "data",  "userId", "userIds",       "topic",
                                                    "broadcast", "store", "ttl",    "idempotencyKey"};
enum Top : size_t { kType, kData, kUserId, kUserIds, kTopic, kBroadcast, kStore, kTtl, kIdempotencyKey };
using TopFields = Fields<kTopNames.size()>;

constexpr std::array<std::string_view, 8> kProtocolTypes{
    "ping", "pong", "subscribe", "unsubscribe", "mark_read", "error", "ack", "notification_read"};

// The fields that the server fills in or stores; in the order in which they are filled in.
constexpr std::array<std::string_view, 3> kFilledNames{"id", "read", "timestamp"};
enum Filled : size_t { kId, kRead, kTimestamp };
using FilledFields = Fields<kFilledNames.size()>;

struct KnownField {
    std::string_view name;
    json::Kind kind;
};

// The three types of the user's document (websocket-api.md, "Server to Client").
constexpr std::array<KnownField, 7> kNotificationFields{{{"id", json::Kind::string},
                                                         {"title", json::Kind::string},
                                                         {"message", json::Kind::string},
                                                         {"timestamp", json::Kind::string},
                                                         {"read", json::Kind::boolean},
                                                         {"category", json::Kind::string},
                                                         {"link", json::Kind::string}}};
constexpr std::array<KnownField, 5> kJobUpdateFields{{{"id", json::Kind::number},
                                                      {"title", json::Kind::string},
                                                      {"company", json::Kind::string},
                                                      {"status", json::Kind::string},
                                                      {"timestamp", json::Kind::string}}};
constexpr std::array<KnownField, 7> kApplicationStatusFields{{{"id", json::Kind::number},
                                                              {"jobId", json::Kind::number},
                                                              {"jobTitle", json::Kind::string},
                                                              {"company", json::Kind::string},
                                                              {"status", json::Kind::string},
                                                              {"message", json::Kind::string},
                                                              {"timestamp", json::Kind::string}}};

struct KnownFields {
    const KnownField* begin_;
    size_t count;

    [[nodiscard]] const KnownField* begin() const { return begin_; }
    [[nodiscard]] const KnownField* end() const { return begin_ + count; }
};

/// Nothing for a type that passes through as it is.
std::optional<KnownFields> known_fields(std::string_view type) {
    if (type == "notification") return KnownFields{kNotificationFields.data(), kNotificationFields.size()};
    if (type == "job_update") return KnownFields{kJobUpdateFields.data(), kJobUpdateFields.size()};
    if (type == "application_status") {
        return KnownFields{kApplicationStatusFields.data(), kApplicationStatusFields.size()};
    }
    return std::nullopt;
}

bool is_type_name(std::string_view type) {
    if (type.empty() || type.size() > 64 || type.front() < 'a' || type.front() > 'z') return false;
    return std::all_of(type.begin(), type.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

tl::unexpected<Error> refuse(std::string message) {
    return fail(Errc::invalid_message, std::move(message));
}

Result<std::string> read_type(const TopFields& top) {
    if (!top.values[kType]) return refuse("type is missing");
    auto type = read_string(*top.values[kType], "type");
    if (!type) return type;
    if (!is_type_name(*type)) {
        return refuse(fmt::format("type must match [a-z][a-z0-9_]{{0,63}}, got \"{}\"", printable(*type)));
    }
    if (std::find(kProtocolTypes.begin(), kProtocolTypes.end(), *type) != kProtocolTypes.end()) {
        return refuse(fmt::format("type \"{}\" is the protocol's own and cannot be published", *type));
    }
    return type;
}

Result<std::vector<UserId>> read_user_ids(const json::Value& value) {
    if (value.kind() != json::Kind::array) return refuse_kind("userIds", "a list of users", value);
    std::vector<UserId> users;
    std::unordered_set<std::string> seen;
    json::Elements elements(value.raw);
    while (elements.next()) {
        auto user = read_user_id(elements.value(), "each of userIds");
        if (!user) return tl::unexpected(user.error());
        if (!seen.insert(user->text).second) continue;
        if (users.size() == limits::kPublishUsersMax) return refuse("userIds must hold at most 10000 users");
        users.push_back(std::move(*user));
    }
    if (users.empty()) return refuse("userIds must not be empty");
    return users;
}

Result<Target> read_target(const TopFields& top) {
    Target target;
    if (const auto& field = top.values[kBroadcast]) {
        auto broadcast = read_boolean(*field, "broadcast");
        if (!broadcast) return tl::unexpected(broadcast.error());
        target.broadcast = *broadcast;
    }
    bool has_users = top.values[kUserId] || top.values[kUserIds];
    if (target.broadcast && (has_users || top.values[kTopic])) {
        return refuse("broadcast goes to everybody: leave out userId, userIds and topic");
    }
    if (top.values[kUserId] && top.values[kUserIds]) return refuse("name userId or userIds, not both");
    if (!target.broadcast && !has_users && !top.values[kTopic]) {
        return refuse("a target is missing: userId, userIds, topic or \"broadcast\":true");
    }
    if (const auto& field = top.values[kUserId]) {
        auto user = read_user_id(*field, "userId");
        if (!user) return tl::unexpected(user.error());
        target.users.push_back(std::move(*user));
    }
    if (const auto& field = top.values[kUserIds]) {
        auto users = read_user_ids(*field);
        if (!users) return tl::unexpected(users.error());
        target.users = std::move(*users);
    }
    target.one_user_addressed = target.users.size() == 1;
    if (const auto& field = top.values[kTopic]) {
        auto topic = read_string(*field, "topic");
        if (!topic) return tl::unexpected(topic.error());
        if (!is_topic_name(*topic)) {
            return refuse(fmt::format("topic must be 1 to 128 characters of A-Z a-z 0-9 . _ : -, got \"{}\"",
                                      printable(*topic)));
        }
        target.topic = std::move(*topic);
    }
    return target;
}

Result<void> check_known_fields(const PublishRequest& request, const KnownFields& known) {
    json::Members members(request.data_raw);
    while (members.next()) {
        for (const KnownField& field : known) {
            if (members.key() != field.name || members.value().kind() == field.kind) continue;
            return refuse_kind(
                fmt::format("data.{}", field.name),
                field.kind == json::Kind::boolean ? "true or false" : json::kind_name(field.kind),
                members.value());
        }
    }
    return {};
}

Result<void> read_data(PublishRequest& request) {
    auto known = known_fields(request.type);
    request.is_document_type = known.has_value();
    request.is_notification = request.type == "notification";
    bool is_object = json::Value{request.data_raw}.kind() == json::Kind::object;
    if (known && !is_object) {
        return refuse_kind(fmt::format("data of {}", request.type), "an object",
                           json::Value{request.data_raw});
    }
    FilledFields filled;
    if (is_object) filled = pick_fields(request.data_raw, kFilledNames);
    if (auto twice = filled.first_twice()) return refuse_twice(fmt::format("data.{}", kFilledNames[*twice]));
    if (!known) return {};

    if (auto sound = check_known_fields(request, *known); !sound) return sound;
    request.has_timestamp = filled.values[kTimestamp].has_value();
    if (!request.is_notification) return {};
    if (const auto& field = filled.values[kId]) {
        auto id = read_notification_id(*field, "data.id");
        if (!id) return tl::unexpected(id.error());
        request.notification_id = std::move(*id);
    }
    request.has_read = filled.values[kRead].has_value();
    request.read = request.has_read && filled.values[kRead]->raw == "true";
    return {};
}

Result<void> read_store(PublishRequest& request, const std::optional<json::Value>& field) {
    if (!field) return {};
    auto store = read_boolean(*field, "store");
    if (!store) return tl::unexpected(store.error());
    if (request.target.users.empty())
        return refuse("store is for messages with userId or userIds: others are never stored");
    if (request.is_notification && !*store)
        return refuse("a notification is always stored: leave out \"store\":false");
    request.store = *store;
    return {};
}

Result<void> read_ttl(PublishRequest& request, const std::optional<json::Value>& field) {
    if (!field) return {};
    static constexpr uint64_t kSecondsMax = limits::kTtlMax / seconds(1);
    auto const wanted = [] {
        return refuse(fmt::format("ttl must be a whole number of seconds from 1 to {}", kSecondsMax));
    };
    if (field->kind() != json::Kind::number) return wanted();
    auto const number = json::unsigned_integer(field->raw);
    if (!number || *number < 1 || *number > kSecondsMax) return wanted();
    if (request.target.users.empty() || !request.store)
        return refuse("ttl is for messages that are stored: those with userId or userIds");
    request.ttl = seconds(*number);
    return {};
}

}  // namespace

struct PublishDecoder::Impl {
    json::Document document;
};

PublishDecoder::PublishDecoder() : impl_(std::make_unique<Impl>()) {}
PublishDecoder::~PublishDecoder() = default;
PublishDecoder::PublishDecoder(PublishDecoder&&) noexcept = default;
PublishDecoder& PublishDecoder::operator=(PublishDecoder&&) noexcept = default;

Result<PublishRequest> PublishDecoder::decode(std::string_view body, Batch batch, size_t data_bytes_max) {
    if (body.size() > limits::kPublishMessageBytesMax) {
        return fail(Errc::too_large, fmt::format("a message may have {} bytes, this one has {}",
                                                 limits::kPublishMessageBytesMax, body.size()));
    }
    auto root = impl_->document.validate(body);
    if (!root) return tl::unexpected(std::move(root.error()));
    if (root->kind() != json::Kind::object) return refuse_kind("a message", "an object", *root);

    auto top = pick_fields(root->raw, kTopNames);
    if (batch == Batch::no) {  // the key is a header there, and this field one of the unknown
        top.values[kIdempotencyKey].reset();
        top.twice[kIdempotencyKey] = false;
    }
    if (auto twice = top.first_twice()) return refuse_twice(kTopNames[*twice]);

    PublishRequest request;
    auto type = read_type(top);
    if (!type) return tl::unexpected(std::move(type.error()));
    request.type = std::move(*type);

    if (!top.values[kData]) return refuse("data is missing");
    request.data_raw = top.values[kData]->raw;
    if (request.data_raw.size() > data_bytes_max) {
        return fail(Errc::too_large, fmt::format("data may have {} bytes, this has {}", data_bytes_max,
                                                 request.data_raw.size()));
    }
    if (auto sound = read_data(request); !sound) return tl::unexpected(std::move(sound.error()));

    auto target = read_target(top);
    if (!target) return tl::unexpected(std::move(target.error()));
    request.target = std::move(*target);
    if (request.is_notification && request.target.users.empty()) {
        return refuse("a notification needs userId or userIds: its read state is the user's");
    }
    if (auto sound = read_store(request, top.values[kStore]); !sound)
        return tl::unexpected(std::move(sound.error()));
    if (auto sound = read_ttl(request, top.values[kTtl]); !sound)
        return tl::unexpected(std::move(sound.error()));

    if (const auto& field = top.values[kIdempotencyKey]) {
        auto key = read_string(*field, "idempotencyKey");
        if (!key) return tl::unexpected(std::move(key.error()));
        if (key->empty() || key->size() > limits::kIdempotencyKeyBytesMax) {
            return refuse("idempotencyKey must be a string of 1 to 255 bytes");
        }
        request.idempotency_key = std::move(*key);
    }
    return request;
}

std::string fill_in(const PublishRequest& request, const FillIn& missing) {
    if (!request.is_document_type) return std::string(request.data_raw);
    std::string members;
    if (request.is_notification && !request.notification_id) append_member(members, "id", missing.id);
    if (request.is_notification && !request.has_read) append_raw_member(members, "read", "false");
    if (!request.has_timestamp) append_member(members, "timestamp", missing.timestamp);
    return with_members_appended(request.data_raw, members);
}

Result<std::optional<std::string>> decode_disconnect_reason(std::string_view body) {
    if (body.empty()) return std::nullopt;
    json::Document document;
    auto root = document.validate(body);
    if (!root) return tl::unexpected(std::move(root.error()));
    if (root->kind() != json::Kind::object) return refuse_kind("the body", "an object", *root);
    constexpr std::array<std::string_view, 1> kNames{"reason"};
    auto fields = pick_fields(root->raw, kNames);
    if (fields.twice[0]) return refuse_twice("reason");
    if (!fields.values[0]) return std::nullopt;
    auto reason = read_string(*fields.values[0], "reason");
    if (!reason) return tl::unexpected(std::move(reason.error()));
    if (reason->size() > limits::kCloseReasonBytesMax) {
        return refuse(fmt::format("reason may have {} bytes, this one has {}", limits::kCloseReasonBytesMax,
                                  reason->size()));
    }
    if (reason->empty()) return std::nullopt;
    return std::optional<std::string>(std::move(*reason));
}

}  // namespace rc::proto
