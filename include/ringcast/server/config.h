#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ringcast/base/address.h"
#include "ringcast/base/limits.h"
#include "ringcast/base/log.h"
#include "ringcast/base/result.h"
#include "ringcast/base/time.h"
#include "ringcast/net/networks.h"

namespace rc::server {

enum class Durability : uint8_t { fsync, write };
enum class AuthMode : uint8_t { open, jwt, header };

constexpr uint32_t kUnixSocketMode = 0660;
constexpr uint32_t kListenAddressesMax = 64;  // of clients, or of the API

/// An address to listen on, and its marks.
struct ListenAddress {
    Address address;
    /// Nobody asked for a default address, nor for each family of `localhost`, by name: where the host lacks
    /// that family, it is skipped with a line in the log instead of stopping the start.
    bool may_lack_family = false;
    bool proxy_protocol = false;      // of clients: a PROXY header must come first
    uint32_t mode = kUnixSocketMode;  // of a unix socket's file: who may connect
    std::string group = {};           // likewise, by name or number; empty: the process's own
    /// Where it was written, if that is not with `listen` or `api_listen`; see Config::Places.
    std::string place = {};
};

struct LimitsConfig {
    uint32_t messages_per_second = 10;
    uint32_t subscriptions = 100;  // topics a connection
    uint32_t message_bytes = limits::kMessageBytes;
    uint32_t publish_bytes = limits::kPublishDataBytes;  // of data
    uint32_t send_queue_bytes = 1024 * 1024;
    uint32_t send_queue_messages = 1024;
    Duration handshake_timeout = seconds(10);
    uint32_t header_bytes = 8192;              // a request's whole head
    uint32_t connections_per_user = 64;        // 0: no limit
    uint32_t connections_per_address = 0;      // likewise, and so the two below
    uint32_t new_connections_per_address = 0;  // a second
    uint32_t auth_failures_per_address = 0;    // a minute
    bool dry_run = false;                      // the four above count what they would refuse
};

struct InboxConfig {
    Duration retention = hours(24 * 30);
    uint32_t notifications_per_user = 1000;
};

struct JwtConfig {
    std::vector<std::string> algorithms{"RS256"};
    std::string jwks_file;
    std::string jwks_url;
    std::string public_key_file;
    std::string secret_file;
    std::string issuer;
    std::string audience;
    std::string user_claim = "sub";
    Duration leeway = seconds(30);
    std::string cookie;
    Duration authenticate_within = seconds(30);
};

struct HeaderConfig {
    std::string name = "X-User-Id";

    [[nodiscard]] std::string lower_name() const;
};

struct AuthConfig {
    AuthMode mode = AuthMode::open;
    bool allow_open = false;
    JwtConfig jwt;
    HeaderConfig header;
};

struct ProxyConfig {
    bool protocol = false;
    net::Networks trusted;
};

/// The settings as contract.md 7 names them, checked, each in its range. Immutable once the server runs.
struct Config {
    /// Of `listen` and of the [[listener]] tables.
    std::vector<ListenAddress> listen{
        {Address::v4({127, 0, 0, 1}, 5000), true},
        {Address::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 5000), true}};
    std::vector<ListenAddress> api_listen{{Address::v4({127, 0, 0, 1}, 5001), true}};
    uint32_t workers = 0;  // 0: one for each CPU that the process may use
    std::string data_dir = "./ringcast-data";
    std::string api_key_file;  // empty: api.key in data_dir; see api_key_path()
    log::Level log_level = log::Level::info;
    bool access_log = false;  // a line for each request of the API; else they are debug lines
    Duration ping_interval = seconds(25);
    Duration inactivity_timeout = minutes(30);
    Duration drain_time = seconds(10);
    Durability durability = Durability::fsync;
    std::vector<std::string> allowed_origins;  // as browsers send them: lower case, no default port
    LimitsConfig limits;
    InboxConfig inbox;
    AuthConfig auth;
    ProxyConfig proxy;

    /// The key itself, from RINGCAST_API_KEY; unset where the key stands in api_key_path().
    std::optional<std::string> api_key;
    /// Where these settings were written last, for what shows only when they are used: as "--listen: ",
    /// "RINGCAST_LISTEN: " or "ringcast.toml:3: listen: "; by default the name alone.
    struct Places {
        std::string listen = "listen: ", api_listen = "api_listen: ";
        std::string data_dir = "data_dir: ", api_key_file = "api_key_file: ";
    } places;
    /// Lines for the log, one each: settings that are allowed and yet deserve a second look.
    std::vector<std::string> warnings;

    [[nodiscard]] std::string api_key_path() const;
};

/// One value as it was written on the command line: `flag` as a person knows it ("--workers").
struct FlagValue {
    std::string flag;
    std::string text;
};

/// Where settings come from, weakest first; above all of them stand the defaults in Config.
struct ConfigSources {
    std::optional<std::string> file;                               // TOML; unset: none is read
    std::vector<std::pair<std::string, std::string>> environment;  // all of it; other programs' names pass
    std::vector<FlagValue> flags;                                  // one flag may stand several times
};

/// Merges and checks the sources. The file is the only thing that is read; nothing is created.
/// Errors: settings, one line that names file, line and key, or the variable, or the flag, and what was
/// expected. Core: the main thread. Cost: reads the file.
Result<Config> load_config(const ConfigSources& sources);

/// This process's environment, for ConfigSources. Core: the main thread, before any other starts.
std::vector<std::pair<std::string, std::string>> process_environment();

/// One row of the table of settings, for the command line and the documentation.
struct SettingDescription {
    std::string path;           // "limits.message_bytes"
    std::string environment;    // "RINGCAST_LIMITS_MESSAGE_BYTES"
    std::string flag;           // "--workers"; empty: none
    std::string default_value;  // as TOML
    std::string expected;       // "an integer from 64 to 16777216"
    std::string help;           // one short sentence without a full stop
    bool takes_list = false;    // may be given several times
    bool is_switch = false;     // its flag needs no value
};

/// Every setting, in the order of contract.md 7.
std::vector<SettingDescription> describe_settings();

/// "250ms", "25s", "30m", "12h", "30d": a whole number and one unit. Errors: settings, with what was
/// expected.
Result<Duration> parse_duration(std::string_view text);
/// The shortest text that parse_duration() reads back as the same time. Times below 1 ms are cut off.
std::string format_duration(Duration duration);

}  // namespace rc::server
