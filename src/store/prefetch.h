#pragma once

#include <cstddef>

namespace rc::store {

/// Has these bytes fetched into the CPU's cache, to be read soon. Nothing happens where there are none.
inline void prefetch(const void* from, std::size_t bytes) {
    constexpr std::size_t kLine = 64;
    for (std::size_t at = 0; at < bytes; at += kLine)
        __builtin_prefetch(static_cast<const char*>(from) + at);
}

}  // namespace rc::store
