#include <cerrno>

#include "support/ring_contract.h"

namespace rc::contract {
namespace {

struct Queue : RingContract {
    /// So many operations that complete at once.
    std::vector<Request*> ready(uint32_t n) {
        int const descriptor = world().pollable();
        world().make_readable(descriptor);
        std::vector<Request*> out;
        for (uint32_t i = 0; i < n; ++i)
            out.push_back(&poll(descriptor));
        return out;
    }
    static uint32_t done(const std::vector<Request*>& requests) {
        uint32_t n = 0;
        for (auto* request : requests)
            n += request->done();
        return n;
    }
};

TEST_P(Queue, ACompletionComesFromReapAndNoOtherCall) {
    auto& client = connect();
    client.peer->deliver("early");
    auto& request = receive(client);
    EXPECT_TRUE(request.said.empty());
    ring().submit_and_wait(milliseconds(10));
    ring().submit_and_wait(Duration::zero());
    EXPECT_TRUE(request.said.empty());
    run_until([&] { return request.bytes() == "early"; }, "it is reaped");
}

// on_completion() would complain of a second completion of any.
TEST_P(Queue, AFullSubmissionQueueIsHandedOverAndNothingIsLostOrDoubled) {
    start({.submissions = 4});
    auto const requests = ready(500);
    EXPECT_EQ(done(requests), 0U);
    run_until([&] { return done(requests) == 500; }, "all complete");
    for (auto* request : requests)
        EXPECT_GT(request->result(), 0);
}

TEST_P(Queue, AFullCompletionQueueLosesNothing) {
    start({.submissions = 4});
    auto const first = ready(200);
    for (int i = 0; i < 10; ++i)
        ring().submit_and_wait(Duration::zero());
    auto const second = ready(200);
    for (int i = 0; i < 10; ++i)
        ring().submit_and_wait(Duration::zero());
    EXPECT_EQ(done(first) + done(second), 0U);
    run_until([&] { return done(first) + done(second) == 400; }, "all complete");
}

// A sink that starts more than it was told about, while both queues are full.
TEST_P(Queue, ASinkMayStartWhatItLikes) {
    start({.submissions = 4});
    int const descriptor = world().pollable();
    world().make_readable(descriptor);
    uint32_t started = 0, completed = 0;
    std::function<void(Request&)> more = [&](Request& request) {
        EXPECT_TRUE(request.done());
        ++completed;
        for (int i = 0; i < 8 && started < 2'000; ++i) {
            ++started;
            poll(descriptor).then = more;
        }
    };
    ++started;
    poll(descriptor).then = more;
    run_until([&] { return completed == started; }, "all complete");
    EXPECT_EQ(completed, 2'000U);
}

TEST_P(Queue, ReapCallsNoMoreThanItWasAskedForAndTheRestDoesNotSleep) {
    auto const requests = ready(10);
    ring().submit_and_wait(Duration::zero());
    uint32_t seen = 0;
    for (int i = 0; i < 100 && seen < 9; ++i) {
        auto const n = reap(3);
        EXPECT_LE(n, 3U);
        seen += n;
        ASSERT_EQ(done(requests), seen);
        // A minute, if it slept.
        if (seen < 10) ring().submit_and_wait(seconds(60));
    }
    run_until([&] { return done(requests) == 10; }, "the last one");
}

TEST_P(Queue, ReapOfAnEmptyQueueIsNothing) {
    rest();
    EXPECT_EQ(reap(), 0U);
}

TEST_P(Queue, TokensCrossTheKernelUnchanged) {
    for (uint32_t slot : {0U, 1U, 0x5a5a5aU, limits::kSlotsMax - 1}) {
        for (uint32_t generation : {0U, 1U, 0x80000000U, UINT32_MAX}) {
            auto& request = make(io::Kind::poll);
            request.token.slot = slot;
            request.token.generation = generation;
            int const descriptor = world().pollable();
            ring().poll(request.op, request.token, descriptor);
            world().make_readable(descriptor);
            run(request);  // its sink would complain of a stranger
            EXPECT_GT(request.result(), 0);
        }
    }
}

TEST_P(Queue, EachTableHasItsSink) {
    struct Other final : io::CompletionSink {
        void on_completion(const io::Completion& completion) override { seen.push_back(completion.token); }
        std::vector<io::Token> seen;
    };
    Other first, last;
    ring().bind(0, first);
    ring().bind(15, last);
    int const descriptor = world().pollable();
    world().make_readable(descriptor);
    io::Operation one, two;
    io::Token const to_first{3, 4, 0, io::Kind::poll}, to_last{3, 4, 15, io::Kind::poll};
    ring().poll(one, to_first, descriptor);
    ring().poll(two, to_last, descriptor);
    for (int i = 0; i < 1'000 && (first.seen.empty() || last.seen.empty()); ++i) {
        ring().submit_and_wait(milliseconds(10));
        ring().reap(100);
    }
    one.finish();
    two.finish();
    EXPECT_EQ(first.seen, std::vector{to_first});
    EXPECT_EQ(last.seen, std::vector{to_last});
}

TEST_P(Queue, AWaitEndsWithItsTime) {
    auto const before = completions();
    ring().submit_and_wait(milliseconds(5));
    ring().submit_and_wait(Duration::zero());
    reap();
    EXPECT_EQ(completions(), before);
}

TEST_P(Queue, AnInterruptedWaitLosesNothing) {
    auto& client = connect();
    auto& request = receive(client);
    world().interrupt_waits(true);
    for (int i = 0; i < 20; ++i) {
        client.peer->deliver("again ");
        turn(milliseconds(5));
    }
    run_until([&] { return request.bytes().size() == 120; }, "all of it comes");
    world().interrupt_waits(false);
    EXPECT_FALSE(request.done());
}

TEST_P(Queue, StatsCountWhatHappened) {
    auto& client = connect();
    auto const before = ring().stats();
    run(send(client, "four"));
    auto& request = receive(client);
    client.peer->deliver("x");
    run_until([&] { return request.bytes() == "x"; }, "it comes");
    client.peer->end();
    run(request);
    auto const after = ring().stats();
    EXPECT_EQ(after.sends - before.sends, 1U);
    EXPECT_EQ(after.receives - before.receives, 2U);
    EXPECT_EQ(after.completions - before.completions, 3U);
    EXPECT_GT(after.enters, before.enters);
}

struct Poll : RingContract {};

TEST_P(Poll, CompletesOnceWhenThereIsSomethingToRead) {
    int const descriptor = world().pollable();
    auto& request = poll(descriptor);
    rest();
    EXPECT_FALSE(request.done());
    world().make_readable(descriptor);
    run(request);
    EXPECT_GT(request.result(), 0);
    auto& again = poll(descriptor);
    run(again);
    EXPECT_GT(again.result(), 0) << "it is the state that counts, not the change";
    world().make_unreadable(descriptor);
    auto& later = poll(descriptor);
    rest();
    EXPECT_FALSE(later.done());
    EXPECT_EQ(request.said.size(), 1U);
}

TEST_P(Poll, OfNoDescriptorFails) {
    auto& request = poll(-1);
    run(request);
    EXPECT_EQ(request.result(), -EBADF);
}

struct Wake : RingContract {};

TEST_P(Wake, EndsAWait) {
    auto const sleeper = world().sleeper();
    for (int i = 0; i < 5; ++i) {
        sleeper->begin_wait();
        ring().wake(sleeper->ring());
        turn(Duration::zero());
        EXPECT_TRUE(sleeper->woken());
        sleeper->reap();
    }
}

TEST_P(Wake, ThatComesBeforeTheWaitIsNotLost) {
    auto const sleeper = world().sleeper();
    for (int i = 0; i < 5; ++i) {
        ring().wake(sleeper->ring());
        turn(Duration::zero());
        sleeper->begin_wait();
        EXPECT_TRUE(sleeper->woken());
        sleeper->reap();
    }
}

// More bells than the sleeper's queue has places, and nobody takes them.
TEST_P(Wake, IsHeardThroughAFullQueue) {
    start({.submissions = 4});
    auto const sleeper = world().sleeper();
    for (int i = 0; i < 200; ++i)
        ring().wake(sleeper->ring());
    rest();
    sleeper->begin_wait();
    EXPECT_TRUE(sleeper->woken());
    // Those that did not fit may come again and again, until there is room.
    for (int i = 0; i < 100; ++i) {
        sleeper->reap();
        rest();
    }
    ring().wake(sleeper->ring());
    turn(Duration::zero());
    sleeper->begin_wait();
    EXPECT_TRUE(sleeper->woken());
}

TEST_P(Wake, IsNoCompletionOfTheRingThatRings) {
    auto const sleeper = world().sleeper();
    auto const before = completions();
    ring().wake(sleeper->ring());
    rest();
    EXPECT_EQ(completions(), before + 1) << "only rest()'s own";
}

INSTANTIATE_TEST_SUITE_P(Ring, Queue, ::testing::ValuesIn(variants()),
                         [](const auto& one) { return one.param.name; });
INSTANTIATE_TEST_SUITE_P(Ring, Poll, ::testing::ValuesIn(variants()),
                         [](const auto& one) { return one.param.name; });
INSTANTIATE_TEST_SUITE_P(Ring, Wake, ::testing::ValuesIn(variants()),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace rc::contract
