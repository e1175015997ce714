#include "view.h"

#include <fmt/format.h>

#include <algorithm>

#include "report.h"

namespace rc::sim {

void View::Window::become_sure(uint32_t size, uint64_t stamp) {
    maybe = true;
    if (sure) return;
    sure = true;
    sure_since = stamp;
    if (!started && at_most == kNone) at_most = size;
}

void View::Window::stop() {
    maybe = sure = started = false;
    at_most = kNone;
}

// --- what was asked for

void View::asked(uint32_t id, const Op& op) {
    auto& asked = ops_[id] = op;
    asked.had_topics = held_topics();
    asked.had_user = log_.maybe;
    switch (op.what) {
        case Op::What::subscribe:
            for (uint32_t t = 0; t < kTopicsMax; ++t)
                topics_[t].maybe |= (op.topics >> t & 1) != 0;
            if (op.user) log_.maybe = live_.maybe = true;
            if (op.resume != Op::Resume::none) offsets_maybe_ = true;
            if (op.resume == Op::Resume::since || op.resume == Op::Resume::unread) ever_resumed_ = true;
            sync_maybe_ |= op.sync;
            break;
        case Op::What::unsubscribe:
            for (uint32_t t = 0; t < kTopicsMax; ++t) {
                if (op.topics >> t & 1) topics_[t].sure = false;
            }
            break;
        case Op::What::unsubscribe_all:
            for (auto& topic : topics_)
                topic.sure = false;
            log_.sure = live_.sure = false;
            break;
        case Op::What::mark_read:
            if (op.marked != kNone) own_marks_.insert(op.marked);
            break;
        case Op::What::refused: break;
    }
    look_at_broadcasts();
}

bool View::user_op_after(uint32_t id) const {
    return std::any_of(ops_.upper_bound(id), ops_.end(), [](const auto& entry) { return entry.second.user; });
}

void View::acknowledged(uint32_t id, std::string_view text) {
    auto const at = ops_.find(id);
    if (at == ops_.end()) violated(fmt::format("an ack that nobody waits for: {}", text));
    Op const op = at->second;
    ops_.erase(at);
    auto const stamp = ledger_.newest_stamp();
    switch (op.what) {
        case Op::What::refused: violated(fmt::format("what is not allowed was acknowledged: {}", text));
        case Op::What::mark_read: return;
        case Op::What::unsubscribe:
            for (uint32_t t = 0; t < kTopicsMax; ++t) {
                if (op.topics >> t & 1) topics_[t].stop();
            }
            break;
        case Op::What::unsubscribe_all:
            for (auto& topic : topics_)
                topic.stop();
            log_.stop();
            live_.stop();
            log_.maybe = live_.maybe = user_op_after(id);
            unread_upto_ = 0;
            given_up_before_ = id;
            break;
        case Op::What::subscribe: {
            user_known_ |= op.user;
            if (id < given_up_before_) break;  // all of it was dropped again
            for (uint32_t t = 0; t < kTopicsMax; ++t) {
                if (op.topics >> t & 1)
                    topics_[t].become_sure(static_cast<uint32_t>(ledger_.topic(t).size()), stamp);
            }
            if (op.resume != Op::Resume::none) offsets_sure_ = true;
            if (op.sync && !sync_sure_) {
                sync_sure_ = true;
                sync_since_ = stamp;
            }
            if (op.resume == Op::Resume::since || op.resume == Op::Resume::unread) {
                resumed(op, text);
            } else if (op.user) {
                log_.become_sure(static_cast<uint32_t>(ledger_.log(user_).size()), stamp);
                live_.become_sure(static_cast<uint32_t>(ledger_.live(user_).size()), stamp);
            }
            bool const ends = std::any_of(ops_.begin(), ops_.end(), [](const auto& entry) {
                return entry.second.what == Op::What::unsubscribe_all;
            });
            if (ends) log_.sure = live_.sure = false;
            break;
        }
    }
    look_at_broadcasts();
}

void View::resumed(const Op& op, std::string_view text) {
    auto const stamp = ledger_.newest_stamp();
    auto const newest = number_after(text, R"("offset":"e-)");
    bool const gap = text.find(R"("gap":true)") != std::string_view::npos;
    if (newest == kNoNumber) violated(fmt::format("an ack without an offset: {}", text));
    if (gap && op.valid_after && !lossy_) violated(fmt::format("a gap where nothing is lost: {}", text));
    if (!gap && !op.valid_after) violated(fmt::format("no gap for an offset that was never given: {}", text));
    auto const& log = ledger_.log(user_);
    auto const place_behind = [&](uint64_t offset) {
        auto const at = std::upper_bound(log.begin(), log.end(), offset,
                                         [](uint64_t o, const UserEvent& e) { return o < e.offset; });
        return static_cast<uint32_t>(at - log.begin());
    };
    unread_upto_ = 0;
    if (op.resume == Op::Resume::unread) {
        unread_upto_ = log_.next = place_behind(newest);
        unread_next_ = 0;
    } else {
        log_.next = op.valid_after ? place_behind(op.after) : 0;
    }
    log_.become_sure(0, stamp);
    log_.started = true;
    lenient_ = lossy_;
    live_.become_sure(static_cast<uint32_t>(ledger_.live(user_).size()), stamp);
}

void View::refused(uint32_t id) {
    auto const at = ops_.find(id);
    if (at == ops_.end()) violated(fmt::format("an error for {} that nobody waits for", id));
    Op const op = at->second;
    ops_.erase(at);
    if (op.what == Op::What::unsubscribe || op.what == Op::What::unsubscribe_all)
        violated("an unsubscribe was refused");
    if (op.what != Op::What::subscribe || id < given_up_before_) return;
    // Nothing has changed, so nothing more may come than before. What came meanwhile was no promise.
    auto const still_asked = [this](auto&& matches) {
        return std::any_of(ops_.begin(), ops_.end(), [&](const auto& entry) {
            return entry.second.what == Op::What::subscribe && matches(entry.second);
        });
    };
    auto const take_back = [](Window& window, bool still) {
        if (window.sure) return;
        window.stop();
        window.maybe = still;
    };
    for (uint32_t t = 0; t < kTopicsMax; ++t) {
        if ((op.topics & ~op.had_topics) >> t & 1)
            take_back(topics_[t], still_asked([t](const Op& other) { return (other.topics >> t & 1) != 0; }));
    }
    if (op.user && !op.had_user) {
        for (auto* window : {&log_, &live_})
            take_back(*window, still_asked([](const Op& other) { return other.user; }));
    }
    // What later ones found was this one's.
    for (auto later = ops_.upper_bound(id); later != ops_.end(); ++later) {
        later->second.had_topics &= ~(op.topics & ~op.had_topics);
        later->second.had_user &= op.had_user || !op.user;
    }
    look_at_broadcasts();
}

void View::look_at_broadcasts() {
    bool maybe = log_.maybe, sure = log_.sure;
    for (const auto& topic : topics_) {
        maybe |= topic.maybe;
        sure |= topic.sure;
    }
    if (sure) {
        broadcasts_.become_sure(static_cast<uint32_t>(ledger_.broadcasts().size()), ledger_.newest_stamp());
    } else {
        broadcasts_.stop();  // in between it may hold nothing, and miss some
        broadcasts_.maybe = maybe;
    }
}

uint32_t View::held_topics() const {
    uint32_t out = 0;
    for (uint32_t t = 0; t < kTopicsMax; ++t)
        out |= (topics_[t].maybe ? 1U : 0U) << t;
    return out;
}

uint32_t View::undecided_topics() const {
    uint32_t out = 0;
    for (const auto& [id, op] : ops_)
        out |= op.what == Op::What::unsubscribe_all ? UINT32_MAX : op.topics;
    return out;
}

// --- what came

template <class MaySkip>
void View::take(Window& window, uint32_t place, std::string_view what, MaySkip&& may_skip) {
    if (!window.maybe) violated(fmt::format("{} {} came without a subscription", what, place));
    if (place < window.next)
        violated(fmt::format("{} {} came twice or out of order: {} was due", what, place, window.next));
    for (uint32_t skipped = window.due(); skipped < place; ++skipped) {
        if (!may_skip(skipped)) violated(fmt::format("{} {} came, and {} is missing", what, place, skipped));
    }
    window.started = true;
    window.next = place + 1;
}

// Publications are delivered by their stamps; only messages of two topics have no order between them.
void View::take_stamp(uint64_t stamp, uint32_t lane) {
    if (ever_resumed_) return;
    uint64_t const before = lane == kUserLane ? *std::max_element(stamps_.begin(), stamps_.end())
                                              : std::max(stamps_[lane], stamps_[kUserLane]);
    if (stamp < before) violated(fmt::format("stamp {} came behind {}", stamp, before));
    stamps_[lane] = stamp;
}

bool View::may_lack_topic(const Publication& publication) const {
    if (publication.topic == kNone) return false;
    auto const& topic = topics_[publication.topic];
    return !topic.sure || publication.user_stamp[user_] <= topic.sure_since;
}

bool View::may_skip_live(uint32_t n) const {
    return may_lack_topic(ledger_.at(n));
}

bool View::has_twin(const UserEvent& mark) const {
    auto const& log = ledger_.log(user_);
    return std::any_of(log.begin(), log.end(), [&](const UserEvent& other) {
        return other.n == kNone && other.offset != mark.offset && other.marked == mark.marked &&
               other.unread == mark.unread;
    });
}

bool View::may_skip_event(const UserEvent& event) const {
    if (event.n == kNone)
        return lenient_ || has_twin(event) || !sync_sure_ || event.stamp <= sync_since_ ||
               (event.marked != kNone && own_marks_.contains(event.marked));
    auto const& publication = ledger_.at(event.n);
    return lenient_ || publication.withdrawn || may_lack_topic(publication);
}

void View::delivered(std::string_view text) {
    if (text.starts_with(R"({"type":"notification_read")")) return take_mark(text);
    auto const n = number_after(text, R"("n":)");
    if (n == kNoNumber) violated(fmt::format("a text that nobody sent: {}", text));
    auto& publication = ledger_.at(static_cast<uint32_t>(n));
    if (!publication.posted) violated(fmt::format("publication {} came before it was accepted", n));
    auto const offset = number_after(text, R"("offset":"e-)");

    // Byte for byte, but for the offset behind the data.
    std::string_view const sent = publication.text;
    std::string_view const body = sent.substr(0, sent.size() - 1);
    bool const intact = publication.notification
                            ? text.starts_with(sent)
                            : text.starts_with(body) && (offset != kNoNumber || text == sent);
    if (!intact) violated(fmt::format("publication {} was changed on its way: {}", n, text));

    using Kind = Publication::Kind;
    if (publication.topic != kNone && !topics_[publication.topic].maybe)
        violated(fmt::format("publication {} came without its topic {}", n, publication.topic));
    bool const to_users = publication.kind == Kind::live_users || publication.kind == Kind::stored;
    if (to_users && (user_ == kNone || (publication.users >> user_ & 1) == 0))
        violated(fmt::format("publication {} came to another user", n));
    if (offset != kNoNumber && (publication.kind != Kind::stored || !offsets_maybe_))
        violated(fmt::format("publication {} came with an offset", n));

    auto const never = [](uint32_t) { return false; };
    switch (publication.kind) {
        case Kind::topic:
            take(topics_[publication.topic], publication.place, "topic message", never);
            return take_stamp(publication.stamp, publication.topic);
        case Kind::broadcast:
            take(broadcasts_, publication.place, "broadcast", never);
            return take_stamp(publication.stamp, kBroadcastLane);
        case Kind::live_users: {
            uint32_t const place = publication.user_place[user_];
            if (place == kNone) violated(fmt::format("publication {} came before it was accepted", n));
            take(live_, place, "live message",
                 [this](uint32_t i) { return may_skip_live(ledger_.live(user_)[i]); });
            // A message to several users may have several stamps.
            return;
        }
        case Kind::stored: {
            uint32_t const place = publication.user_place[user_];
            if (place == kNone) violated(fmt::format("publication {} is not in the log of its receiver", n));
            if (offset != kNoNumber && ledger_.log(user_)[place].offset != offset)
                violated(fmt::format("publication {} came with offset {}", n, offset));
            return take_logged(place, offset != kNoNumber);
        }
    }
}

void View::take_logged(uint32_t place, bool has_offset) {
    auto const& event = ledger_.log(user_)[place];
    if (offsets_sure_ && !has_offset) violated(fmt::format("offset {} came without it", event.offset));
    newest_offset_ = event.offset;
    if (place < unread_upto_ && event.n != kNone && ledger_.at(event.n).notification) {
        if (place < unread_next_) violated(fmt::format("unread {} came twice or out of order", place));
        unread_next_ = place + 1;
        return;
    }
    take(log_, place, "log:", [this](uint32_t i) { return may_skip_event(ledger_.log(user_)[i]); });
    take_stamp(event.stamp, kUserLane);
}

void View::take_mark(std::string_view text) {
    if (user_ == kNone || !sync_maybe_) violated(fmt::format("a read mark that nobody asked for: {}", text));
    auto const& log = ledger_.log(user_);
    auto const offset = number_after(text, R"("offset":"e-)");
    auto const marked = text.find(R"("all":true)") != std::string_view::npos
                            ? kNone
                            : static_cast<uint32_t>(number_after(text, R"("notificationId":"n)"));
    auto const unread = number_after(text, R"("unreadCount":)");
    auto const is_it = [&](const UserEvent& event) {
        return event.n == kNone && event.marked == marked && event.unread == unread;
    };
    uint32_t place = kNone;
    if (offset != kNoNumber) {
        place = ledger_.place_of(user_, offset);
    } else {
        // Marks that look alike have no place in the order without an offset.
        uint32_t alike = 0;
        for (uint32_t i = 0; i < log.size(); ++i) {
            if (!is_it(log[i])) continue;
            ++alike;
            place = i;
        }
        if (alike > 1) return;
    }
    if (place == kNone || !is_it(log[place]))
        violated(fmt::format("a read mark that was never made: {}", text));
    take_logged(place, offset != kNoNumber);
}

void View::check_caught_up() const {
    if (!ops_.empty()) violated(fmt::format("message {} was never answered", ops_.begin()->first));
    auto const all_came = [](const Window& window, std::size_t size, std::string_view what, auto&& may_skip) {
        if (!window.sure) return;
        for (uint32_t i = window.due(); i < size; ++i) {
            if (!may_skip(i)) violated(fmt::format("{} {} of {} never came", what, i, size));
        }
    };
    auto const never = [](uint32_t) { return false; };
    for (uint32_t t = 0; t < kTopicsMax; ++t)
        all_came(topics_[t], ledger_.topic(t).size(), "topic message", never);
    all_came(broadcasts_, ledger_.broadcasts().size(), "broadcast", never);
    if (user_ == kNone) return;
    all_came(live_, ledger_.live(user_).size(), "live message",
             [this](uint32_t i) { return may_skip_live(ledger_.live(user_)[i]); });
    all_came(log_, ledger_.log(user_).size(),
             "log:", [this](uint32_t i) { return may_skip_event(ledger_.log(user_)[i]); });
}

}  // namespace rc::sim
