#pragma once

#include <cstdint>
#include <string>

#include "ringcast/base/time.h"

/// Texts that are made from time and chance, both of which the caller brings.
/// Errors: none. Core: any.
namespace rc::proto {

/// A UUID of version 7 in its usual form of 36 characters: sorts by its millisecond.
/// @param time  before 1970 counts as 1970
/// @param random_hi  12 bits of it are used
/// @param random_lo  62 bits of it are used
/// Source: RFC 9562, 5.7.
std::string uuid_v7(WallTime time, uint64_t random_hi, uint64_t random_lo);

/// UTC with milliseconds, rounded down: "2026-11-22T20:11:12.345Z".
/// Source: RFC 3339.
std::string rfc3339(WallTime time);

}  // namespace rc::proto
