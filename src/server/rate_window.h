#pragma once

#include <cstdint>
#include <memory>

#include "ringcast/base/limits.h"
#include "ringcast/base/time.h"

namespace rc::server {

/// At most `events_max` events in any window of one second, wherever the window begins. A connection that
/// says one thing a second holds one time; the others are held only while a second holds more than one.
/// Cost: O(1), one allocation when it becomes busy. Source: contract.md 3, rate_limit_exceeded.
class RateWindow {
  public:
    /// False if this event comes less than a second after the one `events_max` before it. Then it does not
    /// count itself. @param events_max  above zero, the same in every call
    [[nodiscard]] bool admit(MonoTime now, uint32_t events_max) {
        if (!times_) {
            if (count_ == 0 || now - last_ >= limits::kRateWindow) {
                last_ = now;
                count_ = 1;
                return true;
            }
            times_ = std::make_unique<MonoTime[]>(events_max);
            times_[0] = last_;
            next_ = 1 % events_max;
        }
        if (count_ == events_max && now - times_[next_] < limits::kRateWindow) return false;
        times_[next_] = now;
        next_ = (next_ + 1) % events_max;
        if (count_ < events_max) ++count_;
        last_ = now;
        return true;
    }

    /// Forgets what is over a second old, if that is all, and gives the memory back.
    void shrink(MonoTime now) {
        if (now - last_ >= limits::kRateWindow) *this = RateWindow();
    }
    /// It knows of no event.
    [[nodiscard]] bool empty() const { return count_ == 0; }
    [[nodiscard]] bool holds_memory() const { return times_ != nullptr; }

  private:
    MonoTime last_{};
    std::unique_ptr<MonoTime[]> times_;  // the newest events, a ring
    uint32_t next_ = 0, count_ = 0;
};

}  // namespace rc::server
