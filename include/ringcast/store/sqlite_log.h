#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ringcast/base/result.h"
#include "ringcast/store/log.h"
#include "ringcast/store/moment.h"

namespace rc::store {

/// What stands behind an outcome.
enum class Durability : uint8_t {
    fsync,  // it has reached the disk: survives a power cut
    write,  // the kernel has it: survives the end of the process; after a power cut there is a new epoch
};

/// The log in one SQLite file. What waits is done in one transaction a step; outcomes come out when it is
/// durable, in the order of their offsets. One connection does all reads, writes and checkpoints.
///
/// After a failed write or sync the log is down: reads are answered from what is there, all else is
/// `unavailable`, until everything has been written and synced anew; step() tries that once a second. A
/// damaged file stays down until the next start.
/// Core: the store's thread. Cost: one sync a step that changes anything; O(log n) pages a record.
class SqliteLog final : public Log {
  public:
    struct Options {
        std::string path;  // of the file; -wal and -shm stand beside it
        Durability durability = Durability::fsync;
        std::string fresh_epoch;                  // for a new file, and where offsets may have been lost
        std::string boot_id;                      // of the running kernel; empty: unknown
        Duration retention = hours(24 * 30);      // of every record
        uint32_t notifications_per_user = 1'000;  // and as many other messages, counted apart
        uint32_t queue_max = 4'096;               // requests that wait, those for a key's outcome included
        std::size_t queue_bytes_max = 64 << 20;  // of messages and addressees in them; one always has a place
        // What goes into one transaction; one request always does.
        uint32_t batch_requests_max = 1'024;
        uint32_t batch_users_max = 10'000;          // addressees
        std::size_t batch_bytes_max = 8 << 20;      // of messages
        Duration batch_time_max = milliseconds(5);  // before its commit
        std::function<MonoTime()> clock;            // for batch_time_max; none: no such bound
        /// After a transaction that changed something: its requests, and how long the commit took by `clock`.
        std::function<void(uint32_t requests, Duration took)> on_commit;
        std::function<void(Moment)> at;  // for tests: `handled` and `committed`, of what changed something
        uint32_t sweep_rows = 256;  // of what has to go, a step at most; beside requests, as many as come
        // That those add to a step, its commit included, by `clock`. With 2 ms, publications beside a large
        // trim had a p99 of 7 ms, not 5 (publish_bench trim).
        Duration sweep_time_max = microseconds(500);
        Duration look_time_max = milliseconds(300);  // for damage, at the start, by `clock`
        uint64_t wal_frames_max = 4'000;             // pages of 4 KiB; then they are moved into the file
    };
    /// Opens the file, or makes it where there is none. One process at a time: the caller holds a lock. Where
    /// the disk refuses to write, or a reader holds the write-ahead log, the log is down, as after a failure.
    /// Errors: data_unusable (damaged, or newer than this program; it is left as it was), settings (may not
    /// be opened), data_in_use, internal_error (the disk refuses to read, or to make it).
    static Result<std::unique_ptr<SqliteLog>> open(Options options);
    ~SqliteLog() override;

    [[nodiscard]] bool submit(Request&& request) override;
    bool step(WallTime now, Outcomes& outcomes) override;
    [[nodiscard]] Figures figures() const override;

    [[nodiscard]] std::string_view epoch() const;

  private:
    class Impl;
    explicit SqliteLog(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace rc::store
