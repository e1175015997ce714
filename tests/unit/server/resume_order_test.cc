// The place of messages that no log keeps among those of a replay: contract.md 5, "Order".
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../../support/world.h"
#include "texts.h"

namespace rc::server {
namespace {

using test::TestWorld;

constexpr std::string_view kBatch = "Content-Type: application/x-ndjson\r\n";

/// The numbers of the messages that came, in their order; acks and read marks are left out.
std::vector<int64_t> numbers(TestWorld::Client& client) {
    std::vector<int64_t> out;
    for (const auto& text : client.take()) {
        if (auto const n = number(text, R"("n":)"); n >= 0) out.push_back(n);
    }
    return out;
}

void publish_to_user(TestWorld& world, int first, int last) {
    std::string batch;
    for (int i = first; i <= last; ++i)
        batch += to_user(i, "u", "notification") + "\n";
    ASSERT_EQ(world.publish(batch, 0, kBatch).status, 200);
}

std::vector<int64_t> from_to(int64_t first, int64_t last) {
    std::vector<int64_t> out;
    for (int64_t i = first; i <= last; ++i)
        out.push_back(i);
    return out;
}

TEST(ResumeOrder, ALiveMessageHasItsPlaceAmongTheRecords) {
    for (std::string_view resume : {R"("since":"0")", R"("since":"0","sync":true)", R"("replay":"unread")"}) {
        SCOPED_TRACE(resume);
        TestWorld world({.workers = 2});
        publish_to_user(world, 1, 300);
        auto& client = world.connect(1);
        client.socket().window = 500;
        client.say(subscribe(R"({"userId":"u","topics":["t"],)" + std::string(resume) + "}"));
        // The publisher waits for each answer.
        for (int n = 301; n <= 320; n += 4) {
            ASSERT_EQ(world.publish(to_user(n), 0).status, 200);
            ASSERT_EQ(world.publish(to_topic(n + 1), 1).status, 200);
            ASSERT_EQ(
                world.publish(R"({"type":"x","broadcast":true,"data":{"n":)" + std::to_string(n + 2) + "}}")
                    .status,
                200);
            ASSERT_EQ(world.publish(to_user(n + 3, "u", "notification"), 1).status, 200);
        }
        client.socket().window = test::FakeSocket::kUnlimited;
        world.settle();
        EXPECT_EQ(numbers(client), from_to(1, 320));
        EXPECT_EQ(client.close(), "");
    }
}

TEST(ResumeOrder, WhatIsInTheLogBeforeTheFirstPublicationIsOlderThanEveryLiveMessage) {
    TestWorld world({.workers = 1, .prepare_log = [](store::Log& log) {
                         struct Nowhere final : store::Outcomes {
                             void publication(std::shared_ptr<const store::Publication>) override {}
                             void read_mark(std::shared_ptr<const store::ReadMark>) override {}
                             void answer(store::Answer) override {}
                             void settled(store::Ticket) override {}
                         } nowhere;
                         for (int i = 1; i <= 300; ++i) {
                             auto message = std::make_shared<store::Message>();
                             message->type = "x";
                             message->data = R"({"n":)" + std::to_string(i) + "}";
                             auto publication = std::make_shared<store::Publication>();
                             publication->message = std::move(message);
                             publication->addressees.push_back({UserId{"u"}});
                             ASSERT_TRUE(log.submit(store::Append{.publication = std::move(publication)}));
                         }
                         while (log.step(test::FakeClock().wall(), nowhere)) {
                         }
                     }});
    auto& client = world.connect(0);
    client.socket().window = 500;
    client.say(subscribe(R"({"userId":"u","topics":["t"],"since":"0"})"));
    ASSERT_EQ(world.publish(to_topic(301)).status, 200);
    ASSERT_EQ(world.publish(to_user(302)).status, 200);
    ASSERT_EQ(world.publish(to_topic(303)).status, 200);
    client.socket().window = test::FakeSocket::kUnlimited;
    world.settle();
    EXPECT_EQ(numbers(client), from_to(1, 303));
}

/// False where the order of turns let the fan-out end before the record came: nothing is shown then.
bool long_fanout_before_a_record(uint64_t seed) {
    SCOPED_TRACE(seed);
    TestWorld world({.workers = 2, .seed = seed});
    std::string topic = "t";
    while (world.core(0).sequencer().home_of_topic(topic) != 1)
        topic += 't';
    // Who joins first is served last.
    auto& client = world.connect(0);
    client.say(subscribe(R"({"topics":[")" + topic + R"("]})"));
    for (uint32_t i = 0; i < 8 * limits::kDeliveriesPerSlice; ++i)
        world.connect(0).post(subscribe(R"({"topics":[")" + topic + R"("]})"));
    world.settle();
    world.freeze(0);
    EXPECT_EQ(world.publish(to_topic(1, topic), 1).status, 200);
    EXPECT_EQ(world.publish(to_user(2), 1).status, 200);
    world.thaw(0);
    auto const& waiting = world.core(0).metrics().fanouts_waiting;
    while (waiting.value() == 0)
        world.step();
    client.post(subscribe(R"({"userId":"u","since":"0"})"));
    std::vector<int64_t> got;
    while (got.empty()) {
        world.step();
        got = numbers(client);
    }
    if (waiting.value() == 0) return false;
    world.settle();
    for (auto n : numbers(client))
        got.push_back(n);
    EXPECT_EQ(got, (std::vector<int64_t>{1, 2}));
    return true;
}

TEST(ResumeOrder, ALongFanoutBringsItsMessageBeforeANewerRecord) {
    uint64_t seed = 0;
    while (seed < 20 && !long_fanout_before_a_record(seed))
        ++seed;
    EXPECT_LT(seed, 20U);
}

/// A publisher that waits for each answer, and a client that resumes at some moments, over whatever its
/// socket and the store do: all of the log comes once, and everything in the publisher's order.
void resume_by_chance(uint64_t seed) {
    SCOPED_TRACE(seed);
    TestWorld world({.workers = 2, .seed = seed, .shuffle = true, .delay_store = true});
    auto& chance = world.chance;
    int n = 200;
    publish_to_user(world, 1, n);
    auto& client = world.connect(static_cast<uint32_t>(seed % 2));
    TestWorld::ApiClient publisher(world, static_cast<uint32_t>(chance.next() % 2));
    bool const unread = chance.next() % 3 == 0, sync = chance.next() % 2 == 0;
    int const resume_at = static_cast<int>(chance.next() % 60);
    auto logged = from_to(1, n);
    bool answered = true;
    client.say(subscribe(R"({"topics":["t"]})"));
    for (int i = 0; i < 200; ++i) {
        if (i == resume_at) {
            client.post(subscribe(R"({"userId":"u",)" + std::string(sync ? R"("sync":true,)" : "") +
                                  (unread ? R"("replay":"unread"})" : R"("since":"0"})")));
        }
        if (answered) {
            bool const live = chance.next() % 2;
            publisher.post("/api/publish", live ? to_topic(++n) : to_user(++n, "u", "notification"));
            if (!live) logged.push_back(n);
            answered = false;
        }
        if (chance.next() % 8 == 0) client.socket().window = chance.next() % 3000;
        if (chance.next() % 8 == 0) client.socket().window = test::FakeSocket::kUnlimited;
        for (auto turns = 1 + chance.next() % 12; turns > 0; --turns)
            world.step();
        for (const auto& answer : publisher.take()) {
            ASSERT_EQ(answer.status, 200);
            answered = true;
        }
    }
    client.socket().window = test::FakeSocket::kUnlimited;
    world.settle();
    auto const got = numbers(client);
    EXPECT_EQ(client.close(), "");
    // What was live before the resume stands before all of the replay.
    auto const first = std::find(got.begin(), got.end(), 1);
    EXPECT_TRUE(std::is_sorted(got.begin(), first));
    EXPECT_TRUE(std::is_sorted(first, got.end())) << ::testing::PrintToString(got);
    EXPECT_EQ(std::adjacent_find(first, got.end()), got.end()) << "twice";
    EXPECT_TRUE(std::includes(first, got.end(), logged.begin(), logged.end()))
        << ::testing::PrintToString(got) << ::testing::PrintToString(logged);
}

TEST(ResumeOrder, APublisherThatWaitsForEachAnswerIsSeenInItsOrder) {
    for (uint64_t seed = 1; seed <= seeds(40); ++seed)
        resume_by_chance(seed);
}

TEST(ResumeOrder, EachOfSeveralResumesHasTheLiveMessagesInTheirPlaces) {
    TestWorld world({.workers = 1});
    publish_to_user(world, 1, 300);
    auto& client = world.connect(0);
    client.socket().window = 500;
    client.say(subscribe(R"({"userId":"u","topics":["t"],"since":"0"})"));
    client.say(subscribe(R"({"since":"e-299","topics":["t"]})"));
    ASSERT_EQ(world.publish(to_topic(301)).status, 200);
    ASSERT_EQ(world.publish(to_user(302)).status, 200);
    ASSERT_EQ(world.publish(to_topic(303)).status, 200);
    client.socket().window = test::FakeSocket::kUnlimited;
    world.settle();
    auto expected = from_to(1, 303);
    for (int64_t n : {300, 302})
        expected.push_back(n);
    EXPECT_EQ(numbers(client), expected);
}

// --- how much may wait

Config small_queue() {
    Config config;
    config.limits.send_queue_messages = 16;
    config.limits.send_queue_bytes = 4096;
    return config;
}

constexpr int kStalledMax = 16 * limits::kHeldQueuesStalledMax, kMax = 16 * limits::kHeldQueuesMax;

struct SlowReplay {
    TestWorld world{{.workers = 1, .config = small_queue()}};
    TestWorld::Client* client = nullptr;
    int n = 300;

