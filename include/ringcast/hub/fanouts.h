#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "ringcast/base/user_id.h"
#include "ringcast/hub/shard.h"

namespace rc::hub {

/// What is fanned out. The owner of the hub derives from it what its deliveries need (the frame).
class Publication {
  public:
    virtual ~Publication() = default;
    /// What it holds while it waits, for waiting_bytes(). Asked once, when it is queued.
    [[nodiscard]] virtual std::size_t bytes() const = 0;
};

/// A publication to users, each with an offset of its own.
class UserPublication : public Publication {
  public:
    [[nodiscard]] virtual uint32_t addressees() const = 0;
    [[nodiscard]] virtual const UserId& user(uint32_t index) const = 0;
    /// Handed through to Receiver::deliver().
    [[nodiscard]] virtual uint64_t offset(uint32_t index) const = 0;
    /// Only connections that hold this topic get it; empty: every connection of the users.
    [[nodiscard]] virtual std::string_view topic() const = 0;
};

/// Where deliveries go. deliver() may call everything of the Shard, for any slot, and publish again;
/// it must not call run_slice().
class Receiver {
  public:
    /// @param offset  the addressee's, or 0 for a topic or a broadcast
    virtual void deliver(SubscriberSlot slot, const Publication& publication, uint64_t offset) = 0;
    /// A hint that this slot's turn comes in a few deliveries, unless it leaves.
    virtual void prefetch(SubscriberSlot) {}

  protected:
    ~Receiver() = default;
};

/// The publications that are on their way to this core's connections, a slice at a time.
///
/// A publication's audience is who is there when it is taken up, that is, in the first slice that gives
/// it a place: each of them gets it once, unless it leaves before its turn. Who joins later, also who
/// leaves and joins again, does not get it. A topic's publications follow each other, and so do the
/// broadcasts, and so do the publications to users; nothing else waits for anything else.
/// Core: own core only. Errors: none. Source: design.md 2 and 4.
class Fanouts {
  public:
    /// @param shard  outlives this.
    explicit Fanouts(Shard& shard);
    ~Fanouts();
    Fanouts(const Fanouts&) = delete;
    Fanouts& operator=(const Fanouts&) = delete;

    /// Drops the publication at once where nobody holds the topic. Cost: one look-up.
    void publish_topic(std::string_view topic, std::unique_ptr<Publication> publication);
    /// To every connection that holds a topic or receives what is addressed to its user.
    void publish_broadcast(std::unique_ptr<Publication> publication);
    void publish_users(std::unique_ptr<UserPublication> publication);

    /// Delivers, taking turns between the fan-outs that have something to do.
    /// @param deliveries_max  above zero. A look-up of a user who is not here, and a connection that
    ///                        is passed over, count for an eighth of a delivery.
    /// @return whether work is left.
    bool run_slice(uint32_t deliveries_max, Receiver& receiver);

    /// Publications that are not finished, and their bytes.
    [[nodiscard]] std::size_t waiting() const { return waiting_; }
    [[nodiscard]] std::size_t waiting_bytes() const { return waiting_bytes_; }

  private:
    struct Lane;

    Lane& lane_of(uint32_t& place);
    void queue(Lane& lane, std::unique_ptr<Publication> publication);
    void finish_front(Lane& lane);
    int64_t run_list(Lane& lane, int64_t allowance, Receiver& receiver);
    int64_t run_users(Lane& lane, int64_t allowance, Receiver& receiver);

    Tables& tables_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::vector<uint32_t> free_lanes_;
    std::deque<uint32_t> turns_;  // lanes that have something to do, next first
    uint32_t broadcast_lane_;
    uint32_t users_lane_;
    std::size_t waiting_ = 0;
    std::size_t waiting_bytes_ = 0;
    bool running_ = false;
};

}  // namespace rc::hub
