#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fake_ring.h"
#include "held_outcomes.h"
#include "ringcast/store/memory_log.h"
#include "ringcast/ws/codec.h"
#include "ringcast/ws/frame.h"
#include "server_rig.h"

/// The whole server in one thread: workers, the store's core, and main's place in the mesh, each on a ring
/// of plain memory, with one clock that a test moves. Which core has its turn next, which completion comes
/// first and how long the store takes is decided by the seed.
///
///     TestWorld world({.workers = 2, .seed = 7});
///     auto& client = world.connect(1);                  // a WebSocket on core 1
///     client.say(R"({"type":"subscribe","data":{"topics":["t"]}})");
///     EXPECT_EQ(world.publish(R"({"type":"x","topic":"t","data":1})").status, 200);
///     EXPECT_EQ(client.take(), Texts{R"({"type":"x","data":1})"});
///     world.advance(minutes(30));
namespace rc::test {

using Texts = std::vector<std::string>;

/// Holds back what comes out of a log, by chance.
class DelayedLog final : public store::Log {
  public:
    DelayedLog(std::unique_ptr<store::Log> log, FakeEntropy& chance)
        : log_(std::move(log)), chance_(chance) {}

    [[nodiscard]] bool submit(store::Request&& request) override { return log_->submit(std::move(request)); }
    [[nodiscard]] store::Figures figures() const override { return log_->figures(); }
    bool step(WallTime now, store::Outcomes& out) override {
        bool const more = log_->step(now, held_);
        held_.release(out, [this] { return chance_.next() % 3 != 0; });
        held_.release_reads(out, [this] { return chance_.next() % 4 == 0; });
        return more || !held_.empty();
    }

  private:
    std::unique_ptr<store::Log> log_;
    FakeEntropy& chance_;
    HeldOutcomes held_;
};

class TestWorld {
  public:
    struct Options {
        uint32_t workers = 2;
        uint64_t seed = 1;
        uint32_t mailbox_places = 1024;
        server::Config config;
        bool shuffle = false;                                 // completions in an order by chance
        bool delay_store = false;                             // see DelayedLog
        std::function<void(store::Log&)> prepare_log = {};    // what it holds before the server starts
        std::function<auth::KeyRing()> make_token_keys = {};  // see ServerRig
        server::KeyFetcher::Fetch fetch_keys = {};
    };

    class Client;
    class ApiClient;
    struct ApiAnswer {
        int status = 0;
        std::string body;
        std::string head;  // with the CRLF of its last line
    };

    TestWorld() : TestWorld(Options()) {}
    explicit TestWorld(Options options)
        : options_(std::move(options)), chance(options_.seed), rig_(rig_options(), clock, chance) {
        if (options_.shuffle) {
            for (uint32_t i = 0; i < rig_.size(); ++i)
                rig_.ring(i).shuffle(&chance);
        }
        frozen_.resize(rig_.size());
        settle();
    }
    ~TestWorld() {
        std::fill(frozen_.begin(), frozen_.end(), false);
        settle();
        if (main().progress(server::Control::finish) == 0) order(server::Control::hurry);
        advance(limits::kCloseLinger + io::TimerWheel::kTick);
        EXPECT_EQ(main().progress(server::Control::finish), options_.workers) << "a core does not end";
        order(server::Control::stop);
        settle();
        for (uint32_t i = 0; i < rig_.size(); ++i) {
            EXPECT_TRUE(rig_.program(i).ended());
            EXPECT_EQ(rig_.ring(i).operations(), 0U);
        }
        clients_.clear();
    }
    TestWorld(const TestWorld&) = delete;
    TestWorld& operator=(const TestWorld&) = delete;

    // --- time and turns

