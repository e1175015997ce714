#include "ringcast/base/shared_bytes.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

// A wrong count shows as a leak, a double free or a race: run under the sanitizers, these tests see each of
// them.
namespace rc {
namespace {

TEST(SharedBytes, EmptyHasNoBlock) {
    SharedBytes const none;
    EXPECT_FALSE(none);
    EXPECT_EQ(none.size(), 0U);
    EXPECT_EQ(none.view(), "");
    SharedBytes const copy = none;
    EXPECT_FALSE(copy);
}

TEST(SharedBytes, JoinsItsPartsInOrder) {
    auto const joined = SharedBytes::join({"ab", "", std::string_view("\0c", 2), {}});
    EXPECT_TRUE(joined);
    EXPECT_EQ(joined.view(), std::string_view("ab\0c", 4));
    EXPECT_TRUE(SharedBytes::join({}));
    EXPECT_EQ(SharedBytes::join({}).size(), 0U);
}

TEST(SharedBytes, CopiesShareTheBlockAndOutliveTheFirst) {
    auto first = SharedBytes::copy_of("frame");
    SharedBytes second = first;
    EXPECT_EQ(second.data(), first.data());
    first = SharedBytes();
    EXPECT_FALSE(first);
    EXPECT_EQ(second.view(), "frame");
}

TEST(SharedBytes, MovingLeavesNothingBehind) {
    auto first = SharedBytes::copy_of("frame");
    SharedBytes second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that is what is tested
    EXPECT_EQ(second.view(), "frame");
}

TEST(SharedBytes, AssigningToItselfKeepsTheBytes) {
    auto bytes = SharedBytes::copy_of("frame");
    auto& same = bytes;
    bytes = same;
    EXPECT_EQ(bytes.view(), "frame");
}

TEST(SharedBytes, ThreadsMayCopyAndDropAtOnce) {
    constexpr int kThreads = 4;
    constexpr int kRounds = 10'000;
    auto const shared = SharedBytes::copy_of("seen by all");
    std::vector<std::thread> threads;
    std::vector<std::size_t> seen(kThreads);
    for (int t = 0; t < kThreads; ++t)
        threads.emplace_back([&seen, t, mine = shared] {
            for (int i = 0; i < kRounds; ++i) {
                SharedBytes copy = mine;
                seen[static_cast<std::size_t>(t)] += copy.size();
            }
        });
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(seen, std::vector<std::size_t>(kThreads, kRounds * shared.size()));
    EXPECT_EQ(shared.view(), "seen by all");
}

TEST(SharedBytes, TheLastThreadFreesTheBlock) {
    for (int round = 0; round < 200; ++round) {
        auto bytes = SharedBytes::copy_of("short-lived");
        std::thread other([mine = bytes]() mutable { mine = SharedBytes(); });
        bytes = SharedBytes();
        other.join();
    }
}

TEST(FrameRef, ReferencesShareOneLease) {
    FrameRef const none;
    EXPECT_FALSE(none);
    FrameRef first(SharedBytes::copy_of("frame"));
    FrameRef second = first;
    EXPECT_EQ(second.view().data(), first.view().data());
    first = FrameRef();
    EXPECT_FALSE(first);
    EXPECT_EQ(second.view(), "frame");
    EXPECT_EQ(second.size(), 5U);
    FrameRef third = std::move(second);
    EXPECT_FALSE(second);  // NOLINT(bugprone-use-after-move): that is what is tested
    EXPECT_EQ(third.view(), "frame");
    auto& same = third;
    third = same;
    EXPECT_EQ(third.view(), "frame");
}

TEST(FrameRef, ACoresLeaseOutlivesThePublishersBytes) {
    auto bytes = SharedBytes::copy_of("frame");
    std::vector<FrameRef> queue(100, FrameRef(bytes));
    bytes = SharedBytes();
    EXPECT_EQ(queue.back().view(), "frame");
}

}  // namespace
}  // namespace rc
