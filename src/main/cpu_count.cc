#include "cpu_count.h"

#include <sched.h>

#include <cerrno>
#include <memory>

namespace rc::main {

uint32_t usable_cpus() {
    // The kernel refuses a set that is smaller than its own, whose size it does not tell.
    for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
        std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> const set(CPU_ALLOC(cpus),
                                                                   [](cpu_set_t* s) { CPU_FREE(s); });
        if (!set) return 1;
        auto const bytes = CPU_ALLOC_SIZE(cpus);
        CPU_ZERO_S(bytes, set.get());
        if (::sched_getaffinity(0, bytes, set.get()) == 0) {
            int const usable = CPU_COUNT_S(bytes, set.get());
            return usable > 0 ? static_cast<uint32_t>(usable) : 1;
        }
        if (errno != EINVAL) return 1;
    }
    return 1;
}

}  // namespace rc::main
