#include "sqlite_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "check.h"
#include "checksum.h"
#include "ringcast/base/log.h"
#include "schema.h"
#include "wal_check.h"

namespace rc::store::sqlite {
namespace {

bool exists(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0;
}

uint64_t checksum_of(const State& s) {
    uint64_t const sum =
        checksum(std::array<uint64_t, 10>{s.sequence, s.forgotten, s.users, s.notifications, s.messages,
                                          s.marks, s.keys, s.synced, s.clean, s.backup},
                 s.epoch, s.boot);
    return s.kept == 0 ? sum : checksum(std::array<uint64_t, 2>{sum, s.kept});
}

std::string schema_of(Database& db) {
    return db.text("SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema ORDER BY name)");
}

// From one format to a later one, within the transaction that is open.
void make_steps(Database& db, int from, int to) {
    for (int step = from; step < to; ++step)
        db.execute(kSchemaSteps[step]);
    db.execute(fmt::format("PRAGMA user_version = {}", to).c_str());
}

// Throws unless it is a store's file as a version of this program makes it. @return which; perhaps a newer
// one
int64_t version_of(Database& db) {
    if (db.integer("PRAGMA application_id") != kApplicationId)
        throw SqlError{Trouble::damaged, "it is no store of ringcast"};
    auto const version = db.integer("PRAGMA user_version");
    if (version > kSchemaVersion) return version;
    Database fresh(":memory:", Database::Access::create);
    make_steps(fresh, 0, static_cast<int>(version));
    if (version < 1 || schema_of(db) != schema_of(fresh))
        throw_damaged("its schema is not that of its version");
    return version;
}

std::string newer(int64_t version) {
    return fmt::format("is of a newer ringcast (format {}; this program knows {})", version, kSchemaVersion);
}

// What a part of the file that is gone, or is not as it was left, tells in a moment.
void look_for_damage(Database& db, const OpenOptions& options) {
    if (db.integer("SELECT synced FROM state") != 0 && wal_is_damaged(options.path))
        throw_damaged("its write-ahead log");
    if (auto const missing = missing_page(db, options.path); missing != 0)
        throw_damaged(fmt::format("it ends before page {}", missing));
    if (db.integer("PRAGMA user_version") != kSchemaVersion) return;
    constexpr int kParts = 7;
    auto const next_part = [&] {
        if (!options.clock) return;
        auto const end = options.clock() + options.look_time_max / kParts;
        db.limit_time([&options, end] { return options.clock() >= end; });
    };
    Verified found;
    check(db, Check::quick, next_part, found);
    db.limit_time({});
    if (!found.problems.empty()) throw_damaged(found.problems.front());
}

// Under another name first: a file of the store's own name is always whole, so an empty one is damage.
void create_file(const std::string& path, const std::string& epoch) {
    std::string const draft = path + ".new";
    for (const auto* suffix : {"", "-journal", "-wal", "-shm"})
        ::unlink((draft + suffix).c_str());
    int const fd = ::open(draft.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) throw SqlError{Trouble::denied, fmt::format("{}: {}", draft, std::strerror(errno))};
    ::close(fd);
    {
        Database db(draft, Database::Access::create);
        db.execute("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA synchronous = FULL; BEGIN");
        make_steps(db, 0, kSchemaVersion);
        db.execute(fmt::format("PRAGMA application_id = {}", kApplicationId).c_str());
        State state;
        state.epoch = epoch;
        {
            Statement statement(db, kWriteState);
            write_state(statement, state);
        }
        db.execute("COMMIT");
    }
    if (std::rename(draft.c_str(), path.c_str()) != 0 || !sync_directory_of(path))
        throw SqlError{Trouble::failed, fmt::format("{}: {}", path, std::strerror(errno))};
}

void prepare(Database& db, bool synced) {
    // What is deleted is overwritten.
    db.execute(
        "PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768; "
        "PRAGMA journal_size_limit = 67108864");
    if (db.text("PRAGMA journal_mode = WAL") != "wal")
        throw SqlError{Trouble::failed, "it cannot have a write-ahead log here"};
    db.execute(synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
    db.checkpoint_on_close();
}

void bring_up_to_date(Database& db) {
    auto const version = static_cast<int>(db.integer("PRAGMA user_version"));
    if (version == kSchemaVersion) return;
    if (!db.cut_log()) throw SqlError{Trouble::busy, "a reader holds it, and its format is to be changed"};
    db.execute("BEGIN");
    make_steps(db, version, kSchemaVersion);
    db.execute("COMMIT");
    log::info("store: brought from format {} to {}", version, kSchemaVersion);
}

}  // namespace

State read_state(Database& db) {
    Statement statement(db,
                        "SELECT epoch, sequence, forgotten, users, notifications, messages, marks, keys, "
                        "synced, boot, clean, backup, sum, kept FROM state WHERE id = 1");
    auto row = statement.query();
    if (!row.next()) throw_damaged("its state is missing");
    State s;
    s.epoch = row.text(0);
    s.sequence = row.number(1);
    s.forgotten = row.number(2);
    s.users = row.number(3);
    s.notifications = row.number(4);
    s.messages = row.number(5);
    s.marks = row.number(6);
    s.keys = row.number(7);
    s.synced = row.integer(8) != 0;
    s.boot = row.text(9);
    s.clean = row.integer(10) != 0;
    s.backup = row.integer(11) != 0;
    s.kept = static_cast<uint32_t>(row.integer(13));
    if (row.number(12) != checksum_of(s) || s.epoch.empty()) throw_damaged("its state");
    return s;
}

void write_state(Statement& statement, const State& s) {
    statement.run(s.epoch, s.sequence, s.forgotten, s.users, s.notifications, s.messages, s.marks, s.keys,
                  s.synced, s.boot, s.clean, s.backup, checksum_of(s), s.kept);
}

std::string wrong_with(Database& db) {
    auto const version = version_of(db);
    if (version > kSchemaVersion) return newer(version);
    if (version < kSchemaVersion)
        return fmt::format("is of an older ringcast (format {}): a start of ringcastd brings it to {}",
                           version, kSchemaVersion);
    (void)read_state(db);
    return {};
}

bool sync_directory_of(const std::string& path) {
    auto const slash = path.rfind('/');
    std::string const directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    int const fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    bool const synced = ::fsync(fd) == 0;
    ::close(fd);
    return synced;
}

Result<std::unique_ptr<Database>> open_file(const OpenOptions& options) {
    const auto& path = options.path;
    try {
        if (!exists(path)) {
            if (exists(path + "-wal"))
                return fail(Errc::data_unusable, fmt::format("{} is missing, its -wal is there", path));
            create_file(path, options.epoch);
        }
        struct stat status {};
        if (::stat(path.c_str(), &status) != 0 || status.st_size == 0) throw_damaged("it is empty");
        auto db = std::make_unique<Database>(path, Database::Access::write);
        if (auto const version = version_of(*db); version > kSchemaVersion)
            return fail(Errc::data_unusable, fmt::format("{} {}", path, newer(version)));
        look_for_damage(*db, options);
        prepare(*db, options.synced);
        bring_up_to_date(*db);
        (void)read_state(*db);
        return db;
    } catch (const SqlError& error) {
        return tl::unexpected(start_error(path, error));
    }
}

Error start_error(const std::string& path, const SqlError& error) {
    std::string const line = fmt::format("{}: {}", path, error.text);
    switch (error.trouble) {
        case Trouble::damaged: return {Errc::data_unusable, line};
        case Trouble::busy: return {Errc::data_in_use, line};
        case Trouble::denied: return {Errc::settings, line};
        case Trouble::interrupted:
        case Trouble::failed: break;
    }
    return {Errc::internal_error, line};
}

}  // namespace rc::store::sqlite
