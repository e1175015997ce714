#pragma once

#include <cstdint>
#include <string>

#include "sqlite.h"

namespace rc::store::sqlite {

/// Whether the write-ahead log of a file whose commits were all synced is damaged in its middle. SQLite takes
/// what stands before the first frame that does not fit, silently: right where power went in the middle
/// of the last commit, a loss where a later commit shows that what does not fit had been synced.
/// Damage in the last two commits cannot be told from a power cut.
/// Throws SqlError where it cannot be read. Cost: reads the log.
bool wal_is_damaged(const std::string& database);

/// The first page that the open database should have, and neither the file nor its write-ahead log has: the
/// file was cut short. 0: none.
/// Throws SqlError where it cannot be read. Cost: as above, where the file is shorter than the database.
uint32_t missing_page(Database& db, const std::string& database);

}  // namespace rc::store::sqlite
