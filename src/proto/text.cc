#include "ringcast/proto/text.h"

#include <algorithm>
#include <chrono>

namespace rc::proto {
namespace {

/// Writes the digits from the last to the first. @return the place before them
char* write_back(char* end, uint64_t value, uint32_t digits, uint64_t base) {
    for (; digits > 0; --digits, value /= base)
        *--end = "0123456789abcdef"[value % base];
    return end;
}

}  // namespace

std::string uuid_v7(WallTime time, uint64_t random_hi, uint64_t random_lo) {
    auto since_1970 = std::chrono::floor<milliseconds>(time.time_since_epoch()).count();
    uint64_t unix_ms = static_cast<uint64_t>(std::max<int64_t>(since_1970, 0)) & 0xffff'ffff'ffffULL;
    uint64_t high = (unix_ms << 16) | 0x7000 | (random_hi & 0x0fff);
    uint64_t low = (1ULL << 63) | (random_lo & 0x3fff'ffff'ffff'ffffULL);
    std::string text(36, '-');
    char* end = text.data() + text.size();
    end = write_back(end, low, 12, 16) - 1;
    end = write_back(end, low >> 48, 4, 16) - 1;
    end = write_back(end, high, 4, 16) - 1;
    end = write_back(end, high >> 16, 4, 16) - 1;
    write_back(end, high >> 32, 8, 16);
    return text;
}

std::string rfc3339(WallTime time) {
    auto at = std::chrono::floor<milliseconds>(time.time_since_epoch());
    auto day = std::chrono::floor<std::chrono::days>(at);
    std::chrono::year_month_day date{std::chrono::sys_days{day}};
    std::chrono::hh_mm_ss clock{at - day};
    std::string text = "yyyy-mm-ddThh:mm:ss.mmmZ";
    auto const put = [&text](std::size_t behind, auto value, uint32_t digits) {
        write_back(text.data() + behind, static_cast<uint64_t>(value), digits, 10);
    };
    put(4, static_cast<int>(date.year()), 4);
    put(7, static_cast<unsigned>(date.month()), 2);
    put(10, static_cast<unsigned>(date.day()), 2);
    put(13, clock.hours().count(), 2);
    put(16, clock.minutes().count(), 2);
    put(19, clock.seconds().count(), 2);
    put(23, clock.subseconds().count(), 3);
    return text;
}

}  // namespace rc::proto