    /// One turn of one core, chosen by chance.
    void step() { turn(static_cast<uint32_t>(chance.next() % rig_.size())); }
    /// Turns until nothing moves any more while the clock stands still.
    void settle() {
        for (int round = 0; round < 100'000; ++round) {
            for (uint32_t i = 0; i < rig_.size(); ++i)
                step();
            if (!quiet()) continue;
            // Once more for each: what only a look at the clock would set off.
            for (uint32_t i = 0; i < rig_.size(); ++i)
                turn(i);
            if (quiet()) return;
        }
        ADD_FAILURE() << "the world does not come to rest";
    }
    /// Turns of those alone who do not sleep, until nobody is awake: what nobody wakes a core for is not
    /// done.
    /// @param rounds_max  for where somebody is awake until another core is thawed
    void settle_awake(int rounds_max = 100'000) {
        auto const awake = [this](uint32_t i) {
            if (frozen_[i]) return false;
            return rig_.ring(i).busy() || rig_.ring(i).last_wait() <= Duration::zero() || rig_.has_mail(i);
        };
        bool any = true;
        for (int round = 0; any && round < rounds_max; ++round) {
            any = false;
            for (uint32_t i = 0; i < rig_.size(); ++i) {
                if (!awake(i)) continue;
                turn(i);
                any = true;
            }
        }
    }
    /// Moves the clock from deadline to deadline, settling at each.
    void advance(Duration time) {
        MonoTime const end = clock.now() + time;
        settle();
        while (clock.now() < end) {
            MonoTime next = end;
            for (uint32_t i = 0; i < rig_.size(); ++i)
                next = std::min(next, rig_.reactor(i).timers().next_wake());
            clock.advance(std::min(std::max(next, clock.now() + io::TimerWheel::kTick), end) - clock.now());
            settle();
        }
    }
    /// The core has no turns until thaw(): as if its thread were not scheduled.
    void freeze(uint32_t core) { frozen_[core] = true; }
    void thaw(uint32_t core) { frozen_[core] = false; }

    // --- clients and publishers

    /// An upgraded WebSocket. References stay good for the world's life.
    Client& connect(uint32_t core) {
        auto& client = begin(core, "/ws", "");
        settle();
        return client;
    }
    /// One whose handshake is on its way. @param fields  further header lines, each with CRLF
    Client& begin(uint32_t core, std::string_view target, std::string_view fields) {
        clients_.push_back(std::make_unique<Client>(*this, core, target, fields));
        return *clients_.back();
    }
    /// One POST on a connection of its own, answered before this returns.
    ApiAnswer post(std::string_view path, std::string_view body, std::string_view fields = {},
                   uint32_t core = 0);
    /// What the disk refuses from now on.
    void set_store_fault(store::MemoryLog::Fault fault) { log_->set_fault(fault); }
    ApiAnswer publish(std::string_view message, uint32_t core = 0, std::string_view fields = {}) {
        return post("/api/publish", message, fields, core);
    }

    // --- the parts

    [[nodiscard]] uint32_t workers() const { return options_.workers; }
    [[nodiscard]] reactor::CoreId token_host() { return *rig_.shared().tokens; }
    [[nodiscard]] const server::KeyMetrics& key_metrics() { return rig_.shared().key_metrics; }
    /// As main does at SIGHUP.
    void reread_keys() {
        reactor::CoreScope const scope(rig_.main());
        rig_.reactor(rig_.main())
            .send(token_host(), reactor::Mail::make(static_cast<uint8_t>(server::MailKind::control),
                                                    server::Control::keys));
    }
    [[nodiscard]] server::Core& core(uint32_t i) { return rig_.core(i); }
    [[nodiscard]] FakeRing& ring(uint32_t core) { return rig_.ring(core); }
    /// As main does on signals, to every core.
    void order(server::Control what) {
        reactor::CoreScope const scope(rig_.main());
        auto const mail = reactor::Mail::make(static_cast<uint8_t>(server::MailKind::control), what);
        for (uint32_t i = 0; i < options_.workers; ++i)
            rig_.reactor(rig_.main()).send(static_cast<reactor::CoreId>(i), mail);
        if (what == server::Control::stop) {
            for (auto host : rig_.hosts())
                rig_.reactor(rig_.main()).send(host, mail);
            main().stop();
        }
    }
    /// Cores that have told main that they did this.
    [[nodiscard]] uint32_t reported(server::Control what) { return main().progress(what); }

