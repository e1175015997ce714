// The one door to wslay. Of its frame API it does the unmasking; its event API is not used (its contexts
// hold 8.6 KB each, it allocates on announcement, and it answers protocol errors with an empty close).
// wslay shows a head only together with the first byte of its payload, so heads are judged here, and it is
// given nothing but the bytes of frames that passed: a context ends every frame at a boundary, by
// construction.
#include "ringcast/ws/codec.h"

#include <wslay/wslay.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <tl/expected.hpp>
#include <utility>

#include "ringcast/base/assert.h"
#include "ringcast/ws/utf8.h"

namespace rc::ws {
namespace {

constexpr size_t kSparesMax = 64;                // of each kind
constexpr size_t kSpareBufferBytesMax = 16'384;  // larger ones are freed
constexpr size_t kBufferBytesMin = 512;
constexpr size_t kChunkBytesMax = 4096;  // wslay's input buffer: what one wslay_frame_recv hands over at most
constexpr uint64_t kWslayBytes = 4'256;  // its frame context

bool is_control(Opcode opcode) {
    return (static_cast<uint8_t>(opcode) & 8) != 0;
}

bool is_known(uint8_t opcode) {
    return opcode <= 2 || (opcode >= 8 && opcode <= 10);
}

struct Head {
    Opcode opcode;
    bool final;
    uint64_t length;  // of the payload
    size_t size;      // of the head, mask key included
};

/// The message that a data frame would join.
struct OpenMessage {
    bool open = false;
    uint32_t fragments = 0;
    uint64_t bytes = 0;
};

struct Violation {
    CloseCode code;
    std::string_view why;
};

tl::unexpected<Violation> violation(CloseCode code, std::string_view why) {
    return tl::unexpected(Violation{code, why});
}

/// Judges as much of a head as is there, in the order of its bytes, so that the outcome does not depend on
/// how they were cut. Empty: more bytes are needed. Lengths stay 64-bit and are never added to anything.
tl::expected<std::optional<Head>, Violation> judge_head(std::string_view bytes, const CodecLimits& limits,
                                                        const OpenMessage& message) {
    if (bytes.size() < 2) return std::nullopt;
    const auto first = static_cast<uint8_t>(bytes[0]), second = static_cast<uint8_t>(bytes[1]);
    const bool final = (first & 0x80) != 0, masked = (second & 0x80) != 0;
    const uint8_t short_length = second & 0x7F;
    if (first & 0x70) return violation(CloseCode::protocol_error, "a reserved bit is set");
    if (!is_known(first & 0x0F)) return violation(CloseCode::protocol_error, "unknown opcode");
    const auto opcode = static_cast<Opcode>(first & 0x0F);
    if (masked != (limits.peer_role == Role::client)) {
        return violation(CloseCode::protocol_error,
                         masked ? "a server's frame is masked" : "a client's frame is not masked");
    }
    if (is_control(opcode)) {
        if (!final) return violation(CloseCode::protocol_error, "a control frame is fragmented");
        if (short_length > kControlPayloadBytesMax) {
            return violation(CloseCode::protocol_error, "a control frame is over 125 bytes");
        }
    } else {
        if (opcode == Opcode::continuation && !message.open) {
            return violation(CloseCode::protocol_error, "a continuation without a message");
        }
        if (opcode != Opcode::continuation && message.open) {
            return violation(CloseCode::protocol_error, "a message begins inside another");
        }
        if (opcode == Opcode::binary && !limits.accept_binary) {
            return violation(CloseCode::unsupported, "binary messages are not accepted");
        }
        if (message.fragments >= limits.fragments_max) {
            return violation(CloseCode::too_big, "too many fragments");
        }
    }

    const size_t length_bytes = short_length == 127 ? 8 : short_length == 126 ? 2 : 0;
    if (bytes.size() < 2 + length_bytes) return std::nullopt;
    uint64_t length = short_length;
    if (length_bytes > 0) {
        length = 0;
        for (char byte : bytes.substr(2, length_bytes))
            length = length << 8 | static_cast<uint8_t>(byte);
        if (length >> 63) return violation(CloseCode::protocol_error, "a length of 2^63 or more");
        if (length < (length_bytes == 2 ? 126U : 65'536U)) {
            return violation(CloseCode::protocol_error, "a length is not in its minimal form");
        }
    }
    if (!is_control(opcode) &&
        (message.bytes > limits.message_bytes_max || length > limits.message_bytes_max - message.bytes)) {
        return violation(CloseCode::too_big, "the message is too big");
    }
    const size_t size = 2 + length_bytes + (masked ? 4 : 0);
    if (bytes.size() < size) return std::nullopt;
    return Head{opcode, final, length, size};
}

}  // namespace

/// A wslay context and the bytes that it reads next.
struct FramePool::Context {
    explicit Context(FramePool& owner) : pool(&owner) {
        const wslay_frame_callbacks callbacks{
            .send_callback = nullptr, .recv_callback = &Context::give, .genmask_callback = nullptr};
        if (wslay_frame_context_init(&wslay, &callbacks, this) != 0) wslay = nullptr;
    }
    ~Context() {
        if (wslay) wslay_frame_context_free(wslay);
    }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    /// Head and payload come in turns of their own, so that a payload begins at the start of wslay's buffer
    /// and one of up to kChunkBytesMax is handed over whole.
    static ssize_t give(uint8_t* out, size_t room, int, void* self) {
        auto& context = *static_cast<Context*>(self);
        std::string_view& from = context.head.empty() ? context.payload : context.head;
        const size_t size = std::min(room, from.size());
        if (size == 0) return -1;
        std::memcpy(out, from.data(), size);
        from.remove_prefix(size);
        return static_cast<ssize_t>(size);
    }

