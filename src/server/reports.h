#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mail.h"

namespace rc::server {

struct Shared;

/// The texts in which the server shows itself. Core: any; the counters are read as they stand.
std::string metrics_text(const Shared& shared);
std::string stats_json(const Shared& shared, WallTime now);
std::string user_json(const UserId& user, const std::vector<GatherAnswer>& answers, uint32_t unread);
std::string list_json(const store::ListAnswer& answer, std::string_view epoch);

}  // namespace rc::server
