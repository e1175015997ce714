// The connection engine with an echo handler and nothing else: the target of WebSocket conformance suites
// and of raw echo benchmarks.
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <memory>
#include <unordered_map>

#include "ringcast/base/log.h"
#include "ringcast/net/acceptor.h"
#include "ringcast/reactor/core_group.h"
#include "ringcast/ws/connection.h"
#include "ringcast/ws/frame.h"

namespace rc {
namespace {

constexpr uint32_t kQueueFramesMax =
    4'096;  // a connection; frames may be smaller than what it costs to hold them
constexpr uint8_t kStreamTable = 0, kAcceptTable = 1, kSignalTable = 2;

struct EchoSettings {
    std::vector<std::string> listen{"127.0.0.1:9001"};
    uint32_t workers = 1;
    uint64_t message_bytes_max = limits::kMessageBytes;
    uint32_t fragments_max = limits::kFragmentsMax;
};

// Room for a few messages of the largest size at once, however large it was made.
ws::FramePoolLimits half_frames(const EchoSettings& settings) {
    ws::FramePoolLimits limits;
    limits.bytes_max = std::max(limits.bytes_max, 8 * settings.message_bytes_max);
    return limits;
}

class EchoCore;

class EchoClient final : public ws::ConnectionHandler {
  public:
    EchoClient(EchoCore& core, ws::Endpoint& endpoint, uint64_t queue_bytes_max)
        : core_(core), queue_bytes_max_(queue_bytes_max), connection_(endpoint, *this) {}
    ~EchoClient() = default;

    ws::RequestVerdict on_request(const http::RequestHead&) override { return {}; }
    void on_open() override {}
    void on_message(ws::Opcode opcode, std::string_view payload) override {
        auto const head = ws::frame_head(opcode, payload.size());
        connection_.send(FrameRef(SharedBytes::join({head.view(), payload})));
        wait_for_reader();
    }
    void on_control_frame() override { wait_for_reader(); }
    void on_drained() override { connection_.resume_receive(); }
    void on_closing() override {}
    void on_closed() override;

    ws::HeldConnection& connection() { return connection_; }

  private:
    // A peer that writes faster than it reads is read no further, until it has taken what is queued. Nor is
    // one whose frames are so small that a turn takes in more of them than a send takes out.
    void wait_for_reader() {
        if (connection_.unsent_bytes() > queue_bytes_max_ || connection_.unsent_frames() > kQueueFramesMax) {
            connection_.pause_receive();
        }
    }

    EchoCore& core_;
    uint64_t queue_bytes_max_;
    ws::HeldConnection connection_;
};

class EchoCore final : public reactor::CoreProgram, private net::AcceptHandler {
  public:
    EchoCore(reactor::Reactor& reactor, const EchoSettings& settings, const std::vector<int>& listeners,
             std::atomic<bool>& stop)
        : reactor_(reactor),
          stop_(stop),
          streams_(reactor, kStreamTable, limits::kSlotsMax),
          endpoint_(streams_, {.codec = {.message_bytes_max = settings.message_bytes_max,
                                         .fragments_max = settings.fragments_max},
                               .message_timeout = Duration::zero(),
                               .pongs_waiting_max = UINT16_MAX,
                               .half_frames = half_frames(settings)}),
          acceptor_(reactor, kAcceptTable, true, *this),
          // The queue is of two messages of the largest size: with more than one in it no other is taken.
          queue_bytes_max_(settings.message_bytes_max + 4096) {
        reactor.add_work(streams_);
        for (int listener : listeners)
            acceptor_.add(listener);
        acceptor_.start();
    }

    bool ended() override {
        if (!stop_.load(std::memory_order_relaxed)) return false;
        if (!acceptor_.paused()) {
            acceptor_.pause();
            for (auto& [key, client] : clients_)
                client->connection().abort();
        }
        return clients_.empty() && acceptor_.quiet();
    }

    void remove(EchoClient* client) { clients_.erase(client); }

  private:
    void on_accept(io::File file, const net::PeerAddress& peer, uint32_t) override {
        auto client = std::make_unique<EchoClient>(*this, endpoint_, queue_bytes_max_);
        if (acceptor_.paused() || !client->connection().open(file, peer)) {
            reactor_.ring().discard(file);
            return;
        }
        auto* key = client.get();
        clients_.emplace(key, std::move(client));
    }

