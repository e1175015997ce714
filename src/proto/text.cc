#include "ringcast/proto/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace rc::proto {

std::string uuid_v7(WallTime time, uint64_t random_hi, uint64_t random_lo) {
    auto since_1970 = std::chrono::floor<milliseconds>(time.time_since_epoch()).count();
    uint64_t unix_ms = static_cast<uint64_t>(std::max<int64_t>(since_1970, 0)) & 0xffff'ffff'ffffULL;
    uint64_t high = (unix_ms << 16) | 0x7000 | (random_hi & 0x0fff);
    uint64_t low = (1ULL << 63) | (random_lo & 0x3fff'ffff'ffff'ffffULL);
    return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                       high & 0xffff, low >> 48, low & 0xffff'ffff'ffffULL);
}

std::string rfc3339(WallTime time) {
    auto at = std::chrono::floor<milliseconds>(time.time_since_epoch());
    auto day = std::chrono::floor<std::chrono::days>(at);
    std::chrono::year_month_day date{std::chrono::sys_days{day}};
    std::chrono::hh_mm_ss clock{at - day};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

}  // namespace rc::proto
