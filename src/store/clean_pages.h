#pragma once

#include <sqlite3.h>

namespace rc::store::sqlite {

/// Zeroes what stands between the rows in each page on its way into the file. SQLite's secure_delete
/// overwrites rows that are deleted; those that it moves to another page it leaves where they were. Lives
/// longer than the connection. Core: the connection's. Cost: a copy of each page that is written there.
class CleanPages : private sqlite3_io_methods {
  public:
    /// The connection's file, which is open, is written so from now on.
    void attach(sqlite3* db);

  private:
    static int write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 at);

    const sqlite3_io_methods* own_ = nullptr;  // of SQLite's way to the disk
};

}  // namespace rc::store::sqlite
