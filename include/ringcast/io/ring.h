#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ringcast/base/assert.h"
#include "ringcast/base/limits.h"
#include "ringcast/base/time.h"

/// The kernel as a port: one Ring a core, driven by io_uring in the server and by a seed in the simulator.
namespace rc::io {

/// Which table a completion goes to. Each kind is bound to one CompletionSink of a ring.
enum class Kind : uint8_t {
    none,
    accept,
    recv,
    send,
    close,
    poll,
    shutdown,
    count_,
};

/// Says whose request a completion belongs to. Travels through the kernel as user_data.
/// A slot is re-used with the next generation, so a late completion is known for what it is.
struct Token {
    uint32_t slot = 0;  // below limits::kSlotsMax
    uint32_t generation = 0;
    uint8_t table = 0;  // which of the sinks, see Ring::bind
    Kind kind = Kind::none;

    [[nodiscard]] uint64_t packed() const {
        return uint64_t{generation} << 32 | uint64_t{slot} << 8 | uint64_t{table} << 4 |
               static_cast<uint64_t>(kind);
    }
    static Token unpack(uint64_t raw) {
        return {static_cast<uint32_t>(raw >> 8 & (limits::kSlotsMax - 1)), static_cast<uint32_t>(raw >> 32),
                static_cast<uint8_t>(raw >> 4 & 15), static_cast<Kind>(raw & 15)};
    }
    friend bool operator==(const Token&, const Token&) = default;
};
static_assert(static_cast<int>(Kind::count_) <= 16);

/// A socket as a ring knows it: an ordinary descriptor, or a place in the ring's own table.
struct File {
    int32_t index = -1;
    bool direct = false;
    [[nodiscard]] bool is_open() const { return index >= 0; }
};

/// A request to the kernel: a member of the object that made it, which must not be destroyed, nor its
/// slot re-used, before the last completion (join before close). Core: own core only.
class Operation {
  public:
    Operation() = default;
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;
    ~Operation() { RC_ASSERT(!in_flight()); }

    [[nodiscard]] bool in_flight() const { return state_ != State::idle; }
    [[nodiscard]] bool cancelling() const { return state_ == State::cancelling; }

    // For rings and the owners of completions.
    void start() {
        RC_ASSERT(!in_flight());
        state_ = State::in_kernel;
    }
    void cancel() {
        RC_ASSERT(in_flight());
        state_ = State::cancelling;
    }
    void finish() {
        RC_ASSERT(in_flight());
        state_ = State::idle;
    }

  private:
    enum class State : uint8_t { idle, in_kernel, cancelling };
    State state_ = State::idle;
};

/// What the kernel said. `more` false means that it was the operation's last completion; it is true for
/// multishot receives that have given bytes, and for nothing else.
struct Completion {
    Token token;
    int32_t result = 0;  // bytes, a descriptor, or -errno: then nothing was sent, received or accepted
    bool more = false;
    std::string_view bytes;  // of a receive; lent until on_completion returns
};

class CompletionSink {
  public:
    virtual ~CompletionSink() = default;
    /// Runs inside Ring::reap(), never inside the call that started the work.
    virtual void on_completion(const Completion& completion) = 0;
};

/// Where accept writes the peer's address; lives inside the object that accepts.
struct PeerBuffer {
    alignas(8) std::array<std::byte, 128> storage{};
    uint32_t size = 0;
};

enum class ReceiveMode : uint8_t {
    once,       // one completion; the owner asks again when it wants more (back-pressure)
    multishot,  // completions until one without `more`, which may come at any time, also with bytes
};

/// One core's door to the kernel. All calls from the core's own thread, wake() included: it rings the
/// other ring's bell. Starting an operation never calls back and never fails: what the kernel refuses
/// comes as a completion. A full submission queue is handed over to make room, and a full completion queue
/// loses nothing. Operations end in any order; only the bytes of one file keep theirs. No two in flight have
/// the same token. One receive and one send at most are in flight on a file, no send once it is half-closed,
/// and none of any kind when it is closed: another connection may have the place by then. Held to all this by
/// tests/contract, the simulated ring as well as the kernel.
class Ring {
  public:
    virtual ~Ring() = default;

