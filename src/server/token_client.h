#pragma once

#include <functional>

#include "mail.h"
#include "ringcast/auth/token.h"

namespace rc::server {

/// A core's way to the token host: signatures out, verdicts to continuations. Core: own core only.
class TokenClient final : private reactor::MailSink {
  public:
    using Continuation = std::function<void(Verdict)>;

    /// @param host  its place in the mesh
    TokenClient(reactor::Reactor& reactor, reactor::CoreId host) : reactor_(reactor), host_(host) {
        reactor.bind_mail(static_cast<uint8_t>(MailKind::token_verdict), *this);
    }

    /// False while more wait than the host takes: the caller answers "unavailable" at once.
    [[nodiscard]] bool has_place() { return reactor_.may_request(host_); }
    /// A place must be there. The continuation runs on a later turn, or never once the core has ended.
    void check(auth::UnprovenToken claim, Continuation continuation) {
        reactor_.request(host_, Parcel<auth::UnprovenToken>::mail(MailKind::token_check, std::move(claim),
                                                                  pending_.add(std::move(continuation))));
    }

  private:
    void on_mail(const reactor::Mail& mail) override {
        auto const answer = mail.as<TokenVerdict>();
        pending_.take(answer.token)(answer.verdict);
    }

    reactor::Reactor& reactor_;
    reactor::CoreId host_;
    Pending<Continuation> pending_;
};

}  // namespace rc::server
