#include "request_queue.h"

#include <iterator>
#include <utility>

namespace rc::store {

bool RequestQueue::push(Request&& request) {
    std::size_t const bytes = queued_bytes(request);
    if (!std::holds_alternative<Settle>(request)) {
        if (waiting() >= requests_max_) return false;
        if (bytes_ > 0 && bytes_ + bytes > bytes_max_) return false;
    }
    bytes_ += bytes;
    queue_.push_back(std::move(request));
    return true;
}

Request RequestQueue::pop() {
    Request request = std::move(queue_.front());
    queue_.pop_front();
    bytes_ -= queued_bytes(request);
    return request;
}

void RequestQueue::put_back(Aside requests) {
    for (const auto& request : requests)
        bytes_ += queued_bytes(request);
    queue_.insert(queue_.begin(), std::make_move_iterator(requests.begin()),
                  std::make_move_iterator(requests.end()));
}

void RequestQueue::set_aside(Aside& aside, Request request) {
    bytes_ += queued_bytes(request);
    ++aside_;
    aside.push_back(std::move(request));
}

void RequestQueue::take_up(Aside aside) {
    aside_ -= aside.size();
    queue_.insert(queue_.begin(), std::make_move_iterator(aside.begin()),
                  std::make_move_iterator(aside.end()));
}

void RequestQueue::forget(const Request& request) {
    bytes_ -= queued_bytes(request);
    --aside_;
}

}  // namespace rc::store
