#pragma once

#include <deque>
#include <functional>

#include "mail.h"

namespace rc::server {

/// Publications that no log keeps, on both of their cores: where they are asked for, and on the home core
/// (a hash of the topic or user), which gives them their place in the order and a place in every mailbox, or
/// refuses them whole. Core: own core only.
class LiveSequencer final : public reactor::MailSink, public reactor::Work {
  public:
    using Continuation = std::function<void(bool accepted)>;

    LiveSequencer(reactor::Reactor& reactor, uint32_t workers);

    [[nodiscard]] reactor::CoreId home_of_topic(std::string_view topic) const;
    [[nodiscard]] reactor::CoreId home_of_user(const UserId& user) const;
    [[nodiscard]] bool has_place(reactor::CoreId home);

    /// Asks the home core; where that is this one, without a mail to itself. A place must be there. The
    /// continuation runs behind the call, when the publication stands in every core's mailbox, or was refused
    /// for want of a place.
    /// @param may_wait  it is not refused, but waits for a place; others wait only behind such ones
    void publish(reactor::CoreId home, std::shared_ptr<const LivePublication> publication, bool may_wait,
                 Continuation continuation);

    [[nodiscard]] bool idle() const { return pending_.count() == 0 && waiting_.empty() && verdicts_.empty(); }

    void on_mail(const reactor::Mail& mail) override;
    /// Tells who asked, of this turn's publications too.
    bool run_slice() override;

  private:
    struct Asked {
        reactor::CoreId from;
        uint64_t token;
        std::shared_ptr<const LivePublication> publication;
        bool may_wait = false;
    };
    struct Verdict {
        reactor::CoreId to;
        uint64_t token;
        bool accepted;
    };
    void judge(Asked asked);
    bool post(const Asked& asked);
    void tell(const Verdict& verdict);

    reactor::Reactor& reactor_;
    uint32_t workers_;
    Pending<Continuation> pending_;
    std::deque<Asked> waiting_;                // on the home core, for a place
    std::vector<Verdict> verdicts_, telling_;  // on the home core, not told yet
};

}  // namespace rc::server
