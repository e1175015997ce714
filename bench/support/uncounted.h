#pragma once

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else  // not needed but to count
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS_AT(name) static_cast<void>(name)
#endif

namespace rc::bench {

/// Under callgrind, what runs in such a scope is not counted, but for what runs in a Counted inside it; a
/// program begins uncounted (--collect-atstart=no), and each changes to the other. Cost: ten instructions.
struct Toggle {
    Toggle() { CALLGRIND_TOGGLE_COLLECT; }
    ~Toggle() { CALLGRIND_TOGGLE_COLLECT; }
    Toggle(const Toggle&) = delete;
    Toggle& operator=(const Toggle&) = delete;
};
using Counted = Toggle;
using Uncounted = Toggle;

}  // namespace rc::bench
