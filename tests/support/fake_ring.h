#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "ringcast/base/address.h"
#include "ringcast/base/assert.h"
#include "ringcast/io/clock.h"
#include "ringcast/io/ring.h"

/// A kernel made of plain memory, for unit tests: sockets that a test feeds and looks at, and a clock that it
/// moves. One thread; several rings may live side by side.
///
///     FakeRing ring;
///     io::File file = ring.open_socket();          // as if it had just been accepted
///     ... stream.open(file, io::ReceiveMode::once) ...
///     ring.socket(file).deliver("GET / HTTP/1.1"); // one receive each, cut at buffer_bytes
///     ring.socket(file).deliver_end();             // FIN
///     ... reactor.turn() until !ring.busy() ...    // FakeCore::settle() does that
///     EXPECT_EQ(ring.socket(file).sent, "...");
///
/// As with the real ring, what an operation is started with is looked at by submit_and_wait(), and its
/// completion comes from a later reap(), never from the call that started it. What a promise of io::Ring
/// forbids stops the test by RC_ASSERT: a second receive or send on a socket while one is in the kernel,
/// bytes of a send that change before its completion, any use of a closed socket (unless the test allows it),
/// a close before the join, a token that names another operation or two of them.
///
/// It is held to what the kernel does by tests/contract, which runs on both: what is changed here has to pass
/// there, and what the kernel is found to do otherwise is written down there first.
namespace rc::test {

class FakeClock final : public io::Clock {
  public:
    [[nodiscard]] MonoTime now() override { return now_; }
    [[nodiscard]] WallTime wall() override { return wall_; }
    [[nodiscard]] Duration thread_cpu() override { return cpu_; }
    void spend_cpu(Duration time) { cpu_ += time; }
    void advance(Duration time) {
        now_ += time;
        wall_ += time;
    }
    void set_wall(WallTime wall) { wall_ = wall; }

