#include "procfs.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace rc::load {
namespace {

constexpr uint64_t kMs = 1'000'000;

MachineReading reading(int64_t at_ms, uint64_t server_ms, uint64_t busy_ms,
                       std::map<int, uint64_t> processes_ms) {
    MachineReading out;
    out.cpu = {.at_ns = at_ms * static_cast<int64_t>(kMs), .server_ns = server_ms * kMs, .own_ns = 100 * kMs};
    out.busy_ns = busy_ms * kMs;
    for (auto [pid, ms] : processes_ms)
        out.processes[pid] = ms * kMs;
    return out;
}

TEST(CpuUse, ChargesTheServerWithWhatNobodyOwns) {
    auto const before = reading(1'000, 50, 500, {{1, 10}, {7, 50}});
    auto const after = reading(2'000, 650, 1'400, {{1, 110}, {7, 650}});
    auto const use = between(before, after, 7);
    EXPECT_DOUBLE_EQ(use.seconds, 1);
    EXPECT_EQ(use.server_ns, 600 * kMs);
    EXPECT_EQ(use.unowned_ns, 200 * kMs) << "900 were busy, 700 have an owner";
    EXPECT_EQ(use.others_ns, 100 * kMs);
    EXPECT_EQ(use.charged_ns(), 800 * kMs);
}

TEST(CpuUse, CountsWhatHasEndedAmongItsParentsChildren) {
    // 9 had used 300 before, and 20 more until it ended; 1 has waited for it.
    auto const before = reading(0, 0, 0, {{1, 10}, {9, 300}});
    auto const after = reading(1'000, 0, 25, {{1, 335}});
    auto const use = between(before, after, std::nullopt);
    EXPECT_EQ(use.others_ns, 25 * kMs);
    EXPECT_EQ(use.unowned_ns, 0U);
}

TEST(Meter, FindsItsOwnProcessInEveryReading) {
    Meter const meter(static_cast<int>(::getpid()));
    auto const cpu = meter.read_cpu();
    EXPECT_GT(cpu.server_ns, 0U);
    EXPECT_GT(cpu.own_ns, 0U);
    auto const machine = meter.read_machine();
    EXPECT_TRUE(machine.processes.contains(static_cast<int>(::getpid())));
    auto const memory = meter.read_memory(3);
    EXPECT_GT(memory.server_rss_bytes, 1'000'000U);
    EXPECT_GT(memory.slab_bytes, 1'000'000U);
    EXPECT_EQ(memory.connections, 3U);
}

}  // namespace
}  // namespace rc::load
