#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "ringcast/store/log.h"

namespace rc::store {

/// The log in memory: for the simulator, for tests, and wherever nothing has to outlive the process.
/// Core: the store's thread. Cost: O(log n) a record, O(users) an Append.
class MemoryLog final : public Log {
  public:
    struct Options {
        std::string epoch;                        // random, new each time; a few characters of A-Z a-z 0-9
        Duration retention = hours(24 * 30);      // of every record
        uint32_t notifications_per_user = 1'000;  // and as many other messages, counted apart
        std::size_t memory_max = 1ULL << 30;      // bytes, about; then Append and Reserve are `unavailable`
        uint32_t queue_max = 4'096;               // requests that wait, those for a key's outcome included
        std::size_t queue_bytes_max = 64 << 20;  // of messages and addressees in them; one always has a place
        uint32_t requests_per_step = 256;
        uint32_t sweep_per_step = 64;  // users, and keys, whose age is looked at
    };
    explicit MemoryLog(Options options);
    ~MemoryLog() override;

    [[nodiscard]] bool submit(Request&& request) override;
    bool step(WallTime now, Outcomes& outcomes) override;
    [[nodiscard]] Figures figures() const override;

    /// For tests, what a disk may do to a log: what it refuses is `unavailable`.
    enum class Fault : uint8_t { none, writes, everything };
    void set_fault(Fault fault);

    [[nodiscard]] std::string_view epoch() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace rc::store
