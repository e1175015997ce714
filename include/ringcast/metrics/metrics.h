#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "ringcast/base/time.h"

namespace rc::metrics {

/// A figure that one core writes and any core may read. Cost: a plain add for the writer.
class Counter {
  public:
    void add(uint64_t n = 1) {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void subtract(uint64_t n = 1) {
        value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
    }
    void set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    [[nodiscard]] uint64_t value() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<uint64_t> value_{0};
};

/// Times in buckets of powers of two, from 1 us to 2 s and above. One core writes, any may read.
class Histogram {
  public:
    static constexpr uint32_t kBuckets = 22;  // the last one has no bound
    void record(Duration time) {
        auto const us = static_cast<uint64_t>(time.count() > 0 ? time.count() / 1000 : 0);
        auto const bucket = static_cast<uint32_t>(std::bit_width(us));
        buckets_[bucket < kBuckets ? bucket : kBuckets - 1].add();
        sum_ns_.add(static_cast<uint64_t>(time.count() > 0 ? time.count() : 0));
    }
    /// Times below 2^i microseconds that are not in an earlier bucket.
    [[nodiscard]] uint64_t bucket(uint32_t i) const { return buckets_[i].value(); }
    [[nodiscard]] uint64_t sum_ns() const { return sum_ns_.value(); }

  private:
    std::array<Counter, kBuckets> buckets_;
    Counter sum_ns_;
};

/// Prometheus text exposition, format 0.0.4, built up in one string.
class Exposition {
  public:
    /// Opens a family: its HELP and TYPE lines. `type` is counter, gauge or histogram.
    void family(std::string_view name, std::string_view type, std::string_view help);
    /// @param labels  as they stand between the braces, for example core="0"; may be empty
    void sample(std::string_view name, std::string_view labels, uint64_t value);
    void sample(std::string_view name, std::string_view labels, double value);
    void histogram(std::string_view name, std::string_view labels, const Histogram& histogram);
    [[nodiscard]] std::string take() { return std::move(text_); }

  private:
    std::string text_;
};

}  // namespace rc::metrics
