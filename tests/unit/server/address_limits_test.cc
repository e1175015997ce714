#include "../../../src/server/address_limits.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "../../support/fake_ring.h"

namespace rc::server {
namespace {

net::PeerAddress v4(uint8_t last, uint16_t port = 40'000) {
    return net::PeerAddress::from(Address::v4({192, 0, 2, last}, port));
}
net::PeerAddress v6(uint8_t network, uint8_t host) {
    return net::PeerAddress::from(
        Address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, network, host, 0, 0, 0, 0, 0, 0, host}, 1));
}

/// The limits of some cores, whose turns a test gives.
class Cores {
  public:
    explicit Cores(uint32_t workers, const LimitsConfig& limits, std::vector<std::string> exempt = {},
                   uint32_t mailbox_places = 64)
        : limits_(limits), exempt_(*net::Networks::parse(exempt)), mesh_(workers, mailbox_places) {
        for (uint32_t i = 0; i < workers; ++i) {
            auto const id = static_cast<reactor::CoreId>(i);
            reactor::CoreScope const scope(id);
            cores_.push_back(std::make_unique<One>(id, *this, workers));
        }
    }
    AddressLimits::Verdict arrive(uint32_t core, const net::PeerAddress& peer) {
        reactor::CoreScope const scope(static_cast<reactor::CoreId>(core));
        return cores_[core]->limits.arrive(peer);
    }
    /// How many of so many are admitted.
    uint32_t arrive_many(uint32_t core, const net::PeerAddress& peer, uint32_t many) {
        uint32_t admitted = 0;
        for (uint32_t i = 0; i < many; ++i)
            admitted += arrive(core, peer).admitted ? 1 : 0;
        return admitted;
    }
    AddressLimits& on(uint32_t core) { return cores_[core]->limits; }
    LimitNotes& notes(uint32_t core) { return cores_[core]->notes; }
    void turns(uint32_t rounds = 4) {
        for (uint32_t round = 0; round < rounds; ++round)
            for (auto& core : cores_)
                core->reactor.turn(Duration::zero());
    }
    void pass(Duration time) {
        for (; time > Duration::zero(); time -= milliseconds(100)) {
            clock.advance(std::min(time, Duration(milliseconds(100))));
            turns(2);
        }
    }
    [[nodiscard]] std::size_t size() const {
        std::size_t sum = 0;
        for (const auto& core : cores_)
            sum += core->limits.size();
        return sum;
    }

    test::FakeClock clock;

  private:
    struct One : reactor::Work {
        One(reactor::CoreId id, Cores& all, uint32_t workers)
            : reactor(id, attached(id, all), all.clock, all.mesh_),
              notes(id, all.limits_.dry_run),
              limits(reactor, all.limits_, all.exempt_, workers, 42, notes) {
            reactor.add_work(*this);
        }
        test::FakeRing& attached(reactor::CoreId id, Cores& all) {
            all.mesh_.attach(id, ring);
            return ring;
        }
        bool run_slice() override { return limits.run_slice(); }
        test::FakeRing ring{64};
        reactor::Reactor reactor;
        LimitNotes notes;
        AddressLimits limits;
    };
    LimitsConfig limits_;
    net::Networks exempt_;
    reactor::Mesh mesh_;
    std::vector<std::unique_ptr<One>> cores_;
};

uint64_t refused(Cores& cores, Limit limit, uint32_t core = 0) {
    return cores.notes(core).refused(static_cast<std::size_t>(limit)).value();
}

TEST(AddressKey, IsAnIpv4AddressOrAnIpv6NetworkOf64Bits) {
    EXPECT_EQ(AddressKey::of(v4(1, 1)), AddressKey::of(v4(1, 2)));
    EXPECT_NE(AddressKey::of(v4(1)), AddressKey::of(v4(2)));
    EXPECT_EQ(AddressKey::of(v6(1, 1)), AddressKey::of(v6(1, 200)));
    EXPECT_NE(AddressKey::of(v6(1, 1)), AddressKey::of(v6(2, 1)));
    EXPECT_EQ(AddressKey::of(net::PeerAddress::from(
                  Address::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}, 1))),
              AddressKey::of(v4(1)));
    EXPECT_FALSE(AddressKey::of(net::PeerAddress{}));
    EXPECT_FALSE(AddressKey::of(net::PeerAddress::from(Address::unix_path("/s"))));
    EXPECT_NE(AddressKey::of(net::PeerAddress::from(Address::v6({}, 1))),
              AddressKey::of(net::PeerAddress::from(Address::v4({}, 1))));
}

