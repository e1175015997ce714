#pragma once

#include <memory>
#include <string>

#include "ringcast/base/result.h"
#include "ringcast/base/time.h"
#include "sqlite.h"

namespace rc::store::sqlite {

/// The one row of table `state`: what is true of the whole store. Written with every transaction.
struct State {
    std::string epoch;
    uint64_t sequence = 0;       // the newest offset that was ever given
    uint64_t forgotten = 0;      // the newest offset of users whose log expired entirely
    uint64_t users = 0;          // rows of each table
    uint64_t notifications = 0;  // of table entry, read and unread
    uint64_t messages = 0;       // the others
    uint64_t marks = 0;
    uint64_t keys = 0;
    uint32_t kept = 0;  // nobody has more notifications, or other messages; 0: unknown
    // How it was last opened, to tell after the next start what may be missing.
    bool synced = true;   // each commit reached the disk before it was reported
    std::string boot;     // of the kernel that it ran on
    bool clean = true;    // it was closed, and everything has reached the disk
    bool backup = false;  // a copy: whoever opens it goes on with an epoch of its own
};
State read_state(Database& db);
constexpr const char* kWriteState =
    "INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
void write_state(Statement& statement, const State& state);  // of kWriteState

struct OpenOptions {
    std::string path;
    bool synced = true;               // from now on each commit is to reach the disk
    std::string epoch;                // of a new file
    std::function<MonoTime()> clock;  // for look_time_max; none: no such bound
    Duration look_time_max{};         // for looking at pages and rows
};
/// Opens the file for writing, or makes one where there is none: looked at for damage, write-ahead log on,
/// brought up to date. What an earlier process left in the page cache may not have reached the disk: before
/// anything is answered, cut_log() must succeed.
/// Errors: data_unusable (damaged, or newer than this program; it is left as it was), data_in_use, settings
/// (may not be opened), internal_error (the disk refuses).
Result<std::unique_ptr<Database>> open_file(const OpenOptions& options);

/// Why the open file is none of the present format, or empty. Throws where it is damaged.
std::string wrong_with(Database& db);

/// The name stands below its directory after a power cut too. False: see errno.
bool sync_directory_of(const std::string& path);

/// What an SqlError means to who starts the program.
Error start_error(const std::string& path, const SqlError& error);

}  // namespace rc::store::sqlite
