#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ringcast/base/time.h"
#include "sqlite_file.h"
#include "tables.h"

namespace rc::store::sqlite {

struct User {
    UserRow row;
    bool stored = true;  // false: its row is yet to be inserted
    bool dirty = false;
    bool counts_alone = true;  // of what is dirty: see Tables::update_counts
};

/// The users' logs within a transaction: offsets and counts, and in retention.cc what goes. Rows of users are
/// changed here, and written once at the transaction's end; those used last stay for the next one. Every call
/// may throw SqlError; then rollback(). Core: the store's thread. Cost: memory for kCachedMax users.
class Users {
  public:
    /// @param kept_max  notifications of a user, and as many other messages
    Users(Tables& tables, uint32_t kept_max) : tables_(tables), kept_max_(kept_max) {}

    /// The file holds this, and nothing else is known.
    void reset(State state);
    /// @param cutoff  what is from then or before has expired
    /// @param expire_rows  so many records that have expired may be deleted by the way
    void begin(WallTime now, WallTime cutoff, uint32_t expire_rows);
    /// Writes what has changed. @return whether anything has, the state included
    bool flush();
    void committed();
    void rollback();

    [[nodiscard]] const State& state() const { return state_; }
    State& state() { return state_; }
    State& change() {
        changed_ = true;
        return state_;
    }

    /// The user's log, or null. Lent until the transaction ends. What has expired is deleted first, as far
    /// as this transaction may: see is_behind().
    /// @param hint  where prefetch() found the user, in this transaction
    User* find(std::string_view name, User* hint = nullptr);
    /// Fetches what is known of the user into the CPU's cache: for find() soon, among others' fetches.
    /// @return nothing if that is nothing
    User* prefetch(std::string_view name);
    /// Whether records of it have expired and are still counted.
    [[nodiscard]] bool is_behind(const User& user) const;
    /// The notification, unless it has expired.
    std::optional<EntryRow> notification(User& user, const std::string& id);
    User& make(std::string_view name);

    /// Gives the entry its user and its offset, writes it, and takes the oldest away where there are too
    /// many.
    /// @return the offset
    uint64_t append(User& user, EntryRow& entry, const Message& message);
    /// Writes a read mark. @return its offset
    uint64_t mark(User& user, const std::string& id, bool all, MarkOrigin origin);
    void set_read(User& user, const EntryRow& entry);
    uint32_t set_all_read(User& user);
    void erase(User& user, const EntryRow& entry);
    /// From now on nobody has this name; what was the user's stands under another one, in user.row.name.
    /// @return the row as it was
    UserRow begin_erasing(User& user);
    /// The other name of somebody whose erasing was begun, before the last restart perhaps.
    [[nodiscard]] std::optional<std::string> left_to_erase();
    /// Erases up to `rows` of what stands under such a name, which then says how many there were less.
    /// @param keys  grows by the idempotency keys among them
    /// @return whether nothing is left
    bool erase_some(const std::string& name, uint32_t& rows, uint64_t& keys);

    /// Deletes up to so many of the records and users that have expired, or are above the limit. @return how
    /// many there were less
    uint32_t sweep(uint32_t rows);

  private:
    static constexpr std::size_t kCachedMax = 32'768;
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
    };

    User& touch(User& user);
    User& touch_counts(User& user);
    uint64_t next_offset(User& user);
    void lose(User& user, uint64_t seq);
    void lose_mark(User& user, uint64_t seq);
    void lose_oldest(User& user, bool notification);
    void lose_expired(User& user);
    uint32_t trim(uint32_t rows);
    uint32_t remove_outlived(User& user, uint32_t rows);
    void flush_users();
    void forget(User& user);
    User& owner(int64_t id);
    User& named(const std::string& name);

    Tables& tables_;
    uint32_t const kept_max_;
    State state_, committed_;
    bool changed_ = false;
    bool trimming_ = false;  // somebody may have more than kept_max_, of those above trimmed_upto_
    int64_t trimmed_upto_ = 0, committed_trimmed_upto_ = 0;
    uint32_t expire_rows_ = 0;  // that may still be deleted by the way
    int64_t now_ = 0, cutoff_ = 0;
    int64_t newest_id_ = 0, committed_newest_id_ = 0;
    std::unordered_map<std::string, User, Hash, std::equal_to<>> users_;
    std::vector<User*> dirty_;
};

}  // namespace rc::store::sqlite
