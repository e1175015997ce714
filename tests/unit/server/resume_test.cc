// Resumes and read marks, with publications that go on meanwhile.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "../../support/world.h"
#include "texts.h"

namespace rc::server {
namespace {

using test::TestWorld;
using test::Texts;

/// Publishers, and a client that resumes at some moment, in an order by chance: it sees everything of its log
/// once and in order.
void resume_by_chance(uint64_t seed, bool with_backlog) {
    SCOPED_TRACE(seed);
    TestWorld world({.workers = 2, .seed = seed, .shuffle = true, .delay_store = true});
    auto& chance = world.chance;
    int n = 0;
    if (with_backlog) {
        std::string batch;
        for (; n < 300; ++n)
            batch += to_user(n) + "\n";
        ASSERT_EQ(world.publish(batch, 1, "Content-Type: application/x-ndjson\r\n").status, 200);
    }
    std::vector<std::unique_ptr<TestWorld::ApiClient>> publishers;
    for (uint32_t i = 0; i < 3; ++i)
        publishers.push_back(std::make_unique<TestWorld::ApiClient>(world, i % 2));
    auto& client = world.connect(static_cast<uint32_t>(seed % 2));
    int const resume_at = static_cast<int>(chance.next() % 40);
    std::string const since = with_backlog && chance.next() % 2 ? "e-200" : "0";
    for (int i = 0; i < 80; ++i) {
        if (i == resume_at) client.post(subscribe(R"({"userId":"u","since":")" + since + "\"}"));
        if (chance.next() % 2)
            publishers[chance.next() % publishers.size()]->post("/api/publish", to_user(n++));
        if (chance.next() % 8 == 0) client.socket().window = 1 + chance.next() % 3000;
        if (chance.next() % 8 == 0) client.socket().window = test::FakeSocket::kUnlimited;
        for (auto turns = chance.next() % 12; turns > 0; --turns)
            world.step();
    }
    client.socket().window = test::FakeSocket::kUnlimited;
    world.settle();
    auto texts = client.take();
    ASSERT_FALSE(texts.empty());
    EXPECT_TRUE(texts[0].starts_with(R"({"type":"ack")")) << texts[0];
    std::vector<int64_t> offsets;
    std::set<int64_t> numbers;
    for (std::size_t i = 1; i < texts.size(); ++i) {
        offsets.push_back(number(texts[i], R"("offset":"e-)"));
        EXPECT_TRUE(numbers.insert(number(texts[i], R"("n":)")).second) << "twice: " << texts[i];
    }
    EXPECT_TRUE(std::is_sorted(offsets.begin(), offsets.end()));
    ASSERT_FALSE(offsets.empty());
    int64_t const first = since == "0" ? 1 : 201;
    EXPECT_EQ(offsets.front(), first);
    EXPECT_EQ(offsets.back(), n) << "the newest";
    EXPECT_EQ(static_cast<int64_t>(offsets.size()), n - first + 1);
    EXPECT_EQ(client.close(), "");
}

TEST(World, AResumeSeesEverythingOnceAndInOrderWhilePublicationsGoOn) {
    for (uint64_t seed = 1; seed <= seeds(40); ++seed)
        resume_by_chance(seed, false);
}
TEST(World, LikewiseWithALongBacklogAndASocketThatBlocks) {
    for (uint64_t seed = 1; seed <= seeds(15); ++seed)
        resume_by_chance(seed, true);
}

TEST(World, MessagesWithoutALogWaitBehindAReplay) {
    for (uint64_t seed = 1; seed <= seeds(20); ++seed) {
        SCOPED_TRACE(seed);
        TestWorld world({.workers = 2, .seed = seed, .shuffle = true, .delay_store = true});
        for (int i = 0; i < 5; ++i)
            ASSERT_EQ(world.publish(to_user(i)).status, 200);
        auto& client = world.connect(1);
        client.post(subscribe(R"({"userId":"u","topics":["t"],"since":"0"})"));
        TestWorld::ApiClient api(world, 0);
        int const live = 100;
        for (int i = 0; i < 5; ++i)
            api.post("/api/publish", to_topic(live + i));
        world.settle();
        auto const texts = client.take();
        std::vector<int64_t> lived, logged;
        for (const auto& text : texts) {
            if (text.starts_with(R"({"type":"ack")")) continue;
            auto const n = number(text, R"("n":)");
            (n >= live ? lived : logged).push_back(n);
        }
        EXPECT_EQ(logged, (std::vector<int64_t>{0, 1, 2, 3, 4}));
        EXPECT_TRUE(std::is_sorted(lived.begin(), lived.end()));
        // What came after the subscription is complete from its first message on.
        if (!lived.empty()) {
            EXPECT_EQ(lived.back(), live + 4);
        }
        auto const first_live =
            std::find_if(texts.begin(), texts.end(), [](auto& t) { return number(t, R"("n":)") >= 100; });
        for (auto it = first_live; it != texts.end(); ++it)
            EXPECT_GE(number(*it, R"("n":)"), live);
    }
}

TEST(World, AReplayOfTheUnreadGoesOverIntoLiveMessages) {
    TestWorld world({.workers = 2, .delay_store = true});
    auto notify = [&world](std::string_view id) {
        return world
            .publish(R"({"type":"notification","userId":"u","data":{"id":")" + std::string(id) + R"("}})")
            .status;
    };
    for (auto id : {"a", "b", "c"})
        ASSERT_EQ(notify(id), 200);
    auto& reader = world.connect(0);
    reader.say(subscribe(R"({"userId":"u"})"));
    reader.say(R"({"type":"mark_read","data":{"notificationId":"b"}})");
    auto& client = world.connect(1);
    client.say(subscribe(R"({"userId":"u","replay":"unread"})"));
    ASSERT_EQ(notify("d"), 200);
    auto const texts = client.take();
    ASSERT_EQ(texts.size(), 4U);
    EXPECT_NE(texts[0].find(R"("unreadCount":2)"), std::string::npos) << texts[0];
    EXPECT_NE(texts[1].find(R"("id":"a")"), std::string::npos);
    EXPECT_NE(texts[2].find(R"("id":"c")"), std::string::npos);
    EXPECT_NE(texts[3].find(R"("id":"d")"), std::string::npos);
}

// The texts without their acks; those are counted.
Texts without_acks(const Texts& texts, int& acks) {
    Texts out;
    for (const auto& text : texts) {
        if (text.starts_with(R"({"type":"ack")")) {
            ++acks;
        } else {
            out.push_back(text);
        }
    }
    return out;
}

TEST(World, ASecondResumeTakesNothingFromTheFirst) {
    for (std::string_view second : {R"("replay":"unread")", R"("since":"e-302")", R"("since":"0")"}) {
        for (uint64_t seed = 1; seed <= seeds(5); ++seed) {
            SCOPED_TRACE(std::string(second) + " " + std::to_string(seed));
            TestWorld world({.workers = 2, .seed = seed, .shuffle = true, .delay_store = true});
            ASSERT_EQ(
                world.publish(R"({"type":"notification","userId":"u","data":{"id":"a","n":-1}})").status,
                200);
            std::string batch;
            for (int i = 0; i < 300; ++i)
                batch += to_user(i) + "\n";
            ASSERT_EQ(world.publish(batch, 1, "Content-Type: application/x-ndjson\r\n").status, 200);
            auto& client = world.connect(1);
            client.socket().window = 500;
            client.say(subscribe(R"({"userId":"u","since":"0"})"));
            client.say(subscribe(R"({"userId":"u",)" + std::string(second) + "}"));
            ASSERT_EQ(world.publish(to_user(300)).status, 200);
            client.socket().window = test::FakeSocket::kUnlimited;
            world.settle();
            ASSERT_EQ(world.publish(to_user(301)).status, 200);
            int acks = 0;
            auto const texts = without_acks(client.take(), acks);
            EXPECT_EQ(acks, 2);
            std::vector<int64_t> offsets;
            for (const auto& text : texts)
                offsets.push_back(number(text, R"("offset":"e-)"));
            std::vector<int64_t> expected;
            for (int64_t i = 1; i <= 302; ++i)
                expected.push_back(i);
            if (second.starts_with(R"("replay)")) expected.push_back(1);
            if (second.ends_with(R"("0")")) {
                for (int64_t i = 1; i <= 302; ++i)
                    expected.push_back(i);
            }
            expected.push_back(303);
            EXPECT_EQ(offsets, expected);
        }
    }
}

TEST(World, AFewResumesWaitForEachOtherAndNoMore) {
    TestWorld world({.workers = 1});
    for (int i = 0; i < 3; ++i)
        ASSERT_EQ(world.publish(to_user(i)).status, 200);
    auto& client = world.connect(0);
    client.socket().window = 0;
    client.say(subscribe(R"({"userId":"u","topics":["a"],"since":"0"})"));
    auto again = [&client](std::string_view topic) {
        client.say(R"({"type":"subscribe","id":7,"data":{"since":"0","topics":[")" + std::string(topic) +
                   R"("]}})");
    };
    for (uint32_t i = 0; i < limits::kResumesWaitingMax; ++i)
        again("b");
    again("c");
    client.socket().window = test::FakeSocket::kUnlimited;
    world.settle();
    int acks = 0;
    auto const texts = without_acks(client.take(), acks);
    EXPECT_EQ(acks, 1 + static_cast<int>(limits::kResumesWaitingMax));
    EXPECT_EQ(texts.size(), 3 * (1 + limits::kResumesWaitingMax) + 1);
    EXPECT_EQ(std::count_if(texts.begin(), texts.end(),
                            [](auto& text) { return text.find("subscription_failed") != std::string::npos; }),
              1);
    ASSERT_EQ(world.publish(to_topic(1, "b")).status, 200);
    ASSERT_EQ(world.publish(to_topic(2, "c")).status, 200);
    EXPECT_EQ(client.take(), Texts{message(1)}) << "what is refused changes nothing";
}

