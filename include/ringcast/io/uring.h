#pragma once

#include <cstdint>
#include <memory>

#include "ringcast/base/result.h"
#include "ringcast/io/clock.h"
#include "ringcast/io/network.h"
#include "ringcast/io/ring.h"

/// The real kernel behind the ports. Nothing else of ringcast calls it for sockets, time or chance.
namespace rc::io {

struct UringOptions {
    uint32_t submissions = 2048;  // entries of the submission queue; completions four times that
    uint32_t buffers = 1024;      // provided receive buffers, a power of two
    uint32_t buffer_bytes = 4096;
    uint32_t direct_files_max =
        1U << 20;  // lowered to the hard RLIMIT_NOFILE, the kernel's bound for one ring; raises the soft one
    // For a reader that would rather be woken seldom than at once: a wait goes on for gather_max, unless so
    // many completions are there before. Zero wakes at the first.
    Duration gather_max = Duration::zero();
    uint32_t gather_completions = 64;
};

/// Makes the ring of the calling thread, which alone may use it (SINGLE_ISSUER | DEFER_TASKRUN).
/// Errors: ring_refused, with one line that says what to change (sysctl, seccomp, kernel 6.1).
Result<std::unique_ptr<Ring>> make_uring(const UringOptions& options);

std::unique_ptr<Clock> make_system_clock();
std::unique_ptr<Entropy> make_system_entropy();
std::unique_ptr<Network> make_system_network();

}  // namespace rc::io
