#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string_view>
#include <utility>

/// Logging that never blocks a core: a line is formatted on the core, put into that thread's bounded
/// mailbox, and written by one log thread. What the mailbox or stderr does not take is dropped and counted.
namespace rc::log {

enum class Level : uint8_t { debug, info, warning, error };

/// Starts the log thread. Before this, and after stop(), lines are written at once by the caller.
/// Core: the main thread, before any core starts.
void start(Level least);
/// Writes what is waiting and ends the log thread. Core: the main thread, after the cores have ended.
void stop();

[[nodiscard]] bool wanted(Level level) noexcept;
/// Lines that were dropped since the start: a mailbox was full, or stderr did not take them.
[[nodiscard]] uint64_t dropped() noexcept;

/// Cost: one copy of the text, at most kLineBytesMax of it; no lock, no system call unless the log
/// thread sleeps. Core: any.
void write(Level level, std::string_view line) noexcept;
/// Writes a line whatever the level is, behind the lines that this thread has said before: the ready line,
/// and why a start failed. Core: the main thread.
void announce(std::string_view line) noexcept;

constexpr std::size_t kLineBytesMax = 480;

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
    if (wanted(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
    if (wanted(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
    if (wanted(Level::warning)) write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
    if (wanted(Level::error)) write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace rc::log
