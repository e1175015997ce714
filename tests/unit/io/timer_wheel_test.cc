#include "ringcast/io/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace rc::io {
namespace {

constexpr Duration kTick = TimerWheel::kTick;

uint64_t tick_of(MonoTime time) {
    return static_cast<uint64_t>(time.time_since_epoch() / kTick);
}
MonoTime time_of(uint64_t tick) {
    return MonoTime(kTick * static_cast<int64_t>(tick));
}

struct Bell final : Timer {
    void on_timer() override { ++rings; }
    uint32_t rings = 0;
};

// A deadline that lies on a tick, and one in the middle of it, are due with the tick behind them.
TEST(TimerWheel, FiresNeverEarlyAndAtMostOneTickLate) {
    for (auto after : {Duration(1), kTick - Duration(1), kTick, kTick + Duration(1), 63 * kTick, 64 * kTick,
                       65 * kTick, 4095 * kTick, 4096 * kTick, 4097 * kTick, 262'143 * kTick, 262'144 * kTick,
                       262'145 * kTick, 16'777'215 * kTick, 16'777'216 * kTick, 50'000'000 * kTick}) {
        for (auto start : {MonoTime(), time_of(63), time_of(4095), time_of(262'143) + Duration(7),
                           time_of(0xffff'ffff) - Duration(1)}) {
            TimerWheel wheel(start);
            Bell bell;
            wheel.arm(bell, start + after);
            uint64_t const due = tick_of(start + after) + 1;
            wheel.advance(time_of(due) - Duration(1));
            EXPECT_EQ(bell.rings, 0U) << after.count();
            EXPECT_LE(wheel.next_wake(), time_of(due));
            EXPECT_EQ(wheel.advance(time_of(due)), 1U) << after.count();
            EXPECT_EQ(bell.rings, 1U);
            EXPECT_FALSE(bell.armed());
            EXPECT_LE(time_of(due) - (start + after), kTick);
        }
    }
}

TEST(TimerWheel, WhoFollowsNextWakeMeetsEveryDeadlineOnItsTick) {
    for (auto after :
         {Duration(1), 64 * kTick, 100 * kTick, 5'000 * kTick, 300'000 * kTick, 17'000'000 * kTick}) {
        MonoTime const start = time_of(1'000'003);
        TimerWheel wheel(start);
        Bell bell;
        EXPECT_EQ(wheel.next_wake(), MonoTime::max());
        wheel.arm(bell, start + after);
        MonoTime now = start;
        for (int steps = 0; bell.rings == 0; ++steps) {
            ASSERT_LT(steps, 300);  // a cascade a level, and the rounds of the horizon
            ASSERT_GT(wheel.next_wake(), now);
            now = wheel.next_wake();
            wheel.advance(now);
        }
        EXPECT_EQ(tick_of(now), tick_of(start + after) + 1);
    }
}

// Whoever waits longer looks again.
TEST(TimerWheel, TheFarthestDeadlineIsAHundredDaysAway) {
    MonoTime const start = time_of(77);
    for (auto after :
         {TimerWheel::kFarthest, TimerWheel::kFarthest + seconds(1), Duration(hours(24 * 3650))}) {
        TimerWheel wheel(start);
        Bell bell;
        wheel.arm(bell, start + after);
        wheel.advance(start + TimerWheel::kFarthest - kTick);
        EXPECT_EQ(bell.rings, 0U);
        wheel.advance(start + TimerWheel::kFarthest + kTick);
        EXPECT_EQ(bell.rings, 1U);
    }
}

TEST(TimerWheel, ADeadlineInThePastFiresOnTheNextTick) {
    MonoTime const start = time_of(5'000'000);
    TimerWheel wheel(start);
    Bell bell;
    wheel.arm(bell, start - hours(1));
    EXPECT_EQ(wheel.next_wake(), start + kTick);
    EXPECT_EQ(wheel.advance(start), 0U);
    EXPECT_EQ(wheel.advance(start + kTick), 1U);
}

TEST(TimerWheel, ATimerThatGoesOutOfScopeIsForgotten) {
    MonoTime const start = time_of(500);
    TimerWheel wheel(start);
    Bell first, last;
    {
        Bell gone;
        wheel.arm(first, start + seconds(1));
        wheel.arm(gone, start + seconds(1));
        wheel.arm(last, start + seconds(1));
    }
    EXPECT_EQ(wheel.advance(start + seconds(2)), 2U);
    EXPECT_EQ(first.rings + last.rings, 2U);
}

/// The wheel beside a map of due ticks. Callbacks arm, disarm and destroy timers too; the model knows at each
/// of them exactly what the wheel owes.
class Model {
  public:
    explicit Model(uint64_t seed)
        : random_(seed), now_(time_of(pick(1'000'000'000)) + Duration(pick(1 << 22))), wheel_(now_) {
        tick_ = tick_of(now_);
        timers_.resize(40);
        for (auto& timer : timers_)
            timer = std::make_unique<Entry>(*this);
    }

    void step() {
        switch (pick(8)) {
            case 0:
            case 1:
            case 2: act(); break;
            case 3: advance_to(std::max(now_, std::min(wheel_.next_wake(), now_ + hours(1)))); break;
            default: advance_to(now_ + random_time()); break;
        }
        if (due_.empty()) return;
        ASSERT_LE(wheel_.next_wake(), time_of(earliest_due()));
    }
    [[nodiscard]] uint64_t fired() const { return fired_; }

  private:
    struct Entry final : Timer {
        explicit Entry(Model& owner) : model(owner) {}
        void on_timer() override { model.on_fired(*this); }
        Model& model;
    };

    int64_t pick(int64_t below) {
        return static_cast<int64_t>(random_() % static_cast<uint64_t>(std::max<int64_t>(below, 1)));
    }
    // From a nanosecond to 30 hours, every magnitude alike.
    Duration random_time() { return Duration(pick(int64_t{1} << (1 + pick(47)))); }

    void act() {
        auto& timer = timers_[static_cast<std::size_t>(pick(static_cast<int64_t>(timers_.size())))];
        if (timer.get() == firing_) return;
        switch (pick(6)) {
            case 0:
                timer->disarm();
                due_.erase(timer.get());
                break;
            case 1:
                due_.erase(timer.get());
                timer = std::make_unique<Entry>(*this);
                break;
            default: arm(*timer); break;
        }
    }
    void arm(Entry& timer) {
        MonoTime const deadline =
            pick(8) == 0 ? std::max(MonoTime(), now_ - random_time()) : now_ + random_time();
        wheel_.arm(timer, deadline);
        due_[&timer] = std::max(tick_of(deadline), tick_) + 1;
    }
    [[nodiscard]] uint64_t earliest_due() const {
        return std::min_element(due_.begin(), due_.end(),
                                [](auto& a, auto& b) { return a.second < b.second; })
            ->second;
    }
    void on_fired(Entry& timer) {
        ++fired_;
        auto const it = due_.find(&timer);
        ASSERT_NE(it, due_.end()) << "fired and not armed";
        ASSERT_FALSE(timer.armed());
        ASSERT_EQ(it->second, earliest_due()) << "out of order";
        ASSERT_LE(it->second, tick_of(now_)) << "early";
        tick_ = it->second;
        due_.erase(it);
        firing_ = &timer;
        for (int64_t n = pick(4); n > 0; --n)
            act();
        firing_ = nullptr;
        if (pick(3) == 0) arm(timer);
    }
    void advance_to(MonoTime now) {
        now_ = now;
        uint64_t const before = fired_;
        uint32_t const fired = wheel_.advance(now);
        ASSERT_EQ(fired, fired_ - before);
        tick_ = tick_of(now);
        for (const auto& [timer, due] : due_) {
            ASSERT_GT(due, tick_) << "late";
            ASSERT_TRUE(timer->armed());
        }
    }

    std::mt19937_64 random_;
    MonoTime now_;
    TimerWheel wheel_;
    uint64_t tick_ = 0, fired_ = 0;
    std::vector<std::unique_ptr<Entry>> timers_;
    Entry* firing_ = nullptr;
    std::map<Entry*, uint64_t> due_;
};

TEST(TimerWheel, AgreesWithANaiveModelWhateverTheCallbacksDo) {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        SCOPED_TRACE(seed);
        Model model(seed);
        for (int i = 0; i < 300; ++i) {
            model.step();
            if (::testing::Test::HasFatalFailure()) return;
        }
        EXPECT_GT(model.fired(), 50U);
    }
}

}  // namespace
}  // namespace rc::io
