#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rc::bench {

/// The least of HTTP and RFC 6455 that a client and a publisher need to take this program for a server.
/// It trusts them: nothing is validated, and what is not understood ends the program's usefulness, not its
/// peer's.

/// A request that is whole: its head, its body, and how many bytes both are. Nothing before that.
struct Request {
    std::string_view head, body;
    std::size_t size = 0;
};
std::optional<Request> next_request(std::string_view bytes);
/// The value of a header, or nothing. @param lower_name  "\r\nsec-websocket-key:"
std::string_view header_value(std::string_view head, std::string_view lower_name);

/// The 101 answer to a head that holds a key.
std::string switching_answer(std::string_view head);

/// What a publication's receivers get: a text frame with its `type` and `data` as they stand in the body.
std::string frame_of_publication(std::string_view body);
/// A server's frame with this payload. @param opcode  as it came from a client
std::string frame_of(uint8_t opcode, std::string_view payload);
/// The integer behind `"userId":`, if there is one.
std::optional<uint64_t> user_of(std::string_view json);

/// A client's frame that is whole: its payload is unmasked into `payload`. @return its size; 0: not whole yet
std::size_t take_frame(std::string_view bytes, uint8_t& opcode, std::string& payload);

}  // namespace rc::bench
