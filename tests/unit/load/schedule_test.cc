#include "schedule.h"

#include <gtest/gtest.h>

namespace rc::load {
namespace {

constexpr MonoTime kBegin{seconds(100)};

TEST(Schedule, KeepsItsRateWhateverIsLate) {
    Schedule schedule(kBegin, 1000);
    EXPECT_TRUE(schedule.due(kBegin));
    EXPECT_EQ(schedule.take(), kBegin);
    EXPECT_FALSE(schedule.due(kBegin + microseconds(999)));
    EXPECT_TRUE(schedule.due(kBegin + milliseconds(1)));
    // A stall of ten: each of them is still due at its own time.
    auto const late = kBegin + milliseconds(10);
    for (int i = 1; i <= 10; ++i) {
        ASSERT_TRUE(schedule.due(late));
        EXPECT_EQ(schedule.take(), kBegin + milliseconds(i));
    }
    EXPECT_FALSE(schedule.due(late));
    EXPECT_EQ(schedule.taken(), 11U);
}

TEST(Schedule, DoesNotDriftWithARateThatDividesNoSecond) {
    Schedule schedule(kBegin, 7);
    EXPECT_EQ(schedule.time_of(7 * 3'600), kBegin + hours(1));
    EXPECT_EQ(schedule.time_of(0), kBegin);
    Schedule slow(kBegin, 0.5);
    EXPECT_EQ(slow.time_of(1), kBegin + seconds(2));
}

}  // namespace
}  // namespace rc::load
