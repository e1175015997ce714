#pragma once

#include <absl/container/flat_hash_set.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rc::hub {

constexpr uint32_t kNone = UINT32_MAX;

/// Finds the entries of a table by name, 5 to 12 bytes an entry: the set holds the entries' indices and
/// reads the names in the table. Table has `uint64_t hash_of(uint32_t)` and `bool is(uint32_t, Name)`.
///
/// It consists of many small sets, so that a growing one moves a small part of all names at a time: with
/// a million users the whole would hold its core for tens of milliseconds. They shrink likewise.
template <class Table, class Name>
class NameIndex {
  public:
    explicit NameIndex(const Table& table) {
        sets_.reserve(kSets);
        for (std::size_t i = 0; i < kSets; ++i)
            sets_.emplace_back(0, Hash{&table}, Equal{&table});
    }

    [[nodiscard]] uint32_t find(uint64_t hash, Name name) const {
        const Set& set = sets_[part(hash)];
        auto at = set.find(Probe{hash, name});
        return at == set.end() ? kNone : *at;
    }
    void insert(uint64_t hash, uint32_t index) { sets_[part(hash)].insert(index); }
    void erase(uint64_t hash, uint32_t index) {
        Set& set = sets_[part(hash)];
        set.erase(index);
        // A crowd has left.
        if (set.capacity() > kCapacityKept && set.size() < set.capacity() / 8) set.rehash(0);
    }

  private:
    static constexpr std::size_t kSets = 64;
    static constexpr std::size_t kCapacityKept = 64;  // of a set
    static std::size_t part(uint64_t hash) { return hash >> 58; }

    struct Probe {
        uint64_t hash;
        Name name;
    };
    struct Hash {
        using is_transparent = void;
        const Table* table;
        std::size_t operator()(uint32_t index) const { return table->hash_of(index); }
        std::size_t operator()(const Probe& probe) const { return probe.hash; }
    };
    struct Equal {
        using is_transparent = void;
        const Table* table;
        bool operator()(uint32_t a, uint32_t b) const { return a == b; }
        bool operator()(uint32_t a, const Probe& b) const { return table->is(a, b.name); }
        bool operator()(const Probe& a, uint32_t b) const { return table->is(b, a.name); }
    };
    using Set = absl::flat_hash_set<uint32_t, Hash, Equal>;
    std::vector<Set> sets_;
};

}  // namespace rc::hub
