#pragma once

#include <cstdint>

#include "ringcast/base/time.h"

namespace rc::server {

/// What the process takes of the machine.
struct ProgramUse {
    uint64_t resident_bytes = 0;
    Duration cpu{};  // of all its threads, since it began
};

}  // namespace rc::server
