#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "ringcast/base/assert.h"

namespace rc {

/// A dense table that grows by pages: an entry never moves, and growing copies page addresses alone, so
/// that no connection pays for the table's size. A page whose last entry is released goes back, but for
/// one that is kept for what comes next; entries are given out from the lowest page that has some, so that
/// pages empty. Use it by acquire() and release(), or by reach() alone, for entries that stay.
template <class T>
class Pages {
  public:
    T& operator[](uint32_t index) { return pages_[index >> kShift][index & kMask]; }
    const T& operator[](uint32_t index) const { return pages_[index >> kShift][index & kMask]; }

    [[nodiscard]] bool reaches(uint32_t index) const {
        return (index >> kShift) < pages_.size() && pages_[index >> kShift];
    }
    void reach(uint32_t index) {
        while (!reaches(index))
            pages_.push_back(std::make_unique<T[]>(kPageEntries));
    }

    /// An entry that nobody holds; it is new, or as its last holder left it. Cost: O(1), amortised.
    uint32_t acquire() {
        while (first_open_ < uses_.size() && uses_[first_open_].held == kPageEntries)
            ++first_open_;
        if (first_open_ == uses_.size()) {
            uses_.emplace_back();
            pages_.emplace_back();
        }
        auto& page = pages_[first_open_];
        if (!page) page = spare_ ? std::move(spare_) : std::make_unique<T[]>(kPageEntries);
        Use& use = uses_[first_open_];
        auto const word = std::find_if(use.taken.begin(), use.taken.end(), [](auto w) { return ~w != 0; });
        auto const bit = static_cast<uint32_t>(std::countr_one(*word));
        *word |= uint64_t{1} << bit;
        ++use.held;
        ++held_;
        return (first_open_ << kShift) | static_cast<uint32_t>(word - use.taken.begin()) << 6 | bit;
    }
    /// References to the entry, and to others of its page that nobody holds, end here.
    void release(uint32_t index) {
        uint32_t const page = index >> kShift;
        Use& use = uses_[page];
        uint64_t& word = use.taken[(index & kMask) >> 6];
        uint64_t const bit = uint64_t{1} << (index & 63);
        RC_ASSERT((word & bit) != 0);
        word &= ~bit;
        --use.held;
        --held_;
        first_open_ = std::min(first_open_, page);
        if (use.held > 0) return;
        auto empty = std::move(pages_[page]);
        if (!spare_) spare_ = std::move(empty);
    }
    [[nodiscard]] uint32_t held() const { return held_; }
    /// Above every index that was ever given out; not all below are there.
    [[nodiscard]] uint32_t end() const { return static_cast<uint32_t>(pages_.size()) << kShift; }
    /// Pages in memory, the spare one included.
    [[nodiscard]] std::size_t pages() const {
        return static_cast<std::size_t>(std::count_if(pages_.begin(), pages_.end(),
                                                      [](const auto& page) { return page != nullptr; })) +
               (spare_ ? 1 : 0);
    }

  private:
    static constexpr uint32_t kShift = 10;
    static constexpr uint32_t kPageEntries = 1U << kShift, kMask = kPageEntries - 1;
    struct Use {
        std::array<uint64_t, kPageEntries / 64> taken{};
        uint32_t held = 0;
    };
    std::vector<std::unique_ptr<T[]>> pages_;
    std::vector<Use> uses_;       // of the pages; empty where they are only reached
    std::unique_ptr<T[]> spare_;  // all of it free
    uint32_t first_open_ = 0;     // all pages below are full
    uint32_t held_ = 0;
};

}  // namespace rc
