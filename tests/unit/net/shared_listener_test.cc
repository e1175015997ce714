#include "ringcast/net/shared_listener.h"

#include <gtest/gtest.h>

#include "../../support/fake_core.h"
#include "ringcast/net/acceptor.h"

namespace rc::net {
namespace {

constexpr int kListener = 7;

void come(SharedListener& shared, uint32_t core, int connections) {
    for (int i = 0; i < connections; ++i)
        shared.came(core);
}

TEST(SharedListener, FivePercentAndSixteenMoreThanTheMeanIsEnough) {
    SharedListener shared(2);
    shared.set_taking(0, true);
    shared.set_taking(1, true);
    come(shared, 0, 33);  // may be 16.5 * 1.05 + 16 = 33.3
    EXPECT_FALSE(shared.holds_too_many(0));
    come(shared, 0, 1);  // may be 17 * 1.05 + 16 = 33.9
    EXPECT_TRUE(shared.holds_too_many(0));
    EXPECT_FALSE(shared.holds_too_many(1));
    shared.left(0);
    EXPECT_FALSE(shared.holds_too_many(0));
}

TEST(SharedListener, OfManyConnectionsFivePercentMoreAreFair) {
    SharedListener shared(2);
    shared.set_taking(0, true);
    shared.set_taking(1, true);
    come(shared, 1, 10'000);
    come(shared, 0, 11'086);  // may be 10,543 * 1.05 + 16 = 11,086.2
    EXPECT_FALSE(shared.holds_too_many(0));
    come(shared, 0, 1);
    EXPECT_TRUE(shared.holds_too_many(0));
}

TEST(SharedListener, ACoreThatTakesNobodyHoldsUpNoOther) {
    SharedListener shared(3);
    shared.set_taking(0, true);
    come(shared, 0, 1000);
    EXPECT_FALSE(shared.holds_too_many(0)) << "alone";
    shared.set_taking(1, true);
    EXPECT_TRUE(shared.holds_too_many(0));
    shared.set_taking(1, false);
    EXPECT_FALSE(shared.holds_too_many(0));
}

struct Door final : AcceptHandler {
    void on_accept(io::File, const PeerAddress&, uint32_t listener) override {
        EXPECT_EQ(listener, 0U);
        ++accepted;
    }
    int accepted = 0;
};

// Core 0 of two; the other one's figures are set by hand.
struct SharedAcceptorTest : ::testing::Test {
    SharedAcceptorTest() {
        shared.set_taking(1, true);
        acceptor.add(kListener, &shared);
        acceptor.start();
        core.settle();
    }
    ~SharedAcceptorTest() override {
        acceptor.pause();
        core.settle();
        EXPECT_TRUE(acceptor.quiet());
        EXPECT_EQ(core.ring.operations(), 0U);
    }
    void connect(int n) {
        for (int i = 0; i < n; ++i)
            core.ring.connect(kListener);
    }
    test::FakeCore core;
    SharedListener shared{2};
    Door door;
    Acceptor acceptor{core.reactor, 2, true, door};
};

TEST_F(SharedAcceptorTest, StandsBackAtItsShareAndLeavesTheRestToTheOthers) {
    connect(200);
    core.settle();
    EXPECT_GE(door.accepted, 34);
    EXPECT_LE(door.accepted, 34 + static_cast<int>(Acceptor::kSharedBurst));
    EXPECT_EQ(core.ring.operations(), 0U) << "no accept is armed";

    // The other core has taken its part: this one goes on by itself.
    come(shared, 1, 100);
    core.advance(milliseconds(10) + 2 * io::TimerWheel::kTick);
    EXPECT_GT(door.accepted, 100);
    EXPECT_EQ(shared.held(0), static_cast<uint64_t>(door.accepted));
}

TEST_F(SharedAcceptorTest, ComesAgainWhenItsConnectionsLeave) {
    connect(200);
    core.settle();
    int const before = door.accepted;
    while (shared.holds_too_many(0))
        acceptor.left(0);
    core.settle();
    EXPECT_GT(door.accepted, before);
}

TEST_F(SharedAcceptorTest, TakesEverybodyWhileTheOtherCoreTakesNobody) {
    connect(100);
    core.settle();
    EXPECT_LT(door.accepted, 100);
    shared.set_taking(1, false);
    core.advance(milliseconds(10) + 2 * io::TimerWheel::kTick);
    EXPECT_EQ(door.accepted, 100);
}

TEST_F(SharedAcceptorTest, APausedOneIsNotWaitedForAndStartsAnew) {
    connect(200);
    core.settle();
    acceptor.pause();
    core.settle();
    come(shared, 1, 1000);
    EXPECT_FALSE(shared.holds_too_many(1));
    core.advance(seconds(1));
    int const before = door.accepted;
    acceptor.start();
    core.settle();
    EXPECT_EQ(door.accepted, 200);
    EXPECT_LT(before, 200);
}

}  // namespace
}  // namespace rc::net
