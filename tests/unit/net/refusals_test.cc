#include "ringcast/net/refusals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>

#include "../../support/fake_core.h"
#include "ringcast/net/acceptor.h"

namespace rc::net {
namespace {

using io::Kind;
constexpr std::array kKinds{Kind::accept, Kind::recv, Kind::send, Kind::shutdown, Kind::close, Kind::poll};
constexpr int kErrnoMax = 133;

struct Owner final : StreamHandler, AcceptHandler {
    explicit Owner(test::FakeCore& c, net::Waits waits = net::Waits::multishot)
        : core(c), stream(c.streams, *this) {
        file = core.ring.open_socket();
        EXPECT_TRUE(stream.open(file, waits));
        core.settle();
    }
    ~Owner() {
        core.ring.let_go(Kind::recv);
        stream.begin_close();
        core.settle();
        EXPECT_TRUE(closed);
        EXPECT_EQ(core.ring.operations(), 0U);
    }
    void on_bytes(std::string_view bytes) override { received += bytes; }
    void on_end() override {}
    void on_drained() override {}
    void on_closed() override { closed = true; }
    void on_accept(io::File, const PeerAddress&, uint32_t) override {}
    test::FakeSocket& socket() { return core.ring.socket(file); }

    test::FakeCore& core;
    HeldStream stream;
    io::File file;
    std::string received;
    bool closed = false;
};

TEST(Refusals, EveryErrnoOfEveryOperationHasARemedyAndFewAreFatal) {
    for (auto kind : kKinds) {
        Refusals refusals;
        int fatal = 0;
        for (int error = 1; error <= kErrnoMax; ++error) {
            if (expected_remedy(kind, error) == Remedy::fatal) {
                ++fatal;
                continue;
            }
            testing::internal::CaptureStderr();
            auto const remedy = refusals.judge(kind, -error);
            auto const said = testing::internal::GetCapturedStderr();
            EXPECT_EQ(said.empty(), expected_remedy(kind, error).has_value());
            EXPECT_EQ(remedy, expected_remedy(kind, error).value_or(Remedy::close));
        }
        EXPECT_LE(fatal, 4);
    }
}

TEST(Refusals, WhatIsNotExpectedClosesAndIsSaidOnceForEachOperationAndErrno) {
    Refusals refusals;
    testing::internal::CaptureStderr();
    for (int i = 0; i < 1'000; ++i) {
        EXPECT_EQ(refusals.judge(Kind::recv, -EXDEV), Remedy::close);
        EXPECT_EQ(refusals.judge(Kind::send, -EXDEV), Remedy::close);
        EXPECT_EQ(refusals.judge(Kind::send, -100'000), Remedy::close);
    }
    auto const said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 3) << said;
    EXPECT_NE(said.find("a receive was refused"), std::string::npos) << said;
    EXPECT_NE(said.find("Invalid cross-device link (18)"), std::string::npos) << said;
    EXPECT_EQ(refusals.unexpected.value(), 3'000U);
}

TEST(RefusalsDeathTest, ABrokenPromiseOfOurOwnEndsTheProcessAndIsNamed) {
    Refusals refusals;
    EXPECT_DEATH(refusals.judge(Kind::recv, -EFAULT), "a receive is refused: Bad address");
    EXPECT_DEATH(refusals.judge(Kind::accept, -EBADF), "an accept is refused: Bad file descriptor");
}

// What an errno of a stream's operation does to the stream is what the table says of it.
struct StreamRefusals : ::testing::Test {
    /// Tries each errno of this operation that is not fatal.
    static void each(Kind kind, const std::function<void(int error, Remedy remedy)>& attempt) {
        testing::internal::CaptureStderr();  // what is not expected is said, and tested above
        for (int error = 1; error <= kErrnoMax; ++error) {
            auto const remedy = expected_remedy(kind, error).value_or(Remedy::close);
            SCOPED_TRACE(error);
            if (remedy != Remedy::fatal) attempt(error, remedy);
        }
        testing::internal::GetCapturedStderr();
    }
};

TEST_F(StreamRefusals, OfAReceive) {
    each(Kind::recv, [](int error, Remedy remedy) {
        test::FakeCore core;
        Owner owner(core);
        owner.socket().receive_error = error;
        core.settle();
        EXPECT_EQ(owner.closed, remedy == Remedy::close);
        EXPECT_EQ(core.streams.metrics.receive_parked.value(), remedy == Remedy::rearm ? 1U : 0U);
        if (owner.closed) return;
        owner.socket().deliver("heard");
        core.settle();
        EXPECT_EQ(owner.received, "heard");
    });
}

// A connection that waits by a poll for its next receive: none of them ends the process but those of a
// receive.
TEST_F(StreamRefusals, OfAPollIsAsOfAReceive) {
    each(Kind::recv, [](int error, Remedy remedy) {
        test::FakeCore core;
        Owner owner(core, net::Waits::poll);
        owner.socket().poll_error = error;
        core.settle();
        EXPECT_EQ(owner.closed, remedy != Remedy::retry);
        if (owner.closed) return;
        owner.socket().deliver("heard");
        core.settle();
        EXPECT_EQ(owner.received, "heard");
    });
    EXPECT_EQ(expected_remedy(Kind::recv, EBADF).value_or(Remedy::close), Remedy::close);
    EXPECT_EQ(expected_remedy(Kind::recv, ENOMEM), Remedy::close);
}

TEST_F(StreamRefusals, OfASend) {
    each(Kind::send, [](int error, Remedy remedy) {
        test::FakeCore core;
        Owner owner(core);
        owner.socket().send_error = error;
        owner.stream.queue(FrameRef(SharedBytes::copy_of("hello")));
        core.settle();
        EXPECT_EQ(owner.closed, remedy == Remedy::close);
        EXPECT_EQ(owner.socket().sent, owner.closed ? "" : "hello");
    });
}

TEST_F(StreamRefusals, OfAShutdown) {
    each(Kind::shutdown, [](int error, Remedy remedy) {
        test::FakeCore core;
        Owner owner(core);
        owner.socket().shutdown_error = error;
        owner.stream.finish();
        core.settle();
        EXPECT_EQ(owner.closed, remedy == Remedy::close);
        EXPECT_EQ(owner.socket().fin_sent, !owner.closed);
    });
}

TEST_F(StreamRefusals, OfACloseMeansThatItIsClosed) {
    each(Kind::close, [](int error, Remedy) {
        test::FakeCore core;
        Owner owner(core);
        owner.socket().close_error = error;
        owner.stream.begin_close();
        core.settle();
        EXPECT_TRUE(owner.closed);
        EXPECT_EQ(core.streams.open_streams(), 0U);
    });
}

// The client behind the refused accept is taken: at once, or after a while.
TEST_F(StreamRefusals, OfAnAccept) {
    each(Kind::accept, [](int error, Remedy remedy) {
        test::FakeCore core;
        Owner owner(core);
        Acceptor acceptor(core.reactor, 2, true, owner);
        acceptor.add(7);
        acceptor.start();
        core.ring.fail_accept(7, error);
        core.ring.connect(7);
        core.settle();
        EXPECT_EQ(acceptor.metrics.accepted.value(), remedy == Remedy::retry ? 1U : 0U);
        core.advance(seconds(1));
        EXPECT_EQ(acceptor.metrics.accepted.value(), 1U);
        acceptor.pause();
        core.settle();
    });
}

// The peer resets while the half-close is under way, and no receive tells.
TEST(Stream, AHalfCloseOfAConnectionThatIsGoneClosesIt) {
    test::FakeCore core;
    Owner owner(core);
    core.ring.hold(Kind::recv);
    owner.socket().reset();
    owner.stream.finish();
    core.settle();
    EXPECT_TRUE(owner.stream.closing());
}

}  // namespace
}  // namespace rc::net
