#include "store_client.h"

namespace rc::server {

StoreClient::StoreClient(reactor::Reactor& reactor, reactor::CoreId store)
    : reactor_(reactor), store_(store) {
    reactor.bind_mail(static_cast<uint8_t>(MailKind::store_answer), *this);
}

void StoreClient::settle(store::Settle settle) {
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
    auto [answer, token] = Parcel<store::Answer>::open(mail);
    answers_.push_back(std::move(*answer));
}

void StoreClient::deliver_answers() {
    while (!answers_.empty()) {
        auto answer = std::move(answers_.front());
        answers_.pop_front();
        auto continuation = pending_.take(store::ticket_of(answer).token);
        continuation(std::move(answer));
    }
}

}  // namespace rc::server
