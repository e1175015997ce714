#include "ringcast/reactor/core_group.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include <barrier>
#include <thread>

#include "ringcast/base/log.h"

namespace rc::reactor {
namespace {

struct Start {
    explicit Start(std::size_t participants)
        : barrier(static_cast<std::ptrdiff_t>(participants)), errors(participants) {}
    [[nodiscard]] const Error* error() const {
        for (const auto& error : errors) {
            if (error) return &*error;
        }
        return nullptr;
    }
    std::barrier<> barrier;
    std::vector<std::optional<Error>> errors;  // each written by its core, read by all behind the barrier
};

/// Linux counts nice values by thread, and `who` 0 is the calling one.
[[nodiscard]] bool be_nice(int nice) {
    return ::setpriority(PRIO_PROCESS, 0, nice) == 0;
}

[[nodiscard]] bool run_on(const std::vector<uint32_t>& cpus) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (auto const cpu : cpus)
        CPU_SET(cpu, &set);
    return ::pthread_setaffinity_np(::pthread_self(), sizeof(set), &set) == 0;
}

void run_core(CoreId id, const CorePlan& plan, Mesh& mesh, io::Clock& clock, Start& start,
              const std::function<void()>& ready) {
    if (plan.cpu && !pin_this_thread(*plan.cpu)) {
        log::warning("{}: the sandbox refuses to pin it to CPU {}; it runs unpinned", plan.name, *plan.cpu);
    }
    if (!plan.cpu && !plan.cpus.empty() && !run_on(plan.cpus))
        log::warning("{}: the sandbox refuses to keep it to some CPUs; it runs on any", plan.name);
    if (plan.nice > 0 && !be_nice(plan.nice))
        log::warning("{}: the sandbox refuses to lower its priority", plan.name);
    auto ring = io::make_uring(plan.ring);
    if (ring) {
        mesh.attach(id, **ring);
    } else {
        start.errors[id] = ring.error();
    }
    start.barrier.arrive_and_wait();
    if (start.error()) return;

    {
        CoreScope const scope(id);
        Reactor reactor(id, **ring, clock, mesh);
        auto program = plan.make(reactor);
        start.barrier.arrive_and_wait();
        // What it listens for is with the kernel from here on.
        reactor.turn(Duration::zero());
        start.barrier.arrive_and_wait();
        if (ready) ready();
        while (!program->ended())
            reactor.turn(limits::kTurnWaitMax);
        // What is queued for the kernel, closes above all, still goes.
        reactor.ring().submit_and_wait(Duration::zero());
        mesh.detach(id);
        // Others may still read this program's counters or ring this core's bell until they have ended too.
        start.barrier.arrive_and_wait();
        program.reset();
    }
}

}  // namespace

Result<void> run_cores(Mesh& mesh, io::Clock& clock, const std::vector<CorePlan>& plans,
                       const std::function<void()>& ready) {
    RC_ASSERT(!plans.empty() && plans.size() == mesh.size());
    Start start(plans.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i + 1 < plans.size(); ++i) {
        threads.emplace_back([&, i] {
            name_this_thread(plans[i].name.c_str());
            run_core(static_cast<CoreId>(i), plans[i], mesh, clock, start, nullptr);
        });
    }
    run_core(static_cast<CoreId>(plans.size() - 1), plans.back(), mesh, clock, start, ready);
    for (auto& thread : threads)
        thread.join();
    if (start.error()) return tl::unexpected(*start.error());
    return {};
}

}  // namespace rc::reactor
