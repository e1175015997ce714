#include "store_client.h"

namespace rc::server {

StoreClient::StoreClient(reactor::Reactor& reactor, reactor::CoreId store)
    : reactor_(reactor), store_(store) {
    for (auto kind : {MailKind::store_answer, MailKind::store_settled})
        reactor.bind_mail(static_cast<uint8_t>(kind), *this);
}

void StoreClient::settle(store::Settle settle, std::function<void()> settled) {
    settle.ticket = {reactor_.id(), settling_.add(std::move(settled))};
    unsettled_.push_back(std::move(settle));
    retry();
}

bool StoreClient::retry() {
    while (!unsettled_.empty() && reactor_.has_place(store_)) {
        reactor_.send(store_,
                      Parcel<store::Settle>::mail(MailKind::store_settle, std::move(unsettled_.front())));
        unsettled_.pop_front();
    }
    return !unsettled_.empty();
}

void StoreClient::on_mail(const reactor::Mail& mail) {
    if (mail.kind == static_cast<uint8_t>(MailKind::store_settled))
        return settled_.push_back(mail.as<uint64_t>());
    auto [envelope, token] = Parcel<StoreEnvelope>::open(mail);
    answers_.push_back(std::move(std::get<store::Answer>(*envelope)));
}

void StoreClient::deliver_answers() {
    while (!answers_.empty()) {
        auto answer = std::move(answers_.front());
        answers_.pop_front();
        auto continuation = pending_.take(store::ticket_of(answer).token);
        continuation(std::move(answer));
    }
    while (!settled_.empty()) {
        uint64_t const token = settled_.front();
        settled_.pop_front();
        settling_.take(token)();
    }
}

}  // namespace rc::server
