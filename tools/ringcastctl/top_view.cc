#include "top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>

namespace rc::ctl {
namespace {

using Style = Line::Style;

/// Rates, or dashes as long as there is nothing to compare.
class Rates {
  public:
    explicit Rates(const TopState& state) {
        if (state.before) interval_.emplace(*state.before, *state.now);
    }
    [[nodiscard]] std::string total(std::string_view name) const {
        return interval_ ? rate_text(interval_->rate(&Stats::totals, name)) : "-";
    }
    [[nodiscard]] std::string bytes(std::string_view name) const {
        return interval_ ? bytes_text(interval_->rate(&Stats::totals, name)) : "-";
    }
    [[nodiscard]] std::string publishes() const {
        if (!interval_) return "-";
        return rate_text(interval_->rate(&Stats::totals, "published_stored_total") +
                         interval_->rate(&Stats::totals, "published_live_total"));
    }
    [[nodiscard]] std::string core(std::size_t core, std::string_view name) const {
        return interval_ ? rate_text(interval_->core_rate(core, name)) : "-";
    }
    [[nodiscard]] std::string core_bytes(std::size_t core, std::string_view name) const {
        return interval_ ? bytes_text(interval_->core_rate(core, name)) : "-";
    }
    [[nodiscard]] std::string core_load(std::size_t core) const {
        return interval_ ? fmt::format("{:.0f} %", 100 * interval_->core_rate(core, "turn_cpu_seconds_total"))
                         : "-";
    }
    [[nodiscard]] std::string cpu() const {
        return interval_ ? fmt::format("{:.0f} %", 100 * interval_->rate(&Stats::process, "cpu_seconds"))
                         : "-";
    }
    [[nodiscard]] std::string commits() const {
        if (!interval_) return "-";
        if (interval_->commits().count <= 0) return "none in this interval";
        return fmt::format("{}/s of {} requests, p50 {}, p99 {}",
                           rate_text(interval_->rate(&Stats::store, "batches_total")),
                           rate_text(interval_->batch_size()), quantile_text(interval_->commits(), 0.5),
                           quantile_text(interval_->commits(), 0.99));
    }