  private:
    MonoTime now_{hours(1)};
    WallTime wall_{seconds(1'750'000'000)};
    Duration cpu_ = seconds(1);
};

/// The same numbers for the same seed (splitmix64).
class FakeEntropy final : public io::Entropy {
  public:
    explicit FakeEntropy(uint64_t seed = 1) : state_(seed) {}
    [[nodiscard]] uint64_t next() override {
        uint64_t z = (state_ += 0x9e3779b97f4a7c15);
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }

  private:
    uint64_t state_;
};

/// One socket, seen from the peer's side. What a test changes takes effect at the next reap().
class FakeSocket {
  public:
    // What the peer does.
    void deliver(std::string_view bytes) {
        RC_ASSERT(!bytes.empty());
        if (broken_) return;  // nothing arrives any more
        RC_ASSERT(!end_);
        incoming_.emplace_back(bytes);
    }
    /// In pieces of that size, each a receive of its own.
    void deliver_in_pieces(std::string_view bytes, size_t piece_bytes) {
        for (; !bytes.empty(); bytes.remove_prefix(std::min(piece_bytes, bytes.size())))
            deliver(bytes.substr(0, piece_bytes));
    }
    /// FIN, after what was delivered.
    void deliver_end() { end_ = true; }
    /// Closes both directions: FIN, and an RST as the answer to whatever is sent from now on.
    void hang_up() {
        end_ = true;
        if (error_ == 0) answers_with_reset_ = true;
    }
    /// RST, behind what was delivered. The error is told once, to whichever operation comes first; then
    /// receives see the end, and sends fail with -EPIPE.
    void reset() { break_off(end_ && !fin_sent ? EPIPE : ECONNRESET); }
    /// The user timeout has passed while the peer took nothing.
    void time_out() { break_off(ETIMEDOUT); }

    // What the socket's send buffer takes.
    static constexpr size_t kUnlimited = SIZE_MAX;
    size_t window = kUnlimited;    // bytes still taken; at 0 a send waits in the kernel
    size_t send_max = kUnlimited;  // bytes one send takes: short sends

    // One operation each, the next one that completes.
    int send_error = 0, receive_error = 0;  // an errno: nothing is taken, nothing is received
    int poll_error = 0;                     // an errno, once: of the poll that awaits bytes
    int shutdown_error = 0;                 // likewise
    int close_error = 0;                    // an errno, and yet it is closed
    bool end_multishot = false;             // the next bytes come without `more`

    // What came of it.
    std::string sent;  // all bytes taken
    bool accepted = false, fin_sent = false, closed = false;
    uint32_t sends = 0;     // completed ones
    uint32_t receives = 0;  // asked for; a multishot one counts once
    /// What was sent since the last call.
    std::string take_sent() { return std::exchange(sent, {}); }
    /// Bytes delivered that nobody has received: what back-pressure leaves in the kernel.
    [[nodiscard]] size_t unread_bytes() const {
        size_t bytes = 0;
        for (const auto& piece : incoming_)
            bytes += piece.size();
        return bytes;
    }
    [[nodiscard]] bool receiving() const { return receiving_; }  // a receive is in the kernel
    [[nodiscard]] bool sending() const { return sending_; }

  private:
    friend class FakeRing;
    void break_off(int error) {
        if (broken_) return;
        error_ = error;
        end_ = broken_ = true;
    }
    std::deque<std::string> incoming_;
    bool end_ = false, broken_ = false, answers_with_reset_ = false;
    int error_ = 0;  // of the connection, told once
    bool receiving_ = false, sending_ = false, shutting_ = false, closing_ = false;
    bool used_ = false;         // an operation was started on it
    bool takes_place_ = false;  // in the ring's own table
};

class FakeRing final : public io::Ring {
  public:
    /// @param buffer_bytes  what one receive takes at most, as the provided buffers of the real ring
    explicit FakeRing(size_t buffer_bytes = 4096) : buffer_bytes_(buffer_bytes) {}
    ~FakeRing() override = default;

    // --- For tests

    /// A connected socket that nobody has accepted: hand it to an AcceptHandler or a Stream. Its index is
    /// never used again, so that a test can look at the socket after its end.
    io::File open_socket(bool direct = true) {
        sockets_.push_back(std::make_unique<FakeSocket>());
        return {static_cast<int32_t>(sockets_.size() - 1) + kFirstIndex, direct};
    }
    /// A connection that waits for an accept on this listening descriptor (any number that a test likes).
    io::File connect(int listener, const Address& peer = Address::v4({127, 0, 0, 1}, 40'000)) {
        auto const file = open_socket();
        backlogs_[listener].push_back({file.index, peer, 0});
        return file;
    }
    /// The next accept on the listener fails with -error.
    void fail_accept(int listener, int error) { backlogs_[listener].push_back({-1, {}, error}); }
    /// Those failures that have not come yet do not come.
    void forgive_accepts() {
        for (auto& [listener, backlog] : backlogs_)
            std::erase_if(backlog, [](const Waiting& waiting) { return waiting.error != 0; });
    }
    FakeSocket& socket(io::File file) { return *sockets_.at(static_cast<size_t>(file.index - kFirstIndex)); }
    /// Polls of the descriptor complete from now on.
    void set_readable(int descriptor, bool readable = true) { readable_[descriptor] = readable; }
    /// Completions of this kind wait in the kernel until let_go(). The ring is not busy with them.
    void hold(io::Kind kind) { held_[static_cast<size_t>(kind)] = true; }
    void let_go(io::Kind kind) { held_[static_cast<size_t>(kind)] = false; }
    /// Cancelled operations that could complete do so, as if the request had come too late. A multishot
    /// receive hands out what is there before it ends.
    void lose_cancels() { cancels_lose_ = true; }
    /// Completions come in an order by chance, instead of that in which the operations were started.
    /// @param chance  outlives the ring, or the next call; null: in order again
    /// @param partly  a reap may leave some for the next one
    void shuffle(FakeEntropy* chance, bool partly = false) {
        chance_ = chance;
        partly_ = partly;
    }
    /// A completion out of nowhere, as of an operation that its owner has forgotten.
    void complete_stray(const io::Completion& completion) {
        sinks_[completion.token.table]->on_completion(completion);
    }
    /// Runs while the core sleeps, that is, inside a submit_and_wait() that may wait.
    std::function<void()> while_waiting;
    /// Places of the direct table; unbounded while zero. When it is full, accepts into it fail with -ENFILE,
    /// and drop the client.
    void set_direct_slots(uint32_t slots) { stats_.direct_slots = slots; }
    /// Says what kernels before 6.13 make the ring say.
    void refuse_direct_files() { stats_.direct_files = false; }
    [[nodiscard]] uint32_t direct_slots_used() const { return places_used_; }
    /// While true, accepts of ordinary descriptors fail with -EMFILE, and leave the client where it is.
    void exhaust_descriptors(bool exhausted) { no_descriptors_ = exhausted; }
    /// So many of the next receives that the kernel looks at find no buffer: those that are submitted, with
    /// bytes or without, and those that have something to say. -ENOBUFS.
    void exhaust_buffers(uint32_t receives) { shortages_ = receives; }
    /// What it says of its buffers: so many, none lent.
    void set_buffers(uint32_t buffers) { stats_.buffers = buffers; }
    /// Entries of the submission queue; one more hands them over.
    void set_submissions(uint32_t entries) { submissions_ = entries; }
    /// Operations on closed files complete with -EBADF, instead of stopping the test.
    void allow_closed_files() { closed_files_allowed_ = true; }

    /// True if the next turn or two have something to do: an operation that is not submitted, or one that
    /// would complete.
    [[nodiscard]] bool busy() {
        return !started_.empty() ||
               std::any_of(kernel_.begin(), kernel_.end(), [this](auto& op) { return can_complete(op); });
    }
    [[nodiscard]] size_t operations() const { return started_.size() + kernel_.size(); }
    [[nodiscard]] size_t operations(io::Kind kind) const {
        auto const is = [kind](const Started& entry) { return entry.token.kind == kind; };
        return static_cast<size_t>(std::count_if(started_.begin(), started_.end(), is) +
                                   std::count_if(kernel_.begin(), kernel_.end(), is));
    }
    /// What the last submit_and_wait() was asked for. It never waits: a test moves the clock.
    [[nodiscard]] Duration last_wait() const { return last_wait_; }
    [[nodiscard]] uint32_t wakes() const { return wakes_; }  // how often this ring was woken
    [[nodiscard]] bool woken() const { return woken_; }      // since the last reap()

    // --- io::Ring

    void bind(uint8_t table, io::CompletionSink& sink) override {
        RC_ASSERT(table < sinks_.size() && !sinks_[table]);
        sinks_[table] = &sink;
    }
    void accept(io::Operation& op, io::Token token, int listener, io::PeerBuffer& peer,
                bool direct) override {
        auto& entry = start(op, token);
        entry.descriptor = listener;
        entry.peer = &peer;
        entry.file.direct = direct;
        if (listener < 0) entry.refusal = EBADF;
    }
    void recv(io::Operation& op, io::Token token, io::File file, io::ReceiveMode mode) override {
        auto& entry = start(op, token);
        entry.multishot = mode == io::ReceiveMode::multishot;
        auto* target = use(entry, file);
        if (!target) return;
        RC_ASSERT(!target->receiving_);
        target->receiving_ = target->used_ = true;
        ++target->receives;
    }
    void await_bytes(io::Operation& op, io::Token token, io::File file) override {
        RC_ASSERT(token.kind == io::Kind::poll);
        auto* target = use(start(op, token), file);
        if (!target) return;
        RC_ASSERT(!target->receiving_);
        target->receiving_ = target->used_ = true;
    }
    void send(io::Operation& op, io::Token token, io::File file, std::span<const iovec> parts) override {
        RC_ASSERT(!parts.empty() && parts.size() <= io::kSendPartsMax);
        ++stats_.sends;
        auto& entry = start(op, token);
        entry.parts.assign(parts.begin(), parts.end());
        entry.bytes = joined(entry.parts);
        RC_ASSERT(!entry.bytes.empty());
        auto* target = use(entry, file);
        if (!target) return;
        RC_ASSERT(!target->sending_ && !target->shutting_ && !target->fin_sent);
        target->sending_ = target->used_ = true;
    }
    void close(io::Operation& op, io::Token token, io::File file) override {
        auto* target = use(start(op, token), file);
        if (!target) return;
        RC_ASSERT(!target->receiving_ && !target->sending_ && !target->shutting_);
        target->closing_ = true;
    }
    void discard(io::File file) override {
        auto& target = socket(file);
        RC_ASSERT(!target.closing_ && !target.closed && !target.used_);
        closed(target);
    }
    bool shutdown_send(io::Operation& op, io::Token token, io::File file) override {
        if (!file.direct) {
            auto& target = socket(file);
            RC_ASSERT(!target.closing_ && !target.closed && !target.sending_);
            target.fin_sent = !target.broken_;
            return true;
        }
        auto* target = use(start(op, token), file);
        if (!target) return false;
        RC_ASSERT(!target->sending_ && !target->shutting_);
        target->shutting_ = target->used_ = true;
        return false;
    }
    void poll(io::Operation& op, io::Token token, int descriptor) override {
        auto& entry = start(op, token);
        entry.descriptor = descriptor;
        if (descriptor < 0) entry.refusal = EBADF;
    }
    void cancel(io::Operation& op, io::Token token) override {
        if (op.cancelling()) return;
        op.cancel();
        for (auto* list : {&started_, &kernel_}) {
            for (auto& entry : *list) {
                if (entry.op != &op) continue;
                RC_ASSERT(entry.token == token);
                entry.cancelled = true;
                return;
            }
        }
        RC_ASSERT(false);  // in flight, and yet nowhere
    }

    void wake(io::Ring& sleeper) override {
        if (bells_.size() >= submissions_) submit();
        bells_.push_back(static_cast<FakeRing*>(&sleeper));
    }

    void submit_and_wait(Duration wait_max) override {
        ++stats_.enters;
        last_wait_ = wait_max;
        submit();
        if (wait_max > Duration::zero() && while_waiting) while_waiting();
    }

    uint32_t reap(uint32_t completions_max) override {
        uint32_t done = 0;
        woken_ = false;
        if (chance_) return reap_by_chance(completions_max);
        // By index: a callback may add to started_, never to kernel_, and cancels in place.
        for (size_t i = 0; i < kernel_.size() && done < completions_max;) {
            if (!can_complete(kernel_[i])) {
                ++i;
                continue;
            }
            ++done;
            if (complete(i)) continue;  // it is gone, and the next one stands in its place
            if (!can_complete(kernel_[i])) ++i;
        }
        stats_.completions += done;
        return done;
    }

    [[nodiscard]] Stats stats() const override { return stats_; }

  private:
    static constexpr int32_t kFirstIndex = 100;  // so that no test mistakes one for a slot

    struct Started {
        io::Operation* op = nullptr;
        io::Token token;
        io::File file;
        int descriptor = -1;
        io::PeerBuffer* peer = nullptr;
        std::vector<iovec> parts;
        std::string bytes;  // of a send, as they were when it was started
        bool multishot = false, cancelled = false;
        int refusal = 0;  // an errno: it was refused when it was looked at
    };
    struct Waiting {
        int32_t index;
        Address peer;
        int error;
    };

    static std::string joined(const std::vector<iovec>& parts) {
        std::string out;
        for (const auto& part : parts)
            out.append(static_cast<const char*>(part.iov_base), part.iov_len);
        return out;
    }

    // The open socket that an operation is started on; null, and the operation refused, if there is none.
    FakeSocket* use(Started& entry, io::File file) {
        entry.file = file;
        auto const place = static_cast<size_t>(file.index - kFirstIndex);
        auto* target = place < sockets_.size() ? sockets_[place].get() : nullptr;
        if (target && !target->closing_ && !target->closed) return target;
        RC_ASSERT(closed_files_allowed_);
        entry.refusal = EBADF;
        return nullptr;
    }
    void closed(FakeSocket& target) {
        target.closing_ = target.closed = true;
        if (std::exchange(target.takes_place_, false)) --places_used_;
    }

    Started& start(io::Operation& op, io::Token token) {
        RC_ASSERT(token.kind != io::Kind::none && token.table < sinks_.size() && sinks_[token.table]);
        RC_ASSERT(io::Token::unpack(token.packed()) == token);
        RC_ASSERT(tokens_.insert(token.packed()).second);  // or a cancel could hit another one
        if (started_.size() >= submissions_) submit();
        op.start();
        started_.push_back({.op = &op, .token = token, .file = {}, .parts = {}, .bytes = {}});
        return started_.back();
    }

    void submit() {
        for (auto& entry : started_) {
            if (entry.token.kind == io::Kind::recv && entry.refusal == 0 && shortages_ > 0) {
                --shortages_;
                entry.refusal = ENOBUFS;
            }
            kernel_.push_back(std::move(entry));
        }
        started_.clear();
        for (auto* sleeper : std::exchange(bells_, {})) {
            ++sleeper->wakes_;
            sleeper->woken_ = true;
        }
    }

    uint32_t reap_by_chance(uint32_t completions_max) {
        uint32_t done = 0;
        for (; done < completions_max; ++done) {
            ready_.clear();
            for (size_t i = 0; i < kernel_.size(); ++i) {
                if (can_complete(kernel_[i])) ready_.push_back(i);
            }
            if (ready_.empty() || (partly_ && chance_->next() % 4 == 0)) break;
            complete(ready_[chance_->next() % ready_.size()]);
        }
        stats_.completions += done;
        return done;
    }

    bool can_complete(const Started& entry) {
        if (held_[static_cast<size_t>(entry.token.kind)]) return false;
        return entry.cancelled || has_result(entry);
    }
    static bool has_news(const FakeSocket& from) {
        return from.receive_error != 0 || from.poll_error != 0 || !from.incoming_.empty() || from.end_;
    }
    bool has_result(const Started& entry) {
        if (entry.refusal != 0) return true;
        switch (entry.token.kind) {
            case io::Kind::accept:
                return (no_descriptors_ && !entry.file.direct) || !backlogs_[entry.descriptor].empty();
            case io::Kind::recv: return has_news(socket(entry.file));
            case io::Kind::send: {
                auto& to = socket(entry.file);
                return to.broken_ || to.send_error != 0 || to.window > 0;
            }
            case io::Kind::poll:
                return entry.file.is_open() ? has_news(socket(entry.file)) : readable_[entry.descriptor];
            default: return true;
        }
    }

    // Completes the operation at this place once; true if that was its last time.
    bool complete(size_t place) {
        io::Completion completion{.token = kernel_[place].token, .result = 0, .more = false, .bytes = {}};
        std::string bytes;  // freed after the call: what a sink keeps of it is found by the sanitizer
        settle(kernel_[place], completion, bytes);
        if (!completion.more) {
            auto const& entry = kernel_[place];
            if (entry.refusal != EBADF) {
                bool const awaited = entry.token.kind == io::Kind::poll && entry.file.is_open();
                if (entry.token.kind == io::Kind::recv || awaited) socket(entry.file).receiving_ = false;
                if (entry.token.kind == io::Kind::send) socket(entry.file).sending_ = false;
                if (entry.token.kind == io::Kind::shutdown) socket(entry.file).shutting_ = false;
            }
            tokens_.erase(entry.token.packed());
            kernel_.erase(kernel_.begin() + static_cast<std::ptrdiff_t>(place));
        }
        sinks_[completion.token.table]->on_completion(completion);
        return !completion.more;
    }

    void settle(Started& entry, io::Completion& completion, std::string& bytes) {
        if (entry.token.kind == io::Kind::recv) ++stats_.receives;
        if (entry.refusal == ENOBUFS) ++stats_.buffer_shortages;
        if (entry.cancelled && !(cancels_lose_ && has_result(entry))) {
            completion.result = -ECANCELED;
            return;
        }
        if (entry.refusal != 0) {
            completion.result = -entry.refusal;
            return;
        }
        switch (entry.token.kind) {
            case io::Kind::accept: completion.result = settle_accept(entry); break;
            case io::Kind::recv: settle_receive(entry, completion, bytes); break;
            case io::Kind::send: settle_send(entry, completion); break;
            case io::Kind::shutdown:
                if (int const error = std::exchange(socket(entry.file).shutdown_error, 0); error != 0) {
                    completion.result = -error;
                } else if (socket(entry.file).broken_) {
                    completion.result = -ENOTCONN;
                } else {
                    socket(entry.file).fin_sent = true;
                }
                break;
            case io::Kind::close:
                completion.result = -socket(entry.file).close_error;
                closed(socket(entry.file));
                break;
            case io::Kind::poll:
                completion.result = 1;
                if (!entry.file.is_open()) break;
                if (int const error = std::exchange(socket(entry.file).poll_error, 0); error != 0)
                    completion.result = -error;
                break;
            default: RC_ASSERT(false);
        }
    }

    int32_t settle_accept(const Started& entry) {
        if (no_descriptors_ && !entry.file.direct) return -EMFILE;
        auto& backlog = backlogs_[entry.descriptor];
        auto const waiting = backlog.front();
        backlog.pop_front();
        if (waiting.error != 0) return -waiting.error;
        auto& accepted = socket({waiting.index});
        if (entry.file.direct) {
            if (stats_.direct_slots > 0 && places_used_ >= stats_.direct_slots) {
                closed(accepted);
                return -ENFILE;
            }
            accepted.takes_place_ = true;
            ++places_used_;
        }
        accepted.accepted = true;
        sockaddr_storage address{};
        entry.peer->size = waiting.peer.to_sockaddr(address);
        std::memcpy(entry.peer->storage.data(), &address,
                    std::min<size_t>(entry.peer->size, entry.peer->storage.size()));
        return waiting.index;
    }

    void settle_receive(const Started& entry, io::Completion& completion, std::string& bytes) {
        auto& from = socket(entry.file);
        if (from.receive_error != 0) {
            completion.result = -std::exchange(from.receive_error, 0);
            return;
        }
        if (shortages_ > 0) {
            --shortages_;
            ++stats_.buffer_shortages;
            completion.result = -ENOBUFS;
            return;
        }
        if (from.incoming_.empty()) {  // the end: 0, or why it came
            completion.result = -std::exchange(from.error_, 0);
            return;
        }
        auto& piece = from.incoming_.front();
        // A block of its own, so that a byte behind its end is found by the sanitizer.
        bytes.assign(piece, 0, buffer_bytes_);
        bytes.shrink_to_fit();
        piece.erase(0, bytes.size());
        if (piece.empty()) from.incoming_.pop_front();
        completion.bytes = bytes;
        completion.result = static_cast<int32_t>(bytes.size());
        completion.more = entry.multishot && !std::exchange(from.end_multishot, false) &&
                          !(entry.cancelled && chance_ && chance_->next() % 2 != 0);
    }

    void settle_send(const Started& entry, io::Completion& completion) {
        auto& to = socket(entry.file);
        RC_ASSERT(joined(entry.parts) == entry.bytes);  // lent to the kernel, and changed
        if (to.broken_) {
            int const error = std::exchange(to.error_, 0);
            completion.result = error != 0 ? -error : -EPIPE;
            return;
        }
        if (to.send_error != 0) {
            completion.result = -std::exchange(to.send_error, 0);
            return;
        }
        size_t const taken = std::min({entry.bytes.size(), to.window, to.send_max});
        to.sent.append(entry.bytes, 0, taken);
        if (to.window != FakeSocket::kUnlimited) to.window -= taken;
        ++to.sends;
        completion.result = static_cast<int32_t>(taken);
        if (to.answers_with_reset_) to.reset();
    }

    size_t buffer_bytes_;
    std::array<io::CompletionSink*, 16> sinks_{};
    std::vector<std::unique_ptr<FakeSocket>> sockets_;
    std::map<int, std::deque<Waiting>> backlogs_;
    std::map<int, bool> readable_;
    std::vector<Started> started_, kernel_;  // not yet submitted; in the kernel's hands, oldest first
    std::array<bool, static_cast<size_t>(io::Kind::count_)> held_{};
    std::vector<size_t> ready_;     // of reap_by_chance()
    std::vector<FakeRing*> bells_;  // to ring with the next submission
    std::unordered_set<uint64_t> tokens_;
    bool cancels_lose_ = false, woken_ = false, no_descriptors_ = false, closed_files_allowed_ = false;
    bool partly_ = false;
    FakeEntropy* chance_ = nullptr;
    uint32_t shortages_ = 0, wakes_ = 0, places_used_ = 0, submissions_ = UINT32_MAX;
    Duration last_wait_{};
    Stats stats_;
};

}  // namespace rc::test
