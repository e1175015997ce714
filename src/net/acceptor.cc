#include "ringcast/net/acceptor.h"

#include <cerrno>

namespace rc::net {
namespace {
constexpr Duration kRearmAfter = milliseconds(100);     // out of descriptors: one may be free again by then
constexpr Duration kShareLookEvery = milliseconds(10);  // while others may have taken what this core left
}  // namespace

Acceptor::Acceptor(reactor::Reactor& reactor, uint8_t table_id, bool direct, AcceptHandler& handler)
    : reactor_(reactor),
      table_id_(table_id),
      direct_(direct && reactor.ring().stats().direct_files),
      handler_(handler),
      retry_(*this),
      share_look_(*this) {
    reactor.ring().bind(table_id, *this);
}

Acceptor::~Acceptor() {
    RC_ASSERT(in_flight_ == 0);
}

io::Token Acceptor::token(uint32_t source, uint32_t slot) const {
    return {source * kBurst + slot, 0, table_id_, io::Kind::accept};
}

void Acceptor::add(int listener, SharedListener* shared) {
    sources_.push_back({.listener = listener, .shared = shared, .slots = {}});
    sources_.back().slots.resize(kBurst);
}

void Acceptor::start() {
    running_ = true;
    for (uint32_t i = 0; i < sources_.size(); ++i) {
        if (sources_[i].shared) sources_[i].shared->set_taking(reactor_.id(), true);
        arm(i);
    }
}

void Acceptor::arm(uint32_t index) {
    auto& source = sources_[index];
    if (source.stands_back) return;
    for (uint32_t i = 0; i < kBurst && source.armed < source.wanted; ++i) {
        if (source.armed > 0 && in_flight_ >= armed_max_) return;
        auto& slot = source.slots[i];
        if (slot && slot->op.in_flight()) continue;
        if (!slot) slot = std::make_unique<Slot>();
        ++source.armed;
        ++in_flight_;
        reactor_.ring().accept(slot->op, token(index, i), source.listener, slot->peer, direct_);
    }
}

void Acceptor::pause() {
    running_ = false;
    retry_.disarm();
    share_look_.disarm();
    for (uint32_t i = 0; i < sources_.size(); ++i) {
        auto& source = sources_[i];
        if (source.shared) source.shared->set_taking(reactor_.id(), false);
        source.stands_back = false;
        cancel(i);
    }
}

void Acceptor::cancel(uint32_t index) {
    for (uint32_t i = 0; i < kBurst; ++i) {
        auto& slot = sources_[index].slots[i];
        if (slot && slot->op.in_flight()) reactor_.ring().cancel(slot->op, token(index, i));
    }
}

// Stands back from a shared listener, or comes to it again.
void Acceptor::look_at_share(uint32_t index) {
    auto& source = sources_[index];
    if (!source.shared || !running_) return;
    bool const too_many = source.shared->holds_too_many(reactor_.id());
    if (too_many && !source.stands_back) cancel(index);
    bool const comes_again = !too_many && source.stands_back;
    source.stands_back = too_many;
    if (comes_again) arm(index);
    if (too_many && !share_look_.armed())
        reactor_.timers().arm(share_look_, reactor_.now() + kShareLookEvery);
}

void Acceptor::left(uint32_t index) {
    if (!sources_[index].shared) return;
    sources_[index].shared->left(reactor_.id());
    if (sources_[index].stands_back) look_at_share(index);
}

void Acceptor::on_completion(const io::Completion& completion) {
    uint32_t const index = completion.token.slot / kBurst;
    auto& source = sources_[index];
    auto& slot = *source.slots[completion.token.slot % kBurst];
    slot.op.finish();
    --source.armed;
    --in_flight_;
    if (completion.result >= 0) {
        metrics.accepted.add();
        auto const peer = PeerAddress::from(slot.peer);
        // All that were armed have come in one turn: a burst. One at a time again when it is over.
        if (source.turn != reactor_.turns()) {
            source.turn = reactor_.turns();
            if (source.completed_since < source.wanted / 2) source.wanted = std::max(1U, source.wanted / 2);
            source.completed_since = 0;
        }
        if (++source.completed_since >= source.wanted)
            source.wanted = std::min(source.shared ? kSharedBurst : kBurst, source.wanted * 2);
        if (source.shared) {
            source.shared->came(reactor_.id());
            look_at_share(index);
        }
        handler_.on_accept({completion.result, direct_}, peer, index);
    } else if (completion.result != -ECANCELED) {
        metrics.failed.add();
        if (refusals.judge(io::Kind::accept, completion.result) != Remedy::retry) {
            if (running_ && !retry_.armed()) reactor_.timers().arm(retry_, reactor_.now() + kRearmAfter);
            return;
        }
    }
    if (running_) arm(index);
}

}  // namespace rc::net
