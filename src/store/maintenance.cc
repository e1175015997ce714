#include "ringcast/store/maintenance.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "rows.h"
#include "sqlite_file.h"

namespace rc::store {

using sqlite::Database;
using sqlite::SqlError;
using sqlite::State;
using sqlite::Statement;
using sqlite::Trouble;

namespace {

/// Looks at one snapshot, and collects what is wrong with it.
class Verifier {
  public:
    Verifier(Database& db, Verified& out) : db_(db), out_(out), state_(sqlite::read_state(db)) {}

    void run() {
        out_.epoch = state_.epoch;
        out_.newest = state_.sequence;
        check_pages();
        check_users();
        check_entries();
        check_bodies();
        check_marks();
        check_keys();
        check_counts();
        check_totals();
    }

  private:
    void problem(std::string line) {
        if (out_.problems.size() < kProblemsMax) out_.problems.push_back(std::move(line));
    }

    void check_pages() {
        Statement statement(db_, fmt::format("PRAGMA integrity_check({})", kProblemsMax).c_str());
        auto rows = statement.query();
        while (rows.next())
            if (rows.text(0) != "ok") problem(fmt::format("pages: {}", rows.text(0)));
    }

    /// Reads all rows of a table; one that cannot be is a problem, and the next one is read.
    template <class Read>
    uint64_t each(std::string_view table, const std::string& columns, Read read) {
        Statement statement(db_, fmt::format("SELECT {} FROM {}", columns, table).c_str());
        auto rows = statement.query();
        uint64_t count = 0;
        for (; rows.next(); ++count) {
            try {
                read(rows);
            } catch (const SqlError&) {
                problem(fmt::format("{} {}: its checksum is wrong", table, rows.integer(0)));
            }
        }
        return count;
    }

    void check_offset(std::string_view table, uint64_t seq) {
        if (seq == 0 || seq > state_.sequence)
            problem(fmt::format("{} {}: above the newest offset, {}", table, seq, state_.sequence));
    }

    void check_users() {
        out_.users = each("user", sqlite::kUserColumns, [this](const Statement::Rows& rows) {
            auto const user = sqlite::read_user(rows);
            check_offset("user", user.newest);
        });
    }

    void check_entries() {
        auto const columns = fmt::format("{}, {}", sqlite::kEntryColumns, sqlite::kContentColumns);
        each("entry", columns, [this](const Statement::Rows& rows) {
            auto const entry = sqlite::read_entry(rows);
            ++(entry.state == sqlite::EntryState::message ? out_.messages : out_.notifications);
            check_offset("entry", entry.seq);
            if (!entry.body) (void)sqlite::read_content(rows, sqlite::kAfterEntryColumns, entry.seq);
        });
    }

    void check_bodies() {
        each("body", "id, sum, type, topic, data",
             [](const Statement::Rows& rows) { (void)sqlite::read_content(rows, 1, rows.number(0)); });
        none("body {}: its entries are miscounted, or there are none",
             "SELECT coalesce(used.body, body_use.id, body.id) FROM body "
             "FULL JOIN body_use ON body_use.id = body.id "
             "FULL JOIN (SELECT body, count(*) AS entries FROM entry WHERE body IS NOT NULL GROUP BY body) "
             "used "
             "ON used.body = body.id "
             "WHERE body.id IS NULL OR body_use.entries IS NOT used.entries");
    }

    void check_marks() {
        out_.marks = each("mark", sqlite::kMarkColumns, [this](const Statement::Rows& rows) {
            check_offset("mark", sqlite::read_mark(rows).seq);
        });
    }

    void check_keys() {
        out_.keys = each("key", sqlite::kKeyColumns,
                         [](const Statement::Rows& rows) { (void)sqlite::read_key(rows); });
    }

    /// Each row of the query is a problem.
    void none(fmt::string_view line, const char* sql) {
        Statement statement(db_, sql);
        auto rows = statement.query();
        while (rows.next() && out_.problems.size() < kProblemsMax)
            problem(fmt::vformat(line, fmt::make_format_args(rows.text(0))));
    }

