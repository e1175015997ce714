#include "erasures.h"

#include <utility>

namespace rc::store::sqlite {

void Erasures::look() {
    left_ = users_.left_to_erase().has_value();
}

void Erasures::begin(Ticket ticket, User& user) {
    auto const row = users_.begin_erasing(user);
    EraseAnswer answer;
    answer.ticket = ticket;
    answer.notifications = row.notifications;
    answer.messages = row.messages;
    answer.marks = row.marks;
    under_way_.push_back({answer, user.row.name});
}

bool Erasures::go_on(uint32_t& rows, std::vector<EraseAnswer>& done) {
    for (auto& erasure : under_way_) {
        if (erasure.done) continue;
        erasure.done = users_.erase_some(erasure.name, rows, erasure.answer.keys);
        if (!erasure.done) return false;
        done.push_back(erasure.answer);
    }
    while (left_) {
        auto const name = users_.left_to_erase();
        left_ = name.has_value();
        uint64_t keys = 0;
        if (left_ && !users_.erase_some(*name, rows, keys)) return false;
    }
    return true;
}

void Erasures::committed() {
    std::erase_if(under_way_, [](const UnderWay& erasure) { return erasure.done; });
    for (auto& erasure : under_way_)
        erasure.committed = true;
}

void Erasures::rollback() {
    std::erase_if(under_way_, [](const UnderWay& erasure) { return !erasure.committed; });
}

std::vector<Ticket> Erasures::give_up() {
    std::vector<Ticket> tickets;
    for (const auto& erasure : std::exchange(under_way_, {}))
        tickets.push_back(erasure.answer.ticket);
    return tickets;
}

}  // namespace rc::store::sqlite
