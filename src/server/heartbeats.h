#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "ringcast/base/time.h"
#include "ringcast/io/timer_wheel.h"

namespace rc::server {

/// Into how many batches the heartbeats of a core's clients fall in each interval: a power of two, no more
/// than the timers' ticks. Waking for a heartbeat costs more than to send it, and a million in one burst
/// would hold everything else up. Source: docs/decisions/0010.
inline uint64_t heartbeat_batches(uint64_t clients, Duration interval) {
    constexpr uint64_t kClients = 64, kBatchesMin = 128;
    auto const ticks = static_cast<uint64_t>(std::max<int64_t>(1, interval / io::TimerWheel::kTick));
    return std::min(std::max(kBatchesMin, std::bit_ceil(clients / kClients)), std::bit_floor(ticks));
}

/// The place of a client's heartbeats, as the first one behind `now` and within an interval of it: that of a
/// batch. Places of fewer batches are places of more of them, to the nanosecond.
/// @param chance  any number: who gets which batch
inline MonoTime heartbeat_place(MonoTime now, Duration interval, uint64_t batches, uint64_t chance) {
    auto const batch = static_cast<int64_t>(chance % batches), of = static_cast<int64_t>(batches);
    // By quotient and remainder, so that no product passes 64 bits: an interval may be a day.
    auto const behind = interval / of * batch + interval % of * batch / of;
    auto const place = now - now.time_since_epoch() % interval + behind;
    return place > now ? place : place + interval;
}

}  // namespace rc::server
