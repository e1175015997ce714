#include "world.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

#include "../../src/server/control.h"
#include "report.h"
#include "slow_log.h"

namespace rc::sim {
namespace {

constexpr int kAcceptErrors[] = {EMFILE, ENFILE, ENOMEM, ECONNABORTED};

}  // namespace

// A pipe, since a signalfd would take the process's own signals.
SignalPipe::SignalPipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) violated("no pipe");
    read_end = ends[0];
    write_end = ends[1];
}
SignalPipe::~SignalPipe() {
    ::close(read_end);
    ::close(write_end);
}

MonoTime SimClock::now() {
    if (looks_left > 0 && --looks_left == 0) interrupted_by->interrupt();
    return now_;
}

World::World(Plan& the_plan, Histogram& histogram)
    : plan(the_plan),
      chance(the_plan.chance),
      histogram_(histogram),
      server_chance_(the_plan.chance.next()),
      ring_chance_(the_plan.chance.next()),
      rig_(rig_options(), clock, server_chance_),
      participants_(rig_.size()),
      seen_(plan.workers),
      old_tokens_(plan.workers),
      files_(plan.workers),
      last_turn_(plan.workers, clock.time()) {
    clock.interrupted_by = this;
    rig_.mesh().watch(this);
    for (uint32_t i = 0; i < rig_.size(); ++i) {
        auto& ring = rig_.ring(i);
        if (plan.has(Fault::shuffle)) ring.shuffle(&ring_chance_, true);
        if (plan.has(Fault::lost_cancel)) ring.lose_cancels();
        ring.set_submissions(plan.submissions);
    }
    for (std::size_t fault = 0; fault < kFaults; ++fault)
        histogram_.runs[fault] += plan.often[fault] > 0 ? 1 : 0;
    run_until_idle();
}

World::~World() = default;

test::ServerRig::Options World::rig_options() {
    return {.workers = plan.workers,
            .mailbox_places = plan.mailbox_places,
            .direct_slots = plan.direct_slots,
            .buffer_bytes = plan.buffer_bytes,
            .config = plan.config,
            .make_log = [this]() -> std::unique_ptr<store::Log> { return std::make_unique<SlowLog>(*this); },
            .make_main = [this](reactor::Reactor& reactor) -> std::unique_ptr<reactor::CoreProgram> {
                auto main = std::make_unique<server::ControlProgram>(
                    reactor,
                    server::ControlProgram::Options{.workers = plan.workers,
                                                    .store = static_cast<reactor::CoreId>(plan.workers),
                                                    .signals = signals_pipe_.read_end,
                                                    .drain_time = plan.config.drain_time});
                main->begin();
                return main;
            }};
}

bool World::hit(Fault fault) {
    auto const i = static_cast<std::size_t>(fault);
    if (!faulty_ || !chance.hit(plan.often[i])) return false;
    ++histogram_.injected[i];
    trace("{}", fault_name(fault));
    return true;
}

void World::end_faults() {
    faulty_ = false;
    for (uint32_t i = 0; i < rig_.size(); ++i) {
        auto& participant = participants_[i];
        participant.frozen_until = participant.hears_bell_at = 0;
        participant.held_until.fill(0);
        release_held(i);
        rig_.ring(i).exhaust_buffers(0);
        rig_.ring(i).forgive_accepts();
    }
}

// --- who has a turn

bool World::awake(uint32_t i) {
    auto const& participant = participants_[i];
    if (participant.ended || participant.frozen_until > steps_) return false;
    if (!participant.sleeping || clock.time() >= participant.wake_at) return true;
    auto& ring = rig_.ring(i);
    if (ring.woken() && steps_ >= participant.hears_bell_at) return true;
    return ring.busy();
}

uint32_t World::choose_awake() {
    uint32_t const first = chance.below(rig_.size());
    for (uint32_t k = 0; k < rig_.size(); ++k) {
        uint32_t const i = (first + k) % rig_.size();
        if (i != in_turn_ && awake(i)) return i;
    }
    return kNone;
}

