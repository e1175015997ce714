#pragma once

#include <memory>
#include <string_view>

#include "json_text.h"
#include "ringcast/base/result.h"

namespace rc::proto::json {

/// Judges whole texts: the one door to simdjson. Its parser and padded scratch grow to the longest text
/// that was seen (about 15 bytes for each of its bytes) and stay.
class Document {
  public:
    Document();
    ~Document();

    /// Whether text is one JSON value with nothing behind it, at most 16 levels deep, in valid UTF-8. Numbers
    /// of any size and precision are JSON, and so are escapes of half a surrogate pair: what cuts a text
    /// between two UTF-16 units sends them.
    /// @return the value, inside text
    /// Errors: invalid_message in words for a person; internal_error when memory ran out.
    /// Core: own core only. Cost: O(text).
    /// Source: RFC 8259; contract.md 3.
    [[nodiscard]] Result<Value> validate(std::string_view text);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace rc::proto::json
