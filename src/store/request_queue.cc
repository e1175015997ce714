#include "request_queue.h"

#include <utility>

namespace rc::store {

bool RequestQueue::push(Request&& request) {
    std::size_t const bytes = queued_bytes(request);
    if (!std::holds_alternative<Settle>(request)) {
        if (waiting() >= requests_max_) return false;
        if (bytes_ > 0 && bytes_ + bytes > bytes_max_) return false;
    }
    bytes_ += bytes;
    queue_.push_back({std::move(request), bytes});
    return true;
}

Request RequestQueue::pop() {
    Request request = std::move(queue_.front().request);
    bytes_ -= queue_.front().bytes;
    queue_.pop_front();
    return request;
}

void RequestQueue::put_back(Aside requests) {
    for (const auto& request : requests)
        bytes_ += queued_bytes(request);
    push_front(std::move(requests));
}

void RequestQueue::push_front(Aside requests) {
    for (; !requests.empty(); requests.pop_back()) {
        std::size_t const bytes = queued_bytes(requests.back());
        queue_.push_front({std::move(requests.back()), bytes});
    }
}

void RequestQueue::set_aside(Aside& aside, Request request) {
    bytes_ += queued_bytes(request);
    ++aside_;
    aside.push_back(std::move(request));
}

void RequestQueue::take_up(Aside aside) {
    aside_ -= aside.size();
    push_front(std::move(aside));
}

void RequestQueue::forget(const Request& request) {
    bytes_ -= queued_bytes(request);
    --aside_;
}

}  // namespace rc::store
