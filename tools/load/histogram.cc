#include "histogram.h"

#include <algorithm>
#include <cmath>

namespace rc::load {

void Histogram::merge(const Histogram& other) {
    for (uint32_t i = 0; i < kBuckets; ++i)
        counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
    min_ = std::min(min_, other.min_);
}

uint64_t Histogram::quantile(double share) const {
    if (count_ == 0) return 0;
    auto const wanted = std::clamp<uint64_t>(
        static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_))), 1, count_);
    uint64_t passed = 0;
    for (uint32_t i = 0; i < kBuckets; ++i) {
        passed += counts_[i];
        if (passed >= wanted) return std::min(highest_of(i), max_);
    }
    return max_;
}

}  // namespace rc::load
