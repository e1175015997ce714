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
};

/// Chance as a port. Core: the one that owns it.
class Entropy {
  public:
    virtual ~Entropy() = default;
    [[nodiscard]] virtual uint64_t next() = 0;
};

}  // namespace rc::io
