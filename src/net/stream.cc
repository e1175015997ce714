#include "ringcast/net/stream.h"

#include <algorithm>
#include <cerrno>

namespace rc::net {
namespace {
constexpr uint64_t kSendBytesMax = 256ULL * 1024;  // gathered into one send
}

// --- FrameQueue

void FrameQueue::push(FrameRef frame) {
    if (holds_ == Holds::none) {
        one_ = std::move(frame);
        holds_ = Holds::one;
        return;
    }
    if (holds_ == Holds::one) become_ring();
    Ring& ring = *ring_;
    if (ring.count == ring.capacity) {
        auto wider = std::make_unique<FrameRef[]>(std::size_t{ring.capacity} * 2);
        for (uint32_t i = 0; i < ring.count; ++i)
            wider[i] = std::move(ring.frames[(ring.first + i) & (ring.capacity - 1)]);
        ring.frames = std::move(wider);
        ring.capacity *= 2;
        ring.first = 0;
    }
    ring.bytes += frame.size();
    ring.total += frame.frames();
    ring.frames[(ring.first + ring.count++) & (ring.capacity - 1)] = std::move(frame);
}

void FrameQueue::become_ring() {
    constexpr uint32_t kCapacityMin = 4;
    auto ring = std::make_unique<Ring>();
    ring->frames = std::make_unique<FrameRef[]>(kCapacityMin);
    ring->capacity = kCapacityMin;
    ring->bytes = one_.size();
    ring->total = one_.frames();
    ring->frames[0] = std::move(one_);
    ring->count = ring->lent = 1;
    one_.~FrameRef();
    ring_ = ring.release();
    holds_ = Holds::ring;
}

void FrameQueue::pop() {
    RC_ASSERT(!empty());
    if (count() == 1) return clear();
    ring_->bytes -= at(0).size();
    ring_->total -= at(0).frames();
    ring_->frames[ring_->first] = FrameRef();
    ring_->first = (ring_->first + 1) & (ring_->capacity - 1);
    --ring_->count;
}

void FrameQueue::pop_last() {
    RC_ASSERT(!empty());
    if (count() == 1) return clear();
    uint32_t const last = --ring_->count;
    FrameRef& frame = ring_->frames[(ring_->first + last) & (ring_->capacity - 1)];
    ring_->bytes -= frame.size();
    ring_->total -= frame.frames();
    frame = FrameRef();
}

void FrameQueue::clear() {
    if (holds_ == Holds::ring) {
        delete ring_;
        new (&one_) FrameRef();
    } else {
        one_ = FrameRef();
    }
    holds_ = Holds::none;
}

// --- Stream

Stream::~Stream() {
    RC_ASSERT(state_ == State::idle);
}

void Stream::arm_timer(MonoTime deadline) {
    table().reactor_.timers().arm(*this, deadline);
}

io::Token Stream::token(io::Kind kind) const {
    return {handle_.slot, handle_.generation, table().table_id_, kind};
}

bool Stream::open(io::File file, Waits waits) {
    table().assert_own_core();
    RC_ASSERT(state_ == State::idle && file.is_open());
    if (!table().add(*this)) return false;
    file_index_ = file.index;
    file_direct_ = file.direct;
    waits_ = waits;
    state_ = State::open;
    start_receive();
    return true;
}

void Stream::queue(FrameRef frame) {
    if (state_ != State::open || finishing_) return;
    frames_.push(std::move(frame));
    if (!send_.in_flight()) table().mark_dirty(*this);
}

bool Stream::stalled() const {
    return send_.in_flight() && send_turn_ != static_cast<uint32_t>(table().reactor_.turns());
}

void Stream::drop_unsent() {
    uint32_t const keep = std::max(send_.in_flight() ? frames_.lent() : 0, front_sent_ > 0 ? 1U : 0U);
    while (frames_.count() > keep)
        frames_.pop_last();
}

void Stream::start_receive(bool readable) {
    if (state_ != State::open || receive_.in_flight() || receive_paused_ || end_seen_ || parked_) return;
    auto& ring = table().reactor_.ring();
    polling_ = waits_ == Waits::poll && !readable;
    if (polling_) return ring.await_bytes(receive_, token(io::Kind::poll), file());
    ring.recv(receive_, token(io::Kind::recv), file(),
              waits_ == Waits::multishot ? io::ReceiveMode::multishot : io::ReceiveMode::once);
}

void Stream::cancel_receive() {
    if (!receive_.in_flight()) return;
    table().reactor_.ring().cancel(receive_, token(polling_ ? io::Kind::poll : io::Kind::recv));
}

// What is under way ends, with bytes or without, and the next begins the new way.
void Stream::set_waits(Waits waits) {
    if (waits_ == waits) return;
    waits_ = waits;
    if (state_ == State::open) cancel_receive();
}

void Stream::pause_receive() {
    receive_paused_ = true;
    if (state_ == State::open && waits_ == Waits::multishot) cancel_receive();
}

Stream::Receiving Stream::receiving() const {
    if (state_ != State::open) return Receiving::closed;
    if (receive_.in_flight()) return Receiving::awaited;
    if (end_seen_) return Receiving::ended;
    if (parked_) return Receiving::parked;
    return receive_paused_ ? Receiving::paused : Receiving::forgotten;
}

void Stream::resume_receive() {
    receive_paused_ = false;
    start_receive();
}

void Stream::finish() {
    if (state_ != State::open || finishing_) return;
    finishing_ = true;
    table().mark_dirty(*this);
}

void Stream::start_send() {
    if (state_ != State::open || send_.in_flight()) return;
    if (frames_.empty()) {
        if (finishing_ && !fin_sent_) {
            fin_sent_ = true;
            static_cast<void>(
                table().reactor_.ring().shutdown_send(shutdown_, token(io::Kind::shutdown), file()));
        }
        return;
    }
    std::array<iovec, io::kSendPartsMax> parts;
    uint32_t n = 0;
    uint64_t bytes = 0;
    uint32_t skip = front_sent_;
    for (; n < frames_.count() && n < parts.size() && bytes < kSendBytesMax; ++n) {
        auto const view = frames_.at(n).view().substr(skip);
        parts[n] = {const_cast<char*>(view.data()), view.size()};
        bytes += view.size();
        skip = 0;
    }
    send_turn_ = static_cast<uint32_t>(table().reactor_.turns());
    frames_.lend(n);
    table().metrics.sends.add();
    table().reactor_.ring().send(send_, token(io::Kind::send), file(), {parts.data(), n});
}

void Stream::begin_close() {
    if (state_ != State::open) return;
    state_ = State::closing;
    // What is queued but not in the kernel's hands goes now; the rest when the send has ended.
    if (!send_.in_flight()) drop_all();
    cancel_receive();
    if (send_.in_flight()) table().reactor_.ring().cancel(send_, token(io::Kind::send));
    close_when_quiet();
}

void Stream::drop_all() {
    frames_.clear();
    front_sent_ = 0;
}

void Stream::close_when_quiet() {
    // Join before close: a receive that outlives its descriptor could take the next connection's bytes.
    if (state_ != State::closing || close_started_) return;
    if (receive_.in_flight() || send_.in_flight() || shutdown_.in_flight()) return;
    close_started_ = true;
    table().reactor_.ring().close(close_, token(io::Kind::close), file());
}

void Stream::on_completion(const io::Completion& completion) {
    switch (completion.token.kind) {
        case io::Kind::recv:
            if (!completion.more) receive_.finish();
            on_received(completion);
            break;
        case io::Kind::poll:
            receive_.finish();
            on_readable(completion.result);
            break;
        case io::Kind::send:
            send_.finish();
            on_sent(completion.result);
            break;
        case io::Kind::shutdown:
            shutdown_.finish();
            on_shut_down(completion.result);
            break;
        case io::Kind::close: {
            close_.finish();
            // Whatever it says: the descriptor is gone.
            if (completion.result < 0) table().refusals.judge(io::Kind::close, completion.result);
            drop_all();
            state_ = State::idle;
            table().remove(*this);
            on_kernel_done();  // may destroy *this
            break;
        }
        default: RC_ASSERT(false);
    }
}

void Stream::on_readable(int32_t result) {
    if (state_ == State::closing) return close_when_quiet();
    if (result < 0) {
        // The first half of a receive: what is refused means the same. (A poll that the table knows as such
        // is the signals', whose refusal is the process's end.)
        if (table().refusals.judge(io::Kind::recv, result) != Remedy::retry) return begin_close();
        return start_receive();
    }
    if (receive_paused_) return;
    polling_ = false;
    table().reactor_.ring().recv(receive_, token(io::Kind::recv), file(), io::ReceiveMode::once);
}

void Stream::on_received(const io::Completion& completion) {
    if (state_ == State::closing) return close_when_quiet();
    if (completion.result > 0) {
        table().metrics.bytes_in.add(completion.bytes.size());
        on_bytes(completion.bytes);
    } else if (completion.result == 0) {
        end_seen_ = true;
        cancel_receive();
        on_end();
    } else {
        switch (table().refusals.judge(io::Kind::recv, completion.result)) {
            case Remedy::retry: break;
            // Every buffer is lent for one callback only, so there are some again on the next turn.
            case Remedy::rearm: table().park(*this); break;
            default: begin_close();
        }
    }
    start_receive();
}

void Stream::on_sent(int32_t result) {
    if (state_ == State::closing) return close_when_quiet();
    if (result < 0 && table().refusals.judge(io::Kind::send, result) != Remedy::retry) return begin_close();
    auto taken = static_cast<uint64_t>(result > 0 ? result : 0);
    table().metrics.bytes_out.add(taken);
    taken += front_sent_;
    uint64_t popped = 0;
    while (!frames_.empty() && frames_.at(0).size() <= taken) {
        taken -= frames_.at(0).size();
        popped += frames_.at(0).frames();
        frames_.pop();
    }
    front_sent_ = static_cast<uint32_t>(taken);
    table().metrics.frames_out.add(popped);
    if (!frames_.empty() || finishing_) {
        table().mark_dirty(*this);
    }
    if (frames_.empty()) on_queue_empty();
}

void Stream::on_shut_down(int32_t result) {
    if (state_ == State::closing) return close_when_quiet();
    if (result == 0) return;
    if (table().refusals.judge(io::Kind::shutdown, result) != Remedy::retry) return begin_close();
    fin_sent_ = false;
    table().mark_dirty(*this);
}

// --- StreamTable

StreamTable::StreamTable(reactor::Reactor& reactor, uint8_t table_id, uint32_t slots_max)
    : StreamFamily(*this), reactor_(reactor), table_id_(table_id), slots_max_(slots_max) {
    RC_ASSERT(slots_max <= limits::kSlotsMax);
    reactor.ring().bind(table_id, *this);
}

StreamTable::~StreamTable() {
    RC_ASSERT(used_ == 0);
}

Stream* StreamTable::find(StreamHandle handle) {
    Stream* stream = handle.slot < slots_ ? entries_[handle.slot] : nullptr;
    return stream && stream->handle_ == handle ? stream : nullptr;
}

bool StreamTable::add(Stream& stream) {
    if (!free_.empty()) {
        stream.handle_ = free_.back();
        free_.pop_back();
    } else {
        if (slots_ == slots_max_) return false;
        stream.handle_ = {slots_++, 1};
        entries_.reach(stream.handle_.slot);
    }
    entries_[stream.handle_.slot] = &stream;
    ++used_;
    return true;
}

void StreamTable::remove(Stream& stream) {
    auto const [slot, generation] = stream.handle_;
    RC_ASSERT(entries_[slot] == &stream);
    entries_[slot] = nullptr;
    free_.push_back({slot, generation + 1});
    --used_;
}

void StreamTable::mark_dirty(Stream& stream) {
    if (stream.dirty_) return;
    stream.dirty_ = true;
    dirty_.push_back(stream.handle_);
}

void StreamTable::park(Stream& stream) {
    metrics.receive_parked.add();
    if (stream.parked_) return;
    stream.parked_ = true;
    parked_.push_back(stream.handle_);
}

void StreamTable::on_completion(const io::Completion& completion) {
    Stream* stream = find({completion.token.slot, completion.token.generation});
    if (!stream) {
        metrics.stale_completions.add();
        return;
    }
    stream->on_completion(completion);
}

// More of them than there are buffers would only be parked again. One tries in any case, so that nobody waits
// for a count.
void StreamTable::unpark() {
    auto const ring = reactor_.ring().stats();
    std::size_t const free = ring.buffers - std::min(ring.buffers_lent, ring.buffers);
    auto const end = parked_.begin() +
                     static_cast<std::ptrdiff_t>(std::min(parked_.size(), std::max<std::size_t>(free, 1)));
    for (auto it = parked_.begin(); it != end; ++it) {
        if (Stream* stream = find(*it)) {
            stream->parked_ = false;
            stream->start_receive(true);
        }
    }
    parked_.erase(parked_.begin(), end);
}

bool StreamTable::run_slice() {
    if (!parked_.empty()) unpark();
    flushing_.swap(dirty_);
    for (auto handle : flushing_) {
        if (Stream* stream = find(handle)) {
            stream->dirty_ = false;
            stream->start_send();
        }
    }
    flushing_.clear();
    return !parked_.empty();
}

}  // namespace rc::net
