#pragma once

#include <cstdint>
#include <string_view>

#include "../support/fake_ring.h"
#include "ringcast/base/hash.h"

namespace rc::sim {

/// The draws of one run: everything that it decides comes from here.
class Chance {
  public:
    explicit Chance(uint64_t seed) : source_(seed) {}

    uint64_t next() { return source_.next(); }
    /// 0 to n-1. @param n  above zero
    uint32_t below(uint64_t n) { return static_cast<uint32_t>(source_.next() % n); }
    uint32_t between(uint32_t low, uint32_t high) { return low + below(uint64_t{high} - low + 1); }
    /// True that often in 1,024.
    bool hit(uint32_t per_1024) { return per_1024 > 0 && below(1024) < per_1024; }
    bool coin() { return (source_.next() & 1) != 0; }
    template <class T, std::size_t n>
    T of(const T (&values)[n]) {
        return values[below(n)];
    }
    test::FakeEntropy& source() { return source_; }

  private:
    test::FakeEntropy source_;
};

/// A hash of everything that happened, in its order: two runs of one seed have the same.
class Digest {
  public:
    void add(uint64_t value) {
        state_ = (state_ ^ value) * 0x9e3779b97f4a7c15;
        state_ ^= state_ >> 29;
    }
    void add(std::string_view bytes) { add(hash64(bytes, state_)); }
    [[nodiscard]] uint64_t value() const { return state_; }

  private:
    uint64_t state_ = 0x243f6a8885a308d3;
};

}  // namespace rc::sim
