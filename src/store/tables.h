#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ringcast/store/log.h"
#include "rows.h"

/// The tables of the store, a statement a question. Every call may throw SqlError. Core: the store's thread.
namespace rc::store::sqlite {

/// An entry or mark at the head of its table.
struct Oldest {
    uint64_t seq = 0;
    int64_t user = 0;
    int64_t at = 0;
};

class Tables {
  public:
    explicit Tables(Database& db);

    // ---- users ----
    [[nodiscard]] std::optional<UserRow> user(std::string_view name);
    [[nodiscard]] std::string name_of(int64_t user);
    [[nodiscard]] int64_t newest_user_id();
    void insert_user(const UserRow& user);
    void update_user(const UserRow& user);
    /// Of a user for whom nothing else has changed: newest, touched, and the counts of entries.
    void update_counts(const UserRow& user);
    void rename_user(int64_t id, std::string_view name);
    void delete_user(int64_t id);
    /// Some user whose name lies between these two; the second does not belong to it.
    [[nodiscard]] std::optional<std::string> user_between(std::string_view from, std::string_view to);
    /// Of the users with an id in (above, upto] the first who has more than so many of a kind.
    [[nodiscard]] std::optional<std::pair<int64_t, std::string>> user_above_limit(int64_t above, int64_t upto,
                                                                                  uint32_t kept_max);
    /// Some user who has nothing, untouched since `before`.
    [[nodiscard]] std::optional<std::string> an_empty_user(int64_t before);
    /// Some user of whom something has expired of its own by `now`.
    [[nodiscard]] std::optional<std::string> a_user_to_expire(int64_t now);

    // ---- entries ----
    /// @param message  null: the content stands in entry.body
    void insert_entry(const EntryRow& entry, const Message* message);
    void insert_body(uint64_t id, const Message& message, std::size_t entries);
    [[nodiscard]] std::optional<EntryRow> notification(int64_t user, std::string_view id);
    [[nodiscard]] std::optional<EntryRow> entry(uint64_t seq);
    [[nodiscard]] std::optional<Oldest> oldest_entry(int64_t user, EntryState state);
    [[nodiscard]] std::optional<Oldest> oldest_entry();
    /// The entry that expires first of its own: its offset, and when.
    [[nodiscard]] std::optional<std::pair<uint64_t, int64_t>> first_to_expire(int64_t user);
    void set_read(const EntryRow& entry);
    void delete_entry(const EntryRow& entry);

    // ---- marks ----
    void insert_mark(const MarkRow& mark);
    [[nodiscard]] std::optional<Oldest> oldest_mark(int64_t user);
    [[nodiscard]] std::optional<Oldest> oldest_mark();
    void delete_mark(uint64_t seq);

    // ---- idempotency keys ----
    [[nodiscard]] std::optional<KeyRow> key(std::string_view name);
    [[nodiscard]] std::optional<std::pair<int64_t, int64_t>> oldest_key();  // id, expires
    void insert_key(const KeyRow& key);                                     // its id is given
    void delete_key(int64_t id);
    /// @return how many were deleted
    uint32_t delete_keys_of(int64_t user, uint32_t most);

    /// A user's entries of one state above an offset, ascending, or below one, descending, but for those
    /// that have expired of their own by `now`. The user is lent.
    class Cursor {
      public:
        Cursor(Tables& tables, Statement& statement, const UserRow& user, EntryState state, uint64_t bound,
               int64_t now);
        [[nodiscard]] uint64_t seq() const { return seq_; }  // 0: at the end
        void next();
        [[nodiscard]] Record record() const;

      private:
        Tables& tables_;
        Statement::Rows rows_;
        const UserRow& user_;
        EntryState state_;
        int64_t now_;
        uint64_t seq_ = 0;
    };
    [[nodiscard]] Cursor above(const UserRow& user, EntryState state, uint64_t seq, int64_t now);
    [[nodiscard]] Cursor below(const UserRow& user, EntryState state, uint64_t seq, int64_t now);
    /// A user's marks above an offset, ascending.
    class MarkCursor {
      public:
        MarkCursor(Statement& statement, int64_t user, uint64_t bound);
        [[nodiscard]] uint64_t seq() const { return row_.seq; }  // 0: at the end
        void next();
        [[nodiscard]] Record record() const;

      private:
        Statement::Rows rows_;
        MarkRow row_;
    };
    [[nodiscard]] MarkCursor marks_above(int64_t user, uint64_t seq);

  private:
    [[nodiscard]] std::shared_ptr<const Message> message_of(const EntryRow& entry,
                                                            const Statement::Rows& rows);

    Statement user_, name_of_, newest_user_id_, insert_user_, update_user_, update_counts_, rename_user_,
        delete_user_, user_between_, user_above_limit_, empty_user_, user_to_expire_;
    Statement insert_entry_, insert_body_, insert_body_use_, body_, notification_, entry_;
    Statement oldest_of_user_, oldest_entry_, first_to_expire_, set_state_, delete_entry_;
    Statement release_body_, delete_body_, delete_body_use_;
    Statement above_[3], below_[3];  // one for each state, because they run side by side
    Statement insert_mark_, oldest_mark_of_, oldest_mark_, delete_mark_, marks_above_;
    Statement key_, oldest_key_, insert_key_, delete_key_, delete_keys_of_;
};

}  // namespace rc::store::sqlite