void World::step() {
    where.step = ++steps_;
    if (hit(Fault::clock_jump)) advance(milliseconds(chance.between(100, 8000)));
    if (hit(Fault::frozen_core))
        participants_[chance.below(rig_.size())].frozen_until = steps_ + chance.between(5, 150);
    uint32_t const i = choose_awake();
    if (i != kNone) {
        turn(i);
    } else {
        advance(plan.step_time);
    }
    if (chance.below(4) == 0) advance(plan.step_time * chance.below(64) / 64);
}

bool World::run_until_idle() {
    for (uint32_t n = 0; n < 200'000; ++n) {
        uint32_t const i = choose_awake();
        if (i == kNone) return n > 0;
        where.step = ++steps_;
        turn(i);
    }
    violated("the server does not come to rest");
}

void World::pass(Duration time) {
    MonoTime const end = clock.time() + time;
    for (;;) {
        run_until_idle();
        MonoTime next = MonoTime::max();
        for (const auto& participant : participants_) {
            if (!participant.ended) next = std::min(next, participant.wake_at);
        }
        if (next > end) break;
        advance(next - clock.time());
    }
    advance(end - clock.time());
}

void World::advance(Duration time) {
    clock.advance(time);
    digest.add(static_cast<uint64_t>(time.count()));
}

void World::turn(uint32_t i) {
    auto& participant = participants_[i];
    digest.add(i);
    if (participant.sleeping) {
        participant.sleeping = participant.bell_noticed = false;
        rig_.mesh().woke(static_cast<reactor::CoreId>(i));
    }
    if (faulty_) bring_ring_faults(i);
    uint32_t const outer = std::exchange(in_turn_, i);
    // The turn looks at the clock when it begins, and before it decides whether to sleep.
    if (outer == kNone && hit(Fault::interleaved_turn)) clock.looks_left = 2;
    bool const ended = rig_.turn(i, hours(24));
    clock.looks_left = 0;
    in_turn_ = outer;
    digest.add(rig_.ring(i).stats().completions);
    if (ended) {
        // As a core's thread does when its program has ended.
        rig_.ring(i).submit_and_wait(Duration::zero());
        rig_.mesh().detach(static_cast<reactor::CoreId>(i));
        participant.ended = true;
    } else {
        go_to_sleep(i);
    }
    // A bell that the interrupted turn has rung leaves with its end.
    if (outer == kNone) check_bells();
    if (i == rig_.main() && signal_waits_ && !ended) {
        int bytes = 0;
        ::ioctl(signals_pipe_.read_end, FIONREAD, &bytes);
        signal_waits_ = bytes > 0;
        rig_.ring(i).set_readable(signals_pipe_.read_end, signal_waits_);
    }
    if (i >= plan.workers) return;
    check_core(i);
    for (auto* peer : peers_) {
        if (peer->core() == i) peer->pump();
    }
}

// Between the hand-over of a core's mails and its decision to sleep.
void World::interrupt() {
    uint32_t const before = in_turn_;
    uint32_t const i = choose_awake();
    if (i != kNone) turn(i);
    in_turn_ = before;
}

void World::go_to_sleep(uint32_t i) {
    auto& participant = participants_[i];
    auto const wait = rig_.ring(i).last_wait();
    participant.wake_at = clock.time();
    if (wait <= Duration::zero()) return;
    // What the reactor has decided inside submit_and_wait() lasts until the next turn.
    if (!rig_.mesh().may_sleep(static_cast<reactor::CoreId>(i)))
        violated(fmt::format("participant {} goes to sleep over its mail", i));
    participant.sleeping = true;
    participant.wake_at = clock.time() + wait;
}

void World::check_bells() {
    for (uint32_t i = 0; i < rig_.size(); ++i) {
        auto& participant = participants_[i];
        if (!participant.sleeping) continue;
        if (rig_.ring(i).woken()) {
            if (participant.bell_noticed) continue;
            participant.bell_noticed = true;
            participant.hears_bell_at = hit(Fault::late_wake) ? steps_ + chance.between(1, 60) : 0;
        } else if (rig_.has_mail(i)) {
            violated(fmt::format("participant {} sleeps over its mail: a lost wake", i));
        }
    }
}

void World::handed_over(reactor::CoreId from) {
    auto& box = rig_.mesh().box(from, 0);
    auto& scanned = participants_[from].scanned;
    for (; scanned != box.handed_over(); ++scanned) {
        auto const& mail = box.peek(scanned);
        if (mail.stamp != 0) ledger.posted(mail);
    }
    if (from == rig_.store()) check_answers_of_the_store();
}

