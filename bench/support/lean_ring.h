#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ringcast/base/address.h"
#include "ringcast/base/assert.h"
#include "ringcast/io/ring.h"
#include "uncounted.h"

namespace rc::bench {

class LeanRing;

/// Hears what a LeanRing does, as it does it: for a clock that it moves on.
class RingObserver {
  public:
    virtual void on_accept(LeanRing& ring) = 0;
    virtual void on_receive(LeanRing& ring, io::File file) = 0;
    virtual void on_send(LeanRing& ring, io::File file, std::span<const iovec> parts) = 0;
    virtual void on_wake(LeanRing& sleeper) = 0;

  protected:
    ~RingObserver() = default;
};

/// A kernel that takes everything at once, for measuring what stands above it: any number of sockets, a few
/// nanoseconds an operation, no allocation once it is warm. It checks little and fails never; what a ring
/// promises is the business of tests/support/fake_ring.h. What runs inside it is not counted under callgrind.
class LeanRing final : public io::Ring {
  public:
    explicit LeanRing(std::size_t) {}

    // What a peer does.
    io::File connect(int listener) {
        sockets_.emplace_back();
        auto const index = static_cast<int32_t>(sockets_.size() - 1);
        backlogs_[listener].push_back(index);
        return {index, true};
    }
    /// One receive's worth, lent until it has been taken; the one before has been.
    void deliver(io::File file, std::string_view bytes) {
        auto& to = at(file);
        RC_ASSERT(to.incoming.empty() && !bytes.empty());
        to.incoming = bytes;
        give(to);
    }
    /// FIN, behind what was delivered.
    void end(io::File file) {
        at(file).ended = true;
        give(at(file));
    }
    /// Sends, and their bytes, that this socket has taken.
    [[nodiscard]] uint64_t sends(io::File file) { return at(file).sends; }
    [[nodiscard]] uint64_t sent_bytes(io::File file) { return at(file).sent_bytes; }
    [[nodiscard]] bool closed(io::File file) { return at(file).closed; }
    /// What the newest send on this socket began with: enough for an answer's status.
    [[nodiscard]] std::string_view newest_send(io::File file) {
        return {at(file).newest.data(), at(file).newest.size()};
    }
    /// Its last receive's worth has not been taken.
    [[nodiscard]] bool has_incoming(io::File file) { return !at(file).incoming.empty(); }
    /// @param observer  outlives the ring
    void observe(RingObserver& observer) { observer_ = &observer; }
    void set_direct_slots(uint32_t slots) { stats_.direct_slots = slots; }
    [[nodiscard]] bool busy() const { return next_ < ready_.size() || acceptable(); }
    [[nodiscard]] Duration last_wait() const { return last_wait_; }

    // --- io::Ring
    void bind(uint8_t table, io::CompletionSink& sink) override { sinks_.at(table) = &sink; }
    void accept(io::Operation& op, io::Token token, int listener, io::PeerBuffer& peer, bool) override {
        Uncounted const uncounted;
        op.start();
        accepts_.push_back({token, listener, &peer});
    }
    void recv(io::Operation& op, io::Token token, io::File file, io::ReceiveMode mode) override {
        Uncounted const uncounted;
        op.start();
        auto& from = at(file);
        RC_ASSERT(!from.receiving);
        from.receiving = true;
        from.multishot = mode == io::ReceiveMode::multishot;
        from.receive = token;
        give(from);
    }
    void await_bytes(io::Operation& op, io::Token token, io::File file) override {
        Uncounted const uncounted;
        op.start();
        auto& from = at(file);
        RC_ASSERT(!from.receiving && !from.awaits);
        from.awaits = true;
        from.receive = token;
        give(from);
    }
    void send(io::Operation& op, io::Token token, io::File file, std::span<const iovec> parts) override {
        Uncounted const uncounted;
        op.start();
        std::size_t bytes = 0;
        for (const auto& part : parts)
            bytes += part.iov_len;
        auto& to = at(file);
        ++to.sends;
        to.sent_bytes += bytes;
        std::memcpy(to.newest.data(), parts[0].iov_base, std::min(parts[0].iov_len, to.newest.size()));
        ++stats_.sends;
        if (observer_) observer_->on_send(*this, file, parts);
        ready_.push_back({.token = token, .result = static_cast<int32_t>(bytes), .more = false, .bytes = {}});
    }
    void close(io::Operation& op, io::Token token, io::File file) override {
        Uncounted const uncounted;
        op.start();
        at(file).closed = true;
        ready_.push_back({.token = token, .result = 0, .more = false, .bytes = {}});
    }
    void discard(io::File file) override { at(file).closed = true; }
    [[nodiscard]] bool shutdown_send(io::Operation&, io::Token, io::File) override { return true; }
    void poll(io::Operation& op, io::Token token, int) override {
        op.start();
        polls_.push_back(token);
    }
    void cancel(io::Operation& op, io::Token token) override {
        Uncounted const uncounted;
        if (op.cancelling()) return;
        op.cancel();
        // What is ready already came first.
        bool pending = std::erase_if(accepts_, [&](const Accept& a) { return a.token == token; }) > 0;
        pending |= std::erase(polls_, token) > 0;
        if (token.kind == io::Kind::recv) {
            for (auto& socket : sockets_) {  // rare: only where the server ends a connection
                if (!socket.receiving || socket.receive != token) continue;
                pending |= !socket.queued;
                socket.receiving = socket.multishot = false;
            }
        }
        if (token.kind == io::Kind::poll) {
            for (auto& socket : sockets_)  // likewise
                if (socket.awaits && socket.receive == token) pending = !(socket.awaits = false);
        }
        if (pending) ready_.push_back({.token = token, .result = -ECANCELED, .more = false, .bytes = {}});
    }
    void wake(io::Ring& sleeper) override {
        if (observer_) observer_->on_wake(static_cast<LeanRing&>(sleeper));
    }
    void submit_and_wait(Duration wait_max) override {
        Uncounted const uncounted;
        ++stats_.enters;
        last_wait_ = wait_max;
    }
    uint32_t reap(uint32_t completions_max) override {
        Uncounted const uncounted;
        take_accepts();
        std::size_t const end = std::min(ready_.size(), next_ + completions_max);
        uint32_t const done = static_cast<uint32_t>(end - next_);
        while (next_ < end) {
            auto completion = ready_[next_++];  // a callback may add to them
            if (completion.token.kind == io::Kind::recv && completion.result >= 0)
                completion.more = hand_out(completion);
            Counted const counted;
            sinks_[completion.token.table]->on_completion(completion);
        }
        if (next_ == ready_.size()) {
            ready_.clear();
            next_ = 0;
        }
        stats_.completions += done;
        return done;
    }
    [[nodiscard]] Stats stats() const override { return stats_; }

