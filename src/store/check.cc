#include "check.h"

#include <fmt/core.h>

#include <algorithm>

#include "rows.h"
#include "sqlite_file.h"

namespace rc::store::sqlite {
namespace {

constexpr int64_t kQuickPagesMax = 16'384;  // 64 MiB: what a start looks at as a whole

class Checker {
  public:
    Checker(Database& db, Check how, const std::function<void()>& next_part, Verified& out)
        : db_(db), how_(how), next_part_(next_part), out_(out), state_(read_state(db)) {}

    void run() {
        out_.epoch = state_.epoch;
        out_.newest = state_.sequence;
        for (auto part :
             {&Checker::check_pages, &Checker::check_users, &Checker::check_entries, &Checker::check_bodies,
              &Checker::check_marks, &Checker::check_keys, &Checker::check_counts})
            run_part(part);
        if (complete_) check_totals();
    }

  private:
    void run_part(void (Checker::*part)()) {
        if (next_part_) next_part_();
        try {
            (this->*part)();
        } catch (const SqlError& error) {
            if (error.trouble != Trouble::interrupted) throw;
            complete_ = false;
        }
    }

    void problem(std::string line) {
        std::replace(line.begin(), line.end(), '\n', ' ');
        if (out_.problems.size() < kProblemsMax) out_.problems.push_back(std::move(line));
    }

    void check_pages() {
        if (how_ == Check::quick && db_.integer("PRAGMA page_count") > kQuickPagesMax) return;
        Statement statement(
            db_, fmt::format("PRAGMA {}({})", how_ == Check::quick ? "quick_check" : "integrity_check",
                             kProblemsMax)
                     .c_str());
        auto rows = statement.query();
        while (rows.next())
            if (rows.text(0) != "ok") problem(fmt::format("pages: {}", rows.text(0)));
    }

    /// Reads all rows of a table; one that cannot be is a problem, and the next one is read.
    template <class Read>
    uint64_t each(std::string_view table, const std::string& columns, Read read) {
        Statement statement(db_,
                            fmt::format("SELECT {} FROM {} ORDER BY rowid DESC", columns, table).c_str());
        auto rows = statement.query();
        uint64_t count = 0;
        for (; rows.next(); ++count) {
            try {
                read(rows);
            } catch (const SqlError& error) {
                if (error.trouble == Trouble::interrupted) throw;
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
        out_.users = each("user", kUserColumns, [this](const Statement::Rows& rows) {
            auto const user = read_user(rows);
            check_offset("user", user.newest);
        });
    }

    void check_entries() {
        auto const columns = fmt::format("{}, {}", kEntryColumns, kContentColumns);
        each("entry", columns, [this](const Statement::Rows& rows) {
            auto const entry = read_entry(rows);
            ++(entry.state == EntryState::message ? out_.messages : out_.notifications);
            check_offset("entry", entry.seq);
            if (!entry.body) (void)read_content(rows, kAfterEntryColumns, entry.seq);
        });
    }

    void check_bodies() {
        each("body", "id, sum, type, topic, data",
             [](const Statement::Rows& rows) { (void)read_content(rows, 1, rows.number(0)); });
        none("body {}: its entries are miscounted, or there are none",
             "SELECT coalesce(used.body, body_use.id, body.id) FROM body "
             "FULL JOIN body_use ON body_use.id = body.id "
             "FULL JOIN (SELECT body, count(*) AS entries FROM entry WHERE body IS NOT NULL GROUP BY body) "
             "used "
             "ON used.body = body.id "
             "WHERE body.id IS NULL OR body_use.entries IS NOT used.entries");
    }

    void check_marks() {
        out_.marks = each("mark", kMarkColumns,
                          [this](const Statement::Rows& rows) { check_offset("mark", read_mark(rows).seq); });
    }

    void check_keys() {
        out_.keys = each("key", kKeyColumns, [](const Statement::Rows& rows) { (void)read_key(rows); });
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
             "sum(state = 1 AND seq > (SELECT read_upto FROM user WHERE id = entry.user)) AS unread, "
             "max(seq) AS "
             "newest FROM entry GROUP BY user) e ON e.user = user.id "
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
    Check const how_;
    const std::function<void()>& next_part_;
    Verified& out_;
    bool complete_ = true;
    State const state_;
};

}  // namespace

void check(Database& db, Check how, const std::function<void()>& next_part, Verified& out) {
    Checker(db, how, next_part, out).run();
}

}  // namespace rc::store::sqlite
