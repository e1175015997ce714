#include "figures.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <cmath>
#include <limits>

#include "ringcast/base/arguments.h"

namespace rc::ctl {
namespace {

namespace asio = boost::asio;
namespace dom = simdjson::dom;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool read_figures(dom::element from, std::string_view name, Figures& figures) {
    dom::object object;
    if (from[name].get(object)) return false;
    for (auto [key, value] : object)
        if (double number = 0; !value.get(number)) figures.set(key, number);
    return true;
}

bool read_times(dom::element from, Times& times) {
    dom::array buckets;
    if (from["count"].get(times.count) || from["buckets"].get(buckets)) return false;
    double before = 0;
    for (auto bucket : buckets) {
        double bound = kInfinity, count = 0;
        if (!bucket.at(0).is_null() && bucket.at(0).get(bound)) return false;
        if (bucket.at(1).get(count)) return false;
        times.buckets[bound] = count - before;  // there, each counts those below it too
        before = count;
    }
    return true;
}

bool read_stats(dom::element from, Stats& stats) {
    std::string_view version, started;
    dom::element commits;
    dom::array cores;
    if (from["version"].get(version) || from["started"].get(started) ||
        from["uptimeSeconds"].get(stats.uptime_seconds) || from["workers"].get(stats.workers) ||
        from["log_lines_dropped_total"].get(stats.log_lines_dropped) || from["cores"].get(cores) ||
        from["store"]["commit_seconds"].get(commits))
        return false;
    stats.version = in_one_line(version);
    stats.started = started;
    for (auto core : cores) {
        dom::object object;
        if (core.get(object)) return false;
        auto& figures = stats.cores.emplace_back();
        for (auto [key, value] : object)
            if (double number = 0; !value.get(number)) figures.set(key, number);
    }
    return read_figures(from, "process", stats.process) && read_figures(from, "totals", stats.totals) &&
           read_figures(from, "messages_refused", stats.messages_refused) &&
           read_figures(from, "closed", stats.closed) &&
           read_figures(from, "limit_refused", stats.limit_refused) &&
           read_figures(from, "store", stats.store) && read_times(commits, stats.commits);
}

std::string counted(std::string_view words, double count) {
    return fmt::format("{} {}", words, grouped(count));
}

void add_if_any(std::vector<std::string>& out, std::string_view words, double count) {
    if (count > 0) out.push_back(counted(words, count));
}

}  // namespace

double Figures::sum() const {
    double sum = 0;
    for (const auto& [name, value] : values_)
        sum += value;
    return sum;
}

Times Times::since(const Times& earlier) const {
    Times out{.count = count - earlier.count, .buckets = buckets};
    for (const auto& [bound, n] : earlier.buckets)
        out.buckets[bound] -= n;
    return out;
}

double Times::at_most(double q) const {
    double seen = 0;
    if (count <= 0) return 0;
    for (const auto& [bound, n] : buckets) {
        seen += n;
        if (seen >= q * count) return bound;
    }
    return kInfinity;
}

double Interval::batch_size() const {
    double const batches = now_.store["batches_total"] - before_.store["batches_total"];
    double const requests = now_.store["batch_requests_total"] - before_.store["batch_requests_total"];
    return batches > 0 ? requests / batches : 0;
}

Result<Stats> parse_stats(std::string_view json) {
    dom::parser parser;
    dom::element root;
    Stats stats;
    if (parser.parse(json.data(), json.size()).get(root) || !read_stats(root, stats))
        return fail(Errc::system, "the server's answer to /api/stats is none that this version knows");
    return stats;
}

asio::awaitable<Result<Look>> look_at(const ApiAccess& access, Duration patience) {
    std::vector<ApiRequest> requests;
    requests.push_back({.path = "/readyz", .body = {}});
    requests.push_back({.path = "/api/stats", .body = {}});
    auto answers = co_await ask_all(access, std::move(requests), patience);
    if (!answers) co_return tl::unexpected(answers.error());
    const auto& ready = (*answers)[0];
    if (ready.status != 200 && ready.status != 503)
        co_return fail(Errc::system,
                       fmt::format("{} is not the API of a ringcast server: it answers {} to /readyz",
                                   access.remote.authority, ready.status));
    ApiAnswer figures{.status = 503, .body = "it has ended the connection"};
    if (answers->size() > 1) figures = std::move((*answers)[1]);
    Look look;
    look.at = std::chrono::steady_clock::now();
    look.ready = ready.status == 200;
    look.readiness = in_one_line(ready.body);
    if (figures.status == 503 && !look.ready)
        co_return fail(Errc::system,
                       fmt::format("not ready: {}; it gives no figures any more", look.readiness));
    if (figures.status != 200) co_return tl::unexpected(error_of(figures));
    auto stats = parse_stats(figures.body);
    if (!stats) co_return tl::unexpected(stats.error());
    look.stats = std::move(*stats);
    look.json = std::move(figures.body);
    co_return look;
}

std::vector<std::string> refusals(const Stats& stats) {
    std::vector<std::string> out;
    const auto& totals = stats.totals;
    add_if_any(out, "handshakes", totals["handshakes_refused_total"]);
    add_if_any(out, "hung handshakes", totals["handshakes_dropped_total"]);
    add_if_any(out, "PROXY headers", totals["proxy_refused_total"]);
    add_if_any(out, "tokens", totals["tokens_refused_total"]);
    add_if_any(out, "client messages", stats.messages_refused.sum());
    add_if_any(out, "publications", totals["publish_refused_total"]);
    add_if_any(out, "API connections", totals["api_refused_total"]);
    for (const auto& [name, count] : stats.limit_refused.all())
        add_if_any(out, name, count);
    return out;
}

std::vector<std::string> troubles(const Stats& stats) {
    std::vector<std::string> out;
    const auto& totals = stats.totals;
    add_if_any(out, "store failures", stats.store["failures_total"]);
    add_if_any(out, "failed accepts", totals["accept_failures_total"]);
    add_if_any(out, "refusals of the kernel", totals["unexpected_refusals_total"]);
    add_if_any(out, "receives put off", totals["receives_parked_total"]);
    add_if_any(out, "API timeouts", totals["api_timeouts_total"]);
    add_if_any(out, "unchecked tokens", totals["tokens_shed_total"]);
    add_if_any(out, "lost log lines", stats.log_lines_dropped);
    return out;
}

std::string joined(const std::vector<std::string>& parts) {
    std::string out;
    for (const auto& part : parts)
        (out += out.empty() ? "" : ", ") += part;
    return out.empty() ? "none" : out;
}

std::string grouped(double number) {
    auto text = fmt::format("{:.0f}", number);
    for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3)
        text.insert(static_cast<std::size_t>(at), 1, ',');
    return text;
}

std::string rate_text(double rate) {
    return rate > 0 && rate < 9.95 ? fmt::format("{:.1f}", rate) : grouped(rate);
}

std::string bytes_text(double bytes) {
    constexpr std::string_view kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
    if (bytes < 1023.5) return fmt::format("{:.0f} B", bytes);
    double value = bytes / 1024;
    std::size_t unit = 0;
    for (; value >= 1023.95 && unit + 1 < std::size(kUnits); ++unit)
        value /= 1024;
    return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string time_text(double seconds) {
    if (seconds < 1e-3) return fmt::format("{:.0f} us", seconds * 1e6);
    if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
    return fmt::format("{:.3g} s", seconds);
}

std::string uptime_text(double seconds) {
    auto const s = static_cast<uint64_t>(seconds);
    if (s < 60) return fmt::format("{} s", s);
    if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
    if (s < 86400) return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
    return fmt::format("{} d {} h", s / 86400, s / 3600 % 24);
}

std::string quantile_text(const Times& times, double q) {
    if (times.count <= 0) return "-";
    double const bound = times.at_most(q);
    return std::isinf(bound) ? "> 1 s" : fmt::format("< {}", time_text(bound));  // 2^20 us is the last bound
}

}  // namespace rc::ctl
