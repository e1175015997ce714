#include <algorithm>
#include <cerrno>

#include "support/ring_contract.h"

namespace rc::contract {
namespace {

struct Send : RingContract {
    /// Takes from the peer until so many bytes have come.
    std::string take(Connection& connection, std::size_t bytes) {
        std::string all;
        run_until([&] { return (all += connection.peer->take()).size() >= bytes; }, "the peer gets it");
        return all;
    }
};

TEST_P(Send, PartsAreGatheredInOrderAndTheVectorIsFreeAfterTheCall) {
    auto& client = connect();
    for (std::size_t n : {std::size_t{1}, std::size_t{2}, std::size_t{9}, std::size_t{io::kSendPartsMax}}) {
        auto& request = make(io::Kind::send);
        request.text = pattern(n * 3);
        std::vector<iovec> parts;
        for (std::size_t i = 0; i < n; ++i)
            parts.push_back({request.text.data() + i * 3, 3});
        ring().send(request.op, request.token, client.file, parts);
        std::fill(parts.begin(), parts.end(), iovec{nullptr, 1'000});
        run(request);
        EXPECT_EQ(request.result(), static_cast<int32_t>(n * 3));
        EXPECT_EQ(take(client, n * 3), request.text);
    }
}

// More gathered sends than the submission queue has entries, each with as many parts as there may be.
TEST_P(Send, ManyGatheredSendsAtOnceKeepTheirPartsApart) {
    start({.submissions = 4});
    std::vector<Connection*> clients;
    std::vector<Request*> requests;
    for (int i = 0; i < 20; ++i)
        clients.push_back(&connect());
    for (std::size_t i = 0; i < clients.size(); ++i) {
        auto& request = make(io::Kind::send);
        request.text = pattern(io::kSendPartsMax * 2, static_cast<char>('A' + i));
        std::vector<iovec> parts;
        for (std::size_t at = 0; at < request.text.size(); at += 2)
            parts.push_back({request.text.data() + at, 2});
        ring().send(request.op, request.token, clients[i]->file, parts);
        requests.push_back(&request);
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
        run(*requests[i]);
        EXPECT_EQ(take(*clients[i], requests[i]->text.size()), requests[i]->text);
    }
}

TEST_P(Send, MayBeShortAndTheRestFollowsInOrder) {
    auto& client = connect();
    auto const text = pattern(300'000);
    std::string got;
    std::size_t sent = 0;
    uint32_t short_ones = 0;
    while (sent < text.size() && !HasFailure()) {
        auto& request = send(client, text.substr(sent));
        run_until(
            [&] {
                got += client.peer->take();
                return request.done();
            },
            "a send ends while the peer reads");
        ASSERT_GT(request.result(), 0);
        short_ones += static_cast<std::size_t>(request.result()) < request.text.size();
        sent += static_cast<std::size_t>(request.result());
    }
    EXPECT_GE(short_ones, 1U);
    got += take(client, text.size() - got.size());
    EXPECT_EQ(got, text);
}

TEST_P(Send, WaitsWhileThePeerDoesNotReadAndGoesOnWhenItDoes) {
    auto& client = connect();
    std::string sent;
    auto& waiting = fill(client, sent);
    rest();
    EXPECT_FALSE(waiting.done());
    std::string got;
    run_until(
        [&] {
            got += client.peer->take();
            return waiting.done();
        },
        "the send goes on");
    ASSERT_GT(waiting.result(), 0);
    sent.append(waiting.text, 0, static_cast<std::size_t>(waiting.result()));
    got += take(client, sent.size() - got.size());
    EXPECT_EQ(got, sent);
}

TEST_P(Send, AReceiveGoesOnWhileASendWaits) {
    auto& client = connect();
    auto& request = receive(client);
    std::string sent;
    auto& waiting = fill(client, sent);
    client.peer->deliver("heard");
    run_until([&] { return request.bytes() == "heard"; }, "the peer is heard");
    EXPECT_FALSE(waiting.done());
}

TEST_P(Send, APeerThatHasHalfClosedStillReads) {
    auto& client = connect();
    client.peer->end();
    EXPECT_EQ(receive_all(client, 1, io::ReceiveMode::multishot), "");
    auto& request = send(client, "answer");
    run(request);
    EXPECT_EQ(request.result(), 6);
    EXPECT_EQ(take(client, 6), "answer");
}

// The first send finds out; a broken pipe is a result, not a signal.
TEST_P(Send, ToAPeerThatHasHungUpEndsWithAnError) {
    auto& client = connect();
    client.peer->hang_up();
    int32_t result = 0;
    for (int i = 0; i < 1'000 && result >= 0; ++i) {
        auto& request = send(client, "x");
        run(request);
        result = request.result();
    }
    EXPECT_TRUE(result == -EPIPE || result == -ECONNRESET) << result;
}

TEST_P(Send, AResetEndsASendThatIsWaiting) {
    auto& client = connect();
    std::string sent;
    auto& waiting = fill(client, sent);
    client.peer->reset();
    run(waiting);
    EXPECT_TRUE(waiting.result() == -ECONNRESET || waiting.result() == -EPIPE) << waiting.result();
}

struct Shutdown : Send {};

TEST_P(Shutdown, PutsTheFinBehindTheBytesAndReceivingGoesOn) {
    auto& client = connect();
    auto& request = receive(client);
    run(send(client, "goodbye"));
    if (direct()) {
        auto& shutdown = shut_down(client);
        run(shutdown);
        EXPECT_EQ(shutdown.result(), 0);
    } else {
        auto& unused = make(io::Kind::shutdown);
        EXPECT_TRUE(ring().shutdown_send(unused.op, unused.token, client.file));
        EXPECT_TRUE(unused.done());
    }
    std::string got;
    run_until(
        [&] {
            got += client.peer->take();
            return client.peer->sees_end();
        },
        "the peer sees the end");
    EXPECT_EQ(got, "goodbye");
    client.peer->deliver("still here");
    run_until([&] { return request.bytes() == "still here"; }, "receiving goes on");
}

TEST_P(Shutdown, OfAConnectionThatIsGoneSaysSo) {
    auto& client = connect();
    auto& request = receive(client);
    client.peer->reset();
    run(request);
    if (direct()) {
        auto& shutdown = shut_down(client);
        run(shutdown);
        EXPECT_EQ(shutdown.result(), -ENOTCONN);
    } else {
        auto& unused = make(io::Kind::shutdown);
        EXPECT_TRUE(ring().shutdown_send(unused.op, unused.token, client.file));
    }
}

INSTANTIATE_TEST_SUITE_P(Ring, Send, ::testing::ValuesIn(variants()),
                         [](const auto& one) { return one.param.name; });
INSTANTIATE_TEST_SUITE_P(Ring, Shutdown, ::testing::ValuesIn(variants()),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace rc::contract
