#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <variant>
#include <vector>

#include "ringcast/base/result.h"
#include "ringcast/base/user_id.h"

/// What clients may say: one JSON text to one typed message (contract.md 3).
namespace rc::proto {

/// A message's top-level `id` as the JSON token that its answer echoes: `7` or `"abc"` with the quotes.
struct MessageId {
    std::string json;

    friend bool operator==(const MessageId&, const MessageId&) = default;
};

/// Absent fields are nullopt or false. `"topics":[]` is a list that is empty, not an absent one.
struct Subscribe {
    std::optional<UserId> user;
    std::optional<std::vector<std::string>> topics;  // as sent: see is_topic_name()
    std::optional<std::string> token;
    bool replay_unread = false;
    std::optional<std::string> since;  // "0", or an offset's text of sound shape; never with replay_unread
    bool offsets = false;
    bool sync = false;
};

struct Unsubscribe {
    std::optional<UserId> user;
    std::optional<std::vector<std::string>> topics;  // as sent
};

struct MarkRead {
    std::string notification_id;  // 1-256 bytes
};

struct Pong {};

struct ClientMessage {
    std::optional<MessageId> id;
    std::variant<Subscribe, Unsubscribe, MarkRead, Pong> body;
};

/// Why a text is no message. `id` is the one to answer with, where it could be read and is allowed.
struct ClientError {
    std::optional<MessageId> id;
    Error error;
};

/// Turns client texts into messages. One a core: it keeps the parser and its padded scratch, which grow to
/// the longest text that was seen.
class ClientDecoder {
  public:
    ClientDecoder();
    ~ClientDecoder();
    ClientDecoder(ClientDecoder&&) noexcept;
    ClientDecoder& operator=(ClientDecoder&&) noexcept;

    /// @param text  any bytes; lent for the call
    /// Errors: invalid_message, with words for the client's author that hold at most 64 bytes of the text;
    /// internal_error when memory ran out. The names of topics are not judged here, because the session
    /// answers those later and with another code.
    /// Core: own core only. Cost: O(text).
    /// Source: contract.md 3.
    [[nodiscard]] tl::expected<ClientMessage, ClientError> decode(std::string_view text);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Whether clients may subscribe to, and backends publish to, a topic of this name: 1-128 characters of
/// `A-Z a-z 0-9 . _ : -`.
bool is_topic_name(std::string_view name) noexcept;

/// The user whom a text names, as in a path: the same rule as for a `userId` string. nullopt for anything
/// else, bytes that are no UTF-8 included.
std::optional<UserId> user_id_of(std::string_view text);

/// Whether text is `0` or an offset's shape, `<epoch>-<n>`: 1-32 characters of `0-9 a-z`, then a decimal
/// uint64 without leading zeros. Whether such an offset exists is the store's knowledge.
bool is_offset_text(std::string_view text) noexcept;

}  // namespace rc::proto
