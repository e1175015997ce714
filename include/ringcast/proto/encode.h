#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ringcast/base/result.h"
#include "ringcast/proto/client_message.h"

/// The JSON texts that the server sends: payloads, without frame headers. Every one is valid JSON in valid
/// UTF-8 for any bytes in its text arguments; arguments named `..._json` are trusted to be JSON already.
/// Errors: none. Core: any. Cost: O(result).
namespace rc::proto {

inline constexpr std::string_view kHeartbeat = R"({"type":"ping"})";

/// `{"type":"error","data":{"code":…,"message":…}}`, with the `id` of the message that it answers.
std::string encode_error(Errc code, std::string_view message, const std::optional<MessageId>& id);

/// `{"type":"ack","data":…}`, with the `id` of the message that it answers.
/// @param data_json  `{}`, or what the contract has for the message
std::string encode_ack(const std::optional<MessageId>& id, std::string_view data_json);

/// `{"type":…,"data":…}`
/// @param offset  empty for none, else `,"offset":"…"` behind data
std::string encode_message(std::string_view type, std::string_view data_json, std::string_view offset = {});
/// Likewise, behind what stands in `out`.
void append_message(std::string& out, std::string_view type, std::string_view data_json,
                    std::string_view offset = {});

/// Another connection of the user marked one notification read.
/// @param offset  empty for none
std::string encode_notification_read(std::string_view notification_id, uint64_t unread,
                                     std::string_view offset = {});

/// The backend marked all of the user's notifications read.
/// @param offset  empty for none
std::string encode_all_read(std::string_view offset = {});

/// `{"error":{"code":…,"message":…}}`, the body of the API's refusals.
std::string encode_api_error(std::string_view code, std::string_view message);

/// The same object with the value of its `read` replaced, all other bytes kept; a missing one is appended.
/// @param notification_json  a notification's data as fill_in() made it
std::string with_read(std::string_view notification_json, bool read);

/// Appends text as a JSON string, with its quotes. Bytes that are no UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace rc::proto
