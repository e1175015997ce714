#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "mail.h"
#include "ringcast/reactor/core_group.h"
#include "ringcast/store/moment.h"
#include "store_metrics.h"

namespace rc::server {

/// The store's thread: takes the cores' requests, steps the log, and posts what comes of it. Publications
/// reach every mailbox before the answer leaves. Core: the store's.
class StoreHost final : public reactor::CoreProgram,
                        private reactor::MailSink,
                        private reactor::Work,
                        private store::Outcomes {
  public:
    /// @param workers  cores 0 to workers-1 get the publications
    /// @param metrics  written here, read by any core
    /// @param at  for tests: `published` and `answered`
    StoreHost(reactor::Reactor& reactor, uint32_t workers, std::unique_ptr<store::Log> log,
              StoreMetrics& metrics, std::function<void(store::Moment)> at = {});
    ~StoreHost() override;

    bool ended() override { return stopped_ && outcomes_.empty(); }

  private:
    using Publication = std::shared_ptr<const store::Publication>;
    using ReadMark = std::shared_ptr<const store::ReadMark>;
    using Outcome = std::variant<Publication, ReadMark, store::Answer, store::Ticket>;  // the last: settled

    void on_mail(const reactor::Mail& mail) override;
    bool ready_for(const reactor::Mail& mail) override;
    bool run_slice() override;

    void publication(std::shared_ptr<const store::Publication> publication) override;
    void read_mark(std::shared_ptr<const store::ReadMark> mark) override;
    void answer(store::Answer answer) override;
    void settled(store::Ticket ticket) override;

    void post_answers();
    void take(Outcome outcome);
    bool post(Outcome& outcome);
    bool post_outcomes();
    void update_metrics();

    reactor::Reactor& reactor_;
    uint32_t workers_;
    std::unique_ptr<store::Log> log_;
    StoreMetrics& metrics_;
    std::function<void(store::Moment)> at_;
    bool answered_ = false;                                               // on the turn before
    std::vector<std::vector<std::unique_ptr<StoreEnvelope>>> envelopes_;  // by core: for its answers
    // By a full queue of the log; goes first next time. Taken out of the mailboxes all the same, because a
    // settle behind it may be what the queue waits for. At most half a mailbox of each core.
    std::deque<store::Request> refused_;
    std::deque<Outcome> outcomes_;       // that wait for places in the mailboxes, oldest first
    std::deque<store::Answer> answers_;  // whose publications are posted
    bool stopped_ = false;
    struct Housekeeping final : io::Timer {
        void on_timer() override { due = true; }
        bool due = true;
    } housekeeping_;
};

}  // namespace rc::server
