#include <fmt/format.h>

#include <iterator>

#include "report.h"

namespace rc::load {
namespace {

double share_of_ns(uint64_t ns, uint64_t count) {
    return count ? static_cast<double>(ns) / static_cast<double>(count) : 0;
}

}  // namespace

std::string to_text(const Report& report, const Settings& settings) {
    std::string out;
    auto line = [&]<class... Args>(std::string_view name, fmt::format_string<Args...> format,
                                   Args&&... args) {
        fmt::format_to(std::back_inserter(out), "{:<14}{}\n", name,
                       fmt::format(format, std::forward<Args>(args)...));
    };
    line(scenario_name(settings.scenario), "{}", settings.url);
    line("connections", "{} of {} in {:.2f} s ({}/s){}{}", grouped(report.subscribed),
         grouped(settings.connections), report.connect_seconds,
         grouped(static_cast<uint64_t>(
             report.connect_seconds > 0 ? settings.connections / report.connect_seconds : 0)),
         report.failed ? fmt::format(", {} attempts failed", grouped(report.failed)) : "",
         report.lost ? fmt::format(", {} lost", grouped(report.lost)) : "");
    for (const auto& round : report.storm)
        line("all back in", "{}",
             round.seconds < 0 ? fmt::format("never: {} are back", grouped(round.back))
                               : fmt::format("{:.3f} s", round.seconds));
    for (auto path : {kTopicPath, kUserPath}) {
        const auto& it = report.paths[path];
        if (it.published == 0 && it.unanswered == 0) continue;
        line(path == kTopicPath ? "to the topic" : "to users", "{} published, {} answered, {} complete{}{}{}",
             grouped(it.published), grouped(it.answered), grouped(it.complete),
             it.refused ? fmt::format(", {} refused", it.refused) : "",
             it.unanswered ? fmt::format(", {} unanswered", it.unanswered) : "",
             it.given_up ? fmt::format(", {} given up", it.given_up) : "");
    }
    if (report.deliveries > 0) {
        line(settings.scenario == Scenario::echo ? "echoes" : "deliveries",
             "{} in {:.2f} s ({}/s); {} missing, {} doubled, {} reordered, {} stray",
             grouped(report.measured_deliveries), report.cpu.seconds,
             grouped(static_cast<uint64_t>(
                 report.cpu.seconds > 0 ? static_cast<double>(report.measured_deliveries) / report.cpu.seconds
                                        : 0)),
             report.faults.missing, report.faults.doubled, report.faults.reordered, report.faults.stray);
    }
    auto const latencies = latencies_of(report, settings);
    if (!latencies.empty()) {
        fmt::format_to(std::back_inserter(out), "\n{:<26}{:>10}{:>10}{:>10}{:>10}{:>10}{:>12}\n", "latency",
                       "p50", "p90", "p99", "p99.9", "max", "count");
        for (const auto& [key, title, histogram] : latencies) {
            fmt::format_to(std::back_inserter(out), "{:<26}", title);
            for (double const share : {0.5, 0.9, 0.99, 0.999, 1.0})
                fmt::format_to(std::back_inserter(out), "{:>10}",
                               time_text(static_cast<double>(histogram->quantile(share))));
            fmt::format_to(std::back_inserter(out), "{:>12}\n", grouped(histogram->count()));
        }
        out += '\n';
    }
    const auto& cpu = report.cpu;
    if (cpu.seconds > 0) {
        auto percent = [&](uint64_t ns) { return static_cast<double>(ns) / cpu.seconds / 1e7; };
        if (settings.server_pid)
            line("server CPU", "{:.1f} %, ksoftirqd {:.1f} %, nobody's {:.1f} %", percent(cpu.server_ns),
                 percent(cpu.softirqd_ns), percent(cpu.unowned_ns));
        line("others' CPU", "load generator {:.1f} %, other processes {:.1f} %, stolen {:.1f} %",
             percent(cpu.own_ns), percent(cpu.others_ns), percent(cpu.steal_ns));
        if (report.measured_deliveries > 0) {
            if (settings.server_pid)
                line(
                    "per delivery",
                    "{:.0f} ns charged to the server (its threads {:.0f}, ksoftirqd {:.0f}, nobody's {:.0f})",
                    report.charged_ns_per_delivery(), share_of_ns(cpu.server_ns, report.measured_deliveries),
                    share_of_ns(cpu.softirqd_ns, report.measured_deliveries),
                    share_of_ns(cpu.unowned_ns, report.measured_deliveries));
            line(settings.server_pid ? "" : "per delivery", "{:.0f} ns of the load generator's",
                 report.own_ns_per_delivery());
        }
        if (settings.scenario == Scenario::idle && settings.server_pid && report.subscribed > 0)
            line("idle", "{:.3f} us of CPU a second for each connection, {} heartbeats answered",
                 static_cast<double>(cpu.charged_ns()) / 1e3 / cpu.seconds /
                     static_cast<double>(report.subscribed),
                 grouped(report.heartbeats));
    }
    if (auto const each = report.bytes_per_connection(); settings.scenario == Scenario::idle && each.known) {
        if (settings.server_pid)
            line("memory", "{:.0f} B resident for each connection ({:.0f} B private)", each.rss,
                 each.private_bytes);
        line("kernel memory", "{:.0f} B of slab for each connection, both ends", each.slab);
    }
    if (settings.server_pid && !report.memory.empty())
        line("resident", "{} with {} connections, {} at the end",
             bytes_text(static_cast<double>(
                 report.memory[settings.scenario == Scenario::idle && report.memory.size() > 2 ? 2 : 0]
                     .server_rss_bytes)),
             grouped(report.memory[settings.scenario == Scenario::idle && report.memory.size() > 2 ? 2 : 0]
                         .connections),
             bytes_text(static_cast<double>(report.memory.back().server_rss_bytes)));
    if (report.other_orders > 0)
        line("order", "{} receivers had the topic in another order than most", grouped(report.other_orders));
    for (const auto& fault : report.faults.named)
        line("fault", "{}", fault);
    for (const auto& [words, count] : report.troubles)
        line("trouble", "{} times: {}", grouped(count), words);
    if (!report.trouble.empty()) line("trouble", "{}", report.trouble);
    line("verdict", "{}", report.clean() ? "all is well" : "FAULTS");
    return out;
}

}  // namespace rc::load
