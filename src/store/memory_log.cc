#include "ringcast/store/memory_log.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "request_queue.h"
#include "ringcast/base/assert.h"
#include "ringcast/base/limits.h"

namespace rc::store {
namespace {

constexpr Duration kSweepEvery = minutes(1);
// What the tables take for one entry, about: nodes, their allocations, and their share of the buckets.
constexpr std::size_t kUserBytes = 512;
constexpr std::size_t kEntryBytes = 224;
constexpr std::size_t kMarkBytes = 192;
constexpr std::size_t kMessageBytes = 256;
constexpr std::size_t kKeyBytes = 384;

std::size_t bytes_of(const Message& message) {
    return kMessageBytes + message.type.size() + message.topic.size() + message.data.size() +
           message.notification_id.size();
}

// Counts bytes for as long as it lives.
class Charge {
  public:
    Charge(std::size_t& total, std::size_t bytes) : total_(&total), bytes_(bytes) { *total_ += bytes_; }
    Charge(Charge&& other) noexcept : total_(other.total_), bytes_(std::exchange(other.bytes_, 0)) {}
    Charge& operator=(Charge&&) = delete;
    ~Charge() { *total_ -= bytes_; }

  private:
    std::size_t* total_;
    std::size_t bytes_;
};

// A message, once for all users who have it.
struct Stored {
    std::shared_ptr<const Message> message;
    ContentHash hash;
    Charge charge;
};

struct Entry {
    WallTime at;
    WallTime expires;  // of its own; max: never
    std::shared_ptr<const Stored> stored;
    bool read;
    Charge charge;
};

struct Mark {
    WallTime at;
    std::string notification_id;
    bool all;
    uint32_t unread_count;
    MarkOrigin origin;
    Charge charge;
};

struct User {
    User(std::string_view name_, std::size_t& memory)
        : name(name_), charge(memory, kUserBytes + name_.size()) {}

    std::string name;
    Charge charge;
    std::map<uint64_t, Entry> notifications;
    std::map<uint64_t, Entry> messages;
    std::map<uint64_t, Mark> marks;
    std::unordered_map<std::string_view, uint64_t> by_id;  // of notifications; the ids lie in their messages
    std::set<uint64_t> unread;
    uint64_t newest = 0;
    uint64_t newest_lost = 0;            // of the messages and notifications that retention took
    uint64_t newest_mark_lost = 0;       // of the read marks
    uint64_t forgotten_upto = 0;         // this user may have had a log before, and lost it, up to here
    WallTime touched;                    // when `newest` was given
    WallTime soonest = WallTime::max();  // no entry expires of its own before
    uint32_t place = 0;                  // in users_

    [[nodiscard]] uint32_t unread_count() const { return static_cast<uint32_t>(unread.size()); }
    [[nodiscard]] bool empty() const { return notifications.empty() && messages.empty() && marks.empty(); }
};

// An idempotency key: open while a reservation is under way, then the answer to repeat.
struct Key {
    ContentHash hash;
    std::string id;
    uint64_t offset;
    std::string user;  // to whom alone it was; empty: to others
    bool open;
    WallTime expires;
    RequestQueue::Aside waiting;  // for the outcome, while open
    Charge charge;
};

}  // namespace

class MemoryLog::Impl {
  public:
    explicit Impl(Options options) : options_(std::move(options)) {
        RC_ASSERT(options_.notifications_per_user > 0);
        RC_ASSERT(options_.requests_per_step > 0 && options_.sweep_per_step > 0);
        RC_ASSERT(options_.retention > Duration::zero());
    }

    bool submit(Request&& request) { return queue_.push(std::move(request)); }

    bool step(WallTime now, Outcomes& outcomes) {
        now_ = now;
        out_ = &outcomes;
        for (uint32_t i = 0; i < options_.requests_per_step && !queue_.empty(); ++i) {
            Request request = queue_.pop();
            bool const refused =
                fault_ == Fault::everything || (fault_ == Fault::writes && !only_reads(request));
            if (auto no = unavailable_answer(request); refused && no) {
                answer(std::move(*no));
                continue;
            }
            std::visit([this](auto& r) { handle(r); }, request);
        }
        bool const keys_left = sweep_keys();
        bool const users_left = sweep_users();
        return !queue_.empty() || keys_left || users_left;
    }

