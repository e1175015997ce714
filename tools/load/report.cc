#include "report.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace rc::load {
namespace {

/// Receivers whose order of the topic is not that of most. Who lost or doubled something is counted
/// elsewhere.
uint64_t count_other_orders(const std::vector<WorkerFindings>& findings) {
    std::unordered_map<uint64_t, uint64_t> orders;
    uint64_t receivers = 0;
    for (const auto& worker : findings) {
        if (worker.ledger->shared() == 0) continue;
        for (uint32_t i = 0; i < worker.ledger->receivers(); ++i) {
            if (!worker.ledger->intact(i)) continue;
            ++orders[worker.ledger->order_of(i)];
            ++receivers;
        }
    }
    uint64_t most = 0;
    for (const auto& [order, count] : orders)
        most = std::max(most, count);
    return receivers - most;
}

void add(std::map<std::string, uint64_t>& to, const std::map<std::string, uint64_t>& from) {
    for (const auto& [words, count] : from)
        to[words] += count;
}

}  // namespace

void Report::complete(Shared& shared) {
    const auto& settings = shared.settings;
    failed = shared.sum(&WorkerNews::failed);
    lost = shared.sum(&WorkerNews::lost);
    heartbeats = shared.sum(&WorkerNews::heartbeats);
    texts = shared.sum(&WorkerNews::texts);
    bytes = shared.sum(&WorkerNews::bytes);
    deliveries = shared.sum(&WorkerNews::deliveries);
    for (auto& worker : shared.findings) {
        connect_ns.merge(worker.connect_ns);
        ready_ns.merge(worker.ready_ns);
        echoes_ns.merge(worker.echoes_ns);
        for (std::size_t path = 0; path < kPaths; ++path)
            deliveries_ns[path].merge(worker.deliveries_ns[path]);
        Excused excused = paths[kTopicPath].excused;
        excused.insert(paths[kUserPath].excused.begin(), paths[kUserPath].excused.end());
        worker.ledger->close(paths[kTopicPath].next, paths[kUserPath].next, excused);
        faults.merge(worker.ledger->faults());
        faults.merge(worker.echo_faults);
        add(troubles, worker.troubles);
    }
    for (const auto& path : paths)
        add(troubles, path.troubles);
    if (uint64_t const open = shared.sum(&WorkerNews::echoes_open); open > 0) {
        faults.missing += open;
        faults.name(fmt::format("{} echoes never came", open));
    }
    if (settings.to_topic()) other_orders = count_other_orders(shared.findings);
}

bool Report::clean() const {
    bool const published = std::ranges::all_of(paths, [](const auto& path) {
        return path.refused == 0 && path.unanswered == 0 && path.given_up == 0;
    });
    return wanted_all && trouble.empty() && published && faults.count() == 0 && other_orders == 0 &&
           lost == 0 && troubles.empty();
}

double Report::charged_ns_per_delivery() const {
    if (measured_deliveries == 0 || cpu.server_ns == 0) return 0;
    return static_cast<double>(cpu.charged_ns()) / static_cast<double>(measured_deliveries);
}

double Report::own_ns_per_delivery() const {
    if (measured_deliveries == 0) return 0;
    return static_cast<double>(cpu.own_ns) / static_cast<double>(measured_deliveries);
}

// The first reading with connections against the last before anything was done with them.
Report::PerConnection Report::bytes_per_connection() const {
    PerConnection out;
    if (memory.size() < 3 || memory[2].connections <= memory[1].connections) return out;
    auto const count = static_cast<double>(memory[2].connections - memory[1].connections);
    auto slope = [&](uint64_t MemoryReading::*what) {
        return (static_cast<double>(memory[2].*what) - static_cast<double>(memory[1].*what)) / count;
    };
    out = {slope(&MemoryReading::server_rss_bytes), slope(&MemoryReading::server_private_bytes),
           slope(&MemoryReading::slab_bytes), true};
    return out;
}

std::string grouped(uint64_t number) {
    std::string digits = fmt::format("{}", number);
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
        digits.insert(static_cast<std::size_t>(at), ",");
    return digits;
}

std::string time_text(double ns) {
    if (ns < 1e3) return fmt::format("{:.0f} ns", ns);
    if (ns < 1e6) return fmt::format("{:.3g} us", ns / 1e3);
    if (ns < 1e9) return fmt::format("{:.3g} ms", ns / 1e6);
    return fmt::format("{:.3g} s", ns / 1e9);
}

std::string bytes_text(double bytes) {
    if (std::abs(bytes) < 1024) return fmt::format("{:.0f} B", bytes);
    if (std::abs(bytes) < 1024 * 1024) return fmt::format("{:.1f} KiB", bytes / 1024);
    if (std::abs(bytes) < 1024.0 * 1024 * 1024) return fmt::format("{:.1f} MiB", bytes / 1024 / 1024);
    return fmt::format("{:.2f} GiB", bytes / 1024 / 1024 / 1024);
}

std::vector<NamedHistogram> latencies_of(const Report& report, const Settings& settings) {
    const auto& topic = report.paths[kTopicPath];
    const auto& users = report.paths[kUserPath];
    std::vector<NamedHistogram> out;
    if (settings.to_topic())
        out.insert(out.end(), {{"topic_first", "topic: first receiver", &topic.first_ns},
                               {"topic_median", "topic: median receiver", &topic.middle_ns},
                               {"topic_last", "topic: last receiver", &topic.last_ns},
                               {"topic_all", "topic: all receivers", &report.deliveries_ns[kTopicPath]},
                               {"topic_answer", "topic: publisher's answer", &topic.answer_ns},
                               {"topic_late", "topic: sent late by", &topic.late_ns}});
    if (settings.to_users())
        out.insert(out.end(), {{"user_delivery", "user: delivery", &report.deliveries_ns[kUserPath]},
                               {"user_answer", "user: publisher's answer", &users.answer_ns},
                               {"user_late", "user: sent late by", &users.late_ns}});
    out.insert(out.end(), {{"echo", "echo", &report.echoes_ns},
                           {"connect", "connect to upgrade", &report.connect_ns},
                           {"ready", "connect to subscribed", &report.ready_ns}});
    std::erase_if(out, [](const auto& one) { return one.histogram->count() == 0; });
    if (settings.scenario == Scenario::echo)
        std::erase_if(out, [](const auto& one) { return one.key == "ready"; });
    return out;
}

}  // namespace rc::load
