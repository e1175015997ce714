#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "fake_ring.h"
#include "ringcast/net/stream.h"
#include "ringcast/reactor/reactor.h"

namespace rc::test {

/// One core on a FakeRing, and the thread inside its scope: objects made while it lives belong to it.
/// Works run in the order of add_work(), the streams' flush after them all.
class FakeCore {
  public:
    static constexpr uint8_t kStreamTable = 1;  // table ids from 2 are a test's own

    explicit FakeCore(size_t buffer_bytes = 4096, uint32_t streams_max = 1024)
        : scope(0),
          ring(buffer_bytes),
          mesh(1, 64),
          reactor(0, ring, clock, mesh),
          streams(reactor, kStreamTable, streams_max),
          flush_(*this) {
        reactor.add_work(flush_);
    }

    void add_work(reactor::Work& work) { flush_.before.push_back(&work); }

    void turn() { reactor.turn(hours(1)); }
    /// Turns until nothing moves any more while the clock stands still.
    void settle() {
        for (int i = 0; i < 100'000; ++i) {
            turn();
            if (!ring.busy() && ring.last_wait() > Duration::zero()) return;
        }
        ADD_FAILURE() << "the core does not come to rest";
    }
    /// Moves the clock from deadline to deadline, settling at each: a timer that is armed by another one
    /// fires at its own time.
    void advance(Duration time) {
        MonoTime const end = clock.now() + time;
        settle();
        while (clock.now() < end) {
            MonoTime const next = std::max(reactor.timers().next_wake(), clock.now() + io::TimerWheel::kTick);
            clock.advance(std::min(next, end) - clock.now());
            settle();
        }
    }

    reactor::CoreScope scope;
    FakeClock clock;
    FakeRing ring;
    reactor::Mesh mesh;
    reactor::Reactor reactor;
    net::StreamTable streams;

  private:
    struct Flush final : reactor::Work {
        explicit Flush(FakeCore& owner) : core(owner) {}
        bool run_slice() override {
            bool more = false;
            for (auto* work : before)
                more |= work->run_slice();
            return core.streams.run_slice() || more;
        }
        FakeCore& core;
        std::vector<reactor::Work*> before;
    } flush_;
};

}  // namespace rc::test
