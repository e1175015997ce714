// capacity: what a host of any number of cores carries, and where it bends first, by the server's own code in
// virtual time (docs/capacity.md). What operations cost stands in costs.toml, with where each figure is from.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "host.h"

namespace {

using namespace rc;
using bench::Seen;
using bench::VirtualHost;
using Target = VirtualHost::Target;

double per(Duration time, uint64_t count) {
    return count == 0 ? 0
                      : static_cast<double>(time / std::chrono::nanoseconds(1)) / static_cast<double>(count);
}
double ms(uint64_t ns) {
    return static_cast<double>(ns) / 1e6;
}

/// @param in_flight  that many are under way, until `count` are over
void closed_loop(VirtualHost& host, uint32_t in_flight, uint64_t count, const std::function<Target()>& next) {
    uint64_t left = count;
    std::function<void()> again = [&] {
        if (left == 0) return;
        --left;
        host.publish(host.now(), next(), again);
    };
    for (uint32_t n = 0; n < in_flight; ++n)
        again();
    host.finish();
}

void open_loop(VirtualHost& host, double rate, Duration time, const std::function<Target()>& next) {
    auto const count = static_cast<uint64_t>(rate * std::chrono::duration<double>(time).count());
    for (uint64_t n = 0; n < count; ++n)
        host.publish(host.now() + time * n / count, next());
}

void print_head() {
    fmt::print(
        "| work | workers | clients | rate/s | published/s | refused | deliveries/s | CPU/delivery ns | "
        "CPU/publish us | "
        "busiest core | store | p50 ms | p99 ms | last p99 ms | turn p99.9 ms |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
}

void print(const std::string& work, const VirtualHost::Options& options, double rate, const Seen& seen) {
    double const time = std::chrono::duration<double>(seen.time).count();
    fmt::print(
        "| {} | {} | {} | {} | {:.0f} | {:.1f} % | {:.0f} | {:.0f} | {:.1f} | {:.0f} % | {:.0f} % | {:.2f} | "
        "{:.2f} | {:.2f} | {:.2f} |\n",
        work, options.workers, options.clients, rate == 0 ? "closed" : fmt::format("{:.0f}", rate),
        static_cast<double>(seen.published) / time,
        100.0 * static_cast<double>(seen.refused) /
            static_cast<double>(std::max<uint64_t>(1, seen.published + seen.refused)),
        static_cast<double>(seen.deliveries) / time, per(seen.busy_workers(), seen.deliveries),
        per(seen.busy_workers(), seen.published) / 1e3, 100 * seen.busiest_worker(), 100 * seen.store(),
        ms(seen.latency.quantile(0.5)), ms(seen.latency.quantile(0.99)), ms(seen.last.quantile(0.99)),
        ms(seen.turns.quantile(0.999)));
    std::fflush(stdout);
}

/// The works that ringcast-load measures on the real server.
void predict(const bench::Costs& costs, uint32_t workers, bool crowded, bool quick) {
    test::FakeEntropy chance;
    uint64_t const messages = quick ? 20 : 200;
    for (uint32_t clients : {1'000U, 10'000U}) {
        for (uint32_t in_flight : {1U, 16U}) {
            VirtualHost::Options const options{
                .workers = workers, .clients = clients, .crowded = crowded, .costs = costs};
            VirtualHost host(options);
            host.begin();
            closed_loop(host, in_flight, messages, [] { return Target{Target::Kind::topic, 0}; });
            print(fmt::format("fan-out, {} in flight", in_flight), options, 0, host.end());
        }
    }
    VirtualHost::Options const options{
        .workers = workers, .clients = 10'000, .crowded = crowded, .costs = costs};
    for (auto kind : {Target::Kind::user, Target::Kind::stored_user}) {
        VirtualHost host(options);
        host.begin();
        closed_loop(host, 16, messages * 100, [&] {
            return Target{kind, static_cast<uint32_t>(chance.next() % options.clients)};
        });
        print(kind == Target::Kind::user ? "targeted, 16 in flight" : "targeted and stored, 16 in flight",
              options, 0, host.end());
    }
}

/// More and more of one kind, until a publisher is refused or the last delivery comes too late.
void bend(VirtualHost& host, const VirtualHost::Options& options, const std::string& work,
          const std::vector<double>& rates, Duration time, const std::function<Target()>& next) {
    for (double rate : rates) {
        host.begin();
        open_loop(host, rate, time, next);
        host.run_until(host.now() + time);
        host.finish();
        auto const& seen = host.end();
        print(work, options, rate, seen);
        if (seen.refused > 0 || seen.time > 2 * time) return;
    }
}

void bends(const bench::Costs& costs, uint32_t workers, uint32_t clients, bool quick) {
    test::FakeEntropy chance;
    // A topic of a thousand in each: t0 is the hot one.
    VirtualHost::Options const options{
        .workers = workers, .clients = clients, .topics = std::max(1U, clients / 1'000), .costs = costs};
    VirtualHost host(options);
    auto const any_user = [&] { return static_cast<uint32_t>(chance.next() % clients); };
    auto const any_topic = [&] { return static_cast<uint32_t>(chance.next() % options.topics); };
    Duration const time = quick ? milliseconds(20) : milliseconds(500);
    auto const scaled = [&](std::vector<double> rates) {
        for (auto& rate : rates)
            rate *= workers / 64.0;
        return rates;
    };

    host.begin();
    host.run_until(host.now() + (quick ? milliseconds(100) : seconds(5)));
    print("heartbeats alone", options, 0, host.end());
    bend(host, options, "to users", scaled({50e3, 100e3, 200e3, 400e3, 600e3, 800e3, 1.2e6, 1.6e6}), time,
         [&] {
             return Target{Target::Kind::user, any_user()};
         });
    bend(host, options, "to users, stored", scaled({1e3, 10e3, 20e3, 40e3, 80e3, 160e3}), time, [&] {
        return Target{Target::Kind::stored_user, any_user()};
    });
    bend(host, options, "to topics of 1,000", scaled({1e3, 2e3, 4e3, 8e3, 12e3, 16e3, 24e3}), time, [&] {
        return Target{Target::Kind::topic, any_topic()};
    });
    bend(host, options, "to one topic of 1,000", scaled({1e3, 2e3, 4e3, 8e3, 12e3, 16e3, 24e3}), time, [&] {
        return Target{Target::Kind::topic, 0};
    });
    bend(host, options, "to everybody", quick ? std::vector{8.0} : std::vector{2.0, 4.0, 8.0, 16.0, 24.0},
         seconds(2), [&] {
             return Target{Target::Kind::everybody, 0};
         });
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{
        "What a host of any number of cores carries, and where it bends first: the server's code in virtual "
        "time."};
    bench::Costs costs;
    uint32_t workers = 64, clients = 1'000'000;
    bool crowded = false, quick = false;
    app.set_config("--costs", "", "What operations cost: bench/capacity/costs.toml")->required();
    for (auto [name, to] :
         std::initializer_list<std::pair<const char*, double*>>{{"--turn", &costs.turn},
                                                                {"--look", &costs.look},
                                                                {"--mail", &costs.mail},
                                                                {"--wake", &costs.wake},
                                                                {"--woken", &costs.woken},
                                                                {"--accept", &costs.accept},
                                                                {"--receive", &costs.receive},
                                                                {"--message", &costs.message},
                                                                {"--publisher", &costs.publisher},
                                                                {"--request", &costs.request},
                                                                {"--send", &costs.send},
                                                                {"--cold", &costs.cold},
                                                                {"--crowded", &costs.crowded},
                                                                {"--send_byte", &costs.send_byte},
                                                                {"--sent", &costs.sent},
                                                                {"--delivery", &costs.delivery},
                                                                {"--client", &costs.client},
                                                                {"--client_message", &costs.client_message},
                                                                {"--ask", &costs.ask},
                                                                {"--commit", &costs.commit},
                                                                {"--record", &costs.record}})
        app.add_option(name, *to, "Nanoseconds")->required()->group("Costs");
    app.add_option("--workers", workers, "Virtual cores")->check(CLI::Range(1U, limits::kWorkersMax));
    app.add_option("--clients", clients, "Virtual connections, of bends")
        ->check(CLI::Range(1U, 100'000'000U));
    app.add_flag("--quick", quick, "A few messages of each, to see that it works");
    auto* const predicting =
        app.add_subcommand("predict", "The works that ringcast-load measures on a real server");
    predicting->add_flag("--crowded", crowded, "The clients are on the server's CPUs, not on others");
    auto* const bending = app.add_subcommand("bends", "Each kind of publication at growing rates");
    app.require_subcommand(1);
    CLI11_PARSE(app, argc, argv);
    print_head();
    if (*predicting) predict(costs, workers, crowded, quick);
    if (*bending) bends(costs, workers, clients, quick);
    return 0;
}
