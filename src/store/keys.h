#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "request_queue.h"
#include "users.h"

namespace rc::store::sqlite {

/// Idempotency keys: those whose publication is under way, with who waits for its outcome; those that are
/// settled and not yet in the table; and the table. Calls may throw SqlError; then rollback(). Core: the
/// store's thread. Cost: memory for the first two kinds; O(log n) pages a key.
class Keys {
  public:
    Keys(Tables& tables, Users& users, RequestQueue& queue) : tables_(tables), users_(users), queue_(queue) {}

    void set_now(WallTime now) { now_ = now.time_since_epoch().count(); }

    /// Whether its publication is under way.
    [[nodiscard]] bool is_open(const std::string& name) const { return open_.count(name) > 0; }
    /// Sets a request aside until the open key is settled.
    void park(const std::string& name, Request request);
    /// The key as settled, unless it has expired.
    [[nodiscard]] std::optional<KeyRow> find(const std::string& name);
    /// Its publication is under way from now on.
    void open(const std::string& name, ContentHash hash, std::string id);
    /// Who waits is queued again. An accepted one is kept in memory until it can be written, because what it
    /// stands for has been delivered.
    void settle(const std::string& name, bool accepted);
    /// A key that is settled with its message.
    /// @param user  to whom alone it was; 0: to others
    void insert(const std::string& name, ContentHash hash, std::string id, uint64_t offset, int64_t user);

    [[nodiscard]] bool has_unwritten() const { return !unwritten_.empty(); }
    void write();
    void committed();
    /// What this transaction has opened is not; who waits for it goes with it.
    /// @return those, to be answered
    [[nodiscard]] RequestQueue::Aside rollback();

    /// Deletes up to `rows` that have expired, which then says how many there were less.
    /// @return whether none has expired any more
    bool sweep(uint32_t& rows);

  private:
    struct Open {
        ContentHash hash;
        std::string id;
        RequestQueue::Aside waiting;
    };
    [[nodiscard]] KeyRow settled(const std::string& name, ContentHash hash, std::string id) const;
    void insert(const KeyRow& key);
    void remove(int64_t id);

    Tables& tables_;
    Users& users_;
    RequestQueue& queue_;
    int64_t now_ = 0;
    std::unordered_map<std::string, Open> open_;
    std::vector<std::string> opened_;  // of them, those of this transaction
    std::unordered_map<std::string, KeyRow> unwritten_;
};

}  // namespace rc::store::sqlite