  private:
    /// Main's place: counts what the cores report.
    class Main final : public reactor::CoreProgram, private reactor::MailSink {
      public:
        explicit Main(reactor::Reactor& reactor) {
            reactor.bind_mail(static_cast<uint8_t>(server::MailKind::progress), *this);
        }
        bool ended() override { return stopped_; }
        void stop() { stopped_ = true; }
        [[nodiscard]] uint32_t progress(server::Control what) const {
            return progress_[static_cast<std::size_t>(what)];
        }

      private:
        void on_mail(const reactor::Mail& mail) override {
            ++progress_[static_cast<std::size_t>(mail.as<server::Control>())];
        }
        std::array<uint32_t, 4> progress_{};
        bool stopped_ = false;
    };

    ServerRig::Options rig_options() {
        return {.workers = options_.workers,
                .mailbox_places = options_.mailbox_places,
                .config = options_.config,
                .make_log = [this] { return make_log(); },
                .make_main = [](reactor::Reactor& reactor) { return std::make_unique<Main>(reactor); },
                .make_token_keys = options_.make_token_keys,
                .fetch_keys = options_.fetch_keys};
    }
    std::unique_ptr<store::Log> make_log() {
        store::MemoryLog::Options log_options;
        log_options.epoch = "e";
        log_options.retention = options_.config.inbox.retention;
        log_options.notifications_per_user = options_.config.inbox.notifications_per_user;
        auto memory = std::make_unique<store::MemoryLog>(std::move(log_options));
        log_ = memory.get();
        if (options_.prepare_log) options_.prepare_log(*memory);
        std::unique_ptr<store::Log> log = std::move(memory);
        if (options_.delay_store) log = std::make_unique<DelayedLog>(std::move(log), chance);
        return log;
    }
    Main& main() { return static_cast<Main&>(rig_.program(rig_.main())); }

    void turn(uint32_t i) {
        if (!frozen_[i]) rig_.turn(i, hours(24));
    }
    bool quiet() {
        for (uint32_t i = 0; i < rig_.size(); ++i) {
            if (frozen_[i]) continue;
            auto& ring = rig_.ring(i);
            if (ring.busy() || ring.last_wait() <= Duration::zero() || rig_.has_mail(i)) return false;
        }
        return true;
    }

    Options options_;

  public:
    FakeEntropy chance;
    FakeClock clock;

  private:
    store::MemoryLog* log_ = nullptr;  // of the rig's StoreHost
    ServerRig rig_;
    std::vector<bool> frozen_;
    std::vector<std::unique_ptr<Client>> clients_;
};

/// A browser: one WebSocket, and what came over it.
class TestWorld::Client final : private ws::CodecSink {
  public:
    Client(TestWorld& world, uint32_t core, std::string_view target, std::string_view fields)
        : core_(core), world_(world), file_(world.ring(core).connect(ServerRig::kClientListener)) {
        socket().deliver("GET " + std::string(target) +
                         " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
                         std::string(fields) + "\r\n");
    }
    ~Client() override { decoder_.stop(); }

    /// Sends a text message; it is taken on later turns.
    void post(std::string_view json) {
        socket().deliver(ws::encode_masked_frame(ws::Opcode::text, json, {1, 2, 3, 4}));
    }
    /// Likewise, and waits until the server has done what comes of it.
    void say(std::string_view json) {
        post(json);
        world_.settle();
    }
    /// The closing handshake's answer, and FIN.
    void hang_up() {
        socket().deliver(
            ws::encode_masked_frame(ws::Opcode::close, ws::close_payload(1000, {}), {1, 2, 3, 4}));
        socket().deliver_end();
        world_.settle();
    }
    /// Texts that came since the last call, heartbeats left out.
    Texts take() {
        pump();
        return std::exchange(texts_, {});
    }
    [[nodiscard]] uint32_t heartbeats() {
        pump();
        return heartbeats_;
    }
    /// The close frame as "1008 reason"; empty while there is none.
    [[nodiscard]] std::string close() {
        pump();
        return close_;
    }
    [[nodiscard]] int status() {
        pump();
        return status_;
    }
    /// Of the handshake's answer.
    [[nodiscard]] const std::string& head() {
        pump();
        return head_;
    }
    [[nodiscard]] FakeSocket& socket() { return world_.ring(core_).socket(file_); }

