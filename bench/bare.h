#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../src/store/schema.h"
#include "ringcast/base/hash.h"
#include "ringcast/store/log.h"

/// What the benchmarks hold the store against: the disk itself, and a bare SQLite loop.
namespace bench {

using namespace rc;
using namespace rc::store;
using Clock = std::chrono::steady_clock;

constexpr int kUsers = 10'000;

inline double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// CPU that this thread has used, in seconds.
inline double thread_cpu() {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

/// CPU that all threads of this process have used, in seconds.
inline double process_cpu() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

inline double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

struct Directory {
    explicit Directory(const std::string& parent) {
        std::string name = parent + "/ringcast-bench-XXXXXX";
        if (!::mkdtemp(name.data())) throw std::runtime_error("no directory to write to");
        path = name;
    }
    ~Directory() { std::filesystem::remove_all(path); }
    std::string path;
};

inline std::string data_of(int n) {
    return fmt::format(
        R"({{"title":"A new job for you","message":"{:06d} Software Engineer at Example","category":"job_match","link":"/jobs/{}","id":"01a2053d-7aeb-7c1b-bcc4-{:012d}","read":false,"timestamp":"2026-11-22T21:50:44.971Z"}})",
        n, n, n);
}

/// All users in turn, none near the one before.
inline int user_of(int n) {
    return static_cast<int>(int64_t{n} * 7919 % kUsers);
}

inline Append notification(int n) {
    Append append;
    append.publication = std::make_shared<Publication>();
    append.publication->addressees.push_back({UserId{std::to_string(user_of(n))}});
    auto message = std::make_shared<Message>();
    message->type = "notification";
    message->data = data_of(n);
    message->notification_id = fmt::format("01a2053d-7aeb-7c1b-bcc4-{:012d}", n);
    append.publication->message = std::move(message);
    append.content_hash = {1, static_cast<uint64_t>(n)};
    return append;
}

/// Keeps a CPU awake, as a server's cores do: where the machine is virtual, a disk's answer to one that
/// sleeps may take milliseconds longer.
class Awake {
  public:
    Awake() = default;
    ~Awake() {
        end_ = true;
        thread_.join();
    }
    Awake(const Awake&) = delete;
    Awake& operator=(const Awake&) = delete;

  private:
    std::atomic<bool> end_{false};
    std::thread thread_{[this] {
        while (!end_) {
        }
    }};
};

/// Appends of 4 KiB and their syncs, one after the other, in ms.
inline std::vector<double> sync_times(const std::string& directory, int count) {
    std::string const name = directory + "/sync";
    int const fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    std::vector<char> const page(4'096, 'x');
    std::vector<double> times;
    for (int i = 0; i < count; ++i) {
        auto const start = Clock::now();
        if (::pwrite(fd, page.data(), page.size(), i * 4'096) != 4'096 || ::fdatasync(fd) != 0)
            throw std::runtime_error("the disk refuses");
        times.push_back(seconds_since(start) * 1e3);
    }
    ::close(fd);
    ::unlink(name.c_str());
    return times;
}

/// @param share  of the values that are not above it: 0.99
inline double quantile(std::vector<double> values, double share) {
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(static_cast<double>(values.size() - 1) * share)];
}

inline void check(int code) {
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        throw std::runtime_error(sqlite3_errstr(code));
}

/// The same rows by the same statements, with the store's own settings of SQLite, and nothing else: no queue,
/// no checksum, no outcome.
/// @return rows a second
/// @param cpu  gets the CPU of this thread, seconds a row
inline double bare_rate(const std::string& parent, int count, int batch, double* cpu = nullptr) {
    Directory const directory(parent);
    sqlite3* db = nullptr;
    [[maybe_unused]] static int const configured = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    check(sqlite3_open_v2((directory.path + "/bare.db").c_str(), &db,
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr));
    auto run = [db](const char* sql) { check(sqlite3_exec(db, sql, nullptr, nullptr, nullptr)); };
    run("PRAGMA auto_vacuum = INCREMENTAL");
    for (const auto* step : sqlite::kSchemaSteps)
        run(step);
    run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; "
        "PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 4000");
    auto prepare = [db](const char* sql) {
        sqlite3_stmt* statement = nullptr;
        check(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr));
        return statement;
    };
    auto* user = prepare("SELECT id FROM user WHERE name = ?");
    auto* add_user = prepare(
        "INSERT INTO user VALUES (NULL, ?, 1, 0, 0, 0, 1577836800000000000, 1577836800000000000, 0, 1, 0, 0, "
        "1, 77, 0)");
    auto* put_user = prepare(
        "UPDATE user SET newest = ?2, notifications = notifications + 1, unread = unread + 1, sum = ?3 WHERE "
        "id = ?1");
    auto* find = prepare("SELECT seq FROM entry WHERE user = ? AND id_hash = ? AND id_hash IS NOT NULL");
    auto* add = prepare(
        "INSERT INTO entry VALUES (?, ?, 1, 1577836800000000000, NULL, ?, NULL, ?, ?, ?, ?, ?, "
        "'notification', '', ?)");
    auto* state =
        prepare("INSERT OR REPLACE INTO state VALUES (1, 'e', ?, 0, 1, 1, 0, 0, 0, 1, '', 0, 0, 77, 0)");
    auto finish = [](sqlite3_stmt* statement) {
        check(sqlite3_step(statement));
        sqlite3_reset(statement);
    };
    auto text = [](sqlite3_stmt* statement, int at, const std::string& value) {
        sqlite3_bind_text(statement, at, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
    };
    std::vector<Append> messages;
    for (int n = 0; n < count; ++n)
        messages.push_back(notification(n));
    auto const start = Clock::now();
    double const cpu_before = thread_cpu();
    for (int n = 0; n < count;) {
        run("BEGIN");
        for (int i = 0; i < batch && n < count; ++i, ++n) {
            const Publication& publication = *messages[static_cast<std::size_t>(n)].publication;
            const Message& message = *publication.message;
            const std::string& name = publication.addressees[0].user.text;
            text(user, 1, name);
            sqlite3_int64 id = 0;
            if (sqlite3_step(user) == SQLITE_ROW) id = sqlite3_column_int64(user, 0);
            sqlite3_reset(user);
            auto const hash = static_cast<sqlite3_int64>(hash64(message.notification_id));
            if (id == 0) {
                text(add_user, 1, name);
                finish(add_user);
                id = sqlite3_last_insert_rowid(db);
            } else {
                sqlite3_bind_int64(find, 1, id);
                sqlite3_bind_int64(find, 2, hash);
                finish(find);
                sqlite3_bind_int64(put_user, 1, id);
                sqlite3_bind_int64(put_user, 2, n + 1);
                sqlite3_bind_int64(put_user, 3, hash);
                finish(put_user);
            }
            sqlite3_bind_int64(add, 1, n + 1);
            sqlite3_bind_int64(add, 2, id);
            for (int at : {3, 4, 5, 7, 8})
                sqlite3_bind_int64(add, at, hash);
            text(add, 6, message.notification_id);
            text(add, 9, message.data);
            finish(add);
        }
        sqlite3_bind_int64(state, 1, n);
        finish(state);
        run("COMMIT");
    }
    double const rate = count / seconds_since(start);
    if (cpu) *cpu = (thread_cpu() - cpu_before) / count;
    for (auto* statement : {user, add_user, put_user, find, add, state})
        sqlite3_finalize(statement);
    check(sqlite3_close(db));
    return rate;
}

}  // namespace bench
