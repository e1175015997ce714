#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "ringcast/store/memory_log.h"
#include "world.h"

namespace rc::sim {

/// The log behind a slow disk: what comes out of it waits. Publications and read marks keep their order; an
/// answer to a Read may be overtaken by what was committed after its snapshot, as with a log that reads on
/// the side.
class SlowLog final : public store::Log, private store::Outcomes {
  public:
    explicit SlowLog(World& world) : world_(world), log_(options(world.plan)) {}

    [[nodiscard]] bool submit(store::Request&& request) override {
        if (!std::holds_alternative<store::Settle>(request) && world_.hit(Fault::store_down)) {
            answer(*store::unavailable_answer(request));
            return true;
        }
        return log_.submit(std::move(request));
    }
    [[nodiscard]] store::Figures figures() const override { return log_.figures(); }
    bool step(WallTime now, store::Outcomes& out) override {
        bool const more = log_.step(now, *this);
        if (blocked_ > 0) --blocked_;
        if (world_.hit(Fault::slow_store)) blocked_ = world_.chance.between(1, 60);
        if (!world_.faulty()) blocked_ = 0;
        while (!held_.empty() && blocked_ == 0) {
            held_.front()(out);
            held_.pop_front();
        }
        std::erase_if(reads_, [&](auto& answer) {
            if (blocked_ > 0 && world_.chance.below(4) != 0) return false;
            out.answer(std::move(answer));
            return true;
        });
        return more || !held_.empty() || !reads_.empty();
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
    void publication(std::shared_ptr<const store::Publication> publication) override {
        held_.emplace_back(
            [publication = std::move(publication)](store::Outcomes& out) { out.publication(publication); });
    }
    void read_mark(std::shared_ptr<const store::ReadMark> mark) override {
        held_.emplace_back([mark = std::move(mark)](store::Outcomes& out) { out.read_mark(mark); });
    }
    void settled(store::Ticket ticket) override {
        held_.emplace_back([ticket](store::Outcomes& out) { out.settled(ticket); });
    }
    void answer(store::Answer answer) override {
        // Behind what was held when its snapshot was made; a read then waits on by itself.
        held_.emplace_back(
            [this, shared = std::make_shared<store::Answer>(std::move(answer))](store::Outcomes& out) {
                if (std::holds_alternative<store::ReadAnswer>(*shared)) {
                    reads_.push_back(std::move(*shared));
                } else {
                    out.answer(std::move(*shared));
                }
            });
    }

    World& world_;
    store::MemoryLog log_;
    std::deque<std::function<void(store::Outcomes&)>> held_;
    std::vector<store::Answer> reads_;
    uint32_t blocked_ = 0;  // steps
};

}  // namespace rc::sim
