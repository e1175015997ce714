#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "ringcast/base/result.h"
#include "ringcast/base/time.h"
#include "ringcast/io/clock.h"
#include "ringcast/io/ring.h"
#include "ringcast/io/timer_wheel.h"
#include "ringcast/metrics/metrics.h"
#include "ringcast/reactor/core_bound.h"
#include "ringcast/reactor/mesh.h"

namespace rc::reactor {

class MailSink {
  public:
    virtual ~MailSink() = default;
    virtual void on_mail(const Mail& mail) = 0;
    /// False leaves the mail for a later turn, with what stands behind it from the same core, and, if it is
    /// a publication, with all publications.
    virtual bool ready_for(const Mail&) { return true; }
};

/// Work that goes in slices, one a turn.
class Work {
  public:
    virtual ~Work() = default;
    /// Returns whether there is more, so that the core does not sleep on it.
    virtual bool run_slice() = 0;
};

/// One core: its ring, its timers, its mailboxes, and the order of its turn, which is part of the contract
/// between the rooms: sample the clock once - reap completions - hand over - drain mailboxes, bounded -
/// expired timers - work in slices - hand over each outgoing mailbox batch, waking sleepers - submit and
/// wait. (Streams flush as the last of the works.) Core: own core only.
class Reactor : public CoreBound {
  public:
    Reactor(CoreId id, io::Ring& ring, io::Clock& clock, Mesh& mesh);

    /// One turn. `wait_max` bounds how long it sleeps at its end when nothing is left to do.
    void turn(Duration wait_max);

    [[nodiscard]] MonoTime now() const { return now_; }    // stands still for the turn
    [[nodiscard]] WallTime wall() const { return wall_; }  // likewise
    [[nodiscard]] uint64_t turns() const { return turns_.value(); }
    [[nodiscard]] io::Ring& ring() { return ring_; }
    [[nodiscard]] io::TimerWheel& timers() { return timers_; }
    [[nodiscard]] CoreId id() const { return id_; }
    [[nodiscard]] Mesh& mesh() { return mesh_; }

    void bind_mail(uint8_t kind, MailSink& sink);
    /// Works run in the order in which they were added.
    void add_work(Work& work) { works_.push_back(&work); }
    /// For what came up behind its own work's slice of this turn: the turn does not end in a sleep.
    void stay_awake() { stay_awake_ = true; }
    /// The sleep at the end of this turn ends then at the latest: for what must be nearer than a timer's
    /// tick.
    void wake_by(MonoTime time) { wake_by_ = std::min(wake_by_, time); }

    /// Whether one more one-way mail to `to` has a place, and leaves so many to others. Open requests do not
    /// matter: what they wait for may be this very mail.
    [[nodiscard]] bool has_place(CoreId to, uint32_t left_to_others = 0);
    /// Whether one more request to `to` has a place, and its answer too.
    [[nodiscard]] bool may_request(CoreId to);
    /// Queues a mail; it leaves at the end of the turn at the latest: what completions have led to is handed
    /// over before mail is taken, so that this core's own comes in the same turn. A place must be there
    /// (has_place).
    void send(CoreId to, const Mail& mail);
    /// Likewise, and expects exactly one answer (may_request).
    void request(CoreId to, const Mail& mail);
    /// Answers a request: its place is kept by the rule of halves.
    void answer(CoreId to, const Mail& mail);
    /// Makes what is queued visible now: what an answer of this turn promises has to be there before it.
    /// Sleepers are woken at the turn's end alone.
    void hand_over();

    /// Wall time from a turn's beginning until it submits.
    [[nodiscard]] const metrics::Histogram& turn_times() const { return turn_times_; }
    /// CPU time of this thread from one turn's beginning to the next one's: the kernel's work on what was
    /// submitted is in it, sleep is not.
    [[nodiscard]] const metrics::Histogram& turn_cpu_times() const { return turn_cpu_times_; }

  private:
    void count_cpu();
    void wake_peers();
    void catch_up();
    void drain_mail();
    bool take(Mailbox& box, const Mail& mail);
    void post(CoreId to, const Mail& mail, Mail::Role role);

    CoreId id_;
    io::Ring& ring_;
    io::Clock& clock_;
    Mesh& mesh_;
    MonoTime now_;
    WallTime wall_;
    io::TimerWheel timers_;
    std::array<MailSink*, 32> sinks_{};
    std::vector<Work*> works_;
    bool stay_awake_ = false;
    MonoTime wake_by_ = MonoTime::max();
    std::vector<uint32_t> open_requests_;            // to each core
    bool posted_ = false, any_handed_over_ = false;  // not handed over yet; in this turn
    std::vector<bool> handed_over_;                  // likewise, to each core
    std::vector<bool> open_boxes_;  // of drain_mail(): mailboxes that may still give something
    metrics::Counter turns_;
    metrics::Histogram turn_times_, turn_cpu_times_;
    Duration cpu_{};  // of this thread, when the turn began
};

/// Ties the calling thread to one CPU. False when the sandbox refuses: then it runs unpinned.
bool pin_this_thread(uint32_t cpu);
/// The CPUs that this process may use, in order.
std::vector<uint32_t> usable_cpus();
void name_this_thread(const char* name);

}  // namespace rc::reactor
