#include "ringcast/hub/shard.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <string>
#include <vector>

namespace rc::hub {
namespace {

constexpr Shard::HashKey kKey{0x0123456789abcdef, 0xfedcba9876543210};

SubscriberSlot slot(uint32_t value) {
    return SubscriberSlot(value);
}
std::string name(std::string stem, uint32_t number) {
    return stem.append(std::to_string(number));
}
UserId user(std::string text) {
    return UserId{std::move(text)};
}

std::vector<uint32_t> sorted(const std::vector<SubscriberSlot>& slots) {
    std::vector<uint32_t> values;
    for (auto s : slots)
        values.push_back(s.value);
    std::sort(values.begin(), values.end());
    return values;
}

TEST(Shard, HoldsATopicOnceHoweverOftenItIsSubscribed) {
    Shard shard(kKey);
    EXPECT_TRUE(shard.subscribe(slot(1), "jobs"));
    EXPECT_FALSE(shard.subscribe(slot(1), "jobs"));
    EXPECT_EQ(shard.topic_count(slot(1)), 1u);
    EXPECT_TRUE(shard.unsubscribe(slot(1), "jobs"));
    EXPECT_FALSE(shard.holds(slot(1), "jobs"));
    EXPECT_FALSE(shard.unsubscribe(slot(1), "jobs"));
}

TEST(Shard, KeepsTopicsApartBeyondTheTwoThatFitTheRecord) {
    Shard shard(kKey);
    for (uint32_t topics : {1u, 2u, 3u, 4u, 5u, 100u, 101u}) {
        for (uint32_t i = 0; i < topics; ++i)
            shard.subscribe(slot(7), name("t", i));
        EXPECT_EQ(shard.topic_count(slot(7)), topics);
        for (uint32_t i = 0; i < topics; ++i)
            EXPECT_TRUE(shard.holds(slot(7), name("t", i)));
        auto names = shard.topics_of(slot(7));
        std::sort(names.begin(), names.end());
        EXPECT_EQ(std::unique(names.begin(), names.end()) - names.begin(), topics);
        for (uint32_t i = 0; i < topics; i += 2)
            EXPECT_TRUE(shard.unsubscribe(slot(7), name("t", i)));
        for (uint32_t i = 0; i < topics; ++i)
            EXPECT_EQ(shard.holds(slot(7), name("t", i)), i % 2 == 1) << topics << " " << i;
        shard.drop_topics(slot(7));
        EXPECT_EQ(shard.topic_count(slot(7)), 0u);
        EXPECT_EQ(shard.counts().topics, 0u);
    }
}

TEST(Shard, NamesAConnectionsUserAsItWasNamed) {
    Shard shard(kKey);
    for (const char* text : {"0", "7", "007", "9007199254740991", "9007199254740992", "-1", "1.0", "ada", "",
                             "a name of more than fifteen bytes"}) {
        shard.set_user(slot(1), user(text));
        EXPECT_EQ(shard.user_of(slot(1)), user(text));
        EXPECT_TRUE(shard.is_user(slot(1), user(text)));
        EXPECT_FALSE(shard.is_user(slot(1), user("somebody else")));
        EXPECT_FALSE(shard.is_user(slot(2), user(text)));
    }
    shard.clear_user(slot(1));
    EXPECT_FALSE(shard.is_user(slot(1), user("")));
}

TEST(Shard, KnowsASlotThatNeverSpokeAsOneWithoutAnything) {
    Shard shard(kKey);
    EXPECT_FALSE(shard.unsubscribe(slot(5), "jobs"));
    EXPECT_FALSE(shard.holds(slot(5), "jobs"));
    EXPECT_FALSE(shard.has_user(slot(5)));
    EXPECT_FALSE(shard.is_user(slot(5), user("7")));
    EXPECT_FALSE(shard.receiving(slot(5)));
    EXPECT_TRUE(shard.topics_of(slot(5)).empty());
    shard.drop_topics(slot(5));
    shard.leave(slot(5));
    EXPECT_EQ(shard.topic_count(slot(5)), 0u);
}

TEST(Shard, FindsAUsersConnectionsWhetherTheyReceiveOrNot) {
    Shard shard(kKey);
    EXPECT_EQ(shard.connections_of(user("123")), 0u);
    shard.set_user(slot(1), user("123"));
    EXPECT_EQ(sorted(shard.slots_of(user("123"))), (std::vector<uint32_t>{1}));
    shard.set_user(slot(2), user("123"));
    shard.set_user(slot(3), user("123"));
    shard.set_receiving(slot(2), true);
    EXPECT_EQ(shard.connections_of(user("123")), 3u);
    EXPECT_EQ(sorted(shard.slots_of(user("123"))), (std::vector<uint32_t>{1, 2, 3}));
    shard.leave(slot(1));
    shard.clear_user(slot(3));
    EXPECT_EQ(sorted(shard.slots_of(user("123"))), (std::vector<uint32_t>{2}));
    shard.leave(slot(2));
    EXPECT_EQ(shard.connections_of(user("123")), 0u);
    EXPECT_EQ(shard.counts().users, 0u);
}

TEST(Shard, ClosingAUsersConnectionsFromTheLoopOverThemIsSafe) {
    Shard shard(kKey);
    for (uint32_t i = 0; i < 10; ++i)
        shard.set_user(slot(i), user("ada"));
    uint32_t closed = 0;
    shard.for_each_connection(user("ada"), [&](SubscriberSlot s) {
        shard.leave(s);
        ++closed;
    });
    EXPECT_EQ(closed, 10u);
    EXPECT_EQ(shard.connections_of(user("ada")), 0u);
}

TEST(Shard, TakesOnlyCanonicalIntegersForIntegers) {
    // Each of these is a user of its own; 2^53-1 is the last that is kept as an integer.
    const std::vector<std::string> names = {"0",
                                            "00",
                                            "1",
                                            "01",
                                            "+1",
                                            "-1",
                                            "1.0",
                                            " 1",
                                            "1 ",
                                            "9007199254740991",
                                            "9007199254740992",
                                            "09007199254740991",
                                            "99999999999999999999",
                                            "\x01",
                                            std::string("1\0", 2),
                                            std::string(128, '9'),
                                            "ada"};
    Shard shard(kKey);
    for (uint32_t i = 0; i < names.size(); ++i)
        shard.set_user(slot(i), user(names[i]));
    EXPECT_EQ(shard.counts().users, names.size());
    for (uint32_t i = 0; i < names.size(); ++i)
        EXPECT_EQ(sorted(shard.slots_of(user(names[i]))), (std::vector<uint32_t>{i})) << names[i];
}

TEST(Shard, AnotherUserReplacesTheFirstAndReceivesNothingYet) {
    Shard shard(kKey);
    shard.set_user(slot(1), user("ada"));
    shard.set_receiving(slot(1), true);
    shard.set_user(slot(1), user("ada"));
    EXPECT_TRUE(shard.receiving(slot(1)));
    shard.set_user(slot(1), user("grace"));
    EXPECT_FALSE(shard.receiving(slot(1)));
    EXPECT_EQ(shard.connections_of(user("ada")), 0u);
    EXPECT_EQ(shard.connections_of(user("grace")), 1u);
}

TEST(Shard, CountsWhatABroadcastReaches) {
    Shard shard(kKey);
    shard.set_user(slot(1), user("ada"));  // receives nothing yet
    EXPECT_EQ(shard.counts().subscribers, 0u);
    shard.set_receiving(slot(1), true);
    shard.subscribe(slot(1), "jobs");
    shard.subscribe(slot(2), "jobs");
    auto counts = shard.counts();
    EXPECT_EQ(counts.subscribers, 2u);
    EXPECT_EQ(counts.subscriptions, 2u);
    EXPECT_EQ(counts.topics, 1u);
    EXPECT_EQ(counts.users, 1u);
    shard.drop_topics(slot(1));
    EXPECT_EQ(shard.counts().subscribers, 2u);
    shard.set_receiving(slot(1), false);
    EXPECT_EQ(shard.counts().subscribers, 1u);
    shard.leave(slot(2));
    EXPECT_EQ(shard.counts().subscribers, 0u);
}

// A search through the list would make this 10^10 steps.
TEST(Shard, AHundredThousandLeaveAHotTopicAndComeBack) {
    constexpr uint32_t kConnections = 100'000;
    Shard shard(kKey);
    for (int round = 0; round < 2; ++round) {
        for (uint32_t i = 0; i < kConnections; ++i) {
            shard.subscribe(slot(i), "hot");
            shard.subscribe(slot(i), name("warm:", i % 100));
        }
        EXPECT_EQ(shard.counts().subscriptions, 2 * kConnections);
        for (uint32_t i = 0; i < kConnections; ++i)
            shard.leave(slot((i * 7919) % kConnections));
        EXPECT_EQ(shard.counts().subscriptions, 0u);
        EXPECT_EQ(shard.counts().topics, 0u);
    }
}

TEST(Shard, TakesAtMostAHundredBytesForAConnectionWithAUserAndATopic) {
    auto in_use = [] {
        auto info = mallinfo2();
        return info.uordblks + info.hblkhd;
    };
    if (in_use() == 0) GTEST_SKIP() << "the allocator does not count";
    Shard shard(kKey);
    auto const before = in_use();
    uint32_t joined = 0;
    double worst = 0;
    for (uint32_t upto : {50'000u, 100'000u, 150'000u, 200'000u, 300'000u}) {
        for (; joined < upto; ++joined) {
            shard.set_user(slot(joined), user(std::to_string(1'000'000 + joined)));
            shard.set_receiving(slot(joined), true);
            shard.subscribe(slot(joined), "hot");
        }
        double const each = static_cast<double>(in_use() - before) / joined;
        std::printf("[          ] %u connections: %.1f bytes each\n", joined, each);
        worst = std::max(worst, each);
    }
    EXPECT_LE(worst, 100.0);
}

}  // namespace
}  // namespace rc::hub