    [[nodiscard]] std::string_view epoch() const { return options_.epoch; }
    [[nodiscard]] Figures figures() const {
        return {fault_ != Fault::none, queue_.waiting(), users_.size(), notifications_, messages_, marks_,
                keys_.size(),          memory_};
    }
    void set_fault(Fault fault) { fault_ = fault; }

  private:
    using Users = std::vector<std::unique_ptr<User>>;

    // ---- idempotency keys -----------------------------------------------------------------------

    /// The live entry of a key, or null.
    Key* find_key(const std::string& name) {
        auto at = keys_.find(name);
        if (at == keys_.end()) return nullptr;
        if (at->second.open || now_ < at->second.expires) return &at->second;
        keys_.erase(at);
        return nullptr;
    }

    void keep_key(const std::string& name, Key& key) {
        key.open = false;
        key.expires = now_ + limits::kIdempotencyKept;
        keys_by_age_.emplace_back(key.expires, name);
    }

    void handle(Reserve& request) {
        const auto& [name, hash] = request.idempotency;
        using Verdict = ReserveAnswer::Verdict;
        if (Key* key = find_key(name)) {
            if (key->open) return queue_.set_aside(key->waiting, std::move(request));
            if (key->hash != hash) return answer(ReserveAnswer{request.ticket, Verdict::conflict});
            return answer(ReserveAnswer{request.ticket, Verdict::repeat, key->id, key->offset});
        }
        std::size_t const bytes = kKeyBytes + 2 * name.size();
        if (!fits(bytes)) return answer(ReserveAnswer{request.ticket, Verdict::unavailable});
        keys_.emplace(name, Key{hash, request.publication_id, 0, {}, true, {}, {}, Charge(memory_, bytes)});
        answer(ReserveAnswer{request.ticket, Verdict::fresh, std::move(request.publication_id)});
    }

    void handle(Settle& request) {
        auto at = keys_.find(request.key);
        RC_ASSERT(at != keys_.end() && at->second.open);
        queue_.take_up(std::exchange(at->second.waiting, {}));
        if (request.accepted) {
            keep_key(request.key, at->second);
        } else {
            keys_.erase(at);
        }
        out_->settled(request.ticket);
    }

    bool sweep_keys() {
        for (uint32_t i = 0; i < options_.sweep_per_step; ++i) {
            if (keys_by_age_.empty() || now_ < keys_by_age_.front().first) return false;
            auto at = keys_.find(keys_by_age_.front().second);
            // The name may have expired and come again meanwhile.
            if (at != keys_.end() && !at->second.open && at->second.expires == keys_by_age_.front().first)
                keys_.erase(at);
            keys_by_age_.pop_front();
        }
        return !keys_by_age_.empty() && now_ >= keys_by_age_.front().first;
    }

    // ---- appending ------------------------------------------------------------------------------

