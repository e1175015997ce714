#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "report.h"
#include "svg.h"

namespace rc::load {
namespace {

// Two sets of colours that keep their contrast on their ground.
constexpr std::string_view kStyle = R"(<style>
:root{color-scheme:light dark;--ground:#fcfcfb;--card:#fff;--ink:#1d1d1f;--dim:#66676b;--grid:#e4e4e2;--band:#f4f4f1;--good:#1a7f4b;--bad:#c22f2f;
--c0:#2a6fdb;--c1:#d4661c;--c2:#1d9a78;--c3:#8a4fc4;--c4:#b8356f;--c5:#77741a;--c6:#56646f}
@media(prefers-color-scheme:dark){:root{--ground:#161618;--card:#1f1f22;--ink:#ececee;--dim:#a0a1a7;--grid:#333338;--band:#27272b;--good:#4cc38a;--bad:#ff7b72;
--c0:#6ea8fe;--c1:#f0965a;--c2:#4fcfa8;--c3:#c193f0;--c4:#f078a8;--c5:#cfcb62;--c6:#a3b1bd}}
*{box-sizing:border-box}body{margin:0 auto;max-width:960px;padding:28px 20px;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:32px 0 10px}.dim{color:var(--dim);fill:var(--dim)}code{font:13px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:20px 0}
.tile,figure,.box{background:var(--card);border:1px solid var(--grid);border-radius:8px;padding:12px 14px;margin:0 0 14px}.tile{margin:0}
.tile b{display:block;font-size:22px;font-weight:600;line-height:1.3}.good{color:var(--good)}.bad{color:var(--bad)}
figcaption{font-weight:600;display:flex;flex-wrap:wrap;justify-content:space-between;gap:4px 16px;margin-bottom:6px}
.legend{font-weight:400;font-size:13px;display:flex;flex-wrap:wrap;gap:2px 14px}.legend i{display:inline-block;width:14px;height:3px;border-radius:2px;margin-right:6px;vertical-align:middle}
svg{display:block;width:100%;height:auto}svg text{font-size:12px}.grid{stroke:var(--grid);stroke-width:1}.band{fill:var(--band)}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.tip{fill:transparent}.tip:hover{fill:var(--dim);fill-opacity:.35}
.line0{stroke:var(--c0)}.line1{stroke:var(--c1)}.line2{stroke:var(--c2)}.line3{stroke:var(--c3)}.line4{stroke:var(--c4)}.line5{stroke:var(--c5)}.line6{stroke:var(--c6)}
.swatch0{background:var(--c0)}.swatch1{background:var(--c1)}.swatch2{background:var(--c2)}.swatch3{background:var(--c3)}.swatch4{background:var(--c4)}.swatch5{background:var(--c5)}.swatch6{background:var(--c6)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{padding:5px 10px;text-align:right;border-bottom:1px solid var(--grid);white-space:nowrap}
th{font-weight:600;color:var(--dim)}th:first-child,td:first-child{text-align:left}ul{margin:6px 0;padding-left:20px}
</style>)";

std::string plain_number(double value) {
    if (value >= 1e6) return fmt::format("{:.3g} M", value / 1e6);
    if (value >= 1e4) return fmt::format("{:.3g} k", value / 1e3);
    return fmt::format("{:.4g}", value);
}

std::string seconds_text(double value) {
    return fmt::format("{:.3g} s", value);
}

std::vector<Band> bands_of(const Report& report) {
    std::vector<Band> out;
    for (const auto& phase : report.phases)
        out.push_back({phase.name, phase.begin_seconds, phase.end_seconds});
    return out;
}

/// A figure a second between each sample and the next one.
template <class Value>
Series rate_of(const Report& report, std::string name, Value&& value) {
    Series out{std::move(name), {}};
    for (std::size_t i = 1; i < report.samples.size(); ++i) {
        const auto& before = report.samples[i - 1];
        const auto& after = report.samples[i];
        double const seconds = after.at_seconds - before.at_seconds;
        if (seconds < 0.005) continue;
        out.points.push_back({after.at_seconds, (value(after) - value(before)) / seconds});
    }
    return out;
}

Plot latency_plot(const Report& report, const Settings& settings) {
    Plot plot{.title = "Latency by share of messages",
              .x_title = "share of messages that were as fast",
              .y_title = "latency",
              .y_logarithmic = true,
              .y_text = time_text};
    // The horizontal axis counts nines, as rare messages are what a latency is about.
    auto place = [](double share) { return -std::log10(1 - share); };
    plot.x_text = [](double x) { return fmt::format("{:.6g} %", 100 * (1 - std::pow(10, -x))); };
    double widest = 1;
    for (const auto& [key, title, histogram] : latencies_of(report, settings)) {
        if (key == "connect" || key == "ready" || key.ends_with("_late")) continue;
        Series series{title, {}};
        double const last = std::log10(static_cast<double>(histogram->count()));
        for (double x = 0; x < last; x += 0.05)
            series.points.push_back({x, static_cast<double>(histogram->quantile(1 - std::pow(10, -x)))});
        series.points.push_back({std::max(last, 0.0), static_cast<double>(histogram->max())});
        widest = std::max(widest, last);
        plot.series.push_back(std::move(series));
    }
    for (double const share : {0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999})
        if (place(share) <= widest + 0.3)
            plot.x_ticks.push_back({place(share), fmt::format("{:.6g} %", share * 100)});
    if (plot.x_ticks.back().at < widest) plot.x_ticks.push_back({widest, ""});
    return plot;
}

Plot rates_plot(const Report& report, const Settings& settings) {
    Plot plot{.title = "Messages a second",
              .x_title = "seconds since the beginning",
              .y_title = "messages a second",
              .bands = bands_of(report),
              .y_text = plain_number,
              .x_text = seconds_text};
    bool const echo = settings.scenario == Scenario::echo;
    plot.series.push_back(rate_of(report, echo ? "echoes" : "deliveries",
                                  [](const Sample& s) { return static_cast<double>(s.deliveries); }));
    if (!echo)
        plot.series.push_back(rate_of(report, "publications",
                                      [](const Sample& s) { return static_cast<double>(s.published); }));
    return plot;
}

Plot connections_plot(const Report& report) {
    Plot plot{.title = "Clients",
              .x_title = "seconds since the beginning",
              .y_title = "clients",
              .bands = bands_of(report),
              .x_in_steps = true,
              .y_text = plain_number,
              .x_text = seconds_text};
    Series connected{"connected", {}}, subscribed{"subscribed", {}};
    for (const auto& sample : report.samples) {
        connected.points.push_back({sample.at_seconds, static_cast<double>(sample.connected)});
        subscribed.points.push_back({sample.at_seconds, static_cast<double>(sample.subscribed)});
    }
    plot.series = {std::move(connected), std::move(subscribed)};
    return plot;
}

Plot cpu_plot(const Report& report, const Settings& settings) {
    Plot plot{.title = "CPU",
              .x_title = "seconds since the beginning",
              .y_title = "share of one CPU",
              .bands = bands_of(report),
              .y_text = [](double value) { return fmt::format("{:.3g} %", value); },
              .x_text = seconds_text};
    auto percent = [](uint64_t ns) { return static_cast<double>(ns) / 1e7; };
    if (settings.server_pid)
        plot.series.push_back(
            rate_of(report, "server", [&](const Sample& s) { return percent(s.cpu.server_ns); }));
    plot.series.push_back(
        rate_of(report, "load generator", [&](const Sample& s) { return percent(s.cpu.own_ns); }));
    plot.series.push_back(
        rate_of(report, "ksoftirqd", [&](const Sample& s) { return percent(s.cpu.softirqd_ns); }));
    return plot;
}

Plot memory_plot(const Report& report) {
    Plot plot{.title = "Server's resident memory",
              .x_title = "seconds since the beginning",
              .y_title = "MiB",
              .bands = bands_of(report),
              .x_in_steps = true,
              .y_text = [](double mib) { return fmt::format("{:.4g} MiB", mib); },
              .x_text = seconds_text};
    Series resident{"resident", {}};
    for (const auto& sample : report.samples)
        resident.points.push_back(
            {sample.at_seconds, static_cast<double>(sample.server_rss_bytes) / (1 << 20)});
    plot.series = {std::move(resident)};
    return plot;
}

void tile(std::string& out, std::string_view name, const std::string& value, std::string_view kind = "") {
    fmt::format_to(std::back_inserter(out),
                   R"(<div class="tile"><span class="dim">{}</span><b class="{}">{}</b></div>)", name, kind,
                   escape(value));
}

void write_tiles(std::string& out, const Report& report, const Settings& settings) {
    out += "<div class=\"tiles\">";
    tile(out, "verdict", report.clean() ? "all is well" : "faults", report.clean() ? "good" : "bad");
    tile(out, "clients", grouped(report.subscribed));
    if (report.measured_deliveries > 0) {
        tile(out, settings.scenario == Scenario::echo ? "echoes a second" : "deliveries a second",
             grouped(static_cast<uint64_t>(static_cast<double>(report.measured_deliveries) /
                                           report.cpu.seconds)));
        tile(out, "lost, doubled, reordered", grouped(report.faults.count() + report.other_orders),
             report.faults.count() + report.other_orders > 0 ? "bad" : "good");
        if (report.charged_ns_per_delivery() > 0)
            tile(out, "server CPU a delivery", time_text(report.charged_ns_per_delivery()));
    }
    if (settings.scenario == Scenario::storm && !report.storm.empty()) {
        auto const worst = std::ranges::max_element(report.storm, {}, &StormRound::seconds);
        tile(out, "slowest return of all", seconds_text(worst->seconds));
    }
    if (auto const each = report.bytes_per_connection(); settings.scenario == Scenario::idle && each.known) {
        if (settings.server_pid) tile(out, "resident bytes a client", fmt::format("{:.0f}", each.rss));
        tile(out, "kernel slab a client, both ends", fmt::format("{:.0f}", each.slab));
        if (settings.server_pid && report.cpu.seconds > 0)
            tile(out, "server CPU a client and second",
                 time_text(static_cast<double>(report.cpu.charged_ns()) / report.cpu.seconds /
                           static_cast<double>(std::max<uint64_t>(report.subscribed, 1))));
    }
    out += "</div>\n";
}

void write_faults(std::string& out, const Report& report) {
    if (report.clean()) return;
    out += "<h2>Faults</h2><div class=\"box\"><ul>";
    auto item = [&](const std::string& text) { out += "<li>" + escape(text) + "</li>"; };
    if (!report.trouble.empty()) item(report.trouble);
    fmt::format_to(std::back_inserter(out),
                   "<li>{} missing, {} doubled, {} reordered, {} stray; {} receivers had another order; {} "
                   "connections lost</li>",
                   grouped(report.faults.missing), grouped(report.faults.doubled),
                   grouped(report.faults.reordered), grouped(report.faults.stray),
                   grouped(report.other_orders), grouped(report.lost));
    for (const auto& fault : report.faults.named)
        item(fault);
    for (const auto& [words, count] : report.troubles)
        item(fmt::format("{} times: {}", grouped(count), words));
    out += "</ul></div>\n";
}

void write_latencies(std::string& out, const Report& report, const Settings& settings) {
    auto const latencies = latencies_of(report, settings);
    if (latencies.empty()) return;
    out +=
        "<div class=\"box "
        "scroll\"><table><tr><th>latency</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>p99.99</"
        "th><th>max</th><th>count</th></tr>";
    for (const auto& [key, title, histogram] : latencies) {
        fmt::format_to(std::back_inserter(out), "<tr><td>{}</td>", title);
        for (double const share : kShares)
            fmt::format_to(std::back_inserter(out), "<td>{}</td>",
                           time_text(static_cast<double>(histogram->quantile(share))));
        fmt::format_to(std::back_inserter(out), "<td>{}</td></tr>", grouped(histogram->count()));
    }
    out += "</table></div>\n";
}

void write_memory(std::string& out, const Report& report, const Settings& settings) {
    out += "<div class=\"box scroll\"><table><tr><th>clients</th>";
    if (settings.server_pid) out += "<th>server, resident</th><th>server, private</th>";
    out += "<th>kernel slab, whole machine</th><th>TCP buffers</th></tr>";
    for (const auto& reading : report.memory) {
        fmt::format_to(std::back_inserter(out), "<tr><td>{}</td>", grouped(reading.connections));
        if (settings.server_pid)
            fmt::format_to(std::back_inserter(out), "<td>{}</td><td>{}</td>",
                           bytes_text(static_cast<double>(reading.server_rss_bytes)),
                           bytes_text(static_cast<double>(reading.server_private_bytes)));
        fmt::format_to(std::back_inserter(out), "<td>{}</td><td>{}</td></tr>",
                       bytes_text(static_cast<double>(reading.slab_bytes)),
                       bytes_text(static_cast<double>(reading.tcp_bytes)));
    }
    out += "</table></div>\n";
}

void write_storm(std::string& out, const Report& report) {
    if (report.storm.empty()) return;
    out += "<div class=\"box scroll\"><table><tr><th>drop</th><th>all subscribed again in</th></tr>";
    for (std::size_t i = 0; i < report.storm.size(); ++i)
        fmt::format_to(
            std::back_inserter(out), "<tr><td>{}</td><td>{}</td></tr>", i + 1,
            report.storm[i].seconds < 0 ? "never" : fmt::format("{:.3f} s", report.storm[i].seconds));
    out += "</table></div>\n";
}

}  // namespace

std::string to_html(const Report& report, const Settings& settings) {
    auto const title = fmt::format("ringcast-load: {}, {} clients", scenario_name(settings.scenario),
                                   grouped(settings.connections));
    std::string out = fmt::format(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width\"><title>{}</title>\n{}</head><body>\n",
        escape(title), kStyle);
    fmt::format_to(std::back_inserter(out),
                   "<h1>{}</h1><p class=\"dim\">{} on {}, {} CPUs ({}), {}</p>\n<p><code>{}</code></p>\n",
                   escape(title), report.started, escape(report.machine.kernel), report.machine.cpus,
                   escape(report.machine.cpu), bytes_text(static_cast<double>(report.machine.memory_bytes)),
                   escape(settings.command));
    write_tiles(out, report, settings);
    write_faults(out, report);
    bool const messages = settings.publishes() || settings.scenario == Scenario::echo;
    out += "<h2>Latency</h2>\n";
    if (messages) out += to_svg(latency_plot(report, settings));
    write_latencies(out, report, settings);
    write_storm(out, report);
    out += "<h2>Timeline</h2>\n";
    out += messages ? to_svg(rates_plot(report, settings)) : to_svg(connections_plot(report));
    out += to_svg(cpu_plot(report, settings));
    out += "<h2>Memory</h2>\n";
    if (settings.server_pid) out += to_svg(memory_plot(report));
    write_memory(out, report, settings);
    fmt::format_to(
        std::back_inserter(out),
        "<p class=\"dim\">ringcast-load {}. Latencies are from the time at which a message was meant to be "
        "sent, to the turn in which the receiver's thread was handed it{}.</p>\n</body></html>\n",
        RINGCAST_VERSION,
        settings.gather > Duration::zero()
            ? fmt::format(", which may be {} later", time_text(static_cast<double>(settings.gather.count())))
            : "");
    return out;
}

}  // namespace rc::load
