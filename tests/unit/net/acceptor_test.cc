#include "ringcast/net/acceptor.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "../../support/fake_core.h"

namespace rc::net {
namespace {

constexpr uint8_t kTable = 2;
constexpr int kListener = 7, kOther = 8;

struct Door final : AcceptHandler {
    void on_accept(io::File file, const PeerAddress& peer, uint32_t) override {
        files.push_back(file);
        peers.push_back(peer.format());
        if (pause_after != 0 && files.size() == pause_after) acceptor->pause();
    }
    Acceptor* acceptor = nullptr;
    std::size_t pause_after = 0;
    std::vector<io::File> files;
    std::vector<std::string> peers;
};

struct AcceptorTest : ::testing::Test {
    AcceptorTest() {
        door.acceptor = &acceptor;
        acceptor.add(kListener);
        acceptor.start();
        core.settle();
    }
    ~AcceptorTest() override {
        acceptor.pause();
        core.settle();
        EXPECT_TRUE(acceptor.quiet());
        EXPECT_EQ(core.ring.operations(), 0U);
    }
    void connect(int n, int listener = kListener) {
        for (int i = 0; i < n; ++i)
            core.ring.connect(listener);
    }
    test::FakeCore core;
    Door door;
    Acceptor acceptor{core.reactor, kTable, true, door};
};

TEST(Acceptor, TakesOrdinaryFilesWhereDirectOnesAreClosedLate) {
    test::FakeCore core;
    core.ring.refuse_direct_files();
    Door door;
    Acceptor acceptor{core.reactor, kTable, true, door};
    acceptor.add(kListener);
    acceptor.start();
    core.ring.connect(kListener);
    core.settle();
    ASSERT_EQ(door.files.size(), 1U);
    EXPECT_FALSE(door.files[0].direct);
    acceptor.pause();
    core.settle();
}

TEST_F(AcceptorTest, HandsOverTheSocketAndItsPeersAddress) {
    auto const v4 = core.ring.connect(kListener, Address::v4({192, 0, 2, 1}, 1234));
    auto const v6 = core.ring.connect(
        kListener, Address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 99));
    core.settle();
    ASSERT_EQ(door.files.size(), 2U);
    EXPECT_EQ(door.files[0].index, v4.index);
    EXPECT_EQ(door.files[1].index, v6.index);
    EXPECT_TRUE(door.files[0].direct);
    EXPECT_EQ(door.peers, (std::vector<std::string>{"192.0.2.1:1234", "[2001:db8::1]:99"}));
}

TEST_F(AcceptorTest, OneAcceptIsArmedWhileItIsQuiet) {
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(core.ring.operations(), 1U);
        core.advance(seconds(1));
    }
}

TEST_F(AcceptorTest, ABurstArmsMoreAcceptsAndItsEndFewer) {
    connect(1000);
    std::size_t turns = 0, most = 0;
    for (; door.files.size() < 1000; ++turns) {
        core.turn();
        most = std::max(most, core.ring.operations());
        ASSERT_LT(turns, 40U);
    }
    EXPECT_EQ(most, Acceptor::kBurst);
    // One by one again: what the burst had armed is used up, and not armed again.
    for (int i = 0; i < 100; ++i) {
        connect(1);
        core.settle();
    }
    EXPECT_LE(core.ring.operations(), 2U);
    EXPECT_EQ(acceptor.metrics.accepted.value(), 1100U);
}

TEST_F(AcceptorTest, ABurstArmsNoMoreThanItMay) {
    acceptor.set_armed_max(5);
    for (int round = 0; round < 10; ++round) {
        connect(100);
        for (int turn = 0; turn < 5; ++turn) {
            core.turn();
            EXPECT_LE(core.ring.operations(), 5U);
        }
    }
    core.settle();
    EXPECT_EQ(door.files.size(), 1000U);
    acceptor.set_armed_max(0);
    connect(1);
    core.settle();
    EXPECT_EQ(door.files.size(), 1001U) << "each listener keeps one";
}

TEST_F(AcceptorTest, EveryListenerIsServed) {
    acceptor.pause();
    core.settle();
    acceptor.add(kOther);
    acceptor.start();
    connect(3, kOther);
    connect(2);
    core.settle();
    EXPECT_EQ(door.files.size(), 5U);
}

struct Exhausted : AcceptorTest, ::testing::WithParamInterface<int> {};

TEST_P(Exhausted, ItTriesAgainAfterAWhile) {
    core.ring.fail_accept(kListener, GetParam());
    connect(1);
    core.settle();
    EXPECT_TRUE(door.files.empty());
    core.advance(milliseconds(99));
    EXPECT_TRUE(door.files.empty());
    core.advance(milliseconds(1) + 2 * io::TimerWheel::kTick);
    EXPECT_EQ(door.files.size(), 1U);
    EXPECT_EQ(acceptor.metrics.failed.value(), 1U);
}
INSTANTIATE_TEST_SUITE_P(Acceptor, Exhausted, ::testing::Values(EMFILE, ENFILE, ENOMEM, ENOBUFS));

TEST_F(AcceptorTest, AConnectionThatWasGoneAlreadyCostsNothingButItself) {
    core.ring.fail_accept(kListener, ECONNABORTED);
    connect(1);
    core.settle();
    EXPECT_EQ(door.files.size(), 1U);
    EXPECT_EQ(acceptor.metrics.failed.value(), 1U);
}

TEST_F(AcceptorTest, TakesNothingWhilePausedAndAllWhenStartedAgain) {
    acceptor.pause();
    EXPECT_FALSE(acceptor.quiet());
    core.settle();
    EXPECT_TRUE(acceptor.quiet());
    connect(5);
    core.advance(seconds(1));
    EXPECT_TRUE(door.files.empty());
    acceptor.start();
    core.settle();
    EXPECT_EQ(door.files.size(), 5U);
}

TEST_F(AcceptorTest, MayBePausedFromItsHandler) {
    door.pause_after = 3;
    connect(200);
    core.settle();
    EXPECT_TRUE(acceptor.quiet());
    EXPECT_GE(door.files.size(), 3U);
    door.pause_after = 0;
    acceptor.start();
    core.settle();
    EXPECT_EQ(door.files.size(), 200U);
}

// The cancelled accepts have not come back when it starts again.
TEST_F(AcceptorTest, StartsAgainRightAfterAPause) {
    connect(300);
    for (int i = 0; i < 8; ++i)
        core.turn();
    core.ring.hold(io::Kind::accept);
    acceptor.pause();
    acceptor.start();
    core.settle();
    core.ring.let_go(io::Kind::accept);
    core.settle();
    EXPECT_EQ(door.files.size(), 300U);
    EXPECT_GE(core.ring.operations(), 1U);
    connect(1);
    core.settle();
    EXPECT_EQ(door.files.size(), 301U);
}

TEST_F(AcceptorTest, APauseWhileItWaitsForDescriptorsEndsTheWait) {
    core.ring.fail_accept(kListener, EMFILE);
    core.settle();
    acceptor.pause();
    connect(1);
    core.advance(seconds(1));
    EXPECT_TRUE(door.files.empty());
    EXPECT_TRUE(acceptor.quiet());
}

}  // namespace
}  // namespace rc::net
