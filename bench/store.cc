// The log on disk against a bare SQLite loop, and what the disk itself takes.
//   build/bench/store_bench [DIRECTORY]       on the disk of DIRECTORY (default: the current one)
//   build/bench/store_bench DIRECTORY fill    makes DIRECTORY/ringcast.db: 1,000,000 users, 20 notifications
//   each
// Each pair of rows is run in turn, several times; the ratio is the median of the pairs'.
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "../src/store/schema.h"
#include "ringcast/base/hash.h"
#include "ringcast/store/sqlite_log.h"

namespace {

using namespace rc;
using namespace rc::store;
using Clock = std::chrono::steady_clock;

constexpr int kUsers = 10'000;
constexpr int kRounds = 5;
constexpr WallTime kNow{hours(24 * 365 * 50)};

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
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

struct Counting final : Outcomes {
    uint64_t accepted = 0, records = 0;
    void publication(std::shared_ptr<const Publication>) override {}
    void read_mark(std::shared_ptr<const ReadMark>) override {}
    void settled(Ticket) override {}
    void answer(Answer answer) override {
        if (auto* appended = std::get_if<AppendAnswer>(&answer))
            accepted += appended->verdict == AppendAnswer::Verdict::accepted;
        if (auto* read = std::get_if<ReadAnswer>(&answer)) records += read->records.size();
    }
};

std::string data_of(int n) {
    return fmt::format(
        R"({{"title":"A new job for you","message":"{:06d} Software Engineer at Example","category":"job_match","link":"/jobs/{}","id":"01a2053d-7aeb-7c1b-bcc4-{:012d}","read":false,"timestamp":"2026-11-22T21:50:44.971Z"}})",
        n, n, n);
}

Append notification(int n) {
    Append append;
    append.users.push_back(UserId{std::to_string(n * 7919 % kUsers)});
    auto message = std::make_shared<Message>();
    message->type = "notification";
    message->data = data_of(n);
    message->notification_id = fmt::format("01a2053d-7aeb-7c1b-bcc4-{:012d}", n);
    append.message = std::move(message);
    append.content_hash = {1, static_cast<uint64_t>(n)};
    return append;
}

/// The disk: an append of 4 KiB and its sync. @return p50 and p99 in ms
std::pair<double, double> sync_times(const std::string& directory) {
    std::string const name = directory + "/sync";
    int const fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    std::vector<char> const page(4'096, 'x');
    std::vector<double> times;
    for (int i = 0; i < 300; ++i) {
        auto const start = Clock::now();
        if (::pwrite(fd, page.data(), page.size(), i * 4'096) != 4'096 || ::fdatasync(fd) != 0)
            throw std::runtime_error("the disk refuses");
        times.push_back(seconds_since(start) * 1e3);
    }
    ::close(fd);
    ::unlink(name.c_str());
    std::sort(times.begin(), times.end());
    return {times[times.size() / 2], times[times.size() * 99 / 100]};
}

std::unique_ptr<SqliteLog> open_log(const std::string& directory) {
    SqliteLog::Options options;
    options.path = directory + "/log.db";
    options.fresh_epoch = "bench";
    auto log = SqliteLog::open(std::move(options));
    if (!log) throw std::runtime_error(log.error().message);
    return std::move(*log);
}

/// @return notifications a second, with a commit every `batch`
double log_rate(const std::string& parent, int count, int batch) {
    Directory const directory(parent);
    auto log = open_log(directory.path);
    Counting out;
    std::vector<Request> requests;
    requests.reserve(static_cast<std::size_t>(count));
    for (int n = 0; n < count; ++n)
        requests.emplace_back(notification(n));
    auto const start = Clock::now();
    for (int n = 0; n < count;) {
        for (int i = 0; i < batch && n < count; ++i, ++n)
            if (!log->submit(std::move(requests[static_cast<std::size_t>(n)])))
                throw std::runtime_error("the queue is full");
        log->step(kNow, out);
    }
    while (log->step(kNow, out)) {
    }
    double const rate = count / seconds_since(start);
    if (out.accepted != static_cast<uint64_t>(count)) throw std::runtime_error("not all were accepted");
    return rate;
}

void check(int code) {
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        throw std::runtime_error(sqlite3_errstr(code));
}

/// The same rows by the same statements, and nothing else: no queue, no checksum, no outcome.
double bare_rate(const std::string& parent, int count, int batch) {
    Directory const directory(parent);
    sqlite3* db = nullptr;
    check(sqlite3_open((directory.path + "/bare.db").c_str(), &db));
    auto run = [db](const char* sql) { check(sqlite3_exec(db, sql, nullptr, nullptr, nullptr)); };
    run("PRAGMA auto_vacuum = INCREMENTAL");
    run(sqlite::kSchema);
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
        "1, 77)");
    auto* put_user = prepare(
        "UPDATE user SET newest = ?2, notifications = notifications + 1, unread = unread + 1, sum = ?3 WHERE "
        "id = ?1");
    auto* find = prepare("SELECT seq FROM entry WHERE user = ? AND id_hash = ? AND id_hash IS NOT NULL");
    auto* add = prepare(
        "INSERT INTO entry VALUES (?, ?, 1, 1577836800000000000, NULL, ?, NULL, ?, ?, ?, ?, ?, "
        "'notification', '', ?)");
    auto* state =
        prepare("INSERT OR REPLACE INTO state VALUES (1, 'e', ?, 0, 1, 1, 0, 0, 0, 1, '', 0, 0, 77)");
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
    for (int n = 0; n < count;) {
        run("BEGIN");
        for (int i = 0; i < batch && n < count; ++i, ++n) {
            const Append& message = messages[static_cast<std::size_t>(n)];
            text(user, 1, message.users[0].text);
            sqlite3_int64 id = 0;
            if (sqlite3_step(user) == SQLITE_ROW) id = sqlite3_column_int64(user, 0);
            sqlite3_reset(user);
            auto const hash = static_cast<sqlite3_int64>(hash64(message.message->notification_id));
            if (id == 0) {
                text(add_user, 1, message.users[0].text);
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
            text(add, 6, message.message->notification_id);
            text(add, 9, message.message->data);
            finish(add);
        }
        sqlite3_bind_int64(state, 1, n);
        finish(state);
        run("COMMIT");
    }
    double const rate = count / seconds_since(start);
    for (auto* statement : {user, add_user, put_user, find, add, state})
        sqlite3_finalize(statement);
    check(sqlite3_close(db));
    return rate;
}

void compare(const std::string& parent, int count, int batch) {
    std::vector<double> ours, bare, ratios;
    for (int i = 0; i < kRounds; ++i) {
        bool const first = i % 2 == 0;
        if (first) ours.push_back(log_rate(parent, count, batch));
        bare.push_back(bare_rate(parent, count, batch));
        if (!first) ours.push_back(log_rate(parent, count, batch));
        ratios.push_back(ours.back() / bare.back());
    }
    fmt::print("{:5} a commit: {:8.0f} notifications/s, bare loop {:8.0f}, ratio {:.2f}\n", batch,
               median(ours), median(bare), median(ratios));
}

void resume(const std::string& parent) {
    Directory const directory(parent);
    auto log = open_log(directory.path);
    Counting out;
    constexpr int kResumers = 1'000, kUnread = 100;
    for (int n = 0; n < kResumers * kUnread; ++n) {
        Append append = notification(n);
        append.users[0].text = std::to_string(n % kResumers);
        if (!log->submit(std::move(append))) throw std::runtime_error("the queue is full");
        if (n % 1'000 == 999) log->step(kNow, out);
    }
    while (log->step(kNow, out)) {
    }
    auto const start = Clock::now();
    for (int user = 0; user < kResumers; ++user) {
        Read read{.user = UserId{std::to_string(user)},
                  .mode = Read::Mode::unread,
                  .records_max = 128,
                  .bytes_max = 128 << 10};
        if (!log->submit(std::move(read))) throw std::runtime_error("the queue is full");
    }
    while (log->step(kNow, out)) {
    }
    fmt::print("resume of {} users with {} unread each: {:.0f} ms ({} records)\n", kResumers, kUnread,
               seconds_since(start) * 1e3, out.records);
}

void fill(const std::string& directory) {
    constexpr int kAll = 1'000'000, kEach = 20, kTogether = 10'000;
    SqliteLog::Options options;
    options.path = directory + "/ringcast.db";
    options.durability = Durability::write;
    options.fresh_epoch = "bench";
    auto log = SqliteLog::open(std::move(options));
    if (!log) throw std::runtime_error(log.error().message);
    Counting out;
    auto const now = WallTime(std::chrono::system_clock::now().time_since_epoch());
    for (int n = 0; n < kAll / kTogether * kEach; ++n) {
        Append append = notification(n);
        append.users.clear();
        for (int user = 0; user < kTogether; ++user)
            append.users.push_back(UserId{std::to_string(n % (kAll / kTogether) * kTogether + user)});
        if (!(*log)->submit(std::move(append))) throw std::runtime_error("the queue is full");
        while ((*log)->step(now, out)) {
        }
    }
    fmt::print("{} users, {} notifications\n", (*log)->figures().users, (*log)->figures().notifications);
}

void fan_out(const std::string& parent) {
    Directory const directory(parent);
    auto log = open_log(directory.path);
    Counting out;
    for (int round = 0; round < 3; ++round) {
        Append append = notification(round);
        append.users.clear();
        for (int user = 0; user < 10'000; ++user)
            append.users.push_back(UserId{std::to_string(user)});
        auto const start = Clock::now();
        if (!log->submit(std::move(append))) throw std::runtime_error("the queue is full");
        while (log->step(kNow, out)) {
        }
        fmt::print("one notification to 10,000 users, {}: {:.0f} ms\n", round == 0 ? "all new" : "all known",
                   seconds_since(start) * 1e3);
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        std::string const parent = argc > 1 ? argv[1] : ".";
        if (argc > 2 && std::string_view(argv[2]) == "fill") {
            fill(parent);
            return 0;
        }
        auto const [p50, p99] = sync_times(parent);
        fmt::print("the disk: write and sync of 4 KiB p50 {:.2f} ms, p99 {:.2f} ms\n", p50, p99);
        compare(parent, 20'000, 64);
        compare(parent, 100'000, 1'000);
        resume(parent);
        fan_out(parent);
    } catch (const std::exception& error) {
        fmt::print(stderr, "store_bench: {}\n", error.what());
        return 1;
    }
}
