#include <fmt/format.h>

#include <cmath>

#include "report.h"

namespace rc::load {
namespace {

/// Writes JSON: values one after the other, commas and quotes where they belong.
class Writer {
  public:
    Writer& open(char bracket) {
        separate();
        text_ += bracket;
        fresh_ = true;
        return *this;
    }
    Writer& close(char bracket) {
        text_ += bracket;
        fresh_ = false;
        return *this;
    }
    Writer& key(std::string_view name) {
        string(name);
        text_ += ':';
        fresh_ = true;
        return *this;
    }
    void string(std::string_view value) {
        separate();
        text_ += '"';
        for (char const c : value) {
            if (c == '"' || c == '\\') {
                text_ += '\\';
                text_ += c;
            } else if (static_cast<unsigned char>(c) < 0x20) {
                text_ += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
            } else {
                text_ += c;
            }
        }
        text_ += '"';
    }
    void number(double value) {
        separate();
        text_ += std::isfinite(value) ? fmt::format("{:.10g}", value) : "null";
    }
    void number(uint64_t value) {
        separate();
        text_ += fmt::format("{}", value);
    }
    void boolean(bool value) {
        separate();
        text_ += value ? "true" : "false";
    }
    void member(std::string_view name, std::string_view value) { key(name).string(value); }
    void member(std::string_view name, const std::string& value) { key(name).string(value); }
    void member(std::string_view name, const char* value) { key(name).string(value); }
    void member(std::string_view name, double value) { key(name).number(value); }
    void member(std::string_view name, uint64_t value) { key(name).number(value); }
    void member(std::string_view name, uint32_t value) { key(name).number(uint64_t{value}); }
    void member(std::string_view name, bool value) { key(name).boolean(value); }
    [[nodiscard]] std::string take() { return std::move(text_); }

