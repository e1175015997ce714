#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "ringcast/base/pages.h"
#include "ringcast/base/result.h"
#include "ringcast/base/shared_bytes.h"
#include "ringcast/io/ring.h"
#include "ringcast/io/timer_wheel.h"
#include "ringcast/metrics/metrics.h"
#include "ringcast/net/refusals.h"
#include "ringcast/reactor/reactor.h"

namespace rc::net {

class Stream;
class StreamTable;

/// A connection as other cores and later turns may name it: a re-used slot has another generation.
struct StreamHandle {
    uint32_t slot = 0;
    uint32_t generation = 0;
    friend bool operator==(const StreamHandle&, const StreamHandle&) = default;
};

/// Frames on their way to one socket, oldest first. One alone takes the queue's own 8 bytes, which is the
/// usual case; more take a ring of them, until the queue is empty again.
class FrameQueue {
  public:
    FrameQueue() : one_() {}
    FrameQueue(const FrameQueue&) = delete;
    FrameQueue& operator=(const FrameQueue&) = delete;
    ~FrameQueue() { clear(); }

    void push(FrameRef frame);
    void pop();
    void pop_last();
    void clear();
    [[nodiscard]] bool empty() const { return holds_ == Holds::none; }
    [[nodiscard]] uint32_t count() const {
        return holds_ == Holds::ring ? ring_->count : holds_ == Holds::one ? 1 : 0;
    }
    /// count(), but what is several frames in one counts as such.
    [[nodiscard]] uint32_t frames() const {
        return holds_ == Holds::ring ? ring_->total : holds_ == Holds::one ? one_.frames() : 0;
    }
    /// Of all frames.
    [[nodiscard]] uint64_t bytes() const {
        return holds_ == Holds::ring ? ring_->bytes : holds_ == Holds::one ? one_.size() : 0;
    }
    [[nodiscard]] const FrameRef& at(uint32_t i) const {
        return holds_ == Holds::ring ? ring_->frames[(ring_->first + i) & (ring_->capacity - 1)] : one_;
    }
    /// How many of the first ones the send in flight has been lent; means nothing while there is none.
    void lend(uint32_t frames) {
        if (holds_ == Holds::ring) ring_->lent = frames;
    }
    [[nodiscard]] uint32_t lent() const { return holds_ == Holds::ring ? ring_->lent : count(); }

  private:
    struct Ring {
        std::unique_ptr<FrameRef[]> frames;
        uint32_t first = 0, count = 0, capacity = 0;  // capacity: a power of two
        uint32_t lent = 0, total = 0;
        uint64_t bytes = 0;
    };
    enum class Holds : uint8_t { none, one, ring };
    void become_ring();

    union {
        FrameRef one_;
        Ring* ring_;
    };
    Holds holds_ = Holds::none;
};

/// How a stream waits for bytes: which costs memory while none come, or work when they do.
enum class Waits : uint8_t {
    once,  // by one receive after the other: 860 bytes of Linux's memory; a pause lets one piece through.
           // For a handshake
    multishot,  // by one that stays: as much, and least work. For who talks
    poll,       // by a poll, then a receive: 256 bytes, and one request more a piece. For who is silent
};

/// What all streams of one kind on a core share, so that none of them needs a reference to each part of it:
/// a derived stream knows what its family derives from this. Core: own core only.
struct StreamFamily {
    explicit StreamFamily(StreamTable& streams) : table(streams) {}
    StreamTable& table;
};

/// One connected socket: bytes in, whole frames out. At most one send is in flight, which gathers what has
/// been queued; it is started by the table at the end of the turn. Its owner derives from it, or holds a
/// HeldStream. Core: own core only.
/// Lifetime: must outlive on_kernel_done(); begin_close() waits for the kernel first.
class Stream : private io::Timer {
  public:
    explicit Stream(StreamFamily& family) : family_(family) {}
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// Takes the socket over and begins to receive. False when the table is full: the caller closes it.
    [[nodiscard]] bool open(io::File file, Waits waits);
    /// It waits so from now on, with all that came and comes in its order.
    void set_waits(Waits waits);

    /// Queues a frame for the end of this turn. After finish() or begin_close() it is dropped.
    void queue(FrameRef frame);
    /// Bytes and frames that the socket has not taken yet.
    [[nodiscard]] uint64_t unsent_bytes() const { return frames_.bytes() - front_sent_; }
    [[nodiscard]] uint32_t unsent_frames() const { return frames_.frames(); }
    /// A send of an earlier turn is still waiting: the socket is full. (One of this turn has not had its
    /// chance yet: a burst alone is no slowness.)
    [[nodiscard]] bool stalled() const;

    /// Drops the frames that the kernel has not been given: whole ones only, what is begun goes on.
    void drop_unsent();

    /// No bytes until resume_receive(), but those that are under way already: one piece, with multishot what
    /// the kernel has taken until it hears of it, at most all of the core's buffers.
    void pause_receive();
    void resume_receive();

    /// Sends what is queued, then a FIN; goes on receiving.
    void finish();
    /// Drops what is queued, ends both directions and closes. on_kernel_done() comes on a later turn.
    void begin_close();
    [[nodiscard]] bool closing() const { return state_ == State::closing; }
    [[nodiscard]] bool is_open() const { return state_ == State::open; }
    [[nodiscard]] bool receive_paused() const { return receive_paused_; }
    [[nodiscard]] bool end_seen() const { return end_seen_; }

    /// Whether bytes are awaited, or why they are not. An open stream without a receive and without a reason
    /// would never be heard of again.
    enum class Receiving : uint8_t { awaited, paused, parked, ended, closed, forgotten };
    [[nodiscard]] Receiving receiving() const;

