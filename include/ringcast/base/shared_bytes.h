#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

namespace rc {

/// Immutable bytes that several cores may hold at once: one block, one atomic count.
/// The count moves once a core and publication, not once a delivery: within a core use FrameRef.
/// Core: copy and drop on any core. Cost: one allocation to make; one atomic add to copy or drop.
class SharedBytes {
  public:
    SharedBytes() = default;
    /// Joins the parts into one new block. Cost: one allocation and one copy.
    static SharedBytes join(std::span<const std::string_view> parts);
    static SharedBytes join(std::initializer_list<std::string_view> parts) {
        return join(std::span(parts.begin(), parts.size()));
    }
    static SharedBytes copy_of(std::string_view bytes) { return join({bytes}); }

    SharedBytes(const SharedBytes& other) noexcept : block_(other.block_) {
        if (block_) block_->holders.fetch_add(1, std::memory_order_relaxed);
    }
    SharedBytes(SharedBytes&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    SharedBytes& operator=(SharedBytes other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~SharedBytes() { drop(); }

    explicit operator bool() const { return block_ != nullptr; }
    [[nodiscard]] std::size_t size() const { return block_ ? block_->size : 0; }
    [[nodiscard]] const char* data() const { return block_ ? block_->bytes() : nullptr; }
    [[nodiscard]] std::string_view view() const { return {data(), size()}; }

  private:
    struct Block {
        std::atomic<uint32_t> holders;
        uint32_t size;
        char* bytes() { return reinterpret_cast<char*>(this + 1); }
    };
    explicit SharedBytes(Block* block) : block_(block) {}
    void drop() noexcept;

    Block* block_ = nullptr;
};

/// A frame, or several that follow each other, as one core holds them: the shared bytes once, and a plain
/// count of this core's references.
/// Connections' queues hold these, 8 bytes each. Core: must stay on the core that made it.
/// Cost: one small allocation a core and publication; copying and dropping are plain adds.
class FrameRef {
  public:
    FrameRef() = default;
    explicit FrameRef(SharedBytes bytes, uint32_t frames = 1)
        : lease_(new Lease{std::move(bytes), 1, frames}) {}

    FrameRef(const FrameRef& other) noexcept : lease_(other.lease_) {
        if (lease_) ++lease_->references;
    }
    FrameRef(FrameRef&& other) noexcept : lease_(std::exchange(other.lease_, nullptr)) {}
    FrameRef& operator=(FrameRef other) noexcept {
        std::swap(lease_, other.lease_);
        return *this;
    }
    ~FrameRef() {
        if (lease_ && --lease_->references == 0) delete lease_;
    }

    explicit operator bool() const { return lease_ != nullptr; }
    [[nodiscard]] std::string_view view() const { return lease_->bytes.view(); }
    [[nodiscard]] std::size_t size() const { return lease_->bytes.size(); }
    /// How many frames the bytes are.
    [[nodiscard]] uint32_t frames() const { return lease_->frames; }

  private:
    struct Lease {
        SharedBytes bytes;
        uint32_t references;
        uint32_t frames;
    };
    Lease* lease_ = nullptr;
};

}  // namespace rc
