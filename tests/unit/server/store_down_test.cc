// What clients and publishers hear while the disk refuses.
#include <gtest/gtest.h>

#include <algorithm>

#include "../../support/world.h"
#include "texts.h"

namespace rc::server {
namespace {

using test::TestWorld;
using Fault = store::MemoryLog::Fault;

constexpr std::string_view kNotify = R"({"type":"notification","userId":"u","data":{"id":"n"}})";
constexpr std::string_view kMarkRead = R"({"type":"mark_read","id":7,"data":{"notificationId":"n"}})";

TEST(StoreDown, WritesAreRefusedAndReadsAreServed) {
    TestWorld world;
    ASSERT_EQ(world.publish(kNotify).status, 200);
    auto& client = world.connect(0);
    client.say(subscribe(R"({"userId":"u","topics":["t"]})"));
    world.set_store_fault(Fault::writes);

    EXPECT_EQ(world.publish(to_user(1)).status, 503);
    EXPECT_EQ(world.publish(to_topic(2), 0, "Idempotency-Key: k\r\n").status, 503);
    EXPECT_EQ(world.publish(to_topic(3)).status, 200);
    EXPECT_EQ(client.take(), std::vector{message(3)});
    client.say(kMarkRead);
    auto texts = client.take();
    ASSERT_EQ(texts.size(), 1U);
    EXPECT_TRUE(texts[0].starts_with(R"({"type":"error","id":7,"data":{"code":"internal_error")"))
        << texts[0];
    auto& other = world.connect(1);
    other.say(subscribe(R"({"userId":"u","since":"0"})"));
    EXPECT_EQ(other.take().size(), 2U);  // the ack and the notification

    world.set_store_fault(Fault::none);
    client.say(kMarkRead);
    EXPECT_EQ(client.take(), std::vector<std::string>{R"({"type":"ack","id":7,"data":{"unreadCount":0}})"});
    EXPECT_EQ(world.publish(to_topic(2), 0, "Idempotency-Key: k\r\n").status, 200);
    EXPECT_EQ(client.close() + other.close(), "");
}

TEST(StoreDown, ASubscribeThatCannotBeReadChangesNothing) {
    for (auto asks : {R"("since":"0")", R"("replay":"unread")", R"("offsets":true)"}) {
        TestWorld world({.workers = 2});
        auto& client = world.connect(0);
        client.say(subscribe(R"({"topics":["held"]})"));
        world.set_store_fault(Fault::everything);
        client.say(R"({"type":"subscribe","id":8,"data":{"userId":"u","topics":["held","t"],"sync":true,)" +
                   std::string(asks) + "}}");
        auto texts = client.take();
        ASSERT_EQ(texts.size(), 1U) << asks;
        EXPECT_TRUE(texts[0].starts_with(R"({"type":"error","id":8,"data":{"code":"internal_error")"))
            << texts[0];
        world.set_store_fault(Fault::none);

        ASSERT_EQ(world.publish(kNotify).status, 200);
        ASSERT_EQ(world.publish(to_topic(1)).status, 200);
        ASSERT_EQ(world.publish(R"({"type":"x","topic":"held","data":{"n":2}})").status, 200);
        EXPECT_EQ(client.take(), std::vector{message(2)}) << asks;
        client.say(R"({"type":"mark_read","data":{"notificationId":"n"}})");
        EXPECT_EQ(error_code(client.take().at(0)), "unauthorized");
        // It belongs to nobody yet.
        client.say(subscribe(R"({"userId":"v"})"));
        ASSERT_EQ(world.publish(R"({"type":"x","userId":"v","data":{"n":3}})").status, 200);
        EXPECT_EQ(client.take(), std::vector{message(3)}) << asks;
        EXPECT_EQ(client.close(), "");
    }
}

// What several subscribes ask for stands when one of them succeeds.
TEST(StoreDown, ASubscribeThatFailsTakesNothingFromAnother) {
    uint32_t failed = 0;
    for (uint64_t seed = 1; seed <= seeds(100); ++seed) {
        TestWorld world({.workers = 2, .seed = seed, .delay_store = true});
        auto& client = world.connect(0);
        world.set_store_fault(Fault::everything);
        client.post(subscribe(R"({"userId":"u","topics":["t","s"],"since":"0"})"));
        client.post(subscribe(R"({"topics":["t"]})"));
        client.post(R"({"type":"unsubscribe","data":{"topics":["s"]}})");
        client.post(subscribe(R"({"userId":"u"})"));
        for (uint64_t i = 0; i < 8 * (seed % 5); ++i)
            world.step();
        world.settle();
        world.set_store_fault(Fault::none);
        client.post(subscribe(R"({"topics":["s"]})"));
        world.settle();
        for (const auto& text : client.take())
            failed += error_code(text) == "internal_error" ? 1 : 0;
        ASSERT_EQ(world.publish(to_topic(1)).status, 200);
        ASSERT_EQ(world.publish(R"({"type":"x","topic":"s","data":{"n":2}})").status, 200);
        ASSERT_EQ(world.publish(R"({"type":"x","userId":"u","data":{"n":3}})").status, 200);
        ASSERT_EQ(client.take(), (std::vector{message(1), message(2), message(3)})) << seed;
        ASSERT_EQ(client.close(), "");
    }
    EXPECT_GT(failed, 0U);
}

TEST(StoreDown, AReplayThatCannotBeReadOnEndsTheConnection) {
    TestWorld world;
    std::string batch;
    for (int i = 0; i < 400; ++i)
        batch += to_user(i) + "\n";
    ASSERT_EQ(world.publish(batch, 0, "Content-Type: application/x-ndjson\r\n").status, 200);
    auto& client = world.connect(0);
    client.socket().window = 1000;
    client.post(subscribe(R"({"userId":"u","since":"0"})"));
    world.settle();
    world.set_store_fault(Fault::everything);
    client.socket().window = test::FakeSocket::kUnlimited;
    world.settle();
    auto const texts = client.take();
    ASSERT_FALSE(texts.empty());
    EXPECT_EQ(error_code(texts.back()), "internal_error");
    EXPECT_LT(texts.size(), 400U);
    EXPECT_EQ(client.close(), "1011 internal_error");
}

// What comes for the user while a resume is awaited is left to the resume. When that cannot be read, it has
// to be told, or the client goes on and misses it.
TEST(StoreDown, AResumeThatCannotBeReadLosesNothingThatCameMeanwhile) {
    uint32_t went_on = 0, ended = 0;
    for (uint64_t seed = 1; seed <= seeds(200); ++seed) {
        TestWorld world({.workers = 2, .seed = seed, .delay_store = true});
        auto& client = world.connect(0);
        client.say(subscribe(R"({"userId":"u"})"));
        world.set_store_fault(Fault::everything);
        client.post(subscribe(R"({"userId":"u","since":"0"})"));
        for (uint64_t i = 0; i < 8 * (seed % 5); ++i)
            world.step();
        world.set_store_fault(Fault::none);
        ASSERT_EQ(world.publish(to_user(1), 1).status, 200);
        bool const got =
            std::ranges::any_of(client.take(), [](auto& text) { return text.find(R"("n":1)") != text.npos; });
        ASSERT_NE(got, client.close() == "1011 internal_error") << seed;
        ++(got ? went_on : ended);
    }
    EXPECT_GT(went_on, 0U);
    EXPECT_GT(ended, 0U);
}

}  // namespace
}  // namespace rc::server
