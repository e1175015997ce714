#include "report.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <new>

namespace rc::sim {
namespace {

int64_t g_live_blocks = 0;

void on_crash(int signal) {
    // Not safe in a signal handler by the book; the process is lost, and this line is what it leaves.
    if (where.running) {
        std::fprintf(stderr, "seed %llu failed at step %llu: signal %d\n",
                     static_cast<unsigned long long>(where.seed), static_cast<unsigned long long>(where.step),
                     signal);
        std::fflush(stderr);
    }
    ::_exit(1);
}

}  // namespace

Where where;
uint32_t judging = UINT32_MAX;
bool tracing = false;

void write_trace(const std::string& line) {
    fmt::print("{:6} {}\n", where.step, line);
}

void violated(const std::string& what) {
    auto const whose = judging == UINT32_MAX ? "" : fmt::format("client {}: ", judging);
    fmt::print(stderr, "seed {} failed at step {}: {}{}\n", where.seed, where.step, whose, what);
    std::fflush(stdout);
    std::fflush(stderr);
    ::_exit(1);
}

void report_crashes() {
    for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL})
        ::signal(signal, on_crash);
}

int64_t live_blocks() {
    return g_live_blocks;
}

}  // namespace rc::sim

// Counted, so that a run shows what it leaves behind. Sanitizers find that by themselves.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {
void* allocate(std::size_t bytes, std::size_t alignment) {
    void* at = alignment > alignof(std::max_align_t)
                   ? std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)
                   : std::malloc(bytes);
    if (!at) std::abort();
    ++rc::sim::g_live_blocks;
    return at;
}
void release(void* at) noexcept {
    if (!at) return;
    --rc::sim::g_live_blocks;
    std::free(at);
}
}  // namespace

void* operator new(std::size_t bytes) {
    return allocate(bytes, 0);
}
void* operator new[](std::size_t bytes) {
    return allocate(bytes, 0);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
    return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* at) noexcept {
    release(at);
}
void operator delete[](void* at) noexcept {
    release(at);
}
void operator delete(void* at, std::size_t) noexcept {
    release(at);
}
void operator delete[](void* at, std::size_t) noexcept {
    release(at);
}
void operator delete(void* at, std::align_val_t) noexcept {
    release(at);
}
void operator delete[](void* at, std::align_val_t) noexcept {
    release(at);
}
void operator delete(void* at, std::size_t, std::align_val_t) noexcept {
    release(at);
}
void operator delete[](void* at, std::size_t, std::align_val_t) noexcept {
    release(at);
}

#endif
