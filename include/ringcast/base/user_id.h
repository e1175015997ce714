#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace rc {

/// A user of the job board. The integer 123 and the string "123" are the same user, so the canonical
/// text is all there is; proto alone makes these from input (contract.md 3: 0 to 2^53-1, or 1-128
/// bytes of valid UTF-8 without C0, DEL and C1).
struct UserId {
    std::string text;

    friend auto operator<=>(const UserId&, const UserId&) = default;
};

}  // namespace rc
