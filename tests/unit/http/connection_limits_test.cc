// The times and amounts that connections are held to.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "connection_world.h"

namespace rc::http {
namespace {

using namespace std::string_view_literals;

// --- Times

TEST(HttpConnection, AFirstHeadMustBeCompleteTenSecondsAfterTheAccept) {
    World world;
    auto const silent = world.connect();
    auto const slow = world.connect();
    world.core.advance(seconds(5));
    for (int second = 5; second < 9; ++second) {
        world.deliver(slow, "GET / HTTP"sv.substr(static_cast<size_t>(second) - 5, 1));
        world.core.advance(seconds(1));
    }
    world.core.advance(seconds(1) - kTick);
    EXPECT_FALSE(world.socket(silent).fin_sent);
    EXPECT_FALSE(world.socket(slow).fin_sent);
    world.core.advance(kTick * 2);
    EXPECT_TRUE(world.socket(silent).fin_sent);
    EXPECT_EQ(world.socket(silent).sent, "");
    EXPECT_EQ(statuses(world.socket(slow).sent), std::vector{408});
    EXPECT_EQ(world.server.metrics.timeouts.value(), 1U);
    EXPECT_TRUE(world.ends(silent));
    EXPECT_TRUE(world.ends(slow));
}

TEST(HttpConnection, ALaterHeadHasItsTimeFromItsFirstByte) {
    World world;
    auto const file = world.connect();
    world.ask(file, get("/1"));
    world.core.advance(seconds(60));
    EXPECT_EQ(world.ask(file, "G"), "");
    world.core.advance(seconds(10) - kTick);
    EXPECT_EQ(world.socket(file).take_sent(), "");
    world.core.advance(kTick * 2);
    EXPECT_EQ(statuses(world.socket(file).take_sent()), std::vector{408});
}

TEST(HttpConnection, AnIdleConnectionEndsSilentlyAfterItsTime) {
    World world;
    auto const file = world.connect();
    world.ask(file, get("/1"));
    world.core.advance(seconds(75) - kTick);
    EXPECT_FALSE(world.socket(file).fin_sent);
    world.core.advance(kTick * 2);
    EXPECT_TRUE(world.socket(file).fin_sent);
    EXPECT_EQ(world.socket(file).take_sent(), "");
    EXPECT_TRUE(world.ends(file));
}

TEST(HttpConnection, ABodyMustNotBeSilentForTenSeconds) {
    World world;
    auto const file = world.connect();
    std::string const head = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    world.deliver(file, head + std::string(50'000, 'x'));  // ahead of its pace by 48 s
    world.core.advance(seconds(10) - kTick);
    world.deliver(file, "x");
    world.core.advance(seconds(10) - kTick);
    EXPECT_EQ(world.socket(file).sent, "");
    world.core.advance(kTick * 2);
    EXPECT_EQ(statuses(world.socket(file).sent), std::vector{408});
    EXPECT_TRUE(world.app.handled.empty());
    EXPECT_TRUE(world.ends(file));
}

TEST(HttpConnection, ABodyOfAByteASecondIsGivenUpAtTenSeconds) {
    World world;
    auto const file = world.connect();
    world.deliver(file, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    for (int second = 0; second < 9; ++second) {
        world.core.advance(seconds(1));
        world.deliver(file, "x");
    }
    world.core.advance(seconds(1) - kTick);
    EXPECT_EQ(world.socket(file).sent, "");
    world.core.advance(kTick * 2);
    EXPECT_EQ(statuses(world.socket(file).sent), std::vector{408});
}

TEST(HttpConnection, ABodyThatKeepsItsPaceMayTakeLong) {
    World world;
    auto const file = world.connect();
    world.deliver(file, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 102400\r\n\r\n");
    for (int second = 0; second < 100; ++second) {
        world.core.advance(seconds(1));
        world.deliver(file, std::string(1024, 'x'));
    }
    EXPECT_EQ(statuses(world.socket(file).sent), std::vector{200});
}

TEST(HttpConnection, AReaderThatTakesNothingIsClosed) {
    World world;
    auto const file = world.connect();
    world.app.big_bytes = 100'000;
    world.socket(file).window = 50'000;
    world.deliver(file, get("/big"));
    for (int i = 0; i < 10; ++i) {  // slow, and yet it moves
        world.core.advance(seconds(25));
        world.socket(file).window += 1;
    }
    EXPECT_FALSE(world.socket(file).closed);
    world.core.advance(seconds(36));
    EXPECT_TRUE(world.socket(file).closed);
    EXPECT_EQ(world.server.metrics.timeouts.value(), 1U);
    EXPECT_EQ(world.socket(file).sent.size(), 50'010U);
}

TEST(HttpConnection, AnEndingReaderHasTheSameTime) {
    World world;
    auto const file = world.connect();
    world.app.big_bytes = 100'000;
    world.app.close = true;
    world.socket(file).window = 1;
    world.deliver(file, get("/big"));
    world.core.advance(seconds(29));
    EXPECT_FALSE(world.socket(file).closed);
    EXPECT_FALSE(world.socket(file).fin_sent);
    world.core.advance(seconds(7));
    EXPECT_TRUE(world.socket(file).closed);
}

// --- Amounts

TEST(HttpConnection, NoFurtherRequestIsReadWhileTooMuchIsUnsent) {
    World world;
    auto const file = world.connect();
    // An answer's head is below 1 KiB: the first leaves just less than the bound unsent, the second more.
    world.app.big_bytes = kUnsentBytesMax - 1024;
    world.socket(file).window = 0;
    world.deliver(file, get("/big"));
    world.deliver(file, get("/big"));
    EXPECT_EQ(world.app.handled.size(), 2U);
    world.deliver(file, get("/3") + get("/4"));
    world.deliver(file, get("/5"));
    EXPECT_EQ(world.app.handled.size(), 2U);
    EXPECT_GT(world.socket(file).unread_bytes(), 0U);
    world.socket(file).window = test::FakeSocket::kUnlimited;
    world.socket(file).send_max = 1000;
    world.core.settle();
    EXPECT_EQ(world.app.handled.size(), 5U);
    EXPECT_TRUE(world.socket(file).sent.ends_with(ok("/3|") + ok("/4|") + ok("/5|")));
}

TEST(HttpConnection, BodiesAreBoundedTogether) {
    ServerLimits limits;
    limits.body_bytes_max = 100'000;
    World world(limits);
    world.app.at_once = false;
    auto const one = world.connect(), two = world.connect(), three = world.connect();
    auto const head = [](size_t bytes) {
        return "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n";
    };
    world.deliver(one, head(60'000) + std::string(60'000, 'x'));  // held until it is answered
    EXPECT_EQ(world.app.handled.size(), 1U);
    world.deliver(two, head(40'001) + std::string(40'000, 'x'));
    EXPECT_EQ(world.server.metrics.body_bytes.value(), 100'000U);
    EXPECT_EQ(world.socket(two).sent, "");
    auto const sent = world.ask(three, head(1) + "x");
    EXPECT_EQ(statuses(sent), std::vector{503});
    EXPECT_NE(sent.find("Retry-After: 1\r\n"), std::string::npos);
    EXPECT_TRUE(world.ends(three));
    world.app.answer_next();
    EXPECT_EQ(world.server.metrics.body_bytes.value(), 40'000U);
    world.deliver(two, "x");
    EXPECT_EQ(world.app.handled.size(), 2U);
    world.socket(two).reset();
    world.core.settle();
    EXPECT_EQ(world.server.metrics.body_bytes.value(), 0U);
}

TEST(HttpConnection, ALargeBodyLeavesNoLargeBufferForTheNext) {
    World world;
    auto const file = world.connect();
    world.ask(file, post("/a", std::string(200'000, 'x')));
    EXPECT_GE(world.app.body_capacity, 200'000U);
    world.ask(file, post("/b", "x"));
    EXPECT_LE(world.app.body_capacity, 16U * 1024);
}

TEST(HttpConnection, ConnectionsAboveTheMaximumAreTold) {
    ServerLimits limits;
    limits.connections_max = 2;
    World world(limits);
    auto const one = world.connect(), two = world.connect(), three = world.connect();
    EXPECT_EQ(statuses(world.socket(three).sent), std::vector{503});
    EXPECT_NE(world.socket(three).sent.find(kClose), std::string::npos);
    EXPECT_EQ(world.ask(two, get("/")), ok("/|"));
    EXPECT_TRUE(world.ends(three));
    world.socket(one).reset();
    world.core.settle();
    EXPECT_EQ(world.ask(world.connect(), get("/")), ok("/|"));
    EXPECT_EQ(world.server.metrics.refused.value(), 1U);
    EXPECT_EQ(world.server.metrics.accepted.value(), 4U);
}

TEST(HttpConnection, AFloodAboveTheMaximumIsClosedWithoutAWord) {
    ServerLimits limits;
    limits.connections_max = 1;
    World world(limits);
    world.connect();
    std::vector<io::File> flood;
    for (uint32_t i = 0; i < kRefusedConnectionsMax + 1; ++i)
        flood.push_back(world.connect());
    EXPECT_EQ(statuses(world.socket(flood[kRefusedConnectionsMax - 1]).sent), std::vector{503});
    EXPECT_EQ(world.socket(flood[kRefusedConnectionsMax]).sent, "");
    EXPECT_TRUE(world.socket(flood[kRefusedConnectionsMax]).closed);
    EXPECT_EQ(world.server.connections(), 1U + kRefusedConnectionsMax);
    world.core.advance(seconds(3));
    EXPECT_EQ(world.server.connections(), 1U);
    EXPECT_EQ(statuses(world.socket(world.connect()).sent), std::vector{503});
}

// What others use: the servers of the other cores.
TEST(HttpConnection, TheProcesssLimitsCountWhatAllCoresUse) {
    ServerLimits limits;
    limits.connections_max = 10;
    limits.body_bytes_max = 4 * kBodyLeaseBytes;
    World world(limits);
    ASSERT_TRUE(world.use.connections.take(9, 10));
    auto const one = world.connect(), two = world.connect();
    EXPECT_EQ(statuses(world.socket(two).take_sent()), std::vector{503});
    world.use.connections.give_back(1);
    auto const three = world.connect();

    ASSERT_TRUE(world.use.body_bytes.take(3 * kBodyLeaseBytes, limits.body_bytes_max));
    auto const head = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 250000\r\n\r\n";
    world.app.at_once = false;
    world.deliver(one, head + std::string(250'000, 'x'));
    EXPECT_EQ(world.use.body_bytes.used(), limits.body_bytes_max);
    EXPECT_EQ(statuses(world.ask(three, head + std::string(250'000, 'x'))), std::vector{503});
    world.app.answer_next();
    world.use.body_bytes.give_back(3 * kBodyLeaseBytes);
    world.core.advance(seconds(3));
    EXPECT_EQ(world.use.connections.used(), 8U + 1U);
    EXPECT_LE(world.use.body_bytes.used(), 2 * kBodyLeaseBytes) << "a step may stay for the next request";
}

TEST(HttpConnection, AFullStreamTableClosesWhoComes) {
    World world({}, 4096, 1);
    auto const one = world.connect(), two = world.connect();
    EXPECT_TRUE(world.socket(two).closed);
    EXPECT_EQ(world.server.connections(), 1U);
    EXPECT_EQ(world.server.metrics.refused.value(), 1U);
    EXPECT_EQ(world.ask(one, get("/")), ok("/|"));
}

TEST(HttpConnection, AShortageOfBuffersOnlyDelays) {
    World world;
    auto const file = world.connect();
    world.core.ring.exhaust_buffers(3);
    EXPECT_EQ(world.ask(file, post("/p", "body")), ok("/p|body"));
    EXPECT_EQ(world.core.ring.stats().buffer_shortages, 3U);
}

}  // namespace
}  // namespace rc::http
