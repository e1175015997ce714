#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ringcast/base/result.h"

/// What people do to a store's file, while a server uses it or not. Both read one snapshot; while that is
/// read, the write-ahead log of a running server grows.
namespace rc::store {

struct Verified {
    std::vector<std::string> problems;  // a line each, the first kProblemsMax of them; empty: sound
    std::string epoch;
    uint64_t newest = 0;  // offset
    uint64_t users = 0, notifications = 0, messages = 0, marks = 0, keys = 0;
};
constexpr std::size_t kProblemsMax = 20;

/// Looks at every page and every row: SQLite's own integrity, checksums, counts against rows, offsets.
/// Errors: data_unusable (not readable as a store at all), settings (may not be opened), internal_error.
/// Core: any thread. Cost: reads the whole file.
Result<Verified> verify(const std::string& path);

/// Copies the store as it stands into a new file, synced. Whoever opens it goes on with an epoch of its own.
/// @return its size in bytes
/// Errors: as verify; settings where the target exists or cannot be made.
/// Core: any thread. Cost: reads and writes the whole file.
Result<uint64_t> backup(const std::string& path, const std::string& target);

}  // namespace rc::store
