#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace rc::hub {

/// A dense table that grows by pages: an entry never moves, and growing copies page addresses alone, so
/// that no connection pays for the table's size. It does not shrink.
template <class T>
class Pages {
  public:
    T& operator[](uint32_t index) { return pages_[index >> kShift][index & kMask]; }
    const T& operator[](uint32_t index) const { return pages_[index >> kShift][index & kMask]; }

    [[nodiscard]] bool reaches(uint32_t index) const { return (index >> kShift) < pages_.size(); }
    void reach(uint32_t index) {
        while (!reaches(index))
            pages_.push_back(std::make_unique<T[]>(kMask + 1));
    }

    /// An entry that nobody holds; it is as its last holder left it.
    uint32_t acquire() {
        if (!free_.empty()) {
            uint32_t const index = free_.back();
            free_.pop_back();
            return index;
        }
        reach(used_);
        return used_++;
    }
    void release(uint32_t index) { free_.push_back(index); }
    [[nodiscard]] uint32_t held() const { return used_ - static_cast<uint32_t>(free_.size()); }

  private:
    static constexpr uint32_t kShift = 10;
    static constexpr uint32_t kMask = (1U << kShift) - 1;
    std::vector<std::unique_ptr<T[]>> pages_;
    std::vector<uint32_t> free_;
    uint32_t used_ = 0;
};

}  // namespace rc::hub
