#include "settings.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <map>

#include "message.h"
#include "ringcast/base/limits.h"

namespace rc::load {
namespace {

constexpr uint32_t kThreadsMax = limits::kWorkersMax;
// To one destination. The kernel's default range has 28,232, of which it takes the even ones first: when they
// are used up it looks at each of them again at every connect, which then takes a millisecond.
constexpr uint32_t kPortsPerSource = 14'000, kSourcesMax = 10'000;

const std::map<std::string, Scenario> kScenarios{
    {"idle", Scenario::idle},         {"storm", Scenario::storm}, {"fanout", Scenario::fanout},
    {"targeted", Scenario::targeted}, {"mixed", Scenario::mixed}, {"echo", Scenario::echo}};
const std::map<std::string, Dialect> kDialects{{"ringcast", Dialect::ringcast},
                                               {"socketio", Dialect::socketio},
                                               {"nchan", Dialect::nchan},
                                               {"nats", Dialect::nats}};

constexpr const char* kAbout =
    R"(ringcast-load puts load on a WebSocket notification server and says what came of it.

Scenarios:
  idle      connects half of the clients, then the rest, holds them for --duration and answers heartbeats:
            what a waiting connection costs in CPU, memory and kernel memory
  storm     connects all, drops all at once, and lets all come back, --rounds times: how long until each is
            subscribed again
  fanout    all subscribe to one topic, to which messages are published
  targeted  each client is a user of its own; messages go to users picked by chance
  mixed     both at once: --rate messages a second to the topic, --targeted-rate to users
  echo      each client sends text and waits for the same text (for ringcast-echo)

Every delivery is counted, by receiver and publisher. Missing, doubled, reordered and stray ones are named.

Closed loop (without --rate): --in-flight messages are under way at once; one is over when the publisher has
its answer and the last receiver the message. Open loop (--rate): messages are sent at an even rate, whatever
becomes of those before; each on one of up to --in-flight HTTP connections, late if none is free. Latencies
are from the intended time to the turn in which the receiver's thread is handed the bytes.)";

constexpr const char* kFooter = R"(Examples:
  ringcast-load fanout -n 10000 --api-key-file ringcast-data/api.key --server-pid $(pidof ringcastd)
  ringcast-load fanout -n 1000 --in-flight 16 --report fanout.html
  ringcast-load mixed -n 19000 --rate 5 --targeted-rate 1000 --targeted-clients 8 --duration 30s
  ringcast-load idle -n 35000 --threads 2 --duration 60s --json idle.json
  ringcast-load storm -n 19000 --rounds 5
  ringcast-load echo --url ws://127.0.0.1:9001/ -n 100 --bytes 128

The API key comes from --api-key-file or the environment's RINGCAST_API_KEY.
Past 20,000 connections: each thread has a ring with a table of sockets of its own, as large as the hard limit
on open files; --threads follows from it. Past 14,000, several source addresses share the ports.

Status: 0 all is well; 1 something was lost, doubled, reordered, refused or broken, which the report names;
2 settings; 78 the kernel or sandbox refuses io_uring.)";

struct Url {
    Address address;
    std::string host, target;
};

Result<Url> parse_url(std::string_view text, std::string_view scheme) {
    auto const prefix = fmt::format("{}://", scheme);
    if (!text.starts_with(prefix))
        return fail(Errc::settings, fmt::format("'{}' does not begin with {}", text, prefix));
    auto const rest = text.substr(prefix.size());
    auto const slash = rest.find('/');
    Url out;
    out.host = rest.substr(0, slash);
    out.target = slash == std::string_view::npos ? "/" : rest.substr(slash);
    auto const addresses = parse_addresses(out.host);
    if (!addresses)
        return fail(Errc::settings,
                    fmt::format("'{}' is not an address: {}", out.host, addresses.error().message));
    out.address = addresses->front();
    return out;
}

Result<std::vector<Address>> parse_sources(const Settings& settings) {
    std::vector<Address> out;
    bool const loopback = settings.address.kind == Address::Kind::v4 && settings.address.is_loopback();
    auto count_up = [&](uint32_t count) {
        for (uint32_t i = 0; i < count; ++i)
            out.push_back(
                Address::v4({127, 0, static_cast<uint8_t>(i / 250), static_cast<uint8_t>(i % 250 + 2)}, 0));
    };
    if (settings.source_texts.empty()) {
        // The ports of those who were dropped stay taken for a while.
        uint64_t const ports =
            uint64_t{settings.connections} * (settings.scenario == Scenario::storm ? settings.rounds + 1 : 1);
        if (loopback && ports > kPortsPerSource)
            count_up(
                static_cast<uint32_t>(std::min<uint64_t>((ports - 1) / kPortsPerSource + 1, kSourcesMax)));
        return out;
    }
    for (const auto& text : settings.source_texts) {
        uint32_t count = 0;
        auto const end = text.data() + text.size();
        if (auto const read = std::from_chars(text.data(), end, count);
            read.ec == std::errc() && read.ptr == end) {
            if (!loopback)
                return fail(Errc::settings,
                            "a number of sources is for a server on 127.0.0.0/8; name addresses");
            if (count < 1 || count > kSourcesMax) return fail(Errc::settings, "from 1 to 10000 sources");
            count_up(count);
            continue;
        }
        auto const addresses = parse_addresses(text + (text.find(':') == std::string::npos ? ":0" : ""));
        if (!addresses || addresses->front().kind == Address::Kind::unix_path)
            return fail(Errc::settings, fmt::format("'{}' is neither a number nor an IP address", text));
        out.push_back(addresses->front());
    }
    return out;
}

// Options that mean nothing to a scenario are refused there.
struct Given {
    CLI::Option* option;
    std::vector<Scenario> scenarios;
};

std::string check(Settings& settings, const std::vector<Given>& given) {
    for (const auto& [option, scenarios] : given) {
        if (option->count() > 0 && std::ranges::find(scenarios, settings.scenario) == scenarios.end())
            return fmt::format("{}: of no use to {}", option->get_name(), scenario_name(settings.scenario));
    }
    auto const url = parse_url(settings.url, "ws");
    if (!url) return "--url: " + url.error().message;
    settings.address = url->address;
    settings.host = url->host;
    settings.target = url->target;
    if (settings.publishes()) {
        auto const api = parse_url(settings.api_url, "http");
        if (!api) return "--api: " + api.error().message;
        settings.api_address = api->address;
    }
    auto sources = parse_sources(settings);
    if (!sources) return "--sources: " + sources.error().message;
    settings.sources = std::move(*sources);
    if (settings.message_bytes < kMessageBytesMin)
        return fmt::format("--bytes: at least {}, which the marks in a message take", kMessageBytesMin);
    if (settings.scenario == Scenario::mixed && settings.rate <= 0) settings.rate = 5;
    if (settings.in_flight == 0)
        settings.in_flight = settings.rate > 0 && settings.scenario != Scenario::echo ? 64 : 1;
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    auto const per_thread = static_cast<uint32_t>(std::clamp<rlim_t>(files.rlim_max, 256, 1U << 20) - 128);
    auto const needed = (settings.connections - 1) / per_thread + 1;
    if (settings.threads == 0) settings.threads = needed;
    if (settings.threads > kThreadsMax || needed > kThreadsMax)
        return fmt::format("--threads: at most {}, with {} connections each", kThreadsMax, per_thread);
    if (settings.threads < needed)
        return fmt::format(
            "--threads: {} connections need {} here, where a ring holds {} sockets (the hard limit on "
            "open files)",
            settings.connections, needed, per_thread);
    settings.threads = std::min(settings.threads, settings.connections);
    if (settings.targeted_clients > 0) {
        if (settings.targeted_clients > per_thread)
            return fmt::format("--targeted-clients: at most {} here", per_thread);
        if (++settings.threads > kThreadsMax)
            return fmt::format("--threads: at most {} beside --targeted-clients", kThreadsMax - 1);
        settings.connections += settings.targeted_clients;
    }
    return {};
}

}  // namespace

