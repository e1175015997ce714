#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "coroutines.h"
#include "remote.h"
#include "ringcast/base/time.h"

/// Requests to the server's API.
namespace rc::ctl {

struct ApiRequest {
    std::string path;                 // from /api on
    std::optional<std::string> body;  // JSON; with one it is a POST, else a GET
    std::vector<std::pair<std::string, std::string>> headers = {};
};

struct ApiAnswer {
    unsigned status = 0;
    std::string body;
};

/// Where the API is, and the key to it.
struct ApiAccess {
    Remote remote;
    std::string key;
};

/// Errors: settings.
Result<ApiAccess> find_access(const ApiOptions& options);

/// Sends these one after the other on a connection of their own. The answers, of whatever status: one at
/// least, and fewer than requests where the server ends the connection behind one.
/// @param patience  for connecting, and for each answer
/// Errors: system, with a hint where nobody listens.
boost::asio::awaitable<Result<std::vector<ApiAnswer>>> ask_all(const ApiAccess& access,
                                                               std::vector<ApiRequest> requests,
                                                               Duration patience);

/// What the server says in an answer that is no success.
Error error_of(const ApiAnswer& answer);

/// @return the body of the answer, which was 200
/// Errors: settings, system.
Result<std::string> ask(const ApiOptions& api, const ApiRequest& request);

}  // namespace rc::ctl
