// ringcast-sim: the whole server in virtual time, one run a seed (docs/testing.md).
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "commit.h"
#include "report.h"
#include "ringcast/base/log.h"
#include "run.h"

namespace {

using rc::sim::Histogram;

constexpr std::string_view kUsage =
    "usage: ringcast-sim --seed N [--steps N] [--trace]\n"
    "       ringcast-sim --seeds FROM..TO | --count N [--jobs N] [--steps N] [--histogram]\n"
    "\n"
    "  --seed N          runs one seed, and prints it, the commit and the digest of what happened\n"
    "  --trace           says what happens, too\n"
    "  --seeds FROM..TO  runs all of these, both ends included\n"
    "  --count N         runs as many, from a seed that the time has drawn\n"
    "  --jobs N          in as many processes (1)\n"
    "  --steps N         of each run's part with faults, instead of what its seed has drawn\n"
    "  --histogram       prints how often each fault was injected\n"
    "\n"
    "The first seed that fails is printed with what was violated; the status is 1 then.\n";

struct Arguments {
    uint64_t first = 1, last = 1;
    uint32_t steps = 0, jobs = 1;
    bool one = false, histogram = false, trace = false;
};

struct Outcome {
    Histogram histogram;
    uint64_t seeds = 0, digests = 0;
};

[[noreturn]] void usage(int status) {
    fmt::print(status == 0 ? stdout : stderr, "{}", kUsage);
    std::exit(status);
}

uint64_t number(std::string_view text) {
    uint64_t value = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) usage(2);
    return value;
}

Arguments parse(int argc, char** argv) {
    Arguments out;
    bool chosen = false;
    for (int i = 1; i < argc; ++i) {
        std::string_view const name = argv[i];
        if (name == "--help") usage(0);
        if (name == "--histogram") {
            out.histogram = true;
            continue;
        }
        if (name == "--trace") {
            out.trace = true;
            continue;
        }
        if (i + 1 == argc) usage(2);
        std::string_view const value = argv[++i];
        if (name == "--seed") {
            out.first = out.last = number(value);
            out.one = chosen = true;
        } else if (name == "--seeds") {
            auto const dots = value.find("..");
            if (dots == std::string_view::npos) usage(2);
            out.first = number(value.substr(0, dots));
            out.last = number(value.substr(dots + 2));
            chosen = true;
        } else if (name == "--count") {
            auto const now = std::chrono::system_clock::now().time_since_epoch();
            out.first = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count()) *
                        1'000'000;
            out.last = out.first + number(value) - 1;
            chosen = true;
        } else if (name == "--steps") {
            out.steps = static_cast<uint32_t>(number(value));
        } else if (name == "--jobs") {
            out.jobs = static_cast<uint32_t>(number(value));
        } else {
            usage(2);
        }
    }
    if (!chosen || out.last < out.first || out.jobs == 0) usage(2);
    return out;
}

Outcome run_every(const Arguments& arguments, uint64_t first) {
    Outcome out;
    for (uint64_t seed = first; seed <= arguments.last; seed += arguments.jobs) {
        out.digests += rc::sim::run(seed, arguments.steps, out.histogram);
        ++out.seeds;
    }
    return out;
}

void add(Outcome& sum, const Outcome& one) {
    sum.seeds += one.seeds;
    sum.digests += one.digests;
    for (std::size_t i = 0; i < rc::sim::kFaults; ++i) {
        sum.histogram.injected[i] += one.histogram.injected[i];
        sum.histogram.runs[i] += one.histogram.runs[i];
    }
    sum.histogram.turns += one.histogram.turns;
    sum.histogram.connections += one.histogram.connections;
    sum.histogram.publications += one.histogram.publications;
    sum.histogram.posted += one.histogram.posted;
    sum.histogram.texts += one.histogram.texts;
}

// Each job in a process of its own; the first that fails ends them all.
bool run_jobs(const Arguments& arguments, Outcome& sum) {
    struct Job {
        pid_t process;
        int pipe;
    };
    std::vector<Job> jobs;
    for (uint32_t i = 0; i < arguments.jobs; ++i) {
        int ends[2];
        if (::pipe(ends) != 0) return false;
        pid_t const process = ::fork();
        if (process == 0) {
            auto const outcome = run_every(arguments, arguments.first + i);
            bool const told = ::write(ends[1], &outcome, sizeof(outcome)) == sizeof(outcome);
            ::_exit(told ? 0 : 1);
        }
        ::close(ends[1]);
        if (process < 0) return false;
        jobs.push_back({process, ends[0]});
    }
    bool good = true;
    for (std::size_t ended = 0; ended < jobs.size(); ++ended) {
        int status = 0;
        pid_t const process = ::wait(&status);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
        if (good) {
            for (const auto& job : jobs) {
                if (job.process != process) ::kill(job.process, SIGTERM);
            }
        }
        good = false;
    }
    for (const auto& job : jobs) {
        Outcome one;
        if (good && ::read(job.pipe, &one, sizeof(one)) == sizeof(one)) add(sum, one);
        ::close(job.pipe);
    }
    return good;
}

void print_histogram(const Outcome& outcome) {
    fmt::print("{:<18} {:>12} {:>12}\n", "fault", "injected", "runs with it");
    for (std::size_t i = 0; i < rc::sim::kFaults; ++i) {
        fmt::print("{:<18} {:>12} {:>12}\n", rc::sim::fault_name(static_cast<rc::sim::Fault>(i)),
                   outcome.histogram.injected[i], outcome.histogram.runs[i]);
    }
    auto const& h = outcome.histogram;
    fmt::print("{} turns, {} connections, {} publications sent, {} posted, {} deliveries\n", h.turns,
               h.connections, h.publications, h.posted, h.texts);
}

}  // namespace

int main(int argc, char** argv) {
    auto const arguments = parse(argc, argv);
    rc::log::start(rc::log::Level::error);
    rc::log::stop();  // what is said from here on is said by the caller
    rc::sim::report_crashes();
    {
        // What libraries allocate once for the process is there before anything is counted.
        Histogram none;
        rc::sim::warm_up(none);
    }
    rc::sim::tracing = arguments.trace;
    if (arguments.one) {
        Histogram histogram;
        auto const digest = rc::sim::run(arguments.first, arguments.steps, histogram);
        fmt::print("seed {} commit {} digest {:016x}\n", arguments.first, RINGCAST_COMMIT, digest);
        return 0;
    }
    fmt::print("seeds {}..{} commit {}\n", arguments.first, arguments.last, RINGCAST_COMMIT);
    std::fflush(stdout);
    auto const began = std::chrono::steady_clock::now();
    Outcome sum;
    if (!run_jobs(arguments, sum)) return 1;
    auto const took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (arguments.histogram) print_histogram(sum);
    fmt::print("{} seeds, no finding, {:.1f} s, {:.2f} ms a seed and job, digest {:016x}\n", sum.seeds, took,
               1000 * took * arguments.jobs / static_cast<double>(sum.seeds), sum.digests);
    return 0;
}
