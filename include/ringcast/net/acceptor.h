#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ringcast/io/network.h"
#include "ringcast/metrics/metrics.h"
#include "ringcast/net/peer_address.h"
#include "ringcast/net/refusals.h"
#include "ringcast/net/shared_listener.h"
#include "ringcast/reactor/reactor.h"

namespace rc::net {

class AcceptHandler {
  public:
    /// Owns the file from here on.
    /// @param listener  by which it came: its place in the order of Acceptor::add(), from 0
    virtual void on_accept(io::File file, const PeerAddress& peer, uint32_t listener) = 0;

  protected:
    ~AcceptHandler() = default;
};

/// Takes connections from one core's listeners. Each accept carries its own address buffer; one is armed
/// while it is quiet and up to kBurst while a burst lasts, since a core asks the kernel once a turn.
/// Core: own core only.
class Acceptor final : public reactor::CoreBound, public io::CompletionSink {
  public:
    static constexpr uint32_t kBurst = 64;
    /// On a listener that cores share: what is armed when a core has enough may still come.
    static constexpr uint32_t kSharedBurst = 8;

    /// @param direct  into the ring's own table, which the process's descriptor limit does not count, if the
    /// ring
    ///                says that such files are closed when they should be
    Acceptor(reactor::Reactor& reactor, uint8_t table_id, bool direct, AcceptHandler& handler);
    ~Acceptor() override;

    /// Adds a listening descriptor, which the caller closes after quiet().
    /// @param shared  of a listener that other cores accept on too; outlives the acceptor. While this core
    ///                holds too many of its connections, it leaves them to the others.
    void add(int listener, SharedListener* shared = nullptr);
    /// A connection of the listener has ended, one that on_accept() gave back at once included. To be called
    /// for all of a shared one's; for others it does nothing.
    void left(uint32_t listener);
    [[nodiscard]] std::size_t listeners() const { return sources_.size(); }
    /// Arms, or re-arms after pause().
    void start();
    /// How many accepts may be armed at once, all listeners together; each listener keeps one all the same.
    /// For a table that could run full: the kernel drops the clients of accepts that find no place in it.
    void set_armed_max(uint32_t accepts) { armed_max_ = accepts; }
    /// Stops taking connections: they wait in the kernel's queue. Completions on their way still come.
    void pause();
    [[nodiscard]] bool paused() const { return !running_; }
    /// Paused, and the kernel holds nothing of this acceptor any more.
    [[nodiscard]] bool quiet() const { return !running_ && in_flight_ == 0; }

    void on_completion(const io::Completion& completion) override;

    struct Metrics {
        metrics::Counter accepted, failed;
    };
    Metrics metrics;
    Refusals refusals;

  private:
    struct Slot {
        io::Operation op;
        io::PeerBuffer peer;
    };
    struct Source {
        int listener;
        SharedListener* shared = nullptr;
        bool stands_back = false;  // while it holds too many of the shared listener's connections
        uint32_t wanted = 1;       // accepts to keep armed
        uint32_t armed = 0;
        uint32_t completed_since = 0;
        uint64_t turn = 0;
        std::vector<std::unique_ptr<Slot>> slots;
    };
    void arm(uint32_t source);
    void cancel(uint32_t source);
    void look_at_share(uint32_t source);
    [[nodiscard]] io::Token token(uint32_t source, uint32_t slot) const;

    reactor::Reactor& reactor_;
    uint8_t table_id_;
    bool direct_;
    AcceptHandler& handler_;
    bool running_ = false;
    uint32_t in_flight_ = 0;
    uint32_t armed_max_ = UINT32_MAX;
    std::vector<Source> sources_;
    struct Retry final : io::Timer {
        explicit Retry(Acceptor& acceptor) : owner(acceptor) {}
        void on_timer() override {
            if (owner.running_) owner.start();
        }
        Acceptor& owner;
    } retry_;
    struct ShareLook final : io::Timer {
        explicit ShareLook(Acceptor& acceptor) : owner(acceptor) {}
        void on_timer() override {
            for (uint32_t i = 0; i < owner.sources_.size(); ++i)
                owner.look_at_share(i);
        }
        Acceptor& owner;
    } share_look_;
};

}  // namespace rc::net
