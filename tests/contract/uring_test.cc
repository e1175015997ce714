// What is true of the kernel alone, and why the rules of io::Ring are what they are.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

#include "ringcast/io/uring.h"
#include "support/ring_contract.h"

namespace rc::contract {
namespace {

constexpr io::UringOptions kSmall{
    .submissions = 16, .buffers = 8, .buffer_bytes = 256, .direct_files_max = 16};

struct Uring : RingContract {};

int next_descriptor() {
    int const descriptor = ::dup(0);
    ::close(descriptor);
    return descriptor;
}

// One ring, one thread: the kernel refuses another (-EEXIST), and the process ends rather than losing
// completions.
TEST_P(Uring, OfAnotherThreadEndsTheProcess) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            auto const own = io::make_uring(kSmall);
            std::thread([&] { (*own)->submit_and_wait(Duration::zero()); }).join();
        },
        "io_uring_enter: (Invalid argument|File exists)");
}

// liburing 2.3 makes an ordinary descriptor of IORING_FILE_INDEX_ALLOC where a direct one was asked for.
TEST_P(Uring, DirectDescriptorsAreNoneOfTheProcess) {
    world().listener(Listener::v4);
    auto const peer = world().knock(Listener::v4);
    int const before = next_descriptor();
    auto& accepted = accept();
    run(accepted);
    ASSERT_GE(accepted.result(), 0);
    EXPECT_EQ(next_descriptor(), before);
    Connection connection{{accepted.result(), true}, nullptr};
    run(close(connection));
}

// Why a stream joins before it closes: a close ends no receive, which holds on to the old connection.
TEST_P(Uring, ACloseDoesNotEndAReceive) {
    start({.direct_files = 1});
    auto& first = connect();
    auto& forgotten = receive(first);
    rest();
    run(close(first));
    rest();
    EXPECT_FALSE(forgotten.done());
    auto& second = connect();
    EXPECT_EQ(second.file.index, first.file.index);
    first.peer->deliver("to the dead");
    run_until([&] { return forgotten.bytes() == "to the dead"; }, "it goes on receiving");
    cancel(forgotten);
    run(forgotten);
    EXPECT_EQ(forgotten.result(), -ECANCELED) << "by its token it is still found";
}

struct Adopted {
    explicit Adopted(uint32_t places) {
        auto options = kSmall;
        options.direct_files_max = places;
        ring = std::move(*io::make_uring(options));
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
        file = ring->adopt(ends[0]);
    }
    ~Adopted() {
        ring->discard(file);
        ring->submit_and_wait(Duration::zero());
        ::close(ends[1]);
    }
    std::unique_ptr<io::Ring> ring;
    std::array<int, 2> ends{};
    io::File file;
};

TEST_P(Uring, AnAdoptedSocketIsNoneOfTheProcess) {
    int const before = next_descriptor();
    Adopted adopted(2);
    if (!adopted.ring->stats().direct_files) GTEST_SKIP() << "this kernel closes direct files late";
    ASSERT_TRUE(adopted.file.direct);
    EXPECT_EQ(::fcntl(adopted.ends[0], F_GETFD), -1);
    EXPECT_NE(next_descriptor(), before) << "the far end and the ring are open";
    struct Sink : io::CompletionSink {
        void on_completion(const io::Completion& completion) override {
            bytes.append(completion.bytes);
            op.finish();
        }
        std::string bytes;
        io::Operation op;
    } sink;
    adopted.ring->bind(0, sink);
    adopted.ring->recv(sink.op, {1, 1, 0, io::Kind::recv}, adopted.file, io::ReceiveMode::once);
    ASSERT_EQ(::write(adopted.ends[1], "hello", 5), 5);
    while (sink.op.in_flight()) {
        adopted.ring->submit_and_wait(seconds(1));
        adopted.ring->reap(1);
    }
    EXPECT_EQ(sink.bytes, "hello");
}

// Others' completions that are there by then are not lost.
TEST_P(Uring, WhatATableHasNoPlaceForStaysAnOrdinaryDescriptor) {
    Adopted first(2);
    if (!first.ring->stats().direct_files) GTEST_SKIP() << "this kernel closes direct files late";
    std::array<int, 2> more{}, most{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, more.data()), 0);
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, most.data()), 0);
    struct Sink : io::CompletionSink {
        void on_completion(const io::Completion& completion) override {
            result = completion.result;
            op.finish();
        }
        int32_t result = 0;
        io::Operation op;
    } sink;
    first.ring->bind(0, sink);
    first.ring->poll(sink.op, {1, 1, 0, io::Kind::poll}, first.ends[1]);
    ::shutdown(first.ends[1], SHUT_RDWR);
    EXPECT_TRUE(first.ring->adopt(more[0]).direct);
    io::File const ordinary = first.ring->adopt(most[0]);
    EXPECT_FALSE(ordinary.direct);
    EXPECT_EQ(ordinary.index, most[0]);
    EXPECT_NE(::fcntl(most[0], F_GETFD), -1);
    first.ring->submit_and_wait(Duration::zero());
    first.ring->reap(8);
    EXPECT_GT(sink.result, 0);
    for (int descriptor : {more[1], most[0], most[1]})
        ::close(descriptor);
}

// A ring that gathers is woken by the first thing that comes, but not before it has waited for more.
TEST_P(Uring, GathersForAWhile) {
    auto options = kSmall;
    options.gather_max = milliseconds(30);
    options.gather_completions = 2;
    auto const ring = std::move(*io::make_uring(options));
    std::array<std::array<int, 2>, 2> pipes{};
    struct Sink : io::CompletionSink {
        void on_completion(const io::Completion& completion) override { ops[completion.token.slot].finish(); }
        std::array<io::Operation, 2> ops;
    } sink;
    ring->bind(0, sink);
    for (uint32_t i = 0; i < 2; ++i) {
        ASSERT_EQ(::pipe2(pipes[i].data(), O_CLOEXEC), 0);
        ring->poll(sink.ops[i], {i, 1, 0, io::Kind::poll}, pipes[i][0]);
    }
    auto const clock = io::make_system_clock();
    ASSERT_EQ(::write(pipes[0][1], "1", 1), 1);
    auto began = clock->now();
    ring->submit_and_wait(seconds(20));
    EXPECT_GE(clock->now() - began, milliseconds(30));
    EXPECT_LT(clock->now() - began, seconds(20));
    EXPECT_EQ(ring->reap(8), 1U);
    ring->poll(sink.ops[0], {0, 2, 0, io::Kind::poll}, pipes[0][0]);
    ASSERT_EQ(::write(pipes[1][1], "1", 1), 1);
    ring->submit_and_wait(seconds(20));
    EXPECT_EQ(ring->reap(8), 2U) << "both are there: no need to wait";
    for (auto& ends : pipes)
        for (int descriptor : ends)
            ::close(descriptor);
}

std::vector<Variant> real_ones() {
    auto all = variants();
    all.resize(1);
    return all;
}
INSTANTIATE_TEST_SUITE_P(Ring, Uring, ::testing::ValuesIn(real_ones()),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace rc::contract
