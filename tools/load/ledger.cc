#include "ledger.h"

#include <fmt/format.h>

namespace rc::load {

void Faults::merge(const Faults& other) {
    missing += other.missing;
    doubled += other.doubled;
    reordered += other.reordered;
    stray += other.stray;
    for (const auto& text : other.named)
        name(text);
}

Ledger::Ledger(uint32_t first, uint32_t receivers, uint32_t shared)
    : first_(first),
      receivers_(receivers),
      shared_(shared),
      next_(std::size_t{receivers} * (shared + 1)),
      orders_(receivers) {}

std::string Ledger::describe(uint32_t receiver, uint32_t stream, uint32_t seq) const {
    if (stream >= kOwnStream)
        return fmt::format("client {}: message {} to user {}", first_ + receiver, seq, stream - kOwnStream);
    return fmt::format("client {}: message {} of publisher {} to the topic", first_ + receiver, seq, stream);
}

void Ledger::take_stray(uint32_t receiver, uint32_t stream, uint32_t seq) {
    ++faults_.stray;
    faults_.name(describe(receiver, stream, seq) + " was not meant for it");
}

void Ledger::take_odd(uint32_t receiver, uint32_t stream, uint32_t seq, uint32_t& next) {
    auto const key = uint64_t{receiver} << 32 | stream;
    if (seq > next) {
        auto& gap = gaps_[key];
        for (; next < seq; ++next)
            gap.insert(next);
        next = seq + 1;
        return;
    }
    auto const gap = gaps_.find(key);
    if (gap != gaps_.end() && gap->second.erase(seq) > 0) {
        ++faults_.reordered;
        faults_.name(describe(receiver, stream, seq) + " came behind later ones");
        return;
    }
    if (stream < kOwnStream) broken_.insert(receiver);
    ++faults_.doubled;
    faults_.name(describe(receiver, stream, seq) + " came twice");
}

void Ledger::close_stream(uint32_t receiver, uint32_t stream, uint32_t published, const Excused& excused) {
    auto const column = stream < kOwnStream ? stream : shared_;
    uint32_t& next = next_[std::size_t{receiver} * (shared_ + 1) + column];
    auto const gap = gaps_.find(uint64_t{receiver} << 32 | stream);
    bool const has_gap = gap != gaps_.end() && !gap->second.empty();
    if (next >= published && !has_gap) return;
    auto const pardon = excused.find(stream);
    auto miss = [&](uint32_t seq) {
        if (stream < kOwnStream) broken_.insert(receiver);
        if (pardon != excused.end() && pardon->second.contains(seq)) return;
        ++faults_.missing;
        faults_.name(describe(receiver, stream, seq) + " never came");
    };
    if (has_gap) {
        for (uint32_t const seq : gap->second)
            miss(seq);
        gap->second.clear();
    }
    for (; next < published; ++next)
        miss(next);
}

void Ledger::close(const std::vector<uint32_t>& shared, const std::vector<uint32_t>& own,
                   const Excused& excused) {
    for (uint32_t receiver = 0; receiver < receivers_; ++receiver) {
        for (uint32_t stream = 0; stream < shared_ && stream < shared.size(); ++stream)
            close_stream(receiver, stream, shared[stream], excused);
        if (first_ + receiver < own.size())
            close_stream(receiver, kOwnStream + first_ + receiver, own[first_ + receiver], excused);
    }
}

}  // namespace rc::load
