// What the store costs a publisher, through the whole server over HTTP.
//   build/bench/publish_bench build/src/main/ringcastd DIRECTORY
//   [latency|durable|batches|topics|trim|resume]...
// Writes to the disk of DIRECTORY. What is compared is run in turn, several times, beside what the disk
// itself takes in the same minute.
#include <sched.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "bare.h"
#include "clients.h"
#include "http.h"
#include "publishers.h"

namespace {

using namespace bench;

constexpr int kConnections = 64;

/// This process shares the first CPU, the server's first core's, for as long as this lives.
class OneCpu {
  public:
    OneCpu() {
        ::sched_getaffinity(0, sizeof before_, &before_);
        cpu_set_t first;
        CPU_ZERO(&first);
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
            if (CPU_ISSET(cpu, &before_)) {
                CPU_SET(cpu, &first);
                break;
            }
        ::sched_setaffinity(0, sizeof first, &first);
    }
    ~OneCpu() { ::sched_setaffinity(0, sizeof before_, &before_); }
    OneCpu(const OneCpu&) = delete;
    OneCpu& operator=(const OneCpu&) = delete;

  private:
    cpu_set_t before_;
};

const char* where(bool apart) {
    return apart ? "the store on a CPU of its own" : "all on all CPUs";
}

std::string one_line(int n, bool stored) {
    return fmt::format(R"({{"type":"{}","userId":"{}",{}"data":{}}})", stored ? "notification" : "custom",
                       user_of(n), stored ? "" : R"("store":false,)", data_of(n));
}

std::string stored_line(int n) {
    return one_line(n, true);
}
std::string live_line(int n) {
    return one_line(n, false);
}
std::string topic_line(int n) {
    return fmt::format(R"({{"type":"custom","topic":"t{}","data":{{"a":1}}}})", n % 100);
}

std::atomic<int> next_number{0};

/// Publishes at a steady rate whatever the answers take. @return times from when each was due, in ms
template <class Body>
std::vector<double> paced(uint16_t port, int per_second, double for_seconds, Body body) {
    std::vector<double> times;
    std::mutex mutex;
    std::vector<std::thread> threads;
    auto const start = Clock::now() + std::chrono::milliseconds(50);
    auto const step = std::chrono::duration<double>(1.0 / per_second);
    int const count = static_cast<int>(per_second * for_seconds);
    for (int t = 0; t < kConnections; ++t)
        threads.emplace_back([&, t] {
            Api api(port);
            std::vector<double> mine;
            for (int n = t; n < count; n += kConnections) {
                auto const due = start + std::chrono::duration_cast<Clock::duration>(step * n);
                std::this_thread::sleep_until(due);
                api.publish(body(next_number++));
                mine.push_back(seconds_since(due) * 1e3);
            }
            std::lock_guard const lock(mutex);
            times.insert(times.end(), mine.begin(), mine.end());
        });
    for (auto& thread : threads)
        thread.join();
    return times;
}

void latency(const std::string& program, const std::string& parent) {
    Directory const directory(parent);
    Server const server(program, directory.path + "/data");
    std::vector<double> syncs, live, stored;
    auto append = [](std::vector<double>& to, const std::vector<double>& from) {
        to.insert(to.end(), from.begin(), from.end());
    };
    for (int round = 0; round < 6; ++round) {
        append(syncs, sync_times(directory.path, 400));
        append(live, paced(server.api_port, 1'000, 3, live_line));
        append(stored, paced(server.api_port, 1'000, 5, stored_line));
    }
    fmt::print(
        "1,000 publishes/s: live p50 {:.2f} ms, p99 {:.2f} ms; stored p50 {:.2f} ms, p99 {:.2f} ms\n"
        "  the disk: write and sync of 4 KiB p50 {:.2f} ms, p99 {:.2f} ms; added by the store at p99 {:.2f} "
        "ms, allowed {:.2f} ms\n",
        quantile(live, 0.5), quantile(live, 0.99), quantile(stored, 0.5), quantile(stored, 0.99),
        quantile(syncs, 0.5), quantile(syncs, 0.99), quantile(stored, 0.99) - quantile(live, 0.99),
        quantile(syncs, 0.99) + 5);
    std::fflush(stdout);
}

struct Rate {
    double per_second = 0;
    double batch = 0;                       // requests a commit
    double store_cpu = 0, workers_cpu = 0;  // seconds a notification
    double clients_cpu = 0;                 // likewise, of this process
};

/// @param apart    the store's thread has a CPU of its own: there is one worker, and the clients are where it
///                 is. They stand for other machines, which take no CPU of the store's
/// @param clients  threads of this process
/// @param prepare  makes a thread's connections to a port, and what they publish, before the time begins;
///                 its publish() says how many
template <class Prepare>
Rate measure(const std::string& program, const std::string& parent, bool apart, int clients,
             Prepare prepare) {
    Directory const directory(parent);
    Server const server(program, directory.path + "/data", {}, apart ? 1 : 0);
    std::optional<OneCpu> together;
    if (apart) together.emplace();
    std::atomic<int> left{clients};
    std::atomic<bool> begin{false};
    std::atomic<int> sent{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < clients; ++t)
        threads.emplace_back([&] {
            auto const client = prepare(server.api_port);
            --left;
            while (!begin)
                std::this_thread::yield();
            sent += client->publish();
        });
    while (left > 0)
        std::this_thread::yield();
    auto const start = Clock::now();
    double const store_before = server.cpu_of("store"), workers_before = server.cpu_of("core-");
    double const clients_before = process_cpu();
    begin = true;
    for (auto& thread : threads)
        thread.join();
    double const took = seconds_since(start);
    double const clients_cpu = process_cpu() - clients_before;
    double const store_cpu = server.cpu_of("store") - store_before;
    double const workers_cpu = server.cpu_of("core-") - workers_before;
    auto const figures = Api(server.api_port).get("/api/stats");
    if (figure(figures, "notifications") != static_cast<uint64_t>(sent))
        throw std::runtime_error("not all that was answered is kept");
    return {sent / took,
            static_cast<double>(figure(figures, "batch_requests_total")) /
                static_cast<double>(figure(figures, "batches_total")),
            store_cpu / sent, workers_cpu / sent, clients_cpu / sent};
}

template <class Prepare>
void compare(const char* what, const std::string& program, const std::string& parent, bool apart, int clients,
             int count, Prepare prepare) {
    std::vector<double> ours, bare, ratios, syncs, batches, store_cpu, workers_cpu, clients_cpu, bare_cpu;
    for (int round = 0; round < 7; ++round) {
        auto const rate = measure(program, parent, apart, clients, prepare);
        ours.push_back(rate.per_second);
        batches.push_back(rate.batch);
        store_cpu.push_back(rate.store_cpu * 1e6);
        workers_cpu.push_back(rate.workers_cpu * 1e6);
        clients_cpu.push_back(rate.clients_cpu * 1e6);
        Awake const awake;
        double cpu = 0;
        bare.push_back(bare_rate(parent, count, std::max(1, static_cast<int>(rate.batch)), &cpu));
        bare_cpu.push_back(cpu * 1e6);
        ratios.push_back(ours.back() / bare.back());
        auto const more = sync_times(parent, 200);
        syncs.insert(syncs.end(), more.begin(), more.end());
    }
    fmt::print(
        "{}, {}: {:.0f} a second, {:.0f} a commit; bare loop of that batch size {:.0f}; ratio {:.2f}\n"
        "  CPU of a notification: the store's thread {:.2f} us, bare loop {:.2f} us; the workers {:.2f} us, "
        "the clients {:.2f} us\n"
        "  the disk: write and sync of 4 KiB p50 {:.2f} ms, p99 {:.2f} ms\n",
        what, where(apart), median(ours), median(batches), median(bare), median(ratios), median(store_cpu),
        median(bare_cpu), median(workers_cpu), median(clients_cpu), quantile(syncs, 0.5),
        quantile(syncs, 0.99));
    std::fflush(stdout);
}

void durable(const std::string& program, const std::string& parent, bool apart) {
    static constexpr int kEach = 500;
    compare("one by one from 64 connections", program, parent, apart, 1, kConnections * kEach,
            [](uint16_t port) {
                return std::make_unique<Publishers>(port, kConnections, kEach,
                                                    [] { return stored_line(next_number++); });
            });
}

/// One connection, which publishes batches.
class Batches {
  public:
    static constexpr int kBodies = 2, kLines = 25'000;

    explicit Batches(uint16_t port) : bodies_(kBodies), api_(port) {
        for (auto& body : bodies_)
            for (int line = 0; line < kLines; ++line)
                body += stored_line(next_number++) + '\n';
    }
    int publish() {
        for (const auto& body : bodies_) {
            auto const answer = api_.post("/api/publish", "application/x-ndjson", body);
            if (answer.find(fmt::format("\"accepted\":{}", kLines)) == std::string::npos)
                throw std::runtime_error(answer.substr(0, 200));
        }
        return kBodies * kLines;
    }

  private:
    std::vector<std::string> bodies_;
    Api api_;
};

void batches(const std::string& program, const std::string& parent, bool apart) {
    constexpr int kPublishers = 4;
    compare("NDJSON from 4 connections", program, parent, apart, kPublishers,
            kPublishers * Batches::kBodies * Batches::kLines,
            [](uint16_t port) { return std::make_unique<Batches>(port); });
}

/// Topics while as many other publications go through the store as go by it. With `apart` the store's thread
/// has a CPU of its own, so that what is left is what it does to the server, not what its use of a CPU does
/// to others.
void topics(const std::string& program, const std::string& parent, bool apart) {
    Directory const directory(parent);
    std::optional<OneCpu> together;
    Server const server(program, directory.path + "/data", {}, apart ? 1 : 0);
    if (apart) together.emplace();
    std::vector<double> with, without, middles, ratios;
    auto times_beside = [&](auto other) {
        std::vector<double> times;
        std::thread beside([&] { paced(server.api_port, 1'000, 4, other); });
        times = paced(server.api_port, 500, 4, topic_line);
        beside.join();
        return times;
    };
    for (int round = 0; round < 8; ++round) {
        std::vector<double> stored, live;
        if (round % 2 == 0) stored = times_beside(stored_line);
        live = times_beside(live_line);
        if (round % 2 == 1) stored = times_beside(stored_line);
        middles.push_back(quantile(stored, 0.5) / quantile(live, 0.5));
        ratios.push_back(quantile(stored, 0.99) / quantile(live, 0.99));
        with.insert(with.end(), stored.begin(), stored.end());
        without.insert(without.end(), live.begin(), live.end());
    }
    fmt::print(
        "topics, 500/s, beside 1,000/s to users, {}: stored ones p50 {:.2f} ms, p99 {:.2f} ms; live ones p50 "
        "{:.2f} ms, p99 {:.2f} ms; ratio of the p50s, median of 8 pairs {:.2f}, of the p99s {:.2f}\n",
        where(apart), quantile(with, 0.5), quantile(with, 0.99), quantile(without, 0.5),
        quantile(without, 0.99), median(middles), median(ratios));
    std::fflush(stdout);
}

/// Publications while inboxes are trimmed from 2,000 to 100 each.
void trim(const std::string& program, const std::string& parent) {
    constexpr int kTrimmed = 100, kMost = 2'000, kLeft = 100;
    Directory const directory(parent);
    auto settings = [](int kept) { return fmt::format("[inbox]\nnotifications_per_user = {}\n", kept); };
    {
        Server const server(program, directory.path + "/data", settings(kMost));
        Api api(server.api_port);
        for (int n = 0; n < kTrimmed * kMost;) {
            std::string body;
            for (int i = 0; i < 20'000; ++i, ++n)
                body += fmt::format(R"({{"type":"notification","userId":"trimmed-{}","data":{}}})",
                                    n % kTrimmed, data_of(next_number++)) +
                        '\n';
            api.post("/api/publish", "application/x-ndjson", body);
        }
    }
    Server const server(program, directory.path + "/data", settings(kLeft));
    Api stats(server.api_port);
    auto rows = [&] { return figure(stats.get("/api/stats"), "notifications"); };
    auto const before = rows();
    auto const start = Clock::now();
    std::vector<double> during, after;
    double took = 0;
    while (took == 0 && seconds_since(start) < 120) {
        auto const more = paced(server.api_port, 1'000, 1, stored_line);
        during.insert(during.end(), more.begin(), more.end());
        auto const others = static_cast<uint64_t>(during.size());
        if (rows() <= kTrimmed * kLeft + others) took = seconds_since(start);
    }
    for (int i = 0; i < 5; ++i) {
        auto const more = paced(server.api_port, 1'000, 1, stored_line);
        after.insert(after.end(), more.begin(), more.end());
    }
    fmt::print(
        "1,000 publishes/s while {} notifications are trimmed to {} ({:.1f} s): p50 {:.2f} ms, p99 {:.2f} "
        "ms; "
        "afterwards p50 {:.2f} ms, p99 {:.2f} ms\n",
        before, kTrimmed * kLeft, took, quantile(during, 0.5), quantile(during, 0.99), quantile(after, 0.5),
        quantile(after, 0.99));
    std::fflush(stdout);
}

/// Users come back with what they have not read.
void resume(const std::string& program, const std::string& parent) {
    constexpr int kResumers = 1'000, kUnread = 100, kRounds = 5;
    Directory const directory(parent);
    Server const server(program, directory.path + "/data");
    Api api(server.api_port);
    for (int n = 0; n < kResumers * kUnread;) {
        std::string body;
        for (int i = 0; i < 20'000; ++i, ++n)
            body += fmt::format(R"({{"type":"notification","userId":{},"data":{}}})", n % kResumers,
                                data_of(next_number++)) +
                    '\n';
        api.post("/api/publish", "application/x-ndjson", body);
    }
    for (const char* how : {R"("replay":"unread")", R"("since":"0")"}) {
        std::vector<double> times;
        for (int round = 0; round < kRounds; ++round) {
            Clients clients(server.client_port);
            auto const start = Clock::now();
            for (int user = 0; user < kResumers; ++user)
                clients.add(fmt::format(R"({{"userId":{},{}}})", user, how));
            clients.receive_until(kResumers * (1 + kUnread), [](uint64_t) {});
            times.push_back(seconds_since(start) * 1e3);
        }
        fmt::print(
            "resume of {} users with {} unread each, by {}: {:.0f} ms from the first connect to the last "
            "message, at most {:.0f} ms\n",
            kResumers, kUnread, how, median(times), *std::max_element(times.begin(), times.end()));
    }
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        fmt::print(stderr,
                   "publish_bench RINGCASTD DIRECTORY [latency|durable|batches|topics|trim|resume]...\n");
        return 2;
    }
    try {
        std::string const program = argv[1], parent = argv[2];
        std::vector<std::string> wanted(argv + 3, argv + argc);
        if (wanted.empty()) wanted = {"latency", "durable", "batches", "topics", "trim", "resume"};
        for (const auto& what : wanted) {
            if (what == "latency") latency(program, parent);
            for (bool const apart : {true, false}) {
                if (what == "durable") durable(program, parent, apart);
                if (what == "batches") batches(program, parent, apart);
                if (what == "topics") topics(program, parent, apart);
            }
            if (what == "trim") trim(program, parent);
            if (what == "resume") resume(program, parent);
        }
    } catch (const std::exception& error) {
        fmt::print(stderr, "publish_bench: {}\n", error.what());
        return 1;
    }
}
