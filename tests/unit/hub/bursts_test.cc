#include "fanouts_fixture.h"

namespace rc::hub {
namespace {

// ---- bursts

TEST_F(FanoutsTest, WhatWaitsForATopicComesAtOnce) {
    burst_max = 100;
    for (uint32_t i = 0; i < 5; ++i)
        shard.subscribe(slot(i), "a");
    for (int id = 1; id <= 3; ++id)
        publish("a", id);
    run_all();
    ASSERT_EQ(bursts.size(), 5u);
    for (const auto& burst : bursts) {
        EXPECT_EQ(burst.ids, (std::vector{1, 2, 3}));
        EXPECT_EQ(burst.id, bursts.front().id);
    }
    EXPECT_EQ(fanouts.waiting(), 0u);
    EXPECT_EQ(fanouts.waiting_bytes(), 0u);
}

TEST_F(FanoutsTest, APublicationJoinsTheFanoutThatIsUnderWay) {
    burst_max = 100;
    for (uint32_t i = 0; i < 10; ++i)
        shard.subscribe(slot(i), "a");
    publish("a", 1);
    slice(4);
    auto const served = static_cast<uint32_t>(got.size());
    ASSERT_GT(served, 0u);
    publish("a", 2);
    run_all();
    EXPECT_EQ(bursts.size(), 10 - served);  // the others had the first one alone, then the second
    for (uint32_t i = 0; i < 10; ++i)
        EXPECT_EQ(ids_at(i), (std::vector{1, 2})) << i;
    EXPECT_EQ(got.size(), 20u);
}

TEST_F(FanoutsTest, WhoJoinsOrLeavesInMidBurstGetsItsDue) {
    burst_max = 100;
    for (uint32_t i = 0; i < 10; ++i)
        shard.subscribe(slot(i), "a");
    publish("a", 1);
    publish("a", 2);
    meanwhile = [&](uint32_t s) {
        shard.unsubscribe(slot(s == 0 ? 1 : 0), "a");
        shard.subscribe(slot(20 + s), "a");
    };
    run_all();
    for (uint32_t i = 2; i < 10; ++i)
        EXPECT_EQ(ids_at(i), (std::vector{1, 2})) << i;
    EXPECT_TRUE(ids_at(0).empty());
    for (uint32_t i = 10; i < 30; ++i)
        EXPECT_TRUE(ids_at(i).empty()) << i;
}

TEST_F(FanoutsTest, ABurstIsNoMoreThanItsReceiverTakes) {
    burst_max = 2;
    shard.subscribe(slot(1), "a");
    for (int id = 1; id <= 4; ++id)
        publish("a", id);
    run_all();
    ASSERT_EQ(bursts.size(), 1u);
    EXPECT_EQ(bursts[0].ids, (std::vector{3, 4}));
    EXPECT_EQ(ids_at(1), (std::vector{1, 2, 3, 4}));
}

TEST_F(FanoutsTest, ABurstHasABoundInMessages) {
    burst_max = 1'000;
    shard.subscribe(slot(1), "a");
    for (int id = 1; id <= 100; ++id)
        publish("a", id);
    run_all();
    ASSERT_EQ(bursts.size(), 2u);
    EXPECT_EQ(bursts[0].ids.size(), 64u);
    EXPECT_EQ(bursts[1].ids.size(), 36u);
}

TEST_F(FanoutsTest, ABurstHasABoundInBytes) {
    struct Large : Note {
        using Note::Note;
        std::size_t bytes() const override { return 20'000; }
    };
    burst_max = 1'000;
    shard.subscribe(slot(1), "a");
    for (int id = 1; id <= 7; ++id)
        fanouts.publish_topic("a", std::make_unique<Large>(id));
    run_all();
    ASSERT_EQ(bursts.size(), 2u);
    EXPECT_EQ(bursts[0].ids, (std::vector{1, 2, 3}));
    EXPECT_EQ(bursts[1].ids, (std::vector{4, 5, 6}));
    EXPECT_EQ(ids_at(1), (std::vector{1, 2, 3, 4, 5, 6, 7}));
}

TEST_F(FanoutsTest, ABurstTakesNothingOverAnotherKind) {
    burst_max = 100;
    shard.subscribe(slot(1), "a");
    receive(1, "ada");
    publish("a", 1);
    publish("a", 2);
    broadcast(3);
    publish("a", 4);
    publish("a", 5);
    publish_users(6, {{UserId{"ada"}, 9}});
    publish("a", 7);
    publish("a", 8);
    run_all();
    EXPECT_EQ(ids_at(1), (std::vector{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST_F(FanoutsTest, AMessageOfABurstCountsForASixteenth) {
    burst_max = 100;
    for (uint32_t i = 0; i < 1'000; ++i)
        shard.subscribe(slot(i), "a");
    for (int id = 1; id <= 9; ++id)
        publish("a", id);
    slice(100);
    EXPECT_GE(bursts.size(), 65u);
    EXPECT_LE(bursts.size(), 68u);
}

// ---- order of slots

TEST_F(FanoutsTest, ALongListIsServedInTheOrderOfItsSlots) {
    for (uint32_t i = 0; i < 1'000; ++i)
        shard.subscribe(slot(i * 617 % 1'000), "a");
    publish("a", 1);
    run_all();
    ASSERT_EQ(got.size(), 1'000u);
    for (uint32_t i = 0; i < 1'000; ++i)
        EXPECT_EQ(got[i].slot, 999 - i);
}

}  // namespace
}  // namespace rc::hub