TEST(AddressLimits, WithoutALimitNothingIsRemembered) {
    Cores cores(2, {});
    auto const verdict = cores.arrive(0, v4(1));
    EXPECT_TRUE(verdict.admitted);
    EXPECT_FALSE(verdict.counted);
    cores.on(0).auth_failed(v4(1));
    EXPECT_EQ(cores.on(0).auth_wait(v4(1)), Duration::zero());
    cores.turns();
    EXPECT_EQ(cores.size(), 0U);
}

TEST(AddressLimits, ConnectionsAreCountedForEachAddress) {
    Cores cores(1, {.connections_per_address = 3});
    EXPECT_EQ(cores.arrive_many(0, v4(1), 3), 3U);
    auto const one_more = cores.arrive(0, v4(1));
    EXPECT_FALSE(one_more.admitted);
    EXPECT_FALSE(one_more.counted);
    EXPECT_EQ(one_more.retry_after, seconds(1));
    EXPECT_TRUE(cores.arrive(0, v4(2)).admitted);
    EXPECT_EQ(cores.arrive_many(0, v6(1, 1), 2) + cores.arrive_many(0, v6(1, 2), 2), 3U);
    EXPECT_EQ(cores.arrive_many(0, v6(2, 1), 4), 3U);
    cores.on(0).leave(v4(1));
    EXPECT_EQ(cores.arrive_many(0, v4(1), 2), 1U);
    EXPECT_EQ(refused(cores, Limit::connections_per_address), 4U);
}

TEST(AddressLimits, ConnectionsAreCountedOverAllCores) {
    for (uint32_t workers : {2U, 3U, 5U}) {
        Cores cores(workers, {.connections_per_address = 4});
        for (uint32_t i = 0; i < 4; ++i) {
            EXPECT_TRUE(cores.arrive(i % workers, v4(1)).admitted);
            cores.turns();
        }
        for (uint32_t core = 0; core < workers; ++core)
            EXPECT_FALSE(cores.arrive(core, v4(1)).admitted) << core;
        EXPECT_TRUE(cores.arrive(0, v4(2)).admitted);
        cores.on(1).leave(v4(1));
        cores.turns();
        EXPECT_TRUE(cores.arrive(0, v4(1)).admitted);
        cores.turns();
        EXPECT_FALSE(cores.arrive(1, v4(1)).admitted);
    }
}

TEST(AddressLimits, ABurstOverAllCoresAtOnceGetsALimitsWorthOnEachAtMost) {
    Cores cores(3, {.connections_per_address = 4});
    for (uint32_t core = 0; core < 3; ++core)
        EXPECT_EQ(cores.arrive_many(core, v4(1), 10), 4U);
    cores.turns();
    for (uint32_t i = 0; i < 8; ++i) {  // down to the limit, and nobody is admitted on the way
        EXPECT_FALSE(cores.arrive(i % 3, v4(1)).admitted) << i;
        cores.on(i / 3).leave(v4(1));
        cores.turns();
    }
    EXPECT_FALSE(cores.arrive(0, v4(1)).admitted);
    cores.on(2).leave(v4(1));
    cores.turns();
    EXPECT_TRUE(cores.arrive(0, v4(1)).admitted);
}

TEST(AddressLimits, NewConnectionsHaveARate) {
    Cores cores(1, {.new_connections_per_address = 10});
    EXPECT_EQ(cores.arrive_many(0, v4(1), 30), 10U);
    EXPECT_EQ(cores.arrive(0, v4(1)).retry_after, milliseconds(100));
    EXPECT_EQ(cores.arrive_many(0, v4(2), 30), 10U);
    uint32_t admitted = 0;
    for (int i = 0; i < 50; ++i) {  // 5 s, four times as often as is allowed
        cores.pass(milliseconds(100));
        admitted += cores.arrive_many(0, v4(1), 4);
    }
    EXPECT_EQ(admitted, 50U) << "who is refused loses no time by it";
    cores.pass(seconds(2));
    EXPECT_EQ(cores.arrive_many(0, v4(1), 30), 10U);
    EXPECT_EQ(refused(cores, Limit::new_connections_per_address), 20U + 1 + 20 + 150 + 20);
}

