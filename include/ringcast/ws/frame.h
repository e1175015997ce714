#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "ringcast/base/shared_bytes.h"
#include "ringcast/ws/close_code.h"

namespace rc::ws {

/// RFC 6455 section 5.2; the other values are reserved and never accepted.
enum class Opcode : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// Which end of a connection one is. A client masks its frames, a server does not.
enum class Role : uint8_t { client, server };

constexpr uint32_t kControlPayloadBytesMax = 125;
constexpr uint32_t kFrameHeadBytesMax = 14;  // 2, up to 8 of length, 4 of mask key

using MaskKey = std::array<uint8_t, 4>;

/// The bytes before the payload of an unmasked frame, without a heap node.
struct FrameHeadBytes {
    std::array<char, kFrameHeadBytesMax> bytes;
    uint8_t size = 0;

    std::string_view view() const { return {bytes.data(), size}; }
};

/// The head of an unmasked frame, the length in its minimal form. Control frames: at most 125 bytes and
/// final; asserted. Core: any. Cost: no allocation.
FrameHeadBytes frame_head(Opcode opcode, uint64_t payload_bytes, bool final = true);

/// One unmasked text frame for any number of connections. The payload must be valid UTF-8.
/// Core: any. Cost: one allocation, one copy.
SharedBytes text_frame(std::string_view payload);

/// One unmasked frame: what a server sends. Cost: one allocation, one copy.
std::string encode_frame(Opcode opcode, std::string_view payload, bool final = true);

/// One masked frame: what a client sends (the load generator and tests). Cost: as encode_frame().
std::string encode_masked_frame(Opcode opcode, std::string_view payload, MaskKey mask_key, bool final = true);

/// The payload of a close frame: the code, then the reason cut at a code point to 123 bytes.
std::string close_payload(uint16_t code, std::string_view reason);

/// An unmasked close frame. @param reason  valid UTF-8, cut to 123 bytes
std::string encode_close(CloseCode code, std::string_view reason);

}  // namespace rc::ws
