#include "user_limit.h"

#include <algorithm>

#include "core.h"

namespace rc::server {

UserLimit::UserLimit(Core& core, uint32_t limit, uint32_t workers)
    : core_(core), limit_(limit), share_(limit / workers), workers_(workers) {
    for (auto kind : {MailKind::user_count, MailKind::user_watch, MailKind::close_connection}) {
        core.reactor().bind_mail(static_cast<uint8_t>(kind), *this);
    }
}

void UserLimit::joined(const UserId& user) {
    if (limit_ == 0) return;
    if (core_.shard().connections_of(user) > share_ || watched_.contains(user.text)) report(user);
}

void UserLimit::left(const UserId& user) {
    if (limit_ != 0 && workers_ > 1 && core_.shard().connections_of(user) == share_) report(user);
}

void UserLimit::report(const UserId& user) {
    if (workers_ == 1) {
        std::vector<GatherAnswer> answers;
        answers.push_back(core_.answer_gather({GatherRequest::What::connections, user, {}}));
        return close_oldest(user, std::move(answers));
    }
    reports_.push_back(user);
}

bool UserLimit::retry() {
    auto& reactor = core_.reactor();
    while (!reports_.empty()) {
        auto const home = core_.sequencer().home_of_user(reports_.front());
        if (!reactor.has_place(home)) break;
        reactor.send(home, Parcel<UserId>::mail(MailKind::user_count, std::move(reports_.front())));
        reports_.pop_front();
    }
    return !reports_.empty();
}

void UserLimit::on_mail(const reactor::Mail& mail) {
    switch (static_cast<MailKind>(mail.kind)) {
        case MailKind::user_count: {
            auto [user, token] = Parcel<UserId>::open(mail);
            count(*user);
            break;
        }
        case MailKind::user_watch: {
            auto [watch, token] = Parcel<UserWatch>::open(mail);
            if (watch->on) {
                watched_.insert(watch->user.text);
            } else {
                watched_.erase(watch->user.text);
            }
            break;
        }
        case MailKind::close_connection: {
            auto const order = mail.as<CloseConnection>();
            core_.close_one(order.handle, order.code);
            break;
        }
        default: RC_ASSERT(false);
    }
}

// One count of a user at a time; a report that comes meanwhile asks for another.
void UserLimit::count(const UserId& user) {
    if (counting_.contains(user.text)) {
        again_.insert(user.text);
        return;
    }
    GatherRequest const request{GatherRequest::What::connections, user, {}};
    bool const asked = core_.gather(
        request, [this, user](std::vector<GatherAnswer>&& answers) { judge(user, std::move(answers)); });
    if (asked) {
        counting_.insert(user.text);
    } else {
        reports_.push_back(user);
    }
}

void UserLimit::judge(const UserId& user, std::vector<GatherAnswer>&& answers) {
    counting_.erase(user.text);
    bool const over_share = std::any_of(answers.begin(), answers.end(), [this](const auto& answer) {
        return answer.connections.size() > share_;
    });
    bool const watching = watching_.contains(user.text);
    if (over_share != watching) {
        // The cores take this before the next count, whose request goes the same way behind it.
        if (!tell_all(user, over_share)) {
            reports_.push_back(user);
            return;
        }
        if (over_share) again_.insert(user.text);
    }
    close_oldest(user, std::move(answers));
    if (again_.erase(user.text) > 0) count(user);
}

bool UserLimit::tell_all(const UserId& user, bool on) {
    auto& reactor = core_.reactor();
    for (uint32_t core = 0; core < workers_; ++core) {
        if (!reactor.has_place(static_cast<reactor::CoreId>(core))) return false;
    }
    for (uint32_t core = 0; core < workers_; ++core) {
        reactor.send(static_cast<reactor::CoreId>(core),
                     Parcel<UserWatch>::mail(MailKind::user_watch, UserWatch{user, on}));
    }
    if (on) {
        watching_.insert(user.text);
    } else {
        watching_.erase(user.text);
    }
    return true;
}

void UserLimit::close_oldest(const UserId& user, std::vector<GatherAnswer>&& answers) {
    std::vector<ConnectionInfo> all;
    for (auto& answer : answers) {
        for (auto& connection : answer.connections)
            all.push_back(std::move(connection));
    }
    if (all.size() <= limit_) return;
    core_.limit_notes().hit(Limit::connections_per_user, "a user's oldest", core_.reactor().now());
    if (core_.limit_notes().dry_run()) return;
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.opened < b.opened; });
    auto& reactor = core_.reactor();
    for (std::size_t i = 0; i < all.size() - limit_; ++i) {
        if (all[i].core == reactor.id()) {
            core_.close_one(all[i].handle, Errc::connection_limit_exceeded);
        } else if (reactor.has_place(all[i].core)) {
            reactor.send(all[i].core, reactor::Mail::make(
                                          static_cast<uint8_t>(MailKind::close_connection),
                                          CloseConnection{all[i].handle, Errc::connection_limit_exceeded}));
        } else {
            reports_.push_back(user);  // counted once more when there is a place
            return;
        }
    }
}

}  // namespace rc::server