TEST(AddressLimits, OneASecondMeansOne) {
    Cores cores(1, {.new_connections_per_address = 1});
    EXPECT_EQ(cores.arrive_many(0, v4(1), 3), 1U);
    cores.pass(milliseconds(900));
    EXPECT_EQ(cores.arrive_many(0, v4(1), 3), 0U);
    cores.pass(milliseconds(100));
    EXPECT_EQ(cores.arrive_many(0, v4(1), 3), 1U);
}

TEST(AddressLimits, TheRateHoldsOverAllCoresInTheLongRun) {
    Cores cores(3, {.new_connections_per_address = 10});
    uint32_t admitted = 0;
    constexpr int kSeconds = 60;
    for (int i = 0; i < kSeconds * 10; ++i) {
        for (uint32_t core = 0; core < 3; ++core)
            admitted += cores.arrive_many(core, v4(1), 5);
        cores.pass(milliseconds(100));
    }
    EXPECT_LE(admitted, 10U * (kSeconds + 1 + 3))
        << "what is too much is debt, but for the last burst of three cores";
    EXPECT_GE(admitted, 10U * kSeconds * 3 / 4);
    EXPECT_EQ(cores.arrive_many(1, v4(2), 30), 10U);
}

TEST(AddressLimits, FailuresHaveARateAndRefuseConnectionsToo) {
    Cores cores(2, {.auth_failures_per_address = 6});
    for (int i = 0; i < 6; ++i) {
        EXPECT_EQ(cores.on(0).auth_wait(v4(1)), Duration::zero());
        EXPECT_TRUE(cores.arrive(0, v4(1)).admitted);
        cores.on(0).auth_failed(v4(1));
    }
    EXPECT_EQ(cores.on(0).auth_wait(v4(1)), seconds(10));
    auto const verdict = cores.arrive(0, v4(1));
    EXPECT_FALSE(verdict.admitted);
    EXPECT_EQ(verdict.retry_after, seconds(10));
    for (int i = 0; i < 100; ++i)
        cores.on(0).auth_failed(v4(1));  // does not add up
    EXPECT_EQ(cores.on(1).auth_wait(v4(1)), Duration::zero()) << "no word yet";
    cores.turns();
    for (uint32_t core : {0U, 1U})
        EXPECT_EQ(cores.on(core).auth_wait(v4(1)), seconds(30)) << "half of it has to be free again";
    EXPECT_EQ(cores.on(0).auth_wait(v4(2)), Duration::zero());
    cores.pass(seconds(30));
    for (uint32_t core : {0U, 1U})
        EXPECT_EQ(cores.on(core).auth_wait(v4(1)), Duration::zero());
    EXPECT_TRUE(cores.arrive(1, v4(1)).admitted);
    EXPECT_GE(refused(cores, Limit::auth_failures_per_address), 3U);
}

TEST(AddressLimits, ADryRunCountsAndRefusesNobody) {
    Cores cores(2, {.connections_per_address = 2,
                    .new_connections_per_address = 2,
                    .auth_failures_per_address = 1,
                    .dry_run = true});
    EXPECT_EQ(cores.arrive_many(0, v4(1), 10), 10U);
    cores.turns();
    EXPECT_EQ(cores.arrive_many(1, v4(1), 10), 10U);
    cores.on(0).auth_failed(v4(1));
    EXPECT_EQ(cores.arrive_many(0, v4(1), 1), 1U);
    auto const would = [&](uint32_t core, Limit limit) {
        return cores.notes(core).would_refuse(static_cast<std::size_t>(limit)).value();
    };
    EXPECT_EQ(would(0, Limit::connections_per_address), 9U);
    EXPECT_EQ(would(1, Limit::connections_per_address), 10U);
    EXPECT_EQ(would(0, Limit::new_connections_per_address), 9U);
    EXPECT_EQ(would(0, Limit::auth_failures_per_address), 1U);
    for (auto limit : {Limit::connections_per_address, Limit::new_connections_per_address,
                       Limit::auth_failures_per_address})
        EXPECT_EQ(refused(cores, limit) + refused(cores, limit, 1), 0U);
    for (int i = 0; i < 11; ++i)
        cores.on(0).leave(v4(1));
    for (int i = 0; i < 10; ++i)
        cores.on(1).leave(v4(1));
    cores.pass(minutes(3));
    EXPECT_EQ(cores.size(), 0U);
}

