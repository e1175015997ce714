#include "live_sequencer.h"

#include <algorithm>

#include "ringcast/base/hash.h"

namespace rc::server {
namespace {

constexpr uint32_t kPartForSingles = 8;  // one part of so many of a mailbox's places

}  // namespace

LiveSequencer::LiveSequencer(reactor::Reactor& reactor, uint32_t workers)
    : reactor_(reactor), workers_(workers) {
    reactor.bind_mail(static_cast<uint8_t>(MailKind::live_request), *this);
    reactor.bind_mail(static_cast<uint8_t>(MailKind::live_answer), *this);
}

reactor::CoreId LiveSequencer::home_of_topic(std::string_view topic) const {
    return static_cast<reactor::CoreId>(hash64(topic) % workers_);
}
reactor::CoreId LiveSequencer::home_of_user(const UserId& user) const {
    return static_cast<reactor::CoreId>(hash64(user.text, 1) % workers_);
}

bool LiveSequencer::has_place(reactor::CoreId home) {
    if (home != reactor_.id()) return reactor_.may_request(home);
    return reactor_.has_place(home) && waiting_.size() < reactor_.mesh().box(home, home).places() / 2;
}

void LiveSequencer::publish(reactor::CoreId home, std::shared_ptr<const LivePublication> publication,
                            bool may_wait, Continuation continuation) {
    auto const token = pending_.add(std::move(continuation));
    if (home == reactor_.id()) return judge({home, token, std::move(publication), may_wait});
    reactor_.request(home, Parcel<LiveRequest>::mail(MailKind::live_request,
                                                     LiveRequest{std::move(publication), may_wait}, token));
}

void LiveSequencer::on_mail(const reactor::Mail& mail) {
    if (mail.kind == static_cast<uint8_t>(MailKind::live_answer)) {
        auto const answer = mail.as<LiveAnswer>();
        pending_.take(answer.token)(answer.accepted);
        return;
    }
    auto [request, token] = Parcel<LiveRequest>::open(mail);
    judge({mail.from, token, std::move(request->publication), request->may_wait});
}

void LiveSequencer::judge(Asked asked) {
    if (waiting_.empty() && post(asked)) {
        verdicts_.push_back({asked.from, asked.token, true});
    } else if (asked.may_wait || !waiting_.empty()) {
        // Behind a batch it keeps its place in the order. What may be open between two cores bounds this, and
        // has_place() what comes from this core itself.
        waiting_.push_back(std::move(asked));
        reactor_.stay_awake();  // this turn's slice may be over
    } else {
        verdicts_.push_back({asked.from, asked.token, false});
        reactor_.stay_awake();  // where it was posted, its own mail in this core's mailbox does that
    }
}

// All mailboxes or none: this core is their only producer, so a place that is there stays there. What may
// wait leaves some: beside a batch, and a core that is slow to take it, single publications would find none;
// nor would the part of the same publication that another home core is asked for next.
bool LiveSequencer::post(const Asked& asked) {
    for (uint32_t core = 0; core < workers_; ++core) {
        auto const places = reactor_.mesh().box(reactor_.id(), static_cast<reactor::CoreId>(core)).places();
        uint32_t const left_to_others = asked.may_wait ? std::max(1U, places / kPartForSingles) : 0;
        if (!reactor_.has_place(static_cast<reactor::CoreId>(core), left_to_others)) return false;
    }
    uint64_t const stamp = reactor_.mesh().next_stamp();
    for (uint32_t core = 0; core < workers_; ++core) {
        auto mail = Parcel<std::shared_ptr<const LivePublication>>::mail(MailKind::live_publication,
                                                                         asked.publication);
        mail.stamp = stamp;
        reactor_.send(static_cast<reactor::CoreId>(core), mail);
    }
    return true;
}

bool LiveSequencer::run_slice() {
    for (; !waiting_.empty() && post(waiting_.front()); waiting_.pop_front())
        verdicts_.push_back({waiting_.front().from, waiting_.front().token, true});
    if (!verdicts_.empty()) {
        reactor_.hand_over();  // before anybody hears of it
        telling_.swap(verdicts_);
        for (const auto& verdict : telling_)
            tell(verdict);
        telling_.clear();
    }
    return !verdicts_.empty() || !waiting_.empty();
}

void LiveSequencer::tell(const Verdict& verdict) {
    if (verdict.to == reactor_.id()) return pending_.take(verdict.token)(verdict.accepted);
    reactor_.answer(verdict.to, reactor::Mail::make(static_cast<uint8_t>(MailKind::live_answer),
                                                    LiveAnswer{verdict.token, verdict.accepted}));
}

}  // namespace rc::server