TEST(World, WhatWaitsBehindAReplayGoesWhenItsTopicIsDropped) {
    TestWorld world({.workers = 1});
    std::string batch;
    for (int i = 0; i < 300; ++i)
        batch += to_user(i) + "\n";
    ASSERT_EQ(world.publish(batch, 0, "Content-Type: application/x-ndjson\r\n").status, 200);
    auto start = [&world]() -> TestWorld::Client& {
        auto& client = world.connect(0);
        client.socket().window = 500;
        client.say(subscribe(R"({"userId":"u","topics":["a","b"],"since":"0"})"));
        return client;
    };
    auto& one = start();
    auto& all = start();
    ASSERT_EQ(world.publish(to_topic(1000, "a")).status, 200);
    ASSERT_EQ(world.publish(to_topic(1001, "b")).status, 200);
    ASSERT_EQ(world.publish(R"({"type":"x","broadcast":true,"data":{"n":1002}})").status, 200);
    ASSERT_EQ(world.publish(R"({"type":"x","userId":"u","store":false,"data":{"n":1003}})").status, 200);
    one.say(R"({"type":"unsubscribe","data":{"topics":["a"]}})");
    all.say(R"({"type":"unsubscribe","data":{}})");
    one.say(subscribe(R"({"topics":["a"]})"));
    ASSERT_EQ(world.publish(to_topic(1004, "a")).status, 200);
    for (auto* client : {&one, &all})
        client->socket().window = test::FakeSocket::kUnlimited;
    world.settle();
    auto numbers = [](TestWorld::Client& client) {
        std::vector<int64_t> out;
        for (const auto& text : client.take()) {
            if (auto const n = number(text, R"("n":)"); n >= 1000) out.push_back(n);
        }
        return out;
    };
    EXPECT_EQ(numbers(one), (std::vector<int64_t>{1001, 1002, 1003, 1004}));
    EXPECT_EQ(numbers(all), (std::vector<int64_t>{1002})) << "what went to everybody was on its way";
}

