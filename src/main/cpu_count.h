#pragma once

#include <cstdint>

namespace rc::main {

/// CPUs that this process may run on, as its affinity says; at least 1. What `workers = 0` stands for, up to
/// limits::kWorkersMax. Core: the main thread, before the cores are pinned.
uint32_t usable_cpus();

}  // namespace rc::main
