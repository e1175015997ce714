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
/// bytes of a send that change before its completion, any use of a closed socket, a close before the join, a
/// token that names another operation.
namespace rc::test {

class FakeClock final : public io::Clock {
  public:
    [[nodiscard]] MonoTime now() override { return now_; }
    [[nodiscard]] WallTime wall() override { return wall_; }
    void advance(Duration time) {
        now_ += time;
        wall_ += time;
    }
    void set_wall(WallTime wall) { wall_ = wall; }

  private:
    MonoTime now_{hours(1)};
    WallTime wall_{seconds(1'750'000'000)};
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
        RC_ASSERT(!end_ && !bytes.empty());
        incoming_.emplace_back(bytes);
    }
    /// In pieces of that size, each a receive of its own.
    void deliver_in_pieces(std::string_view bytes, size_t piece_bytes) {
        for (; !bytes.empty(); bytes.remove_prefix(std::min(piece_bytes, bytes.size())))
            deliver(bytes.substr(0, piece_bytes));
    }
    /// FIN, after what was delivered.
    void deliver_end() { end_ = true; }
    /// RST: receives fail with -ECONNRESET, whatever was delivered before, and sends with -EPIPE.
    void reset() { error_ = ECONNRESET; }

    // What the socket's send buffer takes.
    static constexpr size_t kUnlimited = SIZE_MAX;
    size_t window = kUnlimited;    // bytes still taken; at 0 a send waits in the kernel
    size_t send_max = kUnlimited;  // bytes one send takes: short sends

    // One operation each, the next one that completes.
    int send_error = 0, receive_error = 0;  // an errno: nothing is taken, nothing is received
    bool end_multishot = false;             // the next bytes come without `more`

    // What came of it.
    std::string sent;  // all bytes taken
    bool fin_sent = false, closed = false;
    uint32_t sends = 0;  // completed ones
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
    std::deque<std::string> incoming_;
    bool end_ = false, end_told_ = false;
    int error_ = 0;
    bool receiving_ = false, sending_ = false, closing_ = false;
    bool used_ = false;  // an operation was started on it
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
    FakeSocket& socket(io::File file) { return *sockets_.at(static_cast<size_t>(file.index - kFirstIndex)); }
    /// Polls of the descriptor complete from now on.
    void set_readable(int descriptor, bool readable = true) { readable_[descriptor] = readable; }
    /// Completions of this kind wait in the kernel until let_go(). The ring is not busy with them.
    void hold(io::Kind kind) { held_[static_cast<size_t>(kind)] = true; }
    void let_go(io::Kind kind) { held_[static_cast<size_t>(kind)] = false; }
    /// Cancelled operations that could complete do so, as if the request had come too late.
    void lose_cancels() { cancels_lose_ = true; }
    /// Completions come in an order by chance, instead of that in which the operations were started.
    /// @param chance  outlives the ring, or the next call; null: in order again
    void shuffle(FakeEntropy* chance) { chance_ = chance; }
    /// A completion out of nowhere, as of an operation that its owner has forgotten.
    void complete_stray(const io::Completion& completion) {
        sinks_[completion.token.table]->on_completion(completion);
    }
    /// Runs while the core sleeps, that is, inside a submit_and_wait() that may wait.
    std::function<void()> while_waiting;
    void set_direct_slots(uint32_t slots) { stats_.direct_slots = slots; }
    /// So many of the next receives that have something find no buffer: -ENOBUFS.
    void exhaust_buffers(uint32_t receives) { shortages_ = receives; }

    /// True if the next turn or two have something to do: an operation that is not submitted, or one that
    /// would complete.
    [[nodiscard]] bool busy() {
        return !started_.empty() ||
               std::any_of(kernel_.begin(), kernel_.end(), [this](auto& op) { return can_complete(op); });
    }
    [[nodiscard]] size_t operations() const { return started_.size() + kernel_.size(); }
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
        (void)direct;
        auto& entry = start(op, token);
        entry.descriptor = listener;
        entry.peer = &peer;
    }
    void recv(io::Operation& op, io::Token token, io::File file, io::ReceiveMode mode) override {
        auto& target = usable(file);
        RC_ASSERT(!target.receiving_);
        target.receiving_ = target.used_ = true;
        auto& entry = start(op, token);
        entry.file = file;
        entry.multishot = mode == io::ReceiveMode::multishot;
    }
    void send(io::Operation& op, io::Token token, io::File file, std::span<const iovec> parts) override {
        RC_ASSERT(!parts.empty() && parts.size() <= io::kSendPartsMax);
        auto& target = usable(file);
        RC_ASSERT(!target.sending_ && !target.fin_sent);
        target.sending_ = target.used_ = true;
        ++stats_.sends;
        auto& entry = start(op, token);
        entry.file = file;
        entry.parts.assign(parts.begin(), parts.end());
        entry.bytes = joined(entry.parts);
        RC_ASSERT(!entry.bytes.empty());
    }
    void close(io::Operation& op, io::Token token, io::File file) override {
        auto& target = usable(file);
        RC_ASSERT(!target.receiving_ && !target.sending_);
        target.closing_ = true;
        start(op, token).file = file;
    }
    void discard(io::File file) override {
        auto& target = usable(file);
        RC_ASSERT(!target.used_);
        target.closing_ = target.closed = true;
    }
    bool shutdown_send(io::Operation&, io::Token, io::File file) override {
        auto& target = usable(file);
        RC_ASSERT(!target.sending_);
        target.fin_sent = true;
        return true;
    }
    void poll(io::Operation& op, io::Token token, int descriptor) override {
        start(op, token).descriptor = descriptor;
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
        auto& other = static_cast<FakeRing&>(sleeper);
        ++other.wakes_;
        other.woken_ = true;
    }

