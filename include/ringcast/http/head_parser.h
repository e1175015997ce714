#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ringcast/http/request.h"

namespace rc::http {

/// Reads one request head, in any number of pieces. A strict subset of RFC 9112: whatever two programs could
/// read in two ways is refused (hazards: smuggling). Every byte is looked at once as it arrives, so a client
/// that sends byte by byte costs no more than one that does not, and rubbish fails at its first wrong byte.
/// The complete head goes once through Boost.Beast's parser, which splits it.
///
/// Statuses: 400 malformed or ambiguous, 417 an expectation other than 100-continue, 431 over max_bytes or
/// over 64 fields, 501 unknown method or transfer coding, 505 version. After a failure the position in the
/// stream is lost: answer and close.
///
/// Core: one at a time. Cost: O(bytes); holds at most max_bytes, kept over reset().
/// Source: RFC 9112; contract section 2 (header_bytes).
class HeadParser {
  public:
    /// @param max_bytes  of the whole head, request line and last empty line included; above zero
    explicit HeadParser(uint32_t max_bytes);
    HeadParser(const HeadParser&) = delete;
    HeadParser& operator=(const HeadParser&) = delete;

    enum class State : uint8_t { need_more, complete, failed };

    /// Takes the bytes up to the end of the head, and none after it; once failed or complete only reset()
    /// may follow. @param consumed  set to how many were taken
    State feed(std::string_view bytes, size_t& consumed);

    State state() const { return state_; }
    /// True if a request has begun: between two requests a connection may close without an answer.
    bool started() const { return !text_.empty(); }
    const RequestHead& head() const;      // only when complete
    const ParseFailure& failure() const;  // only when failed
    /// Ready for the next request; every view of head() ends here.
    void reset();

    /// Bytes looked at since the last reset(): what the work is proportional to.
    uint64_t bytes_scanned() const { return bytes_scanned_; }

  private:
    enum class At : uint8_t {
        method,
        target,
        version,
        request_line_feed,
        line_start,
        name,
        value,
        line_feed,
        last_line_feed,
        end,
    };

    void scan(char byte);
    size_t skip_run(std::string_view bytes);
    void scan_method(char byte);
    void scan_target(char byte);
    void scan_version(char byte);
    void conclude();
    void judge_framing();
    void judge_host();
    void judge_target();
    void judge_connection();
    void refuse(int status, std::string_view message);

    uint32_t max_bytes_;
    State state_ = State::need_more;
    At at_ = At::method;
    std::array<char, 8> word_{};  // the method or the version so far
    uint32_t element_bytes_ = 0;  // of the method, target or version so far
    uint32_t fields_ = 0;
    uint64_t bytes_scanned_ = 0;
    std::string text_;
    RequestHead head_;
    ParseFailure failure_;
};

}  // namespace rc::http
