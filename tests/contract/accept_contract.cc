#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <set>

#include "support/ring_contract.h"

namespace rc::contract {
namespace {

Address address_in(const io::PeerBuffer& peer) {
    sockaddr_storage storage{};
    std::memcpy(&storage, peer.storage.data(), peer.storage.size());
    return *Address::from_sockaddr(storage, peer.size);
}

struct Accept : RingContract {
    Connection& take_over(Request& accepted) {
        auto& connection = connections.emplace_back();
        connection.file = {accepted.result(), direct()};
        return connection;
    }
    std::deque<Connection> connections;  // closed by the tests themselves
};

TEST_P(Accept, WaitsForAClientAndSaysWhoItIs) {
    for (auto which : {Listener::v4, Listener::v6}) {
        if (world().listener(which) < 0) continue;  // a host without IPv6
        auto& request = accept(which);
        rest();
        EXPECT_FALSE(request.done());
        auto const peer = world().knock(which);
        run(request);
        ASSERT_GE(request.result(), 0);
        EXPECT_EQ(address_in(request.peer), peer->address());
        auto& connection = take_over(request);
        peer->deliver("hello");
        auto& bytes = receive(connection, io::ReceiveMode::once);
        run(bytes);
        EXPECT_EQ(bytes.bytes(), "hello");
        run(close(connection));
    }
}

TEST_P(Accept, EachOfSeveralTakesOneClient) {
    std::vector<std::unique_ptr<Peer>> peers;
    std::vector<Request*> requests;
    for (int i = 0; i < 10; ++i)
        requests.push_back(&accept());
    for (int i = 0; i < 7; ++i)
        peers.push_back(world().knock(Listener::v4));
    std::set<int32_t> files;
    std::set<std::string> addresses;
    run_until(
        [&] {
            files.clear();
            addresses.clear();
            for (auto* request : requests) {
                if (!request->done()) continue;
                files.insert(request->result());
                addresses.insert(address_in(request->peer).format());
            }
            return files.size() == 7;
        },
        "seven are taken");
    EXPECT_EQ(addresses.size(), 7U);
    EXPECT_GE(*files.begin(), 0);
    for (int32_t const file : files) {
        Connection connection{{file, direct()}, nullptr};
        run(close(connection));
    }
}

TEST_P(Accept, AClientThatIsGoneAlreadyIsAcceptedAndThenFoundOut) {
    auto const peer = world().knock(Listener::v4);
    peer->reset();
    auto& request = accept();
    run(request);
    ASSERT_GE(request.result(), 0);
    auto& connection = take_over(request);
    auto& bytes = receive(connection);
    run(bytes);
    EXPECT_EQ(bytes.result(), -ECONNRESET);
    run(close(connection));
}

TEST_P(Accept, WithoutADescriptorItFailsAndTheClientWaits) {
    if (direct()) GTEST_SKIP() << "the process's limit does not count direct descriptors";
    auto const descriptor = world().listener(Listener::v4);
    world().exhaust_descriptors(true);
    auto& without_client = accept_at(descriptor);
    run(without_client);
    EXPECT_EQ(without_client.result(), -EMFILE) << "also while nobody knocks";
    world().exhaust_descriptors(false);
    auto const peer = world().knock(Listener::v4);
    world().exhaust_descriptors(true);
    auto& refused = accept_at(descriptor);
    run(refused);
    EXPECT_EQ(refused.result(), -EMFILE);
    EXPECT_FALSE(peer->sees_end());
    world().exhaust_descriptors(false);
    auto& accepted = accept_at(descriptor);
    run(accepted);
    ASSERT_GE(accepted.result(), 0);
    EXPECT_EQ(address_in(accepted.peer), peer->address());
    run(close(take_over(accepted)));
}

TEST_P(Accept, AFullTableDropsTheClientAndServesTheNextWhenAPlaceIsFree) {
    if (!direct()) GTEST_SKIP() << "it is about the ring's own table";
    start({.direct_files = 3});
    EXPECT_EQ(ring().stats().direct_slots, 3U);
    auto& first = connect();
    connect();
    connect();
    auto& refused = accept();
    rest();
    EXPECT_FALSE(refused.done()) << "it is the client that finds no place";
    auto const dropped = world().knock(Listener::v4);
    run(refused);
    EXPECT_EQ(refused.result(), -ENFILE);
    run_until([&] { return dropped->take().empty() && dropped->sees_end(); }, "the client is told");
    run(close(first));
    auto& next = connect();
    next.peer->deliver("in");
    EXPECT_EQ(receive_all(next, 2, io::ReceiveMode::multishot), "in");
}

TEST_P(Accept, OfSomethingThatDoesNotListenFails) {
    auto& request = accept_at(-1);
    run(request);
    EXPECT_EQ(request.result(), -EBADF);
}

TEST_P(Accept, ThatIsCancelledLeavesTheClientToTheNext) {
    auto& cancelled = accept();
    rest();
    cancel(cancelled);
    run(cancelled);
    EXPECT_EQ(cancelled.result(), -ECANCELED);
    // At the same time as a client comes: one of the two accepts has it.
    auto& races = accept();
    rest();
    auto const peer = world().knock(Listener::v4);
    cancel(races);
    run(races);
    auto& has_it = races.result() == -ECANCELED ? accept() : races;
    run(has_it);
    ASSERT_GE(has_it.result(), 0);
    EXPECT_EQ(address_in(has_it.peer), peer->address());
    run(close(take_over(has_it)));
}

struct Close : RingContract {};

TEST_P(Close, IsAnOperationAndThePeerSeesTheEnd) {
    auto& client = connect();
    run(send(client, "goodbye"));
    auto& request = close(client);
    EXPECT_FALSE(request.done());
    run(request);
    EXPECT_EQ(request.result(), 0);
    EXPECT_EQ(request.said.size(), 1U);
    std::string got;
    run_until(
        [&] {
            got += client.peer->take();
            return client.peer->sees_end();
        },
        "the peer sees the end");
    EXPECT_EQ(got, "goodbye");
}

TEST_P(Close, OfAFileThatIsClosedAlreadyFailsAndSoDoesAllElse) {
    auto& client = connect();
    run(close(client));
    auto& bytes = receive(client);
    auto& once = receive(client, io::ReceiveMode::once);
    auto& request = send(client, "nowhere");
    run_until([&] { return bytes.done() && once.done() && request.done(); }, "all are refused");
    EXPECT_EQ(bytes.result(), -EBADF);
    EXPECT_EQ(once.result(), -EBADF);
    EXPECT_EQ(request.result(), -EBADF);
    if (direct()) {
        auto& shutdown = shut_down(client);
        run(shutdown);
        EXPECT_EQ(shutdown.result(), -EBADF);
    }
    auto& again = close(client);
    run(again);
    EXPECT_EQ(again.result(), -EBADF);
}

TEST_P(Close, DiscardClosesAndSaysNothing) {
    auto& client = connect();
    auto const before = completions();
    ring().discard(client.file);
    client.open = false;
    run_until([&] { return client.peer->sees_end(); }, "the peer sees the end");
    EXPECT_EQ(completions(), before);
}

TEST_P(Close, APlaceIsFreeAgainAfterCloseAndDiscard) {
    start({.direct_files = 2});
    for (int i = 0; i < 20; ++i) {
        auto &one = connect(), &two = connect();
        run(close(one));
        ring().discard(two.file);
        two.open = false;
        rest();
    }
}

// Join before close: who comes to the same place next gets its own bytes and no others.
TEST_P(Close, TheNextConnectionInThePlaceIsAStrangerToTheLast) {
    start({.direct_files = 1});
    for (int i = 0; i < 20; ++i) {
        auto& client = connect();
        auto& request = receive(client);
        rest();
        auto const own = "I am " + std::to_string(i);
        client.peer->deliver(own);
        run_until([&] { return request.bytes() == own; }, "its own bytes come");
        if (i % 2 == 0) client.peer->deliver("too late");
        cancel(request);
        run(request);
        run(close(client));
        run_until([&] { return client.peer->sees_end(); }, "the last one is told");
        EXPECT_TRUE(request.bytes() == own || request.bytes() == own + "too late");
    }
}

INSTANTIATE_TEST_SUITE_P(Ring, Accept, ::testing::ValuesIn(variants()),
                         [](const auto& one) { return one.param.name; });
INSTANTIATE_TEST_SUITE_P(Ring, Close, ::testing::ValuesIn(variants()),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace rc::contract
