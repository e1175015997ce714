// Shard and Fanouts against a naive model, driven by a seed: connections come, go and change their minds
// between slices and from within deliveries.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ringcast/hub/fanouts.h"
#include "ringcast/hub/shard.h"

namespace rc::hub {
namespace {

constexpr uint32_t kUsers = 9;
std::string name(std::string stem, uint64_t number) {
    return stem.append(std::to_string(number));
}

enum class Kind { topic, broadcast, users };

struct Connection {
    std::map<std::string, uint64_t> topics;  // since when, by the model's clock
    std::string user;
    uint64_t user_since = 0;
    bool receiving = false;
    uint64_t receiving_since = 0;
    uint64_t everyone_since = 0;
    uint32_t incarnation = 0;
};

struct Sent {
    Kind kind = Kind::topic;
    std::string topic;
    std::map<std::string, uint64_t> offsets;
    uint64_t published = 0;
    std::map<uint32_t, uint32_t> deliveries;  // by slot
    std::set<std::pair<uint32_t, uint32_t>> to_incarnations;
};

// The newest publications that a slot got, whoever had it.
struct Last {
    uint64_t any = 0, of_no_topic = 0;
    std::map<std::string, uint64_t> of_topic;
};

class World;
void finished(World& world, uint64_t id);

template <class Base>
struct Tracked : Base {
    Tracked(World& world_, uint64_t id_) : world(world_), id(id_) {}
    ~Tracked() override { finished(world, id); }
    std::size_t bytes() const override { return id; }
    World& world;
    uint64_t id;
};
using TopicNote = Tracked<Publication>;
struct UserNote : Tracked<UserPublication> {
    using Tracked::Tracked;
    std::vector<std::pair<UserId, uint64_t>> to;
    std::string filter;
    uint32_t addressees() const override { return static_cast<uint32_t>(to.size()); }
    const UserId& user(uint32_t i) const override { return to[i].first; }
    uint64_t offset(uint32_t i) const override { return to[i].second; }
    std::string_view topic() const override { return filter; }
};

class World final : public Receiver {
  public:
    World(uint64_t seed, uint32_t slots, uint32_t topics)
        : random_(seed), slots_(slots), topics_(topics), connections_(slots), last_(slots) {}
    ~World() { closing_ = true; }

    void step() {
        ++clock_;
        switch (below(10)) {
            case 0:
            case 1: publish(); break;
            case 2:
            case 3:
            case 4: fanouts_.run_slice(static_cast<uint32_t>(1 + below(slots_ - 8)), *this); break;
            default: change(static_cast<uint32_t>(below(slots_))); break;
        }
        if (below(50) == 0) compare();
    }
    void drain() {
        while (fanouts_.run_slice(slots_ / 7, *this))
            ++clock_;
        EXPECT_EQ(fanouts_.waiting(), 0u);
        EXPECT_EQ(fanouts_.waiting_bytes(), 0u);
        EXPECT_TRUE(under_way_.empty());
        compare();
    }
    uint64_t delivered() const { return delivered_; }
    uint64_t bursts() const { return bursts_; }

    void deliver(SubscriberSlot slot, const Publication& publication, uint64_t offset) override {
        ASSERT_NO_FATAL_FAILURE(take(slot, publication, offset));
        change_meanwhile(slot);
    }
    bool takes(SubscriberSlot, const Burst&) override { return below(4) > 0; }
    void deliver_burst(SubscriberSlot slot, const Burst& burst) override {
        ++bursts_;
        std::size_t bytes = 0;
        for (const auto* publication : burst.publications) {
            ASSERT_NO_FATAL_FAILURE(take(slot, *publication, 0));
            bytes += publication->bytes();
        }
        EXPECT_EQ(bytes, burst.bytes);
        EXPECT_GE(burst.publications.size(), 2u);
        auto const [known, fresh] =
            contents_.try_emplace(burst.id, burst.publications.begin(), burst.publications.end());
        EXPECT_TRUE(fresh || std::ranges::equal(known->second, burst.publications)) << "same id";
        change_meanwhile(slot);
    }

