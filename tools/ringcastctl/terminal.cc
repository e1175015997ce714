#include "terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace rc::ctl {
namespace {

// xterm's control sequences, which ECMA-48 has but for the first two.
constexpr std::string_view kOwnScreen = "\x1b[?1049h\x1b[?25l";  // and no cursor on it
constexpr std::string_view kBackToOther = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H", kRestOfLine = "\x1b[K", kRestOfScreen = "\x1b[J";
constexpr std::string_view kBold = "\x1b[1m", kReverse = "\x1b[7m", kPlain = "\x1b[m";

void write_all(std::string_view bytes) {
    while (!bytes.empty()) {
        auto const written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (written > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EAGAIN) {  // another program has left it non-blocking
            pollfd out{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
            ::poll(&out, 1, -1);
        } else if (errno != EINTR) {
            return;
        }
    }
}

std::string_view sequence(Line::Style style) {
    switch (style) {
        case Line::Style::plain: return {};
        case Line::Style::bold: return kBold;
        case Line::Style::reverse: return kReverse;
    }
    return {};
}

}  // namespace

bool Terminal::available() {
    const char* kind = std::getenv("TERM");
    return ::isatty(STDOUT_FILENO) != 0 && kind && std::string_view(kind) != "dumb";
}

bool Terminal::enter() {
    // A descriptor of its own: standard input's may be the shell's as well, which must not become
    // non-blocking.
    if (entered_) return true;
    keys_ = ::open("/dev/tty", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (keys_ >= 0 && ::tcgetpgrp(keys_) != ::getpgrp()) {
        close_keys();
        return false;
    }
    if (termios mode{}; keys_ >= 0 && ::tcgetattr(keys_, &mode) == 0) {
        before_ = mode;
        mode.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);  // Ctrl-C stays a signal
        mode.c_cc[VMIN] = 1;
        mode.c_cc[VTIME] = 0;
        ::tcsetattr(keys_, TCSANOW, &mode);
    }
    write_all(kOwnScreen);
    return entered_ = true;
}

void Terminal::leave() {
    if (!entered_) return;
    entered_ = false;
    write_all(kBackToOther);
    if (before_) ::tcsetattr(keys_, TCSAFLUSH, &*before_);
    before_.reset();
    close_keys();
}

void Terminal::close_keys() {
    if (keys_ >= 0) ::close(keys_);
    keys_ = -1;
}

ScreenSize Terminal::size() {
    winsize window{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0 || window.ws_row == 0)
        return {};
    return {.columns = window.ws_col, .rows = window.ws_row};
}

void Terminal::draw(const std::vector<Line>& lines) {
    auto const screen = size();
    std::string out(kHome);
    for (std::size_t i = 0; i < std::min(lines.size(), screen.rows); ++i) {
        const auto& line = lines[i];
        if (i > 0) out += "\r\n";
        out += sequence(line.style);
        out += std::string_view(line.text).substr(0, screen.columns);
        // A bar goes on to the edge. Behind a full line there is no rest, and the cursor stands on its end.
        auto const length = std::min(line.text.size(), screen.columns);
        if (line.style == Line::Style::reverse) out.append(screen.columns - length, ' ');
        if (line.style != Line::Style::plain) out += kPlain;
        if (line.style != Line::Style::reverse && length < screen.columns) out += kRestOfLine;
    }
    if (lines.size() < screen.rows) (out += "\r\n") += kRestOfScreen;
    write_all(out);
}

}  // namespace rc::ctl
