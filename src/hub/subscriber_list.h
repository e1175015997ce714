#pragma once

#include <cstdint>
#include <vector>

#include "ringcast/base/assert.h"

namespace rc::hub {

/// The slots that want one thing, dense, in no order, and at most one fan-out's cursor over them:
///
///     [0, passed) had their turn | [passed, end) wait for it | [end, size) came later
///
/// Who joins goes behind the end. Who leaves is replaced by the last of its own part, that one by the
/// last of the next part, and so on: at most three moves, no place is ever empty, nobody changes sides.
/// Without a cursor the first two parts are empty and this is the plain swap with the last.
class SubscriberList {
  public:
    [[nodiscard]] uint32_t size() const { return static_cast<uint32_t>(places_.size()); }
    [[nodiscard]] uint32_t slot(uint32_t index) const { return places_[index]; }

    /// @return the index; its holder keeps it, and moved() tells when it changes.
    uint32_t add(uint32_t slot) {
        places_.push_back(slot);
        return size() - 1;
    }
    /// @param moved  called with (slot, new index) for each that took another's place
    template <class Moved>
    void remove(uint32_t index, Moved&& moved) {
        RC_ASSERT(index < size());
        auto fill = [&](uint32_t from) {
            if (from != index) moved(places_[index] = places_[from], index);
            index = from;
        };
        if (index < passed_) fill(--passed_);
        if (index < end_) fill(--end_);
        fill(size() - 1);
        places_.pop_back();
    }

    // The cursor.
    [[nodiscard]] bool in_fanout() const { return in_fanout_; }
    void begin_fanout() {
        RC_ASSERT(!in_fanout_);
        in_fanout_ = true;
        end_ = size();
    }
    [[nodiscard]] bool any_left() const { return passed_ < end_; }
    uint32_t next() { return places_[passed_++]; }
    /// The slot whose turn comes after `ahead` others; only with ahead < left().
    [[nodiscard]] uint32_t peek(uint32_t ahead) const { return places_[passed_ + ahead]; }
    [[nodiscard]] uint32_t left() const { return end_ - passed_; }
    void end_fanout() {
        RC_ASSERT(in_fanout_ && !any_left());
        in_fanout_ = false;
        passed_ = end_ = 0;
    }

    /// Gives the memory back. Only when empty.
    void clear() {
        RC_ASSERT(places_.empty() && !in_fanout_);
        std::vector<uint32_t>().swap(places_);
    }

  private:
    std::vector<uint32_t> places_;
    uint32_t passed_ = 0;
    uint32_t end_ = 0;
    bool in_fanout_ = false;
};

}  // namespace rc::hub
