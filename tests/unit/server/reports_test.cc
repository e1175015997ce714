// What /metrics says of what has happened.
#include <gtest/gtest.h>

#include <string>

#include "../../../src/server/reports.h"
#include "../../support/world.h"
#include "texts.h"

namespace rc::server {
namespace {

using test::TestWorld;

/// A sample of core 0; -1 where there is none. @param labels  behind `core="0"`
int64_t sample(TestWorld& world, std::string_view name, std::string_view labels = "") {
    auto const text = metrics_text(world.core(0).shared());
    return number(text, "\nringcast_" + std::string(name) + R"({core="0")" + std::string(labels) + "} ");
}

TEST(Metrics, HeartbeatsAreNoDeliveries) {
    TestWorld world({.workers = 1});
    auto& client = world.connect(0);
    client.say(subscribe(R"({"topics":["t"]})"));
    world.advance(minutes(2));
    EXPECT_GE(client.heartbeats(), 4U);
    EXPECT_EQ(sample(world, "heartbeats_total"), client.heartbeats());
    EXPECT_EQ(sample(world, "deliveries_total"), 0);
    ASSERT_EQ(world.publish(to_topic(1)).status, 200);
    EXPECT_EQ(sample(world, "deliveries_total"), 1);
}

TEST(Metrics, CloseFramesAreCountedByTheirCode) {
    TestWorld world({.workers = 1});
    world.connect(0).hang_up();
    auto& breaks_a_rule = world.connect(0);
    breaks_a_rule.socket().deliver(ws::encode_frame(ws::Opcode::text, "not masked"));
    auto& private_code = world.connect(0);
    private_code.socket().deliver(
        ws::encode_masked_frame(ws::Opcode::close, ws::close_payload(4000, {}), {1, 2, 3, 4}));
    auto& empty = world.connect(0);
    empty.socket().deliver(ws::encode_masked_frame(ws::Opcode::close, "", {1, 2, 3, 4}));
    world.settle();
    EXPECT_EQ(sample(world, "close_frames_total", R"(,code="1000")"), 1);
    EXPECT_EQ(sample(world, "close_frames_total", R"(,code="1002")"), 1);
    EXPECT_EQ(sample(world, "close_frames_total", R"(,code="4xxx")"), 1);
    EXPECT_EQ(sample(world, "close_frames_total", R"(,code="none")"), 1);
    EXPECT_EQ(sample(world, "close_frames_total", R"(,code="1008")"), -1);
    world.connect(0);
    world.advance(minutes(31));
    EXPECT_EQ(sample(world, "close_frames_total", R"(,code="1008")"), 1);
}

TEST(Metrics, TellHowConnectionsToTheApiEnd) {
    TestWorld world({.workers = 1});
    {
        TestWorld::ApiClient slow(world, 0);
        slow.deliver("POST /api/pub");
        world.advance(seconds(11));
        EXPECT_EQ(sample(world, "api_timeouts_total"), 1);
        TestWorld::ApiClient leaves(world, 0);
        leaves.post("/api/publish", to_user(1));
        world.freeze(1);  // the store
        world.settle();
        leaves.reset();
        world.settle();
        EXPECT_EQ(sample(world, "api_abandoned_total"), 1);
        EXPECT_EQ(sample(world, "api_late_responses_total"), 0);
        world.thaw(1);
        world.settle();
        EXPECT_EQ(sample(world, "api_late_responses_total"), 1);
        EXPECT_EQ(sample(world, "api_accepted_total"), 2);
        EXPECT_EQ(sample(world, "api_refused_total"), 0);
        EXPECT_EQ(sample(world, "receives_parked_total"), 0);
    }
}

}  // namespace
}  // namespace rc::server
