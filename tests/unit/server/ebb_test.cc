#include "../../../src/server/ebb.h"

#include <gtest/gtest.h>

namespace rc::server {
namespace {

constexpr uint64_t kCrowd = 100'000;

TEST(Ebb, IsSeenOnceWhenNoMoreLeave) {
    Ebb ebb;
    EXPECT_FALSE(ebb.look(kCrowd));
    EXPECT_FALSE(ebb.look(kCrowd / 2)) << "they are leaving still";
    EXPECT_FALSE(ebb.look(100));
    EXPECT_TRUE(ebb.look(100));
    EXPECT_FALSE(ebb.look(100));
    EXPECT_FALSE(ebb.look(0));
}

TEST(Ebb, IsNoneWhereFewLeave) {
    Ebb ebb;
    ebb.look(kCrowd);
    ebb.look(kCrowd - Ebb::kWorth + 1);
    EXPECT_FALSE(ebb.look(kCrowd - Ebb::kWorth + 1));
    EXPECT_TRUE(ebb.look(kCrowd - Ebb::kWorth));
}

TEST(Ebb, IsSeenAlsoWhereOneByOneLeaves) {
    Ebb ebb;
    int seen = 0;
    for (uint64_t held = kCrowd; held > kCrowd - 2 * Ebb::kWorth - 1; --held)
        seen += ebb.look(held);
    EXPECT_EQ(seen, 2);
}

TEST(Ebb, IsNoneWhereAsManyComeAsGo) {
    Ebb ebb;
    for (int i = 0; i < 100; ++i)
        EXPECT_FALSE(ebb.look(kCrowd + (i % 2) * Ebb::kWorth / 2));
}

}  // namespace
}  // namespace rc::server
