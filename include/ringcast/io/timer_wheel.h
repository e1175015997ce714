#pragma once

#include <array>
#include <cstdint>

#include "ringcast/base/assert.h"
#include "ringcast/base/time.h"

namespace rc::io {

class TimerWheel;

/// A deadline inside the object that waits for it, or its base. Destroying it disarms it. 28 bytes, behind
/// which a derived class goes on.
class Timer {
  public:
    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    [[nodiscard]] bool armed() const { return previous_ != nullptr; }
    void disarm() {
        if (!previous_) return;
        *previous_ = next_;
        if (next_) next_->previous_ = previous_;
        previous_ = nullptr;
        next_ = nullptr;
    }

  protected:
    ~Timer() { disarm(); }

  private:
    friend class TimerWheel;
    /// Called by advance(); it is disarmed by then.
    virtual void on_timer() = 0;

    Timer* next_ = nullptr;
    Timer** previous_ = nullptr;  // the pointer that points here; null while disarmed
    uint32_t due_tick_ = 0;       // modulo 2^32: see TimerWheel::kFarthest
};

/// One core's timers: a hierarchical wheel, so that a million deadlines cost nothing until they are due.
/// A timer fires at its deadline or up to one tick later, never before it. Core: own core only.
/// Cost: arm and disarm O(1); advance O(ticks passed + timers due + timers cascaded).
class TimerWheel {
  public:
    static constexpr Duration kTick = Duration(1 << 22);  // 4.19 ms
    static constexpr uint32_t kLevels = 4, kSlotBits = 6, kSlots = 1 << kSlotBits;
    static constexpr uint64_t kHorizonTicks = 1ULL
                                              << (kLevels * kSlotBits);  // 19.5 hours; later ones wait there
    static constexpr uint64_t kFarthestTicks = INT32_MAX;
    /// 104 days: a deadline beyond is taken for this one, and whoever has one has to look again.
    static constexpr Duration kFarthest = kTick * static_cast<int64_t>(kFarthestTicks);

    explicit TimerWheel(MonoTime now) : tick_(tick_of(now)) {}
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;

    /// Arms or re-arms. A deadline that has passed fires at the next advance().
    void arm(Timer& timer, MonoTime deadline);
    /// Calls back every timer that is due at `now`. A callback may arm and disarm any timer.
    /// Returns how many fired.
    uint32_t advance(MonoTime now);
    /// When advance() should run next: the tick in which the earliest timer fires, so up to one tick behind
    /// its deadline; or earlier, to sort far ones. MonoTime::max() when nothing is armed.
    [[nodiscard]] MonoTime next_wake() const;

  private:
    static uint64_t tick_of(MonoTime time) {
        return static_cast<uint64_t>(time.time_since_epoch().count()) >> 22;
    }
    /// Ticks until it is due; zero or less: it is.
    [[nodiscard]] int32_t ahead(const Timer& timer) const {
        return static_cast<int32_t>(timer.due_tick_ - static_cast<uint32_t>(tick_));
    }
    static void link(Timer& timer, Timer*& head);
    void place(Timer& timer);
    void cascade(uint32_t level);

    uint64_t tick_;  // everything up to this one has fired
    std::array<std::array<Timer*, kSlots>, kLevels> slots_{};
    std::array<uint64_t, kLevels> occupied_{};  // a bit a slot; may say yes for an emptied slot
};

}  // namespace rc::io
