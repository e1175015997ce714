#pragma once

#include <algorithm>
#include <cstdint>

#include "ringcast/base/time.h"

namespace rc::store {

/// How many rows that have to go are deleted in a transaction. Each dirties some pages, which the commit
/// writes and syncs, and whoever comes meanwhile waits: so what the rows add to a transaction is held to its
/// bound. What a transaction of a few rows takes, the disk's sync above all, no number of rows makes shorter:
/// it is measured every so often, and taken off. Core: the store's thread.
class SweepPace {
  public:
    static constexpr uint32_t kRowsMin = 16;       // in a transaction: a slow disk has some hundred a second
    static constexpr uint32_t kMeasureEvery = 32;  // transactions: then one has no more than those

    /// @param rows_max  in a transaction that does nothing else
    /// @param time_max  that rows add to it, its commit included
    /// @param timed  took() will be told
    SweepPace(uint32_t rows_max, Duration time_max, bool timed)
        : rows_max_(rows_max),
          time_max_(time_max),
          alone_(timed ? std::min(rows_max, 2 * kRowsMin) : rows_max),
          measure_in_(timed ? 0 : kMeasureEvery) {}

    /// Of a transaction that does nothing else.
    [[nodiscard]] uint32_t rows_alone() const {
        return measure_in_ == 0 ? std::min(rows_max_, kRowsMin) : alone_;
    }
    /// Of one that others wait for, and that brings so many new ones: as many must go as come.
    [[nodiscard]] static uint32_t rows_beside(std::size_t rows_new) {
        return static_cast<uint32_t>(std::max<std::size_t>(rows_new, kRowsMin));
    }
    /// A transaction that did nothing else, and has left something.
    void took(uint32_t rows, Duration time) {
        if (rows <= kRowsMin) {
            // The lesser of two: one may have met with an accident.
            least_ = measured_ == Duration::zero() ? time : std::min(time, measured_);
            measured_ = time;
            measure_in_ = kMeasureEvery;
        } else {
            --measure_in_;
        }
        auto const added = time - least_;
        if (added > time_max_) {
            alone_ = std::min(rows_max_, std::max(alone_ / 2, kRowsMin));
        } else if (rows >= alone_ && added < time_max_ / 2) {
            alone_ = std::min(rows_max_, alone_ + kRowsMin);
        }
    }

  private:
    uint32_t rows_max_;
    Duration time_max_;
    uint32_t alone_, measure_in_;
    Duration least_ = Duration::zero(), measured_ = Duration::zero();  // of the last with few rows
};

}  // namespace rc::store