    /// The next unmasked payload bytes; empty if wslay objects, which judge_head() leaves it no reason to.
    std::string_view next_chunk() {
        wslay_frame_iocb frame{};
        if (wslay_frame_recv(wslay, &frame) <= 0) return {};
        return {reinterpret_cast<const char*>(frame.data), frame.data_length};
    }

    FramePool* pool;
    wslay_frame_context_ptr wslay = nullptr;
    std::string_view head, payload;
    bool mid_frame = false;  // wslay is not at a boundary: of no use to another frame
    bool attached = false;
};

struct Decoder::Frame {
    Opcode opcode = Opcode::continuation;
    bool final = false;
    bool direct = false;  // it is a message or control frame of its own, whole in the input, of one chunk
    uint8_t head_size = 0;
    std::array<char, kFrameHeadBytesMax> head{};
    uint64_t length = 0, left = 0;  // of the payload
    FramePool::ContextPtr context;  // from the first payload byte to the last
    std::string_view lent;          // a direct frame's payload, in the context's buffer
};

/// What a connection holds while a head, a frame or a message is partial.
struct FramePool::Partial {
    FramePool* pool;
    std::array<char, kFrameHeadBytesMax> staged{};  // of a head
    uint8_t staged_size = 0;
    uint8_t control_size = 0;
    std::array<char, kControlPayloadBytesMax> control{};
    bool in_frame = false;
    bool message_open = false;
    Opcode message_opcode = Opcode::text;
    Utf8Validator utf8;
    uint32_t fragments = 0;
    MonoTime deadline = MonoTime::max();
    Decoder::Frame frame;
    std::vector<char> message;
};

FramePool::FramePool(FramePoolLimits limits) : limits_(limits) {
    spare_contexts_.reserve(kSparesMax);
    spare_partials_.reserve(kSparesMax);
    spare_contexts_.push_back(std::make_unique<Context>(*this));
    if (!spare_contexts_.back()->wslay) spare_contexts_.pop_back();
}

FramePool::~FramePool() {
    RC_ASSERT(contexts_attached_ == 0);
    RC_ASSERT(partials_attached_ == 0);
    RC_ASSERT(bytes_held_ == 0);
}

FramePool::ContextPtr FramePool::take_context() {
    if (!spare_contexts_.empty()) {
        ContextPtr context(spare_contexts_.back().release());
        spare_contexts_.pop_back();
        return context;
    }
    auto context = std::make_unique<Context>(*this);
    if (!context->wslay) return nullptr;
    return ContextPtr(context.release());
}

bool FramePool::attach(Context& context) {
    if (context.attached) return true;
    const uint64_t bytes = sizeof(Context) + kWslayBytes;
    if (contexts_attached_ >= limits_.contexts_max || !has_room(bytes)) return false;
    ++contexts_attached_;
    bytes_held_ += bytes;
    context.attached = true;
    return true;
}

FramePool::PartialPtr FramePool::take_partial() {
    const size_t capacity = spare_partials_.empty() ? 0 : spare_partials_.back()->message.capacity();
    if (!has_room(sizeof(Partial) + capacity)) return nullptr;
    std::unique_ptr<Partial> partial;
    if (spare_partials_.empty()) {
        partial = std::make_unique<Partial>(Partial{.pool = this});
    } else {
        partial = std::move(spare_partials_.back());
        spare_partials_.pop_back();
    }
    ++partials_attached_;
    bytes_held_ += sizeof(Partial) + capacity;
    return PartialPtr(partial.release());
}

bool FramePool::grow(Partial& partial, size_t bytes, uint64_t message_bytes_max) {
    const size_t needed = partial.message.size() + bytes, had = partial.message.capacity();
    if (needed <= had) return true;
    const size_t doubled = std::max({needed, 2 * had, kBufferBytesMin});
    const auto wanted = std::max<uint64_t>(needed, std::min<uint64_t>(doubled, message_bytes_max));
    if (!has_room(wanted - had)) return false;
    partial.message.reserve(wanted);
    bytes_held_ += partial.message.capacity() - had;
    return true;
}

void FramePool::GiveBack::operator()(Context* context) const noexcept {
    std::unique_ptr<Context> owned(context);
    FramePool& pool = *context->pool;
    if (context->attached) {
        context->attached = false;
        --pool.contexts_attached_;
        pool.bytes_held_ -= sizeof(Context) + kWslayBytes;
    }
    if (!context->mid_frame && pool.spare_contexts_.size() < kSparesMax) {
        pool.spare_contexts_.push_back(std::move(owned));
    }
}

void FramePool::GiveBack::operator()(Partial* partial) const noexcept {
    std::unique_ptr<Partial> owned(partial);
    FramePool& pool = *partial->pool;
    partial->frame.context.reset();
    --pool.partials_attached_;
    pool.bytes_held_ -= sizeof(Partial) + partial->message.capacity();
    if (pool.spare_partials_.size() >= kSparesMax) return;
    std::vector<char> buffer = std::move(partial->message);
    if (buffer.capacity() > kSpareBufferBytesMax) buffer = std::vector<char>();  // `= {}` keeps it
    buffer.clear();
    *partial = Partial{.pool = &pool, .message = std::move(buffer)};
    pool.spare_partials_.push_back(std::move(owned));
}

Decoder::~Decoder() {
    RC_ASSERT(!feeding_);
}

size_t Decoder::feed(FramePool& pool, const CodecLimits& limits, std::string_view input, CodecSink& sink) {
    RC_ASSERT(!feeding_);
    feeding_ = true;
    while (!stopped_ && !input.empty())
        step(pool, limits, input, sink);
    feeding_ = false;
    if (stopped_) partial_.reset();
    return input.size();
}

void Decoder::stop() {
    stopped_ = true;
    if (!feeding_) partial_.reset();  // else feed() does, when the views that it has lent are back
}

void Decoder::set_deadline(MonoTime deadline) {
    RC_ASSERT(partial_);
    partial_->deadline = deadline;
}

MonoTime Decoder::deadline() const {
    return partial_ ? partial_->deadline : MonoTime::max();
}

/// Takes the rest of one frame, or of its head, as far as the input goes.
void Decoder::step(FramePool& pool, const CodecLimits& limits, std::string_view& input, CodecSink& sink) {
    Frame frame;
    if (partial_ && partial_->in_frame) {
        frame = std::move(partial_->frame);
        partial_->in_frame = false;
    } else if (!read_head(pool, limits, input, sink, frame) || !begin_frame(pool, input, sink, frame)) {
        return;
    }
    if (!read_payload(pool, limits, input, sink, frame)) return;
    if (frame.left == 0) return finish_frame(sink, frame);
    if (frame.context && !pool.attach(*frame.context)) {
        fail(sink, CloseCode::try_again_later, "too many half frames");
        return;
    }
    partial_->frame = std::move(frame);
    partial_->in_frame = true;
}

bool Decoder::read_head(FramePool& pool, const CodecLimits& limits, std::string_view& input, CodecSink& sink,
                        Frame& frame) {
    const size_t staged = partial_ ? partial_->staged_size : 0;
    std::string_view bytes = input.substr(0, kFrameHeadBytesMax);
    if (staged > 0) {
        const size_t added = std::min(input.size(), kFrameHeadBytesMax - staged);
        std::memcpy(partial_->staged.data() + staged, input.data(), added);
        bytes = {partial_->staged.data(), staged + added};
    }
    OpenMessage message;
    if (partial_ && partial_->message_open) message = {true, partial_->fragments, partial_->message.size()};
    const auto head = judge_head(bytes, limits, message);
    if (!head) return fail(sink, head.error().code, head.error().why);
    if (!*head) {  // a head is at most kFrameHeadBytesMax bytes, so `bytes` ends where the input does
        if (!ensure_partial(pool, sink)) return false;
        if (staged == 0) std::memcpy(partial_->staged.data(), bytes.data(), bytes.size());
        partial_->staged_size = static_cast<uint8_t>(bytes.size());
        input = {};
        return false;
    }
    frame.opcode = (*head)->opcode;
    frame.final = (*head)->final;
    frame.length = frame.left = (*head)->length;
    frame.head_size = static_cast<uint8_t>((*head)->size);
    std::memcpy(frame.head.data(), bytes.data(), frame.head_size);
    RC_ASSERT(frame.head_size > staged);
    input.remove_prefix(frame.head_size - staged);
    if (partial_) partial_->staged_size = 0;
    return true;
}

bool Decoder::begin_frame(FramePool& pool, std::string_view input, CodecSink& sink, Frame& frame) {
    const bool whole = frame.length <= input.size();
    if (is_control(frame.opcode)) {
        frame.direct = whole;
        if (frame.direct) return true;
        if (!ensure_partial(pool, sink)) return false;
        partial_->control_size = 0;
        return true;
    }
    const bool begins = frame.opcode != Opcode::continuation;
    frame.direct = whole && begins && frame.final && frame.length <= kChunkBytesMax;
    if (frame.direct) return true;
    if (!ensure_partial(pool, sink)) return false;
    if (begins) {
        partial_->message_open = true;
        partial_->message_opcode = frame.opcode;
    }
    ++partial_->fragments;
    return true;
}

bool Decoder::read_payload(FramePool& pool, const CodecLimits& limits, std::string_view& input,
                           CodecSink& sink, Frame& frame) {
    const std::string_view part = input.substr(0, std::min<uint64_t>(frame.left, input.size()));
    if (part.empty()) return true;
    input.remove_prefix(part.size());
    if (!frame.context) {
        frame.context = pool.take_context();
        if (!frame.context) return fail(sink, CloseCode::try_again_later, "no memory for a frame context");
        frame.context->head = {frame.head.data(), frame.head_size};
        frame.context->mid_frame = true;
    }
    frame.context->payload = part;
    for (size_t taken = 0; taken < part.size();) {
        const std::string_view chunk = frame.context->next_chunk();
        if (chunk.empty()) return fail(sink, CloseCode::protocol_error, "wslay refused the frame");
        taken += chunk.size();
        if (!take_chunk(pool, limits, chunk, sink, frame)) return false;
    }
    frame.left -= part.size();
    frame.context->mid_frame = frame.left > 0;
    return true;
}

bool Decoder::take_chunk(FramePool& pool, const CodecLimits& limits, std::string_view chunk, CodecSink& sink,
                         Frame& frame) {
    if (frame.direct) {
        RC_ASSERT(chunk.size() == frame.length);
        frame.lent = chunk;
        if (frame.opcode != Opcode::text || is_valid_utf8(chunk)) return true;
        return fail(sink, CloseCode::invalid_payload, "a text message is not UTF-8");
    }
    Partial& partial = *partial_;
    if (is_control(frame.opcode)) {
        RC_ASSERT(partial.control_size + chunk.size() <= partial.control.size());
        std::memcpy(partial.control.data() + partial.control_size, chunk.data(), chunk.size());
        partial.control_size = static_cast<uint8_t>(partial.control_size + chunk.size());
        return true;
    }
    if (partial.message_opcode == Opcode::text && !partial.utf8.feed(chunk)) {
        return fail(sink, CloseCode::invalid_payload, "a text message is not UTF-8");
    }
    if (!pool.grow(partial, chunk.size(), limits.message_bytes_max)) {
        return fail(sink, CloseCode::try_again_later, "too many bytes in unfinished messages");
    }
    partial.message.insert(partial.message.end(), chunk.begin(), chunk.end());
    return true;
}

void Decoder::finish_frame(CodecSink& sink, Frame& frame) {
    if (!is_control(frame.opcode)) {
        if (frame.final) finish_message(sink, frame);
        return;
    }
    FramePool::PartialPtr done;  // keeps the payload through the callback
    std::string_view payload = frame.lent;
    if (!frame.direct) payload = {partial_->control.data(), partial_->control_size};
    if (partial_ && !partial_->message_open) done = std::move(partial_);
    finish_control(sink, frame.opcode, payload);
}

void Decoder::finish_control(CodecSink& sink, Opcode opcode, std::string_view payload) {
    if (opcode == Opcode::ping) return sink.on_ping(payload);
    if (opcode == Opcode::pong) return sink.on_pong(payload);
    const auto body = parse_close(payload);
    if (!body) {
        fail(sink, body.error(),
             body.error() == CloseCode::invalid_payload ? "a close reason is not UTF-8" : "a bad close code");
        return;
    }
    stopped_ = true;
    sink.on_close(*body);
}

void Decoder::finish_message(CodecSink& sink, Frame& frame) {
    const FramePool::PartialPtr done = std::move(partial_);  // keeps the payload through the callback
    if (frame.direct) return sink.on_message(frame.opcode, frame.lent);
    if (done->message_opcode == Opcode::text && !done->utf8.complete()) {
        fail(sink, CloseCode::invalid_payload, "a text message ends inside a code point");
        return;
    }
    sink.on_message(done->message_opcode, {done->message.data(), done->message.size()});
}

bool Decoder::ensure_partial(FramePool& pool, CodecSink& sink) {
    if (!partial_) partial_ = pool.take_partial();
    return partial_ ? true : fail(sink, CloseCode::try_again_later, "too many bytes in unfinished messages");
}

/// @return false, for the caller to pass on
bool Decoder::fail(CodecSink& sink, CloseCode code, std::string_view why) {
    stopped_ = true;
    sink.on_failure(code, why);
    return false;
}

}  // namespace rc::ws
