#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
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

/// Publications to one topic, or broadcasts, that wait one behind the other for many connections.
struct Burst {
    uint64_t id;  // of these publications: what was made of them once serves for the same id again
    std::span<const Publication* const> publications;  // oldest first, at least two
    std::size_t bytes;                                 // of all of them
};

/// Where deliveries go. deliver() and deliver_burst() may call everything of the Shard, for any slot, and
/// publish again; they must not call run_slice().
class Receiver {
  public:
    /// @param offset  the addressee's, or 0 for a topic or a broadcast
    virtual void deliver(SubscriberSlot slot, const Publication& publication, uint64_t offset) = 0;
    /// Whether this slot takes a burst in one delivery now; else its publications come one by one, in turns
    /// of their own. Changes nothing.
    virtual bool takes(SubscriberSlot, const Burst&) { return false; }
    /// What takes() has just said yes to.
    virtual void deliver_burst(SubscriberSlot, const Burst&) {}

  protected:
    ~Receiver() = default;
};

/// The publications that are on their way to this core's connections, a slice at a time.
///
/// The audience of a topic's publication, and of a broadcast, is who is there when it is handed over: each
/// of them gets it once, unless it leaves before its turn. Who joins later, also who leaves and joins again,
/// does not get it. A publication to users is for who is there when the addressee's turn comes.
///
/// On every connection publications come in the order in which they were handed over; only messages of two
/// different topics need not. Nothing waits for a long fan-out for that: a connection that gets one is
/// brought what it still waits for of the older ones just before, out of its turn. Publications to users go
/// first, and nothing newer begins while one of them is unfinished.
///
/// What has come to a topic while a fan-out over it is under way joins it: who is served next gets all of it
/// at once, and the fan-out goes round again for those who were served before. So the more waits, the less a
/// message costs.
/// Core: own core only. Errors: none. Source: contract.md 5, design.md 2 and 4.
class Fanouts {
  public:
    /// @param shard  outlives this.
    explicit Fanouts(Shard& shard);
    ~Fanouts();
    Fanouts(const Fanouts&) = delete;
    Fanouts& operator=(const Fanouts&) = delete;

    // Where nobody would get it the publication is dropped at once. Cost: one look-up; and at most once for
    // as many changes as a tenth of the audience, none of more than 16,384, the audience is sorted. While one
    // waits, unsubscribe() and leave() cost O(publications that wait on the topic, or broadcasts) more.
    void publish_topic(std::string_view topic, std::unique_ptr<Publication> publication);
    /// To every connection that holds a topic or receives what is addressed to its user.
    void publish_broadcast(std::unique_ptr<Publication> publication);
    void publish_users(std::unique_ptr<UserPublication> publication);

    /// Delivers: publications to users first, then the fan-outs that are older than what is left of those,
    /// by turns. A quarter of the slice is kept for these, so that nobody can starve them.
    /// @param deliveries_max  above zero. A look-up of a user who is not here, a connection that is passed
    ///                        over, count for an eighth of a delivery, each message of a burst but the
    ///                        first for a sixteenth.
    /// @return whether work is left.
    bool run_slice(uint32_t deliveries_max, Receiver& receiver);

    /// Delivers what this connection still waits for, oldest first and out of its turn: who is about to send
    /// it something newer by another way calls this before. Not from within a delivery, nor while
    /// users_waiting(). Cost: O(1) when no fan-out waits, else O(topics of the connection) a delivery.
    void bring_up(SubscriberSlot slot, Receiver& receiver);

    /// Publications that are not finished, and their bytes.
    [[nodiscard]] std::size_t waiting() const { return waiting_; }
    [[nodiscard]] std::size_t waiting_bytes() const { return waiting_bytes_; }
    /// Whether a publication to users is not finished.
    [[nodiscard]] bool users_waiting() const;

  private:
    struct Waiting;
    struct Lane;
    struct UsersLane;

    Lane& make_lane(uint32_t topic);
    void queue(std::deque<Waiting>& waiting, std::unique_ptr<Publication> publication);
    void queue(Lane& lane, std::unique_ptr<Publication> publication);
    void finish_first(std::deque<Waiting>& waiting);
    [[nodiscard]] bool users_are_older(const Lane& lane) const;
    const Burst* burst_of(Lane& lane);
    int64_t run_list(Lane& lane, int64_t allowance, Receiver& receiver);
    int64_t run_users(int64_t allowance, Receiver& receiver);
    bool catch_up(uint32_t slot, uint64_t number, Receiver& receiver);

    Tables& tables_;
    std::vector<std::unique_ptr<Lane>> lanes_;  // the first is for broadcasts
    std::vector<uint32_t> free_lanes_;
    std::deque<uint32_t> turns_;  // lanes that have something to do, next first
    std::unique_ptr<UsersLane> users_;
    uint64_t newest_number_ = 0;
    Burst burst_{};  // the last one that was gathered
    std::vector<const Publication*> burst_publications_;
    uint64_t burst_first_ = 0;  // number
    std::size_t waiting_ = 0;
    std::size_t waiting_bytes_ = 0;
    bool running_ = false;
};

}  // namespace rc::hub
