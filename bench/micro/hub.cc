// Who wants what: churn of subscribers, and fan-outs through the whole worker on a ring that costs nothing.
#include <benchmark/benchmark.h>

#include <string>

#include "../support/served.h"
#include "ringcast/hub/shard.h"

namespace rc::bench {
namespace {

using hub::Shard;
using hub::SubscriberSlot;

/// One of N subscribers of a topic leaves it and comes back.
void subscriber_churn(benchmark::State& state) {
    Shard shard({1, 2});
    auto const subscribers = static_cast<uint32_t>(state.range(0));
    for (uint32_t n = 0; n < subscribers; ++n)
        shard.subscribe(SubscriberSlot{n}, "all");
    uint32_t n = 0;
    for (auto _ : state) {
        SubscriberSlot const slot{n};
        n = (n + 7'919) % subscribers;  // a prime: everybody has his turn, in no order of memory
        if (!shard.unsubscribe(slot, "all") || !shard.subscribe(slot, "all")) state.SkipWithError("lost");
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(subscriber_churn)->Arg(1'000)->Arg(20'000)->Arg(100'000);

/// A connection with a user and three topics comes and goes among N like it.
void connection_churn(benchmark::State& state) {
    Shard shard({1, 2});
    auto const come = [&](uint32_t n) {
        SubscriberSlot const slot{n};
        shard.set_user(slot, UserId{std::to_string(n)});
        shard.set_receiving(slot, true);
        for (auto topic : {"all", "news", "jobs"})
            shard.subscribe(slot, topic);
    };
    auto const connections = static_cast<uint32_t>(state.range(0));
    for (uint32_t n = 0; n < connections; ++n)
        come(n);
    uint32_t n = 0;
    for (auto _ : state) {
        shard.leave(SubscriberSlot{n});
        come(n);
        n = (n + 7'919) % connections;
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(connection_churn)->Arg(1'000)->Arg(100'000);

/// `range(1)` publications of 200 bytes at once to `range(0)` subscribers; an item is a delivery.
void fan_out(benchmark::State& state) {
    auto const subscribers = static_cast<uint32_t>(state.range(0));
    auto const together = static_cast<std::size_t>(state.range(1));
    Served served(subscribers);
    std::vector<io::File> publishers;
    auto const request = Served::publish_request(R"("topic":"all")");
    uint64_t asked = limits::kApiRequestsPerConnection;
    uint64_t const before = served.ring().sent_bytes(served.clients()[0]);
    for (auto _ : state) {
        if (++asked >= limits::kApiRequestsPerConnection) {
            publishers.clear();
            for (std::size_t n = 0; n < together; ++n)
                publishers.push_back(served.publisher());
            served.settle();
            asked = 1;
        }
        for (auto publisher : publishers)
            served.deliver(publisher, request);
        served.settle();
        served.release();
    }
    if (served.ring().sent_bytes(served.clients().back()) - before < 200 * together * state.iterations())
        state.SkipWithError("a delivery is missing");
    state.SetItemsProcessed(static_cast<int64_t>(subscribers * together * state.iterations()));
}
BENCHMARK(fan_out)
    ->ArgNames({"subscribers", "together"})
    ->Args({1'000, 1})
    ->Args({1'000, 16})
    ->Args({20'000, 1})
    ->Args({100'000, 1})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace rc::bench
