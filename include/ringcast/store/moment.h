#pragma once

#include <cstdint>

namespace rc::store {

/// Moments around a transaction at which a test may end the process.
enum class Moment : uint8_t {
    handled,    // its requests are, and nothing of them is on the disk
    committed,  // nobody has been told
    published,  // the cores have its publications, nobody an answer
    answered,   // the cores have the answers
};

}  // namespace rc::store