    void handle(Append& request) {
        using Verdict = AppendAnswer::Verdict;
        const Message& message = *request.publication->message;
        auto& addressees = request.publication->addressees;
        RC_ASSERT(!addressees.empty() && addressees.size() <= limits::kPublishUsersMax);
        if (request.idempotency) {
            if (Key* key = find_key(request.idempotency->key)) {
                if (key->open) return queue_.set_aside(key->waiting, std::move(request));
                if (key->hash != request.idempotency->hash)
                    return answer(AppendAnswer{request.ticket, Verdict::conflict});
                return answer(AppendAnswer{request.ticket, Verdict::accepted, true, key->id, key->offset});
            }
        }

        // Who gets it; all or nobody, so nothing is changed before everything is known.
        bool const notification = !message.notification_id.empty();
        std::string const only = addressees.size() == 1 ? addressees.front().user.text : std::string();
        std::vector<Addressee> receivers;
        receivers.reserve(addressees.size());
        uint64_t known_offset = 0;
        std::size_t bytes = bytes_of(message) + (request.idempotency ? key_bytes(*request.idempotency) : 0);
        for (auto& addressee : addressees) {
            User* user = find_user(addressee.user);
            if (notification && user) {
                if (auto at = user->by_id.find(message.notification_id); at != user->by_id.end()) {
                    if (user->notifications.at(at->second).stored->hash != request.content_hash)
                        return answer(AppendAnswer{request.ticket, Verdict::conflict});
                    known_offset = at->second;
                    continue;
                }
            }
            bytes += kEntryBytes + (user ? 0 : kUserBytes + addressee.user.text.size());
            receivers.push_back(std::move(addressee));
        }
        if (!receivers.empty() && !fits(bytes))
            return answer(AppendAnswer{request.ticket, Verdict::unavailable});

        if (!receivers.empty()) {
            auto stored = std::make_shared<const Stored>(Stored{
                request.publication->message, request.content_hash, Charge(memory_, bytes_of(message))});
            for (auto& receiver : receivers)
                receiver.offset = append(make_user(receiver.user), stored, request);
        }
        addressees = std::move(receivers);

        AppendAnswer done{request.ticket, Verdict::accepted, addressees.empty()};
        const std::string& id = notification ? message.notification_id : request.publication_id;
        if (request.id_wanted) done.id = id;
        if (!only.empty()) done.offset = addressees.empty() ? known_offset : addressees.front().offset;
        if (request.idempotency) {
            const auto& [name, hash] = *request.idempotency;
            auto charge = Charge(memory_, key_bytes(*request.idempotency));
            auto [at, made] =
                keys_.emplace(name, Key{hash, id, done.offset, only, false, {}, {}, std::move(charge)});
            keep_key(name, at->second);
        }
        if (!addressees.empty()) out_->publication(std::move(request.publication));
        answer(std::move(done));
    }

    static std::size_t key_bytes(const Idempotency& idempotency) {
        return kKeyBytes + 2 * idempotency.key.size();
    }
    [[nodiscard]] bool fits(std::size_t bytes) const { return memory_ + bytes <= options_.memory_max; }

    uint64_t next_offset(User& user) {
        user.touched = now_;
        return user.newest = ++sequence_;
    }

    uint64_t append(User& user, const std::shared_ptr<const Stored>& stored, const Append& request) {
        uint64_t const offset = next_offset(user);
        auto const expires = request.ttl ? now_ + *request.ttl : WallTime::max();
        user.soonest = std::min(user.soonest, expires);
        const std::string& id = stored->message->notification_id;
        auto& entries = id.empty() ? user.messages : user.notifications;
        entries.emplace(offset, Entry{now_, expires, stored, request.read, Charge(memory_, kEntryBytes)});
        ++(id.empty() ? messages_ : notifications_);
        if (!id.empty()) {
            user.by_id.emplace(id, offset);
            if (!request.read) user.unread.insert(offset);
        }
        if (entries.size() > options_.notifications_per_user) lose_oldest(user, entries);
        return offset;
    }

    void erase_notification(User& user, std::map<uint64_t, Entry>::iterator at) {
        user.by_id.erase(at->second.stored->message->notification_id);
        user.unread.erase(at->first);
        user.notifications.erase(at);
        --notifications_;
    }

    // ---- retention ------------------------------------------------------------------------------

    void lose_oldest(User& user, std::map<uint64_t, Entry>& entries) {
        user.newest_lost = std::max(user.newest_lost, entries.begin()->first);
        if (&entries == &user.notifications) {
            erase_notification(user, entries.begin());
        } else {
            entries.erase(entries.begin());
            --messages_;
        }
    }
    void lose_oldest_mark(User& user) {
        user.newest_mark_lost = std::max(user.newest_mark_lost, user.marks.begin()->first);
        user.marks.erase(user.marks.begin());
        --marks_;
    }

    [[nodiscard]] bool expired(WallTime at) const { return now_ - at >= options_.retention; }