    void submit_and_wait(Duration wait_max) override {
        ++stats_.enters;
        last_wait_ = wait_max;
        for (auto& entry : started_)
            kernel_.push_back(std::move(entry));
        started_.clear();
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

    FakeSocket& usable(io::File file) {
        auto& target = socket(file);
        RC_ASSERT(!target.closing_ && !target.closed);
        return target;
    }

    Started& start(io::Operation& op, io::Token token) {
        RC_ASSERT(token.kind != io::Kind::none && token.table < sinks_.size() && sinks_[token.table]);
        RC_ASSERT(io::Token::unpack(token.packed()) == token);
        op.start();
        started_.push_back({.op = &op, .token = token, .file = {}, .parts = {}, .bytes = {}});
        return started_.back();
    }

    uint32_t reap_by_chance(uint32_t completions_max) {
        uint32_t done = 0;
        for (; done < completions_max; ++done) {
            std::vector<size_t> ready;
            for (size_t i = 0; i < kernel_.size(); ++i) {
                if (can_complete(kernel_[i])) ready.push_back(i);
            }
            if (ready.empty()) break;
            complete(ready[chance_->next() % ready.size()]);
        }
        stats_.completions += done;
        return done;
    }

    bool can_complete(const Started& entry) {
        if (held_[static_cast<size_t>(entry.token.kind)]) return false;
        return entry.cancelled || has_result(entry);
    }
    bool has_result(const Started& entry) {
        switch (entry.token.kind) {
            case io::Kind::accept: return !backlogs_[entry.descriptor].empty();
            case io::Kind::recv: {
                auto& from = socket(entry.file);
                return from.error_ != 0 || from.receive_error != 0 || !from.incoming_.empty() || from.end_;
            }
            case io::Kind::send: {
                auto& to = socket(entry.file);
                return to.error_ != 0 || to.send_error != 0 || to.window > 0;
            }
            case io::Kind::poll: return readable_[entry.descriptor];
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
            if (entry.token.kind == io::Kind::recv) socket(entry.file).receiving_ = false;
            if (entry.token.kind == io::Kind::send) socket(entry.file).sending_ = false;
            kernel_.erase(kernel_.begin() + static_cast<std::ptrdiff_t>(place));
        }
        sinks_[completion.token.table]->on_completion(completion);
        return !completion.more;
    }

    void settle(Started& entry, io::Completion& completion, std::string& bytes) {
        if (entry.cancelled && !(cancels_lose_ && has_result(entry))) {
            completion.result = -ECANCELED;
            return;
        }
        switch (entry.token.kind) {
            case io::Kind::accept: {
                auto& backlog = backlogs_[entry.descriptor];
                auto const waiting = backlog.front();
                backlog.pop_front();
                completion.result = waiting.error != 0 ? -waiting.error : waiting.index;
                if (waiting.error != 0) break;
                sockaddr_storage address{};
                entry.peer->size = waiting.peer.to_sockaddr(address);
                std::memcpy(entry.peer->storage.data(), &address,
                            std::min<size_t>(entry.peer->size, entry.peer->storage.size()));
                break;
            }
            case io::Kind::recv: settle_receive(entry, completion, bytes); break;
            case io::Kind::send: settle_send(entry, completion); break;
            case io::Kind::close: socket(entry.file).closed = true; break;
            case io::Kind::poll: completion.result = 1; break;
            default: RC_ASSERT(false);
        }
    }

    void settle_receive(const Started& entry, io::Completion& completion, std::string& bytes) {
        auto& from = socket(entry.file);
        if (from.error_ != 0) {
            completion.result = -from.error_;
            return;
        }
        if (from.receive_error != 0) {
            completion.result = -std::exchange(from.receive_error, 0);
            return;
        }
        if (from.incoming_.empty()) return;  // FIN: 0
        ++stats_.receives;
        if (shortages_ > 0) {
            --shortages_;
            ++stats_.buffer_shortages;
            completion.result = -ENOBUFS;
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
        completion.more = entry.multishot && !entry.cancelled && !std::exchange(from.end_multishot, false);
    }

    void settle_send(const Started& entry, io::Completion& completion) {
        auto& to = socket(entry.file);
        if (to.error_ != 0) {
            completion.result = -EPIPE;
            return;
        }
        RC_ASSERT(joined(entry.parts) == entry.bytes);  // lent to the kernel, and changed
        if (to.send_error != 0) {
            completion.result = -std::exchange(to.send_error, 0);
            return;
        }
        size_t const taken = std::min({entry.bytes.size(), to.window, to.send_max});
        to.sent.append(entry.bytes, 0, taken);
        if (to.window != FakeSocket::kUnlimited) to.window -= taken;
        ++to.sends;
        completion.result = static_cast<int32_t>(taken);
    }

    size_t buffer_bytes_;
    std::array<io::CompletionSink*, 16> sinks_{};
    std::vector<std::unique_ptr<FakeSocket>> sockets_;
    std::map<int, std::deque<Waiting>> backlogs_;
    std::map<int, bool> readable_;
    std::vector<Started> started_, kernel_;  // not yet submitted; in the kernel's hands, oldest first
    std::array<bool, static_cast<size_t>(io::Kind::count_)> held_{};
    bool cancels_lose_ = false, woken_ = false;
    FakeEntropy* chance_ = nullptr;
    uint32_t shortages_ = 0, wakes_ = 0;
    Duration last_wait_{};
    Stats stats_;
};

}  // namespace rc::test
