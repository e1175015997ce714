#pragma once

#include <deque>
#include <optional>
#include <string>

#include "key_metrics.h"
#include "mail.h"
#include "ringcast/auth/key_fetch.h"
#include "ringcast/auth/keys.h"
#include "ringcast/reactor/core_group.h"
#include "ringcast/server/config.h"

namespace rc::server {

/// What the settings, which were checked, demand of tokens, and where they say that keys stand.
auth::Policy token_policy(const JwtConfig& config);
auth::KeyFiles token_key_files(const JwtConfig& config);

/// The keys of all files. Errors: settings, one line: a file that cannot be used, or keys of which none is
/// for any of the algorithms (where no URL may bring others).
Result<auth::KeyRing> load_token_keys(const JwtConfig& config);

/// The thread that checks tokens' signatures, so that no core waits for one: at most as many of a core's wait
/// as half a mailbox holds. It owns the keys: reads the files anew when told to, and has the URL fetched at
/// the start, when its answer is no longer fresh, and when a token names a key that nobody knows, the last
/// once a minute at most. Core: the tokens' own.
class TokenHost final : public reactor::CoreProgram, private reactor::MailSink, private reactor::Work {
  public:
    struct Options {
        auth::KeyRing keys;                      // as the files have them
        auth::KeyFiles files;                    // read anew at Control::keys
        reactor::CoreId main = 0;                // hears that it is done
        std::optional<reactor::CoreId> fetcher;  // unset: there is no URL
        KeyMetrics& metrics;
    };
    TokenHost(reactor::Reactor& reactor, Options options);
    ~TokenHost() override;

    bool ended() override { return stopped_; }

  private:
    struct Job {
        std::unique_ptr<auth::UnprovenToken> claim;
        uint64_t token;
        reactor::CoreId from;
        bool keys_are_new = false;  // it has waited for them: its verdict is the last
    };

    void on_mail(const reactor::Mail& mail) override;
    bool run_slice() override;
    void judge(Job job);
    void answer(const Job& job, Verdict verdict);
    void fetch();
    void take_fetched(const Result<auth::Fetched>& fetched);
    void reread();

    reactor::Reactor& reactor_;
    Options options_;
    std::deque<Job> jobs_;     // bounded by the cores' open requests
    std::deque<Job> waiting_;  // for a fetch that is under way
    bool fetching_ = false, reread_untold_ = false, stopped_ = false;
    uint32_t failures_ = 0;  // fetches in a row
    std::optional<MonoTime> fetched_at_;
    MonoTime kid_fetch_from_ = MonoTime::min();  // before it no unknown kid is a reason to fetch
    struct Due final : io::Timer {
        explicit Due(TokenHost& host) : owner(host) {}
        void on_timer() override { owner.fetch(); }
        TokenHost& owner;
    } due_;
};

/// The thread that waits for the keys' URL. Core: its own; blocks there.
class KeyFetcher final : public reactor::CoreProgram, private reactor::MailSink, private reactor::Work {
  public:
    using Fetch = std::function<Result<auth::Fetched>(const std::function<bool()>& give_up)>;

    /// @param main  whose word to stop ends a fetch that is under way
    KeyFetcher(reactor::Reactor& reactor, reactor::CoreId main, Fetch fetch);
    bool ended() override { return stopped_; }

  private:
    void on_mail(const reactor::Mail& mail) override;
    bool run_slice() override;

    reactor::Reactor& reactor_;
    reactor::CoreId main_;
    Fetch fetch_;
    std::optional<reactor::CoreId> asked_by_;
    bool stopped_ = false;
};

}  // namespace rc::server
