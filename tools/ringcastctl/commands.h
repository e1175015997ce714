#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ringcast/base/result.h"
#include "ringcast/base/time.h"

/// What ringcastctl does, a function a subcommand. Each returns its exit status, or what to say before it
/// ends with status 2 (settings) or 1 (all else).
namespace rc::ctl {

struct ListenOptions {
    std::string url = "ws://127.0.0.1:5000/ws";
    std::optional<std::string> user, token;
    std::vector<std::string> topics;
    std::optional<std::string> since;
    bool replay_unread = false;
    uint64_t count = 0;  // messages; 0: until it is interrupted
    bool raw = false;
};
/// Prints messages until count, SIGINT or SIGTERM.
Result<int> listen(const ListenOptions& options);

struct ApiOptions {
    std::string api = "http://127.0.0.1:5001";
    std::optional<std::string> api_key, api_key_file;
};

struct PublishOptions {
    ApiOptions api;
    std::vector<std::string> users;
    std::optional<std::string> topic;
    bool broadcast = false;
    std::string type = "notification";
    std::optional<std::string> title, message, category, link;
    std::optional<std::string> data;
    bool store = true;
    std::optional<uint64_t> ttl_seconds;
    std::optional<std::string> idempotency_key;
};
/// Sends one message to the API and prints the answer.
Result<int> publish(const PublishOptions& options);

struct InboxOptions {
    ApiOptions api;
    std::string user;
    bool unread = false;  // only those
    uint32_t limit = 20;  // 1 to 100
};
/// Prints a user's notifications, newest first, a line each.
Result<int> inbox(const InboxOptions& options);

struct StatusOptions {
    ApiOptions api;
    Duration timeout = seconds(5);  // for connecting, and for each answer
    bool json = false;              // the server's figures as they came
};
/// Prints how a running server is. Status 1, and a line on stderr, unless it is ready.
Result<int> status(const StatusOptions& options);

struct TopOptions {
    ApiOptions api;
    Duration timeout = seconds(5);  // for connecting, and for each answer
    Duration interval = seconds(1);
    uint64_t count = 0;  // looks, the first not counted, which has nothing to compare; 0: until interrupted
    bool plain = false;  // lines on a terminal too
};
/// Shows what a server does, live on a terminal, else a line for each look, until count, `q`, SIGINT or
/// SIGTERM. A server that goes away is awaited, unless it was not there at first or refuses the key.
Result<int> top(const TopOptions& options);

/// Copies the data of a server, running or not, into a new file.
Result<int> backup(const std::string& data_dir, const std::string& target);

/// Looks at all data of a server, running or not, or of a backup. Ends with status 65 when something is wrong
/// with them.
/// @param place  a data directory or a file
Result<int> verify(const std::string& place);

struct ApiKeyOptions {
    std::string name;
    std::vector<std::string> rights;
};
/// Makes a key of the API: its table for the file goes to stdout, the key itself, once, to stderr.
Result<int> new_api_key(const ApiKeyOptions& options);

struct TokenOptions {
    std::string secret_file, user;
    std::string expires = "1h";
    std::optional<std::string> issuer, audience;
    std::vector<std::string> topics;  // empty: no claim
};
/// Prints a token for development, HS256 by the file's first secret.
Result<int> mint_token(const TokenOptions& options);

/// Says whether ringcastd would take its settings from here: this file, this environment.
Result<int> check(const std::optional<std::string>& config_file);

}  // namespace rc::ctl
