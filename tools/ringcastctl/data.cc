#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "commands.h"
#include "ringcast/store/maintenance.h"

namespace rc::ctl {
namespace {

constexpr int kStatusDamaged = 65;  // as ringcastd's

std::string file_of(const std::string& data_dir) {
    return data_dir + "/ringcast.db";
}

}  // namespace

Result<int> backup(const std::string& data_dir, const std::string& target) {
    auto const bytes = store::backup(file_of(data_dir), target);
    if (!bytes) return tl::unexpected(bytes.error());
    std::printf("%s", fmt::format("{}: {} bytes\n", target, *bytes).c_str());
    return 0;
}

Result<int> verify(const std::string& place) {
    std::error_code unknown;
    bool const is_file = std::filesystem::is_regular_file(place, unknown);
    auto const verified = store::verify(is_file ? place : file_of(place));
    if (!verified) {
        if (verified.error().code != Errc::data_unusable) return tl::unexpected(verified.error());
        std::fprintf(stderr, "ringcastctl: %s\n", verified.error().message.c_str());
        return kStatusDamaged;
    }
    for (const auto& problem : verified->problems)
        std::fprintf(stderr, "%s\n", problem.c_str());
    std::printf(
        "%s",
        fmt::format("{}: {} users, {} notifications, {} messages, {} read marks, {} idempotency keys, "
                    "newest offset {}-{}\n",
                    verified->problems.empty() ? "ok" : "damaged", verified->users, verified->notifications,
                    verified->messages, verified->marks, verified->keys, verified->epoch, verified->newest)
            .c_str());
    return verified->problems.empty() ? 0 : kStatusDamaged;
}

}  // namespace rc::ctl
