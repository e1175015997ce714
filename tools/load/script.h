#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <utility>

namespace rc::load {

/// A course of events that a core goes through: a coroutine that waits for conditions, which the core tries
/// once a turn. Core: the one that made it.
class Script {
  public:
    struct promise_type {
        std::function<bool()> awaited;
        Script get_return_object() {
            return Script(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
    explicit Script(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
    Script(Script&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Script& operator=(Script&&) = delete;
    ~Script() {
        if (handle_) handle_.destroy();
    }

    /// Goes on as far as its conditions allow. True when it is over.
    bool step() {
        while (!handle_.done()) {
            auto& awaited = handle_.promise().awaited;
            if (awaited && !awaited()) return false;
            awaited = nullptr;
            handle_.resume();
        }
        return true;
    }

    /// `co_await Script::until([&] { return ...; })`
    struct until {
        std::function<bool()> condition;
        explicit until(std::function<bool()> awaited) : condition(std::move(awaited)) {}
        bool await_ready() const { return condition(); }
        void await_suspend(std::coroutine_handle<promise_type> handle) {
            handle.promise().awaited = std::move(condition);
        }
        void await_resume() const {}
    };

  private:
    std::coroutine_handle<promise_type> handle_;
};

}  // namespace rc::load
