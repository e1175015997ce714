#include "ringcast/http/body_parser.h"

#include <algorithm>

#include "grammar.h"
#include "ringcast/base/assert.h"
#include "ringcast/base/limits.h"

namespace rc::http {
namespace {

constexpr uint32_t kSizeDigitsMax = 16;  // of a 64-bit number in hex, leading zeros counted

}  // namespace

BodyParser::State BodyParser::start(const RequestHead& head, uint64_t max_bytes) {
    RC_ASSERT(!(head.chunked && head.content_length));
    *this = BodyParser{};
    max_bytes_ = max_bytes;
    state_ = State::need_more;
    if (head.chunked) {
        chunked_ = true;
        at_ = At::size_first;
        return state_;
    }
    left_ = head.content_length.value_or(0);
    if (left_ > max_bytes) {
        refuse(413, "the body is larger than this server accepts");
    } else if (left_ == 0) {
        state_ = State::complete;
    }
    return state_;
}

BodyParser::State BodyParser::feed(std::string_view bytes, size_t& consumed, std::string& body) {
    RC_ASSERT(state_ == State::need_more);
    size_t taken = 0;
    while (state_ == State::need_more && taken < bytes.size()) {
        if (at_ != At::data) {
            scan(bytes[taken++]);
            continue;
        }
        RC_ASSERT(left_ > 0);
        const auto part =
            bytes.substr(taken, static_cast<size_t>(std::min<uint64_t>(left_, bytes.size() - taken)));
        body.append(part);
        taken += part.size();
        left_ -= part.size();
        received_ += part.size();
        RC_ASSERT(received_ <= max_bytes_);
        if (left_ > 0) break;
        if (chunked_) {
            at_ = At::data_return;
        } else {
            state_ = State::complete;
        }
    }
    consumed = taken;
    return state_;
}

const ParseFailure& BodyParser::failure() const {
    RC_ASSERT(state_ == State::failed);
    return failure_;
}

// Not Beast's decoder: that one is entered only by way of a head, wants each chunk's line, and all trailers,
// in one piece of memory, and reads a trailer's Content-Length as if it stood in the head.
void BodyParser::scan(char byte) {
    switch (at_) {
        case At::size_first:
            if (hex_value(byte) < 0) return refuse(400, "a chunk must begin with its size in hex digits");
            left_ = static_cast<uint64_t>(hex_value(byte));
            size_digits_ = 1;
            extension_bytes_ = 0;
            at_ = At::size;
            return;
        case At::size:
            if (byte == '\r') {
                at_ = At::size_line_feed;
            } else if (byte == ';') {
                at_ = At::extension;
            } else if (byte == ' ' || byte == '\t') {
                at_ = At::extension_blank;
            } else if (hex_value(byte) < 0) {
                refuse(400, "a chunk's size must be hex digits alone");
            } else if (size_digits_ == kSizeDigitsMax) {
                refuse(400, "a chunk's size must have at most 16 digits");
            } else {
                left_ = left_ << 4 | static_cast<uint64_t>(hex_value(byte));
                ++size_digits_;
            }
            return;
        case At::extension_blank:
        case At::extension:
            // From the first byte after the size on, blanks and semicolon included.
            if (byte == '\r' && at_ == At::extension) {
                at_ = At::size_line_feed;
                return;
            }
            if (++extension_bytes_ >= limits::kChunkExtensionBytesMax) {
                return refuse(400, "a chunk's extension is longer than 256 bytes");
            }
            if (at_ == At::extension) {
                if (!is_a(byte, kValueByte)) refuse(400, "a chunk's extension holds a control character");
            } else if (byte == ';') {
                at_ = At::extension;
            } else if (byte != ' ' && byte != '\t') {
                refuse(400, "a chunk's size must be followed by CR LF");
            }
            return;
        case At::size_line_feed:
            if (byte != '\n') return refuse(400, "a chunk's size must be followed by CR LF");
            return end_size();
        case At::data_return:
            if (byte != '\r') return refuse(400, "a chunk's data must be followed by CR LF");
            at_ = At::data_line_feed;
            return;
        case At::data_line_feed:
            if (byte != '\n') return refuse(400, "a chunk's data must be followed by CR LF");
            at_ = At::size_first;
            return;
        case At::trailer_start:
        case At::trailer_name:
        case At::trailer_value:
        case At::trailer_line_feed:
        case At::last_line_feed: return scan_trailer(byte);
        case At::data: RC_ASSERT(false);
    }
}

void BodyParser::end_size() {
    if (left_ == 0) {
        at_ = At::trailer_start;
        return;
    }
    if (left_ > max_bytes_ - received_) return refuse(413, "the body is larger than this server accepts");
    at_ = At::data;
}

// Trailers are checked like headers, because what follows them is the next request, and then forgotten.
void BodyParser::scan_trailer(char byte) {
    if (++trailer_bytes_ > limits::kTrailerBytesMax) return refuse(400, "the trailers are longer than 8 KiB");
    switch (at_) {
        case At::trailer_start:
            if (byte == '\r') {
                at_ = At::last_line_feed;
            } else if (is_a(byte, kTokenByte)) {
                at_ = At::trailer_name;
            } else {
                refuse(400, "a trailer must begin with its name");
            }
            return;
        case At::trailer_name:
            if (byte == ':') {
                at_ = At::trailer_value;
            } else if (!is_a(byte, kTokenByte)) {
                refuse(400, "a trailer must be a name, a colon at once, and a value");
            }
            return;
        case At::trailer_value:
            if (byte == '\r') {
                at_ = At::trailer_line_feed;
            } else if (!is_a(byte, kValueByte)) {
                refuse(400, "a trailer's value holds a control character");
            }
            return;
        case At::trailer_line_feed:
            if (byte != '\n') return refuse(400, "a trailer must end with CR LF");
            at_ = At::trailer_start;
            return;
        case At::last_line_feed:
            if (byte != '\n') return refuse(400, "the trailers must end with CR LF");
            state_ = State::complete;
            return;
        default: RC_ASSERT(false);
    }
}

void BodyParser::refuse(int status, std::string_view message) {
    RC_ASSERT(state_ == State::need_more);
    state_ = State::failed;
    failure_ = ParseFailure{status, std::string(message)};
}

}  // namespace rc::http
