#include "users.h"

#include <algorithm>
#include <utility>

#include "prefetch.h"
#include "ringcast/base/assert.h"
#include "ringcast/base/limits.h"

namespace rc::store::sqlite {
namespace {

constexpr int kSurplusPerAppend = 16;  // where the limit was lowered; sweep() takes the rest

}  // namespace

void Users::reset(State state) {
    users_.clear();
    dirty_.clear();
    changed_ = false;
    newest_id_ = committed_newest_id_ = tables_.newest_user_id();
    trimming_ = newest_id_ > 0 && (state.kept == 0 || state.kept > kept_max_);
    trimmed_upto_ = committed_trimmed_upto_ = 0;
    if (!trimming_) state.kept = kept_max_;
    state_ = committed_ = std::move(state);
}

void Users::begin(WallTime now, WallTime cutoff, uint32_t expire_rows) {
    RC_ASSERT(dirty_.empty());
    if (users_.size() > kCachedMax) users_.clear();
    now_ = now.time_since_epoch().count();
    cutoff_ = cutoff.time_since_epoch().count();
    expire_rows_ = expire_rows;
}

bool Users::flush() {
    flush_users();
    return changed_;
}

void Users::flush_users() {
    // In the order of their pages.
    std::sort(dirty_.begin(), dirty_.end(), [](auto* a, auto* b) { return a->row.id < b->row.id; });
    for (User* user : dirty_) {
        if (!user->stored) {
            tables_.insert_user(user->row);
        } else if (user->counts_alone) {
            tables_.update_counts(user->row);
        } else {
            tables_.update_user(user->row);
        }
        user->stored = user->counts_alone = true;
        user->dirty = false;
    }
    dirty_.clear();
}

void Users::committed() {
    if (!changed_) return;
    changed_ = false;
    committed_ = state_;
    committed_newest_id_ = newest_id_;
    committed_trimmed_upto_ = trimmed_upto_;
}

void Users::rollback() {
    users_.clear();
    dirty_.clear();
    changed_ = false;
    state_ = committed_;
    newest_id_ = committed_newest_id_;
    trimmed_upto_ = committed_trimmed_upto_;
    trimming_ = newest_id_ > 0 && state_.kept != kept_max_;
}

User* Users::find(std::string_view name, User* hint) {
    if (hint && hint->row.name == name) {
        lose_expired(*hint);
        return hint;
    }
    auto at = users_.find(name);
    if (at == users_.end()) {
        auto row = tables_.user(name);
        if (!row) return nullptr;
        at = users_.emplace(std::string(name), User{std::move(*row)}).first;
    }
    lose_expired(at->second);
    return &at->second;
}

User* Users::prefetch(std::string_view name) {
    auto const at = users_.find(name);
    if (at == users_.end()) return nullptr;
    store::prefetch(&at->second, sizeof(User));
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
    user.counts_alone = false;
    return touch_counts(user);
}

User& Users::touch_counts(User& user) {
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
    touch_counts(user).row.touched = now_;
    if (user.row.empty() || now_ < user.row.oldest) touch(user).row.oldest = now_;
    return user.row.newest = ++state_.sequence;
}

uint64_t Users::append(User& user, EntryRow& entry, const Message& message) {
    entry.user = user.row.id;
    entry.seq = next_offset(user);
    if (entry.expires != 0 && (user.row.soonest == 0 || entry.expires < user.row.soonest))
        touch(user).row.soonest = entry.expires;
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
    ++touch(user).row.marks;
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
    touch(user).row.read_upto = user.row.newest;
    return std::exchange(user.row.unread, 0);
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
    if (entry.unread_for(user.row)) --user.row.unread;
}

}  // namespace rc::store::sqlite
