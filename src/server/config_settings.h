#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ringcast/server/config.h"

/// The table of settings: the one place where a setting's name, kind, range and place in Config stand. The
/// TOML file, the environment, the command line and the documentation's test all go by it.
namespace rc::server {

struct BooleanAt {
    bool& (*in)(Config&);
};
struct IntegerAt {
    uint32_t& (*in)(Config&);
    uint32_t least, most;
};
struct DurationAt {
    Duration& (*in)(Config&);
    Duration least, most;
};
struct ChoiceAt {
    std::span<const std::string_view> names;  // in the order of the enum's values
    std::size_t (*get)(const Config&);
    void (*set)(Config&, std::size_t);
};
struct TextAt {
    std::string& (*in)(Config&);
    bool may_be_empty;
};
struct TextsAt {
    std::vector<std::string>& (*in)(Config&);
};
struct OriginsAt {
    std::vector<std::string>& (*in)(Config&);
};
struct NetworksAt {
    net::Networks& (*in)(Config&);
};
struct AddressesAt {
    std::vector<ListenAddress>& (*in)(Config&);
};
using Place = std::variant<BooleanAt, IntegerAt, DurationAt, ChoiceAt, TextAt, TextsAt, OriginsAt, NetworksAt,
                           AddressesAt>;

struct Setting {
    std::string_view path;
    Place place;
    std::string_view help;
    std::string_view flag = {};
};

/// A value as a source gives it, before the setting's kind is known to fit.
struct Unsuitable {};  // a kind that no setting has, such as a date
using Value = std::variant<Unsuitable, bool, int64_t, std::string, std::vector<std::string>>;

/// In the order of contract.md 7.
std::span<const Setting> settings();

/// The value that texts from the environment or the command line stand for. Lists are split at commas.
Value read_texts(const Setting& setting, std::span<const std::string> texts);

/// Checks the value against kind and range, and puts it into `config`.
/// Errors: settings, without the place and the setting's name: "must be ...".
Result<void> assign(const Setting& setting, Config& config, const Value& value);

/// Reads addresses as `listen` has them. Errors: settings, as assign().
Result<std::vector<ListenAddress>> read_addresses(const std::vector<std::string>& texts);

/// "an integer from 64 to 16777216"
std::string expectation(const Setting& setting);
/// The setting's value in `config`, as TOML.
std::string toml_text(const Setting& setting, const Config& config);
/// "RINGCAST_LIMITS_MESSAGE_BYTES"
std::string environment_name(const Setting& setting);

/// Foreign text as part of an error line: control bytes replaced.
std::string in_one_line(std::string_view text);

}  // namespace rc::server
