#pragma once

#include <cstdint>

#include "ringcast/base/time.h"

namespace rc::io {

/// Time as a port. Core: any.
class Clock {
  public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual MonoTime now() = 0;
    [[nodiscard]] virtual WallTime wall() = 0;
    /// CPU time of the calling thread, also in the kernel for it. Cost: a system call, 0.3 us.
    [[nodiscard]] virtual Duration thread_cpu() = 0;
};

/// Chance as a port. Core: the one that owns it.
class Entropy {
  public:
    virtual ~Entropy() = default;
    [[nodiscard]] virtual uint64_t next() = 0;
};

}  // namespace rc::io