// Mailboxes become visible one after another: what an answer promises has to be in all of them before.
void World::check_answers_of_the_store() {
    scanned_of_store_.resize(rig_.size());
    bool answers = false, publishes = false;
    for (uint32_t to = 0; to < rig_.size(); ++to) {
        auto& box = rig_.mesh().box(rig_.store(), static_cast<reactor::CoreId>(to));
        for (auto& scanned = scanned_of_store_[to]; scanned != box.handed_over(); ++scanned) {
            auto const& mail = box.peek(scanned);
            answers |= mail.role == reactor::Mail::answer;
            publishes |= mail.stamp != 0;
        }
    }
    if (answers && publishes) violated("the store hands answers over together with publications");
}

// --- what goes wrong in the kernel

void World::bring_ring_faults(uint32_t i) {
    auto& ring = rig_.ring(i);
    auto& participant = participants_[i];
    if (participant.holds) release_held(i);
    auto const hold = [&](Fault fault, io::Kind kind) {
        if (!hit(fault)) return;
        ring.hold(kind);
        participant.held_until[static_cast<std::size_t>(kind)] = steps_ + chance.between(1, 40);
        participant.holds = true;
    };
    // These last for the whole run.
    for (auto fault : {Fault::shuffle, Fault::lost_cancel, Fault::full_submissions, Fault::full_store})
        histogram_.injected[static_cast<std::size_t>(fault)] += plan.has(fault) ? 1 : 0;
    hold(Fault::late_receive, io::Kind::recv);
    hold(Fault::late_send, io::Kind::send);
    hold(Fault::late_close, io::Kind::close);
    hold(Fault::late_accept, io::Kind::accept);
    if (i >= plan.workers) return;
    if (hit(Fault::no_buffer)) ring.exhaust_buffers(chance.between(1, 3));
    int const listener =
        chance.below(4) == 0 ? test::ServerRig::kApiListener : test::ServerRig::kClientListener;
    if (hit(Fault::accept_error)) {
        ring.forgive_accepts();  // one at a time: each costs a tenth of a second
        ring.fail_accept(listener, chance.of(kAcceptErrors));
    }
    if (!old_tokens_[i].empty() && hit(Fault::stale_completion)) send_stale_completion(i);
}

void World::release_held(uint32_t i) {
    auto& participant = participants_[i];
    participant.holds = false;
    for (std::size_t kind = 0; kind < participant.held_until.size(); ++kind) {
        if (participant.held_until[kind] > steps_) {
            participant.holds = true;
        } else {
            rig_.ring(i).let_go(static_cast<io::Kind>(kind));
        }
    }
}

void World::send_stale_completion(uint32_t i) {
    auto& old = old_tokens_[i];
    auto const token = old[chance.below(old.size())];
    static constexpr int32_t kResults[] = {0, 5, -ECANCELED, -ECONNRESET};
    int32_t const result = chance.of(kResults);
    reactor::CoreScope const scope(static_cast<reactor::CoreId>(i));
    rig_.ring(i).complete_stray({.token = token,
                                 .result = result,
                                 .more = chance.coin(),
                                 .bytes = result == 5 ? std::string_view("stale") : std::string_view()});
}

// --- peers, and the end

io::File World::connect(uint32_t core, int listener) {
    auto const file = rig_.ring(core).connect(listener);
    files_[core].push_back(file);
    ++connections_made_;
    return file;
}

uint32_t World::open_files() {
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan.workers; ++i) {
        for (io::File file : files_[i])
            count += socket(i, file).closed ? 0 : 1;
    }
    return count;
}

void World::send_signal() {
    signalfd_siginfo info{};
    info.ssi_signo = 15;
    if (::write(signals_pipe_.write_end, &info, sizeof(info)) != sizeof(info))
        violated("the signal pipe is full");
    ++signals_;
    signal_waits_ = true;
    rig_.ring(rig_.main()).set_readable(signals_pipe_.read_end);
}

bool World::all_ended() const {
    return std::all_of(participants_.begin(), participants_.end(), [](const auto& p) { return p.ended; });
}

}  // namespace rc::sim
