#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Walks JSON text by its tokens, so that what was sent can be kept byte for byte. All of it expects text
/// that Document has validated; on any other text it stays inside the view and ends early.
namespace rc::proto::json {

enum class Kind : uint8_t { object, array, string, number, boolean, null };

/// One value as the bytes that it was sent in, without white space around it.
struct Value {
    std::string_view raw;

    [[nodiscard]] Kind kind() const;
};

/// For error texts: "an object", "a list", ...
std::string_view kind_name(Kind kind);

/// An escape of a string, with the second half of a surrogate pair where it is one.
struct UnicodeEscape {
    uint32_t point;
    size_t bytes;  // of the text
    bool half;     // of a pair, the other half missing: JSON, but no character
};
/// Nothing when the text does not begin with `\u` and four digits.
std::optional<UnicodeEscape> unicode_escape(std::string_view text);

/// Whether a string token holds half of a surrogate pair.
bool has_half_pair(std::string_view string_raw);

/// The text of a string token, escapes decoded. May hold U+0000; U+FFFD stands for half of a surrogate pair.
std::string unescape(std::string_view string_raw);

/// The value of an integer token without sign, fraction or exponent; nullopt for any other token, `-0`
/// included, and above 2^64-1.
std::optional<uint64_t> unsigned_integer(std::string_view number_raw);

/// Nested objects and lists, the outermost counting one; 0 for a scalar.
uint32_t levels(std::string_view text);

/// The text without white space at its ends.
std::string_view trimmed(std::string_view text);

/// Steps through the members of an object, those of its own level only.
class Members {
  public:
    /// @param object_raw  must outlive this; text that is no object has no members
    explicit Members(std::string_view object_raw);

    bool next();
    /// Unescaped; valid until next().
    [[nodiscard]] std::string_view key() const { return key_; }
    [[nodiscard]] Value value() const { return value_; }

  private:
    std::string_view text_;
    size_t at_ = 0;
    std::string unescaped_key_;
    std::string_view key_;
    Value value_;
};

/// Steps through the elements of a list.
class Elements {
  public:
    /// @param array_raw  must outlive this; text that is no list has no elements
    explicit Elements(std::string_view array_raw);

    bool next();
    [[nodiscard]] Value value() const { return value_; }

  private:
    std::string_view text_;
    size_t at_ = 0;
    Value value_;
};

}  // namespace rc::proto::json
