#include "ringcast/base/shared_bytes.h"

#include <cstring>
#include <limits>
#include <new>

#include "ringcast/base/assert.h"

namespace rc {

SharedBytes SharedBytes::join(std::span<const std::string_view> parts) {
    std::size_t size = 0;
    for (auto part : parts)
        size += part.size();
    RC_ASSERT(size <= std::numeric_limits<uint32_t>::max());
    auto* block = new (::operator new(sizeof(Block) + size)) Block{{1}, static_cast<uint32_t>(size)};
    char* out = block->bytes();
    for (auto part : parts) {
        if (!part.empty()) std::memcpy(out, part.data(), part.size());
        out += part.size();
    }
    return SharedBytes(block);
}

void SharedBytes::drop() noexcept {
    if (block_ && block_->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        block_->~Block();
        ::operator delete(block_);
    }
}

}  // namespace rc