    void take(SubscriberSlot slot, const Publication& publication, uint64_t offset) {
        ++clock_;
        ++delivered_;
        uint64_t const id = publication.bytes();
        ASSERT_TRUE(under_way_.count(id));
        Sent& sent = under_way_.at(id);
        const Connection& c = connections_[slot.value];
        auto since = eligible_since(c, sent);
        ASSERT_TRUE(since) << "slot " << slot.value << " does not want " << id;
        if (sent.kind == Kind::users) {
            EXPECT_EQ(offset, sent.offsets.at(c.user));
            EXPECT_TRUE(sent.to_incarnations.emplace(slot.value, c.incarnation).second) << "twice";
        } else {
            EXPECT_EQ(offset, 0u);
            EXPECT_LT(*since, sent.published) << "came later";
            EXPECT_EQ(sent.deliveries[slot.value], 0u) << "twice";
        }
        ++sent.deliveries[slot.value];
        // In the order of publishing, ids ascend; only two topics have none between them.
        Last& last = last_[slot.value];
        if (sent.kind == Kind::topic) {
            auto& of_topic = last.of_topic[sent.topic];
            EXPECT_LT(std::max(last.of_no_topic, of_topic), id);
            of_topic = id;
        } else {
            EXPECT_LT(last.any, id);
            last.of_no_topic = id;
        }
        last.any = std::max(last.any, id);
    }

    void change_meanwhile(SubscriberSlot slot) {
        if (below(4) == 0) change(below(2) ? slot.value : static_cast<uint32_t>(below(slots_)));
        if (below(slots_ + 2) == 0) publish();
    }

    void finish(uint64_t id) {
        if (closing_) return;
        const Sent& sent = under_way_.at(id);
        for (uint32_t slot = 0; slot < slots_; ++slot) {
            auto since = eligible_since(connections_[slot], sent);
            if (!since || *since >= sent.published) continue;
            auto at = sent.deliveries.find(slot);
            EXPECT_TRUE(at != sent.deliveries.end()) << "slot " << slot << " missed " << id;
        }
        under_way_.erase(id);
    }

  private:
    uint64_t below(uint64_t bound) { return random_() % bound; }
    std::string a_topic() { return name("topic", below(topics_)); }
    std::string a_user() {
        auto const n = below(kUsers);
        return n < 5 ? std::to_string(n) : name("user-with-a-long-name-", n);
    }

    static std::optional<uint64_t> eligible_since(const Connection& c, const Sent& sent) {
        uint64_t since = 0;
        if (sent.kind == Kind::broadcast) {
            if (c.topics.empty() && !c.receiving) return {};
            return c.everyone_since;
        }
        if (sent.kind == Kind::users) {
            if (!c.receiving || !sent.offsets.count(c.user)) return {};
            since = std::max(c.user_since, c.receiving_since);
        }
        if (!sent.topic.empty()) {
            auto at = c.topics.find(sent.topic);
            if (at == c.topics.end()) return {};
            since = std::max(since, at->second);
        }
        return since;
    }

    void publish() {
        uint64_t const id = ++ids_;
        Sent& sent = under_way_[id];
        sent.published = ++clock_;
        switch (below(4)) {
            case 0:
                sent.kind = Kind::broadcast;
                fanouts_.publish_broadcast(std::make_unique<TopicNote>(*this, id));
                break;
            case 1: {
                sent.kind = Kind::users;
                auto note = std::make_unique<UserNote>(*this, id);
                if (below(3) == 0) note->filter = sent.topic = a_topic();
                for (auto n = 1 + below(kUsers); n > 0; --n)
                    sent.offsets.emplace(a_user(), 0);
                for (auto& [user, offset] : sent.offsets)
                    note->to.emplace_back(UserId{user}, offset = ++offsets_);
                fanouts_.publish_users(std::move(note));
                break;
            }
            default:
                sent.topic = a_topic();
                fanouts_.publish_topic(sent.topic, std::make_unique<TopicNote>(*this, id));
        }
    }

    void change(uint32_t slot) {
        ++clock_;
        Connection& c = connections_[slot];
        SubscriberSlot const s(slot);
        bool const was_there = !c.topics.empty() || c.receiving;
        switch (below(12)) {
            case 0:
            case 1:
            case 2:
            case 3: {
                auto topic = a_topic();
                EXPECT_EQ(shard_.subscribe(s, topic), c.topics.emplace(topic, clock_).second);
                break;
            }
            case 4:
            case 5: {
                auto topic = a_topic();
                EXPECT_EQ(shard_.unsubscribe(s, topic), c.topics.erase(topic) == 1);
                break;
            }
            case 6:
                shard_.drop_topics(s);
                c.topics.clear();
                break;
            case 7:
            case 8: {
                auto user = a_user();
                shard_.set_user(s, UserId{user});
                if (user != c.user) {
                    if (c.receiving && c.topics.empty()) c.everyone_since = clock_;
                    c.user = user;
                    c.user_since = clock_;
                    c.receiving = false;
                    ++c.incarnation;
                }
                break;
            }
            case 9: {
                if (c.user.empty()) break;
                bool const on = below(3) > 0;
                shard_.set_receiving(s, on);
                if (on && !c.receiving) c.receiving_since = clock_;
                c.receiving = on;
                break;
            }
            case 10:
                shard_.clear_user(s);
                c.user.clear();
                c.receiving = false;
                ++c.incarnation;
                break;
            default:
                shard_.leave(s);
                c.topics.clear();
                c.user.clear();
                c.receiving = false;
                ++c.incarnation;
        }
        if (!was_there && (!c.topics.empty() || c.receiving)) c.everyone_since = clock_;
    }

