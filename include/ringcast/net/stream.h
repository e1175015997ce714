#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "ringcast/base/result.h"
#include "ringcast/base/shared_bytes.h"
#include "ringcast/io/ring.h"
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

/// What a stream tells its owner. Called from the core's turn, never inside a call of the owner's.
class StreamHandler {
  public:
    /// Bytes, lent for the call. Nothing comes after begin_close().
    virtual void on_bytes(std::string_view bytes) = 0;
    /// The peer will send no more; what is queued can still be sent.
    virtual void on_end() = 0;
    /// All that was queued has been handed to the kernel.
    virtual void on_drained() = 0;
    /// The last call: the kernel holds nothing of this stream any more, and its owner may destroy it.
    virtual void on_closed() = 0;

  protected:
    ~StreamHandler() = default;
};

/// Frames on their way to one socket, oldest first: 8 bytes each, and none of its own while empty.
class FrameQueue {
  public:
    void push(FrameRef frame);
    void pop();
    [[nodiscard]] bool empty() const { return count_ == 0; }
    [[nodiscard]] uint32_t count() const { return count_; }
    [[nodiscard]] const FrameRef& at(uint32_t i) const {
        return capacity_ == 0 ? inline_ : ring_[(first_ + i) & (capacity_ - 1)];
    }
    void pop_last();
    void clear();

  private:
    FrameRef inline_;  // the usual case, one frame at a time, needs no ring
    std::unique_ptr<FrameRef[]> ring_;
    uint32_t first_ = 0, count_ = 0, capacity_ = 0;
};

/// One connected socket: bytes in, whole frames out. At most one send is in flight, which gathers what has
/// been queued; it is started by the table at the end of the turn. Core: own core only.
/// Lifetime: must outlive on_closed(); begin_close() waits for the kernel first.
class Stream : public reactor::CoreBound {
  public:
    Stream(StreamTable& table, StreamHandler& handler) : table_(table), handler_(handler) {}
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream();

    /// Takes the socket over and begins to receive. False when the table is full: the caller closes it.
    [[nodiscard]] bool open(io::File file, io::ReceiveMode mode);

    /// Queues a frame for the end of this turn. After finish() or begin_close() it is dropped.
    void queue(FrameRef frame);
    /// Bytes and frames that the socket has not taken yet.
    [[nodiscard]] uint64_t unsent_bytes() const { return unsent_bytes_; }
    [[nodiscard]] uint32_t unsent_frames() const { return frames_.count(); }
    /// A send of an earlier turn is still waiting: the socket is full. (One of this turn has not had its
    /// chance yet: a burst alone is no slowness.)
    [[nodiscard]] bool stalled() const;

    /// Drops the frames that the kernel has not been given: whole ones only, what is begun goes on.
    void drop_unsent();

    /// No bytes until resume_receive(), but those that are under way already: with ReceiveMode::once one
    /// piece, with multishot what the kernel has taken until it hears of it, at most all of the core's
    /// buffers.
    void pause_receive();
    void resume_receive();

    /// Sends what is queued, then a FIN; goes on receiving.
    void finish();
    /// Drops what is queued, ends both directions and closes. on_closed() comes on a later turn.
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
    [[nodiscard]] io::File file() const { return file_; }
    [[nodiscard]] StreamHandler& handler() { return handler_; }

  private:
    friend class StreamTable;
    enum class State : uint8_t { idle, open, closing };

    void on_completion(const io::Completion& completion);
    void on_received(const io::Completion& completion);
    void on_sent(int32_t result);
    void on_shut_down(int32_t result);
    void start_receive();
    void start_send();
    void close_when_quiet();
    [[nodiscard]] io::Token token(io::Kind kind) const;

    StreamTable& table_;
    StreamHandler& handler_;
    StreamHandle handle_;
    io::File file_;
    State state_ = State::idle;
    io::ReceiveMode mode_ = io::ReceiveMode::multishot;
    bool receive_paused_ = false, end_seen_ = false, finishing_ = false, fin_sent_ = false, dirty_ = false;
    bool parked_ = false, close_started_ = false;
    io::Operation receive_, send_, shutdown_, close_;
    uint32_t front_sent_ = 0;  // bytes of the first frame that are sent already
    uint32_t send_turn_ = 0;
    uint32_t lent_frames_ = 0;  // to the send in flight; the first of frames_
    uint64_t unsent_bytes_ = 0;
    FrameQueue frames_;
};

/// All streams of one core, by slot: where completions find their stream, and where the turn's end finds
/// those that have something to send. Core: own core only.
class StreamTable final : public reactor::CoreBound, public io::CompletionSink, public reactor::Work {
  public:
    /// @param table_id  what Ring::bind is called with
    /// @param slots_max  streams at once
    StreamTable(reactor::Reactor& reactor, uint8_t table_id, uint32_t slots_max);
    ~StreamTable() override;

    [[nodiscard]] reactor::Reactor& reactor() { return reactor_; }
    [[nodiscard]] Stream* find(StreamHandle handle);
    [[nodiscard]] Stream* at(uint32_t slot) const { return entries_[slot].stream; }
    /// Slots that were ever taken: at() takes what is below.
    [[nodiscard]] uint32_t slots() const { return static_cast<uint32_t>(entries_.size()); }
    [[nodiscard]] uint32_t open_streams() const { return used_; }
    [[nodiscard]] uint32_t slots_max() const { return slots_max_; }

    void on_completion(const io::Completion& completion) override;
    /// Flushes: one gathered send for each stream that has frames and none in flight.
    bool run_slice() override;

    struct Metrics {
        metrics::Counter bytes_in, bytes_out, sends, frames_out, stale_completions, receive_parked;
    };
    Metrics metrics;
    Refusals refusals;

  private:
    friend class Stream;
    struct Entry {
        Stream* stream = nullptr;
        uint32_t generation = 1;
    };
    [[nodiscard]] bool add(Stream& stream);
    void remove(Stream& stream);
    void mark_dirty(Stream& stream);
    void park(Stream& stream);

    reactor::Reactor& reactor_;
    uint8_t table_id_;
    uint32_t slots_max_;
    uint32_t used_ = 0;
    std::vector<Entry> entries_;
    std::vector<uint32_t> free_;
    std::vector<StreamHandle> dirty_, parked_, flushing_;
};

}  // namespace rc::net
