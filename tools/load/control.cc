#include "control.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace rc::load {
namespace {

constexpr uint8_t kStreamTable = 0, kSignalTable = 1;
constexpr io::Token kSignalToken{0, 0, kSignalTable, io::Kind::poll};
constexpr Duration kProgressEvery = milliseconds(250);
constexpr double kSamples = 400;  // of a run, about

}  // namespace

Control::Control(reactor::Reactor& reactor, Shared& shared, Report& report, int signals, uint64_t chance)
    : reactor_(reactor),
      shared_(shared),
      settings_(shared.settings),
      report_(report),
      network_(io::make_system_network()),
      streams_(reactor, kStreamTable, limits::kSlotsMax),
      meter_(settings_.server_pid),
      begin_(reactor.now()),
      next_sample_(begin_),
      next_progress_(begin_),
      sample_every_(std::max<Duration>(
          milliseconds(50),
          Duration(static_cast<int64_t>(static_cast<double>(settings_.duration.count()) / kSamples)))),
      terminal_(!settings_.quiet && ::isatty(STDERR_FILENO) == 1),
      course_(course()) {
    auto add = [&](Path path, double rate) {
        publishers_.push_back(std::make_unique<Publisher>(reactor, streams_, *network_, shared, path, rate,
                                                          next_publication_, chance + path));
        paths_.push_back(path);
    };
    if (settings_.to_topic()) add(kTopicPath, settings_.rate);
    if (settings_.to_users())
        add(kUserPath, settings_.scenario == Scenario::mixed ? settings_.targeted_rate : settings_.rate);
    reactor.bind_mail(kNewsMail, *this);
    reactor.ring().bind(kSignalTable, *this);
    reactor.ring().poll(poll_, kSignalToken, signals);
    reactor.add_work(*this);
    reactor.add_work(streams_);
    reactor.stay_awake();
}

void Control::on_completion(const io::Completion& completion) {
    poll_.finish();
    if (completion.result < 0) return;  // not awaited any more
    stopped_ = true;
    if (report_.trouble.empty()) report_.trouble = "ended by a signal";
}

bool Control::run_slice() {
    for (auto& publisher : publishers_)
        publisher->run();
    over_ = course_.step();
    auto const now = reactor_.now();
    if (now >= next_sample_) take_sample();
    if (now >= next_progress_) show_progress();
    reactor_.wake_by(std::min(next_sample_, now + milliseconds(20)));
    return over_;
}

void Control::tell(Command command) {
    for (uint32_t worker = 0; worker < settings_.threads; ++worker) {
        Command its = command;
        // `count` is of all clients, and spread evenly; all of them are all of each worker's.
        its.count = command.count == settings_.connections
                        ? shared_.first_client(worker + 1) - shared_.first_client(worker)
                        : static_cast<uint32_t>(uint64_t{command.count} * (worker + 1) / settings_.threads -
                                                uint64_t{command.count} * worker / settings_.threads);
        reactor_.send(static_cast<reactor::CoreId>(worker), reactor::Mail::make(kCommandMail, its));
    }
}

void Control::begin_phase(const std::string& name) {
    end_phase();
    report_.phases.push_back({name, since_begin(reactor_.now()), 0});
    phase_ = name;
}

void Control::end_phase() {
    if (!report_.phases.empty() && report_.phases.back().end_seconds == 0)
        report_.phases.back().end_seconds = since_begin(reactor_.now());
    take_sample();
}

void Control::take_sample() {
    auto const now = reactor_.now();
    next_sample_ = now + sample_every_;
    uint64_t published = 0;
    for (auto& publisher : publishers_)
        published += publisher->findings().published;
    report_.samples.push_back({since_begin(now), shared_.sum(&WorkerNews::connected), subscribed(),
                               shared_.sum(&WorkerNews::deliveries), published, meter_.read_cpu(),
                               meter_.server_rss_bytes()});
}

