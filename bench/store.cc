// The log on disk against a bare SQLite loop, and what the disk itself takes.
//   build/bench/store_bench [DIRECTORY]       on the disk of DIRECTORY (default: the current one)
//   build/bench/store_bench DIRECTORY fill    makes DIRECTORY/ringcast.db: 1,000,000 users, 20 notifications
//   each
// Each pair of rows is run in turn, several times; the ratio is the median of the pairs'.
#include <cstdio>

#include "bare.h"
#include "ringcast/store/sqlite_log.h"

namespace {

using namespace bench;
constexpr int kRounds = 5;
constexpr WallTime kNow{hours(24 * 365 * 50)};

struct Counting final : Outcomes {
    uint64_t accepted = 0, records = 0;
    void publication(std::shared_ptr<const Publication>) override {}
    void read_mark(std::shared_ptr<const ReadMark>) override {}
    void settled(Ticket) override {}
    void answer(Answer answer) override {
        if (auto* appended = std::get_if<AppendAnswer>(&answer))
            accepted += appended->verdict == AppendAnswer::Verdict::accepted;
        if (auto* read = std::get_if<ReadAnswer>(&answer)) records += read->records.size();
    }
};

std::unique_ptr<SqliteLog> open_log(const std::string& directory) {
    SqliteLog::Options options;
    options.path = directory + "/log.db";
    options.fresh_epoch = "bench";
    auto log = SqliteLog::open(std::move(options));
    if (!log) throw std::runtime_error(log.error().message);
    return std::move(*log);
}

/// @return notifications a second, with a commit every `batch`
double log_rate(const std::string& parent, int count, int batch) {
    Directory const directory(parent);
    auto log = open_log(directory.path);
    Counting out;
    std::vector<Request> requests;
    requests.reserve(static_cast<std::size_t>(count));
    for (int n = 0; n < count; ++n)
        requests.emplace_back(notification(n));
    auto const start = Clock::now();
    for (int n = 0; n < count;) {
        for (int i = 0; i < batch && n < count; ++i, ++n)
            if (!log->submit(std::move(requests[static_cast<std::size_t>(n)])))
                throw std::runtime_error("the queue is full");
        log->step(kNow, out);
    }
    while (log->step(kNow, out)) {
    }
    double const rate = count / seconds_since(start);
    if (out.accepted != static_cast<uint64_t>(count)) throw std::runtime_error("not all were accepted");
    return rate;
}

void compare(const std::string& parent, int count, int batch) {
    std::vector<double> ours, bare, ratios;
    for (int i = 0; i < kRounds; ++i) {
        bool const first = i % 2 == 0;
        if (first) ours.push_back(log_rate(parent, count, batch));
        bare.push_back(bare_rate(parent, count, batch));
        if (!first) ours.push_back(log_rate(parent, count, batch));
        ratios.push_back(ours.back() / bare.back());
    }
    fmt::print("{:5} a commit: {:8.0f} notifications/s, bare loop {:8.0f}, ratio {:.2f}\n", batch,
               median(ours), median(bare), median(ratios));
}

void resume(const std::string& parent) {
    Directory const directory(parent);
    auto log = open_log(directory.path);
    Counting out;
    constexpr int kResumers = 1'000, kUnread = 100;
    for (int n = 0; n < kResumers * kUnread; ++n) {
        Append append = notification(n);
        append.publication->addressees[0].user.text = std::to_string(n % kResumers);
        if (!log->submit(std::move(append))) throw std::runtime_error("the queue is full");
        if (n % 1'000 == 999) log->step(kNow, out);
    }
    while (log->step(kNow, out)) {
    }
    auto const start = Clock::now();
    for (int user = 0; user < kResumers; ++user) {
        Read read{.user = UserId{std::to_string(user)},
                  .mode = Read::Mode::unread,
                  .records_max = 128,
                  .bytes_max = 128 << 10};
        if (!log->submit(std::move(read))) throw std::runtime_error("the queue is full");
    }
    while (log->step(kNow, out)) {
    }
    fmt::print("resume of {} users with {} unread each: {:.0f} ms ({} records)\n", kResumers, kUnread,
               seconds_since(start) * 1e3, out.records);
}

void fill(const std::string& directory) {
    constexpr int kAll = 1'000'000, kEach = 20, kTogether = 10'000;
    SqliteLog::Options options;
    options.path = directory + "/ringcast.db";
    options.durability = Durability::write;
    options.fresh_epoch = "bench";
    auto log = SqliteLog::open(std::move(options));
    if (!log) throw std::runtime_error(log.error().message);
    Counting out;
    auto const now = WallTime(std::chrono::system_clock::now().time_since_epoch());
    for (int n = 0; n < kAll / kTogether * kEach; ++n) {
        Append append = notification(n);
        append.publication->addressees.clear();
        for (int user = 0; user < kTogether; ++user)
            append.publication->addressees.push_back(
                {UserId{std::to_string(n % (kAll / kTogether) * kTogether + user)}});
        if (!(*log)->submit(std::move(append))) throw std::runtime_error("the queue is full");
        while ((*log)->step(now, out)) {
        }
    }
    fmt::print("{} users, {} notifications\n", (*log)->figures().users, (*log)->figures().notifications);
}

void fan_out(const std::string& parent) {
    Directory const directory(parent);
    auto log = open_log(directory.path);
    Counting out;
    for (int round = 0; round < 3; ++round) {
        Append append = notification(round);
        append.publication->addressees.clear();
        for (int user = 0; user < 10'000; ++user)
            append.publication->addressees.push_back({UserId{std::to_string(user)}});
        auto const start = Clock::now();
        if (!log->submit(std::move(append))) throw std::runtime_error("the queue is full");
        while (log->step(kNow, out)) {
        }
        fmt::print("one notification to 10,000 users, {}: {:.0f} ms\n", round == 0 ? "all new" : "all known",
                   seconds_since(start) * 1e3);
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        std::string const parent = argc > 1 ? argv[1] : ".";
        if (argc > 2 && std::string_view(argv[2]) == "fill") {
            fill(parent);
            return 0;
        }
        auto const syncs = sync_times(parent, 300);
        fmt::print("the disk: write and sync of 4 KiB p50 {:.2f} ms, p99 {:.2f} ms\n", quantile(syncs, 0.5),
                   quantile(syncs, 0.99));
        compare(parent, 20'000, 64);
        compare(parent, 100'000, 1'000);
        resume(parent);
        fan_out(parent);
    } catch (const std::exception& error) {
        fmt::print(stderr, "store_bench: {}\n", error.what());
        return 1;
    }
}
