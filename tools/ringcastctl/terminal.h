#pragma once

#include <termios.h>

#include <optional>
#include <string>
#include <vector>

/// The terminal, while a program has the whole of it. Plain escape sequences, which every terminal of the
/// last thirty years takes: what is needed is five of them.
namespace rc::ctl {

/// A line of the screen. ASCII, so that each byte takes one place.
struct Line {
    enum class Style : uint8_t { plain, bold, reverse };
    std::string text;
    Style style = Style::plain;
};

struct ScreenSize {
    std::size_t columns = 80, rows = 24;
};

/// Has the screen from enter() to leave(), and shows what was there before then. Standard output is the
/// screen; keys come from the terminal that controls the process, singly and without an echo. Errors: none; a
/// terminal that is gone shows nothing.
class Terminal {
  public:
    /// Standard output is a terminal that can be drawn on.
    static bool available();

    Terminal() = default;
    ~Terminal() { leave(); }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    /// False, and nothing is changed, while a shell has the process in the background.
    bool enter();
    void leave();
    [[nodiscard]] bool entered() const { return entered_; }

    /// As it is now.
    [[nodiscard]] static ScreenSize size();
    /// Shows these lines from the top, cut where the screen ends, and nothing below them.
    static void draw(const std::vector<Line>& lines);
    /// The descriptor that keys come from, non-blocking; -1 where there is none. Valid until leave().
    [[nodiscard]] int keys() const { return keys_; }

  private:
    void close_keys();

    int keys_ = -1;
    bool entered_ = false;
    std::optional<termios> before_;
};

}  // namespace rc::ctl
