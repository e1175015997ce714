#include "ringcast/reactor/mesh.h"

namespace rc::reactor {

Mesh::Mesh(uint32_t participants, uint32_t places) {
    for (uint32_t i = 0; i < participants; ++i)
        sleepers_.push_back(std::make_unique<Sleeper>());
    boxes_.resize(std::size_t{participants} * participants);
    for (uint32_t from = 0; from < participants; ++from) {
        // A core's mail to itself takes the same way, so that no callback runs inside the call.
        for (uint32_t to = 0; to < participants; ++to) {
            boxes_[from * participants + to] = std::make_unique<Mailbox>(places);
        }
    }
}

void Mesh::widen(CoreId core, uint32_t places) {
    for (uint32_t other = 0; other < size(); ++other) {
        boxes_[core * size() + other] = std::make_unique<Mailbox>(places);
        boxes_[other * size() + core] = std::make_unique<Mailbox>(places);
    }
}

bool Mesh::may_sleep(CoreId core) {
    sleepers_[core]->asleep.exchange(true, std::memory_order_seq_cst);
    for (uint32_t from = 0; from < size(); ++from) {
        if (box(static_cast<CoreId>(from), core).has_mail()) {
            woke(core);
            return false;
        }
    }
    return true;
}

}  // namespace rc::reactor
