#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ringcast/base/result.h"
#include "ringcast/base/time.h"
#include "ringcast/base/user_id.h"

/// What backends may say: the body of `POST /api/publish`, or one line of its NDJSON form (contract.md 4).
namespace rc::proto {

/// Who gets a publication. Either broadcast, or users, a topic, or users with a topic.
struct Target {
    std::vector<UserId> users;         // each once, in the order sent; at most 10,000
    bool one_user_addressed = false;   // exactly one user, by userId or userIds: the answer names an offset
    std::optional<std::string> topic;  // a valid name
    bool broadcast = false;
};

/// A publication that passed every rule which needs no store. Valid while the decoded body lives.
struct PublishRequest {
    std::string type;
    Target target;
    std::string_view data_raw;      // `data` byte for byte, inside the body; never empty
    bool is_document_type = false;  // notification, job_update or application_status: gets a timestamp
    bool is_notification = false;
    std::optional<std::string> notification_id;  // of a notification that brought its own
    bool has_read = false;                       // a notification that brought its own read state
    bool read = false;                           // that state
    bool has_timestamp = false;
    bool store = true;                           // false: live only
    std::optional<Duration> ttl;                 // of what is stored; whole seconds
    std::optional<std::string> idempotency_key;  // from an NDJSON line only
};

/// Whether a text is a line of a batch, where the idempotency key is a field instead of a header.
enum class Batch : bool { no, yes };

/// Turns publish bodies into requests. One a core: it keeps the parser and its padded scratch, which grow
/// to the longest body that was seen.
class PublishDecoder {
  public:
    PublishDecoder();
    ~PublishDecoder();
    PublishDecoder(PublishDecoder&&) noexcept;
    PublishDecoder& operator=(PublishDecoder&&) noexcept;

    /// @param body            any bytes; must outlive the request, whose data_raw points into it
    /// @param data_bytes_max  of `data`, as sent
    /// Errors: too_large (413) for the message or its data, invalid_message (400) for all else, naming the
    /// field; internal_error when memory ran out.
    /// Core: own core only. Cost: O(body).
    /// Source: contract.md 4.
    [[nodiscard]] Result<PublishRequest> decode(std::string_view body, Batch batch, size_t data_bytes_max);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// What the server adds where the publisher left it out.
struct FillIn {
    std::string_view id;         // a notification's
    std::string_view timestamp;  // RFC 3339
};

/// `data` as it reaches clients: the bytes sent and, in the three types of the user's document, the missing
/// ones of id and read (notifications) and timestamp, in this order, behind the last member.
/// Errors: none. Core: any. Cost: one copy of data.
std::string fill_in(const PublishRequest& request, const FillIn& missing);

/// The reason in a body of `POST /api/users/{id}/disconnect`: nullopt for an empty body, or one without
/// `reason` or with an empty one.
/// Errors: invalid_message for anything but an object, a `reason` that is no string, stands twice or is
/// longer than a close frame takes (123 bytes).
/// Core: any. Cost: O(body), with a parser of its own.
Result<std::optional<std::string>> decode_disconnect_reason(std::string_view body);

}  // namespace rc::proto
