#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ringcast/http/request.h"

namespace rc::http {

/// Reads the body that a head announced, by Content-Length or chunked, in any number of pieces.
/// Memory follows the bytes that came, never a number that was announced.
///
/// Statuses: 413 over max_bytes (at once where the head says so), 400 malformed chunks. Chunk extensions (up
/// to 256 bytes a chunk) and trailers (up to 8 KiB) are checked and ignored. After a failure: answer and
/// close.
///
/// Core: one at a time. Cost: O(bytes); each byte is looked at once, data is copied once.
/// Source: RFC 9112 sections 6 and 7; contract section 4.
class BodyParser {
  public:
    enum class State : uint8_t { need_more, complete, failed };

    /// Begins the body of this request; complete at once if it has none. The head is not kept.
    /// @param max_bytes  of the decoded body
    State start(const RequestHead& head, uint64_t max_bytes);

    /// Takes bytes up to the end of the body, and none after it, and appends the data to `body`. Only while
    /// more is needed. @param consumed  set to how many were taken
    State feed(std::string_view bytes, size_t& consumed, std::string& body);

    State state() const { return state_; }
    const ParseFailure& failure() const;  // only when failed
    /// Bytes of data so far.
    uint64_t received() const { return received_; }

  private:
    enum class At : uint8_t {
        data,  // of a Content-Length, or of one chunk
        size_first,
        size,
        extension_blank,
        extension,
        size_line_feed,
        data_return,
        data_line_feed,
        trailer_start,
        trailer_name,
        trailer_value,
        trailer_line_feed,
        last_line_feed,
    };

    void scan(char byte);
    void scan_trailer(char byte);
    void end_size();
    void refuse(int status, std::string_view message);

    State state_ = State::complete;
    At at_ = At::data;
    bool chunked_ = false;
    uint32_t size_digits_ = 0;
    uint32_t extension_bytes_ = 0;  // of this chunk
    uint32_t trailer_bytes_ = 0;
    uint64_t max_bytes_ = 0;
    uint64_t received_ = 0;
    uint64_t left_ = 0;  // of the data announced by the head or by this chunk
    ParseFailure failure_;
};

}  // namespace rc::http