    /// Completions whose token says `table` go to this sink.
    virtual void bind(uint8_t table, CompletionSink& sink) = 0;

    /// Accepts one connection; result is its File index. Its address is in `peer` by then.
    /// -EMFILE (ordinary descriptors) leaves the client in the listener's queue, and comes also while there
    /// is none; -ENFILE (a full table, `direct`) drops the client.
    virtual void accept(Operation& op, Token token, int listener, PeerBuffer& peer, bool direct) = 0;
    /// Bytes come in a provided buffer, so that an idle connection holds none.
    /// May complete with -ENOBUFS while no buffer is free, also before any byte or at the end: ask again on a
    /// later turn. 0 is the peer's end, told behind its bytes, and again when asked again. The error of a
    /// connection that breaks comes behind the bytes too, once, to a receive or a send, whichever is first;
    /// then receives see 0 and sends -EPIPE.
    virtual void recv(Operation& op, Token token, File file, ReceiveMode mode) = 0;
    /// Completes once, above zero, when a receive would have something to say: bytes, the end, an error. Its
    /// token's kind is Kind::poll; it counts as the file's receive. For who waits long: an armed receive
    /// takes 860 bytes of Linux's memory, this 256.
    virtual void await_bytes(Operation& op, Token token, File file) = 0;
    /// One gathered send: the bytes must live until the completion; the vector itself only for the call.
    /// At most kSendPartsMax parts. May be short.
    virtual void send(Operation& op, Token token, File file, std::span<const iovec> parts) = 0;
    virtual void close(Operation& op, Token token, File file) = 0;
    /// Closes a file that no operation was ever started on. Fire and forget.
    virtual void discard(File file) = 0;
    /// Moves a socket that was made outside into the ring's own table, which the process's descriptor limit
    /// does not count, and closes the descriptor. A ring without such a table, or whose table is full, hands
    /// the descriptor back as an ordinary file. Cost: two system calls.
    [[nodiscard]] virtual File adopt(int descriptor) { return {descriptor, false}; }
    /// Half-close: the peer sees our FIN after what was sent. An operation like any other, for a shutdown
    /// that outlives its descriptor would hit the next connection. True: done at once, no completion comes.
    /// -ENOTCONN when the connection has broken already.
    [[nodiscard]] virtual bool shutdown_send(Operation& op, Token token, File file) = 0;
    /// Completes once when the descriptor is readable, with a result above zero.
    virtual void poll(Operation& op, Token token, int descriptor) = 0;
    /// Asks for the end of an operation; its last completion still comes, in whatever order: -ECANCELED, or
    /// what it would have been, when the request came too late. Bytes may come before it, and none are lost:
    /// what was not handed out stays in the socket, or was never sent.
    virtual void cancel(Operation& op, Token token) = 0;

    /// Wakes a ring that waits in submit_and_wait(), or is about to: the bell leaves with this ring's next
    /// submission, and lasts until the sleeper's next reap(). At most one wake need be outstanding.
    virtual void wake(Ring& sleeper) = 0;

    /// Hands over what was started, and waits until there is a completion, a wake, or the time is over; a
    /// signal may end the wait early. With completions left over from the last reap() it does not wait.
    /// `wait_max` zero only polls.
    virtual void submit_and_wait(Duration wait_max) = 0;
    /// Calls the sinks for at most `completions_max` completions. Returns how many there were.
    virtual uint32_t reap(uint32_t completions_max) = 0;

    struct Stats {
        uint64_t enters = 0, completions = 0, sends = 0, receives = 0, buffer_shortages = 0;
        uint32_t buffers = 0, buffers_lent = 0;  // to receive into; lent: not yet back in the kernel's hands
        uint32_t direct_slots = 0;
        bool direct_files =
            true;  // false: this kernel closes them late, so that sockets should be ordinary files
    };
    [[nodiscard]] virtual Stats stats() const = 0;
};

constexpr uint32_t kSendPartsMax = 256;

}  // namespace rc::io
