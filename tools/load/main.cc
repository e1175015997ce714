// The load generator: the connection engine in the client's role, and nothing of the server.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <fstream>

#include "control.h"
#include "ringcast/base/log.h"
#include "worker.h"

namespace rc::load {
namespace {

constexpr int kStatusFaults = 1, kStatusRingRefused = 78;
constexpr int kNiceGivesWay = 10;

std::string utc_now() {
    std::time_t const now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    std::array<char, 32> text;
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

bool write_file(const std::string& path, const std::string& text) {
    if (path == "-") return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    if (file) return true;
    log::announce("ringcast-load: cannot write " + path);
    return false;
}

int run(const Settings& settings) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    int const signals = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    ::prctl(PR_SET_TIMERSLACK, 1UL);  // schedules are kept to the microsecond; threads inherit it
    log::start(log::Level::warning);

    auto clock = io::make_system_clock();
    auto entropy = io::make_system_entropy();
    auto shared = std::make_unique<Shared>(settings);
    Report report;
    report.started = utc_now();
    report.machine = describe_machine();
    reactor::Mesh mesh(settings.threads + 1);
    std::vector<reactor::CorePlan> plans;
    for (uint32_t i = 0; i < settings.threads; ++i) {
        // Beside one that is not as busy: a message is not to wait for the others' turns.
        bool const gives_way = settings.targeted_clients > 0 && i + 1 < settings.threads;
        plans.push_back({.name = fmt::format("load-{}", i),
                         .cpu = std::nullopt,
                         .ring = {.gather_max = settings.gather},
                         .make =
                             [&, i, chance = entropy->next()](reactor::Reactor& reactor) {
                                 return std::make_unique<Worker>(reactor, *shared, i, chance);
                             },
                         .nice = gives_way ? kNiceGivesWay : 0});
    }
    plans.push_back({.name = "load-control",
                     .cpu = std::nullopt,
                     .ring = {.direct_files_max = 4'096},
                     .make = [&, chance = entropy->next()](reactor::Reactor& reactor) {
                         return std::make_unique<Control>(reactor, *shared, report, signals, chance);
                     }});
    auto const done = reactor::run_cores(mesh, *clock, plans, nullptr);
    log::stop();
    ::close(signals);
    if (!done) {
        log::announce("ringcast-load: " + done.error().message);
        return kStatusRingRefused;
    }
    report.complete(*shared);
    bool written = true;
    if (!settings.quiet && settings.json_file != "-") {
        auto const text = to_text(report, settings);
        std::fwrite(text.data(), 1, text.size(), stdout);
    }
    if (!settings.json_file.empty()) written &= write_file(settings.json_file, to_json(report, settings));
    if (!settings.report_file.empty()) written &= write_file(settings.report_file, to_html(report, settings));
    return report.clean() && written ? 0 : kStatusFaults;
}

}  // namespace
}  // namespace rc::load

int main(int argc, char** argv) {
    rc::load::Settings settings;
    if (auto const status = rc::load::read_settings(argc, argv, settings)) return *status;
    return rc::load::run(settings);
}
