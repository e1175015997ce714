#include "token_host.h"

#include <algorithm>
#include <utility>

#include "ringcast/base/log.h"

namespace rc::server {
namespace {
constexpr uint32_t kChecksPerSlice = 8;  // up to 4 ms; verdicts leave at the end of the turn
constexpr std::size_t kWaitingMax = 1'024;
constexpr Duration kKidFetchEvery = minutes(1);
constexpr Duration kRetryMin = seconds(5), kRetryMax = minutes(5);
}  // namespace

auth::Policy token_policy(const JwtConfig& config) {
    auth::Policy policy{.issuer = config.issuer,
                        .audience = config.audience,
                        .user_claim = config.user_claim,
                        .leeway = config.leeway};
    for (const auto& name : config.algorithms) {
        if (auto const algorithm = auth::algorithm_named(name)) policy.algorithms.push_back(*algorithm);
    }
    return policy;
}

auth::KeyFiles token_key_files(const JwtConfig& config) {
    return {.secrets = config.secret_file, .public_keys = config.public_key_file, .jwks = config.jwks_file};
}

Result<auth::KeyRing> load_token_keys(const JwtConfig& config) {
    auth::KeyRing keys;
    if (auto const wrong = keys.load(token_key_files(config)); !wrong.empty())
        return fail(Errc::settings, wrong.front());
    auto const algorithms = token_policy(config).algorithms;
    bool const any = std::ranges::any_of(algorithms, [&keys](auto one) { return keys.serves(one); });
    if (!any && config.jwks_url.empty()) {
        return fail(Errc::settings,
                    "auth.jwt.algorithms: none of the keys in the files is for any of these algorithms");
    }
    return keys;
}

TokenHost::TokenHost(reactor::Reactor& reactor, Options options)
    : reactor_(reactor), options_(std::move(options)), due_(*this) {
    for (auto kind : {MailKind::token_check, MailKind::keys_fetched, MailKind::control})
        reactor.bind_mail(static_cast<uint8_t>(kind), *this);
    reactor.add_work(*this);
    if (options_.fetcher) fetch();
}

TokenHost::~TokenHost() = default;

void TokenHost::on_mail(const reactor::Mail& mail) {
    switch (static_cast<MailKind>(mail.kind)) {
        case MailKind::token_check: {
            auto [claim, token] = Parcel<auth::UnprovenToken>::open(mail);
            jobs_.push_back({std::move(claim), token, mail.from});
            break;
        }
        case MailKind::keys_fetched: {
            auto [fetched, token] = Parcel<Result<auth::Fetched>>::open(mail);
            take_fetched(*fetched);
            break;
        }
        case MailKind::control:
            if (mail.as<Control>() == Control::keys) reread();
            if (mail.as<Control>() == Control::stop) stopped_ = true;
            break;
        default: RC_ASSERT(false);
    }
}

bool TokenHost::run_slice() {
    for (uint32_t n = 0; n < kChecksPerSlice && !jobs_.empty(); ++n) {
        auto job = std::move(jobs_.front());
        jobs_.pop_front();
        judge(std::move(job));
    }
    if (reread_untold_ && reactor_.has_place(options_.main)) {
        reread_untold_ = false;
        reactor_.send(options_.main,
                      reactor::Mail::make(static_cast<uint8_t>(MailKind::progress), Control::keys));
    }
    auto& metrics = options_.metrics;
    metrics.waiting.set(jobs_.size() + waiting_.size());
    metrics.keys.set(options_.keys.size());
    if (fetched_at_)
        metrics.age_seconds.set(static_cast<uint64_t>((reactor_.now() - *fetched_at_) / seconds(1)));
    return !jobs_.empty() || reread_untold_;
}

void TokenHost::judge(Job job) {
    auto const found = options_.keys.check(*job.claim);
    if (found == auth::Signature::good) {
        options_.metrics.good.add();
        return answer(job, found);
    }
    // The URL may know better: a key that came since, or any at all.
    bool const may_ask = options_.fetcher && !job.keys_are_new &&
                         (found == auth::Signature::unknown_key || !options_.keys.fetched());
    if (may_ask && !fetching_ && reactor_.now() >= kid_fetch_from_) {
        kid_fetch_from_ = reactor_.now() + kKidFetchEvery;
        fetch();
    }
    if (may_ask && fetching_) {
        if (waiting_.size() >= kWaitingMax) return answer(job, std::nullopt);
        return waiting_.push_back(std::move(job));
    }
    if (options_.fetcher && !options_.keys.fetched()) return answer(job, std::nullopt);
    (found == auth::Signature::bad ? options_.metrics.bad : options_.metrics.unknown_key).add();
    answer(job, found);
}

void TokenHost::answer(const Job& job, Verdict verdict) {
    reactor_.answer(job.from, reactor::Mail::make(static_cast<uint8_t>(MailKind::token_verdict),
                                                  TokenVerdict{job.token, verdict}));
}

// --- keys

void TokenHost::fetch() {
    if (std::exchange(fetching_, true)) return;
    due_.disarm();
    options_.metrics.fetches.add();
    reactor_.request(*options_.fetcher, reactor::Mail::make(static_cast<uint8_t>(MailKind::keys_fetch), 0));
}

void TokenHost::take_fetched(const Result<auth::Fetched>& fetched) {
    fetching_ = false;
    bool const first = !options_.keys.fetched();
    auto const taken =
        fetched ? options_.keys.take_fetched(fetched->text) : Result<void>(tl::unexpected(fetched.error()));
    Duration next;
    if (taken) {
        if (first || failures_ > 0) log::info("auth.jwt.jwks_url: fetched, {} keys", options_.keys.size());
        failures_ = 0;
        fetched_at_ = reactor_.now();
        next = fetched->fresh_for;
    } else {
        options_.metrics.fetch_failures.add();
        log::warning("auth.jwt.jwks_url: {}{}", taken.error().message,
                     first ? "; there are no keys of it yet" : "; the last good keys stay in force");
        next = std::min(kRetryMin * (int64_t{1} << std::min(failures_, 16U)), kRetryMax);
        ++failures_;
    }
    reactor_.timers().arm(due_, reactor_.now() + next);
    for (auto& job : waiting_) {
        job.keys_are_new = true;
        jobs_.push_back(std::move(job));
    }
    waiting_.clear();
}

void TokenHost::reread() {
    auto const wrong = options_.keys.load(options_.files);
    for (const auto& line : wrong)
        log::error("{}; the keys that were read before stay in force", line);
    if (wrong.empty()) log::info("the keys of tokens are read anew: {} keys", options_.keys.size());
    reread_untold_ = true;
}

// --- the URL

KeyFetcher::KeyFetcher(reactor::Reactor& reactor, reactor::CoreId main, Fetch fetch)
    : reactor_(reactor), main_(main), fetch_(std::move(fetch)) {
    for (auto kind : {MailKind::keys_fetch, MailKind::control})
        reactor.bind_mail(static_cast<uint8_t>(kind), *this);
    reactor.add_work(*this);
}

void KeyFetcher::on_mail(const reactor::Mail& mail) {
    if (mail.kind == static_cast<uint8_t>(MailKind::keys_fetch)) {
        asked_by_ = mail.from;
    } else if (mail.as<Control>() == Control::stop) {
        stopped_ = true;
    }
}

bool KeyFetcher::run_slice() {
    if (!asked_by_) return false;
    auto const stopping = [this] { return reactor_.mesh().box(main_, reactor_.id()).has_mail(); };
    auto fetched = fetch_(stopping);
    reactor_.answer(*std::exchange(asked_by_, std::nullopt),
                    Parcel<Result<auth::Fetched>>::mail(MailKind::keys_fetched, std::move(fetched)));
    return false;
}

}  // namespace rc::server
