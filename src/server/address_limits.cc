#include "address_limits.h"

#include <netinet/in.h>

#include <cstring>

#include "ringcast/base/hash.h"

namespace rc::server {
namespace {

constexpr Duration kArrivalWindow = seconds(1), kFailureWindow = minutes(1);
constexpr Duration kLookEvery = seconds(5);  // whether an address without connections is quiet
constexpr uint32_t kLooksPerSlice = 256;

struct Report {
    AddressKey key;
    int32_t open_change;
    uint32_t arrived, failed;
};
struct Word {
    AddressKey key;
    MonoTime arrivals_blocked_until, failures_blocked_until;
    bool full;
};

}  // namespace

std::optional<AddressKey> AddressKey::of(const net::PeerAddress& peer) {
    AddressKey key;
    if (peer.family == AF_INET) {
        uint32_t ip;
        std::memcpy(&ip, peer.ip.data(), sizeof(ip));
        key.low = uint64_t{1} << 32 | ip;  // no IPv6 network has a low half
        return key;
    }
    if (peer.family != AF_INET6) return std::nullopt;
    std::memcpy(&key.high, peer.ip.data(), sizeof(key.high));
    return key;
}

std::size_t AddressLimits::Hash::operator()(const AddressKey& key) const {
    return hash64({reinterpret_cast<const char*>(&key), sizeof(key)}, seed);
}

AddressLimits::AddressLimits(reactor::Reactor& reactor, const LimitsConfig& limits,
                             const net::Networks& exempt, uint32_t workers, uint64_t seed, LimitNotes& notes)
    : reactor_(reactor),
      limits_(limits),
      exempt_(exempt),
      workers_(workers),
      seed_(seed),
      notes_(notes),
      here_(0, Hash{seed}),
      home_(0, Hash{seed}) {
    reactor.bind_mail(static_cast<uint8_t>(MailKind::address_report), *this);
    reactor.bind_mail(static_cast<uint8_t>(MailKind::address_word), *this);
}

std::optional<AddressKey> AddressLimits::key_of(const net::PeerAddress& peer) const {
    if (exempt_.contains(peer)) return std::nullopt;
    return AddressKey::of(peer);
}

// Another seed than the tables': the addresses of one home would crowd in a part of its own table.
reactor::CoreId AddressLimits::home_of(const AddressKey& key) const {
    return static_cast<reactor::CoreId>(Hash{~seed_}(key) % workers_);
}

AddressLimits::Here* AddressLimits::here(const AddressKey& key) {
    if (auto const found = here_.find(key); found != here_.end()) return &found->second;
    if (expiring_here_.size() >= kQuietAddressesMax) return nullptr;
    return &here_[key];
}

AddressLimits::Home* AddressLimits::home(const AddressKey& key) {
    if (auto const found = home_.find(key); found != home_.end()) return &found->second;
    if (expiring_home_.size() >= kQuietAddressesMax) return nullptr;
    return &home_[key];
}

// --- what comes and goes here

AddressLimits::Verdict AddressLimits::arrive(const net::PeerAddress& peer) {
    bool const counts = limits_.connections_per_address > 0 || limits_.new_connections_per_address > 0;
    if (!counts && limits_.auth_failures_per_address == 0) return {};
    auto const key = key_of(peer);
    if (!key) return {};
    auto const now = reactor_.now();
    auto const refuse = [&](Limit limit, Duration retry_after) {
        notes_.hit(limit, peer.format(), now);
        return Verdict{.admitted = notes_.dry_run(), .retry_after = retry_after};
    };
    if (limits_.auth_failures_per_address > 0) {
        if (auto const wait = auth_wait(peer); wait > Duration::zero() && !notes_.dry_run())
            return {.admitted = false, .retry_after = wait};
    }
    if (!counts) return {};
    auto* entry = here(*key);
    if (!entry) return {};
    if (auto const most = limits_.connections_per_address; most > 0 && (entry->open >= most || entry->full)) {
        auto verdict = refuse(Limit::connections_per_address, seconds(1));
        if (!verdict.admitted) return verdict;
    }
    if (auto const most = limits_.new_connections_per_address; most > 0) {
        auto const wait = std::max(entry->arrivals.meter.wait(now, kArrivalWindow, most),
                                   entry->arrivals.blocked_until - now);
        if (wait > Duration::zero()) {
            auto verdict = refuse(Limit::new_connections_per_address, wait);
            if (!verdict.admitted) return verdict;
        }
        entry->arrivals.meter.add(now, 1, kArrivalWindow, most);
        ++entry->arrived;
    }
    ++entry->open;
    ++entry->open_change;
    changed(*key, *entry);
    return {.counted = true};
}

void AddressLimits::leave(const net::PeerAddress& peer) {
    auto const key = key_of(peer);
    RC_ASSERT(key);
    auto const found = here_.find(*key);
    RC_ASSERT(found != here_.end() && found->second.open > 0);
    --found->second.open;
    --found->second.open_change;
    changed(*key, found->second);
}

void AddressLimits::auth_failed(const net::PeerAddress& peer) {
    auto const most = limits_.auth_failures_per_address;
    if (most == 0) return;
    auto const key = key_of(peer);
    auto* entry = key ? here(*key) : nullptr;
    if (!entry) return;
    auto const now = reactor_.now();
    // Who goes on failing while it is told to wait does not wait longer for it.
    if (entry->failures.meter.wait(now, kFailureWindow, most) > Duration::zero()) return;
    entry->failures.meter.add(now, 1, kFailureWindow, most);
    ++entry->failed;
    changed(*key, *entry);
}

Duration AddressLimits::auth_wait(const net::PeerAddress& peer) {
    auto const most = limits_.auth_failures_per_address;
    if (most == 0) return Duration::zero();
    auto const key = key_of(peer);
    auto const found = key ? here_.find(*key) : here_.end();
    if (found == here_.end()) return Duration::zero();
    auto const now = reactor_.now();
    const auto& failures = found->second.failures;
    auto const wait = std::max(
        {Duration::zero(), failures.meter.wait(now, kFailureWindow, most), failures.blocked_until - now});
    if (wait > Duration::zero()) notes_.hit(Limit::auth_failures_per_address, peer.format(), now);
    return wait;
}

uint64_t AddressLimits::open_here() const {
    uint64_t sum = 0;
    for (const auto& [key, entry] : here_)
        sum += entry.open;
    return sum;
}

uint64_t AddressLimits::open_at_home() const {
    uint64_t sum = 0;
    for (const auto& [key, entry] : home_)
        sum += entry.open;
    return sum;
}

void AddressLimits::changed(const AddressKey& key, Here& entry) {
    if (workers_ == 1) {
        entry.open_change = 0;
        entry.arrived = entry.failed = 0;
    } else if (entry.reported) {
        entry.reported = false;
        unreported_.push_back(key);
        reactor_.stay_awake();
    }
    expire_later(key, entry, expiring_here_);
}

// --- the home core

bool AddressLimits::run_slice() {
    while (!unreported_.empty()) {
        auto const key = unreported_.front();
        auto const home = home_of(key);
        if (!reactor_.has_place(home)) break;
        auto& entry = here_.at(key);  // quiet() keeps it
        reactor_.send(home, reactor::Mail::make(
                                static_cast<uint8_t>(MailKind::address_report),
                                Report{key, std::exchange(entry.open_change, 0),
                                       std::exchange(entry.arrived, 0), std::exchange(entry.failed, 0)}));
        entry.reported = true;
        unreported_.pop_front();
    }
    while (!untold_.empty()) {
        auto& entry = home_.at(untold_.front());
        if (!tell(untold_.front(), entry)) break;
        entry.told = true;
        untold_.pop_front();
    }
    bool const more_here = forget(here_, expiring_here_), more_home = forget(home_, expiring_home_);
    return !unreported_.empty() || !untold_.empty() || more_here || more_home;
}

void AddressLimits::on_mail(const reactor::Mail& mail) {
    if (static_cast<MailKind>(mail.kind) == MailKind::address_report) return take_report(mail);
    take_word(mail);
}

void AddressLimits::take_report(const reactor::Mail& mail) {
    auto const report = mail.as<Report>();
    auto* entry = home(report.key);
    if (!entry) return;
    auto const now = reactor_.now();
    // Those that came while there was no place for the address are not known to have come.
    entry->open = static_cast<uint32_t>(std::max<int64_t>(0, int64_t{entry->open} + report.open_change));
    auto const add = [now](Rate& rate, uint32_t events, Duration window, uint32_t most) {
        if (most == 0 || events == 0) return false;
        rate.meter.add(now, events, window, most);
        if (rate.meter.wait(now, window, most) == Duration::zero() || rate.blocked_until > now) return false;
        // Half of it has to be free again, or each event at the limit would be a word to every core.
        rate.blocked_until = rate.meter.empty_at() - window / 2;
        return true;
    };
    bool news = add(entry->arrivals, report.arrived, kArrivalWindow, limits_.new_connections_per_address);
    news |= add(entry->failures, report.failed, kFailureWindow, limits_.auth_failures_per_address);
    bool const full = limits_.connections_per_address > 0 && entry->open >= limits_.connections_per_address;
    news |= full != entry->full_told;
    if (news && entry->told) {
        entry->told = false;
        untold_.push_back(report.key);
        reactor_.stay_awake();
    }
    expire_later(report.key, *entry, expiring_home_);
}

bool AddressLimits::tell(const AddressKey& key, Home& entry) {
    for (uint32_t core = 0; core < workers_; ++core)
        if (!reactor_.has_place(static_cast<reactor::CoreId>(core))) return false;
    entry.full_told = limits_.connections_per_address > 0 && entry.open >= limits_.connections_per_address;
    Word const word{key, entry.arrivals.blocked_until, entry.failures.blocked_until, entry.full_told};
    for (uint32_t core = 0; core < workers_; ++core)
        reactor_.send(static_cast<reactor::CoreId>(core),
                      reactor::Mail::make(static_cast<uint8_t>(MailKind::address_word), word));
    return true;
}

void AddressLimits::take_word(const reactor::Mail& mail) {
    auto const word = mail.as<Word>();
    auto* entry = here(word.key);
    if (!entry) return;
    entry->full = word.full;
    entry->arrivals.blocked_until = word.arrivals_blocked_until;
    entry->failures.blocked_until = word.failures_blocked_until;
    expire_later(word.key, *entry, expiring_here_);
}

// --- forgetting

bool AddressLimits::quiet(const Here& entry) const {
    auto const now = reactor_.now();
    return entry.reported && !entry.full &&
           std::max({entry.arrivals.meter.empty_at(), entry.failures.meter.empty_at(),
                     entry.arrivals.blocked_until, entry.failures.blocked_until}) <= now;
}

bool AddressLimits::quiet(const Home& entry) const {
    auto const now = reactor_.now();
    return entry.told && !entry.full_told &&
           std::max(entry.arrivals.meter.empty_at(), entry.failures.meter.empty_at()) <= now;
}

template <class Entry>
void AddressLimits::expire_later(const AddressKey& key, Entry& entry, std::deque<Expiry>& expiring) {
    if (entry.open > 0 || entry.expiring) return;
    entry.expiring = true;
    expiring.push_back({reactor_.now() + kLookEvery, key});
}

// Returns whether more are due now.
template <class Map>
bool AddressLimits::forget(Map& map, std::deque<Expiry>& expiring) {
    auto const now = reactor_.now();
    for (uint32_t n = 0; n < kLooksPerSlice && !expiring.empty() && expiring.front().due <= now; ++n) {
        auto const key = expiring.front().key;
        expiring.pop_front();
        auto const found = map.find(key);
        RC_ASSERT(found != map.end());
        found->second.expiring = false;
        if (found->second.open > 0) continue;
        if (quiet(found->second)) {
            map.erase(found);
        } else {
            expire_later(key, found->second, expiring);
        }
    }
    if (map.empty() && map.bucket_count() > 1) map = Map(0, Hash{seed_});
    return !expiring.empty() && expiring.front().due <= now;
}

}  // namespace rc::server
