#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

struct sqlite3;
struct sqlite3_stmt;

/// The one door to SQLite: a connection, prepared statements, and the errors that they throw. They are
/// caught within this room, where a transaction begins (sqlite_log.cc) or a file is opened
/// (sqlite_file.cc): a statement may fail anywhere in the middle of a request, and the outcome is the same.
namespace rc::store::sqlite {

class CleanPages;

enum class Trouble : uint8_t {
    failed,       // a write, a sync, a read or memory: may go well again
    damaged,      // what the file holds cannot be
    busy,         // another process holds it
    denied,       // it may not be opened or written
    interrupted,  // by limit_time()
};

struct SqlError {
    Trouble trouble = Trouble::failed;
    std::string text;  // one line
};
[[noreturn]] void throw_damaged(std::string_view what);

/// One connection, of one thread at a time.
class Database {
  public:
    enum class Access : uint8_t { create, write, read };
    Database(const std::string& path, Access access);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    void execute(const char* sql);
    /// The first column of the first row, or the default.
    [[nodiscard]] int64_t integer(const char* sql, int64_t otherwise = 0);
    [[nodiscard]] std::string text(const char* sql);
    [[nodiscard]] bool in_transaction() const;
    /// What the file and its write-ahead log hold.
    [[nodiscard]] uint64_t bytes();
    /// Frames in the write-ahead log after the last commit. Fewer than before: it was begun anew.
    [[nodiscard]] uint64_t wal_frames() const { return wal_frames_; }
    /// Moves what the write-ahead log holds into the file, syncs it, and cuts the log to nothing.
    /// @return false when a reader holds the log: not all of that is done
    [[nodiscard]] bool cut_log();
    /// The same, but the log stays as it is, to be written from its start again when no reader holds it.
    void checkpoint();
    /// What runs is interrupted when this says so. An empty one ends that.
    void limit_time(std::function<bool()> is_over);

    /// Closing moves what the write-ahead log holds into the file, and removes it. Not before this is called:
    /// a file that is refused stays as it is.
    void checkpoint_on_close();

    /// Copies everything as it stands now into an empty one.
    void copy_to(Database& target);

    [[nodiscard]] sqlite3* handle() { return db_; }
    [[noreturn]] void raise(int code) const;

  private:
    sqlite3* db_ = nullptr;
    std::unique_ptr<CleanPages> clean_pages_;
    uint64_t wal_frames_ = 0;
    std::function<bool()> time_is_over_;
};

class Statement {
  public:
    Statement(Database& db, const char* sql);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    /// The rows of one run. What a text column lends lives until the next row.
    class Rows {
      public:
        explicit Rows(Statement& statement) : statement_(&statement) {}
        ~Rows() { statement_->reset(); }
        Rows(const Rows&) = delete;
        Rows& operator=(const Rows&) = delete;

        [[nodiscard]] bool next() { return statement_->step(); }
        [[nodiscard]] int64_t integer(int column) const;
        [[nodiscard]] uint64_t number(int column) const { return static_cast<uint64_t>(integer(column)); }
        [[nodiscard]] bool null(int column) const;
        [[nodiscard]] std::string_view text(int column) const;

      private:
        Statement* statement_;
    };

    /// Binds in the order of ?1, ?2, ...; texts are lent until the rows end.
    template <class... Values>
    [[nodiscard]] Rows query(const Values&... values) {
        int place = 0;
        (bind(++place, values), ...);
        return Rows(*this);
    }
    template <class... Values>
    void run(const Values&... values) {
        auto rows = query(values...);
        while (rows.next()) {
        }
    }

  private:
    void bind(int place, int64_t value);
    void bind(int place, uint64_t value) { bind(place, static_cast<int64_t>(value)); }
    void bind(int place, uint32_t value) { bind(place, static_cast<int64_t>(value)); }
    void bind(int place, int value) { bind(place, static_cast<int64_t>(value)); }
    void bind(int place, bool value) { bind(place, static_cast<int64_t>(value)); }
    void bind(int place, std::string_view value);
    void bind(int place, const std::string& value) { bind(place, std::string_view(value)); }
    void bind(int place, std::nullptr_t);
    void bind(int place, std::optional<int64_t> value) { value ? bind(place, *value) : bind(place, nullptr); }
    bool step();
    void reset() noexcept;

    Database& db_;
    sqlite3_stmt* statement_ = nullptr;
};

}  // namespace rc::store::sqlite
