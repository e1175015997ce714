#include "ringcast/hub/fanouts.h"

#include <algorithm>
#include <utility>

#include "ringcast/base/assert.h"
#include "tables.h"

namespace rc::hub {
namespace {

// What the work of a slice costs, in sixteenths of a delivery.
constexpr int64_t kDeliveryCost = 16;
constexpr int64_t kLookCost = 2;
constexpr int64_t kJoinedCost = 1;  // each message of a burst but the first
// What is kept of a slice for fan-outs that are older than publications to users: one part of so many.
constexpr int64_t kKeptPart = 4;
// What one fan-out may do before the next gets its turn.
constexpr int64_t kTurnCost = 64 * kDeliveryCost;
// Of a burst: what is copied for it, and what a connection that does not read may hold more than others.
constexpr std::size_t kBurstMax = 64;
constexpr std::size_t kBurstBytesMax = 64 * 1024;

}  // namespace

struct Fanouts::Waiting {
    std::unique_ptr<Publication> publication;
    std::size_t bytes;
    uint64_t number;  // in the order in which publications of all kinds were handed over
};

/// A topic's publications, or the broadcasts. Each is a fan-out over the list, in the same order.
struct Fanouts::Lane {
    uint32_t index = 0;
    uint32_t topic = kNone;  // pinned; none: broadcasts
    std::deque<Waiting> waiting;
};

struct Fanouts::UsersLane {
    std::deque<Waiting> waiting;  // the first may be under way

