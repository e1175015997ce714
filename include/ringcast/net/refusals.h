#pragma once

#include <bitset>
#include <cstdint>
#include <optional>

#include "ringcast/io/ring.h"
#include "ringcast/metrics/metrics.h"

namespace rc::net {

/// What is done about an operation that the kernel refused.
enum class Remedy : uint8_t {
    retry,  // ask again at once: nothing is wrong
    rearm,  // ask again later: what has run out must come back first
    close,  // the connection is over; for an accept, which has none, like rearm
    fatal,  // a promise of our own is broken: the process ends
};

/// The one table of errnos and operations, in refusals.cc. Nothing for an errno that is not expected of such
/// an operation. Core: any. Source: hazards.md 2.4.
std::optional<Remedy> expected_remedy(io::Kind kind, int error);

/// Asks the table. What it does not know means close, and a line in the log, once for each operation and
/// errno: a peer that could provoke one must not be able to fill the log. Core: the one that owns it.
class Refusals {
  public:
    /// @param result  of a completion: -errno
    /// Fatal ones do not return: the process ends with a line that names operation and errno.
    Remedy judge(io::Kind kind, int32_t result);

    metrics::Counter unexpected;  // refusals that the table does not know

  private:
    static constexpr std::size_t kErrorsMax =
        512;  // Linux's end at 133; the kernel's own, which leak, at 530
    std::bitset<kErrorsMax* static_cast<std::size_t>(io::Kind::count_)> said_;
};

}  // namespace rc::net
