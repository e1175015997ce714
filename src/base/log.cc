#include "ringcast/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

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
};

struct Writer {
    std::shared_ptr<spdlog::logger> sink;
    std::atomic<bool> running{false};
    std::atomic<uint32_t> pending{0};  // also what the log thread sleeps on
    std::atomic<uint64_t> dropped{0};
    std::mutex registry;  // taken when a thread writes its first line, and by the log thread alone
    std::vector<std::unique_ptr<Mailbox>> mailboxes;
    std::thread thread;
};

std::atomic<Level> g_least{Level::info};

Writer& writer() {
    static Writer instance;
    return instance;
}

std::shared_ptr<spdlog::logger> make_sink() {
    auto logger =
        std::make_shared<spdlog::logger>("ringcast", std::make_shared<spdlog::sinks::stderr_sink_st>());
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    logger->set_level(spdlog::level::trace);
    logger->flush_on(spdlog::level::trace);
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
    static std::shared_ptr<spdlog::logger> sink = make_sink();
    std::lock_guard guard(one_at_a_time);
    sink->log(spdlog_level(level), "{}", line);
}

Mailbox& mailbox_of_this_thread() {
    thread_local Mailbox* mine = nullptr;
    if (!mine) {
        auto fresh = std::make_unique<Mailbox>();
        mine = fresh.get();
        std::lock_guard guard(writer().registry);
        writer().mailboxes.push_back(std::move(fresh));
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
    std::lock_guard guard(w.registry);
    for (auto& box : w.mailboxes) {
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
    w.sink = make_sink();
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
    std::string_view rest = text;
    while (!rest.empty()) {
        auto const n = ::write(STDERR_FILENO, rest.data(), rest.size());
        if (n <= 0) return;
        rest.remove_prefix(static_cast<std::size_t>(n));
    }
}

}  // namespace rc::log