    // What has outlived its own time was meant to go: it is not missing.
    void remove_outlived(User& user) {
        user.soonest = WallTime::max();
        for (auto* entries : {&user.notifications, &user.messages})
            for (auto at = entries->begin(); at != entries->end();) {
                auto const entry = at++;
                if (entry->second.expires > now_) {
                    user.soonest = std::min(user.soonest, entry->second.expires);
                } else if (entries == &user.notifications) {
                    erase_notification(user, entry);
                } else {
                    entries->erase(entry);
                    --messages_;
                }
            }
    }

    /// Cost: O(expired), at most what a user may have.
    void lose_expired(User& user) {
        if (user.soonest <= now_) remove_outlived(user);
        for (auto* entries : {&user.notifications, &user.messages})
            while (!entries->empty() && expired(entries->begin()->second.at))
                lose_oldest(user, *entries);
        while (!user.marks.empty() && expired(user.marks.begin()->second.at))
            lose_oldest_mark(user);
    }

    bool sweep_users() {
        if (!sweeping_) {
            next_sweep_ = std::min(next_sweep_, now_ + kSweepEvery);  // the date may jump back
            if (now_ < next_sweep_) return false;
            sweeping_ = true;
            sweep_at_ = 0;
        }
        for (uint32_t i = 0; i < options_.sweep_per_step && sweep_at_ < users_.size(); ++i) {
            User& user = *users_[sweep_at_];
            lose_expired(user);
            if (user.empty() && expired(user.touched)) {
                forget_user(user);  // another takes its place
            } else {
                ++sweep_at_;
            }
        }
        if (sweep_at_ < users_.size()) return true;
        sweeping_ = false;
        next_sweep_ = now_ + kSweepEvery;
        return false;
    }

    // ---- users ----------------------------------------------------------------------------------

    /// The user's log without what has expired, or null.
    User* find_user(const UserId& user_id) {
        auto at = by_name_.find(user_id.text);
        if (at == by_name_.end()) return nullptr;
        lose_expired(*at->second);
        return at->second;
    }
    User& make_user(const UserId& user_id) {
        if (User* known = find_user(user_id)) return *known;
        auto& user = users_.emplace_back(std::make_unique<User>(user_id.text, memory_));
        user->place = static_cast<uint32_t>(users_.size() - 1);
        user->forgotten_upto = newest_forgotten_;
        by_name_.emplace(user->name, user.get());
        return *user;
    }
    void forget_user(User& user) {
        newest_forgotten_ = std::max(newest_forgotten_, user.newest);
        by_name_.erase(user.name);
        uint32_t const place = user.place;
        if (place + 1 != users_.size()) {
            std::swap(users_[place], users_.back());
            users_[place]->place = place;
        }
        users_.pop_back();
    }

    // ---- reading --------------------------------------------------------------------------------

    static Record record_of(uint64_t offset, const Entry& entry, Record::Kind kind) {
        Record record;
        record.offset = offset;
        record.kind = kind;
        record.read = entry.read;
        record.message = entry.stored->message;
        return record;
    }

    void handle(Read& request) {
        RC_ASSERT(request.records_max > 0);
        ReadAnswer done;
        done.ticket = request.ticket;
        done.cut = request.upto;
        done.position = request.after;
        const User* user = find_user(request.user);
        bool const since = request.mode == Read::Mode::since;
        if (!user) {
            done.gap = since && request.after > 0;
            return answer(std::move(done));
        }
        done.unread_count = user->unread_count();
        if (request.upto == 0) done.cut = user->newest;
        if (since) {
            done.gap = request.after < user->newest_lost || request.after > user->newest ||
                       (request.after > 0 && request.after < user->forgotten_upto) ||
                       (request.with_marks && request.after < user->newest_mark_lost);
            // An offset that this log never gave says nothing: what there is, then.
            if (request.upto == 0 && request.after > user->newest) done.position = 0;
        }
        if (request.mode == Read::Mode::unread) {
            read_unread(*user, request, done);
        } else {
            read_all(*user, request, done);
        }
        answer(std::move(done));
    }

