#include "live_sequencer.h"

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

void LiveSequencer::publish(reactor::CoreId home, std::shared_ptr<const LivePublication> publication,
                            bool may_wait, Continuation continuation) {
    auto const token = pending_.add(std::move(continuation));
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
    Asked asked{mail.from, token, std::move(request->publication), request->may_wait, 0};
    if (waiting_.empty() && post(asked)) {
        accepted_.push_back(std::move(asked));
    } else if (request->may_wait || !waiting_.empty()) {
        // Behind a batch it keeps its place in the order; what may be open between two cores bounds this.
        waiting_.push_back(std::move(asked));
    } else {
        reactor_.answer(mail.from, reactor::Mail::make(static_cast<uint8_t>(MailKind::live_answer),
                                                       LiveAnswer{token, false}));
    }
}

// All mailboxes or none: this core is their only producer, so a place that is there stays there. What may
// wait leaves some: beside a batch, and a core that is slow to take it, single publications would find none.
bool LiveSequencer::post(Asked& asked) {
    for (uint32_t core = 0; core < workers_; ++core) {
        auto const places = reactor_.mesh().box(reactor_.id(), static_cast<reactor::CoreId>(core)).places();
        uint32_t const left_to_others = asked.may_wait ? places / kPartForSingles : 0;
        if (!reactor_.has_place(static_cast<reactor::CoreId>(core), left_to_others)) return false;
    }
    uint64_t const stamp = reactor_.mesh().next_stamp();
    asked.turn = reactor_.turns();
    for (uint32_t core = 0; core < workers_; ++core) {
        auto mail = Parcel<std::shared_ptr<const LivePublication>>::mail(MailKind::live_publication,
                                                                         asked.publication);
        mail.stamp = stamp;
        reactor_.send(static_cast<reactor::CoreId>(core), mail);
    }
    return true;
}

bool LiveSequencer::run_slice() {
    for (; !accepted_.empty() && accepted_.front().turn != reactor_.turns(); accepted_.pop_front()) {
        auto const& asked = accepted_.front();
        reactor_.answer(asked.from, reactor::Mail::make(static_cast<uint8_t>(MailKind::live_answer),
                                                        LiveAnswer{asked.token, true}));
    }
    while (!waiting_.empty() && post(waiting_.front())) {
        accepted_.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
    }
    return !accepted_.empty() || !waiting_.empty();
}

}  // namespace rc::server