  private:
    void separate() {
        if (!fresh_) text_ += ',';
        fresh_ = false;
    }
    std::string text_;
    bool fresh_ = true;
};

double in_seconds(Duration time) {
    return std::chrono::duration<double>(time).count();
}

void write_settings(Writer& out, const Settings& settings) {
    out.key("settings").open('{');
    out.member("scenario", scenario_name(settings.scenario));
    out.member("url", settings.url);
    out.member("connections", settings.connections);
    out.member("threads", settings.threads);
    out.member("sources", static_cast<uint64_t>(settings.sources.size()));
    out.member("rate", settings.rate);
    out.member("targeted_rate", settings.scenario == Scenario::mixed ? settings.targeted_rate : 0.0);
    out.member("targeted_clients", settings.targeted_clients);
    out.member("in_flight", settings.in_flight);
    out.member("bytes", settings.message_bytes);
    out.member("store", settings.store);
    out.member("duration_s", in_seconds(settings.duration));
    out.member("warmup_s", in_seconds(settings.warmup));
    out.member("gather_s", in_seconds(settings.gather));
    out.close('}');
}

void write_histogram(Writer& out, const Histogram& histogram) {
    out.open('{');
    out.member("count", histogram.count());
    out.member("min", histogram.min());
    out.member("mean", histogram.mean());
    static constexpr std::array kNames{"p50", "p90", "p99", "p99.9", "p99.99", "max"};
    for (std::size_t i = 0; i < kShares.size(); ++i)
        out.member(kNames[i], histogram.quantile(kShares[i]));
    out.close('}');
}

void write_path(Writer& out, const PathFindings& path) {
    out.open('{');
    out.member("published", path.published);
    out.member("answered", path.answered);
    out.member("complete", path.complete);
    out.member("measured", path.measured);
    out.member("refused", path.refused);
    out.member("unanswered", path.unanswered);
    out.member("given_up", path.given_up);
    out.close('}');
}

void write_deliveries(Writer& out, const Report& report) {
    const auto& faults = report.faults;
    out.key("deliveries").open('{');
    out.member("received", report.deliveries);
    out.member("measured", report.measured_deliveries);
    out.member("per_second", report.cpu.seconds > 0
                                 ? static_cast<double>(report.measured_deliveries) / report.cpu.seconds
                                 : 0.0);
    out.member("missing", faults.missing);
    out.member("doubled", faults.doubled);
    out.member("reordered", faults.reordered);
    out.member("stray", faults.stray);
    out.member("other_orders", report.other_orders);
    out.key("named").open('[');
    for (const auto& fault : faults.named)
        out.string(fault);
    out.close(']').close('}');
    out.key("troubles").open('{');
    for (const auto& [words, count] : report.troubles)
        out.member(words, count);
    out.close('}');
}

void write_cpu(Writer& out, const Report& report, const Settings& settings) {
    const auto& cpu = report.cpu;
    out.key("cpu").open('{');
    out.member("seconds", cpu.seconds);
    out.member("server_ns", cpu.server_ns);
    out.member("ksoftirqd_ns", cpu.softirqd_ns);
    out.member("unowned_ns", cpu.unowned_ns);
    out.member("load_ns", cpu.own_ns);
    out.member("others_ns", cpu.others_ns);
    out.member("steal_ns", cpu.steal_ns);
    out.member("server_ns_per_delivery", report.charged_ns_per_delivery());
    out.member("load_ns_per_delivery", report.own_ns_per_delivery());
    if (settings.scenario == Scenario::idle && settings.server_pid && report.subscribed > 0 &&
        cpu.seconds > 0)
        out.member("idle_us_per_connection_second", static_cast<double>(cpu.charged_ns()) / 1e3 /
                                                        cpu.seconds / static_cast<double>(report.subscribed));
    out.close('}');
}

void write_memory(Writer& out, const Report& report, const Settings& settings) {
    out.key("memory").open('{').key("readings").open('[');
    for (const auto& reading : report.memory) {
        out.open('{');
        out.member("connections", reading.connections);
        out.member("server_rss_bytes", reading.server_rss_bytes);
        out.member("server_private_bytes", reading.server_private_bytes);
        out.member("slab_bytes", reading.slab_bytes);
        out.member("tcp_bytes", reading.tcp_bytes);
        out.close('}');
    }
    out.close(']');
    if (auto const each = report.bytes_per_connection(); settings.scenario == Scenario::idle && each.known) {
        out.key("per_connection").open('{');
        out.member("rss_bytes", each.rss);
        out.member("private_bytes", each.private_bytes);
        out.member("slab_bytes", each.slab);
        out.close('}');
    }
    out.close('}');
}

void write_timeline(Writer& out, const Report& report) {
    out.key("phases").open('[');
    for (const auto& phase : report.phases) {
        out.open('{');
        out.member("name", phase.name);
        out.member("begin_s", phase.begin_seconds);
        out.member("end_s", phase.end_seconds);
        out.close('}');
    }
    out.close(']');
    out.key("timeline").open('[');
    for (const auto& sample : report.samples) {
        out.open('{');
        out.member("at_s", sample.at_seconds);
        out.member("subscribed", sample.subscribed);
        out.member("published", sample.published);
        out.member("deliveries", sample.deliveries);
        out.member("server_ns", sample.cpu.server_ns);
        out.member("load_ns", sample.cpu.own_ns);
        out.member("server_rss_bytes", sample.server_rss_bytes);
        out.close('}');
    }
    out.close(']');
}

}  // namespace

std::string to_json(const Report& report, const Settings& settings) {
    Writer out;
    out.open('{');
    out.member("version", RINGCAST_VERSION);
    out.member("command", settings.command);
    out.member("started", report.started);
    out.member("ok", report.clean());
    out.member("trouble", report.trouble);
    out.key("machine").open('{');
    out.member("kernel", report.machine.kernel);
    out.member("cpu", report.machine.cpu);
    out.member("cpus", report.machine.cpus);
    out.member("memory_bytes", report.machine.memory_bytes);
    out.member("congestion_control", report.machine.congestion_control);
    out.close('}');
    write_settings(out, settings);
    out.key("connections").open('{');
    out.member("wanted", settings.connections);
    out.member("subscribed", report.subscribed);
    out.member("failed", report.failed);
    out.member("lost", report.lost);
    out.member("heartbeats", report.heartbeats);
    out.member("connect_s", report.connect_seconds);
    out.close('}');
    out.key("storm").open('[');
    for (const auto& round : report.storm) {
        out.open('{');
        out.member("all_back_s", round.seconds);
        out.member("back", round.back);
        out.close('}');
    }
    out.close(']');
    out.key("publications").open('{');
    if (settings.to_topic()) write_path(out.key("topic"), report.paths[kTopicPath]);
    if (settings.to_users()) write_path(out.key("users"), report.paths[kUserPath]);
    out.close('}');
    write_deliveries(out, report);
    out.key("latency_ns").open('{');
    for (const auto& [key, title, histogram] : latencies_of(report, settings))
        write_histogram(out.key(key), *histogram);
    out.close('}');
    write_cpu(out, report, settings);
    write_memory(out, report, settings);
    write_timeline(out, report);
    out.close('}');
    return out.take() + '\n';
}

}  // namespace rc::load
