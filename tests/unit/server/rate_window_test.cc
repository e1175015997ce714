#include "../../../src/server/rate_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

namespace rc::server {
namespace {

constexpr MonoTime kStart{hours(1)};

TEST(RateWindow, TheEventAfterTheLastAllowedWaitsForASecondToPass) {
    for (uint32_t max : {1U, 2U, 10U}) {
        for (auto late : {Duration(-1), Duration(0), Duration(1)}) {
            RateWindow window;
            for (uint32_t i = 0; i < max; ++i)
                ASSERT_TRUE(window.admit(kStart + Duration(i), max));
            EXPECT_EQ(window.admit(kStart + seconds(1) + late, max), late >= Duration(0)) << max;
        }
    }
}

TEST(RateWindow, ARefusedEventDoesNotCountItself) {
    RateWindow window;
    for (int i = 0; i < 10; ++i)
        ASSERT_TRUE(window.admit(kStart, 10));
    for (int i = 0; i < 100; ++i)
        ASSERT_FALSE(window.admit(kStart + milliseconds(999), 10));
    EXPECT_TRUE(window.admit(kStart + seconds(1), 10));
}

TEST(RateWindow, HoldsNoMemoryForOneEventASecond) {
    RateWindow window;
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(window.admit(kStart + seconds(i), 10));
        ASSERT_FALSE(window.holds_memory());
    }
}

TEST(RateWindow, GivesItsMemoryBackAfterAQuietSecond) {
    RateWindow window;
    ASSERT_TRUE(window.admit(kStart, 10));
    ASSERT_TRUE(window.admit(kStart + milliseconds(500), 10));
    EXPECT_TRUE(window.holds_memory());
    window.shrink(kStart + milliseconds(1499));
    EXPECT_TRUE(window.holds_memory());
    window.shrink(kStart + milliseconds(1500));
    EXPECT_FALSE(window.holds_memory());
}

/// All admitted times, however old.
struct Model {
    bool admit(MonoTime now, uint32_t max) {
        if (admitted.size() >= max && now - admitted[admitted.size() - max] < seconds(1)) return false;
        admitted.push_back(now);
        return true;
    }
    std::deque<MonoTime> admitted;
};

TEST(RateWindow, AgreesWithAModelThatForgetsNothing) {
    for (uint64_t seed = 1; seed <= 200; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937_64 random(seed);
        uint32_t const max = seed % 4 == 0 ? 1 + static_cast<uint32_t>(random() % 12) : 10;
        RateWindow window;
        Model model;
        MonoTime now = kStart;
        for (int i = 0; i < 500; ++i) {
            switch (random() % 6) {
                case 0: break;  // at the same moment
                case 1: now += Duration(random() % 3); break;
                case 2: now += milliseconds(random() % 120); break;
                case 3: now += milliseconds(1000) + Duration(static_cast<int64_t>(random() % 3) - 1); break;
                case 4:  // around the end of an admitted event's second
                    if (!model.admitted.empty()) {
                        auto const& event =
                            model.admitted[model.admitted.size() - 1 -
                                           random() % std::min<uint64_t>(model.admitted.size(), max)];
                        now = std::max(now,
                                       event + seconds(1) + Duration(static_cast<int64_t>(random() % 3) - 1));
                    }
                    break;
                default: now += milliseconds(random() % 3000); break;
            }
            if (random() % 5 == 0) window.shrink(now);
            ASSERT_EQ(window.admit(now, max), model.admit(now, max)) << i;
        }
    }
}

}  // namespace
}  // namespace rc::server
