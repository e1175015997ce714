#include <pthread.h>
#include <sched.h>

#include "ringcast/reactor/reactor.h"

namespace rc::reactor {

bool pin_this_thread(uint32_t cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return ::pthread_setaffinity_np(::pthread_self(), sizeof(set), &set) == 0;
}

std::vector<uint32_t> usable_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<uint32_t> cpus;
    if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
        for (uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
        }
    }
    if (cpus.empty()) cpus.push_back(0);
    return cpus;
}

void name_this_thread(const char* name) {
    ::pthread_setname_np(::pthread_self(), name);
}

}  // namespace rc::reactor
