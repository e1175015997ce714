#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "ringcast/base/limits.h"
#include "ringcast/io/ring.h"
#include "ringcast/reactor/mailbox.h"

namespace rc::reactor {

/// Told of a core's mails as soon as others can see them, and before anybody takes one: for the simulator,
/// which writes down what was accepted in which order.
class MailWatcher {
  public:
    virtual void handed_over(CoreId from) = 0;

  protected:
    ~MailWatcher() = default;
};

/// The mailboxes between all participants, and who of them sleeps. Made before the cores start and
/// destroyed after the last has ended. Memory: 64 B a place, for each ordered pair.
class Mesh {
  public:
    explicit Mesh(uint32_t participants, uint32_t places = limits::kMailboxPlaces);

    [[nodiscard]] uint32_t size() const { return static_cast<uint32_t>(sleepers_.size()); }
    /// More places on the ways to and from one that takes much at a time. Before any participant runs.
    void widen(CoreId core, uint32_t places);
    /// The ring to wake this participant by. Before any participant runs.
    void attach(CoreId core, io::Ring& ring) { sleepers_[core]->ring = &ring; }
    /// The ring is gone: nobody rings it any more. Core: its own, after its last turn.
    void detach(CoreId core) { sleepers_[core]->asleep.store(false, std::memory_order_seq_cst); }

    [[nodiscard]] Mailbox& box(CoreId from, CoreId to) { return *boxes_[from * size() + to]; }

    /// The place of one more publication in the order of all of them. Who answers a publisher does so behind
    /// the publication's hand-over (Reactor::hand_over), so that what the publisher sends next has a later
    /// place and finds the earlier one in every mailbox already.
    uint64_t next_stamp() { return stamps_.fetch_add(1, std::memory_order_seq_cst) + 1; }
    [[nodiscard]] uint64_t newest_stamp() const { return stamps_.load(std::memory_order_seq_cst); }

    /// Null for none. Core: none runs yet.
    void watch(MailWatcher* watcher) { watcher_ = watcher; }
    [[nodiscard]] MailWatcher* watcher() const { return watcher_; }

    /// Sets the sleeper's flag and looks once more; false when there is mail after all.
    [[nodiscard]] bool may_sleep(CoreId core);
    void woke(CoreId core) { sleepers_[core]->asleep.store(false, std::memory_order_relaxed); }
    /// Rings the bell of a sleeper, once. Core: `from`'s own.
    void wake_if_asleep(io::Ring& from, CoreId to) {
        auto& sleeper = *sleepers_[to];
        if (sleeper.asleep.load(std::memory_order_seq_cst) &&
            sleeper.asleep.exchange(false, std::memory_order_seq_cst)) {
            from.wake(*sleeper.ring);
        }
    }

  private:
    struct alignas(64) Sleeper {
        std::atomic<bool> asleep{false};
        io::Ring* ring = nullptr;
    };
    MailWatcher* watcher_ = nullptr;
    alignas(64) std::atomic<uint64_t> stamps_{0};
    std::vector<std::unique_ptr<Sleeper>> sleepers_;
    std::vector<std::unique_ptr<Mailbox>> boxes_;
};

}  // namespace rc::reactor
