#include "tables.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "keyed_hash.h"
#include "ringcast/base/assert.h"
#include "ringcast/base/limits.h"

namespace rc::hub {

// ---- Subscriber ---------------------------------------------------------------------------------

void Subscriber::add_edge(Edge edge) {
    if (edge_count_ == capacity()) {
        uint32_t const capacity_new = 2 * capacity();
        auto* grown = new Edge[capacity_new];
        std::copy_n(edges(), edge_count_, grown);
        if (is_many_) delete[] many_.edges;
        many_ = {grown, capacity_new};
        is_many_ = 1;
    }
    edges()[edge_count_] = edge;
    edge_count_ = edge_count_ + 1;
}

void Subscriber::remove_edge(const Edge* edge) {
    Edge* const all = edges();
    RC_ASSERT(edge >= all && edge < all + edge_count_);
    all[edge - all] = all[edge_count_ - 1];
    edge_count_ = edge_count_ - 1;
    if (is_many_ && edge_count_ == 0) {
        delete[] many_.edges;
        is_many_ = 0;
    }
}

// ---- names --------------------------------------------------------------------------------------

StoredName::StoredName(std::string_view name) : size_(static_cast<uint8_t>(name.size())) {
    RC_ASSERT(name.size() <= UINT8_MAX);
    std::memcpy(this + 1, name.data(), name.size());
}

StoredName* StoredName::make(std::string_view name) {
    return new (::operator new(sizeof(StoredName) + name.size())) StoredName(name);
}

void StoredName::drop(StoredName* name) {
    ::operator delete(name);
}

UserName user_name(const UserId& user) {
    const std::string& text = user.text;
    if (text.empty() || text.size() > 16 || (text[0] == '0' && text.size() > 1))
        return std::string_view(text);
    uint64_t integer = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), integer);
    if (error != std::errc{} || end != text.data() + text.size() || integer > limits::kIntegerIdMax)
        return std::string_view(text);
    return integer;
}

Tables::Tables(Shard::HashKey hash_key) : key(hash_key) {}

Tables::~Tables() {
    // Names that are too long or no integers lie on the heap; who is still connected holds one.
    for (uint32_t i = 0; i < users.end(); ++i)
        if (users.reaches(i) && users[i].is_text) StoredName::drop(users[i].text);
}

uint64_t Tables::keyed(std::string_view text) const {
    return keyed_hash(key, text);
}

uint64_t Tables::keyed_user(const UserName& name) const {
    if (const auto* integer = std::get_if<uint64_t>(&name)) return keyed_hash(key, *integer);
    return keyed_hash(key, std::get<std::string_view>(name));
}

// ---- topics -------------------------------------------------------------------------------------

uint32_t Tables::find_topic(std::string_view name) const {
    return topic_index.find(keyed(name), name);
}

uint32_t Tables::intern_topic(std::string_view name) {
    uint64_t const hash = keyed(name);
    uint32_t index = topic_index.find(hash, name);
    if (index != kNone) return index;
    index = topics.acquire();
    topics[index].name = name;
    topic_index.insert(hash, index);
    return index;
}

void Tables::unpin_topic(uint32_t topic) {
    RC_ASSERT(topics[topic].pins > 0);
    --topics[topic].pins;
    forget_topic_if_unused(topic);
}

void Tables::forget_topic_if_unused(uint32_t topic) {
    Topic& t = topics[topic];
    if (t.subscribers.size() > 0 || t.pins > 0) return;
    RC_ASSERT(t.lane == kNone);
    topic_index.erase(keyed(t.name), topic);
    std::string().swap(t.name);
    t.subscribers.clear();
    topics.release(topic);
}

// ---- users --------------------------------------------------------------------------------------

uint32_t Tables::find_user(const UserId& user) const {
    UserName const name = user_name(user);
    return user_index.find(keyed_user(name), name);
}