void Control::show_progress() {
    next_progress_ = reactor_.now() + kProgressEvery;
    if (!terminal_) return;
    static constexpr std::size_t kLooksBack = 8;
    const auto& samples = report_.samples;
    const auto& newest = samples.back();
    const auto& older = samples[samples.size() > kLooksBack ? samples.size() - kLooksBack : 0];
    double const seconds = std::max(1e-3, newest.at_seconds - older.at_seconds);
    std::string line = fmt::format("{:<8} {:>6.1f} s  {} of {} subscribed", phase_, newest.at_seconds,
                                   grouped(newest.subscribed), grouped(settings_.connections));
    if (!publishers_.empty())
        line += fmt::format("  {} published ({:.0f}/s)", grouped(newest.published),
                            static_cast<double>(newest.published - older.published) / seconds);
    if (newest.deliveries > 0)
        line += fmt::format("  {} {} ({}/s)", grouped(newest.deliveries),
                            settings_.scenario == Scenario::echo ? "echoes" : "deliveries",
                            grouped(static_cast<uint64_t>(
                                static_cast<double>(newest.deliveries - older.deliveries) / seconds)));
    if (meter_.has_server())
        line += fmt::format("  server {:.0f} % CPU, {}",
                            static_cast<double>(newest.cpu.server_ns - older.cpu.server_ns) / seconds / 1e7,
                            bytes_text(static_cast<double>(newest.server_rss_bytes)));
    if (uint64_t const lost = shared_.sum(&WorkerNews::lost) + shared_.sum(&WorkerNews::failed); lost > 0)
        line += fmt::format("  {} connections lost or failed", grouped(lost));
    // A line that the terminal broke in two could not be taken back.
    if (winsize size{}; ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        line.resize(std::min<std::size_t>(line.size(), size.ws_col - 1));
    std::fputs(fmt::format("\r\x1b[K{}", line).c_str(), stderr);
    std::fflush(stderr);
}

void Control::begin_publishing() {
    for (auto& publisher : publishers_)
        publisher->start(reactor_.now());
}

// When the last client was subscribed, if that was behind `since`.
MonoTime Control::last_came(MonoTime since) const {
    for (const auto& news : shared_.news)
        since = std::max(since, MonoTime(Duration(static_cast<int64_t>(news.last_came_ns.value()))));
    return since;
}

// Every wait ends when the run is stopped, or when its patience is over.
Script Control::course() {
    auto until = [](auto condition) { return Script::until(condition); };
    auto const all = settings_.connections;
    bool const idle = settings_.scenario == Scenario::idle;
    auto after = [this](Duration time) { return reactor_.now() + time; };

    // Whoever progresses has patience.
    uint64_t came = 0;
    MonoTime progressed = reactor_.now();
    auto connected = [&](uint32_t wanted) {
        auto const now_there = shared_.sum(&WorkerNews::came);
        if (now_there != came) {
            came = now_there;
            progressed = reactor_.now();
        }
        return subscribed() >= wanted || passed(progressed + settings_.patience);
    };
    auto rest = after(settings_.settle);

    if (idle) {
        begin_phase("before");
        co_await until([&] { return passed(rest); });
        read_memory();
    }
    begin_phase("connect");
    auto began = reactor_.now();
    progressed = began;
    if (idle) {
        tell({.what = Command::What::connect, .count = all / 2});
        co_await until([&] { return connected(all / 2); });
        report_.connect_seconds = since_begin(last_came(began)) - since_begin(began);
        rest = after(settings_.settle);
        co_await until([&] { return passed(rest); });
        read_memory();
        progressed = began = reactor_.now();
    }
    tell({.what = Command::What::connect, .count = all});
    co_await until([&] { return connected(all); });
    report_.connect_seconds += since_begin(last_came(began)) - since_begin(began);
    report_.wanted_all = subscribed() == all;
    if (!report_.wanted_all && report_.trouble.empty())
        report_.trouble =
            fmt::format("only {} of {} clients were subscribed", grouped(subscribed()), grouped(all));
    begin_phase("settle");
    rest = after(settings_.settle);
    co_await until([&] { return passed(rest); });
    read_memory();

    bool const go = report_.wanted_all && !stopped_;
    auto const first_stamp = [&] { return reactor_.now().time_since_epoch().count(); };
    if (go && (settings_.publishes() || settings_.scenario == Scenario::echo)) {
        begin_phase("warm up");
        auto const end = after(settings_.warmup + settings_.duration);
        if (settings_.publishes()) {
            begin_publishing();
        } else {
            tell({.what = Command::What::echo,
                  .at_ns = first_stamp(),
                  .until_ns = end.time_since_epoch().count()});
        }
        rest = after(settings_.warmup);
        co_await until([&] { return passed(rest); });
        begin_phase("measure");
        measured_from_ = meter_.read_machine();
        deliveries_from_ = shared_.sum(&WorkerNews::deliveries);
        published_from_ = report_.samples.back().published;
        shared_.measured_from.store(next_publication_, std::memory_order_relaxed);
        shared_.measuring_echoes.store(true, std::memory_order_relaxed);
        co_await until([&] { return passed(end); });
        for (auto& publisher : publishers_)
            publisher->stop();
        auto const give_up = reactor_.now() + settings_.patience;
        co_await until([&] {
            bool const quiet = std::ranges::all_of(publishers_, [](const auto& p) { return p->idle(); });
            return (quiet && shared_.sum(&WorkerNews::echoes_open) == 0) || reactor_.now() >= give_up;
        });
        auto const at_end = meter_.read_machine();
        report_.cpu = between(measured_from_, at_end, settings_.server_pid);
        end_phase();
        report_.measured_deliveries = report_.samples.back().deliveries - deliveries_from_;
        report_.measured_published = report_.samples.back().published - published_from_;
        for (auto& publisher : publishers_)
            publisher->give_up();
        // What is doubled comes behind the last.
        begin_phase("settle");
        rest = after(settings_.settle);
        co_await until([&] { return passed(rest); });
        read_memory();
    } else if (go && idle) {
        begin_phase("hold");
        measured_from_ = meter_.read_machine();
        auto const end = after(settings_.duration);
        co_await until([&] { return passed(end); });
        report_.cpu = between(measured_from_, meter_.read_machine(), settings_.server_pid);
        read_memory();
    } else if (go && settings_.scenario == Scenario::storm) {
        for (uint32_t round = 0; round < settings_.rounds && !stopped_; ++round) {
            begin_phase(fmt::format("storm {}", round + 1));
            auto const dropped = reactor_.now();
            auto const wanted = shared_.sum(&WorkerNews::came) + all;
            progressed = dropped;
            if (round == 0) measured_from_ = meter_.read_machine();
            tell({.what = Command::What::drop});
            co_await until([&] {
                return (shared_.sum(&WorkerNews::came) >= wanted && connected(all)) ||
                       (connected(UINT32_MAX));
            });
            bool const back = shared_.sum(&WorkerNews::came) >= wanted;
            report_.storm.push_back(
                {back ? since_begin(last_came(dropped)) - since_begin(dropped) : -1, subscribed()});
            if (!back && report_.trouble.empty())
                report_.trouble = fmt::format("after drop {} not all came back", round + 1);
            report_.cpu = between(measured_from_, meter_.read_machine(), settings_.server_pid);
            rest = after(settings_.settle);
            co_await until([&] { return passed(rest); });
            read_memory();
        }
    }

    begin_phase("leave");
    report_.connected = shared_.sum(&WorkerNews::connected);
    report_.subscribed = subscribed();
    tell({.what = Command::What::leave});
    for (auto& publisher : publishers_)
        publisher->close();
    if (poll_.in_flight()) reactor_.ring().cancel(poll_, kSignalToken);
    auto const closed = [&] {
        return !poll_.in_flight() && streams_.open_streams() == 0 &&
               std::ranges::all_of(publishers_, [](const auto& p) { return p->closed(); });
    };
    co_await until(closed);
    end_phase();
    for (std::size_t i = 0; i < publishers_.size(); ++i)
        report_.paths[paths_[i]] = std::move(publishers_[i]->findings());
    if (terminal_) std::fputs("\r\x1b[K", stderr);
}

}  // namespace rc::load
