#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "name_index.h"
#include "ringcast/base/assert.h"
#include "ringcast/base/limits.h"
#include "ringcast/base/pages.h"
#include "ringcast/base/user_id.h"
#include "ringcast/hub/shard.h"
#include "subscriber_list.h"

/// What Shard and Fanouts share. Everything points to everything by index, 4 bytes each; with one user and
/// one topic a connection takes 65 to 75 bytes here, growth of the tables included (user names that are no
/// integers, more).
namespace rc::hub {

/// One topic of a connection, and the connection's place in that topic's list.
struct Edge {
    uint32_t topic;
    uint32_t place;
};

/// A connection. Two topics fit in the record, more go to an array of their own.
class Subscriber {
  public:
    Subscriber() : few_{} {}
    ~Subscriber() {
        if (is_many_) delete[] many_.edges;
    }
    Subscriber(const Subscriber&) = delete;
    Subscriber& operator=(const Subscriber&) = delete;

    [[nodiscard]] uint32_t edge_count() const { return edge_count_; }
    Edge* edges() { return is_many_ ? many_.edges : few_; }
    [[nodiscard]] const Edge* edges() const { return is_many_ ? many_.edges : few_; }
    /// @return the edge of this topic, or null.
    Edge* edge_of(uint32_t topic) {
        for (Edge *edge = edges(), *end = edge + edge_count_; edge != end; ++edge)
            if (edge->topic == topic) return edge;
        return nullptr;
    }
    [[nodiscard]] const Edge* edge_of(uint32_t topic) const {
        return const_cast<Subscriber*>(this)->edge_of(topic);
    }
    void add_edge(Edge edge);
    void remove_edge(const Edge* edge);

  private:
    static constexpr uint32_t kFew = 2;
    [[nodiscard]] uint32_t capacity() const { return is_many_ ? many_.capacity : kFew; }

    struct Many {
        Edge* edges;
        uint32_t capacity;
    };
    union {
        Edge few_[kFew];
        Many many_;
    };

  public:
    uint32_t user = kNone;
    uint32_t user_place = 0;          // in the user's list, when the user has several connections
    uint32_t everyone_place = kNone;  // in the list for broadcasts
    uint32_t receiving : 1 = 0;

  private:
    uint32_t is_many_ : 1 = 0;
    uint32_t edge_count_ : 30 = 0;
};
static_assert(sizeof(Subscriber) == 32);

struct Topic {
    std::string name;
    SubscriberList subscribers;
    uint32_t lane = kNone;  // Fanouts: where its publications wait; pins the record
    uint32_t pins = 0;      // fan-outs that need the record to stay though nobody holds the topic
};

/// A user name: integers are kept as such, which is what most are.
using UserName = std::variant<uint64_t, std::string_view>;
UserName user_name(const UserId& user);

/// A name on the heap, in one block with its length: of 28 bytes it takes 32 there, a string twice as much.
class StoredName {
  public:
    static StoredName* make(std::string_view name);
    static void drop(StoredName* name);
    [[nodiscard]] std::string_view view() const { return {reinterpret_cast<const char*>(this + 1), size_}; }

  private:
    explicit StoredName(std::string_view name);
    uint8_t size_;  // of the bytes that follow it
};
static_assert(limits::kUserIdBytesMax <= UINT8_MAX);

struct User {
    union {
        uint64_t integer = 0;
        StoredName* text;
    };
    uint32_t connection = kNone;  // the only connection's slot; if several, the index of their list
    bool is_text = false;
    bool several = false;
};
static_assert(sizeof(User) == 16);

struct Tables {
    explicit Tables(Shard::HashKey key);
    ~Tables();
    Tables(const Tables&) = delete;
    Tables& operator=(const Tables&) = delete;

    // topics
    [[nodiscard]] uint32_t find_topic(std::string_view name) const;
    uint32_t intern_topic(std::string_view name);
    void unpin_topic(uint32_t topic);
    void forget_topic_if_unused(uint32_t topic);

    // users
    [[nodiscard]] uint32_t find_user(const UserId& user) const;
    void add_connection(uint32_t slot, const UserId& user);
    void remove_connection(uint32_t slot);
    /// After a fan-out over a list: a list that shrank to one or none meanwhile goes.
    void tidy_user(uint32_t user);

    // connections
    Subscriber& reach(uint32_t slot);
    [[nodiscard]] const Subscriber* find(uint32_t slot) const {
        return subscribers.reaches(slot) ? &subscribers[slot] : nullptr;
    }
    void drop_edge(uint32_t slot, Edge edge);
    void place_among_everyone(uint32_t slot);
    /// @param topic  or kNone for the list for broadcasts
    SubscriberList& list_of(uint32_t topic) { return topic == kNone ? everyone : topics[topic].subscribers; }
    /// The connection, which is in that list, gets, out of its turn, the oldest fan-out over it that it waits
    /// for.
    void serve(uint32_t slot, uint32_t topic);
    /// The next one of that list gets the oldest `count` fan-outs over it at once.
    void next(uint32_t topic, uint32_t count);
    /// Puts the list in the order of the slots if that is due: sockets that were made one after the other lie
    /// side by side in the kernel's memory too.
    void put_in_order(uint32_t topic);

    struct TopicNames {
        const Tables* tables;
        [[nodiscard]] uint64_t hash_of(uint32_t topic) const {
            return tables->keyed(tables->topics[topic].name);
        }
        [[nodiscard]] bool is(uint32_t topic, std::string_view name) const {
            return tables->topics[topic].name == name;
        }
    };
    struct UserNames {
        const Tables* tables;
        [[nodiscard]] uint64_t hash_of(uint32_t user) const {
            return tables->keyed_user(tables->name_of(user));
        }
        [[nodiscard]] bool is(uint32_t user, UserName name) const { return tables->name_of(user) == name; }
    };

    [[nodiscard]] UserName name_of(uint32_t user) const {
        const User& u = users[user];
        return u.is_text ? UserName(u.text->view()) : UserName(u.integer);
    }
    [[nodiscard]] uint64_t keyed(std::string_view text) const;
    [[nodiscard]] uint64_t keyed_user(const UserName& name) const;

    Shard::HashKey key;
    Pages<Subscriber> subscribers;  // by slot
    SubscriberList everyone;        // whom a broadcast reaches
    Pages<Topic> topics;
    Pages<User> users;
    Pages<SubscriberList> user_lists;
    TopicNames topic_names{this};
    UserNames user_names{this};
    NameIndex<TopicNames, std::string_view> topic_index{topic_names};
    NameIndex<UserNames, UserName> user_index{user_names};
    uint64_t subscriptions = 0;
    uint64_t topics_held = 0;  // without those that only a fan-out keeps

  private:
    uint32_t& place_in_list(uint32_t slot, uint32_t topic);
};

}  // namespace rc::hub
