#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace rc::load {

/// CPU time since a beginning of their own, in nanoseconds; only differences mean something.
struct CpuReading {
    int64_t at_ns = 0;         // CLOCK_MONOTONIC
    uint64_t server_ns = 0;    // all threads of the server
    uint64_t softirqd_ns = 0;  // all ksoftirqd threads: network work that the kernel has put off
    uint64_t own_ns = 0;       // this process
};

/// The machine's, for readings a while apart.
struct MachineReading {
    CpuReading cpu;
    uint64_t busy_ns = 0, steal_ns = 0;  // all CPUs: not idle; taken by the host
    std::map<int, uint64_t> processes;   // CPU time of every process, all its threads and ended children
};

/// What a stretch of time has cost.
struct CpuUse {
    double seconds = 0;
    uint64_t server_ns = 0, softirqd_ns = 0, own_ns = 0;
    uint64_t unowned_ns = 0;  // busy, but on no process's account: interrupts and timers in idle time
    uint64_t others_ns = 0;   // of processes that are neither
    uint64_t steal_ns = 0;
    /// The server's, by the rule: its threads, ksoftirqd, and what nobody owns.
    [[nodiscard]] uint64_t charged_ns() const { return server_ns + softirqd_ns + unowned_ns; }
};
CpuUse between(const MachineReading& before, const MachineReading& after, std::optional<int> server_pid);

struct MemoryReading {
    uint64_t connections = 0;       // at that moment
    uint64_t server_rss_bytes = 0;  // Rss of smaps_rollup, or VmRSS
    uint64_t server_private_bytes = 0;
    uint64_t slab_bytes = 0;  // of the kernel: both ends of every connection, where both are here
    uint64_t tcp_bytes = 0;   // of socket buffers
};

/// Reads /proc. Costs: read_cpu() some tens of microseconds; the others milliseconds, also to the server.
class Meter {
  public:
    explicit Meter(std::optional<int> server_pid);
    [[nodiscard]] CpuReading read_cpu() const;
    [[nodiscard]] MachineReading read_machine() const;
    [[nodiscard]] MemoryReading read_memory(uint64_t connections) const;
    /// VmRSS alone, 0 without a server.
    [[nodiscard]] uint64_t server_rss_bytes() const;
    /// The server's CPU time can be read: not so for another user's process in some containers.
    [[nodiscard]] bool has_server() const { return server_pid_.has_value(); }

  private:
    std::optional<int> server_pid_;
    std::vector<int> softirqds_;
};

/// Kernel, CPUs and memory of this machine, and its congestion control.
struct Machine {
    std::string kernel, cpu, congestion_control;
    uint32_t cpus = 0;
    uint64_t memory_bytes = 0;
};
Machine describe_machine();

}  // namespace rc::load
