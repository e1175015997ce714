#include "users.h"

#include <algorithm>
#include <utility>

#include "ringcast/base/assert.h"
#include "ringcast/base/limits.h"

namespace rc::store::sqlite {
namespace {

// Where the limit was lowered, the surplus goes a few at a time.
constexpr int kSurplusPerAppend = 16;

}  // namespace

void Users::reset(State state) {
    users_.clear();
    dirty_.clear();
    changed_ = false;
    state_ = committed_ = std::move(state);
    newest_id_ = committed_newest_id_ = tables_.newest_user_id();
}

void Users::begin(WallTime now, WallTime cutoff, bool may_expire) {
    RC_ASSERT(dirty_.empty());
    if (users_.size() > kCachedMax) users_.clear();
    now_ = now.time_since_epoch().count();
    cutoff_ = cutoff.time_since_epoch().count();
    may_expire_ = may_expire;
}

bool Users::flush() {
    flush_users();
    return changed_;
}

void Users::flush_users() {
    for (User* user : dirty_) {
        if (user->stored) {
            tables_.update_user(user->row);
        } else {
            tables_.insert_user(user->row);
        }
        user->stored = true;
        user->dirty = false;
    }
    dirty_.clear();
}

void Users::committed() {
    if (!changed_) return;
    changed_ = false;
    committed_ = state_;
    committed_newest_id_ = newest_id_;
}

void Users::rollback() {
    users_.clear();
    dirty_.clear();
    changed_ = false;
    state_ = committed_;
    newest_id_ = committed_newest_id_;
}

User* Users::find(std::string_view name) {
    auto at = users_.find(name);
    if (at == users_.end()) {
        auto row = tables_.user(name);
        if (!row) return nullptr;
        at = users_.emplace(std::string(name), User{std::move(*row)}).first;
    }
    lose_expired(at->second);
    return &at->second;
}

User& Users::make(std::string_view name) {
    User& user = users_[std::string(name)];
    RC_ASSERT(user.row.id == 0);
    user.row.id = ++newest_id_;
    user.row.name = name;
    user.row.forgotten = state_.forgotten;
    user.stored = false;
    ++change().users;
    return touch(user);
}

User& Users::touch(User& user) {
    changed_ = true;
    if (!std::exchange(user.dirty, true)) dirty_.push_back(&user);
    return user;
}

User& Users::owner(int64_t id) {
    User& user = named(tables_.name_of(id));
    if (user.row.id != id) throw_damaged("a user");
    return user;
}

User& Users::named(const std::string& name) {
    auto at = users_.find(name);
    if (at != users_.end()) return at->second;
    auto row = tables_.user(name);
    if (!row) throw_damaged("a user");
    return users_.emplace(name, User{std::move(*row)}).first->second;
}

// ---- changes ------------------------------------------------------------------------------------

uint64_t Users::next_offset(User& user) {
    touch(user).row.touched = now_;
    user.row.oldest = user.row.empty() ? now_ : std::min(user.row.oldest, now_);
    return user.row.newest = ++state_.sequence;
}

uint64_t Users::append(User& user, EntryRow entry, const Message& message) {
    entry.user = user.row.id;
    entry.seq = next_offset(user);
    if (entry.expires != 0)
        user.row.soonest = user.row.soonest == 0 ? entry.expires : std::min(user.row.soonest, entry.expires);
    tables_.insert_entry(entry, entry.body ? nullptr : &message);
    bool const notification = entry.state != EntryState::message;
    uint32_t& kept = notification ? user.row.notifications : user.row.messages;
    ++kept;
    ++(notification ? state_.notifications : state_.messages);
    if (entry.state == EntryState::unread) ++user.row.unread;
    for (int i = 0; kept > kept_max_ && i < kSurplusPerAppend; ++i)
        lose_oldest(user, notification);
    return entry.seq;
}

uint64_t Users::mark(User& user, const std::string& id, bool all, MarkOrigin origin) {
    uint64_t const seq = next_offset(user);
    tables_.insert_mark({seq, user.row.id, now_, all, user.row.unread, origin, id});
    ++user.row.marks;
    ++state_.marks;
    if (user.row.marks > limits::kReadMarksPerUserMax) {
        auto oldest = tables_.oldest_mark(user.row.id);
        if (!oldest) throw_damaged("a user's read marks");
        lose_mark(user, oldest->seq);
    }
    return seq;
}

void Users::set_read(User& user, const EntryRow& entry) {
    tables_.set_read(entry);
    --touch(user).row.unread;
}

uint32_t Users::set_all_read(User& user) {
    uint32_t const marked = tables_.set_all_read(user.row.id);
    if (marked != user.row.unread) throw_damaged("a user's unread notifications");
    touch(user).row.unread = 0;
    return marked;
}

void Users::erase(User& user, const EntryRow& entry) {
    tables_.delete_entry(entry);
    touch(user);
    if (entry.state == EntryState::message) {
        --user.row.messages;
        --state_.messages;
    } else {
        --user.row.notifications;
        --state_.notifications;
    }
    if (entry.state == EntryState::unread) --user.row.unread;
}

std::pair<UserRow, uint64_t> Users::erase_all(User& user) {
    UserRow const row = user.row;
    for (auto state : {EntryState::message, EntryState::unread, EntryState::read})
        while (auto oldest = tables_.oldest_entry(row.id, state))
            lose(user, oldest->seq);
    while (auto oldest = tables_.oldest_mark(row.id))
        lose_mark(user, oldest->seq);
    uint64_t const keys = tables_.delete_keys_of(row.id);
    change().keys -= keys;
    if (!user.row.empty()) throw_damaged("a user's counts");
    flush_users();
    forget(user);
    return {row, keys};
}

// ---- retention ----------------------------------------------------------------------------------

void Users::lose(User& user, uint64_t seq) {
    auto entry = tables_.entry(seq);
    if (!entry || entry->user != user.row.id) throw_damaged("a user's entries");
    erase(user, *entry);
    user.row.lost = std::max(user.row.lost, seq);
}

void Users::lose_mark(User& user, uint64_t seq) {
    tables_.delete_mark(seq);
    --touch(user).row.marks;
    --state_.marks;
    user.row.mark_lost = std::max(user.row.mark_lost, seq);
}

void Users::lose_oldest(User& user, bool notification) {
    std::optional<Oldest> oldest;
    if (notification) {
        oldest = tables_.oldest_entry(user.row.id, EntryState::unread);
        auto const read = tables_.oldest_entry(user.row.id, EntryState::read);
        if (!oldest || (read && read->seq < oldest->seq)) oldest = read;
    } else {
        oldest = tables_.oldest_entry(user.row.id, EntryState::message);
    }
    if (!oldest) throw_damaged("a user's entries");
    lose(user, oldest->seq);
}

void Users::lose_expired(User& user) {
    if (!may_expire_ || user.row.empty()) return;
    if (user.row.soonest != 0 && user.row.soonest <= now_) remove_outlived(user, UINT32_MAX);
    if (user.row.oldest > cutoff_) return;
    int64_t left = INT64_MAX;
    for (auto state : {EntryState::message, EntryState::unread, EntryState::read}) {
        auto oldest = tables_.oldest_entry(user.row.id, state);
        for (; oldest && oldest->at <= cutoff_; oldest = tables_.oldest_entry(user.row.id, state))
            lose(user, oldest->seq);
        if (oldest) left = std::min(left, oldest->at);
    }
    auto oldest = tables_.oldest_mark(user.row.id);
    for (; oldest && oldest->at <= cutoff_; oldest = tables_.oldest_mark(user.row.id))
        lose_mark(user, oldest->seq);
    if (oldest) left = std::min(left, oldest->at);
    touch(user).row.oldest = left;
}

// What has outlived its own time was meant to go: it is not missing. @return how many
uint32_t Users::remove_outlived(User& user, uint32_t rows) {
    uint32_t removed = 0;
    auto first = tables_.first_to_expire(user.row.id);
    for (; first && first->second <= now_ && removed < rows; ++removed) {
        auto entry = tables_.entry(first->first);
        if (!entry || entry->user != user.row.id) throw_damaged("a user's entries");
        erase(user, *entry);
        first = tables_.first_to_expire(user.row.id);
    }
    touch(user).row.soonest = first ? first->second : 0;
    return removed;
}

uint32_t Users::sweep(uint32_t rows) {
    for (; rows > 0; --rows) {
        auto oldest = tables_.oldest_entry();
        if (!oldest || oldest->at > cutoff_) break;
        lose(owner(oldest->user), oldest->seq);
    }
    for (; rows > 0; --rows) {
        auto oldest = tables_.oldest_mark();
        if (!oldest || oldest->at > cutoff_) break;
        lose_mark(owner(oldest->user), oldest->seq);
    }
    while (rows > 0) {
        flush_users();
        auto name = tables_.a_user_to_expire(now_);
        if (!name) break;
        rows -= std::max(remove_outlived(named(*name), rows), 1U);
    }
    if (rows > 0) flush_users();
    for (; rows > 0; --rows) {
        auto name = tables_.an_empty_user(cutoff_);
        if (!name) break;
        User& user = named(*name);
        if (!user.row.empty()) throw_damaged("a user");
        forget(user);
    }
    return rows;
}

void Users::forget(User& user) {
    RC_ASSERT(!user.dirty);
    tables_.delete_user(user.row.id);
    --change().users;
    state_.forgotten = std::max(state_.forgotten, user.row.newest);
    users_.erase(users_.find(user.row.name));
}

}  // namespace rc::store::sqlite
