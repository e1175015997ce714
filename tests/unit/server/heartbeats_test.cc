#include "../../../src/server/heartbeats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace rc::server {
namespace {

constexpr Duration kInterval = seconds(25);

TEST(Heartbeats, AsManyBatchesAsKeepThemSmall) {
    EXPECT_EQ(heartbeat_batches(0, kInterval), 128U);
    EXPECT_EQ(heartbeat_batches(128 * 64, kInterval), 128U);
    EXPECT_EQ(heartbeat_batches(129 * 64, kInterval), 256U);
    EXPECT_EQ(heartbeat_batches(200'000, kInterval), 4096U);
    EXPECT_EQ(heartbeat_batches(1'000'000'000, kInterval), 4096U) << "a tick apart at least";
    EXPECT_EQ(heartbeat_batches(1'000, milliseconds(200)), 32U);
    EXPECT_EQ(heartbeat_batches(1'000, milliseconds(10)), 2U);
}

TEST(Heartbeats, ThePlacesOfFewBatchesAreAmongThoseOfMany) {
    for (auto interval : {kInterval, kInterval + Duration(7), Duration(hours(24))}) {
        std::set<MonoTime> few, many;
        MonoTime const now(hours(1000) + Duration(12'345));
        for (uint64_t i = 0; i < 128; ++i)
            few.insert(heartbeat_place(now, interval, 128, i));
        for (uint64_t i = 0; i < 4096; ++i)
            many.insert(heartbeat_place(now + Duration(1), interval, 4096, i));
        EXPECT_EQ(few.size(), 128U);
        EXPECT_EQ(many.size(), 4096U);
        EXPECT_TRUE(std::includes(many.begin(), many.end(), few.begin(), few.end()));
    }
}

TEST(Heartbeats, TheFirstIsBehindNowAndWithinAnInterval) {
    for (int64_t late = -3; late <= 3; ++late) {
        for (uint64_t i = 0; i < 128; ++i) {
            MonoTime const now(100 * kInterval + kInterval / 128 * 5 + Duration(late));
            auto const place = heartbeat_place(now, kInterval, 128, i);
            EXPECT_GT(place, now);
            EXPECT_LE(place, now + kInterval);
        }
    }
}

// Whoever comes later has the same places, interval after interval.
TEST(Heartbeats, PlacesRecurExactly) {
    MonoTime const now(hours(9) + milliseconds(7));
    for (uint64_t i = 0; i < 128; ++i) {
        EXPECT_EQ(heartbeat_place(now + 3 * kInterval, kInterval, 128, i),
                  heartbeat_place(now, kInterval, 128, i) + 3 * kInterval);
    }
}

}  // namespace
}  // namespace rc::server
