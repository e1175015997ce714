#include "ringcast/reactor/reactor.h"

#include <algorithm>
#include <utility>

#include "ringcast/base/limits.h"

namespace rc::reactor {
namespace {
constexpr uint32_t kCompletionsPerTurn = 16 * 1024;
constexpr Duration kStoodStill = seconds(1);  // between two turns, which wait for kTurnWaitMax at most
static_assert(kStoodStill > limits::kTurnWaitMax * 2);
constexpr uint32_t kCatchUpRoundsMax = 4096;  // 80,000 completions, where a round brings 20
constexpr uint32_t kEmptyReaps = 4;           // in a row: nothing more is there
}  // namespace

Reactor::Reactor(CoreId id, io::Ring& ring, io::Clock& clock, Mesh& mesh)
    : id_(id),
      ring_(ring),
      clock_(clock),
      mesh_(mesh),
      now_(clock.now()),
      wall_(clock.wall()),
      timers_(now_),
      open_requests_(mesh.size()),
      handed_over_(mesh.size()),
      open_boxes_(mesh.size()) {
    RC_ASSERT(current_core() == id);
}

void Reactor::turn(Duration wait_max) {
    CoreScope const scope(id_);
    auto const last_turn = now_;
    now_ = clock_.now();
    wall_ = clock_.wall();
    count_cpu();
    turns_.add();

    if (now_ - last_turn > kStoodStill) catch_up();

    // All that is there: whether a socket took a send is judged after its completion was seen.
    ring_.reap(kCompletionsPerTurn);
    hand_over();
    drain_mail();
    timers_.advance(now_);
    bool more = false;
    for (Work* work : works_)
        more |= work->run_slice();
    more |= std::exchange(stay_awake_, false);

    hand_over();
    if (any_handed_over_) wake_peers();
    turn_times_.record(clock_.now() - now_);

    auto const wake_by = std::exchange(wake_by_, MonoTime::max());
    if (!more) {
        auto const wake_at = std::min(timers_.next_wake(), wake_by);
        if (wake_at <= now_) {
            wait_max = Duration::zero();
        } else if (wake_at != MonoTime::max()) {
            wait_max = std::min(wait_max, wake_at - now_);
        }
    }
    if (more || wait_max <= Duration::zero() || !mesh_.may_sleep(id_)) {
        ring_.submit_and_wait(Duration::zero());
        return;
    }
    ring_.submit_and_wait(wait_max);
    mesh_.woke(id_);
}

void Reactor::wake_peers() {
    for (uint32_t to = 0; to < mesh_.size(); ++to) {
        auto const peer = static_cast<CoreId>(to);
        if (handed_over_[peer] && peer != id_) mesh_.wake_if_asleep(ring_, peer);
        handed_over_[peer] = false;
    }
    any_handed_over_ = false;
}

void Reactor::count_cpu() {
    auto const cpu = clock_.thread_cpu();
    if (turns_.value() > 0) turn_cpu_times_.record(cpu - cpu_);
    cpu_ = cpu;
}

// The process was stopped, or its machine was: what came in meanwhile came in time, so it is fetched and
// judged before the deadlines that have passed. A kernel may hand over no more than a few completions at a
// time (20 from 6.13 on), and a receive leads to the next.
void Reactor::catch_up() {
    uint32_t empty = 0;
    for (uint32_t round = 0; round < kCatchUpRoundsMax && empty < kEmptyReaps; ++round) {
        ring_.submit_and_wait(Duration::zero());
        empty = ring_.reap(kCompletionsPerTurn) == 0 ? empty + 1 : 0;
    }
}

// Publications are taken in the order of their stamps over all mailboxes. One that is stamped after the
// look at the counter waits for the next turn: whatever its publisher had been answered before it is in a
// mailbox by then.
void Reactor::drain_mail() {
    uint64_t const newest = mesh_.newest_stamp();
    uint32_t publications = 0;
    auto const cores = static_cast<CoreId>(mesh_.size());
    bool any = false;
    for (CoreId from = 0; from < cores; ++from)
        any |= open_boxes_[from] = mesh_.box(from, id_).front() != nullptr;
    if (!any) return;
    for (;;) {
        const Mail* best = nullptr;
        for (CoreId from = 0; from < cores; ++from) {
            if (!open_boxes_[from]) continue;
            auto& box = mesh_.box(from, id_);
            const Mail* mail = box.front();
            for (uint32_t n = 0; mail && mail->stamp == 0; mail = box.front()) {
                if (++n > box.places() || !take(box, *mail)) {
                    open_boxes_[from] = false;
                    break;
                }
            }
            if (!mail || mail->stamp > newest) open_boxes_[from] = false;
            if (open_boxes_[from] && (!best || mail->stamp < best->stamp)) best = mail;
        }
        if (!best || publications == limits::kPublicationsPerTurn) break;
        // A sink that has enough for this turn holds all publications up, or they would overtake each other.
        if (!take(mesh_.box(best->from, id_), *best)) break;
        ++publications;
    }
    for (CoreId from = 0; from < cores; ++from)
        mesh_.box(from, id_).release();
}

bool Reactor::take(Mailbox& box, const Mail& mail) {
    RC_ASSERT(mail.kind < sinks_.size() && sinks_[mail.kind]);
    auto& sink = *sinks_[mail.kind];
    if (!sink.ready_for(mail)) return false;
    Mail const copy = mail;
    box.pop();
    // From itself: what the sink is about to send in its turn finds the place free again.
    if (copy.from == id_) box.release();
    if (copy.role == Mail::answer) {
        RC_ASSERT(open_requests_[copy.from] > 0);
        --open_requests_[copy.from];
    }
    sink.on_mail(copy);
    return true;
}

void Reactor::hand_over() {
    if (!std::exchange(posted_, false)) return;
    for (uint32_t to = 0; to < mesh_.size(); ++to) {
        if (mesh_.box(id_, static_cast<CoreId>(to)).hand_over()) handed_over_[to] = any_handed_over_ = true;
    }
    if (mesh_.watcher()) mesh_.watcher()->handed_over(id_);
}

void Reactor::bind_mail(uint8_t kind, MailSink& sink) {
    RC_ASSERT(kind < sinks_.size() && !sinks_[kind]);
    sinks_[kind] = &sink;
}

bool Reactor::has_place(CoreId to, uint32_t left_to_others) {
    return mesh_.box(id_, to).free_places_but_for_answers() > left_to_others;
}

bool Reactor::may_request(CoreId to) {
    return open_requests_[to] < mesh_.box(id_, to).places() / 2 && has_place(to);
}

void Reactor::post(CoreId to, const Mail& mail, Mail::Role role) {
    assert_own_core();
    mesh_.box(id_, to).push(mail, role).from = id_;
    posted_ = true;
}

void Reactor::send(CoreId to, const Mail& mail) {
    post(to, mail, Mail::one_way);
}

void Reactor::request(CoreId to, const Mail& mail) {
    RC_ASSERT(open_requests_[to] < mesh_.box(id_, to).places() / 2);
    ++open_requests_[to];
    post(to, mail, Mail::request);
}

void Reactor::answer(CoreId to, const Mail& mail) {
    post(to, mail, Mail::answer);
}

}  // namespace rc::reactor
