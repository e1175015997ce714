// What is true of the kernel alone, and why the rules of io::Ring are what they are.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "ringcast/io/uring.h"
#include "support/ring_contract.h"

namespace rc::contract {
namespace {

constexpr io::UringOptions kSmall{
    .submissions = 16, .buffers = 8, .buffer_bytes = 256, .direct_files_max = 16};

struct Uring : RingContract {};

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
    auto const next_descriptor = [] {
        int const descriptor = ::dup(0);
        ::close(descriptor);
        return descriptor;
    };
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

std::vector<Variant> real_ones() {
    auto all = variants();
    all.resize(1);
    return all;
}
INSTANTIATE_TEST_SUITE_P(Ring, Uring, ::testing::ValuesIn(real_ones()),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace rc::contract
