// What every turn of a core rests on: mail, timers, the rate window.
#include <benchmark/benchmark.h>

#include <deque>
#include <vector>

#include "../../src/server/rate_window.h"
#include "ringcast/io/timer_wheel.h"
#include "ringcast/reactor/mailbox.h"

namespace rc::bench {
namespace {

/// So many mails handed over at once, and taken; an item is a mail. Both ends on one thread: no line of cache
/// travels.
void mailbox(benchmark::State& state) {
    reactor::Mailbox box(1'024);
    auto const batch = static_cast<uint64_t>(state.range(0));
    auto const mail = reactor::Mail::make(1, uint64_t{7});
    for (auto _ : state) {
        for (uint64_t n = 0; n < batch; ++n)
            box.push(mail);
        box.hand_over();
        while (const auto* one = box.front()) {
            benchmark::DoNotOptimize(one->as<uint64_t>());
            box.pop();
        }
        box.release();
    }
    state.SetItemsProcessed(static_cast<int64_t>(batch * state.iterations()));
}
BENCHMARK(mailbox)->Arg(1)->Arg(16)->Arg(256);

struct Heartbeat final : io::Timer {
    Heartbeat(io::TimerWheel& to, uint64_t& count) : wheel(to), fired(count) {}
    void on_timer() override {
        ++fired;
        next += seconds(25);
        wheel.arm(*this, next);
    }
    io::TimerWheel& wheel;
    uint64_t& fired;
    MonoTime next{};
};

/// N heartbeats of 25 s, spread over them; an item is one that fires and is armed again.
void timer_wheel_heartbeats(benchmark::State& state) {
    auto const timers = static_cast<uint64_t>(state.range(0));
    MonoTime now{hours(1)};
    uint64_t fired = 0;
    io::TimerWheel wheel(now);
    std::deque<Heartbeat> heartbeats;
    for (uint64_t n = 0; n < timers; ++n) {
        auto& one = heartbeats.emplace_back(wheel, fired);
        one.next = now + Duration(seconds(25)) * n / timers;
        wheel.arm(one, one.next);
    }
    for (auto _ : state) {
        now += milliseconds(25);
        wheel.advance(now);
    }
    state.SetItemsProcessed(static_cast<int64_t>(fired));
}
BENCHMARK(timer_wheel_heartbeats)->Arg(1'000)->Arg(100'000);

/// A deadline that is moved before it comes.
void timer_wheel_rearm(benchmark::State& state) {
    MonoTime const now{hours(1)};
    uint64_t fired = 0;
    io::TimerWheel wheel(now);
    Heartbeat timer(wheel, fired);
    uint64_t n = 0;
    for (auto _ : state)
        wheel.arm(timer, now + milliseconds(++n % 60'000));
}
BENCHMARK(timer_wheel_rearm);

/// Events of one connection, so many a second, against a limit of 10.
void rate_window(benchmark::State& state) {
    server::RateWindow window;
    MonoTime now{hours(1)};
    auto const between = Duration(seconds(1)) / state.range(0);
    uint64_t refused = 0;
    for (auto _ : state) {
        now += between;
        refused += window.admit(now, 10) ? 0 : 1;
    }
    if ((refused > 0) != (state.range(0) > 10) && state.iterations() > 100)
        state.SkipWithError("judged wrongly");
}
BENCHMARK(rate_window)->Arg(1)->Arg(10)->Arg(100);

}  // namespace
}  // namespace rc::bench
