#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "ringcast/ws/codec.h"

namespace rc::ws {

constexpr MaskKey kMask{0x37, 0xfa, 0x21, 0x3d};

/// Writes down what a decoder reports, one line each, and stops it after so many if asked.
class Recorder : public CodecSink {
  public:
    void on_message(Opcode opcode, std::string_view payload) override {
        note(opcode == Opcode::text ? "text " : "binary ", payload);
    }
    void on_ping(std::string_view payload) override { note("ping ", payload); }
    void on_pong(std::string_view payload) override { note("pong ", payload); }
    void on_close(const CloseBody& body) override {
        note("close ", std::to_string(body.code) + " " + std::string(body.reason));
    }
    void on_failure(CloseCode code, std::string_view) override {
        note("fail ", std::to_string(static_cast<uint16_t>(code)));
    }

    std::vector<std::string> events;
    Decoder* stop_decoder = nullptr;
    size_t stop_after = 0;

  private:
    void note(std::string_view kind, std::string_view payload) {
        events.push_back(std::string(kind) + std::string(payload));
        if (stop_decoder && events.size() == stop_after) stop_decoder->stop();
    }
};

using Events = std::vector<std::string>;

inline std::string masked(Opcode opcode, std::string_view payload, bool final = true) {
    return encode_masked_frame(opcode, payload, kMask, final);
}

inline std::string fragmented(Opcode opcode, std::string_view payload, size_t fragment_bytes) {
    std::string wire;
    for (size_t at = 0; at == 0 || at < payload.size(); at += fragment_bytes) {
        const bool final = at + fragment_bytes >= payload.size();
        wire += masked(at == 0 ? opcode : Opcode::continuation, payload.substr(at, fragment_bytes), final);
    }
    return wire;
}

/// A masked head with any bits and length, in any of the three forms of a length.
inline std::string raw_head(uint8_t first, uint64_t length, int length_bytes, bool with_mask = true) {
    std::string head(1, static_cast<char>(first));
    const auto mask_bit = static_cast<uint8_t>(with_mask ? 0x80 : 0);
    const uint64_t short_length = length_bytes == 0 ? length : length_bytes == 2 ? 126 : 127;
    head.push_back(static_cast<char>(mask_bit | short_length));
    for (int i = length_bytes - 1; i >= 0; --i)
        head.push_back(static_cast<char>(length >> (8 * i) & 0xFF));
    if (with_mask) head.append(reinterpret_cast<const char*>(kMask.data()), kMask.size());
    return head;
}

/// What comes out when the wire arrives in pieces of the given sizes, the last one over and over.
inline Events decode(std::string_view wire, const std::vector<size_t>& pieces,
                     const CodecLimits& limits = {}) {
    FramePool pool;
    Decoder decoder;
    Recorder recorder;
    for (size_t at = 0, i = 0; at < wire.size(); i = std::min(i + 1, pieces.size() - 1)) {
        // A piece of its own on the heap, so that the sanitizer sees a read past its end.
        const std::vector<char> piece(
            wire.begin() + static_cast<std::ptrdiff_t>(at),
            wire.begin() + static_cast<std::ptrdiff_t>(std::min(at + pieces[i], wire.size())));
        decoder.feed(pool, limits, {piece.data(), piece.size()}, recorder);
        at += piece.size();
    }
    return recorder.events;
}

inline Events decode_whole(std::string_view wire, const CodecLimits& limits = {}) {
    return decode(wire, {wire.size()}, limits);
}

}  // namespace rc::ws
