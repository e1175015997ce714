#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>

#include "ringcast/base/assert.h"

namespace rc::reactor {

/// A participant of the mesh: a worker's core, the store's thread, or the main thread.
using CoreId = uint8_t;

/// One message between two cores, a cache line. What it points to changes hands with it.
struct alignas(64) Mail {
    static constexpr std::size_t kPayloadBytes = 48;
    enum Role : uint8_t { one_way, request, answer };

    uint8_t kind = 0;  // whose business it is, see Reactor::bind_mail
    CoreId from = 0;
    Role role = one_way;
    uint64_t stamp = 0;  // its place among the publications of all cores, see Mesh::next_stamp; 0: any
    alignas(8) std::array<std::byte, kPayloadBytes> payload;

    template <class T>
    static Mail make(uint8_t kind, const T& content) {
        static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kPayloadBytes);
        Mail mail;
        mail.kind = kind;
        std::memcpy(mail.payload.data(), &content, sizeof(T));
        return mail;
    }
    template <class T>
    [[nodiscard]] T as() const {
        static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kPayloadBytes);
        T content;
        std::memcpy(&content, payload.data(), sizeof(T));
        return content;
    }
};
static_assert(sizeof(Mail) == 64);

/// The bounded way from one core to another: single producer, single consumer, no lock. The producer
/// hands a turn's batch over at once. Half of the places are kept for answers, so that an answer always
/// has one: a core has at most that many requests open to another (see Mesh).
class Mailbox {
  public:
    /// @param places  a power of two
    explicit Mailbox(uint32_t places) : mask_(places - 1), mails_(new Mail[places]) {
        RC_ASSERT(places >= 4 && (places & mask_) == 0);
    }

    [[nodiscard]] uint32_t places() const { return mask_ + 1; }

    // Producer's core.
    [[nodiscard]] uint32_t free_places() {
        see_head();
        return mask_ + 1 - (tail_private_ - head_seen_);
    }
    /// Places of the half that is not for answers: what answers take meanwhile is of their own half.
    [[nodiscard]] uint32_t free_places_but_for_answers() {
        see_head();
        return places() / 2 - std::min(others_, places() / 2);
    }
    /// Returns the mail in its place, to be completed before hand_over().
    Mail& push(const Mail& mail, Mail::Role role = Mail::one_way) {
        if (tail_private_ - head_seen_ > mask_) RC_ASSERT(free_places() > 0);
        if (role != Mail::answer) ++others_;
        Mail& placed = mails_[tail_private_++ & mask_] = mail;
        placed.role = role;
        return placed;
    }
    /// Makes what was pushed visible. Returns whether there was anything.
    bool hand_over() {
        if (tail_private_ == tail_public_) return false;
        tail_public_ = tail_private_;
        // seq_cst: paired with the sleeper's exchange and its last look (Mesh::may_sleep).
        tail_.store(tail_private_, std::memory_order_seq_cst);
        return true;
    }

    /// Mails handed over since the beginning, and any of them that has not been popped: see MailWatcher.
    /// Producer's core.
    [[nodiscard]] uint32_t handed_over() const { return tail_public_; }
    [[nodiscard]] const Mail& peek(uint32_t number) const { return mails_[number & mask_]; }

    // Consumer's core.
    [[nodiscard]] const Mail* front() {
        if (head_private_ == tail_seen_) {
            tail_seen_ = tail_.load(std::memory_order_acquire);
            if (head_private_ == tail_seen_) return nullptr;
        }
        return &mails_[head_private_ & mask_];
    }
    void pop() { ++head_private_; }
    /// Gives the places of what was popped back to the producer.
    void release() { head_.store(head_private_, std::memory_order_release); }
    [[nodiscard]] bool has_mail() const { return tail_.load(std::memory_order_seq_cst) != head_private_; }

  private:
    // A place that was given back still holds what this side had put there.
    void see_head() {
        for (auto const head = head_.load(std::memory_order_acquire); head_seen_ != head; ++head_seen_) {
            if (mails_[head_seen_ & mask_].role != Mail::answer) --others_;
        }
    }

    const uint32_t mask_;
    std::unique_ptr<Mail[]> mails_;
    alignas(64) std::atomic<uint32_t> tail_{0};
    uint32_t tail_private_ = 0, tail_public_ = 0, head_seen_ = 0;  // producer's
    uint32_t others_ = 0;  // likewise: mails from head_seen_ on that are no answers
    alignas(64) std::atomic<uint32_t> head_{0};
    uint32_t head_private_ = 0, tail_seen_ = 0;  // consumer's
};

}  // namespace rc::reactor
