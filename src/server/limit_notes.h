#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "ringcast/base/time.h"
#include "ringcast/metrics/metrics.h"

namespace rc::server {

/// The limits that `limits.dry_run` turns into counts.
enum class Limit : uint8_t {
    connections_per_user,
    connections_per_address,
    new_connections_per_address,
    auth_failures_per_address,
    count_
};
constexpr std::size_t kLimits = static_cast<std::size_t>(Limit::count_);
/// As the setting is named: "connections_per_user".
std::string_view limit_name(Limit limit);

/// Whom the limits refused, or would have refused: counts, and a line every kLimitNoteEvery for each of them.
/// Core: own core only, but for the counts. Cost: O(1).
class LimitNotes {
  public:
    LimitNotes(uint32_t core, bool dry_run) : core_(core), dry_run_(dry_run) {}

    [[nodiscard]] bool dry_run() const { return dry_run_; }
    /// @param who  the peer's address, or words where there is none
    void hit(Limit limit, std::string_view who, MonoTime now);

    [[nodiscard]] const metrics::Counter& refused(std::size_t limit) const { return refused_[limit]; }
    [[nodiscard]] const metrics::Counter& would_refuse(std::size_t limit) const { return would_[limit]; }

  private:
    struct Note {
        MonoTime due{};  // of the next line
        uint64_t unsaid = 0;
    };
    uint32_t core_;
    bool dry_run_;
    std::array<metrics::Counter, kLimits> refused_, would_;
    std::array<Note, kLimits> notes_;
};

}  // namespace rc::server