    // Of the one that is under way:
    bool under_way = false;
    uint32_t addressee = 0;      // whose turn it is
    uint32_t filter = kNone;     // the topic that connections must hold, pinned
    uint32_t list_user = kNone;  // the addressee, when a fan-out over its connections is under way
};

Fanouts::Fanouts(Shard& shard) : tables_(*shard.tables_), users_(std::make_unique<UsersLane>()) {
    make_lane(kNone);
}

Fanouts::~Fanouts() = default;

Fanouts::Lane& Fanouts::make_lane(uint32_t topic) {
    if (free_lanes_.empty()) {
        free_lanes_.push_back(static_cast<uint32_t>(lanes_.size()));
        lanes_.push_back(std::make_unique<Lane>());
    }
    Lane& lane = *lanes_[free_lanes_.back()];
    lane.index = free_lanes_.back();
    lane.topic = topic;
    free_lanes_.pop_back();
    return lane;
}

void Fanouts::queue(std::deque<Waiting>& waiting, std::unique_ptr<Publication> publication) {
    std::size_t const bytes = publication->bytes();
    waiting.push_back({std::move(publication), bytes, ++newest_number_});
    ++waiting_;
    waiting_bytes_ += bytes;
}

void Fanouts::queue(Lane& lane, std::unique_ptr<Publication> publication) {
    if (lane.waiting.empty()) turns_.push_back(lane.index);
    queue(lane.waiting, std::move(publication));
    tables_.put_in_order(lane.topic);
    tables_.list_of(lane.topic).begin_fanout();
}

void Fanouts::finish_first(std::deque<Waiting>& waiting) {
    --waiting_;
    waiting_bytes_ -= waiting.front().bytes;
    waiting.pop_front();
}

void Fanouts::publish_topic(std::string_view topic, std::unique_ptr<Publication> publication) {
    uint32_t const index = tables_.find_topic(topic);
    if (index == kNone) return;
    Topic& known = tables_.topics[index];
    if (known.subscribers.size() == 0) return;  // its last holder left in mid fan-out
    if (known.lane == kNone) {
        known.lane = make_lane(index).index;
        ++known.pins;
    }
    queue(*lanes_[known.lane], std::move(publication));
}

void Fanouts::publish_broadcast(std::unique_ptr<Publication> publication) {
    if (tables_.everyone.size() > 0) queue(*lanes_.front(), std::move(publication));
}

void Fanouts::publish_users(std::unique_ptr<UserPublication> publication) {
    queue(users_->waiting, std::move(publication));
}

bool Fanouts::users_waiting() const {
    return !users_->waiting.empty();
}

bool Fanouts::run_slice(uint32_t deliveries_max, Receiver& receiver) {
    RC_ASSERT(!running_ && deliveries_max > 0);
    running_ = true;
    int64_t allowance = deliveries_max * kDeliveryCost;
    int64_t const kept = turns_.empty() ? 0 : allowance / kKeptPart;
    allowance = run_users(allowance - kept, receiver) + kept;
    for (std::size_t held_up = 0; allowance > 0 && held_up < turns_.size();) {
        Lane& lane = *lanes_[turns_.front()];
        int64_t const turn = std::min(allowance, kTurnCost);
        int64_t rest = turn - kLookCost;
        if (users_are_older(lane)) {
            ++held_up;
        } else {
            held_up = 0;
            // The lane keeps its place at the front meanwhile: who publishes from within a delivery queues
            // behind.
            rest = run_list(lane, turn, receiver);
        }
        allowance -= turn - rest;
        turns_.pop_front();
        if (!lane.waiting.empty()) {
            turns_.push_back(lane.index);
        } else if (lane.topic != kNone) {
            tables_.topics[lane.topic].lane = kNone;
            tables_.unpin_topic(lane.topic);
            free_lanes_.push_back(lane.index);
        }
    }
    running_ = false;
    return users_waiting() || !turns_.empty();
}

void Fanouts::bring_up(SubscriberSlot slot, Receiver& receiver) {
    RC_ASSERT(!running_ && !users_waiting());
    if (!tables_.find(slot.value)) return;
    running_ = true;
    while (catch_up(slot.value, newest_number_ + 1, receiver)) {
    }
    running_ = false;
}

// Whether the lane's next publication would overtake one to users.
bool Fanouts::users_are_older(const Lane& lane) const {
    return users_waiting() && users_->waiting.front().number < lane.waiting.front().number;
}

// What waits for the next connection of this list and can be brought to it at once: all that nothing of
// another lane comes between. Null: no more than one.
const Burst* Fanouts::burst_of(Lane& lane) {
    auto const& waiting = lane.waiting;
    if (waiting.size() < 2) return nullptr;
    uint64_t before = users_waiting() ? users_->waiting.front().number : UINT64_MAX;
    if (lane.topic == kNone) {
        if (turns_.size() > 1) return nullptr;
    } else if (auto const& broadcasts = lanes_.front()->waiting; !broadcasts.empty()) {
        before = std::min(before, broadcasts.front().number);
    }
    std::size_t count = 0, bytes = 0;
    while (count < std::min(waiting.size(), kBurstMax) && waiting[count].number < before &&
           bytes + waiting[count].bytes <= kBurstBytesMax)
        bytes += waiting[count++].bytes;
    if (count < 2) return nullptr;
    // A number is one publication, and those between two of one lane stay the same.
    if (burst_first_ != waiting.front().number || burst_publications_.size() != count) {
        burst_first_ = waiting.front().number;
        burst_publications_.clear();
        for (std::size_t i = 0; i < count; ++i)
            burst_publications_.push_back(waiting[i].publication.get());
        burst_ = {burst_.id + 1, burst_publications_, bytes};
    }
    return &burst_;
}

// Pages do not move and the topic is pinned, so the references hold though deliveries change the tables.
int64_t Fanouts::run_list(Lane& lane, int64_t allowance, Receiver& receiver) {
    SubscriberList& list = tables_.list_of(lane.topic);
    while (allowance > 0 && !lane.waiting.empty() && !users_are_older(lane)) {
        RC_ASSERT(list.fanouts() == lane.waiting.size());
        allowance -= kLookCost;
        const auto& [publication, bytes, number] = lane.waiting.front();
        // What is older can only become less.
        auto const& broadcasts = lanes_.front()->waiting;
        bool const may_wait = lane.topic == kNone ? turns_.size() > 1
                                                  : !broadcasts.empty() && broadcasts.front().number < number;
        const Burst* const burst = list.left() > 0 ? burst_of(lane) : nullptr;
        for (; allowance > 0 && list.left() > 0; allowance -= kDeliveryCost) {
            SubscriberSlot const slot(list.peek());
            if (may_wait && catch_up(slot.value, number, receiver)) continue;
            bool const at_once = burst && receiver.takes(slot, *burst);
            if (at_once) {
                tables_.next(lane.topic, static_cast<uint32_t>(burst->publications.size()));
            } else {
                list.next();
            }
            if (at_once) {
                allowance -= kJoinedCost * static_cast<int64_t>(burst->publications.size() - 1);
                receiver.deliver_burst(slot, *burst);
            } else {
                receiver.deliver(slot, *publication, 0);
            }
        }
        if (list.left() > 0) break;
        list.end_fanout();
        finish_first(lane.waiting);
    }
    return allowance;
}

int64_t Fanouts::run_users(int64_t allowance, Receiver& receiver) {
    UsersLane& lane = *users_;
    // The next step for a connection of the addressee. While that is to catch up it keeps its turn, and is
    // found anew afterwards: a delivery may have changed everything.
    auto step = [&](uint32_t slot, const UserPublication& publication, auto&& end_its_turn) {
        allowance -= kLookCost;
        const Subscriber& subscriber = tables_.subscribers[slot];
        bool const wanted =
            subscriber.receiving && (lane.filter == kNone || subscriber.edge_of(lane.filter) != nullptr);
        if (wanted) allowance -= kDeliveryCost - kLookCost;
        if (wanted && catch_up(slot, lane.waiting.front().number, receiver)) return;
        uint64_t const offset = publication.offset(lane.addressee);
        end_its_turn();
        if (wanted) receiver.deliver(SubscriberSlot(slot), publication, offset);
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
                    lane.addressee = publication.addressees();
                } else {
                    ++tables_.topics[lane.filter].pins;
                }
            }
        }
        if (lane.list_user != kNone) {
            SubscriberList& list = tables_.user_lists[tables_.users[lane.list_user].connection];
            if (list.left() > 0) {
                step(list.peek(), publication, [&] { list.next(); });
            } else {
                list.end_fanout();
                tables_.tidy_user(std::exchange(lane.list_user, kNone));
                ++lane.addressee;
            }
        } else if (lane.addressee < publication.addressees()) {
            uint32_t const user = tables_.find_user(publication.user(lane.addressee));
            if (user == kNone) {
                allowance -= kLookCost;
                ++lane.addressee;
            } else if (tables_.users[user].several) {
                lane.list_user = user;
                tables_.user_lists[tables_.users[user].connection].begin_fanout();
            } else {
                step(tables_.users[user].connection, publication, [&] { ++lane.addressee; });
            }
        } else {
            if (lane.filter != kNone) tables_.unpin_topic(std::exchange(lane.filter, kNone));
            lane.under_way = false;
            finish_first(lane.waiting);
        }
    }
    return allowance;
}

