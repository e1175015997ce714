#pragma once

#include <deque>

#include "ringcast/store/log.h"

namespace rc::store {

/// The requests that wait for a log, first in, first out; and those that are set aside until the outcome of
/// an idempotency key is known, which count as well. Core: the store's thread.
class RequestQueue {
  public:
    using Aside = std::deque<Request>;

    /// @param requests_max  and at most so many bytes (queued_bytes); one always has a place
    RequestQueue(uint32_t requests_max, std::size_t bytes_max)
        : requests_max_(requests_max), bytes_max_(bytes_max) {}

    /// The rule of Log::submit. False leaves the request as it was.
    [[nodiscard]] bool push(Request&& request);
    [[nodiscard]] bool empty() const { return queue_.empty(); }
    [[nodiscard]] const Request& front() const { return queue_.front().request; }
    [[nodiscard]] std::size_t front_bytes() const { return queue_.front().bytes; }
    /// That are not set aside, and the one at a place among them.
    [[nodiscard]] std::size_t size() const { return queue_.size(); }
    [[nodiscard]] const Request& at(std::size_t place) const { return queue_[place].request; }
    Request pop();
    /// They go before all that waits, in their order.
    void put_back(Aside requests);

    void set_aside(Aside& aside, Request request);
    /// Whoever waited goes before whatever came later.
    void take_up(Aside aside);
    /// Of a request that was set aside and will be answered otherwise.
    void forget(const Request& request);

    /// Requests, those that are set aside included.
    [[nodiscard]] std::size_t waiting() const { return queue_.size() + aside_; }

  private:
    struct Waiting {
        Request request;
        std::size_t bytes;
    };
    void push_front(Aside requests);

    uint32_t const requests_max_;
    std::size_t const bytes_max_;
    std::deque<Waiting> queue_;
    std::size_t aside_ = 0;
    std::size_t bytes_ = 0;  // of both
};

}  // namespace rc::store
