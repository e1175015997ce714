#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

#include "limit_notes.h"
#include "mail.h"
#include "ringcast/net/networks.h"
#include "ringcast/net/peer_address.h"
#include "ringcast/server/config.h"

namespace rc::server {

/// Whom the limits take for one: an IPv4 address, or the IPv6 network of 64 bits, which is the least that a
/// customer gets, and whose 2^64 addresses one host may use in turn.
struct AddressKey {
    uint64_t high = 0, low = 0;
    friend bool operator==(const AddressKey&, const AddressKey&) = default;
    /// Nothing for a peer without an address.
    static std::optional<AddressKey> of(const net::PeerAddress& peer);
};

/// So many events at once, and so many more in each window from then on: one time says how much of it is
/// used. Cost: O(1), 8 bytes. (The generic cell rate algorithm.)
class Meter {
  public:
    void add(MonoTime now, uint64_t events, Duration window, uint32_t events_max) {
        empty_at_ = std::max(empty_at_, now) + window / events_max * static_cast<int64_t>(events);
    }
    /// Until one more has room: zero if it has now.
    [[nodiscard]] Duration wait(MonoTime now, Duration window, uint32_t events_max) const {
        return std::max(Duration::zero(), empty_at_ - now - (window - window / events_max));
    }
    [[nodiscard]] MonoTime empty_at() const { return empty_at_; }

  private:
    MonoTime empty_at_{};
};

/// limits.connections_per_address, new_connections_per_address and auth_failures_per_address.
///
/// Each core judges by what it has seen of an address and by what the address's home core has told it. Every
/// core reports what comes and goes to that home, which adds it up and tells all cores when an address has
/// used up a limit, and when it may again. So no client waits for another core's word, and no core looks into
/// another's table; a burst that comes over several cores at once may get a limit's worth on each of them,
/// until the home's word is there, within a turn or two. Of the two rates that surplus counts as debt.
///
/// An address without connections is forgotten when its rates are used no more. Of such addresses a core
/// keeps kQuietAddressesMax; those above it pass unlimited, as refusing them would be the attacker's gain.
/// Exempt: peers without an address, and terminators (proxy.trusted). Core: own core only.
class AddressLimits final : public reactor::MailSink {
  public:
    /// @param seed  the same on all cores, unknown to peers
    AddressLimits(reactor::Reactor& reactor, const LimitsConfig& limits, const net::Networks& exempt,
                  uint32_t workers, uint64_t seed, LimitNotes& notes);

    struct Verdict {
        bool admitted = true;
        bool counted = false;    // leave() is owed
        Duration retry_after{};  // where it is not admitted
    };
    /// A client wants to be upgraded.
    [[nodiscard]] Verdict arrive(const net::PeerAddress& peer);
    /// One that was counted has gone.
    void leave(const net::PeerAddress& peer);

    /// It showed a key or token that is none. Not counted where it was told to wait already.
    void auth_failed(const net::PeerAddress& peer);
    /// How long it has to wait before it may fail once more; zero: it may. Notes a refusal.
    [[nodiscard]] Duration auth_wait(const net::PeerAddress& peer);

    /// Sends what found no place before, and forgets who is quiet. Returns whether there is more to do now.
    bool run_slice();
    /// Connections counted for all addresses: this core's own, and those that it was told of as their home
    /// core. Cost: O(addresses).
    [[nodiscard]] uint64_t open_here() const;
    [[nodiscard]] uint64_t open_at_home() const;
    /// Addresses that are known here.
    [[nodiscard]] std::size_t size() const { return here_.size() + home_.size(); }

    void on_mail(const reactor::Mail& mail) override;

    static constexpr std::size_t kQuietAddressesMax = 65'536;

  private:
    struct Hash {
        uint64_t seed;
        std::size_t operator()(const AddressKey& key) const;
    };
    /// Of a rate, what a core has seen, and until when the home core forbids more.
    struct Rate {
        Meter meter;
        MonoTime blocked_until{};
    };
    struct Here {
        uint32_t open = 0;
        bool full = false;      // says the home core
        bool expiring = false;  // stands in expiring_here_
        bool reported = true;   // false: stands in unreported_
        int32_t open_change = 0;
        uint32_t arrived = 0, failed = 0;  // not reported yet
        Rate arrivals, failures;
    };
    struct Home {
        uint32_t open = 0;
        bool full_told = false;
        bool expiring = false;
        bool told = true;  // false: stands in untold_
        Rate arrivals, failures;
    };
    struct Expiry {
        MonoTime due;
        AddressKey key;
    };
    [[nodiscard]] std::optional<AddressKey> key_of(const net::PeerAddress& peer) const;
    [[nodiscard]] reactor::CoreId home_of(const AddressKey& key) const;
    Here* here(const AddressKey& key);
    Home* home(const AddressKey& key);
    void changed(const AddressKey& key, Here& entry);
    void take_report(const reactor::Mail& mail);
    void take_word(const reactor::Mail& mail);
    /// False: a mailbox has no place.
    [[nodiscard]] bool tell(const AddressKey& key, Home& entry);
    [[nodiscard]] bool quiet(const Here& entry) const;
    [[nodiscard]] bool quiet(const Home& entry) const;
    template <class Map>
    bool forget(Map& map, std::deque<Expiry>& expiring);
    template <class Entry>
    void expire_later(const AddressKey& key, Entry& entry, std::deque<Expiry>& expiring);

    reactor::Reactor& reactor_;
    const LimitsConfig& limits_;
    const net::Networks& exempt_;
    uint32_t workers_;
    uint64_t seed_;
    LimitNotes& notes_;
    std::unordered_map<AddressKey, Here, Hash> here_;
    std::unordered_map<AddressKey, Home, Hash> home_;
    std::deque<Expiry> expiring_here_, expiring_home_;
    std::deque<AddressKey> unreported_, untold_;
};

}  // namespace rc::server
