#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "ringcast/base/time.h"

namespace rc::load {

/// The publications under way: which receiver was the first, the middle and the last to have each. One core
/// begins them, every core counts deliveries. A place is used again kPlaces publications later.
class Publications {
  public:
    static constexpr uint32_t kPlaces = 1U << 16;

    /// @param expected  receivers; 0: complete at once
    void begin(uint32_t publication, uint32_t expected) {
        auto& place = at(publication);
        place.received.store(0, std::memory_order_relaxed);
        place.expected.store(expected, std::memory_order_relaxed);
        for (auto& time : place.times)
            time.store(0, std::memory_order_relaxed);
        place.publication.store(publication, std::memory_order_release);
    }
    /// Nothing more is counted for it.
    void end(uint32_t publication) {
        at(publication).publication.store(~publication, std::memory_order_release);
    }

    /// Some receivers of one core have had it. True if it is complete with them.
    bool deliver(uint32_t publication, uint32_t receivers, MonoTime now) {
        auto& place = at(publication);
        if (place.publication.load(std::memory_order_acquire) != publication) return false;
        uint32_t const expected = place.expected.load(std::memory_order_relaxed);
        uint32_t const before = place.received.fetch_add(receivers, std::memory_order_relaxed);
        uint32_t const after = before + receivers, middle = (expected + 1) / 2;
        auto const time = now.time_since_epoch().count();
        auto reached = [&](uint32_t rank) { return before < rank && after >= rank; };
        if (reached(1)) place.times[kFirst].store(time, std::memory_order_release);
        if (reached(middle)) place.times[kMiddle].store(time, std::memory_order_release);
        if (!reached(expected)) return false;
        place.times[kLast].store(time, std::memory_order_release);
        return true;
    }

    enum Rank : uint8_t { kFirst, kMiddle, kLast };
    struct Times {
        std::array<int64_t, 3> at_ns{};  // by Rank
        [[nodiscard]] bool complete() const {
            return at_ns[kFirst] != 0 && at_ns[kMiddle] != 0 && at_ns[kLast] != 0;
        }
    };
    [[nodiscard]] Times times(uint32_t publication) {
        Times out;
        for (std::size_t i = 0; i < out.at_ns.size(); ++i)
            out.at_ns[i] = at(publication).times[i].load(std::memory_order_acquire);
        return out;
    }

  private:
    struct alignas(64) Place {
        std::atomic<uint32_t> publication{UINT32_MAX}, received{0}, expected{0};
        std::array<std::atomic<int64_t>, 3> times{};
    };
    Place& at(uint32_t publication) { return places_[publication % kPlaces]; }
    std::unique_ptr<Place[]> places_ = std::make_unique<Place[]>(kPlaces);
};

}  // namespace rc::load
