#include "ringcast/hub/fanouts.h"

#include <algorithm>
#include <utility>

#include "ringcast/base/assert.h"
#include "tables.h"

namespace rc::hub {
namespace {

// What the work of a slice costs, in eighths of a delivery.
constexpr int64_t kDeliveryCost = 8;
constexpr int64_t kLookCost = 1;
// What one fan-out may do before the next gets its turn.
constexpr int64_t kTurnCost = 64 * kDeliveryCost;
// How far ahead a slot's coming turn is announced: a delivery takes about as long as a cache miss.
constexpr uint32_t kPrefetchAhead = 8;

}  // namespace

/// Publications that follow each other.
struct Fanouts::Lane {
    struct Waiting {
        std::unique_ptr<Publication> publication;
        std::size_t bytes;
    };
    uint32_t index = 0;
    uint32_t topic = kNone;       // whose publications these are; none: broadcasts or user publications
    std::deque<Waiting> waiting;  // the first may be under way
    bool under_way = false;

    // Of a user publication that is under way:
    uint32_t addressee = 0;      // next
    uint32_t filter = kNone;     // the topic that connections must hold, pinned
    uint32_t list_user = kNone;  // whose list the cursor is in
};

Fanouts::Fanouts(Shard& shard) : tables_(*shard.tables_), broadcast_lane_(kNone), users_lane_(kNone) {
    lane_of(broadcast_lane_);
    lane_of(users_lane_);
}

Fanouts::~Fanouts() = default;

Fanouts::Lane& Fanouts::lane_of(uint32_t& place) {
    if (place == kNone) {
        if (free_lanes_.empty()) {
            place = static_cast<uint32_t>(lanes_.size());
            lanes_.push_back(std::make_unique<Lane>());
            lanes_.back()->index = place;
        } else {
            place = free_lanes_.back();
            free_lanes_.pop_back();
        }
    }
    return *lanes_[place];
}

void Fanouts::queue(Lane& lane, std::unique_ptr<Publication> publication) {
    std::size_t const bytes = publication->bytes();
    if (lane.waiting.empty()) turns_.push_back(lane.index);
    lane.waiting.push_back({std::move(publication), bytes});
    ++waiting_;
    waiting_bytes_ += bytes;
}

void Fanouts::publish_topic(std::string_view topic, std::unique_ptr<Publication> publication) {
    uint32_t const index = tables_.find_topic(topic);
    if (index == kNone) return;
    Topic& known = tables_.topics[index];
    ++known.pins;
    Lane& lane = lane_of(known.lane);
    lane.topic = index;
    queue(lane, std::move(publication));
}

void Fanouts::publish_broadcast(std::unique_ptr<Publication> publication) {
    queue(*lanes_[broadcast_lane_], std::move(publication));
}

void Fanouts::publish_users(std::unique_ptr<UserPublication> publication) {
    queue(*lanes_[users_lane_], std::move(publication));
}

bool Fanouts::run_slice(uint32_t deliveries_max, Receiver& receiver) {
    RC_ASSERT(!running_ && deliveries_max > 0);
    running_ = true;
    int64_t allowance = deliveries_max * kDeliveryCost;
    while (allowance > 0 && !turns_.empty()) {
        Lane& lane = *lanes_[turns_.front()];
        int64_t const turn = std::min(allowance, kTurnCost);
        // The lane keeps its place at the front meanwhile: who publishes from within a delivery queues
        // behind.
        int64_t const rest =
            lane.index == users_lane_ ? run_users(lane, turn, receiver) : run_list(lane, turn, receiver);
        allowance -= turn - rest;
        turns_.pop_front();
        if (!lane.waiting.empty()) {
            turns_.push_back(lane.index);
        } else if (lane.topic != kNone) {
            uint32_t const topic = std::exchange(lane.topic, kNone);
            tables_.topics[topic].lane = kNone;
            tables_.forget_topic_if_unused(topic);
            free_lanes_.push_back(lane.index);
        }
    }
    running_ = false;
    return !turns_.empty();
}

void Fanouts::finish_front(Lane& lane) {
    lane.under_way = false;
    --waiting_;
    waiting_bytes_ -= lane.waiting.front().bytes;
    lane.waiting.pop_front();
}

// Pages do not move and the topic is pinned, so the references hold though deliveries change the tables.
int64_t Fanouts::run_list(Lane& lane, int64_t allowance, Receiver& receiver) {
    SubscriberList& list = lane.topic == kNone ? tables_.everyone : tables_.topics[lane.topic].subscribers;
    while (allowance > 0 && !lane.waiting.empty()) {
        allowance -= kLookCost;
        if (!std::exchange(lane.under_way, true)) list.begin_fanout();
        const Publication& publication = *lane.waiting.front().publication;
        for (; allowance > 0 && list.any_left(); allowance -= kDeliveryCost) {
            uint32_t const slot = list.next();
            if (list.left() >= kPrefetchAhead)
                receiver.prefetch(SubscriberSlot(list.peek(kPrefetchAhead - 1)));
            receiver.deliver(SubscriberSlot(slot), publication, 0);
        }
        if (list.any_left()) break;
        list.end_fanout();
        finish_front(lane);
        if (lane.topic != kNone) --tables_.topics[lane.topic].pins;
    }
    return allowance;
}

int64_t Fanouts::run_users(Lane& lane, int64_t allowance, Receiver& receiver) {
    auto deliver = [&](uint32_t slot, const UserPublication& publication, uint32_t addressee) {
        const Subscriber& subscriber = tables_.subscribers[slot];
        allowance -= kLookCost;
        if (!subscriber.receiving) return;
        if (lane.filter != kNone && !subscriber.edge_of(lane.filter)) return;
        allowance -= kDeliveryCost - kLookCost;
        receiver.deliver(SubscriberSlot(slot), publication, publication.offset(addressee));
    };
    while (allowance > 0 && !lane.waiting.empty()) {
        const auto& publication = static_cast<const UserPublication&>(*lane.waiting.front().publication);
        if (!lane.under_way) {
            allowance -= kLookCost;
            lane.under_way = true;
            lane.addressee = 0;
            if (!publication.topic().empty()) {
                lane.filter = tables_.find_topic(publication.topic());
                if (lane.filter == kNone) {  // nobody holds it
                    finish_front(lane);
                    continue;
                }
                ++tables_.topics[lane.filter].pins;
            }
        }
        if (lane.list_user != kNone) {
            SubscriberList& list = tables_.user_lists[tables_.users[lane.list_user].connection];
            while (allowance > 0 && list.any_left())
                deliver(list.next(), publication, lane.addressee);
            if (list.any_left()) break;
            list.end_fanout();
            tables_.tidy_user(std::exchange(lane.list_user, kNone));
            ++lane.addressee;
        } else if (lane.addressee < publication.addressees()) {
            uint32_t const user = tables_.find_user(publication.user(lane.addressee));
            if (user == kNone) {
                allowance -= kLookCost;
                ++lane.addressee;
            } else if (tables_.users[user].several) {
                lane.list_user = user;
                tables_.user_lists[tables_.users[user].connection].begin_fanout();
            } else {
                uint32_t const addressee = lane.addressee++;
                deliver(tables_.users[user].connection, publication, addressee);
            }
        } else {
            if (lane.filter != kNone) tables_.unpin_topic(std::exchange(lane.filter, kNone));
            finish_front(lane);
        }
    }
    return allowance;
}

}  // namespace rc::hub
