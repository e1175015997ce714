#include "connection_client.h"

namespace rc::ws {
namespace {

// --- the closing handshake

TEST(Connection, AnswersTheClientsCloseWithItsCodeAndClosesTcp) {
    for (bool fin_with_it : {false, true}) {
        Client client;
        client.upgrade();
        client.socket().deliver(close_frame(4000, "bye"));
        if (fin_with_it) client.socket().deliver_end();
        client.core.settle();
        EXPECT_EQ(client.frames(), Events{"close 4000 "});
        EXPECT_EQ(client.closings, 1U);
        EXPECT_EQ(client.closed, fin_with_it);
        EXPECT_TRUE(fin_with_it || !client.socket().fin_sent)
            << "the kernel needs a thread for each shutdown";
        client.core.advance(limits::kCloseLinger + kTick);
        EXPECT_TRUE(client.closed);
    }
}

TEST(Connection, ClosesTcpOnlyWhenItsCloseFrameIsSent) {
    for (bool asked_first : {false, true}) {
        Client client;
        client.upgrade();
        client.socket().window = 3;
        if (asked_first) client.connection->close(CloseCode::policy, "reason");
        client.deliver(close_frame(1000));
        EXPECT_FALSE(client.closed);
        client.socket().window = test::FakeSocket::kUnlimited;
        client.core.settle();
        EXPECT_EQ(client.frames(), Events{asked_first ? "close 1008 reason" : "close 1000 "});
        EXPECT_EQ(client.closed, asked_first);
        client.core.advance(limits::kCloseLinger + kTick);
        EXPECT_TRUE(client.closed);
    }
}

TEST(Connection, APeerThatGoesOnBehindTheAnswerToItsCloseIsReadUntilItsFin) {
    Client client;
    client.upgrade();
    client.deliver(close_frame(1000));
    client.core.advance(limits::kCloseLinger - kTick);
    client.deliver("late");
    EXPECT_TRUE(client.socket().fin_sent);
    client.core.advance(limits::kCloseDeadline - kTick);
    EXPECT_FALSE(client.closed);
    client.core.advance(2 * kTick);
    EXPECT_TRUE(client.closed);
}

// A close() with bytes unread would be a reset.
TEST(Connection, ReadsOnWhenAPeerGoesOnBehindItsCloseFrame) {
    for (bool asked_first : {false, true}) {
        for (bool same_packet : {false, true}) {
            Client client;
            client.upgrade();
            if (asked_first) client.connection->close(CloseCode::policy, "reason");
            if (!same_packet) client.socket().window = 0;
            client.deliver(close_frame(1000) + (same_packet ? text("more") : ""));
            if (!same_packet) client.deliver(text("more"));
            client.socket().window = test::FakeSocket::kUnlimited;
            client.core.settle();
            EXPECT_EQ(client.frames(), Events{asked_first ? "close 1008 reason" : "close 1000 "});
            EXPECT_TRUE(client.socket().fin_sent);
            EXPECT_FALSE(client.closed);
            EXPECT_TRUE(client.messages.empty());
            client.deliver_end();
            EXPECT_TRUE(client.closed);
        }
    }
}

TEST(Connection, AnswersAnEmptyCloseWithAnEmptyOne) {
    Client client;
    client.upgrade();
    client.deliver(masked(Opcode::close, ""));
    EXPECT_EQ(client.frames(), Events{"close 1005 "});
}

TEST(Connection, ClosesTcpFirstWhenTheClientHasAnsweredItsClose) {
    Client client;
    client.upgrade();
    client.send("last words");
    client.connection->close(CloseCode::policy, "reason");
    EXPECT_EQ(client.closings, 1U);
    client.connection->close(CloseCode::normal, "only the first call counts");
    client.send("ignored");
    client.core.settle();
    EXPECT_EQ(client.frames(), (Events{"text last words", "close 1008 reason"}));
    EXPECT_FALSE(client.socket().fin_sent || client.closed) << "the client's close frame is awaited";
    client.deliver(close_frame(1008));
    EXPECT_TRUE(client.closed);
    EXPECT_FALSE(client.socket().fin_sent) << "the kernel needs a thread for each shutdown";
    EXPECT_EQ(client.socket().sent, "");
    EXPECT_EQ(client.closings, 1U);
}

TEST(Connection, IgnoresWhatComesBehindItsOwnClose) {
    Client client;
    client.upgrade();
    client.connection->close(CloseCode::policy, "");
    client.core.settle();
    client.frames();
    client.deliver(text("ignored") + masked(Opcode::ping, "p") + text("half of a message", false));
    EXPECT_TRUE(client.messages.empty());
    EXPECT_EQ(client.control_frames, 0U);
    client.deliver(masked(Opcode::continuation, "its end") + close_frame(1000));
    EXPECT_TRUE(client.closed);
    EXPECT_EQ(client.socket().sent, "");
}

TEST(Connection, IgnoresWhatComesInTheSamePacketBehindAMessageThatEndedIt) {
    Client client;
    client.upgrade();
    client.close_on_message = true;
    client.deliver(text("one") + text("two") + masked(Opcode::ping, "p"));
    EXPECT_EQ(client.messages, Events{"one"});
    EXPECT_EQ(client.frames(), Events{"close 1008 enough"});
}

TEST(Connection, WaitsFiveSecondsForTheEnd) {
    for (bool answered : {false, true}) {
        Client client;
        client.upgrade();
        client.connection->close(CloseCode::policy, "");
        client.core.settle();
        if (answered) client.deliver(close_frame(1008) + text("more"));
        // Nothing that comes extends it.
        client.core.advance(seconds(4));
        if (!answered) client.deliver(text("ignored") + text("cut", false));
        client.core.advance(seconds(1) - kTick);
        EXPECT_FALSE(client.closed);
        client.core.advance(2 * kTick);
        EXPECT_TRUE(client.closed);
    }
}

TEST(Connection, ACloseThatCannotBeSentEndsAfterFiveSecondsToo) {
    Client client;
    client.upgrade();
    client.socket().window = 0;
    client.send("stuck");
    client.core.settle();
    client.connection->close(CloseCode::try_again_later, "slow_consumer");
    client.core.advance(seconds(5) + kTick);
    EXPECT_TRUE(client.closed);
}

TEST(Connection, ACloseDuringTheHandshakeEndsItWithoutAWord) {
    Client client;
    client.open();
    client.connection->close(CloseCode::policy, "x");
    client.core.settle();
    EXPECT_TRUE(client.closed);
    EXPECT_EQ(client.socket().sent, "");
    EXPECT_EQ(client.closings, 0U);
}

TEST(Connection, DropUnsentMakesRoomForTheCloseFrame) {
    Client client;
    client.upgrade();
    client.socket().window = 4;
    for (int i = 0; i < 3; ++i)
        client.send("lent");
    client.core.settle();
    for (int i = 0; i < 100; ++i)
        client.send("dropped");
    client.core.settle();
    client.connection->drop_unsent();
    client.connection->close(CloseCode::try_again_later, "slow_consumer");
    client.socket().window = test::FakeSocket::kUnlimited;
    client.core.settle();
    EXPECT_EQ(client.frames(), (Events{"text lent", "text lent", "text lent", "close 1013 slow_consumer"}));
}

// --- the peer's FIN and reset

TEST(Connection, AFinWithoutACloseEndsIt) {
    Client client;
    client.upgrade();
    client.socket().deliver(text("last"));
    client.deliver_end();
    EXPECT_EQ(client.messages, Events{"last"});
    EXPECT_EQ(client.closings, 1U);
    EXPECT_TRUE(client.closed);
}

TEST(Connection, WhatIsQueuedIsStillSentAfterThePeersFin) {
    Client client;
    client.upgrade();
    client.socket().window = 0;
    client.send("answer");
    client.core.settle();
    client.deliver_end();
    EXPECT_EQ(client.closings, 1U);
    EXPECT_FALSE(client.closed);
    client.send("too late");
    client.socket().window = test::FakeSocket::kUnlimited;
    client.core.settle();
    EXPECT_EQ(client.frames(), Events{"text answer"});
    EXPECT_TRUE(client.closed);
}

TEST(Connection, APeerThatHalfClosesAndReadsNothingHasFiveSeconds) {
    Client client;
    client.upgrade();
    client.socket().window = 0;
    client.send("answer");
    client.core.settle();
    client.deliver_end();
    client.core.advance(seconds(5) + kTick);
    EXPECT_TRUE(client.closed);
}

TEST(Connection, AResetEndsItAtOnce) {
    Client client;
    client.upgrade();
    client.deliver(text("half", false));
    client.socket().reset();
    client.core.settle();
    EXPECT_TRUE(client.closed);
}

TEST(Connection, AbortSaysNothing) {
    Client client;
    client.upgrade();
    client.connection->abort();
    client.core.settle();
    EXPECT_TRUE(client.closed);
    EXPECT_EQ(client.socket().sent, "");
}

}  // namespace
}  // namespace rc::ws
