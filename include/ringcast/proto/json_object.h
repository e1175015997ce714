#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ringcast/base/result.h"
#include "ringcast/base/user_id.h"

/// JSON objects that are neither a client's message nor a publication, such as a token's claims or a list of
/// keys: read once, strictly, then asked by name.
namespace rc::proto {

/// One value. What it is not is nullopt, never a guess: "7" is no integer, 7.0 and 7e0 are none, and null is
/// nothing at all. Valid as long as the object that it was found in.
class JsonField {
  public:
    explicit JsonField(std::string_view raw) : raw_(raw) {}

    /// As it was sent, without white space around it.
    [[nodiscard]] std::string_view raw() const { return raw_; }
    /// Nothing for a string with half of a surrogate pair, too: it is no text.
    [[nodiscard]] std::optional<std::string> text() const;
    /// From 0 to 2^64-1, without sign, fraction or exponent.
    [[nodiscard]] std::optional<uint64_t> integer() const;
    /// By the rule of every `userId`: an integer from 0 to 2^53-1, or a string of 1-128 bytes without control
    /// characters.
    [[nodiscard]] std::optional<UserId> user_id() const;
    [[nodiscard]] std::optional<std::vector<JsonField>> elements() const;

  private:
    std::string_view raw_;
};

/// The members of one object, each name once. Cost of find(): O(members).
class JsonObject {
  public:
    [[nodiscard]] std::optional<JsonField> find(std::string_view name) const;

  private:
    friend class JsonReader;
    std::unique_ptr<const std::string> text_;  // that the members point into
    std::vector<std::pair<std::string, JsonField>> members_;
};

/// Reads objects; keeps its parser's memory, which grows to the longest text that was seen.
class JsonReader {
  public:
    JsonReader();
    ~JsonReader();
    JsonReader(JsonReader&&) noexcept;
    JsonReader& operator=(JsonReader&&) noexcept;

    /// Errors: invalid_message for what is no JSON (RFC 8259, at most 16 levels deep), no object, or has a
    /// name twice at its top; internal_error when memory ran out. Core: one at a time. Cost: O(text + members
    /// log members).
    [[nodiscard]] Result<JsonObject> object(std::string_view text);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace rc::proto
