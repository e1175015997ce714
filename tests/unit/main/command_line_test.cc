#include "command_line.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>

namespace rc::main {
namespace {

std::variant<CommandLine, Exit> parse(std::initializer_list<const char*> arguments) {
    std::vector<const char*> argv{"ringcastd"};
    argv.insert(argv.end(), arguments);
    return parse_command_line(static_cast<int>(argv.size()), argv.data());
}

CommandLine accepted(std::initializer_list<const char*> arguments) {
    auto parsed = parse(arguments);
    auto* exit = std::get_if<Exit>(&parsed);
    EXPECT_FALSE(exit) << exit->text;
    return exit ? CommandLine{} : std::get<CommandLine>(parsed);
}

Exit ended(std::initializer_list<const char*> arguments) {
    auto parsed = parse(arguments);
    EXPECT_TRUE(std::holds_alternative<Exit>(parsed));
    auto* exit = std::get_if<Exit>(&parsed);
    return exit ? *exit : Exit{-1, ""};
}

Result<server::Config> settings_of(std::initializer_list<const char*> arguments) {
    return server::load_config({.flags = accepted(arguments).overrides});
}

void expect_refused(std::initializer_list<const char*> arguments, std::string_view named) {
    auto const exit = ended(arguments);
    EXPECT_EQ(exit.status, 2);
    EXPECT_NE(exit.text.find(named), std::string::npos) << exit.text;
    EXPECT_EQ(std::ranges::count(exit.text, '\n'), 1) << exit.text;
    EXPECT_TRUE(exit.text.ends_with('\n')) << exit.text;
}

TEST(CommandLine, AsksForNothingWithoutArguments) {
    auto const line = accepted({});
    EXPECT_FALSE(line.check);
    EXPECT_FALSE(line.config_file);
    EXPECT_TRUE(line.overrides.empty());
}

TEST(CommandLine, TakesTheFileAndTheCheck) {
    auto const line = accepted({"--check", "--config", "/etc/ringcast.toml"});
    EXPECT_TRUE(line.check);
    EXPECT_EQ(line.config_file, "/etc/ringcast.toml");
    EXPECT_EQ(accepted({"--config=a.toml"}).config_file, "a.toml");
    expect_refused({"--config="}, "--config");
}

TEST(CommandLine, VersionIsTheProjectsOwn) {
    auto const exit = ended({"--version"});
    EXPECT_EQ(exit.status, 0);
    EXPECT_EQ(exit.text, "ringcastd 0.1.0\n");
}

TEST(CommandLine, HelpNamesEveryFlag) {
    auto const exit = ended({"--help"});
    EXPECT_EQ(exit.status, 0);
    for (const auto& setting : server::describe_settings())
        EXPECT_NE(exit.text.find(setting.flag), std::string::npos) << setting.flag;
    for (auto flag : {"--config", "--check", "--version", "--help"})
        EXPECT_NE(exit.text.find(flag), std::string::npos) << flag;
}

TEST(CommandLine, ListenMayRepeatAndHoldCommas) {
    auto const config = settings_of(
        {"--listen", "127.0.0.1:1,127.0.0.1:2", "--listen=[::1]:3", "--api-listen", "127.0.0.1:4"});
    ASSERT_TRUE(config) << config.error().message;
    ASSERT_EQ(config->listen.size(), 3U);
    EXPECT_EQ(config->listen[1].address.format(), "127.0.0.1:2");
    EXPECT_EQ(config->listen[2].address.format(), "[::1]:3");
    EXPECT_EQ(config->api_listen[0].address.format(), "127.0.0.1:4");
}

TEST(CommandLine, EveryMainSettingHasAFlag) {
    auto const config =
        settings_of({"--workers", "3", "--data-dir", "/d", "--api-key-file", "/k", "--log-level", "error",
                     "--ping-interval", "1s", "--allow-open", "--listen", "0.0.0.0:0"});
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->workers, 3U);
    EXPECT_EQ(config->data_dir, "/d");
    EXPECT_EQ(config->api_key_path(), "/k");
    EXPECT_EQ(config->log_level, log::Level::error);
    EXPECT_EQ(config->ping_interval, seconds(1));
    EXPECT_TRUE(config->auth.allow_open);
}

TEST(CommandLine, ASwitchTakesAValueBehindAnEqualsSignOnly) {
    EXPECT_FALSE(settings_of({"--allow-open=false"})->auth.allow_open);
    EXPECT_TRUE(settings_of({"--allow-open=true"})->auth.allow_open);
    expect_refused({"--allow-open", "true"}, "argument 2 belongs to no flag");
}

TEST(CommandLine, ABadValueIsNamedByItsFlag) {
    auto const config = settings_of({"--workers=-1"});
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().message, "--workers: must be an integer from 0 to 64");
    EXPECT_EQ(settings_of({"--listen", ""}).error().message, "--listen: must name at least one address");
    EXPECT_EQ(settings_of({"--data-dir", ""}).error().message, "--data-dir: must be a string, not empty");
}

TEST(CommandLine, RefusesWhatItDoesNotKnowInOneLine) {
    expect_refused({"--frobnicate"}, "--frobnicate");
    expect_refused({"surplus\nline"}, "argument 1 belongs to no flag");
    expect_refused({"--workers", "1", "--frob\nnicate=secret"}, "--frob nicate is no flag");
    expect_refused({"--workers"}, "--workers");
    expect_refused({"--workers", "1", "--workers", "2"}, "--workers");
    expect_refused({"--config", "a", "--config", "b"}, "--config");
    expect_refused({"--listen", "127.0.0.1:1", "127.0.0.1:2"}, "argument 3 belongs to no flag");
}

TEST(CommandLine, CheckAnswersOkOrTheLine) {
    auto const good = report_check(server::Config{});
    EXPECT_EQ(good.status, 0);
    EXPECT_EQ(good.text, "ok\n");
    auto const bad = report_check(fail(Errc::settings, "a.toml:1: workers: must be\nshort"));
    EXPECT_EQ(bad.status, 2);
    EXPECT_EQ(bad.text, "ringcastd: a.toml:1: workers: must be short\n");
}

}  // namespace
}  // namespace rc::main
