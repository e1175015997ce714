#include "config_settings.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "ringcast/base/ascii.h"
#include "ringcast/ws/origin.h"

namespace rc::server {
namespace {

constexpr std::array<std::string_view, 4> kLogLevels{"debug", "info", "warning", "error"};
constexpr std::array<std::string_view, 2> kDurabilities{"fsync", "write"};
constexpr std::array<std::string_view, 3> kAuthModes{"open", "jwt", "header"};

constexpr Duration kDay = hours(24);
static_assert(kDay < milliseconds(INT32_MAX), "the next heartbeat, a ShortTime, is a ping_interval away");

/// The member that the steps lead to: field<&Config::limits, &LimitsConfig::subscriptions>.
template <auto... Steps>
auto& field(Config& config) {
    return (config.*....*Steps);
}

const std::array kSettings{
    Setting{"listen", AddressesAt{field<&Config::listen>}, "addresses for clients", "--listen"},
    Setting{"api_listen", AddressesAt{field<&Config::api_listen>}, "addresses for the API", "--api-listen"},
    Setting{"workers", IntegerAt{field<&Config::workers>, 0, limits::kWorkersMax},
            "cores to run; 0: one for each CPU that the process may use", "--workers"},
    Setting{"data_dir", TextAt{field<&Config::data_dir>, false},
            "directory of the log, the inbox and the API key; under systemd the default is $STATE_DIRECTORY",
            "--data-dir"},
    Setting{"api_key_file", TextAt{field<&Config::api_key_file>, true},
            "file that holds the API key; empty: api.key in data_dir, made at the first start",
            "--api-key-file"},
    Setting{"log_level",
            ChoiceAt{kLogLevels, [](const Config& c) { return static_cast<std::size_t>(c.log_level); },
                     [](Config& c, std::size_t i) { c.log_level = static_cast<log::Level>(i); }},
            "the least urgent lines that are logged", "--log-level"},
    Setting{"access_log", BooleanAt{field<&Config::access_log>},
            "a line for each request on the API listener, with its key's name; else only at log_level debug"},
    Setting{"ping_interval", DurationAt{field<&Config::ping_interval>, milliseconds(10), kDay},
            "time between two heartbeats to a client", "--ping-interval"},
    Setting{"inactivity_timeout", DurationAt{field<&Config::inactivity_timeout>, milliseconds(100), 7 * kDay},
            "a client that has sent no text message for so long is closed", "--inactivity-timeout"},
    Setting{"drain_time", DurationAt{field<&Config::drain_time>, seconds(0), hours(1)},
            "time over which a stopping server spreads the closes", "--drain-time"},
    Setting{"durability",
            ChoiceAt{kDurabilities, [](const Config& c) { return static_cast<std::size_t>(c.durability); },
                     [](Config& c, std::size_t i) { c.durability = static_cast<Durability>(i); }},
            "what a publisher's 200 means: synced to disk, or written", "--durability"},
    Setting{"allowed_origins", OriginsAt{field<&Config::allowed_origins>},
            "origins whose pages may connect; empty: every origin", "--allowed-origins"},

    Setting{"limits.messages_per_second",
            IntegerAt{field<&Config::limits, &LimitsConfig::messages_per_second>, 1, 10'000},
            "text messages of one client in any second"},
    Setting{"limits.subscriptions",
            IntegerAt{field<&Config::limits, &LimitsConfig::subscriptions>, 1, 10'000},
            "topics a connection may hold"},
    Setting{"limits.message_bytes",
            IntegerAt{field<&Config::limits, &LimitsConfig::message_bytes>, 64, 16 << 20},
            "size of a client's message"},
    Setting{
        "limits.publish_bytes",
        IntegerAt{field<&Config::limits, &LimitsConfig::publish_bytes>, 64, limits::kPublishMessageBytesMax},
        "size of a published message's data"},
    Setting{"limits.send_queue_bytes",
            IntegerAt{field<&Config::limits, &LimitsConfig::send_queue_bytes>, 1024, 1 << 30},
            "bytes that may wait for a client that does not read"},
    Setting{"limits.send_queue_messages",
            IntegerAt{field<&Config::limits, &LimitsConfig::send_queue_messages>, 1, 1 << 20},
            "messages that may wait for a client that does not read"},
    Setting{
        "limits.handshake_timeout",
        DurationAt{field<&Config::limits, &LimitsConfig::handshake_timeout>, milliseconds(50), minutes(5)},
        "time from connecting to a complete request head"},
    Setting{"limits.header_bytes",
            IntegerAt{field<&Config::limits, &LimitsConfig::header_bytes>, 256, 64 * 1024},
            "size of a request's whole head"},
    Setting{"limits.connections_per_user",
            IntegerAt{field<&Config::limits, &LimitsConfig::connections_per_user>, 0, 1'000'000},
            "connections of one user; above it the oldest goes; 0: no limit"},
    Setting{"limits.connections_per_address",
            IntegerAt{field<&Config::limits, &LimitsConfig::connections_per_address>, 0, 1'000'000},
            "connections from one address; above it new ones get 429; 0: no limit"},
    Setting{"limits.new_connections_per_address",
            IntegerAt{field<&Config::limits, &LimitsConfig::new_connections_per_address>, 0, 1'000'000},
            "connections from one address in a second; above it they get 429; 0: no limit"},
    Setting{"limits.auth_failures_per_address",
            IntegerAt{field<&Config::limits, &LimitsConfig::auth_failures_per_address>, 0, 1'000'000},
            "wrong API keys and tokens from one address in a minute; above it 429; 0: no limit"},
    Setting{"limits.dry_run", BooleanAt{field<&Config::limits, &LimitsConfig::dry_run>},
            "the four limits above refuse nobody; what they would refuse is counted and logged"},

    Setting{"inbox.retention",
            DurationAt{field<&Config::inbox, &InboxConfig::retention>, seconds(1), 3650 * kDay},
            "time for which a user's messages are kept"},
    Setting{"inbox.notifications_per_user",
            IntegerAt{field<&Config::inbox, &InboxConfig::notifications_per_user>, 1, 1'000'000},
            "notifications that are kept for a user, and as many other messages"},

    Setting{"auth.mode",
            ChoiceAt{kAuthModes, [](const Config& c) { return static_cast<std::size_t>(c.auth.mode); },
                     [](Config& c, std::size_t i) { c.auth.mode = static_cast<AuthMode>(i); }},
            "how a client proves who it is", "--auth-mode"},
    Setting{"auth.allow_open", BooleanAt{field<&Config::auth, &AuthConfig::allow_open>},
            "lets mode open listen on addresses that other hosts reach", "--allow-open"},

    Setting{"auth.jwt.algorithms", TextsAt{field<&Config::auth, &AuthConfig::jwt, &JwtConfig::algorithms>},
            "signature algorithms that are accepted"},
    Setting{"auth.jwt.jwks_file", TextAt{field<&Config::auth, &AuthConfig::jwt, &JwtConfig::jwks_file>, true},
            "keys as a JWKS file"},
    Setting{"auth.jwt.jwks_url", TextAt{field<&Config::auth, &AuthConfig::jwt, &JwtConfig::jwks_url>, true},
            "keys as a JWKS that is fetched"},
    Setting{"auth.jwt.public_key_file",
            TextAt{field<&Config::auth, &AuthConfig::jwt, &JwtConfig::public_key_file>, true},
            "public keys as PEM"},
    Setting{"auth.jwt.secret_file",
            TextAt{field<&Config::auth, &AuthConfig::jwt, &JwtConfig::secret_file>, true},
            "secrets for HS256, HS384 and HS512, one a line, the first is the newest"},
    Setting{"auth.jwt.issuer", TextAt{field<&Config::auth, &AuthConfig::jwt, &JwtConfig::issuer>, true},
            "the claim iss that is demanded"},
    Setting{"auth.jwt.audience", TextAt{field<&Config::auth, &AuthConfig::jwt, &JwtConfig::audience>, true},
            "the claim aud that is demanded"},
    Setting{"auth.jwt.user_claim",
            TextAt{field<&Config::auth, &AuthConfig::jwt, &JwtConfig::user_claim>, false},
            "the claim that names the user"},
    Setting{"auth.jwt.leeway",
            DurationAt{field<&Config::auth, &AuthConfig::jwt, &JwtConfig::leeway>, seconds(0), minutes(10)},
            "how far clocks may differ"},
    Setting{"auth.jwt.cookie", TextAt{field<&Config::auth, &AuthConfig::jwt, &JwtConfig::cookie>, true},
            "cookie that may hold the token"},
    Setting{"auth.jwt.authenticate_within",
            DurationAt{field<&Config::auth, &AuthConfig::jwt, &JwtConfig::authenticate_within>,
                       milliseconds(100), hours(1)},
            "time from connecting to a token"},

    Setting{"auth.header.name", TextAt{field<&Config::auth, &AuthConfig::header, &HeaderConfig::name>, false},
            "header in which a trusted proxy names the user"},

    Setting{"proxy.protocol", BooleanAt{field<&Config::proxy, &ProxyConfig::protocol>},
            "a PROXY protocol header must come first on every client connection"},
    Setting{"proxy.trusted", NetworksAt{field<&Config::proxy, &ProxyConfig::trusted>},
            "networks whose forwarding headers, PROXY headers and user header count"},
};

template <class... F>
struct Overloaded : F... {
    using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

tl::unexpected<Error> refuse(std::string message) {
    return fail(Errc::settings, std::move(message));
}

std::string quoted(std::string_view text) {
    bool const cut = text.size() > limits::kEchoedInputBytesMax;
    return fmt::format("\"{}{}\"", in_one_line(text.substr(0, limits::kEchoedInputBytesMax)),
                       cut ? "..." : "");
}

std::string joined(const std::vector<std::string>& parts, std::string_view between, std::string_view last) {
    std::string out;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i > 0) out += i + 1 == parts.size() ? last : between;
        out += parts[i];
    }
    return out;
}

std::string list_text(const std::vector<std::string>& quoted_parts) {
    return fmt::format("[{}]", joined(quoted_parts, ", ", ", "));
}

bool has_control_bytes(std::string_view text) {
    return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::vector<std::string> split_at_commas(std::span<const std::string> texts) {
    std::vector<std::string> parts;
    for (std::string_view rest : texts) {
        if (rest.find_first_not_of(' ') == std::string_view::npos) continue;
        for (bool more = true; more;) {
            auto const comma = rest.find(',');
            more = comma != std::string_view::npos;
            std::string_view part = rest.substr(0, comma);
            if (more) rest.remove_prefix(comma + 1);
            part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
            part = part.substr(0, part.find_last_not_of(' ') + 1);
            parts.emplace_back(part);
        }
    }
    return parts;
}

/// An origin as a browser writes it, or one with `*.`; nothing where the text is neither.
std::optional<std::string> normal_origin(std::string_view text) {
    auto origin = ascii_lower(text);
    if (!ws::parse_origin_pattern(origin)) return std::nullopt;
    for (auto [ending, of] : {std::pair{":443", "https"}, std::pair{":80", "http"}})
        if (origin.starts_with(std::string(of) + "://") && origin.ends_with(ending))
            origin.resize(origin.size() - std::string_view(ending).size());
    return origin;
}

Result<void> put(const Setting& setting, Config& config, const Value& value) {
    auto const must_be = [&] { return refuse(fmt::format("must be {}", expectation(setting))); };
    return std::visit(
        Overloaded{[&](const BooleanAt& at) -> Result<void> {
                       const auto* given = std::get_if<bool>(&value);
                       if (!given) return must_be();
                       at.in(config) = *given;
                       return {};
                   },
                   [&](const IntegerAt& at) -> Result<void> {
                       const auto* given = std::get_if<int64_t>(&value);
                       if (!given || *given < int64_t{at.least} || *given > int64_t{at.most})
                           return must_be();
                       at.in(config) = static_cast<uint32_t>(*given);
                       return {};
                   },
                   [&](const DurationAt& at) -> Result<void> {
                       const auto* given = std::get_if<std::string>(&value);
                       if (!given) return must_be();
                       auto const duration = parse_duration(*given);
                       if (!duration || *duration < at.least || *duration > at.most) return must_be();
                       at.in(config) = *duration;
                       return {};
                   },
                   [&](const ChoiceAt& at) -> Result<void> {
                       const auto* given = std::get_if<std::string>(&value);
                       if (!given) return must_be();
                       auto const found = std::ranges::find(at.names, *given);
                       if (found == at.names.end()) return must_be();
                       at.set(config, static_cast<std::size_t>(found - at.names.begin()));
                       return {};
                   },
                   [&](const TextAt& at) -> Result<void> {
                       const auto* given = std::get_if<std::string>(&value);
                       if (!given || has_control_bytes(*given) || (given->empty() && !at.may_be_empty))
                           return must_be();
                       at.in(config) = *given;
                       return {};
                   },
                   [&](const TextsAt& at) -> Result<void> {
                       const auto* given = std::get_if<std::vector<std::string>>(&value);
                       if (!given || std::ranges::any_of(*given, has_control_bytes)) return must_be();
                       at.in(config) = *given;
                       return {};
                   },
                   [&](const OriginsAt& at) -> Result<void> {
                       const auto* given = std::get_if<std::vector<std::string>>(&value);
                       if (!given) return must_be();
                       std::vector<std::string> origins;
                       for (const auto& text : *given) {
                           auto origin = normal_origin(text);
                           if (text == "null")
                               return refuse(
                                   "\"null\" is the origin of any sandboxed page, so it allows all");
                           if (!origin)
                               return refuse(
                                   fmt::format("{} is not an origin such as https://www.example.com "
                                               "or https://*.example.com",
                                               quoted(text)));
                           origins.push_back(std::move(*origin));
                       }
                       at.in(config) = std::move(origins);
                       return {};
                   },
                   [&](const NetworksAt& at) -> Result<void> {
                       const auto* given = std::get_if<std::vector<std::string>>(&value);
                       if (!given) return must_be();
                       auto networks = net::Networks::parse(*given);
                       if (!networks) return tl::unexpected(std::move(networks.error()));
                       at.in(config) = std::move(*networks);
                       return {};
                   },
                   [&](const AddressesAt& at) -> Result<void> {
                       const auto* given = std::get_if<std::vector<std::string>>(&value);
                       if (!given) return must_be();
                       auto addresses = read_addresses(*given);
                       if (!addresses) return tl::unexpected(std::move(addresses.error()));
                       at.in(config) = std::move(*addresses);
                       return {};
                   }},
        setting.place);
}

bool takes_list(const Setting& setting) {
    return std::holds_alternative<TextsAt>(setting.place) ||
           std::holds_alternative<OriginsAt>(setting.place) ||
           std::holds_alternative<NetworksAt>(setting.place) ||
           std::holds_alternative<AddressesAt>(setting.place);
}

constexpr struct {
    std::string_view name;
    Duration length;
} kUnits[] = {{"d", kDay}, {"h", hours(1)}, {"m", minutes(1)}, {"s", seconds(1)}, {"ms", milliseconds(1)}};

}  // namespace

Result<std::vector<ListenAddress>> read_addresses(const std::vector<std::string>& texts) {
    std::vector<ListenAddress> out;
    for (const auto& text : texts) {
        auto addresses = parse_addresses(text);
        if (!addresses)
            return refuse(fmt::format("{} is not an address: {}", quoted(text), addresses.error().message));
        bool const several = addresses->size() > 1;  // localhost
        for (auto& address : *addresses)
            out.push_back({.address = std::move(address), .may_lack_family = several});
    }
    if (out.empty()) return refuse("must name at least one address");
    if (out.size() > kListenAddressesMax)
        return refuse(fmt::format("must name at most {} addresses", kListenAddressesMax));
    return out;
}

std::span<const Setting> settings() {
    return kSettings;
}

Value read_texts(const Setting& setting, std::span<const std::string> texts) {
    if (takes_list(setting)) return split_at_commas(texts);
    if (texts.size() != 1) return Unsuitable{};
    const auto& text = texts.front();
    if (std::holds_alternative<BooleanAt>(setting.place)) {
        if (text == "true") return true;
        if (text == "false") return false;
        return Unsuitable{};
    }
    if (std::holds_alternative<IntegerAt>(setting.place)) {
        int64_t number = 0;
        auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (failed != std::errc{} || end != text.data() + text.size()) return Unsuitable{};
        return number;
    }
    return text;
}

Result<void> assign(const Setting& setting, Config& config, const Value& value) {
    return put(setting, config, value);
}

std::string expectation(const Setting& setting) {
    return std::visit(Overloaded{[](const BooleanAt&) -> std::string { return "true or false"; },
                                 [](const IntegerAt& at) {
                                     return fmt::format("an integer from {} to {}", at.least, at.most);
                                 },
                                 [](const DurationAt& at) {
                                     return fmt::format("a duration from \"{}\" to \"{}\"",
                                                        format_duration(at.least), format_duration(at.most));
                                 },
                                 [](const ChoiceAt& at) {
                                     std::vector<std::string> names;
                                     for (auto name : at.names)
                                         names.push_back(quoted(name));
                                     return joined(names, ", ", " or ");
                                 },
                                 [](const TextAt& at) -> std::string {
                                     return at.may_be_empty ? "a string" : "a string, not empty";
                                 },
                                 [](const TextsAt&) -> std::string { return "a list of strings"; },
                                 [](const OriginsAt&) -> std::string { return "a list of origins"; },
                                 [](const NetworksAt&) -> std::string { return "a list of networks"; },
                                 [](const AddressesAt&) -> std::string { return "a list of addresses"; }},
                      setting.place);
}

std::string toml_text(const Setting& setting, const Config& config) {
    Config copy = config;  // the places lend what they hold for writing
    auto const texts = [](const std::vector<std::string>& in) {
        std::vector<std::string> out;
        out.reserve(in.size());
        for (const auto& text : in)
            out.push_back(quoted(text));
        return list_text(out);
    };
    return std::visit(
        Overloaded{[&](const BooleanAt& at) -> std::string { return at.in(copy) ? "true" : "false"; },
                   [&](const IntegerAt& at) { return fmt::format("{}", at.in(copy)); },
                   [&](const DurationAt& at) { return quoted(format_duration(at.in(copy))); },
                   [&](const ChoiceAt& at) { return quoted(at.names[at.get(copy)]); },
                   [&](const TextAt& at) { return quoted(at.in(copy)); },
                   [&](const TextsAt& at) { return texts(at.in(copy)); },
                   [&](const OriginsAt& at) { return texts(at.in(copy)); },
                   [&](const NetworksAt& at) { return texts(at.in(copy).texts()); },
                   [&](const AddressesAt& at) {
                       std::vector<std::string> out;
                       for (const auto& entry : at.in(copy))
                           out.push_back(entry.address.format());
                       return texts(out);
                   }},
        setting.place);
}

std::string environment_name(const Setting& setting) {
    std::string name = "RINGCAST_";
    for (char c : setting.path)
        name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    return name;
}

std::string in_one_line(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return out;
}

std::vector<SettingDescription> describe_settings() {
    std::vector<SettingDescription> out;
    out.reserve(settings().size());
    Config const defaults;
    for (const auto& setting : settings()) {
        bool const is_switch = std::holds_alternative<BooleanAt>(setting.place);
        out.push_back({.path = std::string(setting.path),
                       .environment = environment_name(setting),
                       .flag = std::string(setting.flag),
                       .default_value = toml_text(setting, defaults),
                       .expected = expectation(setting),
                       .help = std::string(setting.help),
                       .takes_list = takes_list(setting),
                       .is_switch = is_switch});
    }
    return out;
}

Result<Duration> parse_duration(std::string_view text) {
    auto const wanted = [] { return refuse("must be a whole number and one of ms, s, m, h, d"); };
    uint64_t number = 0;
    auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed != std::errc{}) return wanted();
    auto const unit = text.substr(static_cast<std::size_t>(end - text.data()));
    for (auto [name, length] : kUnits) {
        if (unit != name) continue;
        if (number > static_cast<uint64_t>(Duration::max() / length)) return wanted();
        return length * static_cast<int64_t>(number);
    }
    return wanted();
}

std::string format_duration(Duration duration) {
    if (duration == Duration::zero()) return "0s";
    for (auto [name, length] : kUnits)
        if (duration % length == Duration::zero()) return fmt::format("{}{}", duration / length, name);
    return fmt::format("{}ms", duration / milliseconds(1));
}

}  // namespace rc::server
