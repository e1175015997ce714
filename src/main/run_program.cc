#include "run_program.h"

#ifdef RINGCAST_MIMALLOC
#include <mimalloc.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "command_line.h"
#include "ringcast/base/log.h"
#include "ringcast/server/server.h"
#include "service_manager.h"

namespace rc::main {
namespace {

// Blocked before any thread starts, so that only the signalfd gets them.
int take_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignore, nullptr);
    struct sigaction heard {};
    heard.sa_handler = SIG_DFL;  // nohup has it ignored, and what is ignored is never read
    ::sigaction(SIGHUP, &heard, nullptr);
    ::sigaction(SIGXFSZ, &ignore, nullptr);  // a file that may not grow is the store's business
    return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

// What is free in this thread's heap. Cost: some 0.1 ms for each MB that goes.
void give_memory_back() {
#ifdef RINGCAST_MIMALLOC
    mi_collect(false);
#endif
}

// /proc is no disk: none of the two waits. 0 bytes where a sandbox hides the file.
server::ProgramUse use() {
    server::ProgramUse use;
    if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
        unsigned long size = 0, resident = 0;  // pages
        if (std::fscanf(file, "%lu %lu", &size, &resident) == 2)
            use.resident_bytes = uint64_t{resident} * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
        std::fclose(file);
    }
    rusage cpu{};
    ::getrusage(RUSAGE_SELF, &cpu);
    use.cpu = seconds(cpu.ru_utime.tv_sec + cpu.ru_stime.tv_sec) +
              microseconds(cpu.ru_utime.tv_usec + cpu.ru_stime.tv_usec);
    return use;
}

}  // namespace

int run_program(int argc, char** argv, std::function<void(store::Moment)> at) {
    auto const parsed = parse_command_line(argc, argv);
    if (auto const* exit = std::get_if<Exit>(&parsed)) return print(*exit);
    auto const& command_line = std::get<CommandLine>(parsed);
    auto const config = load(command_line);
    if (command_line.check || !config) return print(report_check(config));

    int const signals = take_signals();
    log::start(config->log_level);
    for (const auto& warning : config->warnings)
        log::warning("{}", warning);
    auto const ready = [](const std::string& line) {
        log::announce(line);
        tell_ready(line);
    };
    auto const ran = server::run(*config, {.signals = signals,
                                           .ready = ready,
                                           .waiting = tell_waiting,
                                           .ending = tell_stopping,
                                           .reloading = tell_reload,
                                           .boot_id = boot_id(),
                                           .give_memory_back = give_memory_back,
                                           .version = RINGCAST_VERSION,
                                           .use = use,
                                           .at = std::move(at)});
    log::stop();
    if (ran) return 0;
    log::announce("ringcastd: " + ran.error().message);
    return server::exit_status(ran.error());
}

}  // namespace rc::main