// With room for 200 messages a user, a client that takes nothing for a while resumes from the beginning.
void stand_still_while(int backlog, int live, std::size_t expected, const std::string& close) {
    SCOPED_TRACE(live);
    Config config;
    config.inbox.notifications_per_user = 200;
    TestWorld world({.workers = 1, .config = config});
    auto publish = [&world](int first, int last) {
        std::string batch;
        for (int n = first; n < last; ++n)
            batch += to_user(n) + "\n";
        ASSERT_EQ(world.publish(batch, 0, "Content-Type: application/x-ndjson\r\n").status, 200);
    };
    publish(0, backlog);
    auto& client = world.connect(0);
    client.socket().window = 500;
    client.say(subscribe(R"({"userId":"u","since":"0"})"));
    publish(backlog, backlog + live);
    client.socket().window = test::FakeSocket::kUnlimited;
    world.settle();
    std::size_t came = 0;
    auto const texts = client.take();
    for (const auto& text : texts) {
        auto const n = number(text, R"("n":)");
        if (n < 0) continue;
        EXPECT_EQ(n, static_cast<int64_t>(came++));
    }
    EXPECT_EQ(came, expected);
    EXPECT_EQ(client.close(), close);
    EXPECT_EQ(error_code(texts.back()), close.empty() ? "" : "internal_error");
}

TEST(World, AReplayThatRetentionOvertakesEndsAndLeavesNothingOutSilently) {
    constexpr std::size_t kChunk = limits::kReplayRecordsPerChunk;
    // The second chunk begins behind those that went.
    stand_still_while(200, kChunk, 200 + kChunk, "");
    stand_still_while(200, kChunk + 1, kChunk, "1011 internal_error");
    // What came live meanwhile is read behind the only chunk.
    stand_still_while(100, 200, 300, "");
    stand_still_while(100, 201, 100, "1011 internal_error");
}

