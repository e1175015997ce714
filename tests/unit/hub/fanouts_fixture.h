#pragma once

#include "ringcast/hub/fanouts.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

/// What the tests of hub::Fanouts share.
namespace rc::hub {

inline SubscriberSlot slot(uint32_t value) {
    return SubscriberSlot(value);
}

struct Note : Publication {
    explicit Note(int id_) : id(id_) {}
    std::size_t bytes() const override { return 100; }
    int id;
};

struct UserNote : UserPublication {
    int id = 0;
    std::vector<std::pair<UserId, uint64_t>> to;
    std::string filter;

    UserNote(int id_, std::vector<std::pair<UserId, uint64_t>> to_, std::string filter_ = "")
        : id(id_), to(std::move(to_)), filter(std::move(filter_)) {}
    std::size_t bytes() const override { return 100; }
    uint32_t addressees() const override { return static_cast<uint32_t>(to.size()); }
    const UserId& user(uint32_t i) const override { return to[i].first; }
    uint64_t offset(uint32_t i) const override { return to[i].second; }
    std::string_view topic() const override { return filter; }
};

inline int id_of(const Publication& publication) {
    if (const auto* note = dynamic_cast<const Note*>(&publication)) return note->id;
    return dynamic_cast<const UserNote&>(publication).id;
}

struct Delivery {
    uint32_t slot;
    int id;
    uint64_t offset;
    friend bool operator==(const Delivery&, const Delivery&) = default;
};
inline std::ostream& operator<<(std::ostream& out, const Delivery& d) {
    return out << "{slot " << d.slot << " id " << d.id << " offset " << d.offset << "}";
}

class FanoutsTest : public ::testing::Test, public Receiver {
  public:
    void deliver(SubscriberSlot s, const Publication& publication, uint64_t offset) override {
        got.push_back({s.value, id_of(publication), offset});
        ++deliveries_to[s.value];
        if (meanwhile) meanwhile(s.value);
    }
    bool takes(SubscriberSlot, const Burst& burst) override { return burst.publications.size() <= burst_max; }
    void deliver_burst(SubscriberSlot s, const Burst& burst) override {
        bursts.push_back({s.value, burst.id, {}});
        for (const auto* publication : burst.publications) {
            got.push_back({s.value, id_of(*publication), 0});
            bursts.back().ids.push_back(id_of(*publication));
        }
        ++deliveries_to[s.value];
        if (meanwhile) meanwhile(s.value);
    }
    void publish(std::string_view topic, int id) { fanouts.publish_topic(topic, std::make_unique<Note>(id)); }
    void broadcast(int id) { fanouts.publish_broadcast(std::make_unique<Note>(id)); }
    void publish_users(int id, std::vector<std::pair<UserId, uint64_t>> to, std::string filter = "") {
        fanouts.publish_users(std::make_unique<UserNote>(id, std::move(to), std::move(filter)));
    }
    void receive(uint32_t s, const std::string& user) {
        shard.set_user(slot(s), UserId{user});
        shard.set_receiving(slot(s), true);
    }
    bool slice(uint32_t deliveries) { return fanouts.run_slice(deliveries, *this); }
    void run_all() {
        while (slice(1'000)) {
        }
    }
    std::multiset<uint32_t> receivers_of(int id) const {
        std::multiset<uint32_t> slots;
        for (const auto& d : got)
            if (d.id == id) slots.insert(d.slot);
        return slots;
    }
    std::vector<int> ids_at(uint32_t s) const {
        std::vector<int> ids;
        for (const auto& d : got)
            if (d.slot == s) ids.push_back(d.id);
        return ids;
    }

    Shard shard{{1, 2}};
    Fanouts fanouts{shard};
    std::vector<Delivery> got;
    struct OneBurst {
        uint32_t slot;
        uint64_t id;
        std::vector<int> ids;
    };
    std::vector<OneBurst> bursts;
    std::size_t burst_max = 0;                   // more publications at once are not taken
    std::map<uint32_t, uint32_t> deliveries_to;  // by slot
    std::function<void(uint32_t)> meanwhile;
};

}  // namespace rc::hub
