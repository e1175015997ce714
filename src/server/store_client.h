#pragma once

#include <deque>
#include <functional>

#include "mail.h"

namespace rc::server {

/// A core's way to the store: requests out, answers to continuations. Core: own core only.
class StoreClient final : public reactor::MailSink {
  public:
    using Continuation = std::function<void(store::Answer&&)>;

    /// @param store  the store's place in the mesh
    StoreClient(reactor::Reactor& reactor, reactor::CoreId store);

    /// False when the store has more to do than it takes now: the caller answers "unavailable" at once.
    [[nodiscard]] bool has_place() { return reactor_.may_request(store_); }
    /// A place must be there. The ticket is filled in here; the continuation runs on a later turn, after the
    /// publications that the store posted before its answer.
    template <class Request>
    void submit(Request request, Continuation continuation) {
        uint64_t const token = pending_.add(std::move(continuation));
        request.ticket = {reactor_.id(), token};
        auto envelope = std::make_unique<StoreEnvelope>(store::Request(std::move(request)));
        reactor_.request(store_, Parcel<StoreEnvelope>::mail(MailKind::store_request, std::move(envelope)));
    }
    /// Always finds a place, in the end. `settled` runs on a later turn, when the key is durable.
    void settle(store::Settle settle, std::function<void()> settled);

    /// Runs the continuations of what has been answered.
    void deliver_answers();
    [[nodiscard]] bool idle() const { return pending_.count() == 0 && settling_.count() == 0; }

    void on_mail(const reactor::Mail& mail) override;
    /// Settles that found no place; returns whether any are left.
    bool retry();

  private:
    reactor::Reactor& reactor_;
    reactor::CoreId store_;
    Pending<Continuation> pending_;
    std::deque<store::Answer> answers_;
    Pending<std::function<void()>> settling_;
    std::deque<store::Settle> unsettled_;  // without a place in the store's mailbox
    std::deque<uint64_t> settled_;         // tokens, whose continuations are to run
};

}  // namespace rc::server
