#include "store_host.h"

#include <utility>

namespace rc::server {
namespace {
constexpr std::size_t kOutcomesWaitingMax = 1024;  // then no further request is taken
constexpr Duration kHousekeepingEvery = seconds(10);
}  // namespace

StoreHost::StoreHost(reactor::Reactor& reactor, uint32_t workers, std::unique_ptr<store::Log> log,
                     StoreMetrics& metrics, std::function<void(store::Moment)> at)
    : reactor_(reactor),
      workers_(workers),
      log_(std::move(log)),
      metrics_(metrics),
      at_(std::move(at)),
      envelopes_(reactor.mesh().size()) {
    for (auto kind : {MailKind::store_request, MailKind::store_settle, MailKind::control}) {
        reactor.bind_mail(static_cast<uint8_t>(kind), *this);
    }
    reactor.add_work(*this);
}

StoreHost::~StoreHost() = default;

bool StoreHost::ready_for(const reactor::Mail& mail) {
    return mail.kind != static_cast<uint8_t>(MailKind::store_request) ||
           outcomes_.size() < kOutcomesWaitingMax;
}

void StoreHost::on_mail(const reactor::Mail& mail) {
    switch (static_cast<MailKind>(mail.kind)) {
        case MailKind::store_request: {
            auto [envelope, token] = Parcel<StoreEnvelope>::open(mail);
            auto& request = std::get<store::Request>(*envelope);
            if (!refused_.empty() || !log_->submit(std::move(request)))
                refused_.push_back(std::move(request));
            envelopes_[mail.from].push_back(std::move(envelope));
            break;
        }
        case MailKind::store_settle: {
            auto [settle, token] = Parcel<store::Settle>::open(mail);
            RC_ASSERT(log_->submit(std::move(*settle)));
            break;
        }
        case MailKind::control: stopped_ = mail.as<Control>() == Control::stop; break;
        default: RC_ASSERT(false);
    }
}

bool StoreHost::run_slice() {
    if (std::exchange(answered_, false) && at_) at_(store::Moment::answered);
    while (!refused_.empty() && log_->submit(std::move(refused_.front())))
        refused_.pop_front();
    bool more = false;
    if (outcomes_.size() < kOutcomesWaitingMax) more = log_->step(reactor_.wall(), *this);
    update_metrics();
    if (housekeeping_.due) {
        housekeeping_.due = false;
        reactor_.timers().arm(housekeeping_, reactor_.now() + kHousekeepingEvery);
    }
    bool const waiting = post_outcomes();
    if (!answers_.empty()) {
        reactor_.hand_over();  // the publications are in every mailbox before an answer is in any
        if (at_) at_(store::Moment::published);
        post_answers();
        answered_ = true;
    }
    return more || waiting || (answered_ && at_) || !refused_.empty();
}

void StoreHost::post_answers() {
    for (; !answers_.empty(); answers_.pop_front()) {
        auto const core = static_cast<reactor::CoreId>(store::ticket_of(answers_.front()).core);
        RC_ASSERT(!envelopes_[core].empty());
        auto envelope = std::move(envelopes_[core].back());
        envelopes_[core].pop_back();
        *envelope = std::move(answers_.front());
        reactor_.answer(core, Parcel<StoreEnvelope>::mail(MailKind::store_answer, std::move(envelope)));
    }
}

// In the order in which things happened; what finds no place holds up all that is behind it.
void StoreHost::take(Outcome outcome) {
    if (!outcomes_.empty() || !post(outcome)) outcomes_.push_back(std::move(outcome));
}

/// @return whether there was a place in each mailbox that it goes to
bool StoreHost::post(Outcome& outcome) {
    auto to_workers = [this](MailKind kind, const auto& content) {
        for (uint32_t core = 0; core < workers_; ++core) {
            if (!reactor_.has_place(static_cast<reactor::CoreId>(core))) return false;
        }
        uint64_t const stamp = reactor_.mesh().next_stamp();
        for (uint32_t core = 0; core < workers_; ++core) {
            auto mail = Parcel<std::decay_t<decltype(content)>>::mail(kind, content);
            mail.stamp = stamp;
            reactor_.send(static_cast<reactor::CoreId>(core), mail);
        }
        return true;
    };
    if (auto* publication = std::get_if<Publication>(&outcome))
        return to_workers(MailKind::publication, *publication);
    if (auto* mark = std::get_if<ReadMark>(&outcome)) return to_workers(MailKind::read_mark, *mark);
    if (auto* answer = std::get_if<store::Answer>(&outcome)) {
        answers_.push_back(std::move(*answer));
        return true;
    }
    auto const ticket = std::get<store::Ticket>(outcome);
    auto const core = static_cast<reactor::CoreId>(ticket.core);
    if (!reactor_.has_place(core)) return false;
    reactor_.send(core, reactor::Mail::make(static_cast<uint8_t>(MailKind::store_settled), ticket.token));
    return true;
}

/// @return whether any are left
bool StoreHost::post_outcomes() {
    while (!outcomes_.empty() && post(outcomes_.front()))
        outcomes_.pop_front();
    return !outcomes_.empty();
}

void StoreHost::publication(std::shared_ptr<const store::Publication> publication) {
    take(std::move(publication));
}
void StoreHost::read_mark(std::shared_ptr<const store::ReadMark> mark) {
    take(std::move(mark));
}
void StoreHost::answer(store::Answer answer) {
    take(std::move(answer));
}
void StoreHost::settled(store::Ticket ticket) {
    take(ticket);
}

void StoreHost::update_metrics() {
    auto const figures = log_->figures();
    if (figures.down && metrics_.down.value() == 0) metrics_.failures.add();
    metrics_.down.set(figures.down ? 1 : 0);
    metrics_.waiting.set(figures.waiting);
    metrics_.users.set(figures.users);
    metrics_.notifications.set(figures.notifications);
    metrics_.messages.set(figures.messages);
    metrics_.read_marks.set(figures.marks);
    metrics_.idempotency_keys.set(figures.keys);
    metrics_.bytes.set(figures.bytes);
}

}  // namespace rc::server
