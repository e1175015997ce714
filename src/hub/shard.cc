#include "ringcast/hub/shard.h"

#include "tables.h"

namespace rc::hub {

Shard::Shard(HashKey key) : tables_(std::make_unique<Tables>(key)) {}
Shard::~Shard() = default;

bool Shard::subscribe(SubscriberSlot slot, std::string_view topic) {
    Subscriber& subscriber = tables_->reach(slot.value);
    uint32_t const index = tables_->intern_topic(topic);
    if (subscriber.edge_of(index)) return false;
    auto& list = tables_->topics[index].subscribers;
    if (list.size() == 0) ++tables_->topics_held;
    subscriber.add_edge(Edge{index, list.add(slot.value)});
    ++tables_->subscriptions;
    tables_->place_among_everyone(slot.value);
    return true;
}

bool Shard::unsubscribe(SubscriberSlot slot, std::string_view topic) {
    if (!tables_->find(slot.value)) return false;
    uint32_t const index = tables_->find_topic(topic);
    if (index == kNone) return false;
    Subscriber& subscriber = tables_->subscribers[slot.value];
    const Edge* edge = subscriber.edge_of(index);
    if (!edge) return false;
    Edge const dropped = *edge;
    subscriber.remove_edge(edge);
    tables_->drop_edge(slot.value, dropped);
    tables_->place_among_everyone(slot.value);
    return true;
}

void Shard::drop_topics(SubscriberSlot slot) {
    if (!tables_->find(slot.value)) return;
    Subscriber& subscriber = tables_->subscribers[slot.value];
    while (subscriber.edge_count() > 0) {
        const Edge* edge = subscriber.edges() + subscriber.edge_count() - 1;
        Edge const dropped = *edge;
        subscriber.remove_edge(edge);
        tables_->drop_edge(slot.value, dropped);
    }
    tables_->place_among_everyone(slot.value);
}

uint32_t Shard::topic_count(SubscriberSlot slot) const {
    const Subscriber* subscriber = tables_->find(slot.value);
    return subscriber ? subscriber->edge_count() : 0;
}

bool Shard::holds(SubscriberSlot slot, std::string_view topic) const {
    const Subscriber* subscriber = tables_->find(slot.value);
    if (!subscriber || subscriber->edge_count() == 0) return false;
    uint32_t const index = tables_->find_topic(topic);
    return index != kNone && subscriber->edge_of(index);
}

std::vector<std::string> Shard::topics_of(SubscriberSlot slot) const {
    std::vector<std::string> names;
    if (const Subscriber* subscriber = tables_->find(slot.value)) {
        names.reserve(subscriber->edge_count());
        for (uint32_t i = 0; i < subscriber->edge_count(); ++i)
            names.push_back(tables_->topics[subscriber->edges()[i].topic].name);
    }
    return names;
}

void Shard::set_user(SubscriberSlot slot, const UserId& user) {
    const Subscriber& subscriber = tables_->reach(slot.value);
    if (subscriber.user != kNone) {
        if (tables_->name_of(subscriber.user) == user_name(user)) return;
        clear_user(slot);
    }
    tables_->add_connection(slot.value, user);
}

void Shard::clear_user(SubscriberSlot slot) {
    if (!has_user(slot)) return;
    set_receiving(slot, false);
    tables_->remove_connection(slot.value);
}

bool Shard::has_user(SubscriberSlot slot) const {
    const Subscriber* subscriber = tables_->find(slot.value);
    return subscriber && subscriber->user != kNone;
}

bool Shard::is_user(SubscriberSlot slot, const UserId& user) const {
    const Subscriber* subscriber = tables_->find(slot.value);
    return subscriber && subscriber->user != kNone && tables_->name_of(subscriber->user) == user_name(user);
}

UserId Shard::user_of(SubscriberSlot slot) const {
    RC_ASSERT(has_user(slot));
    auto const name = tables_->name_of(tables_->subscribers[slot.value].user);
    if (const auto* integer = std::get_if<uint64_t>(&name)) return {std::to_string(*integer)};
    return {std::string(std::get<std::string_view>(name))};
}

void Shard::set_receiving(SubscriberSlot slot, bool on) {
    Subscriber& subscriber = tables_->reach(slot.value);
    RC_ASSERT(!on || subscriber.user != kNone);
    subscriber.receiving = on;
    tables_->place_among_everyone(slot.value);
}

bool Shard::receiving(SubscriberSlot slot) const {
    const Subscriber* subscriber = tables_->find(slot.value);
    return subscriber && subscriber->receiving;
}

uint32_t Shard::connections_of(const UserId& user) const {
    uint32_t const index = tables_->find_user(user);
    if (index == kNone) return 0;
    const User& known = tables_->users[index];
    if (known.several) return tables_->user_lists[known.connection].size();
    return known.connection == kNone ? 0 : 1;
}

std::vector<SubscriberSlot> Shard::slots_of(const UserId& user) const {
    std::vector<SubscriberSlot> slots;
    uint32_t const index = tables_->find_user(user);
    if (index == kNone) return slots;
    const User& known = tables_->users[index];
    if (!known.several) {
        slots.emplace_back(known.connection);
        return slots;
    }
    const auto& list = tables_->user_lists[known.connection];
    slots.reserve(list.size());
    for (uint32_t i = 0; i < list.size(); ++i)
        slots.emplace_back(list.slot(i));
    return slots;
}

void Shard::leave(SubscriberSlot slot) {
    drop_topics(slot);
    clear_user(slot);
}

Shard::Counts Shard::counts() const {
    return {tables_->everyone.size(), tables_->subscriptions, tables_->topics_held, tables_->users.held()};
}

}  // namespace rc::hub