std::string_view scenario_name(Scenario scenario) {
    for (const auto& [name, value] : kScenarios)
        if (value == scenario) return name;
    return {};
}

std::string Settings::user(uint32_t client) const {
    auto const number = first_user + client;
    if (user_bytes == 0) return fmt::format("{}", number);
    return fmt::format("\"u{:0{}}\"", number, user_bytes - 1);
}

Result<Duration> parse_duration(std::string_view text) {
    static constexpr std::pair<std::string_view, Duration> kUnits[] = {{"us", microseconds(1)},
                                                                       {"ms", milliseconds(1)},
                                                                       {"s", seconds(1)},
                                                                       {"m", minutes(1)},
                                                                       {"h", hours(1)}};
    uint64_t number = 0;
    auto const read = std::from_chars(text.data(), text.data() + text.size(), number);
    auto const unit = text.substr(static_cast<size_t>(read.ptr - text.data()));
    if (read.ec == std::errc() && number <= 1'000'000'000) {
        for (const auto& [name, length] : kUnits)
            if (unit == name) return length * static_cast<int64_t>(number);
        if (number == 0 && unit.empty()) return Duration::zero();
    }
    return fail(Errc::settings, fmt::format("'{}' is no duration such as 500ms, 10s or 5m", text));
}

std::optional<int> read_settings(int argc, char** argv, Settings& settings) {
    CLI::App app(kAbout, "ringcast-load");
    app.footer(kFooter);
    app.set_version_flag("--version", std::string("ringcast-load ") + RINGCAST_VERSION);
    app.get_formatter()->column_width(28);
    std::vector<Given> given;
    using S = Scenario;
    auto only = [&](CLI::Option* option, std::vector<Scenario> scenarios) {
        given.push_back({option, std::move(scenarios)});
        return option;
    };
    auto duration = [&](const char* name, auto& into, const std::string& text) {
        return app
            .add_option_function<std::string>(
                name,
                [&into, name](const std::string& value) {
                    auto const parsed = parse_duration(value);
                    if (!parsed) throw CLI::ValidationError(name, parsed.error().message);
                    into = *parsed;
                },
                text)
            ->type_name("TIME");
    };
    auto above_zero = CLI::Range(1e-6, 1e9).description("");

    app.add_option("scenario", settings.scenario, "idle, storm, fanout, targeted, mixed or echo")
        ->required()
        ->transform(CLI::CheckedTransformer(kScenarios).description(""))
        ->type_name("");
    app.add_option("--url", settings.url, "where clients connect")->capture_default_str();
    only(app.add_option("--api", settings.api_url, "where publishers post to /api/publish")
             ->capture_default_str(),
         {S::fanout, S::targeted, S::mixed});
    std::string key_file;
    only(app.add_option("--api-key-file", key_file, "holds the API key; else RINGCAST_API_KEY"),
         {S::fanout, S::targeted, S::mixed});

    app.add_option("-n,--connections", settings.connections, "clients")
        ->check(CLI::Range(1, 10'000'000).description(""))
        ->capture_default_str()
        ->group("Clients");
    app.add_option("--threads", settings.threads,
                   "of clients, each with a ring; default: as many as the connections need")
        ->check(CLI::Range(1, static_cast<int>(kThreadsMax)).description(""))
        ->group("Clients");
    app.add_option("--sources", settings.source_texts,
                   "a number of loopback addresses to connect from (127.0.0.2 and up), or addresses")
        ->delimiter(',')
        ->group("Clients");
    app.add_option("--connect-rate", settings.connect_rate,
                   "connects a second; default: as fast as they are taken")
        ->check(above_zero)
        ->group("Clients");
    app.add_option("--connecting", settings.connecting_max, "handshakes under way at once")
        ->check(CLI::Range(1, 4'096).description(""))
        ->capture_default_str()
        ->group("Clients");
    only(app.add_option("--topic", settings.topic, "what they subscribe to")
             ->capture_default_str()
             ->group("Clients"),
         {S::idle, S::storm, S::fanout, S::mixed});
    only(app.add_option("--first-user", settings.first_user, "id of the first client's user")
             ->capture_default_str()
             ->group("Clients"),
         {S::idle, S::storm, S::targeted, S::mixed});
    only(app.add_option("--user-bytes", settings.user_bytes,
                        "user ids are strings of that length; default: integers")
             ->check(CLI::Range(12, 128).description(""))
             ->group("Clients"),
         {S::idle, S::storm, S::targeted, S::mixed});
    bool no_ack = false;
    only(app.add_flag("--no-ack", no_ack,
                      "the server acknowledges no subscribe: who is upgraded counts as subscribed")
             ->group("Clients"),
         {S::idle, S::storm, S::fanout, S::targeted, S::mixed});

    only(app.add_option("--dialect", settings.dialect,
                        "what the server speaks: ringcast, or socketio, nchan or nats, to compare them")
             ->transform(CLI::CheckedTransformer(kDialects).description(""))
             ->type_name("NAME")
             ->group("Clients"),
         {S::idle, S::storm, S::fanout, S::targeted});

    only(app.add_option("--rate", settings.rate,
                        "open loop: messages a second (mixed: to the topic, default 5)")
             ->check(above_zero)
             ->group("Load"),
         {S::fanout, S::targeted, S::mixed, S::echo});
    only(app.add_option("--targeted-rate", settings.targeted_rate, "mixed: messages a second to users")
             ->check(above_zero)
             ->capture_default_str()
             ->group("Load"),
         {S::mixed});
    only(app.add_option("--targeted-clients", settings.targeted_clients,
                        "mixed: so many further clients, on a thread of their own and without the topic, get "
                        "what goes to users; default: all clients do")
             ->check(CLI::Range(1, 10'000).description(""))
             ->group("Load"),
         {S::mixed});
    only(app.add_option("--in-flight", settings.in_flight,
                        "messages under way at once (echo: of each client); default 1, in an open loop 64")
             ->check(CLI::Range(1, 1'000).description(""))
             ->group("Load"),
         {S::fanout, S::targeted, S::mixed, S::echo});
    only(app.add_option("--bytes", settings.message_bytes, "length of a message's text as clients receive it")
             ->check(CLI::Range(1, 65'000).description(""))
             ->capture_default_str()
             ->group("Load"),
         {S::fanout, S::targeted, S::mixed, S::echo});
    only(app.add_flag("--store", settings.store, "messages to users are kept; default: \"store\":false")
             ->group("Load"),
         {S::targeted, S::mixed});
    only(app.add_option("--rounds", settings.rounds, "storm: how often all are dropped")
             ->check(CLI::Range(1, 1'000).description(""))
             ->capture_default_str()
             ->group("Load"),
         {S::storm});

    only(duration("--duration", settings.duration, "how long it is measured [10s]")->group("Times"),
         {S::idle, S::fanout, S::targeted, S::mixed, S::echo});
    only(duration("--warmup", settings.warmup, "of the same load, before, and not counted [1s]")
             ->group("Times"),
         {S::fanout, S::targeted, S::mixed, S::echo});
    duration("--settle", settings.settle, "rest before a reading of memory or CPU [500ms]")->group("Times");
    duration("--patience", settings.patience,
             "after which a message, a handshake or an end is given up [10s]")
        ->group("Times");
    duration("--gather", settings.gather,
             "rest of a client thread after what came first, for more: see docs/benchmarking.md [0]")
        ->group("Times");

    app.add_option("--server-pid", settings.server_pid, "measure this process: CPU, memory")
        ->group("Results");
    app.add_option("--json", settings.json_file, "all results; - for stdout")->group("Results");
    app.add_option("--report", settings.report_file, "a page of HTML with plots, complete in itself")
        ->group("Results");
    app.add_flag("-q,--quiet", settings.quiet, "no progress line and no summary")->group("Results");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    settings.ack = !no_ack;
    for (int i = 0; i < argc; ++i)
        settings.command += (i > 0 ? " " : "") + std::string(i == 0 ? "ringcast-load" : argv[i]);
    auto complain = [](const std::string& line) {
        std::fputs(fmt::format("ringcast-load: {}\n", line).c_str(), stderr);
        return 2;
    };
    if (auto const wrong = check(settings, given); !wrong.empty()) return complain(wrong);
    if (!key_file.empty()) {
        std::ifstream file(key_file);
        if (!(file >> settings.api_key)) return complain("--api-key-file: no key in " + key_file);
    } else if (const char* key = std::getenv("RINGCAST_API_KEY")) {
        settings.api_key = key;
    }
    if (settings.server_pid &&
        ::access(fmt::format("/proc/{}/task", *settings.server_pid).c_str(), R_OK) != 0)
        return complain(fmt::format("--server-pid: no process {}", *settings.server_pid));
    return std::nullopt;
}

}  // namespace rc::load
