#pragma once

#include <cstdint>

#include "ringcast/base/time.h"

namespace rc::load {

/// When things are meant to happen, at an even rate from a beginning on, whatever becomes of those before:
/// what is late is measured from here, so that a server that stalls is charged for everything that it held
/// up.
class Schedule {
  public:
    /// @param rate  a second, above zero
    Schedule(MonoTime begin, double rate) : begin_(begin), interval_ns_(1e9 / rate) {}

    /// When the next one is meant to happen.
    [[nodiscard]] MonoTime next() const { return time_of(count_); }
    [[nodiscard]] bool due(MonoTime now) const { return next() <= now; }
    /// Takes it. @return its time
    MonoTime take() { return time_of(count_++); }
    [[nodiscard]] uint64_t taken() const { return count_; }
    [[nodiscard]] MonoTime time_of(uint64_t number) const {
        return begin_ + Duration(static_cast<int64_t>(static_cast<double>(number) * interval_ns_));
    }

  private:
    MonoTime begin_;
    double interval_ns_;
    uint64_t count_ = 0;
};

}  // namespace rc::load