TEST(AddressLimits, TerminatorsAndPeersWithoutAnAddressAreExempt) {
    Cores cores(
        1, {.connections_per_address = 1, .new_connections_per_address = 1, .auth_failures_per_address = 1},
        {"192.0.2.9", "2001:db8:0:7::/64"});
    for (const auto& peer :
         {v4(9), v6(7, 1), net::PeerAddress{}, net::PeerAddress::from(Address::unix_path("/s"))}) {
        EXPECT_EQ(cores.arrive_many(0, peer, 5), 5U);
        EXPECT_FALSE(cores.arrive(0, peer).counted);
        for (int i = 0; i < 3; ++i)
            cores.on(0).auth_failed(peer);
        EXPECT_EQ(cores.on(0).auth_wait(peer), Duration::zero());
    }
    EXPECT_EQ(cores.size(), 0U);
    EXPECT_EQ(cores.arrive_many(0, v4(8), 5), 1U);
}

TEST(AddressLimits, AQuietAddressCostsNothing) {
    for (uint32_t workers : {1U, 3U}) {
        Cores cores(workers, {.connections_per_address = 5,
                              .new_connections_per_address = 100,
                              .auth_failures_per_address = 10});
        for (uint8_t n = 0; n < 100; ++n) {
            EXPECT_TRUE(cores.arrive(n % workers, v4(n)).counted);
            cores.on(n % workers).auth_failed(v4(n));
            if (n % 8 == 0) cores.turns(1);
        }
        cores.turns();
        EXPECT_EQ(cores.size(), workers == 1 ? 100U : 200U) << "here, and at home";
        cores.pass(minutes(2));
        EXPECT_EQ(cores.size(), workers == 1 ? 100U : 200U)
            << "connections are remembered as long as they last";
        for (uint8_t n = 0; n < 100; ++n) {
            cores.on(n % workers).leave(v4(n));
            if (n % 8 == 0) cores.turns(1);
        }
        cores.pass(seconds(20));
        EXPECT_EQ(cores.size(), 0U);
    }
}

TEST(AddressLimits, MemoryIsBoundedAndWhoIsAboveItPasses) {
    Cores cores(1, {.auth_failures_per_address = 1});
    for (uint32_t n = 0; n < AddressLimits::kQuietAddressesMax + 1'000; ++n) {
        cores.on(0).auth_failed(net::PeerAddress::from(Address::v4(
            {10, static_cast<uint8_t>(n >> 16), static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)}, 1)));
    }
    EXPECT_EQ(cores.size(), AddressLimits::kQuietAddressesMax);
    EXPECT_TRUE(cores.arrive(0, v4(1)).admitted);
    cores.on(0).auth_failed(v4(1));
    EXPECT_EQ(cores.on(0).auth_wait(v4(1)), Duration::zero());
    EXPECT_GT(cores.on(0).auth_wait(net::PeerAddress::from(Address::v4({10, 0, 0, 1}, 1))), Duration::zero());
    cores.pass(minutes(2));
    EXPECT_EQ(cores.size(), 0U);
    cores.on(0).auth_failed(v4(1));
    EXPECT_GT(cores.on(0).auth_wait(v4(1)), Duration::zero());
}

TEST(AddressLimits, FullMailboxesLoseNoCount) {
    Cores cores(2, {.connections_per_address = 100, .new_connections_per_address = 1000}, {}, 4);
    for (int round = 0; round < 50; ++round) {
        for (uint8_t n = 0; n < 40; ++n)
            EXPECT_TRUE(cores.arrive(n % 2, v4(n)).admitted);
    }
    cores.turns(300);
    for (int i = 0; i < 50; ++i) {
        EXPECT_TRUE(cores.arrive(0, v4(1)).admitted);  // the other half, on the other core
        cores.turns();
    }
    EXPECT_FALSE(cores.arrive(0, v4(1)).admitted);
    EXPECT_FALSE(cores.arrive(1, v4(1)).admitted);
}

}  // namespace
}  // namespace rc::server