  private:
    std::optional<Interval> interval_;
};

/// Left and right on a line; the right part gives way.
std::string spread(const std::string& left, const std::string& right, std::size_t columns) {
    if (left.size() + right.size() + 2 > columns) return left;
    return left + std::string(columns - left.size() - right.size(), ' ') + right;
}

std::vector<Line> title(const TopState& state, ScreenSize screen) {
    const auto& stats = state.now->stats;
    auto const health = !state.away.empty() ? "AWAY"
                        : state.now->ready  ? "ready"
                                            : fmt::format("NOT READY: {}", state.now->readiness);
    std::vector<Line> lines;
    lines.push_back(
        {spread(fmt::format(" ringcast {}  {}  {}", stats.version, state.address, health),
                fmt::format("up {}   {} ", uptime_text(stats.uptime_seconds), state.time), screen.columns),
         Style::reverse});
    if (state.away.empty()) {
        lines.push_back({});
    } else {
        lines.push_back({fmt::format("since {}: {}", state.away_since, state.away), Style::bold});
    }
    return lines;
}

std::vector<Line> summary(const TopState& state, const Rates& rates) {
    const auto& stats = state.now->stats;
    const auto& totals = stats.totals;
    const auto& store = stats.store;
    auto const now = [&](std::string_view name) { return grouped(totals[name]); };
    auto const cells = [](std::string_view a, const std::string& a_value, std::string_view b,
                          const std::string& b_value, std::string_view c, const std::string& c_value) {
        return Line{
            fmt::format("{:<13}{:>11}  {:<13}{:>11}  {:<15}{:>12}", a, a_value, b, b_value, c, c_value)};
    };
    std::vector<Line> lines;
    lines.push_back({fmt::format("{:<13}{:>11}  {:<13}{:>11}  {:<15}{:>12}", "", "now", "", "per second", "",
                                 "per second"),
                     Style::bold});
    lines.push_back(cells("connections", now("connections"), "accepts", rates.total("accepted_total"),
                          "messages in", rates.total("messages_received_total")));
    lines.push_back(cells("in handshake", now("handshakes_pending"), "handshakes",
                          rates.total("handshakes_total"), "bytes in", rates.bytes("bytes_received_total")));
    lines.push_back(cells("subscribed", now("subscribers"), "publishes", rates.publishes(), "deliveries",
                          rates.total("deliveries_total")));
    lines.push_back(cells("to topics", now("subscriptions"), "  to store",
                          rates.total("published_stored_total"), "replayed", rates.total("replayed_total")));
    lines.push_back(cells("fan-outs", now("fanouts_waiting"), "  live", rates.total("published_live_total"),
                          "bytes out", rates.bytes("bytes_sent_total")));
    lines.push_back(cells("memory", bytes_text(stats.process["resident_bytes"]), "CPU", rates.cpu(),
                          "API requests", rates.total("api_requests_total")));
    lines.push_back({});
    bool const down = store["down"] > 0;
    lines.push_back(
        {fmt::format("{:<13}{}, {} waiting, {}: {} users, {} notifications, {} messages", "store",
                     down ? "DOWN" : "up", grouped(store["waiting"]), bytes_text(store["bytes"]),
                     grouped(store["users"]), grouped(store["notifications"]), grouped(store["messages"])),
         down ? Style::bold : Style::plain});
    lines.push_back({fmt::format("{:<13}{}", "commits", rates.commits())});
    lines.push_back({fmt::format("{:<13}{} slow consumers closed; refused: {}", "since start",
                                 grouped(stats.closed["slow_consumer"]), joined(refusals(stats)))});
    if (auto const trouble = troubles(stats); !trouble.empty())
        lines.push_back({fmt::format("{:<13}{}", "trouble", joined(trouble)), Style::bold});
    lines.push_back({});
    return lines;
}

std::vector<Line> core_table(const TopState& state, const Rates& rates) {
    constexpr auto kRow = "{:>4} {:>11} {:>9} {:>6} {:>9} {:>10} {:>12} {:>12}";
    std::vector<Line> lines;
    lines.push_back({fmt::format(kRow, "core", "connections", "users", "load", "turns/s", "messages/s",
                                 "deliveries/s", "bytes out/s"),
                     Style::bold});
    for (std::size_t i = 0; i < state.now->stats.cores.size(); ++i) {
        const auto& core = state.now->stats.cores[i];
        lines.push_back({fmt::format(
            kRow, grouped(core["core"]), grouped(core["connections"]), grouped(core["users"]),
            rates.core_load(i), rates.core(i, "turns_total"), rates.core(i, "messages_received_total"),
            rates.core(i, "deliveries_total"), rates.core_bytes(i, "bytes_sent_total"))});
    }
    return lines;
}

struct Column {
    std::string_view name;
    std::size_t width;
};
constexpr Column kColumns[] = {
    {"time", 8},          {"connections", 11}, {"accepts/s", 9},  {"messages/s", 10}, {"publishes/s", 11},
    {"deliveries/s", 12}, {"bytes/s", 11},     {"commits/s", 9},  {"batch", 7},       {"commit_p99_ms", 13},
    {"waiting", 7},       {"cpu_%", 5},        {"memory_mib", 10}};

std::string in_columns(const std::vector<std::string>& texts) {
    std::string out;
    for (std::size_t i = 0; i < texts.size(); ++i)
        out += fmt::format("{}{:>{}}", i > 0 ? " " : "", texts[i], kColumns[i].width);
    return out;
}

}  // namespace

std::string top_heading() {
    std::vector<std::string> names;
    for (const auto& column : kColumns)
        names.emplace_back(column.name);
    return in_columns(names);
}

std::string top_row(const TopState& state) {
    Interval const interval(*state.before, *state.now);
    const auto& stats = state.now->stats;
    auto const rate = [&](std::string_view name) { return interval.rate(&Stats::totals, name); };
    auto const whole = [](double number) { return fmt::format("{:.0f}", number); };
    auto const tenths = [](double number) { return fmt::format("{:.1f}", number); };
    return in_columns({state.time, whole(stats.totals["connections"]), tenths(rate("accepted_total")),
                       tenths(rate("messages_received_total")),
                       tenths(rate("published_stored_total") + rate("published_live_total")),
                       tenths(rate("deliveries_total")), whole(rate("bytes_sent_total")),
                       tenths(interval.rate(&Stats::store, "batches_total")), tenths(interval.batch_size()),
                       fmt::format("{:.3f}", 1e3 * interval.commits().at_most(0.99)),
                       whole(stats.store["waiting"]),
                       whole(100 * interval.rate(&Stats::process, "cpu_seconds")),
                       tenths(stats.process["resident_bytes"] / (1 << 20))});
}

std::vector<Line> top_screen(const TopState& state, ScreenSize screen) {
    Rates const rates(state);
    auto lines = title(state, screen);
    std::ranges::move(summary(state, rates), std::back_inserter(lines));
    auto cores = core_table(state, rates);
    // The last row is for the keys. What has no place says so.
    std::size_t const room = screen.rows > lines.size() + 1 ? screen.rows - lines.size() - 1 : 0;
    if (cores.size() > room && room > 1) {
        auto const left_out = cores.size() - (room - 1);
        cores.resize(room - 1);
        cores.push_back({fmt::format("     and {} more cores: a higher terminal shows them", left_out)});
    }
    std::ranges::move(cores, std::back_inserter(lines));
    if (screen.rows > 0 && lines.size() >= screen.rows) lines.resize(screen.rows - 1);
    while (lines.size() + 1 < screen.rows)
        lines.push_back({});
    auto const restarts = state.restarts > 0 ? fmt::format("restarts seen: {}, the last at {} ",
                                                           state.restarts, state.restarted)
                                             : "";
    lines.push_back(
        {spread(fmt::format(" q: quit   every {}", state.rhythm), restarts, screen.columns), Style::reverse});
    return lines;
}

}  // namespace rc::ctl
