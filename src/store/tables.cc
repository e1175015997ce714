#include "tables.h"

#include <algorithm>
#include <utility>

#include "checksum.h"

namespace rc::store::sqlite {
namespace {

std::string entries(const char* where) {
    return std::string("SELECT ") + kEntryColumns + " FROM entry " + where;
}
std::string whole_entries(const char* where) {
    return std::string("SELECT ") + kEntryColumns + ", " + kContentColumns + " FROM entry " + where;
}

// An offset as a bound; a column holds no greater one.
int64_t column_of(uint64_t offset) {
    return static_cast<int64_t>(std::min<uint64_t>(offset, INT64_MAX));
}

uint64_t hash_of(std::string_view text) {
    return hash64(text);
}

std::optional<Oldest> read_oldest(Statement::Rows rows) {
    if (!rows.next()) return std::nullopt;
    return Oldest{rows.number(0), rows.integer(1), rows.integer(2)};
}

// Ascending from above ?3, in the order of the index, which ends in the rowid.
const std::string kAbove =
    whole_entries("INDEXED BY entry_of_user WHERE user = ? AND state = ? AND seq > ? ORDER BY seq");
const std::string kBelow =
    whole_entries("INDEXED BY entry_of_user WHERE user = ? AND state = ? AND seq < ? ORDER BY seq DESC");

}  // namespace

Tables::Tables(Database& db)
    : user_(db, (std::string("SELECT ") + kUserColumns + " FROM user WHERE name = ?").c_str()),
      name_of_(db, "SELECT name FROM user WHERE id = ?"),
      newest_user_id_(db, "SELECT max(id) FROM user"),
      insert_user_(db, "INSERT INTO user VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      update_user_(db,
                   "UPDATE user SET newest = ?2, lost = ?3, mark_lost = ?4, forgotten = ?5, touched = ?6, "
                   "oldest = ?7, soonest = ?8, notifications = ?9, messages = ?10, marks = ?11, unread = "
                   "?12, sum = ?13, read_upto = ?14 "
                   "WHERE id = ?1"),
      update_counts_(db,
                     "UPDATE user SET newest = ?2, touched = ?3, notifications = ?4, messages = ?5, unread = "
                     "?6, sum = ?7 WHERE id = ?1"),
      rename_user_(db, "UPDATE user SET name = ?2 WHERE id = ?1"),
      delete_user_(db, "DELETE FROM user WHERE id = ?"),
      user_between_(db, "SELECT name FROM user WHERE name >= ? AND name < ? LIMIT 1"),
      user_above_limit_(db,
                        "SELECT id, name FROM user WHERE id > ?1 AND id <= ?2 AND (notifications > ?3 OR "
                        "messages > ?3) ORDER BY id LIMIT 1"),
      empty_user_(db,
                  "SELECT name FROM user INDEXED BY user_empty WHERE notifications = 0 AND messages = 0 AND "
                  "marks = 0 AND touched <= ? LIMIT 1"),
      user_to_expire_(
          db, "SELECT name FROM user INDEXED BY user_to_expire WHERE soonest > 0 AND soonest <= ? LIMIT 1"),
      insert_entry_(db, "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      insert_body_(db, "INSERT INTO body VALUES (?, ?, ?, ?, ?)"),
      insert_body_use_(db, "INSERT INTO body_use VALUES (?, ?)"),
      body_(db, "SELECT sum, type, topic, data FROM body WHERE id = ?"),
      notification_(db,
                    "SELECT seq FROM entry INDEXED BY entry_of_id WHERE user = ? AND id_hash = ? AND id_hash "
                    "IS NOT NULL"),
      entry_(db, entries("WHERE seq = ?").c_str()),
      oldest_of_user_(db,
                      "SELECT seq, user, at FROM entry INDEXED BY entry_of_user WHERE user = ? AND state = ? "
                      "ORDER BY seq LIMIT 1"),
      oldest_entry_(db, "SELECT seq, user, at FROM entry ORDER BY seq LIMIT 1"),
      first_to_expire_(
          db,
          "SELECT seq, expires FROM entry INDEXED BY entry_to_expire WHERE user = ? AND expires IS NOT NULL "
          "ORDER BY expires LIMIT 1"),
      set_state_(db, "UPDATE entry SET state = ?, sum = ? WHERE seq = ?"),
      delete_entry_(db, "DELETE FROM entry WHERE seq = ?"),
      release_body_(db, "UPDATE body_use SET entries = entries - 1 WHERE id = ? RETURNING entries"),
      delete_body_(db, "DELETE FROM body WHERE id = ?"),
      delete_body_use_(db, "DELETE FROM body_use WHERE id = ?"),
      above_{{db, kAbove.c_str()}, {db, kAbove.c_str()}, {db, kAbove.c_str()}},
      below_{{db, kBelow.c_str()}, {db, kBelow.c_str()}, {db, kBelow.c_str()}},
      insert_mark_(db, "INSERT INTO mark VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
      oldest_mark_of_(db, "SELECT seq, user, at FROM mark WHERE user = ? ORDER BY seq LIMIT 1"),
      oldest_mark_(db, "SELECT seq, user, at FROM mark ORDER BY seq LIMIT 1"),
      delete_mark_(db, "DELETE FROM mark WHERE seq = ?"),
      marks_above_(db, (std::string("SELECT ") + kMarkColumns +
                        " FROM mark INDEXED BY mark_of_user WHERE user = ? AND seq > ? ORDER BY seq")
                           .c_str()),
      key_(db, (std::string("SELECT ") + kKeyColumns + " FROM key WHERE name_hash = ?").c_str()),
      oldest_key_(db, "SELECT id, expires FROM key ORDER BY id LIMIT 1"),
      insert_key_(db, "INSERT INTO key VALUES (NULL, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?, ?)"),
      delete_key_(db, "DELETE FROM key WHERE id = ?"),
      delete_keys_of_(
          db, "DELETE FROM key WHERE id IN (SELECT id FROM key WHERE user = ? LIMIT ?) RETURNING 1") {}

// ---- users --------------------------------------------------------------------------------------

std::optional<UserRow> Tables::user(std::string_view name) {
    auto row = user_.query(name);
    if (!row.next()) return std::nullopt;
    UserRow user = read_user(row);
    if (user.name != name) throw_damaged("a user");
    return user;
}

std::string Tables::name_of(int64_t user) {
    auto row = name_of_.query(user);
    if (!row.next()) throw_damaged("an entry of nobody");
    return std::string(row.text(0));
}

int64_t Tables::newest_user_id() {
    auto row = newest_user_id_.query();
    return row.next() ? row.integer(0) : 0;
}

void Tables::insert_user(const UserRow& u) {
    insert_user_.run(u.id, u.name, u.newest, u.lost, u.mark_lost, u.forgotten, u.touched, u.oldest, u.soonest,
                     u.notifications, u.messages, u.marks, u.unread, checksum_of(u), u.read_upto);
}

void Tables::update_user(const UserRow& u) {
    update_user_.run(u.id, u.newest, u.lost, u.mark_lost, u.forgotten, u.touched, u.oldest, u.soonest,
                     u.notifications, u.messages, u.marks, u.unread, checksum_of(u), u.read_upto);
}

void Tables::update_counts(const UserRow& u) {
    update_counts_.run(u.id, u.newest, u.touched, u.notifications, u.messages, u.unread, checksum_of(u));
}

void Tables::rename_user(int64_t id, std::string_view name) {
    rename_user_.run(id, name);
}

void Tables::delete_user(int64_t id) {
    delete_user_.run(id);
}

std::optional<std::string> Tables::an_empty_user(int64_t before) {
    auto row = empty_user_.query(before);
    if (!row.next()) return std::nullopt;
    return std::string(row.text(0));
}

std::optional<std::string> Tables::a_user_to_expire(int64_t now) {
    auto row = user_to_expire_.query(now);
    if (!row.next()) return std::nullopt;
    return std::string(row.text(0));
}

std::optional<std::string> Tables::user_between(std::string_view from, std::string_view to) {
    auto row = user_between_.query(from, to);
    if (!row.next()) return std::nullopt;
    return std::string(row.text(0));
}

std::optional<std::pair<int64_t, std::string>> Tables::user_above_limit(int64_t above, int64_t upto,
                                                                        uint32_t kept_max) {
    auto row = user_above_limit_.query(above, upto, kept_max);
    if (!row.next()) return std::nullopt;
    return std::pair{row.integer(0), std::string(row.text(1))};
}

// ---- entries ------------------------------------------------------------------------------------

void Tables::insert_entry(const EntryRow& e, const Message* message) {
    auto insert = [&](const auto& id_hash, const auto& body, const auto&... content) {
        auto const expires = e.expires == 0 ? std::optional<int64_t>() : e.expires;
        insert_entry_.run(e.seq, e.user, static_cast<int>(e.state), e.at, expires, id_hash, body,
                          e.content.high, e.content.low, e.id, checksum_of(e), content...);
    };
    auto insert_with = [&](const auto& id_hash) {
        if (message) {
            uint64_t const sum = checksum_of(e.seq, message->type, message->topic, message->data);
            insert(id_hash, nullptr, sum, message->type, message->topic, message->data);
        } else {
            insert(id_hash, *e.body, nullptr, nullptr, nullptr, nullptr);
        }
    };
    if (e.id.empty()) {
        insert_with(nullptr);
    } else {
        insert_with(hash_of(e.id));
    }
}

void Tables::insert_body(uint64_t id, const Message& message, std::size_t entries) {
    uint64_t const sum = checksum_of(id, message.type, message.topic, message.data);
    insert_body_.run(id, sum, message.type, message.topic, message.data);
    insert_body_use_.run(id, uint64_t{entries});
}

std::optional<EntryRow> Tables::notification(int64_t user, std::string_view id) {
    auto rows = notification_.query(user, hash_of(id));
    while (rows.next()) {
        auto found = entry(rows.number(0));
        if (!found || found->user != user) throw_damaged("a user's entries");
        if (found->id == id) return found;
    }
    return std::nullopt;
}

std::optional<EntryRow> Tables::entry(uint64_t seq) {
    auto rows = entry_.query(seq);
    if (!rows.next()) return std::nullopt;
    return read_entry(rows);
}

std::optional<Oldest> Tables::oldest_entry(int64_t user, EntryState state) {
    return read_oldest(oldest_of_user_.query(user, static_cast<int>(state)));
}
std::optional<Oldest> Tables::oldest_entry() {
    return read_oldest(oldest_entry_.query());
}

std::optional<std::pair<uint64_t, int64_t>> Tables::first_to_expire(int64_t user) {
    auto row = first_to_expire_.query(user);
    if (!row.next()) return std::nullopt;
    return std::pair{row.number(0), row.integer(1)};
}

void Tables::set_read(const EntryRow& entry) {
    EntryRow changed = entry;
    changed.state = EntryState::read;
    set_state_.run(static_cast<int>(changed.state), checksum_of(changed), changed.seq);
}

void Tables::delete_entry(const EntryRow& entry) {
    delete_entry_.run(entry.seq);
    if (!entry.body) return;
    int64_t left = 0;
    {
        auto rows = release_body_.query(*entry.body);
        if (!rows.next()) throw_damaged("an entry without its content");
        left = rows.integer(0);
    }
    if (left > 0) return;
    delete_body_.run(*entry.body);
    delete_body_use_.run(*entry.body);
}

// ---- marks --------------------------------------------------------------------------------------

void Tables::insert_mark(const MarkRow& m) {
    insert_mark_.run(m.seq, m.user, m.at, m.all, m.unread, m.origin.value, checksum_of(m), m.id);
}
std::optional<Oldest> Tables::oldest_mark(int64_t user) {
    return read_oldest(oldest_mark_of_.query(user));
}
std::optional<Oldest> Tables::oldest_mark() {
    return read_oldest(oldest_mark_.query());
}
void Tables::delete_mark(uint64_t seq) {
    delete_mark_.run(seq);
}

// ---- idempotency keys ---------------------------------------------------------------------------

std::optional<KeyRow> Tables::key(std::string_view name) {
    auto rows = key_.query(hash_of(name));
    while (rows.next()) {
        KeyRow key = read_key(rows);
        if (key.name == name) return key;
    }
    return std::nullopt;
}

std::optional<std::pair<int64_t, int64_t>> Tables::oldest_key() {
    auto rows = oldest_key_.query();
    if (!rows.next()) return std::nullopt;
    return std::pair{rows.integer(0), rows.integer(1)};
}

void Tables::insert_key(const KeyRow& k) {
    insert_key_.run(hash_of(k.name), k.hash.high, k.hash.low, k.expires, k.offset, k.user, checksum_of(k),
                    k.answer, k.name);
}

void Tables::delete_key(int64_t id) {
    delete_key_.run(id);
}

uint32_t Tables::delete_keys_of(int64_t user, uint32_t most) {
    auto rows = delete_keys_of_.query(user, most);
    uint32_t deleted = 0;
    while (rows.next())
        ++deleted;
    return deleted;
}

// ---- reading ------------------------------------------------------------------------------------

std::shared_ptr<const Message> Tables::message_of(const EntryRow& entry, const Statement::Rows& rows) {
    auto message = std::make_shared<Message>();
    if (entry.body) {
        auto body = body_.query(*entry.body);
        if (!body.next()) throw_damaged("an entry without its content");
        *message = read_content(body, 0, *entry.body);
    } else {
        *message = read_content(rows, kAfterEntryColumns, entry.seq);
    }
    message->notification_id = entry.id;
    return message;
}

Tables::Cursor::Cursor(Tables& tables, Statement& statement, const UserRow& user, EntryState state,
                       uint64_t bound, int64_t now)
    : tables_(tables),
      rows_(statement.query(user.id, static_cast<int>(state), column_of(bound))),
      user_(user),
      state_(state),
      now_(now) {
    next();
}

void Tables::Cursor::next() {
    while (rows_.next()) {
        int64_t const expires = rows_.integer(kExpiresColumn);
        if (expires != 0 && expires <= now_) continue;
        seq_ = rows_.number(0);
        return;
    }
    seq_ = 0;
}

Record Tables::Cursor::record() const {
    auto const entry = read_entry(rows_);
    if (entry.user != user_.id || entry.state != state_) throw_damaged("an entry of another user");
    Record record;
    record.offset = entry.seq;
    record.kind = state_ == EntryState::message ? Record::Kind::message : Record::Kind::notification;
    record.read = state_ != EntryState::message && !entry.unread_for(user_);
    record.message = tables_.message_of(entry, rows_);
    return record;
}

Tables::Cursor Tables::above(const UserRow& user, EntryState state, uint64_t seq, int64_t now) {
    return {*this, above_[static_cast<int>(state)], user, state, seq, now};
}
Tables::Cursor Tables::below(const UserRow& user, EntryState state, uint64_t seq, int64_t now) {
    return {*this, below_[static_cast<int>(state)], user, state, seq, now};
}

Tables::MarkCursor::MarkCursor(Statement& statement, int64_t user, uint64_t bound)
    : rows_(statement.query(user, column_of(bound))) {
    row_.user = user;
    next();
}

void Tables::MarkCursor::next() {
    if (!rows_.next()) {
        row_.seq = 0;
        return;
    }
    int64_t const user = row_.user;
    row_ = read_mark(rows_);
    if (row_.user != user) throw_damaged("a read mark of another user");
}

Record Tables::MarkCursor::record() const {
    Record record;
    record.offset = row_.seq;
    record.kind = Record::Kind::read_mark;
    record.notification_id = row_.id;
    record.all = row_.all;
    record.unread_count = row_.unread;
    record.origin = row_.origin;
    return record;
}

Tables::MarkCursor Tables::marks_above(int64_t user, uint64_t seq) {
    return {marks_above_, user, seq};
}

}  // namespace rc::store::sqlite
