#include <fmt/format.h>

#include <cstdio>

#include "commands.h"
#include "coroutines.h"
#include "figures.h"

namespace rc::ctl {
namespace {

void print_row(std::string_view name, const std::string& text) {
    fmt::print("{:<13}{}\n", name, text);
}

void print_summary(const Look& look, const Remote& remote) {
    const auto& stats = look.stats;
    const auto& totals = stats.totals;
    const auto& store = stats.store;
    bool const down = store["down"] > 0;
    print_row("server",
              fmt::format("ringcast {} at {}, up {}, {:.0f} worker{}", stats.version, remote.authority,
                          uptime_text(stats.uptime_seconds), stats.workers, stats.workers == 1 ? "" : "s"));
    print_row("health", look.ready ? "ready" : fmt::format("NOT READY: {}", look.readiness));
    print_row("connections", fmt::format("{} ({} more in a handshake)", grouped(totals["connections"]),
                                         grouped(totals["handshakes_pending"])));
    print_row("subscribed", fmt::format("{} connections, {} to topics", grouped(totals["subscribers"]),
                                        grouped(totals["subscriptions"])));
    print_row(
        "published",
        fmt::format("{} to the store, {} live; {} on their way", grouped(totals["published_stored_total"]),
                    grouped(totals["published_live_total"]), grouped(totals["fanouts_waiting"])));
    print_row("delivered",
              fmt::format("{} live, {} replayed; {} sent", grouped(totals["deliveries_total"]),
                          grouped(totals["replayed_total"]), bytes_text(totals["bytes_sent_total"])));
    print_row("store",
              fmt::format("{}, {} waiting, {}: {} users, {} notifications, {} messages", down ? "DOWN" : "up",
                          grouped(store["waiting"]), bytes_text(store["bytes"]), grouped(store["users"]),
                          grouped(store["notifications"]), grouped(store["messages"])));
    double const batches = store["batches_total"];
    print_row("commits", fmt::format("{} of {} requests each, p50 {}, p99 {}", grouped(batches),
                                     rate_text(batches > 0 ? store["batch_requests_total"] / batches : 0),
                                     quantile_text(stats.commits, 0.5), quantile_text(stats.commits, 0.99)));
    print_row("memory", bytes_text(stats.process["resident_bytes"]));
    print_row("slow clients", fmt::format("{} closed", grouped(stats.closed["slow_consumer"])));
    print_row("refused", joined(refusals(stats)));
    print_row("trouble", joined(troubles(stats)));
}

}  // namespace

Result<int> status(const StatusOptions& options) {
    auto const access = find_access(options.api);
    if (!access) return tl::unexpected(access.error());
    Result<Look> look;
    boost::asio::io_context io;
    boost::asio::co_spawn(
        io, [&]() -> boost::asio::awaitable<void> { look = co_await look_at(*access, options.timeout); },
        boost::asio::detached);
    io.run();
    if (!look) return tl::unexpected(look.error());
    if (options.json) {
        std::puts(look->json.c_str());
    } else {
        print_summary(*look, access->remote);
    }
    if (look->ready) return 0;
    std::fflush(stdout);
    return fail(Errc::unavailable, fmt::format("not ready: {}", look->readiness));
}

}  // namespace rc::ctl
