#include <pthread.h>
#include <sched.h>

#include <cerrno>
#include <memory>

#include "ringcast/reactor/reactor.h"

namespace rc::reactor {

bool pin_this_thread(uint32_t cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return ::pthread_setaffinity_np(::pthread_self(), sizeof(set), &set) == 0;
}

std::vector<uint32_t> usable_cpus() {
    // The kernel refuses a set that is smaller than its own, whose size it does not tell.
    std::vector<uint32_t> cpus;
    for (uint32_t size = 1024; size <= 1 << 20; size *= 2) {
        std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> const set(CPU_ALLOC(size),
                                                                   [](cpu_set_t* s) { CPU_FREE(s); });
        auto const bytes = CPU_ALLOC_SIZE(size);
        if (!set) break;
        CPU_ZERO_S(bytes, set.get());
        if (::sched_getaffinity(0, bytes, set.get()) != 0) {
            if (errno == EINVAL) continue;
            break;
        }
        for (uint32_t cpu = 0; cpu < size; ++cpu) {
            if (CPU_ISSET_S(cpu, bytes, set.get())) cpus.push_back(cpu);
        }
        break;
    }
    if (cpus.empty()) cpus.push_back(0);
    return cpus;
}

void name_this_thread(const char* name) {
    ::pthread_setname_np(::pthread_self(), name);
}

}  // namespace rc::reactor
