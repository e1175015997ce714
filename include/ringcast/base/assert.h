#pragma once

namespace rc {

/// Prints one line and aborts: a promise of our own is broken, and going on would only hide where.
/// Core: any. Cost: the process.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace rc

/// Checks a promise of our own code, in release builds too. A peer's mistake is a Result, never this.
#define RC_ASSERT(expression)                           \
    (__builtin_expect(static_cast<bool>(expression), 1) \
         ? static_cast<void>(0)                         \
         : ::rc::assertion_failed(#expression, __FILE__, __LINE__))
