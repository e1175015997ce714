#include "histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace rc::load {
namespace {

TEST(Histogram, BucketsAreUnbrokenAndNoneIsWiderThanAHundredAndTwentyEighth) {
    uint64_t next = 0;
    for (uint32_t bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
        ASSERT_EQ(Histogram::bucket_of(next), bucket);
        uint64_t const highest = Histogram::highest_of(bucket);
        ASSERT_EQ(Histogram::bucket_of(highest), bucket);
        ASSERT_GE(highest, next);
        ASSERT_LE(highest - next, highest < 256 ? 0 : next / 128);
        next = highest + 1;
    }
    EXPECT_EQ(next - 1, Histogram::kValueMax);
}

TEST(Histogram, QuantilesAreThoseOfTheSortedValuesToThePrecisionOfABucket) {
    Histogram histogram;
    std::vector<uint64_t> values;
    uint64_t state = 1;
    for (int i = 0; i < 20'000; ++i) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        values.push_back(static_cast<uint64_t>(std::exp(static_cast<double>(state >> 40) / (1 << 24) * 25)));
        histogram.record(static_cast<int64_t>(values.back()));
    }
    std::ranges::sort(values);
    for (double const share : {0.0, 0.001, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
        auto const place = std::max<std::size_t>(static_cast<std::size_t>(std::ceil(share * 20'000)), 1) - 1;
        auto const got = histogram.quantile(share);
        EXPECT_GE(got, values[place]) << share;
        EXPECT_LE(got, values[place] + values[place] / 127 + 1) << share;
    }
    EXPECT_EQ(histogram.quantile(1), values.back());
    EXPECT_EQ(histogram.min(), values.front());
    EXPECT_EQ(histogram.count(), 20'000U);
}

TEST(Histogram, CountsSeveralAtOnceAndWhatIsOutOfRangeAtItsEnds) {
    Histogram histogram;
    histogram.record(10, 3);
    histogram.record(-5);
    histogram.record(INT64_MAX);
    EXPECT_EQ(histogram.count(), 5U);
    EXPECT_EQ(histogram.min(), 0U);
    EXPECT_EQ(histogram.max(), Histogram::kValueMax);
    EXPECT_EQ(histogram.quantile(0.5), 10U);
}

TEST(Histogram, MergesAsIfAllHadBeenRecordedInOne) {
    Histogram one, other, both;
    for (int64_t value : {1, 500, 70'000}) {
        one.record(value);
        both.record(value);
    }
    for (int64_t value : {3, 9'000'000}) {
        other.record(value);
        both.record(value);
    }
    one.merge(other);
    for (double const share : {0.0, 0.2, 0.4, 0.6, 0.8, 1.0})
        EXPECT_EQ(one.quantile(share), both.quantile(share));
    EXPECT_DOUBLE_EQ(one.mean(), both.mean());
    EXPECT_EQ(one.min(), 1U);
}

TEST(Histogram, IsZeroWithoutValues) {
    Histogram const histogram;
    EXPECT_EQ(histogram.quantile(0.99), 0U);
    EXPECT_EQ(histogram.min(), 0U);
    EXPECT_EQ(histogram.mean(), 0);
}

}  // namespace
}  // namespace rc::load
