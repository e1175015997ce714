#pragma once

#include <array>

#include "ringcast/base/result.h"
#include "ringcast/metrics/metrics.h"
#include "ringcast/net/peer_address.h"

namespace rc::server {

/// One core's figures of users and messages; those of the engine stand with its parts. Written by the core,
/// read by whichever core answers /metrics and /api/stats.
struct CoreMetrics {
    static constexpr std::size_t kCodes = static_cast<std::size_t>(Errc::system) + 1;

    metrics::Counter clients_open, clients_in_handshake;         // gauges
    metrics::Counter subscribers, subscriptions, topics, users;  // gauges
    metrics::Counter addresses;                                  // gauge: known to the limits
    metrics::Counter fanouts_waiting, fanout_bytes_waiting;      // gauges
    metrics::Counter frames_partial, frame_bytes_held;           // gauges
    metrics::Counter messages_in, heartbeats, deliveries, replayed;
    metrics::Counter handshakes_dropped;
    metrics::Counter tokens_accepted, tokens_refused,
        tokens_shed;  // the last: not checked, for want of room or keys
    metrics::Counter published_stored, published_live, publish_refused;
    std::array<metrics::Counter, net::kPeerKinds> clients_by_network;  // gauges: of clients_open
    std::array<metrics::Counter, kCodes> refused;                      // client messages answered by an error
    std::array<metrics::Counter, kCodes> closed_with;                  // connections closed by an error
};

}  // namespace rc::server
