#include "ringcast/ws/frame.h"

#include "ringcast/base/assert.h"
#include "ringcast/base/limits.h"
#include "ringcast/ws/utf8.h"

namespace rc::ws {
namespace {

constexpr char kFinalBit = static_cast<char>(0x80);
constexpr char kMaskBit = static_cast<char>(0x80);

void append_big_endian(FrameHeadBytes& head, uint64_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
        head.bytes[head.size++] = static_cast<char>(value >> shift & 0xFF);
    }
}

}  // namespace

FrameHeadBytes frame_head(Opcode opcode, uint64_t payload_bytes, bool final) {
    const bool control = (static_cast<uint8_t>(opcode) & 8) != 0;
    RC_ASSERT(!control || (final && payload_bytes <= kControlPayloadBytesMax));
    FrameHeadBytes head;
    head.bytes[head.size++] = static_cast<char>(static_cast<char>(opcode) | (final ? kFinalBit : 0));
    if (payload_bytes <= 125) {
        head.bytes[head.size++] = static_cast<char>(payload_bytes);
    } else if (payload_bytes <= 0xFFFF) {
        head.bytes[head.size++] = 126;
        append_big_endian(head, payload_bytes, 2);
    } else {
        head.bytes[head.size++] = 127;
        append_big_endian(head, payload_bytes, 8);
    }
    return head;
}

SharedBytes text_frame(std::string_view payload) {
    return SharedBytes::join({frame_head(Opcode::text, payload.size()).view(), payload});
}

std::string encode_frame(Opcode opcode, std::string_view payload, bool final) {
    const FrameHeadBytes head = frame_head(opcode, payload.size(), final);
    std::string frame;
    frame.reserve(head.size + payload.size());
    return frame.append(head.view()).append(payload);
}

std::string encode_masked_frame(Opcode opcode, std::string_view payload, MaskKey mask_key, bool final) {
    FrameHeadBytes head = frame_head(opcode, payload.size(), final);
    head.bytes[1] = static_cast<char>(head.bytes[1] | kMaskBit);
    for (uint8_t byte : mask_key)
        head.bytes[head.size++] = static_cast<char>(byte);
    std::string frame;
    frame.reserve(head.size + payload.size());
    frame.append(head.view()).append(payload);
    for (size_t i = 0; i < payload.size(); ++i) {
        frame[head.size + i] = static_cast<char>(static_cast<uint8_t>(payload[i]) ^ mask_key[i % 4]);
    }
    return frame;
}

std::string close_payload(uint16_t code, std::string_view reason) {
    std::string payload;
    payload.push_back(static_cast<char>(code >> 8));
    payload.push_back(static_cast<char>(code & 0xFF));
    return payload.append(cut_at_code_point(reason, limits::kCloseReasonBytesMax));
}

std::string encode_close(CloseCode code, std::string_view reason) {
    return encode_frame(Opcode::close, close_payload(static_cast<uint16_t>(code), reason));
}

}  // namespace rc::ws
