// The log in its SQLite file, on the disk of TMPDIR: notifications in transactions of a batch, without syncs.
// What a sync takes is the disk's business: bench/store.cc.
#include <benchmark/benchmark.h>

#include "../bare.h"
#include "ringcast/store/sqlite_log.h"

namespace bench {
namespace {

constexpr WallTime kNow{hours(24 * 365 * 50)};

struct Counting final : Outcomes {
    void publication(std::shared_ptr<const Publication>) override {}
    void read_mark(std::shared_ptr<const ReadMark>) override {}
    void settled(Ticket) override {}
    void answer(Answer answer) override {
        auto const* appended = std::get_if<AppendAnswer>(&answer);
        accepted += appended && appended->verdict == AppendAnswer::Verdict::accepted ? 1 : 0;
    }
    int64_t accepted = 0;
};

/// An item is a notification.
void store_batch(benchmark::State& state) {
    Directory const directory(std::filesystem::temp_directory_path());
    SqliteLog::Options options;
    options.path = directory.path + "/log.db";
    options.fresh_epoch = "bench";
    options.durability = Durability::write;
    auto log = SqliteLog::open(std::move(options));
    if (!log) return state.SkipWithError("the file cannot be made");
    Counting out;
    int n = 0;
    for (auto _ : state) {
        for (int64_t i = 0; i < state.range(0); ++i) {
            if (!(*log)->submit(Request(notification(n++)))) state.SkipWithError("the queue is full");
        }
        while ((*log)->step(kNow, out)) {
        }
    }
    if (out.accepted != n) state.SkipWithError("not all were accepted");
    state.SetItemsProcessed(n);
}
BENCHMARK(store_batch)->Arg(1)->Arg(64)->Arg(1'024)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace bench