    /// Adds a record to the chunk. @return false when the chunk is full, and says that there is more.
    static bool add(const Read& request, ReadAnswer& done, std::size_t& bytes, Record record) {
        std::size_t const size = record.message ? record.message->data.size() : record.notification_id.size();
        if (!done.records.empty() &&
            (done.records.size() >= request.records_max || bytes + size > request.bytes_max)) {
            done.more = true;
            return false;
        }
        bytes += size;
        done.position = record.offset;
        done.records.push_back(std::move(record));
        return true;
    }

    static void read_unread(const User& user, const Read& request, ReadAnswer& done) {
        std::size_t bytes = 0;
        for (auto at = user.unread.upper_bound(done.position); at != user.unread.end() && *at <= done.cut;
             ++at)
            if (!add(request, done, bytes,
                     record_of(*at, user.notifications.at(*at), Record::Kind::notification)))
                return;
    }

    static void read_all(const User& user, const Read& request, ReadAnswer& done) {
        auto notification = user.notifications.upper_bound(done.position);
        auto message = user.messages.upper_bound(done.position);
        auto mark = request.with_marks ? user.marks.upper_bound(done.position) : user.marks.end();
        auto next_notification = [&] {
            return notification == user.notifications.end() ? UINT64_MAX : notification->first;
        };
        auto next_message = [&] { return message == user.messages.end() ? UINT64_MAX : message->first; };
        auto taken_away = [&user](uint64_t then, uint64_t now) {
            return then != 0 && now > then && user.newest_lost >= then;
        };
        done.overtaken = taken_away(request.next.message, next_message()) ||
                         taken_away(request.next.notification, next_notification());
        std::size_t bytes = 0;
        while (true) {
            done.next = {next_message(), next_notification()};
            auto const [m, n] = done.next;
            uint64_t const k = mark == user.marks.end() ? UINT64_MAX : mark->first;
            uint64_t const next = std::min({n, m, k});
            if (next > done.cut) return;
            Record record;
            if (next == n) {
                record = record_of(n, notification->second, Record::Kind::notification);
                ++notification;
            } else if (next == m) {
                record = record_of(m, message->second, Record::Kind::message);
                ++message;
            } else {
                record.offset = k;
                record.kind = Record::Kind::read_mark;
                record.notification_id = mark->second.notification_id;
                record.all = mark->second.all;
                record.unread_count = mark->second.unread_count;
                record.origin = mark->second.origin;
                ++mark;
            }
            if (!add(request, done, bytes, std::move(record))) return;
        }
    }

    void handle(List& request) {
        RC_ASSERT(request.limit > 0 && request.limit <= limits::kListLimitMax);
        ListAnswer done;
        done.ticket = request.ticket;
        if (const User* user = find_user(request.user)) {
            done.unread_count = user->unread_count();
            auto end = request.before == 0 ? user->notifications.end()
                                           : user->notifications.lower_bound(request.before);
            for (auto at = std::make_reverse_iterator(end); at != user->notifications.rend(); ++at) {
                if (request.read && *request.read != at->second.read) continue;
                if (done.notifications.size() == request.limit) {
                    done.next = done.notifications.back().offset;
                    break;
                }
                done.notifications.push_back(record_of(at->first, at->second, Record::Kind::notification));
            }
        }
        answer(std::move(done));
    }

    void handle(UserInfo& request) {
        const User* user = find_user(request.user);
        answer(UserInfoAnswer{request.ticket, user ? user->unread_count() : 0});
    }

    // ---- read state -----------------------------------------------------------------------------

    /// Writes the mark into the log and tells the cores. @return its offset
    uint64_t mark(User& user, const UserId& user_id, MarkOrigin origin, std::string notification_id,
                  bool all) {
        uint64_t const offset = next_offset(user);
        uint32_t const unread = user.unread_count();
        auto charge = Charge(memory_, kMarkBytes + notification_id.size());
        user.marks.emplace(offset, Mark{now_, notification_id, all, unread, origin, std::move(charge)});
        ++marks_;
        if (user.marks.size() > limits::kReadMarksPerUserMax) lose_oldest_mark(user);
        out_->read_mark(std::make_shared<ReadMark>(
            ReadMark{user_id, std::move(notification_id), all, offset, unread, origin}));
        return offset;
    }

