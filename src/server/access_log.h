#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rate_window.h"
#include "ringcast/auth/api_keys.h"
#include "ringcast/base/log.h"
#include "ringcast/http/connection.h"

namespace rc::server {

/// A line for each request of the API: who, by the name of the key, asked for what, and how it went. What a
/// request brought stands in no line: neither path nor query, which may hold users' ids, or a key by mistake.
/// Core: own core only. Cost: one line; none above kAccessLinesPerSecond, whose number a later line gives.
class AccessLog {
  public:
    explicit AccessLog(log::Level level) : level_(level) {}

    /// A number for the request's route and key, to be given back by http::Answered.
    /// @param route  of static life: "POST /api/publish"
    /// @param key  null: none that is known
    [[nodiscard]] uint64_t label(std::string_view route, const auth::ApiKey* key);
    void write(const http::Answered& answered, MonoTime now);

  private:
    uint32_t number_of(std::string_view text);

    log::Level level_;
    std::vector<std::string> texts_;  // routes, and names of keys that were ever used: few
    std::unordered_map<std::string, uint32_t> numbers_;
    RateWindow lines_;
    uint64_t left_out_ = 0;
};

}  // namespace rc::server
