#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace rc {

// What programs say of their arguments, on one line. Core: the main thread.

/// Foreign text as part of a line: control bytes replaced, none left at its end.
inline std::string in_one_line(std::string_view text) {
    std::string out(text);
    std::ranges::replace_if(
        out, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
    out.erase(out.find_last_not_of(' ') + 1);
    return out;
}

/// What is wrong with `extras`, the arguments of `argv` that no flag takes; there is one at least. Names
/// flags only: what stands beside a flag that is misspelt may be a secret, and this goes into a log.
inline std::string describe_extras(const std::vector<std::string>& extras, int argc,
                                   const char* const* argv) {
    for (const auto& text : extras)
        if (text.starts_with('-')) return text.substr(0, text.find('=')) + " is no flag";
    int at = 1;
    while (at < argc && extras.front() != argv[at])
        ++at;
    return fmt::format("argument {} belongs to no flag", at);
}

}  // namespace rc