TEST(World, ReadMarksReachTheUsersOtherConnectionsThatAskedForThem) {
    TestWorld world({.workers = 2, .delay_store = true});
    ASSERT_EQ(world.publish(R"({"type":"notification","userId":"u","data":{"id":"a"}})").status, 200);
    auto& marker = world.connect(0);
    auto& other = world.connect(1);
    auto& neighbour = world.connect(0);
    auto& plain = world.connect(1);
    auto& stranger = world.connect(1);
    for (auto* client : {&marker, &other, &neighbour})
        client->say(subscribe(R"({"userId":"u","sync":true})"));
    plain.say(subscribe(R"({"userId":"u"})"));
    stranger.say(subscribe(R"({"userId":"v","sync":true})"));
    for (int i = 0; i < 2; ++i)
        marker.say(R"({"type":"mark_read","id":7,"data":{"notificationId":"a"}})");
    Texts const marked{R"({"type":"notification_read","data":{"notificationId":"a","unreadCount":0}})"};
    EXPECT_EQ(other.take(), marked);
    EXPECT_EQ(neighbour.take(), marked);
    EXPECT_EQ(plain.take(), Texts{});
    EXPECT_EQ(stranger.take(), Texts{});
    Texts const acks(2, R"({"type":"ack","id":7,"data":{"unreadCount":0}})");
    EXPECT_EQ(marker.take(), acks);
}

TEST(World, AReplayLeavesOutTheReadMarksOfItsOwnConnection) {
    for (uint64_t seed = 1; seed <= seeds(20); ++seed) {
        SCOPED_TRACE(seed);
        TestWorld world({.workers = 2, .seed = seed, .shuffle = true, .delay_store = true});
        for (std::string_view id : {"before", "during", "after", "others"}) {
            ASSERT_EQ(world
                          .publish(R"({"type":"notification","userId":"u","data":{"id":")" + std::string(id) +
                                   R"("}})")
                          .status,
                      200);
        }
        std::string batch;
        for (int i = 0; i < 200; ++i)
            batch += to_user(i) + "\n";
        ASSERT_EQ(world.publish(batch, 1, "Content-Type: application/x-ndjson\r\n").status, 200);
        auto mark = [](TestWorld::Client& client, std::string_view id) {
            client.say(R"({"type":"mark_read","data":{"notificationId":")" + std::string(id) + R"("}})");
        };
        auto& client = world.connect(1);
        auto& other = world.connect(static_cast<uint32_t>(seed % 2));
        for (auto* each : {&client, &other})
            each->say(subscribe(R"({"userId":"u","sync":true})"));
        mark(client, "before");
        client.socket().window = 500;
        client.say(subscribe(R"({"userId":"u","since":"0"})"));
        mark(client, "during");
        mark(other, "others");
        client.socket().window = test::FakeSocket::kUnlimited;
        world.settle();
        mark(client, "after");
        auto marked = [](TestWorld::Client& who) {
            Texts out;
            for (const auto& text : who.take()) {
                constexpr std::string_view kMark = R"("notificationId":")";
                if (!text.starts_with(R"({"type":"notification_read")")) continue;
                auto const at = text.find(kMark) + kMark.size();
                out.push_back(text.substr(at, text.find('"', at) - at));
            }
            return out;
        };
        EXPECT_EQ(marked(client), Texts{"others"});
        EXPECT_EQ(marked(other), (Texts{"before", "during", "after"}));
    }
}

// Found by the simulator, seed 3053: the replay was asked for without read marks, and its snapshot was newer
// than the mark that had been dropped meanwhile.
TEST(World, ReadMarksThatAreAskedForDuringAReplayAreNotLostInIt) {
    TestWorld world({.workers = 2});
    ASSERT_EQ(world.publish(R"({"type":"notification","userId":"u","data":{"id":"a"}})").status, 200);
    auto& marker = world.connect(0);
    auto& other = world.connect(1);
    marker.say(subscribe(R"({"userId":"u"})"));
    constexpr uint32_t kStore = 2;
    world.freeze(kStore);
    other.say(subscribe(R"({"userId":"u","since":"0"})"));
    other.say(subscribe(R"({"userId":"u","sync":true})"));
    marker.say(R"({"type":"mark_read","data":{"notificationId":"a"}})");
    world.thaw(kStore);
    world.settle();
    auto const texts = other.take();
    ASSERT_EQ(texts.size(), 3U);
    EXPECT_TRUE(texts[0].starts_with(R"({"type":"ack")")) << texts[0];
    EXPECT_TRUE(texts[1].starts_with(R"({"type":"notification","data")")) << texts[1];
    EXPECT_TRUE(texts[2].starts_with(R"({"type":"notification_read")")) << texts[2];
}

}  // namespace
}  // namespace rc::server
