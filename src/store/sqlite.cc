#include "sqlite.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include <cstring>

#include "clean_pages.h"
#include "ringcast/base/assert.h"

namespace rc::store::sqlite {
namespace {

constexpr int kBusyTimeoutMs = 2'000;  // for a backup's or a verifier's short locks

Trouble trouble_of(int code) {
    switch (code & 0xff) {
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB: return Trouble::damaged;
        case SQLITE_INTERRUPT: return Trouble::interrupted;
        case SQLITE_BUSY:
        case SQLITE_LOCKED: return Trouble::busy;
        case SQLITE_CANTOPEN:
        case SQLITE_PERM:
        case SQLITE_READONLY: return Trouble::denied;
        default: return Trouble::failed;
    }
}

}  // namespace

void throw_damaged(std::string_view what) {
    throw SqlError{Trouble::damaged, fmt::format("the store is damaged: {}", what)};
}

Database::Database(const std::string& path, Access access) {
    // SQLite's sum of what it has allocated, which nobody asks for, costs a mutex at each allocation. Refused
    // where somebody else in the process has used SQLite before; then it stays.
    [[maybe_unused]] static int const configured = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    switch (access) {
        case Access::create: flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE; break;
        case Access::write: flags |= SQLITE_OPEN_READWRITE; break;
        case Access::read: flags |= SQLITE_OPEN_READONLY; break;
    }
    if (int const code = sqlite3_open_v2(path.c_str(), &db_, flags, nullptr); code != SQLITE_OK) {
        SqlError error{trouble_of(code), sqlite3_errstr(code)};  // whose path start_error() puts before it
        sqlite3_close(db_);
        throw error;
    }
    if (access != Access::read) {
        clean_pages_ = std::make_unique<CleanPages>();
        clean_pages_->attach(db_);
    }
    sqlite3_busy_timeout(db_, kBusyTimeoutMs);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    // Checkpoints are ours to time; the hook replaces SQLite's own after each commit.
    sqlite3_wal_hook(
        db_,
        [](void* self, sqlite3*, const char*, int frames) {
            static_cast<Database*>(self)->wal_frames_ = static_cast<uint64_t>(frames);
            return SQLITE_OK;
        },
        this);
}

Database::~Database() {
    sqlite3_close_v2(db_);
}

void Database::raise(int code) const {
    int const why = sqlite3_system_errno(db_);
    throw SqlError{trouble_of(code),
                   (code & 0xff) == SQLITE_IOERR && why != 0
                       ? fmt::format("{} ({}): {}", sqlite3_errmsg(db_), code, std::strerror(why))
                       : fmt::format("{} ({})", sqlite3_errmsg(db_), code)};
}

void Database::execute(const char* sql) {
    if (int const code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr); code != SQLITE_OK) raise(code);
}

int64_t Database::integer(const char* sql, int64_t otherwise) {
    Statement statement(*this, sql);
    auto rows = statement.query();
    return rows.next() ? rows.integer(0) : otherwise;
}

std::string Database::text(const char* sql) {
    Statement statement(*this, sql);
    auto rows = statement.query();
    return rows.next() ? std::string(rows.text(0)) : std::string();
}

bool Database::in_transaction() const {
    return sqlite3_get_autocommit(db_) == 0;
}

uint64_t Database::bytes() {
    auto const page = static_cast<uint64_t>(integer("PRAGMA page_size"));
    return (static_cast<uint64_t>(integer("PRAGMA page_count")) + wal_frames_) * page;
}

bool Database::cut_log() {
    sqlite3_busy_timeout(db_, 0);
    int const code = sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    sqlite3_busy_timeout(db_, kBusyTimeoutMs);
    if (code == SQLITE_BUSY) return false;
    if (code != SQLITE_OK) raise(code);
    wal_frames_ = 0;
    return true;
}

void Database::checkpoint() {
    int const code = sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    if (code != SQLITE_OK && code != SQLITE_BUSY) raise(code);
}

void Database::limit_time(std::function<bool()> is_over) {
    constexpr int kSteps = 1'000;  // of SQLite's machine, between two looks
    time_is_over_ = std::move(is_over);
    auto const look = [](void* self) { return static_cast<Database*>(self)->time_is_over_() ? 1 : 0; };
    sqlite3_progress_handler(db_, time_is_over_ ? kSteps : 0, time_is_over_ ? +look : nullptr, this);
}

void Database::checkpoint_on_close() {
    sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
}

void Database::copy_to(Database& target) {
    sqlite3_backup* const copy = sqlite3_backup_init(target.db_, "main", db_, "main");
    if (!copy) target.raise(sqlite3_errcode(target.db_));
    // All in one step, which is one read transaction: a server that writes meanwhile changes nothing of it.
    sqlite3_backup_step(copy, -1);
    if (int const code = sqlite3_backup_finish(copy); code != SQLITE_OK) target.raise(code);
}

Statement::Statement(Database& db, const char* sql) : db_(db) {
    int const code =
        sqlite3_prepare_v3(db.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
    if (code != SQLITE_OK) db.raise(code);
}

Statement::~Statement() {
    sqlite3_finalize(statement_);
}

void Statement::bind(int place, int64_t value) {
    RC_ASSERT(sqlite3_bind_int64(statement_, place, value) == SQLITE_OK);
}

void Statement::bind(int place, std::nullptr_t) {
    RC_ASSERT(sqlite3_bind_null(statement_, place) == SQLITE_OK);
}

void Statement::bind(int place, std::string_view value) {
    const char* data = value.data() ? value.data() : "";
    int const code = sqlite3_bind_text64(statement_, place, data, value.size(), SQLITE_STATIC, SQLITE_UTF8);
    if (code != SQLITE_OK) db_.raise(code);
}

bool Statement::step() {
    int const code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) db_.raise(code);
    return false;
}

void Statement::reset() noexcept {
    sqlite3_reset(statement_);  // says again what step() has said
}

int64_t Statement::Rows::integer(int column) const {
    return sqlite3_column_int64(statement_->statement_, column);
}

bool Statement::Rows::null(int column) const {
    return sqlite3_column_type(statement_->statement_, column) == SQLITE_NULL;
}

std::string_view Statement::Rows::text(int column) const {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_->statement_, column));
    auto const size = static_cast<std::size_t>(sqlite3_column_bytes(statement_->statement_, column));
    return data ? std::string_view(data, size) : std::string_view();
}

}  // namespace rc::store::sqlite