void Tables::add_connection(uint32_t slot, const UserId& user) {
    UserName const name = user_name(user);
    uint64_t const hash = keyed_user(name);
    uint32_t index = user_index.find(hash, name);
    Subscriber& subscriber = subscribers[slot];
    if (index == kNone) {
        index = users.acquire();
        User& fresh = users[index];
        if (const auto* integer = std::get_if<uint64_t>(&name)) {
            fresh.integer = *integer;
        } else {
            fresh.text = StoredName::make(std::get<std::string_view>(name));
            fresh.is_text = true;
        }
        fresh.connection = slot;
        fresh.several = false;
        user_index.insert(hash, index);
        subscriber.user = index;
        return;
    }
    User& known = users[index];
    if (!known.several) {
        uint32_t const first = known.connection;
        known.connection = user_lists.acquire();
        known.several = true;
        subscribers[first].user_place = user_lists[known.connection].add(first);
    }
    subscriber.user = index;
    subscriber.user_place = user_lists[known.connection].add(slot);
}

void Tables::remove_connection(uint32_t slot) {
    Subscriber& subscriber = subscribers[slot];
    uint32_t const index = std::exchange(subscriber.user, kNone);
    User& user = users[index];
    if (user.several) {
        user_lists[user.connection].remove(subscriber.user_place, [&](uint32_t moved, uint32_t place) {
            subscribers[moved].user_place = place;
        });
    } else {
        user.connection = kNone;
    }
    tidy_user(index);
}

void Tables::tidy_user(uint32_t index) {
    User& user = users[index];
    if (user.several) {
        auto& list = user_lists[user.connection];
        if (list.size() > 1 || list.fanouts() > 0) return;
        uint32_t only = kNone;
        if (list.size() == 1) {
            only = list.slot(0);
            list.remove(0, [](uint32_t, uint32_t) {});
        }
        list.clear();
        user_lists.release(user.connection);
        user.several = false;
        user.connection = only;
    }
    if (user.connection != kNone) return;
    user_index.erase(keyed_user(name_of(index)), index);
    if (user.is_text) StoredName::drop(user.text);
    user.is_text = false;
    user.integer = 0;
    users.release(index);
}

// ---- connections --------------------------------------------------------------------------------

Subscriber& Tables::reach(uint32_t slot) {
    RC_ASSERT(slot < limits::kSlotsMax);
    subscribers.reach(slot);
    return subscribers[slot];
}

void Tables::drop_edge(uint32_t slot, Edge edge) {
    Topic& topic = topics[edge.topic];
    RC_ASSERT(topic.subscribers.slot(edge.place) == slot);
    topic.subscribers.remove(
        edge.place, [&](uint32_t moved, uint32_t place) { place_in_list(moved, edge.topic) = place; });
    --subscriptions;
    if (topic.subscribers.size() == 0) {
        --topics_held;
        forget_topic_if_unused(edge.topic);
    }
}

void Tables::place_among_everyone(uint32_t slot) {
    Subscriber& subscriber = subscribers[slot];
    bool const wanted = subscriber.edge_count() > 0 || subscriber.receiving;
    if (wanted == (subscriber.everyone_place != kNone)) return;
    if (wanted) {
        subscriber.everyone_place = everyone.add(slot);
    } else {
        everyone.remove(std::exchange(subscriber.everyone_place, kNone),
                        [&](uint32_t moved, uint32_t place) { place_in_list(moved, kNone) = place; });
    }
}

uint32_t& Tables::place_in_list(uint32_t slot, uint32_t topic) {
    Subscriber& subscriber = subscribers[slot];
    if (topic == kNone) return subscriber.everyone_place;
    Edge* const edge = subscriber.edge_of(topic);
    RC_ASSERT(edge);
    return edge->place;
}

void Tables::serve(uint32_t slot, uint32_t topic) {
    list_of(topic).serve(place_in_list(slot, topic),
                         [&](uint32_t moved, uint32_t place) { place_in_list(moved, topic) = place; });
}

void Tables::next(uint32_t topic, uint32_t count) {
    list_of(topic).next(count, [&](uint32_t moved, uint32_t place) { place_in_list(moved, topic) = place; });
}

void Tables::put_in_order(uint32_t topic) {
    auto& list = list_of(topic);
    if (!list.sort_due()) return;
    list.sort([&](uint32_t moved, uint32_t place) { place_in_list(moved, topic) = place; });
}

}  // namespace rc::hub