    reactor::Reactor& reactor_;
    std::atomic<bool>& stop_;
    net::StreamTable streams_;
    ws::Endpoint endpoint_;
    net::Acceptor acceptor_;
    uint64_t queue_bytes_max_;
    std::unordered_map<EchoClient*, std::unique_ptr<EchoClient>> clients_;
};

void EchoClient::on_closed() {
    core_.remove(this);
}

/// The main thread: waits for the signal that ends the program.
class EchoMain final : public reactor::CoreProgram, private io::CompletionSink {
  public:
    EchoMain(reactor::Reactor& reactor, int signals, std::atomic<bool>& stop) : stop_(stop) {
        reactor.ring().bind(kSignalTable, *this);
        reactor.ring().poll(poll_, {0, 0, kSignalTable, io::Kind::poll}, signals);
    }
    bool ended() override { return stop_.load(); }

  private:
    void on_completion(const io::Completion&) override {
        poll_.finish();
        stop_.store(true);
    }
    std::atomic<bool>& stop_;
    io::Operation poll_;
};

int run(const EchoSettings& settings) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    int const signals = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

    auto network = io::make_system_network();
    auto clock = io::make_system_clock();
    std::vector<std::vector<int>> listeners(settings.workers);
    std::string ready = "ringcast-echo ready";
    for (const auto& text : settings.listen) {
        auto addresses = parse_addresses(text);
        if (!addresses) {
            log::announce("ringcast-echo: --listen: " + text +
                          " is not an address: " + addresses.error().message);
            return 2;
        }
        for (auto address : *addresses) {
            if (auto free = network->check_free(address); !free) {
                log::announce("ringcast-echo: --listen: " + free.error().message);
                return 2;
            }
            for (uint32_t i = 0; i < settings.workers; ++i) {
                auto listener = network->listen(address, {});
                if (!listener) {
                    log::announce("ringcast-echo: --listen: " + listener.error().message);
                    return 2;
                }
                address = listener->address;
                listeners[i].push_back(listener->descriptor);
            }
            ready += ' ' + address.format();
        }
    }

    std::atomic<bool> stop{false};
    reactor::Mesh mesh(settings.workers + 1);
    auto const cpus = reactor::usable_cpus();
    std::vector<reactor::CorePlan> plans;
    for (uint32_t i = 0; i < settings.workers; ++i) {
        plans.push_back(
            {"echo-" + std::to_string(i), cpus[i % cpus.size()], {}, [&, i](reactor::Reactor& reactor) {
                 return std::make_unique<EchoCore>(reactor, settings, listeners[i], stop);
             }});
    }
    plans.push_back(
        {"main",
         std::nullopt,
         {.submissions = 16, .buffers = 8, .direct_files_max = 1},
         [&](reactor::Reactor& reactor) { return std::make_unique<EchoMain>(reactor, signals, stop); }});
    auto ran = reactor::run_cores(mesh, *clock, plans, [&] { log::announce(ready); });
    if (!ran) {
        log::announce("ringcast-echo: " + ran.error().message);
        return 78;
    }
    return 0;
}

}  // namespace
}  // namespace rc

int main(int argc, char** argv) {
    rc::EchoSettings settings;
    CLI::App app{"ringcast-echo: sends every WebSocket message back, for conformance suites and benchmarks"};
    app.set_version_flag("--version", std::string("ringcast-echo ") + RINGCAST_VERSION);
    app.add_option("--listen", settings.listen, "host:port; may repeat or hold commas")
        ->delimiter(',')
        ->take_all();
    app.add_option("--workers", settings.workers, "pinned cores; 0: one for each usable CPU")
        ->check(CLI::Range(0U, rc::limits::kWorkersMax));
    app.add_option("--max-message", settings.message_bytes_max, "bytes of one message")
        ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 30));
    app.add_option("--max-fragments", settings.fragments_max, "frames of one message")
        ->check(CLI::Range(1U, UINT32_MAX));
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& done) {
        return app.exit(done);
    } catch (const CLI::Error& error) {
        rc::log::announce(std::string("ringcast-echo: ") + error.what());
        return 2;
    }
    if (settings.workers == 0) settings.workers = static_cast<uint32_t>(rc::reactor::usable_cpus().size());
    return rc::run(settings);
}
