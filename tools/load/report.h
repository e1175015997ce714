#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "procfs.h"
#include "publisher.h"
#include "shared.h"

namespace rc::load {

/// One look at the run, for the timeline.
struct Sample {
    double at_seconds = 0;  // since the beginning of the run
    uint64_t connected = 0, subscribed = 0;
    uint64_t deliveries = 0, published = 0;  // since the beginning
    CpuReading cpu;
    uint64_t server_rss_bytes = 0;
};

/// A stretch of the run with a name, for the timeline.
struct Phase {
    std::string name;
    double begin_seconds = 0, end_seconds = 0;
};

struct StormRound {
    double seconds = 0;  // from the drop until each was subscribed again; negative: not all were
    uint64_t back = 0;
};

/// Everything that a run has found out. Made by the control, completed by main when all cores have ended.
struct Report {
    std::string started;  // RFC 3339, UTC
    Machine machine;
    bool wanted_all = true;  // all clients were subscribed when they should have been
    std::string trouble;     // why the run did not go its way, if it did not
    double connect_seconds = 0;
    std::vector<Phase> phases;
    std::vector<Sample> samples;
    std::vector<MemoryReading> memory;  // idle: with none, half, all; others: with all, and at the end
    std::vector<StormRound> storm;
    CpuUse cpu;                        // of the measured stretch
    uint64_t measured_deliveries = 0;  // that came in it
    uint64_t measured_published = 0;
    std::array<PathFindings, kPaths> paths;

    // Of all workers.
    uint64_t connected = 0, subscribed = 0, failed = 0, lost = 0, heartbeats = 0, texts = 0, bytes = 0,
             deliveries = 0;
    Histogram connect_ns, ready_ns, echoes_ns;
    std::vector<Histogram> deliveries_ns{kPaths};
    Faults faults;
    uint64_t other_orders = 0;  // receivers that had the topic in another order than most
    std::map<std::string, uint64_t> troubles;

    /// Adds what the workers and publishers know, and closes the books.
    void complete(Shared& shared);
    /// Whether nothing was lost, doubled, reordered, refused or broken.
    [[nodiscard]] bool clean() const;
    /// CPU time charged to the server for each delivery, or 0 if that was not measured.
    [[nodiscard]] double charged_ns_per_delivery() const;
    [[nodiscard]] double own_ns_per_delivery() const;
    /// By the slope between the first and the last reading of memory.
    struct PerConnection {
        double rss = 0, private_bytes = 0, slab = 0;
        bool known = false;
    };
    [[nodiscard]] PerConnection bytes_per_connection() const;
};

/// What a person reads at the end.
std::string to_text(const Report& report, const Settings& settings);
std::string to_json(const Report& report, const Settings& settings);
/// One page, complete in itself.
std::string to_html(const Report& report, const Settings& settings);

/// "1,234,567"; "12.3 ms"; "4.56 MiB"
std::string grouped(uint64_t number);
std::string time_text(double ns);
std::string bytes_text(double bytes);

constexpr std::array<double, 6> kShares{0.5, 0.9, 0.99, 0.999, 0.9999, 1};

/// The latencies that a report shows, those without values left out.
struct NamedHistogram {
    std::string key, title;
    const Histogram* histogram;
};
std::vector<NamedHistogram> latencies_of(const Report& report, const Settings& settings);

}  // namespace rc::load