    SlowReplay() {
        publish_to_user(world, 1, n);
        client = &world.connect(0);
        client->socket().window = 500;
        client->say(subscribe(R"({"userId":"u","topics":["t"],"since":"0"})"));
    }
    void publish(int count) {
        std::string batch;
        for (int last = n + count; n < last;)
            batch += to_topic(++n) + "\n";
        ASSERT_EQ(world.publish(batch, 0, kBatch).status, 200);
    }
    void read_on() {
        client->socket().window = test::FakeSocket::kUnlimited;
        world.settle();
    }
};

TEST(ResumeOrder, WhatWaitsBehindAReplayCountsTowardsNoQueueLimit) {
    SlowReplay replay;
    replay.publish(kStalledMax / 2);
    // It never reads all that there is, and messages go on.
    std::vector<int64_t> got;
    for (int round = 0; got.size() < static_cast<std::size_t>(replay.n); ++round) {
        ASSERT_EQ(replay.client->close(), "") << round;
        ASSERT_LT(round, 1'000);
        replay.client->socket().window = 300;
        replay.world.settle();
        if (round % 10 == 0 || got.size() > 290) replay.publish(1);
        for (auto n : numbers(*replay.client))
            got.push_back(n);
    }
    EXPECT_EQ(got, from_to(1, replay.n));
}

TEST(ResumeOrder, WhoseReplayStandsStillWhileTooMuchComesIsASlowConsumer) {
    SlowReplay replay;
    replay.publish(kStalledMax + 1);
    replay.read_on();
    auto const got = numbers(*replay.client);
    EXPECT_LT(got.size(), 300U);
    EXPECT_EQ(got, from_to(1, static_cast<int64_t>(got.size())));
    EXPECT_EQ(replay.client->close(), "1013 slow_consumer");
}

TEST(ResumeOrder, WhatComesWhileTheStoreIsAskedMayBeMoreButNotWithoutBound) {
    for (int count : {kMax, kMax + 1}) {
        SCOPED_TRACE(count);
        TestWorld world({.workers = 1, .config = small_queue()});
        publish_to_user(world, 1, 3);
        auto& client = world.connect(0);
        uint32_t const store = 1;
        world.freeze(store);
        client.say(subscribe(R"({"userId":"u","topics":["t"],"since":"0"})"));
        std::string batch;
        for (int n = 4; n < 4 + count; ++n)
            batch += to_topic(n) + "\n";
        ASSERT_EQ(world.publish(batch, 0, kBatch).status, 200);
        world.thaw(store);
        world.settle();
        bool const fits = count == kMax;
        EXPECT_EQ(numbers(client), fits ? from_to(1, 3 + count) : from_to(1, 0));
        EXPECT_EQ(client.close(), fits ? "" : "1011 internal_error");
    }
}

}  // namespace
}  // namespace rc::server
