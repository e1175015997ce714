#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"

/// One request to the server's API.
namespace rc::ctl {

struct ApiRequest {
    std::string path;                 // from /api on
    std::optional<std::string> body;  // JSON; with one it is a POST, else a GET
    std::vector<std::pair<std::string, std::string>> headers = {};
};

/// @return the body of the answer, which was 200
/// Errors: settings, system.
Result<std::string> ask(const ApiOptions& api, const ApiRequest& request);

}  // namespace rc::ctl
