#include "limit_notes.h"

#include "ringcast/base/log.h"

namespace rc::server {
namespace {
constexpr Duration kLimitNoteEvery = seconds(10);  // of a limit, on a core
constexpr std::array<std::string_view, kLimits> kNames{"connections_per_user", "connections_per_address",
                                                       "new_connections_per_address",
                                                       "auth_failures_per_address"};
}  // namespace

std::string_view limit_name(Limit limit) {
    return kNames[static_cast<std::size_t>(limit)];
}

void LimitNotes::hit(Limit limit, std::string_view who, MonoTime now) {
    auto const i = static_cast<std::size_t>(limit);
    (dry_run_ ? would_ : refused_)[i].add();
    auto& note = notes_[i];
    ++note.unsaid;
    if (now < note.due) return;
    log::warning("core {}: limits.{}: {} {}, the last of them {}", core_, limit_name(limit), note.unsaid,
                 dry_run_ ? "would have been refused but for limits.dry_run" : "refused", who);
    note = {.due = now + kLimitNoteEvery, .unsaid = 0};
}

}  // namespace rc::server
