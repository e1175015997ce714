#include <cerrno>

#include "support/ring_contract.h"

namespace rc::contract {
namespace {

using io::ReceiveMode;

struct Receive : RingContract {};

TEST_P(Receive, BytesComeInOrderAndNoMoreAtOnceThanABufferHolds) {
    auto const text = pattern(5'000);
    for (auto mode : {ReceiveMode::once, ReceiveMode::multishot}) {
        auto& client = connect();
        for (std::size_t at = 0; at < text.size(); at += 500) {
            client.peer->deliver(std::string_view(text).substr(at, 500));
            turn(Duration::zero());
        }
        std::size_t most = 0;
        std::string all;
        while (all.size() < text.size() && !HasFailure()) {
            auto& request = receive(client, mode);
            request.then = [&](Request& it) {
                most = std::max(most, it.said.back().bytes.size());
                all += it.said.back().bytes;
            };
            run_until([&] { return request.done() || all.size() == text.size(); }, "bytes come");
            ASSERT_TRUE(request.result() > 0 || request.result() == -ENOBUFS) << request.result();
        }
        EXPECT_EQ(all, text);
        EXPECT_LE(most, 256U);
    }
}

TEST_P(Receive, WaitsForBytesAndMayWaitForLong) {
    auto& client = connect();
    auto& request = receive(client);
    rest();
    EXPECT_TRUE(request.said.empty());
    for (auto text : {"one", "two", "three"}) {
        auto const before = request.bytes();
        client.peer->deliver(text);
        run_until([&] { return request.bytes() == before + text; }, "each is told as it comes");
        EXPECT_FALSE(request.done());
    }
}

TEST_P(Receive, WhoAwaitsBytesHearsOnceThatThereAreSomeAndTakesNone) {
    auto& client = connect();
    auto& before = await_bytes(client);
    rest();
    EXPECT_TRUE(before.said.empty());
    client.peer->deliver("some bytes");
    run(before);
    EXPECT_GT(before.result(), 0);
    ASSERT_EQ(before.said.size(), 1U);
    auto& behind = await_bytes(client);  // they are there still
    run(behind);
    EXPECT_GT(behind.result(), 0);
    EXPECT_EQ(receive_all(client, 10, ReceiveMode::once), "some bytes");
    auto& none = await_bytes(client);
    rest();
    EXPECT_TRUE(none.said.empty());
    cancel(none);
    run(none);
    EXPECT_EQ(none.result(), -ECANCELED);
}

TEST_P(Receive, WhoAwaitsBytesHearsOfTheEndAndOfAResetToo) {
    auto& ending = connect();
    auto& end = await_bytes(ending);
    rest();
    ending.peer->end();
    run(end);
    EXPECT_GT(end.result(), 0);
    auto& zero = receive(ending, ReceiveMode::once);
    run(zero);
    EXPECT_EQ(zero.result(), 0);

    auto& breaking = connect();
    auto& broken = await_bytes(breaking);
    rest();
    breaking.peer->reset();
    run(broken);
    EXPECT_GT(broken.result(), 0);
    auto& error = receive(breaking, ReceiveMode::once);
    run(error);
    EXPECT_EQ(error.result(), -ECONNRESET);
}

TEST_P(Receive, OnceCompletesOnceAndLeavesTheRestInTheSocket) {
    auto& client = connect();
    client.peer->deliver(pattern(300));
    auto& first = receive(client, ReceiveMode::once);
    run(first);
    rest();
    ASSERT_EQ(first.said.size(), 1U);
    EXPECT_EQ(first.bytes(), pattern(300).substr(0, 256));
    auto& second = receive(client, ReceiveMode::once);
    run(second);
    EXPECT_EQ(second.bytes(), pattern(300).substr(256));
}

TEST_P(Receive, TheEndIsAZeroBehindTheBytesAndIsToldAgainWhenAsked) {
    for (auto mode : {ReceiveMode::once, ReceiveMode::multishot}) {
        auto& client = connect();
        client.peer->deliver("last words");
        client.peer->end();
        EXPECT_EQ(receive_all(client, 1'000, mode), "last words");
        for (int i = 0; i < 3; ++i) {
            auto& again = receive(client, mode);
            run(again);
            EXPECT_EQ(again.result(), 0);
            EXPECT_EQ(again.said.size(), 1U);
        }
    }
}

TEST_P(Receive, TheEndEndsAMultishotThatIsWaiting) {
    auto& client = connect();
    auto& request = receive(client);
    rest();
    client.peer->end();
    run(request);
    EXPECT_EQ(request.result(), 0);
}

TEST_P(Receive, AResetIsToldOnceBehindTheBytesAndThenLooksLikeTheEnd) {
    for (auto mode : {ReceiveMode::once, ReceiveMode::multishot}) {
        auto& client = connect();
        client.peer->deliver("last words");
        client.peer->reset();
        std::string all;
        Request* request = nullptr;
        do {
            request = &receive(client, mode);
            run(*request);
            all += request->bytes();
        } while (request->result() > 0);
        EXPECT_EQ(request->result(), -ECONNRESET);
        EXPECT_EQ(all, "last words");
        auto& again = receive(client, mode);
        run(again);
        EXPECT_EQ(again.result(), 0);
        auto& late = send(client, "x");
        run(late);
        EXPECT_EQ(late.result(), -EPIPE);
    }
}

TEST_P(Receive, AResetEndsAReceiveThatIsWaiting) {
    auto& client = connect();
    auto& request = receive(client);
    rest();
    client.peer->reset();
    run(request);
    EXPECT_EQ(request.result(), -ECONNRESET);
}

// Nothing answers for longer than the user timeout, while something is unsent.
TEST_P(Receive, APeerThatHasVanishedIsATimeout) {
    auto& client = connect(Listener::impatient);
    auto& request = receive(client);
    std::string sent;
    auto& waiting = fill(client, sent);
    client.peer->vanish();
    run_until([&] { return request.done() && waiting.done(); }, "both end");
    // One of them is told why.
    auto const why = std::pair{request.result(), waiting.result()};
    EXPECT_TRUE(why == std::pair(0, -ETIMEDOUT) || why == std::pair(-ETIMEDOUT, -EPIPE))
        << why.first << ' ' << why.second;
}

TEST_P(Receive, WithoutAFreeBufferItEndsAndNothingIsLost) {
    start({.buffers = 4, .buffer_bytes = 64});
    auto& client = connect();
    auto const text = pattern(2'000);
    client.peer->deliver(text);
    rest();
    world().exhaust_buffers(2);
    auto const before = ring().stats().buffer_shortages;
    uint32_t refused = 0;
    std::string all;
    while (all.size() < text.size() && !HasFailure()) {
        auto& request = receive(client);
        run_until([&] { return request.done() || all.size() + request.bytes().size() == text.size(); },
                  "bytes");
        all += request.bytes();
        if (request.done() && request.result() == -ENOBUFS) ++refused;
    }
    EXPECT_EQ(all, text);
    EXPECT_GE(refused, 1U);
    EXPECT_EQ(ring().stats().buffer_shortages - before, refused);
}

// One that takes all buffers of a moment must not silence its neighbour for good.
TEST_P(Receive, ANeighbourThatFindsNoBufferGetsItsBytesWhenItAsksAgain) {
    start({.buffers = 4, .buffer_bytes = 64});
    auto &greedy = connect(), &quiet = connect();
    greedy.peer->deliver(pattern(1'000));
    rest();
    world().exhaust_buffers(2);
    auto& much = receive(greedy);
    ring().submit_and_wait(Duration::zero());
    auto& refused = receive(quiet);
    ring().submit_and_wait(Duration::zero());  // all four are lent, or wait to be reaped
    run_until([&] { return much.done(); }, "the greedy one runs out of buffers");
    EXPECT_EQ(much.result(), -ENOBUFS);
    EXPECT_TRUE(!refused.done() || refused.result() == -ENOBUFS) << refused.result();
    quiet.peer->deliver("here");
    auto& asked = refused.done() ? receive(quiet) : refused;
    run_until([&] { return asked.bytes() == "here"; }, "the quiet one is heard");
}

// The flag says whether a buffer comes with a completion, not the result: those of ends and errors come back
// too.
TEST_P(Receive, NoBufferIsLostToEndsErrorsAndCancels) {
    start({.buffers = 4, .buffer_bytes = 64, .direct_files = 64});
    for (int i = 0; i < 6; ++i) {
        auto &ends = connect(), &resets = connect(), &cancelled = connect();
        auto &one = receive(ends), &two = receive(resets), &three = receive(cancelled);
        rest();
        ends.peer->end();
        resets.peer->reset();
        cancel(three);
        run_until([&] { return one.done() && two.done() && three.done(); }, "all end");
        EXPECT_EQ(one.result(), 0);
        EXPECT_EQ(two.result(), -ECONNRESET);
        EXPECT_EQ(three.result(), -ECANCELED);
        for (auto* connection : {&ends, &resets, &cancelled})
            run(close(*connection));
    }
    auto& client = connect();
    client.peer->deliver(pattern(4 * 64));
    rest();
    // All four in one go: with one fewer the receive would end before. (On Linux 6.1 it ends behind them,
    // since it asks for a fifth before it looks for bytes.)
    auto& request = receive(client);
    run_until([&] { return request.done() || request.bytes().size() == 4 * 64; }, "four buffers come");
    EXPECT_EQ(request.bytes(), pattern(4 * 64));
}

// Completions that nobody takes press upon the kernel; it may end a multishot for it.
TEST_P(Receive, NothingIsLostWhenTheCompletionQueueOverflows) {
    start({.submissions = 4, .buffers = 128, .buffer_bytes = 16});
    std::vector<Connection*> clients;
    std::vector<Request*> requests;
    std::vector<std::string> got(3);
    auto const text = pattern(640);
    for (int i = 0; i < 3; ++i)
        clients.push_back(&connect());
    for (auto* client : clients)
        requests.push_back(&receive(*client));
    ring().submit_and_wait(Duration::zero());
    for (auto* client : clients)
        client->peer->deliver(text);
    for (int i = 0; i < 20; ++i)
        ring().submit_and_wait(Duration::zero());  // completes more and more, and reaps none
    run_until(
        [&] {
            bool all = true;
            for (std::size_t i = 0; i < 3; ++i) {
                if (requests[i]->done()) {
                    EXPECT_TRUE(requests[i]->result() > 0 || requests[i]->result() == -ENOBUFS);
                    got[i] += requests[i]->bytes();
                    requests[i] = &receive(*clients[i]);
                }
                all &= (got[i] + requests[i]->bytes()).size() == text.size();
            }
            return all;
        },
        "all bytes come");
    for (std::size_t i = 0; i < 3; ++i)
        EXPECT_EQ(got[i] + requests[i]->bytes(), text);
}

INSTANTIATE_TEST_SUITE_P(Ring, Receive, ::testing::ValuesIn(variants()),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace rc::contract
