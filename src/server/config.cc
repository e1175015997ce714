#include "ringcast/server/config.h"

#include <fmt/core.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "config_listeners.h"
#include "config_settings.h"
#include "ringcast/auth/key_fetch.h"
#include "ringcast/auth/token.h"
#include "ringcast/base/ascii.h"

namespace rc::server {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr std::size_t kApiKeyBytesMax = 1024;
constexpr std::string_view kVariablePrefix = "RINGCAST_";
constexpr std::string_view kApiKeyVariable = "RINGCAST_API_KEY";

enum class Source : uint8_t { defaults, file, environment, flag };

/// Where a setting's value was written last, so that a rule between settings can name a place too.
struct Origin {
    Source source = Source::defaults;
    std::string prefix;  // "ringcast.toml:3: listen: "
};

class Loader {
  public:
    Result<Config> load(const ConfigSources& sources) {
        for (auto step : {&Loader::take_state_directory, &Loader::take_file, &Loader::take_environment,
                          &Loader::take_flags, &Loader::add_listeners, &Loader::check_together}) {
            if (auto done = (this->*step)(sources); !done) return tl::unexpected(std::move(done.error()));
        }
        auto& places = config_.places;
        for (auto [path, place] :
             {std::pair{"listen", &places.listen}, std::pair{"api_listen", &places.api_listen},
              std::pair{"data_dir", &places.data_dir}, std::pair{"api_key_file", &places.api_key_file}}) {
            if (const auto& origin = origin_of(path); origin.source != Source::defaults)
                *place = origin.prefix;
        }
        return std::move(config_);
    }

  private:
    struct Finding {
        uint32_t line;
        std::string message;
    };

    static tl::unexpected<Error> refuse(std::string_view where, std::string_view message) {
        return fail(Errc::settings, fmt::format("{}{}", where, message));
    }

    static const Setting* setting_named(std::string_view path) {
        auto const found = std::ranges::find(settings(), path, &Setting::path);
        return found == settings().end() ? nullptr : &*found;
    }
    Origin& origin_of(std::string_view path) {
        const auto* setting = setting_named(path);
        return origins_[static_cast<std::size_t>(setting - settings().data())];
    }

    Result<void> take(const Setting& setting, const Value& value, Source source, std::string prefix) {
        if (auto done = assign(setting, config_, value); !done) return refuse(prefix, done.error().message);
        origin_of(setting.path) = {source, std::move(prefix)};
        return {};
    }

    Result<void> take_state_directory(const ConfigSources& sources) {
        for (const auto& [name, value] : sources.environment) {
            if (name != "STATE_DIRECTORY" || value.empty()) continue;
            config_.data_dir = value.substr(0, value.find(':'));  // systemd joins several by colons
        }
        return {};
    }

    Result<void> take_file(const ConfigSources& sources);
    void take_listeners(const toml::node& node, const std::string& file, std::vector<Finding>& findings);
    void take_table(const toml::table& table, const std::string& prefix, const std::string& file,
                    std::vector<Finding>& findings);
    Result<void> take_environment(const ConfigSources& sources);
    Result<void> take_flags(const ConfigSources& sources);
    Result<void> add_listeners(const ConfigSources& sources);
    Result<void> check_together(const ConfigSources& sources);
    Result<void> check_addresses_differ();
    Result<void> check_open_mode();
    Result<void> check_token_mode();
    Result<void> check_header_mode();
    Result<void> check_proxies();
    [[nodiscard]] const std::string& place_of(const ListenAddress& entry, std::string_view path);

    Config config_;
    std::vector<ListenerTable> listener_tables_;
    std::vector<Origin> origins_{settings().size()};
};

Result<std::string> read_whole(const std::string& file) {
    auto const because = [&](int error) {
        return fail(Errc::settings,
                    fmt::format("{}: cannot be read: {}", in_one_line(file), std::strerror(error)));
    };
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const in(std::fopen(file.c_str(), "rbe"), &std::fclose);
    if (!in) return because(errno);
    std::string text(kFileBytesMax + 1, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), in.get()));
    if (std::ferror(in.get())) return because(errno);
    if (text.size() > kFileBytesMax)
        return fail(Errc::settings,
                    fmt::format("{}: is larger than {} bytes", in_one_line(file), kFileBytesMax));
    return text;
}

