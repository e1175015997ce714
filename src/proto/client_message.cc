#include "ringcast/proto/client_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "fields.h"
#include "json_document.h"
#include "ringcast/base/limits.h"
#include "ringcast/proto/encode.h"
#include "utf8.h"

namespace rc::proto {

namespace {

constexpr std::array<std::string_view, 3> kTopNames{"type", "id", "data"};
enum Top : size_t { kType, kId, kData };

constexpr std::array<std::string_view, 8> kDataNames{"userId", "topics",  "token", "replay",
                                                     "since",  "offsets", "sync",  "notificationId"};
enum Data : size_t { kUserId, kTopics, kToken, kReplay, kSince, kOffsets, kSync, kNotificationId };
using DataFields = Fields<kDataNames.size()>;

constexpr std::string_view kMessageIdRule =
    "the message's id must be an integer from -9007199254740992 to 9007199254740992, or a string of at most "
    "64 bytes";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// Integers are echoed as sent, strings as we would write them.
std::optional<MessageId> read_message_id(const json::Value& value) {
    if (value.kind() == json::Kind::number) {
        std::string_view digits = value.raw;
        if (digits.starts_with('-')) digits.remove_prefix(1);
        auto magnitude = json::unsigned_integer(digits);
        if (!magnitude || *magnitude > limits::kIntegerIdMax + 1) return std::nullopt;
        return MessageId{std::string(value.raw)};
    }
    auto const text = read_string(value, "id");
    if (!text || text->size() > limits::kMessageIdBytesMax) return std::nullopt;
    MessageId id;
    append_json_string(id.json, *text);
    return id;
}

Result<std::vector<std::string>> read_topics(const json::Value& value, std::string_view path) {
    if (value.kind() != json::Kind::array) return refuse_kind(path, "a list of strings", value);
    std::vector<std::string> topics;
    json::Elements elements(value.raw);
    while (elements.next()) {
        if (elements.value().kind() != json::Kind::string) {
            return fail(Errc::invalid_message, fmt::format("{} must hold strings only, got {}", path,
                                                           json::kind_name(elements.value().kind())));
        }
        auto topic = read_string(elements.value(), path);
        if (!topic) return tl::unexpected(topic.error());
        topics.push_back(std::move(*topic));
    }
    return topics;
}

Result<Subscribe> read_subscribe(const DataFields& data) {
    Subscribe subscribe;
    if (const auto& field = data.values[kUserId]) {
        auto user = read_user_id(*field, "subscribe.data.userId");
        if (!user) return tl::unexpected(user.error());
        subscribe.user = std::move(*user);
    }
    if (const auto& field = data.values[kTopics]) {
        auto topics = read_topics(*field, "subscribe.data.topics");
        if (!topics) return tl::unexpected(topics.error());
        subscribe.topics = std::move(*topics);
    }
    if (const auto& field = data.values[kToken]) {
        auto token = read_string(*field, "subscribe.data.token");
        if (!token) return tl::unexpected(token.error());
        subscribe.token = std::move(*token);
    }
    if (const auto& field = data.values[kReplay]) {
        auto replay = read_string(*field, "subscribe.data.replay");
        if (!replay) return tl::unexpected(replay.error());
        if (*replay != "unread") {
            return fail(
                Errc::invalid_message,
                fmt::format("subscribe.data.replay must be \"unread\", got \"{}\"", printable(*replay)));
        }
        subscribe.replay_unread = true;
    }
    if (const auto& field = data.values[kSince]) {
        auto since = read_string(*field, "subscribe.data.since");
        if (!since) return tl::unexpected(since.error());
        if (!is_offset_text(*since)) {
            return fail(
                Errc::invalid_message,
                fmt::format(
                    "subscribe.data.since must be \"0\" or an offset that this server sent, got \"{}\"",
                    printable(*since)));
        }
        subscribe.since = std::move(*since);
    }
    if (const auto& field = data.values[kOffsets]) {
        auto offsets = read_boolean(*field, "subscribe.data.offsets");
        if (!offsets) return tl::unexpected(offsets.error());
        subscribe.offsets = *offsets;
    }
    if (const auto& field = data.values[kSync]) {
        auto sync = read_boolean(*field, "subscribe.data.sync");
        if (!sync) return tl::unexpected(sync.error());
        subscribe.sync = *sync;
    }
    if (subscribe.replay_unread && subscribe.since) {
        return fail(Errc::invalid_message, "subscribe.data must have replay or since, not both");
    }
    return subscribe;
}

Result<Unsubscribe> read_unsubscribe(const DataFields& data) {
    Unsubscribe unsubscribe;
    if (const auto& field = data.values[kUserId]) {
        auto user = read_user_id(*field, "unsubscribe.data.userId");
        if (!user) return tl::unexpected(user.error());
        unsubscribe.user = std::move(*user);
    }
    if (const auto& field = data.values[kTopics]) {
        auto topics = read_topics(*field, "unsubscribe.data.topics");
        if (!topics) return tl::unexpected(topics.error());
        unsubscribe.topics = std::move(*topics);
    }
    return unsubscribe;
}

Result<MarkRead> read_mark_read(const DataFields& data) {
    const auto& field = data.values[kNotificationId];
    if (!field) return fail(Errc::invalid_message, "mark_read.data.notificationId is missing");
    auto id = read_notification_id(*field, "mark_read.data.notificationId");
    if (!id) return tl::unexpected(id.error());
    return MarkRead{std::move(*id)};
}

using Body = decltype(ClientMessage::body);

Result<Body> read_body(const Fields<kTopNames.size()>& top) {
    if (auto twice = top.first_twice())
        return refuse_twice(fmt::format("the message's {}", kTopNames[*twice]));
    if (!top.values[kType]) {
        return fail(Errc::invalid_message,
                    "the message has no type: subscribe, unsubscribe, mark_read or pong is needed");
    }
    auto type = read_string(*top.values[kType], "the message's type");
    if (!type) return tl::unexpected(type.error());

    const auto& data_value = top.values[kData];
    bool has_object = data_value && data_value->kind() == json::Kind::object;
    DataFields data;
    if (has_object) data = pick_fields(data_value->raw, kDataNames);
    if (auto twice = data.first_twice()) return refuse_twice(fmt::format("data.{}", kDataNames[*twice]));
    if (*type == "pong") return Pong{};

    if (*type != "subscribe" && *type != "unsubscribe" && *type != "mark_read") {
        return fail(Errc::invalid_message,
                    fmt::format("unknown type \"{}\": subscribe, unsubscribe, mark_read or pong is needed",
                                printable(*type)));
    }
    if (!data_value) return fail(Errc::invalid_message, fmt::format("{} needs data, an object", *type));
    if (!has_object) return refuse_kind(*type + ".data", "an object", *data_value);
    if (*type == "subscribe") return read_subscribe(data);
    if (*type == "unsubscribe") return read_unsubscribe(data);
    return read_mark_read(data);
}

}  // namespace

struct ClientDecoder::Impl {
    json::Document document;
};

ClientDecoder::ClientDecoder() : impl_(std::make_unique<Impl>()) {}
ClientDecoder::~ClientDecoder() = default;
ClientDecoder::ClientDecoder(ClientDecoder&&) noexcept = default;
ClientDecoder& ClientDecoder::operator=(ClientDecoder&&) noexcept = default;

tl::expected<ClientMessage, ClientError> ClientDecoder::decode(std::string_view text) {
    std::optional<MessageId> id;
    auto refuse = [&id](Error error) { return tl::unexpected(ClientError{std::move(id), std::move(error)}); };
    auto root = impl_->document.validate(text);
    if (!root) return refuse(std::move(root.error()));
    if (root->kind() != json::Kind::object)
        return refuse(refuse_kind("a message", "an object", *root).value());

    auto top = pick_fields(root->raw, kTopNames);
    if (top.twice[kId]) return refuse(refuse_twice("the message's id").value());
    if (top.values[kId]) {
        id = read_message_id(*top.values[kId]);
        if (!id) return refuse({Errc::invalid_message, std::string(kMessageIdRule)});
    }
    auto body = read_body(top);
    if (!body) return refuse(std::move(body.error()));
    return ClientMessage{std::move(id), std::move(*body)};
}

std::optional<UserId> user_id_of(std::string_view text) {
    if (text.empty() || text.size() > limits::kUserIdBytesMax || has_control_characters(text))
        return std::nullopt;
    for (auto rest = text; !rest.empty();) {
        auto const point = first_code_point(rest);
        if (point.value == kReplacementCharacter && point.bytes == 1) return std::nullopt;
        rest.remove_prefix(point.bytes);
    }
    return UserId{std::string(text)};
}

bool is_topic_name(std::string_view name) noexcept {
    if (name.empty() || name.size() > limits::kTopicBytesMax) return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '.' || c == '_' ||
               c == ':' || c == '-';
    });
}

bool is_offset_text(std::string_view text) noexcept {
    if (text == "0") return true;
    size_t dash = text.find('-');
    if (dash == 0 || dash > 32) return false;
    std::string_view epoch = text.substr(0, dash);
    std::string_view number = text.substr(dash + 1);
    if (number.size() > 1 && number.front() == '0') return false;
    return std::all_of(epoch.begin(), epoch.end(),
                       [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z'); }) &&
           json::unsigned_integer(number).has_value();
}

}  // namespace rc::proto
