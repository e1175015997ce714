#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "ringcast/base/hash.h"

namespace rc::store::sqlite {

/// The checksum of a row: its numbers in a fixed order, then its texts. Each part is hashed on its own,
/// seeded by the parts before it, so that nothing can move from one into the next.
template <std::size_t Numbers, class... Texts>
uint64_t checksum(const std::array<uint64_t, Numbers>& numbers, const Texts&... texts) {
    uint64_t sum = hash64({reinterpret_cast<const char*>(numbers.data()), sizeof(numbers)}, Numbers);
    ((sum = hash64(texts, sum)), ...);
    return sum;
}

}  // namespace rc::store::sqlite
