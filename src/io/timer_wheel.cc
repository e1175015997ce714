#include "ringcast/io/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace rc::io {

void TimerWheel::link(Timer& timer, Timer*& head) {
    timer.next_ = head;
    timer.previous_ = &head;
    if (head) head->previous_ = &timer.next_;
    head = &timer;
}

void TimerWheel::place(Timer& timer) {
    auto const ticks = std::min(static_cast<uint64_t>(ahead(timer)), kHorizonTicks - 1);  // at least 1
    uint64_t const due = tick_ + ticks;
    uint32_t level = 0;
    while (level + 1 < kLevels && ticks >= 1ULL << ((level + 1) * kSlotBits))
        ++level;
    auto const slot = static_cast<uint32_t>(due >> (level * kSlotBits)) % kSlots;
    link(timer, slots_[level][slot]);
    occupied_[level] |= 1ULL << slot;
}

void TimerWheel::arm(Timer& timer, MonoTime deadline) {
    timer.disarm();
    // Rounded up, so that a timer never fires early.
    uint64_t const due = std::clamp(tick_of(deadline) + 1, tick_ + 1, tick_ + kFarthestTicks);
    timer.due_tick_ = static_cast<uint32_t>(due);
    place(timer);
}

void TimerWheel::cascade(uint32_t level) {
    if (level == kLevels) return;
    auto const slot = static_cast<uint32_t>(tick_ >> (level * kSlotBits)) % kSlots;
    if (slot == 0) cascade(level + 1);
    Timer* list = slots_[level][slot];
    slots_[level][slot] = nullptr;
    occupied_[level] &= ~(1ULL << slot);
    while (list) {
        Timer& timer = *list;
        list = timer.next_;
        if (list) list->previous_ = nullptr;
        timer.next_ = nullptr;
        timer.previous_ = nullptr;
        // Those due on this very tick go to level 0's current slot, which advance() empties next.
        if (ahead(timer) <= 0) {
            link(timer, slots_[0][tick_ % kSlots]);
        } else {
            place(timer);
        }
    }
}

uint32_t TimerWheel::advance(MonoTime now) {
    uint64_t const target = tick_of(now);
    uint32_t fired = 0;
    while (tick_ < target) {
        // Jump over stretches in which level 0 is empty, but never over a cascade.
        uint64_t const block_end = (tick_ | (kSlots - 1)) + 1;
        uint64_t next = tick_ + 1;
        if (next < block_end) {
            auto const ahead = occupied_[0] >> (next % kSlots);
            next = ahead ? next + static_cast<uint64_t>(std::countr_zero(ahead)) : block_end;
            next = std::min(next, block_end);
        }
        tick_ = std::min(next, target);
        if (tick_ % kSlots == 0) cascade(1);
        auto const slot = tick_ % kSlots;
        occupied_[0] &= ~(1ULL << slot);
        // A callback may arm or disarm any timer, so the list is read from its head each time; what it
        // arms is due later than this tick.
        while (Timer* timer = slots_[0][slot]) {
            timer->disarm();
            ++fired;
            timer->on_timer();
        }
    }
    return fired;
}

MonoTime TimerWheel::next_wake() const {
    uint64_t best = UINT64_MAX;
    for (uint32_t level = 0; level < kLevels; ++level) {
        if (!occupied_[level]) continue;
        // The first occupied slot after the current one, and the tick at which it is looked at.
        uint64_t const position = tick_ >> (level * kSlotBits);
        auto const rotated = std::rotr(occupied_[level], static_cast<int>((position + 1) % kSlots));
        auto const ahead = static_cast<uint64_t>(std::countr_zero(rotated)) + 1;
        best = std::min(best, (position + ahead) << (level * kSlotBits));
    }
    if (best == UINT64_MAX) return MonoTime::max();
    return MonoTime(Duration(static_cast<int64_t>(best << 22)));
}

}  // namespace rc::io
