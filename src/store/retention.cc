#include <algorithm>
#include <utility>

#include "ringcast/base/assert.h"
#include "users.h"

/// What goes: records that have expired or are too many, and users who are erased. A transaction takes so
/// many of them and no more, so that nobody's commit waits long; the rest goes with the next ones.
namespace rc::store::sqlite {
namespace {

constexpr int64_t kUsersPerLook = 1'000;  // whose counts are looked at in one go
// Names of users who are being erased: no user's own begins so.
constexpr std::string_view kErasing = "\x01", kBehindErasing = "\x02";

}  // namespace

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

// ---- what has expired ---------------------------------------------------------------------------

bool Users::is_behind(const User& user) const {
    const UserRow& row = user.row;
    return !row.empty() && ((row.soonest != 0 && row.soonest <= now_) || row.oldest <= cutoff_);
}

std::optional<EntryRow> Users::notification(User& user, const std::string& id) {
    if (user.row.notifications == 0) return std::nullopt;
    auto entry = tables_.notification(user.row.id, id);
    if (!entry) return std::nullopt;
    if (entry->expires != 0 && entry->expires <= now_) {
        erase(user, *entry);
        return std::nullopt;
    }
    if (entry->at <= cutoff_) {
        lose(user, entry->seq);
        return std::nullopt;
    }
    return entry;
}

void Users::lose_expired(User& user) {
    if (expire_rows_ == 0 || !is_behind(user)) return;
    if (user.row.soonest != 0 && user.row.soonest <= now_)
        expire_rows_ -= remove_outlived(user, expire_rows_);
    if (user.row.oldest > cutoff_) return;
    int64_t left = INT64_MAX;
    auto lose_all = [&](auto next, auto lose_one) {
        auto oldest = next();
        for (; oldest && oldest->at <= cutoff_ && expire_rows_ > 0; --expire_rows_, oldest = next())
            lose_one(oldest->seq);
        if (oldest) left = std::min(left, oldest->at);
    };
    for (auto state : {EntryState::message, EntryState::unread, EntryState::read})
        lose_all([&] { return tables_.oldest_entry(user.row.id, state); },
                 [&](uint64_t seq) { lose(user, seq); });
    lose_all([&] { return tables_.oldest_mark(user.row.id); }, [&](uint64_t seq) { lose_mark(user, seq); });
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
    return trim(rows);
}

// Where the limit was lowered, users who get nothing have too much still.
uint32_t Users::trim(uint32_t rows) {
    while (trimming_ && rows > 0) {
        flush_users();
        auto const found = tables_.user_above_limit(trimmed_upto_, trimmed_upto_ + kUsersPerLook, kept_max_);
        if (!found) {
            --rows;
            trimmed_upto_ += kUsersPerLook;
            trimming_ = trimmed_upto_ < newest_id_;
            if (!trimming_) change().kept = kept_max_;
            continue;
        }
        trimmed_upto_ = found->first - 1;
        User& user = named(found->second);
        for (bool const notification : {true, false}) {
            const uint32_t& kept = notification ? user.row.notifications : user.row.messages;
            for (; kept > kept_max_ && rows > 0; --rows)
                lose_oldest(user, notification);
        }
    }
    return rows;
}

// ---- erasing ------------------------------------------------------------------------------------

UserRow Users::begin_erasing(User& user) {
    flush_users();
    UserRow const row = user.row;
    user.row.name = kErasing;
    user.row.name += std::to_string(row.id);
    tables_.update_user(user.row);
    tables_.rename_user(row.id, user.row.name);
    change().forgotten = std::max(state_.forgotten, row.newest);
    auto node = users_.extract(row.name);
    node.key() = user.row.name;
    users_.insert(std::move(node));
    return row;
}

std::optional<std::string> Users::left_to_erase() {
    return tables_.user_between(kErasing, kBehindErasing);
}

bool Users::erase_some(const std::string& name, uint32_t& rows, uint64_t& keys) {
    User& user = named(name);
    for (auto state : {EntryState::message, EntryState::unread, EntryState::read})
        for (; rows > 0; --rows) {
            auto oldest = tables_.oldest_entry(user.row.id, state);
            if (!oldest) break;
            lose(user, oldest->seq);
        }
    for (; rows > 0; --rows) {
        auto oldest = tables_.oldest_mark(user.row.id);
        if (!oldest) break;
        lose_mark(user, oldest->seq);
    }
    uint32_t const deleted = tables_.delete_keys_of(user.row.id, rows);
    change().keys -= deleted;
    keys += deleted;
    rows -= deleted;
    if (rows == 0) return false;
    if (!user.row.empty()) throw_damaged("a user's counts");
    flush_users();
    forget(user);
    --rows;
    return true;
}

void Users::forget(User& user) {
    RC_ASSERT(!user.dirty);
    tables_.delete_user(user.row.id);
    --change().users;
    state_.forgotten = std::max(state_.forgotten, user.row.newest);
    users_.erase(users_.find(user.row.name));
}

}  // namespace rc::store::sqlite
