// What a client missed: its replay from the log, and what waits behind it meanwhile.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "core.h"
#include "ringcast/proto/encode.h"
#include "session.h"

namespace rc::server {

std::string Session::offset_text(uint64_t offset) const {
    return store::format_offset(core().epoch(), offset);
}

void Session::send_resume_ack(const std::optional<proto::MessageId>& id, uint64_t offset, bool gap,
                              uint32_t unread) {
    send_text(proto::encode_ack(id, fmt::format(R"({{"offset":"{}","gap":{},"unreadCount":{}}})",
                                                offset_text(offset), gap ? "true" : "false", unread)));
}

// Nothing is read for it: live messages go on, each with its offset.
void Session::ask_for_offset(const std::optional<proto::MessageId>& id, uint32_t claim, bool gap) {
    store::Read read{.user = user(),
                     .mode = store::Read::Mode::unread,
                     .after = UINT64_MAX,
                     .records_max = 1,
                     .bytes_max = 1};
    core().store().submit(
        std::move(read), [&core = core(), handle = handle(), id, claim, gap](store::Answer&& answer) {
            Session* self = core.find(handle);
            if (!self || !self->is_open()) return;
            auto const& now = std::get<store::ReadAnswer>(answer);
            if (now.unavailable) {
                self->take_back(claim);
                return self->refuse(Errc::internal_error, "the store cannot be read; try again", id);
            }
            self->send_resume_ack(id, now.cut, gap, now.unread_count);
            self->succeed(claim);
        });
}

// The user's updates are dropped in the middle of a replay. A resume is acked all the same.
void Session::give_up_replay() {
    send_held(replay()->held.size());
    auto const given_up = std::move(rare_->replay);
    auto answer = [this](const Resume& resume) {
        if (core().store().has_place()) return ask_for_offset(resume.id, resume.claim, true);
        take_back(resume.claim);
        refuse(Errc::internal_error, "the store is busy; the replay was given up", resume.id);
    };
    if (!given_up->acked) answer(given_up->resume);
    for (const auto& resume : given_up->next) {
        if (is_open()) answer(resume);
    }
}

void Session::send_held(std::size_t count) {
    auto& held = replay()->held;
    for (; count > 0 && !held.empty(); --count, held.pop_front()) {
        replay()->held_bytes -= held.front().frame.size();
        core().metrics().deliveries.add();
        send(held.front().frame);
    }
}

// A publisher that waits for each answer has its messages in its order, whichever way they come. What was
// accepted before the live message is in the log below its `offset_before`, or from before this process;
// what is published after its answer lies above.
void Session::send_held_before(uint64_t offset) {
    auto const& held = replay()->held;
    while (!held.empty() && held.front().offset_before < offset && core().offset_first() <= offset)
        send_held(1);
}

void Session::drop_held_of(const std::set<std::string, std::less<>>& topics) {
    keep_held([&](const LivePublication& held) { return !topics.contains(held.topic); });
}

Session::Resume Session::resume_of(const proto::Subscribe& subscribe,
                                   const std::optional<proto::MessageId>& id, uint32_t claim) const {
    if (subscribe.replay_unread) return {.mode = store::Read::Mode::unread, .id = id, .claim = claim};
    if (*subscribe.since == "0") return {.mode = store::Read::Mode::everything, .id = id, .claim = claim};
    Resume resume{.id = id, .claim = claim};
    auto const text = std::string_view(*subscribe.since);
    auto const dash = text.rfind('-');
    std::from_chars(text.data() + dash + 1, text.data() + text.size(), resume.after);
    // Another epoch: everything kept, and the client is told that there may be a gap.
    if (text.substr(0, dash) != core().epoch()) resume.after = UINT64_MAX;
    return resume;
}

// One at a time: what the first owes would be lost if the second took its place.
void Session::start_replay(Resume resume) {
    if (replay()) {
        replay()->next.push_back(std::move(resume));
        return;
    }
    rare().replay = std::make_unique<Replay>();
    replay()->serial = core().new_serial();
    replay()->unread_phase = resume.mode == store::Read::Mode::unread;
    replay()->resume = std::move(resume);
    read_chunk();
}

// Read marks of before the snapshot that is awaited are dropped with all that is live, and it was asked for
// without them. Later snapshots are asked for with them; of earlier ones, all that they hold has passed.
void Session::ask_again_with_marks() {
    auto& replay = *rare_->replay;
    if (!replay.asking || replay.waiting || replay.upto != 0 || replay.unread_phase) return;
    replay.serial = core().new_serial();
    replay.waiting = true;
    core().retry_later(handle());
}

void Session::read_chunk() {
    auto& replay = *rare_->replay;
    replay.asking = true;
    replay.waiting = !core().store().has_place();
    if (replay.waiting) return core().retry_later(handle());
    store::Read read{.user = user(),
                     .mode = replay.resume.mode,
                     .after = replay.resume.after,
                     .upto = replay.upto,
                     .next = replay.lacking,
                     .with_marks = wants_sync_ && !replay.unread_phase,
                     .records_max = limits::kReplayRecordsPerChunk,
                     .bytes_max = limits::kReplayBytesPerChunk};
    core().store().submit(
        std::move(read), [&core = core(), handle = handle(), serial = replay.serial](store::Answer&& answer) {
            Session* self = core.find(handle);
            auto const wanted = [&] {
                return self->is_open() && self->replay() && self->replay()->serial == serial;
            };
            if (!self || !wanted()) return;
            // A long fan-out may not have come to this connection, and the chunk may hold
            // what is newer.
            core.bring_up(*self);
            if (wanted()) self->on_chunk(std::move(std::get<store::ReadAnswer>(answer)));
        });
}

void Session::on_chunk(store::ReadAnswer&& answer) {
    auto& replay = *rare_->replay;
    replay.asking = false;
    if (answer.unavailable) {
        constexpr std::string_view kWords = "the store cannot be read; resume later";
        // Whoever goes on in the middle of a replay, or after messages that it had a right to were left to
        // it, would miss something and not know.
        auto const received_before = [this] { return receiving_ && !claims()->open().receiving; };
        if (replay.acked || (replay.dropped_max > 0 && received_before()))
            return close_with(Errc::internal_error, kWords, ws::CloseCode::internal);
        take_back(replay.resume.claim);
        refuse(Errc::internal_error, kWords, replay.resume.id);
        if (is_open()) go_live();
        return;
    }
    if (!replay.acked) {
        replay.acked = true;
        send_resume_ack(replay.resume.id, answer.cut, answer.gap, answer.unread_count);
        succeed(replay.resume.claim);
        if (!is_open()) return;
    }
    // It went so slowly that retention overtook it: resumed anew, it is told of a gap.
    if (answer.overtaken) {
        constexpr std::string_view kWords = "messages to come are not kept any more; resume again";
        return close_with(Errc::internal_error, kWords, ws::CloseCode::internal);
    }
    replay.upto = answer.cut;
    replay.lacking = answer.next;
    for (const auto& record : answer.records) {
        if (!is_open()) return;
        send_held_before(record.offset);
        send_record(record);
    }
    replay.resume.after = answer.position;
    replay.chunks_done = !answer.more;
    // Paced by the socket: the next chunk when this one has gone.
    if (unsent_frames() == 0) after_chunk();
}

void Session::on_drained() {
    if (replay() && replay()->acked && !replay()->asking) after_chunk();
}

void Session::after_chunk() {
    auto& replay = *rare_->replay;
    if (!replay.chunks_done) return read_chunk();
    if (replay.dropped_max > replay.upto) {
        // Live messages came that this snapshot does not hold: from its cut on.
        replay.resume.mode = store::Read::Mode::since;
        replay.resume.after = replay.upto;
        replay.lacking = std::exchange(replay.dropped_first, {});
        replay.upto = 0;
        replay.unread_phase = false;
        replay.chunks_done = false;
        return read_chunk();
    }
    // What waits is paced as well, until little enough is left to count towards the queue's limit.
    auto const& limits = core().config().limits;
    if (replay.held.size() <= limits.send_queue_messages / 4 &&
        replay.held_bytes <= limits.send_queue_bytes / 4) {
        return go_live();
    }
    send_held(limits::kReplayRecordsPerChunk);
}

void Session::go_live() {
    send_held(replay()->held.size());
    auto const done = std::move(rare_->replay);
    if (!done->next.empty()) {
        start_replay(std::move(done->next.front()));
        done->next.pop_front();
        replay()->next = std::move(done->next);
    }
}

void Session::send_record(const store::Record& record) {
    auto const offset = offset_text(record.offset);
    if (record.kind == store::Record::Kind::read_mark) {
        if (record.origin == core().mark_origin(handle())) return;
        return send_text(record.all ? proto::encode_all_read(offset)
                                    : proto::encode_notification_read(record.notification_id,
                                                                      record.unread_count, offset));
    }
    auto const& message = *record.message;
    if (!message.topic.empty() && !core().shard().holds(slot(), message.topic)) return;
    core().metrics().replayed.add();
    if (record.kind == store::Record::Kind::notification) {
        send_text(proto::encode_message(message.type, proto::with_read(message.data, record.read), offset));
    } else {
        send_text(proto::encode_message(message.type, message.data, offset));
    }
}

}  // namespace rc::server
