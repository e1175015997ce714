#include "ringcast/proto/encode.h"

#include <fmt/format.h>

#include <iterator>

#include "json_text.h"
#include "object_text.h"
#include "utf8.h"

namespace rc::proto {

namespace {

constexpr size_t kEnvelopeBytes = 96;  // of names and punctuation around a payload; a first guess, no limit

void append_offset(std::string& out, std::string_view offset) {
    if (offset.empty()) return;
    out += R"(,"offset":)";
    append_json_string(out, offset);
}

void append_id(std::string& out, const std::optional<MessageId>& id) {
    if (!id) return;
    out += R"("id":)";
    out += id->json;
    out += ',';
}

void append_code_and_message(std::string& out, std::string_view code, std::string_view message) {
    out += R"({"code":)";
    append_json_string(out, code);
    out += R"(,"message":)";
    append_json_string(out, message);
    out += '}';
}

/// The escape for a byte that may not stand in a string as it is, or nothing.
std::string_view short_escape(char c) {
    switch (c) {
        case '"': return R"(\")";
        case '\\': return R"(\\)";
        case '\b': return R"(\b)";
        case '\f': return R"(\f)";
        case '\n': return R"(\n)";
        case '\r': return R"(\r)";
        case '\t': return R"(\t)";
        default: return {};
    }
}

bool is_plain(char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\';
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    while (!text.empty()) {
        size_t plain = 0;
        while (plain < text.size() && is_plain(text[plain]))
            plain++;
        out.append(text.substr(0, plain));
        text.remove_prefix(plain);
        if (text.empty()) break;
        CodePoint next = first_code_point(text);
        if (auto escape = short_escape(text.front()); !escape.empty()) {
            out += escape;
        } else if (next.value < 0x20) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", next.value);
        } else {
            append_utf8(out, next.value);
        }
        text.remove_prefix(next.bytes);
    }
    out += '"';
}

std::string encode_error(Errc code, std::string_view message, const std::optional<MessageId>& id) {
    std::string out;
    out.reserve(kEnvelopeBytes + message.size() + (id ? id->json.size() : 0));
    out += R"({"type":"error",)";
    append_id(out, id);
    out += R"("data":)";
    append_code_and_message(out, errc_name(code), message);
    out += '}';
    return out;
}

std::string encode_ack(const std::optional<MessageId>& id, std::string_view data_json) {
    std::string out;
    out.reserve(kEnvelopeBytes + data_json.size());
    out += R"({"type":"ack",)";
    append_id(out, id);
    out += R"("data":)";
    out += data_json;
    out += '}';
    return out;
}

std::string encode_message(std::string_view type, std::string_view data_json, std::string_view offset) {
    std::string out;
    append_message(out, type, data_json, offset);
    return out;
}

void append_message(std::string& out, std::string_view type, std::string_view data_json,
                    std::string_view offset) {
    out.reserve(out.size() + kEnvelopeBytes + type.size() + data_json.size() + offset.size());
    out += R"({"type":)";
    append_json_string(out, type);
    out += R"(,"data":)";
    out += data_json;
    append_offset(out, offset);
    out += '}';
}

std::string encode_notification_read(std::string_view notification_id, uint64_t unread,
                                     std::string_view offset) {
    std::string data = R"({"notificationId":)";
    append_json_string(data, notification_id);
    fmt::format_to(std::back_inserter(data), R"(,"unreadCount":{}}})", unread);
    return encode_message("notification_read", data, offset);
}

std::string encode_all_read(std::string_view offset) {
    return encode_message("notification_read", R"({"all":true,"unreadCount":0})", offset);
}

std::string encode_api_error(std::string_view code, std::string_view message) {
    std::string out = R"({"error":)";
    append_code_and_message(out, code, message);
    out += '}';
    return out;
}

std::string with_read(std::string_view notification_json, bool read) {
    std::string_view state = read ? "true" : "false";
    json::Members members(notification_json);
    while (members.next()) {
        if (members.key() != "read") continue;
        std::string_view old = members.value().raw;
        auto at = static_cast<size_t>(old.data() - notification_json.data());
        std::string out;
        out.reserve(notification_json.size() + 1);
        out += notification_json.substr(0, at);
        out += state;
        out += notification_json.substr(at + old.size());
        return out;
    }
    std::string appended;
    append_raw_member(appended, "read", state);
    return with_members_appended(notification_json, appended);
}

void append_raw_member(std::string& members, std::string_view name, std::string_view value_json) {
    if (!members.empty()) members += ',';
    members += '"';
    members += name;
    members += "\":";
    members += value_json;
}

void append_member(std::string& members, std::string_view name, std::string_view text) {
    std::string value;
    append_json_string(value, text);
    append_raw_member(members, name, value);
}

std::string with_members_appended(std::string_view object_json, std::string_view members) {
    bool is_object = object_json.size() >= 2 && object_json.front() == '{' && object_json.back() == '}';
    if (members.empty() || !is_object) return std::string(object_json);
    std::string_view kept = json::trimmed(object_json.substr(0, object_json.size() - 1));
    std::string out;
    out.reserve(object_json.size() + members.size() + 1);
    out += kept;
    if (kept.size() > 1) out += ',';
    out += members;
    out += object_json.substr(kept.size());
    return out;
}

}  // namespace rc::proto
