#include "ringcast/base/time.h"

#include <gtest/gtest.h>

namespace rc {
namespace {

TEST(ShortTime, IsTheTimeInMillisecondsAndNeverEarlier) {
    MonoTime const now{hours(1)};
    for (Duration const after :
         {Duration(0), Duration(1), Duration(milliseconds(1)), milliseconds(1) + Duration(1),
          Duration(seconds(25)), Duration(hours(24 * 24))}) {
        auto const kept = ShortTime(now + after).near(now);
        EXPECT_GE(kept, now + after);
        EXPECT_LT(kept, now + after + milliseconds(1));
    }
}

// 2^32 ms are over every 49 days.
TEST(ShortTime, HoldsWhereItsNumberBeginsAnew) {
    MonoTime const end{milliseconds(1LL << 32)};
    for (auto due : {end - seconds(1), end, end + seconds(1)}) {
        for (auto now : {due - hours(24), due, due + hours(24)})
            EXPECT_EQ(ShortTime(due).near(now), due);
    }
}

}  // namespace
}  // namespace rc
