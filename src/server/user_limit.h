#pragma once

#include <deque>
#include <string>
#include <unordered_set>
#include <vector>

#include "mail.h"

namespace rc::server {

class Core;

/// connections_per_user without a hop for everybody. A user above the limit has more than limit / workers
/// connections on at least one core: only that core tells the user's home core, which counts on all cores.
/// While some core is above its share, every core tells the home core of each new connection of that user,
/// for the one too many may come anywhere. The home core names the oldest. Core: own core only.
/// Source: contract.md 3, connection_limit_exceeded; design.md 5.
class UserLimit final : public reactor::MailSink {
  public:
    UserLimit(Core& core, uint32_t limit, uint32_t workers);

    void joined(const UserId& user);
    void left(const UserId& user);
    /// Sends what found no place before. Returns whether any is left.
    bool retry();
    [[nodiscard]] bool idle() const { return reports_.empty() && counting_.empty(); }

    void on_mail(const reactor::Mail& mail) override;

  private:
    void report(const UserId& user);
    void count(const UserId& user);
    void judge(const UserId& user, std::vector<GatherAnswer>&& answers);
    [[nodiscard]] bool tell_all(const UserId& user, bool on);
    void close_oldest(const UserId& user, std::vector<GatherAnswer>&& answers);

    Core& core_;
    uint32_t limit_, share_, workers_;
    std::unordered_set<std::string> watched_;   // on every core: tell the home core of each new connection
    std::unordered_set<std::string> watching_;  // on the home core: the cores were told so
    std::unordered_set<std::string> counting_;  // on the home core: answers are awaited
    std::unordered_set<std::string> again_;     // on the home core: a report came meanwhile
    std::deque<UserId> reports_;                // that found no place yet
};

}  // namespace rc::server
