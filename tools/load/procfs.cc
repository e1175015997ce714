#include "procfs.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string_view>

namespace rc::load {
namespace {

int64_t monotonic_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

/// The file's first 64 KiB; empty if it cannot be read: a process may be gone.
std::string slurp(const std::string& path) {
    std::string out;
    FILE* file = std::fopen(path.c_str(), "re");
    if (!file) return out;
    out.resize(64 * 1024);
    out.resize(std::fread(out.data(), 1, out.size(), file));
    std::fclose(file);
    return out;
}

uint64_t number_at(std::string_view text) {
    uint64_t out = 0;
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

/// The number behind a name, e.g. "VmRSS:".
uint64_t number_of(std::string_view text, std::string_view name) {
    auto const at = text.find(name);
    return at == std::string_view::npos ? 0 : number_at(text.substr(at + name.size()));
}

/// The numbers among the names of a directory.
std::vector<int> numbers_in(const std::string& path) {
    std::vector<int> out;
    DIR* directory = ::opendir(path.c_str());
    if (!directory) return out;
    while (const dirent* entry = ::readdir(directory)) {
        int number = 0;
        auto const end = entry->d_name + std::strlen(entry->d_name);
        if (std::from_chars(entry->d_name, end, number).ptr == end && number > 0) out.push_back(number);
    }
    ::closedir(directory);
    return out;
}

uint64_t schedstat_ns(const std::string& task) {
    return number_at(slurp(task + "/schedstat"));
}

uint64_t tick_ns() {
    static const auto out = 1'000'000'000 / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
    return out;
}

/// Of a stat line, behind the name: fields 3 and up, `skip` of them left out.
std::string_view fields_behind_name(std::string_view stat, int skip) {
    auto const paren = stat.rfind(')');
    if (paren == std::string_view::npos) return {};
    auto rest = stat.substr(paren + 2);
    while (skip-- > 0) {
        auto const blank = rest.find(' ');
        if (blank == std::string_view::npos) return {};
        rest.remove_prefix(blank + 1);
    }
    return rest;
}

/// CPU time of a process: utime, stime, cutime and cstime, to a clock tick each.
uint64_t process_ns(int pid) {
    auto const stat = slurp(fmt::format("/proc/{}/stat", pid));
    uint64_t ticks = 0;
    for (int field = 11; field <= 14; ++field)
        ticks += number_at(fields_behind_name(stat, field));
    return ticks * tick_ns();
}

}  // namespace

Meter::Meter(std::optional<int> server_pid) : server_pid_(server_pid) {
    for (int pid : numbers_in("/proc"))
        if (slurp(fmt::format("/proc/{}/comm", pid)).starts_with("ksoftirqd/")) softirqds_.push_back(pid);
}

CpuReading Meter::read_cpu() const {
    CpuReading out;
    out.at_ns = monotonic_ns();
    if (server_pid_) {
        auto const tasks = fmt::format("/proc/{}/task", *server_pid_);
        for (int task : numbers_in(tasks))
            out.server_ns += schedstat_ns(fmt::format("{}/{}", tasks, task));
    }
    for (int pid : softirqds_)
        out.softirqd_ns += schedstat_ns(fmt::format("/proc/{}", pid));
    timespec own{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    out.own_ns = static_cast<uint64_t>(own.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(own.tv_nsec);
    return out;
}

MachineReading Meter::read_machine() const {
    MachineReading out;
    for (int pid : numbers_in("/proc"))
        out.processes[pid] = process_ns(pid);
    out.cpu = read_cpu();
    // Idle time is kept to the microsecond, the others are sampled once a tick: so busy is what is not idle.
    auto const stat = slurp("/proc/stat");
    std::array<uint64_t, 8> ticks{};
    std::string_view line = std::string_view(stat).substr(0, stat.find('\n'));
    for (auto& value : ticks) {
        auto const blank =
            line.find_first_of("0123456789", line.find(' ') == std::string_view::npos ? 0 : line.find(' '));
        if (blank == std::string_view::npos) break;
        line.remove_prefix(blank);
        value = number_at(line);
    }
    auto const elapsed =
        static_cast<uint64_t>(out.cpu.at_ns) * static_cast<uint64_t>(::sysconf(_SC_NPROCESSORS_ONLN));
    out.steal_ns = ticks[7] * tick_ns();
    out.busy_ns = elapsed - (ticks[3] + ticks[4]) * tick_ns() - out.steal_ns;
    return out;
}

CpuUse between(const MachineReading& before, const MachineReading& after, std::optional<int> server_pid) {
    CpuUse out;
    out.seconds = static_cast<double>(after.cpu.at_ns - before.cpu.at_ns) / 1e9;
    out.server_ns = server_pid ? after.cpu.server_ns - before.cpu.server_ns : 0;
    out.softirqd_ns = after.cpu.softirqd_ns - before.cpu.softirqd_ns;
    out.own_ns = after.cpu.own_ns - before.cpu.own_ns;
    out.steal_ns = after.steal_ns - before.steal_ns;
    int64_t known = 0;
    for (const auto& [pid, ns] : after.processes)
        known += static_cast<int64_t>(ns);
    // What has ended stands, whole, among its parent's children.
    for (const auto& [pid, ns] : before.processes)
        known -= static_cast<int64_t>(ns);
    known = std::max<int64_t>(known, 0);
    auto const busy = static_cast<int64_t>(after.busy_ns - before.busy_ns);
    out.unowned_ns = static_cast<uint64_t>(std::max<int64_t>(busy - known, 0));
    auto const ours = static_cast<int64_t>(out.server_ns + out.softirqd_ns + out.own_ns);
    out.others_ns = static_cast<uint64_t>(std::max<int64_t>(known - ours, 0));
    return out;
}

uint64_t Meter::server_rss_bytes() const {
    if (!server_pid_) return 0;
    return number_of(slurp(fmt::format("/proc/{}/status", *server_pid_)), "VmRSS:") * 1024;
}

MemoryReading Meter::read_memory(uint64_t connections) const {
    MemoryReading out;
    out.connections = connections;
    if (server_pid_) {
        auto const rollup = slurp(fmt::format("/proc/{}/smaps_rollup", *server_pid_));
        out.server_rss_bytes = number_of(rollup, "\nRss:") * 1024;
        out.server_private_bytes =
            (number_of(rollup, "\nPrivate_Clean:") + number_of(rollup, "\nPrivate_Dirty:")) * 1024;
        if (out.server_rss_bytes == 0) out.server_rss_bytes = server_rss_bytes();
    }
    out.slab_bytes = number_of(slurp("/proc/meminfo"), "\nSlab:") * 1024;
    auto const sockstat = slurp("/proc/net/sockstat");
    auto const tcp = sockstat.find("TCP:");
    if (tcp != std::string::npos)
        out.tcp_bytes = number_of(std::string_view(sockstat).substr(tcp), " mem") *
                        static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    return out;
}

Machine describe_machine() {
    Machine out;
    utsname kernel{};
    ::uname(&kernel);
    out.kernel = fmt::format("{} {} {}", kernel.sysname, kernel.release, kernel.machine);
    auto const cpuinfo = slurp("/proc/cpuinfo");
    if (auto const model = cpuinfo.find("model name"); model != std::string::npos) {
        auto const colon = cpuinfo.find(": ", model);
        out.cpu = cpuinfo.substr(colon + 2, cpuinfo.find('\n', colon) - colon - 2);
    }
    out.cpus = static_cast<uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN));
    out.memory_bytes = number_of(slurp("/proc/meminfo"), "MemTotal:") * 1024;
    out.congestion_control = slurp("/proc/sys/net/ipv4/tcp_congestion_control");
    while (!out.congestion_control.empty() && out.congestion_control.back() == '\n')
        out.congestion_control.pop_back();
    return out;
}

}  // namespace rc::load
