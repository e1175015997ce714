#include "ringcast/server/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "api_key_file.h"
#include "control.h"
#include "core.h"
#include "key_files.h"
#include "listeners.h"
#include "ringcast/base/log.h"
#include "ringcast/store/sqlite_log.h"
#include "store_host.h"
#include "token_host.h"

namespace rc::server {
namespace {

// So that bad tokens cannot take the CPU that clients' messages need: where none is to spare, tokens wait.
constexpr int kTokensNice = 10;

Result<void> make_data_dir(const Config& config) {
    const auto& path = config.data_dir;
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) return {};
    std::filesystem::create_directories(path, error);
    if (error)
        return fail(Errc::settings, fmt::format("{}{}: {}", config.places.data_dir, path, error.message()));
    ::chmod(path.c_str(), 0700);
    return {};
}

// Held until the process ends, however it ends. Errors: settings, data_in_use.
Result<void> lock_data_dir(const Config& config) {
    const auto& place = config.places.data_dir;
    std::string const name = config.data_dir + "/lock";
    int const fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fail(Errc::settings, fmt::format("{}{}: {}", place, name, std::strerror(errno)));
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return fail(Errc::data_in_use,
                    fmt::format("{}{} belongs to a running server", place, config.data_dir));
    }
    return {};
}

std::string short_epoch(uint64_t random) {
    constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
    std::string out;
    for (int i = 0; i < 8; ++i, random /= kDigits.size())
        out += kDigits[random % kDigits.size()];
    return out;
}

Result<std::unique_ptr<store::SqliteLog>> open_log(const Config& config, io::Clock& clock,
                                                   std::string fresh_epoch, const RunOptions& run_options,
                                                   StoreMetrics& metrics) {
    store::SqliteLog::Options options;
    options.path = config.data_dir + "/ringcast.db";
    options.durability =
        config.durability == Durability::fsync ? store::Durability::fsync : store::Durability::write;
    options.fresh_epoch = std::move(fresh_epoch);
    options.boot_id = run_options.boot_id;
    options.at = run_options.at;
    options.retention = config.inbox.retention;
    options.notifications_per_user = config.inbox.notifications_per_user;
    options.clock = [&clock] { return clock.now(); };
    options.on_commit = [&metrics](uint32_t requests, Duration took) {
        metrics.batches.add();
        metrics.batch_requests.add(requests);
        metrics.commits.record(took);
    };
    return store::SqliteLog::open(std::move(options));
}

}  // namespace

int exit_status(const Error& error) {
    switch (error.code) {
        case Errc::settings:
        case Errc::address_in_use:
        case Errc::system: return 2;
        case Errc::data_unusable: return 65;
        case Errc::data_in_use: return 69;
        case Errc::ring_refused: return 78;
        default: return 1;
    }
}

Result<void> check_key_files(const Config& config) {
    if (auto found = KeyFiles::check(config); !found || config.auth.mode != AuthMode::jwt) return found;
    auto const keys = load_token_keys(config.auth.jwt);
    if (!keys) return tl::unexpected(keys.error());
    return {};
}

Result<void> check_api_key_text(std::string_view text) {
    auto const keys = parse_api_keys(text);
    if (!keys) return tl::unexpected(keys.error());
    return {};
}