Value value_of(const toml::node& node) {
    if (const auto* boolean = node.as_boolean()) return boolean->get();
    if (const auto* integer = node.as_integer()) return integer->get();
    if (const auto* string = node.as_string()) return string->get();
    const auto* array = node.as_array();
    if (!array) return Unsuitable{};
    std::vector<std::string> texts;
    for (const auto& element : *array) {
        const auto* text = element.as_string();
        if (!text) return Unsuitable{};
        texts.push_back(text->get());
    }
    return texts;
}

Result<void> Loader::take_file(const ConfigSources& sources) {
    if (!sources.file) return {};
    auto const text = read_whole(*sources.file);
    if (!text) return tl::unexpected(text.error());
    auto const file = in_one_line(*sources.file);

    toml::table root;
    try {
        root = toml::parse(*text);
    } catch (const toml::parse_error& error) {  // the library's only way to say it
        return refuse(fmt::format("{}:{}: ", file, error.source().begin.line),
                      in_one_line(error.description()));
    }
    std::vector<Finding> findings;
    take_table(root, "", file, findings);
    if (findings.empty()) return {};
    // The library keeps a table sorted by name; a person reads a file from its top.
    return fail(Errc::settings, std::ranges::min_element(findings, {}, &Finding::line)->message);
}

void Loader::take_table(const toml::table& table, const std::string& prefix, const std::string& file,
                        std::vector<Finding>& findings) {
    for (auto&& [key, node] : table) {
        if (prefix.empty() && key.str() == "listener") {
            take_listeners(node, file, findings);
            continue;
        }
        // A dot in a key is part of a quoted name here, never a step into a table.
        bool const dotted = key.str().find('.') != std::string_view::npos;
        auto const path =
            dotted ? fmt::format("{}\"{}\"", prefix, key.str()) : prefix + std::string(key.str());
        auto const line = key.source().begin.line;
        auto const where = fmt::format("{}:{}: {}: ", file, line, in_one_line(path));

        if (const auto* setting = setting_named(path)) {
            if (auto done = take(*setting, value_of(node), Source::file, where); !done)
                findings.push_back({line, done.error().message});
            continue;
        }
        auto const inside = path + ".";
        bool const is_section = std::ranges::any_of(
            settings(), [&](const Setting& setting) { return setting.path.starts_with(inside); });
        if (!is_section) {
            findings.push_back({line, where + "is not a setting"});
        } else if (const auto* section = node.as_table()) {
            take_table(*section, inside, file, findings);
        } else {
            findings.push_back({line, where + "must be a table"});
        }
    }
}

Result<void> Loader::take_environment(const ConfigSources& sources) {
    for (const auto& [name, value] : sources.environment) {
        if (!name.starts_with(kVariablePrefix)) continue;
        auto const where = in_one_line(name) + ": ";
        if (name == kApiKeyVariable) {
            bool const printable = std::ranges::all_of(value, [](char c) { return c > 0x20 && c < 0x7f; });
            if (value.empty() || value.size() > kApiKeyBytesMax || !printable)
                return refuse(where, fmt::format("must be 1 to {} printable ASCII characters without spaces",
                                                 kApiKeyBytesMax));
            config_.api_key = value;
            continue;
        }
        auto const setting = std::ranges::find(settings(), name, environment_name);
        if (setting == settings().end()) return refuse(where, "is not a setting");
        if (auto done = take(*setting, read_texts(*setting, {&value, 1}), Source::environment, where); !done)
            return done;
    }
    if (config_.api_key && origin_of("api_key_file").source == Source::environment)
        return refuse(origin_of("api_key_file").prefix, "cannot stand beside RINGCAST_API_KEY");
    return {};
}

Result<void> Loader::take_flags(const ConfigSources& sources) {
    for (const auto& given : sources.flags) {
        if (std::ranges::find(settings(), given.flag, &Setting::flag) == settings().end())
            return refuse(in_one_line(given.flag) + ": ", "is not a setting");
    }
    for (const auto& setting : settings()) {
        if (setting.flag.empty()) continue;
        std::vector<std::string> texts;
        for (const auto& given : sources.flags)
            if (given.flag == setting.flag) texts.push_back(given.text);
        if (texts.empty()) continue;
        if (auto done =
                take(setting, read_texts(setting, texts), Source::flag, fmt::format("{}: ", setting.flag));
            !done)
            return done;
    }
    // A flag is stronger than a variable, also where the two name the key in different ways.
    if (origin_of("api_key_file").source == Source::flag) config_.api_key.reset();
    return {};
}