// Delivers the oldest publication to a topic or to all that the connection waits for, if it is older than
// this number. Cost: O(1) when no fan-out waits, else O(topics of the connection).
bool Fanouts::catch_up(uint32_t slot, uint64_t number, Receiver& receiver) {
    if (turns_.empty()) return false;
    Lane* found = nullptr;
    uint32_t found_at = 0;
    auto look = [&](Lane& lane, uint32_t place) {
        uint32_t const at = tables_.list_of(lane.topic).waits_for(place);
        if (at == lane.waiting.size() || lane.waiting[at].number >= number) return;
        found = &lane;
        found_at = at;
        number = lane.waiting[at].number;
    };
    const Subscriber& subscriber = tables_.subscribers[slot];
    if (subscriber.everyone_place != kNone) look(*lanes_.front(), subscriber.everyone_place);
    for (uint32_t i = 0; i < subscriber.edge_count(); ++i) {
        Edge const edge = subscriber.edges()[i];
        if (uint32_t const lane = tables_.topics[edge.topic].lane; lane != kNone)
            look(*lanes_[lane], edge.place);
    }
    if (!found) return false;
    tables_.serve(slot, found->topic);
    receiver.deliver(SubscriberSlot(slot), *found->waiting[found_at].publication, 0);
    return true;
}

}  // namespace rc::hub
