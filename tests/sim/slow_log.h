#pragma once

#include <utility>

#include "../support/held_outcomes.h"
#include "ringcast/store/memory_log.h"
#include "world.h"

namespace rc::sim {

/// The log behind a slow disk: what comes out of it waits.
class SlowLog final : public store::Log {
  public:
    explicit SlowLog(World& world) : world_(world), log_(options(world.plan)) {}

    [[nodiscard]] bool submit(store::Request&& request) override {
        if (!std::holds_alternative<store::Settle>(request) && world_.hit(Fault::store_down)) {
            held_.answer(*store::unavailable_answer(request));
            return true;
        }
        return log_.submit(std::move(request));
    }
    [[nodiscard]] store::Figures figures() const override { return log_.figures(); }
    bool step(WallTime now, store::Outcomes& out) override {
        bool const more = log_.step(now, held_);
        if (blocked_ > 0) --blocked_;
        if (world_.hit(Fault::slow_store)) blocked_ = world_.chance.between(1, 60);
        if (!world_.faulty()) blocked_ = 0;
        held_.release(out, [this] { return blocked_ == 0; });
        held_.release_reads(out, [this] { return blocked_ == 0 || world_.chance.below(4) == 0; });
        return more || !held_.empty();
    }

  private:
    static store::MemoryLog::Options options(const Plan& plan) {
        store::MemoryLog::Options options;
        options.epoch = "e";
        options.retention = plan.config.inbox.retention;
        options.notifications_per_user = plan.config.inbox.notifications_per_user;
        options.queue_max = plan.store_queue;
        options.memory_max = plan.store_memory;
        return options;
    }
    World& world_;
    store::MemoryLog log_;
    test::HeldOutcomes held_;
    uint32_t blocked_ = 0;  // steps
};

}  // namespace rc::sim
