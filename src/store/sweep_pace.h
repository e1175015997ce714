#pragma once

#include <algorithm>
#include <cstdint>

#include "ringcast/base/time.h"

namespace rc::store {

/// How many rows that have to go are deleted in a transaction. Each dirties some pages, which the commit
/// writes and syncs, and whoever comes meanwhile waits: so it is the time of whole transactions that is held
/// to its bound. Core: the store's thread.
class SweepPace {
  public:
    static constexpr uint32_t kRowsMin = 4;

    /// @param rows_max  in any transaction
    /// @param time_max  of one that does nothing else, its commit included
    SweepPace(uint32_t rows_max, Duration time_max)
        : rows_max_(rows_max), time_max_(time_max), alone_(rows_max) {}

    /// @param requests  in the same transaction: they wait for it, but as many rows must go as come
    [[nodiscard]] uint32_t rows(std::size_t requests) const {
        if (requests == 0) return alone_;
        return static_cast<uint32_t>(
            std::min<std::size_t>(rows_max_, std::max<std::size_t>(requests, kRowsMin)));
    }
    /// A transaction that did nothing else, and has left something.
    void took(Duration time) {
        if (time > time_max_) {
            alone_ = std::min(rows_max_, std::max(alone_ / 2, kRowsMin));
        } else if (time < time_max_ / 2) {
            alone_ = std::min(rows_max_, alone_ + kRowsMin);
        }
    }

  private:
    uint32_t rows_max_;
    Duration time_max_;
    uint32_t alone_;
};

}  // namespace rc::store
