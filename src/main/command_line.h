#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ringcast/server/config.h"

namespace rc::main {

constexpr int kStatusOk = 0;
constexpr int kStatusSettings = 2;  // contract.md 1: settings or addresses

/// What the arguments ask for.
struct CommandLine {
    bool check = false;
    std::optional<std::string> config_file;
    std::vector<server::FlagValue> overrides;
};

/// The program's last words: to stdout where the status is 0, else one line to stderr. `text` ends in a line
/// feed.
struct Exit {
    int status = kStatusOk;
    std::string text;
};

/// Reads the arguments. The flags for settings come from the table of settings; values are checked by
/// load_config().
/// --help and --version give an Exit of status 0, an argument that does not fit one of status 2 that names
/// the flag. Core: the main thread.
std::variant<CommandLine, Exit> parse_command_line(int argc, const char* const* argv);

/// The settings that the command line, the environment and the file amount to.
/// Errors: settings, one line. Core: the main thread.
Result<server::Config> load(const CommandLine& command_line);

/// What --check answers, which looks at the key files too: `ok` with status 0, or the error's line with
/// status 2. Core: the main thread.
Exit report_check(const Result<server::Config>& config);

/// Prints to the stream that fits the status. @return the status
int print(const Exit& exit);

}  // namespace rc::main
