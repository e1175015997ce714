#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api.h"

/// What a server says of itself: its /readyz and /api/stats, read.
namespace rc::ctl {

/// Figures by the names that /api/stats has for them.
class Figures {
  public:
    void set(std::string_view name, double value) { values_.emplace(name, value); }
    /// 0 where there is none.
    [[nodiscard]] double operator[](std::string_view name) const {
        auto const found = values_.find(name);
        return found == values_.end() ? 0 : found->second;
    }
    [[nodiscard]] const std::map<std::string, double, std::less<>>& all() const { return values_; }
    [[nodiscard]] double sum() const;

  private:
    std::map<std::string, double, std::less<>> values_;
};

/// Times as a histogram has them: how many, and how many in each bucket.
struct Times {
    double count = 0;
    std::map<double, double> buckets;  // upper bound in seconds, infinity behind the last

    /// Those that came since.
    [[nodiscard]] Times since(const Times& earlier) const;
    /// No more than this is what share `q` of them took, in seconds; 0 without any, infinity above all
    /// bounds.
    [[nodiscard]] double at_most(double q) const;
};

struct Stats {
    std::string version, started;
    double uptime_seconds = 0, workers = 0, log_lines_dropped = 0;
    Figures process, totals, messages_refused, closed, limit_refused, store;
    Times commits;
    std::vector<Figures> cores;
};

/// Errors: system, for what is no answer of /api/stats.
Result<Stats> parse_stats(std::string_view json);

/// One look at a server.
struct Look {
    bool ready = false;
    std::string readiness;  // "ready", "draining", "the store is down"
    std::string json;       // the answer of /api/stats
    Stats stats;
    std::chrono::steady_clock::time_point at;
};

/// Errors: system; also where the server has come so far in its end that it gives no figures any more.
boost::asio::awaitable<Result<Look>> look_at(const ApiAccess& access, Duration patience);

/// What stands between two looks at the same run of a server.
class Interval {
  public:
    Interval(const Look& before, const Look& now) : before_(before.stats), now_(now.stats) {
        seconds_ = std::chrono::duration<double>(now.at - before.at).count();
    }
    /// A second. @param figures  which of the two looks' figures
    [[nodiscard]] double rate(Figures Stats::*figures, std::string_view name) const {
        return per_second((before_.*figures)[name], (now_.*figures)[name]);
    }
    [[nodiscard]] double core_rate(std::size_t core, std::string_view name) const {
        return per_second(before_.cores[core][name], now_.cores[core][name]);
    }
    /// Requests in a transaction, on average; 0 without any.
    [[nodiscard]] double batch_size() const;
    [[nodiscard]] Times commits() const { return now_.commits.since(before_.commits); }

  private:
    [[nodiscard]] double per_second(double before, double now) const {
        return seconds_ > 0 && now > before ? (now - before) / seconds_ : 0;
    }
    const Stats &before_, &now_;
    double seconds_;
};

/// Whom the server sent away since its start, `name count` each: only what has happened.
std::vector<std::string> refusals(const Stats& stats);
/// What should not happen, likewise.
std::vector<std::string> troubles(const Stats& stats);

// Figures as people read them.

/// a, b, c; or `none`
std::string joined(const std::vector<std::string>& parts);
/// 12,345
std::string grouped(double number);
/// A rate: 1.2, 12,345
std::string rate_text(double rate);
/// 215.3 MiB
std::string bytes_text(double bytes);
/// 4.1 ms
std::string time_text(double seconds);
/// 3 d 4 h
std::string uptime_text(double seconds);
/// `< 4.1 ms`; `> 1 s` above all bounds; `-` without any
std::string quantile_text(const Times& times, double q);

}  // namespace rc::ctl
