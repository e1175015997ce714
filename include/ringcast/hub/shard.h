#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ringcast/base/strong_id.h"
#include "ringcast/base/user_id.h"

namespace rc::hub {

class Fanouts;
struct Tables;

/// A connection's slot on this core: dense, below limits::kSlotsMax. Used again after leave().
using SubscriberSlot = StrongId<struct SubscriberSlotTag, uint32_t>;

/// Who on this core wants what: the topics that each connection holds, the user whom it belongs to, and
/// whether it receives what is addressed to that user.
///
/// Pure tables: it keeps no limit of the protocol (the session does) and tells nobody. A slot needs no
/// announcement, its first call makes it known; leave() forgets it.
/// Everything here may be called from within Receiver::deliver().
/// Core: own core only. Errors: none. Source: contract.md 3, performance.md 5.
class Shard {
  public:
    /// Random per process, so that nobody can choose names that collide.
    struct HashKey {
        uint64_t first = 0;
        uint64_t second = 0;
    };
    struct Counts {
        uint64_t subscribers = 0;    // connections that a broadcast reaches
        uint64_t subscriptions = 0;  // pairs of connection and topic
        uint64_t topics = 0;         // held by anybody
        uint64_t users = 0;          // with a connection here
    };

    explicit Shard(HashKey key);
    ~Shard();
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    /// @return false if the topic was held already.
    /// Cost: one look-up; O(topics of this connection).
    bool subscribe(SubscriberSlot slot, std::string_view topic);
    /// @return false if the topic was not held. Cost: as subscribe(), however many hold the topic.
    bool unsubscribe(SubscriberSlot slot, std::string_view topic);
    /// Drops every topic and keeps the user. Cost: O(topics of this connection).
    void drop_topics(SubscriberSlot slot);
    [[nodiscard]] uint32_t topic_count(SubscriberSlot slot) const;
    [[nodiscard]] bool holds(SubscriberSlot slot, std::string_view topic) const;
    [[nodiscard]] std::vector<std::string> topics_of(SubscriberSlot slot) const;

    /// Names the connection's user. It receives nothing yet: see set_receiving(). The same user again
    /// changes nothing; another user replaces the first, and receiving is off again.
    void set_user(SubscriberSlot slot, const UserId& user);
    /// Forgets the user and with it set_receiving().
    void clear_user(SubscriberSlot slot);
    [[nodiscard]] bool has_user(SubscriberSlot slot) const;
    /// Whether the connection belongs to this user.
    [[nodiscard]] bool is_user(SubscriberSlot slot, const UserId& user) const;
    /// Only with has_user(). Cost: a copy of the name.
    [[nodiscard]] UserId user_of(SubscriberSlot slot) const;
    /// Turns on or off what is addressed to the connection's user. Turning it on needs a user.
    void set_receiving(SubscriberSlot slot, bool on);
    [[nodiscard]] bool receiving(SubscriberSlot slot) const;

    /// Connections of the user on this core, whether they receive or not.
    [[nodiscard]] uint32_t connections_of(const UserId& user) const;
    /// Their slots, in no particular order: a copy, so that the caller may close them meanwhile.
    [[nodiscard]] std::vector<SubscriberSlot> slots_of(const UserId& user) const;
    template <class Function>
    void for_each_connection(const UserId& user, Function&& function) const {
        for (auto slot : slots_of(user))
            function(slot);
    }

    /// The connection is gone: drops its topics and its user.
    /// Cost: O(topics of this connection), however many hold them.
    void leave(SubscriberSlot slot);

    [[nodiscard]] Counts counts() const;

  private:
    friend class Fanouts;
    std::unique_ptr<Tables> tables_;
};

}  // namespace rc::hub
