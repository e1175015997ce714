#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "../support/server_rig.h"
#include "ledger.h"
#include "plan.h"
#include "ringcast/ws/codec.h"

namespace rc::sim {

class World;

/// Virtual time. Now and then another core's turn slips in where a core looks at the clock.
class SimClock final : public io::Clock {
  public:
    [[nodiscard]] MonoTime now() override;
    [[nodiscard]] WallTime wall() override { return wall_; }
    [[nodiscard]] Duration thread_cpu() override { return now_.time_since_epoch(); }
    void advance(Duration time) {
        now_ += time;
        wall_ += time;
    }
    [[nodiscard]] MonoTime time() const { return now_; }

    World* interrupted_by = nullptr;
    uint32_t looks_left = 0;  // until the interruption; 0: none comes

  private:
    MonoTime now_{hours(1)};
    WallTime wall_{seconds(1'750'000'000)};
};

/// What main hears signals by.
struct SignalPipe {
    SignalPipe();
    ~SignalPipe();
    SignalPipe(const SignalPipe&) = delete;
    SignalPipe& operator=(const SignalPipe&) = delete;
    int read_end = -1, write_end = -1;
};

/// One peer's connection, as the world drives it.
class Peer {
  public:
    virtual ~Peer() = default;
    /// Takes what the server has sent, and judges it.
    virtual void pump() = 0;
    /// The core that accepts, or accepted, its connection; none while it has none.
    [[nodiscard]] virtual std::optional<uint32_t> core() const = 0;
};

/// The server in virtual time: who has a turn, who sleeps until its bell rings, and what goes wrong in the
/// kernel's place. What must hold after each turn is checked here (invariants.cc).
class World final : private reactor::MailWatcher {
  public:
    World(Plan& plan, Histogram& histogram);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    /// Whether this fault comes now; counted.
    bool hit(Fault fault);
    /// From now on nothing goes wrong any more.
    void end_faults();
    [[nodiscard]] bool faulty() const { return faulty_; }

    /// One turn of somebody who is awake, or if nobody is, a step of the clock.
    void step();
    /// Turns until everybody sleeps. @return whether there was any
    bool run_until_idle();
    /// Likewise, and on over all timers that are due within this time.
    void pass(Duration time);
    void advance(Duration time);

    void send_signal();
    /// Everybody's program has come to its end.
    [[nodiscard]] bool all_ended() const;
    [[nodiscard]] uint32_t signals() const { return signals_; }

    /// A connection for a peer, which is told of its core's turns from now on.
    io::File connect(uint32_t core, int listener);
    [[nodiscard]] uint32_t connections_made() const { return connections_made_; }
    [[nodiscard]] test::FakeSocket& socket(uint32_t core, io::File file) {
        return rig_.ring(core).socket(file);
    }
    void add_peer(Peer& peer) { peers_.push_back(&peer); }

    [[nodiscard]] test::ServerRig& rig() { return rig_; }
    [[nodiscard]] uint64_t steps() const { return steps_; }
    /// Connections that are not closed, those that wait to be accepted included.
    [[nodiscard]] uint32_t open_files();
    void check_all_gone();
    /// What everybody is doing, for a failure's report.
    [[nodiscard]] std::string describe();
    /// Of the mails that stand in the mailboxes when everybody has ended, none is one that somebody waits
    /// for.
    void check_mail_left();

    Plan& plan;
    Chance& chance;
    Ledger ledger;
    SimClock clock;
    Digest digest;
    ws::FramePool pool;  // of the clients' decoders

  private:
    friend class SimClock;
    struct Participant {
        bool sleeping = false, ended = false, bell_noticed = false;
        MonoTime wake_at{};
        uint64_t frozen_until = 0, hears_bell_at = 0;  // steps
        uint32_t scanned = 0;                          // mails to the first core
        std::array<uint64_t, static_cast<std::size_t>(io::Kind::count_)> held_until{};  // steps
        bool holds = false;
    };
    /// What is remembered of a stream's slot between two turns.
    struct Seen {
        uint32_t generation = 0;
        enum class Phase : uint8_t { gone, handshake, open, ending, other } phase = Phase::gone;
        MonoTime since{};
        Duration standstill{};  // the longest of its core meanwhile
        bool was_stalled = false;
        uint32_t frames = 0;
    };

    [[nodiscard]] test::ServerRig::Options rig_options();
    [[nodiscard]] bool awake(uint32_t i);
    [[nodiscard]] uint32_t choose_awake();
    void turn(uint32_t i);
    void interrupt();
    void handed_over(reactor::CoreId from) override;
    void check_answers_of_the_store();
    void go_to_sleep(uint32_t i);
    void check_bells();
    void bring_ring_faults(uint32_t i);
    void send_stale_completion(uint32_t i);
    void release_held(uint32_t i);
    void check_core(uint32_t i);
    void check_stream(uint32_t i, uint32_t slot, net::Stream& stream, Seen& seen);

    Histogram& histogram_;
    bool faulty_ = true;
    uint64_t steps_ = 0;
    uint32_t signals_ = 0, connections_made_ = 0;
    bool signal_waits_ = false;
    uint32_t in_turn_ = kNone;
    SignalPipe signals_pipe_;
    test::FakeEntropy server_chance_, ring_chance_;
    test::ServerRig rig_;
    std::vector<Participant> participants_;
    std::vector<uint32_t> scanned_of_store_;          // its mails to each participant
    std::vector<std::vector<Seen>> seen_;             // of each worker, by slot
    std::vector<std::vector<io::Token>> old_tokens_;  // of streams that have ended, for stale completions
    std::vector<std::vector<io::File>> files_;        // of each worker, while they are open
    std::vector<MonoTime> last_turn_;                 // of each worker
    std::vector<Peer*> peers_;
};

}  // namespace rc::sim