    void check_counts() {
        none("user \"{}\": its counts are not those of its rows",
             "SELECT name FROM user "
             "LEFT JOIN (SELECT user, sum(state = 0) AS messages, sum(state > 0) AS notifications, "
             "sum(state = 1) AS unread, max(seq) AS newest FROM entry GROUP BY user) e ON e.user = user.id "
             "LEFT JOIN (SELECT user, count(*) AS marks, max(seq) AS newest FROM mark GROUP BY user) m "
             "ON m.user = user.id "
             "WHERE user.messages <> coalesce(e.messages, 0) OR user.notifications <> "
             "coalesce(e.notifications, 0) "
             "OR user.unread <> coalesce(e.unread, 0) OR user.marks <> coalesce(m.marks, 0) "
             "OR user.newest < coalesce(e.newest, 0) OR user.newest < coalesce(m.newest, 0)");
        none("entry {}: it is nobody's", "SELECT seq FROM entry WHERE user NOT IN (SELECT id FROM user)");
        none("mark {}: it is nobody's", "SELECT seq FROM mark WHERE user NOT IN (SELECT id FROM user)");
    }

    void check_totals() {
        auto check = [this](std::string_view what, uint64_t counted, uint64_t noted) {
            if (counted != noted) problem(fmt::format("{}: {} rows, {} noted", what, counted, noted));
        };
        check("users", out_.users, state_.users);
        check("notifications", out_.notifications, state_.notifications);
        check("messages", out_.messages, state_.messages);
        check("read marks", out_.marks, state_.marks);
        check("idempotency keys", out_.keys, state_.keys);
    }

    Database& db_;
    Verified& out_;
    State const state_;
};

/// Opens for reading, and throws unless it is a store that this program knows.
void check_usable(Database& db) {
    if (auto const wrong = sqlite::wrong_with(db); !wrong.empty())
        throw SqlError{Trouble::damaged, "it " + wrong};
}

}  // namespace

Result<Verified> verify(const std::string& path) {
    Verified out;
    try {
        Database db(path, Database::Access::read);
        db.execute("BEGIN");
        check_usable(db);
        Verifier(db, out).run();
        db.execute("COMMIT");
        return out;
    } catch (const SqlError& error) {
        if (error.trouble != Trouble::damaged || out.problems.empty())
            return tl::unexpected(sqlite::start_error(path, error));
        out.problems.push_back(error.text);
        return out;
    }
}

Result<uint64_t> backup(const std::string& path, const std::string& target) {
    std::string const draft = target + ".part";
    auto cannot = [](const std::string& name) {
        return fail(Errc::settings, fmt::format("{}: {}", name, std::strerror(errno)));
    };
    if (::access(target.c_str(), F_OK) == 0)
        return fail(Errc::settings, fmt::format("{}: it exists", target));
    ::unlink(draft.c_str());
    int const fd = ::open(draft.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return cannot(draft);
    ::close(fd);
    try {
        Database db(path, Database::Access::read);
        check_usable(db);
        Database copy(draft, Database::Access::write);
        db.copy_to(copy);
        if (copy.text("PRAGMA journal_mode = DELETE") != "delete")
            throw SqlError{Trouble::failed, "its journal cannot be ended"};
        State state = sqlite::read_state(copy);
        state.backup = true;
        Statement statement(copy, sqlite::kWriteState);
        sqlite::write_state(statement, state);
    } catch (const SqlError& error) {
        ::unlink(draft.c_str());
        return tl::unexpected(sqlite::start_error(path, error));
    }
    struct stat status {};
    if (::stat(draft.c_str(), &status) != 0 || std::rename(draft.c_str(), target.c_str()) != 0 ||
        !sqlite::sync_directory_of(target))
        return cannot(target);
    return static_cast<uint64_t>(status.st_size);
}

}  // namespace rc::store