    void compare() {
        Shard::Counts expected;
        std::set<std::string> topics, users;
        for (uint32_t slot = 0; slot < slots_; ++slot) {
            const Connection& c = connections_[slot];
            SubscriberSlot const s(slot);
            EXPECT_EQ(shard_.topic_count(s), c.topics.size());
            auto names = shard_.topics_of(s);
            EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), c.topics.size());
            for (uint32_t t = 0; t < topics_; ++t) {
                auto const topic = name("topic", t);
                EXPECT_EQ(shard_.holds(s, topic), c.topics.count(topic) == 1);
            }
            EXPECT_EQ(shard_.has_user(s), !c.user.empty());
            EXPECT_EQ(shard_.receiving(s), c.receiving);
            expected.subscriptions += c.topics.size();
            expected.subscribers += !c.topics.empty() || c.receiving;
            for (const auto& [topic, since] : c.topics)
                topics.insert(topic);
            if (!c.user.empty()) users.insert(c.user);
        }
        for (const auto& user : users) {
            std::set<uint32_t> slots, found;
            for (uint32_t slot = 0; slot < slots_; ++slot)
                if (connections_[slot].user == user) slots.insert(slot);
            shard_.for_each_connection(UserId{user}, [&](SubscriberSlot s) { found.insert(s.value); });
            EXPECT_EQ(found, slots);
            EXPECT_EQ(shard_.connections_of(UserId{user}), slots.size());
        }
        EXPECT_EQ(fanouts_.waiting(), under_way_.size());
        EXPECT_EQ(fanouts_.users_waiting(),
                  std::any_of(under_way_.begin(), under_way_.end(),
                              [](const auto& each) { return each.second.kind == Kind::users; }));
        auto const counts = shard_.counts();
        EXPECT_EQ(counts.subscriptions, expected.subscriptions);
        EXPECT_EQ(counts.subscribers, expected.subscribers);
        EXPECT_EQ(counts.topics, topics.size());
        EXPECT_GE(counts.users, users.size());  // one whose list a fan-out is in may outstay
        EXPECT_LE(counts.users, users.size() + 1);
    }

    std::mt19937_64 random_;
    uint32_t slots_, topics_;
    uint64_t clock_ = 1, ids_ = 0, offsets_ = 0, delivered_ = 0, bursts_ = 0;
    bool closing_ = false;
    std::vector<Connection> connections_;
    std::map<uint64_t, Sent> under_way_;
    std::vector<Last> last_;
    std::map<uint64_t, std::vector<const Publication*>> contents_;  // by a burst's id
    Shard shard_{{random_(), random_()}};
    Fanouts fanouts_{shard_};
};

void finished(World& world, uint64_t id) {
    world.finish(id);
}

class HubChurn : public ::testing::TestWithParam<uint64_t> {};

TEST_P(HubChurn, EveryoneWhoStaysGetsEverythingOnceAndInOrder) {
    World world(GetParam(), 48, 6);
    for (int i = 0; i < 15'000 && !testing::Test::HasFailure(); ++i)
        world.step();
    world.drain();
    EXPECT_GT(world.delivered(), 10'000u);
    EXPECT_GT(world.bursts(), 100u);
}

// Long lists are put in order while fan-outs over them are under way.
TEST_P(HubChurn, LongListsLikewise) {
    World world(GetParam(), 1'000, 2);
    for (int i = 0; i < 4'000 && !testing::Test::HasFailure(); ++i)
        world.step();
    world.drain();
    EXPECT_GT(world.delivered(), 10'000u);
    EXPECT_GT(world.bursts(), 100u);
}
INSTANTIATE_TEST_SUITE_P(Seeds, HubChurn, ::testing::Values(1, 2, 3, 0x5eed));

}  // namespace
}  // namespace rc::hub