Result<void> run(const Config& config, const RunOptions& options) {
    auto clock = io::make_system_clock();
    auto entropy = io::make_system_entropy();
    auto network = io::make_system_network();

    if (auto made = make_data_dir(config); !made) return made;
    if (auto locked = lock_data_dir(config); !locked) return locked;
    auto key_files = KeyFiles::open(config, *entropy);
    if (!key_files) return tl::unexpected(key_files.error());
    bool const tokens = config.auth.mode == AuthMode::jwt;
    auto token_keys = tokens ? load_token_keys(config.auth.jwt) : auth::KeyRing();
    if (!token_keys) return tl::unexpected(token_keys.error());
    StoreMetrics store_metrics;
    auto log = open_log(config, *clock, short_epoch(entropy->next()), options, store_metrics);
    if (!log) return tl::unexpected(log.error());
    store_metrics.down.set((*log)->figures().down ? 1 : 0);

    auto const cpus = reactor::usable_cpus();
    uint32_t const workers = config.workers > 0
                                 ? config.workers
                                 : std::min(static_cast<uint32_t>(cpus.size()), limits::kWorkersMax);
    auto const store_id = static_cast<reactor::CoreId>(workers);
    // Places in the mesh behind the workers and the store; main's is the last.
    uint32_t participants = workers + 1;
    auto const place_if = [&participants](bool wanted) {
        return wanted ? std::optional(static_cast<reactor::CoreId>(participants++)) : std::nullopt;
    };
    auto const token_host_id = place_if(tokens);
    auto const key_fetcher_id = place_if(tokens && !config.auth.jwt.jwks_url.empty());
    auto const main_id = static_cast<reactor::CoreId>(participants++);

    auto clients = Listeners::open(*network, config.listen, config.places.listen, workers);
    if (!clients) return tl::unexpected(clients.error());
    auto api = Listeners::open(*network, config.api_listen, config.places.api_listen, workers);
    if (!api) return tl::unexpected(api.error());

    Shared shared{.config = config,
                  .keys = key_files->keys(),
                  .epoch = std::string((*log)->epoch()),
                  .hash_key = {entropy->next(), entropy->next()},
                  .workers = workers,
                  .started = clock->wall(),
                  .store = store_id,
                  .main = main_id,
                  .entropy = *entropy,
                  .cores = std::vector<Core*>(workers),
                  .store_metrics = store_metrics,
                  .tokens = token_host_id,
                  .policy = token_policy(config.auth.jwt),
                  .give_memory_back = options.give_memory_back,
                  .version = options.version,
                  .use = options.use};

    auto const tell_ready = [&] {
        if (!config.api_key && config.api_key_file.empty())
            log::info("the API key is in {}", config.api_key_path());
        options.ready("ringcastd ready clients" + clients->text() + " api" + api->text());
    };
    auto const tell_waiting = [&](Duration at_most) {
        log::warning("not ready yet: the store cannot be written");
        if (options.waiting) options.waiting("the store cannot be written", at_most);
    };

    reactor::Mesh mesh(participants);
    mesh.widen(store_id, limits::kStoreMailboxPlaces);
    // Where each CPU has a worker, one of them makes way for the store's thread: docs/decisions/0013.
    bool const all_taken = workers >= cpus.size();
    std::vector<reactor::CorePlan> plans;
    for (uint32_t worker = 0; worker < workers; ++worker) {
        bool const makes_way = all_taken && worker + 1 == workers;
        plans.push_back({fmt::format("core-{}", worker),
                         makes_way ? std::nullopt : std::optional(cpus[worker % cpus.size()]),
                         {},
                         [&, worker](reactor::Reactor& reactor) {
                             return std::make_unique<Core>(reactor, shared, clients->of_worker(worker),
                                                           api->of_worker(worker));
                         }});
    }
    ControlProgram* control = nullptr;  // lives while the cores run
    io::UringOptions const small{
        .submissions = 64, .buffers = 8, .buffer_bytes = 4096, .direct_files_max = 1};
    // Where CPUs have no worker, the store's thread neither waits for one nor holds one up.
    auto const spare =
        cpus.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(workers, cpus.size()));
    plans.push_back({.name = "store",
                     .cpu = std::nullopt,
                     .ring = small,
                     .make =
                         [&](reactor::Reactor& reactor) {
                             return std::make_unique<StoreHost>(reactor, workers, std::move(*log),
                                                                shared.store_metrics, options.at);
                         },
                     .cpus = {spare, cpus.end()}});
    if (token_host_id) {
        plans.push_back({"tokens", std::nullopt, small,
                         [&](reactor::Reactor& reactor) {
                             return std::make_unique<TokenHost>(
                                 reactor, TokenHost::Options{.keys = std::move(*token_keys),
                                                             .files = token_key_files(config.auth.jwt),
                                                             .main = main_id,
                                                             .fetcher = key_fetcher_id,
                                                             .metrics = shared.key_metrics});
                         },
                         kTokensNice});
    }
    if (key_fetcher_id) {
        plans.push_back({"keys", std::nullopt, small, [&](reactor::Reactor& reactor) {
                             return std::make_unique<KeyFetcher>(
                                 reactor, main_id, [&](const std::function<bool()>& give_up) {
                                     return auth::fetch_keys(config.auth.jwt.jwks_url, give_up);
                                 });
                         }});
    }
    plans.push_back({"ringcastd", std::nullopt, small, [&](reactor::Reactor& reactor) {
                         auto program = std::make_unique<ControlProgram>(
                             reactor, ControlProgram::Options{
                                          .workers = workers,
                                          .store = store_id,
                                          .tokens = token_host_id,
                                          .key_fetcher = key_fetcher_id,
                                          .signals = options.signals,
                                          .drain_time = config.drain_time,
                                          .ending = options.ending,
                                          .reread_keys = [&] { return key_files->reread(); },
                                          .reloading = options.reloading,
                                          .store_is_up = [&] { return store_metrics.down.value() == 0; },
                                          .ready = tell_ready,
                                          .waiting = tell_waiting});
                         control = program.get();
                         return program;
                     }});

    auto ran = reactor::run_cores(mesh, *clock, plans, [&] { control->begin(); });
    drop_mail(mesh);
    return ran;
}

}  // namespace rc::server
