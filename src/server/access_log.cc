#include "access_log.h"

#include <fmt/format.h>

namespace rc::server {
namespace {
constexpr uint32_t kLinesPerSecond = 1'000;  // of a core
}

// Names come from key files, which an administrator writes; the table grows by theirs only.
uint32_t AccessLog::number_of(std::string_view text) {
    auto const [it, fresh] =
        numbers_.try_emplace(std::string(text), static_cast<uint32_t>(texts_.size() + 1));
    if (fresh) texts_.emplace_back(text);
    return it->second;
}

uint64_t AccessLog::label(std::string_view route, const auth::ApiKey* key) {
    if (!log::wanted(level_)) return 0;
    return uint64_t{number_of(route)} << 32 | (key ? number_of(key->name) : 0);
}

void AccessLog::write(const http::Answered& answered, MonoTime now) {
    if (!log::wanted(level_)) return;
    if (!lines_.admit(now, kLinesPerSecond)) {
        ++left_out_;
        return;
    }
    auto const text = [this](uint64_t number) {
        return number == 0 ? std::string_view("-") : std::string_view(texts_[number - 1]);
    };
    if (left_out_ > 0) log::write(level_, fmt::format("api: {} requests without a line", left_out_));
    left_out_ = 0;
    log::write(level_,
               fmt::format("api: {} key {}: {}: {}, {:.1f} ms", answered.peer.format(),
                           text(answered.label & UINT32_MAX), text(answered.label >> 32), answered.status,
                           std::chrono::duration<double, std::milli>(answered.took).count()));
}

}  // namespace rc::server