    void handle(MarkRead& request) {
        MarkReadAnswer done;
        done.ticket = request.ticket;
        if (User* user = find_user(request.user)) {
            if (auto at = user->by_id.find(request.notification_id); at != user->by_id.end()) {
                Entry& entry = user->notifications.at(at->second);
                done.found = true;
                done.was_read = std::exchange(entry.read, true);
                if (!done.was_read) {
                    user->unread.erase(at->second);
                    done.offset = mark(*user, request.user, request.origin, request.notification_id, false);
                }
            }
            done.unread_count = user->unread_count();
        }
        answer(done);
    }

    void handle(ReadAll& request) {
        ReadAllAnswer done;
        done.ticket = request.ticket;
        User* user = find_user(request.user);
        if (user && !user->unread.empty()) {
            done.marked = user->unread_count();
            for (uint64_t offset : user->unread)
                user->notifications.at(offset).read = true;
            user->unread.clear();
            done.offset = mark(*user, request.user, kNoOrigin, {}, true);
        }
        answer(done);
    }

    void handle(Remove& request) {
        RemoveAnswer done;
        done.ticket = request.ticket;
        if (User* user = find_user(request.user)) {
            if (auto at = user->by_id.find(request.notification_id); at != user->by_id.end()) {
                bool const was_unread = user->unread.contains(at->second);
                erase_notification(*user, user->notifications.find(at->second));
                done.found = true;
                if (was_unread) mark(*user, request.user, kNoOrigin, request.notification_id, false);
            }
            done.unread_count = user->unread_count();
        }
        answer(done);
    }

    void handle(Erase& request) {
        EraseAnswer done;
        done.ticket = request.ticket;
        if (User* user = find_user(request.user)) {
            done.notifications = user->notifications.size();
            done.messages = user->messages.size();
            done.marks = user->marks.size();
            notifications_ -= done.notifications;
            messages_ -= done.messages;
            marks_ -= done.marks;
            forget_user(*user);
        }
        done.keys = std::erase_if(keys_, [&](const auto& entry) {
            return !entry.second.open && entry.second.user == request.user.text;
        });
        answer(std::move(done));
    }

    void answer(Answer done) { out_->answer(std::move(done)); }

    Options const options_;
    std::size_t memory_ = 0;  // before everything that is charged to it
    uint64_t notifications_ = 0, messages_ = 0, marks_ = 0;
    Fault fault_ = Fault::none;
    WallTime now_;
    Outcomes* out_ = nullptr;  // within step()
    uint64_t sequence_ = 0;
    RequestQueue queue_{options_.queue_max, options_.queue_bytes_max};
    std::unordered_map<std::string, Key> keys_;
    std::deque<std::pair<WallTime, std::string>> keys_by_age_;
    Users users_;
    std::unordered_map<std::string_view, User*> by_name_;  // the names lie in the users
    uint64_t newest_forgotten_ = 0;  // the newest offset of users whose log expired entirely
    bool sweeping_ = false;
    std::size_t sweep_at_ = 0;
    WallTime next_sweep_ = WallTime::min();
};

MemoryLog::MemoryLog(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
MemoryLog::~MemoryLog() = default;

bool MemoryLog::submit(Request&& request) {
    return impl_->submit(std::move(request));
}
bool MemoryLog::step(WallTime now, Outcomes& outcomes) {
    return impl_->step(now, outcomes);
}
std::string_view MemoryLog::epoch() const {
    return impl_->epoch();
}
Figures MemoryLog::figures() const {
    return impl_->figures();
}
void MemoryLog::set_fault(Fault fault) {
    impl_->set_fault(fault);
}

}  // namespace rc::store
