#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "ringcast/store/log.h"

namespace rc::test {

/// What came out of a log and is held back. Publications, read marks and answers keep their order; an answer
/// to a Read, once it has come to its turn, waits on by itself: it may be overtaken by what was committed
/// after its snapshot, as with a log that reads on the side.
class HeldOutcomes final : public store::Outcomes {
  public:
    [[nodiscard]] bool empty() const { return held_.empty() && reads_.empty(); }
    /// Lets out, in order, while `lets_go()` says so.
    template <class LetsGo>
    void release(store::Outcomes& out, LetsGo&& lets_go) {
        for (; !held_.empty() && lets_go(); held_.pop_front())
            held_.front()(out);
    }
    /// Lets out each Read's answer for which `lets_go()` says so.
    template <class LetsGo>
    void release_reads(store::Outcomes& out, LetsGo&& lets_go) {
        std::erase_if(reads_, [&](auto& answer) {
            if (!lets_go()) return false;
            out.answer(std::move(answer));
            return true;
        });
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
        held_.emplace_back(
            [this, shared = std::make_shared<store::Answer>(std::move(answer))](store::Outcomes& out) {
                if (std::holds_alternative<store::ReadAnswer>(*shared)) {
                    reads_.push_back(std::move(*shared));
                } else {
                    out.answer(std::move(*shared));
                }
            });
    }

  private:
    std::deque<std::function<void(store::Outcomes&)>> held_;
    std::vector<store::Answer> reads_;
};

}  // namespace rc::test
