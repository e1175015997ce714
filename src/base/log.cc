#include "ringcast/base/log.h"

#include <poll.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

#include "ringcast/base/assert.h"

namespace rc::log {
namespace {

// One thread's lines on their way to the log thread: single producer, single consumer.
struct Mailbox {
    static constexpr uint32_t kPlaces = 256;
    struct Line {
        Level level;
        uint16_t size;
        std::array<char, kLineBytesMax> text;
    };
    std::array<Line, kPlaces> lines;
    alignas(64) std::atomic<uint32_t> written{0};
    alignas(64) std::atomic<uint32_t> read{0};
    Mailbox* next = nullptr;  // of an older thread
};

struct Writer {
    std::shared_ptr<spdlog::logger> sink;
    std::atomic<bool> running{false};
    std::atomic<uint32_t> pending{0};  // also what the log thread sleeps on
    std::atomic<uint64_t> dropped{0};
    // Of every thread that has written a line, the newest first; they stay. No lock: the log thread looks
    // through it while it waits for stderr.
    std::atomic<Mailbox*> mailboxes{nullptr};
    std::thread thread;
};

std::atomic<Level> g_least{Level::info};

Writer& writer() {
    static Writer instance;
    return instance;
}

// Somebody waits for this line: what a stderr that takes nothing may cost, in all.
constexpr int kTryMs = 20, kTriesMax = 10;

// Writes one line, when stderr has room for it: a reader that has stopped must not stop us. The log thread
// waits for room while the server runs, others (and it, at the end) for kTryMs * kTriesMax. Shorter than
// PIPE_BUF, a line is taken whole where poll() sees room at all.
bool put(std::string_view line, bool patient) {
    static std::mutex one_at_a_time;        // held for no longer than a write takes
    static std::atomic<bool> stuck{false};  // nobody waits for what has not moved
    for (int tries = 0;; ++tries) {
        pollfd room{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
        {
            std::lock_guard guard(one_at_a_time);
            if (::poll(&room, 1, 0) > 0) {
                stuck.store(false);
                return ::write(STDERR_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size());
            }
        }
        if (patient && writer().running.load()) {
            tries = 0;
        } else if (stuck.load() || tries >= kTriesMax) {
            stuck.store(true);
            return false;
        }
        ::poll(&room, 1, kTryMs);
    }
}

class StderrSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
  public:
    explicit StderrSink(bool patient) : patient_(patient) {}

  protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        if (!put({line.data(), line.size()}, patient_))
            writer().dropped.fetch_add(1, std::memory_order_relaxed);
    }
    void flush_() override {}

  private:
    bool patient_;
};

std::shared_ptr<spdlog::logger> make_sink(bool patient) {
    auto logger = std::make_shared<spdlog::logger>("ringcast", std::make_shared<StderrSink>(patient));
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    logger->set_level(spdlog::level::trace);
    return logger;
}

spdlog::level::level_enum spdlog_level(Level level) {
    switch (level) {
        case Level::debug: return spdlog::level::debug;
        case Level::info: return spdlog::level::info;
        case Level::warning: return spdlog::level::warn;
        case Level::error: return spdlog::level::err;
    }
    return spdlog::level::err;
}

void write_now(Level level, std::string_view line) {
    static std::mutex one_at_a_time;
    static std::shared_ptr<spdlog::logger> sink = make_sink(false);
    std::lock_guard guard(one_at_a_time);
    sink->log(spdlog_level(level), "{}", line);
}

Mailbox& mailbox_of_this_thread() {
    thread_local Mailbox* mine = nullptr;
    if (!mine) {
        mine = new Mailbox;
        auto& newest = writer().mailboxes;
        mine->next = newest.load(std::memory_order_relaxed);
        while (!newest.compare_exchange_weak(mine->next, mine, std::memory_order_release))
            ;
    }
    return *mine;
}

// A thread's lines stand in the order in which it said them, so those in its mailbox go first.
void wait_for_own_lines(Writer& w) {
    if (!w.running.load(std::memory_order_acquire)) return;
    auto& box = mailbox_of_this_thread();
    for (int tries_left = 1000; tries_left > 0; --tries_left) {
        if (box.read.load(std::memory_order_acquire) == box.written.load(std::memory_order_relaxed)) return;
        std::this_thread::sleep_for(
            std::chrono::microseconds(200));  // a stuck stderr must not stop us for ever
    }
}

bool drain(Writer& w) {
    bool any = false;
    for (auto* box = w.mailboxes.load(std::memory_order_acquire); box; box = box->next) {
        uint32_t read = box->read.load(std::memory_order_relaxed);
        uint32_t const written = box->written.load(std::memory_order_acquire);
        for (; read != written; ++read, any = true) {
            const auto& line = box->lines[read % Mailbox::kPlaces];
            w.sink->log(spdlog_level(line.level), "{}", std::string_view(line.text.data(), line.size));
            box->read.store(read + 1, std::memory_order_release);
        }
    }
    return any;
}

void run(Writer& w) {
    while (w.running.load(std::memory_order_acquire)) {
        uint32_t const seen = w.pending.load(std::memory_order_acquire);
        if (!drain(w)) w.pending.wait(seen, std::memory_order_acquire);
    }
    drain(w);
}

}  // namespace

bool wanted(Level level) noexcept {
    return level >= g_least.load(std::memory_order_relaxed);
}
uint64_t dropped() noexcept {
    return writer().dropped.load(std::memory_order_relaxed);
}

void start(Level least) {
    g_least.store(least, std::memory_order_relaxed);
    auto& w = writer();
    RC_ASSERT(!w.running.load());
    w.sink = make_sink(true);
    w.running.store(true, std::memory_order_release);
    w.thread = std::thread(run, std::ref(w));
}

void stop() {
    auto& w = writer();
    if (!w.running.exchange(false)) return;
    w.pending.fetch_add(1, std::memory_order_release);
    w.pending.notify_one();
    w.thread.join();
}

void write(Level level, std::string_view line) noexcept {
    auto& w = writer();
    if (!w.running.load(std::memory_order_acquire)) return write_now(level, line);
    auto& box = mailbox_of_this_thread();
    uint32_t const written = box.written.load(std::memory_order_relaxed);
    if (written - box.read.load(std::memory_order_acquire) == Mailbox::kPlaces) {
        w.dropped.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    auto& place = box.lines[written % Mailbox::kPlaces];
    place.level = level;
    place.size = static_cast<uint16_t>(std::min(line.size(), kLineBytesMax));
    std::memcpy(place.text.data(), line.data(), place.size);
    box.written.store(written + 1, std::memory_order_release);
    w.pending.fetch_add(1, std::memory_order_release);
    w.pending.notify_one();
}

void announce(std::string_view line) noexcept {
    wait_for_own_lines(writer());
    std::string text(line);
    text += '\n';
    if (!put(text, false)) writer().dropped.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace rc::log