  private:
    struct Socket {
        std::string_view incoming;
        io::Token receive;
        uint64_t sends = 0, sent_bytes = 0;
        std::array<char, 16> newest{};
        bool receiving = false, awaits = false, multishot = false, queued = false, ended = false,
             closed = false;
    };
    struct Accept {
        io::Token token;
        int listener;
        io::PeerBuffer* peer;
    };

    Socket& at(io::File file) { return sockets_[static_cast<std::size_t>(file.index)]; }
    // A receive that has something to say; its slot in `result` until it is handed out.
    void give(Socket& from) {
        if (from.awaits && (!from.incoming.empty() || from.ended)) {
            from.awaits = false;
            ready_.push_back({.token = from.receive, .result = 1, .more = false, .bytes = {}});
        }
        if (!from.receiving || from.queued || (from.incoming.empty() && !from.ended)) return;
        from.queued = true;
        ready_.push_back({.token = from.receive,
                          .result = static_cast<int32_t>(&from - sockets_.data()),
                          .more = false,
                          .bytes = {}});
    }
    bool hand_out(io::Completion& completion) {
        if (observer_) observer_->on_receive(*this, {completion.result, true});
        auto& from = sockets_[static_cast<std::size_t>(completion.result)];
        completion.bytes = std::exchange(from.incoming, {});
        completion.result = static_cast<int32_t>(completion.bytes.size());
        from.queued = false;
        from.receiving = from.receiving && from.multishot && !completion.bytes.empty();
        if (from.receiving) give(from);
        return from.receiving;
    }
    [[nodiscard]] bool acceptable() const {
        for (const auto& accept : accepts_) {
            auto const found = backlogs_.find(accept.listener);
            if (found != backlogs_.end() && !found->second.empty()) return true;
        }
        return false;
    }
    void take_accepts() {
        for (std::size_t i = 0; i < accepts_.size();) {
            auto& backlog = backlogs_[accepts_[i].listener];
            if (backlog.empty()) {
                ++i;
                continue;
            }
            sockaddr_storage address{};
            auto const peer = Address::v4({127, 0, 0, 1}, 40'000);
            accepts_[i].peer->size = peer.to_sockaddr(address);
            std::memcpy(accepts_[i].peer->storage.data(), &address, accepts_[i].peer->size);
            ready_.push_back(
                {.token = accepts_[i].token, .result = backlog.front(), .more = false, .bytes = {}});
            backlog.pop_front();
            if (observer_) observer_->on_accept(*this);
            accepts_.erase(accepts_.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }

    std::array<io::CompletionSink*, 16> sinks_{};
    std::vector<Socket> sockets_;
    std::unordered_map<int, std::deque<int32_t>> backlogs_;
    std::vector<Accept> accepts_;
    std::vector<io::Token> polls_;
    std::vector<io::Completion> ready_;  // from next_ on
    std::size_t next_ = 0;
    Duration last_wait_{};
    RingObserver* observer_ = nullptr;
    Stats stats_;
};

}  // namespace rc::bench