    [[nodiscard]] StreamHandle handle() const { return handle_; }
    [[nodiscard]] io::File file() const { return {file_index_, file_direct_}; }
    [[nodiscard]] StreamFamily& family() const { return family_; }
    [[nodiscard]] StreamTable& table() const { return family_.table; }

  protected:
    ~Stream();

    /// Every stream carries one deadline, which is its owner's: on_timer() comes then, unless it is moved or
    /// disarmed.
    void arm_timer(MonoTime deadline);
    using Timer::disarm;
    void on_timer() override {}

    // What it tells its owner: from the core's turn, never inside a call of the owner's.
    /// Bytes, lent for the call. Nothing comes after begin_close().
    virtual void on_bytes(std::string_view bytes) = 0;
    /// The peer will send no more; what is queued can still be sent.
    virtual void on_end() = 0;
    /// All that was queued has been handed to the kernel.
    virtual void on_queue_empty() = 0;
    /// The last call: the kernel holds nothing of this stream any more, and it may be destroyed.
    virtual void on_kernel_done() = 0;

  private:
    friend class StreamTable;
    enum class State : uint8_t { idle, open, closing };

    void on_completion(const io::Completion& completion);
    void on_readable(int32_t result);
    void on_received(const io::Completion& completion);
    void on_sent(int32_t result);
    void on_shut_down(int32_t result);
    /// @param readable  the socket is known to have something: no poll is needed
    void start_receive(bool readable = false);
    void cancel_receive();
    void start_send();
    void close_when_quiet();
    void drop_all();
    [[nodiscard]] io::Token token(io::Kind kind) const;

    // Every idle connection of a server holds one of these, so it is packed: what is flag is a bit, and what
    // follows in a derived class uses up the end.
    int32_t file_index_ = -1;
    StreamFamily& family_;
    StreamHandle handle_;
    [[no_unique_address]] FrameQueue frames_;
    State state_ = State::idle;
    bool file_direct_ : 1 = false;
    Waits waits_ : 2 = Waits::once;
    bool polling_ : 1 = false;  // receive_ is a poll
    bool receive_paused_ : 1 = false;
    bool end_seen_ : 1 = false;
    bool finishing_ : 1 = false;
    bool fin_sent_ : 1 = false;
    bool dirty_ : 1 = false;
    bool parked_ : 1 = false;
    bool close_started_ : 1 = false;
    io::Operation receive_, send_, shutdown_, close_;
    uint32_t front_sent_ = 0;  // bytes of the first frame that are sent already
    uint32_t send_turn_ = 0;
};
static_assert(sizeof(Stream) <= 72);

/// What a HeldStream tells its owner, see Stream.
class StreamHandler {
  public:
    virtual void on_bytes(std::string_view bytes) = 0;
    virtual void on_end() = 0;
    virtual void on_drained() = 0;
    /// The owner may destroy the stream.
    virtual void on_closed() = 0;

  protected:
    ~StreamHandler() = default;
};

/// A stream as a member of its owner.
class HeldStream final : public Stream {
  public:
    HeldStream(StreamFamily& family, StreamHandler& handler) : Stream(family), handler_(handler) {}
    [[nodiscard]] StreamHandler& handler() const { return handler_; }

  private:
    void on_bytes(std::string_view bytes) override { handler_.on_bytes(bytes); }
    void on_end() override { handler_.on_end(); }
    void on_queue_empty() override { handler_.on_drained(); }
    void on_kernel_done() override { handler_.on_closed(); }

    StreamHandler& handler_;
};

/// All streams of one core, by slot: where completions find their stream, and where the turn's end finds
/// those that have something to send. Core: own core only.
class StreamTable final : public reactor::CoreBound,
                          public StreamFamily,
                          public io::CompletionSink,
                          public reactor::Work {
  public:
    /// @param table_id  what Ring::bind is called with
    /// @param slots_max  streams at once
    StreamTable(reactor::Reactor& reactor, uint8_t table_id, uint32_t slots_max);
    ~StreamTable() override;

    [[nodiscard]] reactor::Reactor& reactor() { return reactor_; }
    [[nodiscard]] Stream* find(StreamHandle handle);
    [[nodiscard]] Stream* at(uint32_t slot) const { return entries_[slot]; }
    /// Slots that were ever taken: at() takes what is below.
    [[nodiscard]] uint32_t slots() const { return slots_; }
    [[nodiscard]] uint32_t open_streams() const { return used_; }
    [[nodiscard]] uint32_t slots_max() const { return slots_max_; }

    void on_completion(const io::Completion& completion) override;
    /// Flushes: one gathered send for each stream that has frames and none in flight. Before that, who found
    /// no buffer to receive into tries again, as many as there are buffers now.
    /// @return whether some still wait for a buffer.
    bool run_slice() override;

    struct Metrics {
        metrics::Counter bytes_in, bytes_out, sends, frames_out, stale_completions, receive_parked;
    };
    Metrics metrics;
    Refusals refusals;

  private:
    friend class Stream;
    [[nodiscard]] bool add(Stream& stream);
    void remove(Stream& stream);
    void mark_dirty(Stream& stream);
    void park(Stream& stream);
    void unpark();

    reactor::Reactor& reactor_;
    uint8_t table_id_;
    uint32_t slots_max_;
    uint32_t used_ = 0;
    Pages<Stream*> entries_;          // by slot; a stream knows its generation itself
    uint32_t slots_ = 0;              // of the entries, that were ever taken
    std::vector<StreamHandle> free_;  // as which each of these slots is taken next
    std::vector<StreamHandle> dirty_, parked_, flushing_;
};

}  // namespace rc::net
