#include <cerrno>

#include "support/ring_contract.h"

namespace rc::contract {
namespace {

using io::ReceiveMode;

struct Cancel : RingContract {};

TEST_P(Cancel, EndsAReceiveThatWaits) {
    for (auto mode : {ReceiveMode::once, ReceiveMode::multishot}) {
        auto& client = connect();
        auto& request = receive(client, mode);
        rest();
        cancel(request);
        EXPECT_TRUE(request.op.cancelling());
        EXPECT_TRUE(request.op.in_flight()) << "until its last completion";
        run(request);
        ASSERT_EQ(request.said.size(), 1U);
        EXPECT_EQ(request.result(), -ECANCELED);
        client.peer->deliver("still open");
        EXPECT_EQ(receive_all(client, 10, ReceiveMode::multishot), "still open");
    }
}

TEST_P(Cancel, TwiceIsOnceAndMayComeBeforeTheSubmission) {
    auto& client = connect();
    auto& request = receive(client);
    cancel(request);
    cancel(request);
    run(request);
    rest();
    ASSERT_EQ(request.said.size(), 1U);
    EXPECT_EQ(request.result(), -ECANCELED);
}

// Whichever is first, the bytes or the request to stop: exactly one last completion, and no byte is lost.
TEST_P(Cancel, OfAReceiveThatHasBytesLosesNone) {
    auto& client = connect();
    std::string all, delivered;
    for (int i = 0; i < 60; ++i) {
        auto const mode = i % 2 == 0 ? ReceiveMode::once : ReceiveMode::multishot;
        auto const text = pattern(300, static_cast<char>('A' + i));
        auto& request = receive(client, mode);
        if (i % 3 == 0) rest();
        client.peer->deliver(text);
        delivered += text;
        if (i % 5 == 0) ring().submit_and_wait(Duration::zero());  // completes, and is not reaped
        if (!request.done()) cancel(request);
        run(request);
        rest();
        EXPECT_TRUE(request.result() == -ECANCELED || request.result() == -ENOBUFS || request.result() > 0)
            << request.result();
        all += request.bytes();
    }
    all += receive_all(client, delivered.size() - all.size(), ReceiveMode::multishot);
    EXPECT_EQ(all, delivered);
}

TEST_P(Cancel, OfAReceiveThatIsOverAlreadyAddsNothing) {
    auto& client = connect();
    client.peer->end();
    auto& request = receive(client);
    ring().submit_and_wait(milliseconds(10));  // it is over, and nobody has been told
    cancel(request);
    run(request);
    rest();
    EXPECT_EQ(request.said.size(), 1U);
    EXPECT_TRUE(request.result() == 0 || request.result() == -ECANCELED) << request.result();
}

TEST_P(Cancel, OfASendThatWaitsMeansThatNothingOfItWasTaken) {
    auto& client = connect();
    std::string sent;
    auto& waiting = fill(client, sent);
    cancel(waiting);
    run(waiting);
    ASSERT_EQ(waiting.said.size(), 1U);
    EXPECT_EQ(waiting.result(), -ECANCELED);
    std::string got;
    run_until([&] { return (got += client.peer->take()).size() >= sent.size(); }, "the rest arrives");
    auto& last = send(client, "last");
    run(last);
    run_until([&] { return (got += client.peer->take()).size() >= sent.size() + 4; }, "and the next one");
    EXPECT_EQ(got, sent + "last");
}

// A receive and a send of one connection that closes: both last completions come, in either order.
TEST_P(Cancel, BothDirectionsEnd) {
    for (bool send_first : {false, true}) {
        auto& client = connect();
        auto& request = receive(client);
        std::string sent;
        auto& waiting = fill(client, sent);
        cancel(send_first ? waiting : request);
        cancel(send_first ? request : waiting);
        run_until([&] { return request.done() && waiting.done(); }, "both end");
        run(close(client));
        run_until([&] { return client.peer->take().empty() && client.peer->sees_end(); }, "the peer sees it");
    }
}

TEST_P(Cancel, HitsNoOperationButTheOneItNames) {
    auto& client = connect();
    auto& other_client = connect();
    auto& other_receive = receive(other_client);
    auto& kept_accept = accept();
    int const descriptor = world().pollable();
    auto& kept_poll = poll(descriptor);
    auto& request = receive(client);
    rest();
    cancel(request);
    run(request);
    rest();
    EXPECT_FALSE(other_receive.done() || kept_accept.done() || kept_poll.done());
    other_client.peer->deliver("unharmed");
    world().make_readable(descriptor);
    run_until([&] { return other_receive.bytes() == "unharmed" && kept_poll.done(); }, "the others go on");
    EXPECT_GT(kept_poll.result(), 0);
}

// The same slot with the next generation is another operation.
TEST_P(Cancel, TellsGenerationsApart) {
    auto &one = connect(), &two = connect();
    auto &first = make(io::Kind::recv), &second = make(io::Kind::recv);
    second.token = first.token;
    ++second.token.generation;
    ring().recv(first.op, first.token, one.file, ReceiveMode::multishot);
    ring().recv(second.op, second.token, two.file, ReceiveMode::multishot);
    rest();
    cancel(first);
    run(first);
    rest();
    EXPECT_FALSE(second.done());
}

TEST_P(Cancel, EndsAPoll) {
    int const descriptor = world().pollable();
    auto& request = poll(descriptor);
    rest();
    cancel(request);
    run(request);
    EXPECT_EQ(request.result(), -ECANCELED);
}

INSTANTIATE_TEST_SUITE_P(Ring, Cancel, ::testing::ValuesIn(variants()),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace rc::contract