void Loader::take_listeners(const toml::node& node, const std::string& file, std::vector<Finding>& findings) {
    const auto* tables = node.as_array();
    if (!tables || !tables->is_homogeneous(toml::node_type::table)) {
        auto const line = node.source().begin.line;
        findings.push_back({line, fmt::format("{}:{}: listener: must be [[listener]] tables", file, line)});
        return;
    }
    for (const auto& element : *tables) {
        auto table = read_listener(*element.as_table(), file);
        if (table) {
            listener_tables_.push_back(std::move(*table));
        } else {
            findings.push_back({table.error().line, std::move(table.error().message)});
        }
    }
}

// What a variable or a flag says of `listen` stands for all of what the file says of clients' addresses.
Result<void> Loader::add_listeners(const ConfigSources&) {
    for (auto& entry : config_.listen)
        entry.proxy_protocol = config_.proxy.protocol;
    auto& origin = origin_of("listen");
    if (listener_tables_.empty() || origin.source > Source::file) return {};
    if (origin.source == Source::defaults) {
        config_.listen.clear();
        origin = {Source::file, listener_tables_.front().addresses.front().place};
    }
    for (auto& table : listener_tables_) {
        for (auto& entry : table.addresses) {
            entry.proxy_protocol = table.proxy_protocol.value_or(config_.proxy.protocol);
            if (config_.listen.size() == kListenAddressesMax)
                return refuse(entry.place, fmt::format("is one of more than {}", kListenAddressesMax));
            config_.listen.push_back(std::move(entry));
        }
    }
    return {};
}

const std::string& Loader::place_of(const ListenAddress& entry, std::string_view path) {
    return entry.place.empty() ? origin_of(path).prefix : entry.place;
}

Result<void> Loader::check_together(const ConfigSources&) {
    if (auto done = check_addresses_differ(); !done) return done;
    for (auto check : {&Loader::check_open_mode, &Loader::check_proxies, &Loader::check_token_mode,
                       &Loader::check_header_mode}) {
        if (auto done = (this->*check)(); !done) return done;
    }
    if (config_.ping_interval >= config_.inactivity_timeout)
        config_.warnings.push_back(fmt::format(
            "ping_interval ({}) is not shorter than inactivity_timeout ({}): clients that only answer "
            "heartbeats will be closed",
            format_duration(config_.ping_interval), format_duration(config_.inactivity_timeout)));
    if (config_.proxy.trusted.holds_everybody())
        config_.warnings.push_back(
            "proxy.trusted holds every address: whoever connects can say that it comes from any other");
    return {};
}

Result<void> Loader::check_addresses_differ() {
    std::vector<const ListenAddress*> seen;
    for (auto [path, addresses] :
         {std::pair{"listen", &config_.listen}, std::pair{"api_listen", &config_.api_listen}}) {
        for (const auto& entry : *addresses) {
            const auto& address = entry.address;
            bool const may_repeat = address.port == 0 && address.kind != Address::Kind::unix_path;
            auto const same = std::ranges::find(seen, address, &ListenAddress::address);
            if (!may_repeat && same != seen.end()) {
                bool const by_default = origin_of(path).source == Source::defaults;
                return refuse(by_default ? place_of(**same, "listen") : place_of(entry, path),
                              fmt::format("{} is named twice", address.format()));
            }
            seen.push_back(&entry);
        }
    }
    return {};
}

