#include "command_line.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "ringcast/base/arguments.h"
#include "ringcast/server/server.h"

namespace rc::main {
namespace {

std::string complaint(std::string_view what) {
    return fmt::format("ringcastd: {}\n", in_one_line(what));
}

std::string help_text(const server::SettingDescription& setting) {
    return fmt::format("{}{} [{}]", setting.help, setting.takes_list ? "; may repeat or hold commas" : "",
                       setting.default_value);
}

CLI::Option* add_setting(CLI::App& app, const server::SettingDescription& setting) {
    if (setting.is_switch) return app.add_flag(setting.flag)->description(help_text(setting));
    auto* option = app.add_option(setting.flag)->description(help_text(setting))->type_name("VALUE");
    option->expected(1)->allow_extra_args(false);
    if (setting.takes_list) option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    return option;
}

}  // namespace

std::variant<CommandLine, Exit> parse_command_line(int argc, const char* const* argv) {
    CommandLine out;
    std::string config_file;
    CLI::App app{"ringcastd: pushes notifications to browsers over WebSocket"};
    app.set_help_flag("-h,--help", "print this and exit");
    app.set_version_flag("--version", "ringcastd " RINGCAST_VERSION);
    auto* config_option =
        app.add_option("--config", config_file, "settings as a TOML file")->type_name("FILE");
    app.add_flag("--check", out.check, "check the settings, print `ok` or what is wrong, and exit");

    std::vector<std::pair<std::string, CLI::Option*>> options;
    for (const auto& setting : server::describe_settings())
        if (!setting.flag.empty()) options.emplace_back(setting.flag, add_setting(app, setting));

    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        return Exit{kStatusOk, app.help()};
    } catch (const CLI::CallForVersion& version) {
        return Exit{kStatusOk, in_one_line(version.what()) + "\n"};
    } catch (const CLI::ExtrasError&) {
        return Exit{kStatusSettings, complaint(describe_extras(app.remaining(true), argc, argv))};
    } catch (const CLI::ParseError& error) {
        return Exit{kStatusSettings, complaint(error.what())};
    }
    if (config_option->count() > 0) out.config_file = std::move(config_file);
    for (const auto& [flag, option] : options)
        for (const auto& text : option->results())
            out.overrides.push_back({flag, text});
    return out;
}

Result<server::Config> load(const CommandLine& command_line) {
    return server::load_config({.file = command_line.config_file,
                                .environment = server::process_environment(),
                                .flags = command_line.overrides});
}

Exit report_check(const Result<server::Config>& config) {
    auto const found = config ? server::check_key_files(*config) : tl::unexpected(config.error());
    if (found) return {kStatusOk, "ok\n"};
    return {kStatusSettings, complaint(found.error().message)};
}

int print(const Exit& exit) {
    std::FILE* out = exit.status == kStatusOk ? stdout : stderr;
    std::fputs(exit.text.c_str(), out);
    std::fflush(out);
    return exit.status;
}

}  // namespace rc::main
