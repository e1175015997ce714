#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>

#include "ringcast/base/limits.h"
#include "ringcast/net/stream.h"

namespace rc::server {

/// Who may have a place in a core's socket table, so that neither silence nor a crowd locks real clients out:
/// the last places are for short answers, and a handshake that hangs gives way when many do. Core: own core
/// only. Source: hazards.md 2.4, L1, L3, L7.
class Admission {
  public:
    /// As what a socket counts.
    enum class Place : uint8_t { handshake, client, dropped };

    /// @param slots  places of the table
    /// @param burst  sockets that may still come after the accepts are stopped
    Admission(uint64_t slots, uint32_t burst) {
        // A full table would make the kernel accept and drop clients: the last places stay free.
        uint64_t const reserve = std::min(std::max<uint64_t>(burst + 1, slots / 50), slots / 4);
        sockets_max_ = slots - reserve;
        clients_max_ = sockets_max_ - reserve;
        handshakes_max_ = slots / limits::kHandshakesShareOfSlots;
    }

    void came(net::StreamHandle handle, MonoTime now) {
        ++sockets_;
        ++handshakes_;
        in_order_.push_back({handle, now});
    }
    void opened() { --handshakes_; }
    void left(Place place) {
        --sockets_;
        if (place == Place::handshake) --handshakes_;
        if (place == Place::dropped) --dropped_;
    }

    /// Handshakes hold more than their share, or the places for clients run out.
    [[nodiscard]] bool crowded() const {
        return handshakes_ > handshakes_max_ || sockets_ - dropped_ > clients_max_;
    }
    /// While it is crowded: a connection to drop, whose place is `dropped` from now on. The oldest handshake,
    /// when it had the time that a real client needs; a burst of these is not to be cut.
    /// @param hangs  whether that connection is still in its handshake
    /// Cost: O(1) over all calls.
    template <class Hangs>
    [[nodiscard]] std::optional<net::StreamHandle> gives_way(MonoTime now, Hangs&& hangs) {
        while (!in_order_.empty() && !hangs(in_order_.front().handle))
            in_order_.pop_front();
        if (!crowded() || in_order_.empty() || next_due() > now) return {};
        auto const oldest = in_order_.front().handle;
        in_order_.pop_front();
        --handshakes_;
        ++dropped_;
        return oldest;
    }
    /// When gives_way() has its next one, if it is crowded then; MonoTime::max() without any.
    [[nodiscard]] MonoTime next_due() const {
        return in_order_.empty() ? MonoTime::max() : in_order_.front().came + limits::kHandshakeGrace;
    }

    /// Sockets that have become a WebSocket, also those that close.
    [[nodiscard]] uint64_t clients() const { return sockets_ - handshakes_ - dropped_; }
    /// No further WebSocket: its request is answered 503.
    [[nodiscard]] bool full() const { return clients() >= clients_max_; }
    /// No further socket: clients wait in the kernel's queue.
    [[nodiscard]] bool exhausted() const { return sockets_ >= sockets_max_; }
    [[nodiscard]] uint64_t sockets() const { return sockets_; }

  private:
    struct Arrival {
        net::StreamHandle handle;
        MonoTime came;
    };
    uint64_t sockets_max_, clients_max_, handshakes_max_;
    uint64_t sockets_ = 0, handshakes_ = 0, dropped_ = 0;
    std::deque<Arrival> in_order_;  // some have got on or left meanwhile
};

}  // namespace rc::server
