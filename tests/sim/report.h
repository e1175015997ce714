#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <utility>

namespace rc::sim {

/// Where a run stands: what a failure is reported with.
struct Where {
    uint64_t seed = 0;
    uint64_t step = 0;
    bool running = false;
};
extern Where where;
/// The client whose view is being judged, or none: for the line.
extern uint32_t judging;

/// A promise is broken: prints the seed, the step and what it was, and ends the process with status 1.
/// Nothing is destroyed, since half of the server's objects could not be.
[[noreturn]] void violated(const std::string& what);

/// A broken assertion or a crash within a run is reported likewise.
void report_crashes();

/// One line of what happens, with --trace.
extern bool tracing;
void write_trace(const std::string& line);
template <class... Args>
void trace(fmt::format_string<Args...> format, Args&&... args) {
    if (tracing) write_trace(fmt::format(format, std::forward<Args>(args)...));
}

/// Blocks on the heap that are not freed yet, of the whole process.
int64_t live_blocks();

}  // namespace rc::sim
