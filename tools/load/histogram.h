#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <vector>

namespace rc::load {

/// Counts of values in log-linear buckets, as HdrHistogram has them: exact below 256, above that each power
/// of two in 128 equal parts, so that a value is known to 0.8 %. Values from 0 to 2^44 - 1 (nanoseconds: 4.8
/// hours); above that the highest. 37 KiB. Core: one at a time.
class Histogram {
  public:
    static constexpr uint32_t kPartBits = 7, kParts = 1U << kPartBits, kValueBits = 44;
    static constexpr uint64_t kValueMax = (1ULL << kValueBits) - 1;
    static constexpr uint32_t kBuckets = (kValueBits - kPartBits + 1) * kParts;

    void record(int64_t value, uint64_t times = 1) {
        auto const v = value < 0                                  ? 0
                       : static_cast<uint64_t>(value) > kValueMax ? kValueMax
                                                                  : static_cast<uint64_t>(value);
        counts_[bucket_of(v)] += times;
        count_ += times;
        sum_ += static_cast<double>(v) * static_cast<double>(times);
        if (v > max_) max_ = v;
        if (v < min_) min_ = v;
    }
    void merge(const Histogram& other);

    [[nodiscard]] uint64_t count() const { return count_; }
    [[nodiscard]] uint64_t max() const { return max_; }
    [[nodiscard]] uint64_t min() const { return count_ ? min_ : 0; }
    [[nodiscard]] double mean() const { return count_ ? sum_ / static_cast<double>(count_) : 0; }
    /// The least value that a share of all values does not exceed, to the precision of the buckets (never
    /// above max()). 0 without values. @param share  0 to 1
    [[nodiscard]] uint64_t quantile(double share) const;

    static constexpr uint32_t bucket_of(uint64_t value) {
        auto const width = static_cast<uint32_t>(std::bit_width(value));
        if (width <= kPartBits + 1) return static_cast<uint32_t>(value);
        uint32_t const shift = width - kPartBits - 1;
        return (shift << kPartBits) + static_cast<uint32_t>(value >> shift);
    }
    /// The highest value that falls into the bucket.
    static constexpr uint64_t highest_of(uint32_t bucket) {
        if (bucket < 2 * kParts) return bucket;
        uint32_t const shift = (bucket >> kPartBits) - 1;
        uint64_t const lowest = (uint64_t{bucket & (kParts - 1)} | kParts) << shift;
        return lowest + (1ULL << shift) - 1;
    }

  private:
    std::vector<uint64_t> counts_ = std::vector<uint64_t>(kBuckets);
    uint64_t count_ = 0, max_ = 0, min_ = UINT64_MAX;
    double sum_ = 0;
};

}  // namespace rc::load
