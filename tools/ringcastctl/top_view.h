#pragma once

#include <string>
#include <vector>

#include "figures.h"
#include "terminal.h"

/// What `ringcastctl top` shows, as text.
namespace rc::ctl {

/// What there is to show.
struct TopState {
    std::string address;
    const Look* now = nullptr;     // the last that succeeded
    const Look* before = nullptr;  // the one before, of the same run of the server; null: no rates yet
    std::string time;              // of `now`
    std::string away;              // why the server does not answer; empty: it does
    std::string away_since;
    uint32_t restarts = 0;  // that were seen
    std::string restarted;  // when the last of them was
    std::string rhythm;     // the interval, for the last line
};

/// The whole screen, as far as it has rows.
std::vector<Line> top_screen(const TopState& state, ScreenSize screen);

/// Names over the columns of top_row(), a word each.
std::string top_heading();
/// Plain numbers; times in milliseconds, memory in MiB.
std::string top_row(const TopState& state);

}  // namespace rc::ctl
