#include "dialect.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rc::load {
namespace {

struct Notes final : DialectSink {
    void say(std::string_view text) override { lines.push_back("say " + std::string(text)); }
    void on_subscribed() override { lines.emplace_back("subscribed"); }
    void on_heartbeat() override { lines.emplace_back("heartbeat"); }
    void on_delivery(const Stamp& stamp) override { lines.push_back("got " + std::to_string(stamp.seq)); }
    void on_nonsense(std::string_view text) override { lines.push_back("? " + std::string(text)); }
    std::vector<std::string> lines;
};
using Lines = std::vector<std::string>;

std::string message(uint32_t seq) {
    return make_message({.at_ns = 1, .publication = 2, .stream = 3, .seq = seq}, 200);
}

Lines socketio(std::string_view text) {
    Notes notes;
    hear_socketio(text, R"({"topics":["t"]})", notes);
    return notes.lines;
}

Lines nats(std::string_view text) {
    Notes notes;
    hear_nats(text, "SUB topic.t 2\r\n", notes);
    return notes.lines;
}

TEST(SocketIo, IsSubscribedWhenTheServerHasAnsweredTheEvent) {
    EXPECT_EQ(socketio(R"(0{"sid":"a","pingInterval":25000})"), Lines{"say 40"});
    EXPECT_EQ(socketio(R"(40{"sid":"b"})"), Lines{R"(say 420["subscribe",{"topics":["t"]}])"});
    EXPECT_EQ(socketio("430[]"), Lines{"subscribed"});
}

TEST(SocketIo, EventsAreDeliveriesAndPingsAreAnswered) {
    EXPECT_EQ(socketio(R"(42["message",)" + message(7) + "]"), Lines{"got 7"});
    EXPECT_EQ(socketio("2"), (Lines{"heartbeat", "say 3"}));
    EXPECT_EQ(socketio(R"(42["message",{}])"), Lines{R"(? 42["message",{}])"});
    EXPECT_EQ(socketio("41"), Lines{"? 41"});
}

TEST(Nats, IsSubscribedWhenThePingBehindTheSubscriptionIsAnswered) {
    EXPECT_EQ(nats("INFO {}\r\n"),
              Lines{"say CONNECT {\"verbose\":false,\"protocol\":1}\r\nSUB topic.t 2\r\nPING\r\n"});
    EXPECT_EQ(nats("PONG\r\n"), Lines{"subscribed"});
}

TEST(Nats, SeveralMessagesMayComeInOneText) {
    auto const one = "MSG topic.t 2 200\r\n" + message(1) + "\r\n";
    auto const two = "MSG topic.t 2 200\r\n" + message(2) + "\r\n";
    EXPECT_EQ(nats("PING\r\n" + one + two), (Lines{"heartbeat", "say PONG\r\n", "got 1", "got 2"}));
    EXPECT_EQ(nats("-ERR 'no'\r\n"), Lines{"? -ERR 'no'"});
    EXPECT_EQ(nats(one.substr(0, one.size() - 3)), Lines{"? MSG topic.t 2 200"});
}

}  // namespace
}  // namespace rc::load
