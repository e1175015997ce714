#include "ringcast/base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace rc {

void assertion_failed(const char* expression, const char* file, int line) noexcept {
    std::fprintf(stderr, "ringcast: assertion failed: %s (%s:%d)\n", expression, file, line);
    std::abort();
}

}  // namespace rc
