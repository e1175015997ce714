#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ringcast/base/result.h"
#include "ringcast/io/clock.h"
#include "ringcast/io/uring.h"
#include "ringcast/reactor/reactor.h"

namespace rc::reactor {

/// What one core does: made on the core's own thread, asked after each turn whether it has ended.
class CoreProgram {
  public:
    virtual ~CoreProgram() = default;
    /// True ends the core's loop. Nothing of the program may be in the kernel then.
    [[nodiscard]] virtual bool ended() = 0;
};

struct CorePlan {
    std::string name;             // of the thread, at most 15 characters
    std::optional<uint32_t> cpu;  // to pin to
    io::UringOptions ring;
    std::function<std::unique_ptr<CoreProgram>(Reactor&)> make;
    int nice = 0;  // as in setpriority(2): above 0 it gives way to other threads where there are too few CPUs
    std::vector<uint32_t> cpus = {};  // without `cpu`: it runs on these alone; none: anywhere
};

/// Runs one thread a plan, the last plan on the calling thread, until all programs have ended.
/// @param ready  runs on the calling thread, between two turns, when every core has had its first turn
/// Errors: ring_refused when a ring could not be made; then no program runs.
Result<void> run_cores(Mesh& mesh, io::Clock& clock, const std::vector<CorePlan>& plans,
                       const std::function<void()>& ready);

}  // namespace rc::reactor
