#pragma once

#include <chrono>
#include <cstdint>

namespace rc {

using Duration = std::chrono::nanoseconds;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

/// Never goes back, says nothing of the date. Every deadline and window is measured by it.
struct MonoClock {
    using duration = Duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<MonoClock>;
    static constexpr bool is_steady = true;
};
using MonoTime = MonoClock::time_point;

/// A time in 4 bytes, for records of which there are very many: milliseconds, rounded up, and known as long
/// as it is within 24 days of the present.
class ShortTime {
  public:
    ShortTime() = default;
    explicit ShortTime(MonoTime time)
        : milliseconds_(
              static_cast<uint32_t>(std::chrono::ceil<milliseconds>(time.time_since_epoch()).count())) {}
    /// Of the times that it may be, the nearest to now.
    [[nodiscard]] MonoTime near(MonoTime now) const {
        auto const present = std::chrono::floor<milliseconds>(now.time_since_epoch());
        auto const ahead = milliseconds_ - static_cast<uint32_t>(present.count());
        return MonoTime(present + milliseconds(static_cast<int32_t>(ahead)));
    }

  private:
    uint32_t milliseconds_ = 0;
};

/// The date, since 1970 in UTC. May jump; used for timestamps and ids only.
struct WallClock {
    using duration = Duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<WallClock>;
    static constexpr bool is_steady = false;
};
using WallTime = WallClock::time_point;

}  // namespace rc
