#include "fanouts_fixture.h"

namespace rc::hub {
namespace {

TEST_F(FanoutsTest, ReachesWhoHoldsTheTopicAndNobodyElse) {
    shard.subscribe(slot(1), "a");
    shard.subscribe(slot(2), "b");
    shard.subscribe(slot(3), "a");
    receive(4, "ada");
    publish("a", 1);
    run_all();
    EXPECT_EQ(receivers_of(1), (std::multiset<uint32_t>{1, 3}));
    EXPECT_EQ(got.size(), 2u);
}

TEST_F(FanoutsTest, DropsAPublicationThatNobodyWaitsForAtOnce) {
    publish("nobody", 1);
    EXPECT_EQ(fanouts.waiting(), 0u);
    EXPECT_FALSE(slice(1));
    EXPECT_EQ(shard.counts().topics, 0u);
}

TEST_F(FanoutsTest, BroadcastReachesHoldersOfATopicAndReceiversOnce) {
    shard.subscribe(slot(1), "a");
    shard.subscribe(slot(1), "b");
    receive(1, "ada");
    receive(2, "ada");
    shard.set_user(slot(3), UserId{"ada"});  // updates are off
    receive(4, "grace");
    shard.set_receiving(slot(4), false);
    broadcast(1);
    run_all();
    EXPECT_EQ(receivers_of(1), (std::multiset<uint32_t>{1, 2}));
}

TEST_F(FanoutsTest, UserPublicationCarriesEachUsersOffset) {
    receive(1, "ada");
    receive(2, "7");
    receive(3, "7");
    shard.set_user(slot(4), UserId{"7"});  // updates are off
    publish_users(1, {{UserId{"7"}, 41}, {UserId{"absent"}, 42}, {UserId{"ada"}, 43}});
    run_all();
    EXPECT_EQ(receivers_of(1), (std::multiset<uint32_t>{1, 2, 3}));
    for (const auto& d : got)
        EXPECT_EQ(d.offset, d.slot == 1 ? 43u : 41u);
}

TEST_F(FanoutsTest, TopicOfAUserPublicationNarrowsIt) {
    receive(1, "ada");
    receive(2, "ada");
    receive(3, "grace");
    shard.subscribe(slot(2), "apps");
    shard.subscribe(slot(3), "apps");
    shard.subscribe(slot(4), "apps");
    publish_users(1, {{UserId{"ada"}, 5}}, "apps");
    publish_users(2, {{UserId{"ada"}, 6}}, "nobody");
    run_all();
    EXPECT_EQ(got, (std::vector<Delivery>{{2, 1, 5}}));
    EXPECT_EQ(fanouts.waiting(), 0u);
}

TEST_F(FanoutsTest, SliceEndsAtItsBound) {
    for (uint32_t i = 0; i < 1'000; ++i)
        shard.subscribe(slot(i), "a");
    publish("a", 1);
    EXPECT_TRUE(slice(100));
    EXPECT_GE(got.size(), 95u);
    EXPECT_LE(got.size(), 101u);
    EXPECT_EQ(fanouts.waiting(), 1u);
    EXPECT_EQ(fanouts.waiting_bytes(), 100u);
    run_all();
    EXPECT_EQ(receivers_of(1).size(), 1'000u);
    EXPECT_EQ(fanouts.waiting(), 0u);
    EXPECT_EQ(fanouts.waiting_bytes(), 0u);
}

TEST_F(FanoutsTest, UsersWhoAreNotHereCountTowardsTheBound) {
    std::vector<std::pair<UserId, uint64_t>> to;
    for (int i = 0; i < 10'000; ++i)
        to.emplace_back(UserId{std::to_string(i)}, i + 1);
    publish_users(1, std::move(to));
    int slices = 1;
    while (slice(100))
        ++slices;
    EXPECT_GE(slices, 12);
    EXPECT_LE(slices, 14);
}

TEST_F(FanoutsTest, ALongFanoutLeavesOtherTopicsAndUsersTheirTurn) {
    for (uint32_t i = 0; i < 10'000; ++i)
        shard.subscribe(slot(i), "hot");
    shard.subscribe(slot(20'000), "small");
    receive(20'001, "ada");
    publish("hot", 1);
    slice(10);
    publish("small", 2);
    publish_users(3, {{UserId{"ada"}, 9}});
    slice(512);
    EXPECT_EQ(receivers_of(2).size(), 1u);
    EXPECT_EQ(receivers_of(3).size(), 1u);
    EXPECT_LT(receivers_of(1).size(), 600u);
}

TEST_F(FanoutsTest, TheTopicsNextPublicationWaitsForTheFirst) {
    for (uint32_t i = 0; i < 300; ++i)
        shard.subscribe(slot(i), "a");
    publish("a", 1);
    publish("a", 2);
    slice(50);
    EXPECT_EQ(receivers_of(2).size(), 0u);
    run_all();
    std::map<uint32_t, std::vector<int>> order;
    for (const auto& d : got)
        order[d.slot].push_back(d.id);
    ASSERT_EQ(order.size(), 300u);
    for (const auto& [s, ids] : order)
        EXPECT_EQ(ids, (std::vector<int>{1, 2})) << s;
}

TEST_F(FanoutsTest, AudienceIsWhoIsThereWhenItIsHandedOver) {
    for (uint32_t i = 0; i < 100; ++i)
        shard.subscribe(slot(i), "a");
    publish("a", 1);
    broadcast(11);
    shard.subscribe(slot(500), "a");
    publish("a", 2);
    broadcast(12);
    slice(10);
    shard.subscribe(slot(600), "a");
    publish("a", 3);
    broadcast(13);
    run_all();
    for (int base : {0, 10}) {
        EXPECT_EQ(receivers_of(base + 1).size(), 100u);
        EXPECT_EQ(receivers_of(base + 2).size(), 101u);
        EXPECT_EQ(receivers_of(base + 3).size(), 102u);
        EXPECT_EQ(receivers_of(base + 1).count(500), 0u);
        EXPECT_EQ(receivers_of(base + 2).count(500), 1u);
        EXPECT_EQ(receivers_of(base + 2).count(600), 0u);
        EXPECT_EQ(receivers_of(base + 3).count(600), 1u);
    }
}

TEST_F(FanoutsTest, DropsABroadcastThatNobodyWouldGetAtOnce) {
    broadcast(1);
    EXPECT_EQ(fanouts.waiting(), 0u);
    shard.subscribe(slot(1), "a");
    EXPECT_FALSE(slice(1));
    EXPECT_TRUE(got.empty());
}

TEST_F(FanoutsTest, AUsersPublicationBringsWhatIsOlderAlong) {
    for (uint32_t i = 0; i < 10'000; ++i)
        shard.subscribe(slot(i), "hot");
    shard.subscribe(slot(5'000), "cold");
    receive(5'000, "ada");
    publish("hot", 1);
    slice(10);
    broadcast(2);
    publish("hot", 3);
    publish("cold", 4);
    broadcast(5);
    publish_users(6, {{UserId{"ada"}, 9}});
    publish("hot", 7);
    broadcast(8);
    ASSERT_EQ(deliveries_to[5'000], 0u);
    slice(8);  // of which a quarter is not for users
    auto const ids = ids_at(5'000);
    EXPECT_EQ(ids, (std::vector<int>{1, 2, 3, 4, 5, 6}));
    EXPECT_LE(got.size(), 20u);
    run_all();
    for (int id : {1, 3, 7, 2, 5, 8})
        EXPECT_EQ(receivers_of(id).size(), 10'000u) << id;
    for (uint32_t i = 0; i < 10'000; ++i)
        ASSERT_EQ(deliveries_to[i], i == 5'000 ? 8u : 6u) << i;
}

TEST_F(FanoutsTest, TopicsAndBroadcastsKeepTheirOrderOnAConnection) {
    for (uint32_t i = 0; i < 2'000; ++i)
        shard.subscribe(slot(i), "hot");
    shard.subscribe(slot(1'000), "cold");
    publish("hot", 1);
    slice(10);
    broadcast(2);
    publish("cold", 3);
    broadcast(4);
    slice(200);
    EXPECT_EQ(receivers_of(3).size(), 1u);
    run_all();
    EXPECT_EQ(ids_at(1'000), (std::vector<int>{1, 2, 3, 4}));
    for (uint32_t i = 0; i < 2'000; ++i)
        ASSERT_EQ(deliveries_to[i], i == 1'000 ? 4u : 3u) << i;
    EXPECT_EQ(ids_at(0), (std::vector<int>{1, 2, 4}));
    EXPECT_EQ(ids_at(1'999), (std::vector<int>{1, 2, 4}));
}

TEST_F(FanoutsTest, WhatAUsersPublicationBringsAlongMayTakeManySlices) {
    shard.subscribe(slot(1), "a");
    receive(1, "ada");
    std::vector<int> expected;
    for (int id = 1; id <= 20; ++id) {
        publish("a", id);
        expected.push_back(id);
    }
    publish_users(21, {{UserId{"ada"}, 1}});
    publish("a", 22);
    expected.insert(expected.end(), {21, 22});
    int slices = 1;
    while (slice(1))
        ++slices;
    EXPECT_GE(slices, 11);
    EXPECT_EQ(ids_at(1), expected);
}

TEST_F(FanoutsTest, NothingNewerOvertakesALongPublicationToUsers) {
    std::vector<std::pair<UserId, uint64_t>> to;
    for (uint32_t i = 0; i < 1'000; ++i) {
        receive(i, std::to_string(i));
        shard.subscribe(slot(i), "a");
        to.emplace_back(UserId{std::to_string(i)}, i + 1);
    }
    publish_users(1, to);
    publish("a", 2);
    broadcast(3);
    slice(100);
    EXPECT_TRUE(fanouts.users_waiting());
    EXPECT_EQ(receivers_of(1).size(), got.size());
    run_all();
    std::map<uint32_t, std::vector<int>> order;
    for (const auto& d : got)
        order[d.slot].push_back(d.id);
    ASSERT_EQ(order.size(), 1'000u);
    for (const auto& [s, ids] : order) {
        ASSERT_EQ(ids.size(), 3u) << s;
        EXPECT_EQ(ids[0], 1) << s;
    }
}

TEST_F(FanoutsTest, AStreamOfPublicationsToUsersDoesNotStarveAnOlderFanout) {
    for (uint32_t i = 0; i < 100; ++i)
        shard.subscribe(slot(i), "a");
    receive(1'000, "ada");
    publish("a", 1);
    for (int i = 0; i < 100; ++i) {
        while (fanouts.waiting() < 200)
            publish_users(2, {{UserId{"ada"}, 1}});
        slice(10);
    }
    EXPECT_TRUE(fanouts.users_waiting());
    EXPECT_EQ(receivers_of(1).size(), 100u);
}

TEST_F(FanoutsTest, UsersAreNoLongerWaitingWhileAFanoutIsStillUnderWay) {
    for (uint32_t i = 0; i < 100; ++i)
        shard.subscribe(slot(i), "a");
    receive(7, "ada");
    publish("a", 1);
    EXPECT_FALSE(fanouts.users_waiting());
    publish_users(2, {{UserId{"ada"}, 1}});
    EXPECT_TRUE(fanouts.users_waiting());
    EXPECT_TRUE(slice(10));
    EXPECT_FALSE(fanouts.users_waiting());
}

TEST_F(FanoutsTest, WhoLeavesWhileCatchingUpGetsNothingMore) {
    shard.subscribe(slot(1), "a");
    receive(1, "ada");
    receive(2, "ada");
    publish("a", 1);
    publish("a", 2);
    broadcast(3);
    publish_users(4, {{UserId{"ada"}, 1}});
    meanwhile = [&](uint32_t s) {
        if (s == 1) shard.leave(slot(1));
    };
    run_all();
    EXPECT_EQ(ids_at(1).size(), 1u);
    EXPECT_EQ(ids_at(2), (std::vector<int>{3, 4}));
    EXPECT_EQ(fanouts.waiting(), 0u);
}

TEST_F(FanoutsTest, ANewConnectionInTheSameSlotInheritsNothing) {
    for (uint32_t i = 0; i < 100; ++i)
        shard.subscribe(slot(i), "a");
    receive(50, "ada");
    publish("a", 1);
    publish("a", 2);
    broadcast(3);
    publish_users(4, {{UserId{"ada"}, 1}});
    slice(8);
    ASSERT_EQ(ids_at(50).size(), 4u);
    shard.leave(slot(50));
    shard.subscribe(slot(50), "a");
    receive(50, "grace");
    publish("a", 5);
    publish_users(6, {{UserId{"grace"}, 2}});
    got.clear();
    run_all();
    EXPECT_EQ(ids_at(50), (std::vector<int>{5, 6}));
}

TEST_F(FanoutsTest, AConnectionCanBeBroughtUpOutOfItsTurn) {
    for (uint32_t s = 0; s < 10; ++s) {
        shard.subscribe(slot(s), "a");
        shard.subscribe(slot(s), "b");
    }
    publish("a", 1);
    broadcast(2);
    publish("b", 3);
    slice(4);
    ASSERT_EQ(ids_at(0), std::vector<int>{});
    fanouts.bring_up(slot(0), *this);
    EXPECT_EQ(ids_at(0), (std::vector{1, 2, 3}));
    fanouts.bring_up(slot(0), *this);
    fanouts.bring_up(slot(99'999), *this);
    run_all();
    for (uint32_t s = 0; s < 10; ++s)
        EXPECT_EQ(ids_at(s).size(), 3U) << s;
    EXPECT_EQ(fanouts.waiting(), 0U);
}

TEST_F(FanoutsTest, WhoIsBroughtUpMayLeaveInTheMiddle) {
    for (uint32_t s = 0; s < 10; ++s)
        shard.subscribe(slot(s), "a");
    publish("a", 1);
    broadcast(2);
    meanwhile = [&](uint32_t s) { shard.leave(slot(s)); };
    fanouts.bring_up(slot(0), *this);
    EXPECT_EQ(ids_at(0), std::vector{1});
    run_all();
    EXPECT_EQ(fanouts.waiting(), 0U);
    EXPECT_EQ(shard.counts().subscriptions, 0U);
}

TEST_F(FanoutsTest, AConnectionThatGetsNothingOfAUsersPublicationIsNotServedEarly) {
    for (uint32_t i = 0; i < 100; ++i)
        shard.subscribe(slot(i), "a");
    receive(1, "ada");
    shard.set_receiving(slot(1), false);
    receive(2, "ada");
    publish("a", 1);
    publish_users(2, {{UserId{"ada"}, 1}}, "other");
    publish_users(3, {{UserId{"ada"}, 2}});
    slice(4);
    EXPECT_EQ(ids_at(1), std::vector<int>{});
    EXPECT_EQ(ids_at(2), (std::vector<int>{1, 3}));
}

TEST_F(FanoutsTest, WhoLeavesAndJoinsAgainDoesNotGetItTwice) {
    for (uint32_t i = 0; i < 100; ++i)
        shard.subscribe(slot(i), "a");
    publish("a", 1);
    slice(40);
    ASSERT_GE(got.size(), 30u);
    uint32_t const served = got.front().slot;
    for (uint32_t i = 0; i < 100; ++i) {
        shard.unsubscribe(slot(i), "a");
        shard.subscribe(slot(i), "a");
    }
    auto const before = got.size();
    run_all();
    EXPECT_EQ(receivers_of(1).count(served), 1u);
    EXPECT_EQ(got.size(), before);  // all of them came later now
    publish("a", 2);
    run_all();
    EXPECT_EQ(receivers_of(2).size(), 100u);
}

TEST_F(FanoutsTest, TheLastHolderLeavingInMidFanoutEndsIt) {
    for (uint32_t i = 0; i < 10; ++i)
        shard.subscribe(slot(i), "a");
    publish("a", 1);
    publish("a", 2);
    slice(3);
    for (uint32_t i = 0; i < 10; ++i)
        shard.leave(slot(i));
    EXPECT_EQ(shard.counts().topics, 0u);
    run_all();
    EXPECT_EQ(fanouts.waiting(), 0u);
    EXPECT_EQ(receivers_of(2).size(), 0u);
    shard.subscribe(slot(3), "a");
    publish("a", 3);
    run_all();
    EXPECT_EQ(receivers_of(3), (std::multiset<uint32_t>{3}));
}

TEST_F(FanoutsTest, DeliveryMayCloseAnyConnection) {
    for (uint32_t i = 0; i < 100; ++i)
        shard.subscribe(slot(i), "a");
    // Each delivery closes the receiver and the one 50 places on.
    meanwhile = [&](uint32_t s) {
        shard.leave(slot(s));
        shard.leave(slot((s + 50) % 100));
    };
    publish("a", 1);
    run_all();
    EXPECT_EQ(got.size(), 50u);
    EXPECT_EQ(shard.counts().subscribers, 0u);
}

TEST_F(FanoutsTest, DeliveryMayPublish) {
    shard.subscribe(slot(1), "a");
    shard.subscribe(slot(2), "b");
    receive(1, "ada");
    meanwhile = [&](uint32_t) {
        if (got.size() > 1) return;
        publish("a", 2);
        publish("b", 3);
        broadcast(4);
        publish_users(5, {{UserId{"ada"}, 1}});
    };
    publish("a", 1);
    run_all();
    EXPECT_EQ(got.size(), 6u);
    EXPECT_EQ(
        receivers_of(2).size() + receivers_of(3).size() + receivers_of(4).size() + receivers_of(5).size(),
        5u);
}

TEST_F(FanoutsTest, AUserWithManyConnectionsIsServedInSlicesWhileTheyComeAndGo) {
    for (uint32_t i = 0; i < 1'000; ++i)
        receive(i, "ada");
    receive(2'000, "grace");
    publish_users(1, {{UserId{"ada"}, 1}, {UserId{"grace"}, 2}});
    publish_users(2, {{UserId{"ada"}, 3}});
    slice(100);
    receive(3'000, "ada");  // came later
    for (uint32_t i = 0; i < 1'000; ++i)
        if (i % 3 == 0) shard.leave(slot(i));
    run_all();
    EXPECT_EQ(receivers_of(1).count(3'000), 0u);
    EXPECT_EQ(receivers_of(2).count(3'000), 1u);
    EXPECT_EQ(receivers_of(2).size(), 667u);
    EXPECT_EQ(receivers_of(1).count(2'000), 1u);
    auto const first = receivers_of(1);
    for (uint32_t i = 0; i < 1'000; ++i)
        EXPECT_TRUE(i % 3 == 0 || first.count(i) == 1) << i;
}

TEST_F(FanoutsTest, AUserWhoLeavesEntirelyInMidFanoutAndComesBack) {
    for (uint32_t i = 0; i < 200; ++i)
        receive(i, "ada");
    publish_users(1, {{UserId{"ada"}, 1}, {UserId{"ada2"}, 2}});
    slice(20);
    for (uint32_t i = 0; i < 200; ++i)
        shard.leave(slot(i));
    receive(5, "ada2");
    receive(900, "ada");
    run_all();
    EXPECT_EQ(receivers_of(1).count(900), 0u);
    EXPECT_EQ(shard.connections_of(UserId{"ada"}), 1u);
    publish_users(2, {{UserId{"ada"}, 3}});
    run_all();
    EXPECT_EQ(receivers_of(2), (std::multiset<uint32_t>{900}));
}

TEST_F(FanoutsTest, HotTopicChurnsByAHundredThousandDuringAFanout) {
    constexpr uint32_t kConnections = 100'000;
    for (uint32_t i = 0; i < kConnections; ++i)
        shard.subscribe(slot(i), "hot");
    publish("hot", 1);
    uint32_t next = 0;
    bool left = true;
    while (left) {
        left = slice(512);
        for (uint32_t i = 0; i < 512 && next < kConnections; ++i, ++next) {
            shard.leave(slot(next));
            shard.subscribe(slot(next + kConnections), "hot");
        }
    }
    for (const auto& d : got)
        EXPECT_LT(d.slot, kConnections);
    EXPECT_LE(got.size(), kConnections);
    publish("hot", 2);
    got.clear();
    run_all();
    EXPECT_EQ(got.size(), kConnections);
}

}  // namespace
}  // namespace rc::hub
