#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace rc {

struct Hash128 {
    uint64_t high = 0, low = 0;
    friend bool operator==(const Hash128&, const Hash128&) = default;
};

/// XXH3 over the parts, each with its length, so that no two lists of parts read the same.
/// Not for secrets. Core: any. Cost: O(bytes).
class Hasher {
  public:
    Hasher();
    ~Hasher();
    Hasher(const Hasher&) = delete;
    Hasher& operator=(const Hasher&) = delete;
    void add(std::string_view part);
    [[nodiscard]] Hash128 result() const;

  private:
    void* state_;
};

uint64_t hash64(std::string_view text, uint64_t seed = 0);

}  // namespace rc
