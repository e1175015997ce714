#pragma once

#include <compare>
#include <cstddef>
#include <functional>

namespace rc {

/// An integer with a meaning of its own, so that two kinds of id cannot be swapped by mistake.
template <class Tag, class Integer>
struct StrongId {
    Integer value{};

    constexpr StrongId() = default;
    constexpr explicit StrongId(Integer v) : value(v) {}
    friend constexpr auto operator<=>(StrongId, StrongId) = default;
};

}  // namespace rc

template <class Tag, class Integer>
struct std::hash<rc::StrongId<Tag, Integer>> {
    std::size_t operator()(rc::StrongId<Tag, Integer> id) const noexcept {
        return std::hash<Integer>{}(id.value);
    }
};