  private:
    void pump() {
        auto const sent = socket().take_sent();
        std::string_view bytes = sent;
        if (status_ == 0 && !bytes.empty()) {
            status_ = std::stoi(std::string(bytes.substr(9, 3)));
            auto const end = bytes.find("\r\n\r\n");
            head_ = bytes.substr(0, end);
            bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 4);
        }
        if (status_ == 101)
            decoder_.feed(pool_, {.message_bytes_max = 1 << 20, .peer_role = ws::Role::server}, bytes, *this);
    }
    void on_message(ws::Opcode, std::string_view payload) override {
        if (payload == R"({"type":"ping"})") {
            ++heartbeats_;
        } else {
            texts_.emplace_back(payload);
        }
    }
    void on_ping(std::string_view) override {}
    void on_pong(std::string_view) override {}
    void on_close(const ws::CloseBody& body) override {
        close_ = std::to_string(body.code) + ' ' + std::string(body.reason);
    }
    void on_failure(ws::CloseCode, std::string_view why) override { ADD_FAILURE() << why; }

    uint32_t core_;
    TestWorld& world_;
    io::File file_;
    ws::FramePool pool_;
    ws::Decoder decoder_;
    int status_ = 0;
    std::string head_;
    Texts texts_;
    uint32_t heartbeats_ = 0;
    std::string close_;
};

/// A backend: one connection to the API.
class TestWorld::ApiClient {
  public:
    ApiClient(TestWorld& world, uint32_t core)
        : core_(core), world_(world), file_(world.ring(core).connect(ServerRig::kApiListener)) {}
    ~ApiClient() {
        if (!socket().closed) socket().deliver_end();
    }
    /// Asks; the answer comes on later turns. @param fields  further header lines, each with CRLF
    void post(std::string_view path, std::string_view body, std::string_view fields = {}) {
        socket().deliver("POST " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nX-API-Key: key\r\n" +
                         std::string(fields) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                         std::string(body));
    }
    void get(std::string_view path) {
        socket().deliver("GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nX-API-Key: key\r\n\r\n");
    }
    /// Bytes as they are, a piece of a request perhaps.
    void deliver(std::string_view bytes) { socket().deliver(bytes); }
    /// The connection breaks.
    void reset() { socket().reset(); }
    /// Whole answers that came since the last call.
    std::vector<ApiAnswer> take() {
        unread_ += socket().take_sent();
        std::vector<ApiAnswer> out;
        for (;;) {
            auto const end = unread_.find("\r\n\r\n");
            if (end == std::string::npos) return out;
            constexpr std::string_view kLength = "Content-Length: ";
            auto const length = unread_.find(kLength);
            std::size_t const bytes =
                length < end ? std::stoul(unread_.substr(length + kLength.size())) : std::size_t{0};
            if (unread_.size() < end + 4 + bytes) return out;
            out.push_back({std::stoi(unread_.substr(9, 3)), unread_.substr(end + 4, bytes),
                           unread_.substr(0, end + 2)});
            unread_.erase(0, end + 4 + bytes);
        }
    }

  private:
    FakeSocket& socket() { return world_.ring(core_).socket(file_); }
    uint32_t core_;
    TestWorld& world_;
    io::File file_;
    std::string unread_;
};

inline TestWorld::ApiAnswer TestWorld::post(std::string_view path, std::string_view body,
                                            std::string_view fields, uint32_t core) {
    ApiClient api(*this, core);
    api.post(path, body, fields);
    settle();
    auto answers = api.take();
    if (answers.size() != 1) {
        ADD_FAILURE() << answers.size() << " answers";
        return {};
    }
    return std::move(answers[0]);
}

}  // namespace rc::test
