// What holds for every core after each of its turns, whatever went wrong in it.
#include <fmt/format.h>

#include <algorithm>

#include "../../src/server/session.h"
#include "report.h"
#include "world.h"

namespace rc::sim {
namespace {

using Receiving = net::Stream::Receiving;

constexpr Duration kTicks = 2 * io::TimerWheel::kTick;
constexpr Duration kRefusalTime = seconds(2);                    // ws::Connection's, behind the handshake's
constexpr Duration kEndingTimeMax = 2 * limits::kCloseDeadline;  // a FIN begins it anew, once
constexpr uint32_t kRepliesPerTurn = 128 + 64;                   // a replay's chunk, acks and pongs
constexpr std::size_t kOldTokensMax = 64;

}  // namespace

void World::check_core(uint32_t i) {
    auto& core = rig_.core(i);
    auto const& streams = core.streams();
    auto& seen = seen_[i];
    seen.resize(streams.slots());
    uint32_t open = 0;
    for (uint32_t slot = 0; slot < streams.slots(); ++slot) {
        auto& now = seen[slot];
        net::Stream* stream = streams.at(slot);
        if (now.phase != Seen::Phase::gone && (!stream || stream->handle().generation != now.generation)) {
            auto& old = old_tokens_[i];
            if (old.size() == kOldTokensMax) old.erase(old.begin());
            old.push_back({slot, now.generation, 0, chance.coin() ? io::Kind::recv : io::Kind::send});
            now.phase = Seen::Phase::gone;
        }
        if (!stream) continue;
        ++open;
        check_stream(i, slot, *stream, now);
    }
    last_turn_[i] = rig_.reactor(i).now();
    if (open != streams.open_streams())
        violated(
            fmt::format("core {}: {} streams are open, and {} are counted", i, open, streams.open_streams()));

    // Descriptors: what the kernel has handed out and not taken back belongs to one stream each.
    uint32_t descriptors = 0;
    std::erase_if(files_[i], [&](io::File file) {
        auto const& socket = rig_.ring(i).socket(file);
        descriptors += socket.accepted && !socket.closed ? 1 : 0;
        return socket.closed;
    });
    if (descriptors != open)
        violated(fmt::format("core {}: {} descriptors are open for {} streams", i, descriptors, open));
    auto const& metrics = core.metrics();
    uint64_t const sessions = metrics.clients_open.value() + metrics.clients_in_handshake.value();
    // All peers have the same one, but for those that PROXY headers name.
    uint64_t const of_address_max =
        plan.config.proxy.protocol ? 0 : plan.config.limits.connections_per_address;
    if (of_address_max > 0 && metrics.clients_open.value() > of_address_max)
        violated(
            fmt::format("core {}: {} clients are open from one address", i, metrics.clients_open.value()));
    uint64_t const api = core.http_metrics().connections.value();
    if (core.ring_gauges().slots_used.value() + api != open)
        violated(fmt::format("core {}: {} slots and {} API connections for {} streams", i,
                             core.ring_gauges().slots_used.value(), api, open));
    if (sessions > open) violated(fmt::format("core {}: {} sessions on {} streams", i, sessions, open));
}

void World::check_stream(uint32_t i, uint32_t slot, net::Stream& stream, Seen& seen) {
    auto const& socket = rig_.ring(i).socket(stream.file());
    auto const receiving = stream.receiving();
    auto name = [&] { return fmt::format("core {}, slot {}", i, slot); };
    if (socket.closed) violated(name() + ": its descriptor is closed under it");
    if (receiving == Receiving::forgotten) violated(name() + ": no receive, and no reason why");
    // It tries again next turn, which must come by itself.
    if (receiving == Receiving::parked && rig_.ring(i).last_wait() > Duration::zero())
        violated(name() + ": parked, and the core sleeps");
    if (receiving == Receiving::awaited && !socket.receiving())
        violated(name() + ": waits for a receive that the kernel does not have");

    server::Session* session = rig_.core(i).find(stream.handle());
    using Phase = Seen::Phase;
    Phase const phase = !session                  ? Phase::other
                        : session->in_handshake() ? Phase::handshake
                        : session->is_open()      ? Phase::open
                                                  : Phase::ending;
    if (session && receiving == Receiving::paused) violated(name() + ": a client's receive is paused");
    auto const now = rig_.reactor(i).now();
    bool const same = seen.generation == stream.handle().generation && seen.phase == phase;
    if (!same) {
        seen.since = now;
        seen.standstill = {};
    }
    // What has come in while the core had no turns counts as in time.
    seen.standstill = std::max(seen.standstill, now - last_turn_[i]);

    // Deadlines. What is past them has begun to close in this very turn, whose timers have run.
    if (stream.is_open()) {
        auto const slack = kTicks + seen.standstill;
        auto const in_phase = now - (phase == Phase::handshake ? session->opened() : seen.since);
        if (phase == Phase::handshake &&
            in_phase > plan.config.limits.handshake_timeout + kRefusalTime + slack)
            violated(name() + ": in its handshake for too long");
        if (phase == Phase::ending && in_phase > kEndingTimeMax + slack)
            violated(name() + ": in its closing handshake for too long");
    }

    // Bounds. While a send waits in the kernel no delivery goes over the limit.
    uint32_t const frames = stream.unsent_frames();
    if (same && session && seen.was_stalled && stream.stalled() &&
        frames > std::max(seen.frames, plan.config.limits.send_queue_messages) + kRepliesPerTurn)
        violated(fmt::format("{}: {} frames are queued for a socket that takes nothing", name(), frames));
    seen = {stream.handle().generation, phase, seen.since, seen.standstill, stream.stalled(), frames};
}

std::string World::describe() {
    std::string out;
    for (uint32_t i = 0; i < rig_.size(); ++i) {
        auto const& participant = participants_[i];
        out += fmt::format("{}participant {}{}{}, {} operations", i == 0 ? "" : "; ", i,
                           participant.ended      ? ", ended"
                           : participant.sleeping ? ", asleep"
                                                  : "",
                           rig_.has_mail(i) ? ", with mail" : "", rig_.ring(i).operations());
        if (!participant.ended) {
            auto const left = participant.wake_at - clock.time();
            out += fmt::format(", awake in {} ms", left / milliseconds(1));
        }
        if (i < plan.workers) {
            auto& core = rig_.core(i);
            auto const& http = core.http_metrics();
            uint64_t answers = 0;
            for (const auto& of_class : http.responses)
                answers += of_class.value();
            out += fmt::format(", {} streams, {} API connections with {} requests and {} answers, {}",
                               core.streams().open_streams(), http.connections.value(), http.requests.value(),
                               answers,
                               core.finishing()  ? "finishing"
                               : core.draining() ? "draining"
                                                 : "serving");
        }
    }
    return out;
}

void World::check_mail_left() {
    for (auto const kind : server::drop_mail(rig_.mesh())) {
        switch (kind) {
            // Counts of a user's connections, and orders that come too late for anybody.
            case server::MailKind::user_count:
            case server::MailKind::user_watch:
            case server::MailKind::gather_request:
            case server::MailKind::gather_answer:
            case server::MailKind::close_connection:
            case server::MailKind::address_report:
            case server::MailKind::address_word:
            case server::MailKind::control: break;
            default: violated(fmt::format("a mail of kind {} was left", static_cast<int>(kind)));
        }
    }
}

void World::check_all_gone() {
    for (uint32_t i = 0; i < plan.workers; ++i) {
        auto& core = rig_.core(i);
        auto const& metrics = core.metrics();
        auto zero = [&](std::string_view what, uint64_t value) {
            if (value != 0)
                violated(fmt::format("core {}: {} {} are left without any connection", i, value, what));
        };
        zero("streams", core.streams().open_streams());
        zero("clients", metrics.clients_open.value());
        zero("handshakes", metrics.clients_in_handshake.value());
        zero("subscribers", metrics.subscribers.value());
        zero("subscriptions", metrics.subscriptions.value());
        zero("topics", metrics.topics.value());
        zero("users", metrics.users.value());
        zero("connections of addresses", core.address_limits().open_here());
        // At the end, what the other cores had to say of it may be left in the mailboxes.
        if (!core.draining()) zero("connections of addresses at home", core.address_limits().open_at_home());
        zero("fan-outs", metrics.fanouts_waiting.value());
        zero("fan-out bytes", metrics.fanout_bytes_waiting.value());
        zero("partial frames", metrics.frames_partial.value());
        zero("bytes of partial frames", metrics.frame_bytes_held.value());
        zero("API connections", core.http_metrics().connections.value());
        zero("bytes of API bodies", core.http_metrics().body_bytes.value());
        for (io::File file : files_[i])
            zero("descriptors", socket(i, file).accepted && !socket(i, file).closed ? 1 : 0);
    }
}

}  // namespace rc::sim
