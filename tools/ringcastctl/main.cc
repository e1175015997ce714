// ringcastctl: the people's tool. Arguments in, one subcommand, its status out.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "commands.h"
#include "remote.h"
#include "ringcast/base/arguments.h"
#include "ringcast/server/config.h"

namespace {

constexpr int kStatusFailed = 1, kStatusSettings = 2;  // as ringcastd's

using rc::ctl::ApiKeyOptions;
using rc::ctl::ApiOptions;
using rc::ctl::InboxOptions;
using rc::ctl::ListenOptions;
using rc::ctl::PublishOptions;
using rc::ctl::StatusOptions;
using rc::ctl::TokenOptions;
using rc::ctl::TopOptions;

CLI::App* add_listen(CLI::App& app, ListenOptions& options) {
    auto* command = app.add_subcommand("listen", "subscribe and print what comes, a message a line");
    command->add_option("--url", options.url, "the server's client address; or unix:/path")
        ->capture_default_str();
    command->add_option("--user", options.user, "receive what is addressed to this user");
    command->add_option("--topic", options.topics, "receive this topic; may repeat");
    command
        ->add_option("--token", options.token,
                     "proves the user (mode jwt); others see the command line, so better by the environment")
        ->envname("RINGCAST_TOKEN");
    auto* since = command->add_option("--since", options.since,
                                      "first what came since this offset; 0: all that is kept");
    auto* replay =
        command->add_flag("--replay", options.replay_unread, "first the user's unread notifications");
    since->excludes(replay);
    command->add_option("--count", options.count, "end after this many messages");
    command->add_flag("--raw", options.raw, "print messages as they came");
    command->callback([&options] {
        bool const has_user = options.user || options.token;
        if (!has_user && options.topics.empty()) throw CLI::RequiredError("--user, --token or --topic");
        if (!has_user && (options.since || options.replay_unread))
            throw CLI::RequiresError(options.since ? "--since" : "--replay", "--user or --token");
    });
    return command;
}

void add_api(CLI::App* command, ApiOptions& options) {
    command->add_option("--api", options.api, "the server's API address; or unix:/path")
        ->capture_default_str();
    auto* key = command->add_option("--api-key", options.api_key, "the API key itself");
    command
        ->add_option("--api-key-file", options.api_key_file,
                     "file that holds it (default: $RINGCAST_API_KEY, then ringcast-data/api.key)")
        ->excludes(key);
}

void add_time(CLI::App* command, const std::string& flag, rc::Duration& time, std::string_view help) {
    auto const take = [flag, &time](const std::string& text) {
        auto const given = rc::server::parse_duration(text);
        if (!given || *given < rc::milliseconds(100) || *given > rc::hours(1))
            throw CLI::ValidationError(flag, "must be from 100ms to 1h, for example 5s");
        time = *given;
    };
    command->add_option_function<std::string>(flag, take, std::string(help))
        ->type_name("TIME")
        ->default_str(rc::server::format_duration(time));
}

CLI::App* add_status(CLI::App& app, StatusOptions& options) {
    auto* command = app.add_subcommand("status", "print how a running server is; 1: it is not, or not ready");
    add_api(command, options.api);
    add_time(command, "--timeout", options.timeout, "how long to wait for it");
    command->add_flag("--json", options.json, "print its answer to /api/stats as it came");
    return command;
}

CLI::App* add_top(CLI::App& app, TopOptions& options) {
    auto* command = app.add_subcommand(
        "top", "show what a server does, live; a line for each look when not on a terminal");
    add_api(command, options.api);
    add_time(command, "--interval", options.interval, "from one look to the next");
    add_time(command, "--timeout", options.timeout, "how long to wait for an answer");
    command->add_option("--count", options.count, "end after this many looks with rates");
    command->add_flag("--plain", options.plain, "lines, on a terminal too");
    return command;
}

CLI::App* add_new_api_key(CLI::App& app, ApiKeyOptions& options) {
    auto* command = app.add_subcommand("apikey", "keys of the API");
    command->require_subcommand(1);
    auto* fresh = command->add_subcommand(
        "new", "print a table for the file of keys (stdout), and the key itself, this once (stderr)");
    fresh->add_option("name", options.name, "who will use it; the access log names it")->required();
    fresh->add_option("--rights", options.rights, "publish, read, admin; several with commas")
        ->required()
        ->delimiter(',')
        ->check(CLI::IsMember({"publish", "read", "admin"}));
    return fresh;
}

CLI::App* add_token(CLI::App& app, TokenOptions& options) {
    auto* command = app.add_subcommand("token", "print a token for development (a JWT, HS256)");
    command
        ->add_option("--secret-file", options.secret_file,
                     "the server's auth.jwt.secret_file; its first secret signs")
        ->required();
    command->add_option("--user", options.user, "the claim sub")->required();
    command->add_option("--expires", options.expires, "for how long it is good")->capture_default_str();
    command
        ->add_option("--topics", options.topics,
                     "the claim topics: names, or beginnings with a * behind; several with commas")
        ->delimiter(',');
    command->add_option("--issuer", options.issuer, "the claim iss");
    command->add_option("--audience", options.audience, "the claim aud");
    return command;
}

// Where others may list the arguments of processes, this one's show no key.
void hide_api_key(int argc, char** argv) {
    constexpr std::string_view kFlag = "--api-key";
    for (int i = 1; i < argc; ++i) {
        std::string_view const argument = argv[i];
        char* secret = nullptr;
        if (argument == kFlag && i + 1 < argc) secret = argv[i + 1];
        if (argument.starts_with("--api-key=")) secret = argv[i] + kFlag.size() + 1;
        if (secret) std::memset(secret, 'x', std::strlen(secret));
    }
}

CLI::App* add_inbox(CLI::App& app, InboxOptions& options) {
    auto* command = app.add_subcommand("inbox", "print a user's notifications, newest first, a line each");
    add_api(command, options.api);
    command->add_option("user", options.user, "the user")->required();
    command->add_flag("--unread", options.unread, "only those");
    command->add_option("--limit", options.limit, "at most so many")
        ->check(CLI::Range(1, 100))
        ->capture_default_str();
    return command;
}

CLI::App* add_publish(CLI::App& app, PublishOptions& options) {
    auto* command = app.add_subcommand("publish", "send one message and print the server's answer");
    add_api(command, options.api);
    auto* user = command->add_option("--user", options.users, "to every connection of this user; may repeat");
    auto* topic = command->add_option("--topic", options.topic,
                                      "to whom holds this topic; with --user, to those users' holders only");
    command->add_flag("--broadcast", options.broadcast, "to every subscriber")
        ->excludes(user)
        ->excludes(topic);
    command->add_option("--type", options.type, "the message's type")->capture_default_str();
    auto* data =
        command->add_option("--data", options.data, "the message's data as JSON, instead of the four below");
    command->add_option("--title", options.title, "")->excludes(data);
    command->add_option("--message", options.message, "")->excludes(data);
    command->add_option("--category", options.category, "")->excludes(data);
    command->add_option("--link", options.link, "")->excludes(data);
    auto* live =
        command->add_flag("!--no-store", options.store, "to whom is connected now; not into the users' logs");
    command->add_option("--ttl", options.ttl_seconds, "seconds after which it is neither replayed nor listed")
        ->excludes(live);
    command->add_option("--idempotency-key", options.idempotency_key,
                        "a second publish with the same key is answered alike and reaches nobody twice");
    command->callback([&options] {
        if (options.users.empty() && !options.topic && !options.broadcast)
            throw CLI::RequiredError("--user, --topic or --broadcast");
    });
    return command;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{
        "ringcastctl: publishes to a ringcast server, listens to it, watches it, looks after its data"};
    app.set_version_flag("--version", "ringcastctl " RINGCAST_VERSION);
    app.require_subcommand(1);
    ListenOptions listen_options;
    PublishOptions publish_options;
    InboxOptions inbox_options;
    std::string data_dir = "ringcast-data", backup_file;
    std::optional<std::string> config_file;
    auto* listen = add_listen(app, listen_options);
    auto* publish = add_publish(app, publish_options);
    auto* inbox = add_inbox(app, inbox_options);
    StatusOptions status_options;
    TopOptions top_options;
    auto* status_command = add_status(app, status_options);
    auto* top = add_top(app, top_options);
    ApiKeyOptions api_key_options;
    auto* new_api_key = add_new_api_key(app, api_key_options);
    TokenOptions token_options;
    auto* token = add_token(app, token_options);
    auto* backup = app.add_subcommand("backup", "copy the data of a server, running or not, into a new file");
    backup->add_option("file", backup_file, "where to; it must not exist")->required();
    backup->add_option("--data-dir", data_dir, "the server's data directory")->capture_default_str();
    auto* verify = app.add_subcommand("verify", "look at all data of a server, running or not; 65: damaged");
    verify->add_option("place", data_dir, "the server's data directory, or a backup")->capture_default_str();
    auto* check = app.add_subcommand(
        "check", "say whether ringcastd would start with these settings: `ok`, or what is wrong");
    check->add_option("--config", config_file, "settings as a TOML file");

    try {
        app.parse(argc, argv);
        hide_api_key(argc, argv);
    } catch (const CLI::ExtrasError&) {
        std::fprintf(stderr, "ringcastctl: %s\n",
                     rc::in_one_line(rc::describe_extras(app.remaining(true), argc, argv)).c_str());
        return kStatusSettings;
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);
        std::fprintf(stderr, "ringcastctl: %s\n", rc::in_one_line(error.what()).c_str());
        return kStatusSettings;
    }

    auto const run = [&]() -> rc::Result<int> {
        if (listen->parsed()) return rc::ctl::listen(listen_options);
        if (publish->parsed()) return rc::ctl::publish(publish_options);
        if (inbox->parsed()) return rc::ctl::inbox(inbox_options);
        if (status_command->parsed()) return rc::ctl::status(status_options);
        if (top->parsed()) return rc::ctl::top(top_options);
        if (new_api_key->parsed()) return rc::ctl::new_api_key(api_key_options);
        if (token->parsed()) return rc::ctl::mint_token(token_options);
        if (backup->parsed()) return rc::ctl::backup(data_dir, backup_file);
        if (verify->parsed()) return rc::ctl::verify(data_dir);
        return rc::ctl::check(config_file);
    };
    auto const status = run();
    if (status) return *status;
    std::fprintf(stderr, "ringcastctl: %s\n", status.error().message.c_str());
    return check->parsed() || status.error().code == rc::Errc::settings ? kStatusSettings : kStatusFailed;
}