Result<void> Loader::check_open_mode() {
    if (config_.auth.mode != AuthMode::open) return {};
    std::string reachable;
    const ListenAddress* first = nullptr;
    for (const auto& entry : config_.listen) {
        const auto& address = entry.address;
        if (address.kind == Address::Kind::unix_path || address.is_loopback()) continue;
        if (!first) first = &entry;
        if (!reachable.empty()) reachable += ' ';
        reachable += address.format();
    }
    if (!first) return {};
    if (!config_.auth.allow_open)
        return refuse(place_of(*first, "listen"),
                      fmt::format("{} is not loopback, and auth.mode \"open\" believes every userId: set "
                                  "auth.allow_open = true if that is meant",
                                  reachable));
    config_.warnings.push_back(fmt::format(
        "auth.mode is \"open\" on {}: whoever reaches it can be any user (auth.allow_open)", reachable));
    return {};
}

// A listener on which everybody would be closed.
Result<void> Loader::check_proxies() {
    const auto& trusted = config_.proxy.trusted;
    for (const auto& entry : config_.listen) {
        if (!entry.proxy_protocol) continue;
        const auto& place = entry.place.empty() ? origin_of("proxy.protocol").prefix : entry.place;
        bool const is_unix = entry.address.kind == Address::Kind::unix_path;
        if (is_unix && !trusted.contains(net::PeerAddress::from(entry.address)))
            return refuse(place, fmt::format("PROXY headers on {} need \"unix\" in proxy.trusted",
                                             entry.address.format()));
        if (trusted.empty())
            return refuse(place,
                          fmt::format("PROXY headers on {} need the proxies' networks in proxy.trusted",
                                      entry.address.format()));
    }
    return {};
}

bool is_http_token(std::string_view text) {
    constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               kMarks.find(c) != std::string_view::npos;
    });
}

Result<void> Loader::check_token_mode() {
    const auto& jwt = config_.auth.jwt;
    std::string names;
    for (auto name : auth::kAlgorithmNames)
        names.append(names.empty() ? "" : ", ").append(name);
    for (const auto& name : jwt.algorithms) {
        if (!auth::algorithm_named(name))
            return refuse(origin_of("auth.jwt.algorithms").prefix, "must be of " + names);
    }
    if (!jwt.jwks_url.empty() && !auth::is_key_url(jwt.jwks_url))
        return refuse(origin_of("auth.jwt.jwks_url").prefix,
                      "must be an https URL without a user in it; http is for this host alone");
    if (!jwt.cookie.empty() && !is_http_token(jwt.cookie))
        return refuse(origin_of("auth.jwt.cookie").prefix, "must be a cookie's name");
    if (config_.auth.mode != AuthMode::jwt) return {};

    auto const& mode = origin_of("auth.mode").prefix;
    if (jwt.algorithms.empty())
        return refuse(origin_of("auth.jwt.algorithms").prefix, "must name an algorithm of " + names);
    if (jwt.secret_file.empty() && jwt.public_key_file.empty() && jwt.jwks_file.empty() &&
        jwt.jwks_url.empty())
        return refuse(mode,
                      "\"jwt\" needs keys: secret_file, public_key_file, jwks_file or jwks_url of auth.jwt");
    // A cookie comes along from whatever page opens the socket.
    if (!jwt.cookie.empty() && config_.allowed_origins.empty())
        return refuse(
            origin_of("auth.jwt.cookie").prefix,
            "needs allowed_origins: a page of any other site could connect with its visitors' cookies");
    return {};
}

Result<void> Loader::check_header_mode() {
    if (!is_http_token(config_.auth.header.name))
        return refuse(origin_of("auth.header.name").prefix, "must be a header's name");
    if (config_.auth.mode == AuthMode::header && config_.proxy.trusted.empty())
        config_.warnings.emplace_back(
            "auth.mode is \"header\" and proxy.trusted is empty: no proxy is believed, so no client has a "
            "user");
    return {};
}

}  // namespace

std::string HeaderConfig::lower_name() const {
    return ascii_lower(name);
}

std::string Config::api_key_path() const {
    return api_key_file.empty() ? data_dir + "/api.key" : api_key_file;
}

Result<Config> load_config(const ConfigSources& sources) {
    return Loader{}.load(sources);
}

std::vector<std::pair<std::string, std::string>> process_environment() {
    std::vector<std::pair<std::string, std::string>> out;
    for (char** entry = environ; entry && *entry; ++entry) {
        std::string_view const text = *entry;
        auto const equals = text.find('=');
        if (equals != std::string_view::npos)
            out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
    return out;
}

}  // namespace rc::server
