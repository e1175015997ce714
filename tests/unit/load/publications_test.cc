#include "publications.h"

#include <gtest/gtest.h>

namespace rc::load {
namespace {

MonoTime at(int ns) {
    return MonoTime(Duration(ns));
}

TEST(Publications, KnowTheFirstTheMiddleAndTheLastReceiver) {
    Publications publications;
    publications.begin(7, 5);
    EXPECT_FALSE(publications.deliver(7, 1, at(10)));
    EXPECT_FALSE(publications.times(7).complete());
    EXPECT_FALSE(publications.deliver(7, 3, at(20)));
    EXPECT_TRUE(publications.deliver(7, 1, at(30)));
    auto const times = publications.times(7);
    EXPECT_TRUE(times.complete());
    EXPECT_EQ(times.at_ns, (std::array<int64_t, 3>{10, 20, 30}));
}

TEST(Publications, OfOneReceiverHaveOneTime) {
    Publications publications;
    publications.begin(1, 1);
    EXPECT_TRUE(publications.deliver(1, 1, at(10)));
    EXPECT_EQ(publications.times(1).at_ns, (std::array<int64_t, 3>{10, 10, 10}));
}

TEST(Publications, CountNothingForWhatHasEndedOrWasReplaced) {
    Publications publications;
    publications.begin(1, 2);
    publications.deliver(1, 1, at(10));
    publications.end(1);
    EXPECT_FALSE(publications.deliver(1, 1, at(20)));
    EXPECT_FALSE(publications.times(1).complete());
    publications.begin(1 + Publications::kPlaces, 1);
    EXPECT_FALSE(publications.deliver(1, 1, at(30)));
    EXPECT_TRUE(publications.deliver(1 + Publications::kPlaces, 1, at(40)));
}

TEST(Publications, OfNobodyAreNeverComplete) {
    Publications publications;
    publications.begin(3, 0);
    EXPECT_FALSE(publications.times(3).complete());
}

}  // namespace
}  // namespace rc::load
