#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "ringcast/metrics/metrics.h"

namespace rc::net {

/// One listening socket on which several cores accept: a unix socket, which has no SO_REUSEPORT. The kernel
/// gives its connections to whoever asks first, and that is often one core alone, so each core stands back
/// while it holds too many of them. Each core writes its own figures and reads the others', which may be a
/// little old. Core: any, for its own place. Memory: a cache line a core.
class SharedListener {
  public:
    /// More than the mean by this much is too many: 5 % of the mean, and 16.
    static constexpr uint64_t kMorePercent = 5, kMore = 16;

    explicit SharedListener(uint32_t cores) : places_(cores) {}

    /// A connection came to the core, or one that had come has ended.
    void came(uint32_t core) { places_[core].held.add(); }
    void left(uint32_t core) { places_[core].held.subtract(); }
    /// Whether the core accepts at all. One that does not, for reasons of its own, is left out of the mean:
    /// else the others might wait for it for ever.
    void set_taking(uint32_t core, bool taking) {
        places_[core].taking.store(taking, std::memory_order_relaxed);
    }

    /// False for at least one of the cores that accept. Cost: O(cores).
    [[nodiscard]] bool holds_too_many(uint32_t core) const {
        uint64_t held = 0, cores = 0;
        for (const auto& place : places_) {
            if (!place.taking.load(std::memory_order_relaxed)) continue;
            held += place.held.value();
            ++cores;
        }
        return 100 * cores * places_[core].held.value() > (100 + kMorePercent) * held + 100 * kMore * cores;
    }
    [[nodiscard]] uint64_t held(uint32_t core) const { return places_[core].held.value(); }

  private:
    struct alignas(64) Place {
        metrics::Counter held;
        std::atomic<bool> taking{false};
    };
    std::vector<Place> places_;
};

}  // namespace rc::net
