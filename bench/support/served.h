#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../tests/support/server_rig.h"
#include "lean_ring.h"
#include "ringcast/store/memory_log.h"
#include "ringcast/ws/frame.h"

namespace rc::bench {

/// A whole server of one worker in one thread, on LeanRings, and clients that take what they get. Under
/// callgrind the worker's turns are counted, without its ring. The same calls do the same, to the byte.
class Served {
  public:
    using Rig = test::BasicServerRig<LeanRing>;

    /// @param spread  over which the clients come, so that their heartbeats do
    explicit Served(uint32_t clients, Duration spread = Duration::zero())
        : rig_({.workers = 1,
                .direct_slots = 2 * clients + 1'000,
                .config = config_,
                .make_log = [] { return std::make_unique<store::MemoryLog>(store::MemoryLog::Options{}); },
                .make_main = [](reactor::Reactor& reactor) { return std::make_unique<Main>(reactor); }},
               clock_, entropy_) {
        for (uint32_t i = 0; i < clients; i += kTogether) {
            for (uint32_t n = i; n < std::min(clients, i + kTogether); ++n)
                clients_.push_back(upgrade());
            settle();
            for (uint32_t n = i; n < clients_.size(); ++n)
                say(clients_[n], subscribe_text(n));
            settle();
            clock_.advance(spread * kTogether / std::max(1U, clients));
        }
    }
    ~Served() {
        for (auto client : clients_)
            ring().end(client);
        settle();
        order(server::Control::finish);
        order(server::Control::hurry);
        pass(milliseconds(100));
        order(server::Control::stop);
        main().stop();
        settle();
    }
    Served(const Served&) = delete;
    Served& operator=(const Served&) = delete;

    [[nodiscard]] LeanRing& ring() { return rig_.ring(0); }
    [[nodiscard]] const std::vector<io::File>& clients() const { return clients_; }
    [[nodiscard]] test::FakeClock& clock() { return clock_; }
    [[nodiscard]] uint64_t sends(io::File file) { return ring().sends(file); }

    /// Turns until everybody sleeps.
    void settle() {
        do {
            turn();
            for (uint32_t i = 1; i < rig_.size(); ++i)
                rig_.turn(i, hours(24));
        } while (!quiet());
    }
    /// Moves the clock from deadline to deadline, with turns at each. @param at_each  is called after them
    template <class Function>
    void pass(Duration time, Function&& at_each) {
        MonoTime const end = clock_.now() + time;
        while (clock_.now() < end) {
            MonoTime next = end;
            for (uint32_t i = 0; i < rig_.size(); ++i)
                next = std::min(next, rig_.reactor(i).timers().next_wake());
            next = std::min(next, clock_.now() + limits::kTurnWaitMax);
            clock_.advance(std::min(std::max(next, clock_.now() + io::TimerWheel::kTick), end) -
                           clock_.now());
            settle();
            at_each();
        }
    }
    void pass(Duration time) {
        pass(time, [] {});
    }

    /// A connection that has asked for the upgrade. Its turns are the caller's.
    io::File upgrade() {
        auto const file = ring().connect(Rig::kClientListener);
        ring().deliver(file,
                       "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
        return file;
    }
    static std::string subscribe_text(uint32_t user) {
        return R"({"type":"subscribe","data":{"userId":)" + std::to_string(user) + R"(,"topics":["all"]}})";
    }
    /// One text message, on the client's wire.
    void say(io::File client, std::string_view json) {
        deliver(client, ws::encode_masked_frame(ws::Opcode::text, json, {1, 2, 3, 4}));
    }
    void deliver(io::File client, std::string bytes) {
        lent_.push_back(std::make_unique<std::string>(std::move(bytes)));
        ring().deliver(client, *lent_.back());
    }
    /// A publisher's connection. It lasts for limits::kApiRequestsPerConnection requests.
    io::File publisher() { return ring().connect(Rig::kApiListener); }
    /// @param target  `"topic":"all"` or `"userId":7,"store":false`
    static std::string publish_request(std::string_view target) {
        std::string const body = R"({"type":"job_match",)" + std::string(target) + R"(,"data":{"text":")" +
                                 std::string(160, 'x') + R"("}})";
        return "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nX-API-Key: key\r\n"
               "Content-Type: application/json\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    /// Forgets the bytes that were lent to the ring: they have been received.
    void release() { lent_.clear(); }

  private:
    static constexpr uint32_t kTogether = 16;

    class Main final : public reactor::CoreProgram, private reactor::MailSink {
      public:
        explicit Main(reactor::Reactor& reactor) {
            reactor.bind_mail(static_cast<uint8_t>(server::MailKind::progress), *this);
        }
        bool ended() override { return stopped_; }
        void stop() { stopped_ = true; }

      private:
        void on_mail(const reactor::Mail&) override {}
        bool stopped_ = false;
    };

    static server::Config make_config() {
        server::Config config;
        config.workers = 1;
        return config;
    }
    Main& main() { return static_cast<Main&>(rig_.program(rig_.main())); }
    void turn() {
        Counted const counted;
        rig_.turn(0, hours(24));
    }
    bool quiet() {
        for (uint32_t i = 0; i < rig_.size(); ++i) {
            if (rig_.ring(i).busy() || rig_.ring(i).last_wait() <= Duration::zero() || rig_.has_mail(i))
                return false;
        }
        return true;
    }
    void order(server::Control what) {
        {
            reactor::CoreScope const scope(rig_.main());
            auto const mail = reactor::Mail::make(static_cast<uint8_t>(server::MailKind::control), what);
            rig_.reactor(rig_.main()).send(0, mail);
            if (what == server::Control::stop) rig_.reactor(rig_.main()).send(rig_.store(), mail);
        }
        settle();
    }

    server::Config config_ = make_config();
    test::FakeClock clock_;
    test::FakeEntropy entropy_;
    Rig rig_;
    std::vector<io::File> clients_;
    std::vector<std::unique_ptr<std::string>> lent_;
};

}  // namespace rc::bench
