#include "ringcast/server/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

namespace rc::server {
namespace {

/// A settings file for one test; errors name it by its path.
class File {
  public:
    explicit File(std::string_view text) {
        int const fd = ::mkstemp(path_.data());
        EXPECT_GE(fd, 0);
        EXPECT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
        ::close(fd);
    }
    ~File() { std::remove(path_.c_str()); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_ = testing::TempDir() + "ringcast-config-XXXXXX";
};

using Environment = std::vector<std::pair<std::string, std::string>>;

Result<Config> load_toml(std::string_view toml, Environment environment = {},
                         std::vector<FlagValue> flags = {}) {
    File const file(toml);
    return load_config({file.path(), std::move(environment), std::move(flags)});
}

Config accept(std::string_view toml, Environment environment = {}, std::vector<FlagValue> flags = {}) {
    auto config = load_toml(toml, std::move(environment), std::move(flags));
    EXPECT_TRUE(config) << config.error().message;
    return config ? *config : Config{};
}

/// The error's line without the path of the file: ":12: workers: must be ...".
std::string refusal(std::string_view toml, Environment environment = {}, std::vector<FlagValue> flags = {}) {
    File const file(toml);
    auto const config = load_config({file.path(), std::move(environment), std::move(flags)});
    EXPECT_FALSE(config) << toml;
    if (config) return "accepted";
    auto message = config.error().message;
    EXPECT_EQ(config.error().code, Errc::settings);
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    if (message.starts_with(file.path())) message.erase(0, file.path().size());
    return message;
}

std::string refusal_of_variable(std::string name, std::string value) {
    return refusal("", {{std::move(name), std::move(value)}});
}

std::string read_source(const std::string& path) {
    std::ifstream in(std::string(RINGCAST_SOURCE_DIR) + "/" + path);
    EXPECT_TRUE(in) << path;
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string formatted(const std::vector<ListenAddress>& addresses) {
    std::string out;
    for (const auto& entry : addresses)
        out += entry.address.format() + " ";
    return out;
}

TEST(Config, NoSourceGivesTheContractsDefaults) {
    auto const config = load_config({});
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(formatted(config->listen), "127.0.0.1:5000 [::1]:5000 ");
    EXPECT_EQ(formatted(config->api_listen), "127.0.0.1:5001 ");
    EXPECT_EQ(config->data_dir, "./ringcast-data");
    EXPECT_EQ(config->api_key_path(), "./ringcast-data/api.key");
    EXPECT_FALSE(config->api_key);
    EXPECT_TRUE(config->warnings.empty());
}

TEST(Config, TheTableHoldsEverySettingOfTheContractWithItsDefault) {
    std::string table;
    for (const auto& setting : describe_settings())
        table += setting.path + " = " + setting.default_value + "\n";
    EXPECT_EQ(table, R"(listen = ["127.0.0.1:5000", "[::1]:5000"]
api_listen = ["127.0.0.1:5001"]
workers = 0
data_dir = "./ringcast-data"
api_key_file = ""
log_level = "info"
access_log = false
ping_interval = "25s"
inactivity_timeout = "30m"
drain_time = "10s"
durability = "fsync"
allowed_origins = []
limits.messages_per_second = 10
limits.subscriptions = 100
limits.message_bytes = 16384
limits.publish_bytes = 65536
limits.send_queue_bytes = 1048576
limits.send_queue_messages = 1024
limits.handshake_timeout = "10s"
limits.header_bytes = 8192
limits.connections_per_user = 64
limits.connections_per_address = 0
limits.new_connections_per_address = 0
limits.auth_failures_per_address = 0
limits.dry_run = false
inbox.retention = "30d"
inbox.notifications_per_user = 1000
auth.mode = "open"
auth.allow_open = false
auth.jwt.algorithms = ["RS256"]
auth.jwt.jwks_file = ""
auth.jwt.jwks_url = ""
auth.jwt.public_key_file = ""
auth.jwt.secret_file = ""
auth.jwt.issuer = ""
auth.jwt.audience = ""
auth.jwt.user_claim = "sub"
auth.jwt.leeway = "30s"
auth.jwt.cookie = ""
auth.jwt.authenticate_within = "30s"
auth.header.name = "X-User-Id"
proxy.protocol = false
proxy.trusted = []
)");
}

TEST(Config, NoTwoSettingsShareAVariableOrAFlag) {
    std::set<std::string> names{"RINGCAST_API_KEY"};
    for (const auto& setting : describe_settings()) {
        EXPECT_TRUE(names.insert(setting.environment).second) << setting.environment;
        if (!setting.flag.empty()) {
            EXPECT_TRUE(names.insert(setting.flag).second) << setting.flag;
        }
    }
}

TEST(Config, EveryDefaultWrittenOutPassesFromFileAndEnvironment) {
    std::string toml;
    for (const auto& setting : describe_settings())
        toml += setting.path + " = " + setting.default_value + "\n";
    accept(toml);
    accept("", {{"RINGCAST_DURABILITY", "fsync"},
                {"RINGCAST_AUTH_MODE", "open"},
                {"RINGCAST_AUTH_JWT_ALGORITHMS", "RS256"},
                {"RINGCAST_PROXY_PROTOCOL", "false"},
                {"RINGCAST_PROXY_TRUSTED", ""}});
}

TEST(Config, TheDefaultFileChangesNothingAndHoldsEveryDefaultInAComment) {
    auto const text = read_source("tools/ringcast.toml");
    accept(text);
    std::string settings_alone, section;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        bool const commented_out = line.size() > 1 && line[0] == '#' && line[1] != ' ';
        if (line.starts_with('[')) section = line.substr(1, line.find(']') - 1) + ".";
        if (commented_out) settings_alone += section + line.substr(1) + "\n";
        EXPECT_TRUE(line.empty() || line[0] == '#' || line[0] == '[') << line;
    }
    std::string expected;
    for (const auto& setting : describe_settings())
        expected += setting.path + " = " + setting.default_value + "\n";
    EXPECT_EQ(settings_alone, expected);
}

TEST(Config, TheDocumentationHoldsEverySetting) {
    auto const text = read_source("docs/configuration.md");
    for (const auto& setting : describe_settings()) {
        auto const flag = setting.flag.empty() ? "" : "`" + setting.flag + "`";
        auto const row = "| `" + setting.path + "` | `" + setting.default_value + "` | " + setting.expected +
                         " | `" + setting.environment + "` | " + flag + " | " + setting.help + " |\n";
        EXPECT_NE(text.find(row), std::string::npos) << row;
    }
}

TEST(Config, FlagsOverrideEnvironmentOverridesFileOverridesDefaults) {
    auto const file = "workers = 1\nping_interval = \"1s\"\ndrain_time = \"1s\"\n";
    auto const config =
        accept(file, {{"RINGCAST_WORKERS", "2"}, {"RINGCAST_PING_INTERVAL", "2s"}, {"PATH", "/bin"}},
               {{"--workers", "3"}});
    EXPECT_EQ(config.workers, 3U);
    EXPECT_EQ(config.ping_interval, seconds(2));
    EXPECT_EQ(config.drain_time, seconds(1));
    EXPECT_EQ(config.inactivity_timeout, minutes(30));
}

TEST(Config, StateDirectoryIsTheWeakestDataDirectory) {
    Environment const systemd{{"STATE_DIRECTORY", "/var/lib/ringcast:/var/lib/other"}};
    EXPECT_EQ(accept("", systemd).data_dir, "/var/lib/ringcast");
    EXPECT_EQ(accept("data_dir = '/d'", systemd).data_dir, "/d");
    EXPECT_EQ(accept("", {{"STATE_DIRECTORY", ""}}).data_dir, "./ringcast-data");
}

TEST(Config, ReadsEveryKindFromAFile) {
    auto const config = accept(R"(
listen = ["localhost:0", "127.0.0.2:81"]
log_level = "warning"
allowed_origins = ["HTTPS://Www.Example.com:443", "http://localhost:8080", "https://*.Example.com:443"]
inactivity_timeout = "12h"
limits.connections_per_user = 0
[inbox]
retention = "2d"
[auth]
allow_open = true
)");
    EXPECT_EQ(formatted(config.listen), "127.0.0.1:0 [::1]:0 127.0.0.2:81 ");
    EXPECT_EQ(config.log_level, log::Level::warning);
    EXPECT_EQ(config.allowed_origins,
              (std::vector<std::string>{"https://www.example.com", "http://localhost:8080",
                                        "https://*.example.com"}));
    EXPECT_EQ(config.inactivity_timeout, hours(12));
    EXPECT_EQ(config.limits.connections_per_user, 0U);
    EXPECT_EQ(config.inbox.retention, hours(48));
    EXPECT_TRUE(config.auth.allow_open);
}

TEST(Config, OnlyAddressesNobodyNamedMayLackTheirFamily) {
    auto const may_lack = [](const Config& config) {
        std::vector<bool> out;
        for (const auto& address : config.listen)
            out.push_back(address.may_lack_family);
        return out;
    };
    EXPECT_EQ(may_lack(Config{}), (std::vector{true, true}));
    EXPECT_EQ(may_lack(accept("listen = ['127.0.0.1:5000', '[::1]:5000']")), (std::vector{false, false}));
    EXPECT_EQ(may_lack(accept("listen = ['localhost:1']")), (std::vector{true, true}));
}

TEST(Config, IntegersAreTakenUpToTheirEdges) {
    EXPECT_EQ(accept("limits.message_bytes = 64").limits.message_bytes, 64U);
    EXPECT_EQ(accept("limits.message_bytes = 16777216").limits.message_bytes, 16777216U);
    EXPECT_EQ(accept("limits.send_queue_bytes = 1024").limits.send_queue_bytes, 1024U);
    EXPECT_EQ(accept("workers = 64").workers, 64U);

    auto const wanted = ":1: limits.message_bytes: must be an integer from 64 to 16777216";
    EXPECT_EQ(refusal("limits.message_bytes = 63"), wanted);
    EXPECT_EQ(refusal("limits.message_bytes = 16777217"), wanted);
    EXPECT_EQ(refusal("limits.message_bytes = 4294967360"), wanted);
    EXPECT_EQ(refusal("limits.message_bytes = -1"), wanted);
    EXPECT_EQ(refusal("workers = 65"), ":1: workers: must be an integer from 0 to 64");
}

TEST(Config, DurationsAreTakenUpToTheirEdges) {
    EXPECT_EQ(accept("ping_interval = '10ms'").ping_interval, milliseconds(10));
    EXPECT_EQ(accept("drain_time = '0s'").drain_time, seconds(0));
    EXPECT_EQ(accept("inactivity_timeout = '100ms'\nping_interval = '50ms'").inactivity_timeout,
              milliseconds(100));
    EXPECT_EQ(accept("limits.handshake_timeout = '50ms'").limits.handshake_timeout, milliseconds(50));

    auto const wanted = ":1: ping_interval: must be a duration from \"10ms\" to \"1d\"";
    for (auto text : {"'9ms'", "'25h'", "'25'", "''", "'s'", "'-1s'", "'1.5s'", "'1s '", "' 1s'", "'1 s'",
                      "'1S'", "'1us'", "'99999999999999999999d'", "'213504d'", "25", "true", "['1s']"})
        EXPECT_EQ(refusal(std::string("ping_interval = ") + text), wanted) << text;
}

TEST(Config, DurationsReadBackAsTheyWereWritten) {
    for (auto text : {"0s", "1ms", "250ms", "25s", "30m", "12h", "30d", "90s", "1500ms"})
        EXPECT_EQ(format_duration(*parse_duration(text)), text);
    EXPECT_EQ(format_duration(*parse_duration("60s")), "1m");
    EXPECT_EQ(parse_duration("106751d").value(), hours(24) * 106751);
    EXPECT_FALSE(parse_duration("106752d"));  // beyond 2^63 nanoseconds
}

TEST(Config, AWrongKindIsRefused) {
    EXPECT_EQ(refusal("workers = '1'"), ":1: workers: must be an integer from 0 to 64");
    EXPECT_EQ(refusal("workers = 1.0"), ":1: workers: must be an integer from 0 to 64");
    EXPECT_EQ(refusal("[workers]"), ":1: workers: must be an integer from 0 to 64");
    EXPECT_EQ(refusal("data_dir = 1979-05-27"), ":1: data_dir: must be a string, not empty");
    EXPECT_EQ(refusal("data_dir = \"a\\nb\""), ":1: data_dir: must be a string, not empty");
    EXPECT_EQ(refusal("listen = '127.0.0.1:1'"), ":1: listen: must be a list of addresses");
    EXPECT_EQ(refusal("listen = [1]"), ":1: listen: must be a list of addresses");
    EXPECT_EQ(refusal("auth.allow_open = 1"), ":1: auth.allow_open: must be true or false");
    EXPECT_EQ(refusal("log_level = 'loud'"),
              ":1: log_level: must be \"debug\", \"info\", \"warning\" or \"error\"");
    EXPECT_EQ(refusal("limits = 1"), ":1: limits: must be a table");
    EXPECT_EQ(refusal("[[limits]]\nsubscriptions = 1"), ":1: limits: must be a table");
}

TEST(Config, AnUnknownKeyIsNamedWithItsLine) {
    EXPECT_EQ(refusal("# a comment\nworker = 1"), ":2: worker: is not a setting");
    EXPECT_EQ(refusal("[limits]\n\nmessage_byte = 1"), ":3: limits.message_byte: is not a setting");
    EXPECT_EQ(refusal("\n[limit]\nmessage_bytes = 100"), ":2: limit: is not a setting");
    EXPECT_EQ(refusal("[auth.jwt.more]"), ":1: auth.jwt.more: is not a setting");
    EXPECT_EQ(refusal("workers.most = 1"), ":1: workers: must be an integer from 0 to 64");
    EXPECT_EQ(refusal("\"limits.message_bytes\" = 100"), ":1: \"limits.message_bytes\": is not a setting");
    EXPECT_EQ(refusal("\"a\\nb\" = 1"), ":1: a?b: is not a setting");
    EXPECT_EQ(refusal("api_key = 'k'"), ":1: api_key: is not a setting");
}

TEST(Config, TheFirstOfSeveralErrorsInAFileIsReported) {
    EXPECT_EQ(refusal("workers = 99\napi_listen = 1\n[auth]\nmode = 1\n"),
              ":1: workers: must be an integer from 0 to 64");
    EXPECT_EQ(refusal("workers = 1\n[limits]\nsubscriptions = 0\n[auth]\nmode = 1\n"),
              ":3: limits.subscriptions: must be an integer from 1 to 10000");
}

TEST(Config, ASyntaxErrorIsOneLineWithItsPlace) {
    EXPECT_EQ(refusal("workers = 1\nlisten = [\n"), ":2: Error while parsing array: encountered end-of-file");
    EXPECT_TRUE(refusal("workers = 1\nworkers = 2\n").starts_with(":2: "));
    EXPECT_TRUE(refusal("data_dir = \"\xff\"\n").starts_with(":1: "));
    EXPECT_TRUE(refusal("workers = 99999999999999999999\n").starts_with(":1: "));
    EXPECT_TRUE(refusal(std::string("a = 1\n\0b", 8)).starts_with(":2: "));
}

TEST(Config, AFileThatCannotBeReadIsNamed) {
    auto const missing = load_config({.file = "/nonexistent/ringcast.toml"});
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().message,
              "/nonexistent/ringcast.toml: cannot be read: No such file or directory");
    auto const directory = load_config({.file = "/"});
    ASSERT_FALSE(directory);
    EXPECT_EQ(directory.error().message, "/: cannot be read: Is a directory");
    EXPECT_EQ(refusal(std::string((1 << 20) + 1, '#')), ": is larger than 1048576 bytes");
    accept(std::string(1 << 20, '#'));
}

TEST(Config, AnUnknownVariableIsRefusedByName) {
    EXPECT_EQ(refusal_of_variable("RINGCAST_WORKER", "1"), "RINGCAST_WORKER: is not a setting");
    EXPECT_EQ(refusal_of_variable("RINGCAST_", ""), "RINGCAST_: is not a setting");
    EXPECT_EQ(refusal_of_variable("RINGCAST_LIMITS", "1"), "RINGCAST_LIMITS: is not a setting");
    EXPECT_EQ(refusal_of_variable("RINGCAST_workers", "1"), "RINGCAST_workers: is not a setting");
    accept("", {{"RINGCASTWORKERS", "x"}, {"XRINGCAST_WORKERS", "x"}});
}

TEST(Config, ABadVariableIsRefusedByName) {
    for (auto text : {"", " 1", "1 ", "+1", "0x1", "1.0", "one", "65"})
        EXPECT_EQ(refusal_of_variable("RINGCAST_WORKERS", text),
                  "RINGCAST_WORKERS: must be an integer from 0 to 64")
            << text;
    EXPECT_EQ(refusal_of_variable("RINGCAST_AUTH_ALLOW_OPEN", "1"),
              "RINGCAST_AUTH_ALLOW_OPEN: must be true or false");
    EXPECT_EQ(refusal_of_variable("RINGCAST_LISTEN", ""), "RINGCAST_LISTEN: must name at least one address");
}

TEST(Config, ListsInVariablesAreSplitAtCommas) {
    EXPECT_EQ(formatted(accept("", {{"RINGCAST_LISTEN", "127.0.0.1:1, [::1]:2"}}).listen),
              "127.0.0.1:1 [::1]:2 ");
    EXPECT_EQ(refusal_of_variable("RINGCAST_LISTEN", "127.0.0.1:1,"),
              "RINGCAST_LISTEN: \"\" is not an address: the port is missing");
    EXPECT_TRUE(accept("allowed_origins = ['https://a']", {{"RINGCAST_ALLOWED_ORIGINS", ""}})
                    .allowed_origins.empty());
}

TEST(Config, TheApiKeyComesFromItsVariableAndIsNeverEchoed) {
    EXPECT_EQ(accept("", {{"RINGCAST_API_KEY", "s3cret"}}).api_key, "s3cret");
    auto const wanted = "RINGCAST_API_KEY: must be 1 to 1024 printable ASCII characters without spaces";
    EXPECT_EQ(refusal_of_variable("RINGCAST_API_KEY", ""), wanted);
    EXPECT_EQ(refusal_of_variable("RINGCAST_API_KEY", "two words"), wanted);
    EXPECT_EQ(refusal_of_variable("RINGCAST_API_KEY", "line\n"), wanted);
    EXPECT_EQ(refusal_of_variable("RINGCAST_API_KEY", "\xc3\xa9"), wanted);
    EXPECT_EQ(refusal_of_variable("RINGCAST_API_KEY", std::string(1025, 'k')), wanted);
    EXPECT_EQ(accept("", {{"RINGCAST_API_KEY", std::string(1024, 'k')}}).api_key->size(), 1024U);
}

TEST(Config, AStrongerSourceOfTheKeyWinsHoweverItIsNamed) {
    Environment const key{{"RINGCAST_API_KEY", "k"}};
    EXPECT_TRUE(accept("api_key_file = '/file'", key).api_key);
    auto const flagged = accept("api_key_file = '/file'", key, {{"--api-key-file", "/flag"}});
    EXPECT_FALSE(flagged.api_key);
    EXPECT_EQ(flagged.api_key_path(), "/flag");
    EXPECT_EQ(refusal("", {{"RINGCAST_API_KEY_FILE", "/env"}, {"RINGCAST_API_KEY", "k"}}),
              "RINGCAST_API_KEY_FILE: cannot stand beside RINGCAST_API_KEY");
}

TEST(Config, OpenModeBeyondLoopbackNeedsConsent) {
    EXPECT_EQ(
        refusal("\nlisten = ['127.0.0.1:1', '0.0.0.0:2', '[::]:3']"),
        ":2: listen: 0.0.0.0:2 [::]:3 is not loopback, and auth.mode \"open\" believes every userId: set "
        "auth.allow_open = true if that is meant");
    EXPECT_TRUE(refusal_of_variable("RINGCAST_LISTEN", "192.0.2.1:1")
                    .starts_with("RINGCAST_LISTEN: 192.0.2.1:1 is "));
    EXPECT_TRUE(
        refusal("", {}, {{"--listen", "[2001:db8::1]:1"}}).starts_with("--listen: [2001:db8::1]:1 is "));
    EXPECT_TRUE(accept("listen = ['127.8.8.8:1', '[::1]:1']").warnings.empty());

    auto const allowed = accept("auth.allow_open = true\nlisten = ['0.0.0.0:2', '[::]:3']");
    ASSERT_EQ(allowed.warnings.size(), 1U);
    EXPECT_NE(allowed.warnings[0].find("0.0.0.0:2 [::]:3"), std::string::npos) << allowed.warnings[0];
    EXPECT_TRUE(accept("auth.allow_open = true").warnings.empty());
    EXPECT_TRUE(accept("api_listen = ['0.0.0.0:5001']").warnings.empty());
}

TEST(Config, AnAddressStandsOnlyOnce) {
    EXPECT_EQ(refusal("listen = ['127.0.0.1:1', '127.0.0.1:1']"), ":1: listen: 127.0.0.1:1 is named twice");
    EXPECT_EQ(refusal("listen = ['127.0.0.1:1']\napi_listen = ['127.0.0.1:1']"),
              ":2: api_listen: 127.0.0.1:1 is named twice");
    EXPECT_EQ(refusal("listen = ['127.0.0.1:5001']"), ":1: listen: 127.0.0.1:5001 is named twice");
    EXPECT_EQ(refusal("api_listen = ['localhost:5000']"), ":1: api_listen: 127.0.0.1:5000 is named twice");
    accept("listen = ['127.0.0.1:0', '127.0.0.1:0']\napi_listen = ['127.0.0.1:0']");
}

TEST(Config, HeartbeatsSlowerThanTheInactivityTimeoutAreWarnedOf) {
    EXPECT_EQ(accept("inactivity_timeout = '25s'").warnings.size(), 1U);
    EXPECT_TRUE(accept("inactivity_timeout = '26s'").warnings.empty());
}

TEST(Config, AModeThatIsNoneIsRefused) {
    EXPECT_EQ(refusal("auth.mode = 'none'"), ":1: auth.mode: must be \"open\", \"jwt\" or \"header\"");
}

TEST(Config, TokensNeedKeysAndAlgorithmsThatThereAre) {
    EXPECT_EQ(
        refusal("auth.mode = 'jwt'"),
        ":1: auth.mode: \"jwt\" needs keys: secret_file, public_key_file, jwks_file or jwks_url of auth.jwt");
    auto const config =
        accept("[auth]\nmode = 'jwt'\n[auth.jwt]\nalgorithms = ['ES256', 'EdDSA']\nsecret_file = 's'");
    EXPECT_EQ(config.auth.mode, AuthMode::jwt);
    for (std::string_view name : {"none", "rs256", "PS256", "ES512", ""})
        EXPECT_EQ(refusal("auth.jwt.algorithms = ['" + std::string(name) + "']"),
                  ":1: auth.jwt.algorithms: must be of HS256, HS384, HS512, RS256, RS384, RS512, ES256, "
                  "ES384, EdDSA");
    EXPECT_TRUE(refusal("[auth]\nmode = 'jwt'\n[auth.jwt]\nalgorithms = []\nsecret_file = 's'")
                    .starts_with(":4: auth.jwt.algorithms: must name an algorithm"));
    accept("auth.jwt.jwks_url = 'https://issuer.example/keys'");
    EXPECT_TRUE(refusal("auth.jwt.jwks_url = 'http://issuer.example/keys'")
                    .starts_with(":1: auth.jwt.jwks_url: must be"));
}

TEST(Config, ATokenInACookieNeedsAllowedOrigins) {
    auto const text =
        std::string("[auth]\nmode = 'jwt'\n[auth.jwt]\nsecret_file = 's'\ncookie = 'session'\n");
    EXPECT_TRUE(refusal(text).starts_with(":5: auth.jwt.cookie: needs allowed_origins"));
    accept("allowed_origins = ['https://jobs.example']\n" + text);
    EXPECT_EQ(refusal("auth.jwt.cookie = 'a b'"), ":1: auth.jwt.cookie: must be a cookie's name");
}

TEST(Config, TheUserHeaderIsWorthNothingWithoutATrustedProxy) {
    EXPECT_EQ(accept("auth.mode = 'header'").warnings.size(), 1U);
    EXPECT_TRUE(accept("auth.mode = 'header'\nproxy.trusted = ['127.0.0.1']").warnings.empty());
    EXPECT_EQ(refusal("auth.header.name = 'X User'"), ":1: auth.header.name: must be a header's name");
}

TEST(Config, TrustedNetworksAreReadAndNamedWhereTheyAreNone) {
    auto const config = accept("proxy.trusted = ['10.0.0.0/8', 'unix', '2001:db8::1']");
    EXPECT_EQ(config.proxy.trusted.texts(), (std::vector<std::string>{"10.0.0.0/8", "unix", "2001:db8::1"}));
    EXPECT_TRUE(config.warnings.empty());
    EXPECT_EQ(accept("", {{"RINGCAST_PROXY_TRUSTED", "127.0.0.1, ::1"}}).proxy.trusted.texts(),
              (std::vector<std::string>{"127.0.0.1", "::1"}));
    EXPECT_EQ(accept("proxy.trusted = ['0.0.0.0/0']").warnings.size(), 1U);
    EXPECT_EQ(refusal("[proxy]\ntrusted = ['127.0.0.1', '10.1.2.3/8']"),
              ":2: proxy.trusted: \"10.1.2.3/8\" is not a network: bits are set behind the first 8");
    EXPECT_EQ(refusal("proxy.trusted = 'unix'"), ":1: proxy.trusted: must be a list of networks");
}

TEST(Config, UnixSocketsCountAsLoopback) {
    auto const config =
        accept("listen = ['unix:/run/r.sock', '127.0.0.1:1']\napi_listen = ['unix:/run/a.sock']");
    EXPECT_EQ(formatted(config.listen), "unix:/run/r.sock 127.0.0.1:1 ");
    EXPECT_EQ(formatted(config.api_listen), "unix:/run/a.sock ");
    EXPECT_EQ(config.listen[0].mode, 0660U);
    EXPECT_TRUE(config.warnings.empty());
    EXPECT_EQ(refusal("listen = ['unix:/a', 'unix:/a']"), ":1: listen: unix:/a is named twice");
    EXPECT_EQ(refusal("listen = ['unix:/a']\napi_listen = ['unix:/a']"),
              ":2: api_listen: unix:/a is named twice");
    EXPECT_EQ(refusal("listen = ['unix:a']"),
              ":1: listen: \"unix:a\" is not an address: the path of a unix socket begins with /");
}

TEST(Config, ListenerTablesAreAddressesWithMarks) {
    auto const config = accept(R"(
proxy.trusted = ["127.0.0.1", "unix"]
[[listener]]
address = "unix:/run/r.sock"
mode = "0666"
group = "www-data"
[[listener]]
address = "127.0.0.1:7000"
proxy_protocol = true
)");
    ASSERT_EQ(formatted(config.listen), "unix:/run/r.sock 127.0.0.1:7000 ") << "in place of the default";
    EXPECT_EQ(config.listen[0].mode, 0666U);
    EXPECT_EQ(config.listen[0].group, "www-data");
    EXPECT_FALSE(config.listen[0].proxy_protocol);
    EXPECT_TRUE(config.listen[1].proxy_protocol);
    EXPECT_FALSE(config.listen[1].may_lack_family);

    auto const both = accept("listen = ['127.0.0.1:1']\n[[listener]]\naddress = 'localhost:2'");
    EXPECT_EQ(formatted(both.listen), "127.0.0.1:1 127.0.0.1:2 [::1]:2 ");
}

TEST(Config, AVariableOrAFlagStandsForAllClientAddressesOfTheFile) {
    auto const file = "[[listener]]\naddress = 'unix:/a'";
    EXPECT_EQ(formatted(accept(file, {{"RINGCAST_LISTEN", "127.0.0.1:1"}}).listen), "127.0.0.1:1 ");
    EXPECT_EQ(formatted(accept(file, {}, {{"--listen", "127.0.0.1:2"}}).listen), "127.0.0.1:2 ");
}

TEST(Config, TheProxyProtocolHoldsForEveryListenerThatDoesNotSayOtherwise) {
    auto const config = accept(R"(
listen = ["127.0.0.1:1"]
[proxy]
protocol = true
trusted = ["127.0.0.1"]
[[listener]]
address = "127.0.0.1:2"
[[listener]]
address = "127.0.0.1:3"
proxy_protocol = false
)");
    ASSERT_EQ(config.listen.size(), 3U);
    EXPECT_TRUE(config.listen[0].proxy_protocol);
    EXPECT_TRUE(config.listen[1].proxy_protocol);
    EXPECT_FALSE(config.listen[2].proxy_protocol);
    EXPECT_FALSE(config.api_listen[0].proxy_protocol);
}

TEST(Config, AListenerOnWhichNobodyIsTrustedIsRefused) {
    EXPECT_EQ(
        refusal("[proxy]\nprotocol = true"),
        ":2: proxy.protocol: PROXY headers on 127.0.0.1:5000 need the proxies' networks in proxy.trusted");
    auto const file =
        refusal("\n[[listener]]\naddress = 'unix:/a'\nproxy_protocol = true\n[proxy]\ntrusted = ['::1']");
    EXPECT_EQ(file, ":2: listener: PROXY headers on unix:/a need \"unix\" in proxy.trusted");
}

TEST(Config, MistakesInListenerTablesAreNamedByLineAndKey) {
    auto const in_table = [](const char* text) { return refusal(std::string("[[listener]]\n") + text); };
    EXPECT_EQ(in_table("address = '127.0.0.1'"),
              ":2: listener.address: \"127.0.0.1\" is not an address: the port is missing");
    EXPECT_EQ(in_table("address = 5000"), ":2: listener.address: must be a string");
    EXPECT_EQ(in_table("mode = '0660'"), ":1: listener: lacks its address");
    EXPECT_EQ(in_table("address = '127.0.0.1:1'\nmode = '0660'"),
              ":3: listener.mode: is for unix sockets alone");
    EXPECT_EQ(in_table("address = '127.0.0.1:1'\ngroup = 'g'"),
              ":3: listener.group: is for unix sockets alone");
    EXPECT_EQ(in_table("address = 'unix:/a'\nproxy_protocol = 1"),
              ":3: listener.proxy_protocol: must be true or false");
    EXPECT_EQ(in_table("address = 'unix:/a'\ngroup = ''"),
              ":3: listener.group: must be a group's name or number, as a string");
    EXPECT_EQ(in_table("address = 'unix:/a'\nport = 1"), ":3: listener.port: is not a setting");
    for (auto mode : {"432", "0o660", "'660x'", "'0888'", "'66'", "'01777'", "'00660'", "''"})
        EXPECT_EQ(in_table((std::string("address = 'unix:/a'\nmode = ") + mode).c_str()),
                  ":3: listener.mode: must be a string of octal digits up to \"0777\", such as \"0660\"")
            << mode;
    EXPECT_EQ(refusal("listener = 1"), ":1: listener: must be [[listener]] tables");
    EXPECT_EQ(refusal("[listener]\naddress = 'unix:/a'"), ":1: listener: must be [[listener]] tables");
    EXPECT_EQ(refusal("listener = []"), ":1: listener: must be [[listener]] tables");
    EXPECT_EQ(refusal("[[listener]]\naddress = '127.0.0.1:1'\n[[listener]]\naddress = '127.0.0.1:1'"),
              ":3: listener: 127.0.0.1:1 is named twice");
    EXPECT_EQ(refusal("\n[[listener]]\naddress = '127.0.0.1:5001'"),
              ":2: listener: 127.0.0.1:5001 is named twice");
    EXPECT_TRUE(refusal("\n[[listener]]\naddress = '127.0.0.1:1'\n[[listener]]\naddress = '0.0.0.0:1'")
                    .starts_with(":4: listener: 0.0.0.0:1 is not loopback"));
    EXPECT_EQ(refusal("[[listener]]\naddress = 'unix:/a'\n[nonsense]\n"), ":3: nonsense: is not a setting");
}

TEST(Config, AsManyAddressesAsAListMayHold) {
    auto const list = [](int n) {
        std::string text;
        for (int i = 0; i < n; ++i)
            text += "'127.0.0.1:0',";
        return "listen = [" + text + "]\n";
    };
    EXPECT_EQ(accept(list(64)).listen.size(), 64U);
    EXPECT_EQ(refusal(list(65)), ":1: listen: must name at most 64 addresses");
    EXPECT_EQ(refusal(list(64) + "[[listener]]\naddress = 'unix:/a'"),
              ":2: listener: is one of more than 64");
}

TEST(Config, OriginsAreWhatBrowsersSend) {
    for (auto text : {"*", "example.com", "https://", "https://a/", "https://a/b", "https://a b",
                      "https://*.a", "://a", "https://:443", "https://u@a", "https://\xc3\xa9", ""})
        EXPECT_EQ(refusal("allowed_origins = [\"" + std::string(text) + "\"]"),
                  ":1: allowed_origins: \"" + std::string(text) +
                      "\" is not an origin such as https://www.example.com or https://*.example.com");
    EXPECT_EQ(refusal("allowed_origins = ['null']"),
              ":1: allowed_origins: \"null\" is the origin of any sandboxed page, so it allows all");
    EXPECT_EQ(
        accept("allowed_origins = ['http://a:443', 'http://a:80', 'https://[::1]:8443']").allowed_origins,
        (std::vector<std::string>{"http://a:443", "http://a", "https://[::1]:8443"}));
}

TEST(Config, ALongFileNameIsNotCut) {
    auto const path = "/nonexistent/" + std::string(200, 'd') + "/ringcast.toml";
    EXPECT_TRUE(load_config({.file = path}).error().message.starts_with(path + ": cannot be read"));
}

TEST(Config, LongInputIsCutInErrors) {
    auto const message = refusal("listen = ['" + std::string(1000, 'x') + "']");
    EXPECT_EQ(message,
              ":1: listen: \"" + std::string(64, 'x') + "...\" is not an address: the port is missing");
}

}  // namespace
}  // namespace rc::server
