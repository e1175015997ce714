#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "ringcast/base/assert.h"

namespace rc::hub {

/// The slots that want one thing, dense, and which of the fan-outs over them each still waits for:
///
///     [0, ends[0]) all of them | [ends[0], ends[1]) all but the oldest | ... | [ends.back(), size) none
///
/// Who joins goes to the last part, so a fan-out is for who was there when it began. Who was served goes on
/// to the next part: the last of its own changes places with it, and the border moves. Who leaves is
/// replaced by the last of its own part, that one by the last of the next part, and so on: no place is ever
/// empty, nobody else changes parts. Without fan-outs there is one part, and this is the plain swap with the
/// last. Cost: O(1) amortised, but remove() O(fan-outs) and sort() O(n log n), which sort_due() bounds.
class SubscriberList {
  public:
    [[nodiscard]] uint32_t size() const { return static_cast<uint32_t>(places_.size()); }
    [[nodiscard]] uint32_t slot(uint32_t index) const { return places_[index]; }

    /// @return the index; its holder keeps it, and moved() tells when it changes.
    uint32_t add(uint32_t slot) {
        if (!places_.empty() && slot < places_.back()) ++displaced_;
        places_.push_back(slot);
        return size() - 1;
    }
    /// @param moved  called with (slot, new index) for each that took another's place
    template <class Moved>
    void remove(uint32_t index, Moved&& moved) {
        RC_ASSERT(index < size());
        auto fill = [&](uint32_t from) {
            if (from != index) displace(index, places_[from], moved);
            index = from;
        };
        for (auto& end : ends_)
            if (index < end) fill(--end);
        fill(size() - 1);
        places_.pop_back();
        if (places_.capacity() > kCapacityKept && places_.size() < places_.capacity() / 8) shrink();
    }

    // Fan-outs, oldest first.
    [[nodiscard]] uint32_t fanouts() const { return static_cast<uint32_t>(ends_.size()); }
    void begin_fanout() { ends_.push_back(size()); }
    /// Ends the oldest, for which nobody waits any more.
    void end_fanout() {
        RC_ASSERT(fanouts() > 0 && left() == 0);
        ends_.erase(ends_.begin());
    }
    /// How many wait for the oldest.
    [[nodiscard]] uint32_t left() const { return ends_.front(); }
    /// Who gets the oldest after `ahead` others; only with ahead < left().
    [[nodiscard]] uint32_t peek(uint32_t ahead = 0) const { return places_[ends_.front() - 1 - ahead]; }
    /// Takes the next one for the oldest. It moves no slot.
    uint32_t next() {
        RC_ASSERT(left() > 0);
        return places_[--ends_.front()];
    }
    /// Takes the next one for the oldest `count` fan-outs at once. @param moved  as for remove()
    template <class Moved>
    void next(uint32_t count, Moved&& moved) {
        RC_ASSERT(count > 0 && count <= fanouts() && left() > 0);
        uint32_t index = --ends_.front();
        uint32_t const slot = places_[index];
        for (uint32_t fanout = 1; fanout < count; ++fanout) {
            uint32_t const last = --ends_[fanout];
            if (last == index) continue;
            displace(index, places_[last], moved);
            index = last;
        }
        if (places_[index] != slot) displace(index, slot, moved);
    }
    /// The oldest fan-out that this place waits for, counted from the oldest of all; fanouts(): none.
    [[nodiscard]] uint32_t waits_for(uint32_t index) const {
        return static_cast<uint32_t>(std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin());
    }
    /// Takes this place out of its turn, for the fan-out waits_for(index). @param moved  as for remove()
    template <class Moved>
    void serve(uint32_t index, Moved&& moved) {
        uint32_t const fanout = waits_for(index);
        RC_ASSERT(fanout < fanouts());
        uint32_t const last = --ends_[fanout];
        if (last == index) return;
        uint32_t const slot = places_[index];
        displace(index, places_[last], moved);
        displace(last, slot, moved);
    }

    /// Whether it is worth to sort(): since the last time more than a tenth of the slots came to a place out
    /// of order, and no fan-out is under way. Lists that would hold a turn up for long stay as they are.
    /// Cost: O(1).
    [[nodiscard]] bool sort_due() const {
        return displaced_ > size() / 10 && ends_.empty() && size() >= kSortedFrom && size() <= kSortedUpTo;
    }
    /// Puts the slots in order. Only without fan-outs. @param moved  as for remove()
    template <class Moved>
    void sort(Moved&& moved) {
        RC_ASSERT(ends_.empty());
        auto const before = places_;
        std::sort(places_.begin(), places_.end());
        for (uint32_t i = 0; i < size(); ++i)
            if (places_[i] != before[i]) moved(places_[i], i);
        displaced_ = 0;
    }

    /// Places in memory.
    [[nodiscard]] std::size_t capacity() const { return places_.capacity(); }
    /// Gives the memory back. Only when empty.
    void clear() {
        RC_ASSERT(places_.empty() && ends_.empty());
        std::vector<uint32_t>().swap(places_);
        std::vector<uint32_t>().swap(ends_);
        displaced_ = 0;
    }

  private:
    static constexpr std::size_t kCapacityKept = 256;
    static constexpr uint32_t kSortedFrom = 256, kSortedUpTo = 16'384;
    template <class Moved>
    void displace(uint32_t index, uint32_t slot, Moved&& moved) {
        moved(places_[index] = slot, index);
        ++displaced_;
    }
    // A crowd has left: room for twice as many as stayed.
    void shrink() {
        std::vector<uint32_t> fewer;
        fewer.reserve(2 * places_.size());
        fewer.assign(places_.begin(), places_.end());
        places_.swap(fewer);
    }

    std::vector<uint32_t> places_;
    std::vector<uint32_t> ends_;  // never descending
    uint32_t displaced_ = 0;      // since the last sort
};

}  // namespace rc::hub
