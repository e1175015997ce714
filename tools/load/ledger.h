#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace rc::load {

/// What went wrong with deliveries, with the first of each kind by name.
struct Faults {
    static constexpr std::size_t kNamedMax = 20;
    uint64_t missing = 0, doubled = 0, reordered = 0, stray = 0;
    std::vector<std::string> named;

    [[nodiscard]] uint64_t count() const { return missing + doubled + reordered + stray; }
    void name(std::string text) {
        if (named.size() < kNamedMax) named.push_back(std::move(text));
    }
    void merge(const Faults& other);
};

/// Sequence numbers that were never promised to anybody: of publications that the server refused, or did not
/// answer. By stream.
using Excused = std::unordered_map<uint32_t, std::set<uint32_t>>;

/// What each receiver has had, held against what was published: for each receiver and stream the number that
/// comes next, and, only where a gap is open, the numbers in it. A gap that is filled later is a reordering;
/// one that stays is a loss. Receivers of the same streams are also held against each other: a topic has one
/// order for all. Core: one. Memory: 4 bytes a receiver and stream, 12 a receiver.
class Ledger {
  public:
    /// @param first  number of the first receiver, for names  @param shared  streams that all receive,
    /// numbered from 0; each receiver has one more, for itself
    Ledger(uint32_t first, uint32_t receivers, uint32_t shared);

    /// Streams of single receivers are numbered by receiver behind this.
    static constexpr uint32_t kOwnStream = 1U << 31;

    /// A delivery to a receiver (counted from 0 here).
    void take(uint32_t receiver, uint32_t stream, uint32_t seq) {
        uint32_t const column = stream < kOwnStream ? stream : shared_;
        if (column > shared_ || (stream >= kOwnStream && stream - kOwnStream != first_ + receiver))
            [[unlikely]]
            return take_stray(receiver, stream, seq);
        if (stream < kOwnStream)
            orders_[receiver] = (orders_[receiver] ^ (uint64_t{stream} << 32 | seq)) * kPrime;
        uint32_t& next = next_[std::size_t{receiver} * (shared_ + 1) + column];
        if (seq == next) [[likely]] {
            ++next;
            return;
        }
        take_odd(receiver, stream, seq, next);
    }

    /// Holds it all against the numbers that were published, and names what is missing.
    /// @param shared  how many of each shared stream  @param own  how many of each receiver's own stream,
    /// indexed by its global number  @param excused  what need not have come
    void close(const std::vector<uint32_t>& shared, const std::vector<uint32_t>& own, const Excused& excused);

    [[nodiscard]] const Faults& faults() const { return faults_; }
    /// The order in which this receiver had the shared streams, as a number. After close().
    [[nodiscard]] uint64_t order_of(uint32_t receiver) const { return orders_[receiver]; }
    /// Whether the receiver missed or doubled something of the shared streams.
    [[nodiscard]] bool intact(uint32_t receiver) const { return !broken_.contains(receiver); }
    [[nodiscard]] uint32_t receivers() const { return receivers_; }
    [[nodiscard]] uint32_t first() const { return first_; }
    [[nodiscard]] uint32_t shared() const { return shared_; }

  private:
    static constexpr uint64_t kPrime = 0x9e3779b97f4a7c15;
    void take_stray(uint32_t receiver, uint32_t stream, uint32_t seq);
    void take_odd(uint32_t receiver, uint32_t stream, uint32_t seq, uint32_t& next);
    void close_stream(uint32_t receiver, uint32_t stream, uint32_t published, const Excused& excused);
    [[nodiscard]] std::string describe(uint32_t receiver, uint32_t stream, uint32_t seq) const;

    uint32_t first_, receivers_, shared_;
    std::vector<uint32_t> next_;
    std::vector<uint64_t> orders_;
    std::unordered_map<uint64_t, std::set<uint32_t>> gaps_;  // receiver << 32 | stream
    std::set<uint32_t> broken_;
    Faults faults_;
};

}  // namespace rc::load
