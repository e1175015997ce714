#include "ringcast/store/memory_log.h"

#include <gtest/gtest.h>

#include "log_harness.h"

namespace rc::store {
namespace {

using Verdict = AppendAnswer::Verdict;

TEST(MemoryLog, FullMemoryRefusesNewMessagesAndAnswersRepeats) {
    Harness h(std::make_unique<MemoryLog>(MemoryLog::Options{.memory_max = 100'000}));
    auto const first = h.append(Harness::with_key(Harness::message_to({"ada"}, "{}"), "k"));
    AppendAnswer last;
    for (int i = 0; i < 200; ++i)
        last = h.send("ada", std::string(1'000, 'x'));
    EXPECT_EQ(last.verdict, Verdict::unavailable);
    EXPECT_LE(h.log.figures().bytes, 100'000u);
    auto const published = h.out.publications().size();
    EXPECT_EQ(
        h.append(Harness::with_key(Harness::message_to({"eve"}, std::string(100'000, 'x')), "big")).verdict,
        Verdict::unavailable);
    EXPECT_EQ(h.out.publications().size(), published);
    EXPECT_EQ(h.log.figures().keys, 1u);  // a refused request is not remembered
    EXPECT_EQ(h.append(Harness::with_key(Harness::message_to({"ada"}, "{}"), "k")).offset, first.offset);
    EXPECT_EQ(h.since("ada", 0).unread_count, 0u);  // reading goes on
}

TEST(MemoryLog, GivesTheMemoryOfWhatExpiredBack) {
    Harness h(std::make_unique<MemoryLog>(MemoryLog::Options{.retention = hours(48)}));
    for (int i = 0; i < 100; ++i) {
        h.notify(std::to_string(i), "n", "{}");
        h.send(std::to_string(i), std::string(100, 'x'));
        h.mark(std::to_string(i), "n");
        h.append(Harness::with_key(Harness::message_to({"x", "y"}, "{}"), std::to_string(i)));
    }
    EXPECT_GT(h.log.figures().bytes, 100'000u);
    h.now += hours(48);
    h.run();
    EXPECT_EQ(h.log.figures().users, 0u);
    EXPECT_EQ(h.log.figures().keys, 0u);
    EXPECT_EQ(h.log.figures().bytes, 0u);
}

TEST(MemoryLog, SweepIsSlicedAndEnds) {
    MemoryLog log({.retention = hours(10), .sweep_per_step = 10});
    Recorder out;
    WallTime now{hours(1)};
    for (int i = 0; i < 100; ++i)
        ASSERT_TRUE(log.submit(Harness::message_to({std::to_string(i)}, "{}")));
    while (log.step(now, out)) {
    }
    EXPECT_EQ(log.figures().users, 100u);
    now += hours(10);
    EXPECT_TRUE(log.step(now, out));
    EXPECT_EQ(log.figures().users, 90u);
    int steps = 1;
    while (log.step(now, out))
        ++steps;
    EXPECT_EQ(log.figures().users, 0u);
    EXPECT_LE(steps, 11);
    EXPECT_FALSE(log.step(now, out));
}

}  // namespace
}  // namespace rc::store
