#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "ringcast/base/limits.h"
#include "ringcast/base/time.h"
#include "ringcast/ws/close_code.h"
#include "ringcast/ws/frame.h"

namespace rc::ws {

/// What a peer may send. Lent to every feed(), so that a connection holds no copy.
struct CodecLimits {
    uint64_t message_bytes_max = limits::kMessageBytes;
    uint32_t fragments_max = limits::kFragmentsMax;  // frames of one message, empty ones included
    Role peer_role = Role::client;                   // a client's frames must be masked, a server's must not
    bool accept_binary = true;                       // false: fails with `unsupported` at the frame's head
};

/// What feed() finds, in the order of arrival. Called inside feed(); every view is lent for the call.
/// After on_close or on_failure nothing more comes. None of these may throw, feed the same decoder, or
/// destroy it or its pool.
class CodecSink {
  public:
    virtual ~CodecSink() = default;
    /// A whole message, opcode text or binary; text is valid UTF-8.
    virtual void on_message(Opcode opcode, std::string_view payload) = 0;
    virtual void on_ping(std::string_view payload) = 0;
    virtual void on_pong(std::string_view payload) = 0;
    /// A well-formed close frame; code 1005 if it was empty.
    virtual void on_close(const CloseBody& body) = 0;
    /// The peer broke a rule, or the core has no room for one more half frame (try_again_later).
    /// @param code  to close with  @param why  for the log, a literal
    virtual void on_failure(CloseCode code, std::string_view why) = 0;
};

/// How much one core holds for messages that have begun and are not complete. Above either, the connection
/// that asks for more fails with try_again_later: a flood of half frames costs its senders, nobody else.
struct FramePoolLimits {
    uint32_t contexts_max = limits::kHalfFramesMax;
    uint64_t bytes_max = limits::kHalfMessageBytesMax;  // contexts and assembly buffers together
};

/// One core's wslay frame contexts and assembly buffers. A decoder takes from it only while a frame or a
/// message is partial. Core: its own. Must outlive every Decoder that was fed with it.
class FramePool {
  public:
    explicit FramePool(FramePoolLimits limits = {});
    ~FramePool();
    FramePool(const FramePool&) = delete;
    FramePool& operator=(const FramePool&) = delete;

    /// Connections that hold a wslay context, because the payload of a frame is partial.
    uint32_t contexts_attached() const { return contexts_attached_; }
    /// Connections with a frame or a message that has begun and is not complete.
    uint32_t partials_attached() const { return partials_attached_; }
    /// Bytes that those connections hold; spares are not counted (at most 64 of each kind are kept).
    uint64_t bytes_held() const { return bytes_held_; }

  private:
    friend class Decoder;
    struct Context;
    struct Partial;
    struct GiveBack {
        void operator()(Context* context) const noexcept;
        void operator()(Partial* partial) const noexcept;
    };
    using ContextPtr = std::unique_ptr<Context, GiveBack>;
    using PartialPtr = std::unique_ptr<Partial, GiveBack>;

    /// Null if wslay has no memory.
    ContextPtr take_context();
    /// Counts the context as attached. False if the pool is at a limit.
    [[nodiscard]] bool attach(Context& context);
    /// Null if the pool is at a limit.
    PartialPtr take_partial();
    /// Room for `bytes` more in the assembly buffer, doubling it up to message_bytes_max. False if the pool
    /// is at a limit.
    [[nodiscard]] bool grow(Partial& partial, size_t bytes, uint64_t message_bytes_max);
    bool has_room(uint64_t bytes) const { return bytes <= limits_.bytes_max - bytes_held_; }

    FramePoolLimits limits_;
    uint32_t contexts_attached_ = 0, partials_attached_ = 0;
    uint64_t bytes_held_ = 0;
    std::vector<std::unique_ptr<Context>> spare_contexts_;
    std::vector<std::unique_ptr<Partial>> spare_partials_;
};

/// One connection's inbound side: bytes to messages and control frames. What it reports does not depend on
/// how the bytes were cut. Between messages it is 16 bytes and holds nothing.
///
/// Failures: protocol_error for what RFC 6455 forbids (masking, RSV, opcodes, control frames, lengths that
/// are not minimal, sequence); too_big at the head of the frame that passes message_bytes_max or
/// fragments_max; unsupported at the head of a binary frame; invalid_payload at the first chunk of a text
/// that cannot be UTF-8 any more; try_again_later if the pool is at a limit.
/// Source: RFC 6455 section 5; contract.md 2.
class Decoder {
  public:
    Decoder() = default;
    ~Decoder();
    Decoder(Decoder&&) noexcept = default;
    Decoder& operator=(Decoder&&) noexcept = default;

    /// Takes all of the input. @return bytes of it that were dropped: behind a close frame, a failure, stop()
    /// Core: the pool's. Cost: O(input); a whole frame of up to 4 KiB within the input allocates nothing.
    size_t feed(FramePool& pool, const CodecLimits& limits, std::string_view input, CodecSink& sink);

    /// Ends decoding, also from within a callback: nothing more is reported, and what is held goes back.
    void stop();
    /// True after a close frame, a failure or stop().
    bool stopped() const { return stopped_; }
    /// True if a message or a frame has begun and is not complete: its owner runs the message deadline.
    bool mid_message() const { return partial_ && !stopped_; }
    /// The owner's deadline for the message or frame that has begun, which ends with it. Only mid_message().
    void set_deadline(MonoTime deadline);
    /// MonoTime::max(): none.
    MonoTime deadline() const;

  private:
    struct Frame;
    using Partial = FramePool::Partial;
    friend class FramePool;

    void step(FramePool& pool, const CodecLimits& limits, std::string_view& input, CodecSink& sink);
    bool read_head(FramePool& pool, const CodecLimits& limits, std::string_view& input, CodecSink& sink,
                   Frame& frame);
    bool begin_frame(FramePool& pool, std::string_view input, CodecSink& sink, Frame& frame);
    bool read_payload(FramePool& pool, const CodecLimits& limits, std::string_view& input, CodecSink& sink,
                      Frame& frame);
    bool take_chunk(FramePool& pool, const CodecLimits& limits, std::string_view chunk, CodecSink& sink,
                    Frame& frame);
    void finish_frame(CodecSink& sink, Frame& frame);
    void finish_control(CodecSink& sink, Opcode opcode, std::string_view payload);
    void finish_message(CodecSink& sink, Frame& frame);
    bool ensure_partial(FramePool& pool, CodecSink& sink);
    bool fail(CodecSink& sink, CloseCode code, std::string_view why);

    FramePool::PartialPtr partial_;
    bool stopped_ = false, feeding_ = false;
};

static_assert(sizeof(Decoder) <= 16, "a waiting connection holds one of these");

}  // namespace rc::ws
