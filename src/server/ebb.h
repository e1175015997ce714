#pragma once

#include <algorithm>
#include <cstdint>

namespace rc::server {

/// Tells when a crowd has left and memory is worth giving back: the allocator keeps by itself what was freed
/// all over its pages. Looked at once a second.
class Ebb {
  public:
    static constexpr uint64_t kWorth = 4'096;  // of what is held, that went since the last time
    static constexpr uint64_t kStill = 64;     // of it a look: as good as none

    /// @param held  what is held now, in any unit of some hundred bytes
    /// @return whether much has gone and no more goes. Then the next ebb counts from here.
    bool look(uint64_t held) {
        bool const falls = held + kStill < last_;
        last_ = held;
        peak_ = std::max(peak_, held);
        if (falls || peak_ - held < kWorth) return false;
        peak_ = held;
        return true;
    }

  private:
    uint64_t last_ = 0, peak_ = 0;
};

}  // namespace rc::server
